"""Photos inside one file: a tar, or a Parquet file with an image column."""

import logging
import os
import posixpath
import tarfile
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

from ..errors import ImageError, InputError
from .images import MAX_BYTES

SourceKind = Literal["folder", "list", "tar", "parquet"]

_logger = logging.getLogger(__name__)

_Place = tuple[int, int]  # offset and size

_USUAL_COLUMNS: Final = ("image", "img", "photo", "picture", "jpg", "jpeg", "png", "webp")
_LARGE_GROUP: Final = 256 << 20  # bytes
_ROW_GROUPS_KEPT: Final = 2  # photos are read in order: the group in use and the one before


class TarSource:
    """Photos in an uncompressed tar, read by their offset; of equal names the last one counts."""

    def __init__(self, root: Path) -> None:
        self.kind: SourceKind = "tar"
        self.root = root
        self.earlier: tuple[Path, ...] = ()
        self._places: dict[str, _Place | None] = {}
        links: dict[str, str] = {}
        for name, place, link, hard in _tar_members(root):
            links.pop(name, None)
            if link and (link in links or not hard):  # to what has that name in the end
                links[name] = link
            self._places[name] = self._places.get(link) if hard else place
        for name in links:
            seen, end = {name}, links[name]
            while end in links and end not in seen:
                seen.add(end)
                end = links[end]
            self._places[name] = self._places.get(end)
        self._file = root.open("rb")

    @cached_property
    def names(self) -> list[str]:
        """The regular files inside, in the tar's own order."""
        return list(self._places)

    def read(self, name: str) -> bytes:
        """A photo's bytes.

        Raises:
            ImageError: it is not in the tar, is no file there, too large, or cannot be read whole.
        """
        if name not in self._places:
            raise ImageError("it is no longer in the tar")
        place = self._places[name]
        if place is None:
            raise ImageError("expected a file, found a link to none in the tar, or a device")
        offset, size = place
        if size > MAX_BYTES:
            raise ImageError(f"{size} bytes, more than the {MAX_BYTES} a photo may have")
        try:
            content = os.pread(self._file.fileno(), size, offset)
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror or error}") from error
        if len(content) != size:
            raise ImageError(f"expected {size} bytes in the tar, found {len(content)}")
        return content


def _tar_members(root: Path) -> Iterator[tuple[str, "_Place | None", str, bool]]:
    """Each member but folders: name; place, if it is a file; what it links to; if that is hard."""
    try:
        with tarfile.open(root, "r:") as tar:
            for member in tar:
                tar.members.clear()  # type: ignore[attr-defined]  # all of them would stay
                if member.isdir() or _hidden(member.name):
                    continue
                whole = member.isreg() and not member.issparse()
                link = member.linkname if member.islnk() else ""
                if member.issym():
                    link = posixpath.normpath(f"{posixpath.dirname(member.name)}/{member.linkname}")
                    link = link.removeprefix("/")
                place = (member.offset_data, member.size) if whole else None
                yield member.name, place, link, member.islnk()
            end = tar.offset
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{root}: expected an uncompressed tar, found: {error}") from error
    with root.open("rb") as file:  # tarfile takes a damaged header for the end
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise InputError(f"{root}: expected a tar, found a damaged header at byte {end}")


def _hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


class ParquetSource:
    """Photos in a Parquet column of bytes, or of structs with `bytes` (and `path`), a row each.

    A name is the row's number, followed by ":PATH" where the column has paths: "12:face.jpg".

    Raises:
        InputError: no Parquet file, or one without a column of bytes.
    """

    def __init__(self, root: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.kind: SourceKind = "parquet"
        self.root = root
        self.earlier: tuple[Path, ...] = ()
        try:
            self._file = pq.ParquetFile(root)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{root}: expected a Parquet file, found: {error}") from error
        self._column, self._struct, self._has_paths = _image_column(self._file.schema_arrow, root)
        metadata = self._file.metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._ends = list(accumulate(sizes))
        self._groups: OrderedDict[int, Any] = OrderedDict()  # number -> its column
        self._lock = Lock()

    @cached_property
    def names(self) -> list[str]:
        """One name a row, in the file's order."""
        import pyarrow as pa

        if (largest := self._largest_group()) > _LARGE_GROUP:
            _logger.warning(
                "%s: has a row group with %s MB of photos, which is read whole and takes several "
                "times that in memory; a file of smaller row groups takes less",
                self.root,
                f"{largest / 1e6:,.0f}",
            )
        count = self._file.metadata.num_rows
        if not self._has_paths:
            return [str(row) for row in range(count)]
        column = f"{self._column}.path"
        try:
            table = self._file.read(columns=[column])
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.root}: expected a column {column}, found: {error}") from error
        paths = ((row or {}).get("path") for row in table.column(0).to_pylist())
        return [_row_name(row, path) for row, path in enumerate(paths)]

    def read(self, name: str) -> bytes:
        """A photo's bytes; its row group is read whole and kept for the next rows.

        Raises:
            ImageError: there is no such row, it is another photo's now, it holds no bytes, or it
                cannot be read.
        """
        from bisect import bisect_right

        import pyarrow as pa

        row = int(name.partition(":")[0])
        group = bisect_right(self._ends, row)
        if group == len(self._ends):
            raise ImageError(f"row {row} is not in the file")
        try:
            column = self._group(group)
        except (pa.ArrowException, OSError) as error:
            raise ImageError(f"row group {group} cannot be read: {error}") from error
        value = column[row - (self._ends[group - 1] if group else 0)].as_py()
        if not self._struct:
            value = {"bytes": value}
        if (found := _row_name(row, (value or {}).get("path"))) != name:
            raise ImageError(f"row {row} of the file is {found} now")
        if value is None or value["bytes"] is None:
            raise ImageError("the row holds no bytes")
        content: bytes = value["bytes"]
        return content

    def _largest_group(self) -> int:
        """Bytes of photos in the largest row group."""
        metadata, largest = self._file.metadata, 0
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            columns = map(group.column, range(group.num_columns))
            own = (c for c in columns if c.path_in_schema.partition(".")[0] == self._column)
            largest = max(largest, sum(c.total_uncompressed_size for c in own))
        return largest

    def _group(self, group: int) -> Any:  # noqa: ANN401 - pyarrow has no types
        with self._lock:
            if group not in self._groups:
                leaves = [f"{self._column}.bytes"] if self._struct else [self._column]
                leaves += [f"{self._column}.path"] if self._has_paths else []
                self._groups[group] = self._file.read_row_group(group, columns=leaves).column(0)
                if len(self._groups) > _ROW_GROUPS_KEPT:
                    self._groups.popitem(last=False)
            self._groups.move_to_end(group)
            return self._groups[group]


def _row_name(row: int, path: object) -> str:
    return f"{row}:{path}" if path else str(row)


def _image_column(schema: Any, root: Path) -> tuple[str, bool, bool]:  # noqa: ANN401 - as above
    """(name, whether it is a struct, whether it has paths) of the column that holds photos."""
    import pyarrow as pa

    def is_bytes(kind: Any) -> bool:  # noqa: ANN401 - as above
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    candidates = {}
    for field in schema:
        inner = {f.name: f.type for f in field.type} if pa.types.is_struct(field.type) else {}
        if is_bytes(field.type) or ("bytes" in inner and is_bytes(inner["bytes"])):
            candidates[field.name] = (field.name, bool(inner), "path" in inner)
    if not candidates:
        raise InputError(
            f"{root}: expected a column of image bytes, found the columns {', '.join(schema.names)}"
        )
    usual = next((name for name in _USUAL_COLUMNS if name in candidates), None)
    return candidates[usual] if usual else next(iter(candidates.values()))
