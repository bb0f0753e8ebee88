"""A photo moved, and others laid over it: what these copies show."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .boxes import Box
from .frames import Floats
from .views import Holes, Laid

Labels = NDArray[np.int64]


class Copies:
    """Other photos, a photo moved by several offsets, and a smooth filling where none is wanted.

    Attributes:
        count: of all, n; as a label it stands for the smooth filling.
    """

    def __init__(
        self,
        photo: Floats,
        smooth: Floats,
        closed: Holes,
        offsets: Labels,
        laid: Sequence[Laid] = (),
    ) -> None:
        """Join them.

        Args:
            photo: (H, W, C).
            smooth: (H, W, C).
            closed: (H, W), what of the photo is not to be copied.
            offsets: (n, 2), down and right; the first are those of `laid`.
            laid: other photos.
        """
        self.count, others = len(offsets), len(laid)
        self._offsets = np.concatenate([offsets, np.zeros((1, 2), np.int64)])
        self._photos = np.stack([photo, *(one.photo for one in laid), smooth])
        self._closed = np.stack([closed, *(one.closed for one in laid), np.zeros_like(closed)])
        moved = [0] * (self.count - others)
        self._sources = np.array([*range(1, others + 1), *moved, others + 1])

    def at(self, box: Box, labels: Labels, down: int = 0, right: int = 0) -> tuple[Floats, Holes]:
        """What is seen beside each pixel of a box in the copies that it may be taken from.

        Args:
            box: of the photo.
            labels: (h, w, m), or (1, 1, m) for all pixels.
            down: how far below each pixel.
            right: how far to the right of it.

        Returns:
            (h, w, m, C), beyond the photo's edges what stands there, and whether anything is seen:
            (h, w, m).
        """
        offsets, sources = self._offsets[labels], self._sources[labels]
        rows = np.arange(box[0].start, box[0].stop)[:, None, None] + down + offsets[..., 0]
        columns = np.arange(box[1].start, box[1].stop)[:, None] + right + offsets[..., 1]
        height, width = self._closed.shape[1:]
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        there = sources, rows.clip(0, height - 1), columns.clip(0, width - 1)
        return self._photos[there], inside & ~self._closed[there]
