"""A judge of small patches, whose verdict on what stands in the hole is a term against blur."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches of 46 pixels (Isola et al. 2017, with spectral normalisation).

    It sees the mask too, and only patches whose middle lies in the hole are judged: known pixels
    are real in any picture.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for narrow, width in pairwise((4, *widths)):
            layers += [spectral_norm(nn.Conv2d(narrow, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 4, 1, 1)))

    def forward(self, pictures: Tensor, holes: Tensor) -> tuple[Tensor, Tensor]:
        """Judge pictures (B, 3, H, W) in [0, 1] with holes (B, 1, H, W), 1 = hole.

        Returns:
            verdicts (B, 1, h, w), positive for real, and which of them count, 1 or 0.
        """
        holes = holes.to(pictures.dtype)
        verdicts: Tensor = self.layers(torch.cat([pictures * 2 - 1, holes], dim=1))
        return verdicts, F.adaptive_max_pool2d(holes, verdicts.shape[-2:])


def discriminator_loss(real: Tensor, fake: Tensor, counts: Tensor) -> Tensor:
    """Hinge loss (Lim and Ye 2017) over the patches that count."""
    both = F.relu(1 - real.float()) + F.relu(1 + fake.float())
    return (both * counts).sum() / counts.sum().clamp(min=1)


def adversarial_loss(fake: Tensor, counts: Tensor) -> Tensor:
    """``-D(comp)``, averaged over the patches that count."""
    return -(fake.float() * counts).sum() / counts.sum().clamp(min=1)
