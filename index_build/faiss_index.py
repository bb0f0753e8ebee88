"""A FAISS index over a database's vectors: train, fill, tune, write and read.

`make_index` does it all. Its pieces serve a build on many machines: one trains an index, each fills
a copy of it with its own shards, and `merge_indexes` puts the copies together.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from ..data.files import replacing
from ..data.progress import Progress, silent
from ..errors import DatabaseError, InputError
from .exact import Batches, Ids, Vectors, blocks, nearest_others
from .faiss_choice import SAMPLE, available_memory, clusters, estimate_memory, training_size
from .faiss_library import count_gpus, empty_index, import_faiss, parts, reason
from .faiss_tuning import is_exact, set_parameters, tune_index

Fill: TypeAlias = Callable[[Any, Iterator[tuple[Ids, Vectors]], int, Callable[[int], None]], None]
"""Adds all vectors to a trained index: see `add_batches`."""

_K: Final = 10  # the recall is of this many neighbors


class Made(NamedTuple):
    """An index and what a search has to know of it.

    Attributes:
        index: trained and filled, in memory; its parameters are set.
        factory: its type.
        parameters: what a search sets: nprobe or efSearch, k_factor_rf where results are refined.
        recall: recall@10 that these parameters reach, against exact search; 1 for exact types.
    """

    index: Any
    factory: str
    parameters: dict[str, int]
    recall: float


def make_index(
    batches: Batches,
    count: int,
    d: int,
    factory: str,
    *,
    memory_limit: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
    fill: Fill | None = None,
) -> Made:
    """Train an index on a sample, fill it batch by batch, and set its parameters by a recall.

    Args:
        batches: streams the vectors; called once a pass, one or three times.
        count: how many vectors there are.
        d: their dimensions.
        factory: what `faiss.index_factory` reads.
        memory_limit: bytes that this may take; None is what the machine has free.
        seed: for the samples that train and measure.
        progress: told of vectors handled, over all passes.
        fill: adds the vectors where other machines help; `add_batches` if None.

    Raises:
        InputError: FAISS does not know the type, there are too few vectors to train it, it does
            not fit the memory, or the batches do not hold `count` vectors of `d` dimensions.
    """
    refuse_impossible(factory, count, d, memory_limit)
    index = empty_index(factory, d)
    passes = 1 if is_exact(index) else 3
    done = 0

    def tell(vectors: int) -> None:
        nonlocal done
        done += vectors
        progress(done, passes * count)

    if is_exact(index):
        add_batches(index, batches(), count, tell)
        return Made(index, factory, {}, 1.0)
    learned = training_size(index, count)
    ids, vectors = sample(batches(), count, min(count, learned + SAMPLE), seed, tell)
    if learned:
        train_index(index, vectors[:learned])
    (fill or add_batches)(index, batches(), count, tell)
    own_ids, queries = ids[-SAMPLE:], vectors[-SAMPLE:]  # not trained on, where there are enough
    truth = nearest_others(queries, own_ids, batches(), _K, tell).ids
    parameters, recall = tune_index(index, queries, own_ids, truth)
    return Made(index, factory, parameters, recall)


def refuse_impossible(factory: str, count: int, d: int, memory_limit: int | None = None) -> None:
    """Find out before work starts whether an index can be made.

    Raises:
        InputError: FAISS does not know the type, there are too few vectors to train it, or it does
            not fit the memory.
    """
    if count < 1:
        raise InputError("an index needs at least 1 vector, found 0")
    needed = clusters(empty_index(factory, d))
    if count < needed:
        raise InputError(
            f"an index of type {factory!r} needs at least {needed:,} vectors to train on, "
            f"found {count:,}; use --type auto or Flat"
        )
    limit = available_memory() if memory_limit is None else memory_limit
    memory = estimate_memory(factory, count, d)
    if memory > limit:
        raise InputError(
            f"an index of type {factory!r} of {count:,} vectors takes about "
            f"{memory / 2**20:,.0f} MiB to build, expected at most {limit / 2**20:,.0f} MiB"
        )


def sample(
    stream: Iterator[tuple[Ids, Vectors]],
    count: int,
    size: int,
    seed: int,
    tell: Callable[[int], None] = lambda _: None,
) -> tuple[Ids, Vectors]:
    """Take `size` of a stream's `count` vectors at random, the same however it is cut.

    Returns:
        ids (size,) and vectors (size, d), in random order.

    Raises:
        InputError: the stream holds fewer vectors than `count`.
    """
    rng = np.random.default_rng(seed)
    places = np.sort(rng.choice(count, size, replace=False))
    start = 0
    taken: list[tuple[Ids, Vectors]] = []
    for ids, vectors in stream:
        low, high = np.searchsorted(places, (start, start + len(ids)))
        here = places[low:high] - start
        taken.append((ids[here], vectors[here]))
        start += len(ids)
        tell(len(ids))
    if start != count:
        raise InputError(f"expected {count:,} vectors, found {start:,}")
    order = rng.permutation(size)
    all_ids, all_vectors = (np.concatenate(column) for column in zip(*taken, strict=True))
    return all_ids[order], all_vectors[order]


def train_index(index: Any, vectors: Vectors) -> None:  # noqa: ANN401 - FAISS has no types
    """Train an index, on the GPUs if FAISS can use them.

    Args:
        index: from `empty_index`.
        vectors: (n, d) float32 sample.

    Raises:
        InputError: there are too few vectors.
    """
    faiss = import_faiss()
    ivfs = [part for part in parts(index) if isinstance(part, faiss.IndexIVF)]
    for part in parts(index):
        for settings in (getattr(part, "cp", None), getattr(getattr(part, "pq", None), "cp", None)):
            if settings is not None:  # FAISS warns on stderr; the recall measured later says more
                settings.min_points_per_centroid = 1
        if hasattr(part, "do_polysemous_training"):
            part.do_polysemous_training = False  # minutes, for a way of searching not used here
    on_gpu = []
    for ivf in ivfs if count_gpus(faiss) else []:
        on_gpu.append(faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(ivf.d)))
        ivf.clustering_index = on_gpu[-1]
    try:
        index.train(np.ascontiguousarray(vectors))
    except RuntimeError as error:
        raise InputError(f"the index cannot be trained: {reason(error)}") from error
    finally:
        for ivf in ivfs:
            ivf.clustering_index = None


def add_batches(
    index: Any,  # noqa: ANN401
    stream: Iterator[tuple[Ids, Vectors]],
    count: int | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Fill a trained index; the memory beside it is bounded by a batch.

    Args:
        index: trained.
        stream: ids (n,) and vectors (n, d).
        count: how many will come, if known: room is made for them at once.
        tell: called with the number of vectors added since the last call.

    Raises:
        InputError: the vectors have another number of dimensions than the index, they are not
            `count`, or the index's type cannot grow.
    """
    _reserve(index, count or 0)
    added = 0
    for batch_ids, batch in stream:
        if batch.shape[1] != index.d:
            raise InputError(f"expected vectors of {index.d} dimensions, found {batch.shape[1]}")
        for ids, vectors in blocks(batch_ids, batch, 65_536):
            try:
                index.add_with_ids(np.ascontiguousarray(vectors), np.ascontiguousarray(ids))
            except RuntimeError as error:
                raise InputError(f"vectors cannot be added: {reason(error)}") from error
        tell(len(batch_ids))
        added += len(batch_ids)
    if count is not None and added != count:
        raise InputError(f"expected {count:,} vectors, found {added:,}")


def _reserve(index: Any, count: int) -> None:  # noqa: ANN401
    """Give flat storage its final size and empty it again, which keeps the room."""
    faiss = import_faiss()
    for part in parts(index):
        if isinstance(part, faiss.IndexFlatCodes) and part.ntotal == 0:
            part.codes.resize(count * part.code_size)
            part.codes.resize(0)


def merge_indexes(indexes: Sequence[Any]) -> Any:  # noqa: ANN401
    """Put indexes of disjoint ids together that were filled from copies of one trained index.

    The first takes the others in and they are empty afterwards.

    Raises:
        InputError: the type cannot be merged, or they were trained apart.
    """
    first, *others = indexes
    for other in others:
        try:
            first.merge_from(other, 0)
        except RuntimeError as error:
            raise InputError(
                f"indexes of this type cannot be merged, inverted lists can: {reason(error)}"
            ) from error
    return first


def write_index(index: Any, path: Path) -> None:  # noqa: ANN401
    """Write an index, atomically.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    faiss = import_faiss()
    with replacing(path) as temporary:
        try:
            faiss.write_index(index, str(temporary))
        except RuntimeError as error:
            raise OSError(reason(error)) from error


def read_index(path: Path, parameters: dict[str, int]) -> Any:  # noqa: ANN401
    """Read an index; whoever calls this has checked the file, since FAISS does not.

    The vectors stay in the file until they are searched; such an index cannot grow.

    Args:
        path: the file.
        parameters: see `Made`.

    Raises:
        DatabaseError: it is missing or not an index.
    """
    faiss = import_faiss()
    # The newer flag maps every type, the older one inverted lists only.
    flags = getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP)
    try:
        index = faiss.read_index(str(path), flags)
    except RuntimeError as error:
        raise DatabaseError(
            f"{path}: expected a FAISS index, cannot be read: {reason(error)}"
        ) from error
    set_parameters(index, parameters)
    return index
