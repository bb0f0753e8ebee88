"""Cheap ways to fill a hole, as stand-ins for a coarse inpainting when descriptors are trained.

All take images (B, 3, S, S) in [0, 1] and masks (B, 1, S, S), 1 = hole, keep the known pixels and
give the filled images.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.tensors import to_images, to_pixels


def telea(images: Tensor, masks: Tensor) -> Tensor:
    """Fast marching from the border inwards (Telea 2004), each pixel from 3 around it."""
    holes = masks[:, 0].byte().numpy()
    painted = [
        cv2.inpaint(picture, hole, 3, cv2.INPAINT_TELEA)
        for picture, hole in zip(to_pixels(images), holes, strict=True)
    ]
    return _into_holes(images, masks, to_images(np.stack(painted)))


def blur(images: Tensor, masks: Tensor) -> Tensor:
    """Averages of the known pixels over ever larger blocks, smoothly upsampled; any S."""
    side = 1 << (images.shape[-1] - 1).bit_length()
    known = F.pad(1 - masks, (0, side - images.shape[-1]) * 2)
    padded = F.pad(images, (0, side - images.shape[-1]) * 2)
    levels = [(padded * known, known)]
    while levels[-1][0].shape[-1] > 1:
        total, weight = levels[-1]
        levels.append((F.avg_pool2d(total, 2), F.avg_pool2d(weight, 2)))
    total, weight = levels.pop()
    filled = total / weight.clamp(min=1e-6)
    for total, weight in reversed(levels):
        filled = F.interpolate(filled, scale_factor=2, mode="bilinear")
        filled = total + (1 - weight) * filled
    return _into_holes(images, masks, filled[..., : images.shape[-2], : images.shape[-1]])


def mean(images: Tensor, masks: Tensor) -> Tensor:
    """The mean colour of each picture's known pixels."""
    known = 1 - masks
    count = known.sum((2, 3), keepdim=True).clamp(min=1)
    return _into_holes(images, masks, (images * known).sum((2, 3), keepdim=True) / count)


def noise(images: Tensor, masks: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform noise."""
    return _into_holes(images, masks, torch.rand(images.shape, generator=generator))


def guess(images: Tensor, masks: Tensor, generator: torch.Generator) -> Tensor:
    """Between `blur` and a low-passed truth: as vague as a coarse network's picture. S = 8 n."""
    share = 0.3 + 0.5 * torch.rand(len(images), 1, 1, 1, generator=generator)
    vague = F.interpolate(F.avg_pool2d(images, 8), scale_factor=8, mode="bicubic").clamp(0, 1)
    return _into_holes(images, masks, share * vague + (1 - share) * blur(images, masks))


def _into_holes(images: Tensor, masks: Tensor, painted: Tensor) -> Tensor:
    return torch.where(masks > 0.5, painted, images)
