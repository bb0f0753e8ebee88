"""Mask data sets: readable, resumable, the same by any road."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from simpaint.cli import main
from simpaint.data import mask_files
from simpaint.data.buckets import bucket_of
from simpaint.data.mask_files import write_masks
from simpaint.data.mask_sources import GeneratedMasks, StoredMasks
from simpaint.data.masks import MaskConfig, MaskGenerator, Split
from simpaint.data.recipes import Mask
from simpaint.data.strokes import synthetic_bank
from simpaint.errors import InputError, StorageError

CONFIG = MaskConfig(size=64)
BANK = synthetic_bank(categories=6, drawings_per_category=30)
CATEGORIES = [name for name in BANK.categories for _ in range(*BANK.row_ranges([name])[0])]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_files, "_PART", 10)


def source(train: int = 25, test: int = 12) -> GeneratedMasks:
    return GeneratedMasks(BANK, CONFIG, train=train, test=test)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if (path.is_file() and path.suffix != ".png") or path.parent.name in ("train", "test")
    }


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    write_masks(source(), tmp_path / "whole")
    return tmp_path / "whole"


def test_pngs_are_one_bit_and_white_where_the_generator_has_holes(whole: Path) -> None:
    rows = pq.read_table(whole / "masks.parquet").to_pylist()
    generators = {split: MaskGenerator(BANK, CONFIG, split) for split in ("train", "test")}
    assert [row["split"] for row in rows] == ["train"] * 25 + ["test"] * 12
    for row in rows:
        image = Image.open(whole / row["file"])
        mask = generators[row["split"]][row["index"]]
        assert image.mode == "1"
        assert (np.asarray(image) == (mask == 1)).all()
        assert row["hole_ratio"] == mask.mean()
        assert row["bucket"] == bucket_of(mask.mean())


def test_several_workers_write_the_same_bytes_as_one(whole: Path, tmp_path: Path) -> None:
    write_masks(source(), tmp_path / "two", workers=2)
    assert digests(tmp_path / "two") == digests(whole)


def test_ranges_made_apart_and_laid_together_are_the_whole(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "apart"
    assert write_masks(source(), out, only=(20, 33)) is None
    assert write_masks(source(), out, only=(3, 21)) is None
    assert not (out / "masks.parquet").exists()
    assert write_masks(source(), out) is not None
    assert digests(out) == digests(whole)


def test_a_stopped_run_goes_on_where_it_was(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"

    def stop(done: int, total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_masks(source(), out, progress=stop)
    (out / "train" / "00000.png").write_bytes(b"kept as it is")
    (out / "parts" / ".partial-1-train-00000020-00000025.parquet").write_bytes(b"half")
    calls: list[int] = []
    write_masks(source(), out, progress=lambda done, total: calls.append(done))
    assert calls[0] == 20
    assert (out / "train" / "00000.png").read_bytes() == b"kept as it is"
    assert digests(out).items() - digests(whole).items() == {
        ("train/00000.png", hashlib.sha256(b"kept as it is").hexdigest())
    }
    assert not (out / "parts").exists()


def test_another_data_set_in_the_same_folder_is_refused_by_name(whole: Path) -> None:
    with pytest.raises(InputError, match=r"config\.seed is 0, asked for is 7"):
        write_masks(GeneratedMasks(BANK, MaskConfig(size=64, seed=7), train=25, test=12), whole)
    with pytest.raises(InputError, match=r"counts\.train is 25, asked for is 26"):
        write_masks(source(26), whole)


def test_a_finished_data_set_is_left_as_it_is(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.p*")}
    write_masks(source(), whole)
    with pytest.raises(InputError, match="another mask data set"):
        write_masks(source(26), whole)
    assert before == {path: path.stat().st_mtime_ns for path in whole.rglob("*.p*")}


def test_lost_files_are_written_again(whole: Path) -> None:
    before = digests(whole)
    for name in ("train/00013.png", "test/00000.png"):
        (whole / name).unlink()
    write_masks(source(), whole, only=(0, 13))
    assert len(digests(whole)) == len(before) - 2
    write_masks(source(), whole)
    assert digests(whole) == before


def test_a_run_that_finished_no_part_gives_way_to_another(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, draw = tmp_path / "failed", GeneratedMasks.draw

    def fails(self: GeneratedMasks, split: Split, index: int, mask: Mask) -> object:
        if index == 5:
            raise InputError("no such hole")
        return draw(self, split, index, mask)

    with monkeypatch.context() as patch:
        patch.setattr(GeneratedMasks, "draw", fails)
        with pytest.raises(InputError, match="no such hole"):
            write_masks(source(99_999 + 25), out)
    assert len(list((out / "train").iterdir())) == 5
    write_masks(source(), out)
    assert digests(out) == digests(whole)


def test_a_folder_that_another_run_takes_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = GeneratedMasks.draw

    def taken(self: GeneratedMasks, split: Split, index: int, mask: Mask) -> object:
        monkeypatch.setattr(GeneratedMasks, "draw", draw)
        write_masks(source(26), tmp_path / "out")
        return draw(self, split, index, mask)

    monkeypatch.setattr(GeneratedMasks, "draw", taken)
    with pytest.raises(InputError, match=r"counts\.train is 26, asked for is 25"):
        write_masks(source(), tmp_path / "out")


def test_settings_of_something_else_are_left_alone(tmp_path: Path) -> None:
    for text in ('{"colour": 1}', "[]", "no JSON"):
        (tmp_path / "settings.json").write_text(text)
        with pytest.raises(InputError, match=r"settings|another mask data set: its black_holes"):
            write_masks(source(), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]
        assert (tmp_path / "settings.json").read_text() == text


@pytest.mark.parametrize("name", ["train/00000.png", "test/me.jpg", "masks.parquet", "sheet.png"])
def test_files_of_something_else_are_never_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"a photo")
    with pytest.raises(InputError, match="choose another folder"):
        write_masks(source(), tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_bytes() == b"a photo"


def test_redrawn_at_the_same_size_every_mask_is_the_same(whole: Path, tmp_path: Path) -> None:
    write_masks(StoredMasks(whole / "masks.parquet", 64), tmp_path / "again")
    pngs = {name: d for name, d in digests(whole).items() if name.endswith(".png")}
    assert len(pngs) == 37
    assert pngs.items() <= digests(tmp_path / "again").items()


@pytest.mark.parametrize(
    "shape", ["strokes", "random-box", "random-block", "random-region", "center"]
)
def test_redrawn_larger_a_mask_is_the_same_but_sharper(shape: str, tmp_path: Path) -> None:
    config = MaskConfig(size=64, shape=shape)  # type: ignore[arg-type]
    small = GeneratedMasks(BANK, config, train=3, test=0)
    write_masks(small, tmp_path / "small")
    write_masks(StoredMasks(tmp_path / "small" / "masks.parquet", 256), tmp_path / "large")
    for index in range(3):
        name = f"train/{index:05d}.png"
        little = np.asarray(Image.open(tmp_path / "small" / name)).astype(float)
        large = np.asarray(Image.open(tmp_path / "large" / name)).astype(float)
        shrunk = large.reshape(64, 4, 64, 4).mean((1, 3))
        # An edge may move by half a small pixel; inside and outside agree.
        assert np.abs(shrunk - little).mean() < 0.06


def test_black_holes_are_the_complement(whole: Path, tmp_path: Path) -> None:
    write_masks(source(), tmp_path / "black", black_holes=True)
    white = np.asarray(Image.open(whole / "test/00003.png"))
    black = np.asarray(Image.open(tmp_path / "black" / "test/00003.png"))
    assert (white != black).all()


def test_a_disk_that_fills_is_one_error_and_finished_parts_stay(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write, written = tmp_path / "full", Path.write_bytes, []

    def full(self: Path, data: bytes) -> int:
        written.append(self)
        if len(written) > 15:
            raise OSError(28, "No space left on device")
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageError, match=r"00015\.png: No space left"):
            write_masks(source(), out)
    assert len(list((out / "parts").iterdir())) == 1
    write_masks(source(), out)
    assert digests(out) == digests(whole)


def test_balanced_test_masks_and_the_summary_agree(tmp_path: Path) -> None:
    balanced = GeneratedMasks(BANK, CONFIG, train=2, test=0, per_bucket=3)
    summary = write_masks(balanced, tmp_path / "balanced")
    assert summary is not None
    assert [*summary["test"]["buckets"].values()] == [3] * 6 + [0]
    assert json.loads((tmp_path / "balanced" / "summary.json").read_text()) == summary


def test_train_and_test_draw_from_disjoint_categories(whole: Path) -> None:
    used: dict[str, set[str]] = {"train": set(), "test": set()}
    for row in pq.read_table(whole / "masks.parquet").to_pylist():
        used[row["split"]] |= {CATEGORIES[stroke] for stroke in row["stroke_ids"]}
        assert row["drawing_ids"] == [BANK.drawing_id(stroke) for stroke in row["stroke_ids"]]
    assert used["train"]
    assert used["test"]
    assert not used["train"] & used["test"]


def test_generate_and_render_as_commands(tmp_path: Path) -> None:
    run = CliRunner().invoke
    out = str(tmp_path / "masks")
    few = ["--train", "4", "--test", "2", "--size", "32", "--json"]
    made = run(main, ["masks", "generate", "synthetic", "--out", out, *few])
    assert made.exit_code == 0
    assert json.loads(made.stdout)["train"]["masks"] == 4
    drawn = run(
        main, ["masks", "render", f"{out}/masks.parquet", "--out", f"{out}-64", "--size", "64"]
    )
    assert drawn.exit_code == 0
    assert "synthetic strokes" in drawn.stdout
    assert Image.open(tmp_path / "masks-64" / "test" / "00001.png").size == (64, 64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "no.arrow"], "no.arrow"),
        (["generate"], "STROKES: expected a file of `masks import`"),
        (["generate", "synthetic", "--range", "5"], "--range: expected it as 0:30000, found 5"),
        (["generate", "synthetic", "--range", "0:99", "--train", "9", "--test", "0"], "within 0:9"),
        (["generate", "synthetic", "--scale", "2", "1"], "least first"),
        (["generate", "no.arrow", "--shape", "center"], "STROKES: expected none beside --shape"),
        (["generate", "--shape", "center", "--line-width", "3", "4"], "width min: only strokes"),
        (["generate", "--shape", "center", "--placement", "corner"], "placement: only strokes"),
        (["generate", "synthetic", "--test", "7", "--per-bucket", "1"], "found both"),
        (["render", "no.parquet", "--size", "64"], "no.parquet"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(main, ["masks", *arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
