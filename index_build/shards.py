"""Shards: Parquet files of photos and their vectors, in the order of their ids."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..data.files import replacing
from ..errors import DatabaseError

IMAGES: Final = "images"
COLUMNS: Final = ["id", "path", "sha256", "width", "height"]
"""Of a shard, all but the vector."""


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
    columns = [list(column) for column in zip(*photos, strict=True)] or [[]] * len(COLUMNS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    table = pa.Table.from_arrays(
        [*arrays, pa.FixedSizeListArray.from_arrays(flat, d)], schema=schema
    )
    write_table(path, table)


def write_table(path: Path, table: Any) -> None:  # noqa: ANN401 - pyarrow has no types
    """Write an Arrow table of a shard's columns, as `read_shard` and `merged_shards` give them.

    Raises:
        StorageError: the file cannot be written.
    """
    with replacing(path) as temporary:
        # Vectors do not compress, and dictionaries of unique values only cost.
        pq.write_table(table, temporary, compression="none", use_dictionary=False)


def count_rows(path: Path) -> int:
    """How many photos a shard holds.

    Raises:
        DatabaseError: the shard is missing or damaged.
    """
    return int(read_columns(path, ["id"]).num_rows)


def read_shard(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    """A shard as it is stored, an Arrow table: see `write_shard`.

    Raises:
        DatabaseError: the shard is missing or damaged.
    """
    return read_columns(path, [*COLUMNS, "vector"])


def merged_shards(paths: Iterable[Path], removed: NDArray[np.int64], size: int) -> Iterator[Any]:
    """The rows of shards without some ids, cut anew into tables of `size` rows; bit for bit.

    Raises:
        DatabaseError: a shard is missing or damaged.
    """
    held: list[Any] = []
    for path in paths:
        table = read_shard(path)
        ids = table.column("id").to_numpy()
        held.append(table.take(np.flatnonzero(~np.isin(ids, removed))))
        while sum(table.num_rows for table in held) >= size:
            rows = pa.concat_tables(held)
            yield rows.slice(0, size)
            held = [rows.slice(size)]
    rows = pa.concat_tables(held)
    if rows.num_rows:
        yield rows


def vectors_of(table: Any, d: int) -> NDArray[np.float32]:  # noqa: ANN401 - pyarrow has no types
    """The vectors (n, d) of a shard's table, of length 1 again."""
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


def photo_rows(table: Any) -> Iterator[PhotoRow]:  # noqa: ANN401 - as above
    """The photos of a shard's table."""
    return map(PhotoRow, *(table.column(name).to_pylist() for name in COLUMNS))


def read_columns(path: Path, columns: list[str]) -> Any:  # noqa: ANN401 - as above
    """Some columns of a Parquet file, an Arrow table.

    Raises:
        DatabaseError: the file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path) as file:  # quicker than the data set that `read_table` makes
            return file.read(columns).select(columns)
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DatabaseError(
            f"{path}: expected a Parquet file with {', '.join(columns)}, found: {reason}; "
            "if the database changed since it was opened, open it again"
        ) from error
