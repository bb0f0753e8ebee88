"""Deep holes where there is no face, filled with the photo itself, moved.

What the networks paint of a wall, a street or a wood is a smudge in the colours of faces. What a
hole hides there mostly stands elsewhere in the same photo, at one of a few offsets (He and Sun
2012, Statistics of Patch Offsets for Image Completion): the photo moved by each of them is a
picture to borrow from, and each pixel of the hole is taken from that one which continues what is
around it with the least visible seams.
"""

import math
from typing import Any, Final, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from .boxes import Box, box_of, wider, within
from .frames import Floats, lift
from .membrane import membrane
from .offsets import usual_offsets
from .paste import write
from .seams import least_seams
from .squares import Square

Holes = NDArray[np.bool_]
Labels = NDArray[np.int64]
_Kind = TypeVar("_Kind", bound=np.generic)

_THICK: Final = 48  # pixels: where a hole is thicker, seams are looked for at a reduced size
_REACH: Final = 2  # thicknesses around the hole are looked at, but as many pixels at the least:
_LEAST_REACH: Final = 48  # reduced
_PICTURES: Final = 20
_LEAST: Final = 1 / 3  # of the hole's thickness: shorter offsets show the hole itself
_SEEN: Final = 0.3  # of the hole must a picture show
_SEAM: Final = 8.0  # weights of the energy's terms
_GUIDE: Final = 0.03
_NO_PICTURE: Final = 1e2  # costs more than any
_UNKNOWN: Final = 1e3
_FAINT: Final = np.float32(1e-4)  # the smooth filling's weight where copies show something
_SOFT: Final = 2.0  # reduced pixels: what is smoother counts as colour, and goes over softly
_WHOLE: Final = 0.999  # of a reduced pixel is known
_PART: Final = 0.25
_RIM: Final = 2  # reduced pixels around a hole tell which colours it should meet
_AROUND: Final = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_POINTS: Final = 100_000  # of the rim, times tries, tell where exactly a copy belongs
_FEWEST: Final = 50
_SQUARE: Final = np.ones((3, 3), np.uint8)
_CROSS: Final = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)


def paste_itself(
    canvas: NDArray[Any],
    white: float,
    square: Square,
    whole: Floats,
    unknown: Holes,
    barred: Holes,
) -> None:
    """Write moved copies of a photo over the pixels that are a square's own.

    Args:
        canvas: (H, W, 3), changed in place; what is unknown is filled smoothly.
        white: its value of white.
        square: of a deep hole.
        whole: (S, S, 3) in [0, 1], what networks painted in it.
        unknown: (H, W): all pixels that are not known yet, its own ones included.
        barred: (H, W): what else is not to be copied, as people are not.
    """
    thick = square.thick
    pad = round(max(_REACH * thick, _LEAST_REACH / _scale(thick)))
    around = wider(square.box, pad, unknown.shape)
    inner = within(square.box, around)
    hole = np.zeros([part.stop - part.start for part in around], np.bool_)
    hole[inner] = square.own
    photo = canvas[around].astype(np.float32) / white
    guide = photo.copy()
    guide[inner] = lift(whole, square.frame, square.box)
    filled = filled_with_itself(photo, hole, unknown[around], barred[around], guide, thick)
    write(canvas, white, square.box, square.own, filled[inner])


def filled_with_itself(
    photo: Floats, hole: Holes, unknown: Holes, barred: Holes, guide: Floats, thick: float
) -> Floats:
    """Fill a hole with moved copies of the photo around it.

    Args:
        photo: (H, W, 3) in [0, 1], its hole filled smoothly, and left so where nothing is to copy.
        hole: (H, W), what to fill.
        unknown: (H, W), the hole included.
        barred: (H, W): what is known, but not to be borrowed.
        guide: (H, W, 3), a coarse picture, which decides softly which copies are taken.
        thick: pixels across the hole, or across the one that it is a part of.

    Returns:
        (H, W, 3) float32, changed in the hole alone.
    """
    scale = _scale(thick)
    small, share = _reduced(photo, ~unknown, scale)
    missing = share < _WHOLE
    closed = missing | (_resized(barred.astype(np.float32), missing.shape) > 0)
    inside = (_resized(hole.astype(np.float32), missing.shape) > 0) & missing
    soft, smooth = _soft(small, ~missing), _resized(photo, missing.shape)
    wanted = np.asarray(cv2.GaussianBlur(_resized(guide, missing.shape), (0, 0), _SOFT), np.float32)
    least = max(4, int(_LEAST * thick * scale))
    offsets, labels = _chosen(small, soft, inside, missing, closed, smooth, wanted, least)

    box = wider(box_of(hole), round(_RIM / scale), hole.shape)
    rim = _dilated(hole, round(_RIM / scale)) & ~unknown
    if scale < 1:
        offsets = _at_full_size(photo, unknown, rim, offsets, labels, scale)
    copies, shown = _joined(photo, soft, unknown | barred, box, offsets, labels)
    copies += _shift(photo[box] - copies, rim[box] & shown, scale)
    out: Floats = photo.copy()
    out[box][hole[box]] = copies[hole[box]]
    return out


def _scale(thick: float) -> float:
    return min(1.0, _THICK / thick)


def _chosen(
    photo: Floats,
    soft: Floats,
    hole: Holes,
    unknown: Holes,
    closed: Holes,
    smooth: Floats,
    wanted: Floats,
    least: int,
) -> tuple[Labels, Labels]:
    """The offsets (n, 2) that are borrowed from, and for each pixel (H, W) its number, or n."""
    near = np.zeros_like(hole)
    near[wider(box_of(hole), _LEAST_REACH, hole.shape)] = True
    box = wider(box_of(hole), 1, hole.shape)  # the known pixels beside the hole, too
    pictures: list[Floats] = []
    costs: list[Floats] = []
    kept: list[NDArray[np.int64]] = []
    usual = usual_offsets(photo, closed, near, least)
    for offset in [*usual, *np.multiply(_AROUND, hole[box].shape)]:
        if len(kept) == _PICTURES:
            break
        seen = ~_moved(closed, box, offset, beyond=True)
        if seen[hole[box]].mean() >= _SEEN:
            picture = _moved(photo, box, offset)
            off = np.square(picture - photo[box]).sum(2) * (seen & ~unknown[box])
            rim = cv2.filter2D(off, -1, _CROSS, borderType=cv2.BORDER_CONSTANT)
            cost = _GUIDE * np.square(_moved(soft, box, offset) - wanted[box]).sum(2) + _SEAM * rim
            pictures.append(picture)
            costs.append(np.where(seen, cost, _UNKNOWN).astype(np.float32))
            kept.append(offset)
    pictures.append(smooth[box])
    costs.append(np.full(hole[box].shape, _NO_PICTURE, np.float32))
    energies, colours = (torch.from_numpy(np.stack(parts, 2)) for parts in (costs, pictures))
    labels = np.empty(hole.shape, np.int64)
    labels[box] = least_seams(energies, colours, torch.from_numpy(hole[box]), _SEAM).numpy()
    return np.array(kept, np.int64).reshape(-1, 2), _spread(labels, hole)


def _spread(labels: Labels, hole: Holes) -> Labels:
    """Each pixel outside the hole gets the label of the nearest one inside."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~hole).view(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(nearest.max()) + 1, np.int64)
    table[nearest[hole]] = labels[hole]
    spread: Labels = table[nearest]
    return spread


def _at_full_size(
    photo: Floats, unknown: Holes, rim: Holes, offsets: Labels, labels: Labels, scale: float
) -> Labels:
    """Offsets (n, 2) of a reduced photo to the pixel, by what is known around the hole.

    Each is tried as it may be before rounding; the rim where its copy is taken tells, or all of it.
    """
    reach = math.ceil(0.5 / scale)
    tries = np.argwhere(np.ones((2 * reach + 1, 2 * reach + 1))) - reach
    tries = tries[np.argsort(np.abs(tries).sum(1), kind="stable")]
    points = np.argwhere(rim)
    count = max(_FEWEST, _POINTS // len(tries))
    points = np.random.default_rng(0).permutation(points)[:count]
    small = np.minimum((points * scale).astype(np.int64), np.array(labels.shape) - 1)
    owners = labels[tuple(small.T)]
    found = np.rint(offsets / scale).astype(np.int64)
    for label in np.intersect1d(labels, np.arange(len(found))):
        mine = points[owners == label]
        here = mine if len(mine) >= _FEWEST else points
        there = here + found[label] + tries[:, None]  # (tries, points, 2)
        inside = ((there >= 0) & (there < rim.shape)).all(2)
        rows, columns = np.moveaxis(np.where(inside[..., None], there, 0), 2, 0)
        seen = inside & ~unknown[rows, columns]
        off = np.square(photo[rows, columns] - photo[tuple(here.T)]).sum(2) * seen
        counts = seen.sum(1)
        means = np.where(counts >= _FEWEST, off.sum(1) / np.maximum(counts, 1), np.inf)
        found[label] += tries[np.argmin(means)]
    return found


def _joined(
    photo: Floats,
    soft: Floats,
    closed: Holes,
    box: Box,
    offsets: Labels,
    labels: Labels,
) -> tuple[Floats, Holes]:
    """The copies in a box; their colours go over into each other, their detail does not.

    Args:
        photo: (H, W, 3).
        soft: its colours, reduced.
        closed: (H, W), what is not to be copied.
        box: in the photo.
        offsets: (n, 2), of the copies.
        labels: which of them is wanted where, reduced; n leaves the photo as it is.

    Returns:
        (h, w, 3), and where they show what is known: (h, w).
    """
    size = closed.shape[::-1]
    colours = np.asarray(cv2.resize(soft, size), np.float32)
    joined, details = _FAINT * photo[box], np.zeros_like(photo[box])
    total, most = np.full(joined.shape[:2], _FAINT), np.zeros(joined.shape[:2], np.float32)
    shown = np.zeros(joined.shape[:2], np.bool_)
    for label in np.unique(labels):
        mine = (labels == label).astype(np.float32)
        share = np.asarray(cv2.resize(mine, size))[box]
        weight = np.asarray(cv2.resize(cv2.GaussianBlur(mine, (0, 0), _SOFT), size))[box]
        if label == len(offsets):
            seen, colour, detail = np.ones_like(shown), photo[box], np.zeros_like(joined)
        else:
            seen = ~_moved(closed, box, offsets[label], beyond=True)
            colour = _moved(colours, box, offsets[label])
            detail = (_moved(photo, box, offsets[label]) - colour) * seen[..., None]
        joined += (weight * seen)[..., None] * colour
        total += weight * seen
        owned = share > most
        details[owned], shown[owned], most[owned] = detail[owned], seen[owned], share[owned]
    return np.asarray(joined / total[..., None] + details, np.float32), shown


def _shift(missing: Floats, rim: Holes, scale: float) -> Floats:
    """What colours (h, w, 3) miss at a hole's rim, spread smoothly into it."""
    means, share = _reduced(missing, rim, scale)
    none = share < _PART
    if none.all():
        return np.zeros_like(missing)
    smooth = membrane(_soft(means, ~none), none)
    return np.asarray(cv2.resize(smooth, rim.shape[::-1]), np.float32)


def _dilated(hole: Holes, pixels: int) -> Holes:
    return cv2.dilate(hole.view(np.uint8), _SQUARE, iterations=pixels).view(np.bool_)


def _reduced(values: Floats, known: Holes, scale: float) -> tuple[Floats, Floats]:
    """Means of the known pixels of (H, W, 3) at a scale, and which share of all they are."""
    shape = tuple(max(1, round(length * scale)) for length in known.shape)
    share = _resized(known.astype(np.float32), shape)
    total = _resized(np.asarray(cv2.copyTo(values, known.view(np.uint8)), np.float32), shape)
    return np.asarray(total / np.maximum(share, 1e-6)[..., None], np.float32), share


def _resized(values: Floats, shape: tuple[int, ...]) -> Floats:
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _soft(values: Floats, known: Holes) -> Floats:
    """Means of the known pixels around each of (H, W, 3)."""
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), _SOFT)
    total = cv2.GaussianBlur(cv2.copyTo(values, known.view(np.uint8)), (0, 0), _SOFT)
    return np.asarray(total / np.maximum(weight, 1e-6)[..., None], np.float32)


def _moved(
    picture: NDArray[_Kind], box: Box, offset: NDArray[np.int64], beyond: float = 0
) -> NDArray[_Kind]:
    """What stands an offset (down, right) away from a box of a picture (H, W, ...)."""
    starts = [part.start + int(o) for part, o in zip(box, offset, strict=True)]
    stops = [part.stop + int(o) for part, o in zip(box, offset, strict=True)]
    there, here = [], []
    for start, stop, length in zip(starts, stops, picture.shape[:2], strict=True):
        first, last = min(max(start, 0), length), min(max(stop, 0), length)
        there.append(slice(first, last))
        here.append(slice(first - start, last - start))
    shape = [stop - start for start, stop in zip(starts, stops, strict=True)]
    out = np.full((*shape, *picture.shape[2:]), beyond, picture.dtype)
    if all(part.start < part.stop for part in there):
        out[tuple(here)] = picture[tuple(there)]
    return out
