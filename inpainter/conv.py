"""The convolution of all our networks, and a block of two."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv2d(nn.Conv2d):
    """PyTorch's, but in float32 where autocast would use bfloat16 on a CPU for a tiny map.

    oneDNN's bfloat16 gradient of a weight holds what happened to lie in memory (1e30, NaN) for the
    taps of a kernel that see nothing but padding, as the outer taps do on maps smaller than the
    kernel. Such maps cost next to nothing.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Convolve (B, C, H, W)."""
        tiny = min(features.shape[-2:]) < max(self.kernel_size)
        if tiny and features.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(features.float())
        return super().forward(features)


class Residual(nn.Module):
    """``x + conv(relu(conv(relu(x))))``, the identity before training."""

    def __init__(self, width: int) -> None:
        """Make it for (B, width, H, W)."""
        super().__init__()
        self.first = Conv2d(width, width, 3, padding=1)
        self.second = Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same."""
        out: Tensor = x + self.second(F.relu(self.first(F.relu(x))))
        return out
