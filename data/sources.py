"""Where photos come from: a folder, a list of paths, a tar, or a Parquet file.

A source only knows names and bytes. What the bytes are worth is for `data.images` to find out.
"""

import os
from codecs import BOM_UTF8
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from ..errors import InputError
from .archives import ParquetSource, SourceKind, TarSource
from .images import read_file

LEADS_OUT: Final = r"^(/|\.\./)"
"""Names of files outside of the root, as an expression for Arrow; see `leads_out`."""

_EXPECTED: Final = "expected a folder, a text file of paths, an uncompressed .tar or a .parquet"


class PhotoSource(Protocol):
    """Named photos in a stable order.

    Attributes:
        kind: what the source is.
        root: the folder that names are relative to, or the tar or Parquet file that holds them.
        earlier: what the root was before it was moved, the last one first; see `place_of`.
    """

    kind: SourceKind
    root: Path
    earlier: tuple[Path, ...]

    @property
    def names(self) -> list[str]:
        """Every photo's name, in an order that does not depend on the file system."""
        ...

    def read(self, name: str) -> bytes:
        """A photo's bytes; several threads may call this at once.

        Raises:
            ImageError: it cannot be read (any more); the message does not name it.
        """
        ...


def open_source(path: Path, exclude: Path | None = None) -> PhotoSource:
    """Find out what `path` is and list its photos.

    A folder is searched with all that is below it, links included, each real folder once; hidden
    files and folders are left out, and every other file counts, whatever its ending. A list is a
    text file with one path a line, relative to the list's folder or absolute, blanks and all.

    Args:
        path: a folder, a `.tar`, a `.parquet`, or a text file.
        exclude: a folder inside a folder of photos that is not searched: the database itself.

    Raises:
        InputError: there is nothing at `path`, or it is damaged or of another kind.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - unlike absolute(), it takes .. away
    if path.is_dir():
        return FileSource("folder", path, list(_walk(path, exclude)))
    if not path.is_file():
        raise InputError(f"{path}: {_EXPECTED}, found nothing")
    ending = path.suffix.lower()
    if ending == ".parquet":
        return ParquetSource(path)
    if ending == ".tar":
        return TarSource(path)
    return FileSource("list", path.parent, _read_list(path))


def reopen_source(kind: SourceKind, root: Path, earlier: tuple[Path, ...] = ()) -> PhotoSource:
    """A source to read known names from; a folder is not searched again.

    Raises:
        InputError: the tar or the Parquet file is missing or damaged.
    """
    if kind in ("folder", "list"):
        return FileSource(kind, root, [], earlier)
    return open_source(root)


def expect_root(kind: SourceKind, root: Path) -> None:
    """Refuse a place that cannot be where the photos of a source were moved to.

    Raises:
        InputError: naming what was expected and what is there.
    """
    expected = "a folder" if kind in ("folder", "list") else "a file"
    found = "a folder" if root.is_dir() else "a file" if root.exists() else "nothing"
    if found != expected:
        raise InputError(f"{root}: expected {expected}, of the database's photos; found {found}")


def file_stamp(source: PhotoSource, name: str) -> str:
    """Size and time of a photo's file, or of the archive it is in; empty where there is none."""
    root = source.root
    file = place_of(root, name, source.earlier) if root.is_dir() else root
    with suppress(OSError):
        status = file.stat()
        return f"{status.st_size} {status.st_mtime_ns}"
    return ""


class FileSource:
    """Photos that are files: names are paths relative to `root` (POSIX), or absolute.

    See `place_of`.
    """

    def __init__(
        self, kind: SourceKind, root: Path, names: list[str], earlier: tuple[Path, ...] = ()
    ) -> None:
        self.kind: SourceKind = kind
        self.root = root
        self.names = names
        self.earlier = earlier

    def read(self, name: str) -> bytes:
        """A photo's bytes."""
        return read_file(place_of(self.root, name, self.earlier))


def _walk(root: Path, exclude: Path | None) -> list[str]:
    """The files below `root`, sorted; linked folders come last, so that real names win."""
    seen = {os.path.realpath(exclude)} if exclude else set()
    pending, found = [root], []
    unreadable: list[str] = []
    while pending:
        links: list[Path] = []
        for top in pending:
            for folder, folders, files in os.walk(
                top, onerror=lambda error: unreadable.append(error.filename)
            ):
                real = os.path.realpath(folder)
                folders[:] = [] if real in seen else [n for n in sorted(folders) if n[0] != "."]
                if real in seen:
                    continue
                seen.add(real)
                here = Path(folder)
                found += [here / name for name in files if name[0] != "."]
                links += [here / name for name in folders if (here / name).is_symlink()]
        pending = sorted(links)
    # A folder that cannot be listed stands in the list itself, so that reading it gives a reason.
    return sorted(path.relative_to(root).as_posix() for path in (*found, *map(Path, unreadable)))


def _read_list(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {_EXPECTED}; cannot be read: {error.strerror}") from error
    if b"\0" in content:
        raise InputError(f"{path}: {_EXPECTED}, found another file")
    lines = content.removeprefix(BOM_UTF8).split(b"\n")  # names may have other ends of lines inside
    written = (line.removesuffix(b"\r") for line in lines if line.strip())
    names = (line.decode("utf-8", "surrogateescape") for line in written)  # as a folder has them
    return list(dict.fromkeys(name_in(path.parent, path.parent / name) for name in names))


def name_in(root: Path, path: Path) -> str:
    """What a source of files calls one: relative to its root, or absolute if it is not below."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - unlike absolute(), it takes .. away
    if whole.is_relative_to(root):
        return whole.relative_to(root).as_posix()
    real, base = whole.resolve(), root.resolve()  # one of them may be named by a link
    return real.relative_to(base).as_posix() if real.is_relative_to(base) else whole.as_posix()


def name_beside(root: Path, path: Path) -> str:
    """What a database calls a file: relative to its root, so that both can move together.

    Where they share no folder but the topmost, as on different disks, the name is absolute.
    """
    name = name_in(root, path)
    if not name.startswith("/") or os.path.commonpath([root, name]) == "/":
        return name
    return Path(os.path.relpath(name, root)).as_posix()


def place_of(root: Path, name: str, earlier: Sequence[Path] = ()) -> Path:
    """The file that is called so: "../" takes a folder off the root's name, link or not.

    What a name that leads out of the root calls may have moved with the root, or stayed: what is
    not beside the root is looked for beside the earlier ones, the last one first.
    """
    if not name.startswith("../"):
        return root / name
    places = [Path(os.path.normpath(top / name)) for top in (root, *earlier)]
    if not earlier:
        return places[0]
    there = [place for place in places if not is_gone(place)]
    there = there or [place for place in places if not is_gone(place.parent)] or places[-1:]
    return there[0]


def leads_out(name: str) -> bool:
    """Whether a file is outside of the root that its name is relative to."""
    return name.startswith(("/", "../"))


def is_gone(file: Path) -> bool:
    """Whether there is no such file; one that cannot be looked at counts as there."""
    try:
        file.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def named_beside(source: PhotoSource) -> PhotoSource:
    """A source as a database names its photos: see `name_beside`."""
    if source.kind != "list":
        return source
    names = (name_beside(source.root, source.root / name) for name in source.names)
    return FileSource(source.kind, source.root, list(dict.fromkeys(names)))
