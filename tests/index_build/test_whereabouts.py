from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simpaint.data import sources
from simpaint.errors import InputError
from simpaint.index_build.change import remove
from simpaint.index_build.manifest import Manifest, read_manifest
from simpaint.index_build.whereabouts import missing, moved
from simpaint.retrieval import ImageDatabase

from .test_build import built
from .tiny import added, draw_faces, face_jpeg


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw_faces(tmp_path / "album", 40)


def test_a_moved_album_is_not_added_a_second_time(photos: Path, db: Path) -> None:
    now = photos.rename(photos.with_name("now"))
    before = read_manifest(db)
    with pytest.raises(InputError, match=r"album: expected the photos of .*simpaint index moved"):
        added(db, now)
    photos.mkdir()  # nor if the old folder was left, or made again
    with pytest.raises(InputError, match="found none of 20 that were looked for; if they were"):
        added(db, now)
    assert read_manifest(db) == before
    done = moved(db, now)
    assert (done.looked_for, done.there, done.manifest.generation) == (20, 20, 2)
    assert read_manifest(db) == done.manifest
    draw_faces(now, 1, start=50)
    result = added(db, now)
    assert (result.added, result.unchanged) == (1, 40)
    assert ImageDatabase.open(db).paths([3]) == [str(now / "0003.jpg")]
    assert remove(db, paths=[str(now / "0003.jpg")]).count == 40


def test_after_a_move_a_build_is_still_the_same_one(photos: Path, db: Path) -> None:
    now = photos.rename(photos.with_name("now"))
    manifest = moved(db, now).manifest
    assert built(now, db) == manifest
    assert moved(db, now).manifest == manifest  # said twice, nothing changes


def test_a_place_without_the_photos_is_refused(photos: Path, db: Path, tmp_path: Path) -> None:
    before = read_manifest(db)
    others = draw_faces(tmp_path / "others", 40, start=100)
    for i in range(40):  # of the same names, even
        (others / f"{100 + i:04d}.jpg").rename(others / f"{i:04d}.jpg")
    with pytest.raises(InputError, match=r"found none of 20 that were looked for, .*: 0000\.jpg"):
        moved(db, others)
    for wrong, found in ((tmp_path / "absent", "nothing"), (photos / "0000.jpg", "a file")):
        with pytest.raises(InputError, match=f"expected a folder, of .* found {found}"):
            moved(db, wrong)
    assert read_manifest(db) == before
    for i in range(30):
        (photos / f"{i:04d}.jpg").unlink()
    part = moved(db, photos.rename(tmp_path / "part"))
    assert 0 < part.there < part.looked_for


def test_archives_and_lists_move_too(photos: Path, tmp_path: Path) -> None:
    archive = tmp_path / "photos.parquet"
    pq.write_table(pa.table({"image": [face_jpeg(i) for i in range(5)]}), archive)
    built(archive, tmp_path / "parquet")
    now = archive.rename(tmp_path / "now.parquet")
    with pytest.raises(InputError, match=r"expected a file, of .* found a folder"):
        moved(tmp_path / "parquet", photos)
    (tmp_path / "list.txt").write_text("0")
    (tmp_path / "0").write_bytes(face_jpeg(0))  # as the first row is called
    with pytest.raises(InputError, match=r"list\.txt: expected a parquet, found a list"):
        moved(tmp_path / "parquet", tmp_path / "list.txt")
    assert moved(tmp_path / "parquet", now).there == 5
    assert ImageDatabase.open(tmp_path / "parquet").photos([4])[0].shape == (48, 48, 3)
    (tmp_path / "a").mkdir()
    photos.rename(tmp_path / "a" / "album")
    (tmp_path / "a" / "list.txt").write_text("album/0001.jpg\nalbum/0002.jpg\n")
    built(tmp_path / "a" / "list.txt", tmp_path / "listed")
    (tmp_path / "a").rename(tmp_path / "b")
    assert moved(tmp_path / "listed", tmp_path / "b" / "list.txt").there == 2
    assert read_manifest(tmp_path / "listed").source.root == str(tmp_path / "b")


def test_a_search_is_not_told_of_a_place_that_is_not_there(db: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent: expected a folder, of .* found nothing"):
        ImageDatabase.open(db, photos=tmp_path / "absent")


@pytest.mark.parametrize("by_list", [False, True])
def test_photos_beside_the_root_move_with_it(tmp_path: Path, by_list: bool) -> None:
    home, db = tmp_path / "home", tmp_path / "db"
    draw_faces(home / "photos", 3)
    draw_faces(home / "more", 2, start=8)
    if by_list:
        lines = [*(f"{i:04d}.jpg" for i in range(3)), "../more/0008.jpg", f"{home}/more/0009.jpg"]
        (home / "photos" / "list.txt").write_text("\n".join(lines))
        built(home / "photos" / "list.txt", db)
    else:
        built(home / "photos", db)
        assert added(db, home / "more").added == 2
    now = home.rename(tmp_path / "deeper")
    (tmp_path / "link").symlink_to(now / "photos")
    for root in (now / "photos", now / "more" / ".." / "photos"):
        opened = ImageDatabase.open(db, photos=root)
        assert len(opened.photos(range(5))) == 5
        assert Path(opened.paths([4])[0]).resolve() == now / "more" / "0009.jpg"
    assert moved(db, now / "photos").there == 5
    assert ImageDatabase.open(db).paths([4]) == [str(now / "more" / "0009.jpg")]
    result = added(db, now / "more")
    assert (result.added, result.unchanged) == (0, 2)


def test_where_old_databases_have_whole_paths_they_stay(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = draw_faces(tmp_path / "more", 2, start=80)
    (more / "bad.jpg").touch()
    listed = tmp_path / "album" / "list.txt"
    listed.write_text("\n".join(["0001.jpg", *map(str, sorted(more.iterdir()))]))
    with monkeypatch.context() as patch:
        patch.setattr(sources, "name_beside", sources.name_in)
        manifest = built(listed, tmp_path / "db")
    before = read_manifest(tmp_path / "db")
    assert ImageDatabase.open(tmp_path / "db").paths([1]) == [str(more / "0080.jpg")]
    result = added(tmp_path / "db", more)
    assert (result.added, result.unchanged, result.manifest) == (0, 2, before)
    now = photos.rename(tmp_path / "now")
    assert moved(tmp_path / "db", now).there == manifest.count == 3
    assert added(tmp_path / "db", more).unchanged == 2
    assert remove(tmp_path / "db", paths=[str(more / "0081.jpg")]).count == 2


def test_what_a_new_archive_has_no_more_is_missing(tmp_path: Path) -> None:
    rows = [{"bytes": face_jpeg(i), "path": f"{i}.jpg"} for i in range(4)]
    pq.write_table(pa.table({"image": rows}), tmp_path / "photos.parquet")
    built(tmp_path / "photos.parquet", tmp_path / "db")
    assert missing(tmp_path / "db") == []
    pq.write_table(pa.table({"image": rows[:3]}), tmp_path / "photos.parquet")
    assert [row.path for row in missing(tmp_path / "db")] == ["3:3.jpg"]


def test_photos_beside_the_root_do_not_hide_that_it_moved(tmp_path: Path, db: Path) -> None:
    more = draw_faces(tmp_path / "more", 3, start=80)
    added(db, more)
    (more / "0080.jpg").unlink()
    assert [row.path for row in missing(db)] == ["../more/0080.jpg"]
    (tmp_path / "album").rename(tmp_path / "now")
    for look in (missing, lambda db: added(db, more)):
        with pytest.raises(InputError, match="if they were moved"):
            look(db)


def test_what_was_added_from_elsewhere_and_stayed_is_found(photos: Path, tmp_path: Path) -> None:
    db, more = tmp_path / "db", draw_faces(tmp_path / "y" / "more", 9, start=80)
    (more / "bad.jpg").touch()
    built(photos, db)
    added(db, more)
    (tmp_path / "z" / "deep").mkdir(parents=True)
    now = photos.rename(tmp_path / "z" / "deep" / "album")
    assert len(ImageDatabase.open(db, photos=now).photos(range(49))) == 49
    done = moved(db, now)
    assert (done.looked_for, done.there, missing(db)) == (25, 25, [])
    assert ImageDatabase.open(db).paths([40]) == [str(more / "0080.jpg")]
    result = added(db, more)
    assert (result.added, result.unchanged, result.manifest) == (0, 9, done.manifest)
    (more / "0081.jpg").write_bytes(face_jpeg(500))
    draw_faces(more, 1, start=90)
    (more / "bad.jpg").unlink()
    result = added(db, more)
    assert (result.added, result.changed, result.manifest.skipped_count) == (2, 1, 0)
    now = now.rename(tmp_path / "z" / "album")  # once more: some were added beside the second place
    assert (moved(db, now).manifest.count, missing(db)) == (50, [])
    assert added(db, more).unchanged == 10
    (more / "0082.jpg").unlink()
    (gone,) = missing(db)
    assert ImageDatabase.open(db).paths([gone.id]) == [str(more / "0082.jpg")]
    assert remove(db, paths=[gone.path, str(more / "0080.jpg"), str(more / "0090.jpg")]).count == 47


def test_of_what_was_added_some_may_move_with_the_root(tmp_path: Path) -> None:
    home, db = tmp_path / "home", tmp_path / "db"
    built(draw_faces(home / "photos", 3), db)
    added(db, draw_faces(home / "more", 2, start=8))
    added(db, draw_faces(tmp_path / "disk", 2, start=20))
    (tmp_path / "a").mkdir()
    now = home.rename(tmp_path / "a" / "home")
    done = moved(db, now / "photos")
    assert (done.looked_for, done.there, missing(db)) == (7, 7, [])
    places = ImageDatabase.open(db).paths([3, 5])
    assert places == [str(now / "more" / "0008.jpg"), str(tmp_path / "disk" / "0020.jpg")]


def test_what_was_added_does_not_make_a_wrong_place_right(tmp_path: Path, db: Path) -> None:
    added(db, draw_faces(tmp_path / "more", 90, start=100))
    before = read_manifest(db)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: .* found none of 10 .* the first: 0000\.jpg"):
        moved(db, tmp_path / "empty")
    assert read_manifest(db) == before


def test_an_added_folder_that_is_away_is_not_taken_for_deleted(tmp_path: Path, db: Path) -> None:
    for name, start in (("one", 80), ("two", 90)):
        added(db, draw_faces(tmp_path / name, 3, start=start))
    (tmp_path / "two" / "0090.jpg").unlink()
    away = (tmp_path / "one").rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(InputError, match=r"one: expected photos of .* found none of 3 that"):
            missing(db)
        (tmp_path / "one").mkdir(exist_ok=True)  # as where a disk is mounted
    assert len(missing(db, whole_folders=True)) == 4
    (away / "0080.jpg").rename(tmp_path / "one" / "0080.jpg")
    paths = [row.path for row in missing(db)]
    assert paths == ["../one/0081.jpg", "../one/0082.jpg", "../two/0090.jpg"]


def test_an_old_database_does_not_know_what_was_added(
    tmp_path: Path, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_once(manifest: Manifest) -> dict[str, object]:
        source = {"kind": manifest.source.kind, "root": manifest.source.root}
        return {**asdict(manifest), "source": source}

    more = draw_faces(tmp_path / "more", 3, start=80)
    with monkeypatch.context() as patch:
        patch.setattr("simpaint.index_build.manifest.asdict", as_once)
        added(db, more)
    assert read_manifest(db).source.added == ()
    more = more.rename(tmp_path / "away")
    with pytest.raises(InputError, match=r"more: expected photos of .* found none of 3 that"):
        missing(db)
    more.rename(tmp_path / "more")
    assert missing(db) == []
