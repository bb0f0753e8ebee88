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
        """Fill the holes."""
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
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    if hole.all() or not hole.any():
        return other if hole.any() else photo
    count = int(hole.sum())
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(count)
    here, there = _pairs(hole)  # flat positions of hole pixels and of their neighbors
    rows, columns = number.flat[here], number.flat[there]
    inside = columns >= 0
    ones = np.ones(len(here))
    matrix = coo_array(
        (
            np.concatenate([ones, -ones[inside]]),
            (
                np.concatenate([rows, rows[inside]]),
                np.concatenate([rows, columns[inside]]),
            ),
        ),
        shape=(count, count),
    )
    f, g = photo.reshape(-1, 3), other.reshape(-1, 3)
    wanted = g[here] - g[there] + np.where(inside[:, None], 0, f[there])
    sums = np.stack([np.bincount(rows, wanted[:, c], count) for c in range(3)], axis=1)
    filled: Floats = photo.copy()
    filled[hole] = splu(matrix.tocsc()).solve(sums).clip(0, 1)
    return filled


def _pairs(hole: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every hole pixel with each of its four neighbors that the picture has, as flat positions."""
    flat = np.arange(hole.size).reshape(hole.shape)
    sides = [
        (flat[1:], flat[:-1]), (flat[:-1], flat[1:]),
        (flat[:, 1:], flat[:, :-1]), (flat[:, :-1], flat[:, 1:]),
    ]  # fmt: skip
    here = np.concatenate([a.ravel() for a, _ in sides])
    there = np.concatenate([b.ravel() for _, b in sides])
    chosen = hole.ravel()[here]
    return here[chosen], there[chosen]
