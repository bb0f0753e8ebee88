"""Partial convolution (Liu et al. 2018, "Image Inpainting for Irregular Holes", equations 1, 2).

Masks are 1 = hole here as everywhere. The paper's M is 1 = known; `PartialConv2d.forward` turns
the mask round on its first line, and nothing else in the package does.
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv import Conv2d

Source: TypeAlias = tuple[Tensor, Tensor]
"""Features (B, C, H, W) and the hole mask (B, 1, H, W) that all their channels share, 1 = hole."""


class PartialConv2d(nn.Module):
    """A convolution that sees known pixels only, and tells which pixels its output knows.

    Equation 1, with X the features under the window, M = 1 where known::

        x' = W^T (X * M) sum(1) / sum(M) + b    where sum(M) > 0, else 0

    Equation 2: an output pixel is known where sum(M) > 0.

    ``sum(1)`` is kernel area x channels everywhere, as in the authors' code: at the border the
    padding counts as hole. Several sources are convolved as if concatenated, each under its own
    mask. A mask is the same for all channels of its source, so sum(M) needs one one-channel window
    sum, of the masks weighted by their channel counts, and is exact: no convolution over a
    many-channel mask. It stays in float32 under autocast, where bfloat16 could not count to 257.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        *,
        bias: bool = True,
    ) -> None:
        """Pad by half the (odd) kernel; initialise after He et al. 2015, the bias with zeros.

        Args:
            in_channels: channels of all sources together.
            out_channels: channels of the output.
            kernel_size: an odd number of pixels.
            stride: the step of the window in pixels.
            bias: whether b is learned; leave it out before a batch norm.
        """
        super().__init__()
        padding = kernel_size // 2
        self.conv = Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, sources: Sequence[Source]) -> Source:
        """Convolve the sources, concatenated.

        Args:
            sources: features (B, C, H, W) with their binary hole masks (B, 1, H, W), of one size.

        Returns:
            features (B, out_channels, H', W'), 0 in the hole that is left, and that hole
            (B, 1, H', W') in float32; H' = ceil(H / stride).
        """
        knowns = [1.0 - hole.float() for _, hole in sources]
        scale, reached = self._window([features.shape[1] for features, _ in sources], knowns)
        masked = [
            features * known.to(features.dtype)
            for (features, _), known in zip(sources, knowns, strict=True)
        ]
        out: Tensor = self.conv(torch.cat(masked, dim=1))  # (B, out, H', W')
        out = out * scale.to(out.dtype)
        if self.bias is not None:
            bias = self.bias.to(out.dtype).view(1, -1, 1, 1)
            out = torch.addcmul(out, bias, reached.to(out.dtype))
        return out, 1.0 - reached

    @torch.no_grad()
    def _window(self, channels: Sequence[int], knowns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """sum(1) / sum(M), and whether sum(M) > 0; both are 0 elsewhere, (B, 1, H', W')."""
        weighted = torch.stack([n * m for n, m in zip(channels, knowns, strict=True)]).sum(0)
        count = F.avg_pool2d(
            weighted, self.kernel_size, self.stride, self.padding, divisor_override=1
        )
        reached = (count > 0).float()
        full = self.kernel_size**2 * sum(channels)
        return reached * full / count.clamp(min=1.0), reached
