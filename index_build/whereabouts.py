"""Where a database's photos are: whether they are still there, and saying where they are now."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

import numpy as np
from pyarrow.compute import match_substring_regex

from ..data.files import expect_utf8
from ..data.sources import LEADS_OUT, PhotoSource, expect_root, is_gone, leads_out
from ..errors import ImageError, InputError
from .change import changing, next_state
from .manifest import Manifest, read_manifest
from .publish import publish
from .shards import PhotoRow, photo_rows
from .store import all_rows, read_removed, read_rows

_LOOKED_FOR: Final = 32  # photos below the root and as many others, from all over the database


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

    Photos that were added from outside of the root may have moved with it, or stayed.

    Args:
        database: its folder.
        photos: the folder, the list, the tar or the Parquet file that it was built from, as it is
            called now.

    Raises:
        InputError: nothing like that is there, or none of the photos below the root that were
            looked for.
        DatabaseError: the database is unfinished or damaged, or another process changes it.
    """
    root = Path(os.path.abspath(photos))  # noqa: PTH100 - as `open_source` has it
    with changing(database, "sizes") as manifest:
        kind = manifest.source.kind
        if kind == "list" and root.is_file():
            root = root.parent
        expect_root(kind, root)
        expect_utf8(root)
        place, looked_for = manifest.source.moved_to(root), _some(database, manifest)
        source = place.reopen()
        if source.kind != kind:
            raise InputError(f"{root}: expected a {kind}, found a {source.kind}")
        there = [row for row in looked_for if _holds(source, row)]
        own = [row for row in looked_for if _is_own(manifest, row)] or looked_for
        if own and not any(row in there for row in own):
            raise InputError(
                f"{root}: expected the photos of {database}, found none of {len(own)} that "
                f"were looked for, the first: {own[0].path}"
            )
        if str(root) != manifest.source.root:
            plan = {**manifest.plan, "source": f"{kind} {root}"}  # a repeated build compares it
            manifest = publish(
                database, replace(next_state(manifest), source=place, plan=plan), None
            )
        return Moved(manifest, len(looked_for), len(there))


def expect_photos(database: Path, manifest: Manifest) -> None:
    """Refuse to go on with photos that were moved: all of them would be new ones.

    Raises:
        InputError: none of those that were looked for is below the root.
    """
    root = Path(manifest.source.root)
    if manifest.source.kind in ("tar", "parquet"):
        return
    own = [row for row in _some(database, manifest) if _is_own(manifest, row)]
    if own and all(is_gone(root / row.path) for row in own):
        raise _moved_away(database, root, len(own))


def missing(database: Path, *, whole_folders: bool = False) -> list[PhotoRow]:
    """The photos of a database that are no longer where they were, by id.

    Args:
        database: its folder.
        whole_folders: list those of a folder outside of the root too, if not one is there.

    Raises:
        InputError: not one is below the root, or, without `whole_folders`, in a folder that photos
            were added from, as if they were moved or a disk was away.
        DatabaseError: the database is unfinished or damaged.
    """
    manifest = read_manifest(database)
    where = manifest.source
    held = set(where.reopen().names) if where.kind in ("tar", "parquet") else None
    found, known = list[PhotoRow](), Counter[str]()
    lost = defaultdict[str, list[PhotoRow]](list)
    for row in all_rows(database, manifest):
        folder = "." if _is_own(manifest, row) else _folder_of(row, where.added)
        known[folder] += 1
        if is_gone(where.place(row.path)) if held is None else row.path not in held:
            found.append(row)
            lost[folder].append(row)
    away = [folder for folder, some in lost.items() if len(some) == known[folder]]
    if "." in away:
        raise _moved_away(database, Path(where.root), known["."])
    if away and not whole_folders:
        some = lost[away[0]]
        place = where.place(away[0]) if away[0] else where.place(some[0].path).parent
        raise InputError(
            f"{place}: expected photos of {database}, found none of {len(some)} that were looked "
            "for; if they were deleted, and no disk is away: simpaint index remove "
            f"{database} --missing --whole-folders"
        )
    return found


def _is_own(manifest: Manifest, row: PhotoRow) -> bool:
    """Whether a photo is below the root, or in the archive."""
    return manifest.source.kind in ("tar", "parquet") or not leads_out(row.path)


def _folder_of(row: PhotoRow, added: Collection[str]) -> str:
    """The folder that a photo outside of the root was added from; "" if that is not known."""
    return next((str(up) for up in PurePosixPath(row.path).parents if str(up) in added), "")


def _moved_away(database: Path, root: Path, looked_for: int) -> InputError:
    return InputError(
        f"{root}: expected the photos of {database}, found none of {looked_for} that were looked "
        f"for; if they were moved: simpaint index moved {database} FOLDER"
    )


def _some(database: Path, manifest: Manifest) -> list[PhotoRow]:
    """Some photos from all over a database; all of a small one's."""
    removed, found = read_removed(database, manifest), list[PhotoRow]()
    shards = manifest.shards[:: -(-len(manifest.shards) // _LOOKED_FOR) or 1]
    for shard in shards:
        table = read_rows(database / shard.file)
        kept = ~np.isin(table.column("id").to_numpy(), removed)
        outside = match_substring_regex(table.column("path"), LEADS_OUT).to_numpy()
        for which in (kept & ~outside, kept & outside):  # many of one kind hide none of the other
            rows = np.flatnonzero(which)
            step = -(-len(rows) * len(shards) // _LOOKED_FOR) or 1
            found += photo_rows(table.take(rows[::step]))
    return found


def _holds(source: PhotoSource, row: PhotoRow) -> bool:
    try:
        return hashlib.sha256(source.read(row.path)).hexdigest() == row.sha256
    except ImageError:
        return False
