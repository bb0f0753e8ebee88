"""The work of an evaluation: blocks of cases painted and measured, in one or several processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.images import Pixels
from ...data.progress import Progress
from ...data.tensors import to_images
from ...data.workers import Workers
from ...errors import InputError
from ...index_build.build import database_descriptor
from ...index_build.descriptors import DescriptorConfig, load_descriptor
from ...index_build.manifest import read_manifest
from ...index_build.store import all_rows
from ...retrieval.database import ImageDatabase
from ..methods import Method, build_method
from .auxiliaries import Auxiliaries
from .cases import Block, Cases
from .library import Library, describe_cache
from .metrics import composite_8bit, measure_filled
from .people import People
from .plan import ALBUM_ONLY, Planned, build_coarse
from .results import PICTURE, Parts


@dataclass(frozen=True)
class Work:
    """What worker processes need to know.

    Attributes:
        cases: what is measured.
        parts: folder of the finished blocks.
        device: where networks run.
        seed: of random auxiliaries.
        people: who is on the photos, if each person has several.
        hashes: SHA-256 of the files of the cache's rows, by which a database may have them too.
    """

    cases: Cases
    parts: Path
    device: str
    seed: int
    people: People | None = None
    hashes: Mapping[int, str] = field(default_factory=dict)

    def of(self, planned: Planned) -> Parts:
        """The blocks of a method."""
        return Parts(self.parts / planned.folder, len(self.cases))


class _Ready(NamedTuple):
    method: Method
    similar: Auxiliaries


class Worker:
    """Paints and measures blocks; methods and databases are opened once."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._ready: dict[Planned, _Ready] = {}
        self._libraries: dict[Path, Library] = {}
        self._files: dict[Path, dict[str, list[int]]] = {}

    def run(self, planned: Planned, start: int, stop: int) -> int:
        """Paint, measure and write one block; the number of its cases."""
        if planned not in self._ready:
            self._ready[planned] = self._prepare(planned)
        block = self._work.cases.block(start, stop)
        found: dict[str, list[Any]] = {}
        # One photo at a time: the last bits of what a network paints depend on its batch.
        for number in range(stop - start):
            part = slice(number, number + 1)
            for name, values in self._batch(self._ready[planned], planned, block, part).items():
                found.setdefault(name, []).extend(values)
        self._work.of(planned).write(start, {**block.columns, **found})
        return stop - start

    def library(self, database: Path) -> Library:
        """Photos to be found: those of a database and of the album."""
        if database not in self._libraries:
            self._libraries[database] = self._open(database)
        return self._libraries[database]

    def _open(self, database: Path) -> Library:
        device, people = self._work.device, self._work.people
        opened = None if database == ALBUM_ONLY else ImageDatabase.open(database, "sizes")
        if opened is None:
            descriptor = load_descriptor(DescriptorConfig(), device)
        else:
            descriptor = database_descriptor(database, opened.manifest, device=device)
        album = describe_cache(people.cache, descriptor) if people else None
        return Library(opened, descriptor, album)

    def _prepare(self, planned: Planned) -> _Ready:
        device = self._work.device
        library = self.library(planned.database) if planned.database is not None else None
        if planned.auxiliary == "person" and library is not None:
            library = Library(None, library.descriptor, library.album)
        coarse = build_coarse(planned.coarse, device).method if planned.coarse else None
        similar = Auxiliaries(planned.auxiliary, library, coarse, self._work.seed)
        return _Ready(build_method(planned.source, similar, device).method, similar)

    def _batch(
        self, ready: _Ready, planned: Planned, block: Block, part: slice
    ) -> dict[str, Sequence[Any]]:
        truth, holes = _tensors(block, part)
        numbers, rows = block.numbers[part], block.photos[part]
        photos = truth.float() / 255
        names = [self._work.cases.cache.names[row] for row in rows]
        ready.similar.begin(numbers, photos, self._excluded(planned, rows), names)
        begun = perf_counter()
        painted = ready.method(photos * (1 - holes), holes.clone())  # not ours to be changed
        seconds = (perf_counter() - begun) / len(numbers)
        _check(painted, photos, planned.source)
        filled = composite_8bit(painted, truth, holes)
        values: dict[str, Any] = dict(measure_filled(filled, truth, holes))
        if self._work.people is not None:
            values.update(self._work.people.distances(filled, truth, rows))
        shown = ready.similar.shown
        return {
            **values,
            "seconds": [seconds] * len(numbers),
            "neighbors": list(shown.ids),
            "scores": list(shown.scores),
            PICTURE: _pictures(filled, holes),
        }

    def _excluded(self, planned: Planned, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """What no query may find, besides what looks like a copy of the truth."""
        files = [self._same_files(planned, int(row)) for row in rows]
        pairs = zip(files, self._hidden(planned, rows), strict=True)
        return [np.union1d(np.array(same, np.int64), hidden) for same, hidden in pairs]

    def _same_files(self, planned: Planned, row: int) -> list[int]:
        """Ids of the database's photos that are this very file, or another of the person's."""
        people, database = self._work.people, planned.database
        if database is None or database == ALBUM_ONLY or planned.auxiliary == "person":
            return []  # it looks in no database
        if database not in self._files:
            ids: dict[str, list[int]] = {}
            measured = set(self._work.hashes.values())
            for one in all_rows(database, read_manifest(database)):
                if one.sha256 in measured:
                    ids.setdefault(one.sha256, []).append(one.id)
            self._files[database] = ids
        same = [row]
        if people is not None and planned.auxiliary != "album":
            same = np.flatnonzero(people.persons == people.persons[row]).tolist()
        hashes = (self._work.hashes.get(other, "") for other in same)
        return [photo for sha256 in hashes for photo in self._files[database].get(sha256, [])]

    def _hidden(self, planned: Planned, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        people, cases = self._work.people, self._work.cases
        if people is not None:
            return [people.excluded(row, planned.auxiliary) for row in rows]
        if cases.jitter and planned.database is not None:  # a part may not look like a copy
            library = self.library(planned.database)
            whole = to_images(cases.cache.photos(rows, cases.size))
            return library.copies(library.describe(whole), whole)
        return [np.empty(0, np.int64)] * len(rows)


def _check(painted: object, photos: Tensor, source: str) -> None:
    """Refuse what cannot be a picture of a method."""
    wanted = f"{source}: expected a tensor {tuple(photos.shape)} of finite numbers, found "
    if not isinstance(painted, Tensor):
        raise InputError(wanted + type(painted).__name__)
    if painted.shape != photos.shape or not painted.is_floating_point():
        raise InputError(f"{wanted}{painted.dtype} {tuple(painted.shape)}")
    if not painted.isfinite().all():
        raise InputError(wanted + "others")


def _tensors(block: Block, part: slice) -> tuple[Tensor, Tensor]:
    """Photos (B, 3, S, S) uint8 and holes (B, 1, S, S) float32."""
    truth = torch.from_numpy(block.truth[part]).permute(0, 3, 1, 2).contiguous()
    return truth, torch.from_numpy(block.holes[part])[:, None].float()


def _pictures(filled: Tensor, holes: Tensor) -> list[bytes]:
    """The hole's pixels of each photo as PNG, black elsewhere."""
    inside = (filled * holes.byte()).flip(1).permute(0, 2, 3, 1).contiguous().numpy()  # BGR
    return [cv2.imencode(".png", one)[1].tobytes() for one in inside]


def picture(png: bytes) -> Pixels:
    """What `PICTURE` holds, as uint8 RGB (S, S, 3)."""
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(decoded, dtype=np.uint8)


def run(work: Work, methods: Sequence[Planned], workers: int, progress: Progress) -> None:
    """Paint and measure all blocks that are not there yet, method after method.

    Args:
        work: what is measured.
        methods: what is run.
        workers: processes; 1 for this one alone.
        progress: told of photos done.

    Raises:
        SimpaintError: of a method or of a file.
    """
    jobs = [(one, *span) for one in methods for span in work.of(one).missing()]
    total = len(methods) * len(work.cases)
    done = total - sum(stop - start for _, start, stop in jobs)
    progress(done, total)
    if workers == 1:
        worker = Worker(work)
        for job in jobs:
            done += worker.run(*job)
            progress(done, total)
        return
    with Workers(workers, _start, work) as pool:
        for measured in pool.results(_run, jobs, work.parts):
            done += measured
            progress(done, total)


_worker: Worker


def _start(work: Work) -> None:
    global _worker
    _worker = Worker(work)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _run(planned: Planned, start: int, stop: int) -> int:
    return _worker.run(planned, start, stop)
