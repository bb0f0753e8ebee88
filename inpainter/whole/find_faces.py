"""Faces in whole photos, each as the frame that the networks were trained in.

dlib's frontal detector (the extra `faces`) or scikit-image's frontal cascade, which is always
there, finds them; a network turns and scales what it finds (`framing`).
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ...data.images import Pixels
from ...errors import DependencyError
from ...index_build.faces import dlib_models
from ..checkpoint import load
from .frames import Frame
from .framing import FramingNet, set_right

# Where the detectors' boxes lie, two corners each, in the frames that landmarks give: means over
# 299 and 288 of 300 whole photos (LFW). On the aligned crops boxes are cut off by the photo's edge.
_DLIB_BOX: Final = (0.4 + 0.8j, 198.1 + 198.4j)
_CASCADE_BOX: Final = (-9.9 - 26.0j, 206.1 + 190.0j)
# Of the size asked for: a face that is a little smaller is found as well, and taken for larger.
_CASCADE_MARGIN: Final = 2 / 3
# Windows that must agree. Of 150 faces with a box over them 4, as is usual, miss 29, 3 miss 22, and
# 2 miss 15; in 60 photos of no people they find 2, 7 and 16 faces, dlib 9.
_CASCADE_WINDOWS: Final = 3

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
_SURE: Final = -0.3  # below it, what is no face is as frequent as a hidden one
_CERTAIN: Final = 0.2  # where nothing hides a face: all of 100 are above it, what is none below
_SAME: Final = 0.6  # sides, between the centres of what is one face


class Face(NamedTuple):
    """A face in a photo.

    Attributes:
        frame: its square.
        score: how sure the detector is; comparable within one photo only.
    """

    frame: Frame
    score: float


class FaceFinder(Protocol):
    """A detector; several threads may call it at once."""

    def __call__(self, photo: Pixels, hole: NDArray[np.bool_], smallest: int) -> list[Face]:
        """Find faces.

        Args:
            photo: uint8 RGB (H, W, 3), holes filled somehow.
            hole: (H, W): what of it is not to be believed.
            smallest: least size in pixels, 40 or 80; 80 is four times as quick.
        """


def default_finder() -> FaceFinder:
    """Make dlib's where it is installed, else scikit-image's."""
    try:
        return DlibFinder()
    except DependencyError:
        return CascadeFinder()


class DlibFinder:
    """dlib's frontal detector (HOG)."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            DependencyError: dlib is not installed.
        """
        dlib_models()
        import dlib

        self._detector: Any = dlib.get_frontal_face_detector()
        self._idle: list[Any] = []  # copies: a detector serves one thread at a time
        self._network = load(_FRAMING, FramingNet)

    def __call__(self, photo: Pixels, hole: NDArray[np.bool_], smallest: int) -> list[Face]:
        """Find faces: see `FaceFinder`."""
        boxes, scores = self._boxes(photo, int(smallest < _GLANCE.smallest))
        rough = []
        for box in boxes:
            corners = complex(box.left(), box.top()), complex(box.right() + 1, box.bottom() + 1)
            rough.append(_frame_of_box(corners, _DLIB_BOX))
        return _faces(self._network, photo, hole, rough, scores)

    def _boxes(self, photo: Pixels, doubled: int) -> tuple[Any, Any]:
        """Rectangles and their scores, by a detector that no other thread uses meanwhile."""
        try:
            detector = self._idle.pop()
        except IndexError:
            detector = deepcopy(self._detector)
        boxes, scores, _ = detector.run(photo, doubled, _THRESHOLD)
        self._idle.append(detector)
        return boxes, scores


class CascadeFinder:
    """scikit-image's cascade of local binary patterns."""

    def __init__(self) -> None:
        from skimage import data
        from skimage.feature import Cascade

        self._network = load(_FRAMING, FramingNet)
        frontal: Any = data.lbp_frontal_face_cascade_filename  # skimage has no types
        self._cascade: Any = Cascade(frontal())

    def __call__(self, photo: Pixels, hole: NDArray[np.bool_], smallest: int) -> list[Face]:
        """Find faces: see `FaceFinder`. Its boxes reach beyond the face, so photos are widened."""
        pad = max(photo.shape[:2]) // 4
        wide = cv2.copyMakeBorder(photo, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        least = round(_CASCADE_MARGIN * smallest)
        found = self._cascade.detect_multi_scale(
            wide,
            scale_factor=1.1,
            step_ratio=1,
            min_size=(least, least),
            max_size=wide.shape[:2],
            min_neighbor_number=_CASCADE_WINDOWS,
        )
        rough = []
        for box in found:
            first = complex(box["c"] - pad, box["r"] - pad)
            last = first + complex(box["width"], box["height"])
            rough.append(_frame_of_box((first, last), _CASCADE_BOX))
        return _faces(self._network, photo, hole, rough, [box["width"] for box in found])


def _faces(
    network: FramingNet,
    photo: Pixels,
    hole: NDArray[np.bool_],
    rough: Sequence[Frame],
    scores: Iterable[float],
) -> list[Face]:
    """Faces of rough frames."""
    frames = set_right(network, photo, hole, rough)
    return [Face(frame, float(score)) for frame, score in zip(frames, scores, strict=True)]


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
    scale = min(1.0, look.side / max(photo.shape[:2]))
    size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    holes = cv2.resize(hole.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return [
        Face(Frame(frame.corner / scale, frame.side / scale), score)
        for frame, score in finder(small, holes.view(np.bool_), look.smallest)
    ]


def find_faces(photo: Pixels, hole: NDArray[np.bool_], finder: FaceFinder) -> list[Frame]:
    """The faces that a hole touches, the surest first.

    The whole photo is searched at a reduced size for large faces, then twice for smaller ones, then
    ever smaller surroundings of the hole, each at that size, until sure faces contain most of it.

    Args:
        photo: uint8 RGB (H, W, 3), the hole filled somehow.
        hole: (H, W).
        finder: the detector.
    """
    points = np.argwhere(hole)[:: max(1, int(hole.sum()) // 4096)]  # as many as are needed
    places = points[:, 1] + 0.5 + 1j * (points[:, 0] + 0.5)
    found: list[Face] = []
    for (left, top, right, bottom), look in _surroundings(hole):
        part = slice(top, bottom), slice(left, right)
        found += [
            Face(frame._replace(corner=frame.corner + complex(left, top)), score)
            for frame, score in search(photo[part], hole[part], finder, look)
        ]
        faces = _distinct(found, places)
        sure = [face for face in faces if face.score > _SURE]
        if sure and _share(sure, places) > 0.5:
            break
    return [face.frame for face in faces]


def surest_face(photo: Pixels, finder: FaceFinder) -> Frame | None:
    """The face of uint8 RGB (H, W, 3) that a detector is surest of.

    Small ones only where there is no other.
    """
    nowhere = np.zeros(photo.shape[:2], np.bool_)
    for look in (_GLANCE, _GAZE):
        if faces := search(photo, nowhere, finder, look):
            return max(faces, key=lambda face: face.score).frame
    return None


def all_faces(photo: Pixels, finder: FaceFinder) -> list[Frame]:
    """The faces of a photo without holes, uint8 RGB (H, W, 3), the surest first; small ones too.

    Where a detector is certain of none, the one that it is surest of, if it is sure.
    """
    nowhere = np.zeros(photo.shape[:2], np.bool_)
    found = sorted(search(photo, nowhere, finder, _SCAN), key=lambda face: -face.score)
    sure = [face.frame for face in found if face.score > _SURE]
    return [face.frame for face in found if face.score > _CERTAIN] or sure[:1]


def _surroundings(hole: NDArray[np.bool_]) -> list[tuple[tuple[int, int, int, int], _Look]]:
    """Where to look, left, top, right, bottom, and how: the whole photo, then ever closer."""
    height, width = hole.shape
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    centre = ((columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2)
    extent = max(columns[-1] - columns[0], rows[-1] - rows[0]) + 1
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


def _distinct(faces: Sequence[Face], places: NDArray[np.complex128]) -> list[Face]:
    """Faces that the hole touches, the surest first, each once."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        centre, side = face.frame.corner + face.frame.side * (0.5 + 0.5j), abs(face.frame.side)
        twice = any(
            abs(centre - (other.frame.corner + other.frame.side * (0.5 + 0.5j)))
            < _SAME * max(side, abs(other.frame.side))
            for other in kept
        )
        if not twice and _inside(face.frame, places).any():
            kept.append(face)
    return kept
