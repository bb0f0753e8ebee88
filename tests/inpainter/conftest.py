"""Small photos, as they stand in a cache; and two photos of one place."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from simpaint.data.images import Pixels, write_png
from simpaint.data.sources import open_source
from simpaint.inpainter.train.photo_cache import PhotoCache, cache_photos


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 photos of 32 by 32 pixels: smooth, each of its own colours."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(24):
        corners = rng.integers(0, 256, (2, 2, 3)).astype(np.float64)
        weight = np.linspace(0, 1, 32)
        rows = np.stack([1 - weight, weight], 1)
        write_png(
            folder / f"{i:02d}.png",
            np.einsum("yi,xj,ijc->yxc", rows, rows, corners).astype(np.uint8),
        )
    return folder


@pytest.fixture(scope="session")
def cache(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> PhotoCache:
    source = open_source(photos)
    return cache_photos(source, source.names, tmp_path_factory.mktemp("cache"), 32)


@pytest.fixture(scope="session")
def table() -> Pixels:
    """A cup of coffee on a table, 600 x 400; the photo is in the public domain."""
    photos: Any = data
    return np.asarray(photos.coffee(), np.uint8)


@pytest.fixture(scope="session")
def beside(table: Pixels) -> Pixels:
    """The same table from another place, in other light, by another camera."""
    corners = np.array([[0, 0], [600, 0], [600, 400], [0, 400]], np.float32)
    moved = np.array([[-40, -10], [690, -60], [640, 470], [-90, 430]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners * 1.2, moved * 1.2) @ np.diag([1.2, 1.2, 1])
    seen = cv2.warpPerspective(table, matrix, (720, 480), flags=cv2.INTER_CUBIC)
    return np.asarray(np.rint(seen * np.array([0.9, 0.8, 0.7]) + 10), np.uint8)


@pytest.fixture(scope="session")
def hole(table: Pixels) -> NDArray[np.bool_]:
    """A third of the cup, and of the spoon."""
    there = np.zeros(table.shape[:2], np.uint8)
    cv2.ellipse(there, (400, 220), (60, 80), 0, 0, 360, 1, -1)
    return there.view(np.bool_)
