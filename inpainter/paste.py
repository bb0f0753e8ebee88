"""Painted squares back into photos: no visible seam, and the grain of the surroundings."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .frames import Floats, Frame, lift
from .grain import grain, reach
from .membrane import membrane

Box = tuple[slice, slice]
Holes = NDArray[np.bool_]

_RING: Final = 3  # pixels of the frame over which differences to the photo are averaged


def match_border(painted: Floats, photo: Floats, hole: Holes) -> Floats:
    """The photo with the painting in its hole, shifted in colour to meet the photo all around.

    The difference to the known pixels is spread into the hole like a membrane fixed at its border
    (Perez et al. 2003, Poisson image editing, equation 5).

    Args:
        painted: (S, S, 3), known pixels included.
        photo: (S, S, 3); what stands in the hole is not used.
        hole: (S, S).

    Returns:
        (S, S, 3) float32.
    """
    known = (~hole).astype(np.float32)[..., None]
    weight = np.asarray(cv2.blur(known, (_RING, _RING)))[..., None]
    total = cv2.blur((photo - painted) * known, (_RING, _RING))
    difference = np.asarray(total / np.maximum(weight, 1e-6), np.float32)
    return np.where(hole[..., None], painted + membrane(difference, hole), photo)


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
    rows, columns = (
        slice(max(0, part.start - pad), min(length, part.stop + pad))
        for part, length in zip(box, canvas.shape[:2], strict=True)
    )
    around = rows, columns
    inner = tuple(
        slice(part.start - outer.start, part.stop - outer.start)
        for part, outer in zip(box, around, strict=True)
    )
    lifted = lift(whole, frame, around)
    photo = canvas[around].astype(np.float32) / white
    mine = np.zeros(lifted.shape[:2], np.bool_)
    mine[inner] = mask
    lifted += grain(photo, ~unknown[around], lifted, mine, scale, rng)
    values = lifted[inner].clip(0, 1) * white
    if canvas.dtype.kind == "u":
        values = np.rint(values)
    canvas[box][mask] = values[mask]
