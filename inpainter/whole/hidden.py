"""Faces of which a hole leaves too little for a detector: guessed around it, and looked at."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ...data.images import Pixels
from .frames import Frame, cut_hole
from .framing import Face, FramingNet, corrected, set_right

CLOSELY: Final = 64
"""Pixels of a hole's longer side at which to look around it."""

_LARGE: Final = 0.25  # of the hole's pixels: parts of it to look around, too
# Steps between guesses are shorter than what the network sets right.
_SHARES: Final = (1.1, 0.8, 0.57, 0.4)  # of the face's side, that a hole may be long
_STEPS: Final = (-0.35, 0.0, 0.35)  # sides, that the face's middle may be beside the hole's
_BEST: Final = 4  # guesses that are followed
_HIDDEN: Final = 0.65  # of a face: what is left is too little to tell by
_PROBES: Final = 32  # a side, at which that is looked at


def hidden_faces(network: FramingNet, photo: Pixels, hole: NDArray[np.bool_]) -> list[Face]:
    """Look for faces around a hole and its larger parts.

    Args:
        network: in evaluation mode, on the CPU.
        photo: uint8 RGB (H, W, 3), reduced so that the hole is about `CLOSELY` pixels long.
        hole: (H, W).

    Returns:
        a few, of any score, some of them the same.
    """
    if not hole.any():
        return []
    rough = _guesses(hole)
    scores = [face.score for face in corrected(network, photo, hole, rough)]
    best = [rough[i] for i in np.argsort(scores)[: -_BEST - 1 : -1]]
    return [
        face
        for face in set_right(network, photo, hole, best)
        if cut_hole(hole, face.frame, _PROBES).mean() < _HIDDEN
    ]


def _guesses(hole: NDArray[np.bool_]) -> list[Frame]:
    """Frames of faces of which a hole, or a large part of it, may hide much."""
    drawn = hole.view(np.uint8)
    _, _, parts, _ = cv2.connectedComponentsWithStats(drawn)
    large = [part for part in parts[1:].tolist() if part[cv2.CC_STAT_AREA] > _LARGE * hole.sum()]
    boxes = [cv2.boundingRect(drawn), *(tuple(part[: cv2.CC_STAT_AREA]) for part in large)]
    frames = []
    for left, top, width, height in dict.fromkeys(boxes):
        middle = complex(left + width / 2, top + height / 2)
        for share in _SHARES:
            side = complex(max(width, height) / share)
            steps = (complex(x, y) for x in _STEPS for y in _STEPS)
            frames += [Frame(middle + side * (step - (0.5 + 0.5j)), side) for step in steps]
    return frames
