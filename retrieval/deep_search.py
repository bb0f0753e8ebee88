"""Searching an index deeper and deeper, until what is dropped leaves enough."""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..index_build.exact import Ids, Vectors

Scores: TypeAlias = NDArray[np.float32]

Search: TypeAlias = Callable[[Vectors, int, int], tuple[Scores, Ids]]
"""Called with queries (n, d), a depth (how many results) and an effort (how thoroughly)."""

Drop: TypeAlias = Callable[[NDArray[np.int64], Scores, Ids], NDArray[np.bool_]]
"""Called with the queries' numbers (n,) and results (n, depth); True where one is not wanted."""

_STEP: Final = 4  # each round asks for so many times more than the last
_AT_ONCE: Final = 1 << 22  # results held at a time, about 50 MB


def search_deeper(
    search: Search, queries: Vectors, k: int, drop: Drop, *, depth: int, deepest: int, most: int
) -> tuple[Scores, Ids]:
    """The k best results of every query that are not dropped.

    Queries that got fewer than k are asked again, deeper and more thoroughly, until they have k or
    the index is exhausted.

    Args:
        search: the index.
        queries: (n, d) float32.
        k: how many results.
        drop: which results are not wanted.
        depth: how deep to search first; at least k.
        deepest: how many vectors there are.
        most: the effort beyond which searching finds no more.

    Returns:
        scores (n, k) descending, -inf where there are fewer; ids (n, k), -1 there.
    """
    scores = np.full((len(queries), k), -np.inf, np.float32)
    ids = np.full((len(queries), k), -1, np.int64)
    todo = np.arange(len(queries))
    depth, effort = min(depth, deepest), 1
    while len(todo):
        for rows in np.array_split(todo, -(-len(todo) * depth // _AT_ONCE)):
            found_scores, found_ids = search(queries[rows], depth, effort)
            keep = (found_ids >= 0) & ~drop(rows, found_scores, found_ids)
            scores[rows], ids[rows] = first_kept(found_scores, found_ids, keep, k)
        todo = todo[ids[todo, -1] < 0]
        if depth >= deepest and effort >= most:
            break
        depth, effort = min(_STEP * depth, deepest), min(_STEP * effort, most)
    return scores, ids


def first_kept(scores: Scores, ids: Ids, keep: NDArray[np.bool_], k: int) -> tuple[Scores, Ids]:
    """Of every row the first k that are kept, in their order; -inf and -1 where there are fewer."""
    depth = ids.shape[1]
    order = np.argsort(~keep, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(keep, order, axis=1)
    best_scores = np.where(kept, np.take_along_axis(scores, order, axis=1), -np.inf)
    best_ids = np.where(kept, np.take_along_axis(ids, order, axis=1), -1)
    missing = ((0, 0), (0, max(k - depth, 0)))
    return (
        np.pad(best_scores, missing, constant_values=-np.inf).astype(np.float32),
        np.pad(best_ids, missing, constant_values=-1),
    )
