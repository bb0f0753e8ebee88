"""Masks as recipes: what was drawn where, in vector form, and the drawing of it at any size."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .hole_shapes import Box, draw_boxes, draw_region

Mask: TypeAlias = NDArray[np.uint8]
"""(S, S), C-contiguous, 1 = hole, 0 = known."""

CANVAS = 256
"""Side of the canvas of Algorithm 1, in pixels; widths and drawings are measured on it."""

_SUBPIXEL_BITS = 4
_SUBPIXEL = 1 << _SUBPIXEL_BITS


@dataclass(frozen=True)
class Recipe:
    """All that is needed to draw one mask at any size: the vector form of the mask.

    Attributes:
        stroke_ids: rows of the stroke bank, in drawing order.
        points: (n, 2) uint8, x and y on the 256-canvas, placed; the strokes one after another.
        lengths: per stroke, how many of the points are its.
        widths: per stroke, in pixels of the 256-canvas.
        scale: the upscaling about the canvas's centre.
        boxes: (n, 4) rectangular holes: left, top, right, bottom, as shares of the side.
        region: (8, 8) float32; its smooth enlargement is hole where it is lowest; or None.
    """

    stroke_ids: tuple[int, ...] = ()
    points: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 2), np.uint8))
    lengths: tuple[int, ...] = ()
    widths: tuple[float, ...] = ()
    scale: float = 1.0
    boxes: tuple[Box, ...] = ()
    region: NDArray[np.float32] | None = None

    def draw(self, out: Mask) -> None:
        """Draw the mask over all of `out`, (S, S) uint8 and C-contiguous: 1 = hole, 0 elsewhere."""
        out[:] = 0
        draw_strokes(self.points, self.lengths, self.widths, self.scale, out)
        draw_boxes(self.boxes, out)
        if self.region is not None:
            draw_region(self.region, out)


def draw_strokes(
    points: NDArray[np.uint8],
    lengths: Sequence[int],
    widths: Sequence[float],
    scale: float,
    out: Mask,
) -> None:
    """Steps 3 to 6 of Algorithm 1: add strokes to a mask, upscaled about its centre.

    Args:
        points: (n, 2), x and y of pixel centres on the 256-canvas, the strokes one after another.
        lengths: per stroke, how many of the points are its.
        widths: per stroke, in pixels of the 256-canvas.
        scale: the upscaling; the canvas's central square of side 256 / scale fills `out`.
        out: (S, S) uint8, C-contiguous; strokes are set to 1, the rest is left as it is.
    """
    zoom = scale * out.shape[0] / CANVAS
    # Pixel x covers [x, x + 1): centres are at x + 0.5, before scaling and after.
    shift = out.shape[0] / 2 - 0.5 - zoom * (CANVAS / 2 - 0.5)
    fixed = np.rint(points * (zoom * _SUBPIXEL) + shift * _SUBPIXEL).astype(np.int32)
    start = 0
    for length, width in zip(lengths, widths, strict=True):
        line = fixed[start : start + length] if length > 1 else fixed[[start, start]]
        # OpenCV's even thickness t covers t + 1 px, and an odd one as much as the next even one.
        thickness = max(1, 2 * round((width * zoom - 1) / 2))
        cv2.polylines(out, [line], False, 1, thickness, cv2.LINE_8, _SUBPIXEL_BITS)
        start += length
