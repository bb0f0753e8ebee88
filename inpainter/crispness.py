"""How sharp the inside of a hole should be, and fine detail raised until it is.

Whoever cannot know paints the mean of what may be, and a mean is blurred. What stood in the hole
cannot be told, but how sharp it was can: as the similar photos are at the same place.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from .depth import depth, mean

_WINDOW: Final = 17  # pixels on a side: the mean energy around each of them is compared
_MOST: Final = 3.0  # times the detail that is there may be added
_LEAST_ENERGY: Final = 1e-6


def raised_detail(filled: Tensor, holes: Tensor, similar: Tensor, share: float) -> Tensor:
    """Fine detail that holes lack to be as sharp as similar photos are there, to be added.

    Sharpness is the energy of differences of neighboring pixels, E(f) = mean of |grad f|^2 over the
    hole's pixels around a place. The wanted energy T is the mean of the similar photos' at that
    place, times how sharp this photo is beside them where it is known. As
    ``E(f + g d) = E(f) + 2 g mean(grad f . grad d) + g^2 E(d)``, the gain g that makes it T is a
    root of a square. It counts as much as the hole has `depth`: near its rim the rim tells.

    Args:
        filled: (B, 3, H, W) in [0, 1], the photo with its hole filled.
        holes: (B, 1, H, W) floats, 1 = hole.
        similar: (B, N, 4, H, W), photos and where they are known (1) or not (0).
        share: of the missing energy to be added.

    Returns:
        (B, 3, H, W), nothing outside the holes: ``g d``.
    """
    detail = filled - _blurred(filled)
    steps, fine = _steps(filled), _steps(detail)
    own = (steps * steps).sum(1, keepdim=True)
    there, count = _energies(similar)
    known = 1 - holes
    beside = (own * count * known).sum((1, 2, 3)) + _LEAST_ENERGY
    beside = beside / ((there * known).sum((1, 2, 3)) + _LEAST_ENERGY)  # (B,)
    usual = mean(there, _WINDOW) / mean(count, _WINDOW).clamp_min(_LEAST_ENERGY)
    wanted = usual * beside.view(-1, 1, 1, 1)
    inside = mean(holes, _WINDOW).clamp_min(_LEAST_ENERGY)
    has, mixed, gives = (
        mean(energy * holes, _WINDOW) / inside
        for energy in (own, (steps * fine).sum(1, keepdim=True), (fine * fine).sum(1, keepdim=True))
    )
    missing = share * (wanted - has).clamp_min(0)
    root = (mixed.square() + gives * missing + _LEAST_ENERGY**2).sqrt()
    gain = (missing / (mixed.clamp_min(0) + root)).clamp_max(_MOST)
    return holes * depth(holes) * gain * detail


def _energies(similar: Tensor) -> tuple[Tensor, Tensor]:
    """Of (B, N, 4, H, W) at each pixel the sum of what is known, and how many: (B, 1, H, W)."""
    pixels, known = similar[:, :, :3], similar[:, :, 3:]
    energy = _steps(pixels.flatten(0, 1)).square().sum(1).reshape(known.shape)
    return (energy * known).sum(1), known.sum(1)


def _steps(maps: Tensor) -> Tensor:
    """Differences to the right and down, 0 at the last ones: (N, C, H, W) to (N, 2 C, H, W)."""
    right = F.pad(maps[..., 1:] - maps[..., :-1], (0, 1))
    down = F.pad(maps[..., 1:, :] - maps[..., :-1, :], (0, 0, 0, 1))
    return torch.cat([right, down], dim=1)


def _blurred(maps: Tensor) -> Tensor:
    """Two means of 3 x 3 pixels, about a Gaussian of sigma 1.2: nothing finer than 4 pixels."""
    return mean(mean(maps, 3), 3)
