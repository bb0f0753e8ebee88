"""A photo moved: what its copies show."""

import numpy as np
from numpy.typing import NDArray

from .boxes import Box
from .frames import Floats
from .views import Holes

Labels = NDArray[np.int64]


class Copies:
    """A photo moved by several offsets, and a smooth filling where none is wanted.

    Attributes:
        count: of the offsets, n; as a label it stands for the smooth filling.
    """

    def __init__(self, photo: Floats, smooth: Floats, closed: Holes, offsets: Labels) -> None:
        """Join them.

        Args:
            photo: (H, W, C).
            smooth: (H, W, C).
            closed: (H, W), what of the photo is not to be copied.
            offsets: (n, 2), down and right.
        """
        self.count = len(offsets)
        self._offsets = np.concatenate([offsets, np.zeros((1, 2), np.int64)])
        self._photo, self._smooth, self._closed = photo, smooth, closed

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
        offsets, own = self._offsets[labels], labels == self.count
        rows = np.arange(box[0].start, box[0].stop)[:, None, None] + down + offsets[..., 0]
        columns = np.arange(box[1].start, box[1].stop)[:, None] + right + offsets[..., 1]
        height, width = self._closed.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        there = rows.clip(0, height - 1), columns.clip(0, width - 1)
        colours, seen = self._photo[there], inside & (own | ~self._closed[there])
        if own.any():
            colours = np.where(own[..., None], self._smooth[there], colours)
        return colours, seen
