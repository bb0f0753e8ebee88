"""A database of drawn photos; each module draws its own."""

from pathlib import Path

import pytest

from .test_build import built


@pytest.fixture
def db(photos: Path, tmp_path: Path) -> Path:
    built(photos, tmp_path / "db")
    return tmp_path / "db"
