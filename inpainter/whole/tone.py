"""Photos of one tone, grey or sepia: what is painted into them is to be of that tone too.

Networks have seen few such photos, and give them a tint of skin.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.polynomial.polynomial import polyvander
from numpy.typing import NDArray
from torch import Tensor

from ...data.images import Pixels

_SAMPLES: Final = 4000  # pixels, or up to four times as many; more only take time
_FEWEST: Final = 64
_COLOUR: Final = 0.009  # deviation from the tone, of white: more than compression makes is colour,
_SHARE: Final = 0.1  # and so is more than this share of the deviation of the brightness,
_ROUNDING: Final = 0.004  # beside what rounding to 8 bits makes
_INK: Final = 0.05  # share of the pixels that may have any colour: handwriting, a date, a stain
_STRICTER: Final = 0.9  # the others must deviate by less
_ROUNDS: Final = 3  # of finding them


@dataclass(frozen=True)
class Tone:
    """What colour each brightness has in a photo.

    Attributes:
        curves: (4, 3), of each channel the difference to the brightness as a cubic of it.
        darkest: brightness of the darkest pixel; below and
        brightest: above, the difference stays the same.
    """

    curves: NDArray[np.float64]
    darkest: float
    brightest: float

    def __call__(self, picture: Tensor) -> Tensor:
        """The picture (3, H, W) in this tone; its brightness, the channels' mean, stays."""
        bright = picture.mean(dim=0)
        powers = _powers(bright.clamp(self.darkest, self.brightest).numpy())  # (H, W, 4)
        colour = torch.from_numpy((powers @ self.curves).astype(np.float32))
        return bright + colour.permute(2, 0, 1)


def tone_of(pixels: NDArray[Any], white: float, known: NDArray[np.bool_]) -> Tone | None:
    """Whether a photo is of one tone.

    Args:
        pixels: (H, W, 3) RGB.
        white: their value of white.
        known: (H, W), the pixels to look at.

    Returns:
        The tone, or None for a photo in colours, or one of which next to nothing is known.
    """
    seen = _sampled(pixels, known).astype(np.float64) / white  # (n, 3)
    if len(seen) < _FEWEST:
        return None
    bright = seen.mean(axis=1)
    powers, colour = _powers(bright), seen - bright[:, None]
    limit = min(_COLOUR, _ROUNDING + _SHARE * float(bright.std()))
    plain = np.ones(len(seen), np.bool_)
    curves, distance = _fitted(powers, colour, plain)
    if math.sqrt(distance.mean()) > limit:
        for _ in range(_ROUNDS):
            plain = distance <= np.quantile(distance, 1 - _INK)
            curves, distance = _fitted(powers, colour, plain)
        if math.sqrt(distance[plain].mean()) > _STRICTER * limit:
            return None
    return Tone(curves, float(bright[plain].min()), float(bright[plain].max()))


def has_tone(photo: Pixels) -> bool:
    """Whether a photo without holes, uint8 RGB (H, W, 3), has no colours but those of its tone."""
    return tone_of(photo, 255, np.ones(photo.shape[:2], np.bool_)) is not None


def _sampled(pixels: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[Any]:
    """Some of the known pixels, on a lattice as wide as it can be and still meet enough of them."""
    step = max(1, math.isqrt(np.count_nonzero(known) // _SAMPLES))
    while step > 1 and np.count_nonzero(known[::step, ::step]) < _SAMPLES // 2:
        step //= 2
    seen = pixels[::step, ::step][known[::step, ::step]]
    return seen[:: max(1, len(seen) // (4 * _SAMPLES))]


def _fitted(
    powers: NDArray[np.float64], colour: NDArray[np.float64], plain: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Curves through some of the pixels, and the mean squares by which all of them are off."""
    curves = np.asarray(np.linalg.lstsq(powers[plain], colour[plain], rcond=None)[0], np.float64)
    return curves, ((colour - powers @ curves) ** 2).mean(axis=1)


def _powers(bright: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(polyvander(bright, 3), np.float64)
