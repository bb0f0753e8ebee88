"""Results on disk: a row for each photo, mask and method, in parts that are written once.

::

    REPORT/parts/METHOD-FINGERPRINT/00000.parquet ...   finished blocks of cases, with pictures
    REPORT/results.parquet                              all of them, without the pictures
    REPORT/table.csv                                    method, bucket, metric, mean, std, n

A part is renamed into its place when it is whole, so a run killed at any moment loses the block at
hand; the tables are made of the parts alone, and do not tell whether there was a pause.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...data.files import make_folder, replacing
from ...errors import InputError
from .metrics import METRICS, Floats, Metric

BLOCK: Final = 50
"""Cases in a part."""

PICTURE: Final = "painted"
"""Column of the parts: the hole's pixels as PNG, black elsewhere."""

_DIGITS: Final = 6  # of table.csv: differences of one level in one pixel of 250 photos stay below


class Summary(NamedTuple):
    """One cell of the table.

    Attributes:
        method: its label.
        bucket: the group of cases.
        metric: a name of `METRICS`.
        mean: over cases; a ratio of means where the metric is one.
        std: over cases, and of a ratio R = sum e / sum t that of (e - R t) / mean t, so that
            std / sqrt(n) is the error of the mean in both cases.
        n: cases that count.
    """

    method: str
    bucket: str
    metric: str
    mean: float
    std: float
    n: int


class Parts:
    """The finished blocks of one method.

    Args:
        folder: of the method; made when the first part is written.
        count: cases in all.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count

    def path(self, start: int) -> Path:
        """Where the block that begins with case `start` is."""
        return self.folder / f"{start // BLOCK:05d}.parquet"

    def missing(self) -> list[tuple[int, int]]:
        """[start, stop) of the blocks that are not there yet."""
        starts = range(0, self.count, BLOCK)
        return [(a, min(a + BLOCK, self.count)) for a in starts if not self.path(a).exists()]

    def write(self, start: int, columns: dict[str, Any]) -> None:
        """Write a block, atomically.

        Raises:
            StorageError: it cannot be written.
        """
        make_folder(self.folder)
        with replacing(self.path(start)) as temporary:
            pq.write_table(pa.table(columns), temporary)

    def read(self) -> pa.Table:
        """All blocks, in order, without the pictures.

        Raises:
            InputError: a block is damaged.
        """
        return pa.concat_tables(
            [_without_pictures(self.path(start)) for start in range(0, self.count, BLOCK)]
        )

    def pictures(self, cases: Sequence[int]) -> Iterator[bytes]:
        """What was painted for each of some cases, as PNG."""
        path = Path()
        for case in cases:
            if self.path(case) != path:
                path = self.path(case)
                column = pq.read_table(path, columns=[PICTURE])[PICTURE]
            yield column[case % BLOCK].as_py()


def _without_pictures(path: Path) -> pa.Table:
    try:
        columns = [name for name in pq.read_schema(path).names if name != PICTURE]
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: expected a part of results; delete it: {error}") from error


def join(parts: dict[str, Parts]) -> pa.Table:
    """The results of all methods, by label, one after another."""
    tables = []
    for label, part in parts.items():
        table = part.read()
        tables.append(table.add_column(0, "method", pa.array([label] * len(table))))
    return pa.concat_tables(tables, promote_options="default")


def groups_of(table: pa.Table) -> list[str]:
    """The groups of cases, in the order in which they first appear in their ranks."""
    order = table.select(["rank", "bucket"]).group_by(["rank", "bucket"]).aggregate([])
    rows = sorted(order.to_pylist(), key=lambda row: row["rank"])
    return [row["bucket"] for row in rows]


def values_of(table: pa.Table, metric: Metric) -> tuple[Floats, Floats]:
    """A metric's numerator and denominator for each row; a denominator of NaN leaves a row out."""
    top = table[metric.of].to_numpy()
    bottom = table[metric.over].to_numpy() if metric.over else np.ones(len(top))
    return top, np.where(np.isnan(top), np.nan, bottom)


def summarise(table: pa.Table) -> Iterator[Summary]:
    """Every method, group and metric that `table` (see `join`) has."""
    methods = pc.unique(table["method"]).to_pylist()
    names = [name for name, metric in METRICS.items() if metric.of in table.column_names]
    for method in methods:
        own = table.filter(pc.equal(table["method"], method))
        for group in groups_of(table):
            rows = own.filter(pc.equal(own["bucket"], group))
            for name in names:
                yield Summary(method, group, name, *_mean(*values_of(rows, METRICS[name])))


def _mean(top: Floats, bottom: Floats) -> tuple[float, float, int]:
    kept = ~np.isnan(bottom)
    top, bottom = top[kept], bottom[kept]
    if not len(top) or not bottom.sum():
        return float("nan"), float("nan"), 0
    ratio = top.sum() / bottom.sum()
    rest = (top - ratio * bottom) / bottom.mean()
    return float(ratio), float(np.sqrt(np.mean(rest**2))), len(top)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table; numbers with six digits.

    Raises:
        StorageError: it cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_text(value) for value in row] for row in rows)


def _text(value: object) -> object:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else value
