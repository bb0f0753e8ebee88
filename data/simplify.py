"""From raw drawings to the simplified form, by the recipe published with Quick, Draw!.

https://github.com/googlecreativelab/quickdraw-dataset#simplified-drawing-files-ndjson: shift a
drawing to the top left, scale it uniformly so that its larger side is 255, resample each stroke
with a spacing of 1 pixel, simplify it by Ramer-Douglas-Peucker with epsilon 2.

All strokes of a block of drawings are worked on at once. Where the recipe is silent: samples lie at
0, 1, 2, ... px along the stroke and at its end; the distance is to the infinite line through both
ends, or to the point where both ends are one; results are rounded half to even.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Ints = NDArray[np.int64]

EPSILON: Final = 2.0


def simplify(xy: Floats, points: Ints, strokes: Ints) -> tuple[Ints, NDArray[np.uint8]]:
    """Bring raw drawings into the 256x256 box and drop the points that do not matter.

    Args:
        xy: (p, 2), finite, in any unit.
        points: (s,), points of each stroke, 1 or more.
        strokes: (d,), strokes of each drawing, 1 or more.

    Returns:
        points of each stroke (s,) and xy (q, 2), in 0..255.
    """
    xy = _fit_box(xy, points, strokes)
    samples, points = _resample_corners(xy, points)
    keep = _douglas_peucker(samples, points)
    kept = np.add.reduceat(keep, starts(points), dtype=np.int64)
    return kept, np.rint(samples[keep].view(np.float64)).astype(np.uint8).reshape(-1, 2)


def starts(counts: Ints) -> Ints:
    """Where each of some consecutive runs starts, from their lengths."""
    first: Ints = np.cumsum(counts) - counts
    return first


def _fit_box(xy: Floats, points: Ints, strokes: Ints) -> Floats:
    per_drawing = np.add.reduceat(points, starts(strokes))
    first = starts(per_drawing)
    low = np.minimum.reduceat(xy, first)  # (d, 2)
    side = (np.maximum.reduceat(xy, first) - low).max(axis=1)
    scale = np.divide(255.0, side, out=np.zeros_like(side), where=side > 0)  # a dot stays at 0, 0
    fitted: Floats = (xy - np.repeat(low, per_drawing, axis=0)) * np.repeat(scale, per_drawing)[
        :, None
    ]
    return fitted


def _resample_corners(xy: Floats, points: Ints) -> tuple[Complexes, Ints]:
    """Of the samples at 0, 1, 2, ... px and at the end: the first and last on every raw segment.

    Ramer-Douglas-Peucker never needs another: along a straight segment the distance to a line is
    largest at one of its ends. There are far fewer of them than samples.

    Returns:
        samples as x + iy, and how many there are of each stroke.
    """
    place = np.ascontiguousarray(xy).view(np.complex128)[:, 0]
    last = np.cumsum(points) - 1  # of each stroke
    step = np.append(np.diff(place), 0)  # the segment that starts at each point
    step[last] = 0  # what connects two strokes is no segment
    length = np.abs(step)
    along = np.cumsum(length) - length
    along -= np.repeat(along[last - points + 1], points)  # px from the start of its stroke
    first = np.ceil(along)
    final = np.ceil(along + length) - 1

    # One row a point, for the segment that starts there: its first sample, its last one, and the
    # stroke's end, which belongs to the last point, where no segment starts.
    wanted = np.stack([first <= final, first < final, np.zeros(len(place), bool)], axis=1)
    wanted[last] = [False, False, True]
    wanted[last, 0] = (along[last] == 0) & (points > 1)  # without length: both ends, as published
    row, which = np.divmod(np.flatnonzero(wanted), 3)
    rest = np.where(which == 0, first[row], final[row]) - along[row]
    rest[which == 2] = 0
    share = np.divide(rest, length[row], out=np.zeros_like(rest), where=rest > 0)
    counts = np.add.reduceat(wanted.sum(axis=1), last - points + 1)
    return place[row] + share * step[row], counts


def _douglas_peucker(place: Complexes, points: Ints) -> NDArray[np.bool_]:
    """Which points stay: the open intervals of all strokes are split at once, level by level."""
    keep = np.zeros(len(place), bool)
    high = np.cumsum(points) - 1
    low = high - points + 1
    keep[low] = keep[high] = True
    while len(low := low[open_ := high - low > 1]):
        high = high[open_]
        inner = high - low - 1  # points between the ends
        first = starts(inner)
        index = np.arange(inner.sum()) + np.repeat(low + 1 - first, inner)
        base = place[high] - place[low]
        length = np.abs(base)
        # Turned so that the interval lies along the real axis.
        turn = np.divide(base.conj(), length, out=np.ones_like(base), where=length > 0)
        away = (place[index] - np.repeat(place[low], inner)) * np.repeat(turn, inner)
        distance = np.abs(away.imag)
        if not length.all():
            distance = np.where(np.repeat(length > 0, inner), distance, np.abs(away))
        farthest = np.maximum.reduceat(distance, first)
        at = np.flatnonzero(distance == np.repeat(farthest, inner))
        at = at[np.searchsorted(at, first)]  # the first one of each interval
        split = farthest > EPSILON
        middle = index[at[split]]
        keep[middle] = True
        low, high = (
            np.stack([low[split], middle], axis=1).reshape(-1),
            np.stack([middle, high[split]], axis=1).reshape(-1),
        )
    return keep
