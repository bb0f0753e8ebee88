"""The feature networks whose maps perceptual and style losses compare."""

from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from ..errors import WeightsError
from ..index_build.simnet import load_simnet
from ..index_build.vgg import POOLS, load_vgg16
from .lite0 import load_lite0

FeatureName = Literal["vgg16", "lite0", "simnet", "none"]

_SIMNET_TAPS = (1, 4, 7)  # after the ReLU or the block at a half, a quarter and an eighth


class VGGFeatures(nn.Module):
    """VGG-16 after its first three poolings, as in Liu et al. 2018: 64, 128 and 256 channels."""

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        try:
            self.vgg = load_vgg16(weights)
        except WeightsError as error:  # which names the option of an image database
            option = str(error).replace("--weights FILE", "--feature-weights FILE")
            raise WeightsError(option) from error

    def forward(self, photos: Tensor) -> list[Tensor]:
        """Maps at a half, a quarter and an eighth of the size of photos (B, 3, H, W) in [0, 1]."""
        maps: list[Tensor] = self.vgg(photos, POOLS)
        return maps


class Lite0Features(nn.Module):
    """EfficientNet-Lite0 at the same three scales: 16, 24 and 40 channels, no download."""

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        self.network = load_lite0(weights)

    def forward(self, photos: Tensor) -> list[Tensor]:
        """Maps at a half, a quarter and an eighth of the size of photos (B, 3, H, W) in [0, 1]."""
        maps: list[Tensor] = self.network(photos)
        return maps[:3]


class SimNetFeatures(nn.Module):
    """Our own shipped network at the same three scales: 32, 64 and 128 channels, no download."""

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        self.body = load_simnet(weights).body

    def forward(self, photos: Tensor) -> list[Tensor]:
        """Maps at a half, a quarter and an eighth of the size of photos (B, 3, H, W) in [0, 1]."""
        maps = []
        x = photos * 4 - 2  # what SimNet.forward feeds its body
        for number, layer in enumerate(self.body[: _SIMNET_TAPS[-1] + 1]):
            x = layer(x)
            if number in _SIMNET_TAPS:
                maps.append(x)
        return maps


def load_features(name: FeatureName, weights: Path | None = None) -> nn.Module | None:
    """A frozen feature network in evaluation mode, or None for "none".

    Args:
        name: which.
        weights: a file of its weights; None takes the shipped or downloaded ones.

    Raises:
        WeightsError: weights missing, damaged or of another network.
        DependencyError: lite0's package is not installed.
    """
    if name == "none":
        return None
    networks = {"vgg16": VGGFeatures, "lite0": Lite0Features, "simnet": SimNetFeatures}
    network: nn.Module = networks[name](weights)
    return network.requires_grad_(requires_grad=False).eval()
