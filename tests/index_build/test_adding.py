from pathlib import Path

import pytest

from simpaint.index_build.adding import AddConfig, Added, add
from simpaint.index_build.manifest import read_manifest
from simpaint.index_build.plan import stopped_addition

from .test_build import Stopped, built
from .tiny import TinyDescriptor, draw_faces


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw_faces(tmp_path / "photos", 20)


@pytest.fixture
def db(photos: Path, tmp_path: Path) -> Path:
    built(photos, tmp_path / "db")
    return tmp_path / "db"


def added(db: Path, photos: Path) -> Added:
    return add(db, photos, descriptor=TinyDescriptor())


def test_a_repeated_build_leaves_a_stopped_addition_what_it_has(photos: Path, db: Path) -> None:
    before, more = read_manifest(db), draw_faces(db.parent / "more", 20, start=20)
    with pytest.raises(KeyboardInterrupt):
        add(db, more, AddConfig(workers=1), descriptor=Stopped(4))
    left = {path.name: path.stat().st_mtime_ns for path in db.glob("images/*.parquet")}
    assert len(left) > len(before.shards)
    assert built(photos, db) == before
    assert stopped_addition(db, before.generation)
    assert added(db, more).added == 20
    now = {path.name: path.stat().st_mtime_ns for path in db.glob("images/*.parquet")}
    assert {name: now.get(name) for name in left} == left
    assert not stopped_addition(db, before.generation)
