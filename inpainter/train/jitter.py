"""Photos turned, enlarged and moved, as faces are that a detector has found, and not landmarks.

A network that sees nothing but aligned faces learns by heart where eyes are.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...data.images import Pixels
from ..whole.frames import Frame, cut
from .photo_cache import PhotoCache

_ROOM: Final = 25 / 16  # 200 pixels for 128
_TILT: Final = math.radians(15)  # the most; small ones are more frequent
_EXTENT: Final = (0.85, 1.0)  # of the upright square around a turned one, beside the photo's


def side_with_room(size: int, share: float) -> int:
    """The size at which photos are to be cached: larger than `size` where parts are taken."""
    return math.ceil(size * _ROOM) if share else size


def jittered(
    cache: PhotoCache,
    rows: Sequence[int] | NDArray[np.int64],
    positions: Sequence[int],
    share: float,
    seed: Sequence[int],
    size: int,
) -> Pixels:
    """Photos of a cache, and of a share of them no more than a part, turned and moved.

    Args:
        cache: the photos, best of `side_with_room`.
        rows: which of them, B.
        positions: of the photos in the sequence.
        share: of photos of which a part is taken, each somewhere inside it.
        seed: of the choice.
        size: the new side in pixels.

    Returns:
        uint8 (B, size, size, 3).
    """
    out = cache.photos(rows, size)
    for part, row, position in zip(out, rows, positions, strict=True):
        rng = np.random.default_rng([*seed, position])
        if rng.uniform() < share:
            (whole,) = cache.photos([row])
            part[:] = np.rint(cut(whole, random_frame(rng, cache.size), size))
    return out


def random_frame(rng: np.random.Generator, side: int) -> Frame:
    """A square inside a photo of `side` x `side` pixels, tilted by up to 15 degrees."""
    tilt = rng.triangular(-_TILT, 0, _TILT)
    extent = side * rng.uniform(*_EXTENT)
    edge = complex(extent / (math.cos(tilt) + abs(math.sin(tilt))) * np.exp(1j * tilt))
    x, y = rng.uniform(extent / 2, side - extent / 2, 2)
    return Frame.about(complex(x, y), edge)
