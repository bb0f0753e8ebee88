"""The manifest of an image database: what it holds, and every other file's size and checksum."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from ..data.archives import SourceKind
from ..data.files import replacing, sha256
from ..data.progress import Progress, silent
from ..data.sources import PhotoSource, place_of, reopen_source
from ..errors import DatabaseError, expect_one_of
from .descriptors import JSON

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
PLAN: Final = "build.json"
"""Stands beside the shards of a build or an addition that has not ended."""

LISTING: Final = "build-listing"
"""Beside it, for a build: the names of the files as they were when it began, NUL after each."""

Level: TypeAlias = Literal["full", "sizes"]

_BLANK: Final = "0" * 64
_START: Final = '{\n "checksum": "'


@dataclass(frozen=True)
class DescriptorInfo:
    """Which descriptor made the vectors."""

    name: str
    config: dict[str, JSON]
    weights_sha256: str


@dataclass(frozen=True)
class SourceInfo:
    """Where the photos are.

    Attributes:
        kind: see `data.sources`.
        root: what the paths in the shards are relative to, or the tar or Parquet file; absolute.
        earlier: what the root was before it was moved, the last one first: photos outside of it
            may have stayed.
        added: folders outside of the root that photos were added from, called as photos are.
    """

    kind: SourceKind
    root: str
    earlier: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def moved_to(self, root: Path) -> "SourceInfo":
        """The same photos with another root."""
        known = (self.root, *self.earlier)
        return replace(
            self, root=str(root), earlier=tuple(top for top in known if top != str(root))
        )

    def place(self, name: str) -> Path:
        """Where a photo's file is; not for archives."""
        return place_of(Path(self.root), name, [Path(top) for top in self.earlier])

    def reopen(self) -> PhotoSource:
        """A source to read the photos from; see `reopen_source`."""
        return reopen_source(self.kind, Path(self.root), tuple(map(Path, self.earlier)))


@dataclass(frozen=True)
class IndexInfo:
    """The FAISS index that was derived from the shards.

    Attributes:
        file: its name in the database's folder.
        type: the faiss factory string.
        parameters: what a search sets, `nprobe` or `efSearch`.
        recall: of the ten nearest, the share found in a sample against exact search.
        requested: the type asked for, "auto" where the choice was ours.
        reason: why this type, in one line.
    """

    file: str
    type: str
    parameters: dict[str, int]
    recall: float
    requested: str
    reason: str


@dataclass(frozen=True)
class ShardInfo:
    """One Parquet file of photos: `rows` of them, ids ascending from `first_id` or above."""

    file: str
    first_id: int
    rows: int


@dataclass(frozen=True)
class FileInfo:
    """A file as it was written."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A finished database.

    Every file that a later change replaces carries the `generation` in its name, so that the files
    of one manifest never change under whoever reads it.

    Attributes:
        generation: counts the changes since the build, which is 1.
        descriptor: what made the vectors.
        d: their dimension.
        count: the photos that a search can find.
        source: where the photos are.
        next_id: the id that the next photo added may have; ids are never used twice.
        tombstones: photos removed but still in the shards.
        skipped_count: the files that could not be used.
        index: the FAISS index.
        shards: in the order of their ids.
        skipped: the file that names what could not be used, and why.
        removed: the file of removed ids, if there are any.
        whitening: the whitening's file, if there is one.
        plan: the configuration of the build, as `build_index` compares it.
        files: every file of the database but this one.
        metric: how vectors are compared.
    """

    generation: int
    descriptor: DescriptorInfo
    d: int
    count: int
    source: SourceInfo
    next_id: int
    tombstones: int
    skipped_count: int
    index: IndexInfo
    shards: tuple[ShardInfo, ...]
    skipped: str
    removed: str | None
    whitening: str | None
    plan: dict[str, JSON]
    files: dict[str, FileInfo]
    metric: Literal["inner_product"] = "inner_product"


def read_manifest(folder: Path) -> Manifest:
    """Read and check a database's manifest, but not the files it names: see `check_files`.

    Raises:
        DatabaseError: no such folder, an unfinished build, a newer format, or a damaged manifest.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatabaseError(_why_missing(folder, error)) from error
    values = _checked(path, content)
    if values["format"] != FORMAT:
        raise DatabaseError(
            f"{path}: expected format {FORMAT}, found {values['format']}: "
            "made by another version of simpaint"
        )
    del values["format"], values["checksum"]
    return Manifest(
        **{
            **values,
            "descriptor": DescriptorInfo(**values["descriptor"]),
            "source": _source_of(values["source"]),
            "index": IndexInfo(**values["index"]),
            "shards": tuple(ShardInfo(**shard) for shard in values["shards"]),
            "files": {name: FileInfo(**info) for name, info in values["files"].items()},
        }
    )


def _source_of(values: dict[str, Any]) -> SourceInfo:
    """Where the photos are; old databases know of no earlier root and of no folder added."""
    more = (tuple(values.get(name, ())) for name in ("earlier", "added"))
    return SourceInfo(values["kind"], values["root"], *more)


def _why_missing(folder: Path, error: OSError) -> str:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        return f"{folder}: expected an image database, found {found}"
    if (folder / PLAN).exists():
        return f"{folder}: an unfinished build; repeat `simpaint index build` to finish it"
    if isinstance(error, FileNotFoundError):
        return f"{folder}: expected an image database, found a folder without {MANIFEST}"
    return f"{folder / MANIFEST}: cannot be read: {error.strerror or error}"


def _checked(path: Path, content: bytes) -> dict[str, Any]:
    """The manifest's values, once its own checksum holds for every byte of it."""
    start = len(_START)
    stated = content[start : start + len(_BLANK)]
    blank = content[:start] + _BLANK.encode() + content[start + len(_BLANK) :]
    actual = hashlib.sha256(blank).hexdigest()
    if stated != actual.encode():
        raise DatabaseError(
            f"{path}: damaged: expected the checksum {stated.decode('ascii', 'replace')!r}, "
            f"found {actual}"
        )
    values: dict[str, Any] = json.loads(content)
    return values


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, atomically: with this, and not before, a change is there.

    The checksum is of the file's bytes with the checksum's own digits as zeros.

    Raises:
        StorageError: it cannot be written.
    """
    values = {"checksum": _BLANK, "format": FORMAT, **asdict(manifest)}
    text = json.dumps(values, indent=1) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(text.replace(_BLANK, digest, 1), "utf-8")


def describe_file(path: Path) -> FileInfo:
    """A file's size and checksum."""
    return FileInfo(path.stat().st_size, sha256(path))


def check_files(
    folder: Path,
    manifest: Manifest,
    level: Level = "full",
    progress: Progress = silent,
    *,
    with_index: bool = True,
) -> None:
    """Compare every file with what the manifest says of it.

    Args:
        folder: the database.
        manifest: its manifest.
        level: "full" reads every byte; "sizes" finds what is missing or cut, but no flipped bit.
        progress: told of bytes.
        with_index: the FAISS index too, which can be made anew of the others.

    Raises:
        DatabaseError: naming the first file that differs, what was expected and what was found.
    """
    expect_one_of("verify", level, get_args(Level))
    done, total = 0, sum(info.size for info in manifest.files.values())
    for name, info in manifest.files.items():
        progress(done, total)
        done += info.size
        path, help_ = folder / name, ""
        if name == manifest.index.file:
            if not with_index:
                continue
            help_ = f"; to make it anew: simpaint index rebuild {folder}"
        try:
            size = path.stat().st_size
            if size != info.size:
                raise DatabaseError(f"{path}: expected {info.size} bytes, found {size}{help_}")
            if level == "full" and (found := sha256(path)) != info.sha256:
                raise DatabaseError(
                    f"{path}: damaged: expected SHA-256 {info.sha256}, found {found}{help_}"
                )
        except OSError as error:
            raise DatabaseError(
                f"{path}: expected {info.size} bytes, cannot be read: {error.strerror}{help_}"
            ) from error
    progress(total, total)


def open_checked(
    folder: Path,
    level: Level = "full",
    progress: Progress = silent,
    *,
    with_index: bool = True,
) -> Manifest:
    """The manifest of a database whose files were checked, even while another process changes it.

    A change that ends between the two steps takes files of the old state away; then the new state
    is read.

    Raises:
        DatabaseError: as `read_manifest` and `check_files`.
    """
    while True:
        manifest = read_manifest(folder)
        try:
            check_files(folder, manifest, level, progress, with_index=with_index)
        except DatabaseError:
            if read_manifest(folder) == manifest:
                raise
        else:
            return manifest
