"""How a change to a database takes effect: one writer, new files first, the manifest last."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..data.files import storage_errors
from ..data.progress import Progress, silent
from ..errors import DatabaseError, StorageError
from .manifest import LISTING, MANIFEST, PLAN, IndexInfo, Manifest, describe_file, write_manifest
from .store import iter_vectors

if TYPE_CHECKING:
    from .faiss_index import Fill

Stages: TypeAlias = Callable[[str, str], AbstractContextManager[Progress]]
"""Called with a stage's title and what it counts ("Embedding", "images")."""

_OURS = (
    "images/part-*",
    "index-*.faiss",
    "skipped-*.parquet",
    "removed-*.parquet",
    "whitening.safetensors",
    ".partial-*",
    "images/.partial-*",
    PLAN,
    LISTING,
)


@contextmanager
def silently(title: str, unit: str) -> Iterator[Progress]:  # noqa: ARG001 - as `Stages`
    """Tell nobody: the default of every function that takes `Stages`."""
    yield silent


@dataclass(frozen=True)
class IndexConfig:
    """Which FAISS index is made of the vectors.

    Attributes:
        type: a faiss factory string, or "auto" to choose by count and memory.
        memory_limit: bytes that the index may take; None for what the machine has free.
        seed: of what its training draws at random.
    """

    type: str = "auto"
    memory_limit: int | None = None
    seed: int = 0


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only one who changes a database while the body runs; readers are not disturbed.

    Raises:
        DatabaseError: another process is changing it.
        StorageError: it cannot be locked.
    """
    path = folder / ".lock"
    with storage_errors(path):
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system after a kill
        except BlockingIOError as error:
            raise DatabaseError(
                f"{folder}: another process is changing it; wait until that one ends"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{path}: expected a file that can be locked, so that nobody else changes the "
                f"database meanwhile; found: {error.strerror or error}"
            ) from error
        yield


def choose_index(config: IndexConfig, count: int, d: int) -> tuple[str, str]:
    """The factory string for an index of `count` vectors (count, d), and why, in one line.

    Raises:
        InputError: FAISS does not know the type, or it does not fit the vectors or the memory.
    """
    from .faiss_choice import choose_type
    from .faiss_index import refuse_impossible

    if config.type == "auto":
        choice = choose_type(count, d, config.memory_limit)
        return choice.factory, choice.reason
    refuse_impossible(config.type, count, d, config.memory_limit)
    return config.type, "asked for"


def publish(
    folder: Path,
    manifest: Manifest,
    index: IndexConfig | None,
    stages: Stages = silently,
    *,
    fill: "Fill | None" = None,
) -> Manifest:
    """Make `manifest` the state of the database, and delete the files that only the old one had.

    Args:
        folder: the database, locked by `writing`.
        manifest: the new state; its other files are written; `index` and `files` are filled here.
        index: the index to make of the shards; None to keep the one the manifest names.
        stages: told how the index grows.
        fill: see `make_index`.

    Returns:
        the manifest as written.

    Raises:
        StorageError: a file cannot be written.
    """
    if index is not None:
        manifest = replace(manifest, index=_make_index(folder, manifest, index, stages, fill))
    names = [shard.file for shard in manifest.shards]
    names += [manifest.skipped, manifest.index.file]
    names += [name for name in (manifest.removed, manifest.whitening) if name is not None]
    # Names are never used twice, so that what is known of an old file still holds.
    known = manifest.files
    files = {name: known.get(name) or describe_file(folder / name) for name in names}
    manifest = replace(manifest, files=files)
    write_manifest(folder, manifest)
    sweep(folder, set(files))
    return manifest


def _make_index(
    folder: Path, manifest: Manifest, config: IndexConfig, stages: Stages, fill: "Fill | None"
) -> IndexInfo:
    from .faiss_index import make_index, write_index

    factory, reason = choose_index(config, manifest.count, manifest.d)
    with stages("Indexing", "vectors") as progress:
        made = make_index(
            lambda: iter_vectors(folder, manifest),
            manifest.count,
            manifest.d,
            factory,
            memory_limit=config.memory_limit,
            seed=config.seed,
            progress=progress,
            fill=fill,
        )
    file = f"index-{manifest.generation:05d}.faiss"
    write_index(made.index, folder / file)
    return IndexInfo(file, made.factory, made.parameters, made.recall, config.type, reason)


def sweep(folder: Path, keep: set[str]) -> None:
    """Delete what changes that did not end have left, and what the last one made useless."""
    for pattern in _OURS:
        for path in folder.glob(pattern):
            if path.relative_to(folder).as_posix() not in keep:
                path.unlink(missing_ok=True)


def is_finished(folder: Path) -> bool:
    """Whether a build has ended here."""
    return (folder / MANIFEST).exists()
