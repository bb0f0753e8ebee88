"""What a hand hides around a face, taken from other photos of the same moment."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import Pixels, decode, write_png
from simpaint.index_build import BuildConfig, build_index
from simpaint.inpainter import Inpainter
from simpaint.inpainter.checkpoint import save
from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.portraits import cut_faces

from .tiny import Told, tiny_copy, write_networks

SIDE, FACE = 320, 160
FRAME = Frame(0.25 + 0.1j, 0.5 + 0j)  # of the photo's width


def scene(clothes: int = 0) -> Pixels:
    """A face, and below and beside it what the person wears."""
    rng = np.random.default_rng(clothes)
    cloth = cv2.resize(rng.random((40, 40, 3), np.float32), (SIDE, SIDE))
    photo = np.asarray(40 + 160 * cloth, np.uint8)
    photo[32 : 32 + FACE, 80 : 80 + FACE] = drawn_face(np.random.default_rng(1), FACE)
    return photo


def later(photo: Pixels) -> Pixels:
    """A second later: moved a little, and darker."""
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 2, 1.01)
    moved = cv2.warpAffine(photo, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved * 0.9 + 10, np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Networks, an album and its faces."""
    monkeypatch.setattr("simpaint.inpainter.pipeline.default_finder", lambda: Told(FRAME))
    write_networks(tmp_path)
    save(tmp_path / "ours.safetensors", tiny_copy(), {})
    (tmp_path / "album").mkdir()
    write_png(tmp_path / "album" / "later.png", later(scene()))
    cut_faces(tmp_path / "album", tmp_path / "faces", size=96, finder=Told(FRAME))
    return tmp_path


@pytest.fixture
def hole() -> NDArray[np.bool_]:
    hole = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(hole, (170, 190), (35, 60), 0, 0, 360, 1, -1)
    return hole.view(np.bool_)


def filled(folder: Path, hole: NDArray[np.bool_], **options: Any) -> tuple[NDArray[Any], int]:  # noqa: ANN401
    """What is painted, and in how many squares."""
    coarse, last = folder / "pconv.safetensors", folder / "ours.safetensors"
    inpainter = Inpainter.load(coarse=coarse, network=last, size=64, device="cpu", **options)
    given = np.where(hole[..., None], np.uint8(255), scene())
    result = inpainter(given, hole)
    painted = np.asarray(result.photo)
    assert np.array_equal(painted[~hole], given[~hole])
    return painted, len(result.frames)


def off(painted: NDArray[Any], hole: NDArray[np.bool_]) -> float:
    """L1 around the face, of 255."""
    around = hole.copy()
    around[32 : 32 + FACE, 80 : 80 + FACE] = False
    assert around.sum() > 2000
    return float(np.abs(painted.astype(int) - scene())[around].mean())


def test_a_reference_shows_what_is_around_the_face(folder: Path, hole: NDArray[np.bool_]) -> None:
    painted, squares = filled(folder, hole, references=folder / "album" / "later.png")
    assert squares == 1
    assert off(painted, hole) < 8
    assert off(filled(folder, hole, k=0)[0], hole) > 16


def test_so_does_the_photo_that_a_face_was_cut_out_of(
    folder: Path, hole: NDArray[np.bool_]
) -> None:
    build_index(folder / "faces", folder / "db", BuildConfig(workers=1, device="cpu"))
    painted, squares = filled(folder, hole, database=folder / "db")
    assert squares == 1
    assert off(painted, hole) < 8
    (folder / "album" / "later.png").rename(folder / "elsewhere.png")
    painted, squares = filled(folder, hole, database=folder / "db")
    assert squares > 1
    assert off(painted, hole) > 16


def test_other_clothes_are_not_taken(folder: Path, hole: NDArray[np.bool_]) -> None:
    write_png(folder / "other.png", later(scene(clothes=1)))
    painted, squares = filled(folder, hole, references=folder / "other.png")
    assert squares > 1
    alone, _ = filled(folder, hole, k=0)
    assert off(painted, hole) == pytest.approx(off(alone, hole), rel=0.3)


def test_nothing_is_taken_from_beyond_the_other_photo(
    folder: Path, hole: NDArray[np.bool_]
) -> None:
    write_png(folder / "narrow.png", decode(folder / "album" / "later.png")[: 32 + FACE])
    painted, squares = filled(folder, hole, references=folder / "narrow.png")
    assert squares > 1
    assert off(painted, hole) > 16
