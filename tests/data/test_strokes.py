import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from simpaint.cli import main
from simpaint.data import stroke_import
from simpaint.data.stroke_import import import_drawings
from simpaint.data.strokes import SCHEMA, StrokeBank, synthetic_bank
from simpaint.errors import DrawingsError, InputError, StorageError

QUICKDRAW = Path(__file__).parents[3] / "shared" / "data" / "quickdraw"
Drawings = list[tuple[str, int, list[list[list[int]]]]]  # word, key, strokes of [xs, ys]


def made_up(count: int, words: list[str]) -> Drawings:
    rng = np.random.default_rng(0)
    return [
        (
            words[int(rng.integers(len(words)))],
            int(rng.integers(2**63)),
            [rng.integers(0, 256, (2, rng.integers(1, 9))).tolist() for _ in range(i % 5 + 1)],
        )
        for i in range(count)
    ]


def write(path: Path, drawings: Drawings) -> Path:
    records = [{"word": w, "key_id": str(key), "drawing": d} for w, key, d in drawings]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def categories_of(bank: StrokeBank) -> dict[int, str]:
    """Each row's category."""
    return {
        row: name
        for name in bank.categories
        for start, stop in bank.row_ranges([name])
        for row in range(start, stop)
    }


def content(bank: StrokeBank) -> Drawings:
    """What a bank holds, by every method of it."""
    found, row, categories = [], 0, categories_of(bank)
    while row < len(bank):
        rows = bank.drawing_rows(row)
        assert all(bank.drawing_rows(r) == rows for r in rows)
        strokes = [bank.stroke(r) for r in rows]
        for r in rows:
            assert bank.box(r).tolist() == np.concatenate(strokes).max(axis=0).tolist()
            assert bank.drawing_id(r) == bank.drawing_id(row)
        (category,) = {categories[r] for r in rows}
        found.append((category, bank.drawing_id(row), [s.T.tolist() for s in strokes]))
        row = rows.stop
    return found


@pytest.mark.parametrize("words", [["cat"], ["cat", "dog", "ape"]])
def test_a_bank_holds_what_was_imported(tmp_path: Path, words: list[str]) -> None:
    drawings = made_up(60, words)
    report = import_drawings([write(tmp_path / "in.ndjson", drawings)], tmp_path / "out.arrow")
    bank = StrokeBank.open(tmp_path / "out.arrow")
    assert sorted(content(bank)) == sorted(drawings)
    assert (report.files, report.drawings, report.strokes) == (1, 60, len(bank))
    assert report.categories == len(words)
    assert bank.categories == tuple(sorted(words))
    assert not bank.synthetic
    assert "Quick, Draw!" in bank.source


def test_the_same_drawing_twice_is_two_drawings(tmp_path: Path) -> None:
    twice = made_up(1, ["cat"]) * 2
    import_drawings([write(tmp_path / "in", twice)], tmp_path / "out.arrow")
    assert content(StrokeBank.open(tmp_path / "out.arrow")) == twice


def test_a_file_named_twice_is_read_once_and_never_written_over(tmp_path: Path) -> None:
    path, out = write(tmp_path / "in.ndjson", made_up(9, ["cat"])), tmp_path / "out.arrow"
    before = path.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path)
    report = import_drawings([tmp_path, path, tmp_path / "link"], out)
    assert (report.files, report.drawings) == (1, 9)
    words = ["masks", "import", str(tmp_path), "--out", str(tmp_path / "link" / path.name)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert f"{path.name}: expected a file outside of what is read, {path}" in result.stderr
    assert path.read_bytes() == before


def test_row_ranges_hold_the_rows_of_the_categories_and_no_other(tmp_path: Path) -> None:
    import_drawings([write(tmp_path / "in", made_up(60, [*"dcba"]))], tmp_path / "out.arrow")
    bank = StrokeBank.open(tmp_path / "out.arrow")
    for wanted in (["a"], ["a", "c"], [*"abcd"], []):
        ranges = bank.row_ranges(wanted)
        assert ranges.dtype == np.int64
        assert ranges.shape[1:] == (2,)
        rows = [row for start, stop in ranges for row in range(start, stop)]
        words = [bank._find(row)[0].category for row in range(len(bank))]
        assert rows == [row for row, word in enumerate(words) if word in wanted]
    with pytest.raises(InputError, match="no category zebra"):
        bank.row_ranges(["a", "zebra"])


@pytest.mark.parametrize(("strokes", "waiting"), [(1, 10**9), (7, 10**9), (10**9, 5)])
def test_batches_keep_drawings_and_categories_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strokes: int, waiting: int
) -> None:
    monkeypatch.setattr(stroke_import, "BATCH_STROKES", strokes)
    monkeypatch.setattr(stroke_import, "MAX_POINTS", waiting)
    files = [write(tmp_path / f"{i}.ndjson", made_up(40, [*"xyz"])) for i in range(3)]
    import_drawings(files, tmp_path / "out.arrow")
    assert sorted(content(StrokeBank.open(tmp_path / "out.arrow"))) == sorted(
        made_up(40, [*"xyz"]) * 3
    )
    reader = pa.ipc.open_file(str(tmp_path / "out.arrow"))
    for i in range(reader.num_record_batches):
        batch = reader.get_batch(i)
        assert len(batch.column("category").unique()) == 1
        assert len(batch.column("drawing_id").unique()) == 1 or len(batch) <= strokes


def test_strokes_are_views_that_cannot_be_written(tmp_path: Path) -> None:
    import_drawings([write(tmp_path / "in", made_up(9, ["cat"]))], tmp_path / "out.arrow")
    for bank in (StrokeBank.open(tmp_path / "out.arrow"), synthetic_bank(0, 2, 3)):
        assert bank.stroke(0).base is not None
        for array in (bank.stroke(0), bank.box(0)):
            assert array.dtype == np.uint8
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
        for row in (-1, len(bank)):
            with pytest.raises(IndexError):
                bank.stroke(row)


def test_a_bank_pickles_by_its_path_or_with_its_content(tmp_path: Path) -> None:
    import_drawings([write(tmp_path / "in", made_up(99, ["cat"]))], tmp_path / "out.arrow")
    bank = StrokeBank.open(tmp_path / "out.arrow")
    assert len(pickle.dumps(bank)) < 1000
    assert content(pickle.loads(pickle.dumps(bank))) == content(bank)
    made = synthetic_bank(0, 2, 3)
    again = pickle.loads(pickle.dumps(made))
    assert content(again) == content(made)
    assert again.synthetic
    assert again.fingerprint == made.fingerprint


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    drawings = made_up(60, ["cat", "dog"])
    changed = [*drawings[:-1], (*drawings[-1][:2], [[[0], [1]]])]
    write(tmp_path / "a", drawings)
    (tmp_path / "b").write_bytes(gzip.compress((tmp_path / "a").read_bytes()))
    write(tmp_path / "c", changed)
    prints = []
    for name in "abc":
        import_drawings([tmp_path / name], tmp_path / f"{name}.arrow")
        bank = StrokeBank.open(tmp_path / f"{name}.arrow")
        table = pa.ipc.open_file(str(tmp_path / f"{name}.arrow")).read_all()
        assert StrokeBank.from_table(table).fingerprint == bank.fingerprint
        prints.append(bank.fingerprint)
    assert prints[0] == prints[1] != prints[2]
    assert synthetic_bank(0, 2, 3).fingerprint != synthetic_bank(1, 2, 3).fingerprint


@pytest.mark.parametrize("size", [0, 8, 100, 2000, -10])
def test_what_is_no_stroke_bank_is_an_error_that_names_it(tmp_path: Path, size: int) -> None:
    import_drawings([write(tmp_path / "in", made_up(99, ["cat"]))], tmp_path / "out.arrow")
    (tmp_path / "cut.arrow").write_bytes((tmp_path / "out.arrow").read_bytes()[:size])
    with pytest.raises(DrawingsError, match=r"cut\.arrow"):
        StrokeBank.open(tmp_path / "cut.arrow")


def test_other_arrow_data_and_missing_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DrawingsError, match="no stroke bank at"):
        StrokeBank.open(tmp_path / "none.arrow")
    with pytest.raises(DrawingsError, match="not a stroke bank"):
        StrokeBank.from_table(pa.table({"a": [1]}))
    bank = pa.Table.from_batches([], SCHEMA.with_metadata({"simpaint.strokes": "99"}))
    with pytest.raises(DrawingsError, match="format 1"):
        StrokeBank.from_table(bank)


def test_a_batch_of_two_categories_is_an_error() -> None:
    table = synthetic_bank(0, 2, 3).__reduce__()[1][0]
    with pytest.raises(DrawingsError, match="mixes the categories"):
        StrokeBank.from_table(table.combine_chunks())


def test_damage_is_counted_and_the_first_of_it_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "in.ndjson", made_up(5, ["cat"]))
    path.write_text("{}\n" * 20 + path.read_text())
    report = import_drawings([path], tmp_path / "out.arrow")
    assert (report.drawings, report.damaged, len(report.examples)) == (5, 20, 10)
    assert str(report.examples[1]) == f"{path}, line 2: no word"


@pytest.mark.parametrize("text", ["", "\n\n", "nothing\n"])
def test_a_file_without_a_drawing_is_an_error_and_leaves_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path / "good.ndjson", made_up(5, ["cat"]))
    (tmp_path / "nil.ndjson").write_text(text)
    (tmp_path / "out").mkdir()
    import_drawings([tmp_path / "good.ndjson"], tmp_path / "out" / "bank.arrow")
    older = (tmp_path / "out" / "bank.arrow").read_bytes()
    with pytest.raises(DrawingsError, match=r"no drawing in .*nil\.ndjson"):
        import_drawings([tmp_path], tmp_path / "out" / "bank.arrow")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bank.arrow"]
    assert (tmp_path / "out" / "bank.arrow").read_bytes() == older


def test_only_a_bank_is_written_over(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in", made_up(5, ["cat"])), tmp_path / "notes.txt"
    out.write_text("notes")
    with pytest.raises(DrawingsError, match=r"notes\.txt: expected a stroke bank or a new file"):
        import_drawings([source], out)
    assert out.read_text() == "notes"
    out.write_text("")
    for _ in range(2):
        assert import_drawings([source], out).drawings == 5


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    source = write(tmp_path / "in", made_up(5, ["cat"]))
    with pytest.raises(StorageError, match="cannot write"):
        import_drawings([source], source / "bank.arrow")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        import_drawings([source], tmp_path / "folder")


def test_progress_goes_up_to_all_bytes(tmp_path: Path) -> None:
    files = [write(tmp_path / name, made_up(5, ["cat"])) for name in "ab"]
    calls: list[tuple[int, int]] = []
    import_drawings(
        files, tmp_path / "out", progress=lambda done, total: calls.append((done, total))
    )
    total = sum(path.stat().st_size for path in files)
    assert calls == sorted(calls)
    assert calls[-1] == (total, total)


def test_the_command_prints_a_summary_and_lists_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "in.ndjson", made_up(5, ["cat"]))
    path.write_text(path.read_text() + "{}\n")
    args = ["masks", "import", str(path), "--out", str(tmp_path / "out.arrow")]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    assert "15 strokes of 5 drawings in 1 categories" in result.stdout
    assert f"{path}, line 6: no word" in result.stderr
    summary = json.loads(CliRunner().invoke(main, [*args, "--json"]).stdout)
    assert (summary["strokes"], summary["damaged"]) == (15, 1)
    assert summary["examples"] == [{"file": str(path), "place": "line 6", "reason": "no word"}]


def test_synthetic_strokes_are_the_same_for_the_same_seed() -> None:
    one, two = synthetic_bank(3, 2, 20), synthetic_bank(3, 2, 20)
    assert content(one) == content(two) != content(synthetic_bank(4, 2, 20))
    assert one.synthetic
    assert "no human" in one.source
    assert one.categories == ("synthetic-00", "synthetic-01")


@pytest.mark.skipif(not QUICKDRAW.exists(), reason="needs the real drawings")
def test_synthetic_strokes_are_about_as_long_and_as_many_as_real_ones(tmp_path: Path) -> None:
    import_drawings([QUICKDRAW / "simplified"], tmp_path / "real.arrow")
    real, made = StrokeBank.open(tmp_path / "real.arrow"), synthetic_bank()
    numbers = []
    for bank in (real, made):
        strokes = [bank.stroke(row).astype(float) for row in range(len(bank))]
        points = [len(stroke) for stroke in strokes]
        ink = [float(np.hypot(*np.diff(stroke, axis=0).T).sum()) for stroke in strokes]
        drawings = len({bank.drawing_rows(row).start for row in range(len(bank))})
        boxes = np.mean([bank.box(row).max() for row in range(len(bank))])
        numbers.append([np.mean(points), np.median(ink), len(bank) / drawings, boxes])
    np.testing.assert_allclose(numbers[1], numbers[0], rtol=0.25)
