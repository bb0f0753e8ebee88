"""The FAISS library: which distribution is installed, and what its indexes look like inside."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

from ..errors import DependencyError, InputError

_logger = logging.getLogger(__name__)

_DISTRIBUTIONS = ("faiss", "faiss-cpu", "faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12")
_CHOOSE = "install one of them: pip install 'simpaint[cpu]' or 'simpaint[gpu]'"


def _installed() -> dict[str, str]:
    """The FAISS distributions of this environment and their versions."""
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def import_faiss() -> ModuleType:
    """FAISS, whichever distribution of it is installed.

    Raises:
        DependencyError: none is installed, or two that overwrite each other's files.
    """
    found = _installed()
    if len(found) > 1:
        names = " and ".join(found)
        raise DependencyError(
            f"{names} are both installed and overwrite each other's files: "
            f"pip uninstall {' '.join(found)}, then {_CHOOSE}"
        )
    try:
        import faiss
    except ImportError as error:
        if found:
            raise DependencyError(f"{next(iter(found))} cannot be loaded: {error}") from error
        raise DependencyError(f"faiss-cpu or faiss-gpu is needed; {_CHOOSE}") from error
    module: ModuleType = faiss
    _logger.info("searching with %s", describe_faiss(module))
    return module


@contextmanager
def at_most_threads(count: int) -> Iterator[None]:
    """Let FAISS use no more threads than it has queries, in the calling thread.

    Others would have nothing to do, but to be waited for: longer than a search takes, where
    PyTorch's threads hold the processors.
    """
    faiss = import_faiss()
    usual = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(max(1, min(count, usual)))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(usual)


def describe_faiss(faiss: ModuleType) -> str:
    """The distribution in use and what it computes on: "faiss-cpu 1.15.1, on the CPU"."""
    name, number = next(iter(_installed().items()), ("faiss", faiss.__version__))
    gpus = count_gpus(faiss)
    return f"{name} {number}, on {f'{gpus} GPU(s)' if gpus else 'the CPU'}"


def count_gpus(faiss: ModuleType) -> int:
    """How many GPUs this FAISS can use; 0 for faiss-cpu, whatever the machine holds."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def reason(error: RuntimeError) -> str:
    """What a FAISS exception says, without the C++ signature before it."""
    text = " ".join(str(error).split())
    for marker in ("failed: ", ".cpp:"):
        if marker in text:
            text = text.rsplit(marker, 1)[1]
            break
    return text.lstrip("0123456789: ") or str(error)


def empty_index(factory: str, d: int) -> Any:  # noqa: ANN401 - FAISS has no types
    """An untrained index that keeps the ids it is given.

    Inverted files keep ids themselves; everything else is wrapped in an `IDMap`. Not in an
    `IDMap2`: that one builds a table of all ids on opening, which takes seconds and megabytes.

    Args:
        factory: what `faiss.index_factory` reads.
        d: dimensions.

    Raises:
        InputError: FAISS does not know the type, or cannot build it for d dimensions.
    """
    faiss = import_faiss()
    try:
        index = faiss.index_factory(d, factory, faiss.METRIC_INNER_PRODUCT)
        if not _keeps_ids(index):
            index = faiss.index_factory(d, f"IDMap,{factory}", faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise InputError(
            f"FAISS cannot make an index of type {factory!r} for {d} dimensions: {reason(error)}"
        ) from error
    return index


def _keeps_ids(index: Any) -> bool:  # noqa: ANN401
    faiss = import_faiss()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return _keeps_ids(index.index)
    return isinstance(index, (faiss.IndexIVF, faiss.IndexIDMap))


def parts(index: Any) -> list[Any]:  # noqa: ANN401
    """An index and everything inside it, from the outside in: wrappers and storage."""
    faiss = import_faiss()
    index = faiss.downcast_index(index)
    inner = [
        getattr(index, name, None) for name in ("index", "base_index", "refine_index", "storage")
    ]
    found = [index]
    for part in inner:
        if isinstance(part, faiss.Index):
            found += parts(part)
    return found
