"""Adding photos to a finished database: new shards, new ids, the old ones untouched."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from pyarrow.compute import match_substring_regex

from ..data.sources import (
    LEADS_OUT,
    FileSource,
    PhotoSource,
    is_gone,
    leads_out,
    name_beside,
    open_source,
)
from ..errors import ImageError, InputError
from .build import database_descriptor
from .change import changing, next_part, next_state, without
from .descriptors import JSON, Descriptor, pick_device
from .embed import EmbedConfig, embed, none_usable
from .manifest import Manifest, ShardInfo, SourceInfo
from .plan import ADDS_TO, digest_of, same_plan, write_plan
from .publish import IndexConfig, Stages, publish, silently, sweep
from .shards import PhotoRow, read_columns
from .store import Skipped, all_rows, read_skipped, write_skipped
from .whereabouts import expect_photos

_AT_ONCE: Final = 4096  # photos compared with their files


@dataclass(frozen=True)
class AddConfig:
    """How photos are added; what decides the vectors is the database's own.

    Attributes:
        device: "auto", "cpu", "cuda"...
        workers: how many batches are decoded at once; all processors if None.
        weights: the weights' file, where the build was given one.
        memory_limit: bytes that the index may take; None for what the machine has.
    """

    device: str = "auto"
    workers: int | None = None
    weights: Path | None = None
    memory_limit: int | None = None


@dataclass(frozen=True)
class Added:
    """What became of an addition.

    Attributes:
        manifest: of the database as it is now.
        added: photos with a new id, changed ones included.
        changed: photos of which the database had another content; the old id is removed.
        unchanged: photos that it had already, and those that cannot be read at the moment.
        lost: photos that it had and that are damaged now: they are removed.
        skipped: files that could not be used this time, the lost ones included.
    """

    manifest: Manifest
    added: int
    changed: int
    unchanged: int
    lost: int
    skipped: int


def add(
    database: Path,
    photos: Path,
    config: AddConfig | None = None,
    stages: Stages = silently,
    *,
    descriptor: Descriptor | None = None,
) -> Added:
    """Add the photos of a source; those there already with the same content are left alone.

    Files that could not be used before are tried again. A photo that was removed and still stands
    in the source is added again. Repeating an interrupted addition goes on where it stopped.

    Args:
        database: its folder.
        photos: the source the database was built from, with more in it, or other files.
        config: how.
        stages: told how far each stage is.
        descriptor: used in place of loading the database's own.

    Raises:
        InputError: no photos, none that can be used, a source of another kind than the database's,
            or the photos that it has were moved.
        DatabaseError: the database is unfinished or damaged, or another process changes it.
    """
    config = config or AddConfig()
    with changing(database) as manifest:
        expect_photos(database, manifest)
        given = open_source(photos, exclude=database)
        source = _same_source(database, manifest, given)
        known, unchanged = _known(database, manifest, source, stages)
        names = [name for name in source.names if name not in unchanged]
        loaded = database_descriptor(
            database,
            manifest,
            weights=config.weights,
            device=config.device,
            descriptor=descriptor,
        )
        shards, skipped = _embed_more(database, manifest, source, names, loaded, config, stages)
        if not shards and not known:
            sweep(database, set(manifest.files))
            raise none_usable(photos, len(names), skipped[0])
        replaced = [known[name].id for name in names if name in known]
        tried = {*names, *(row.path for row in skipped)}
        before = [row for row in _still_skipped(database, manifest, given) if row.path not in tried]
        all_skipped = before + skipped
        manifest = _grown(
            database, manifest, given, names, shards, all_skipped, replaced, config, stages
        )
        added = sum(shard.rows for shard in shards)
        lost = len(known.keys() & {row.path for row in skipped})
        changed = len(replaced) - lost
        return Added(manifest, added, changed, len(unchanged), lost, len(skipped))


def _same_source(database: Path, manifest: Manifest, source: PhotoSource) -> PhotoSource:
    """The source with its names as the database would have them."""
    kind, root = manifest.source.kind, Path(manifest.source.root)
    if not source.names:
        raise InputError(f"{source.root}: expected photos, found none")
    if kind in ("folder", "list") and source.kind in ("folder", "list"):
        stored = _stored_otherwise(database, manifest)
        names = (name_beside(root, source.root / name) for name in source.names)
        earlier = tuple(map(Path, manifest.source.earlier))
        return FileSource(kind, root, list(dict.fromkeys(stored.get(n, n) for n in names)), earlier)
    if (source.kind, source.root) != (kind, root):
        raise InputError(
            f"{source.root}: expected photos beside those of the database ({kind} {root}), "
            f"found a {source.kind}: build a database of its own"
        )
    return source


def _stored_otherwise(database: Path, manifest: Manifest) -> dict[str, str]:
    """Names to those under which the database has the files, where these are others.

    Old databases had whole paths of some, and what stayed as the root was moved keeps its name.
    """
    root, moved = Path(manifest.source.root), bool(manifest.source.earlier)
    other = LEADS_OUT if moved else "^/"
    names = [row.path for row in read_skipped(database / manifest.skipped)]
    for shard in manifest.shards:
        column = read_columns(database / shard.file, ["path"]).column("path")
        names += column.filter(match_substring_regex(column, other)).to_pylist()
    others = (name for name in names if name.startswith("/") or (moved and leads_out(name)))
    return {name_beside(root, manifest.source.place(name)): name for name in others}


def _known(
    database: Path, manifest: Manifest, source: PhotoSource, stages: Stages
) -> tuple[dict[str, PhotoRow], set[str]]:
    """Which of the source's photos the database has, and which of these have not changed."""
    names = set(source.names)
    known = {row.path: row for row in all_rows(database, manifest) if row.path in names}

    def same(row: PhotoRow) -> bool:
        try:
            return hashlib.sha256(source.read(row.path)).hexdigest() == row.sha256
        except ImageError:  # a disk that is away takes no photo out of the database
            return True

    unchanged: set[str] = set()
    items = iter(known.items())
    with ThreadPoolExecutor() as pool, stages("Comparing", "images") as progress:
        for start in range(0, len(known), _AT_ONCE):
            some = dict(islice(items, _AT_ONCE))
            together = zip(some, pool.map(same, some.values()), strict=True)
            unchanged |= {name for name, is_same in together if is_same}
            progress(start + len(some), len(known))
    return known, unchanged


def _embed_more(
    database: Path,
    manifest: Manifest,
    source: PhotoSource,
    names: list[str],
    descriptor: Descriptor,
    config: AddConfig,
    stages: Stages,
) -> tuple[list[ShardInfo], list[Skipped]]:
    how = _as_built(manifest, config)
    plan: dict[str, JSON] = {
        ADDS_TO: manifest.generation,
        "listing": digest_of(names),
        "batch size": how.photos_at_once,
        "device": how.device.partition(":")[0],
    }
    if not same_plan(database, plan):
        sweep(database, set(manifest.files))
        write_plan(database, plan)
    with stages("Embedding", "images") as progress:
        shards, skipped = embed(
            source,
            names,
            descriptor,
            database,
            how,
            first_id=manifest.next_id,
            first_part=next_part(manifest),
            progress=progress,
        )
    return [shard for shard in shards if shard.rows], skipped


def _as_built(manifest: Manifest, config: AddConfig) -> EmbedConfig:
    device = "cpu" if manifest.descriptor.name == "dlib" else pick_device(config.device)
    sizes = {
        name: int(str(manifest.plan[key]))
        for name, key in (
            ("batch_size", "batch size"),
            ("shard_size", "shard size"),
            ("max_pixels", "max pixels"),
        )
    }
    return EmbedConfig(device, workers=config.workers, **sizes)


def _still_skipped(database: Path, manifest: Manifest, given: PhotoSource) -> list[Skipped]:
    """What could not be used before, without the files that the folder or archive has no more."""
    before = read_skipped(database / manifest.skipped)
    if given.kind == "list":
        return before
    if given.kind == "folder":
        top = given.root.resolve()
        files = ((row, manifest.source.place(row.path)) for row in before)
        return [
            r for r, file in files if not (file.resolve().is_relative_to(top) and is_gone(file))
        ]
    held = set(given.names)
    return [row for row in before if row.path in held]


def _with_folder(place: SourceInfo, given: PhotoSource) -> SourceInfo:
    """The place that knows of a folder outside of the root that photos are added from."""
    root = Path(place.root)
    name = name_beside(root, given.root)
    if given.kind != "folder" or not leads_out(name) or root.is_relative_to(given.root):
        return place
    return replace(place, added=tuple(dict.fromkeys((*place.added, name))))


def _grown(
    database: Path,
    manifest: Manifest,
    given: PhotoSource,
    names: list[str],
    shards: list[ShardInfo],
    skipped: list[Skipped],
    replaced: list[int],
    config: AddConfig,
    stages: Stages,
) -> Manifest:
    """Publish the database with new shards, another list of skipped files and photos replaced."""
    before = read_skipped(database / manifest.skipped)
    if not shards and not replaced and sorted(skipped) == sorted(before):
        sweep(database, set(manifest.files))
        return manifest
    manifest = next_state(manifest)
    manifest = without(database, manifest, replaced)
    file = f"skipped-{manifest.generation:05d}.parquet"
    write_skipped(database / file, skipped)
    manifest = replace(
        manifest,
        source=_with_folder(manifest.source, given),
        shards=(*manifest.shards, *shards),
        count=manifest.count + sum(shard.rows for shard in shards),
        next_id=manifest.next_id + len(names),
        skipped=file,
        skipped_count=len(skipped),
    )
    index = IndexConfig(manifest.index.requested, config.memory_limit)
    return publish(database, manifest, index, stages)
