"""The photos that a network is trained on, with their neighbors from an image database."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from ..data.progress import Progress, silent
from ..data.sources import PhotoSource, open_source, reopen_source
from ..errors import InputError
from ..index_build.build import database_descriptor
from ..index_build.exact import nearest_others
from ..index_build.manifest import Manifest, open_checked
from ..index_build.store import all_rows, iter_vectors
from .batches import PhotoSet, to_float
from .photo_cache import PhotoCache, cache_photos

_BATCH = 64  # photos described at a time


@dataclass(frozen=True)
class Caches:
    """Where decoded photos are kept, shared by all runs beside each other.

    Attributes:
        folder: holds a folder for each source and size.
        size: side of the squares in pixels.
        workers: threads that decode.
        progress: told of photos decoded.
    """

    folder: Path
    size: int
    workers: int = 2
    progress: Progress = silent

    def open(self, source: PhotoSource, names: list[str]) -> PhotoCache:
        """The cache of some photos, made first if it is not there."""
        key = hashlib.sha256("\0".join([str(source.root), *names]).encode()).hexdigest()[:12]
        folder = self.folder / f"{source.root.stem}-{self.size}-{key}"
        return cache_photos(
            source, names, folder, self.size, workers=self.workers, progress=self.progress
        )


def photo_set(photos: Path, caches: Caches) -> PhotoSet:
    """All photos of a folder, list, tar or Parquet file, without neighbors.

    Raises:
        InputError: there is none that can be used.
    """
    source = open_source(photos)
    return PhotoSet.alone(caches.open(source, source.names))


class Shelf:
    """The photos of an image database, from which neighbors are taken.

    Args:
        database: its folder.
        caches: where they are decoded to.

    Raises:
        DatabaseError: it is missing, unfinished or damaged.
    """

    def __init__(self, database: Path, caches: Caches) -> None:
        self._database = database
        self._manifest: Manifest = open_checked(database, "sizes")
        source = reopen_source(self._manifest.source.kind, Path(self._manifest.source.root))
        found = list(all_rows(database, self._manifest))
        self.cache = caches.open(source, [row.path for row in found])
        self._ids = np.array([row.id for row in found], dtype=np.int64)  # ascending

    def training_set(self, table: Path, k: int) -> PhotoSet:
        """The database's photos, each with its neighbors of the leave-one-out table.

        Photos with fewer than k usable neighbors are left out.

        Args:
            table: Parquet with "id" and "neighbors", lists of ids, most similar first.
            k: neighbors for each photo.

        Raises:
            InputError: the table cannot be read, or no photo has k neighbors.
        """
        try:
            columns = pq.read_table(table, columns=["id", "neighbors"])
            ids = columns.column("id").to_numpy().astype(np.int64)
            lists = columns.column("neighbors").to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{table}: expected a table of neighbors: {error}") from error
        padded = np.array([(found + [-1] * k)[:k] for found in lists], dtype=np.int64)
        rows, neighbors = self._rows(ids), self._rows(padded.reshape(-1, k))
        complete = (rows >= 0) & (neighbors >= 0).all(axis=1)
        if not complete.any():
            raise InputError(f"{table}: expected {k} neighbors a photo, found fewer for each")
        return PhotoSet(self.cache, rows[complete], self.cache, neighbors[complete])

    def similar_to(self, photos: PhotoCache, k: int) -> PhotoSet:
        """Photos that are not in the database, each with its k nearest there, found exactly."""
        descriptor = database_descriptor(self._database, self._manifest)
        rows, vectors = photos.usable, []
        for start in range(0, len(rows), _BATCH):
            squares = photos.photos(rows[start : start + _BATCH], descriptor.input_size)
            vectors.append(descriptor(to_float(torch.from_numpy(squares))).numpy())
        queries: NDArray[np.float32] = np.concatenate(vectors)
        stream = iter_vectors(self._database, self._manifest)
        best = nearest_others(queries, np.full(len(queries), -1, dtype=np.int64), stream, k)
        return PhotoSet(photos, rows, self.cache, self._rows(best.ids))

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cache's rows of ids, -1 for those that are unknown or whose photo is unusable."""
        usable = self._ids[self.cache.usable]
        places = np.searchsorted(usable, ids).clip(max=len(usable) - 1)
        return np.where(usable[places] == ids, self.cache.usable[places], -1)
