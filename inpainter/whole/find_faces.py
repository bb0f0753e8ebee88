"""Faces in whole photos, each as the frame that the networks were trained in.

dlib's frontal detector (the extra `faces`) or scikit-image's frontal cascade, which is always
there, finds them; a network turns and scales what it finds, and tells whether it is a face
(`framing`). Where a glance finds no face that holds most of a hole, the network looks for one
around it (`hidden`).
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ...data.images import Pixels
from ...errors import DependencyError
from ...index_build.faces import dlib_models
from ..checkpoint import load
from .boxes import box_of
from .frames import Frame, reduced
from .framing import Face, FramingNet, corrected, set_right
from .hidden import Bounds, hidden_faces

# Where the detectors' boxes lie, two corners each, in the frames that landmarks give: means over
# 299 and 288 of 300 whole photos (LFW). On the aligned crops boxes are cut off by the photo's edge.
_DLIB_BOX: Final = (0.4 + 0.8j, 198.1 + 198.4j)
_CASCADE_BOX: Final = (-9.9 - 26.0j, 206.1 + 190.0j)
# Of the size asked for: a face that is a little smaller is found as well, and taken for larger.
_CASCADE_MARGIN: Final = 2 / 3
# Few windows, one of which is enough: the network sets it right, or tells that it is none. Of 78
# faces in 55 photos they find 69 in a quarter of the time in which usual ones (1.1, 1, 3) find 68.
_CASCADE_STEPS: Final = {"scale_factor": 1.25, "step_ratio": 1.5, "min_neighbor_number": 1}

_FRAMING: Final = "framing"  # weights


class _Look(NamedTuple):
    """How closely to look: pixels of the photo's longer side, reduced, and of the smallest face."""

    side: int
    smallest: int


# dlib's detector knows faces of 80 pixels, and doubles the photo for smaller ones. A look takes
# time by the photo's area: the first two, which most faces need at most, a sixth of the last.
_GLANCE: Final = _Look(160, 80)
_LOOK: Final = _Look(256, 80)
_GAZE: Final = _Look(400, 40)
_SCAN: Final = _Look(1000, 40)  # a group of people

# Of dlib's detector: 0 misses half-hidden faces, -1 finds many that are none.
_THRESHOLD: Final = -0.6
# Log-odds. Of 88 boxes in 55 photos 78 hold a face, all but a blurred one above it; the others are
# below 4.
_SURE: Final = 5.0
# Log-odds of the whole of a square photo. Where nothing was found, and a box of 0.64 of its area is
# hidden, 88 of 100 aligned faces are above it, and 5 of 51 photos of things.
_LIKELY: Final = 1.0
# Of a person, in the face's frame: corners of a box.
_BODY: Final = np.array([-0.6 - 0.4j, 1.6 - 0.4j, 1.6 + 4j, -0.6 + 4j])
# With arms and legs. In three photos of a place, each with somebody in it, half of him was left of
# the narrower box; in a photo itself, the wider one would leave nothing to copy.
_ALL_OF_IT: Final = np.array([-1 - 0.6j, 2 - 0.6j, 2 + 8j, -1 + 8j])
_SQUARE: Final = 1.1  # a square photo's longer side over its shorter one, at most
_SAME: Final = 0.6  # sides, between the centres of what is one face


class FaceFinder(Protocol):
    """What finds faces, to be derived from; several threads may call it at once."""

    def __call__(self, photo: Pixels, hole: NDArray[np.bool_], smallest: int) -> list[Face]:
        """Find faces.

        Args:
            photo: uint8 RGB (H, W, 3), holes filled somehow.
            hole: (H, W): what of it is not to be believed.
            smallest: least size in pixels, 40 or 80; 80 is four times as quick.
        """

    def around(self, photo: Pixels, hole: NDArray[np.bool_]) -> list[Face]:
        """Find faces of which a hole leaves too little for a detector: see `hidden`; or none."""
        del photo, hole
        return []

    def is_face(self, photo: Pixels, hole: NDArray[np.bool_], frame: Frame) -> bool:
        """Whether a frame in which nothing was found may be a face's all the same; or no."""
        del photo, hole, frame
        return False


def default_finder() -> FaceFinder:
    """Make dlib's where it is installed, else scikit-image's."""
    try:
        return DlibFinder()
    except DependencyError:
        return CascadeFinder()


class _Convinced(FaceFinder):
    """A detector that says roughly where faces are, and a network that must be convinced."""

    def __init__(self) -> None:
        self._network = load(_FRAMING, FramingNet)

    def __call__(self, photo: Pixels, hole: NDArray[np.bool_], smallest: int) -> list[Face]:
        """Find faces: see `FaceFinder`."""
        return set_right(self._network, photo, hole, self.rough(photo, smallest))

    @abstractmethod
    def rough(self, photo: Pixels, smallest: int) -> list[Frame]:
        """Upright frames of what the detector takes for faces."""

    def around(self, photo: Pixels, hole: NDArray[np.bool_]) -> list[Face]:
        """Look for hidden faces: see `FaceFinder`."""
        return hidden_faces(self._network, photo, hole)

    def is_face(self, photo: Pixels, hole: NDArray[np.bool_], frame: Frame) -> bool:
        """Tell whether a frame may be a face's: see `FaceFinder`."""
        return corrected(self._network, photo, hole, [frame])[0].score > _LIKELY


class DlibFinder(_Convinced):
    """dlib's frontal detector (HOG)."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            DependencyError: dlib is not installed.
        """
        dlib_models()
        import dlib

        super().__init__()
        self._detector: Any = dlib.get_frontal_face_detector()
        self._idle: list[Any] = []  # copies: a detector serves one thread at a time

    def rough(self, photo: Pixels, smallest: int) -> list[Frame]:
        """Find faces: see `_Convinced`."""
        rough = []
        for box in self._boxes(photo, int(smallest < _GLANCE.smallest)):
            corners = complex(box.left(), box.top()), complex(box.right() + 1, box.bottom() + 1)
            rough.append(_frame_of_box(corners, _DLIB_BOX))
        return rough

    def _boxes(self, photo: Pixels, doubled: int) -> Any:  # noqa: ANN401 - dlib's own
        """Rectangles, by a detector that no other thread uses meanwhile."""
        try:
            detector = self._idle.pop()
        except IndexError:
            detector = deepcopy(self._detector)
        boxes, _, _ = detector.run(photo, doubled, _THRESHOLD)
        self._idle.append(detector)
        return boxes


class CascadeFinder(_Convinced):
    """scikit-image's cascade of local binary patterns."""

    def __init__(self) -> None:
        from skimage import data
        from skimage.feature import Cascade

        super().__init__()
        frontal: Any = data.lbp_frontal_face_cascade_filename  # skimage has no types
        self._cascade: Any = Cascade(frontal())

    def rough(self, photo: Pixels, smallest: int) -> list[Frame]:
        """Find faces: see `_Convinced`. Its boxes reach beyond the face, so photos are widened."""
        pad = max(photo.shape[:2]) // 4
        wide = cv2.copyMakeBorder(photo, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        least = round(_CASCADE_MARGIN * smallest)
        found = self._cascade.detect_multi_scale(
            wide, min_size=(least, least), max_size=wide.shape[:2], **_CASCADE_STEPS
        )
        rough = []
        for box in found:
            first = complex(box["c"] - pad, box["r"] - pad)
            last = first + complex(box["width"], box["height"])
            rough.append(_frame_of_box((first, last), _CASCADE_BOX))
        return rough


def _frame_of_box(box: tuple[complex, complex], mean: tuple[complex, complex]) -> Frame:
    """The upright frame in which a box lies where it does in the mean photo of 200 x 200."""
    side = 200 * (box[1] - box[0]).real / (mean[1] - mean[0]).real
    centre = (box[0] + box[1]) / 2
    return Frame(centre - side * (mean[0] + mean[1]) / 2 / 200, complex(side))


def search(
    photo: Pixels, hole: NDArray[np.bool_], finder: FaceFinder, look: _Look = _GAZE
) -> list[Face]:
    """The faces of a photo of any size, which is reduced to look for them.

    Args:
        photo: uint8 RGB (H, W, 3), the hole filled somehow.
        hole: (H, W).
        finder: the detector.
        look: how closely.
    """
    small, holes, scale = reduced(photo, hole, look.side / max(photo.shape[:2]))
    return [face.back(scale) for face in finder(small, holes, look.smallest)]


def find_faces(photo: Pixels, hole: NDArray[np.bool_], finder: FaceFinder) -> list[Frame]:
    """The faces that a hole touches, the surest first.

    The whole photo is searched at a reduced size for large faces, then what is around the hole for
    hidden ones; then the photo once or twice for smaller ones, and ever smaller surroundings of the
    hole, each at that size; until faces contain most of the hole. Where there are none, the whole
    of a square photo may be a face's, of which little is left.

    Args:
        photo: uint8 RGB (H, W, 3), the hole filled somehow.
        hole: (H, W).
        finder: the detector.
    """
    points = np.argwhere(hole)[:: max(1, int(hole.sum()) // 4096)]  # as many as are needed
    places = points[:, 1] + 0.5 + 1j * (points[:, 0] + 0.5)
    found: list[Face] = []
    faces: list[Face] = []
    for seen in _looks(photo, hole, finder):
        found += [face for face in seen if _inside(face.frame, places).any()]
        faces = _distinct(found)
        if faces and _share(faces, places) > 0.5:
            break
    return [face.frame for face in faces] or _portrait(photo, hole, finder)


def _portrait(photo: Pixels, hole: NDArray[np.bool_], finder: FaceFinder) -> list[Frame]:
    """The whole of a square photo, if it may be a face's."""
    height, width = hole.shape
    if max(hole.shape) > _SQUARE * min(hole.shape):
        return []
    small, holes, scale = reduced(photo, hole, _GLANCE.side / max(hole.shape))
    whole = Frame.about(complex(width, height) / 2, complex(min(hole.shape)))
    seen = Frame(whole.corner * scale, whole.side * scale)
    return [whole] if finder.is_face(small, holes, seen) else []


def _looks(photo: Pixels, hole: NDArray[np.bool_], finder: FaceFinder) -> Iterator[list[Face]]:
    """What one look after another finds."""
    whole, *closer = _surroundings(hole)
    yield _part(photo, hole, finder, *whole)
    yield finder.around(photo, hole)
    for box, look in closer:
        yield _part(photo, hole, finder, box, look)


def _part(
    photo: Pixels, hole: NDArray[np.bool_], finder: FaceFinder, box: Bounds, look: _Look
) -> list[Face]:
    """What is found in a part of a photo."""
    left, top, right, bottom = box
    part = slice(top, bottom), slice(left, right)
    seen = search(photo[part], hole[part], finder, look)
    return [face.back(1.0, complex(left, top)) for face in seen]


def surest_face(photo: Pixels, finder: FaceFinder) -> Frame | None:
    """The surest face of uint8 RGB (H, W, 3).

    Small ones only where there is no other.
    """
    nowhere = np.zeros(photo.shape[:2], np.bool_)
    for look in (_GLANCE, _GAZE):
        if faces := _distinct(search(photo, nowhere, finder, look)):
            return faces[0].frame
    return None


def all_faces(photo: Pixels, finder: FaceFinder) -> list[Frame]:
    """The faces of a photo without holes, uint8 RGB (H, W, 3), the surest first; small ones too."""
    nowhere = np.zeros(photo.shape[:2], np.bool_)
    return [face.frame for face in _distinct(search(photo, nowhere, finder, _SCAN))]


def people(
    photo: Pixels, hole: NDArray[np.bool_], finder: FaceFinder, *, widely: bool = False
) -> NDArray[np.bool_]:
    """Where people are, roughly: their faces, and what is beside and below.

    Args:
        photo: uint8 RGB (H, W, 3), the hole filled somehow.
        hole: (H, W).
        finder: the detector.
        widely: small ones too, and all of them.

    Returns:
        (H, W); of those who face the camera only.
    """
    there = np.zeros(hole.shape, np.uint8)
    look, body = (_SCAN, _ALL_OF_IT) if widely else (_GAZE, _BODY)
    for face in _distinct(search(photo, hole, finder, look)):
        corners = face.frame.corner + face.frame.side * body
        polygon = np.stack([corners.real, corners.imag], 1).round().astype(np.int32)
        cv2.fillConvexPoly(there, polygon, 1)
    return there.view(np.bool_)


def _surroundings(hole: NDArray[np.bool_]) -> list[tuple[Bounds, _Look]]:
    """Where to look, and how: the whole photo, then ever closer."""
    height, width = hole.shape
    rows, columns = box_of(hole)
    centre = ((columns.start + columns.stop - 1) / 2, (rows.start + rows.stop - 1) / 2)
    extent = max(part.stop - part.start for part in (rows, columns))
    larger = max(height, width) > _GLANCE.side
    looks = (_GLANCE, _LOOK, _GAZE) if larger else (_GLANCE, _GAZE)
    boxes = [((0, 0, width, height), look) for look in looks]
    side = max(height, width) / 3
    while side >= 1.5 * extent and side >= 2 * _GAZE.smallest:
        left, top = (max(0, int(c - side / 2)) for c in centre)
        box = (left, top, min(width, int(left + side)), min(height, int(top + side)))
        boxes.append((box, _GAZE))
        side /= 3
    return boxes


def _inside(frame: Frame, places: NDArray[np.complex128]) -> NDArray[np.bool_]:
    point = frame.inside(places)
    inside: NDArray[np.bool_] = (
        (point.real > 0) & (point.real < 1) & (point.imag > 0) & (point.imag < 1)
    )
    return inside


def _share(faces: Sequence[Face], places: NDArray[np.complex128]) -> float:
    """How much of the hole lies in some face's square."""
    return float(np.any([_inside(face.frame, places) for face in faces], axis=0).mean())


def _distinct(faces: Iterable[Face]) -> list[Face]:
    """What is surely a face, the surest first, each once."""
    kept: list[Face] = []
    sure = [face for face in faces if face.score > _SURE]
    for face in sorted(sure, key=lambda face: -face.score):
        twice = any(
            abs(face.frame.centre - other.frame.centre)
            < _SAME * max(abs(face.frame.side), abs(other.frame.side))
            for other in kept
        )
        if not twice:
            kept.append(face)
    return kept
