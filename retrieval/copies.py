"""Photos that a search finds twice, of another size or compression even: the second is no news."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..data.images import Pixels
from ..index_build.exact import Ids
from .deep_search import Scores

_SAME_SCORE: Final = 0.02  # copies of a photo are as similar to a picture as each other,
_SAME_PIXELS: Final = 6.0  # and differ in the mean by less than so many of 255 levels

LOOKED_AT: Final = 16
"""So many of the photos most similar to one are looked at for copies of it."""


def distinct(scores: Scores, ids: Ids, k: int, photo: Callable[[int], Pixels]) -> list[int]:
    """Which of the photos that were found for a picture to take.

    Args:
        scores: (n,) cosines, descending.
        ids: (n,), -1 where there are no more.
        k: how many to take.
        photo: an id to a square, uint8 RGB (S, S, 3).

    Returns:
        the places of the first k photos that show something new, or if there are too few, those of
        the first copies too; in their order.
    """
    new: list[int] = []
    copies: list[int] = []
    for place, one in enumerate(ids.tolist()):
        if one < 0 or len(new) == k:
            break
        copied = any(
            scores[other] - scores[place] < _SAME_SCORE
            and _same(photo(int(ids[other])), photo(one))
            for other in new
        )
        (copies if copied else new).append(place)
    return sorted(new + copies[: k - len(new)])


def are_copies(photo: Pixels, ids: Ids, others: Callable[[int], Pixels]) -> NDArray[np.bool_]:
    """Which photos are one and the same by their pixels, where no cosine is known that tells it.

    Args:
        photo: a square, uint8 RGB (S, S, 3).
        ids: (n,), -1 where there are no more.
        others: an id to a square of the same size.

    Returns:
        bool (n,); False for -1.
    """
    return np.array([one >= 0 and _same(photo, others(one)) for one in ids.tolist()], dtype=bool)


def _same(one: Pixels, other: Pixels) -> bool:
    """Whether two squares are one photo, told by every fourth pixel."""
    steps = np.subtract(one[::4, ::4], other[::4, ::4], dtype=np.int16)
    return float(np.abs(steps).mean()) < _SAME_PIXELS
