"""Damelin and Hoang 2018: the smoothest surface that meets the rim in value and slope."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...data.images import Pixels
from .pixels import photo_by_photo


def biharmonic(photos: Tensor, masks: Tensor) -> Tensor:
    """scikit-image's `inpaint_biharmonic`; 0.02 to 0.16 s for 128 by 128 pixels, by the hole.

    Args:
        photos: (B, 3, H, W) in [0, 1].
        masks: (B, 1, H, W), 1 = hole.

    Returns:
        (B, 3, H, W) float32 in [0, 1].
    """
    return photo_by_photo(_fill, photos, masks)


def _fill(photo: Pixels, hole: NDArray[np.bool_]) -> NDArray[np.generic]:
    from skimage.restoration import inpaint_biharmonic

    if hole.all():  # nothing to continue
        return np.full_like(photo, 128)
    filled: NDArray[np.float64] = inpaint_biharmonic(photo, hole, channel_axis=-1)
    return np.clip(filled * 255, 0, 255)
