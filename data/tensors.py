"""Pictures of 8 bits, as they are read and written, to floats, as networks take them, and back."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .images import Pixels


def to_images(pixels: Tensor | NDArray[np.generic]) -> Tensor:
    """Numbers of 0 to 255 to those that networks take.

    Args:
        pixels: (..., H, W, 3), uint8 as a rule.

    Returns:
        (..., 3, H, W) float32 in [0, 1], where `pixels` are; channels stay last in memory.
    """
    tensor = pixels if isinstance(pixels, Tensor) else torch.from_numpy(pixels)
    return tensor.movedim(-1, -3).float() / 255


def to_pixels(images: Tensor) -> Pixels:
    """The way back: float (..., 3, H, W), clamped to [0, 1], to rounded uint8 (..., H, W, 3)."""
    scaled = (images * 255).round().clamp(0, 255).byte()
    pixels: Pixels = scaled.movedim(-3, -1).contiguous().cpu().numpy()
    return pixels
