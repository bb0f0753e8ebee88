"""What a network is trained for: equation 1 of Iskakov 2018, whose terms are Liu et al. 2018's.

::

    L = 1 L_valid + 6 L_hole + 0.05 L_perceptual + 120 (L_style(out) + L_style(comp)) + 0.1 L_tv

Notation: out is the network's picture, truth the whole photo, hole the mask (1 = hole), and
comp = truth outside the hole, out inside. Psi_p are the feature maps of VGG-16 after its pooling
layers p = 1, 2, 3 (or another feature network's maps). N_x is the number of elements of x.

L1 norms are divided by *all* elements of the picture, never by the hole's, so the weights above do
not change their meaning with the size of the hole. Every term is computed in float32.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .depth import depth

_LEAST_ENERGY: Final = 1e-4

Maps: TypeAlias = Sequence[Tensor]
"""Feature maps of one batch of pictures, each (B, C_p, H_p, W_p)."""

Features: TypeAlias = Callable[[Tensor], Maps]
"""From photos (B, 3, H, W) in [0, 1] to the maps that perceptual and style terms compare."""


@dataclass(frozen=True)
class LossWeights:
    """The weight of each term; the defaults are the paper's, which has none of the last three."""

    valid: float = 1.0
    hole: float = 6.0
    perceptual: float = 0.05
    style: float = 120.0
    tv: float = 0.1
    sharpness: float = 0.0
    adversarial: float = 0.0
    matching: float = 0.0

    @property
    def need_features(self) -> bool:
        """Whether a feature network takes part at all."""
        return bool(self.perceptual or self.style)


def composite(out: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """`truth` where it is known, `out` inside the hole: (B, 3, H, W)."""
    return torch.where(hole.bool(), out, truth)


def l1_sums(out: Tensor, truth: Tensor, hole: Tensor) -> tuple[Tensor, Tensor, int]:
    """Sum of absolute differences outside and inside the hole, and the number of *all* elements.

    Args:
        out: (B, 3, H, W) float.
        truth: (B, 3, H, W) float.
        hole: (B, 1, H, W), 1 = hole.
    """
    error = (out.float() - truth.float()).abs()
    inside = (error * hole.float()).sum()
    return error.sum() - inside, inside, out.numel()


def valid_loss(out: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """``L_valid = ||(1 - hole) * (out - truth)||_1 / N_truth`` (Liu et al. 2018, section 3.3)."""
    outside, _, elements = l1_sums(out, truth, hole)
    return outside / elements


def hole_loss(out: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """``L_hole = ||hole * (out - truth)||_1 / N_truth`` (Liu et al. 2018, section 3.3)."""
    _, inside, elements = l1_sums(out, truth, hole)
    return inside / elements


def total_variation(comp: Tensor, hole: Tensor) -> Tensor:
    """Differences between neighboring pixels in the hole dilated by one pixel, R (equation 6).

    ``L_tv = sum over (i,j), (i,j+1) in R of ||comp[i,j+1] - comp[i,j]||_1 / N_comp`` and the same
    for rows: both pixels of a pair lie in R. The dilation is by the eight neighbors.
    """
    region = F.max_pool2d(hole.float(), 3, stride=1, padding=1)  # (B, 1, H, W)
    comp = comp.float()
    rows = (comp[..., 1:, :] - comp[..., :-1, :]).abs() * region[..., 1:, :] * region[..., :-1, :]
    columns = (comp[..., 1:] - comp[..., :-1]).abs() * region[..., 1:] * region[..., :-1]
    return (rows.sum() + columns.sum()) / comp.numel()


def sharpness_loss(out: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """How much less (or more) detail the hole has than the truth, place by place.

    Not of the paper. L1 is least for a blur: the median of all that might stand there. This term
    does not ask where an edge is, only for as much contrast as the truth has in the same window of
    8 by 8 pixels:
    ``mean over windows and `contrasts` c of T log(T / O) - T + O``, T = E_c(truth), O = E_c(out),
    E_c being the window's mean. This divergence is least for the mean of all T that might be, so
    that holes are as sharp as the truth on average. First differences alone would be met by fine
    stripes, whose second differences are far too large. Deep in wide holes, where nothing is known,
    the term is met by texture that is made up; windows count the less, the more `depth` they have.
    """
    made, wanted = (
        F.avg_pool2d(torch.cat(contrasts(x, hole), dim=1), 8, 4, padding=4) + _LEAST_ENERGY
        for x in (out, truth)
    )
    deep = F.avg_pool2d(depth(hole.float()), 8, 4, padding=4, count_include_pad=False)
    return ((1 - deep) * (wanted * (wanted / made).log() - wanted + made)).mean()


def contrasts(photos: Tensor, hole: Tensor) -> list[Tensor]:
    """Squared first and second differences, to the right and down, summed over the channels.

    All pixels that are compared lie in the hole, so the seam does not count.

    Args:
        photos: (B, 3, H, W) in [0, 1].
        hole: (B, 1, H, W), 1 = hole.

    Returns:
        right, down, right again, down again: (B, 1, H, W) float32 each.
    """
    found = []
    for order in (1, 2):
        for axis in (-1, -2):
            inside, steps = hole.float(), photos.float()
            for _ in range(order):
                size = inside.shape[axis] - 1
                inside = inside.narrow(axis, 0, size) * inside.narrow(axis, 1, size)
                steps = steps.diff(dim=axis)
            squares = (steps * inside).square().sum(dim=1, keepdim=True)
            found.append(F.pad(squares, (0, order) if axis == -1 else (0, 0, 0, order)))
    return found


def perceptual_loss(maps: Maps, truth_maps: Maps) -> Tensor:
    """``sum over p of ||Psi_p(out) - Psi_p(truth)||_1 / N_Psi_p`` (half of equation 3)."""
    pairs = zip(maps, truth_maps, strict=True)
    return torch.stack([F.l1_loss(a.float(), b.float()) for a, b in pairs]).sum()


def gram(features: Tensor) -> Tensor:
    """``Psi^T Psi / (C H W)``: (B, C, H, W) to (B, C, C) in float32.

    Divided before the product: the sum over H W would leave half precision's range.
    """
    scaled = features.float().flatten(2) / (features[0].numel() ** 0.5)  # (B, C, H W)
    with torch.autocast(features.device.type, enabled=False):
        product: Tensor = scaled @ scaled.mT
        return product


def style_loss(maps: Maps, truth_maps: Maps) -> Tensor:
    """``sum over p of ||gram_p(out) - gram_p(truth)||_1 / C_p^2``, batch mean (equations 4, 5)."""
    pairs = zip(maps, truth_maps, strict=True)
    return torch.stack([F.l1_loss(gram(a), gram(b)) for a, b in pairs]).sum()


def inpainting_loss(
    out: Tensor,
    truth: Tensor,
    hole: Tensor,
    features: Features | None,
    weights: LossWeights | None = None,
) -> dict[str, Tensor]:
    """Equation 1: every term, unweighted and by name, and their weighted sum as "total".

    Args:
        out: what the network painted, (B, 3, H, W).
        truth: the whole photo, (B, 3, H, W) in [0, 1].
        hole: (B, 1, H, W), 1 = hole.
        features: the feature network; its parameters should not require gradients. None is
            allowed where neither perceptual nor style term has a weight.
        weights: the paper's if left out.

    Returns:
        scalars "valid", "hole", "tv", where it has a weight "sharpness", with features
        "perceptual" and "style", and "total".

    Raises:
        InputError: a term needs a feature network, and there is none.
    """
    weights = weights or LossWeights()
    comp = composite(out, truth, hole)
    terms = {
        "valid": valid_loss(out, truth, hole),
        "hole": hole_loss(out, truth, hole),
        "tv": total_variation(comp, hole),
    }
    if weights.sharpness:
        terms["sharpness"] = sharpness_loss(out, truth, hole)
    if weights.need_features:
        if features is None:
            raise InputError("features: perceptual and style terms need a feature network")
        with torch.no_grad():
            truth_maps = features(truth)
        both = features(torch.cat([out, comp]))  # one pass over 2B pictures
        halves = [[m[: len(out)] for m in both], [m[len(out) :] for m in both]]
        terms["perceptual"] = _sum([perceptual_loss(half, truth_maps) for half in halves])
        terms["style"] = _sum([style_loss(half, truth_maps) for half in halves])
    weight = asdict(weights)
    terms["total"] = _sum([weight[name] * term for name, term in terms.items()])
    return terms


def _sum(terms: Sequence[Tensor]) -> Tensor:
    """The sum of scalar tensors."""
    return torch.stack(list(terms)).sum()


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``mean(max(0, 1 - D(real))) + mean(max(0, 1 + D(fake)))`` (Lim and Ye 2017).

    The verdicts may be of any shape: one per picture, or one per patch.
    """
    return F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """``-mean(D(fake))``, what the generator minimises against a hinge discriminator."""
    return -fake.float().mean()


def gradient_energy(photos: Tensor, hole: Tensor) -> Tensor:
    """Sharpness inside the hole: the sum of squared differences of neighboring pixels, per photo.

    Its ratio to the truth's is 1 for a picture as sharp as the truth and far below for a blur.

    Args:
        photos: (B, 3, H, W) in [0, 1].
        hole: (B, 1, H, W), 1 = hole.

    Returns:
        (B,) float32.
    """
    right, down, *_ = contrasts(photos, hole)
    return (right + down).sum((1, 2, 3))
