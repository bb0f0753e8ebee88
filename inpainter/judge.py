"""A judge of what stands in a hole, who has seen the world: a term against blur.

Sauer et al. 2021, "Projected GANs Converge Faster": the maps of a network that was trained on
ImageNet stay as they are, and only a few layers on top of each are trained to tell painted from
real. So the judge need not learn first what an edge or an eye is, which takes longer than painting.
One more looks at the pixels themselves, as stripes and dots of a few pixels are lost in the maps.
"""

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from .lite0 import WIDTHS

_HIDDEN: Final = 64


class Judge(nn.Module):
    """Judges every place of a picture and of its maps by `Lite0`.

    It sees the mask too, and verdicts count by how much of the place is hole: known pixels are real
    in any picture.
    """

    def __init__(self) -> None:
        super().__init__()
        half, *rest = WIDTHS
        heads = [_head(3, _HIDDEN // 2, 2), _head(half, _HIDDEN, 2)]
        self.heads = nn.ModuleList([*heads, *(_head(width, _HIDDEN, 1) for width in rest)])

    def forward(
        self, pictures: Tensor, maps: Sequence[Tensor], holes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Judge pictures with holes.

        Args:
            pictures: (B, 3, H, W) in [0, 1].
            maps: of the pictures, as `Lite0` gives them.
            holes: (B, 1, H, W), 1 = hole.

        Returns:
            verdicts (B, N), positive for real, on all N places, and their weights, (B, N): each map
            has the same share, and their sum is 1 for a picture that is all hole.
        """
        verdicts, weights = [], []
        for head, seen in zip(self.heads, [2 * pictures - 1, *maps], strict=True):
            hole = _shares(holes, seen)
            verdict = head(torch.cat([seen, hole.to(seen.dtype)], dim=1)).float()
            verdicts.append(verdict.flatten(1))
            hole = _shares(holes, verdict).flatten(1)
            weights.append(hole / (hole.shape[1] * len(self.heads)))
        return torch.cat(verdicts, dim=1), torch.cat(weights, dim=1)


def _shares(holes: Tensor, maps: Tensor) -> Tensor:
    """How much of each place of the maps is hole: (B, 1, h, w)."""
    height, width = maps.shape[-2:]
    return F.adaptive_avg_pool2d(holes.float(), (height, width))


def _head(inside: int, hidden: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        spectral_norm(nn.Conv2d(inside + 1, hidden, 2 + stride, stride, 1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(hidden, hidden, 3, padding=1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(hidden, 1, 1)),
    )


def discriminator_loss(real: Tensor, fake: Tensor, weights: Tensor) -> Tensor:
    """Hinge loss (Lim and Ye 2017), the weighted mean over all places; 2 is a guess."""
    both = F.relu(1 - real.float()) + F.relu(1 + fake.float())
    return (both * weights).sum() / weights.sum().clamp(min=1e-6)


def adversarial_loss(fake: Tensor, weights: Tensor) -> Tensor:
    """``-D(comp)``, the weighted sum over all places, batch mean: larger holes count for more."""
    return -(fake.float() * weights).sum() / len(fake)


def matching_loss(maps: Sequence[Tensor], truth_maps: Sequence[Tensor]) -> Tensor:
    """How far the maps are from the truth's: mean over p of ``||Psi_p - Psi_p(truth)||_1 / N_p``.

    Each in units of its standard deviation over the batch (feature matching, Wang et al. 2018,
    equation 4, with maps that are not trained).
    """
    pairs = zip(maps, truth_maps, strict=True)
    return torch.stack([F.l1_loss(m.float(), t.float()) / t.float().std() for m, t in pairs]).mean()
