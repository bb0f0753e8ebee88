"""Mask data sets on disk: made part by part, resumable, and redrawn at another size.

::

    DIR/
        settings.json      what the data set is; another one is refused once a part is done
        train/00000.png …  1 bit, white = hole
        test/00000.png  …
        masks.parquet      file, split, index, hole ratio, bucket and recipe of every mask
        summary.json       counts, hole ratios, buckets, where the strokes come from
        sheet.png          histogram of hole ratios and 64 masks
        parts/             only while unfinished: the rows of each part that is done

Masks are numbered through both splits, training masks first. Any range can be made on any machine
and the folders laid together; the run that finds every part done writes the table.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import InputError
from .buckets import bucket_of, hole_ratio
from .files import make_folder, replacing, storage_errors
from .mask_sources import SPLITS, MaskSource
from .masks import Split
from .progress import Progress, silent
from .recipe_table import TABLE, TABLE_SCHEMA, recipe_columns
from .recipes import Mask
from .settings import changed_settings, expect_unused, read_settings, write_settings
from .workers import Workers

_PART = 1000
_SHOWN = 256  # pixels of a mask on the sheet, at least


@dataclass(frozen=True)
class _Job:
    source: MaskSource
    out: Path
    black_holes: bool

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.source.settings, "black_holes": self.black_holes}


def write_masks(
    source: MaskSource,
    out: Path,
    *,
    workers: int = 1,
    only: tuple[int, int] | None = None,
    black_holes: bool = False,
    progress: Progress = silent,
) -> dict[str, Any] | None:
    """Write a mask data set, or go on with one that was stopped; lost files are written again.

    Args:
        source: the masks.
        out: the data set's folder.
        workers: processes to draw with; the bytes do not depend on it.
        only: [start, stop) of the masks to make here, numbered through both splits.
        black_holes: write black = hole, as the published QD-IMD has it.
        progress: told of masks done and masks in all (of `only`).

    Returns:
        the summary, or None while masks outside `only` are still missing.

    Raises:
        InputError: the folder holds another data set or files of something else, or `only` is
            outside it.
        StorageError: a file cannot be written; finished parts stay valid.
    """
    total = sum(source.counts.values())
    start, stop = only or (0, total)
    if not 0 <= start < stop <= total:
        raise InputError(f"the range must lie within 0:{total}, not {start}:{stop}")
    job = _Job(source, out, black_holes)
    _claim(job)
    finished = (out / TABLE).exists()
    if finished:
        progress(stop - start, stop - start)
    else:
        _make_parts(job, start, stop, workers, progress)
    _redraw_lost(job, start, stop)
    if not finished:
        if any(_missing(job, 0, total)):
            return None
        _finish(job)
    shutil.rmtree(out / "parts", ignore_errors=True)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def _claim(job: _Job) -> None:
    """Say in the folder what it is for, or refuse if it is for something else.

    What was left by a run that finished no part gives way.
    """
    path = job.out / "settings.json"
    before = read_settings(path) if path.exists() else None
    if before is None:
        expect_unused(job.out, (*SPLITS, "parts", TABLE, "summary.json", "sheet.png"))
    begun = (job.out / TABLE).exists() or any([*_parts(job.out, split)] for split in SPLITS)
    if before is not None and (begun or before.keys() != job.settings.keys()):
        _compare(job, before)
    elif before is not None and before != job.settings:
        with storage_errors(job.out):
            for png in (png for split in SPLITS for png in (job.out / split).glob("[0-9]*.png")):
                png.unlink()
    for folder in ("parts", *(split for split in SPLITS if job.source.counts[split])):
        make_folder(job.out / folder)
    if before != job.settings:
        write_settings(path, job.settings)


def _compare(job: _Job, found: dict[str, Any]) -> None:
    for name, before, now in changed_settings(found, job.settings):
        raise InputError(
            f"{job.out} holds another mask data set: its {name} is {before}, asked for is {now}; "
            "choose another folder"
        )


def _missing(job: _Job, start: int, stop: int) -> Iterator[tuple[Split, int, int]]:
    """Parts of [start, stop), as split and range within it, of which no rows are stored yet."""
    first = 0
    for split in SPLITS:
        count = job.source.counts[split]
        low, high = max(0, start - first), min(count, stop - first)
        for _, begin, end in [*sorted(_parts(job.out, split)), (None, high, high)]:
            while low < min(begin, high):
                step = min(_PART - low % _PART, min(begin, high) - low)
                yield split, low, low + step
                low += step
            low = max(low, end)
        first += count


def _parts(out: Path, split: str) -> Iterator[tuple[Path, int, int]]:
    for path in (out / "parts").glob(f"{split}-*-*.parquet"):
        begin, end = path.stem.split("-")[1:]
        yield path, int(begin), int(end)


def _make_parts(job: _Job, start: int, stop: int, workers: int, progress: Progress) -> None:
    parts = list(_missing(job, start, stop))
    done = stop - start - sum(end - begin for _, begin, end in parts)
    progress(done, stop - start)
    if workers == 1:
        for part in parts:
            done += _make_part(job, *part)
            progress(done, stop - start)
        return
    with Workers(workers, _start_worker, job) as pool:
        for made in pool.results(_make_part_in_worker, parts, job.out):
            done += made
            progress(done, stop - start)


_worker_job: _Job


def _start_worker(job: _Job) -> None:
    global _worker_job
    _worker_job = job
    cv2.setNumThreads(1)


def _make_part_in_worker(split: Split, start: int, stop: int) -> int:
    return _make_part(_worker_job, split, start, stop)


def _make_part(job: _Job, split: Split, start: int, stop: int) -> int:
    """Write masks [start, stop) of a split, then their rows; the rows say that they are done."""
    mask = np.empty((job.source.size, job.source.size), dtype=np.uint8)
    recipes, drawings, ratios = [], [], []
    for index in range(start, stop):
        recipe, drawing_ids = job.source.draw(split, index, mask)
        recipes.append(recipe)
        drawings.append(drawing_ids)
        ratios.append(float(hole_ratio(mask)))
        _write_png(job.out / _file(job, split, index), mask, black_holes=job.black_holes)
    indices = range(start, stop)
    table = pa.Table.from_arrays(
        [
            pa.array([_file(job, split, index) for index in indices]),
            pa.array([split] * len(indices)),
            pa.array(indices, pa.int64()),
            pa.array(ratios, pa.float64()),
            pa.array(bucket_of(ratios), pa.int8()),
            pa.array(drawings, TABLE_SCHEMA.field("drawing_ids").type),
            *recipe_columns(recipes),
        ],
        schema=TABLE_SCHEMA,
    )
    _compare(job, read_settings(job.out / "settings.json"))  # another run may have taken the folder
    with replacing(job.out / "parts" / f"{split}-{start:08d}-{stop:08d}.parquet") as temporary:
        pq.write_table(table, temporary)
    return len(indices)


def _redraw_lost(job: _Job, start: int, stop: int) -> None:
    """Write the files of [start, stop) again that are not there, though their rows are."""
    mask = np.empty((job.source.size, job.source.size), dtype=np.uint8)
    first = 0
    for split in SPLITS:
        count = job.source.counts[split]
        there = {path.name for path in (job.out / split).iterdir()} if count else set()
        for index in range(max(0, start - first), min(count, stop - first)):
            path = job.out / _file(job, split, index)
            if path.name not in there:
                job.source.draw(split, index, mask)
                with replacing(path) as temporary:  # else half a mask would be there for good
                    _write_png(temporary, mask, black_holes=job.black_holes)
        first += count


def _file(job: _Job, split: Split, index: int) -> str:
    digits = max(5, len(str(job.source.counts[split] - 1)))
    return f"{split}/{index:0{digits}d}.png"


def _write_png(path: Path, mask: Mask, *, black_holes: bool) -> None:
    pixels = (1 - mask if black_holes else mask) * 255
    options = [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 1]
    _, data = cv2.imencode(".png", pixels, options)
    with storage_errors(path):
        path.write_bytes(data.tobytes())


def _small(source: MaskSource, split: Split, index: int) -> Mask:
    """A mask as a sheet shows it: few pixels of it."""
    mask: Mask = np.empty((source.size, source.size), np.uint8)
    source.draw(split, index, mask)
    step = max(1, source.size // _SHOWN)
    shown: Mask = mask[::step, ::step].copy()
    return shown


def _finish(job: _Job) -> None:
    """Write what describes all masks, the table last: its presence says that the set is whole."""
    # Only finishing draws a chart, and the import takes longer than drawing a part.
    from .mask_summary import SHEET, draw_sheet, summarise

    tables = []
    for split in SPLITS:
        paths = [path for path, _, _ in _parts(job.out, split)]
        rows = pa.concat_tables([TABLE_SCHEMA.empty_table(), *map(pq.read_table, paths)])
        # Two machines may have made the same masks; they are the same, so one is kept.
        _, first = np.unique(rows["index"].to_numpy(), return_index=True)
        tables.append(rows.take(first))
    table = pa.concat_tables(tables)
    summary = {**summarise(table), "settings": job.settings}
    with replacing(job.out / "summary.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=1))
    first = table.slice(0, SHEET).select(["split", "index"]).to_pylist()
    masks = [_small(job.source, row["split"], row["index"]) for row in first]
    ratios: dict[str, NDArray[np.float64]] = {
        s: t["hole_ratio"].to_numpy() for s, t in zip(SPLITS, tables, strict=True)
    }
    with replacing(job.out / "sheet.png") as temporary:
        draw_sheet(temporary, job.settings["masks"], ratios, masks)
    metadata = {"simpaint": json.dumps(job.settings)}
    with replacing(job.out / TABLE) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)
