"""How sharp the inside of a hole should be, and the fine detail of similar photos that makes it so.

Whoever cannot know paints the mean of what may be, and a mean is blurred. What stood in the hole
cannot be told, but how sharp it was can: as the similar photos are at the same place. What is
missing is taken from what was copied of them: real skin, hair and lashes. Speckles are taken away:
a judge hardly sees them, and lets a network paint too many.
"""

from collections.abc import Iterator
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from .depth import depth, mean

_WINDOW: Final = 17  # pixels on a side: the mean energy around each of them is compared
_BANDS: Final = ((3,), (3, 5))  # what two means take away: finer than 3 pixels, finer than about 9
_MOST: Final = 8.0  # times the detail that was copied may be added
_SHARPEST: Final = 4.0  # times as sharp as a similar photo is no photo taken to be
_LEAST_ENERGY: Final = 1e-6


def borrowed_detail(
    filled: Tensor, holes: Tensor, similar: Tensor, copied: Tensor, share: float
) -> Tensor:
    """Fine detail that holes lack to be as sharp as similar photos are there, to be added.

    In each of two bands of frequencies b, sharpness is the energy of differences of neighboring
    pixels, E(b) = mean of |grad b|^2 over the hole's pixels around a place. The wanted energy T is
    the mean of the similar photos' at that place, each times the square of how sharp this photo is
    beside it where both are known: as the means of |grad b| tell, which a few edges do not rule.
    With c the same band of what was copied,
    ``E(b + g c) = E(b) + 2 g mean(grad b . grad c) + g^2 E(c)``, so the gain g that makes it T is a
    root of a square; where b and c are opposed, a smaller one is taken. It counts as much as the
    hole has `depth`: near its rim the rim tells.

    Args:
        filled: (B, 3, H, W) in [0, 1], the photo with its hole filled.
        holes: (B, 1, H, W) floats, 1 = hole.
        similar: (B, N, 4, H, W), photos and where they are known (1) or not (0).
        copied: (B, 3, H, W), the similar photos' pixels, moved to where they belong.
        share: of the missing energy to be added.

    Returns:
        (B, 3, H, W), nothing outside the holes: the sum of ``g c``.
    """
    detail, bands = torch.zeros_like(filled), list(_bands(filled))
    each = zip(bands, _bands(copied), _wanted(bands, holes, similar), strict=True)
    for own, given, wanted in each:
        steps, more = _steps(own), _steps(given)
        has, mixed, gives = (
            _inside(product.sum(1, keepdim=True), holes)
            for product in (steps.square(), steps * more, more.square())
        )
        missing = share * (wanted - has).clamp_min(0)
        root = (mixed.square() + gives * missing + _LEAST_ENERGY**2).sqrt()
        gain = missing / (mixed.clamp_min(0) + root)
        # The limit has no gradient: else copies would lose what little they have, to add less.
        limit = _MOST / gain.detach().clamp_min(_MOST)
        detail = detail + limit * gain * given
    return holes * depth(holes) * detail


def without_speckles(filled: Tensor, holes: Tensor, similar: Tensor) -> Tensor:
    """The finest detail of holes scaled down to the energy that similar photos have there.

    That energy is `borrowed_detail`'s T, and this counts as much with depth. Coarser detail is
    left, as rims of glasses have more of it by right. Not for training: a network that is not
    charged for speckles paints ten times as many.

    Args:
        filled: (B, 3, H, W) in [0, 1], the photo with its hole filled.
        holes: (B, 1, H, W) floats, 1 = hole.
        similar: (B, N, 4, H, W), photos and where they are known (1) or not (0).

    Returns:
        (B, 3, H, W), changed inside the holes alone.
    """
    finest = next(_bands(filled))
    wanted = next(_wanted([finest], holes, similar))
    has = _inside(_steps(finest).square().sum(1, keepdim=True), holes)
    kept = ((wanted + _LEAST_ENERGY**2) / (has + _LEAST_ENERGY**2)).clamp_max(1).sqrt()
    told = mean(similar[:, :, 3:].sum(1), _WINDOW) > 0  # where any of them is known
    return filled - holes * depth(holes) * torch.where(told, 1 - kept, 0) * finest


def _wanted(bands: list[Tensor], holes: Tensor, similar: Tensor) -> Iterator[Tensor]:
    """The energy T of each of this photo's first bands: (B, 1, H, W)."""
    pixels, known = similar[:, :, :3].flatten(0, 1), similar[:, :, 3:]
    seen = known * (1 - holes)[:, None]  # on both photos
    around = _around(known.sum(1))
    for own, theirs in zip(bands, _bands(pixels), strict=False):
        energy = _steps(own.detach()).square().sum(1, keepdim=True)
        others = _steps(theirs).square().sum(1).reshape(known.shape)  # (B, N, 1, H, W)
        as_sharp = _amplitude(energy[:, None], seen) / _amplitude(others, seen)
        usual = as_sharp.clamp_max(_SHARPEST).square() * others * known
        yield mean(usual.sum(1), _WINDOW) / around


def _inside(energy: Tensor, holes: Tensor) -> Tensor:
    """The mean over the hole's pixels around each pixel, of (B, 1, H, W)."""
    return mean(energy * holes, _WINDOW) / _around(holes)


def _bands(maps: Tensor) -> Iterator[Tensor]:
    """Of (N, C, H, W), its finest detail and what is a little coarser."""
    for sides in _BANDS:
        coarser = maps
        for side in sides:
            coarser = mean(coarser, side)
        yield maps - coarser
        maps = coarser


def _around(maps: Tensor) -> Tensor:
    """The mean around each pixel of (B, 1, H, W), never 0."""
    return mean(maps, _WINDOW).clamp_min(_LEAST_ENERGY)


def _amplitude(energy: Tensor, where: Tensor) -> Tensor:
    """The mean of |grad| where it counts, of (B, N or 1, 1, H, W) to (B, N, 1, 1, 1), never 0."""
    dims = (2, 3, 4)
    total = ((energy + _LEAST_ENERGY**2).sqrt() * where).sum(dims, keepdim=True)
    return total / where.sum(dims, keepdim=True).clamp_min(1) + _LEAST_ENERGY


def _steps(maps: Tensor) -> Tensor:
    """Differences to the right and down, 0 at the last ones: (N, C, H, W) to (N, 2 C, H, W)."""
    right = F.pad(maps[..., 1:] - maps[..., :-1], (0, 1))
    down = F.pad(maps[..., 1:, :] - maps[..., :-1, :], (0, 0, 0, 1))
    return torch.cat([right, down], dim=1)
