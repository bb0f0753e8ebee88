"""An image database to search in."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from math import isfinite, isnan
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..data.files import expect_outside, expect_utf8
from ..data.images import Pixels, decode
from ..data.sources import PhotoSource, expect_root
from ..errors import DatabaseError, ImageError, InputError
from ..index_build.descriptors import Descriptor
from ..index_build.exact import Ids, Vectors
from ..index_build.faiss_index import read_index
from ..index_build.faiss_library import at_most_threads, count_gpus, import_faiss
from ..index_build.faiss_tuning import most_effort, options, to_gpu
from ..index_build.manifest import DescriptorInfo, Level, Manifest, open_checked, read_manifest
from ..index_build.shards import PhotoRow
from ..index_build.store import read_removed, read_rows, rows
from .deep_search import Scores, search_deeper

Excluded: TypeAlias = NDArray[np.int64] | Sequence[NDArray[np.int64] | Sequence[int]]
"""For every query the ids it must not find: (n, m), or n lists of any length."""

_ATTEMPTS: Final = 10
_GPU_DEPTH: Final = 2048  # a GPU returns no more results than this
_READERS: Final = min(8, os.cpu_count() or 1)
_READ_ALONE: Final = 8  # photos that are read before other threads would have begun
_SHARDS: Final = 128  # whose photos' paths are remembered, 0.6 MB each


class ImageDatabase:
    """Photos that can be found by descriptor: opened with `ImageDatabase.open`.

    Several threads may search at once. A database that another process changes meanwhile stays
    readable in the state it was opened in, until that one compacts it.

    Attributes:
        folder: where it is.
        manifest: what it holds.
    """

    def __init__(self, folder: Path, manifest: Manifest, photos: Path | None = None) -> None:
        """Open the files of a manifest that were checked: see `open`."""
        if photos is not None:
            expect_root(manifest.source.kind, photos)
        path = folder / manifest.index.file
        self.folder, self.manifest = folder, manifest
        self._index = read_index(path, manifest.index.parameters)
        if self._index.d != manifest.d or self._index.ntotal < manifest.count:
            raise DatabaseError(
                f"{path}: expected {manifest.count} vectors of {manifest.d} dimensions, "
                f"found {self._index.ntotal} of {self._index.d}"
            )
        self._on_gpu = to_gpu(self._index) if count_gpus(import_faiss()) else None
        self._gpu_lock = Lock()  # FAISS lets several threads search on the CPU only
        self._removed = np.sort(read_removed(folder, manifest))
        self._where = manifest.source.moved_to(photos) if photos else manifest.source
        self._read_rows = lru_cache(_SHARDS)(read_rows)  # shards never change

    @classmethod
    def open(
        cls, folder: str | Path, verify: Level = "full", *, photos: str | Path | None = None
    ) -> "ImageDatabase":
        """Check a database's files and open it; the vectors stay on disk until they are searched.

        If another process changes the database meanwhile, its new state is opened.

        Args:
            folder: the database.
            verify: "full" reads every byte before FAISS does; "sizes" is for huge databases.
            photos: where the photos are now, if they were moved since the build.

        Raises:
            DatabaseError: missing, unfinished, damaged, or made by another version.
            InputError: nothing is where the photos are said to be, or the name is not UTF-8.
            DependencyError: FAISS is not installed.
        """
        import_faiss()
        expect_utf8(Path(folder))
        folder, moved = Path(folder), None if photos is None else Path(photos)
        for _ in range(_ATTEMPTS):
            manifest = open_checked(folder, verify)
            try:
                return cls(folder, manifest, moved)
            except DatabaseError:
                if read_manifest(folder) == manifest:
                    raise
        raise DatabaseError(f"{folder}: changed {_ATTEMPTS} times while it was being opened")

    def __len__(self) -> int:
        return self.manifest.count

    @property
    def descriptor(self) -> DescriptorInfo:
        """What made the vectors."""
        return self.manifest.descriptor

    def check_descriptor(self, descriptor: Descriptor) -> None:
        """Refuse a descriptor whose vectors cannot be compared with those of the database.

        Raises:
            DatabaseError: naming both.
        """
        info = self.descriptor
        expected = (info.name, self.manifest.d, info.weights_sha256, info.config)
        found = (descriptor.name, descriptor.d, descriptor.weights_sha256, descriptor.config)
        if expected != found:
            raise DatabaseError(
                f"{self.folder}: expected the descriptor {_say(*expected)}, found {_say(*found)}"
            )

    def search(
        self,
        descriptors: Vectors,
        k: int,
        *,
        exclude_ids: Excluded | None = None,
        max_score: float | None = None,
    ) -> tuple[Scores, Ids]:
        """Find the k most similar photos of each query.

        Removed photos are never found. Where results are dropped, the search goes deeper, so that
        k are returned as long as there are so many.

        Args:
            descriptors: (n, d) float32, rows of length 1, of the database's descriptor.
            k: how many, at least 1.
            exclude_ids: for every query the ids it must not find, (n, m) or n lists.
            max_score: results more similar than this are dropped: copies of the query.

        Returns:
            scores (n, k) float32 cosines, descending, -inf where there are fewer than k; and ids
            (n, k) int64, -1 there. Index types that shorten vectors (PCA, product quantisers) give
            what they make of cosines: `max_score` is compared with that.

        Raises:
            InputError: another shape or type, numbers that are not finite or none, or k below 1.
        """
        if max_score is not None and isnan(max_score):
            raise InputError("max_score: expected a number, found nan")
        k = int(k)  # FAISS takes no NumPy integers
        self._check(descriptors, k)
        queries = np.ascontiguousarray(descriptors)
        total = self._index.ntotal
        anything = exclude_ids is None and max_score is None and not len(self._removed)
        if anything and k <= total:  # some types never end a search for more than there is
            scores, ids = self._search(queries, k, 1)
            if not len(ids) or ids.min() >= 0:
                return scores, ids
        excluded = _excluded(exclude_ids, len(queries))

        def drop(numbers: Ids, scores: Scores, ids: Ids) -> NDArray[np.bool_]:
            dropped = np.isin(ids, self._removed)
            if max_score is not None:
                dropped |= scores > max_score
            for row, number in enumerate(numbers if excluded else ()):
                dropped[row] |= np.isin(ids[row], excluded[number])
            return dropped

        most_dropped = max(map(len, excluded), default=0)
        share = len(self.manifest.shards) and self.manifest.tombstones / total
        return search_deeper(
            self._search,
            queries,
            k,
            drop,
            depth=int((k + most_dropped) * (1 + 2 * share)),
            deepest=total,
            most=most_effort(self._index, self.manifest.index.parameters),
        )

    def _check(self, descriptors: Vectors, k: int) -> None:
        if k < 1:
            raise InputError(f"k: expected at least 1, found {k}")
        if (
            not isinstance(descriptors, np.ndarray)
            or descriptors.dtype != np.float32
            or descriptors.ndim != 2
            or descriptors.shape[1] != self.manifest.d
        ):
            found = f"{getattr(descriptors, 'dtype', type(descriptors).__name__)} "
            found += f"{tuple(getattr(descriptors, 'shape', ()))}"
            raise InputError(
                f"descriptors: expected a float32 array (n, {self.manifest.d}), found {found}"
            )
        # The sum of squares is not finite as soon as one number is not, and quick to have.
        if not isfinite(np.vdot(descriptors, descriptors)):
            raise InputError("descriptors: expected finite numbers, found others")

    def _search(self, queries: Vectors, depth: int, effort: int) -> tuple[Scores, Ids]:
        """One call of FAISS; on the GPU where it can go that deep."""
        if self._on_gpu is not None and depth <= _GPU_DEPTH and effort == 1:
            with self._gpu_lock:
                scores, ids = self._on_gpu.search(queries, depth)
            return scores, ids
        more = options(self._index, self.manifest.index.parameters, effort) if effort > 1 else None
        with at_most_threads(len(queries)):
            scores, ids = self._index.search(queries, depth, params=more)
        return scores, ids

    def rows(self, ids: Iterable[int]) -> list[PhotoRow]:
        """What the database knows of photos, in the order of `ids`.

        Raises:
            DatabaseError: an id that it does not have.
        """
        return rows(self.folder, self.manifest, [int(photo) for photo in ids], self._read_rows)

    def paths(self, ids: Iterable[int]) -> list[str]:
        """Where photos are: paths of files, or "ARCHIVE:NAME" inside a tar or a Parquet file.

        Raises:
            DatabaseError: an id that the database does not have.
        """
        return [self._place(row.path) for row in self.rows(ids)]

    def _place(self, name: str) -> str:
        where = self._where
        inside = where.kind in ("tar", "parquet")
        return f"{where.root}:{name}" if inside else str(where.place(name))

    def expect_outside(self, out: Path, *others: Path) -> None:
        """Refuse to write over the database, the archive that its photos are in, or other files.

        Raises:
            InputError: naming both.
        """
        where = self._where
        archive = [Path(where.root)] if where.kind in ("tar", "parquet") else []
        expect_outside(out, [self.folder, *archive, *others])

    def photos(self, ids: Iterable[int], size: int | None = None) -> list[Pixels]:
        """Read photos, several at a time.

        Args:
            ids: which.
            size: side of the largest central square to make of each; None for the whole photo.

        Returns:
            uint8 RGB (H, W, 3), in the order of `ids`.

        Raises:
            DatabaseError: an id that the database does not have.
            ImageError: a photo is no longer where it was, or another one is in its place.
        """
        some = self.rows(ids)
        if len(some) <= _READ_ALONE:
            return [self._photo(row, size) for row in some]
        with ThreadPoolExecutor(_READERS, "photos") as pool:
            return list(pool.map(lambda row: self._photo(row, size), some))

    def _photo(self, row: PhotoRow, size: int | None) -> Pixels:
        name, place = row.path, self._place(row.path)
        try:
            content = self._source.read(name)
        except ImageError as error:
            moved = "" if Path(name).is_absolute() else ", say where they were moved to (--moved)"
            raise ImageError(
                f"{place}: {error}: bring the database's photos back{moved}, or take this one out "
                "(simpaint index remove)"
            ) from error
        if hashlib.sha256(content).hexdigest() != row.sha256:
            raise ImageError(
                f"{place}: holds another photo now than the database knows: bring that one back, "
                "or let `simpaint index add` take this one in"
            )
        return decode(content, name=place, side=size)

    @cached_property
    def _source(self) -> PhotoSource:
        return self._where.reopen()


def _excluded(exclude_ids: Excluded | None, n: int) -> list[Ids]:
    if exclude_ids is None:
        return []
    if len(exclude_ids) != n:
        raise InputError(
            f"exclude_ids: expected one list for each of {n} queries, found {len(exclude_ids)}"
        )
    return [np.unique(np.asarray(ids, np.int64)) for ids in exclude_ids]


def _say(name: str, d: int, weights: str, config: dict[str, Any]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in sorted(config.items()) if key != "name")
    return f"{name} ({options}; {d} dimensions; weights {weights[:12]})"
