import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from simpaint.data.images import decode
from simpaint.errors import DatabaseError, ImageError, InputError
from simpaint.index_build.adding import add
from simpaint.index_build.build import BuildConfig, build_index
from simpaint.index_build.change import rebuild, remove
from simpaint.index_build.manifest import Level, Manifest, open_checked
from simpaint.index_build.publish import IndexConfig
from simpaint.retrieval import ImageDatabase, database

from ..index_build.tiny import TinyDescriptor, draw_faces
from .synthetic import D, stored, vectors_of, write_database

COUNT = 400
TYPES = ["Flat", "IVF16,SQfp16", "HNSW8", "SQ8", "IVF8,SQ4,RFlat", "PCA16,IVF8,Flat"]
QUERIES = vectors_of(12, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("db") / "flat"
    write_database(folder, vectors_of(COUNT))
    return folder


@pytest.fixture(scope="module")
def flat(folder: Path) -> ImageDatabase:
    return ImageDatabase.open(folder)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = draw_faces(tmp_path / "photos", 6)
    config = BuildConfig(workers=1, device="cpu")
    build_index(folder, tmp_path / "db", config, descriptor=TinyDescriptor())
    return folder


def oracle(
    opened: ImageDatabase,
    queries: NDArray[np.float32],
    k: int,
    excluded: list[set[int]],
    max_score: float = np.inf,
) -> list[list[tuple[float, int]]]:
    """Every score, sorted; the slow way."""
    ids, vectors = stored(opened)
    found = []
    for query, banned in zip(queries, excluded, strict=True):
        scores = (vectors @ query).tolist()
        pairs = [(s, int(i)) for s, i in zip(scores, ids, strict=True) if int(i) not in banned]
        found.append(sorted((p for p in pairs if p[0] <= max_score), reverse=True)[:k])
    return found


def agree(
    scores: NDArray[np.float32], ids: NDArray[np.int64], wanted: list[list[tuple[float, int]]]
) -> None:
    """Scores to the last bits, ids but for ties, and -1 where there is no more."""
    for row_scores, row_ids, row in zip(scores, ids, wanted, strict=True):
        n = len(row)
        np.testing.assert_allclose(row_scores[:n], [s for s, _ in row], atol=1e-5)
        for place, (score, photo) in enumerate(row):
            tied = [i for s, i in row if abs(s - score) < 1e-5]
            assert row_ids[place] == photo or row_ids[place] in tied or place == n - 1
        assert (row_ids[n:] == -1).all()
        assert (row_scores[n:] == -np.inf).all()


def test_search_equals_sorting_every_score(flat: ImageDatabase) -> None:
    scores, ids = flat.search(QUERIES, 10)
    assert scores.dtype == np.float32
    assert ids.dtype == np.int64
    assert (np.diff(scores, axis=1) <= 0).all()
    agree(scores, ids, oracle(flat, QUERIES, 10, [set()] * 12))


def test_missing_results_are_minus_one(flat: ImageDatabase) -> None:
    scores, ids = flat.search(QUERIES[:2], COUNT + 3)
    agree(scores, ids, oracle(flat, QUERIES[:2], COUNT + 3, [set()] * 2))
    assert (ids[:, -3:] == -1).all()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data(), st.integers(1, 30), st.floats(-0.5, 1))
def test_exclusions_leave_the_best_of_the_rest(
    flat: ImageDatabase, data: st.DataObject, k: int, max_score: float
) -> None:
    n = data.draw(st.integers(1, 4))
    all_ids = range(5, 5 + 3 * COUNT, 3)
    lists = st.lists(st.sampled_from(all_ids), max_size=COUNT)
    excluded = [data.draw(lists) for _ in range(n)]
    scores, ids = flat.search(QUERIES[:n], k, exclude_ids=excluded, max_score=max_score)
    assert (scores <= np.float32(max_score)).all()
    wanted = oracle(flat, QUERIES[:n], k, [set(e) for e in excluded], np.float32(max_score))
    agree(scores, ids, wanted)


def test_an_array_of_excluded_ids_is_one_row_a_query(flat: ImageDatabase) -> None:
    first = flat.search(QUERIES, 3)[1]
    second = flat.search(QUERIES, 3, exclude_ids=first)[1]
    np.testing.assert_array_equal(second, flat.search(QUERIES, 6)[1][:, 3:])


@pytest.mark.parametrize("index_type", TYPES)
def test_every_type_goes_as_deep_as_it_must(tmp_path: Path, index_type: str) -> None:
    write_database(tmp_path / "db", vectors_of(COUNT), index_type)
    opened = ImageDatabase.open(tmp_path / "db")
    ids = opened.search(QUERIES, COUNT)[1]
    for row in ids:  # none is left out, none comes twice
        assert sorted(row) == list(range(5, 5 + 3 * COUNT, 3))
    nearest = ids[:, : COUNT - 2]
    rest = opened.search(QUERIES, 3, exclude_ids=nearest)[1]
    for row, left in zip(rest, ids[:, COUNT - 2 :], strict=True):
        assert sorted(row) == sorted([-1, *left])


def test_no_list_too_few_where_lists_are_small(tmp_path: Path) -> None:
    # One probe sees about three vectors: with nprobe alone most labels would be -1.
    write_database(tmp_path / "db", vectors_of(COUNT), "IVF128,Flat")
    opened = ImageDatabase.open(tmp_path / "db")
    opened._index.nprobe = 1
    assert (opened.search(QUERIES, 50)[1] >= 0).all()


def test_removed_photos_are_never_found(tmp_path: Path) -> None:
    write_database(tmp_path / "db", vectors_of(COUNT))
    before = ImageDatabase.open(tmp_path / "db")
    gone = np.unique(before.search(QUERIES, 5)[1])
    remove(tmp_path / "db", [int(i) for i in gone])
    after = ImageDatabase.open(tmp_path / "db")
    assert len(after) == COUNT - len(gone)
    scores, ids = after.search(QUERIES, 8)
    assert not np.isin(ids, gone).any()
    agree(scores, ids, oracle(after, QUERIES, 8, [set()] * 12))  # the store leaves them out, too
    assert (after.search(QUERIES[:1], COUNT)[1] == -1).sum() == len(gone)
    assert np.isin(before.search(QUERIES, 5)[1], gone).all()  # the state it was opened in


def test_one_query_no_query_and_many(flat: ImageDatabase) -> None:
    assert flat.search(QUERIES[:0], 4)[1].shape == (0, 4)
    assert flat.search(QUERIES[:0], 4, exclude_ids=[])[1].shape == (0, 4)
    one = np.concatenate([flat.search(QUERIES[i : i + 1], 4)[0] for i in range(12)])
    np.testing.assert_allclose(one, flat.search(QUERIES, 4)[0], atol=1e-5)
    np.testing.assert_allclose(one, flat.search(np.asfortranarray(QUERIES), 4)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (QUERIES, 0, "k: expected at least 1, found 0"),
        (QUERIES[0], 1, r"float32 array \(n, 24\), found float32 \(24,\)"),
        (QUERIES[:, 1:], 1, r"found float32 \(12, 23\)"),
        (QUERIES.astype(np.float64), 1, "found float64"),
        (QUERIES.tolist(), 1, "found list"),
        (np.full((1, D), np.nan, np.float32), 1, "finite"),
        (np.where(np.eye(2, D) > 0, np.float32(-np.inf), QUERIES[:2]), 1, "finite"),
    ],
)
def test_other_queries_are_refused(
    flat: ImageDatabase, queries: NDArray[np.float32], k: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        flat.search(queries, k)


def test_exclusions_for_another_number_of_queries_are_refused(flat: ImageDatabase) -> None:
    with pytest.raises(InputError, match="each of 12 queries, found 1"):
        flat.search(QUERIES, 3, exclude_ids=[[5]])


@pytest.mark.parametrize("level", ["full", "sizes"])
def test_a_damaged_index_is_refused_before_faiss_reads_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: Level
) -> None:
    copy = shutil.copytree(folder, tmp_path / "db")
    content = bytearray((copy / "index-00001.faiss").read_bytes())
    content[len(content) // 2] ^= 1
    damaged = content if level == "full" else content[:-1]
    (copy / "index-00001.faiss").write_bytes(damaged)

    def unread(*_: object) -> None:
        raise AssertionError("FAISS read a damaged file")

    monkeypatch.setattr(database, "read_index", unread)
    with pytest.raises(DatabaseError, match=r"index-00001\.faiss"):
        ImageDatabase.open(copy, level)


def test_an_index_of_other_vectors_is_refused(folder: Path) -> None:
    manifest = ImageDatabase.open(folder).manifest
    with pytest.raises(DatabaseError, match="expected 500 vectors"):
        ImageDatabase(folder, Manifest(**{**manifest.__dict__, "count": 500}))


def test_a_change_between_check_and_opening_leads_to_the_new_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_database(tmp_path / "db", vectors_of(50))
    check, changes = open_checked, [1]

    def checked_then_changed(folder: Path, level: Level) -> Manifest:
        manifest = check(folder, level)
        if changes:
            changes.pop()
            rebuild(folder, IndexConfig("HNSW8"))
        return manifest

    monkeypatch.setattr(database, "open_checked", checked_then_changed)
    opened = ImageDatabase.open(tmp_path / "db")
    assert opened.manifest.generation == 2
    changes.extend([1] * 100)
    with pytest.raises(DatabaseError, match="changed 10 times"):
        ImageDatabase.open(tmp_path / "db")


def test_searching_goes_on_while_another_changes_the_database(tmp_path: Path) -> None:
    write_database(tmp_path / "db", vectors_of(300), "IVF8,SQfp16")
    opened = ImageDatabase.open(tmp_path / "db")
    wanted = opened.search(QUERIES, 5)[1]
    rebuild(tmp_path / "db", IndexConfig("Flat"))  # takes the open index's file away
    np.testing.assert_array_equal(opened.search(QUERIES, 5)[1], wanted)


def test_threads_search_at_once(flat: ImageDatabase) -> None:
    wanted = flat.search(QUERIES, 5, max_score=0.5)[1]
    found: list[NDArray[np.int64]] = []
    threads = [
        threading.Thread(target=lambda: found.append(flat.search(QUERIES, 5, max_score=0.5)[1]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for ids in found:
        np.testing.assert_array_equal(ids, wanted)


def test_one_thread_at_a_time_searches_on_a_gpu(folder: Path) -> None:
    opened = ImageDatabase.open(folder)
    wanted = opened.search(QUERIES, 5)[1]

    class Gpu:
        """Like FAISS's, it is not made for two threads."""

        alone = threading.Lock()

        def search(self, queries: NDArray[np.float32], depth: int) -> object:
            assert self.alone.acquire(blocking=False)
            try:
                time.sleep(0.01)
                return opened._index.search(queries, depth)
            finally:
                self.alone.release()

    opened._on_gpu = Gpu()
    with ThreadPoolExecutor(4) as pool:
        for _, ids in pool.map(lambda _: opened.search(QUERIES, 5), range(8)):
            np.testing.assert_array_equal(ids, wanted)


def test_photos_and_paths_are_those_of_the_ids(photos: Path, tmp_path: Path) -> None:
    opened = ImageDatabase.open(tmp_path / "db")
    assert (len(opened), opened.descriptor.name) == (6, "tiny")
    assert opened.paths([4, 1, 4]) == [str(photos / f"000{i}.jpg") for i in (4, 1, 4)]
    for photo, i in zip(opened.photos([4, 1]), (4, 1), strict=True):
        np.testing.assert_array_equal(photo, decode(photos / f"000{i}.jpg"))
    small = opened.photos(np.array([2]), size=20)[0]
    np.testing.assert_array_equal(small, decode(photos / "0002.jpg", side=20))
    assert [row.width for row in opened.rows([0])] == [48]


def test_moved_photos_are_read_from_where_they_are(photos: Path, tmp_path: Path) -> None:
    photos.rename(tmp_path / "moved")
    with pytest.raises(ImageError, match=r"photos.0001\.jpg"):
        ImageDatabase.open(tmp_path / "db").photos([1])
    opened = ImageDatabase.open(tmp_path / "db", photos=tmp_path / "moved")
    assert opened.photos([1])[0].shape == (48, 48, 3)


def test_photos_in_a_parquet_file_are_read_from_it(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    faces = sorted(draw_faces(tmp_path / "photos", 3).iterdir())
    pq.write_table(pa.table({"image": [f.read_bytes() for f in faces]}), tmp_path / "f.parquet")
    config = BuildConfig(workers=1, device="cpu")
    build_index(tmp_path / "f.parquet", tmp_path / "db", config, descriptor=TinyDescriptor())
    opened = ImageDatabase.open(tmp_path / "db")
    assert opened.paths([2]) == [f"{tmp_path / 'f.parquet'}:2"]
    np.testing.assert_array_equal(opened.photos([2])[0], decode(faces[2]))
    pq.write_table(pa.table({"image": [f.read_bytes() for f in faces[1:]]}), tmp_path / "f.parquet")
    with pytest.raises(ImageError, match=r"f\.parquet:0: holds another photo now"):
        ImageDatabase.open(tmp_path / "db").photos([0])


def test_unknown_ids_are_refused(photos: Path, tmp_path: Path) -> None:
    opened = ImageDatabase.open(tmp_path / "db")
    for ids in ([-1], [6], [2, 99]):
        with pytest.raises(DatabaseError, match=f"found {ids[-1]}"):
            opened.photos(ids)


def test_a_photo_that_was_damaged_since_is_named(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(photos / "0003.png")
    (photos / "0003.jpg").write_bytes((photos / "0003.jpg").read_bytes()[:100])
    with pytest.raises(ImageError, match=r"0003\.jpg"):
        ImageDatabase.open(tmp_path / "db").photos([2, 3])


def test_a_photo_in_the_place_of_another_is_not_taken_for_it(photos: Path, tmp_path: Path) -> None:
    (photos / "0003.jpg").write_bytes((photos / "0004.jpg").read_bytes())
    opened = ImageDatabase.open(tmp_path / "db")
    with pytest.raises(ImageError, match=r"0003\.jpg: holds another photo now .*index add"):
        opened.photos([3])
    assert add(tmp_path / "db", photos, descriptor=TinyDescriptor()).changed == 1
    assert ImageDatabase.open(tmp_path / "db").photos([6])[0].shape == (48, 48, 3)


def test_another_descriptor_is_refused_and_both_are_named(photos: Path, tmp_path: Path) -> None:
    opened = ImageDatabase.open(tmp_path / "db")
    opened.check_descriptor(TinyDescriptor())
    other = TinyDescriptor()
    other.weights_sha256 = "1" * 64
    with pytest.raises(DatabaseError, match=r"weights 000000000000\), found tiny .*111111111111"):
        opened.check_descriptor(other)
    other = TinyDescriptor()
    other.config = {"name": "tiny", "pooling": "gem"}
    with pytest.raises(DatabaseError, match=r"found tiny \(pooling gem"):
        opened.check_descriptor(other)


def test_opening_what_is_no_database_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="found no such folder"):
        ImageDatabase.open(tmp_path / "absent")


def test_no_index_is_asked_for_more_than_it_holds(
    flat: ImageDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    search = flat._search

    def heard(queries: NDArray[np.float32], depth: int, effort: int) -> object:
        asked.append(depth)
        return search(queries, depth, effort)

    monkeypatch.setattr(flat, "_search", heard)
    scores, ids = flat.search(QUERIES, COUNT + 5)
    assert max(asked) <= COUNT
    assert (ids[:, COUNT:] == -1).all()
    assert np.isneginf(scores[:, COUNT:]).all()
    assert (ids[:, :COUNT] >= 0).all()
