"""The image database on disk: Parquet shards are the truth, everything else is derived.

::

    faces.simpaint/
        manifest.json               last written: a folder without it is an unfinished build
        images/part-00000.parquet   id, path, sha256, width, height, vector (float16)
        skipped-00001.parquet       path, reason: every file that could not be used
        removed-00002.parquet       id: photos that were removed, if any
        whitening.safetensors       if the descriptor's vectors are whitened
        index-00002.faiss           derived from the shards

The numbers of the last three are generations: a change writes new files beside the old ones, then
the manifest, then deletes the old ones. Shards never change.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..data.files import replacing
from ..errors import DatabaseError
from .manifest import Manifest
from .shards import COLUMNS, PhotoRow, photo_rows, read_columns, vectors_of


class Skipped(NamedTuple):
    """A file that could not be used, and why."""

    path: str
    reason: str


def iter_vectors(
    folder: Path, manifest: Manifest
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Every photo's vector, shard by shard, removed photos left out.

    Args:
        folder: the database.
        manifest: its manifest.

    Yields:
        ids (n,) ascending, and vectors (n, d) of length 1.

    Raises:
        DatabaseError: a shard is missing or damaged.
    """
    removed = read_removed(folder, manifest)
    for shard in manifest.shards:
        table = read_columns(folder / shard.file, ["id", "vector"])
        ids: NDArray[np.int64] = table.column("id").to_numpy()
        vectors = vectors_of(table, manifest.d)
        kept = ~np.isin(ids, removed)
        if kept.any():
            yield ids[kept], vectors[kept]


def read_rows(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    """What a shard knows of its photos but their vectors, an Arrow table.

    Raises:
        DatabaseError: the shard is missing or damaged.
    """
    return read_columns(path, COLUMNS)


def rows(
    folder: Path,
    manifest: Manifest,
    ids: Iterable[int],
    read: Callable[[Path], Any] = read_rows,
) -> list[PhotoRow]:
    """Look photos up by id, in the order of `ids`; removed ones are found too.

    Only the shards that hold them are read, one at a time, without their vectors.

    Args:
        folder: the database.
        manifest: its manifest.
        ids: which.
        read: `read_rows`, or one that remembers what it read.

    Raises:
        DatabaseError: an id that the database does not have, or a shard missing or damaged.
    """
    wanted = np.fromiter(ids, np.int64)
    found = {row.id: row for row in rows_there(folder, manifest, wanted, read)}
    missing = [int(photo) for photo in wanted if int(photo) not in found]
    if missing:
        raise DatabaseError(
            f"{folder}: expected ids below {manifest.next_id} of photos it holds, "
            f"found {missing[0]}"
        )
    return [found[int(photo)] for photo in wanted]


def rows_there(
    folder: Path,
    manifest: Manifest,
    wanted: NDArray[np.int64],
    read: Callable[[Path], Any] = read_rows,
) -> Iterator[PhotoRow]:
    """Those of the photos `wanted` (n,) that the database has, by id; otherwise as `rows`.

    Raises:
        DatabaseError: a shard is missing or damaged.
    """
    starts = np.array([shard.first_id for shard in manifest.shards])
    places = np.searchsorted(starts, wanted, side="right") - 1
    for place in np.unique(places[places >= 0]):
        table = read(folder / manifest.shards[place].file)
        held = table.column("id").to_numpy()
        here = np.unique(wanted[places == place])
        yield from photo_rows(table.take(np.flatnonzero(np.isin(held, here))))


def all_rows(folder: Path, manifest: Manifest) -> Iterator[PhotoRow]:
    """Every photo that was not removed, by id, one shard in memory at a time.

    Raises:
        DatabaseError: a shard is missing or damaged.
    """
    removed = set(read_removed(folder, manifest).tolist())
    for shard in manifest.shards:
        for row in photo_rows(read_rows(folder / shard.file)):
            if row.id not in removed:
                yield row


def write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    """Write what could not be used and why.

    Raises:
        StorageError: the file cannot be written.
    """
    schema = pa.schema([("path", pa.string()), ("reason", pa.string())])
    table = pa.Table.from_pylist([row._asdict() for row in skipped], schema)
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def read_skipped(path: Path) -> list[Skipped]:
    """What `write_skipped` wrote.

    Raises:
        DatabaseError: the file is missing or damaged.
    """
    return [Skipped(**row) for row in read_columns(path, ["path", "reason"]).to_pylist()]


def write_removed(path: Path, ids: NDArray[np.int64]) -> None:
    """Write the ids of removed photos.

    Raises:
        StorageError: the file cannot be written.
    """
    with replacing(path) as temporary:
        pq.write_table(pa.table({"id": pa.array(np.unique(ids))}), temporary)


def read_removed(folder: Path, manifest: Manifest) -> NDArray[np.int64]:
    """The ids of removed photos that the shards still hold, ascending; often none.

    Raises:
        DatabaseError: the file is missing or damaged.
    """
    if manifest.removed is None:
        return np.empty(0, np.int64)
    ids: NDArray[np.int64] = read_columns(folder / manifest.removed, ["id"]).column("id").to_numpy()
    return ids
