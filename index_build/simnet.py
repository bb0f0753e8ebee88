"""SimNet: a small network whose descriptor of a coarsely filled face finds faces that look alike.

Plain convolutions with group norms, so that a picture's descriptor does not depend on its batch.
The last feature map keeps its 8 by 8 places until the projection: faces are aligned, and where
something is says as much as what it is. The projection also sees the picture itself, reduced to 16
by 16: a good filling has the right colours first of all.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tensors import check_tensors, read_tensors

INPUT_SIZE = 64
DIMENSIONS = 256
WEIGHTS = Path(__file__).parent / "weights" / "simnet.safetensors"


def _conv(channels: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride, padding=1, bias=False), nn.GroupNorm(8, width)
    )


class _Residual(nn.Module):
    """Two 3 by 3 convolutions around which the input passes unchanged."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class SimNet(nn.Module):
    """64 by 64 RGB to 256 dimensions; about 100 MFLOP a picture and 1.2 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(3, 32, stride=2),
            nn.ReLU(),
            _conv(32, 64, stride=2),
            nn.ReLU(),
            _Residual(64),
            _conv(64, 128, stride=2),
            nn.ReLU(),
            _Residual(128),
            nn.Conv2d(128, 32, 1),
        )
        self.head = nn.Linear(32 * 8**2 + 3 * 16**2, DIMENSIONS)

    def forward(self, images: Tensor) -> Tensor:
        """Describe faces.

        Args:
            images: (B, 3, 64, 64) float32 RGB in [0, 1].

        Returns:
            (B, 256) rows, not normalised yet.
        """
        scaled = images * 4 - 2
        features = self.body(scaled).flatten(1)  # (B, 32, 8, 8) -> (B, 2048)
        colours = F.adaptive_avg_pool2d(scaled, 16).flatten(1)  # (B, 3, 16, 16) -> (B, 768)
        described: Tensor = self.head(torch.cat([features, colours], 1))  # (B, 2816) -> (B, 256)
        return described


def load_simnet(weights: Path | None = None) -> SimNet:
    """SimNet with the shipped weights, or with those of a file.

    Raises:
        WeightsError: the file is missing, damaged or another network's.
    """
    path = weights or WEIGHTS
    found, _ = read_tensors(path)
    network = SimNet()
    check_tensors(path, found, network.state_dict())
    network.load_state_dict({name: found[name].float() for name in network.state_dict()})
    return network.requires_grad_(False).eval()
