"""The faces of photos as files of their own: what a database of an album should hold."""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

import numpy as np

from ...data.files import make_folder, storage_errors
from ...data.images import Pixels, decode, note_of, read_file, write_png
from ...data.progress import Progress, silent
from ...data.sources import PhotoSource, file_stamp, open_source
from ...errors import ImageError, InputError
from ...index_build.embed import batches_of
from .find_faces import FaceFinder, all_faces, default_finder
from .frames import Frame, Framed, cut

SMALLEST: Final = 48
"""Pixels of the photo: what is smaller, or is cut off by its edge, shows too little to borrow."""

_WHOLE: Final = 0.9  # of a frame's area
_AT_ONCE: Final = 64  # photos whose faces are held in memory
_SEARCHED: Final = ".searched-"
_CUT_FROM: Final = "simpaint:photo"
"""Note in a face's file: the photo's path from there, and the frame: corner and side, x and y."""
_SAME: Final = 3.0  # of 255: what is cut out of the photo once more differs less
_PROBES: Final = 32  # a frame's side in points, to tell its area in the photo


@dataclass
class Cut:
    """What became of photos.

    Attributes:
        faces: files written now.
        kept: photos that were searched before.
        faceless: photos in which no whole face of 48 pixels or more was found.
        failed: those that cannot be used, and why.
    """

    faces: int = 0
    kept: int = 0
    faceless: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


def cut_faces(
    photos: Path,
    out: Path,
    *,
    size: int = 256,
    workers: int = 2,
    finder: FaceFinder | None = None,
    progress: Progress = silent,
) -> Cut:
    """Write every face of every photo, upright in the frame that the networks know.

    Faces of less than 48 pixels, and those that the photo's edge cuts off, are left out.
    The faces of `a/b.jpg` become `a/b.jpg-1.png` (the surest), `a/b.jpg-2.png`, ... A hidden file
    names the photos that were searched for this size: they are not again until they change, so that
    a run that was stopped can be repeated, and a face that somebody deleted does not come back. A
    photo of another album that has the name of one of them counts as failed. Each file notes which
    photo it was cut out of, and where: see `whole_of`.

    Args:
        photos: a folder, a list of paths, a `.tar` or a `.parquet`.
        out: the folder of the faces; made if need be.
        size: side of the squares in pixels.
        workers: photos at once.
        finder: finds faces; dlib's, or scikit-image's without it.
        progress: told of photos done.

    Raises:
        InputError: no photos, none that can be used, or `out` is their folder, or holds faces of
            another size.
        StorageError: a face cannot be written.
    """
    if out.resolve() == photos.resolve():
        raise InputError(f"{out}: expected another folder than that of the photos")
    source, finder = open_source(photos, exclude=out), finder or default_finder()
    if not source.names:
        raise InputError(f"{photos}: expected photos, found none")
    make_folder(out)
    searched = out / f"{_SEARCHED}{size}"
    for other in out.glob(f"{_SEARCHED}*"):
        if other != searched:
            raise InputError(
                f"{out}: holds faces of {other.name.removeprefix(_SEARCHED)} pixels, asked for are "
                f"{size}; name another folder"
            )
    before, root, report = _read(searched), str(source.root), Cut()
    todo: dict[str, str] = {}
    taken: dict[Path, str] = {}
    for name in source.names:
        if (first := taken.setdefault(_file(out, name, 1), name)) != name:
            report.failed.append((name, f"its faces would have the names of those of {first}"))
            continue
        stamp = file_stamp(source, name)
        place, then = before.get(name, (root, None))
        if then == stamp:
            report.kept += 1
        elif place == root:
            todo[name] = stamp
        else:
            report.failed.append((name, f"{out} holds the faces of another photo of this name"))
    ready = len(source.names) - len(todo)
    progress(ready, len(source.names))

    def search(name: str) -> tuple[str, list[_Face] | str]:
        return name, _faces(source, name, finder, size)

    with ThreadPoolExecutor(workers, "faces") as pool, _ending(pool):
        batches = batches_of(list(todo), _AT_ONCE)
        found = (one for names in batches for one in pool.map(search, names))
        for number, (name, faces) in enumerate(found, ready + 1):
            if isinstance(faces, str):
                report.failed.append((name, faces))
            else:
                _forget(out, name)
                _write(out, name, faces, source)
                with storage_errors(searched), searched.open("a", encoding="ascii") as file:
                    # A line that a kill has cut off ends where this one begins.
                    file.write("\n" + json.dumps([name, root, todo[name]]))
                report.faces += len(faces)
                report.faceless += [] if faces else [name]
            progress(number, len(source.names))
    if len(report.failed) == len(source.names):
        name, reason = report.failed[0]
        raise InputError(
            f"{photos}: none of {len(source.names)} files can be used as a photo; "
            f"the first: {name}: {reason}"
        )
    return report


def portrait(photo: Pixels, frame: Frame, size: int) -> Pixels:
    """A frame's pixels, uint8 (size, size, 3)."""
    return np.rint(cut(photo, frame, size)).clip(0, 255).astype(np.uint8)


def whole_of(face: Path) -> Framed | None:
    """The photo that `cut_faces` cut a face out of; None if it did not, or that is gone."""
    try:
        content = read_file(face)
        path, *frame = json.loads(note_of(content, _CUT_FROM))
        left, top, right, down = map(float, frame)
        whole = Framed(decode(face.parent / path), Frame(complex(left, top), complex(right, down)))
        small = decode(content)
        off = portrait(*whole, len(small)) - small.astype(np.float32)
    except (ImageError, ValueError, TypeError, OverflowError):
        return None
    return whole if np.abs(off).mean() < _SAME else None


class _Face(NamedTuple):
    pixels: Pixels
    frame: Frame


@contextmanager
def _ending(pool: ThreadPoolExecutor) -> Iterator[None]:
    """After an error no more work is begun."""
    try:
        yield
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise


def _faces(source: PhotoSource, name: str, finder: FaceFinder, size: int) -> list[_Face] | str:
    """The faces of a photo, the surest first, or why it cannot be used."""
    try:
        photo = decode(source.read(name), name=name)
    except ImageError as error:
        return str(error).removeprefix(f"{name}: ")
    here = np.ones(photo.shape[:2], np.uint8)
    return [
        _Face(portrait(photo, frame, size), frame)
        for frame in all_faces(photo, finder)
        if abs(frame.side) >= SMALLEST and cut(here, frame, _PROBES, fill=0.0).mean() > _WHOLE
    ]


def _forget(out: Path, name: str) -> None:
    """Delete what was found in a photo before it was changed: it may show fewer faces now."""
    first = _file(out, name, 1)
    stem = first.name.removesuffix("1.png")
    for path in first.parent.glob(f"{escape(stem)}*.png"):
        if path.stem.removeprefix(stem).isdigit():
            path.unlink()


def _write(out: Path, name: str, faces: Sequence[_Face], source: PhotoSource) -> None:
    """Write a photo's faces, and in each file where it was cut out."""
    for number, (pixels, frame) in enumerate(faces, 1):
        path = _file(out, name, number)
        make_folder(path.parent)
        note = None
        if source.root.is_dir():
            photo = os.path.relpath(source.root / name, path.parent)
            places = (frame.corner.real, frame.corner.imag, frame.side.real, frame.side.imag)
            note = _CUT_FROM, json.dumps([Path(photo).as_posix(), *places])
        write_png(path, pixels, note)


def _read(searched: Path) -> dict[str, tuple[str, str]]:
    """Where the photos that a file names were, and their stamps; cut off lines are left out."""
    known: dict[str, tuple[str, str]] = {}
    for line in searched.read_text("ascii").splitlines() if searched.exists() else ():
        with suppress(ValueError):
            name, root, stamp = json.loads(line)
            known[name] = root, stamp
    return known


def _file(out: Path, name: str, number: int) -> Path:
    """Where a photo's face goes: never outside of `out`, whatever the source calls the photo."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
    return out.joinpath(*parts[:-1], f"{parts[-1]}-{number}.png")
