from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simpaint.errors import DatabaseError
from simpaint.index_build.manifest import (
    DescriptorInfo,
    IndexInfo,
    Manifest,
    ShardInfo,
    SourceInfo,
    check_files,
    describe_file,
    open_checked,
    read_manifest,
    write_manifest,
)
from simpaint.index_build.shards import PhotoRow, shard_name, write_shard
from simpaint.index_build.store import (
    Skipped,
    all_rows,
    iter_vectors,
    read_skipped,
    rows,
    write_removed,
    write_skipped,
)

D = 8


def photo(i: int) -> PhotoRow:
    return PhotoRow(i, f"ü/{i}.jpg", f"{i:064x}", 10 + i, 20)


def vectors_of(ids: list[int]) -> NDArray[np.float32]:
    vectors = np.stack([np.random.default_rng(i).normal(size=D) for i in ids]).astype(np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def database(folder: Path, parts: list[list[int]], removed: list[int]) -> Manifest:
    """A database without photos: ids in parts, written as a build would."""
    (folder / "images").mkdir(parents=True)
    for part, ids in enumerate(parts):
        write_shard(folder / shard_name(part), [photo(i) for i in ids], vectors_of(ids))
    write_skipped(folder / "skipped-00001.parquet", [Skipped("x.txt", "no picture")])
    write_removed(folder / "removed-00001.parquet", np.array(removed, np.int64))
    (folder / "index-00001.faiss").write_bytes(bytes(range(256)))
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))
    manifest = Manifest(
        generation=1,
        descriptor=DescriptorInfo("tiny", {"pca": None}, "0" * 64),
        d=D,
        count=sum(map(len, parts)) - len(removed),
        source=SourceInfo("folder", "/photos/ü"),
        next_id=100,
        tombstones=len(removed),
        skipped_count=1,
        index=IndexInfo(
            "index-00001.faiss", "IVF4,Flat", {"nprobe": 3}, 0.1 + 0.2, "auto", "small"
        ),
        shards=tuple(ShardInfo(shard_name(i), p[0], len(p)) for i, p in enumerate(parts)),
        skipped="skipped-00001.parquet",
        removed="removed-00001.parquet",
        whitening=None,
        plan={"type": "auto"},
        files={name: describe_file(folder / name) for name in names},
    )
    write_manifest(folder, manifest)
    return manifest


PARTS = [[0, 1, 3], [10, 11], [50]]


def test_a_manifest_comes_back_as_written(tmp_path: Path) -> None:
    manifest = database(tmp_path, PARTS, [3])
    assert read_manifest(tmp_path) == manifest
    assert open_checked(tmp_path) == manifest


def test_vectors_come_back_without_removed_ones(tmp_path: Path) -> None:
    manifest = database(tmp_path, PARTS, [3, 50])
    found = list(iter_vectors(tmp_path, manifest))
    assert [ids.tolist() for ids, _ in found] == [[0, 1], [10, 11]]
    vectors = np.concatenate([vectors for _, vectors in found])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, vectors_of([0, 1, 10, 11]), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert [row.id for row in all_rows(tmp_path, manifest)] == [0, 1, 10, 11]


def test_rows_are_found_by_id_in_any_order(tmp_path: Path) -> None:
    manifest = database(tmp_path, PARTS, [3])
    wanted = [50, 3, 0, 50, 11]
    assert rows(tmp_path, manifest, wanted) == [photo(i) for i in wanted]
    assert rows(tmp_path, manifest, []) == []
    for absent in (-1, 2, 60):
        with pytest.raises(DatabaseError, match=f"found {absent}"):
            rows(tmp_path, manifest, [0, absent])


def test_a_shard_of_nothing_is_a_shard(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    write_shard(tmp_path / shard_name(0), [], np.empty((0, D), np.float32))
    manifest = database(tmp_path / "db", PARTS, [])
    empty = replace(manifest, shards=(ShardInfo(shard_name(0), 0, 0),), removed=None)
    assert list(iter_vectors(tmp_path, empty)) == []


def test_every_flipped_bit_and_every_cut_is_found(tmp_path: Path) -> None:
    database(tmp_path, PARTS, [3])
    rng = np.random.default_rng(0)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 7
    for path in files:
        content = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(content)
            if rng.random() < 0.8:
                damaged[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
            else:
                damaged = damaged[: rng.integers(len(content))]
            path.write_bytes(damaged)
            with pytest.raises(DatabaseError, match=path.name):
                check_files(tmp_path, read_manifest(tmp_path))
        path.write_bytes(content)
    open_checked(tmp_path)


def test_every_single_bit_of_the_manifest_counts(tmp_path: Path) -> None:
    database(tmp_path, [[0]], [])
    path = tmp_path / "manifest.json"
    content = path.read_bytes()
    for bit in range(0, len(content) * 8, 5):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        with pytest.raises(DatabaseError, match="damaged"):
            read_manifest(tmp_path)


def test_sizes_alone_find_what_is_missing_or_cut(tmp_path: Path) -> None:
    manifest = database(tmp_path, PARTS, [3])
    path = tmp_path / "index-00001.faiss"
    path.write_bytes(bytes(256))
    check_files(tmp_path, manifest, "sizes")
    path.write_bytes(bytes(255))
    with pytest.raises(DatabaseError, match="expected 256 bytes, found 255"):
        check_files(tmp_path, manifest, "sizes")
    path.unlink()
    with pytest.raises(DatabaseError, match="expected 256 bytes, cannot be read"):
        check_files(tmp_path, manifest, "sizes")


def test_a_folder_without_a_manifest_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no such folder"):
        read_manifest(tmp_path / "absent")
    with pytest.raises(DatabaseError, match=r"without manifest\.json"):
        read_manifest(tmp_path)
    (tmp_path / "build.json").touch()
    with pytest.raises(DatabaseError, match="unfinished build; repeat"):
        read_manifest(tmp_path)


def test_a_newer_format_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simpaint.index_build.manifest.FORMAT", 2)
    database(tmp_path, PARTS, [3])
    monkeypatch.undo()
    with pytest.raises(DatabaseError, match="expected format 1, found 2"):
        read_manifest(tmp_path)


def test_a_state_that_is_replaced_while_it_is_checked_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = database(tmp_path, PARTS, [3])
    newer = replace(manifest, generation=2)
    calls = []

    def check(folder: Path, seen: Manifest, *_: object, **__: object) -> None:
        calls.append(seen.generation)
        if seen.generation == 1:
            write_manifest(folder, newer)
            raise DatabaseError("index-00001.faiss: missing")

    monkeypatch.setattr("simpaint.index_build.manifest.check_files", check)
    assert open_checked(tmp_path) == newer
    assert calls == [1, 2]


def test_skipped_files_come_back(tmp_path: Path) -> None:
    skipped = [Skipped("a.txt", "no picture"), Skipped("b.jpg", "empty")]
    for written in (skipped, []):
        write_skipped(tmp_path / "skipped.parquet", written)
        assert read_skipped(tmp_path / "skipped.parquet") == written
