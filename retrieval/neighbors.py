"""The leave-one-out neighbors of every photo of a database, for training."""

import hashlib
from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..data.files import make_folder, replacing
from ..data.progress import Progress, silent
from ..errors import InputError
from ..index_build.descriptors import Descriptor, Whitened
from ..index_build.exact import Ids, TopK, Vectors, blocks
from ..index_build.manifest import Manifest
from ..index_build.store import all_rows, iter_vectors
from .database import ImageDatabase

_QUERIES: Final = 8192  # with the block below, 134 MB of scores at a time
_BLOCK: Final = 2048
_ENTRIES: Final = 1 << 23  # neighbors held at a time; more than 1,024 each make smaller batches


COPY_SCORES: Final = {"dlib": 0.98, "simnet": 0.92}
"""Cosines above which photos are copies; measured on UTKFace by benchmarks/copies.py."""


class NeighborTable(NamedTuple):
    """The nearest other photos of every photo.

    Attributes:
        ids: (n,) int64, ascending.
        neighbors: (n, k) int64 ids, the most similar first, -1 where there are fewer than k.
        scores: (n, k) float32 cosines, descending, -inf where there are fewer than k.
    """

    ids: Ids
    neighbors: Ids
    scores: NDArray[np.float32]


class Written(NamedTuple):
    """The threshold that was used, and how many photos have fewer than k neighbors."""

    max_score: float
    short: int


def write_neighbors(
    database: ImageDatabase,
    out: Path,
    k: int,
    *,
    max_score: float | None = None,
    progress: Progress = silent,
) -> Written:
    """Write every photo's k nearest others, itself and its copies left out, as a Parquet file.

    Copies are photos of the same bytes, and those more similar than `max_score`: a network that
    is trained to fill holes with the help of neighbors would learn to copy from them.

    The search is exact and its memory is bounded, whatever the index of the database is. Scores
    are summed in float64 and ties ordered by id: the table is the same on every machine.

    Args:
        database: the photos.
        out: the file to write.
        k: neighbors of each photo, at least 1.
        max_score: cosines above it are of copies; by default what suits the descriptor.
        progress: told of photos done.

    Raises:
        InputError: k is below 1, the threshold is no number, none was given and none is known, or
            `out` is inside the database or what its photos are in, or a file of something else.
        StorageError: the file cannot be written.
        DatabaseError: a shard is missing or damaged.
    """
    if k < 1:
        raise InputError(f"k: expected at least 1, found {k}")
    if max_score is not None and isnan(max_score):
        raise InputError("max_score: expected a number, found nan")
    database.expect_outside(out)
    _expect_ours(out)
    manifest = database.manifest
    if max_score is None:
        max_score = copy_score(manifest)
    settings = {
        "descriptor": manifest.descriptor.name,
        "weights": manifest.descriptor.weights_sha256,
        "generation": str(manifest.generation),
        "max_score": str(max_score),
        "photos": photos_sha256(database),
    }
    schema = _schema(k).with_metadata(settings)
    short = 0
    make_folder(out.parent)
    with replacing(out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        found = max(1, min(k, manifest.count))
        for ids, best in _all_neighbors(database.folder, manifest, found, max_score, progress):
            short += int((best.ids[:, -1] < 0).sum()) if found == k else len(ids)
            for at in range(0, len(ids), _at_once(k)):
                some = slice(at, at + _at_once(k))
                neighbors = _padded(best.ids[some], k, -1)
                scores = _padded(best.scores[some].astype(np.float32), k, -np.inf)
                columns = [pa.array(ids[some]), _rows(neighbors), _rows(scores)]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return Written(max_score, short)


def _expect_ours(out: Path) -> None:
    """Refuse to write over what is no table of neighbors."""
    if out.exists():
        read_neighbors(out)


def _at_once(k: int) -> int:
    """Photos whose k neighbors are held in memory together."""
    return max(1, min(_QUERIES, _ENTRIES // k))


def _padded(values: NDArray[Any], k: int, padding: float) -> NDArray[Any]:
    """(n, m) to (n, k), where there are fewer."""
    missing = ((0, 0), (0, k - values.shape[1]))
    return np.pad(values, missing, constant_values=padding)


def known_copy_score(descriptor: Descriptor) -> float | None:
    """The cosine above which photos are copies, or None where it was not measured."""
    return None if isinstance(descriptor, Whitened) else COPY_SCORES.get(descriptor.name)


def copy_score(manifest: Manifest) -> float:
    """The cosine above which photos of a database are copies.

    Raises:
        InputError: it was not measured for the database's descriptor.
    """
    name = manifest.descriptor.name
    if name not in COPY_SCORES or manifest.whitening is not None:
        kind = f"{name}, whitened" if manifest.whitening is not None else name
        raise InputError(
            f"--max-score: the score above which photos are copies is not known for {kind}; "
            "look at scores of `index search` and choose one"
        )
    return COPY_SCORES[name]


def photos_sha256(database: ImageDatabase) -> str:
    """A hash of a database's ids, each with that of its photo: what a table of neighbors is of."""
    digest = hashlib.sha256()
    for row in all_rows(database.folder, database.manifest):
        digest.update(f"{row.id} {row.sha256}\n".encode())
    return digest.hexdigest()


def read_neighbors(path: Path, database: ImageDatabase | None = None) -> NeighborTable:
    """Read what `write_neighbors` wrote.

    Args:
        path: the file.
        database: whose photos the ids must be of; None for any.

    Raises:
        InputError: the file is missing, damaged, of another kind, or of other photos.
    """
    try:
        table = pq.read_table(path)
        if not table.schema.equals(_schema(k := table.schema.field("neighbors").type.list_size)):
            raise pa.ArrowInvalid(f"columns {', '.join(table.schema.names)}")
    except (pa.ArrowException, OSError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected a table of neighbors, found: {reason}") from error
    of = (table.schema.metadata or {}).get(b"photos", b"").decode()
    if database is not None and of != photos_sha256(database):
        raise InputError(
            f"{path}: expected neighbors of the photos that are in {database.folder}, found those "
            "of others or an old table; make it anew: simpaint index neighbors"
        )
    flat = [table.column(i).combine_chunks() for i in range(3)]
    return NeighborTable(
        flat[0].to_numpy(),
        flat[1].flatten().to_numpy().reshape(-1, k),
        flat[2].flatten().to_numpy().reshape(-1, k),
    )


def _schema(k: int) -> Any:  # noqa: ANN401 - pyarrow has no types
    return pa.schema(
        [
            ("id", pa.int64()),
            ("neighbors", pa.list_(pa.int64(), k)),
            ("scores", pa.list_(pa.float32(), k)),
        ]
    )


def _rows(values: NDArray[Any]) -> Any:  # noqa: ANN401
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _all_neighbors(
    folder: Path, manifest: Manifest, k: int, max_score: float, progress: Progress
) -> Iterator[tuple[Ids, TopK]]:
    """The neighbors of some thousand photos at a time, by id."""
    known, groups = _groups(folder, manifest)

    def stream() -> Iterator[tuple[Ids, Vectors]]:
        return iter_vectors(folder, manifest)

    done, total = 0, manifest.count
    for ids, queries in _joined(stream(), _at_once(k)):
        seen = 0

        def tell(vectors: int, done: int = done, count: int = len(ids)) -> None:
            nonlocal seen
            seen += vectors
            progress(done + count * seen // total, total)

        def group_of(some: Ids) -> Ids:
            return groups[np.searchsorted(known, some)]

        yield ids, leave_one_out(ids, queries, stream(), k, group_of, max_score, tell)
        done += len(ids)


def leave_one_out(
    ids: Ids,
    queries: Vectors,
    stream: Iterator[tuple[Ids, Vectors]],
    k: int,
    group_of: Callable[[Ids], Ids],
    max_score: float,
    tell: Callable[[int], None] = lambda _: None,
) -> TopK:
    """The k best of a stream for every query, those of its group and its copies left out.

    Args:
        ids: (n,) of the queries.
        queries: (n, d) float32.
        stream: (ids (m,), vectors (m, d)); memory is bounded by its batches.
        k: how many.
        group_of: ids (m,) to groups (m,): photos of one group are copies of each other.
        max_score: what is more similar than this is a copy, too.
        tell: called with the number of vectors seen since the last call.

    Returns:
        scores and ids, (n, k); scores are of float64 sums, rounded to float32, so that neither
        the size of a block nor the number of threads decides between equals.
    """
    best = TopK(len(queries), k)
    exact, own = queries.astype(np.float64), group_of(ids)
    for batch_ids, batch in stream:
        for block_ids, vectors in blocks(batch_ids, batch, _BLOCK):
            scores = (exact @ vectors.T.astype(np.float64)).astype(np.float32)  # (n, m)
            scores[own[:, None] == group_of(block_ids)] = -np.inf
            scores[scores > max_score] = -np.inf
            best.update(scores, block_ids)
        tell(len(batch_ids))
    return best


def _groups(folder: Path, manifest: Manifest) -> tuple[Ids, Ids]:
    """All ids, ascending, and for each a number that photos of the same bytes share.

    It is the first 8 bytes of the SHA-256: two different photos among a million share
    one with a probability of 3e-8, and would then merely not be each other's neighbors.
    """
    ids = np.empty(manifest.count, np.int64)
    groups = np.empty(manifest.count, np.int64)
    for place, row in enumerate(all_rows(folder, manifest)):
        ids[place] = row.id
        groups[place] = int.from_bytes(bytes.fromhex(row.sha256[:16]), "big", signed=True)
    return ids, groups


def _joined(stream: Iterator[tuple[Ids, Vectors]], size: int) -> Iterator[tuple[Ids, Vectors]]:
    """Join small batches to some of about `size`, and cut large ones."""
    waiting: list[tuple[Ids, Vectors]] = []
    for batch_ids, batch in stream:
        for part in blocks(batch_ids, batch, size):
            if waiting and sum(len(ids) for ids, _ in waiting) + len(part[0]) > size:
                yield _concatenated(waiting)
                waiting = []
            waiting.append(part)
    if waiting:
        yield _concatenated(waiting)


def _concatenated(parts: list[tuple[Ids, Vectors]]) -> tuple[Ids, Vectors]:
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([v for _, v in parts])
