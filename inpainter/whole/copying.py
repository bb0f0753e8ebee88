"""Deep holes filled with copies: of the photo itself, moved, and of others of the same place.

What the networks paint of a wall, a street or a wood is a smudge in the colours of faces. What a
hole hides there mostly stands elsewhere in the same photo, at one of a few offsets (He and Sun
2012, Statistics of Patch Offsets for Image Completion): the photo moved by each of them is a
picture to borrow from, and each pixel of the hole is taken from that one which continues what is
around it with the least visible seams. In large holes these are looked for in a reduced photo, and
then, between the copies nearby, in a larger one. Other photos of the same place, laid over it,
are copies as well, and better ones: they show what stood there.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..thin_plate import thin_plate
from .blend import shift_of
from .boxes import Box, box_of, wider, within
from .frames import Floats
from .membrane import membrane
from .moved import Copies, Labels
from .offsets import usual_offsets
from .paste import write
from .places import Place
from .seams import least_seams
from .squares import Square
from .tone import Tone
from .views import Holes, Laid, View, blurred, enlarged, spread, view
from .votes import outvoted

_THICK: Final = 48  # pixels: thicker holes are reduced to this to choose copies
_FINE: Final = 192  # pixels: thicker holes are reduced to this to draw seams and to blend
_REACH: Final = 2  # thicknesses around a hole that are looked at
_LEAST_REACH: Final = 48  # reduced pixels around a hole that are looked at, at the least
_ENOUGH: Final = 0.1  # of what is around must be free to be copied
_PICTURES: Final = 20  # offsets at most that the photo itself is copied at
_LEAST: Final = 1 / 3  # of the hole's thickness: shorter offsets show the hole itself
_SEEN: Final = 0.3  # of the hole that a copy must show
_RIM: Final = 2  # reduced pixels around a hole that tell where a copy belongs
_POINTS: Final = 100_000  # of the rim, times tries, tell where exactly a copy belongs
_FEWEST: Final = 50  # points that tell it
# The energy that is least in the best choice; squares of colours in [0, 1] are its unit.
_SEAM: Final = 8.0  # weight of steps at the hole's border
_GUIDE: Final = 0.1  # weight of colours unlike those that go on smoothly into the hole
_GUESS: Final = 0.01  # cost of a copy of the photo itself where other photos show the place
_DOUBT: Final = 0.5  # weight as `_GUIDE`, where other photos show different things
_NO_PICTURE: Final = 1e2  # cost of no copy at all
_UNKNOWN: Final = 1e3  # cost of what a copy does not show
_SOFT: Final = 2.0  # reduced pixels: what is smoother counts as colour
_SOFTER: Final = 12.0  # reduced pixels: what is less smooth than this counts as rough
_RING: Final = 24  # reduced pixels around a hole that tell how rough it is there
_USUAL: Final = 20.0  # times the roughness there: so far off colours may be at no cost
# Seams that are drawn again in a larger picture.
_NEAR: Final = 1.0  # reduced pixels by which they are moved
_NEAREST: Final = 4  # copies that each pixel chooses from
_FAINT: Final = 0.02  # least share of a label around a pixel, for it to be chosen
_AROUND: Final = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_SIDES: Final = ((1, 0), (0, 1), (-1, 0), (0, -1))
_SQUARE: Final = np.ones((3, 3), np.uint8)


def has_copies(square: Square, hole: Holes, barred: Holes) -> bool:
    """Whether enough is around a square that may be copied, in a photo with a hole (H, W)."""
    around = _around(square, hole.shape)
    known = ~hole[around]
    return bool((known & ~barred[around]).sum() > _ENOUGH * known.sum())


def _around(square: Square, shape: tuple[int, ...]) -> Box:
    """What is looked at around a square."""
    pad = max(_REACH * square.thick, _LEAST_REACH * max(1.0, square.thick / _THICK))
    return wider(square.box, round(pad), shape)


def paste_copies(
    canvas: NDArray[Any],
    white: float,
    square: Square,
    unknown: Holes,
    barred: Holes,
    places: Sequence[Place] = (),
    tone: Tone | None = None,
) -> list[Place]:
    """Write copies over the pixels that are a square's own.

    Args:
        canvas: (H, W, 3), changed in place; what is unknown is filled smoothly.
        white: its value of white.
        square: its hole.
        unknown: (H, W): all pixels that are not known yet, its own ones included.
        barred: (H, W): what else is not to be copied, as people are not.
        places: other photos of the same place, which know what stood there.
        tone: of a photo that is not in colours.

    Returns:
        those of which something was taken, most of the first.
    """
    thick, around = square.thick, _around(square, unknown.shape)
    inner = within(square.box, around)
    hole = np.zeros([part.stop - part.start for part in around], np.bool_)
    hole[inner] = square.own
    photo = canvas[around].astype(np.float32) / white
    known = ~unknown[around]
    laid: list[Laid] = []
    for number, place in enumerate(places):
        for one in place.over(photo, known, around, square.box):
            if not one.closed[hole].all():
                shown = _in_tone(one.photo, tone) if tone else one.photo
                laid.append(Laid(shown, one.closed, number))
    filled, taken = filled_with_copies(photo, hole, unknown[around], barred[around], thick, laid)
    write(canvas, white, square.box, square.own, filled[inner])
    shares = np.bincount([one.number for one in laid], taken, len(places))
    return [places[number] for number in np.argsort(-shares, kind="stable") if shares[number]]


def filled_with_copies(
    photo: Floats,
    hole: Holes,
    unknown: Holes,
    barred: Holes,
    thick: float,
    laid: Sequence[Laid] = (),
) -> tuple[Floats, list[int]]:
    """Fill a hole with moved copies of the photo around it.

    Args:
        photo: (H, W, 3) in [0, 1], its hole filled smoothly, and left so where nothing is to copy.
        hole: (H, W), what to fill.
        unknown: (H, W), the hole included.
        barred: (H, W): what is known, but not to be borrowed.
        thick: pixels across the hole, or across the one that it is a part of.
        laid: other photos of the same place.

    Returns:
        (H, W, 3) float32, changed in the hole alone, and how many pixels were taken from each of
        the other photos.
    """
    scale, fine = (min(1.0, most / thick) for most in (_THICK, _FINE))
    seen = view(photo, hole, unknown, barred, scale, laid)
    offsets, labels = _chosen(seen, max(4, int(_LEAST * thick * scale)))
    if scale < 1:
        rim = _dilated(hole, round(_RIM / scale)) & ~unknown
        offsets = _at_full_size(photo, unknown, rim, offsets, labels, laid)
        seen = view(photo, hole, unknown, barred, fine, laid)
    reduced = np.rint(offsets * np.divide(seen.hole.shape, hole.shape)).astype(np.int64)
    copies = Copies(seen.photo, seen.smooth, seen.closed, reduced, seen.laid)
    if scale < 1:
        labels = _redrawn(seen, copies, labels)
    shift = spread(shift_of(seen, copies, labels), seen.hole)
    box = box_of(hole)
    labels, shift = _enlarged(labels, shift, box, hole.shape)
    full = Copies(photo, photo, unknown | barred, offsets, laid)
    copied, shown = full.at(box, labels[..., None])
    out: Floats = photo.copy()
    out[box][hole[box]] = (copied[:, :, 0] + shift)[hole[box]]
    missed, around = np.zeros_like(hole), wider(box, 1, hole.shape)
    missed[box] = hole[box] & ~shown[:, :, 0]  # at a copy's edge, where sizes were rounded
    out[around] = membrane(out[around], missed[around])
    taken = [int((labels[hole[box]] == number).sum()) for number in range(len(laid))]
    return out, taken


def _in_tone(picture: Floats, tone: Tone) -> Floats:
    return tone(torch.from_numpy(picture).permute(2, 0, 1)).permute(1, 2, 0).numpy()


def _chosen(seen: View, least: int) -> tuple[Labels, Labels]:
    """The offsets (n, 2) that are borrowed from, and for each pixel (h, w) its number, or n."""
    box, near = box_of(seen.hole), np.zeros_like(seen.hole)
    near[wider(box, _LEAST_REACH, seen.hole.shape)] = True
    usual = usual_offsets(seen.photo, seen.closed, near, least)
    size = [part.stop - part.start for part in wider(box, 1, seen.hole.shape)]
    others = np.zeros((len(seen.laid), 2), np.int64)
    offsets = np.concatenate([others, usual, np.multiply(_AROUND, size)])
    copies = Copies(seen.photo, seen.smooth, seen.closed, offsets, seen.laid)
    kept = [*range(len(others))]
    for number in range(len(others), len(offsets)):
        if len(kept) == len(others) + _PICTURES:
            break
        _, shown = copies.at(box, np.array([[[number]]]))
        if shown[seen.hole[box]].mean() >= _SEEN:
            kept.append(number)
    offsets = offsets[kept]
    copies = Copies(seen.photo, seen.smooth, seen.closed, offsets, seen.laid)
    every = np.arange(len(kept) + 1)[None, None]
    costs = _rim_costs(seen, copies, every)
    own = every[..., len(others) :]
    costs[..., len(others) :] += _GUIDE * _unlike_around(seen, offsets, own)
    costs[..., len(others) :] += _GUESS * (len(others) > 0)
    against, doubt = outvoted(seen.laid, box)
    costs[..., : len(others)] += against
    if doubt.any():
        unlike = _unlike_around(seen, offsets, every[..., : len(others)])
        costs[..., : len(others)] += _DOUBT * doubt[..., None] * unlike
    return offsets, _seamless(seen, copies, every, costs)


def _unlike_around(seen: View, offsets: Labels, labels: Labels) -> Floats:
    """How far the colours of copies are from what goes on smoothly around a hole (h, w, m).

    What is around it may be rough; what is no further from its own colours costs nothing. So a
    wall keeps its joints, and no objects stand in skies.
    """
    box, known = box_of(seen.hole), ~seen.unknown
    around = wider(box, _LEAST_REACH, seen.hole.shape)
    photo = torch.from_numpy(seen.photo[around]).permute(2, 0, 1)[None]
    unknown = torch.from_numpy(seen.unknown[around])[None, None].float()
    goes_on = seen.photo.copy()
    goes_on[around] = thin_plate(photo, unknown)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    wanted = np.asarray(cv2.GaussianBlur(goes_on, (0, 0), _SOFT), np.float32)
    soft = blurred(seen.photo, known, _SOFT)
    colours, _ = Copies(soft, wanted, seen.closed, offsets, seen.laid).at(box, labels)
    ring = wider(box, _RING, seen.hole.shape)
    rough = np.square(soft - blurred(seen.photo, known, _SOFTER))[ring][known[ring]].sum(1)
    usual = _USUAL * rough.mean() if len(rough) else 0.0
    off = np.square(colours - wanted[box][:, :, None]).sum(3)
    return np.asarray(np.maximum(off - usual, 0), np.float32)


def _redrawn(seen: View, copies: Copies, labels: Labels) -> Labels:
    """Labels (h, w) of a smaller picture, in a larger one: each pixel has one that is nearby."""
    box, used = box_of(seen.hole), np.unique(labels)
    soft = [cv2.GaussianBlur((labels == label).astype(np.float32), (0, 0), _NEAR) for label in used]
    shares = np.stack([enlarged(share, box, seen.hole.shape) for share in soft], 2)
    nearest = np.argsort(-shares, 2, kind="stable")[..., :_NEAREST]
    candidates = used[nearest]
    far = np.take_along_axis(shares, nearest, 2) < _FAINT
    costs = _rim_costs(seen, copies, candidates) + np.float32(_UNKNOWN) * far
    against, _ = outvoted(seen.laid, box)
    every = np.pad(against, ((0, 0), (0, 0), (0, copies.count + 1 - against.shape[2])))
    costs += np.take_along_axis(every, candidates, 2)
    return _seamless(seen, copies, candidates, costs)


def _rim_costs(seen: View, copies: Copies, candidates: Labels) -> Floats:
    """What it costs to take each of its candidates at a pixel of a hole's box (h, w, m).

    At the hole's border it is what a copy shows just beyond it, against what is known there.
    """
    box = box_of(seen.hole)
    known, photo = np.pad(~seen.unknown, 1), np.pad(seen.photo, ((1, 1), (1, 1), (0, 0)))
    _, shown = copies.at(box, candidates)
    costs: Floats = np.where(shown, np.float32(0), np.float32(_UNKNOWN))
    for down, right in _SIDES:
        there, beyond = copies.at(box, candidates, down, right)
        rows, columns = (
            slice(part.start + 1 + step, part.stop + 1 + step)
            for part, step in zip(box, (down, right), strict=True)
        )
        off = np.square(there - photo[rows, columns][:, :, None]).sum(3)
        costs += _SEAM * off * (beyond & known[rows, columns][..., None])
    costs[np.broadcast_to(candidates == copies.count, costs.shape)] = _NO_PICTURE
    return costs


def _seamless(seen: View, copies: Copies, candidates: Labels, costs: Floats) -> Labels:
    """Which candidate each pixel (h, w) takes."""
    box = box_of(seen.hole)
    best: Labels = least_seams(
        torch.from_numpy(costs),
        lambda down, right: torch.from_numpy(copies.at(box, candidates, down, right)[0]),
        torch.from_numpy(seen.hole[box]),
        _SEAM,
    ).numpy()
    labels = np.full(seen.hole.shape, copies.count)
    every = np.broadcast_to(candidates, costs.shape)
    labels[box] = np.take_along_axis(every, best[..., None], 2)[..., 0]
    return spread(labels, seen.hole)


def _at_full_size(
    photo: Floats,
    unknown: Holes,
    rim: Holes,
    offsets: Labels,
    labels: Labels,
    laid: Sequence[Laid],
) -> Labels:
    """Offsets (n, 2) of a reduced photo to the pixel, by what is known around the hole.

    Each is tried as it may be before rounding; the rim where its copy is taken tells, or all of it.
    """
    scales = np.divide(labels.shape, rim.shape)
    reach = math.ceil(0.5 / scales.min())
    tries = np.argwhere(np.ones((2 * reach + 1, 2 * reach + 1))) - reach
    tries = tries[np.argsort(np.abs(tries).sum(1), kind="stable")]
    points = np.argwhere(rim)
    count = max(_FEWEST, _POINTS // len(tries))
    points = np.random.default_rng(0).permutation(points)[:count]
    small = np.minimum((points * scales).astype(np.int64), np.array(labels.shape) - 1)
    owners = labels[tuple(small.T)]
    found = np.rint(offsets / scales).astype(np.int64)
    for label in np.intersect1d(labels, np.arange(len(found))):
        mine = points[owners == label]
        here = mine if len(mine) >= _FEWEST else points
        there = here + found[label] + tries[:, None]  # (tries, points, 2)
        inside = ((there >= 0) & (there < rim.shape)).all(2)
        rows, columns = np.moveaxis(np.where(inside[..., None], there, 0), 2, 0)
        copied, closed = laid[label][:2] if label < len(laid) else (photo, unknown)
        seen = inside & ~closed[rows, columns]
        off = np.square(copied[rows, columns] - photo[tuple(here.T)]).sum(2) * seen
        counts = seen.sum(1)
        means = np.where(counts >= _FEWEST, off.sum(1) / np.maximum(counts, 1), np.inf)
        found[label] += tries[np.argmin(means)]
    return found


def _enlarged(
    labels: Labels, shift: Floats, box: Box, shape: tuple[int, ...]
) -> tuple[Labels, Floats]:
    """Labels, and what is told of each pixel (h, w, C), in a box of a larger picture."""
    size = [part.stop - part.start for part in box]
    most, owners = np.zeros(size, np.float32), np.zeros(size, np.int64)
    out = np.zeros((*size, shift.shape[2]), np.float32)
    for label in np.unique(labels):
        mine = (labels == label).astype(np.float32)
        share = enlarged(mine, box, shape)
        owned = share > most
        total = enlarged(shift * mine[..., None], box, shape)
        most[owned], owners[owned] = share[owned], label
        out[owned] = total[owned] / share[owned][:, None]
    return owners, out


def _dilated(hole: Holes, pixels: int) -> Holes:
    return cv2.dilate(hole.view(np.uint8), _SQUARE, iterations=pixels).view(np.bool_)
