"""Where a database's photos are: whether they are still there, and saying where they are now."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from ..data.files import expect_utf8
from ..data.sources import PhotoSource, expect_root, place_of, reopen_source
from ..errors import ImageError, InputError
from .change import changing, next_state
from .manifest import Manifest, SourceInfo, read_manifest
from .publish import publish
from .shards import PhotoRow, photo_rows
from .store import all_rows, read_removed, read_rows

_LOOKED_FOR: Final = 32  # photos, from all over the database


class Moved(NamedTuple):
    """What was found where the photos are said to be now.

    Attributes:
        manifest: of the database as it is now.
        looked_for: how many photos were looked for.
        there: how many of them are there, with the bytes that the database describes.
    """

    manifest: Manifest
    looked_for: int
    there: int


def moved(database: Path, photos: Path) -> Moved:
    """Record where the photos of a database are now; vectors, ids and names stay.

    Args:
        database: its folder.
        photos: the folder, the list, the tar or the Parquet file that it was built from, as it is
            called now.

    Raises:
        InputError: nothing like that is there, or none of the photos that were looked for.
        DatabaseError: the database is unfinished or damaged, or another process changes it.
    """
    root = Path(os.path.abspath(photos))  # noqa: PTH100 - as `open_source` has it
    with changing(database, "sizes") as manifest:
        kind = manifest.source.kind
        if kind == "list" and root.is_file():
            root = root.parent
        expect_root(kind, root)
        expect_utf8(root)
        source, looked_for = reopen_source(kind, root), _some(database, manifest)
        if source.kind != kind:
            raise InputError(f"{root}: expected a {kind}, found a {source.kind}")
        there = sum(_holds(source, row) for row in looked_for)
        if looked_for and not there:
            raise InputError(
                f"{root}: expected the photos of {database}, found none of {len(looked_for)} that "
                f"were looked for, the first: {looked_for[0].path}"
            )
        if str(root) != manifest.source.root:
            plan = {**manifest.plan, "source": f"{kind} {root}"}  # a repeated build compares it
            place = SourceInfo(kind, str(root))
            manifest = publish(
                database, replace(next_state(manifest), source=place, plan=plan), None
            )
        return Moved(manifest, len(looked_for), there)


def expect_photos(database: Path, manifest: Manifest) -> None:
    """Refuse to go on with photos that were moved: all of them would be new ones.

    Raises:
        InputError: none of those that were looked for is below the root.
    """
    root = Path(manifest.source.root)
    if manifest.source.kind in ("tar", "parquet"):
        return
    inside = [row for row in _some(database, manifest) if _is_inside(row)]
    if inside and all(is_gone(root / row.path) for row in inside):
        raise _moved_away(database, root, len(inside))


def missing(database: Path) -> list[PhotoRow]:
    """The photos of a database that are no longer where they were, by id.

    Raises:
        InputError: not one is below the root, as if they were moved or a disk was away.
        DatabaseError: the database is unfinished or damaged.
    """
    manifest = read_manifest(database)
    kind, root = manifest.source.kind, Path(manifest.source.root)
    held = set(reopen_source(kind, root).names) if kind in ("tar", "parquet") else None
    found, inside, gone_inside = list[PhotoRow](), 0, 0
    for row in all_rows(database, manifest):
        gone = is_gone(place_of(root, row.path)) if held is None else row.path not in held
        found += [row] if gone else []
        inside += _is_inside(row)
        gone_inside += gone and _is_inside(row)
    if inside and gone_inside == inside:
        raise _moved_away(database, root, inside)
    return found


def _is_inside(row: PhotoRow) -> bool:
    return not row.path.startswith(("/", "../"))


def _moved_away(database: Path, root: Path, looked_for: int) -> InputError:
    return InputError(
        f"{root}: expected the photos of {database}, found none of {looked_for} that were looked "
        f"for; if they were moved: simpaint index moved {database} FOLDER"
    )


def is_gone(file: Path) -> bool:
    """Whether there is no such file; one that cannot be looked at counts as there."""
    try:
        file.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _some(database: Path, manifest: Manifest) -> list[PhotoRow]:
    """Some photos from all over a database; all of a small one's."""
    removed, found = read_removed(database, manifest), list[PhotoRow]()
    shards = manifest.shards[:: -(-len(manifest.shards) // _LOOKED_FOR) or 1]
    for shard in shards:
        table = read_rows(database / shard.file)
        kept = np.flatnonzero(~np.isin(table.column("id").to_numpy(), removed))
        step = -(-len(kept) * len(shards) // _LOOKED_FOR) or 1
        found += photo_rows(table.take(kept[::step]))
    return found


def _holds(source: PhotoSource, row: PhotoRow) -> bool:
    try:
        return hashlib.sha256(source.read(row.path)).hexdigest() == row.sha256
    except ImageError:
        return False
