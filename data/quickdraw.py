"""Quick, Draw! files, in all three published forms, as columns of numbers.

The forms (https://github.com/googlecreativelab/quickdraw-dataset), told apart by content, also when
compressed with gzip:

- simplified: NDJSON, `drawing = [[xs, ys], ...]`, integers in a 256x256 box;
- raw: NDJSON, `drawing = [[xs, ys, ts], ...]`, floats in screen pixels, simplified here as published;
- binary: records of u64 key, 2s country, u8 recognised, u32 time, u16 strokes, and for each stroke
  u16 n, n x u8 x, n x u8 y, little endian.

Files are read in blocks of a few MB, so memory does not grow with them. What cannot be used (a
damaged line, a binary record that ends too early) is reported and left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Drawings:
    """Some drawings as columns: d drawings of s strokes with p points together.

    Attributes:
        categories: what each drawing shows, d of them.
        ids: uint64 (d,), the published `key_id`.
        strokes: int64 (d,), strokes of each drawing, 1 or more.
        points: int64 (s,), points of each stroke, 1 or more.
        xy: uint8 (p, 2), the points in the 256x256 box of their drawing.
    """

    categories: list[str]
    ids: NDArray[np.uint64]
    strokes: NDArray[np.int64]
    points: NDArray[np.int64]
    xy: NDArray[np.uint8]
