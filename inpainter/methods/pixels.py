"""Methods that work on one photo's 8-bit pixels at a time, as methods on tensors."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...data.images import Pixels
from ...data.tensors import to_images, to_pixels

Fill: TypeAlias = Callable[[Pixels, NDArray[np.bool_]], NDArray[np.generic]]
"""(photo uint8 (H, W, 3), hole bool (H, W)) to (H, W, 3), of the same range."""


def photo_by_photo(fill: Fill, photos: Tensor, masks: Tensor) -> Tensor:
    """Call `fill` for each photo of a batch.

    Args:
        fill: fills one photo of 8 bits.
        photos: (B, 3, H, W) in [0, 1].
        masks: (B, 1, H, W), 1 = hole.

    Returns:
        (B, 3, H, W) float32 in [0, 1].
    """
    holes = masks[:, 0].bool().numpy()
    filled = [fill(*pair) for pair in zip(to_pixels(photos), holes, strict=True)]
    return to_images(np.stack(filled))
