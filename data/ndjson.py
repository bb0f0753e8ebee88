"""Lines of Quick, Draw! NDJSON as columns of numbers, a few hundred lines at a time.

Parsing JSON into Python lists costs several times more than the rest of an import. So the numbers
of a block in the published layout ("drawing" last, as Google writes it or as `json.dumps` does) are
found with array operations on its bytes, every one of which is checked. A block with anything
unusual in it is left to `parse_line`, which says what is wrong.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from .simplify import Ints, starts

MAX_STROKES: Final = 65_535  # of a drawing; the binary form has the same limit
MAX_RAW_POINTS: Final = 16_384  # of a drawing; the game lets people draw for 20 seconds
MAX_RAW: Final = 1e6  # pixels of any screen

_NUMBER: Final = np.isin(np.arange(256), np.frombuffer(b"0123456789.+-eE", np.uint8))
_NOT_NUMBER: Final = bytes(np.flatnonzero(~_NUMBER).astype(np.uint8))
Points = NDArray[Any]  # float64 in pixels, or uint8 in the box

# What stands between two lists of numbers, by its length: next list, next stroke, next drawing.
_GAPS: Final = {3: b"],[", 5: b"]],[[", 8: b"]]]}\n[[["}
_WORD: Final = np.dtype("<u8")  # 8 bytes of text, compared at once
_GAP_WORDS: Final = np.zeros(9, _WORD)
_GAP_MASKS: Final = np.zeros(9, _WORD)
for _length, _gap in _GAPS.items():
    _GAP_WORDS[_length] = int.from_bytes(_gap, "little")
    _GAP_MASKS[_length] = (1 << 8 * _length) - 1


@dataclass(frozen=True)
class Lines:
    """Drawings of one form, as they stand in the file.

    Attributes:
        raw: of the raw form, in screen pixels; else of the simplified form, in the 256x256 box.
        words: what each drawing shows (d).
        ids: uint64 (d,), `key_id`.
        strokes: int64 (d,), strokes of each drawing, 1 or more.
        points: int64 (s,), points of each stroke, 1 or more.
        xy: (p, 2), float64 if raw, else uint8.
    """

    raw: bool
    words: list[str]
    ids: NDArray[np.uint64]
    strokes: Ints
    points: Ints
    xy: Points


def parse_block(block: bytes) -> Lines | None:
    """All lines of a block, each ended by a newline; None if one of them needs a closer look."""
    if b'"drawing": ' in block[:4096]:
        block = block.replace(b'"drawing": ', b'"drawing":')
    # head, numbers, head, numbers, ..., ""
    parts = block.replace(b'"drawing":', b'"drawing":\n').split(b"\n")
    heads, numbers = parts[0:-1:2], parts[1::2]
    if len(parts) % 2 == 0 or not numbers:
        return None
    body = b"\n".join(numbers) + b"\n"
    if b", " in numbers[0]:
        body = body.replace(b", ", b",")
    meta = _heads(heads)
    lists = body[: body.find(b"]]")].count(b"[") - 2  # of the first stroke
    if meta is None or lists not in (2, 3):
        return None
    columns = _columns(body, lists)
    if columns is None or len(columns[0]) != len(heads):
        return None
    strokes, points, xy = columns
    return Lines(lists == 3, *meta, strokes, points, xy)


def _heads(heads: list[bytes]) -> tuple[list[str], NDArray[np.uint64]] | None:
    """`word` and `key_id` of lines cut off after `"drawing":`."""
    text = b"[" + b"0},\n".join(heads) + b"0}]"
    try:
        records = orjson.loads(text)
        # As many records as lines, each with its "drawing": 0: none leans on its neighbors.
        keys = [record["key_id"] for record in records if record["drawing"] == 0]
        words = [record["word"] for record in records]
        ids = np.array([*map(int, keys)], np.uint64)
        sound = (
            len(keys) == len(heads) == len(records)
            and "".join(keys).isdecimal()
            and all(isinstance(word, str) and word for word in set(words))
        )
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
    return (words, ids) if sound else None


def _columns(body: bytes, lists: int) -> tuple[Ints, Ints, Points] | None:
    """Strokes of each drawing, points of each stroke, and the points.

    Args:
        body: lines of `[[[1,2],[3,4]],[[5],[6]]]}`.
        lists: how many lists each stroke has; the first two are x and y.
    """
    text = np.frombuffer(body + b"[[[", np.uint8)  # as if another drawing followed
    number = text - 48 < 10 if lists == 2 else _NUMBER[text]
    edges = np.flatnonzero(number[1:] != number[:-1]) + 1
    first, stop = edges[0::2], edges[1::2]  # of each number
    if body[:3] != b"[[[" or not len(first) or len(first) != len(stop):
        return None
    found = _lists(text, stop, np.append(first[1:], len(text)))
    values = _integers(text, first, stop) if lists == 2 else _floats(body, first, stop)
    if first[0] != 3 or found is None or values is None or len(found[0]) % lists:
        return None
    lengths, gaps = (column.reshape(-1, lists) for column in found)  # (s, lists)
    if (gaps[:, -1] == 3).any() or (gaps[:, :-1] != 3).any() or (lengths != lengths[:, :1]).any():
        return None
    strokes = np.diff(np.flatnonzero(gaps[:, -1] == 8), prepend=-1)
    points = lengths[:, 0]
    x = np.repeat((lists - 1) * starts(points), points) + np.arange(points.sum())
    xy: Points = np.stack([values[x], values[x + np.repeat(points, points)]], axis=1)
    if strokes.max() > MAX_STROKES or (lists == 3 and not raw_is_sound(xy, points, strokes)):
        return None
    return strokes, points, xy


def _lists(text: NDArray[np.uint8], stop: Ints, following: Ints) -> tuple[Ints, Ints] | None:
    """Numbers in each list, and the length of the gap after it; None if a gap is not in `_GAPS`.

    Args:
        text: the bytes.
        stop: where each number stops.
        following: where the next one starts.
    """
    gap = following - stop
    wide = gap > 1
    ends = np.flatnonzero(wide)  # the last number of each list
    gap = gap[ends]
    if gap[-1] != 8 or ((text[stop] == ord(",")) == wide).any():
        return None
    if gap.max() > 8 or not _GAP_MASKS[gap].all():
        return None
    words: NDArray[np.uint64] = np.ndarray(len(text) - 7, _WORD, text, strides=(1,))
    if ((words[stop[ends]] & _GAP_MASKS[gap]) != _GAP_WORDS[gap]).any():
        return None
    return np.diff(ends, prepend=-1), gap


def _integers(text: NDArray[np.uint8], first: Ints, stop: Ints) -> NDArray[np.uint8] | None:
    """Numbers 0 to 255 of at most three digits, without leading zeros."""
    if (stop - first).max() > 3:
        return None
    length = (stop - first).astype(np.uint8)
    lead = text[first] - 48
    tens = (text[stop - 2] - 48) * (length > 1)
    rest = text[stop - 1] - 48 + 10 * tens  # at most 99
    hundreds = lead * (length > 2)
    if ((lead == 0) & (length > 1)).any() or (hundreds + (rest > 55) > 2).any():
        return None
    return rest + 100 * hundreds


def _floats(body: bytes, first: Ints, stop: Ints) -> NDArray[np.float64] | None:
    """Numbers as JSON writes them, parsed by Arrow from what is left when all else is deleted."""
    offsets = np.concatenate([[0], np.cumsum(stop - first)]).astype(np.int32)
    digits = pa.py_buffer(body.translate(None, _NOT_NUMBER))
    numbers = pa.StringArray.from_buffers(len(first), pa.py_buffer(offsets), digits)
    try:
        values: NDArray[np.float64] = numbers.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return values


def raw_is_sound(xy: NDArray[np.float64], points: Ints, strokes: Ints) -> bool:
    """Whether raw drawings are of a size that a screen and a hand can make."""
    per_drawing = np.add.reduceat(points, starts(strokes))
    return bool(per_drawing.max() <= MAX_RAW_POINTS and (np.abs(xy) <= MAX_RAW).all())


def parse_line(line: bytes) -> Lines:
    """One line of either form, in any layout of JSON.

    Raises:
        ValueError: it is not a drawing; the message says why.
    """
    record = orjson.loads(line)
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the data's fault, not the caller's
    word, key, drawing = (_field(record, name) for name in ("word", "key_id", "drawing"))
    if not isinstance(word, str) or not word:
        raise ValueError(f"word is {word!r:.40}, not a name")
    number = int(key) if isinstance(key, str | int) and f"{key}".isdecimal() else 1 << 64
    if number >= 1 << 64:
        raise ValueError(f"key_id is {key!r:.40}, not a number of 64 bits")
    if not isinstance(drawing, list) or not 1 <= len(drawing) <= MAX_STROKES:
        raise ValueError(f"drawing is not a list of 1 to {MAX_STROKES} strokes")
    lists = len(drawing[0]) if isinstance(drawing[0], list) else 0
    if lists not in (2, 3):
        raise ValueError("stroke 1 is neither [xs, ys] nor [xs, ys, times]")
    pairs = [_stroke(stroke, lists, i) for i, stroke in enumerate(drawing, start=1)]
    points = np.array([len(pair) for pair in pairs])
    xy = np.concatenate(pairs)
    strokes = np.array([len(pairs)])
    if lists == 3:
        if not raw_is_sound(xy, points, strokes):
            raise ValueError(f"more than {MAX_RAW_POINTS} points, or one beyond {MAX_RAW:.0f} px")
        return Lines(True, [word], np.array([number], np.uint64), strokes, points, xy)
    if (xy != np.rint(xy)).any() or xy.min() < 0 or xy.max() > 255:
        raise ValueError("a coordinate is not an integer from 0 to 255")
    xy = xy.astype(np.uint8)
    return Lines(False, [word], np.array([number], np.uint64), strokes, points, xy)


def _field(record: dict[str, object], name: str) -> object:
    if name not in record:
        raise ValueError(f"no {name}")
    return record[name]


def _stroke(stroke: object, lists: int, number: int) -> NDArray[np.float64]:
    """The points of a stroke (n, 2)."""
    if not isinstance(stroke, list) or len(stroke) != lists:
        raise ValueError(f"stroke {number} is not {lists} lists, as stroke 1 is")
    xs, ys = stroke[:2]
    for values in stroke:
        if not isinstance(values, list) or not set(map(type, values)) <= {int, float}:
            raise ValueError(f"stroke {number} has something that is not a number")
        if len(values) != len(xs):
            raise ValueError(f"stroke {number} has {len(xs)} x and {len(values)} y or times")
    if not xs:
        raise ValueError(f"stroke {number} is empty")
    points: NDArray[np.float64] = np.array([xs, ys], np.float64).T
    return points
