"""Hays and Efros 2007: the hole is filled with what the most similar photo shows there.

The piece is blended as Perez et al. 2003 have it: inside the hole the differences between
neighboring pixels are those of the similar photo, and the rim's colours are the photo's own.
OpenCV's `seamlessClone` moves holes that touch the border, so the equations are solved here:
for every hole pixel p with the neighbors q inside the picture

    sum over q of (f_p - f_q) = sum over q of (g_p - g_q),    f_q given where q is known.

A neighbor outside the picture is left out, so the border itself prescribes nothing.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..poisson import solve_poisson
from .signature import Similar

Floats = NDArray[np.float64]


class Nearest:
    """Pastes the most similar photo into the hole.

    Attributes:
        k: similar photos that it looks at.
    """

    k = 1

    def __init__(self, similar: Similar) -> None:
        self._similar = similar

    def __call__(self, photos: Tensor, masks: Tensor) -> Tensor:
        """Fill the holes.

        Args:
            photos: (B, 3, H, W) in [0, 1], black in the holes.
            masks: (B, 1, H, W), 1 = hole.

        Returns:
            (B, 3, H, W) in [0, 1], of the type of `photos`.
        """
        neighbors = self._similar(photos, masks, 1)[:, 0]
        pairs = zip(photos.double(), neighbors.double(), masks[:, 0].bool(), strict=True)
        return torch.stack(
            [
                torch.from_numpy(
                    poisson_paste(
                        photo.permute(1, 2, 0).numpy(), other.permute(1, 2, 0).numpy(), hole.numpy()
                    )
                ).permute(2, 0, 1)
                for photo, other, hole in pairs
            ]
        ).to(photos.dtype)


def poisson_paste(photo: Floats, other: Floats, hole: NDArray[np.bool_]) -> Floats:
    """Paste `other` into the hole of `photo`, seamlessly.

    Args:
        photo: float64 (H, W, 3).
        other: float64 (H, W, 3), whose gradients fill the hole.
        hole: bool (H, W).

    Returns:
        float64 (H, W, 3), in [0, 1]; `other` itself where nothing at all is known.
    """
    if hole.all() or not hole.any():
        return other if hole.any() else photo
    steps = np.diff(other, axis=0), np.diff(other, axis=1)
    joined = np.ones(steps[0].shape[:2], np.bool_), np.ones(steps[1].shape[:2], np.bool_)
    return solve_poisson(photo, hole, steps, joined).clip(0, 1)
