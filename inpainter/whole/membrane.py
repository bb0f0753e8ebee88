"""Smooth filling of holes, as a membrane that is fixed at their borders."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .frames import Floats

_SWEEPS: Final = 5  # on small pictures; what is left to do on larger ones is local
_FEWER: Final = 2
_SMALL: Final = 64  # pixels
_CROSS: Final = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4


def membrane(values: Floats, hole: NDArray[np.bool_]) -> Floats:
    """Solve Laplace's equation in a hole, the known pixels fixed, the picture's edges free.

    From coarse to fine, each level starts from the one below and is relaxed by Jacobi's method:
    not exact, but smooth and quick.

    Args:
        values: (H, W, C) float32; what stands in the hole is not used.
        hole: (H, W).

    Returns:
        (H, W, C) float32, `values` where they are known; zeros if nothing is.
    """
    if not hole.any():
        return values
    if hole.all():
        return np.zeros_like(values)
    known = (~hole).view(np.uint8)
    filled = cv2.copyTo(values, known, _from_coarser(values, hole))
    for _ in range(_SWEEPS if max(hole.shape) <= _SMALL else _FEWER):
        relaxed = cv2.filter2D(filled, -1, _CROSS, borderType=cv2.BORDER_REPLICATE)
        filled = cv2.copyTo(values, known, relaxed)
    return np.asarray(filled, np.float32).reshape(values.shape)


def _from_coarser(values: Floats, hole: NDArray[np.bool_]) -> Floats:
    """A first filling: that of the picture at half its size."""
    height, width, channels = values.shape
    size = (-(-width // 2), -(-height // 2))
    known = ~hole
    weight = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    masked = cv2.copyTo(values, known.view(np.uint8))
    total = cv2.resize(masked, size, interpolation=cv2.INTER_AREA)
    means = total.reshape(*weight.shape, channels) / np.maximum(weight, 1e-6)[..., None]
    coarse = membrane(means.astype(np.float32), weight == 0)
    finer = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(finer, np.float32).reshape(values.shape)
