"""Bertalmio et al. 2001: lines of equal brightness go on into the hole, as a fluid would."""

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...data.images import Pixels
from .pixels import photo_by_photo
from .telea import RADIUS


def ns(photos: Tensor, masks: Tensor) -> Tensor:
    """OpenCV's `INPAINT_NS`.

    Args:
        photos: (B, 3, H, W) in [0, 1].
        masks: (B, 1, H, W), 1 = hole.

    Returns:
        (B, 3, H, W) float32 in [0, 1], of 8 bits.
    """
    return photo_by_photo(_fill, photos, masks)


def _fill(photo: Pixels, hole: NDArray[np.bool_]) -> NDArray[np.generic]:
    return cv2.inpaint(photo, hole.view(np.uint8), RADIUS, cv2.INPAINT_NS)
