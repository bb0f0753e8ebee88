"""Hidden faces taken from another photo of the same moment.

Whoever photographs people does so more than once: a second later the hand is gone, and the eyes are
open. What networks paint of a mouth is a likeness; the mouth itself stands in the other photo, a
few pixels away. Where, dense optical flow tells of what both photos show (Kroeger et al. 2016, Fast
Optical Flow using Dense Inverse Search), and it goes on into the hole like the plate that bends
least. Whether it is the same moment fine detail tells: hair, brows and folds of the same face on
another day do not fall together.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..thin_plate import thin_plate
from .frames import Floats
from .views import Holes, blurred

_GLANCE: Final = 64  # pixels of a square's side at which most strangers are told
_LOOK: Final = 128  # pixels of its side at which it is told whether it is the same moment
_SIDE: Final = 256  # pixels of its side at which flow is refined; more add nothing that is seen
_ROUNDS: Final = 2  # of flow, at each of these sizes
_FINEST: Final = 1  # level of the flow's pyramid: half the square's size
_CALM: Final = 0.03  # of the side: flow that changes within less is noise
_FINE: Final = 0.025  # of the side: what is smaller is fine detail
_BESIDE: Final = 0.02  # of the side: nearer to a hole there may be stains
_AROUND: Final = 0.08  # of the side around a hole, in which a copy must meet what is known
_FACE: Final = ((0.5, 0.55), (0.42, 0.48))  # middle and half axes of a face in its square
_SEEN: Final = 0.15  # of the face at the least must be known
_SAME: Final = 0.7  # least correlation of fine detail in photos of the same moment
_OFF: Final = 0.03  # of white: most difference of their brightness
_MAYBE: Final = (0.45, 0.06)  # both at a glance: nine in ten strangers have less or more
_PLAIN: Final = 0.01  # of white: less difference of their brightness tells without any detail
_GAIN: Final = 1.6  # most that contrast is raised or lowered
_FAINT: Final = 0.004  # of white: contrast that counts as none
# A copy of the photo itself: what of 20 copies 17 have, cropped, scaled and stored again.
_SOFT: Final = 0.008  # of the side, blurred away: edges that lie a little beside
_NEARLY_ALL: Final = 0.99  # share of the known pixels that are compared
_COPY: Final = 0.03  # of white: most difference of these
_THERE: Final = 0.85  # least correlation in the hole: 0.63 is one in twenty photos that are none


class Moment(NamedTuple):
    """Another photo of the moment in which a face was photographed.

    Attributes:
        number: which of the photos that were looked at.
        flow: (S, S, 2), x and y: how far, in pixels of S, what a square's pixel shows lies from
            there in the other photo's square.
    """

    number: int
    flow: Floats


def same_moment(
    picture: Floats, hole: Holes, others: Sequence[Floats], given: Floats | None = None
) -> Moment | None:
    """Look for the photo of the same moment; None if there is none.

    Args:
        picture: (S, S, 3) in [0, 1], a face in the frame that the networks know.
        hole: (S, S); what stands there is not used.
        others: (S, S, 3) each, faces in the same frame.
        given: (S, S, 3), the picture with what is to go, by which copies of it are known.
    """
    best, found = _SAME, None
    glance, look = (_Seen.of(picture, hole, min(len(hole), side)) for side in (_GLANCE, _LOOK))
    if look.sure.sum() < _SEEN * _face(len(look.hole)).sum():
        return None
    for number, other in enumerate(others):
        flow, alike, off = glance.beside(other, None)
        if alike < _MAYBE[0] or off > _MAYBE[1]:
            continue
        flow, alike, off = look.beside(other, flow)
        if alike < best or off > _OFF:
            continue
        if given is None or not _is_copy(given, look, other, flow):
            best, found = alike, Moment(number, flow)
    return found


def same_around(picture: Floats, hole: Holes, around: Holes, other: Floats) -> Moment | None:
    """What is around a face, in a photo of the same moment; None if it is another there.

    Args:
        picture: (S, S, 3) in [0, 1], a face's square and what is around it.
        hole: (S, S); what stands there is not used.
        around: (S, S), what of the picture must be the same.
        other: (s, s, 3), the same of the other photo.
    """
    small, ring = (_sized(one.astype(np.float32), _LOOK) > 0 for one in (hole, around))
    ring &= ~small
    if not ring.any():
        return None
    seen = _Seen(_sized(picture, _LOOK), small, ring, ring)
    flow, alike, off = seen.beside(other, None)
    if off > _OFF or (alike < _SAME and off > _PLAIN):
        return None
    return Moment(0, flow)


class _Seen(NamedTuple):
    """A face as large as it is looked at.

    Attributes:
        picture: (S, S, 3) in [0, 1].
        hole: (S, S).
        sure: (S, S), what of the face is known for sure.
        around: (S, S), and what around the hole is.
    """

    picture: Floats
    hole: Holes
    sure: Holes
    around: Holes

    @classmethod
    def of(cls, picture: Floats, hole: Holes, size: int) -> "_Seen":
        """A picture and its hole, made smaller."""
        small = _sized(hole.astype(np.float32), size) > 0
        beside = near(small)
        sure, around = _face(size) & ~beside, near(small, _AROUND) & ~beside
        return cls(_sized(picture, size), small, sure, around)

    def beside(self, other: Floats, flow: Floats | None) -> tuple[Floats, float, float]:
        """The flow to another photo, how fine detail correlates, and how far brightness is off."""
        size = len(self.hole)
        start = np.zeros((size, size, 2), np.float32) if flow is None else _scaled(flow, size)
        theirs = _sized(other, size)
        flow = _followed(self.picture, self.hole, theirs, start)
        both = _greys(self.picture, _lit(_moved(theirs, flow), self.picture, ~self.hole))
        off = max(_apart(both, self.sure), _apart(both, self.around))
        return flow, _likeness(both, self.hole, self.sure), off


def shown_then(moment: Moment, picture: Floats, hole: Holes, other: Floats) -> Floats:
    """The other photo's face, laid over this one, in its light.

    Args:
        moment: of this photo and the other one.
        picture: (R, R, 3) in [0, 1].
        hole: (R, R).
        other: (r, r, 3) in [0, 1], the other photo's square.

    Returns:
        (R, R, 3), about in [0, 1].
    """
    size = len(hole)
    side = min(size, _SIDE)
    theirs = _sized(other, size)
    small, small_hole = _sized(picture, side), _sized(hole.astype(np.float32), side) > 0
    flow = _followed(small, small_hole, _sized(theirs, side), _scaled(moment.flow, side))
    flow = _scaled(_extended(flow, small_hole), size)
    return _lit(_moved(theirs, flow), picture, ~hole)


def near(hole: Holes, share: float = _BESIDE) -> Holes:
    """A hole (S, S), and so much of the square's side around it, where it may leave a stain."""
    reach = 2 * round(share * len(hole)) + 1
    wider = cv2.dilate(hole.view(np.uint8), np.ones((reach, reach), np.uint8))
    return np.asarray(wider, np.uint8).view(np.bool_)


def _followed(picture: Floats, hole: Holes, other: Floats, flow: Floats) -> Floats:
    """The flow to another photo, a better one; in the hole it is what is beside it."""
    follow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    follow.setFinestScale(_FINEST)
    known, calm = ~hole, _CALM * len(hole)
    lit, still = _lit(other, picture, known), np.zeros_like(flow)
    for _ in range(_ROUNDS):
        moved = _moved(lit, flow)
        whole = np.where(hole[..., None], moved, picture)
        step = np.asarray(follow.calc(_grey(whole), _grey(moved), still), np.float32)
        step = blurred(step, known, calm)
        flow = _moved(flow, step) + step
    return flow


def _extended(flow: Floats, hole: Holes) -> Floats:
    """Flow that goes on into the hole as what is around it changes."""
    field, holes = torch.from_numpy(flow).permute(2, 0, 1)[None], torch.from_numpy(hole)[None, None]
    filled: Floats = thin_plate(field, holes.float())[0].permute(1, 2, 0).numpy()
    return filled


def _moved(picture: Floats, flow: Floats) -> Floats:
    """What a picture (S, S, C) shows where a flow (S, S, 2) leads to."""
    rows, columns = np.indices(flow.shape[:2], np.float32)
    there = columns + flow[..., 0], rows + flow[..., 1]
    moved = cv2.remap(picture, *there, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, np.float32)


def _lit(picture: Floats, wanted: Floats, known: Holes) -> Floats:
    """A picture with another one's mean and contrast of each channel, where that is known."""
    seen = known.view(np.uint8)
    (theirs, spread), (ours, wide) = (
        np.asarray(cv2.meanStdDev(one, mask=seen), np.float32)[..., 0] for one in (picture, wanted)
    )
    gain = ((wide + _FAINT) / (spread + _FAINT)).clip(1 / _GAIN, _GAIN)
    return np.asarray((picture - theirs) * gain + ours, np.float32)


def _is_copy(given: Floats, seen: _Seen, other: Floats, flow: Floats) -> bool:
    """Whether two photos are one, what is to go included: an album often holds that one, too."""
    size, hole = len(seen.hole), seen.hole
    ours = _sized(given, size)
    moved = _lit(_moved(_sized(other, size), _extended(flow, hole)), ours, ~hole)
    soft = cv2.GaussianBlur(_greys(ours, moved), (0, 0), _SOFT * size)
    off = np.abs(soft[..., 0] - soft[..., 1])[seen.sure | seen.around]
    one, two = ((grey - grey.mean()) / max(float(grey.std()), _FAINT) for grey in soft[hole].T)
    there = float((one * two).mean())
    return float(np.quantile(off, _NEARLY_ALL)) < _COPY and there > _THERE


def _face(size: int) -> Holes:
    """Where in its square a face is."""
    (x, y), (width, height) = _FACE
    rows, columns = ((axis + 0.5) / size for axis in np.ogrid[:size, :size])
    return np.asarray(((columns - x) / width) ** 2 + ((rows - y) / height) ** 2 < 1)


def _greys(picture: Floats, moved: Floats) -> Floats:
    """The brightness of two pictures, (S, S, 2)."""
    grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (picture, moved)]
    return np.stack(grey, axis=2, dtype=np.float32)


def _likeness(both: Floats, hole: Holes, sure: Holes) -> float:
    """How the fine detail of two pictures correlates."""
    fine = (both - blurred(both, ~hole, _FINE * len(hole)))[sure]  # (n, 2)
    ours, theirs = ((fine - fine.mean(axis=0)) / np.maximum(fine.std(axis=0), _FAINT)).T
    return float((ours * theirs).mean())


def _apart(both: Floats, where: Holes) -> float:
    """How far the brightness of two pictures is apart."""
    return float(np.abs(both[..., 0] - both[..., 1])[where].mean()) if where.any() else 0.0


def _grey(picture: Floats) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(np.rint(grey.clip(0, 1) * 255), np.uint8)


def _sized(picture: Floats, size: int) -> Floats:
    """A picture (s, s) or (s, s, C) as another square."""
    way = cv2.INTER_AREA if size < len(picture) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (size, size), interpolation=way), np.float32)


def _scaled(flow: Floats, size: int) -> Floats:
    """A flow in the pixels of a square of another size."""
    wider = cv2.resize(flow, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(wider * np.float32(size / len(flow)), np.float32)
