import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpaint.errors import DatabaseError, DependencyError, InputError, StorageError
from simpaint.index_build import faiss_index as fi
from simpaint.index_build import faiss_library
from simpaint.index_build.exact import Batches, Ids, TopK, Vectors, nearest_others
from simpaint.index_build.faiss_choice import (
    EXACT_UP_TO,
    available_memory,
    choose_type,
    estimate_memory,
)
from simpaint.index_build.faiss_tuning import options, recall_of

D = 32
Pretend: TypeAlias = Callable[..., None]


def vectors_of(count: int, d: int = D, seed: int = 0) -> Vectors:
    """Clustered unit vectors, as descriptors of faces are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((50, d))
    points = centres[rng.integers(0, 50, count)] + 0.5 * rng.standard_normal((count, d))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)


def ids_of(count: int) -> Ids:
    """Ids with gaps, not in the order of positions: stable ids, never positions."""
    return np.arange(count, dtype=np.int64)[::-1] * 3 + 11


def batches_of(vectors: Vectors, size: int = 700) -> Batches:
    ids = ids_of(len(vectors))

    def stream() -> Iterator[tuple[Ids, Vectors]]:
        for start in range(0, len(ids), size):
            yield ids[start : start + size], vectors[start : start + size]

    return stream


def best(queries: Vectors, vectors: Vectors, k: int) -> Ids:
    """The oracle: sort every score."""
    return ids_of(len(vectors))[np.argsort(-(queries @ vectors.T), axis=1)[:, :k]]


def overlap(found: Ids, truth: Ids) -> float:
    return float(np.mean([np.isin(t, f).mean() for f, t in zip(found, truth, strict=True)]))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 60), st.integers(1, 8), st.data())
def test_top_k_by_blocks_is_what_sorting_everything_gives(
    n: int, m: int, k: int, data: st.DataObject
) -> None:
    # Few different values: ties are everywhere, and the lower id comes first.
    values = st.lists(st.integers(-3, 3), min_size=n * m, max_size=n * m)
    scores = np.array(data.draw(values), np.float32).reshape(n, m)
    scores[scores == -3] = -np.inf
    ids = np.random.default_rng(m).permutation(m).astype(np.int64)
    top, start = TopK(n, k), 0
    while start < m:
        size = data.draw(st.integers(1, m))
        top.update(scores[:, start : start + size], ids[start : start + size])
        start += size
    for row in range(n):
        kept = [(-s, i) for s, i in zip(scores[row], ids, strict=True) if s > -np.inf]
        wanted = [i for _, i in sorted(kept)[:k]]
        assert top.ids[row].tolist() == wanted + [-1] * (k - len(wanted))
        assert np.all(np.diff(top.scores[row][: len(wanted)]) <= 0)
        assert np.all(top.scores[row][len(wanted) :] == -np.inf)


def test_nearest_others_leave_the_query_itself_out() -> None:
    vectors = vectors_of(900)
    found = nearest_others(vectors[:20], ids_of(900)[:20], batches_of(vectors, 130)(), 5)
    np.testing.assert_array_equal(found.ids, best(vectors[:20], vectors, 6)[:, 1:])


def test_flat_equals_sorting_every_score() -> None:
    vectors, queries = vectors_of(3000), vectors_of(100, seed=1)
    made = fi.make_index(batches_of(vectors), 3000, D, "Flat")
    scores, ids = made.index.search(queries, 10)
    truth = -np.sort(-(queries @ vectors.T), axis=1)[:, :10]
    np.testing.assert_allclose(scores, truth, atol=1e-5)  # the last bits depend on the batch
    assert overlap(ids, best(queries, vectors, 10)) > 0.998  # but for ties
    assert (made.parameters, made.recall) == ({}, 1.0)


@pytest.mark.parametrize(
    ("factory", "floor"),
    [
        ("IVF32,Flat", 0.95),  # seen: 0.98
        ("IVF32,SQfp16", 0.95),  # seen: 0.98
        ("IVF32_HNSW8,SQ8", 0.93),  # seen: 0.97
        ("HNSW16", 0.93),  # seen: 0.96
        ("PCA24,IVF32,Flat", 0.5),  # seen: 0.68; more cannot be had from 24 dimensions
        ("IVF32,SQ4,RFlat", 0.93),  # seen: 0.97
        ("SQfp16", 0.99),  # seen: 1.00
    ],
)
def test_the_recall_that_is_recorded_is_reached_by_the_index_on_disk(
    tmp_path: Path, factory: str, floor: float
) -> None:
    vectors, queries = vectors_of(4000), vectors_of(200, seed=1)
    made = fi.make_index(batches_of(vectors), 4000, D, factory)
    assert made.recall >= floor
    fi.write_index(made.index, tmp_path / "index.faiss")
    index = fi.read_index(tmp_path / "index.faiss", made.parameters)
    found = index.search(queries, 10)[1]
    np.testing.assert_array_equal(found, made.index.search(queries, 10)[1])
    assert abs(overlap(found, best(queries, vectors, 10)) - made.recall) < 0.08


def test_one_probe_less_would_miss_the_aim() -> None:
    vectors = vectors_of(4000)
    made = fi.make_index(batches_of(vectors), 4000, D, "IVF128,Flat")
    probes = made.parameters["nprobe"]
    assert made.recall >= 0.95
    assert probes > 1
    rows = slice(0, 1000)
    truth = nearest_others(vectors[rows], ids_of(4000)[rows], batches_of(vectors)(), 10).ids
    made.index.nprobe = probes // 2
    found = made.index.search(vectors[rows], 11)[1]
    assert recall_of(found, ids_of(4000)[rows], truth) < 0.95


def test_effort_that_hardly_helps_is_not_made() -> None:
    vectors = vectors_of(4000)
    made = fi.make_index(batches_of(vectors), 4000, D, "IVF128,PQ4x4")
    assert made.recall < 0.95  # so few bits cannot reach the aim
    assert made.parameters["nprobe"] < 64
    rows = slice(0, 1000)
    truth = nearest_others(vectors[rows], ids_of(4000)[rows], batches_of(vectors)(), 10).ids
    made.index.nprobe = 128
    found = made.index.search(vectors[rows], 11)[1]
    assert recall_of(found, ids_of(4000)[rows], truth) < made.recall + 0.05


def test_recall_counts_others_only() -> None:
    own = np.array([1, 2])
    truth = np.array([[5, 6], [7, -1]])
    assert recall_of(np.array([[1, 5, 6], [2, 7, -1]]), own, truth) == 1
    assert recall_of(np.array([[5, 9, 6], [9, 8, 7]]), own, truth) == 1 / 3  # the third is too late


def test_the_sample_does_not_depend_on_how_the_stream_is_cut() -> None:
    vectors = vectors_of(1000)
    one = fi.sample(batches_of(vectors, 1000)(), 1000, 90, seed=3)
    cut = fi.sample(batches_of(vectors, 37)(), 1000, 90, seed=3)
    np.testing.assert_array_equal(one[0], cut[0])
    np.testing.assert_array_equal(one[1], cut[1])
    assert len(set(one[0].tolist())) == 90


@pytest.mark.parametrize("factory", ["Flat", "IVF16,SQfp16", "PCA16,IVF16,Flat"])
def test_merged_shards_equal_one_index(tmp_path: Path, factory: str) -> None:
    vectors, queries = vectors_of(2000), vectors_of(50, seed=1)
    trained = faiss_library.empty_index(factory, D)
    if not trained.is_trained:
        fi.train_index(trained, vectors)
    fi.write_index(trained, tmp_path / "trained.faiss")
    faiss = faiss_library.import_faiss()
    copies = [faiss.read_index(str(tmp_path / "trained.faiss")) for _ in range(4)]
    batches = list(batches_of(vectors)())
    for copy, batch in zip(copies, batches, strict=False):
        fi.add_batches(copy, iter([batch]))
    fi.add_batches(copies[3], iter(batches))
    merged, whole = fi.merge_indexes(copies[:3]), copies[3]
    assert merged.ntotal == 2000
    np.testing.assert_allclose(merged.search(queries, 5)[0], whole.search(queries, 5)[0], atol=1e-5)
    np.testing.assert_array_equal(merged.search(queries, 5)[1], whole.search(queries, 5)[1])


def test_graphs_cannot_be_merged() -> None:
    graphs = [fi.make_index(batches_of(vectors_of(50)), 50, D, "HNSW8").index for _ in range(2)]
    with pytest.raises(InputError, match="cannot be merged"):
        fi.merge_indexes(graphs)


def test_progress_ends_at_its_total() -> None:
    told: list[tuple[int, int]] = []
    vectors = vectors_of(2000)
    fi.make_index(batches_of(vectors), 2000, D, "IVF16,Flat", progress=lambda *at: told.append(at))
    assert told[-1] == (6000, 6000)
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("factory", "count", "message"),
    [
        ("Flut", 100, "'Flut' for 32 dimensions"),
        ("PQ7", 1000, "multiple of the number of subquantizers"),
        ("IVF64,Flat", 63, "at least 64 vectors to train on, found 63"),
        ("IVF16,PQ8", 200, "at least 256 vectors"),
        ("Flat", 0, "at least 1 vector"),
        ("NSG8", 900, "does not support incremental addition"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_reason(
    factory: str, count: int, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        fi.make_index(batches_of(vectors_of(count), 300), count, D, factory)
    assert "\n" not in str(caught.value)


def test_too_much_memory_is_refused_before_anything_is_read() -> None:
    def unread() -> Iterator[tuple[Ids, Vectors]]:
        raise AssertionError("the batches were read")

    with pytest.raises(InputError, match="expected at most 100 MiB"):
        fi.make_index(unread, 10**6, 256, "Flat", memory_limit=100 << 20)
    with pytest.raises(InputError, match="expected at most"):
        fi.make_index(unread, 10**12, 256, "Flat")  # more than any machine's


def test_batches_of_another_kind_are_refused() -> None:
    vectors = vectors_of(600)
    with pytest.raises(InputError, match="expected vectors of 16 dimensions, found 32"):
        fi.make_index(batches_of(vectors), 600, 16, "Flat")
    with pytest.raises(InputError, match="expected 700 vectors, found 600"):
        fi.make_index(batches_of(vectors), 700, D, "IVF4,Flat")
    with pytest.raises(InputError, match="expected 700 vectors, found 600"):
        fi.make_index(batches_of(vectors), 700, D, "Flat")


@pytest.mark.parametrize("count", [1, 5, 50, 1000, EXACT_UP_TO])
def test_auto_is_exact_while_that_is_quick(count: int) -> None:
    assert choose_type(count, 256, 1 << 40).factory == "Flat"


def test_auto_takes_less_memory_where_there_is_less() -> None:
    limits = [64 << 30, 800 << 20, 600 << 20]
    chosen = [choose_type(10**6, 256, limit) for limit in limits]
    assert [c.factory for c in chosen] == ["IVF2048,SQfp16", "IVF2048,SQ8", "IVF2048,PQ64"]
    for choice, limit in zip(chosen, limits, strict=True):
        assert estimate_memory(choice.factory, 10**6, 256) <= limit
        assert choice.reason.startswith(choice.factory)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10**9), st.integers(1, 2048))
def test_auto_never_needs_more_vectors_than_there_are(count: int, d: int) -> None:
    fi.refuse_impossible(choose_type(count, d, 1 << 60).factory, count, d, 1 << 60)


@pytest.mark.parametrize("factory", ["Flat", "HNSW16", "IVF32,SQfp16", "SQ8", "IVF16,SQ4,RFlat"])
def test_the_estimate_is_above_what_the_index_holds(factory: str) -> None:
    small, large = (estimate_memory(factory, count, D) for count in (10_000, 30_000))
    made = fi.make_index(batches_of(vectors_of(10_000)), 10_000, D, factory)
    size = len(faiss_library.import_faiss().serialize_index(made.index))
    assert size <= (large - small) / 2 <= 3 * size + 10_000 * 600


def test_available_memory_is_what_a_machine_has() -> None:
    assert 1 << 27 < available_memory() < 1 << 50


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_few_vectors_are_enough(count: int) -> None:
    made = fi.make_index(batches_of(vectors_of(count)), count, D, "HNSW8")
    ids = made.index.search(vectors_of(count), count + 2)[1]
    assert sorted(ids[0, :count]) == sorted(ids_of(count))
    assert made.recall == 1


def test_a_call_can_be_more_thorough_without_changing_the_index() -> None:
    vectors = vectors_of(4000)
    made = fi.make_index(batches_of(vectors), 4000, D, "IVF128,Flat")
    before = made.index.nprobe
    deep = options(made.index, made.parameters, effort=1000)
    ids = made.index.search(vectors[:3], 4000, params=deep)[1]
    np.testing.assert_array_equal(np.sort(ids[0]), np.sort(ids_of(4000)))
    assert made.index.nprobe == before


def test_what_is_not_an_index_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DatabaseError, match=r"index\.faiss: expected a FAISS index"):
        fi.read_index(path, {})
    with pytest.raises(DatabaseError, match=r"absent\.faiss"):
        fi.read_index(tmp_path / "absent.faiss", {})


def test_an_unwritable_place_is_a_storage_error(tmp_path: Path) -> None:
    made = fi.make_index(batches_of(vectors_of(5)), 5, D, "Flat")
    with pytest.raises(StorageError, match="absent"):
        fi.write_index(made.index, tmp_path / "absent" / "index.faiss")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def distributions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretend]:
    """Pretend that other FAISS distributions are installed; an absent one cannot be imported."""

    def pretend(*names: str) -> None:
        def version(name: str) -> str:
            if name in names:
                return "1.9.0"
            raise importlib.metadata.PackageNotFoundError(name)

        monkeypatch.setattr(faiss_library, "version", version)
        if not names:
            monkeypatch.setitem(sys.modules, "faiss", None)

    faiss_library.import_faiss.cache_clear()
    yield pretend
    faiss_library.import_faiss.cache_clear()


def test_both_distributions_are_an_error_that_says_what_to_do(distributions: Pretend) -> None:
    distributions("faiss-cpu", "faiss-gpu")
    with pytest.raises(DependencyError, match="pip uninstall faiss-cpu faiss-gpu"):
        faiss_library.import_faiss()


def test_no_distribution_is_an_error_that_says_what_to_do(distributions: Pretend) -> None:
    distributions()
    with pytest.raises(DependencyError, match=r"pip install 'simpaint\[cpu\]'"):
        faiss_library.import_faiss()


def test_the_distribution_in_use_is_named(distributions: Pretend) -> None:
    distributions("faiss-gpu")
    module = ModuleType("faiss")
    module.__dict__.update(__version__="1.9.0", get_num_gpus=lambda: 2)
    assert faiss_library.describe_faiss(module) == "faiss-gpu 1.9.0, on the CPU"
    module.__dict__["StandardGpuResources"] = object  # what only builds for the GPU have
    assert faiss_library.describe_faiss(module) == "faiss-gpu 1.9.0, on 2 GPU(s)"


def test_reasons_are_without_the_c_signature() -> None:
    text = "Error in void faiss::f() at /project/a.cpp:84: Error: 'nx >= k' failed: Too few points"
    assert faiss_library.reason(RuntimeError(text)) == "Too few points"
    assert faiss_library.reason(RuntimeError("at /p/b.cpp:12: no such thing")) == "no such thing"


def test_paths_are_paths(tmp_path: Path) -> None:
    made = fi.make_index(batches_of(vectors_of(5)), 5, D, "Flat")
    fi.write_index(made.index, tmp_path / "ä index.faiss")
    assert fi.read_index(tmp_path / "ä index.faiss", {}).ntotal == 5


def test_faiss_has_no_more_threads_than_queries_and_gets_its_own_back() -> None:
    faiss = faiss_library.import_faiss()
    usual = faiss.omp_get_max_threads()
    with faiss_library.at_most_threads(1):
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == usual
    with faiss_library.at_most_threads(10**6):
        assert faiss.omp_get_max_threads() == usual
    assert faiss.omp_get_max_threads() == usual
