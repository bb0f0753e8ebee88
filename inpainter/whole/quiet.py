"""Grainy photos as the networks see them, without their grain.

The networks take grain for strokes, and go on with it: in old photos scratches became ropes of
dark and light dashes. What they paint of a smoother photo gets its grain afterwards, from the
photo's own surroundings (`grain`). How much of it there is tells the second difference of
Laplacians, which is blind to slopes (Immerkaer 1996, Fast Noise Variance Estimation), in small
blocks; the quietest tenth is taken, so that texture does not count.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ...data.images import Pixels
from .boxes import Box
from .canvas import Canvas
from .frames import Floats, Frame, cut, lift
from .paste import write
from .views import blurred

_LEAST: Final = 4.0  # of 255: less grain does no harm, and clean photos have less
_SIGMA: Final = 1.0  # pixels: what is finer is taken away
_BLOCK: Final = 16  # pixels a side
_FEWEST: Final = 4  # blocks; less tells nothing about grain
_QUIET: Final = 0.1  # the share of blocks that counts as grain alone
_CUT: Final = 8  # of 255: nearer to black or white than this, grain is cut off
_LAPLACIANS: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_NEIGHBORS: Final = np.ones((3, 3), np.uint8)


class Shown:
    """What the networks are shown of a photo being painted: itself, or a copy without its grain.

    Attributes:
        quiet: uint8 RGB (H, W, 3), the copy; None of a photo that has little grain.
    """

    def __init__(self, canvas: Canvas) -> None:
        """Look for grain in what is known of a photo.

        Args:
            canvas: nothing of it is painted yet.
        """
        self._canvas = canvas
        photo, known = canvas.as_bytes(), ~canvas.hole
        grainy = grain_of(photo, known) >= _LEAST
        self.quiet = without_grain(photo, known) if grainy else None

    def cut(self, frame: Frame, size: int) -> Floats:
        """A frame's pixels: float32 (S, S, 3), 1 = white."""
        grainy = self._canvas.pixels, self._canvas.white
        pixels, white = grainy if self.quiet is None else (self.quiet, 255)
        return np.asarray(cut(pixels, frame, size) / np.float32(white), np.float32)

    def paint(self, frame: Frame, whole: Floats, own: tuple[Box, NDArray[np.bool_]]) -> None:
        """Take over what was painted, for the squares that see it later: see `paste`."""
        if self.quiet is not None:
            write(self.quiet, 255, *own, lift(whole, frame, own[0]))

    def renew(self, own: tuple[Box, NDArray[np.bool_]], unknown: NDArray[np.bool_]) -> None:
        """Take over pixels of the photo that were filled with copies of others, which have grain.

        Args:
            own: which, as a box of the photo and (h, w) inside it.
            unknown: (H, W): all pixels that are not known yet, these included.
        """
        if self.quiet is not None:
            box, mask = own
            part = np.rint(self._canvas.pixels[box] * np.float32(255 / self._canvas.white))
            smooth = without_grain(part.astype(np.uint8), mask | ~unknown[box])
            self.quiet[box][mask] = smooth[mask]


def grain_of(photo: Pixels, known: NDArray[np.bool_]) -> float:
    """The standard deviation of a photo's grain, of 255; 0 where there is too little to tell.

    Args:
        photo: uint8 RGB (H, W, 3).
        known: (H, W); other pixels are not used.
    """
    green = photo[..., 1]  # most of the brightness, and no mean of three channels' grain
    details = np.abs(cv2.filter2D(green, cv2.CV_16S, _LAPLACIANS))
    clear = _means(cv2.erode(known.view(np.uint8), _NEIGHBORS)) == 1
    brightness = _means(green)
    clear &= (brightness > _CUT) & (brightness < 255 - _CUT)
    if np.count_nonzero(clear) < _FEWEST:
        return 0.0
    quietest = np.quantile(_means(details)[clear], _QUIET)
    return float(quietest) * math.sqrt(math.pi / 2) / 6  # equation 5: of white noise


def without_grain(photo: Pixels, known: NDArray[np.bool_]) -> Pixels:
    """A blurred copy of a photo, each pixel the weighted mean of the known ones around it.

    Args:
        photo: uint8 RGB (H, W, 3).
        known: (H, W); the others are copied.
    """
    means = np.rint(blurred(photo.astype(np.float32), known, _SIGMA)).astype(np.uint8)
    return np.asarray(cv2.copyTo(means, known.view(np.uint8), photo.copy()), np.uint8)


def _means(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Of blocks of (H, W); what is left over at the right and below is not used."""
    rows, columns = (length // _BLOCK for length in values.shape)
    whole = values[: rows * _BLOCK, : columns * _BLOCK]
    return np.asarray(whole.reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3)), np.float64)
