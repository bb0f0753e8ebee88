"""Other photos of the same place: what stood behind a hole is what they show there.

A place is known again by its points (Lowe 2004, Distinctive Image Features from Scale-Invariant
Keypoints). What stands around a hole lies in a few planes, nearly, and each of them moves another
photo over this one in its own way (Hartley and Zisserman 2004, Multiple View Geometry, chapter 13).
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np

from ...data.images import Pixels
from ...errors import ImageError
from .boxes import Box
from .each import for_each
from .find_faces import FaceFinder, people
from .frames import Floats, Frame, reduced
from .points import Plane, Points, Seen, plane_of, points_of, same_points, unit_of
from .tone import has_tone
from .views import Holes, Laid, resized

_logger = logging.getLogger(__name__)

_SURE: Final = 24  # points that agree on a plane: so many never do by chance
_FEWEST: Final = 12  # points around a hole that make a plane of their own
_PLANES: Final = 2  # planes around a hole that are looked for
_AROUND: Final = 1.0  # longer sides of a hole's box: so far around it its points are
_ZOOM: Final = 6.0  # times larger or smaller at most; more comes of wrong points
_SHARPER: Final = 1.5  # times a photo's apparent size that is kept: what is nearer appears larger
_HALF: Final = 0.5 + 0.5j  # from OpenCV's whole numbers to pixel centres
_EDGE: Final = 2  # pixels at a photo's edges that are not taken
_SPREAD: Final = (0.1, 0.5, 0.9)  # quantiles that tell a photo's light
_LIGHT: Final = 0.02  # of white: a smaller spread of these tells nothing
_GAIN: Final = 2.0  # most that light is raised or lowered
_SAMPLES: Final = 100_000  # pixels that light is told by
_FINE: Final = 1.5  # pixels: what is smoother is light, not sharpness
_COLOURS: Final = 4.0  # pixels: colours are not so sharp as brightness
_FAINT: Final = 1e-6
_CELLS: Final = 48  # along a photo, whose brightness is compared
_MOSTLY: Final = 0.5  # of a cell must be seen in both
_ALIKE: Final = 0.7  # least correlation: 0.81 in 29 of 30 pairs, 0.51 with the same caption
# A copy of the photo itself.
_STILL: Final = 0.002  # sides of a photo: corners of a copy, cropped or scaled, are no further off
_BLURRED: Final = 2.0  # pixels, blurred away: blocks of JPEG, and edges a little beside
_RIM: Final = 9  # pixels wide: edges of hole and photo, which are not compared
_CURVE: Final = 3  # degree of the curve that takes one photo's light to the other's
_NEARLY_ALL: Final = 0.995  # share of the pixels that are compared
_SAME: Final = 45.0  # of 255: most difference of these. Copies of other light or size have 33,
# frames of a film by a camera that stands 112, an undamaged copy in the hole 113.


class Whole(NamedTuple):
    """A photo that may show the same place.

    Attributes:
        number: what it is called: its id.
        score: how similar the photos are, NaN if nobody asked.
        read: reads it: uint8 RGB (h, w, 3).
        chosen: whether somebody chose it, who is told if it cannot be used.
        name: what to call it then.
    """

    number: int
    score: float
    read: Callable[[], Pixels]
    chosen: bool = False
    name: str = "a reference"


@dataclass(frozen=True, eq=False)
class Place:
    """A photo of the place that another one, with a hole, shows.

    Attributes:
        number: its id.
        score: how similar the photos are, NaN if nobody asked.
        photo: uint8 RGB (h, w, 3), little larger than it appears in the other one, or smaller.
        open: (h, w), what of it may be borrowed.
        here: (n, 2), x and y of points in the photo that has the hole;
        there: (n, 2), and where the same stand in this one.
        plane: the homography of most of these points.
        unit: pixels of the photo that has the hole, in one of those in which points are found.
        grey: whether it has no colours, which are then those around the hole.
    """

    number: int
    score: float
    photo: Pixels
    open: Holes
    here: Points
    there: Points
    plane: Plane
    unit: float
    grey: bool = False

    def over(self, photo: Floats, known: Holes, box: Box, hole: Box) -> Iterator[Laid]:
        """What it shows in a box of the photo, in the photo's light, by each plane.

        Args:
            photo: (h, w, 3) in [0, 1], of the box.
            known: (h, w), which of it tells the light.
            box: of the whole photo.
            hole: where in the whole photo the hole is; points around it tell the planes.
        """
        detail, enlarged = _detail(photo), _length(self.plane, self.there)
        for plane in self._planes(hole):
            matrix = _to(box) @ plane
            moved = np.asarray(self._moved(matrix, known.shape), np.float32) / np.float32(255)
            if self.grey:
                moved = _coloured(moved, photo)
            laid = Laid(moved, ~self._shown(matrix, known.shape))
            yield _lit(laid, photo, detail, known, max(1.0, min(_GAIN, _GAIN / enlarged)))

    def shown(self, box: Box) -> Holes:
        """Which pixels of a box of the photo it shows (h, w), by the plane of most points."""
        shape = tuple(part.stop - part.start for part in box)
        return self._shown(_to(box) @ self.plane, shape)

    def cut(self, frame: Frame, size: int) -> Pixels:
        """What it shows in a frame of the photo: uint8 (S, S, 3)."""
        corner, step = frame.corner, frame.side / size
        first = corner + step * _HALF - _HALF
        there = [[step.real, -step.imag, first.real], [step.imag, step.real, first.imag], [0, 0, 1]]
        return self._moved(np.linalg.inv(np.array(there)) @ self.plane, (size, size))

    def _planes(self, hole: Box) -> Iterator[Plane]:
        """That of most points, and those around a hole."""
        yield self.plane
        reach = _AROUND * max(part.stop - part.start for part in hole)
        near = np.ones(len(self.here), np.bool_)
        for axis, part in enumerate(reversed(hole)):
            place = self.here[:, axis]
            near &= (place > part.start - reach) & (place < part.stop + reach)
        here, there = self.here[near], self.there[near]
        for _ in range(_PLANES):
            plane, agreed = plane_of(here, there, self.unit)
            if np.count_nonzero(agreed) < _FEWEST:
                return
            if 1 / _ZOOM < _length(plane, there[agreed]) < _ZOOM:
                yield plane
            here, there = here[~agreed], there[~agreed]

    def _moved(self, matrix: Plane, shape: tuple[int, ...]) -> Pixels:
        moved = cv2.warpPerspective(
            self.photo, matrix, shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(moved, np.uint8)

    def _shown(self, matrix: Plane, shape: tuple[int, ...]) -> Holes:
        there = self.open.view(np.uint8)
        shown = cv2.warpPerspective(there, matrix, shape[::-1], flags=cv2.INTER_NEAREST) > 0
        # What would lie behind the camera is mirrored into the picture.
        back, (rows, columns) = np.linalg.inv(matrix)[2], np.ogrid[: shape[0], : shape[1]]
        side = matrix[2] @ [*np.median(self.there, axis=0), 1]
        return np.asarray(shown & ((back[0] * columns + back[1] * rows + back[2]) * side > 0))


def find_places(
    photo: Pixels,
    hole: Holes,
    given: Pixels,
    wholes: Sequence[Whole],
    finder: FaceFinder,
    most: int,
) -> list[Place]:
    """Those of some photos that show the place which a photo shows.

    Args:
        photo: uint8 RGB (H, W, 3), the hole filled somehow.
        hole: (H, W).
        given: the photo with what stood in the hole, by which copies of it are known.
        wholes: the photos.
        finder: finds the people in them, who are not to be borrowed.
        most: how many to keep.

    Returns:
        the surest first.

    Raises:
        ImageError: one that somebody chose cannot be read; others are left out, and the
            first is told of.
    """
    seen = points_of(photo, hole)

    unread: list[ImageError] = []

    def find(whole: Whole) -> tuple[int, Place] | None:
        try:
            return _found(photo, hole, given, seen, whole, finder)
        except ImageError as error:
            if whole.chosen:
                raise
            unread.append(error)
            return None

    found = [one for one in for_each(find, [(whole,) for whole in wholes]) if one]
    if unread:
        more = f" (so are {len(unread) - 1} more)" if len(unread) > 1 else ""
        _logger.warning("%s%s", unread[0], more)
    return [place for _, place in sorted(found, key=lambda one: -one[0])[:most]]


def _found(
    photo: Pixels, hole: Holes, given: Pixels, seen: Seen, whole: Whole, finder: FaceFinder
) -> tuple[int, Place] | None:
    """How many points agree that a photo shows the same place, and how it does."""
    unit, other = unit_of(hole.shape), whole.read()
    nowhere = np.zeros(other.shape[:2], np.bool_)
    here, there = same_points(seen, points_of(other, nowhere))
    plane, agreed = plane_of(here, there, unit)
    length = _length(plane, there)
    if np.count_nonzero(agreed) < _SURE or not 1 / _ZOOM < length < _ZOOM:
        return None
    if _is_copy(given, hole, other, plane, length):
        if whole.chosen:
            _logger.warning(
                "%s: expected another photo, found a copy of the one that is painted: it shows "
                "what is to go, and nothing is borrowed from it",
                whole.name,
            )
        return None
    barred = people(other, nowhere, finder, widely=True)
    small, barred, scale = reduced(other, barred, _SHARPER * length)
    barred[:_EDGE] = barred[-_EDGE:] = barred[:, :_EDGE] = barred[:, -_EDGE:] = True
    there = np.asarray((there + 0.5) * scale - 0.5, np.float32)
    plane, agreed = plane_of(here, there, unit)
    place = Place(
        whole.number,
        whole.score,
        small,
        ~barred,
        here,
        there,
        plane,
        unit,
        has_tone(other),
    )
    return (int(agreed.sum()), place) if _alike(photo, hole, place) else None


def _alike(photo: Pixels, hole: Holes, place: Place) -> bool:
    """Whether what lies beneath looks the same, not a caption alone, or the frame of an album."""
    small, holes, scale = reduced(photo, hole, 1 / place.unit)
    matrix = np.diag([scale, scale, 1]) @ place.plane
    both = np.asarray(place._shown(matrix, holes.shape) & ~holes, np.float32)
    side = max(holes.shape) / _CELLS
    shape = tuple(max(1, round(length / side)) for length in holes.shape)
    share = resized(both, shape)
    cells = [
        resized(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) * both, shape)[share > _MOSTLY]
        / share[share > _MOSTLY]
        for one in (small, place._moved(matrix, holes.shape))
    ]
    spread = [max(float(one.std()), _FAINT) if len(one) else 0.0 for one in cells]
    if not all(spread):
        return False
    centred = [(one - one.mean()) / off for one, off in zip(cells, spread, strict=True)]
    return float((centred[0] * centred[1]).mean()) > _ALIKE


def _length(plane: Plane, there: Points) -> float:
    """How long a step of a pixel, in the middle of some points, is in the other photo."""
    if not len(there):
        return 0.0
    corner = np.median(there, axis=0) + np.array([[0, 0], [1, 0], [0, 1]])
    first, right, below = cv2.perspectiveTransform(corner[None], plane)[0]
    return math.sqrt(max(0.0, float(np.linalg.det([right - first, below - first]))))


def _is_copy(photo: Pixels, hole: Holes, other: Pixels, plane: Plane, length: float) -> bool:
    """Whether two photos are one, cropped, scaled, turned or in other light, its hole included.

    An undamaged copy of a photo differs in the hole, another view of a place elsewhere.
    """
    height, width = hole.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32)
    theirs = cv2.perspectiveTransform(corners[None], np.linalg.inv(plane))[0]
    here, there = ((part - part.mean(0)) @ np.array([1, 1j]) for part in (corners, theirs))
    turned = np.vdot(there, here) / np.vdot(there, there)
    if np.abs(turned * there - here).max() > _STILL * max(height, width):
        return False
    small, holes, scale = reduced(photo, hole, 1 / unit_of(hole.shape))
    again, _, less = reduced(other, np.zeros(other.shape[:2], np.bool_), length * scale)
    matrix = np.diag([scale, scale, 1]) @ plane @ np.diag([1 / less, 1 / less, 1])
    one, two = (cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) for part in (small, again))
    two = cv2.warpPerspective(two, matrix, holes.shape[::-1])
    there = cv2.warpPerspective(np.ones_like(again[..., 0]), matrix, holes.shape[::-1])
    soft = [cv2.GaussianBlur(part.astype(np.float32), (0, 0), _BLURRED) for part in (one, two)]
    rim = np.ones((_RIM, _RIM), np.uint8)
    shown = cv2.erode(there, rim, borderValue=0) > 0
    known = shown & ~(cv2.dilate(holes.view(np.uint8), rim) > 0)
    if not (known.any() and (shown & holes).any()):
        return False
    levels = soft[1][known]
    curve = np.polynomial.Polynomial.fit(levels, soft[0][known], _CURVE)
    off = np.abs(curve(soft[1].clip(levels.min(), levels.max())) - soft[0])
    return all(np.quantile(off[part], _NEARLY_ALL) < _SAME for part in (known, shown & holes))


def _to(box: Box) -> Plane:
    """From a photo's points to those of a box of it."""
    return np.array([[1, 0, -box[1].start], [0, 1, -box[0].start], [0, 0, 1]], np.float64)


def _detail(photo: Floats) -> Floats:
    return np.asarray(photo - cv2.GaussianBlur(photo, (0, 0), _FINE), np.float32)


def _coloured(grey: Floats, photo: Floats) -> Floats:
    """The brightness of one and the colours of the other, whose hole is filled smoothly."""
    colours = photo - photo.mean(2, keepdims=True)
    soft = cv2.GaussianBlur(colours, (0, 0), _COLOURS)
    return np.asarray(grey.mean(2, keepdims=True) + soft, np.float32)


def _lit(laid: Laid, photo: Floats, wanted: Floats, known: Holes, sharpest: float) -> Laid:
    """The same in a photo's light, and as sharp, but no more than so many times sharper.

    In each channel it has the same quantiles where both are known, and then the same energy of
    detail: 25 pairs of views come from 0.73 of the truth's sharpness in a hole to 0.86 so.
    """
    there = np.flatnonzero(known & ~laid.closed)
    if not len(there):
        return laid
    both = np.unravel_index(there[:: max(1, len(there) // _SAMPLES)], known.shape)
    theirs, ours = (np.quantile(part[both], _SPREAD, axis=0) for part in (laid.photo, photo))
    gain = (ours[2] - ours[0] + _LIGHT) / (theirs[2] - theirs[0] + _LIGHT)
    lit = np.asarray((laid.photo - theirs[1]) * gain.clip(1 / _GAIN, _GAIN) + ours[1], np.float32)
    detail = _detail(lit)
    most = max(float(np.square(detail[both]).mean()), _FAINT)
    sharper = math.sqrt(float(np.square(wanted[both]).mean()) / most)
    sharper = min(max(sharper, 1 / _GAIN), sharpest)
    return laid._replace(photo=np.asarray(lit + (sharper - 1) * detail, np.float32))
