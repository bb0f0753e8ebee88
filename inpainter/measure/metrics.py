"""How far a filled photo is from the true one: numbers for each photo, in float64.

What is measured is the composite in 8 bits: known pixels are the truth's, painted ones are rounded,
as in the file that a user gets. So bits that vary with machine and number of threads, far below one
level, do not reach the numbers but for a pixel in very many that lies between two levels.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..losses import composite, gradient_energy

MOST_PSNR: Final = 100.0
"""Of a photo filled without any error, in dB; one level in one pixel of 128 x 128 has 95."""

_WINDOW: Final = 5
"""Half the side of SSIM's windows of 11 pixels."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A number of the report.

    Attributes:
        title: how tables call it.
        better: which values are better: "low", "high", or those close to "one".
        digits: after the point, in tables.
        of: the column that is averaged over photos; empty where `perceptual` measures it.
        over: the column of the truth that `of`'s mean is divided by; empty for a plain mean.
    """

    title: str
    better: Literal["low", "high", "one"]
    digits: int
    of: str
    over: str = ""

    def badness(self, values: Floats) -> Floats:
        """Smaller is better, whatever the metric."""
        if self.better == "one":
            return np.abs(values - 1)
        return values if self.better == "low" else -values


METRICS: Final[dict[str, Metric]] = {
    "l1": Metric("L1 %", "low", 2, "l1"),
    "psnr": Metric("PSNR dB", "high", 2, "psnr"),
    "ssim": Metric("SSIM", "high", 3, "ssim"),
    "l1_hole": Metric("L1 inside the hole %", "low", 2, "l1_hole"),
    "sharpness": Metric("Sharpness (1 = as the truth)", "one", 2, "energy", "true_energy"),
    "sharpness_mean": Metric("Sharpness, mean of photos", "one", 2, "sharpness"),
    "identity_truth": Metric("Identity distance to the truth", "low", 3, "identity_truth"),
    "identity_others": Metric(
        "Identity distance to the person's other photos", "low", 3, "identity_others"
    ),
    "lpips": Metric("LPIPS", "low", 3, ""),
    "fid": Metric("FID", "low", 1, ""),
    "inception_score": Metric("Inception score", "high", 2, ""),
}
"""All metrics by name. `sharpness` is the ratio of two sums over photos and the one to go by: the
mean of ratios hangs on a few photos whose hole is nearly flat in truth, where the ratio is huge.
"""


def composite_8bit(painted: Tensor, truth: Tensor, holes: Tensor) -> Tensor:
    """What a user gets: (B, 3, H, W) uint8, known pixels untouched, painted ones rounded.

    Args:
        painted: (B, 3, H, W) float, any range; clamped to [0, 1].
        truth: (B, 3, H, W) uint8.
        holes: (B, 1, H, W), 1 = hole.
    """
    return composite((painted.clamp(0, 1) * 255).round().byte(), truth, holes)


def measure_filled(filled: Tensor, truth: Tensor, holes: Tensor) -> dict[str, Floats]:
    """Compare filled photos with the true ones.

    Args:
        filled: (B, 3, H, W) uint8, the truth outside the holes.
        truth: (B, 3, H, W) uint8.
        holes: (B, 1, H, W), 1 = hole; at least one pixel each.

    Returns:
        (B,) each: `l1`, percent of the range over all elements; `l1_hole`, over the hole's;
        `psnr` in dB, at most `MOST_PSNR`; `ssim` (Wang et al. 2004: Gaussian window of 11 pixels,
        sigma 1.5); `energy` and `true_energy` (see `losses.gradient_energy`) and `sharpness`, their
        ratio, NaN where the truth has none.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    a, b = filled.double() / 255, truth.double() / 255
    error = (a - b).abs().sum((1, 2, 3))
    area = holes.double().sum((1, 2, 3)) * filled.shape[1]
    psnr = peak_signal_noise_ratio(a, b, data_range=1.0, dim=(1, 2, 3), reduction="none")
    ssim = _ssim(a, b)
    energy, true_energy = (gradient_energy(photos, holes).double() for photos in (a, b))
    values = {
        "l1": 100 * error / filled[0].numel(),
        "l1_hole": 100 * error / area,
        "psnr": psnr.clamp(max=MOST_PSNR),
        "ssim": ssim,
        "energy": energy,
        "true_energy": true_energy,
        "sharpness": torch.where(true_energy > 0, energy / true_energy, torch.nan),
    }
    return {name: np.atleast_1d(value.double().numpy()) for name, value in values.items()}


def _ssim(a: Tensor, b: Tensor) -> Tensor:
    """SSIM (B,) of (B, 3, H, W) pictures in [0, 1].

    As its authors have it, only windows that lie inside the picture count; torchmetrics averages
    over the padded border too. In float64 torch convolves thirty times as slowly; float32 is 1e-5
    off.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _, similarity = structural_similarity_index_measure(
        a.float(), b.float(), data_range=1.0, reduction="none", return_full_image=True
    )
    inside: Tensor = similarity[..., _WINDOW:-_WINDOW, _WINDOW:-_WINDOW]
    return inside.double().mean((1, 2, 3))
