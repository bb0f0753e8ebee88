"""The stroke bank: every stroke of many drawings in one Arrow file, memory-mapped.

One row a stroke, the strokes of a drawing one after the other. A record batch holds strokes of one
category, so that the rows of a category are few ranges.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import DrawingsError, InputError
from .quickdraw import Drawings
from .simplify import starts
from .synthetic_strokes import synthetic_drawings

FORMAT: Final = "1"
SCHEMA: Final = pa.schema(
    [
        ("points", pa.list_(pa.list_(pa.uint8(), 2))),
        ("drawing_id", pa.uint64()),
        ("stroke", pa.uint16()),  # its number within the drawing: where the drawing starts
        ("category", pa.dictionary(pa.int16(), pa.string())),
        ("box", pa.list_(pa.uint8(), 2)),
    ]
)


class _Batch:
    """The buffers of one record batch, as Python reads them fastest."""

    __slots__ = ("boxes", "category", "ids", "offsets", "points", "strokes")

    def __init__(self, batch: pa.RecordBatch) -> None:
        batch.validate()
        points, ids, strokes, categories, boxes = batch.columns
        self.points: NDArray[np.uint8] = _bytes(points.values).reshape(-1, 2)  # (p, 2)
        self.offsets = memoryview(points.offsets.to_numpy())  # ints, faster than numpy's scalars
        self.ids = memoryview(ids.to_numpy())
        self.strokes = memoryview(strokes.to_numpy())
        self.boxes: NDArray[np.uint8] = _bytes(boxes).reshape(-1, 2)  # (rows, 2)
        self.category: str = categories[0].as_py()

    def digest(self) -> bytes:
        """SHA-256 of the content, whatever the layout in memory."""
        first, last = self.offsets[0], self.offsets[-1]
        digest = hashlib.sha256(self.category.encode() + b"\0")
        offsets = np.asarray(self.offsets) - first
        for column in (offsets, self.ids, self.strokes, self.points[first:last]):
            digest.update(np.asarray(column).tobytes())
        return digest.digest()


def _bytes(pairs: pa.FixedSizeListArray) -> NDArray[np.uint8]:
    values: NDArray[np.uint8] = pairs.flatten().to_numpy(zero_copy_only=True)
    return values


class StrokeBank:
    """Strokes of human drawings, or of synthetic ones, by row number.

    Open one with `StrokeBank.open`; make one with `import_drawings` or `synthetic_bank`. It pickles
    by its path, or by its table where it has none, so that worker processes can hold it.

    Attributes:
        categories: the names of what was drawn, sorted.
        synthetic: the strokes are computed curves, drawn by no human.
        source: where the strokes come from, in words.
    """

    def __init__(
        self,
        batches: Iterable[pa.RecordBatch],
        schema: pa.Schema,
        name: str,
        origin: tuple[Callable[[Any], "StrokeBank"], Any],
        digests: Sequence[bytes] = (),
    ) -> None:
        metadata = schema.metadata or {}
        if metadata.get(b"simpaint.strokes") != FORMAT.encode() or not schema.equals(SCHEMA):
            raise DrawingsError(f"{name} is not a stroke bank of format {FORMAT}")
        self.synthetic = metadata[b"synthetic"] == b"true"
        self.source: str = metadata[b"source"].decode()
        self._origin = origin
        self._batches: list[_Batch] = []
        self._starts: list[int] = []
        self._rows = 0
        for batch in batches:
            if batch.num_rows:
                self._starts.append(self._rows)
                self._batches.append(_Batch(batch))
                self._rows += batch.num_rows
        if not self._rows:
            raise DrawingsError(f"{name} holds no stroke")
        self._digests = digests
        self.categories = tuple(sorted({batch.category for batch in self._batches}))

    @classmethod
    def open(cls, path: str | Path) -> "StrokeBank":
        """Map the file of a stroke bank; strokes are read from disk when they are asked for.

        Raises:
            DrawingsError: it is missing, damaged, or not a stroke bank.
        """
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            pairs = [
                reader.get_batch_with_custom_metadata(i) for i in range(reader.num_record_batches)
            ]
            digests = [metadata[b"sha256"] for _, metadata in pairs]
            batches = [batch for batch, _ in pairs]
            return cls(batches, reader.schema, str(path), (cls.open, path), digests)
        except FileNotFoundError as error:
            raise DrawingsError(f"no stroke bank at {path}: make one with masks import") from error
        except (OSError, pa.ArrowException, KeyError, TypeError, UnicodeDecodeError) as error:
            raise DrawingsError(
                f"{path} is not a stroke bank, or a damaged one: {error}"
            ) from error

    @classmethod
    def from_table(cls, table: pa.Table) -> "StrokeBank":
        """A bank in memory, from a table of `SCHEMA` with its metadata, one category a batch.

        Raises:
            DrawingsError: another schema, no stroke, or a batch of several categories.
        """
        batches = table.to_batches()
        bank = cls(batches, table.schema, "the table", (cls.from_table, table))
        for batch in batches:
            if len(names := batch.column("category").unique().to_pylist()) > 1:
                raise DrawingsError(f"a batch of strokes mixes the categories {names}")
        return bank

    def __reduce__(self) -> tuple[Callable[[Any], "StrokeBank"], tuple[Any]]:
        make, argument = self._origin
        return make, (argument,)

    def __len__(self) -> int:
        return self._rows

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content in hexadecimal: equal for equal strokes in equal order."""
        digests = self._digests or [batch.digest() for batch in self._batches]
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def row_ranges(self, categories: Iterable[str]) -> NDArray[np.int64]:
        """The rows of some categories, as int64 (m, 2) ranges [start, stop), ascending.

        Raises:
            InputError: the bank has no such category.
        """
        wanted = set(categories)
        if unknown := sorted(wanted.difference(self.categories)):
            raise InputError(f"the stroke bank has no category {', '.join(unknown)}")
        ranges: list[list[int]] = []
        for batch, start in zip(self._batches, self._starts, strict=True):
            if batch.category in wanted:
                stop = start + len(batch.ids)
                if ranges and ranges[-1][1] == start:
                    ranges[-1][1] = stop
                else:
                    ranges.append([start, stop])
        return np.array(ranges, np.int64).reshape(-1, 2)

    def _find(self, row: int) -> tuple[_Batch, int]:
        if not 0 <= row < self._rows:
            raise IndexError(f"stroke {row} of {self._rows}")
        i = bisect_right(self._starts, row) - 1
        return self._batches[i], row - self._starts[i]

    def stroke(self, row: int) -> NDArray[np.uint8]:
        """The points (x, y) of a stroke: uint8 (n, 2), a read-only view, n >= 1."""
        batch, k = self._find(row)
        return batch.points[batch.offsets[k] : batch.offsets[k + 1]]

    def drawing_id(self, row: int) -> int:
        """The `key_id` of the drawing that a stroke belongs to."""
        batch, k = self._find(row)
        return batch.ids[k]

    def drawing_rows(self, row: int) -> range:
        """The rows of all strokes of the same drawing, in the order they were drawn."""
        batch, k = self._find(row)
        start = k - batch.strokes[k]
        stop = k + 1
        while stop < len(batch.strokes) and batch.strokes[stop]:
            stop += 1
        return range(row - k + start, row - k + stop)

    def box(self, row: int) -> NDArray[np.uint8]:
        """The largest x and the largest y of the stroke's whole drawing: uint8 (2,)."""
        batch, k = self._find(row)
        box: NDArray[np.uint8] = batch.boxes[k]
        return box


def expect_bank_or_nothing(path: Path) -> None:
    """Refuse to write a stroke bank over a file of another kind; an empty one holds nothing.

    Raises:
        DrawingsError: naming the file.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        with pa.memory_map(str(path)) as file:
            found = (pa.ipc.open_file(file).schema.metadata or {}).get(b"simpaint.strokes")
    except (OSError, pa.ArrowException):
        found = None
    if found is None:
        raise DrawingsError(f"{path}: expected a stroke bank or a new file, found something else")


def batch_digest(batch: pa.RecordBatch) -> bytes:
    """SHA-256 of what a batch holds; kept beside it in the file, for the bank's fingerprint."""
    return _Batch(batch).digest()


def metadata(*, synthetic: bool, source: str) -> dict[bytes, bytes]:
    """What the schema of a bank says about its strokes."""
    return {
        b"simpaint.strokes": FORMAT.encode(),
        b"synthetic": b"true" if synthetic else b"false",
        b"source": source.encode(),
    }


def record_batch(drawings: Drawings, names: Sequence[str]) -> pa.RecordBatch:
    """Drawings of one category as rows of `SCHEMA`.

    Args:
        drawings: of one category, at least one.
        names: the dictionary of categories, which holds that one.
    """
    rows = len(drawings.points)
    per_drawing = np.add.reduceat(drawings.points, starts(drawings.strokes))
    box = np.maximum.reduceat(drawings.xy, starts(per_drawing))  # (d, 2)
    number = np.arange(rows) - np.repeat(starts(drawings.strokes), drawings.strokes)
    offsets = np.concatenate([[0], np.cumsum(drawings.points)]).astype(np.int32)
    category = np.full(rows, names.index(drawings.categories[0]), np.int16)
    return pa.record_batch(
        [
            pa.ListArray.from_arrays(pa.array(offsets), _pairs(drawings.xy)),
            pa.array(np.repeat(drawings.ids, drawings.strokes)),
            pa.array(number.astype(np.uint16)),
            pa.DictionaryArray.from_arrays(pa.array(category), pa.array(names, pa.string())),
            _pairs(np.repeat(box, drawings.strokes, axis=0)),
        ],
        schema=SCHEMA,
    )


def _pairs(xy: NDArray[np.uint8]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(xy.reshape(-1)), 2)


def named_bank(strokes: str) -> StrokeBank:
    """The bank of a file of `simpaint masks import`, or that of computed curves, `synthetic`.

    Raises:
        DrawingsError: the file is no stroke bank.
    """
    return synthetic_bank() if strokes == "synthetic" else StrokeBank.open(Path(strokes))


def synthetic_bank(
    seed: int = 0, categories: int = 20, drawings_per_category: int = 100
) -> StrokeBank:
    """A bank in memory of computed, hand-like strokes; no human drew them.

    Args:
        seed: equal seeds give equal banks.
        categories: how many; they are named synthetic-00, synthetic-01, ...
        drawings_per_category: drawings of each, of about five strokes.
    """
    names = [f"synthetic-{i:02}" for i in range(categories)]
    batches = [
        record_batch(
            synthetic_drawings(np.random.default_rng([seed, i]), name, drawings_per_category), names
        )
        for i, name in enumerate(names)
    ]
    about = metadata(synthetic=True, source=f"computed curves, drawn by no human, seed {seed}")
    return StrokeBank.from_table(pa.Table.from_batches(batches).replace_schema_metadata(about))
