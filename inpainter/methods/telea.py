"""Telea 2004: the hole is filled from its rim inwards, by weighted means of known pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...data.images import Pixels
from .pixels import photo_by_photo

RADIUS = 3
"""Pixels around the one that is filled that count."""


def telea(photos: Tensor, masks: Tensor) -> Tensor:
    """OpenCV's `INPAINT_TELEA`.

    Args:
        photos: (B, 3, H, W) in [0, 1].
        masks: (B, 1, H, W), 1 = hole.

    Returns:
        (B, 3, H, W) float32 in [0, 1], of 8 bits.
    """
    return photo_by_photo(_fill, photos, masks)


def _fill(photo: Pixels, hole: NDArray[np.bool_]) -> NDArray[np.generic]:
    return cv2.inpaint(photo, hole.view(np.uint8), RADIUS, cv2.INPAINT_TELEA)
