"""Small networks, a photo with a mask, and folders of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import write_mask, write_png
from simpaint.index_build import BuildConfig, build_index

from ..inpainter.tiny import write_networks
from .painting import hole


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli-inpaint")
    write_networks(folder)
    (folder / "faces").mkdir()
    for seed in range(4):
        write_png(folder / "faces" / f"{seed}.png", drawn_face(np.random.default_rng(seed), 64))
    build_index(folder / "faces", folder / "db", BuildConfig(workers=1, device="cpu"))
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A photo with its mask."""
    face = drawn_face(np.random.default_rng(27), 80)  # its frame holds the hole
    Image.fromarray(face).save(tmp_path / "photo.jpg", quality=90)
    write_mask(tmp_path / "mask.png", hole())
    return tmp_path


@pytest.fixture
def folders(work: Path) -> Path:
    """Five photos; one has no mask, one is none, one has a mask of another size."""
    for name in ("photos/in", "masks/in"):
        (work / name).mkdir(parents=True)
    for i, name in enumerate(("in/a", "b", "c", "d")):
        face = drawn_face(np.random.default_rng(i), 80)
        Image.fromarray(face).save(work / "photos" / f"{name}.jpg")
    for name in ("in/a", "b", "e"):
        write_mask(work / "masks" / f"{name}.png", hole())
    write_mask(work / "masks" / "c.png", np.ones((9, 9), np.bool_))
    (work / "photos" / "e.jpg").write_text("no photo")
    return work
