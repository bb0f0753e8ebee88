"""A folder of photos to an image database, in a run that may be stopped and repeated."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import torch

from ..data.files import expect_utf8, make_folder
from ..data.images import MAX_PIXELS
from ..data.progress import Progress
from ..data.sources import FileSource, PhotoSource, named_beside, open_source
from ..errors import DatabaseError, InputError
from .descriptors import (
    JSON,
    Descriptor,
    DescriptorConfig,
    Whitened,
    Whitening,
    load_descriptor,
    pick_device,
)
from .embed import SHARD_SIZE, EmbedConfig, batches_of, describe, embed, none_usable
from .manifest import DescriptorInfo, IndexInfo, Manifest, ShardInfo, SourceInfo, read_manifest
from .plan import difference, digest_of, start_or_resume, stopped_addition
from .publish import (
    IndexConfig,
    Stages,
    choose_index,
    is_finished,
    publish,
    silently,
    sweep,
    writing,
)
from .store import Skipped, write_skipped

if TYPE_CHECKING:
    from .faiss_index import Fill

_logger = logging.getLogger(__name__)

WHITENING: Final = "whitening.safetensors"
_SAMPLE_PER_DIMENSION: Final = 16
_SMALLEST_SAMPLE: Final = 2048


@dataclass(frozen=True)
class BuildConfig:
    """How a database is built.

    Attributes:
        descriptor: what makes vectors of photos.
        index: what finds vectors.
        device: "auto", "cpu", "cuda"...
        batch_size: photos that pass through the network at once; chosen by the device if None.
        workers: how many batches are decoded at once; all processors if None.
        shard_size: photos in a shard.
        max_pixels: photos of more pixels are skipped.
        seed: of the sample that a whitening is learned from.
    """

    descriptor: DescriptorConfig = field(default_factory=DescriptorConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = None
    shard_size: int = SHARD_SIZE
    max_pixels: int = MAX_PIXELS
    seed: int = 0

    def embedding(self) -> EmbedConfig:
        """The part of it that `embed` needs."""
        device = "cpu" if self.descriptor.name == "dlib" else pick_device(self.device)
        return EmbedConfig(device, self.batch_size, self.workers, self.shard_size, self.max_pixels)


class Engine(Protocol):
    """Where the two long steps of a build run: describing photos, and filling the index."""

    def embed(
        self,
        source: PhotoSource,
        descriptor: Descriptor,
        folder: Path,
        config: BuildConfig,
        progress: Progress,
    ) -> tuple[list[ShardInfo], list[Skipped]]:
        """Write the shards of all of a source's photos that are not there yet: see `embed`."""

    def fill(self, folder: Path, manifest: Manifest) -> "Fill | None":
        """What fills an index with the shards of a manifest; None to do it here."""


class ThisProcess:
    """The engine of one machine."""

    def embed(
        self,
        source: PhotoSource,
        descriptor: Descriptor,
        folder: Path,
        config: BuildConfig,
        progress: Progress,
    ) -> tuple[list[ShardInfo], list[Skipped]]:
        """Write the shards that are not there yet."""
        how = config.embedding()
        return embed(source, source.names, descriptor, folder, how, progress=progress)

    def fill(self, folder: Path, manifest: Manifest) -> None:
        """Leave it to `make_index`."""


def build_index(
    photos: str | Path,
    out: str | Path,
    config: BuildConfig | None = None,
    stages: Stages = silently,
    *,
    descriptor: Descriptor | None = None,
    engine: Engine | None = None,
) -> Manifest:
    """Build an image database of all photos of a source, or go on where an earlier run stopped.

    Args:
        photos: a folder, a list of paths, a `.tar` or a `.parquet`: see `data.sources`.
        out: the database's folder; made if need be. A finished database of the same photos and
            configuration is left as it is.
        config: how.
        stages: told how far each stage is.
        descriptor: used in place of the one that `config.descriptor` names.
        engine: what the photos are described by; this process if None.

    Returns:
        the manifest of the finished database.

    Raises:
        InputError: no photos, none that can be used, or an index that needs too much memory.
        DatabaseError: `out` holds something else, or a build of another configuration.
        StorageError: a file cannot be written.
    """
    photos, out = Path(photos), Path(out)
    config, engine = config or BuildConfig(), engine or ThisProcess()
    if out.resolve() == photos.resolve():
        raise InputError(f"{out}: expected another folder than that of the photos")
    source = named_beside(open_source(photos, exclude=out))
    names = source.names
    if not names:
        raise InputError(f"{photos}: expected photos, found none")
    for path in (out, source.root):
        expect_utf8(path)
    descriptor = descriptor or load_descriptor(config.descriptor, config.device)
    plan = _plan(config, descriptor, source)
    make_folder(out)
    with writing(out):
        if is_finished(out):
            return _already_built(out, plan)
        choose_index(config.index, len(names), config.descriptor.pca or descriptor.d)
        plan, listed = start_or_resume(out, plan, names)
        if listed != names:
            source, names = FileSource(source.kind, source.root, listed), listed
            _logger.warning(
                "%s: goes on with the %s files that were there when it began; "
                "`simpaint index add` takes those that came since",
                out,
                f"{len(names):,}",
            )
        if config.descriptor.pca is not None:
            descriptor = _whitened(photos, out, config, source, descriptor, stages)
        with stages("Embedding", "images") as progress:
            shards, skipped = engine.embed(source, descriptor, out, config, progress)
        shards = [shard for shard in shards if shard.rows]
        if not shards:
            sweep(out, set())
            raise none_usable(photos, len(names), skipped[0])
        manifest = _first_manifest(out, source, descriptor, plan, shards, skipped)
        return publish(out, manifest, config.index, stages, fill=engine.fill(out, manifest))


def _plan(config: BuildConfig, descriptor: Descriptor, source: PhotoSource) -> dict[str, JSON]:
    """What decides ids and vectors: a run that goes on with another's shards must agree in it."""
    embedding = config.embedding()
    return {
        "source": f"{source.kind} {source.root}",
        "listing": digest_of(source.names),
        "photos": len(source.names),
        **{f"descriptor {key}": value for key, value in descriptor.config.items()},
        "descriptor name": descriptor.name,
        "descriptor pca": config.descriptor.pca,
        "descriptor weights": descriptor.weights_sha256,
        "device": embedding.device.partition(":")[0],
        "batch size": embedding.photos_at_once,
        "shard size": embedding.shard_size,
        "max pixels": embedding.max_pixels,
        "seed": config.seed,
        "type": config.index.type,
    }


def _already_built(out: Path, plan: dict[str, JSON]) -> Manifest:
    manifest = read_manifest(out)
    if changed := difference(manifest.plan, plan):
        raise DatabaseError(
            f"{out}: holds a finished database of another configuration ({changed}); "
            "`simpaint index add` takes more photos, `rebuild` another type"
        )
    if not stopped_addition(out, manifest.generation):
        sweep(out, set(manifest.files))
    return manifest


def _whitened(
    photos: Path,
    out: Path,
    config: BuildConfig,
    source: PhotoSource,
    descriptor: Descriptor,
    stages: Stages,
) -> Whitened:
    """The descriptor with a whitening learned from a sample of the photos, the same every time."""
    path, d = out / WHITENING, config.descriptor.pca or descriptor.d
    if not path.exists():
        names, how = source.names, config.embedding()
        size = min(len(names), max(_SMALLEST_SAMPLE, _SAMPLE_PER_DIMENSION * d))
        chosen = np.random.default_rng(config.seed).choice(len(names), size, replace=False)
        sample = [names[i] for i in np.sort(chosen)]
        vectors, skipped = [], []
        with stages("Learning a whitening", "images") as progress:
            batches = batches_of(sample, how.photos_at_once)
            for batch in describe(source, batches, descriptor, how):
                usable = [not isinstance(outcome, str) for outcome in batch.outcomes]
                vectors.append(batch.vectors[usable])
                outcomes = zip(batch.names, batch.outcomes, strict=True)
                skipped += [Skipped(name, why) for name, why in outcomes if isinstance(why, str)]
                progress(sum(map(len, vectors)), size)
        if len(skipped) == size:
            sweep(out, set())
            raise none_usable(photos, size, skipped[0])
        Whitening.fit(torch.from_numpy(np.concatenate(vectors)), d).save(path)
    return Whitened(descriptor, Whitening.load(path))


def _first_manifest(
    out: Path,
    source: PhotoSource,
    descriptor: Descriptor,
    plan: dict[str, JSON],
    shards: list[ShardInfo],
    skipped: list[Skipped],
) -> Manifest:
    write_skipped(out / "skipped-00001.parquet", skipped)
    return Manifest(
        generation=1,
        descriptor=DescriptorInfo(descriptor.name, descriptor.config, descriptor.weights_sha256),
        d=descriptor.d,
        count=sum(shard.rows for shard in shards),
        source=SourceInfo(source.kind, str(source.root)),
        next_id=len(source.names),
        tombstones=0,
        skipped_count=len(skipped),
        index=IndexInfo("", "", {}, 0.0, "", ""),
        shards=tuple(shards),
        skipped="skipped-00001.parquet",
        removed=None,
        whitening=WHITENING if (out / WHITENING).exists() else None,
        plan=plan,
        files={},
    )


def database_descriptor(
    folder: Path,
    manifest: Manifest,
    *,
    weights: Path | None = None,
    device: str = "auto",
    descriptor: Descriptor | None = None,
) -> Descriptor:
    """The descriptor that made a database's vectors, whitening included.

    Args:
        folder: the database.
        manifest: its manifest.
        weights: the weights' file, where the build was given one.
        device: where it computes.
        descriptor: one to use in place of loading it, not whitened.

    Raises:
        DatabaseError: the weights are not those of the build.
    """
    info = manifest.descriptor
    if descriptor is None:
        values: dict[str, Any] = dict(info.config)
        descriptor = load_descriptor(replace(DescriptorConfig(**values), weights=weights), device)
    found = (descriptor.name, descriptor.weights_sha256)
    if found != (info.name, info.weights_sha256):
        raise DatabaseError(
            f"{folder}: expected the descriptor {info.name} with weights "
            f"{info.weights_sha256[:12]}, found {found[0]} with {found[1][:12]}"
        )
    if manifest.whitening is None:
        return descriptor
    return Whitened(descriptor, Whitening.load(folder / manifest.whitening))
