"""Which FAISS index suits a database, and how much memory building it takes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..errors import InputError
from .exact import BLOCK
from .faiss_library import empty_index, import_faiss, parts

EXACT_UP_TO: Final = 100_000
"""Up to here exact search of one vector takes about 10 ms: nothing is gained by approximating."""

TRAIN_PER_CLUSTER: Final = 40
"""Training vectors per cluster: FAISS asks for 39; more take longer and find no more."""

SAMPLE: Final = 1000
"""Queries that a recall is measured with."""

_GRAPH_LISTS: Final = 16_384  # from here on finding the lists is worth a graph of its own
_FIXED: Final = 64 << 20  # buffers of FAISS, BLAS and Arrow
# Arrays grow by doubling, so that for a moment the old one and the new one exist.
_GROWTH: Final = 2.0
_LIST_GROWTH: Final = 1.5  # many small arrays, grown at different times


class Choice(NamedTuple):
    """An index type and one line that says why."""

    factory: str
    reason: str


def choose_type(count: int, d: int, memory_limit: int | None = None) -> Choice:
    """The type that finds best within the memory: exact while that is quick, else inverted lists.

    Vectors are stored as float16, so lists of float16 lose nothing; 8 bits a dimension lose
    little, product quantisation more. The recall that is reached is measured when the index is
    made.

    Args:
        count: how many vectors.
        d: their dimensions.
        memory_limit: bytes that building may take; None is what the machine has free.

    Raises:
        InputError: no type fits.
    """
    limit = available_memory() if memory_limit is None else memory_limit
    for factory, what in _ladder(count, d):
        needed = estimate_memory(factory, count, d)
        if needed <= limit:
            return Choice(
                factory,
                f"{factory}: {what}; {count:,} vectors of {d} dimensions take "
                f"{_megabytes(needed)} of {_megabytes(limit)} to build",
            )
    raise InputError(
        f"an index of {count:,} vectors of {d} dimensions takes {_megabytes(needed)} at the "
        f"least, expected at most {_megabytes(limit)}"
    )


def _ladder(count: int, d: int) -> Iterator[tuple[str, str]]:
    """Types from the best to the smallest, each with what it is."""
    if count <= EXACT_UP_TO:
        yield "Flat", "exact search is quick enough"
    lists = 1 << round(4 * count**0.5).bit_length() - 1  # 4 √n, down to a power of two
    if count < TRAIN_PER_CLUSTER * lists:
        return  # too few to train on, and then exact search is small as well
    coarse = f"IVF{lists}" + ("_HNSW32" if lists >= _GRAPH_LISTS else "")
    yield f"{coarse},SQfp16", "exact search would be slow, inverted lists keep float16"
    yield f"{coarse},SQ8", "float16 lists do not fit, 8 bits a dimension do"
    quantisers = max(m for m in range(1, 65) if d % m == 0)
    if count >= 256 * TRAIN_PER_CLUSTER:
        yield f"{coarse},PQ{quantisers}", f"only {quantisers} bytes a vector fit"


def _megabytes(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"


def estimate_memory(factory: str, count: int, d: int) -> int:
    """Bytes that building an index takes at its peak, as an upper estimate.

    Args:
        factory: what `faiss.index_factory` reads.
        count: how many vectors.
        d: their dimensions.

    Raises:
        InputError: FAISS does not know the type.
    """
    index = empty_index(factory, d)
    sampled = min(count, training_size(index, count) + SAMPLE) * d * 4
    centroids = sum(part.nlist * part.d * 4 for part in _ivfs(index))
    comparing = SAMPLE * BLOCK * 8 + BLOCK * d * 8
    held = sum(_bytes_per_vector(part) for part in parts(index)) * count
    return int(_FIXED + 3 * sampled + 3 * centroids + comparing + held)


def _bytes_per_vector(part: Any) -> float:  # noqa: ANN401 - FAISS has no types
    """What one part of an index keeps per vector while it grows, its own parts not counted."""
    faiss = import_faiss()
    if isinstance(part, faiss.IndexIDMap):
        return 8 * _GROWTH
    if isinstance(part, faiss.IndexIVF):
        return float(part.code_size + 8) * _LIST_GROWTH
    if isinstance(part, faiss.IndexHNSW):
        # 4 bytes a link: 2M on the ground floor, M on each floor above, 1 in M reaching the next.
        links = part.hnsw.nb_neighbors(0) + 1 + 2 * part.hnsw.nb_neighbors(1) / 16
        return float(4 * links + 4 + 8) * _GROWTH
    if isinstance(part, faiss.IndexFlatCodes):
        return float(part.code_size)  # room for all is made first: see `add_batches`
    if isinstance(part, (faiss.IndexPreTransform, faiss.IndexRefine)):
        return 0  # what they wrap counts
    return (
        float(part.d * 4) * _GROWTH + 512
    )  # a graph or a type not met before: vectors and 128 links


def _ivfs(index: Any) -> list[Any]:  # noqa: ANN401
    return [part for part in parts(index) if isinstance(part, import_faiss().IndexIVF)]


def clusters(index: Any) -> int:  # noqa: ANN401
    """The most clusters that any step of an index's training finds; 0 if it needs none."""
    found: list[int] = []
    for part in parts(index):
        found += [part.nlist] if hasattr(part, "nlist") else []
        found += [1 << part.pq.nbits] if hasattr(part, "pq") else []
    return max(found, default=0)


def training_size(index: Any, count: int) -> int:  # noqa: ANN401
    """How many of `count` vectors an index is trained on."""
    if index.is_trained:
        return 0
    d: int = index.d
    return min(count, max(TRAIN_PER_CLUSTER * clusters(index), 10 * d, 10_000))


def available_memory() -> int:
    """Bytes that this process may still take: what is free, within the container's limit."""
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        free = int(_fields(meminfo)["MemAvailable:"]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.stat")
    if limit.exists() and (text := limit.read_text("ascii").strip()) != "max":
        held = _fields(used)  # cached files make room when memory is asked for
        free = min(free, int(text) - int(held["anon"]) - int(held["shmem"]))
    return free


def _fields(path: Path) -> dict[str, str]:
    """The first two words of each line."""
    lines = path.read_text("ascii").splitlines()
    return {name: value for name, value, *_ in map(str.split, lines)}
