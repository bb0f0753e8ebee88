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

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..data.files import replacing
from ..errors import DatabaseError
from .manifest import (
    MANIFEST,
    PLAN,
    DescriptorInfo,
    FileInfo,
    IndexInfo,
    Level,
    Manifest,
    ShardInfo,
    SourceInfo,
    check_files,
    describe_file,
    open_checked,
    read_manifest,
    write_manifest,
)

__all__ = [
    "MANIFEST",
    "PLAN",
    "DescriptorInfo",
    "FileInfo",
    "IndexInfo",
    "Level",
    "Manifest",
    "PhotoRow",
    "ShardInfo",
    "Skipped",
    "SourceInfo",
    "all_rows",
    "check_files",
    "count_rows",
    "describe_file",
    "iter_vectors",
    "open_checked",
    "read_manifest",
    "read_removed",
    "read_shard",
    "read_skipped",
    "rows",
    "shard_name",
    "write_manifest",
    "write_removed",
    "write_shard",
    "write_skipped",
]

IMAGES: Final = "images"
_COLUMNS: Final = ["id", "path", "sha256", "width", "height"]


class PhotoRow(NamedTuple):
    """A photo of the database, without its vector.

    Attributes:
        id: for ever.
        path: its name in the source.
        sha256: of its bytes, in hexadecimal.
        width: in pixels, upright.
        height: in pixels, upright.
    """

    id: int
    path: str
    sha256: str
    width: int
    height: int


class Skipped(NamedTuple):
    """A file that could not be used, and why."""

    path: str
    reason: str


def shard_name(part: int) -> str:
    """The name of a shard in the database's folder."""
    return f"{IMAGES}/part-{part:05d}.parquet"


def write_shard(path: Path, photos: Sequence[PhotoRow], vectors: NDArray[np.float32]) -> None:
    """Write photos and their vectors (n, d), stored as float16, in the order of their ids.

    Raises:
        StorageError: the file cannot be written.
    """
    d = vectors.shape[1]
    flat = pa.array(np.ascontiguousarray(vectors, np.float16).ravel())
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("path", pa.string()),
            ("sha256", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("vector", pa.list_(pa.float16(), d)),
        ]
    )
    columns = [list(column) for column in zip(*photos, strict=True)] or [[]] * len(_COLUMNS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    table = pa.Table.from_arrays(
        [*arrays, pa.FixedSizeListArray.from_arrays(flat, d)], schema=schema
    )
    with replacing(path) as temporary:
        # Vectors do not compress, and dictionaries of unique values only cost.
        pq.write_table(table, temporary, compression="none", use_dictionary=False)


def count_rows(path: Path) -> int:
    """How many photos a shard holds.

    Raises:
        DatabaseError: the shard is missing or damaged.
    """
    return int(_read(path, ["id"]).num_rows)


def read_shard(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    """A shard as it is stored, an Arrow table: see `write_shard`.

    Raises:
        DatabaseError: the shard is missing or damaged.
    """
    return _read(path, [*_COLUMNS, "vector"])


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
        table = _read(folder / shard.file, ["id", "vector"])
        ids: NDArray[np.int64] = table.column("id").to_numpy()
        vectors = _vectors(table, manifest.d)
        kept = ~np.isin(ids, removed)
        if kept.any():
            yield ids[kept], vectors[kept]


def _vectors(table: Any, d: int) -> NDArray[np.float32]:  # noqa: ANN401 - pyarrow has no types
    column = table.column("vector").combine_chunks()
    flat = np.concatenate(
        [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in _chunks(column)]
        or [np.empty(0, np.float16)]
    )
    vectors: NDArray[np.float32] = flat.astype(np.float32).reshape(-1, d)  # (n, d)
    # float16 keeps three digits; the length is made 1 again.
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _chunks(column: Any) -> list[Any]:  # noqa: ANN401 - as above
    return list(column.chunks) if isinstance(column, pa.ChunkedArray) else [column]


def rows(folder: Path, manifest: Manifest, ids: Iterable[int]) -> list[PhotoRow]:
    """Look photos up by id, in the order of `ids`; removed ones are found too.

    Only the shards that hold them are read, one at a time, without their vectors.

    Raises:
        DatabaseError: an id that the database does not have, or a shard missing or damaged.
    """
    wanted = np.fromiter(ids, np.int64)
    starts = np.array([shard.first_id for shard in manifest.shards])
    places = np.searchsorted(starts, wanted, side="right") - 1
    found: dict[int, PhotoRow] = {}
    for place in np.unique(places[places >= 0]):
        table = _read(folder / manifest.shards[place].file, _COLUMNS)
        held = table.column("id").to_numpy()
        here = np.unique(wanted[places == place])
        for row in _photo_rows(table.take(np.flatnonzero(np.isin(held, here)))):
            found[row.id] = row
    missing = [int(photo) for photo in wanted if int(photo) not in found]
    if missing:
        raise DatabaseError(
            f"{folder}: expected ids below {manifest.next_id} of photos it holds, "
            f"found {missing[0]}"
        )
    return [found[int(photo)] for photo in wanted]


def all_rows(folder: Path, manifest: Manifest) -> Iterator[PhotoRow]:
    """Every photo that was not removed, by id, one shard in memory at a time.

    Raises:
        DatabaseError: a shard is missing or damaged.
    """
    removed = set(read_removed(folder, manifest).tolist())
    for shard in manifest.shards:
        for row in _photo_rows(_read(folder / shard.file, _COLUMNS)):
            if row.id not in removed:
                yield row


def _photo_rows(table: Any) -> Iterator[PhotoRow]:  # noqa: ANN401 - as above
    return map(PhotoRow, *(table.column(name).to_pylist() for name in _COLUMNS))


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
    return [Skipped(**row) for row in _read(path, ["path", "reason"]).to_pylist()]


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
    ids: NDArray[np.int64] = _read(folder / manifest.removed, ["id"]).column("id").to_numpy()
    return ids


def _read(path: Path, columns: list[str]) -> Any:  # noqa: ANN401 - as above
    try:
        return pq.read_table(path, columns=columns, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DatabaseError(
            f"{path}: expected a Parquet file with {', '.join(columns)}, found: {reason}; "
            "if the database changed since it was opened, open it again"
        ) from error
