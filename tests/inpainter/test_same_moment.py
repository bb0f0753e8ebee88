"""Hidden faces in whole photos, taken from other photos of the same moment."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import Pixels, decode, write_png
from simpaint.index_build import BuildConfig, build_index
from simpaint.inpainter import Inpainter
from simpaint.inpainter.checkpoint import save
from simpaint.inpainter.whole import similar
from simpaint.inpainter.whole.frames import Frame

from .tiny import Told, tiny_copy, write_networks

SIDE = 160
WHOLE = Frame(0j, 1 + 0j)


def later(photo: Pixels) -> Pixels:
    """A second later: a little turned, and darker."""
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 3, 1.02)
    moved = cv2.warpAffine(photo, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved * 0.85 + 10, np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks; a photo, and an album with the same face a second later."""
    folder = tmp_path_factory.mktemp("moment")
    write_networks(folder)
    save(folder / "ours.safetensors", tiny_copy(), {})
    photo = drawn_face(np.random.default_rng(1), SIDE)
    write_png(folder / "photo.png", photo)
    (folder / "album").mkdir()
    for seed in range(2, 6):
        write_png(folder / "album" / f"{seed}.png", drawn_face(np.random.default_rng(seed), SIDE))
    write_png(folder / "album" / "later.png", later(photo))
    build_index(folder / "album", folder / "db", BuildConfig(workers=1, device="cpu"))
    return folder


@pytest.fixture
def hole() -> NDArray[np.bool_]:
    hole = np.zeros((SIDE, SIDE), np.bool_)
    hole[50:130, 40:80] = True
    return hole


def load(folder: Path, network: str = "ours", **options: Any) -> Inpainter:  # noqa: ANN401
    coarse, last = folder / "pconv.safetensors", folder / f"{network}.safetensors"
    inpainter = Inpainter.load(coarse=coarse, network=last, size=64, device="cpu", **options)
    inpainter._finder = Told(WHOLE)
    return inpainter


def damaged(photo: Pixels, hole: NDArray[np.bool_]) -> Pixels:
    """What is to go stands in the hole."""
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, np.uint8)
    return np.where(hole[..., None], noise, photo)


def off(result: object, photo: object, hole: NDArray[np.bool_]) -> float:
    return float(np.abs(np.asarray(result, int) - np.asarray(photo, int))[hole].mean())


def test_an_album_shows_the_hidden_half(folder: Path, hole: NDArray[np.bool_]) -> None:
    photo = decode(folder / "photo.png")
    inpainter = load(folder, database=folder / "db", k=3)
    told: list[tuple[int, int]] = []
    result = inpainter(damaged(photo, hole), hole, progress=lambda *given: told.append(given))
    assert off(result.photo, photo, hole) < 5
    assert result.moved.tolist() == [True]  # and nothing is painted again
    assert told[-1] == (1, 1)
    names = inpainter.names(result.ids)
    assert sorted(names) == ["", "", str(folder / "album" / "later.png")]
    (there,) = (result.ids[0] >= 0).nonzero()
    assert result.scores.isnan().sum() == 2
    assert (result.neighbors[0, there] < 1).any()
    small = cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA)
    shown = (255 * result.painted[0]).permute(1, 2, 0).numpy()
    assert off(shown, small, result.holes[0, 0].numpy() > 0) < 6
    without = load(folder, k=0)(photo, hole)
    assert not without.moved.any()
    assert off(without.photo, photo, hole) > 20


def test_it_is_as_sharp_as_the_photo(folder: Path, hole: NDArray[np.bool_]) -> None:
    photo = decode(folder / "photo.png")
    filled = np.asarray(load(folder, database=folder / "db", k=3)(damaged(photo, hole), hole).photo)
    inner = cv2.erode(hole.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    ours, theirs = (
        np.abs(cv2.Laplacian(one.astype(np.float32), cv2.CV_32F))[inner].mean()
        for one in (filled, photo)
    )
    assert 0.5 < ours / theirs < 1.3


def test_a_photo_without_colours_gets_none(folder: Path, hole: NDArray[np.bool_]) -> None:
    grey = np.asarray(Image.open(folder / "photo.png").convert("L"))
    inpainter = load(folder, database=folder / "db", k=3)
    result = inpainter(np.where(hole, 0, grey), hole)
    assert result.moved.tolist() == [True]
    assert off(result.photo, grey, hole) < 8


def test_a_photo_with_colours_takes_nothing_of_one_without(
    folder: Path, tmp_path: Path, hole: NDArray[np.bool_], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simpaint.inpainter.pipeline.default_finder", lambda: Told(WHOLE))
    photo = decode(folder / "photo.png")
    Image.fromarray(later(photo)).convert("L").save(tmp_path / "later.png")
    references = [tmp_path / "later.png"]
    inpainter = load(folder, references=references)
    assert not inpainter(damaged(photo, hole), hole).moved.any()


def test_the_photo_itself_does_not_bring_back_what_is_to_go(
    folder: Path, tmp_path: Path, hole: NDArray[np.bool_], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simpaint.inpainter.pipeline.default_finder", lambda: Told(WHOLE))
    torn = decode(folder / "photo.png")
    torn[70:110, 45:75] = (250, 30, 30)
    for number, copy in enumerate((torn, later(torn))):
        Image.fromarray(copy).save(tmp_path / f"{number}.jpg", quality=80)
        result = load(folder, references=tmp_path / f"{number}.jpg")(torn, hole)
        assert not result.moved.any()
    write_png(tmp_path / "later.png", later(decode(folder / "photo.png")))
    assert load(folder, references=tmp_path / "later.png")(torn, hole).moved.all()


def test_the_papers_networks_and_random_photos_take_nothing(
    folder: Path, hole: NDArray[np.bool_]
) -> None:
    photo = damaged(decode(folder / "photo.png"), hole)
    assert not load(folder, "sim-3", database=folder / "db")(photo, hole).moved.any()
    random = load(folder, database=folder / "db", k=5, auxiliary="random")
    assert not random(photo, hole).moved.any()
    assert not load(folder, k=2, auxiliary="noise")(photo, hole).moved.any()


def test_of_a_reference_every_face_may_be_the_one(
    folder: Path, tmp_path: Path, hole: NDArray[np.bool_], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = decode(folder / "photo.png")
    other = drawn_face(np.random.default_rng(9), SIDE)
    write_png(tmp_path / "group.png", np.hstack([other, later(photo)]))
    both = Told(Frame(0j, 0.5 + 0j), Frame(0.5 + 0j, 0.5 + 0j))
    monkeypatch.setattr("simpaint.inpainter.pipeline.default_finder", lambda: both)
    inpainter = load(folder, references=tmp_path / "group.png")
    assert isinstance(inpainter._similar, similar.Chosen)
    result = inpainter(damaged(photo, hole), hole)
    assert result.moved.tolist() == [True]
    assert result.ids.tolist() == [[1]]
    assert inpainter.names(result.ids) == [str(tmp_path / "group.png")]
    assert off(result.photo, photo, hole) < 5
    (whole,) = inpainter._similar.whole(photo)
    assert whole.number == 0
