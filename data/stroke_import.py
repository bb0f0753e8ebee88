"""Quick, Draw! files to a stroke bank: streaming, in memory that does not grow with them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa

from ..errors import DrawingsError
from .files import make_folder, replacing
from .progress import Progress, silent
from .quickdraw import Damage, Drawings, MapBlocks, drawing_files, read_drawings
from .simplify import Ints
from .strokes import SCHEMA, batch_digest, metadata, record_batch

BATCH_STROKES: Final = 65_536
BATCH_POINTS: Final = 4_000_000
MAX_PENDING: Final = 16_000_000  # points that wait for their batch to fill: 32 MB
MAX_CATEGORIES: Final = 10_000
SHOWN_DAMAGE: Final = 10
WORTH_A_WORKER: Final = 1 << 24  # bytes of drawings; starting a process takes as long
SOURCE: Final = "Quick, Draw! by Google, CC BY 4.0"

_T = TypeVar("_T")
_R = TypeVar("_R")


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
    paths: Sequence[Path], out: Path, *, workers: int = 1, progress: Progress = silent
) -> ImportReport:
    """Read drawings and write the stroke bank `out`.

    Stopped half-way, nothing is left and an older `out` is as it was.

    Args:
        paths: files, or folders of them.
        out: the bank to write, an Arrow IPC file.
        workers: processes that parse, where there is enough to parse; the bank is the same.
        progress: called with bytes read and bytes in all.

    Raises:
        DrawingsError: a path does not exist, or a file holds no drawing.
        StorageError: `out` cannot be written.
    """
    files = [file for path in paths for file in drawing_files(path)]
    if not files:
        raise DrawingsError("no file of drawings is named")
    ends = [*accumulate((file.stat().st_size for file in files), initial=0)]
    workers = min(workers, 1 + ends[-1] // WORTH_A_WORKER)
    report = ImportReport()
    make_folder(out.parent)
    with replacing(out) as temporary, _BankWriter(temporary) as bank, _mapping(workers) as mapping:
        for file, start in zip(files, ends, strict=False):
            items = read_drawings(file, _shifted(progress, start, ends[-1]), mapping)
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


@contextmanager
def _mapping(workers: int) -> Iterator[MapBlocks]:
    """`map`, or one that lets `workers` processes do the work a few blocks ahead."""
    if workers <= 1:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:

        def map_ahead(function: Callable[[_T], _R], tasks: Iterable[_T]) -> Iterator[_R]:
            waiting: deque[Future[_R]] = deque()
            for task in tasks:
                waiting.append(pool.submit(function, task))
                if len(waiting) > 3 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

        yield map_ahead


@dataclass
class _Waiting:
    """Drawings of one category, until there are enough for a batch."""

    parts: list[Drawings]
    strokes: int = 0
    points: int = 0

    def add(self, drawings: Drawings) -> None:
        self.parts.append(drawings)
        self.strokes += len(drawings.points)
        self.points += len(drawings.xy)


class _BankWriter:
    """Writes drawings as batches of one category each."""

    def __init__(self, path: Path) -> None:
        self.names: list[str] = []  # grows; the file stores what is new with each batch
        self._waiting: dict[str, _Waiting] = {}
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
        """Take drawings of any categories; write the batches that are full."""
        start = 0
        for category, count in _runs(drawings.categories):
            stop = start + count
            waiting = self._waiting.setdefault(category, _Waiting([]))
            waiting.add(_slice(drawings, start, stop))
            if waiting.strokes >= BATCH_STROKES or waiting.points >= BATCH_POINTS:
                self._write(category)
            start = stop
        if sum(waiting.points for waiting in self._waiting.values()) > MAX_PENDING:
            self.flush()

    def flush(self) -> None:
        """Write all that waits."""
        for category in [*self._waiting]:
            self._write(category)

    def _write(self, category: str) -> None:
        if category not in self.names:
            self.names.append(category)
        if len(self.names) > MAX_CATEGORIES:
            raise DrawingsError(f"more than {MAX_CATEGORIES} categories")
        whole = _join(self._waiting.pop(category).parts)
        for start, stop in _cuts(whole.strokes):
            batch = record_batch(_slice(whole, start, stop), self.names)
            self._writer.write_batch(batch, custom_metadata={"sha256": batch_digest(batch)})


def _runs(names: list[str]) -> list[tuple[str, int]]:
    """Each name with how often it follows itself."""
    if names.count(names[0]) == len(names):
        return [(names[0], len(names))]
    return [(name, len([*group])) for name, group in groupby(names)]


def _cuts(strokes: Ints) -> list[tuple[int, int]]:
    """Ranges of whole drawings of at most `BATCH_STROKES` strokes together."""
    ends = np.cumsum(strokes)
    cuts = [0]
    while cuts[-1] < len(strokes):
        taken = ends[cuts[-1] - 1] if cuts[-1] else 0
        fit = int(np.searchsorted(ends, taken + BATCH_STROKES, side="right"))
        cuts.append(max(fit, cuts[-1] + 1))
    return [*pairwise(cuts)]


def _slice(drawings: Drawings, start: int, stop: int) -> Drawings:
    """Drawings `start` to `stop`; copies, so that a few do not keep their whole block alive."""
    if start == 0 and stop == len(drawings.ids):
        return drawings
    first, last = np.append(0, np.cumsum(drawings.strokes))[[start, stop]]
    low, high = np.append(0, np.cumsum(drawings.points))[[first, last]]
    return Drawings(
        drawings.categories[start:stop],
        drawings.ids[start:stop].copy(),
        drawings.strokes[start:stop].copy(),
        drawings.points[first:last].copy(),
        drawings.xy[low:high].copy(),
    )


def _join(parts: Sequence[Drawings]) -> Drawings:
    return Drawings(
        [name for part in parts for name in part.categories],
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.strokes for part in parts]),
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.xy for part in parts]),
    )
