"""Moved copies of a photo, made to go over into each other and into what is around them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..poisson import sides, solve_poisson
from .boxes import box_of, wider
from .frames import Floats
from .moved import Copies, Labels
from .views import View

_FAR: Final = 30.0  # pixels: how far into a copy the colours that it meets are carried


def shift_of(view: View, copies: Copies, labels: Labels) -> Floats:
    """By how much the copies in a hole have to change in colour.

    Within a copy neighboring pixels keep their difference; across a seam they have the mean of what
    both copies show there, and at the hole's border the photo's colours are met: all of it as
    nearly as can be, and the copies' own colours, too. This is a screened Poisson equation (Bhat et
    al. 2008, Fourier Analysis of the 2D Screened Poisson Equation for Gradient Domain Problems).

    Args:
        view: the photo, and its hole.
        copies: of it.
        labels: (h, w), which of them is taken where.

    Returns:
        (h, w, 3), 0 outside the hole.
    """
    box = wider(box_of(view.hole), 1, view.hole.shape)  # the border, too
    taken, hole = labels[box][..., None], view.hole[box]
    given = hole | ~view.unknown[box]
    here = copies.at(box, taken)[0][:, :, 0]
    steps, joined = [], []
    for axis, (down, right) in enumerate(((1, 0), (0, 1))):
        first, second = sides(axis)
        total: NDArray[np.float64] = np.zeros_like(here[first], np.float64)
        told = np.zeros(total.shape[:2], np.int64)
        for side, sign in ((first, 1), (second, -1)):
            there, seen = copies.at(box, taken, sign * down, sign * right)
            tells = (seen[:, :, 0] & hole)[side]
            total += sign * (there[:, :, 0] - here)[side] * tells[..., None]
            told += tells
        steps.append(total / np.maximum(told, 1)[..., None])
        joined.append((told > 0) & given[first] & given[second])
    out = np.zeros_like(view.photo)
    picture = np.where(hole[..., None], here, view.photo[box]).astype(np.float64)
    solved = solve_poisson(picture, hole, (steps[0], steps[1]), (joined[0], joined[1]), _FAR**-2)
    out[box] = solved - picture
    return out
