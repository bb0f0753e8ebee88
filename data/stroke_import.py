"""Quick, Draw! files to a stroke bank: streaming, in memory that does not grow with them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
import pyarrow as pa

from ..errors import DrawingsError
from .files import expect_outside, make_folder, replacing
from .progress import Progress, silent
from .quickdraw import Damage, Drawings, drawing_files, read_drawings
from .simplify import Ints, starts
from .strokes import SCHEMA, batch_digest, expect_bank_or_nothing, metadata, record_batch

BATCH_STROKES: Final = 65_536
MAX_POINTS: Final = 1_000_000  # that wait to be written; more would leave the cache and take memory
MAX_DRAWINGS: Final = 50_000
MAX_CATEGORIES: Final = 10_000
SHOWN_DAMAGE: Final = 10
SOURCE: Final = "Quick, Draw! by Google, CC BY 4.0"


@dataclass(frozen=True)
class ImportReport:
    """What an import found.

    Attributes:
        files: files read.
        drawings: drawings taken.
        strokes: their strokes, the rows of the bank.
        categories: different names of what they show.
        damaged: lines and records left out.
        examples: the first of them.
    """

    files: int = 0
    drawings: int = 0
    strokes: int = 0
    categories: int = 0
    damaged: int = 0
    examples: tuple[Damage, ...] = ()


def import_drawings(
    paths: Sequence[Path], out: Path, *, progress: Progress = silent
) -> ImportReport:
    """Read drawings and write the stroke bank `out`.

    Stopped half-way, nothing is left and an older `out` is as it was.

    Args:
        paths: files, or folders of them; what is named twice is read once.
        out: the bank to write, an Arrow IPC file.
        progress: called with bytes read and bytes in all.

    Raises:
        DrawingsError: a path does not exist, or a file holds no drawing.
        InputError: `out` is one of the files, or a file that is no stroke bank.
        StorageError: `out` cannot be written.
    """
    named: dict[Path, Path] = {}
    for file in (file for path in paths for file in drawing_files(path)):
        named.setdefault(file.resolve(), file)
    files = list(named.values())
    if not files:
        raise DrawingsError("no file of drawings is named")
    expect_outside(out, files)
    expect_bank_or_nothing(out)
    ends = [*accumulate((file.stat().st_size for file in files), initial=0)]
    report = ImportReport()
    make_folder(out.parent)
    with replacing(out) as temporary, _BankWriter(temporary) as bank:
        for file, start in zip(files, ends, strict=False):
            items = read_drawings(file, _shifted(progress, start, ends[-1]))
            report = _import_file(file, items, bank, report)
        bank.flush()
        progress(ends[-1], ends[-1])
        return replace(report, files=len(files), categories=len(bank.names))


def _shifted(progress: Progress, start: int, total: int) -> Progress:
    return lambda done, _: progress(start + done, total)


def _import_file(
    file: Path, items: Iterable[Drawings | Damage], bank: "_BankWriter", report: ImportReport
) -> ImportReport:
    drawings, strokes, damaged = report.drawings, report.strokes, report.damaged
    examples = report.examples
    first: Damage | None = None
    for item in items:
        if isinstance(item, Damage):
            damaged += 1
            first = first or item
            examples = (*examples, item)[:SHOWN_DAMAGE]
        else:
            drawings += len(item.ids)
            strokes += len(item.points)
            bank.add(item)
    if drawings == report.drawings:
        raise DrawingsError(f"no drawing in {first or f'{file}: it is empty'}")
    return replace(report, drawings=drawings, strokes=strokes, damaged=damaged, examples=examples)


class _BankWriter:
    """Writes drawings as batches of one category each."""

    def __init__(self, path: Path) -> None:
        self.names: list[str] = []  # grows; the file stores what is new with each batch
        self._waiting: list[Drawings] = []
        self._drawings = self._points = 0  # that wait
        schema = SCHEMA.with_metadata(metadata(synthetic=False, source=SOURCE))
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, schema, options=options)

    def __enter__(self) -> "_BankWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._writer.close()
        self._sink.close()

    def add(self, drawings: Drawings) -> None:
        """Take drawings of any categories; write them when enough have come."""
        self._waiting.append(drawings)
        self._drawings += len(drawings.ids)
        self._points += len(drawings.xy)
        if self._drawings > MAX_DRAWINGS or self._points > MAX_POINTS:
            self.flush()

    def flush(self) -> None:
        """Write all that waits, by category."""
        if not self._waiting:
            return
        whole = _join(self._waiting)
        self._waiting = []
        self._drawings = self._points = 0
        for category, which in _by_category(whole.categories):
            if category not in self.names:
                self.names.append(category)
            if len(self.names) > MAX_CATEGORIES:
                raise DrawingsError(f"more than {MAX_CATEGORIES} categories")
            for part in _cuts(whole.strokes[which]):
                batch = record_batch(_take(whole, which[part]), self.names)
                self._writer.write_batch(batch, custom_metadata={"sha256": batch_digest(batch)})


def _by_category(names: list[str]) -> Iterator[tuple[str, Ints]]:
    """Each name, sorted, with where it stands in the list."""
    codes = {name: code for code, name in enumerate(sorted(set(names)))}
    of_each = np.array([codes[name] for name in names])
    for name, code in codes.items():
        yield name, np.flatnonzero(of_each == code)


def _cuts(strokes: Ints) -> list[slice]:
    """Runs of whole drawings of at most `BATCH_STROKES` strokes together."""
    ends = np.cumsum(strokes)
    cuts = [0]
    while cuts[-1] < len(strokes):
        taken = ends[cuts[-1] - 1] if cuts[-1] else 0
        fit = int(np.searchsorted(ends, taken + BATCH_STROKES, side="right"))
        cuts.append(max(fit, cuts[-1] + 1))
    return [slice(*pair) for pair in pairwise(cuts)]


def _take(drawings: Drawings, which: Ints) -> Drawings:
    """Some of the drawings, in the order of `which`."""
    if which[-1] - which[0] == len(which) - 1:  # neighbors, as nearly always: no copy
        return _slice(drawings, which[0], which[-1] + 1)
    strokes = drawings.strokes[which]
    rows = _ranges(starts(drawings.strokes)[which], strokes)
    points = drawings.points[rows]
    return Drawings(
        [drawings.categories[i] for i in which],
        drawings.ids[which],
        strokes,
        points,
        drawings.xy[_ranges(starts(drawings.points)[rows], points)],
    )


def _slice(drawings: Drawings, start: int, stop: int) -> Drawings:
    rows = slice(drawings.strokes[:start].sum(), drawings.strokes[:stop].sum())
    return Drawings(
        drawings.categories[start:stop],
        drawings.ids[start:stop],
        drawings.strokes[start:stop],
        drawings.points[rows],
        drawings.xy[drawings.points[: rows.start].sum() : drawings.points[: rows.stop].sum()],
    )


def _ranges(first: Ints, counts: Ints) -> Ints:
    """first[0], first[0] + 1, ... (counts[0] of them), first[1], ..."""
    ranges: Ints = np.repeat(first - starts(counts), counts) + np.arange(counts.sum())
    return ranges


def _join(parts: Sequence[Drawings]) -> Drawings:
    return Drawings(
        [name for part in parts for name in part.categories],
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.strokes for part in parts]),
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.xy for part in parts]),
    )
