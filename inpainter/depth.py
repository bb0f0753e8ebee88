"""How deep pixels lie in a hole: what is near known pixels can be told, what is far is made up."""

from typing import Final

import torch.nn.functional as F
from torch import Tensor

_AROUND: Final = 17


def depth(holes: Tensor) -> Tensor:
    """The squared share of hole in the 17 x 17 pixels around each pixel.

    Args:
        holes: (B, 1, H, W) floats, 1 = hole.

    Returns:
        (B, 1, H, W) in [0, 1]: 1 deep in a wide hole, small in a thin one.
    """
    return mean(holes, _AROUND).square()


def mean(maps: Tensor, side: int) -> Tensor:
    """The mean of (B, C, H, W) over an odd `side` by `side` pixels, fewer at the borders."""
    half = side // 2
    for window, padding in (((side, 1), (half, 0)), ((1, side), (0, half))):
        maps = F.avg_pool2d(maps, window, 1, padding, count_include_pad=False)
    return maps
