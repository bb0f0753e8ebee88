"""Changing a finished database: add, remove, compact, rebuild.

A kill at any moment leaves the state before the change or the one after it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data.files import expect_utf8
from ..data.sources import name_beside, name_in
from ..errors import DatabaseError, InputError
from .manifest import Level, Manifest, ShardInfo, open_checked, read_manifest
from .publish import IndexConfig, Stages, choose_index, publish, silently, sweep, writing
from .shards import merged_shards, shard_name, write_table
from .store import all_rows, read_removed, rows_there, write_removed


@contextmanager
def changing(
    database: Path, level: Level = "full", *, with_index: bool = True
) -> Iterator[Manifest]:
    """The manifest of a finished database that nobody else changes meanwhile.

    Every byte is checked where new files are made of the old ones: else damage would get a
    checksum that says it is as written. But not of an index that is made anew.
    """
    expect_utf8(database)
    read_manifest(database)  # before a lock is left in a folder that is no database
    with writing(database):
        yield open_checked(database, level, with_index=with_index)


def next_state(manifest: Manifest) -> Manifest:
    """The manifest that a change begins with."""
    return replace(manifest, generation=manifest.generation + 1)


def without(database: Path, manifest: Manifest, ids: Sequence[int]) -> Manifest:
    """The next state without some photos; the file that says so is written."""
    if not ids:
        return manifest
    removed = np.union1d(read_removed(database, manifest), np.array(ids, np.int64))
    file = f"removed-{manifest.generation:05d}.parquet"
    write_removed(database / file, removed)
    return replace(
        manifest, removed=file, tombstones=len(removed), count=manifest.count - len(set(ids))
    )


def remove(database: Path, ids: Sequence[int] = (), paths: Sequence[str] = ()) -> Manifest:
    """Let photos no longer be found; their files and their vectors stay until `compact`.

    Args:
        database: its folder.
        ids: of photos.
        paths: as the database names them, relative to the root of its source; or of the files, as
            a search gives them.

    Raises:
        DatabaseError: a photo that the database does not have, or a path that is one photo's name
            and another one's file.
    """
    with changing(database, "sizes") as manifest:
        wanted_ids, names = set(ids), {path: _names(manifest, path) for path in paths}
        wanted = set().union(*names.values())
        found: dict[str, int] = {}  # the id of each name
        some_rows = all_rows(database, manifest)
        if not paths:  # a billion rows need not be looked through
            given = np.array([i for i in ids if 0 <= i < manifest.next_id], np.int64)
            given = np.setdiff1d(given, read_removed(database, manifest))
            some_rows = rows_there(database, manifest, given)
        for row in some_rows:
            if row.id in wanted_ids or row.path in wanted:
                found[row.path] = row.id
        chosen = wanted_ids & set(found.values())
        missing: list[int | str] = sorted(wanted_ids - chosen)
        for path, some in names.items():
            there = sorted(some & found.keys())
            if len(there) > 1:
                raise DatabaseError(
                    f"{path}: expected one photo, found {there[0]} and {there[1]} in {database}: "
                    "give the whole path, as a search prints it"
                )
            missing += [] if there else [path]
            chosen.update(found[name] for name in there)
        if missing:
            away = paths and not Path(manifest.source.root).exists()
            hint = f"; if they were moved: simpaint index moved {database} FOLDER" if away else ""
            raise DatabaseError(
                f"{database}: expected photos it holds, found {len(missing)} that it does not, "
                f"the first: {missing[0]}{hint}"
            )
        if not chosen:
            return manifest
        manifest = without(database, next_state(manifest), sorted(chosen))
        return publish(database, manifest, None)


def _names(manifest: Manifest, path: str) -> set[str]:
    """What a database may call the photo that somebody calls so."""
    root = Path(manifest.source.root)
    if manifest.source.kind in ("tar", "parquet"):
        return {path.removeprefix(f"{root}:")}
    files = (root / path, Path(path))
    names = {name(root, file) for name in (name_in, name_beside) for file in files}
    here = Path(path).absolute()
    beside = {name_beside(Path(top), here) for top in manifest.source.earlier}
    return names | {path} | {name for name in beside if manifest.source.place(name) == here}


def compact(
    database: Path, stages: Stages = silently, *, memory_limit: int | None = None
) -> Manifest:
    """Rewrite the shards without removed photos, small ones joined; ids and vectors stay.

    Raises:
        InputError: the index cannot be made of the photos that are left.
        DatabaseError: every photo was removed, or another process changes the database.
    """
    with changing(database) as manifest:
        if not manifest.count:
            raise DatabaseError(f"{database}: every photo was removed; build another database")
        size = int(str(manifest.plan["shard size"]))
        if not manifest.tombstones and not any(s.rows < size for s in manifest.shards[:-1]):
            return manifest
        index = _index_of(database, manifest, memory_limit)
        sweep(database, set(manifest.files))
        shards = tuple(_merged(database, manifest, size))
        manifest = replace(next_state(manifest), shards=shards, removed=None, tombstones=0)
        return publish(database, manifest, index, stages)


def _index_of(database: Path, manifest: Manifest, memory_limit: int | None) -> IndexConfig:
    """The index that a database was made with, if it can be made of the photos that are left."""
    index = IndexConfig(manifest.index.requested, memory_limit)
    try:
        choose_index(index, manifest.count, manifest.d)
    except InputError as error:
        if index.type == "auto":
            raise
        raise InputError(
            f"{error}: `simpaint index rebuild {database} --type auto` first"
        ) from error
    return index


def _merged(database: Path, manifest: Manifest, size: int) -> Iterator[ShardInfo]:
    removed = read_removed(database, manifest)
    tables = merged_shards([database / s.file for s in manifest.shards], removed, size)
    for part, table in enumerate(tables, next_part(manifest)):
        file = shard_name(part)
        write_table(database / file, table)
        yield ShardInfo(file, table.column("id")[0].as_py(), table.num_rows)


def rebuild(database: Path, index: IndexConfig, stages: Stages = silently) -> Manifest:
    """Make another index of the vectors that are there, in place of a lost or damaged one too.

    Raises:
        InputError: the type is unknown, or does not fit the vectors or the memory.
        DatabaseError: the database is unfinished, another of its files is damaged, or another
            process changes it.
    """
    with changing(database, with_index=False) as manifest:
        return publish(database, next_state(manifest), index, stages)


def next_part(manifest: Manifest) -> int:
    """Shard numbers are never used twice."""
    return 1 + max(int(Path(shard.file).stem.partition("-")[2]) for shard in manifest.shards)
