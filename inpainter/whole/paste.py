"""Painted squares back into photos: no visible seam, and the grain of the surroundings."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .boxes import Box, box_of, wider, within
from .frames import Floats, Frame, lift
from .grain import grain, reach
from .membrane import membrane

Holes = NDArray[np.bool_]

_MARGIN: Final = 4  # pixels
_NEIGHBORS: Final = np.ones((3, 3), np.uint8)


def match_border(painted: Floats, photo: Floats, hole: Holes) -> Floats:
    """The photo with the painting in its hole, shifted in colour to meet the photo all around.

    The difference to the known pixels is spread into the hole like a membrane fixed at its border
    (Perez et al. 2003, Poisson image editing, equation 5). Networks are least sure where hole and
    photo touch, and draw faint outlines there: what they paint within a pixel of the border is not
    used, but the mean of what is around it.

    Args:
        painted: (S, S, 3), known pixels included, as the network gave them.
        photo: (S, S, 3); what stands in the hole is not used.
        hole: (S, S).

    Returns:
        (S, S, 3) float32.
    """
    whole: Floats = photo.copy()
    if hole.any():
        box = wider(box_of(hole), _MARGIN, hole.shape)
        whole[box] = _matched(painted[box], photo[box], hole[box])
    return whole


def _matched(painted: Floats, photo: Floats, hole: Holes) -> Floats:
    mask = hole.view(np.uint8)
    wide = cv2.dilate(mask, _NEIGHBORS).view(np.bool_)
    beyond = hole if wide.all() else wide
    shift = membrane(_near_mean(photo - painted, ~beyond), beyond)
    inside: Floats = photo.copy()
    cv2.copyTo(painted + shift, mask, inside)
    rim = mask - cv2.erode(mask, _NEIGHBORS)
    cv2.copyTo(_near_mean(inside, rim == 0), rim, inside)
    return inside


def _near_mean(values: Floats, valid: Holes) -> Floats:
    """The mean of the valid pixels among each and its eight neighbors; 0 where there are none."""
    count = np.asarray(cv2.blur(valid.astype(np.float32), (3, 3)))[..., None]
    total = cv2.blur(cv2.copyTo(values, valid.view(np.uint8)), (3, 3))
    return np.asarray(total / np.maximum(count, 1e-6), np.float32)


def paste(
    canvas: NDArray[Any],
    white: float,
    frame: Frame,
    whole: Floats,
    own: tuple[Box, Holes],
    unknown: Holes,
    rng: np.random.Generator,
) -> None:
    """Write a frame's painting over the pixels that are its own.

    Args:
        canvas: (H, W, 3), changed in place.
        white: its value of white.
        frame: where the painting lies.
        whole: (S, S, 3) in [0, 1], as `match_border` gives it.
        own: the pixels to write, as a box of the canvas and (h, w) inside it.
        unknown: (H, W): all pixels that are not known yet, its own ones included.
        rng: of the grain.
    """
    box, mask = own
    scale = abs(frame.side) / len(whole)  # of a frame's pixel, in the photo's
    pad = reach(scale)
    around = wider(box, pad, canvas.shape)
    inner = within(box, around)
    lifted = lift(whole, frame, around)
    photo = canvas[around].astype(np.float32) / white
    mine = np.zeros(lifted.shape[:2], np.bool_)
    mine[inner] = mask
    # Beyond the square is another thing's texture: a face's skin, not the leaves behind it.
    known = ~unknown[around] & _inside(frame, around)
    lifted += grain(photo, known, lifted, mine, scale, rng)
    write(canvas, white, box, mask, lifted[inner])


def write(canvas: NDArray[Any], white: float, box: Box, mask: Holes, picture: Floats) -> None:
    """Set some pixels of a canvas (H, W, 3): those of a box that a mask (h, w) names.

    Args:
        canvas: changed in place.
        white: its value of white.
        box: where.
        mask: which of its pixels.
        picture: (h, w, 3), in [0, 1] or a little beyond.
    """
    values = picture[mask].clip(0, 1) * white
    canvas[box][mask] = np.rint(values) if canvas.dtype.kind == "u" else values


def _inside(frame: Frame, box: Box) -> Holes:
    """Which pixels of a box lie in a frame."""
    rows, columns = (np.arange(part.start, part.stop) + 0.5 for part in box)
    points = frame.inside(columns + 1j * rows[:, None])
    return np.maximum(abs(points.real - 0.5), abs(points.imag - 0.5)) <= 0.5
