"""VGG-16 up to its last convolution, with ImageNet weights: for descriptors and for losses.

Simonyan and Zisserman 2015, configuration D, as torchvision has it: `features[28]` is the last
convolution, and 29 the ReLU after it.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .tensors import fill

LAST_CONV = 29
"""Output of the last convolution, after its ReLU: (B, 512, H/16, W/16)."""
POOLS = (4, 9, 16)
"""Outputs of the first three poolings, the feature spaces of perceptual losses."""

_WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)
# `VGG16_Weights.IMAGENET1K_V1.url`; importing torchvision takes longer than importing torch.
_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG16(nn.Module):
    """The convolutions of VGG-16 on RGB in [0, 1], frozen; weights are named as torchvision's."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in _WIDTHS:
            if width:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor, taps: Iterable[int] = (LAST_CONV,)) -> list[Tensor]:
        """Run to the last of `taps` and give what stands after each of them.

        Args:
            images: (B, 3, H, W) float32 RGB in [0, 1]; normalised here, as VGG needs it.
            taps: numbers of layers in torchvision's `features`, ascending.

        Returns:
            one (B, C, h, w) tensor for each tap.
        """
        wanted = tuple(taps)
        x = (images - self.mean) / self.std
        found = []
        for number, layer in enumerate(self.features[: max(wanted) + 1]):
            x = layer(x)
            if number in wanted:
                # The ReLU after a tap writes in place; only convolutions are followed by one.
                found.append(x.clone() if isinstance(layer, nn.Conv2d) else x)
        return found


def load_vgg16(weights: Path | None = None) -> VGG16:
    """VGG-16 with trained weights.

    Args:
        weights: a `.pth` state dictionary or a `.safetensors` file with torchvision's names; None
            takes `VGG16_Weights.IMAGENET1K_V1` from torch hub's cache, or downloads it there.

    Raises:
        WeightsError: the file is missing, damaged or another network's, or cannot be downloaded.
    """
    network = VGG16()
    fill(network, _downloaded() if weights is None else weights)
    return network


def _downloaded() -> Path:
    """The ImageNet weights in torch hub's cache; downloaded, with the hash in the name checked."""
    name = _URL.rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.exists():
        return path
    hash_prefix = path.stem.rpartition("-")[2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(_URL, str(path), hash_prefix)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"cannot download VGG-16's weights ({error}): fetch {_URL} elsewhere and put it at "
            f"{path}, or name it with --weights FILE"
        ) from error
    return path
