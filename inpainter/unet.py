"""The paper's networks: a U-Net of partial convolutions, and Sim-K, which sees K similar photos.

Both are fully convolutional and take photos of any size: strided convolutions round a half up, and
the decoder cuts what it has doubled to the size of the skip it meets. So one set of weights can be
trained at 64, then 128, then 256 pixels. Their output is linear: clamp it to [0, 1] for display.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .conv import Conv2d
from .partial_conv import PartialConv2d, Source

NEGATIVE_SLOPE = 0.2  # of the decoder's LeakyReLU (Liu et al. 2018, section 3.2)


def paper_widths(size: int) -> tuple[int, ...]:
    """Liu et al. 2018: 64, 128, 256, 512, 512, ... to 2x2 pixels: 8 levels at 512, 7 at 256."""
    depth = size.bit_length() - 2
    return (64, 128, 256, 512, 512, 512, 512, 512, 512)[:depth]


VARIANTS: dict[str, tuple[int, ...]] = {
    "paper-256": paper_widths(256),
    "paper-512": paper_widths(512),
    "small": (32, 64, 128, 128, 160, 160, 160),
}
"""Encoder widths by name, one per level; the decoder mirrors them.

"small" keeps the paper's seven levels: with six, half a photo of hole at 256 pixels reaches the
bottleneck, and no later layer fills it.
"""


@dataclass(frozen=True)
class UNetConfig:
    """Which network, how wide and how deep.

    Attributes:
        kind: "pconv" (partial convolutions and batch norm) or "sim" (plain convolutions).
        widths: the encoder's channels, level by level; their number is the depth.
        k: similar photos in the input; 0 for "pconv".
    """

    kind: Literal["pconv", "sim"]
    widths: tuple[int, ...]
    k: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("pconv", "sim"):
            raise InputError(f"a network is of kind 'pconv' or 'sim', not {self.kind!r}")
        if not self.widths or min(self.widths) < 1:
            raise InputError(f"widths are one positive number per level, not {self.widths}")
        if self.k < 0 or (self.kind == "pconv" and self.k):
            raise InputError(f"a {self.kind!r} network cannot take {self.k} similar photos")

    @property
    def in_channels(self) -> int:
        """What the network is fed: PConv the photo, Sim-K masked photo, mask and K photos."""
        return 3 if self.kind == "pconv" else 4 + 3 * self.k


def build_unet(config: UNetConfig) -> "PConvUNet | SimUNet":
    """The network that `config` describes, freshly initialised."""
    return PConvUNet(config) if config.kind == "pconv" else SimUNet(config)


def _layers(config: UNetConfig) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """(in, out, kernel) of each encoder layer from the photo down, and of each decoder layer up.

    Kernels are 7, 5, 5, 3, 3, ... in the encoder and 3 in the decoder (Liu et al. 2018, table 3).
    """
    ends = [config.in_channels, *config.widths]
    kernels = [7, 5, 5] + [3] * len(config.widths)
    encoder = [(a, b, kernel) for (a, b), kernel in zip(pairwise(ends), kernels, strict=False)]
    outs = [3, *config.widths[:-1]]  # the decoder gives each level the width it had going down
    decoder = [
        (deep + skip, out, 3)
        for deep, skip, out in zip(config.widths, ends[:-1], outs, strict=True)
    ]
    return encoder, decoder[::-1]


def _enlarge(features: Tensor, like: Tensor) -> Tensor:
    """Double (B, C, h, w) by repeating pixels, and cut to the (H, W) of `like`."""
    doubled = F.interpolate(features, scale_factor=2, mode="nearest")
    return doubled[..., : like.shape[-2], : like.shape[-1]]


class _PConvBlock(nn.Module):
    """Partial convolution, batch norm unless at the network's ends, activation."""

    def __init__(
        self, layer: tuple[int, int, int], stride: int, *, norm: bool, activation: nn.Module
    ) -> None:
        super().__init__()
        inside, out, kernel = layer
        self.conv = PartialConv2d(inside, out, kernel, stride, bias=not norm)
        self.norm = nn.BatchNorm2d(out) if norm else nn.Identity()
        self.activation = activation

    def forward(self, *sources: Source) -> Source:
        features, hole = self.conv(sources)
        normed = isinstance(self.norm, nn.BatchNorm2d) and self.norm.training
        if normed and features[:, 0].numel() == 1:
            raise InputError(
                "a batch of 1 photo, which shrinks to 1 pixel inside the network: expected larger "
                "batches or photos, for batch norm"
            )
        return self.activation(self.norm(features)), hole


class PConvUNet(nn.Module):
    """Liu et al. 2018, section 3.2: partial convolutions, skips of features and of masks.

    Encoder: stride 2, batch norm but in the first layer, ReLU. Decoder: features and masks doubled
    by nearest neighbor, joined with the skip's features and mask, batch norm but in the last layer,
    LeakyReLU; the last layer joins the photo itself and has no activation.

    Attributes:
        config: what it was built from.
        bn_frozen: fine-tuning: the encoder's batch norms keep their statistics and parameters.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.bn_frozen = False
        encoder, decoder = _layers(config)
        last = len(encoder) - 1
        self.encoder = nn.ModuleList(
            _PConvBlock(layer, 2, norm=i > 0, activation=nn.ReLU())
            for i, layer in enumerate(encoder)
        )
        self.decoder = nn.ModuleList(
            _PConvBlock(
                layer,
                1,
                norm=i < last,
                activation=nn.LeakyReLU(NEGATIVE_SLOPE) if i < last else nn.Identity(),
            )
            for i, layer in enumerate(decoder)
        )

    def encode(self, photos: Tensor, holes: Tensor) -> list[Source]:
        """The input and each encoder level's features and hole, from the photo down.

        Args:
            photos: (B, 3, H, W) in [0, 1].
            holes: (B, 1, H, W) binary, 1 = hole.

        Returns:
            pairs of features (B, C, h, w) and what is still unknown of them, (B, 1, h, w), 1 =
            hole; first the input itself, then half as large from level to level.
        """
        levels = [(photos, holes.float())]
        for block in self.encoder:
            levels.append(block(levels[-1]))
        return levels

    def forward(self, photos: Tensor, holes: Tensor) -> Tensor:
        """Fill the holes.

        Args:
            photos: (B, 3, H, W) in [0, 1]; what stands in the hole is not seen.
            holes: (B, 1, H, W) binary, 1 = hole.

        Returns:
            (B, 3, H, W), known pixels included, not clamped.
        """
        *skips, (features, hole) = self.encode(photos, holes)
        for block, (skip, skip_hole) in zip(self.decoder, reversed(skips), strict=True):
            raised = (_enlarge(features, skip), _enlarge(hole, skip_hole))
            features, hole = block(raised, (skip, skip_hole))
        return features

    def freeze_encoder_norm(self) -> None:
        """Keep the encoder's batch norms as they are, to fine-tune (Liu et al. 2018, section 4.2).

        Means over masked features differ from batch to batch; frozen ones match inference.
        """
        self.bn_frozen = True
        self.train(self.training)

    def train(self, mode: bool = True) -> "PConvUNet":
        """Set training mode, but leave frozen batch norms, statistics and all, in evaluation."""
        super().train(mode)
        if self.bn_frozen:
            for module in self.encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval().requires_grad_(requires_grad=False)
        return self


def _he(module: nn.Module) -> None:
    """Initialise a convolution after He et al. 2015, its bias with zeros."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class SimUNet(nn.Module):
    """Sim-K (Iskakov 2018, section 3.2): the same shape with plain convolutions and no batch norm.

    The input stacks masked photo, mask and K similar photos: 3 + 1 + 3K channels, also joined again
    by the last layer. Weights are initialised after He et al. 2015.

    Attributes:
        config: what it was built from.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        encoder, decoder = _layers(config)
        self.encoder = nn.ModuleList(Conv2d(a, b, k, 2, k // 2) for a, b, k in encoder)
        self.decoder = nn.ModuleList(Conv2d(a, b, k, 1, k // 2) for a, b, k in decoder)
        self.apply(_he)

    def forward(self, photos: Tensor, holes: Tensor, neighbors: Tensor | None = None) -> Tensor:
        """Fill the holes, looking at similar photos.

        Args:
            photos: (B, 3, H, W) in [0, 1]; what stands in the hole is not seen.
            holes: (B, 1, H, W) binary, 1 = hole.
            neighbors: (B, K, 3, H, W) in [0, 1], most similar first; may be left out for K = 0.

        Returns:
            (B, 3, H, W), known pixels included, not clamped.

        Raises:
            InputError: there are not K neighbors.
        """
        given = 0 if neighbors is None else neighbors.shape[1]
        if given != self.config.k:
            raise InputError(f"Sim-{self.config.k} needs {self.config.k} neighbors, not {given}")
        holes = holes.to(photos.dtype)
        stack = [photos * (1 - holes), holes]
        if neighbors is not None:
            stack.append(neighbors.flatten(1, 2))  # (B, 3K, H, W)
        skips = [torch.cat(stack, dim=1)]  # (B, 4 + 3K, H, W)
        for conv in self.encoder:
            skips.append(F.relu(conv(skips[-1])))
        features = skips.pop()
        for conv in self.decoder:
            skip = skips.pop()
            features = conv(torch.cat([_enlarge(features, skip), skip], dim=1))
            if skips:  # the last layer is linear
                features = F.leaky_relu(features, NEGATIVE_SLOPE)
        return features


@torch.no_grad()
def more_neighbors(network: SimUNet, k: int) -> SimUNet:
    """The same network with inputs for K neighbors, which it does not look at before it is trained.

    The new weights are zero: those of the first and of the last layer, which both see the stack,
    in which neighbors come last.

    Args:
        network: Sim-K with a smaller K.
        k: the new K.
    """
    grown = SimUNet(replace(network.config, k=k))
    tensors = grown.state_dict()
    for name, value in network.state_dict().items():
        if tensors[name].shape == value.shape:
            tensors[name].copy_(value)
        else:  # (out, in, h, w)
            tensors[name].zero_()
            tensors[name][:, : value.shape[1]] = value
    return grown
