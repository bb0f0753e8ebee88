"""`simpaint index`: image databases, built from photos, kept and searched."""

import json
import re
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..errors import InputError, expect_beside
from .progress import progress_bar

if TYPE_CHECKING:
    from ..index_build.build import Engine
    from ..index_build.manifest import Level, Manifest

_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _bytes(text: str) -> int:
    """An amount of memory: "8GB", "500 MB", "1000000"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?", text.strip().upper())
    if match is None:
        raise InputError(f"--limit-memory: expected it as 8GB, found {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])


_path = click.Path(path_type=Path)
_database = click.argument("database", type=_path)
_device = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1..."
)
_workers = click.option(
    "--workers", type=click.IntRange(1), help="Batches decoded at once. [default: all processors]"
)
_limit_memory = click.option(
    "--limit-memory",
    metavar="SIZE",
    type=_bytes,
    help="What the index may take, as 8GB. [default: what is free]",
)
_weights = click.option("--weights", type=_path, help="The descriptor's weights, from a file.")
_verify = click.option(
    "--verify",
    type=click.Choice(["full", "sizes"]),
    default="full",
    show_default=True,
    help="Read every byte first, or compare sizes only.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def index() -> None:
    """Image databases: build, add to, verify, search."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what matters of it becomes a reason


@index.command()
@click.argument("photos", type=_path)
@click.option("--out", type=_path, required=True, help="The database's folder.")
@click.option(
    "--descriptor",
    type=click.Choice(["simnet", "vgg16", "dlib"]),
    default="simnet",
    show_default=True,
    help="What makes photos comparable; dlib tells who it is.",
)
@click.option(
    "--pooling",
    type=click.Choice(["grid", "flatten", "gem", "avg"]),
    default="grid",
    show_default=True,
    help="What becomes of vgg16's last feature map.",
)
@click.option("--pca", type=click.IntRange(1), help="Whiten vectors to this many dimensions.")
@click.option(
    "--type",
    "index_type",
    default="auto",
    show_default=True,
    help="Flat, IVF..., HNSW... or any FAISS factory string.",
)
@click.option("--batch-size", type=click.IntRange(1), help="Photos in the network at once.")
@click.option(
    "--max-pixels", default=100_000_000, show_default=True, help="Skip photos of more pixels."
)
@_device
@_workers
@_limit_memory
@_weights
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="This machine, or all machines of a Ray cluster.",
)
@click.option(
    "--address", help="The cluster, HOST:PORT or auto. [default: one started on this machine]"
)
def build(photos: Path, out: Path, **options: Any) -> None:  # noqa: ANN401
    """Build a database of PHOTOS: a folder, a list of paths, a .tar or a .parquet.

    Repeat the command to go on with a build that was stopped.
    """
    from ..index_build import BuildConfig, DescriptorConfig, IndexConfig, build_index
    from ..index_build.plan import stopped_addition
    from ..index_build.publish import is_finished

    config = BuildConfig(
        DescriptorConfig(
            options["descriptor"], options["pooling"], options["pca"], options["weights"]
        ),
        IndexConfig(options["index_type"], options["limit_memory"]),
        options["device"],
        options["batch_size"],
        options["workers"],
        max_pixels=options["max_pixels"],
    )
    was_finished = is_finished(out)
    with _engine(options["engine"], options["address"]) as engine:
        manifest = build_index(photos, out, config, progress_bar, engine=engine)
    if was_finished:
        click.echo(f"{out}: already built; `simpaint index add` takes what is new")
        if stopped_addition(out, manifest.generation):
            click.echo("An addition was stopped: repeat `simpaint index add` to go on with it.")
    _summary(out, manifest)


def _engine(name: str, address: str | None) -> "AbstractContextManager[Engine | None]":
    """Where a build runs; None for this process."""
    if name == "ray":
        from ..index_build.cluster import ray_engine

        return ray_engine(address)
    if address is not None:
        raise InputError("--address: expected --engine ray beside it, found local")
    return nullcontext()


def _summary(database: Path, manifest: "Manifest", skipped: int | None = None) -> None:
    """What a database holds; `skipped` where not all files that could not be used are meant."""
    index, count = manifest.index, manifest.skipped_count if skipped is None else skipped
    click.echo(f"{database}: {manifest.count:,} photos, {manifest.d} dimensions")
    if count:
        click.echo(f"{count:,} files could not be used, see {database / manifest.skipped}")
    settings = "".join(f", {name} {value}" for name, value in index.parameters.items())
    click.echo(f"index {index.type}{settings}, recall@10 {index.recall:.3f} ({index.reason})")


@index.command()
@_database
@click.argument("photos", type=_path)
@_device
@_workers
@_limit_memory
@_weights
def add(
    database: Path,
    photos: Path,
    device: str,
    workers: int | None,
    limit_memory: int | None,
    weights: Path | None,
) -> None:
    """Add the PHOTOS that DATABASE does not have yet."""
    from ..index_build import AddConfig, add

    config = AddConfig(device, workers, weights, limit_memory)
    done = add(database, photos, config, progress_bar)
    changed = f" ({done.changed:,} in place of older versions)" if done.changed else ""
    click.echo(f"{done.added:,} photos added{changed}, {done.unchanged:,} were there already")
    if done.lost:
        click.echo(f"{done.lost:,} photos removed that are damaged now")
    _summary(database, done.manifest, done.skipped)


@index.command()
@_database
@click.argument("photos", nargs=-1)
@click.option("--id", "ids", type=int, multiple=True, help="A photo's id, in place of its path.")
@click.option("--missing", "gone", is_flag=True, help="Those whose files were deleted.")
@click.option(
    "--whole-folders", is_flag=True, help="With --missing: also where all of an added folder is."
)
def remove(
    database: Path,
    photos: tuple[str, ...],
    ids: tuple[int, ...],
    gone: bool,
    whole_folders: bool,
) -> None:
    """Let PHOTOS of DATABASE no longer be found; `compact` deletes their vectors.

    PHOTOS are files, as `search` prints them or relative to the folder the database was built from.
    """
    from ..index_build import missing, remove

    if not photos and not ids and not gone:
        raise InputError("PHOTOS: expected some, --id or --missing, found none of them")
    expect_beside("--whole-folders", whole_folders, gone, "--missing")
    lost = [row.id for row in missing(database, whole_folders=whole_folders)] if gone else []
    _summary(database, remove(database, [*ids, *lost], photos))
    if gone:
        click.echo(f"{len(lost):,} photos removed whose files are gone")


@index.command()
@_database
@click.argument("folder", type=_path)
def moved(database: Path, folder: Path) -> None:
    """Record that the photos of DATABASE are in FOLDER now.

    FOLDER is what the database was built from, as it is called now: a folder, a list of paths, a
    .tar or a .parquet. What was added from elsewhere is found beside it, or where it was.
    """
    from ..index_build import moved

    done = moved(database, folder)
    source = done.manifest.source
    click.echo(f"{database}: photos from {source.kind} {source.root}")
    click.echo(f"{done.there} of {done.looked_for} photos that were looked for are there")
    if done.there < done.looked_for:
        click.echo(f"to see which are not: simpaint index verify {database} --photos")


@index.command()
@_database
@_limit_memory
def compact(database: Path, limit_memory: int | None) -> None:
    """Rewrite DATABASE without removed photos; ids stay."""
    from ..index_build import compact

    _summary(database, compact(database, progress_bar, memory_limit=limit_memory))


@index.command()
@_database
@click.option("--photos", is_flag=True, help="List the photos whose files are gone: exit code 1.")
@click.pass_context
def verify(ctx: click.Context, database: Path, photos: bool) -> None:
    """Read every byte of DATABASE and compare it with its checksums."""
    from ..index_build import missing
    from ..index_build.manifest import open_checked

    with progress_bar("Verifying", of_bytes=True) as progress:
        manifest = open_checked(database, "full", progress)
    size = sum(file.size for file in manifest.files.values())
    click.echo(f"{database}: {len(manifest.files) + 1} files, {size:,} bytes, all as written")
    if photos and (gone := missing(database, whole_folders=True)):
        for row in gone:
            click.echo(f"{row.id:>8}  {row.path}")
        click.echo(
            f"{len(gone):,} of {manifest.count:,} photos are gone; to take them out: "
            f"simpaint index remove {database} --missing"
        )
        ctx.exit(1)


@index.command()
@_database
@_json
def info(database: Path, as_json: bool) -> None:
    """Say what DATABASE holds and how it was made."""
    from dataclasses import asdict

    from ..index_build.manifest import read_manifest

    manifest = read_manifest(database)
    if as_json:
        click.echo(json.dumps(asdict(manifest), indent=1))
        return
    _summary(database, manifest)
    descriptor, source = manifest.descriptor, manifest.source
    settings = ", ".join(f"{key} {value}" for key, value in descriptor.config.items())
    click.echo(f"descriptor {descriptor.name} ({settings}), weights {descriptor.weights_sha256}")
    click.echo(f"photos from {source.kind} {source.root}")
    for folder in source.added:
        click.echo(f"photos added from {source.place(folder)}")
    click.echo(
        f"generation {manifest.generation}, {len(manifest.shards)} shards, "
        f"{manifest.tombstones:,} removed photos not compacted yet, next id {manifest.next_id}"
    )


@index.command()
@_database
@click.option("--type", "index_type", default="auto", show_default=True, help="As in `build`.")
@_limit_memory
def rebuild(database: Path, index_type: str, limit_memory: int | None) -> None:
    """Make another index of DATABASE's vectors, which stay as they are."""
    from ..index_build import IndexConfig, rebuild

    _summary(database, rebuild(database, IndexConfig(index_type, limit_memory), progress_bar))


@index.command()
@_database
@click.argument("photo", type=_path)
@click.option("-k", default=5, show_default=True, type=click.IntRange(1), help="How many photos.")
@click.option("--grid", type=_path, help="Draw the photo and its neighbors as PNG.")
@click.option("--max-score", type=float, help="Leave out what is more similar: copies.")
@click.option("--moved", type=_path, help="Where the database's photos are, for this search.")
@_verify
@_device
@_weights
@_json
def search(
    database: Path,
    photo: Path,
    k: int,
    grid: Path | None,
    max_score: float | None,
    moved: Path | None,
    verify: "Level",
    device: str,
    weights: Path | None,
    as_json: bool,
) -> None:
    """Find the photos of DATABASE that resemble PHOTO."""
    from ..data.photo_files import expect_png
    from ..errors import DatabaseError
    from ..index_build import database_descriptor, read_manifest
    from ..retrieval import ImageDatabase, Match
    from ..retrieval.lookup import draw_matches, search_photo

    def find() -> list[Match]:
        opened = ImageDatabase.open(database, verify, photos=moved)
        descriptor = database_descriptor(database, opened.manifest, weights=weights, device=device)
        some = min(k, max(1, len(opened)))
        matches = search_photo(opened, descriptor, photo, some, max_score=max_score)
        if grid is not None:
            draw_matches(opened, photo, matches, grid)
        return matches

    if grid is not None:
        expect_png(grid)
    before = read_manifest(database)
    try:
        matches = find()
    except DatabaseError:
        if read_manifest(database) == before:
            raise
        matches = find()  # another process has compacted it meanwhile
    if as_json:
        click.echo(json.dumps([match._asdict() for match in matches], indent=1))
        return
    for match in matches:
        click.echo(f"{match.score:.4f}  {match.id:>8}  {match.path}")


@index.command()
@_database
@click.option(
    "-k", default=8, show_default=True, type=click.IntRange(1, 100_000), help="How many each."
)
@click.option("--out", type=_path, required=True, help="Parquet file to write.")
@click.option(
    "--max-score",
    type=float,
    help="What is more similar is a copy.  [default: depends on the descriptor]",
)
@_verify
def neighbors(database: Path, k: int, out: Path, max_score: float | None, verify: "Level") -> None:
    """Write every photo's nearest others, for training: neither itself nor a copy of it.

    Exact, whatever the index is. The file has the columns id, neighbors and scores.
    """
    from ..retrieval import ImageDatabase, write_neighbors

    opened = ImageDatabase.open(database, verify)
    with progress_bar("Comparing", "photos") as progress:
        done = write_neighbors(opened, out, k, max_score=max_score, progress=progress)
    click.echo(
        f"{out}: {k} neighbors of {len(opened):,} photos; copies are more similar than "
        f"{done.max_score}; {done.short:,} photos have fewer than {k}"
    )
