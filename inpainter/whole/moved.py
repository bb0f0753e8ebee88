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
        channels = photo.shape[2]
        self.count = len(offsets)
        self._shape = closed.shape
        self._offsets = np.concatenate([offsets, np.zeros((1, 2), np.int64)])
        nothing = np.zeros((1, channels), np.float32)
        self._colours = np.concatenate(
            [photo.reshape(-1, channels), smooth.reshape(-1, channels), nothing]
        )
        seen = np.ones(closed.size, np.bool_)
        self._seen = np.concatenate([~closed.ravel(), seen, [False]])

    def at(self, box: Box, labels: Labels, down: int = 0, right: int = 0) -> tuple[Floats, Holes]:
        """What is seen beside each pixel of a box in the copies that it may be taken from.

        Args:
            box: of the photo.
            labels: (h, w, m), or (1, 1, m) for all pixels.
            down: how far below each pixel.
            right: how far to the right of it.

        Returns:
            (h, w, m, C), and whether anything is seen there: (h, w, m).
        """
        height, width = self._shape
        offsets = self._offsets[labels]
        rows = np.arange(box[0].start, box[0].stop)[:, None, None] + down + offsets[..., 0]
        columns = np.arange(box[1].start, box[1].stop)[:, None] + right + offsets[..., 1]
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        there = rows * width + columns + height * width * (labels == self.count)
        there = np.where(inside, there, 2 * height * width)
        return self._colours[there], self._seen[there]
