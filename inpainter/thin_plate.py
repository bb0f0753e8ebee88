"""A smooth filling without learning: the surface that bends least, from the known pixels around.

In a hole as thin as a scratch nothing beats it for closeness to the truth, so our own network
begins from it and paints what it cannot know.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

ITERATIONS: Final = 20
"""At each size. The start comes from half the size, so only detail at the border is left to do."""


@torch.no_grad()
def thin_plate(photos: Tensor, holes: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """Fill holes by minimising the sum of squared Laplacians, known pixels held fixed.

    Conjugate gradients on ``L L u = 0`` in the hole, L being the five-point Laplacian without flow
    across the border (the biharmonic equation; Damelin and Hoang 2018), at ever larger sizes, each
    begun from the one before.

    Args:
        photos: (B, C, H, W) float; what stands in the hole is not seen.
        holes: (B, 1, H, W) binary, 1 = hole.
        iterations: of conjugate gradients, at each size.

    Returns:
        (B, C, H, W) float32; known pixels are the photos'. Not clamped; 0 where all is hole.
    """
    photos, holes = photos.float(), holes.float()
    known = 1 - holes
    if max(photos.shape[-2:]) == 1:
        return photos * known
    share = F.avg_pool2d(known, 2, ceil_mode=True)  # (B, 1, H / 2, W / 2)
    means = F.avg_pool2d(photos * known, 2, ceil_mode=True) / share.clamp(min=1e-6)
    half = thin_plate(means, (share == 0).float(), iterations)
    start = F.interpolate(half, scale_factor=2, mode="bicubic", align_corners=False)
    start = start[..., : photos.shape[-2], : photos.shape[-1]]
    return _relaxed(torch.where(holes > 0, start, photos), holes, iterations)


def _relaxed(filled: Tensor, holes: Tensor, iterations: int) -> Tensor:
    """Conjugate gradients from a first filling (B, C, H, W), which is overwritten."""
    residual = _bend(filled).mul_(holes).neg_()
    direction = residual.clone()
    energy = _dot(residual, residual)
    for _ in range(iterations):
        bent = _bend(direction).mul_(holes)
        step = energy / _dot(direction, bent).clamp(min=1e-12)
        filled.addcmul_(direction, step)
        residual.addcmul_(bent, step, value=-1)
        before, energy = energy, _dot(residual, residual)
        direction.mul_(energy / before.clamp(min=1e-12)).add_(residual)
    return filled


def _bend(surface: Tensor) -> Tensor:
    """The Laplacian of the Laplacian, (B, C, H, W)."""
    return _laplacian(_laplacian(surface))


def _laplacian(surface: Tensor) -> Tensor:
    """Differences to the four neighbors, none across the border: a symmetric operator.

    Some large operations rather than many small ones: this takes most of the filling's time.
    """
    wide = F.pad(surface, (1, 1, 1, 1), mode="replicate")
    out = wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1]
    out += wide[..., 1:-1, :-2]
    out += wide[..., 1:-1, 2:]
    return out.sub_(surface, alpha=4)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of each picture's channels, (B, C, 1, 1)."""
    products: Tensor = torch.linalg.vecdot(a.flatten(2), b.flatten(2))
    return products[..., None, None]
