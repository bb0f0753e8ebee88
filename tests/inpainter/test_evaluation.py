"""Whole evaluations by the command line, on drawn faces and with networks that know nothing."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from simpaint.cli import main
from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import write_png
from simpaint.data.sources import open_source
from simpaint.data.strokes import synthetic_bank
from simpaint.index_build import BuildConfig, build_index, database_descriptor
from simpaint.index_build.manifest import open_checked
from simpaint.index_build.store import all_rows
from simpaint.inpainter import checkpoint
from simpaint.inpainter.measure.auxiliaries import Auxiliaries
from simpaint.inpainter.measure.library import Library
from simpaint.inpainter.measure.people import People
from simpaint.inpainter.measure.plan import build_coarse, plan
from simpaint.inpainter.measure.work import picture
from simpaint.inpainter.methods import Method, build_method
from simpaint.inpainter.pipeline import Inpainter
from simpaint.inpainter.train.photo_cache import cache_photos
from simpaint.inpainter.unet import UNetConfig, build_unet
from simpaint.retrieval import ImageDatabase

SIZE = 32


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos to fill, a database of others, strokes, and two networks."""
    root = tmp_path_factory.mktemp("evaluation")
    for folder, count in (("photos", 60), ("others", 30)):
        (root / folder).mkdir()
        for i in range(count):
            rng = np.random.default_rng([i, count])
            write_png(root / folder / f"{i:03d}.png", drawn_face(rng, SIZE))
    build_index(root / "others", root / "others.simpaint", BuildConfig(device="cpu", workers=1))
    torch.manual_seed(0)
    for name, config in (
        ("pconv", UNetConfig("pconv", (4, 8))),
        ("sim-2", UNetConfig("sim", (4, 8), 2)),
    ):
        checkpoint.save(root / f"{name}.safetensors", build_unet(config), {})
    return root


def evaluate(root: Path, out: str, *arguments: object, code: int = 0) -> str:
    """Run the command; what it said."""
    fixed = ["--photos", root / "photos", "--out", root / out, "--size", SIZE, "--sheet", 2]
    coarse = ["--coarse", root / "pconv.safetensors"] if "--database" in arguments else []
    everything = ["evaluate", *fixed, *coarse, *arguments]
    result = CliRunner().invoke(main, [str(argument) for argument in everything])
    assert result.exit_code == code, result.output
    return result.output


def table(root: Path, out: str) -> list[dict[str, str]]:
    with (root / out / "table.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def arguments(root: Path) -> list[object]:
    """Of the run that several tests look at."""
    sim = f"sim-2={root / 'sim-2.safetensors'}"
    database = ["--database", root / "others.simpaint"]
    shown = ["--auxiliary", "database", "--auxiliary", "random"]
    return ["--methods", f"telea,{sim}", *database, *shown]


@pytest.fixture(scope="module")
def written(root: Path, arguments: list[object]) -> bytes:
    """The table of that run."""
    evaluate(root, "all", *arguments)
    return (root / "all" / "table.csv").read_bytes()


def test_the_report_holds_all_that_it_promises(root: Path, written: bytes) -> None:
    rows = table(root, "all")
    methods = ["telea", "sim-2", "sim-2 (random)"]
    assert list(dict.fromkeys(row["method"] for row in rows)) == methods
    assert [row["n"] for row in rows if row["metric"] == "l1"] == ["10"] * 6 * len(methods)
    results = pq.read_table(root / "all" / "results.parquet").to_pylist()
    assert len(results) == 60 * len(methods)
    mean = np.mean([r["l1"] for r in results if r["method"] == "sim-2" and r["rank"] == 5])
    stated = [r for r in rows if (r["method"], r["metric"]) == ("sim-2", "l1")][5]
    assert float(stated["mean"]) == pytest.approx(mean, rel=1e-5)
    html = (root / "all" / "report.html").read_text("utf-8")
    assert len(re.findall(r'src="data:image/', html)) == html.count("<img") == 3 + 3 * len(methods)
    markdown = (root / "all" / "report.md").read_text("utf-8")
    assert markdown.count("**") > 12
    assert "sim-2 (random)" in markdown
    assert "LPIPS is left out" in markdown or "## LPIPS" in markdown
    assert (root / "all" / "differences.csv").exists()
    assert "seconds" not in written.decode()


def test_several_processes_write_the_same_table(
    root: Path, arguments: list[object], written: bytes
) -> None:
    evaluate(root, "two", *arguments, "--workers", 2)
    assert (root / "two" / "table.csv").read_bytes() == written


def test_another_method_is_added_without_running_the_others(
    root: Path, arguments: list[object], written: bytes
) -> None:
    parts = root / "all" / "parts"
    before = {path: path.stat().st_mtime_ns for path in parts.rglob("*.parquet")}
    evaluate(root, "all", *arguments, "--methods", f"telea,ns,pconv={root / 'pconv.safetensors'}")
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert {row["method"] for row in table(root, "all")} == {"telea", "ns", "pconv"}
    telea = [line for line in written.splitlines() if line.startswith(b"telea")]
    assert [
        x for x in (root / "all" / "table.csv").read_bytes().splitlines() if x in telea
    ] == telea


KILLED_HALF_WAY = """
import os, signal
calls = 0
def fill(photos, masks):
    global calls
    calls += 1
    if os.environ.get("KILL") and calls == 55:
        os.kill(os.getpid(), signal.SIGKILL)
    return photos + masks / 2
"""


def test_killed_and_resumed_it_writes_the_same_table(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "fatal.py").write_text(KILLED_HALF_WAY)
    monkeypatch.chdir(root)
    methods = ["--methods", "fatal:fill,telea"]
    command = [sys.executable, "-m", "simpaint", "evaluate", "--photos", "photos", *methods]
    killed = subprocess.run(
        [*command, "--size", str(SIZE), "--out", "killed"],
        env={**os.environ, "KILL": "1"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert len([*(root / "killed" / "parts").rglob("*.parquet")]) == 1
    assert not (root / "killed" / "table.csv").exists()
    evaluate(root, "killed", *methods)
    evaluate(root, "whole", *methods)
    for name in ("table.csv", "differences.csv"):
        assert (root / "killed" / name).read_bytes() == (root / "whole" / name).read_bytes()


def test_other_holes_or_photos_are_refused_in_the_same_folder(root: Path) -> None:
    evaluate(root, "taken", "--methods", "ns", "--shape", "eyes", "--limit", 2)
    said = evaluate(root, "taken", "--methods", "ns", "--shape", "mouth", "--limit", 2, code=2)
    assert "other holes" in said
    assert len(said.strip().splitlines()) == 1


def test_a_method_is_planned_once_for_each_database_and_auxiliary(root: Path) -> None:
    copy = root / "copy.simpaint"
    shutil.copytree(root / "others.simpaint", copy)
    sources = ["telea", f"net={root / 'sim-2.safetensors'}"]
    found = plan(sources, [root / "others.simpaint", copy], ["database", "noise"], "ns", 0)
    assert [one.label for one in found] == ["telea", "net", "net (noise)", "net [copy]"]
    assert [one.coarse for one in found] == ["", "ns", "", "ns"]
    again = plan(sources, [copy], ["oracle"], "ns", 0)
    assert again[0] == found[0]
    assert again[1].fingerprint not in {one.fingerprint for one in found}


def test_what_is_missing_is_said_in_one_line(root: Path) -> None:
    sim = f"sim-2={root / 'sim-2.safetensors'}"
    assert "--database" in evaluate(root, "no", "--methods", sim, code=2)
    assert "telea, ns" in evaluate(root, "no", "--methods", "unheard", code=2)
    assert "twice" in evaluate(root, "no", "--methods", "ns,ns", code=2)
    assert "shapes" in evaluate(root, "no", "--methods", "ns", "--shape", "round", code=2)
    lonely = ["--methods", "nearest", "--auxiliary", "person"]
    assert "album" in evaluate(root, "no", *lonely, "--database", root / "others.simpaint", code=2)
    assert not (root / "no").exists()


def test_wide_holes_have_groups_of_their_own_and_known_pixels_stay(root: Path) -> None:
    evaluate(root, "wide", "--methods", "telea", "--shape", "left", "--shape", "eyes", "--limit", 3)
    assert {row["bucket"] for row in table(root, "wide")} == {"left", "eyes"}
    part = next((root / "wide" / "parts").rglob("*.parquet"))
    rows = pq.read_table(part).to_pylist()
    assert not picture(rows[0]["painted"])[:, SIZE // 2 :].any()
    assert picture(rows[0]["painted"])[:, : SIZE // 2].any()


def test_jittered_photos_are_another_report(root: Path) -> None:
    turned = ["--methods", "telea", "--shape", "eyes", "--limit", 5, "--jitter"]
    evaluate(root, "turned", *turned, 0.6)
    report = (root / "turned" / "report.md").read_text("utf-8")
    assert "Of 60% of the photos a part is painted, turned and moved." in report
    assert "other jitter" in evaluate(root, "turned", *turned, 1, code=2)
    assert "other photos" in evaluate(root, "turned", *turned, 0, code=2)


def test_the_whole_of_a_jittered_photo_is_not_shown(root: Path) -> None:
    own = root / "own.simpaint"
    build_index(root / "photos", own, BuildConfig(device="cpu", workers=1))
    sim = f"sim-2={root / 'sim-2.safetensors'}"
    turned = ["--methods", sim, "--database", own, "--shape", "eyes", "--limit", 20, "--jitter", 1]
    evaluate(root, "whole-jittered", *turned)
    for row in pq.read_table(root / "whole-jittered" / "results.parquet").to_pylist():
        assert int(Path(row["photo"]).stem) not in row["neighbors"]


@pytest.fixture(scope="module")
def library(root: Path) -> Library:
    return _opened(root)[0]


def photos_of(library: Library, ids: list[int]) -> torch.Tensor:
    return library.photos(np.array(ids), SIZE)


def test_copies_of_the_true_photo_are_not_shown(library: Library) -> None:
    truth, nothing = photos_of(library, [4, 9]), [np.empty(0, np.int64)] * 2
    oracle = Auxiliaries("oracle", library, None, 0)
    oracle.begin(np.arange(2), truth, nothing, "ab")
    oracle(truth, torch.zeros(2, 1, SIZE, SIZE), 3)
    assert oracle.shown.ids.shape == (2, 3)
    assert 4 not in oracle.shown.ids[0]
    assert 9 not in oracle.shown.ids[1]
    assert library.copy_score is not None
    assert (oracle.shown.scores <= library.copy_score).all()
    vectors = library.describe(truth)
    _, found = library.search(vectors, 1, nothing, SIZE)
    assert found.ravel().tolist() == [4, 9]


def test_random_photos_and_noise_do_not_depend_on_the_batch(library: Library) -> None:
    truth, masks = photos_of(library, [0, 1, 2]), torch.zeros(3, 1, SIZE, SIZE)
    nothing = [np.empty(0, np.int64)] * 3
    for kind in ("random", "noise"):
        shown = Auxiliaries(kind, library, None, 0)
        shown.begin(np.arange(3), truth, nothing, "abc")
        together = shown(truth, masks, 2)
        assert together.shape == (3, 2, 3, SIZE, SIZE)
        shown.begin(np.arange(2, 3), truth[2:], nothing[2:], "c")
        assert torch.equal(shown(truth[2:], masks[2:], 2), together[2:])


def test_strokes_are_synthetic_where_no_bank_is_named(root: Path) -> None:
    evaluate(root, "synthetic", "--methods", "ns", "--per-bucket", 1)
    settings = (root / "synthetic" / "settings.json").read_text()
    assert synthetic_bank().fingerprint in settings
    assert [row["n"] for row in table(root, "synthetic") if row["metric"] == "l1"] == ["1"] * 6


def test_a_network_paints_as_the_product_does(root: Path, tmp_path: Path) -> None:
    """The same two steps, written twice: here with ablations, there for photos of any size."""
    for folder in ("once", "again"):
        shutil.copytree(root / "others", tmp_path / "photos" / folder)
    database = tmp_path / "twice.simpaint"
    build_index(tmp_path / "photos", database, BuildConfig(device="cpu", workers=1))
    similar = Auxiliaries("database", *_opened(root, database), 0)
    method = build_method(str(root / "sim-2.safetensors"), similar).method
    product = Inpainter.load(
        database, coarse=root / "pconv.safetensors",
        network=root / "sim-2.safetensors", size=SIZE, device="cpu",
    )  # fmt: skip
    photos, masks = torch.rand(2, 3, SIZE, SIZE), torch.zeros(2, 1, SIZE, SIZE)
    masks[:, :, 8:24, 4:20] = 1
    similar.begin(np.arange(2), photos, [np.empty(0, np.int64)] * 2, "ab")
    painted = product.paint(photos, masks)
    mine = method(photos * (1 - masks), masks).clamp(0, 1)
    torch.testing.assert_close(mine * masks, painted.photos * masks, atol=2e-3, rtol=0)
    assert np.array_equal(similar.shown.ids, painted.ids.numpy())
    one, other = similar.shown.ids.T % 30
    assert (one != other).all()  # not the same photo twice


def _opened(root: Path, folder: Path | None = None) -> tuple[Library, Method]:
    database = ImageDatabase.open(folder or root / "others.simpaint")
    descriptor = database_descriptor(database.folder, database.manifest, device="cpu")
    coarse = build_coarse(str(root / "pconv.safetensors")).method
    return Library(database, descriptor), coarse


def test_no_method_is_shown_the_photos_own_file(root: Path) -> None:
    (root / "few").mkdir()
    for path in sorted((root / "photos").iterdir())[:8]:
        (root / "few" / path.name).write_bytes(path.read_bytes())
    build_index(root / "few", root / "few.simpaint", BuildConfig(device="cpu", workers=1))
    sim = f"sim-2={root / 'sim-2.safetensors'}"
    evaluate(
        root, "own", "--methods", sim, "--shape", "center", "--database", root / "few.simpaint",
        "--auxiliary", "random", "--auxiliary", "oracle", "--limit", 20,
    )  # fmt: skip
    few = root / "few.simpaint"
    ids = {row.path: row.id for row in all_rows(few, open_checked(few))}
    rows = pq.read_table(root / "own" / "results.parquet").to_pylist()
    own = [row for row in rows if row["photo"] in ids]
    assert own
    assert all(ids[row["photo"]] not in row["neighbors"] for row in own)


def test_a_method_that_gives_no_picture_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "odd.py").write_text(
        "def none(photos, masks): return None\n"
        "def small(photos, masks): return photos[..., 1:]\n"
        "def endless(photos, masks): return photos / 0\n"
        "def greedy(photos, masks): return masks.zero_() + photos\n"
    )
    monkeypatch.chdir(root)
    for name, found in (("none", "NoneType"), ("small", "32, 31"), ("endless", "others")):
        said = evaluate(
            root, f"odd-{name}", "--methods", f"odd:{name}", "--shape", "eyes", "--limit", 2, code=2
        )
        assert f"odd:{name}: expected a tensor (1, 3, 32, 32) of finite numbers, found" in said
        assert found in said
    evaluate(root, "greedy", "--methods", "odd:greedy", "--shape", "eyes", "--limit", 2)
    assert all(float(row["mean"]) > 0 for row in table(root, "greedy") if row["metric"] == "l1")


def test_photos_that_changed_are_not_mistaken_for_those_before(root: Path) -> None:
    (root / "mine").mkdir()
    for i in range(3):
        write_png(root / "mine" / f"{i}.png", drawn_face(np.random.default_rng(i), SIZE))
    report = ["--out", root / "mine/report", "--methods", "telea", "--shape", "eyes"]
    arguments = ["evaluate", "--photos", root / "mine", "--size", SIZE, *report]

    def again() -> str:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code in (0, 2), result.output
        return result.output

    assert "Look at" in again()
    assert "Look at" in again()  # its own pictures are not among the photos
    write_png(root / "mine" / "1.png", drawn_face(np.random.default_rng(9), SIZE))
    assert "caches other photos (another files)" in again()


def test_the_persons_other_photos_are_those_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(4):
        write_png(tmp_path / "photos" / f"{i}.png", drawn_face(np.random.default_rng(i), SIZE))
    (tmp_path / "photos" / "3.png").write_bytes(b"no photo")
    source = open_source(tmp_path / "photos")
    cache = cache_photos(source, source.names, tmp_path / "cache", SIZE)
    faces = np.eye(4, 128, dtype=np.float32)
    faces[3] *= 100  # of a black square
    people = People(cache, np.zeros(4, np.int64), faces)
    truth = torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{People.__module__}.identity", lambda: lambda *_: faces[:1])
        found = people.distances(truth, truth, np.array([0]))
    assert found["identity_others"].tolist() == pytest.approx([2**0.5])
