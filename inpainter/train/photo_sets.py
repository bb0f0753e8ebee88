"""The photos that a network is trained on, with their neighbors from an image database."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...data.progress import Progress, silent
from ...data.sources import PhotoSource, open_source
from ...data.tensors import to_images
from ...errors import InputError
from ...index_build.build import database_descriptor
from ...index_build.descriptors import Descriptor
from ...index_build.exact import Vectors
from ...index_build.store import all_rows, iter_vectors
from ...retrieval.copies import LOOKED_AT, are_copies
from ...retrieval.database import ImageDatabase
from ...retrieval.neighbors import copy_score, known_copy_score, read_neighbors
from ...retrieval.retriever import describe_pictures
from .batches import PhotoSet
from .finder import Finder
from .photo_cache import PhotoCache, cache_photos

_BATCH = 64  # photos described at a time


@dataclass(frozen=True)
class Caches:
    """Where decoded photos are kept, shared by all runs beside each other.

    Attributes:
        folder: holds a folder for each source and size.
        size: side of the squares in pixels.
        progress: told of photos decoded.
        exact: see `cache_photos`.
    """

    folder: Path
    size: int
    progress: Progress = silent
    exact: bool = False

    def open(self, source: PhotoSource, names: list[str]) -> PhotoCache:
        """The cache of some photos, made first if it is not there."""
        named = "\0".join([str(source.root), *names]).encode(errors="surrogateescape")
        key = hashlib.sha256(named).hexdigest()[:12]
        size = f"{self.size}-exact" if self.exact else self.size
        folder = self.folder / f"{source.root.stem}-{size}-{key}"
        return cache_photos(
            source, names, folder, self.size, exact=self.exact, progress=self.progress
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
        moved: where its photos are now, if not where they were when it was built.

    Raises:
        DatabaseError: it is missing, unfinished or damaged.
    """

    def __init__(self, database: Path, caches: Caches, moved: Path | None = None) -> None:
        self._database = ImageDatabase.open(database, "sizes")
        manifest = self._database.manifest
        source = manifest.source.moved_to(moved.absolute()) if moved else manifest.source
        found = list(all_rows(database, manifest))
        names = [row.path for row in found]
        self.cache = caches.open(source.reopen(), names)
        self._ids = np.array([row.id for row in found], dtype=np.int64)  # ascending

    def training_set(self, table: Path, k: int) -> PhotoSet:
        """The database's photos, each with its neighbors of the leave-one-out table.

        Photos with fewer than k usable neighbors are left out.

        Args:
            table: what `retrieval.write_neighbors` wrote.
            k: neighbors for each photo.

        Raises:
            InputError: the table cannot be read or is of other photos, or no photo has k neighbors.
        """
        found = read_neighbors(table, self._database)
        rows, neighbors = self._rows(found.ids), self._rows(found.neighbors[:, :k])
        complete = (rows >= 0) & (neighbors >= 0).all(axis=1)
        if neighbors.shape[1] < k or not complete.any():
            raise InputError(f"{table}: expected {k} neighbors a photo, found fewer for each")
        return PhotoSet(self.cache, rows[complete], self.cache, neighbors[complete])

    def similar_to(self, photos: PhotoCache, k: int) -> PhotoSet:
        """Other photos, each with the k most similar ones of the database that are no copies of it.

        Raises:
            InputError: fewer than k can be found for a photo.
        """
        descriptor = database_descriptor(self._database.folder, self._database.manifest)
        rows, vectors = photos.usable, []
        for start in range(0, len(rows), _BATCH):
            pixels = photos.photos(rows[start : start + _BATCH])
            vectors.append(describe_pictures(descriptor, to_images(pixels)))
        neighbors = self._others(photos, np.concatenate(vectors), descriptor, k)
        if (neighbors < 0).any():
            raise InputError(
                f"{self._database.folder}: expected {k} usable photos for each of "
                f"{photos.folder}, found fewer for {int((neighbors < 0).any(axis=1).sum())}"
            )
        return PhotoSet(photos, rows, self.cache, neighbors)

    def _others(
        self, photos: PhotoCache, vectors: Vectors, descriptor: Descriptor, k: int
    ) -> NDArray[np.int64]:
        """The cache's rows (n, k) of what is most similar to photos and no copy, -1 for too few."""
        score = known_copy_score(descriptor)
        more = 0 if score is not None else LOOKED_AT
        most = max(k, min(k + more, len(self._database)))
        _, ids = self._database.search(vectors, most, max_score=score)
        found = self._rows(ids)
        if score is not None:
            return found
        out = np.full((len(found), k), -1)
        for own, row, kept in zip(photos.usable, found, out, strict=True):
            [photo] = photos.photos([own])
            copies = are_copies(photo, row, lambda one: self.cache.photos([one], photos.size)[0])
            others = row[(row >= 0) & ~copies][:k]
            kept[: len(others)] = others
        return out

    def finder(self, max_score: float | None = None, *, same_folder: bool = False) -> Finder:
        """What finds similar photos while training.

        Args:
            max_score: what is more similar is a copy; if None, what is known of the descriptor.
            same_folder: those of the photo's own folder come first.

        Raises:
            InputError: it is not known what a copy is for the database's descriptor.
        """
        database, manifest = self._database.folder, self._database.manifest
        vectors = np.concatenate([part for _, part in iter_vectors(database, manifest)])
        folders = None
        if same_folder:
            parents = [name.rpartition("/")[0] for name in self.cache.names]
            _, folders = np.unique(parents, return_inverse=True)
        descriptor = database_descriptor(database, manifest)
        if max_score is None:
            max_score = copy_score(manifest)
        return Finder(self.cache, vectors, descriptor, max_score, folders)

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cache's rows of ids, -1 for those that are unknown or whose photo is unusable."""
        usable = self._ids[self.cache.usable]
        places = np.searchsorted(usable, ids).clip(max=len(usable) - 1)
        return np.where(usable[places] == ids, self.cache.usable[places], -1)
