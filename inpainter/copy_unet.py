"""Our own network: it chooses between a smooth filling, the coarse picture and what it copies.

A U-Net with residual blocks sees the masked photo and its mask, filled smoothly (`thin_plate`) and
filled coarsely by others. Each neighbor goes through one shared encoder, and so does the photo's
own mirror image, as a face has two like halves. Where the decoder has come back to a quarter of the
size, it is matched with each of them: out come a small displacement field, a colour gain and
offset, and a weight. Their real pixels are moved, recoloured and blended by these (as TransFill,
Zhou et al. 2021, does for scenes), and the last layer chooses per pixel between the three fillings,
and paints on top. All that is done per neighbor is shared and then summed with weights, so the
order of neighbors does not matter, and one set of weights serves any K, 0 as well. The photo's
mirror image is painted too, and the mean of both taken. At last fine detail of what was copied is
added, until it is as sharp as the neighbors are there (`crispness`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .conv import Conv2d, Residual
from .crispness import borrowed_detail, without_speckles
from .thin_plate import thin_plate

_MATCHED: Final = 2  # the level, at a quarter of the size, where neighbors are matched
_FILLINGS: Final = 3  # smooth, coarse, copied
_TONES: Final = 4  # colours are corrected at a quarter of that level's size: no detail comes of it


@dataclass(frozen=True)
class CopyConfig:
    """How wide and how deep.

    Attributes:
        widths: channels at the whole, a half, a quarter ... of the size; at least four levels.
        blocks: residual blocks at the deepest level.
        reach: the largest displacement, as a share of the picture's side.
        crispness: share of what wide holes lack in sharpness beside similar photos that is added of
            their detail; more than 1 makes up for the rims of holes, where it counts less.
        coarse: the shipped networks whose coarse pictures it is trained on and given, joined by
            "+" if several, of whose pictures it gets the mean.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 176)
    blocks: int = 2
    reach: float = 0.12
    crispness: float = 0.0
    coarse: str = "sim-0+pconv"

    def __post_init__(self) -> None:
        if len(self.widths) < _MATCHED + 2 or min(self.widths) < 1 or self.blocks < 0:
            raise InputError(f"expected at least {_MATCHED + 2} widths, all positive: {self}")
        if not 0 <= self.reach <= 1:
            raise InputError(f"a reach is a share of the side, 0 to 1, not {self.reach}")
        if not self.crispness >= 0:
            raise InputError(f"a crispness is 0 or more, not {self.crispness}")


class _Attention(nn.Module):
    """Every place of a small map looks at every other (Vaswani et al. 2017); identity at first."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(1, width)
        self.inside = nn.Conv2d(width, 3 * width, 1)
        self.outside = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.outside.weight)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.inside(self.norm(x)).flatten(2)  # (B, 3 C, h w)
        query, key, value = (
            part.unflatten(1, (self.heads, -1)).mT for part in parts.chunk(3, dim=1)
        )  # (B, heads, h w, C / heads)
        seen = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = x + self.outside(seen.mT.reshape(x.shape))
        return out


class _Encoder(nn.Module):
    """Features at the whole size, a half, a quarter ...: a strided convolution and a block each."""

    def __init__(self, inside: int, widths: Iterable[int]) -> None:
        super().__init__()
        first, *rest = widths
        self.stem = Conv2d(inside, first, 3, padding=1)
        self.down = nn.ModuleList(
            nn.Sequential(Conv2d(a, b, 3, 2, 1), Residual(b)) for a, b in pairwise([first, *rest])
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = [self.stem(x)]
        for down in self.down:
            levels.append(down(F.relu(levels[-1])))
        return levels


class _Up(nn.Module):
    """Double, join the skip, convolve, refine."""

    def __init__(self, deep: int, skip: int, *, refine: bool) -> None:
        super().__init__()
        self.join = Conv2d(deep + skip, skip, 3, padding=1)
        self.refine = Residual(skip) if refine else nn.Identity()

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        raised = F.interpolate(deep, size=skip.shape[-2:], mode="nearest")
        out: Tensor = self.refine(self.join(F.relu(torch.cat([raised, skip], dim=1))))
        return out


class _Matching(nn.Module):
    """From the decoder's and one neighbor's features to where, how bright and how much to copy."""

    def __init__(self, width: int, reach: float) -> None:
        super().__init__()
        self.reach = reach
        self.compare = nn.Sequential(
            Conv2d(2 * width, width, 3, padding=1), nn.ReLU(), Residual(width)
        )
        self.weight = Conv2d(width, 1, 3, padding=1)
        self.shift = Conv2d(width, 2, 3, padding=1)
        self.tone = nn.Conv2d(width, 6, 1)
        for head in (self.weight, self.shift, self.tone):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(self, here: Tensor, there: Tensor, pixels: Tensor) -> tuple[Tensor, ...]:
        """Match (N, C, h, w) with (N, C, h, w), and move and recolour pixels (N, 3, H, W).

        Returns:
            matched features (N, C, h, w), copied pixels (N, 3, H, W), weights (N, 1, h, w) before
            they are compared with other neighbors'.
        """
        size = pixels.shape[-2:]
        matched = self.compare(torch.cat([here, there], dim=1))
        shift = self.reach * 2 * torch.tanh(_enlarge(self.shift(matched), size))
        tone = torch.tanh(_enlarge(self.tone(F.avg_pool2d(matched, _TONES, ceil_mode=True)), size))
        gain, offset = (1 + 0.5 * tone[:, :3]), 0.5 * tone[:, 3:]
        return matched, gain * _moved(pixels, shift) + offset, self.weight(matched)


class CopyUNet(nn.Module):
    """Masked photo, mask, coarse picture and any number of neighbors to a picture.

    Attributes:
        config: what it was built from.
    """

    def __init__(self, config: CopyConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.encoder = _Encoder(3 + 1 + 3 + 3, widths)
        self.neighbor_encoder = _Encoder(3 + 1, widths[: _MATCHED + 1])
        deepest = widths[-1]
        self.middle = nn.Sequential(
            _Attention(deepest), *(Residual(deepest) for _ in range(config.blocks))
        )
        self.up = nn.ModuleList(
            _Up(deep, skip, refine=level > 0)
            for level, (skip, deep) in reversed([*enumerate(pairwise(widths))])
        )
        self.matching = _Matching(widths[_MATCHED], config.reach)
        self.last = Conv2d(widths[0] + 3 * _FILLINGS, 3 + _FILLINGS, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():  # at first it paints nothing, and leans to the smooth filling
            self.last.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 2.0, 0.0, 0.0]))  # type: ignore[union-attr]

    def forward(
        self,
        photos: Tensor,
        holes: Tensor,
        coarse: Tensor,
        neighbors: Tensor,
        faces: Tensor | None = None,
    ) -> Tensor:
        """Fill the holes.

        Args:
            photos: (B, 3, H, W) in [0, 1]; what stands in the hole is not seen.
            holes: (B, 1, H, W) binary, 1 = hole.
            coarse: (B, 3, H, W), the coarse picture; what stands outside the hole is not seen.
            neighbors: (B, K, 3, H, W) in [0, 1], in any order; K may be 0.
            faces: (B,) bool, the photos with a face where faces are; the others are given no detail
                of similar photos. All of them if None.

        Returns:
            (B, 3, H, W), known pixels included, not clamped.
        """
        holes = holes.to(photos.dtype)
        smooth = thin_plate(photos, holes).clamp(0, 1)
        seen = (photos, holes, smooth, coarse, neighbors)
        out, copied, similar = self._painted(*seen)
        # The mirror image is painted with other errors, and the mean of both has less of them.
        out = (out + self._painted(*(x.flip(-1) for x in seen))[0].flip(-1)) / 2
        if self.config.crispness == 0:
            return out
        holes, similar = holes.float(), similar.float()
        filled = photos.float() * (1 - holes) + out * holes
        detail = borrowed_detail(filled, holes, similar, copied.float(), self.config.crispness)
        if not self.training:  # last: where there are speckles, less is borrowed
            filled = without_speckles(filled, holes, similar)
        given = holes if faces is None else holes * faces.view(-1, 1, 1, 1)
        return torch.where(given.bool(), filled + detail, out)

    def _painted(
        self, photos: Tensor, holes: Tensor, smooth: Tensor, coarse: Tensor, neighbors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The picture before detail is borrowed, what was copied for it, and of which photos.

        Returns:
            (B, 3, H, W), (B, 3, H, W) and (B, 1 + K, 4, H, W).
        """
        known = photos * (1 - holes)
        coarse = known + coarse * holes
        skips = self.encoder(torch.cat([known, holes, smooth, coarse], dim=1))
        features = self.middle(skips.pop())
        similar = _with_mirror(known + smooth * holes, holes, neighbors)
        copied = coarse
        for up in self.up:
            features = up(features, skips.pop())
            if len(skips) == _MATCHED:
                features, copied = self._copy(features, similar)
        fillings = [smooth, coarse, copied]
        joined = torch.cat([F.relu(features), *fillings], dim=1)
        last = self.last(joined).float()
        painted, choice = last[:, :3], last[:, 3:]
        shares = choice.softmax(dim=1).chunk(_FILLINGS, dim=1)  # (B, 1, H, W) each
        out: Tensor = painted + sum(
            s * filling for s, filling in zip(shares, fillings, strict=True)
        )
        return out, copied, similar

    def _copy(self, features: Tensor, similar: Tensor) -> tuple[Tensor, Tensor]:
        """Features that know the similar photos, and the blend of what is copied: (B, 3, H, W)."""
        count = similar.shape[1]
        there = self.neighbor_encoder(similar.flatten(0, 1))[-1]  # (B K, C, h, w)
        here = features.repeat_interleave(count, dim=0)
        pixels = similar[:, :, :3].flatten(0, 1)  # (B K, 3, H, W)
        matched, copies, weights = self.matching(here, there, pixels)
        shares = _apart(weights.float(), count).softmax(dim=1)  # (B, K, 1, h, w)
        seen = (shares * _apart(matched, count)).sum(dim=1)  # (B, C, h, w)
        large = _apart(_enlarge(shares.flatten(0, 1), pixels.shape[-2:]), count)
        copied = (large * _apart(copies, count)).sum(dim=1)  # (B, 3, H, W)
        return features + seen.to(features.dtype), copied


def _with_mirror(filled: Tensor, holes: Tensor, neighbors: Tensor) -> Tensor:
    """The mirrored photo and the neighbors, each beside what is known of it: (B, 1 + K, 4, H, W).

    Args:
        filled: (B, 3, H, W), the photo, its hole filled smoothly.
        holes: (B, 1, H, W), 1 = hole.
        neighbors: (B, K, 3, H, W), all known.
    """
    mirror = torch.cat([filled, 1 - holes], dim=1).flip(-1)
    known = torch.ones_like(neighbors[:, :, :1])
    return torch.cat([mirror[:, None], torch.cat([neighbors, known], dim=2)], dim=1)


def _apart(maps: Tensor, count: int) -> Tensor:
    """(B K, C, h, w) to (B, K, C, h, w)."""
    return maps.reshape(-1, count, *maps.shape[1:])


def _enlarge(maps: Tensor, size: torch.Size) -> Tensor:
    """Resize (N, C, h, w) smoothly, in float32."""
    return F.interpolate(maps.float(), size=size, mode="bilinear", align_corners=False)


def _moved(pixels: Tensor, shift: Tensor) -> Tensor:
    """Take each pixel of (N, 3, H, W) from (x, y) + shift (N, 2, H, W), in halves of the side."""
    height, width = pixels.shape[-2:]
    across = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=pixels.device)
    down = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=pixels.device)
    grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1)  # (H, W, 2)
    places = grid + shift.permute(0, 2, 3, 1)
    moved: Tensor = F.grid_sample(
        pixels.float(), places, padding_mode="border", align_corners=False
    )
    return moved
