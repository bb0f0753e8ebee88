"""What a search sets on a FAISS index (nprobe, efSearch), found by measuring a recall."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from .exact import Ids, Vectors
from .faiss_library import import_faiss, parts

AIM: Final = 0.96
"""The recall that a parameter is raised for: 0.95, and what new queries fall short of a sample."""

_SLACK: Final = 0.01  # of recall, given up where the aim is out of reach

_LARGEST: Final = {"nprobe": 1 << 30, "efSearch": 4096}  # what tuning tries; more is no search
_REFINED: Final = 10  # candidates compared exactly for each result, where a type refines


class Knob(NamedTuple):
    """What makes a search of an index more thorough, from 1 to `limit`."""

    name: str
    limit: int


def knob(index: Any) -> Knob | None:  # noqa: ANN401 - FAISS has no types
    """The knob of an index; None where a search has but one way to go."""
    faiss = import_faiss()
    for part in parts(index):
        if isinstance(part, faiss.IndexIVF):
            return Knob("nprobe", part.nlist)
        if isinstance(part, faiss.IndexHNSW):
            return Knob("efSearch", max(part.ntotal, 1))
    return None


def is_exact(index: Any) -> bool:  # noqa: ANN401
    """Whether an index compares a query with every vector, unrounded."""
    faiss = import_faiss()
    return all(isinstance(part, (faiss.IndexIDMap, faiss.IndexFlat)) for part in parts(index))


def refines(index: Any) -> bool:  # noqa: ANN401
    """Whether an index compares its best candidates a second time."""
    return any(isinstance(part, import_faiss().IndexRefine) for part in parts(index))


def set_parameters(index: Any, parameters: dict[str, int]) -> None:  # noqa: ANN401
    """Set on an index, and on what it wraps, what its searches use."""
    space = import_faiss().ParameterSpace()
    for name, value in parameters.items():
        space.set_index_parameter(index, name, value)


def tune_index(
    index: Any,  # noqa: ANN401
    queries: Vectors,
    own_ids: Ids,
    truth: Ids,
) -> tuple[dict[str, int], float]:
    """Set the smallest parameter that reaches the recall `AIM`, or nearly the best where none does.

    Rounded vectors (PQ) have a ceiling of recall, which the whole effort would hardly lift.

    Args:
        index: trained and filled.
        queries: (n, d), vectors that the index holds.
        own_ids: (n,), the ids they are held under: nobody searches for what is known already.
        truth: (n, k) ids of the nearest others by exact search, -1 where there are fewer.

    Returns:
        the parameters, which are set on the index, and the recall measured with them.
    """
    fixed = {"k_factor_rf": _REFINED} if refines(index) else {}
    set_parameters(index, fixed)
    wheel = knob(index)
    measured: dict[int, float] = {}

    def recall(value: int) -> float:
        if value not in measured:
            set_parameters(index, {wheel.name: value} if wheel else {})
            found = index.search(queries, truth.shape[1] + 1)[1]
            measured[value] = recall_of(found, own_ids, truth)
        return measured[value]

    if wheel is None:
        return fixed, recall(0)
    limit = min(wheel.limit, _LARGEST[wheel.name])
    value = _smallest(lambda tried: recall(tried) >= AIM, limit)
    if (ceiling := recall(value)) < AIM:
        value = _smallest(lambda tried: recall(tried) >= ceiling - _SLACK, limit)
    reached = recall(value)
    parameters = {**fixed, wheel.name: value}
    set_parameters(index, parameters)
    return parameters, reached


def _smallest(suffices: Callable[[int], bool], limit: int) -> int:
    """The smallest of 1 to `limit` that suffices, or `limit`: by doubling, then by halving."""
    high = 1
    while high < limit and not suffices(high):
        high = min(2 * high, limit)
    low = high // 2  # does not suffice, or is 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def recall_of(found: Ids, own_ids: Ids, truth: Ids) -> float:
    """The share of the true neighbors among as many found, the query itself not counted.

    Args:
        found: (n, k + 1) ids, -1 where missing.
        own_ids: (n,).
        truth: (n, k) ids, -1 where there are fewer.
    """
    k = truth.shape[1]
    others_first = np.argsort(found == own_ids[:, None], axis=1, kind="stable")[:, :k]
    others = np.take_along_axis(found, others_first, axis=1)  # (n, k)
    hits = (others[:, :, None] == truth[:, None, :]) & (truth >= 0)[:, None, :]  # (n, k, k)
    wanted = (truth >= 0).sum()
    return float(hits.sum() / wanted) if wanted else 1.0


def most_effort(index: Any, parameters: dict[str, int]) -> int:  # noqa: ANN401
    """The effort of a search that leaves nothing out: see `options`."""
    wheel = knob(index)
    return -(-wheel.limit // parameters[wheel.name]) if wheel else 1


def options(index: Any, parameters: dict[str, int], effort: int) -> Any:  # noqa: ANN401
    """Search parameters for one call that make it `effort` times as thorough.

    Other threads may search the same index meanwhile: nothing is set on it.

    Args:
        index: what will be searched.
        parameters: those it was opened with.
        effort: at least 1.

    Returns:
        what `index.search` takes as `params`; None where there is no knob.
    """
    faiss = import_faiss()
    wheel = knob(index)
    if wheel is None:
        return None
    value = min(parameters[wheel.name] * effort, wheel.limit)
    inner = (
        faiss.SearchParametersIVF(nprobe=value)
        if wheel.name == "nprobe"
        else faiss.SearchParametersHNSW(efSearch=value)
    )
    if not refines(index):
        return inner
    factor = float(parameters["k_factor_rf"])
    return faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=inner)


def to_gpu(index: Any) -> Any | None:  # noqa: ANN401
    """A copy of an index on the first GPU; None for a type that FAISS only has on the CPU."""
    faiss = import_faiss()
    try:
        return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    except RuntimeError:
        return None
