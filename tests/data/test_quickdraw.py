import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from simpaint.data import quickdraw
from simpaint.data.ndjson import parse_block, parse_line
from simpaint.data.quickdraw import Damage, Drawings, drawing_files, read_drawings
from simpaint.errors import DrawingsError

REAL = Path(__file__).parents[3] / "shared" / "data" / "quickdraw"
Drawing = list[list[list[int]]]  # strokes of [xs, ys]


def line(drawing: object, word: object = "cat", key: object = "7") -> str:
    record = {"word": word, "countrycode": "DE", "key_id": key, "drawing": drawing}
    return json.dumps(record, separators=(",", ":"))


def record(drawing: Drawing, key: int = 7) -> bytes:
    strokes = [
        struct.pack(f"<H{2 * len(xs)}B", len(xs), *xs, *ys) for xs, ys in drawing
    ]  # fmt: skip
    return struct.pack("<Q2sBIH", key, b"DE", 1, 0, len(drawing)) + b"".join(strokes)


def lists(drawings: Drawings) -> list[tuple[str, int, Drawing]]:
    strokes = [part.T.tolist() for part in np.split(drawings.xy, np.cumsum(drawings.points)[:-1])]
    ends = np.cumsum(drawings.strokes)
    each = [strokes[end - n : end] for end, n in zip(ends, drawings.strokes, strict=True)]
    return [*zip(drawings.categories, map(int, drawings.ids), each, strict=True)]


def read(path: Path) -> tuple[list[tuple[str, int, Drawing]], list[Damage]]:
    items = [*read_drawings(path)]
    drawings = [d for item in items if isinstance(item, Drawings) for d in lists(item)]
    return drawings, [item for item in items if isinstance(item, Damage)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all examples of the tests below, each of which writes its file anew."""
    return tmp_path_factory.mktemp("drawn")


coordinates = st.integers(0, 255)
points = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6)
strokes = points.map(lambda pairs: [list(values) for values in zip(*pairs, strict=True)])
drawings = st.lists(st.lists(strokes, min_size=1, max_size=4), min_size=1, max_size=5)


@settings(deadline=None)
@given(drawings, st.integers(0, 2**64 - 1))
def test_what_is_written_as_ndjson_or_as_binary_is_read(
    folder: Path, drawn: list[Drawing], key: int
) -> None:
    text = "\n".join(line(drawing, key=str(key)) for drawing in drawn)
    (folder / "any").write_text(text)
    (folder / "cat.bin").write_bytes(b"".join(record(drawing, key) for drawing in drawn))
    expected = [("cat", key, drawing) for drawing in drawn]
    assert read(folder / "any") == (expected, [])
    assert read(folder / "cat.bin") == (expected, [])


@pytest.mark.skipif(not REAL.exists(), reason="needs the real drawings")
@pytest.mark.parametrize("name", ["cat", "apple", "banana", "zigzag", "The Eiffel Tower"])
def test_the_three_forms_of_real_drawings_agree(name: str) -> None:
    simplified, _ = read(REAL / "simplified" / f"{name}.ndjson")
    raw, damaged = read(REAL / "raw" / f"{name}.ndjson")
    assert damaged == []
    assert read(REAL / "binary" / f"{name}.bin") == (simplified, [])
    assert [d[:2] for d in raw] == [d[:2] for d in simplified]
    assert sum(a == b for a, b in zip(raw, simplified, strict=True)) >= 0.96 * len(raw)


@pytest.mark.skipif(not REAL.exists(), reason="needs the real drawings")
def test_real_files_are_read_as_json_reads_them() -> None:
    for path in sorted((REAL / "simplified").iterdir())[::20]:
        records = [json.loads(text) for text in path.read_text().splitlines()]
        expected = [(r["word"], int(r["key_id"]), r["drawing"]) for r in records]
        assert read(path) == (expected, [])


@settings(deadline=None)
@given(drawings, st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_a_block_at_once_is_read_as_line_by_line(
    drawn: list[Drawing], raw: bool, separators: tuple[str, str]
) -> None:
    if raw:
        drawn = [[[*s, s[0]] for s in drawing] for drawing in drawn]
    records = [{"word": "a [cat], é", "key_id": "12", "drawing": drawing} for drawing in drawn]
    text = [json.dumps(r, separators=separators, ensure_ascii=False).encode() for r in records]
    block = parse_block(b"\n".join(text) + b"\n")
    slow = [parse_line(one) for one in text]
    assert block is not None
    assert block.raw is raw
    assert block.words == ["a [cat], é"] * len(drawn)
    for name in ("ids", "strokes", "points", "xy"):
        expected = np.concatenate([getattr(one, name) for one in slow])
        np.testing.assert_array_equal(getattr(block, name), expected)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("content", [line([[[1, 2], [3, 4]]]).encode(), record([[[1, 2], [3, 4]]])])
def test_the_form_is_known_from_the_content(
    tmp_path: Path, pack: Callable[[bytes], bytes], content: bytes
) -> None:
    (tmp_path / "cat.txt").write_bytes(pack(content))
    assert read(tmp_path / "cat.txt") == ([("cat", 7, [[[1, 2], [3, 4]]])], [])


GOOD = line([[[5], [6]]])
DAMAGED = [
    ("{", "EOF|unexpected end"),
    ("[1]", "not a JSON object"),
    (GOOD[:-4], "unexpected|EOF"),
    (GOOD + GOOD, "unexpected"),
    (GOOD.replace("word", "world"), "no word"),
    (GOOD.replace("drawing", "painting"), "no drawing"),
    (line([[[1], [1]]], word=None), "word is None"),
    (line([[[1], [1]]], word=""), "word is ''"),
    (line([[[1], [1]]], key="x1"), "key_id is 'x1'"),
    (line([[[1], [1]]], key=str(2**64)), "64 bits"),
    (line([[[1], [1]]], key="-1"), "64 bits"),
    (line([[[1], [1]]], key=True), "64 bits"),
    (line([]), "1 to 65535 strokes"),
    (line({}), "1 to 65535 strokes"),
    (line([[]]), r"neither \[xs, ys\]"),
    (line([[[1]]]), r"neither \[xs, ys\]"),
    (line([[[1], [1]], [[1], [1], [1]]]), "stroke 2 is not 2 lists"),
    (line([[[1], [1]], []]), "stroke 2 is not 2 lists"),
    (line([[[1, 2], [1]]]), "2 x and 1 y"),
    (line([[[], []]]), "stroke 1 is empty"),
    (line([[[256], [1]]]), "0 to 255"),
    (line([[[1], [-1]]]), "0 to 255"),
    (line([[[1.5], [1]]]), "0 to 255"),
    (line([[[1000], [1]]]), "0 to 255"),
    (line([[["1"], [1]]]), "not a number"),
    (line([[[None], [1]]]), "not a number"),
    (line([[[True], [1]]]), "not a number"),
    (line([[[[1]], [1]]]), "not a number"),
    (line([[[float("nan")], [1]]]), "unexpected|NaN|invalid"),
    (line([[[1e300], [1], [1]]]), "beyond 1000000 px"),
    (line([[[1, 2], [1, 2], [1]]]), "times"),
    (GOOD.replace("5", "05"), "digit|leading|unexpected"),
]


@pytest.mark.parametrize(("text", "reason"), DAMAGED)
def test_a_damaged_line_is_reported_and_its_neighbors_are_read(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "file"
    path.write_text(f"{GOOD}\n\n{text}\n{GOOD}")
    found, damaged = read(path)
    assert found == [("cat", 7, [[[5], [6]]])] * 2
    assert [(d.file, d.place) for d in damaged] == [(path, "line 3")]
    with pytest.raises(ValueError, match=reason):
        raise ValueError(damaged[0].reason)


def test_raw_and_simplified_lines_may_stand_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(f"{GOOD}\n{line([[[1.5, 9.5], [2, 2], [0, 1]]])}\n")
    assert [d[2] for d in read(tmp_path / "file")[0]] == [[[[5], [6]]], [[[0, 255], [0, 0]]]]


def test_a_drawing_key_inside_another_field_is_not_the_drawing(tmp_path: Path) -> None:
    hidden = '{"word":"cat","key_id":"1","x":{"drawing":[[[1],[1]]]},"drawing":[[[2],[2]]]}'
    (tmp_path / "file").write_text(hidden)
    assert read(tmp_path / "file") == ([("cat", 1, [[[2], [2]]])], [])


BINARY = record([[[1, 2], [3, 4]], [[5], [6]]])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (BINARY[:-1], "ends in the middle"),
        (BINARY[:5], "ends in the middle"),
        (BINARY[:8] + b"\x00\x01" + BINARY[10:], "no drawing"),
        (BINARY[:10] + b"\x07" + BINARY[11:], "no drawing"),
        (BINARY[:15] + b"\x00\x00" + BINARY[17:], "0 strokes"),
        (BINARY[:17] + b"\x00\x00" + BINARY[19:], "stroke 1 is empty"),
        (BINARY[:17] + b"\xff\xff" + BINARY[19:], "ends in the middle"),
    ],
)
def test_a_damaged_record_is_reported_with_its_place(
    tmp_path: Path, bad: bytes, reason: str
) -> None:
    path = tmp_path / "cat.bin"
    path.write_bytes(BINARY + bad)
    found, damaged = read(path)
    assert found == [("cat", 7, [[[1, 2], [3, 4]], [[5], [6]]])]
    assert [d.place for d in damaged] == [f"byte {len(BINARY)}"]
    assert reason in damaged[0].reason


edits = st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3)), max_size=4)


def damage(content: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    for at, new in changes:
        at %= len(content)
        content = content[:at] + new + content[at + 1 :]
    return content


def check_sound(items: list[Drawings | Damage]) -> int:
    """Every drawing taken is whole; returns how many there are."""
    count = 0
    for item in items:
        if isinstance(item, Drawings):
            assert len(item.categories) == len(item.ids) == len(item.strokes)
            assert item.strokes.min() >= 1
            assert item.points.min() >= 1
            assert item.strokes.sum() == len(item.points)
            assert item.points.sum() == len(item.xy)
            assert item.xy.dtype == np.uint8
            count += len(item.ids)
    return count


@settings(deadline=None)
@given(edits, st.booleans())
def test_every_line_of_damaged_ndjson_is_a_drawing_or_is_reported(
    folder: Path, changes: list[tuple[int, bytes]], raw: bool
) -> None:
    stroke = [[1, 20, 255], [0, 33, 128]] + [[0, 1, 2]] * raw
    content = damage("\n".join([line([stroke] * 2)] * 3).encode(), changes)
    path = folder / "cat.ndjson"
    path.write_bytes(content)
    items = [*read_drawings(path)]
    reports = sum(isinstance(item, Damage) for item in items)
    if content[:2] != b"\x1f\x8b" and content[10:11] not in (b"\x00", b"\x01"):
        assert check_sound(items) + reports == sum(bool(x.strip()) for x in content.split(b"\n"))


@settings(deadline=None)
@given(edits)
def test_a_damaged_block_is_only_taken_at_once_if_each_line_is_sound(
    changes: list[tuple[int, bytes]],
) -> None:
    stroke = [[1, 20, 255], [0, 33, 128]]
    content = damage("".join(f"{line([stroke] * 2)}\n" for _ in range(3)).encode(), changes)
    block = parse_block(content)
    if block is not None:
        each = [parse_line(text) for text in content.split(b"\n")[:-1]]
        for name in ("ids", "strokes", "points", "xy"):
            expected = np.concatenate([getattr(one, name) for one in each])
            np.testing.assert_array_equal(getattr(block, name), expected)


@settings(deadline=None)
@given(edits)
def test_damaged_binary_is_read_up_to_a_report(
    folder: Path, changes: list[tuple[int, bytes]]
) -> None:
    content = damage(BINARY * 5, changes)
    path = folder / "cat.bin"
    path.write_bytes(content)
    items = [*read_drawings(path)]
    assert check_sound(items) <= len(content) // 20
    taken = sum(
        len(item.ids) * 17 + len(item.points) * 2 + item.xy.size
        for item in items
        if isinstance(item, Drawings)
    )
    assert taken == len(content) or any(isinstance(item, Damage) for item in items)


@settings(deadline=None)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=2))
def test_damaged_gzip_is_reported_or_harmless(folder: Path, at: int, new: bytes) -> None:
    path = folder / "cat.ndjson.gz"
    path.write_bytes(damage(gzip.compress("\n".join([GOOD] * 50).encode(), mtime=0), [(at, new)]))
    items = [*read_drawings(path)]
    assert check_sound(items) == 50 or any(isinstance(item, Damage) for item in items)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_block_by_block_is_as_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    text = "\n".join(line([[[i, i + 1], [0, 255]]], key=str(i)) for i in range(40))
    text = text.replace('"12"', '"twelve"')
    (tmp_path / "text").write_text(text)
    (tmp_path / "cat.bin").write_bytes(b"".join(record([[[i], [i]]], i) for i in range(40)))
    whole = [read(tmp_path / name) for name in ("text", "cat.bin")]
    assert [len(found) for found, _ in whole] == [39, 40]
    monkeypatch.setattr(quickdraw, "BLOCK", size)
    assert [read(tmp_path / name) for name in ("text", "cat.bin")] == whole


def test_a_drawing_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quickdraw, "BLOCK", 64)
    monkeypatch.setattr(quickdraw, "MAX_DRAWING", 500)
    (tmp_path / "text").write_text(f"{GOOD}\n{'[' * 9000}\n{GOOD}\n[\n")
    found, damaged = read(tmp_path / "text")
    assert len(found) == 2
    assert [d.place for d in damaged] == ["line 2", "line 4"]
    (tmp_path / "cat.bin").write_bytes(BINARY + record([[[0] * 9000, [0] * 9000]]))
    found, damaged = read(tmp_path / "cat.bin")
    assert len(found) == 1
    assert "longer than 500" in damaged[0].reason


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0"])
def test_a_photo_is_no_drawing(tmp_path: Path, exif: bytes) -> None:
    Image.effect_noise((64, 64), 99).save(tmp_path / "photo.jpg", exif=exif)
    found, damaged = read(tmp_path / "photo.jpg")
    assert not found
    assert [d.reason for d in damaged] == ["a JPEG, expected drawings"]


def test_a_folder_stands_for_its_drawings_by_name(tmp_path: Path) -> None:
    for name in ("b.ndjson", "a.bin.gz", "readme.txt", "c.ndjson.gz"):
        (tmp_path / name).touch()
    assert [path.name for path in drawing_files(tmp_path)] == [
        "a.bin.gz",
        "b.ndjson",
        "c.ndjson.gz",
    ]
    with pytest.raises(DrawingsError, match="no file or folder"):
        drawing_files(tmp_path / "none")
    with pytest.raises(DrawingsError, match=r"no .ndjson or .bin file"):
        drawing_files(Path(__file__).parent)


def test_progress_is_told_in_bytes_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(gzip.compress(GOOD.encode()))
    calls: list[tuple[int, int]] = []
    for _ in read_drawings(tmp_path / "file.gz", lambda done, total: calls.append((done, total))):
        pass
    size = (tmp_path / "file.gz").stat().st_size
    assert calls[-1] == (size, size)
