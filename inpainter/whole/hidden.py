"""Faces of which a hole leaves too little for a detector: guessed around it, and looked at."""

from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ...data.images import Pixels
from .frames import Frame, cut_hole, reduced, reduced_hole
from .framing import Face, FramingNet, corrected, set_right

Bounds: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom."""

_LEAST: Final = 16  # pixels of a part's longer side: around less, texture is taken for tiny faces
_PARTS: Final = 3  # the largest, beside the hole as a whole
_OTHER: Final = 0.7  # of the whole's longer side: larger parts give the same guesses
_DRAWN: Final = 1000  # pixels of the hole's longer side at which its parts are told apart
_CLOSELY: Final = 64  # pixels of a part's longer side at which to look around it
_REACH: Final = 3  # how far guesses see beyond a part, in its longer sides

# Steps between guesses are shorter than what the network sets right.
_SHARES: Final = (1.1, 0.8, 0.57, 0.4)  # of the face's side, that a part may be long
_STEPS: Final = (-0.35, 0.0, 0.35)  # sides, that the face's middle may be beside the part's
_BEST: Final = 4  # guesses that are followed
_HIDDEN: Final = 0.65  # of a face: what is left is too little to tell by
_PROBES: Final = 32  # a side, at which that is looked at
# Log-odds. So many guesses are looked at that some seem to be faces: at 102 boxes where there is
# none, 3 are above it, of 72 faces with half hidden 71.
_SURE: Final = 7.0


def hidden_faces(network: FramingNet, photo: Pixels, hole: NDArray[np.bool_]) -> list[Face]:
    """Look for faces around a hole and its largest parts.

    Args:
        network: in evaluation mode, on the CPU.
        photo: uint8 RGB (H, W, 3).
        hole: (H, W).

    Returns:
        a few for each part at most, some of them the same; what is surely a face.
    """
    return [face for box in _parts(hole) for face in _around(network, photo, hole, box)]


def _around(network: FramingNet, photo: Pixels, hole: NDArray[np.bool_], box: Bounds) -> list[Face]:
    """Faces around a part of a hole, of which only the surroundings are looked at."""
    length = _length(box)
    reach = _REACH * length * np.array([-1, -1, 1, 1])
    left, top, right, bottom = np.clip(box + reach, 0, hole.shape[::-1] * 2).tolist()
    part = slice(top, bottom), slice(left, right)
    small, holes, scale = reduced(photo[part], hole[part], _CLOSELY / length)
    rough = _guesses(complex(left, top), box, scale)
    scores = [face.score for face in corrected(network, small, holes, rough)]
    best = [rough[i] for i in np.argsort(scores)[: -_BEST - 1 : -1]]
    return [
        face.back(scale, complex(left, top))
        for face in set_right(network, small, holes, best)
        if face.score > _SURE and cut_hole(holes, face.frame, _PROBES).mean() < _HIDDEN
    ]


def _guesses(corner: complex, box: Bounds, scale: float) -> list[Frame]:
    """Frames of faces of which a part of a hole may hide much, in a reduced part of the photo."""
    left, top, right, bottom = box
    middle = scale * (complex(left + right, top + bottom) / 2 - corner)
    frames = []
    for share in _SHARES:
        side = complex(scale * _length(box) / share)
        steps = (complex(x, y) for x in _STEPS for y in _STEPS)
        frames += [Frame.about(middle + side * step, side) for step in steps]
    return frames


def _parts(hole: NDArray[np.bool_]) -> list[Bounds]:
    """The box of a hole (H, W), and those of its largest parts; none of what is very small."""
    left, top, width, height = cv2.boundingRect(hole.view(np.uint8))
    boxes = [(left, top, left + width, top + height)]
    if _length(boxes[0]) >= _LEAST:
        inside = hole[top : top + height, left : left + width]
        scale = min(1.0, _DRAWN / max(width, height))
        drawn = reduced_hole(inside, scale)
        _, _, stats, _ = cv2.connectedComponentsWithStats(drawn.view(np.uint8))
        largest = sorted(stats[1:].tolist(), key=lambda part: -part[cv2.CC_STAT_AREA])
        for x, y, across, down, _ in largest[:_PARTS]:
            x, y, across, down = (round(n / scale) for n in (x, y, across, down))
            if max(across, down) < _OTHER * max(width, height):
                boxes.append((left + x, top + y, left + x + across, top + y + down))
    return [box for box in boxes if _length(box) >= _LEAST]


def _length(box: Bounds) -> int:
    """Of the longer side."""
    return max(box[2] - box[0], box[3] - box[1])
