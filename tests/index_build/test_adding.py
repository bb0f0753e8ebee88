import os
from pathlib import Path

import pytest

from simpaint.errors import InputError
from simpaint.index_build.adding import AddConfig, add
from simpaint.index_build.manifest import open_checked, read_manifest
from simpaint.index_build.plan import stopped_addition
from simpaint.index_build.store import read_skipped

from .test_build import Stopped, built
from .tiny import added, draw_faces, face_jpeg


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw_faces(tmp_path / "photos", 20)


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


def test_a_name_that_is_no_text_does_not_stop_a_list(photos: Path, tmp_path: Path) -> None:
    (photos / os.fsdecode(b"\xff.jpg")).write_bytes(face_jpeg(1))
    (photos / "list.txt").write_bytes(b"0001.jpg\n\xff.jpg\n0002.jpg\n")
    manifest = built(photos / "list.txt", tmp_path / "db")
    assert (manifest.count, manifest.skipped_count) == (2, 1)
    (skipped,) = read_skipped(tmp_path / "db" / manifest.skipped)
    assert skipped == ("\\udcff.jpg", "the file's name is not valid UTF-8")
    assert added(tmp_path / "db", photos).added == 18


def test_an_addition_of_nothing_that_is_a_photo_is_refused(photos: Path, db: Path) -> None:
    before, files = read_manifest(db), sorted(db.rglob("*"))
    (photos / "list.txt").write_text("00001.jpg\n00002.jpg\n")
    with pytest.raises(InputError, match=r"list\.txt: none of 2 files .*: 00001\.jpg: cannot be"):
        added(db, photos / "list.txt")
    assert open_checked(db) == before
    assert sorted(db.rglob("*")) == files
    (photos / "list.txt").write_text("0001.jpg\n00002.jpg\n")
    assert added(db, photos / "list.txt").unchanged == 1


def test_skipped_files_that_were_deleted_are_forgotten(photos: Path, db: Path) -> None:
    more = draw_faces(photos.parent / "more", 1, start=30)
    for path in (photos / "bad.jpg", photos / "worse.txt", more / "bad.jpg", more / "worse.txt"):
        path.write_text("no photo")
    assert (added(db, photos).skipped, added(db, more).skipped) == (2, 2)
    (photos / "bad.jpg").unlink()
    (more / "bad.jpg").unlink()
    (photos.parent / "link").symlink_to(photos)
    done = added(db, more)
    assert (done.added, done.skipped, done.manifest.skipped_count) == (0, 1, 3)
    done = added(db, photos.parent / "link")
    assert (done.skipped, done.manifest.skipped_count) == (1, 2)
    names = [row.path for row in read_skipped(db / done.manifest.skipped)]
    assert sorted(names) == ["../more/worse.txt", "worse.txt"]
    assert added(db, photos).manifest == done.manifest
