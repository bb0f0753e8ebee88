import io
import os
import tarfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simpaint.data import archives
from simpaint.data.sources import name_beside, open_source, place_of, reopen_source
from simpaint.errors import ImageError, InputError

PHOTOS = {name: name.encode() * 50 for name in ("b.jpg", "a/z.png", "a/c.JPG", "notes.txt")}


def fill(folder: Path) -> Path:
    for name, content in PHOTOS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_listed_sorted_with_every_visible_file(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.jpg").touch()
    (tmp_path / ".DS_Store").touch()
    source = open_source(tmp_path)
    assert source.names == sorted(PHOTOS)
    assert {name: source.read(name) for name in source.names} == PHOTOS
    assert reopen_source(source.kind, source.root).read("a/z.png") == PHOTOS["a/z.png"]


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    photos, elsewhere = fill(tmp_path / "photos"), fill(tmp_path / "elsewhere")
    (photos / "0-again").symlink_to(photos / "a")
    (photos / "a" / "loop").symlink_to(photos)
    (photos / "other").symlink_to(elsewhere)
    expected = [*PHOTOS, *(f"other/{name}" for name in PHOTOS)]
    assert open_source(photos).names == sorted(expected)


def test_the_database_inside_the_photos_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path)
    assert open_source(tmp_path, exclude=tmp_path / "a").names == ["b.jpg", "notes.txt"]


def test_a_file_that_vanished_is_an_error_of_that_file(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path))
    (tmp_path / "b.jpg").unlink()
    with pytest.raises(ImageError, match="No such file"):
        source.read("b.jpg")
    assert source.read("a/c.JPG")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any folder")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a").chmod(0)
    source = open_source(tmp_path)
    (tmp_path / "a").chmod(0o700)
    assert "a" in source.names


def test_a_list_names_paths_relative_to_itself_or_absolute(tmp_path: Path) -> None:
    photos, elsewhere = fill(tmp_path / "here" / "photos"), fill(tmp_path / "elsewhere")
    lines = ["photos/b.jpg", "", str(photos / "a/z.png"), "photos/b.jpg", "photos//gone.jpg"]
    lines += ["../elsewhere/b.jpg", str(elsewhere / "b.jpg"), "photos/a/z.png"]
    path = tmp_path / "here" / "list.txt"
    path.write_text("\n".join(lines))
    source = open_source(path)
    names = ["photos/b.jpg", "photos/a/z.png", "photos/gone.jpg", str(elsewhere / "b.jpg")]
    assert source.names == names
    assert source.read(names[3]) == PHOTOS["b.jpg"]
    assert [source.read(name) for name in source.names[:2]] == [PHOTOS["b.jpg"], PHOTOS["a/z.png"]]
    (tmp_path / "binary.txt").write_bytes(b"\0\xff\xfe")
    with pytest.raises(InputError, match=r"expected a folder, a text .* found another file"):
        open_source(tmp_path / "binary.txt")
    with pytest.raises(InputError, match="found nothing"):
        open_source(tmp_path / "absent")


def tar_of(path: Path, photos: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        tar.addfile(_folder("a"))
        for name, content in photos:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def _folder(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    return member


def test_a_tar_is_read_by_offset_from_many_threads(tmp_path: Path) -> None:
    photos = [*PHOTOS.items(), ("a/._c.JPG", b"junk"), ("b.jpg", b"newer")]
    source = open_source(tar_of(tmp_path / "photos.tar", photos))
    assert source.names == list(PHOTOS)
    with ThreadPoolExecutor(4) as pool:
        contents = list(pool.map(source.read, source.names * 20))
    assert contents == list({**PHOTOS, "b.jpg": b"newer"}.values()) * 20


def test_a_tar_of_many_photos_takes_the_memory_of_their_names(tmp_path: Path) -> None:
    count = 3000
    path = tar_of(tmp_path / "photos.tar", [(f"photos/{i:08d}.jpg", b"") for i in range(count)])
    tracemalloc.start()
    names = open_source(path).names
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(names) == count
    assert peak < 300 * count  # 200; with what `tarfile` keeps of each, 540


def test_a_damaged_tar_is_refused_and_not_read_in_part(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "photos.tar", list(PHOTOS.items()))
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:2500])
    with pytest.raises(InputError, match=r"expected an uncompressed tar|damaged header"):
        open_source(path)
    content[512 * 3] ^= 1  # the second photo's header
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged header at byte 1536"):
        open_source(path)


def test_a_parquet_column_of_bytes_or_structs_is_a_source(tmp_path: Path) -> None:
    contents = [f"photo {i}".encode() for i in range(10)]
    plain = pa.table({"label": list(range(10)), "photo": [*contents[:9], None]})
    structs = [{"bytes": c, "path": f"{i}.jpg" if i else None} for i, c in enumerate(contents)]
    for table, names in (
        (plain, [str(i) for i in range(10)]),
        (pa.table({"image": structs}), ["0", *(f"{i}:{i}.jpg" for i in range(1, 10))]),
    ):
        pq.write_table(table, tmp_path / "photos.parquet", row_group_size=3)
        source = open_source(tmp_path / "photos.parquet")
        assert source.names == names
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(source.read, names[:9])) == contents[:9]
    pq.write_table(plain, tmp_path / "photos.parquet")
    with pytest.raises(ImageError, match="no bytes"):
        open_source(tmp_path / "photos.parquet").read("9")


def test_large_row_groups_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    photos = [{"bytes": os.urandom(1000), "path": str(i)} for i in range(100)]
    table = pa.table({"image": photos, "other": [os.urandom(1000) for _ in photos]})
    monkeypatch.setattr(archives, "_LARGE_GROUP", 60_000)
    for size, told in ((50, False), (100, True)):
        pq.write_table(table, tmp_path / "photos.parquet", row_group_size=size)
        assert len(open_source(tmp_path / "photos.parquet").names) == 100
        assert ("photos.parquet: has a row group with 0 MB" in caplog.text) == told


def test_a_damaged_column_of_paths_is_named_with_its_file(tmp_path: Path) -> None:
    table = pa.table({"image": [{"bytes": b"photo", "path": f"{i}.jpg"} for i in range(9)]})
    path = tmp_path / "photos.parquet"
    pq.write_table(table, path, use_dictionary=False)
    start = pq.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 12] = b"\xff" * 12
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"photos\.parquet: expected a column image\.path, found"):
        _ = open_source(path).names


def test_what_a_file_is_does_not_depend_on_capitals(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [b"photo"]}), tmp_path / "A.Parquet")
    assert open_source(tmp_path / "A.Parquet").names == ["0"]
    assert open_source(tar_of(tmp_path / "A.TAR", list(PHOTOS.items()))).names == list(PHOTOS)


def test_a_parquet_file_without_photos_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1], "y": ["z"]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="found the columns x, y"):
        open_source(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="expected a Parquet file"):
        open_source(tmp_path / "x.parquet")


def test_a_source_is_the_same_whichever_way_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    fill(tmp_path / "photos")
    monkeypatch.chdir(tmp_path / "here")
    assert open_source(Path("../photos")).root == open_source(tmp_path / "photos").root


def test_links_in_a_tar_are_what_they_lead_to(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        _add(tar, "a/one.jpg", b"one")
        for name, kind, target in (
            ("hard.jpg", tarfile.LNKTYPE, "a/one.jpg"),
            ("a/soft.jpg", tarfile.SYMTYPE, "one.jpg"),
            ("up.jpg", tarfile.SYMTYPE, "a/../a/one.jpg"),
            ("lost.jpg", tarfile.SYMTYPE, "/etc/hostname"),
            ("round.jpg", tarfile.SYMTYPE, "again.jpg"),
            ("again.jpg", tarfile.SYMTYPE, "round.jpg"),
            ("early.jpg", tarfile.SYMTYPE, "next.jpg"),
            ("next.jpg", tarfile.SYMTYPE, "late.jpg"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
        _add(tar, "late.jpg", b"two")
    source = open_source(tmp_path / "photos.tar")
    assert source.names[:5] == ["a/one.jpg", "hard.jpg", "a/soft.jpg", "up.jpg", "lost.jpg"]
    assert {source.read(name) for name in source.names[:4]} == {b"one"}
    assert {source.read(name) for name in source.names[7:]} == {b"two"}
    for name in source.names[4:7]:
        with pytest.raises(ImageError, match="found a link to none in the tar"):
            source.read(name)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def test_a_list_names_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg\n./a.jpg\nb/../a.jpg\nb/c.jpg\n")
    assert open_source(tmp_path / "list.txt").names == ["a.jpg", "b/c.jpg"]


def test_a_list_holds_every_name_that_a_file_may_have(tmp_path: Path) -> None:
    odd = ["a\u2028b.jpg", "blank .jpg ", " \x0b.jpg", os.fsdecode(b"\xff.jpg"), "\xe9.jpg"]
    content = b"\xef\xbb\xbf" + b"\r\n".join(os.fsencode(name) for name in odd) + b"\n \n\n"
    (tmp_path / "list.txt").write_bytes(content)
    assert open_source(tmp_path / "list.txt").names == odd


def test_of_several_columns_of_bytes_the_one_called_as_photos_are_is_read(tmp_path: Path) -> None:
    table = pa.table({"key": [b"1", b"2"], "jpg": [b"photo", b"other"]})
    pq.write_table(table, tmp_path / "photos.parquet")
    assert open_source(tmp_path / "photos.parquet").read("1") == b"other"


def test_a_row_without_a_struct_has_a_name_and_a_reason(tmp_path: Path) -> None:
    rows = [{"bytes": b"photo", "path": "a.jpg"}, None]
    pq.write_table(pa.table({"image": rows}), tmp_path / "photos.parquet")
    source = open_source(tmp_path / "photos.parquet")
    assert source.names == ["0:a.jpg", "1"]
    with pytest.raises(ImageError, match="holds no bytes"):
        source.read("1")


def test_a_row_that_holds_another_photo_now_is_not_read(tmp_path: Path) -> None:
    names = open_source(_rows(tmp_path, ["a.jpg", "b.jpg", None])).names
    source = open_source(_rows(tmp_path, ["b.jpg", "b.jpg", "c.jpg"]))
    with pytest.raises(ImageError, match=r"row 0 of the file is 0:b\.jpg now"):
        source.read(names[0])
    assert source.read(names[1]) == b"b.jpg"
    with pytest.raises(ImageError, match=r"row 2 of the file is 2:c\.jpg now"):
        source.read(names[2])


def _rows(folder: Path, paths: list[str | None]) -> Path:
    rows = [{"bytes": str(path).encode(), "path": path} for path in paths]
    pq.write_table(pa.table({"image": rows}), folder / "photos.parquet")
    return folder / "photos.parquet"


def test_a_name_beside_the_root_leads_back_to_its_file() -> None:
    root = Path("/home/me/photos")
    for path, name in (
        ("/home/me/photos/a/b.jpg", "a/b.jpg"),
        ("/home/me/more/b.jpg", "../more/b.jpg"),
        ("/disk/b.jpg", "/disk/b.jpg"),
    ):
        assert name_beside(root, Path(path)) == name
        assert place_of(root, name) == Path(path)
    assert place_of(Path("photos"), "../more/b.jpg") == Path("more/b.jpg")
