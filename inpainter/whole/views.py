"""A photo with a hole, at the scale at which it is looked at."""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from .boxes import Box
from .frames import Floats

Holes = NDArray[np.bool_]
_Kind = TypeVar("_Kind", bound=np.generic)

_WHOLE: Final = 0.999  # of a reduced pixel is known


class Laid(NamedTuple):
    """Another photo, laid over this one.

    Attributes:
        photo: (h, w, 3) in [0, 1], or a little beyond.
        closed: (h, w), where it shows nothing, or nothing that is to be copied.
        number: of the photo; one may be laid over this in several ways.
    """

    photo: Floats
    closed: Holes
    number: int = 0


class View(NamedTuple):
    """A photo with a hole at some scale.

    Attributes:
        photo: (h, w, 3) in [0, 1], of the known pixels.
        smooth: (h, w, 3), all pixels, where what is unknown was filled smoothly.
        hole: (h, w), what to fill.
        unknown: (h, w), the hole included.
        closed: (h, w), what is not to be copied.
        laid: other photos over this one.
    """

    photo: Floats
    smooth: Floats
    hole: Holes
    unknown: Holes
    closed: Holes
    laid: tuple[Laid, ...] = ()


def view(
    photo: Floats,
    hole: Holes,
    unknown: Holes,
    barred: Holes,
    scale: float,
    laid: Sequence[Laid] = (),
) -> View:
    """Reduce a photo.

    Args:
        photo: (H, W, 3) in [0, 1], what is unknown filled smoothly.
        hole: (H, W), what to fill.
        unknown: (H, W), the hole included.
        barred: (H, W): what is known, but not to be copied.
        scale: at most 1.
        laid: other photos over this one.
    """
    shape = tuple(max(1, round(length * scale)) for length in hole.shape)
    known = ~unknown
    share = resized(known.astype(np.float32), shape)
    total = resized(np.asarray(cv2.copyTo(photo, known.view(np.uint8)), np.float32), shape)
    inside = resized(hole.astype(np.float32), shape) > 0
    missing = (share < _WHOLE) | inside
    return View(
        photo=np.asarray(total / np.maximum(share, 1e-6)[..., None], np.float32),
        smooth=resized(photo, shape),
        hole=inside,
        unknown=missing,
        closed=missing | _touched(barred, shape),
        laid=tuple(
            Laid(resized(one.photo, shape), _touched(one.closed, shape), one.number) for one in laid
        ),
    )


def _touched(closed: Holes, shape: tuple[int, ...]) -> Holes:
    """The pixels of a smaller picture in which some of (H, W) lies."""
    return np.asarray(resized(closed.astype(np.float32), shape) > 0)


def resized(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Values (H, W) or (H, W, C) as the means over each pixel of a smaller picture (h, w)."""
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def enlarged(values: Floats, box: Box, shape: tuple[int, ...]) -> Floats:
    """What stands in a box of a larger picture (H, W) of values (h, w) or (h, w, C)."""
    steps = np.divide(values.shape[:2], shape)
    first = [(part.start + 0.5) * step - 0.5 for part, step in zip(box, steps, strict=True)]
    size = [part.stop - part.start for part in box]
    matrix = np.array([[steps[1], 0, first[1]], [0, steps[0], first[0]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    out = cv2.warpAffine(values, matrix, (size[1], size[0]), flags=flags, borderMode=border)
    return np.asarray(out, np.float32)


def blurred(values: Floats, known: Holes, sigma: float) -> Floats:
    """Means of the known pixels around each of (H, W, 3)."""
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigma)
    total = cv2.GaussianBlur(cv2.copyTo(values, known.view(np.uint8)), (0, 0), sigma)
    return np.asarray(total / np.maximum(weight, 1e-6)[..., None], np.float32)


def spread(values: NDArray[_Kind], hole: Holes) -> NDArray[_Kind]:
    """Each pixel outside a hole (H, W) gets what the nearest one inside has in (H, W, ...)."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~hole).view(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros((int(nearest.max()) + 1, *values.shape[2:]), values.dtype)
    table[nearest[hole]] = values[hole]
    out: NDArray[_Kind] = table[nearest]
    return out
