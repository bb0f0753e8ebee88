"""Photos and masks on disk: one of each, or folders of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from ...data.files import make_folder, replacing
from ...data.images import expect_picture, read_file, write_png
from ...data.photo_files import expect_png, format_of, open_photo, save_photo
from ...data.progress import Progress, silent
from ...data.settings import changed_settings, read_settings, write_settings
from ...data.sources import open_source
from ...errors import InputError
from ..pipeline import Inpainter
from .steps import draw_steps
from .work import Result

_SETTINGS: Final = ".painted.json"
_AGAIN: Final = "painted again"
"""Set where older results were there: those are painted again that are older than the file."""


class Job(NamedTuple):
    """One photo to be painted.

    Attributes:
        photo: its file.
        mask: its mask's file; None if there is none.
        out: where the result goes.
    """

    photo: Path
    mask: Path | None
    out: Path


@dataclass
class Report:
    """What became of a folder.

    Attributes:
        done: files written now.
        kept: files that were there already.
        untouched: of the files written, those whose mask was empty.
        failed: photos that could not be painted, and why, one line each.
    """

    done: int = 0
    kept: int = 0
    untouched: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)


def expect_paintable(job: Job, steps: Path | None = None) -> None:
    """Refuse, before anything is loaded or painted, what could not be read or written.

    Args:
        job: photo, mask and result.
        steps: a PNG to be drawn.

    Raises:
        InputError: there is no mask, one of the files would be written over another, or `steps` is
            not called a PNG.
        ImageError: photo or mask is no picture, or the result's name has no ending of one.
    """
    format_of(job.out)
    if job.mask is None:
        raise InputError(f"{job.photo}: expected a mask of the same name, found none")
    given = {job.photo.resolve(): "photo", job.mask.resolve(): "mask"}
    if len(given) == 1:
        raise InputError(f"{job.mask}: expected a mask, found the photo itself")
    if job.out.resolve() in given:
        raise InputError(f"{job.out}: expected another file than the {given[job.out.resolve()]}")
    if steps is not None:
        if steps.resolve() in {*given, job.out.resolve()}:
            raise InputError(f"{steps}: expected another file than photo, mask and result")
        expect_png(steps)
    expect_picture(job.photo)
    expect_picture(job.mask)


def paint_file(
    inpainter: Inpainter,
    job: Job,
    *,
    black_holes: bool = False,
    grow: int = 0,
    steps: Path | None = None,
    progress: Progress = silent,
) -> Result:
    """Paint a photo and write it; if the mask is empty and the format the same, copy the file.

    Args:
        inpainter: the networks.
        job: photo, mask and result.
        black_holes: the mask has its holes black.
        grow: pixels by which its holes are made wider on each side.
        steps: a PNG to draw how it was done, if anything was.
        progress: told of squares.

    Raises:
        InputError: the mask is missing, of another size, or covers everything.
        ImageError: photo or mask cannot be used, or the result's format cannot hold it.
        StorageError: the result cannot be written.
    """
    expect_paintable(job, steps)
    assert job.mask is not None  # noqa: S101 - checked in the line before
    for written in filter(None, (job.out, steps)):
        make_folder(written.parent)
    source = open_photo(job.photo)
    result = inpainter(
        source,
        job.mask,
        black_holes=black_holes,
        grow=grow,
        pictures=steps is not None,
        progress=progress,
    )
    if not result.frames and format_of(job.out) == source.format:
        with replacing(job.out) as temporary:
            temporary.write_bytes(read_file(job.photo))
    else:
        save_photo(job.out, result.photo, source)
    if steps is not None and result.frames:
        write_png(steps, draw_steps(result, inpainter.names(result.ids)))
    return result


def pair(photos: Path, masks: Path, out: Path) -> list[Job]:
    """Photos of a folder, each with the mask of the same name but for its ending.

    Args:
        photos: a folder; photos in folders inside it count too.
        masks: a folder of the same structure; or one mask for all photos.
        out: the folder of the results, which have the photos' names.

    Raises:
        InputError: no photos, no masks, `out` is the photos' folder, or a result would be written
            over a photo or a mask.
        ImageError: the one mask for all is no picture.
    """
    if not masks.exists():
        raise InputError(f"{masks}: expected a mask or a folder of masks, found nothing")
    if out.resolve() in (photos.resolve(), masks.resolve()):
        raise InputError(f"{out}: expected another folder than that of the photos or masks")
    names = open_source(photos, out).names
    if not names:
        raise InputError(f"{photos}: expected photos, found none")
    found: dict[str, list[str]] = {}
    if masks.is_dir():
        for name in open_source(masks, out).names:
            found.setdefault(str(Path(name).with_suffix("")), []).append(name)
        stems = [str(Path(name).with_suffix("")) for name in names]
        pairs = zip(names, stems, strict=True)
        matching = [_mask_of(name, found.get(stem, [])) for name, stem in pairs]
        chosen: Sequence[Path | None] = [
            None if name is None else masks / name for name in matching
        ]
    else:
        expect_picture(masks)
        chosen = [masks] * len(names)
    jobs = [Job(photos / name, mask, out / name) for name, mask in zip(names, chosen, strict=True)]
    given = {(photos / name).resolve(): "photos" for name in names}
    given |= {(masks / name).resolve(): "masks" for same in found.values() for name in same}
    given |= {job.mask.resolve(): "masks" for job in jobs if job.mask is not None}
    for job in jobs:
        if kind := given.get(job.out.resolve()):
            raise InputError(
                f"{job.out}: expected a place for the result of {job.photo}, found one of the "
                f"{kind}; name another folder for the results"
            )
    return jobs


def _mask_of(photo: str, masks: list[str]) -> str | None:
    """Of the masks of a photo's name the one that it means."""
    if len(masks) > 1 and photo not in masks:
        raise InputError(f"{photo}: expected one mask, found {' and '.join(masks)}")
    return photo if photo in masks else next(iter(masks), None)


def claim(out: Path, settings: Mapping[str, Any], *, overwrite: bool = False) -> int:
    """Say in a folder of results how they are painted, in a hidden file.

    Args:
        out: the folder; made if need be.
        settings: all that decides what is painted but photos and masks, as JSON values.
        overwrite: everything in it will be painted again.

    Returns:
        since when it is painted so, in nanoseconds as files' times are: what is older was painted
        otherwise; 0 where nothing was.

    Raises:
        InputError: it holds what was painted otherwise.
        StorageError: it cannot be written.
    """
    make_folder(out)
    path = out / _SETTINGS
    if overwrite or not path.exists():
        write_settings(path, {**settings, _AGAIN: True} if overwrite else settings)
        return path.stat().st_mtime_ns if overwrite else 0
    found = read_settings(path)
    again = found.pop(_AGAIN, False)
    for name, before, now in changed_settings(found, settings):
        raise InputError(
            f"{out}: holds photos painted with {name} {before}, asked for is {now}; name "
            "another folder, or paint all of them again (--overwrite)"
        )
    return path.stat().st_mtime_ns if again else 0


def _is_done(job: Job, since: int) -> bool:
    """Whether the result is there, painted since, and neither photo nor mask is newer."""
    if job.mask is None or not (job.out.exists() and job.photo.exists() and job.mask.exists()):
        return False
    changed = max(path.stat().st_mtime_ns for path in (job.photo, job.mask))
    return job.out.stat().st_mtime_ns >= max(changed, since)


def paint_folder(
    inpainter: Inpainter,
    jobs: Sequence[Job],
    *,
    black_holes: bool = False,
    grow: int = 0,
    overwrite: bool = False,
    since: int = 0,
    progress: Progress = silent,
) -> Report:
    """Paint many photos; one that cannot be used does not stop the others.

    Finished results are kept, so that a run that was stopped can be repeated; but not those whose
    photo or mask is newer, or that were painted otherwise before.

    Args:
        inpainter: the networks.
        jobs: what to paint.
        black_holes: the masks have their holes black.
        grow: pixels by which their holes are made wider on each side.
        overwrite: paint again what is there.
        since: paint again what is older: see `claim`.
        progress: told of photos.

    Raises:
        StorageError: results cannot be written.
    """
    report = Report()
    for number, job in enumerate(jobs, 1):
        if not overwrite and _is_done(job, since):
            report.kept += 1
        else:
            try:
                result = paint_file(inpainter, job, black_holes=black_holes, grow=grow)
            except InputError as error:
                report.failed.append((job.photo, " ".join(str(error).split())))
            else:
                report.done += 1
                report.untouched += [] if result.frames else [job.photo]
        progress(number, len(jobs))
    return report
