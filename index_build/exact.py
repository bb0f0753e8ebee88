"""Exact search by blocks: the best k of a stream, in memory bounded by the block."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = NDArray[np.int64]
Vectors: TypeAlias = NDArray[np.float32]
Batches: TypeAlias = Callable[[], Iterator[tuple[Ids, Vectors]]]
"""Called for every pass: streams a database as (ids (n,), vectors (n, d)), always in one order."""

BLOCK = 8192
"""Vectors compared at a time; with 1,000 queries the scores of a block take 32 MB."""


class TopK:
    """The k best of every query so far; scores come in by blocks.

    Equal scores are ordered by id, so the result does not depend on how the stream was cut.

    Attributes:
        scores: (n, k) descending, -inf where fewer than k were seen.
        ids: (n, k) int64, -1 where fewer than k were seen.
    """

    def __init__(self, n: int, k: int) -> None:
        self.scores: NDArray[np.floating[Any]] = np.full((n, k), -np.inf, np.float32)
        self.ids: Ids = np.full((n, k), -1, np.int64)

    def update(self, scores: NDArray[np.floating[Any]], ids: Ids) -> None:
        """Take in one block.

        Args:
            scores: (n, m), one row per query; -inf excludes a pair.
            ids: (m,) int64, none of them seen before.
        """
        n, k = self.ids.shape
        worst = self.scores[:, -1]
        if scores.shape[1] > 4 * k:  # few can stay: cut them out before anything is sorted
            worst = np.maximum(worst, np.partition(scores, -k, axis=1)[:, -k])
        rows, columns = np.nonzero((scores >= worst[:, None]) & (scores > -np.inf))
        all_rows = np.concatenate([np.repeat(np.arange(n), k), rows])
        all_scores = np.concatenate([self.scores.ravel(), scores[rows, columns]])
        all_ids = np.concatenate([self.ids.ravel(), ids[columns]])
        order = np.lexsort((all_ids, -all_scores, all_rows))
        counts = np.bincount(all_rows, minlength=n)
        first = np.cumsum(counts) - counts  # where each query's candidates begin
        best = order[first[:, None] + np.arange(k)]  # (n, k): a query has at least its old k
        self.scores, self.ids = all_scores[best], all_ids[best]


def blocks(ids: Ids, vectors: Vectors, size: int = BLOCK) -> Iterator[tuple[Ids, Vectors]]:
    """Cut a batch into blocks of at most `size` vectors."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size], vectors[start : start + size]


def nearest_others(
    queries: Vectors,
    own_ids: Ids,
    batches: Iterator[tuple[Ids, Vectors]],
    k: int,
    tell: Callable[[int], None] = lambda _: None,
) -> TopK:
    """The k best of a stream for every query, the query's own entry left out.

    Args:
        queries: (n, d) float32.
        own_ids: (n,) int64, the id under which the stream holds each query.
        batches: the stream, (ids (m,), vectors (m, d)).
        k: how many.
        tell: called with the number of vectors seen since the last call.

    Returns:
        scores and ids, (n, k).
    """
    best = TopK(len(queries), k)
    for batch_ids, batch in batches:
        for ids, vectors in blocks(batch_ids, batch):
            scores = queries @ vectors.T  # (n, m)
            scores[own_ids[:, None] == ids] = -np.inf
            best.update(scores, ids)
        tell(len(batch_ids))
    return best
