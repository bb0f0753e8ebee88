"""What runs on the machines of a cluster: tasks that write shards and fill inverted lists."""

import platform
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..data.archives import SourceKind
from ..data.files import sha256
from ..data.sources import PhotoSource, reopen_source
from ..errors import InputError, WeightsError
from .build import WHITENING, BuildConfig
from .descriptors import Descriptor, DescriptorConfig, Whitened, Whitening, load_descriptor
from .embed import EmbedConfig, embed
from .faiss_index import add_batches
from .faiss_library import import_faiss
from .manifest import PLAN, Manifest
from .shards import shard_name
from .store import iter_vectors


@dataclass(frozen=True)
class Stretch:
    """Shards from `part` on that a task writes: the photos `names`, ids from `first_id`."""

    part: int
    first_id: int
    names: list[str]


def missing(folder: Path, names: list[str], size: int, most: int) -> list[Stretch]:
    """The shards that are not there, neighbors together, at most `most` of them."""
    starts = range(0, len(names), size)
    todo = [part for part in range(len(starts)) if not (folder / shard_name(part)).exists()]
    # Neighbors have the same distance to their place in the list of the missing ones.
    runs = groupby(enumerate(todo), lambda entry: (entry[1] - entry[0], entry[1] // most))
    stretches = []
    for _, run in runs:
        found = [part for _, part in run]
        first, last = found[0] * size, (found[-1] + 1) * size
        stretches.append(Stretch(found[0], first, names[first:last]))
    return stretches


@dataclass(frozen=True)
class Job:
    """What every task of a build has to know; a worker process prepares for it once."""

    version: str
    kind: SourceKind
    root: Path
    folder: Path
    plan_sha256: str
    descriptor: DescriptorConfig
    weights_sha256: str
    embedding: EmbedConfig


def job_of(source: PhotoSource, descriptor: Descriptor, folder: Path, config: BuildConfig) -> Job:
    """What the machine that leads a build tells the others; the plan stands in the folder."""
    weights = config.descriptor.weights
    how = config.embedding()
    return Job(
        __version__,
        source.kind,
        source.root,
        folder.absolute(),
        sha256(folder / PLAN),
        replace(config.descriptor, weights=weights.absolute() if weights else None),
        descriptor.weights_sha256,
        # A task sees one GPU, whatever its number on the machine.
        replace(how, device=how.device.partition(":")[0]),
    )


def embed_stretch(job: Job, stretch: Stretch, workers: int) -> None:
    """The task: write the shards of a stretch of the listing."""
    source, descriptor = _prepared(job)
    embed(
        source,
        stretch.names,
        descriptor,
        job.folder,
        replace(job.embedding, workers=workers),
        first_id=stretch.first_id,
        first_part=stretch.part,
    )


@lru_cache(maxsize=1)
def _prepared(job: Job) -> tuple[PhotoSource, Descriptor]:
    """The photos and the descriptor, once a process; checked to be those of who leads the build.

    Raises:
        InputError: another version of simpaint, or a path that this machine does not have.
        WeightsError: other weights.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what matters of it becomes a reason
    host = platform.node()
    if job.version != __version__:
        raise InputError(f"{host}: expected simpaint {job.version}, found {__version__}")
    if not job.root.exists():
        raise InputError(f"{host}: expected the photos at {job.root}, found nothing there")
    plan = job.folder / PLAN
    if not plan.exists() or sha256(plan) != job.plan_sha256:
        raise InputError(
            f"{host}: expected {plan} as the machine that leads the build has it, found "
            f"{'another' if plan.exists() else 'nothing'}: the folder must be shared by all"
        )
    descriptor = load_descriptor(job.descriptor, job.embedding.device)
    if descriptor.weights_sha256 != job.weights_sha256:
        raise WeightsError(
            f"{host}: expected {descriptor.name} with weights {job.weights_sha256[:12]}, "
            f"found {descriptor.weights_sha256[:12]}"
        )
    if job.descriptor.pca is not None:
        descriptor = Whitened(descriptor, Whitening.load(job.folder / WHITENING))
    return reopen_source(job.kind, job.root), descriptor


def fill_part(trained: NDArray[np.uint8], folder: Path, manifest: Manifest) -> NDArray[np.uint8]:
    """The task: a copy of a trained index, filled with a part of the shards."""
    faiss = import_faiss()
    index = faiss.deserialize_index(trained)
    add_batches(index, iter_vectors(folder, manifest))
    filled: NDArray[np.uint8] = faiss.serialize_index(index)
    return filled
