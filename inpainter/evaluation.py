"""The paper's Table 1, and more: methods measured on the same photos with the same holes.

::

    REPORT/
        settings.json     photos and holes; others are refused in the same folder
        photos/           the photos as squares
        parts/            finished blocks, by method (see `results`)
        results.parquet   a row for each photo, hole and method
        table.csv         method, bucket, metric, mean, std, n
        differences.csv   each pair of methods: difference, 95 % interval, which is better
        report.md  report.html  pictures/

All but `settings.json`, `photos` and `parts` is made anew each time, for the methods that are asked
for; those whose blocks are there are not run again. So the same command goes on where it was
stopped, and one with more methods adds them.
"""

import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

import numpy as np
import pyarrow.parquet as pq

from ..data.files import make_folder, replacing
from ..data.settings import changed_settings, expect_unused, read_settings, write_settings
from ..data.sources import open_source
from ..data.strokes import named_bank
from ..errors import ImageError, InputError, expect_beside, expect_one_of
from ..index_build.descriptors import pick_device
from ..index_build.manifest import open_checked
from ..index_build.publish import Stages, silently
from .measure.album import album_holes, open_album
from .measure.auxiliaries import Auxiliary
from .measure.bootstrap import Difference, differences
from .measure.cases import Cases, Rows
from .measure.holes import BUCKETS, SHAPES, FolderHoles, Holes, ShapeHoles, StrokeHoles
from .measure.people import People
from .measure.perceptual import find_networks, perceptual
from .measure.plan import ALBUM_ONLY, Planned, plan
from .measure.report import write_report
from .measure.results import Summary, join, summarise, write_csv
from .measure.work import Work, run
from .train.jitter import side_with_room
from .train.photo_cache import PhotoCache, cache_photos
from .train.reporting import tell_unusable

_logger = logging.getLogger(__name__)

_MADE: Final = (
    "results.parquet", "table.csv", "differences.csv", "report.md", "report.html", "pictures",
)  # fmt: skip
"""What is written anew each time."""


@dataclass(frozen=True)
class Evaluation:
    """What is measured, on what.

    Attributes:
        photos: a folder, list, tar or Parquet file of photos, aligned as the networks' are.
        out: the report's folder.
        methods: see `methods.build_method`; NAME=SOURCE gives another name.
        masks: a folder of masks, each of which is used, "balanced" for strokes drawn here, or ""
            for none.
        shapes: wide holes, each on every photo.
        album: `photos` holds a folder for each person; the holes are those of `album.album_holes`.
        jitter: share of the photos of which a part is painted, turned and moved, as faces are that
            nobody aligned.
        limit: take so many photos, drawn by the seed; None for all.
        databases: image databases for methods that look at similar photos.
        auxiliaries: what these are shown; see `auxiliaries`.
        coarse: the method that fills holes for the search; the one that goes with each network if
            left out.
        strokes: a stroke bank's file, or "synthetic".
        per_bucket: masks in each bucket, of files at most; None for all files, or for as many
            balanced ones as use every photo once.
        black_holes: masks of a plain folder have black holes.
        size: side of the squares that are painted, in pixels.
        seed: of holes, pairs, random auxiliaries and the bootstrap.
        workers: processes.
        device: where networks run: "cpu", "cuda", or "auto".
        sheet: cases on each sheet of the best, median and worst.
    """

    photos: Path
    out: Path
    methods: tuple[str, ...]
    masks: str = ""
    shapes: tuple[str, ...] = ()
    album: bool = False
    jitter: float = 0.0
    limit: int | None = None
    databases: tuple[Path, ...] = ()
    auxiliaries: tuple[Auxiliary, ...] = ("database",)
    coarse: str | None = None
    strokes: str = "synthetic"
    per_bucket: int | None = None
    black_holes: bool = False
    size: int = 128
    seed: int = 0
    workers: int = 1
    device: str = "auto"
    sheet: int = 16

    def __post_init__(self) -> None:
        least = {"limit": 1, "per_bucket": 1, "size": 16, "seed": 0, "workers": 1, "sheet": 1}
        for name, lowest in least.items():
            if (found := getattr(self, name)) is not None and found < lowest:
                raise InputError(f"{name}: expected {lowest} or more, found {found}")
        if not 0 <= self.jitter <= 1:
            raise InputError(f"jitter: expected a share of 0 to 1, found {self.jitter}")
        if len(set(self.shapes)) < len(self.shapes):
            raise InputError(f"shapes: expected each once, found {', '.join(self.shapes)}")
        if unknown := set(self.shapes) - set(SHAPES):
            some, found = ", ".join(SHAPES), ", ".join(sorted(unknown))
            raise InputError(f"shapes: expected some of {some}; found {found}")
        for one in self.auxiliaries:
            expect_one_of("auxiliaries", one, get_args(Auxiliary))
        if not self.methods:
            raise InputError("methods: expected at least one, found none")
        if not (self.masks or self.shapes or self.album):
            raise InputError("holes: expected masks or shapes, found neither")
        if self.album and (self.masks or self.shapes):
            raise InputError("holes: an album has its own; expected neither masks nor shapes")
        expect_beside("--per-bucket", self.per_bucket, self.masks, "--masks, of files or balanced,")
        folder = self.masks not in ("", "balanced")
        drawn = self.album or self.masks == "balanced"
        expect_beside(
            "--strokes", self.strokes != "synthetic", drawn, "--masks balanced, or --album,"
        )
        expect_beside("--black-holes", self.black_holes, folder, "a folder of --masks")
        if self.album and self.jitter:
            raise InputError("jitter: an album's photos are not aligned; expected none")
        if not self.album and (needed := {"album", "person"} & set(self.auxiliaries)):
            raise InputError(f"auxiliary {', '.join(sorted(needed))}: expected an album of persons")


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found.

    Attributes:
        table: the cells of `table.csv`.
        differences: the rows of `differences.csv`.
        report: the page to look at.
    """

    table: list[Summary]
    differences: list[Difference]
    report: Path


def evaluate(config: Evaluation, stages: Stages = silently) -> Outcome:
    """Measure methods and write the report.

    Args:
        config: what to measure.
        stages: told of photos prepared, and of those filled, all methods together.

    Raises:
        InputError: an option, a file or a method is not what was expected; or the folder holds a
            report on other photos or holes, files of something else, or the photos themselves.
        StorageError: a file cannot be written; finished blocks stay valid.
    """
    if config.photos.resolve() in ((config.out / name).resolve() for name in ("", "photos")):
        raise InputError(f"{config.out}: expected another folder for the report: photos are there")
    if not (config.out / "settings.json").exists():
        expect_unused(config.out, _MADE)
    for database in config.databases:
        open_checked(database, "full")
    databases = [path.absolute() for path in config.databases]
    databases = databases or ([ALBUM_ONLY] if config.album else [])
    planned = plan(config.methods, databases, config.auxiliaries, config.coarse, config.seed)
    _expect_used(config, planned)
    make_folder(config.out)
    cases, people = _open(config, stages)
    _claim(config.out, cases)
    device = pick_device(config.device)
    rows = cases.cache.usable if people else np.unique(cases.photo)
    hashes = _hashes(config.photos, cases.cache, rows) if config.databases else {}
    work = Work(cases, config.out / "parts", device, config.seed, people, hashes)
    with stages("Filling", "photos") as progress:
        run(work, planned, config.workers, progress)
    return _report(config, work, planned)


def _expect_used(config: Evaluation, planned: list[Planned]) -> None:
    """Refuse what nothing looks at; not beside a database, which the next methods may ask."""
    needed = "a method that looks at similar photos"
    there = config.databases or config.album
    expect_beside("--coarse", config.coarse, there or any(one.coarse for one in planned), needed)
    named = set(config.auxiliaries) != {"database"}
    expect_beside("--auxiliary", named, there or any(one.shown for one in planned), needed)


def _hashes(photos: Path, cache: PhotoCache, rows: Rows) -> dict[int, str]:
    """SHA-256 of the files that some rows of a cache were decoded from."""
    source, hashes = open_source(photos), {}
    for row in rows.tolist():
        with suppress(ImageError):  # it was there when it was cached
            hashes[row] = hashlib.sha256(source.read(cache.names[row])).hexdigest()
    return hashes


def _open(config: Evaluation, stages: Stages) -> tuple[Cases, People | None]:
    """Photos and holes, and who is on the photos of an album."""
    people = None
    if config.strokes != "synthetic":
        named_bank(config.strokes)  # that it is none is told before photos are read
    if config.album:
        cache, people = open_album(config.photos, config.out, config.size, stages)
    else:
        source = open_source(config.photos, exclude=config.out)
        side = side_with_room(config.size, config.jitter)
        with stages("Reading", "photos") as read:
            cache = cache_photos(source, source.names, config.out / "photos", side, progress=read)
    tell_unusable(_logger.warning, cache)
    rows = people.rows if people else cache.usable
    if not len(rows):
        raise InputError(f"{config.photos}: expected persons with several photos, found none")
    if config.limit is not None:
        rows = np.sort(np.random.default_rng([config.seed, 0x11]).permutation(rows)[: config.limit])
    units = people.persons if people else None
    cases = Cases(
        cache,
        hole_sets(config, rows),
        config.seed,
        rows=rows,
        units=units,
        size=config.size,
        jitter=config.jitter,
    )
    return cases, people


def _report(config: Evaluation, work: Work, planned: list[Planned]) -> Outcome:
    """From the finished blocks to tables and pages."""
    table = join({one.label: work.of(one) for one in planned})
    with replacing(config.out / "results.parquet") as temporary:
        pq.write_table(table, temporary)
    networks = find_networks()
    summaries = [*summarise(table), *perceptual(work, planned, table, networks)]
    write_csv(config.out / "table.csv", Summary._fields, summaries)
    compared = list(differences(table, config.seed))
    write_csv(config.out / "differences.csv", Difference._fields, compared)
    remarks = [*networks.left_out, *([work.people.shares(table)] if work.people else [])]
    report = write_report(config, work, planned, table, summaries, compared, remarks)
    return Outcome(summaries, compared, report)


def hole_sets(config: Evaluation, rows: Rows) -> list[Holes]:
    """The holes that a configuration asks for.

    Raises:
        InputError: the strokes or the masks are not what was expected.
        ImageError: a mask's file cannot be used.
    """
    size, seed, count = config.size, config.seed, len(rows)
    if config.album:
        return album_holes(named_bank(config.strokes), size, seed, count)
    sets: list[Holes] = []
    if config.masks == "balanced":
        if Path("balanced").is_dir():
            raise InputError(
                "masks: balanced holes are drawn, but there is a folder of this name too: write "
                "./balanced for its masks, or run this in another folder"
            )
        total = BUCKETS * config.per_bucket if config.per_bucket else count
        sets.append(StrokeHoles(named_bank(config.strokes), size, seed, total))
    elif config.masks:
        folder = Path(config.masks)
        black, most = config.black_holes, config.per_bucket
        sets.append(FolderHoles(folder, size, count, seed, black=black, per_bucket=most))
    sets += [ShapeHoles(shape, size, seed, count) for shape in config.shapes]
    return sets


def _claim(out: Path, cases: Cases) -> None:
    """Say in the folder what it is about, or refuse if it is about something else."""
    path = out / "settings.json"
    if not path.exists():
        write_settings(path, cases.settings)
    found = read_settings(path)
    differing = {name.partition(".")[0] for name, *_ in changed_settings(found, cases.settings)}
    if differing:
        raise InputError(
            f"{out}: holds a report on other {' and '.join(sorted(differing))}; name another folder"
        )
