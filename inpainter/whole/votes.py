"""What stands in a place is seen in most photos of it, and who walks by in one."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from .boxes import Box
from .frames import Floats
from .views import Laid, blurred

_SOFT: Final = 2.0  # pixels: photos that lie so far beside each other still agree
_APART: Final = 0.1  # of white, squared: more is not another thing more


def outvoted(laid: Sequence[Laid], box: Box) -> tuple[Floats, Floats]:
    """How much other photos of a place speak against each of those laid over a photo.

    For each other photo that shows the pixel it is the least distance of blurred colours, over the
    ways in which that one is laid; of these the mean.

    Args:
        laid: n, of one or more photos.
        box: of the photo.

    Returns:
        (h, w, n), more than against the one with most votes; and (h, w) in [0, 1], how much the
        others speak against that one, too: 0 where there are none.
    """
    soft = [blurred(one.photo, ~one.closed, _SOFT)[box] for one in laid]
    closed = [one.closed[box] for one in laid]
    shape = tuple(part.stop - part.start for part in box)
    against = np.zeros((*shape, len(laid)), np.float32)
    least = np.full(shape, _APART, np.float32)
    for one, colours, hidden, total in zip(
        laid, soft, closed, np.moveaxis(against, 2, 0), strict=True
    ):
        votes = np.zeros(shape, np.float32)
        for number in {other.number for other in laid} - {one.number}:
            nearest = np.full(shape, np.inf, np.float32)
            for other, theirs, unseen in zip(laid, soft, closed, strict=True):
                if other.number == number:
                    off = np.square(colours - theirs).sum(2)
                    nearest = np.minimum(nearest, np.where(unseen, np.inf, off))
            total += np.where(np.isfinite(nearest), np.minimum(nearest, _APART), 0)
            votes += np.isfinite(nearest)
        total /= np.maximum(votes, 1)
        least = np.where(hidden, least, np.minimum(least, total))
    more = np.maximum(against - least[..., None], 0)
    return more, least / _APART * bool(laid) * ~np.all(closed, axis=0)
