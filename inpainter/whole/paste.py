"""Painted squares back into photos: no visible seam, and the grain of the surroundings."""

from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..thin_plate import thin_plate
from .boxes import Box, box_of, wider, within
from .frames import Floats, Frame, lift
from .grain import grain, reach
from .membrane import membrane

Holes = NDArray[np.bool_]

_MARGIN: Final = 4  # pixels
_AROUND: Final = 8  # pixels: of what is further away a line's filling knows nothing


def match_border(painted: Floats, photo: Floats, hole: Holes) -> Floats:
    """The photo with the painting in its hole, shifted in colour to meet the photo all around.

    The difference to the known pixels is spread into the hole like a membrane fixed at its border
    (Perez et al. 2003, Poisson image editing, equation 5).

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
        shift = membrane(photo[box] - painted[box], hole[box])
        cv2.copyTo(painted[box] + shift, hole[box].view(np.uint8), whole[box])
    return whole


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


def paste_smooth(
    canvas: NDArray[Any], white: float, own: tuple[Box, Holes], unknown: Holes
) -> None:
    """Write a smooth filling over pixels that are nowhere far from known ones.

    In lines of one and three pixels it is closer to the truth than what networks paint, and takes a
    twentieth of the time: across 25 photos, L1 2.0 and 3.3 % of white, theirs 3.1 and 3.9 %.

    Args:
        canvas: (H, W, 3), changed in place.
        white: its value of white.
        own: the pixels to write, as a box of the canvas and (h, w) inside it.
        unknown: (H, W): all pixels that are not known yet, these included.
    """
    box, mask = own
    around = wider(box, _AROUND, canvas.shape)
    photo, hole = canvas[around].astype(np.float32) / white, unknown[around]
    picture = torch.from_numpy(photo).permute(2, 0, 1)[None]
    filled = thin_plate(picture, torch.from_numpy(hole)[None, None].float())[0].permute(1, 2, 0)
    write(canvas, white, box, mask, filled.numpy()[within(box, around)])


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
