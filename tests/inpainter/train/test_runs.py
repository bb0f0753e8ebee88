"""Whole runs by the command line, on small photos, and the neighbors they take."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from simpaint.cli import main
from simpaint.data.images import write_png
from simpaint.errors import InputError
from simpaint.inpainter import checkpoint
from simpaint.inpainter.copy_unet import CopyUNet
from simpaint.inpainter.dcgan import Generator
from simpaint.inpainter.train.photo_sets import Caches, Shelf
from simpaint.inpainter.train.runs import PaintingRun
from simpaint.inpainter.unet import VARIANTS, PConvUNet, UNetConfig
from simpaint.retrieval import ImageDatabase
from simpaint.retrieval.neighbors import photos_sha256

TINY = ["--stage", "16:2:4", "--stage", "32:2:2", "--cpu", "--workers", "1", "--check-every", "2"]


def simpaint(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_train_pconv_says_the_cost_and_writes_a_network_that_loads(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    said = simpaint("train", "pconv", photos, "--out", out, "--validation", photos, *TINY)
    assert "million parameters" in said
    assert "GFLOP a photo at 16 px" in said
    assert "validation after step 4" in said
    checkpoint.load(out / "network.safetensors", PConvUNet)
    about = checkpoint.notes(out / "network.safetensors")
    assert about["features"] == "simnet"
    assert about["recipe"]["learning_rate"] == 1e-4
    again = simpaint(
        "train", "pconv", photos, "--out", tmp_path / "tuned", "--bn-frozen", "--features", "none",
        "--initial", out / "network.safetensors", *TINY,
    )  # fmt: skip
    assert "The network is" in again


def test_a_run_beside_a_folder_named_photos_is_resumed_and_none_lies_inside(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    train = ["train", "pconv", "photos", "--features", "none", *TINY, "--out"]
    simpaint(*train, "run", "--minutes", 0)
    simpaint(*train, "run", "--resume")
    assert len([*Path("photos").iterdir()]) == 24
    for inside in (["photos/run"], ["other", "--cache", "photos/cache"]):
        result = CliRunner().invoke(main, [*train, *inside])
        assert result.exit_code == 2
        assert "expected a folder that is not inside photos" in result.output


def test_initial_weights_may_be_named_otherwise_when_a_run_is_resumed(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("first", 0), ("other", 1)):
        torch.manual_seed(seed)
        network = PConvUNet(UNetConfig("pconv", VARIANTS["small"]))
        checkpoint.save(Path(f"{name}.safetensors"), network, {})
    train = ["train", "pconv", photos, "--features", "none", *TINY, "--out", "run", "--initial"]
    simpaint(*train, "first.safetensors", "--minutes", 0)
    other = CliRunner().invoke(main, [*map(str, train), "other.safetensors", "--resume"])
    assert other.exit_code == 2
    assert "begun with initial = " in other.output
    simpaint(*train, tmp_path / "first.safetensors", "--resume")


def test_photos_that_cannot_be_used_are_told(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    for name in ("aa", "zz"):
        (tmp_path / "photos" / f"{name}.png").write_bytes(b"no picture")
    train = ["--out", tmp_path / "run", "--features", "none", *TINY, "--minutes", 0]
    said = simpaint(
        "train", "pconv", tmp_path / "photos", "--validation", tmp_path / "photos", *train
    )
    assert said.count("2 of 26 photos cannot be used and are left out; the first is aa.png: ") == 2
    assert "cannot be used" not in simpaint("train", "pconv", photos, *train, "--out", tmp_path)


@pytest.mark.parametrize(
    "options", [["--features", "vgg16"], ["--feature-weights", "simnet.safetensors"]]
)
def test_features_that_the_recipe_does_not_weigh_are_refused(
    options: list[str], photos: Path, tmp_path: Path
) -> None:
    train = ["train", "pconv", str(photos), "--recipe", "small-cpu", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, [*train, *TINY, *options])
    assert result.exit_code == 2
    assert "--features: expected a recipe that weighs perceptual or style terms" in result.output


def test_train_dcgan_writes_a_generator_of_at_most_8_mb_in_half_precision(
    photos: Path, tmp_path: Path
) -> None:
    simpaint("train", "dcgan", photos, "--out", tmp_path / "run", "--stage", "64:2:4", *TINY[4:])
    generator = checkpoint.load(tmp_path / "run/network.safetensors", Generator)
    checkpoint.save(tmp_path / "shipped.safetensors", generator, {}, half=True)
    assert (tmp_path / "shipped.safetensors").stat().st_size <= 8_000_000


def test_a_run_that_cannot_be_is_refused_in_one_line(photos: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["train", "sim", str(photos), "--out", str(tmp_path / "run"), "-k", "1"]
    )
    assert result.exit_code == 2
    assert "--neighbors are needed" in result.output
    with pytest.raises(InputError, match="batch norms"):
        PaintingRun("sim", photos, bn_frozen=True)
    file = tmp_path / "file"
    ignored: list[tuple[str, str, dict[str, Any]]] = [
        ("--matching", "--adversarial", {"matching": 0.1}),
        ("--balanced", "--shape strokes", {"balanced": True, "shapes": ("center",)}),
        ("--feature-weights", "a network", {"feature_weights": file, "features": "none"}),
        ("--moved", "similar photos", {"moved": file}),
        ("--crispness", "our own network", {"crispness": 3}),
        ("--same-folder", "our own network", {"same_folder": True}),
        ("--max-score", "our own network", {"max_score": 0.0}),
        ("--features", "one of vgg16", {"features": "nonsense"}),
    ]
    for option, needed, options in ignored:
        with pytest.raises(InputError, match=f"{option}: expected {needed}"):
            PaintingRun("sim", photos, **options)
    with pytest.raises(InputError, match="--neighbors: expected a Sim-K beside it"):
        PaintingRun("copy", photos, 3, neighbors=file, coarse="pconv")
    unknown: Any = "x"
    with pytest.raises(InputError, match="kind: expected one of pconv, sim, copy; found 'x'"):
        PaintingRun(unknown, photos)
    dcgan = ["train", "dcgan", str(photos), "--out", str(tmp_path / "run"), "--stage", "16:2:2"]
    assert "expected photos of 64 pixels" in CliRunner().invoke(main, dcgan).output
    odd = CliRunner().invoke(main, [*dcgan, "--stage", "64"])
    assert (odd.exit_code, odd.output) == (
        2, "Error: --stage: expected it as 64:6000:128, found 64\n"
    )  # fmt: skip
    assert "width 1 or more" in CliRunner().invoke(main, [*dcgan, "--width", "0"]).output


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of 12 photos, its photos beside it."""
    from simpaint.index_build.build import build_index

    folder = tmp_path_factory.mktemp("shelf")
    rng = np.random.default_rng(1)
    for i in range(12):
        photo = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        write_png(folder / f"{i:02d}.png", photo)
    build_index(folder, folder.with_suffix(".simpaint"))
    return folder.with_suffix(".simpaint")


def write_table(path: Path, database: Path, lists: list[list[int]]) -> Path:
    k = len(lists[0])
    columns = {
        "id": pa.array(range(len(lists)), pa.int64()),
        "neighbors": pa.array(lists, pa.list_(pa.int64(), k)),
        "scores": pa.array([[0.5] * k] * len(lists), pa.list_(pa.float32(), k)),
    }
    of = photos_sha256(ImageDatabase.open(database))
    pq.write_table(pa.table(columns, metadata={"photos": of}), path)
    return path


def test_neighbors_come_from_the_table_and_photos_without_enough_are_left_out(
    database: Path, tmp_path: Path
) -> None:
    shelf = Shelf(database, Caches(tmp_path, 32))
    lists = [[(i + 1) % 12, (i + 2) % 12] for i in range(12)]
    lists[4] = [3, -1]
    lists[5] = [99, 1]
    table = write_table(tmp_path / "neighbors.parquet", database, lists)
    found = shelf.training_set(table, 2)
    assert found.rows.tolist() == [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]
    assert found.neighbors.tolist() == [lists[row] for row in found.rows]
    with pytest.raises(InputError, match="expected 3 neighbors"):
        shelf.training_set(table, 3)


def test_photos_outside_the_database_get_the_most_similar_in_it(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(database, Caches(tmp_path, 64))
    found = shelf.similar_to(shelf.cache, 3)  # as if they were others: nobody finds itself
    assert (found.neighbors != found.rows[:, None]).all()
    with pytest.raises(InputError, match="found fewer for 12"):
        shelf.similar_to(shelf.cache, 13)
    monkeypatch.setattr("simpaint.retrieval.neighbors.COPY_SCORES", {})  # pixels tell copies then
    assert np.array_equal(shelf.similar_to(shelf.cache, 3).neighbors, found.neighbors)
    with pytest.raises(InputError, match="found fewer for 12"):
        shelf.similar_to(shelf.cache, 12)


def test_what_a_copy_is_must_be_said_where_it_was_not_measured(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(database, Caches(tmp_path, 32))
    monkeypatch.setattr("simpaint.retrieval.neighbors.COPY_SCORES", {})
    with pytest.raises(InputError, match=r"--max-score: .* not known for simnet"):
        shelf.finder()
    pictures, elsewhere = torch.rand(1, 3, 32, 32), torch.tensor([-1])
    with pytest.raises(InputError, match="no copies of it, found 0"):
        shelf.finder(-1.1)(pictures, pictures, elsewhere, 1)  # everything is a copy
    found = shelf.finder(1.1)(pictures, pictures, elsewhere, 1)
    assert any((found[0, 0].numpy() == shelf.cache.photos([row], 32)).all() for row in range(12))


def test_train_sim_reads_database_table_and_validation(database: Path, tmp_path: Path) -> None:
    lists = [[(i + 1) % 12] for i in range(12)]
    table = write_table(tmp_path / "neighbors.parquet", database, lists)
    photos = database.with_suffix("").rename(tmp_path / "elsewhere")
    said = simpaint(
        "train", "sim", database, "--neighbors", table, "--out", tmp_path / "run",
        "--validation", photos, "--moved", photos, *TINY,
    )  # fmt: skip
    photos.rename(database.with_suffix(""))
    assert "validation after step 4" in said


def test_our_own_network_is_trained_against_blur_on_any_number_of_neighbors(
    database: Path, tmp_path: Path
) -> None:
    coarse = tmp_path / "coarse.safetensors"
    checkpoint.save(coarse, PConvUNet(UNetConfig("pconv", (4, 8))), {})
    out = tmp_path / "run"
    simpaint(
        "train", "copy", database, "-k", "2", "--same-folder", "--coarse", coarse,
        "--validation", database.with_suffix(""), "--sharpness", "5", "--adversarial", "0.01",
        "--matching", "0.1", "--features", "none", "--recipe", "small-cpu", "--out", out, *TINY,
    )  # fmt: skip
    network = checkpoint.load(out / "network.safetensors", CopyUNet)
    photos, holes = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    for k in (0, 5):
        assert network(photos, holes, photos, torch.rand(1, k, 3, 32, 32)).isfinite().all()
    both = f"{coarse}+{coarse}"
    simpaint(
        "train", "copy", database, "-k", "1", "--coarse", both, "--crispness", "0.25",
        "--initial", out / "network.safetensors", "--features", "none", "--recipe", "small-cpu",
        "--out", tmp_path / "crisper", *TINY,
    )  # fmt: skip
    tuned = checkpoint.load(tmp_path / "crisper/network.safetensors", CopyUNet)
    assert (network.config.crispness, tuned.config.crispness) == (2.0, 0.25)
    assert (network.config.coarse, tuned.config.coarse) == (str(coarse), both)
