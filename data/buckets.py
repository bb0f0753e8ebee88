"""The paper's six hole-ratio buckets: one definition for drawing, training and evaluation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BUCKET_EDGES = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""Hole ratios that bound the paper's six buckets: [0.01, 0.1], (0.1, 0.2] … (0.5, 0.6]."""


def hole_ratio(masks: NDArray[np.generic]) -> NDArray[np.float64]:
    """Share of hole pixels of each mask.

    Args:
        masks: (..., H, W), any dtype, non-zero = hole.

    Returns:
        float64 of the leading shape, in [0, 1].
    """
    count = np.count_nonzero(masks, axis=(-2, -1))
    return np.asarray(count / (masks.shape[-2] * masks.shape[-1]), dtype=np.float64)


def bucket_of(ratios: NDArray[np.floating] | Sequence[float] | float) -> NDArray[np.int64]:
    """The paper's hole-ratio bucket of each ratio.

    Args:
        ratios: hole ratios in [0, 1], any shape.

    Returns:
        int64 of the same shape: 0 for [0.01, 0.1], 1 for (0.1, 0.2], … 5 for (0.5, 0.6],
        and -1 for a ratio in none of them.
    """
    values = np.asarray(ratios, dtype=np.float64)
    bucket = np.searchsorted(BUCKET_EDGES, values, side="left") - 1
    bucket = np.where(values == BUCKET_EDGES[0], 0, bucket)
    return np.where(bucket >= len(BUCKET_EDGES) - 1, -1, bucket).astype(np.int64)


def bucket_name(bucket: int) -> str:
    """How a bucket is written in tables: "(0.1, 0.2]"; "outside" for -1."""
    if bucket < 0:
        return "outside"
    opening = "[" if bucket == 0 else "("
    return f"{opening}{BUCKET_EDGES[bucket]:g}, {BUCKET_EDGES[bucket + 1]:g}]"
