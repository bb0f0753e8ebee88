"""Holes of whole photos, filled with what other photos of the same place show there."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from simpaint.cli import main
from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import Pixels, write_mask, write_png
from simpaint.errors import ImageError
from simpaint.index_build import BuildConfig, build_index
from simpaint.inpainter import Inpainter
from simpaint.inpainter.checkpoint import save
from simpaint.inpainter.whole.frames import Frame, cut, cut_hole

from .tiny import Told, painter, tiny_copy, write_networks

Holes = NDArray[np.bool_]


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, table: Pixels, beside: Pixels, hole: Holes
) -> Path:
    """Networks; and an album with the photo itself, painted over, and another of its place."""
    folder = tmp_path_factory.mktemp("place")
    write_networks(folder)
    save(folder / "ours.safetensors", tiny_copy(), {})
    (folder / "album").mkdir()
    for seed in range(6):
        write_png(folder / "album" / f"{seed}.png", drawn_face(np.random.default_rng(seed), 64))
    scribbled = table.copy()
    scribbled[hole] = (255, 0, 255)
    write_png(folder / "album" / "itself.png", scribbled)
    write_png(folder / "album" / "beside.png", beside)
    build_index(folder / "album", folder / "db", BuildConfig(workers=1, device="cpu"))
    write_png(folder / "photo.png", scribbled)
    write_mask(folder / "mask.png", hole)
    return folder


def load(folder: Path, network: str = "ours", **options: Any) -> Inpainter:  # noqa: ANN401
    coarse, last = folder / "pconv.safetensors", folder / f"{network}.safetensors"
    inpainter = Inpainter.load(coarse=coarse, network=last, device="cpu", **options)
    inpainter._finder = Told()
    return inpainter


def off(one: object, other: Pixels, hole: Holes) -> float:
    return float(np.abs(np.asarray(one).astype(int) - other)[hole].mean())


def test_a_database_knows_what_stood_there(folder: Path, table: Pixels, hole: Holes) -> None:
    inpainter = load(folder, database=folder / "db", k=2)
    result = inpainter(folder / "photo.png", folder / "mask.png")
    assert off(result.photo, table, hole) < 5
    assert result.moved.tolist() == [True]
    names = inpainter.names(result.ids)
    assert names == [str(folder / "album" / "beside.png"), ""]
    assert 0 < result.scores[0, 0] < 1
    assert result.scores[0, 1].isnan()
    (frame,) = result.frames
    truth, there = cut(table, frame, 128) / 255, ~cut_hole(hole, frame, 128)
    shown = result.neighbors[0, 0].permute(1, 2, 0).numpy()
    light = np.array([0.9, 0.8, 0.7])
    assert np.abs(shown - (truth * light + 10 / 255))[there].mean() < 0.03
    assert (result.neighbors[0, 1] == 1).all()


def test_a_photo_that_is_gone_is_left_out(
    folder: Path, tmp_path: Path, hole: Holes, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(folder, tmp_path / "here")
    (tmp_path / "here/album/0.png").unlink()
    moved = tmp_path / "here/album"
    inpainter = load(folder, database=folder / "db", moved=moved, k=2)
    result = inpainter(folder / "photo.png", folder / "mask.png")
    assert inpainter.names(result.ids) == [str(moved / "beside.png"), ""]
    (told,) = caplog.messages
    assert told.startswith(str(moved / "0.png"))
    chosen = load(folder, references=moved / "beside.png")
    (moved / "beside.png").unlink()
    with pytest.raises(ImageError, match=r"beside\.png"):
        chosen(folder / "photo.png", folder / "mask.png")


def test_a_reference_may_show_the_place(folder: Path, table: Pixels, hole: Holes) -> None:
    inpainter = load(folder, references=folder / "album" / "beside.png")
    assert len(inpainter.useless()) == 1
    result = inpainter(table, hole)
    assert inpainter.useless() == []
    assert off(result.photo, table, hole) < 5
    assert result.ids.tolist() == [[0]]
    assert result.scores.isnan().all()


def test_random_photos_do_not_show_what_stood_there(
    folder: Path, table: Pixels, hole: Holes
) -> None:
    result = load(folder, database=folder / "db", auxiliary="random", k=1)(table, hole)
    assert result.moved.tolist() == [True]
    assert (result.ids == -1).all()
    assert off(result.photo, table, hole) > 10


def test_the_papers_networks_paint_all_of_it(folder: Path, table: Pixels, hole: Holes) -> None:
    result = load(folder, "sim-1", database=folder / "db")(table, hole)
    assert not result.moved.any()


def test_a_line_is_filled_so_too_but_not_across_a_face(folder: Path, table: Pixels) -> None:
    hole = np.zeros(table.shape[:2], np.bool_)
    hole[196:204, 60:480] = True
    inpainter = load(folder, references=folder / "album" / "beside.png")
    assert inpainter(table, hole).moved.all()
    inpainter._finder = Told(Frame(0.4 + 0.2j, 0.3 + 0j))
    result = inpainter(table, hole)
    faces = [frame.side.real == 180 for frame in result.frames]
    assert any(faces)
    for face, moved in zip(faces, result.moved.tolist(), strict=True):
        assert moved != face or not face


def test_what_a_reference_was_good_for_is_told(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    album = folder / "album"
    given = ["--reference", album / "beside.png", "--reference", album / "itself.png"]
    networks = ["--coarse", folder / "pconv.safetensors", "--network", folder / "ours.safetensors"]
    whole, mask = ["--out", tmp_path / "o.png"], ["--mask", folder / "mask.png"]
    options = map(str, [folder / "photo.png", *mask, *whole, *networks, *given, "--device", "cpu"])
    out = CliRunner().invoke(main, ["inpaint", *options])
    assert f"from  {album / 'beside.png'}, the same place or moment\n" in out.stdout
    told = [record.getMessage() for record in caplog.records]
    useless = "no face was found in it, nor the place of a photo that was painted"
    assert told[-1] == f"{album / 'itself.png'}: {useless}"
    assert not any(line.startswith(str(album / "beside.png")) for line in told)


def test_where_nothing_may_be_copied_networks_paint() -> None:
    photo, hole = np.full((400, 400, 3), 99, np.uint8), np.zeros((400, 400), np.bool_)
    hole[250:270, 180:220] = True
    for side, moved in ((0.2, False), (0.02, True)):  # a large or a small person
        face = Frame(complex(0.5 - side / 2, 0.1), side + 0j)
        result = painter(face, network=tiny_copy)(photo, hole)
        assert result.moved.tolist() == [moved]
