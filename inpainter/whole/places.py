"""Other photos of the same place: what stood behind a hole is what they show there.

A place is known again by its points (Lowe 2004, Distinctive Image Features from Scale-Invariant
Keypoints). What stands around a hole lies in a few planes, nearly, and each of them moves another
photo over this one in its own way (Hartley and Zisserman 2004, Multiple View Geometry, chapter 13).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ...data.images import Pixels
from .boxes import Box
from .find_faces import FaceFinder, people
from .frames import Floats, Frame, reduced
from .views import Holes, Laid, blurred

Points = NDArray[np.float32]
Plane = NDArray[np.float64]
"""A homography (3, 3) from another photo's points to this one's."""

_SIDE: Final = 640  # pixels of the longer side at which points are looked for
_POINTS: Final = 4000
_DISTINCT: Final = 0.8  # of the distance to the second nearest (Lowe 2004, section 7.1)
_OFF: Final = 2.0  # pixels of that size: so far is a point off its plane at most
_SURE: Final = 24  # points in a plane are no chance
_FEWEST: Final = 12  # of them around a hole are a plane of their own
_PLANES: Final = 2
_AROUND: Final = 1.0  # times the longer side of a hole's box is around it
_TRIES: Final = 5000
_EDGE: Final = 2  # pixels at its edges that are not taken
_SPREAD: Final = (0.1, 0.5, 0.9)  # quantiles that tell a photo's light
_LIGHT: Final = 0.02  # of white: less spread than that tells nothing
_GAIN: Final = 2.0
_STILL: Final = 0.002  # sides of a photo: another view is moved by more
_JPEG: Final = 2.0  # pixels: its blocks are blurred away,
_NEARLY_ALL: Final = 0.995  # and this share of a photo that was stored again
_STORED: Final = 25.0  # is not so far off, of 255: measured are 14 at quality 30, and 5 at 80


class Whole(NamedTuple):
    """A photo that may show the same place.

    Attributes:
        number: what it is called: its id.
        score: how similar the photos are, NaN if nobody asked.
        photo: uint8 RGB (h, w, 3).
        chosen: whether somebody chose it; else it may be the very photo that is to be painted.
    """

    number: int
    score: float
    photo: Pixels
    chosen: bool = False


class Seen(NamedTuple):
    """The points of a photo: x and y of each (n, 2), and what they look like (n, 128)."""

    places: Points
    looks: Floats


@dataclass(frozen=True, eq=False)
class Place:
    """A photo of the place that another one, with a hole, shows.

    Attributes:
        whole: the photo.
        barred: (h, w), what of it is not to be borrowed.
        here: (n, 2), x and y of points in the photo that has the hole;
        there: (n, 2), and where the same stand in this one.
        unit: pixels of the photo that has the hole, in one of those in which points are found.
    """

    whole: Whole
    barred: Holes
    here: Points
    there: Points
    unit: float

    def over(self, photo: Floats, known: Holes, box: Box, hole: Box) -> Iterator[Laid]:
        """What it shows in a box of the photo, in the photo's light, by each plane.

        Args:
            photo: (h, w, 3) in [0, 1], of the box.
            known: (h, w), which of it tells the light.
            box: of the whole photo.
            hole: where in the whole photo the hole is; points around it tell the planes.
        """
        size = box[1].stop - box[1].start, box[0].stop - box[0].start
        for plane in self._planes(hole):
            yield _lit(self._moved(_to(box) @ plane, size), photo, known)

    def shown(self, box: Box) -> Holes:
        """Which pixels of a box of the photo it shows (h, w), by the plane of all its points."""
        size = box[1].stop - box[1].start, box[0].stop - box[0].start
        return ~self._moved(_to(box) @ self._plane(), size).closed

    def cut(self, frame: Frame, size: int) -> Floats:
        """What it shows in a frame of the photo (S, S, 3) in [0, 1], in its own light."""
        turned = size / frame.side
        corner = -frame.corner * turned
        matrix = np.array(
            [
                [turned.real, -turned.imag, corner.real],
                [turned.imag, turned.real, corner.imag],
                [0, 0, 1],
            ]
        )
        return self._moved(matrix @ self._plane(), (size, size)).photo.clip(0, 1)

    def _plane(self) -> Plane:
        return _plane(self.here, self.there, self.unit)[0]

    def _planes(self, hole: Box) -> Iterator[Plane]:
        """That of all its points, and those around a hole."""
        here, there = self.here, self.there
        yield self._plane()
        reach = _AROUND * max(part.stop - part.start for part in hole)
        near = np.ones(len(here), np.bool_)
        for axis, part in enumerate(reversed(hole)):
            near &= (here[:, axis] > part.start - reach) & (here[:, axis] < part.stop + reach)
        here, there = here[near], there[near]
        for _ in range(_PLANES):
            if len(here) < _FEWEST:
                return
            plane, agreed = _plane(here, there, self.unit)
            if np.count_nonzero(agreed) < _FEWEST:
                return
            yield plane
            here, there = here[~agreed], there[~agreed]

    def _moved(self, plane: Plane, size: tuple[int, int]) -> Laid:
        """What it shows in a picture so wide and high."""
        middle = np.median(self.there, axis=0)
        steps = cv2.perspectiveTransform(middle + np.eye(3, 2, k=-1)[None], plane)[0]  # by a pixel
        length = np.sqrt(abs(np.linalg.det(steps[1:] - steps[0])))
        photo, barred, scale = reduced(self.whole.photo, self.barred, length)
        matrix = plane @ np.diag([1 / scale, 1 / scale, 1])
        there = ~barred
        there[:_EDGE] = there[-_EDGE:] = there[:, :_EDGE] = there[:, -_EDGE:] = False
        laid = cv2.warpPerspective(
            photo, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        shown = cv2.warpPerspective(there.view(np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
        return Laid(np.asarray(laid, np.float32) / np.float32(255), shown == 0)


def find_places(
    photo: Pixels, hole: Holes, wholes: Iterable[Whole], finder: FaceFinder, most: int
) -> list[Place]:
    """Those of some photos that show the place which a photo shows.

    Args:
        photo: uint8 RGB (H, W, 3).
        hole: (H, W).
        wholes: the photos.
        finder: finds the people in them, who are not to be borrowed.
        most: how many to keep.

    Returns:
        the surest first.
    """
    unit = max(1.0, max(hole.shape) / _SIDE)
    seen = points_of(photo, hole)
    kept: list[tuple[int, Place]] = []
    for whole in wholes:
        nowhere = np.zeros(whole.photo.shape[:2], np.bool_)
        here, there = same_points(seen, points_of(whole.photo, nowhere))
        if len(here) < _SURE:
            continue
        plane, agreed = _plane(here, there, unit)
        sure = int(agreed.sum())
        if sure < _SURE or not (whole.chosen or _is_another(photo, hole, whole.photo, plane)):
            continue
        barred = people(whole.photo, nowhere, finder)
        kept.append((sure, Place(whole, barred, here, there, unit)))
        kept = sorted(kept, key=lambda one: -one[0])[:most]
    return [place for _, place in kept]


def _is_another(photo: Pixels, hole: Holes, other: Pixels, plane: Plane) -> bool:
    """Whether two photos of a place are not one that was stored twice, with the same damage."""
    height, width = hole.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32)
    theirs = corners * np.divide(other.shape[1::-1], (width, height)).astype(np.float32)
    off = cv2.perspectiveTransform(theirs[None], plane)[0] - corners
    if np.abs(off).max() > _STILL * max(height, width):
        return True
    scale = min(1.0, _SIDE / max(height, width), other.shape[0] / height)
    small, holes, _ = reduced(photo, hole, scale)
    again = cv2.resize(other, holes.shape[::-1], interpolation=cv2.INTER_AREA)
    one, two = (blurred(part.astype(np.float32), ~holes, _JPEG) for part in (small, again))
    apart = np.quantile(np.abs(one - two).max(2)[~holes], _NEARLY_ALL)
    return bool(apart > _STORED)


def same_points(photo: Seen, other: Seen) -> tuple[Points, Points]:
    """Where points that look the same are in two photos (n, 2)."""
    none = np.empty((0, 2), np.float32)
    if min(len(photo.looks), len(other.looks)) < 2:
        return none, none
    matcher = cv2.BFMatcher()
    pairs = [
        (nearest.queryIdx, nearest.trainIdx)
        for nearest, next_one in matcher.knnMatch(photo.looks, other.looks, k=2)
        if nearest.distance < _DISTINCT * next_one.distance
    ]
    if not pairs:
        return none, none
    first, second = np.array(pairs).T
    return photo.places[first], other.places[second]


def points_of(photo: Pixels, hole: Holes) -> Seen:
    """The points of a photo (H, W, 3) by which it is known again, but those in its hole (H, W)."""
    small, holes, scale = reduced(photo, hole, _SIDE / max(hole.shape))
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    known = (~holes).view(np.uint8) * np.uint8(255)
    places, looks = cv2.SIFT.create(_POINTS).detectAndCompute(grey, known)
    if looks is None:
        return Seen(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32))
    looks = np.sqrt(looks / np.maximum(looks.sum(1, keepdims=True), 1e-6))
    found = (np.array([point.pt for point in places], np.float32) + 0.5) / scale - 0.5
    return Seen(found.astype(np.float32), looks.astype(np.float32))


def _plane(here: Points, there: Points, unit: float) -> tuple[Plane, Holes]:
    """The homography of most points (Barath et al. 2019, MAGSAC), and which these are (n,)."""
    plane, agreed = cv2.findHomography(
        there, here, cv2.USAC_MAGSAC, _OFF * unit, maxIters=_TRIES, confidence=0.999
    )
    if plane is None:
        return np.eye(3), np.zeros(len(here), np.bool_)
    return np.asarray(plane, np.float64), agreed.ravel() > 0


def _to(box: Box) -> Plane:
    """From a photo's points to those of a box of it."""
    return np.array([[1, 0, -box[1].start], [0, 1, -box[0].start], [0, 0, 1]], np.float64)


def _lit(laid: Laid, photo: Floats, known: Holes) -> Laid:
    """The same in a photo's light: in each channel the same quantiles where both are known."""
    both = known & ~laid.closed
    if not both.any():
        return laid
    theirs, ours = (np.quantile(part[both], _SPREAD, axis=0) for part in (laid.photo, photo))
    gain = (ours[2] - ours[0] + _LIGHT) / (theirs[2] - theirs[0] + _LIGHT)
    lit = (laid.photo - theirs[1]) * gain.clip(1 / _GAIN, _GAIN) + ours[1]
    return laid._replace(photo=np.asarray(lit, np.float32))
