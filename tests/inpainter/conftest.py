"""Small photos, as they stand in a cache."""

from pathlib import Path

import numpy as np
import pytest

from simpaint.data.images import write_png
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
