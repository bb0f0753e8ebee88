"""What would make a table wrong without a word is refused, or told apart."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from simpaint.cli import main
from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import write_png
from simpaint.errors import InputError
from simpaint.index_build import BuildConfig, build_index
from simpaint.inpainter import Evaluation
from simpaint.inpainter.measure.album import open_album
from simpaint.inpainter.measure.plan import plan

from .tiny import write_networks

TWO = """
import torch
def fill(photos, masks):
    return photos + 0.5 * masks
def fill_(photos, masks):
    return photos + 0.9 * masks
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with photos in it."""
    draw(tmp_path / "photos", 0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def draw(folder: Path, first: int) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(3):
        write_png(folder / f"{i}.png", drawn_face(np.random.default_rng(first + i), 32))


def evaluate(*arguments: str, code: int = 0) -> str:
    fixed = ["evaluate", "--photos", "photos", "--size", "32"]
    result = CliRunner().invoke(main, [*fixed, *arguments])
    assert result.exit_code == code, result.output
    return result.output


def means(out: str) -> dict[str, float]:
    """L1 of each method."""
    with Path(out, "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row["method"]: float(row["mean"]) for row in rows if row["metric"] == "l1"}


def test_two_functions_of_a_module_are_two_methods(work: Path) -> None:
    (work / "two_fillings.py").write_text(TWO)
    options = ["--shape", "eyes", "--out", "a", "--methods"]
    evaluate(*options, "two_fillings:fill,two_fillings:fill_")
    both = means("a")
    assert both["two_fillings:fill"] != both["two_fillings:fill_"]
    evaluate(*options, "fill=two_fillings:fill")
    evaluate(*options, "fill=two_fillings:fill_")  # the name is another's now
    assert means("a") == {"fill": both["two_fillings:fill_"]}


def test_a_report_on_photos_that_changed_is_not_gone_on_with(work: Path) -> None:
    options = ["--shape", "eyes", "--out", "a", "--methods"]
    evaluate(*options, "telea")
    draw(work / "photos", 7)
    said = evaluate(*options, "telea,ns", code=2)
    assert "caches other photos (another files); name another folder" in said
    shutil.rmtree("a/photos")
    assert "holds a report on other photos' files" in evaluate(*options, "telea,ns", code=2)


def test_a_folder_named_balanced_is_not_passed_over(work: Path) -> None:
    options = ["--out", "a", "--methods", "telea"]
    (work / "balanced").mkdir()
    mask = np.zeros((32, 32), np.uint8)
    mask[8:20, 8:20] = 255
    write_png(work / "balanced/one.png", mask)
    said = evaluate("--masks", "balanced", *options, code=2)
    assert "write ./balanced for its masks" in said
    evaluate("--masks", "./balanced", *options)


def test_a_report_among_the_photos_or_on_none_is_refused(work: Path) -> None:
    for out in ("photos", "."):  # its own folder of photos would be that of these
        said = evaluate("--shape", "eyes", "--methods", "telea", "--out", out, code=2)
        assert "expected another folder for the report" in said
    shutil.rmtree("photos")
    Path("photos").mkdir()
    said = evaluate("--shape", "eyes", "--methods", "telea", "--out", "a", code=2)
    assert said == f"Error: {work}/photos: expected photos, found none in the folder\n"


def test_databases_are_told_apart_by_their_folders_and_the_one_that_is_here_is_one(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases = [work / name / "db" for name in ("", "a", "b")]
    build_index(work / "photos", databases[0], BuildConfig(device="cpu", workers=1))
    for copy in databases[1:]:
        shutil.copytree(databases[0], copy)
    found = plan(["nearest"], databases, ["database"], "ns", 0)
    assert [one.label for one in found] == ["nearest", "nearest [a/db]", "nearest [b/db]"]
    monkeypatch.chdir(work / "a/db")
    (work / "a/db/photos").symlink_to(work / "photos")
    arguments = ["--methods", "nearest", "--coarse", "ns", "--shape", "eyes"]
    evaluate(*arguments, "--database", ".", "--out", str(work / "here"))
    assert f"of {work}/a/db" in (work / "here/report.md").read_text("utf-8")


@pytest.mark.usefixtures("work")
def test_the_report_counts_the_photos_that_were_used() -> None:
    evaluate("--shape", "eyes", "--limit", "2", "--out", "a", "--methods", "telea")
    assert "\n2 photos, 2 cases" in Path("a/report.md").read_text("utf-8")


def test_an_option_that_would_change_nothing_is_refused(tmp_path: Path) -> None:
    holes: list[tuple[str, dict[str, Any]]] = [
        ("--per-bucket", {"shapes": ("eyes",), "per_bucket": 3}),
        ("--black-holes", {"masks": "balanced", "black_holes": True}),
    ]
    for option, options in holes:
        with pytest.raises(InputError, match=f"{option}: expected .* beside it, found none"):
            Evaluation(tmp_path, tmp_path / "a", ("telea",), **options)


def test_photos_or_an_album_are_named() -> None:
    for photos, found in (([], "neither"), (["--photos", "a", "--album", "b"], "both")):
        result = CliRunner().invoke(main, ["evaluate", "--out", "out", *photos])
        said = f"Error: --photos: expected it or --album, found {found}\n"
        assert (result.exit_code, result.output) == (2, said)


@pytest.mark.usefixtures("work")
def test_what_no_method_looks_at_is_refused() -> None:
    for options, found in (
        (["--coarse", "nosuch"], "--coarse: expected a method that looks at similar photos"),
        (["--auxiliary", "random"], "--auxiliary: expected a method that looks at similar photos"),
        (["--strokes", "/no/such"], "--strokes: expected --masks balanced, or --album, beside it"),
        (["--masks", "balanced", "--strokes", "/no/such"], "/no/such"),
    ):
        said = evaluate("--shape", "center", "--methods", "telea", "--out", "a", *options, code=2)
        assert found in said
    build_index(Path("photos"), Path("db"), BuildConfig(device="cpu", workers=1))
    both = ["--methods", "telea,nearest", "--database", "db", "--coarse", "ns"]
    shown = ["--auxiliary", "database", "--auxiliary", "noise"]
    evaluate("--shape", "center", "--out", "b", *both, *shown)


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", 0), ("limit", -1), ("per_bucket", -1), ("size", 8), ("seed", -1), ("workers", 0),
     ("sheet", 0), ("jitter", 2), ("jitter", float("nan"))],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_as_the_command_does(
    tmp_path: Path, name: str, value: float
) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=f"{name}: expected .*, found {value}"):
        Evaluation(tmp_path, tmp_path / "a", ("telea",), "balanced", **options)


def test_what_an_auxiliary_cannot_be_is_refused(tmp_path: Path) -> None:
    wrong: Any = ("DATABASE",)
    with pytest.raises(InputError, match="auxiliaries: expected one of database"):
        Evaluation(tmp_path, tmp_path / "a", ("telea",), shapes=("eyes",), auxiliaries=wrong)


def test_folders_of_persons_inside_folders_are_refused(tmp_path: Path) -> None:
    for name in ("test/ann", "test/bob"):
        (tmp_path / name).mkdir(parents=True)
        draw(tmp_path / name, 0)
    with pytest.raises(InputError, match=r"none inside these, found test/ann/0\.png"):
        open_album(tmp_path, tmp_path / "out", 32)


def test_a_table_of_something_else_is_never_overwritten(work: Path) -> None:
    (work / "mine").mkdir()
    (work / "mine/table.csv").write_text("a,b")
    said = evaluate("--out", "mine", "--methods", "telea", code=2)
    assert "found table.csv of something else" in said
    assert [path.name for path in (work / "mine").iterdir()] == ["table.csv"]
    assert (work / "mine/table.csv").read_text() == "a,b"


def test_the_report_says_why_no_difference_of_few_photos_holds(work: Path) -> None:
    evaluate("--out", "a", "--methods", "telea,ns", "--shape", "eyes")
    report = (work / "a/report.md").read_text("utf-8")
    assert "None holds where there are fewer than 10 photos" in report
    assert "eyes has 3." in report
    evaluate("--out", "b", "--methods", "telea", "--shape", "eyes")
    assert "None holds" not in (work / "b/report.md").read_text("utf-8")


def test_a_weights_file_with_an_equals_sign_in_its_path_is_no_name(work: Path) -> None:
    (work / "lr=0.1").mkdir()
    write_networks(work / "lr=0.1")
    path = "lr=0.1/pconv.safetensors"
    planned = plan([path, f"mine={path}"], [], ["database"], None, 0)
    assert [(one.label, one.source) for one in planned] == [(path, path), ("mine", path)]


def test_photos_that_cannot_be_used_are_told(work: Path, caplog: pytest.LogCaptureFixture) -> None:
    (work / "photos" / "3.png").write_bytes(b"no photo")
    evaluate("--shape", "eyes", "--out", "a", "--methods", "telea")
    assert "1 of 4 photos cannot be used and are left out; the first is 3.png: " in caplog.text
