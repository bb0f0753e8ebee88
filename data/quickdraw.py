"""Quick, Draw! files, in all three published forms, as columns of numbers.

The forms (https://github.com/googlecreativelab/quickdraw-dataset), told apart by content, also when
compressed with gzip:

- simplified: NDJSON, `drawing = [[xs, ys], ...]`, integers in a 256x256 box;
- raw: NDJSON, `drawing = [[xs, ys, ts], ...]`, screen pixels; simplified here as published;
- binary: records of u64 key, 2s country, u8 recognised, u32 time, u16 strokes, and for each stroke
  u16 n, n x u8 x, n x u8 y, little endian. The category is the file's name.

Files are read in blocks, so memory does not grow with them. What cannot be used (a damaged line, a
binary record that makes no sense) is reported and left out.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DrawingsError
from .ndjson import Lines, parse_block, parse_line
from .progress import Progress, silent
from .simplify import Ints, simplify, starts

BLOCK: Final = 1 << 18  # bytes at a time: what is made of them stays in the processor's cache
MAX_DRAWING: Final = 1 << 23  # bytes of one drawing; the longest in the published set have 0.1 MB
ENDINGS: Final = (".ndjson", ".bin")

_HEADER: Final = struct.Struct("<Q2sBIH")
_JPEG: Final = (b"JFIF", b"Exif")
_COUNT: Final = struct.Struct("<H")


@dataclass(frozen=True)
class Drawings:
    """Some drawings as columns: d drawings of s strokes with p points together.

    Attributes:
        categories: what each drawing shows, d of them.
        ids: uint64 (d,), the published `key_id`.
        strokes: int64 (d,), strokes of each drawing, 1 or more.
        points: int64 (s,), points of each stroke, 1 or more.
        xy: uint8 (p, 2), the points in the 256x256 box of their drawing.
    """

    categories: list[str]
    ids: NDArray[np.uint64]
    strokes: Ints
    points: Ints
    xy: NDArray[np.uint8]


@dataclass(frozen=True)
class Damage:
    """What could not be used, where, and why."""

    file: Path
    place: str  # "line 12" or "byte 3456"
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: {self.reason}"


_Block: TypeAlias = tuple[Path, int, bytes | None]  # file, number of the first line, lines


def drawing_files(path: Path) -> list[Path]:
    """A file itself; of a folder its `.ndjson` and `.bin` files, also with `.gz`, by name.

    Raises:
        DrawingsError: there is nothing at `path`, or no such file in the folder.
    """
    if not path.is_dir():
        if not path.exists():
            raise DrawingsError(f"no file or folder {path}")
        return [path]
    files = [file for file in path.iterdir() if file.name.removesuffix(".gz").endswith(ENDINGS)]
    if not files:
        raise DrawingsError(f"no .ndjson or .bin file in {path}")
    return sorted(files)


def read_drawings(path: Path, progress: Progress = silent) -> Iterator[Drawings | Damage]:
    """Read a file of any form, some hundred drawings at a time.

    Args:
        path: the file.
        progress: called with bytes of the file read and bytes in all.

    Raises:
        DrawingsError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            for item in _read_any(file, path):
                progress(file.tell(), size)
                yield item
    except OSError as error:
        raise DrawingsError(f"cannot read {path}: {error.strerror or error}") from error


def _read_any(file: IO[bytes], path: Path) -> Iterator[Drawings | Damage]:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    source = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
    try:
        head = source.read(_HEADER.size)
        source.seek(0)
        if head.startswith(b"\xff\xd8\xff") and head[6:10] in _JPEG:  # it would make a record
            yield Damage(path, "byte 0", "a JPEG, expected drawings")
        elif len(head) > 10 and head[10] < 2:  # no JSON has such a byte
            yield from _read_binary(source, path)
        else:
            for block in _numbered_blocks(source, path):
                yield from _read_block(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Damage(path, f"byte {file.tell()}", f"damaged gzip, the rest is lost: {error}")


def _numbered_blocks(source: IO[bytes], path: Path) -> Iterator[_Block]:
    number = 1
    for block in _line_blocks(source):
        yield path, number, block
        number += 1 if block is None else block.count(b"\n")


def _read_block(task: _Block) -> list[Drawings | Damage]:
    """Some whole lines; if anything is wrong with them, line by line to find out what and where."""
    path, number, block = task
    if block is None:
        return [Damage(path, f"line {number}", f"longer than {MAX_DRAWING} bytes")]
    if (lines := parse_block(block)) is not None:
        return [_drawings(lines)]
    sound: list[Lines] = []
    items: list[Drawings | Damage] = []
    for i, line in enumerate(block.split(b"\n")):
        try:
            if line.strip():
                sound.append(parse_line(line))
        except ValueError as error:
            items.append(Damage(path, f"line {number + i}", str(error)))
    items += [_drawings(_join([*group])) for _, group in groupby(sound, lambda lines: lines.raw)]
    return items


def _line_blocks(source: IO[bytes]) -> Iterator[bytes | None]:
    """Whole lines, each ended by a newline; None for a single line that is too long."""
    rest = b""
    skipping = False
    while data := source.read(BLOCK):
        if skipping:
            skipping = b"\n" not in data
            data = data[data.find(b"\n") + 1 :] if not skipping else b""
        cut = data.rfind(b"\n") + 1
        if cut:
            yield rest + data[:cut]
            rest = data[cut:]
        else:
            rest += data
        if len(rest) > MAX_DRAWING:
            yield None
            rest, skipping = b"", True
    if rest:
        yield rest + b"\n"


def _join(parts: list[Lines]) -> Lines:
    """Lines of the same form as one."""
    return Lines(
        parts[0].raw,
        [word for part in parts for word in part.words],
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.strokes for part in parts]),
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.xy for part in parts]),
    )


def _drawings(lines: Lines) -> Drawings:
    """Lines of either form, in the 256x256 box."""
    points, xy = lines.points, lines.xy
    if lines.raw:
        points, xy = simplify(xy, points, lines.strokes)
    return Drawings(lines.words, lines.ids, lines.strokes, points, xy)


def _read_binary(source: IO[bytes], path: Path) -> Iterator[Drawings | Damage]:
    category = Path(path.name.removesuffix(".gz")).stem
    rest, at = b"", 0  # `at`: where `rest` starts in the file
    reason = None
    while reason is None and (data := source.read(BLOCK)):
        data = rest + data
        drawings, used, reason = _parse_records(data, category)
        if drawings is not None:
            yield drawings
        rest, at = data[used:], at + used
        if len(rest) > MAX_DRAWING:
            reason = f"a drawing longer than {MAX_DRAWING} bytes"
    if rest:
        reason = reason or "ends in the middle of a drawing"
        yield Damage(path, f"byte {at}", f"{reason}; the rest of the file is lost")


def _parse_records(data: bytes, category: str) -> tuple[Drawings | None, int, str | None]:
    """All whole records, how many bytes they take, and what is wrong with the next one, if so."""
    ids: list[int] = []
    strokes: list[int] = []
    points: list[int] = []
    first: list[int] = []  # where each record starts
    used = 0
    reason = None
    while len(data) - used >= _HEADER.size:
        key, country, recognised, _, count = _HEADER.unpack_from(data, used)
        if recognised > 1 or not country.isalpha() or not count:
            reason = f"no drawing: {count} strokes, country {country!r}, recognised {recognised}"
            break
        lengths, end = _stroke_lengths(data, used + _HEADER.size, count)
        if 0 in lengths:
            reason = f"stroke {lengths.index(0) + 1} is empty"
        if reason or end > len(data):
            break
        ids.append(key)
        strokes.append(count)
        points += lengths
        first.append(used)
        used = end
    if not ids:
        return None, used, reason
    return _gather(data, category, ids, strokes, points, first), used, reason


def _stroke_lengths(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    """Points of each of the strokes at `at`, and where they end: beyond the data if cut off."""
    lengths: list[int] = []
    while len(lengths) < count and at + _COUNT.size <= len(data):
        (n,) = _COUNT.unpack_from(data, at)
        lengths.append(n)
        at += _COUNT.size + 2 * n
    return lengths, at if len(lengths) == count else len(data) + 1


def _gather(
    data: bytes,
    category: str,
    ids: list[int],
    strokes: list[int],
    points: list[int],
    first: list[int],
) -> Drawings:
    """Copy the points of all strokes out of the records that start at `first`."""
    per_drawing, n = np.array(strokes), np.array(points)
    sizes = 2 + 2 * n  # bytes of each stroke
    before = starts(sizes) - np.repeat(starts(sizes)[starts(per_drawing)], per_drawing)
    xs = np.repeat(np.array(first) + _HEADER.size, per_drawing) + before + 2
    index = np.arange(n.sum()) + np.repeat(xs - starts(n), n)
    text = np.frombuffer(data, np.uint8)
    xy = np.stack([text[index], text[index + np.repeat(n, n)]], axis=1)
    return Drawings([category] * len(ids), np.array(ids, np.uint64), per_drawing, n, xy)
