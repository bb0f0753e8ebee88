"""Photos turned, enlarged and moved, as faces are that a detector has found, and not landmarks.

A network that sees nothing but aligned faces learns by heart where eyes are.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ...data.images import square
from ..whole.frames import Frame, cut

ROOM: Final = 25 / 16
"""Photos to be moved are kept so many times as large as they are trained on: 200 for 128 pixels."""

_TILT: Final = math.radians(15)  # the most; small ones are more frequent
_EXTENT: Final = (0.85, 1.0)  # of the upright square around a turned one, beside the photo's


def jittered(
    photos: Tensor, positions: Sequence[int], share: float, seed: Sequence[int], size: int
) -> Tensor:
    """Reduce photos, and of a share of them no more than a part, turned and moved.

    Args:
        photos: uint8 (B, S, S, 3).
        positions: of the photos in the sequence.
        share: of photos of which a part is taken, each somewhere inside it.
        seed: of the choice.
        size: the new side in pixels.

    Returns:
        uint8 (B, size, size, 3).
    """
    out = np.empty((len(photos), size, size, 3), dtype=np.uint8)
    for i, (photo, position) in enumerate(zip(photos.numpy(), positions, strict=True)):
        rng = np.random.default_rng([*seed, position])
        if rng.uniform() < share:
            out[i] = np.rint(cut(photo, random_frame(rng, len(photo)), size))
        else:
            out[i] = square(photo, size)
    return torch.from_numpy(out)


def random_frame(rng: np.random.Generator, side: int) -> Frame:
    """A square inside a photo of `side` x `side` pixels, tilted by up to 15 degrees."""
    tilt = rng.triangular(-_TILT, 0, _TILT)
    extent = side * rng.uniform(*_EXTENT)
    edge = complex(extent / (math.cos(tilt) + abs(math.sin(tilt))) * np.exp(1j * tilt))
    x, y = rng.uniform(extent / 2, side - extent / 2, 2)
    return Frame(complex(x, y) - edge * (0.5 + 0.5j), edge)
