"""Writing files so that a crash, a full disk or a second process never leaves half of one."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from ..errors import InputError, StorageError


@contextmanager
def storage_errors(target: Path) -> Iterator[None]:
    """Turn an `OSError` raised inside into a `StorageError` that names `target`."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it to disk and rename it to `path`.

    Whoever opens `path` sees the old file or the whole new one. After an error `path` is as it was
    and the temporary file is gone; after a kill a `.partial-*` file may stay and is harmless.

    Args:
        path: the file to write or replace; its folder must exist.

    Yields:
        the path to write to, in the same folder and with the same suffix.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    # Not by the process's number alone: other machines may share the folder.
    temporary = path.with_name(f".partial-{os.getpid()}-{token_hex(4)}-{path.name}")
    try:
        with storage_errors(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):  # what was raised before says more
            temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename inside it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents.

    Raises:
        StorageError: it cannot be made, or a file stands in its place.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def expect_utf8(folder: Path) -> None:
    """Refuse a folder that neither a manifest nor FAISS could name.

    Raises:
        InputError: naming it.
    """
    try:
        str(folder.resolve()).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{folder}: expected a folder whose name is UTF-8") from error


def expect_outside(out: Path, read: Iterable[Path]) -> None:
    """Refuse to write over a file that is read, or into a folder that is.

    Args:
        out: the file to write.
        read: files and folders.

    Raises:
        InputError: naming both.
    """
    real = out.resolve()
    for path in read:
        if real == path.resolve() or (path.is_dir() and real.is_relative_to(path.resolve())):
            raise InputError(f"{out}: expected a file outside of what is read, {path}")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
