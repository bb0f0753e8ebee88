"""Hole shapes other than strokes, after Pathak et al. 2016 (Context Encoders), section 3.3.

All are described without pixels (shares of the side, a coarse field), so that they can be drawn
at any size. What the paper leaves open is settled here:

- *random block*: blocks with sides of 0.1 to 0.3 of the picture's, anywhere inside it, until a
  quarter is covered; the last block is cut to end on the quarter, to a row of the 256-grid.
- *random region*: the paper pastes shapes of PASCAL VOC objects; its released code thresholds a
  smooth random pattern instead, and so does this: uniform noise on 8 x 8, enlarged bicubically;
  the lowest quarter of the pixels is hole.

Of our own is the *random box*: a network that knows some boxes only where they always are learns
these places by heart, and fails when such a hole is a few pixels off.
"""

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the side."""

_GRID = 256
_FIELD = 8
_QUARTER = 0.25
_MOVED = 0.15  # of the picture's side: as far does each side of a box move
_LEAST = 0.1  # of the picture's side: how wide and high a box is at least


def draw_boxes(boxes: Sequence[Box], out: NDArray[np.uint8]) -> None:
    """Set boxes to 1 in a mask, (S, S) uint8; edges are rounded to whole pixels."""
    for box in boxes:
        left, top, right, bottom = (round(share * out.shape[0]) for share in box)
        out[top:bottom, left:right] = 1


def draw_region(field: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Set the quarter of a mask, (S, S) uint8, where the enlarged field is lowest to 1.

    Args:
        field: (8, 8) float32.
        out: the mask; other pixels are left as they are.
    """
    smooth = cv2.resize(field, out.shape[::-1], interpolation=cv2.INTER_CUBIC)
    count = round(_QUARTER * out.size)
    out.reshape(-1)[np.argpartition(smooth, count, axis=None)[:count]] = 1


def random_blocks(rng: np.random.Generator) -> tuple[Box, ...]:
    """Overlapping blocks that together cover a quarter of the picture."""
    covered = np.zeros((_GRID, _GRID), dtype=bool)
    missing = round(_QUARTER * covered.size)
    boxes = []
    while missing > 0:
        width, height = rng.integers(_GRID // 10, 3 * _GRID // 10 + 1, size=2)
        left, top = rng.integers(_GRID - width + 1), rng.integers(_GRID - height + 1)
        block = covered[top : top + height, left : left + width]
        gain = np.cumsum(np.count_nonzero(~block, axis=1))
        # All rows while they do not reach the quarter, else up to the row that does.
        rows = min(int(np.searchsorted(gain, missing)) + 1, int(height))
        block[:rows] = True
        missing -= int(gain[rows - 1])
        corners = (left, top, left + width, top + rows)
        boxes.append(tuple(float(corner) / _GRID for corner in corners))
    return tuple((b[0], b[1], b[2], b[3]) for b in boxes)


def random_box(boxes: Sequence[Box], rng: np.random.Generator) -> Box:
    """One of some boxes, each of its sides moved, inward or outward to the picture's edge at most.

    Args:
        boxes: all are equally likely.
        rng: of the choice and of how far each side moves, uniform in -0.15 to 0.15 of the side.
    """
    box = np.array(boxes[int(rng.integers(len(boxes)))])
    while True:
        left, top, right, bottom = (box + rng.uniform(-_MOVED, _MOVED, 4)).clip(0, 1).tolist()
        if right - left >= _LEAST and bottom - top >= _LEAST:
            return left, top, right, bottom


def random_region(rng: np.random.Generator) -> NDArray[np.float32]:
    """A (8, 8) float32 field for `draw_region`, uniform in [0, 1)."""
    return rng.random((_FIELD, _FIELD), dtype=np.float32)
