import errno
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from simpaint.errors import DatabaseError, InputError, StorageError
from simpaint.index_build.build import BuildConfig, build_index
from simpaint.index_build.change import remove
from simpaint.index_build.descriptors import DescriptorConfig
from simpaint.index_build.faiss_index import read_index
from simpaint.index_build.manifest import Manifest, open_checked, read_manifest
from simpaint.index_build.publish import IndexConfig, writing
from simpaint.index_build.shards import PhotoRow
from simpaint.index_build.store import iter_vectors, read_skipped, rows
from simpaint.retrieval import ImageDatabase

from .tiny import TinyDescriptor, draw_faces, face_jpeg

SMALL = BuildConfig(batch_size=4, shard_size=8, workers=1, device="cpu")


def built(photos: Path, out: Path, config: BuildConfig = SMALL) -> Manifest:
    return build_index(photos, out, config, descriptor=TinyDescriptor())


def content(database: Path) -> tuple[list[PhotoRow], NDArray[np.float32]]:
    """Everything a database says of its photos."""
    manifest = read_manifest(database)
    parts = list(iter_vectors(database, manifest))
    ids = [int(i) for part, _ in parts for i in part]
    return rows(database, manifest, ids), np.concatenate([vectors for _, vectors in parts])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_faces(tmp_path_factory.mktemp("photos"), 40)
    (folder / "0005.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_a_build_keeps_every_photo_and_names_the_rest(photos: Path, tmp_path: Path) -> None:
    manifest = built(photos, tmp_path / "db")
    assert open_checked(tmp_path / "db") == manifest
    assert (manifest.count, manifest.next_id, manifest.skipped_count) == (39, 41, 2)
    skipped = read_skipped(tmp_path / "db" / manifest.skipped)
    assert [row.path for row in skipped] == ["0005.jpg", "notes.txt"]
    found, _ = content(tmp_path / "db")
    assert len(found) == 39
    left = {p.relative_to(tmp_path / "db").as_posix() for p in (tmp_path / "db").rglob("*.*")}
    assert left == {"manifest.json", ".lock", *manifest.files}


def test_the_index_finds_each_photo_by_its_own_vector(photos: Path, tmp_path: Path) -> None:
    manifest = built(photos, tmp_path / "db")
    index = read_index(tmp_path / "db" / manifest.index.file, manifest.index.parameters)
    for ids, vectors in iter_vectors(tmp_path / "db", manifest):
        np.testing.assert_array_equal(index.search(vectors, 1)[1][:, 0], ids)


def test_a_finished_build_is_left_alone(photos: Path, tmp_path: Path) -> None:
    manifest = built(photos, tmp_path / "db")
    before = (tmp_path / "db" / "manifest.json").stat().st_mtime_ns
    assert built(photos, tmp_path / "db") == manifest
    assert (tmp_path / "db" / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(DatabaseError, match=r"finished .*batch size: 4 there, 5 now"):
        built(photos, tmp_path / "db", replace(SMALL, batch_size=5))


class Stopped(TinyDescriptor):
    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def __call__(self, images: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().__call__(images)


def test_an_unfinished_build_says_so_and_names_another_configuration(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "db"
    with pytest.raises(KeyboardInterrupt):
        build_index(photos, out, SMALL, descriptor=Stopped(6))
    with pytest.raises(DatabaseError, match="unfinished build; repeat"):
        read_manifest(out)
    with pytest.raises(DatabaseError, match=r"unfinished .*\(batch size: 4 there, 8 now\)"):
        built(photos, out, replace(SMALL, batch_size=8))
    assert built(photos, out).count == 39


def test_files_that_come_and_go_do_not_end_an_unfinished_build(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    album, out = shutil.copytree(photos, tmp_path / "album"), tmp_path / "db"
    (album / os.fsdecode(b"\xff.jpg")).write_bytes(face_jpeg(1))
    with pytest.raises(KeyboardInterrupt):
        build_index(album, out, SMALL, descriptor=Stopped(6))
    left = {path.name: path.stat().st_mtime_ns for path in out.glob("images/*.parquet")}
    assert left
    (album / "0000a.jpg").write_bytes(face_jpeg(99))
    (album / "0039.jpg").unlink()
    manifest = built(album, out)
    assert "`simpaint index add` takes those that came since" in caplog.text
    now = {path.name: path.stat().st_mtime_ns for path in out.glob("images/*.parquet")}
    assert {name: now[name] for name in left} == left
    assert (manifest.count, manifest.next_id) == (38, 42)
    skipped = {row.path: row.reason for row in read_skipped(out / manifest.skipped)}
    assert "No such file" in skipped["0039.jpg"]
    assert {path.name for path in out.iterdir()} == {
        *(".lock", "images", "manifest.json"),
        *(manifest.skipped, manifest.index.file),
    }
    with pytest.raises(DatabaseError, match=r"\(listing: other files now\); .*index add"):
        built(album, out)


def test_before_the_first_shard_any_configuration_may_begin(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_index(photos, tmp_path / "db", SMALL, descriptor=Stopped(0))
    assert built(photos, tmp_path / "db", replace(SMALL, batch_size=8)).count == 39


def test_a_folder_of_something_else_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DatabaseError, match=r"expected an empty .* found thesis\.tex"):
        built(photos, tmp_path)
    with pytest.raises(InputError, match="found nothing"):
        built(photos / "absent", tmp_path / "db")
    assert not (tmp_path / "db").exists()


def test_an_impossible_index_is_refused_before_work_starts(photos: Path, tmp_path: Path) -> None:
    for index, reason in (
        (IndexConfig("IVF4096,Flat"), "at least 4,096 vectors"),
        (IndexConfig("Flat", memory_limit=1000), "expected at most"),
        (IndexConfig("auto", memory_limit=1000), "expected at most"),
        (IndexConfig("Flot"), "Flot"),
    ):
        with pytest.raises(InputError, match=reason):
            build_index(photos, tmp_path / "db", replace(SMALL, index=index), descriptor=Stopped(0))
    assert built(photos, tmp_path / "db").index.requested == "auto"


def test_photos_of_which_none_can_be_used_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="found none"):
        built(tmp_path / "photos", tmp_path / "db")
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(InputError, match=r"none of 1 files .* a\.jpg: the file is empty"):
        built(tmp_path / "photos", tmp_path / "db")
    draw_faces(tmp_path / "photos", 3)
    assert built(tmp_path / "photos", tmp_path / "db").count == 3


def test_a_whitening_of_nothing_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    config = replace(SMALL, descriptor=DescriptorConfig("vgg16", pca=4))
    with pytest.raises(InputError, match=r"none of 1 files .* a\.jpg: the file is empty"):
        built(tmp_path / "photos", tmp_path / "db", config)
    draw_faces(tmp_path / "photos", 3)
    assert built(tmp_path / "photos", tmp_path / "db").count == 3


def test_the_database_may_lie_among_the_photos(tmp_path: Path) -> None:
    draw_faces(tmp_path, 5)
    first = built(tmp_path, tmp_path / "faces.simpaint")
    assert built(tmp_path, tmp_path / "faces.simpaint") == first
    assert first.skipped_count == 0


def test_a_whitening_is_learned_once_and_kept(photos: Path, tmp_path: Path) -> None:
    config = replace(SMALL, descriptor=DescriptorConfig("vgg16", pca=7))
    manifest = built(photos, tmp_path / "db", config)
    assert (manifest.d, manifest.whitening) == (7, "whitening.safetensors")
    assert manifest.descriptor.config["pca"] == 7
    _, vectors = content(tmp_path / "db")
    assert vectors.shape == (39, 7)
    with pytest.raises(KeyboardInterrupt):
        build_index(photos, tmp_path / "again", config, descriptor=Stopped(16))
    assert (tmp_path / "again" / "whitening.safetensors").exists()
    built(photos, tmp_path / "again", config)
    np.testing.assert_array_equal(content(tmp_path / "again")[1], vectors)


def test_one_writer_at_a_time(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "db"
    out.mkdir()
    with writing(out), pytest.raises(DatabaseError, match="another process is changing it"):
        built(photos, out)
    assert built(photos, out).count == 39


def test_a_lock_that_cannot_be_had_is_not_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with (
        pytest.raises(StorageError, match=r"\.lock: expected .* found: No locks"),
        writing(tmp_path),
    ):
        pass


# A process that imports once and forks, so that a kill costs no start of Python. Each build has a
# little longer than the one before.
KILLS = """
import os, signal, sys, time
from pathlib import Path
import faiss, numpy as np, pyarrow as pa
from index_build.test_build import SMALL, built

pa.array(np.zeros(1))  # what this imports, children need not
kills, ended = 0, (0, 0)
while not ended[0]:
    build = os.fork()
    if not build:
        built(Path(sys.argv[1]), Path(sys.argv[2]))
        os._exit(0)
    end = time.monotonic() + 0.01 * 1.3 ** kills
    while not (ended := os.waitpid(build, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.001)
    if not ended[0]:
        os.kill(build, signal.SIGKILL)
        os.waitpid(build, 0)
        kills += 1
print(kills, ended[1])
"""


def test_killed_again_and_again_a_build_ends_as_an_undisturbed_one(
    photos: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    built(photos, whole)
    tests = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", KILLS, str(photos), str(killed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=tests)
    kills, status = done.stdout.split()
    assert int(kills) >= 3
    assert status == b"0"
    assert open_checked(killed).files == open_checked(whole).files  # checksums included
    (expected, vectors), (found, others) = content(whole), content(killed)
    assert found == expected
    np.testing.assert_array_equal(others, vectors)


def test_each_damaged_photo_is_indexed_or_named_with_a_reason(tmp_path: Path) -> None:
    rng, photos = np.random.default_rng(0), tmp_path / "photos"
    photos.mkdir()
    header = struct.pack(">4sIIBBBBB", b"IHDR", 40_000, 40_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header))
    bomb += b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    for i in range(100):
        whole = face_jpeg(i)
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        cut, text = whole[: rng.integers(len(whole))], rng.bytes(50).hex().encode()
        (photos / f"{i}.{'png' if i % 4 else 'jpg'}").write_bytes(
            (whole, cut, bytes(flipped), b"", text, bomb)[i % 6]
        )
    manifest = built(photos, tmp_path / "db")
    indexed = {row.path for row in content(tmp_path / "db")[0]}
    skipped = {row.path: row.reason for row in read_skipped(tmp_path / "db" / manifest.skipped)}
    assert not indexed & skipped.keys()
    assert indexed | skipped.keys() == {path.name for path in photos.iterdir()}
    assert all(skipped.values())
    assert {Path(name).stem for name in indexed} >= {str(i) for i in range(0, 100, 6)}
    assert any("40000 x 40000" in reason for reason in skipped.values())


def test_the_photos_folder_and_names_that_are_no_text_are_refused(
    photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="another folder than that of the photos"):
        built(photos, photos)
    with pytest.raises(InputError, match="name is UTF-8"):
        built(photos, tmp_path / os.fsdecode(b"x\xff") / "db")
    assert not list(tmp_path.iterdir())
    built(photos, tmp_path / "db")
    named = (tmp_path / "db").rename(tmp_path / os.fsdecode(b"db\xff"))
    for use in (ImageDatabase.open, lambda path: remove(path, [0])):
        with pytest.raises(InputError, match="name is UTF-8"):
            use(named)


@pytest.mark.parametrize("wrong", [{"name": "sim-net"}, {"name": "vgg16", "pooling": "max"}])
def test_a_descriptor_that_nobody_knows_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected one of"):
        DescriptorConfig(**wrong)
