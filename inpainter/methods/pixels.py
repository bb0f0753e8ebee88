"""Methods that work on one photo's 8-bit pixels at a time, as methods on tensors."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.images import Pixels

Fill: TypeAlias = Callable[[Pixels, NDArray[np.bool_]], NDArray[np.generic]]
"""(photo uint8 (H, W, 3), hole bool (H, W)) to (H, W, 3), of the same range."""


def photo_by_photo(fill: Fill, photos: Tensor, masks: Tensor) -> Tensor:
    """Call `fill` for each photo of a batch."""
    pixels = (photos * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    holes = masks[:, 0].bool().numpy()
    filled = np.stack([fill(*pair) for pair in zip(pixels, holes, strict=True)])  # (B, H, W, 3)
    return torch.from_numpy(filled.astype(np.float32)).permute(0, 3, 1, 2) / 255
