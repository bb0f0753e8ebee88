"""Photos decoded once into memory-mapped squares, so that training never waits for a JPEG.

On disk: `cache.json`, what is cached, written first; `block-00000.npy`, ..., uint8 (n, S, S, 3),
each written atomically after its `block-00000.json`, which names the photos that could not be used.
A run that was killed goes on with the blocks that are missing.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...data.files import make_folder, replacing
from ...data.images import Pixels, decode, square
from ...data.progress import Progress, silent
from ...data.sources import PhotoSource, file_stamp
from ...errors import ImageError, InputError

_BLOCK = 2048
_PLAN = "cache.json"


class PhotoCache:
    """The photos of one source as squares of one size, by row; row i is the source's i-th name.

    Attributes:
        folder: where the blocks are.
        size: side of the squares in pixels.
        names: the photos' names, one per row.
        usable: (n,) int64, the rows whose photo could be decoded; the others are black.
        unusable: the others' names, each with the reason.
        fingerprint: a hash of size and names.
        files: a hash of the sizes and times of the files.

    Raises:
        InputError: the folder holds no cache, or an unfinished one.
    """

    def __init__(self, folder: Path) -> None:
        plan = _read_plan(folder)
        self.folder = folder
        self.size: int = plan["size"]
        self.names: list[str] = plan["names"]
        self.fingerprint = _fingerprint(plan)
        self.files = str(plan["files"])
        starts = range(0, len(self.names), _BLOCK)
        try:
            self._blocks = [np.load(_block(folder, start), mmap_mode="r") for start in starts]
            skipped = [json.loads(_notes(folder, start).read_text("utf-8")) for start in starts]
        except (OSError, ValueError) as error:
            raise InputError(
                f"{folder}: expected a finished photo cache, found a part of one: {error}"
            ) from error
        self.unusable: dict[str, str] = {}
        for block in skipped:
            self.unusable |= block
        rows = [row for row, name in enumerate(self.names) if name not in self.unusable]
        self.usable = np.array(rows, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[type["PhotoCache"], tuple[Path]]:
        return PhotoCache, (self.folder,)  # worker processes map the same pages

    def photos(self, rows: Sequence[int] | NDArray[np.int64], size: int | None = None) -> Pixels:
        """Some photos, shrunk by averaging to `size` if it is given: uint8 (n, size, size, 3)."""
        size = size or self.size
        out = np.empty((len(rows), size, size, 3), dtype=np.uint8)
        for i, row in enumerate(rows):
            out[i] = _shrink(self._blocks[row // _BLOCK][row % _BLOCK], size)
        return out


def _shrink(photo: Pixels, size: int) -> Pixels:
    """Average a square down to `size`; halving it in steps is ten times as fast where it can be."""
    while len(photo) % (2 * size) == 0:
        half = len(photo) // 2
        photo = cv2.resize(photo, (half, half), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return square(photo, size)


def cache_photos(
    source: PhotoSource,
    names: Sequence[str],
    folder: Path,
    size: int,
    *,
    exact: bool = False,
    workers: int = 2,
    progress: Progress = silent,
) -> PhotoCache:
    """Decode photos, or only those that an earlier, interrupted run has not, and open the cache.

    Args:
        source: where they are.
        names: which of them.
        folder: where the cache is written.
        size: side of the central squares that are kept.
        exact: decode JPEGs at their full size; see `read_photo` for what is quicker.
        workers: threads that decode.
        progress: told of photos done, if any are left to do.

    Raises:
        InputError: there are none, or none can be used, or `folder` caches other photos or another
            size, or photos that were changed since.
        StorageError: the folder cannot be written.
    """
    if not names:
        raise InputError(f"{source.root}: expected photos, found none in the {source.kind}")
    make_folder(folder)
    plan = {
        "format": 1,
        "root": str(source.root),
        "size": size,
        "names": list(names),
        "files": _stamp(source, names),
        **({"exact": True} if exact else {}),
    }
    if not (folder / _PLAN).exists():
        _write_json(folder / _PLAN, plan)
    elif (found := _read_plan(folder)) != plan:
        differing = ", ".join(key for key in plan if found.get(key) != plan[key])
        raise InputError(
            f"{folder}: caches other photos (another {differing}); name another folder"
        )

    def read(name: str) -> Pixels | str:
        try:
            name.encode()
            photo = decode(source.read(name), name=name, side=None if exact else size)
            return square(photo, size) if exact else photo
        except UnicodeEncodeError:
            return "the file's name is not valid UTF-8"
        except ImageError as error:
            return str(error).removeprefix(f"{name}: ")

    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(names), _BLOCK):
            if not _block(folder, start).exists():
                _write_block(folder, start, names[start : start + _BLOCK], size, pool, read)
                progress(min(start + _BLOCK, len(names)), len(names))
    cache = PhotoCache(folder)
    if not len(cache.usable):
        name, reason = next(iter(cache.unusable.items()))
        raise InputError(f"none of {len(names)} files can be used as a photo; {name}: {reason}")
    return cache


def _stamp(source: PhotoSource, names: Sequence[str]) -> str:
    """Changes when a file does: a hash of sizes and times."""
    files = names if source.root.is_dir() else names[:1]  # an archive is one file
    stamps = [file_stamp(source, name) for name in files]
    return hashlib.sha256("".join(f"{s}\n" for s in stamps if s).encode()).hexdigest()[:16]


def _write_block(
    folder: Path,
    start: int,
    names: Sequence[str],
    size: int,
    pool: ThreadPoolExecutor,
    read: Callable[[str], Pixels | str],
) -> None:
    pixels = np.zeros((len(names), size, size, 3), dtype=np.uint8)
    skipped = {}
    for i, found in enumerate(pool.map(read, names)):
        if isinstance(found, str):
            skipped[names[i]] = found
        else:
            pixels[i] = found
    _write_json(_notes(folder, start), skipped)
    with replacing(_block(folder, start)) as temporary, temporary.open("wb") as file:
        np.save(file, pixels)


def _block(folder: Path, start: int) -> Path:
    return folder / f"block-{start // _BLOCK:05d}.npy"


def _notes(folder: Path, start: int) -> Path:
    return _block(folder, start).with_suffix(".json")


def _write_json(path: Path, values: object) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(values), "utf-8")


def _read_plan(folder: Path) -> dict[str, Any]:
    try:
        plan = json.loads((folder / _PLAN).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / _PLAN}: expected a photo cache's plan: {error}") from error
    if not isinstance(plan, dict) or plan.get("format") != 1:
        raise InputError(f"{folder / _PLAN}: expected a photo cache of format 1")
    return plan


def _fingerprint(plan: dict[str, Any]) -> str:
    named = json.dumps([plan["size"], plan["names"]])
    return hashlib.sha256(named.encode()).hexdigest()[:16]
