"""Faces of nobody: a DCGAN (Radford et al. 2016), for pictures that show no one who was not asked.

After the paper: a 100-d latent uniform in [-1, 1], strided convolutions, batch norm in every layer
of the generator but its output, ReLU there and LeakyReLU 0.2 in the discriminator. For steadier
training: hinge loss (Lim and Ye 2017), and spectral normalisation (Miyato et al. 2018) in place of
batch norm in the discriminator.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ..data.tensors import to_images
from ..errors import InputError
from .losses import hinge_discriminator_loss, hinge_generator_loss
from .train.batches import Batch
from .training import Update

_BATCH = 64  # faces generated at a time


@dataclass(frozen=True)
class GeneratorConfig:
    """A DCGAN generator; the defaults are the paper's, with half its widths.

    Attributes:
        latent: dimensions of the latent.
        width: channels at the last layer but one; each layer before has twice as many.
        size: side of the pictures: 4 times a power of two.
    """

    latent: int = 100
    width: int = 64
    size: int = 64

    def __post_init__(self) -> None:
        if self.size < 8 or self.size & (self.size - 1) or min(self.latent, self.width) < 1:
            raise InputError(
                f"a generator's size is 8, 16, 32..., its latent and width 1 or more; found {self}"
            )

    @property
    def widths(self) -> list[int]:
        """Channels at 4, 8, ... size / 2 pixels."""
        levels = self.size.bit_length() - 3  # doublings from 4 to size
        return [self.width << i for i in reversed(range(levels))]


def _dcgan_init(module: nn.Module) -> None:
    """Weights from N(0, 0.02) (Radford et al. 2016, section 4)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)


class Generator(nn.Module):
    """Latent to picture, by transposed convolutions from 4x4 pixels up."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        layers: list[nn.Module] = [nn.ConvTranspose2d(config.latent, widths[0], 4, bias=False)]
        for narrow, width in zip([*widths[1:], 3], widths, strict=True):
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.ConvTranspose2d(width, narrow, 4, 2, 1, bias=narrow == 3)]
        self.layers = nn.Sequential(*layers).apply(_dcgan_init)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (B, D) in [-1, 1] to pictures (B, 3, size, size) in [0, 1]."""
        pictures: Tensor = self.layers(latents[:, :, None, None])  # (B, D, 1, 1) to (B, 3, S, S)
        return (torch.tanh(pictures) + 1) / 2


@torch.inference_mode()
def generate_faces(generator: Generator, count: int, seed: int) -> Tensor:
    """Pictures of faces of nobody.

    Args:
        generator: a trained one, in evaluation mode.
        count: how many.
        seed: of the latents; the first pictures of a seed are the same for any count.

    Returns:
        (count, 3, size, size) float32 in [0, 1].
    """
    rng = torch.Generator().manual_seed(seed)
    latents = torch.rand(count, generator.config.latent, generator=rng) * 2 - 1
    parts = (latents[start : start + _BATCH] for start in range(0, count, _BATCH))
    return torch.cat([generator(part).float() for part in parts])


class Discriminator(nn.Module):
    """Picture to one number: positive for real ones."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        widths = [3, *reversed(config.widths)]
        layers: list[nn.Module] = []
        for narrow, width in pairwise(widths):
            layers += [spectral_norm(nn.Conv2d(narrow, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 4)))

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, size, size) in [0, 1] to verdicts (B,)."""
        verdicts: Tensor = self.layers(pictures * 2 - 1)  # (B, 1, 1, 1)
        return verdicts.flatten()


class DCGANTask:
    """What the training loop needs to know of the pair.

    Attributes:
        trained: the networks, each with its optimizer.
        fixed: networks that take part unchanged: none.
        shipped: the name of the one that is averaged and kept.
    """

    shipped = "generator"

    def __init__(self, config: GeneratorConfig) -> None:
        self.trained: dict[str, nn.Module] = {
            "generator": Generator(config),
            "discriminator": Discriminator(config),
        }
        self.fixed: dict[str, nn.Module] = {}
        rng = torch.Generator().manual_seed(0)
        self._latents = torch.rand(64, config.latent, generator=rng) * 2 - 1

    def updates(self, modules: Mapping[str, nn.Module], batch: Batch) -> Iterator[Update]:
        """The discriminator's step, then the generator's against the discriminator it became."""
        fake = modules["generator"](batch["latents"])
        both = torch.cat([to_images(batch["photos"]), fake.detach()])
        verdicts = modules["discriminator"](both)
        loss = hinge_discriminator_loss(*verdicts.chunk(2))
        yield Update("discriminator", loss, {"discriminator": loss.detach()})
        loss = hinge_generator_loss(modules["discriminator"](fake))
        yield Update("generator", loss, {"generator": loss.detach()})

    def validate(self, network: nn.Module, modules: Mapping[str, nn.Module]) -> None:
        """There is no number that says how good faces are: the last generator is kept."""
        del network, modules

    @torch.no_grad()
    def samples(self, network: nn.Module) -> Tensor:
        """64 pictures of fixed latents in a grid, (3, H, W)."""
        from torchvision.utils import make_grid  # as slow to import as torch, and only for training

        latents = self._latents.to(next(network.parameters()).device)
        grid: Tensor = make_grid(network(latents).clamp(0, 1), nrow=8)
        return grid
