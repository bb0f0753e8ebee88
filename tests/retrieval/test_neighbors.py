import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from simpaint.errors import InputError
from simpaint.index_build.change import remove
from simpaint.index_build.exact import Ids
from simpaint.retrieval import ImageDatabase, neighbors, read_neighbors, write_neighbors

from .synthetic import stored, vectors_of, write_database

COUNT = 250
CONTENTS = [i // 2 if i < 40 else i for i in range(COUNT)]  # the first forty are twenty pairs


@pytest.fixture
def db(tmp_path: Path) -> ImageDatabase:
    write_database(
        tmp_path / "db", vectors_of(COUNT), "IVF32,SQ8", contents=CONTENTS, shard_size=60
    )
    return ImageDatabase.open(tmp_path / "db")


def slow(db: ImageDatabase, k: int, max_score: float) -> Ids:
    """All pairs, one at a time."""
    ids, vectors = stored(db)
    contents = {int(i): CONTENTS[(int(i) - 5) // 3] for i in ids}
    rows = []
    for photo, vector in zip(ids, vectors.astype(np.float64), strict=True):
        scores = (vectors.astype(np.float64) @ vector).astype(np.float32)
        pairs = [
            (-score, int(other))
            for score, other in zip(scores, ids, strict=True)
            if contents[int(other)] != contents[int(photo)] and score <= max_score
        ]
        best = [other for _, other in sorted(pairs)[:k]]
        rows.append(best + [-1] * (k - len(best)))
    return np.array(rows)


@pytest.mark.parametrize("max_score", [1.0, 0.7, -0.2])
def test_the_table_equals_comparing_all_pairs(
    db: ImageDatabase, tmp_path: Path, max_score: float
) -> None:
    written = write_neighbors(db, tmp_path / "n.parquet", 7, max_score=max_score)
    table = read_neighbors(tmp_path / "n.parquet")
    np.testing.assert_array_equal(table.ids, stored(db)[0])
    np.testing.assert_array_equal(table.neighbors, slow(db, 7, max_score))
    assert table.scores.max() <= max_score
    assert np.isneginf(table.scores).tolist() == (table.neighbors < 0).tolist()
    assert written.short == (table.neighbors[:, -1] < 0).sum()
    assert max_score > -0.2 or written.short > 0


def test_neither_itself_nor_its_bytes_nor_a_near_copy(db: ImageDatabase, tmp_path: Path) -> None:
    write_neighbors(db, tmp_path / "n.parquet", 5, max_score=0.8)
    table = read_neighbors(tmp_path / "n.parquet")
    assert not (table.neighbors == table.ids[:, None]).any()
    pairs = table.ids[:40].reshape(20, 2)[:, ::-1].reshape(40, 1)
    assert not (table.neighbors[:40] == pairs).any()
    vectors = stored(db)[1]
    near = ((vectors @ vectors.T) > 0.8).sum(1) > 1
    assert near.any()  # or the threshold was not needed
    assert table.scores.max() <= 0.8


def test_blocks_do_not_change_the_table(
    db: ImageDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_neighbors(db, tmp_path / "whole.parquet", 5, max_score=0.9)
    monkeypatch.setattr(neighbors, "_QUERIES", 37)
    monkeypatch.setattr(neighbors, "_BLOCK", 11)
    write_neighbors(db, tmp_path / "blocks.parquet", 5, max_score=0.9)
    for whole, blocks in zip(
        read_neighbors(tmp_path / "whole.parquet"),
        read_neighbors(tmp_path / "blocks.parquet"),
        strict=True,
    ):
        np.testing.assert_array_equal(whole, blocks)


def test_equal_scores_are_ordered_by_id(tmp_path: Path) -> None:
    vectors = np.repeat(vectors_of(4), 10, axis=0)
    write_database(tmp_path / "db", vectors)
    write_neighbors(ImageDatabase.open(tmp_path / "db"), tmp_path / "n.parquet", 9, max_score=2)
    table = read_neighbors(tmp_path / "n.parquet")
    group = table.ids[:10]
    for row in range(10):
        assert table.neighbors[row].tolist() == [i for i in group if i != group[row]]


def test_removed_photos_have_no_row_and_are_nobodys_neighbor(
    db: ImageDatabase, tmp_path: Path
) -> None:
    remove(db.folder, [5, 308])
    write_neighbors(ImageDatabase.open(db.folder), tmp_path / "n.parquet", 20, max_score=1)
    table = read_neighbors(tmp_path / "n.parquet")
    assert len(table.ids) == COUNT - 2
    assert not np.isin([5, 308], table.ids).any()
    assert not np.isin([5, 308], table.neighbors).any()


def test_progress_is_of_photos_and_ends_at_all(
    db: ImageDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbors, "_QUERIES", 100)
    told: list[tuple[int, int]] = []
    write_neighbors(db, tmp_path / "n.parquet", 3, max_score=1, progress=lambda *a: told.append(a))
    assert told == sorted(told)
    assert told[-1] == (COUNT, COUNT)
    assert len(told) > 5


def test_the_file_says_what_it_was_made_of(db: ImageDatabase, tmp_path: Path) -> None:
    write_neighbors(db, tmp_path / "n.parquet", 3, max_score=0.9)
    metadata = pq.read_schema(tmp_path / "n.parquet").metadata
    assert metadata[b"descriptor"] == b"tiny"
    assert metadata[b"max_score"] == b"0.9"


def test_a_table_of_other_photos_or_of_unknown_ones_is_refused(
    db: ImageDatabase, tmp_path: Path
) -> None:
    path = tmp_path / "n.parquet"
    write_neighbors(db, path, 3, max_score=1)
    assert len(read_neighbors(path, db).ids) == COUNT
    write_database(tmp_path / "other", vectors_of(COUNT), contents=range(COUNT))  # the same ids
    with pytest.raises(InputError, match=r"n\.parquet: expected neighbors of .*other, found"):
        read_neighbors(path, ImageDatabase.open(tmp_path / "other"))
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(InputError, match="or an old table; make it anew"):
        read_neighbors(path, db)


def test_a_descriptor_without_known_copies_needs_a_threshold(
    db: ImageDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="not known for tiny"):
        write_neighbors(db, tmp_path / "n.parquet", 3)
    assert not (tmp_path / "n.parquet").exists()
    monkeypatch.setitem(neighbors.COPY_SCORES, "tiny", 0.6)
    assert write_neighbors(db, tmp_path / "n.parquet", 3).max_score == 0.6
    assert read_neighbors(tmp_path / "n.parquet").scores.max() <= 0.6


def test_fewer_than_one_neighbor_is_refused(db: ImageDatabase, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found 0"):
        write_neighbors(db, tmp_path / "n.parquet", 0, max_score=1)


def test_what_is_no_table_is_refused_by_name(db: ImageDatabase, tmp_path: Path) -> None:
    (tmp_path / "n.parquet").write_bytes(b"no table")
    shard = db.folder / db.manifest.shards[0].file
    for path in (tmp_path / "n.parquet", tmp_path / "absent.parquet", shard):
        with pytest.raises(InputError, match=f"{path.name}: expected a table of neighbors"):
            read_neighbors(path)


def test_a_file_of_something_else_is_not_written_over(db: ImageDatabase, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"a photo")
    with pytest.raises(InputError, match=r"photo\.jpg: expected a table of neighbors"):
        write_neighbors(db, tmp_path / "photo.jpg", 3, max_score=1)
    assert (tmp_path / "photo.jpg").read_bytes() == b"a photo"
    for _ in range(2):  # but a table is
        write_neighbors(db, tmp_path / "new" / "n.parquet", 3, max_score=1)


def test_more_neighbors_than_photos_take_no_memory(
    db: ImageDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = write_neighbors(db, tmp_path / "few.parquet", len(db) - 1, max_score=2)
    monkeypatch.setattr(neighbors, "_ENTRIES", 50_000)
    tracemalloc.start()
    done = write_neighbors(db, tmp_path / "many.parquet", 9000, max_score=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (done.short, peak < 9000 * len(db) * 4) == (len(db), True)
    expected, found = (read_neighbors(tmp_path / f"{name}.parquet") for name in ("few", "many"))
    assert found.neighbors.shape == found.scores.shape == (len(db), 9000)
    np.testing.assert_array_equal(found.neighbors[:, : len(db) - 1], expected.neighbors)
    np.testing.assert_array_equal(found.scores[:, : len(db) - 1], expected.scores)
    assert few.short == (expected.neighbors[:, -1] < 0).sum()
    assert (found.neighbors[:, len(db) :] == -1).all()
    assert np.isneginf(found.scores[:, len(db) :]).all()


def test_a_threshold_that_is_no_number_is_refused(db: ImageDatabase, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_score: expected a number, found nan"):
        write_neighbors(db, tmp_path / "n.parquet", 3, max_score=float("nan"))
    with pytest.raises(InputError, match="max_score: expected a number, found nan"):
        db.search(np.ones((1, db.manifest.d), np.float32), 3, max_score=float("nan"))
