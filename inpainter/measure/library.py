"""Where neighbors come from in an evaluation: an image database, an album, or both together."""

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from torch import Tensor

from ...data.images import Pixels
from ...data.tensors import to_images, to_pixels
from ...errors import DatabaseError
from ...index_build.descriptors import Descriptor
from ...index_build.exact import Ids, Vectors
from ...index_build.store import all_rows
from ...retrieval.copies import LOOKED_AT, are_copies, distinct
from ...retrieval.database import ImageDatabase
from ...retrieval.deep_search import Scores
from ...retrieval.neighbors import known_copy_score
from ...retrieval.retriever import describe_pictures
from ..train.photo_cache import PhotoCache

ALBUM_IDS: Final = 1 << 48
"""Ids of an album's photos begin here; those of databases are below."""

_COPIES: Final = 64  # of one photo, at most
_BATCH: Final = 64


class Album(NamedTuple):
    """Photos beside the database, described as its photos are.

    Attributes:
        cache: the photos; row i has the id `ALBUM_IDS` + i.
        vectors: (n, d) float32, of every row.
    """

    cache: PhotoCache
    vectors: Vectors


class Library:
    """Photos to be found by descriptor; copies of the query's true photo are never handed out.

    Attributes:
        database: the image database, or None.
        descriptor: what it was built with.
        album: photos beside it, or None.
        copy_score: cosine above which photos count as copies; None where none is known: there
            pixels tell them, of the photos that are most similar.
    """

    def __init__(
        self, database: ImageDatabase | None, descriptor: Descriptor, album: Album | None = None
    ) -> None:
        """Join them.

        Raises:
            DatabaseError: the descriptor is not the database's.
        """
        if database is not None:
            database.check_descriptor(descriptor)
        self.database, self.descriptor, self.album = database, descriptor, album
        self.copy_score = known_copy_score(descriptor)

    def ids(self) -> Ids:
        """Every photo's id: int64 (n,), the database's and then the album's, usable ones only."""
        found: list[Ids] = []
        if self.database is not None:
            rows = all_rows(self.database.folder, self.database.manifest)
            found.append(np.array([row.id for row in rows], dtype=np.int64))
        if self.album is not None:
            found.append(ALBUM_IDS + self.album.cache.usable)
        return np.concatenate(found)

    def describe(self, pictures: Tensor) -> Vectors:
        """Descriptors of (B, 3, H, W) pictures."""
        return describe_pictures(self.descriptor, pictures)

    def search(
        self, vectors: Vectors, k: int, excluded: Sequence[Ids], size: int
    ) -> tuple[Scores, Ids]:
        """The k photos most similar to each query: scores (B, k) and ids, neither of `excluded`.

        A photo that is there twice is taken once, as long as there are others.

        Args:
            vectors: (B, d), the queries.
            k: how many.
            excluded: for each query ids.
            size: side of the squares at which photos are compared.

        Raises:
            DatabaseError: there are fewer than k.
            ImageError: a photo is no longer where it was.
        """
        scores, ids = self._nearest(vectors, 2 * max(k, 1), excluded)
        if k < 1 or ids.shape[1] < k or ids[:, :k].min() < 0:
            raise DatabaseError(
                f"{self._name}: expected {max(k, 1)} photos for every case besides those that are "
                "hidden from it (its own, copies, an album's person), found fewer"
            )

        @cache
        def photo(one: int) -> Pixels:
            return self._squares(np.array([one]), size)[0]

        places = [distinct(*row, k, photo) for row in zip(scores, ids, strict=True)]
        chosen = np.array(places)
        return np.take_along_axis(scores, chosen, axis=1), np.take_along_axis(ids, chosen, axis=1)

    def copies(self, truth: Vectors, pictures: Tensor) -> list[Ids]:
        """For each true photo the ids of its copies.

        Args:
            truth: (B, d), the true photos' descriptors.
            pictures: (B, 3, S, S) in [0, 1], the photos themselves.

        Returns:
            B arrays of int64, empty where there are none.

        Raises:
            ImageError: a photo is no longer where it was.
        """
        most = LOOKED_AT if self.copy_score is None else _COPIES
        scores, ids = self._nearest(truth, most, [np.empty(0, np.int64)] * len(truth))
        if self.copy_score is not None:
            return [row[own > self.copy_score] for row, own in zip(ids, scores, strict=True)]

        @cache
        def photo(one: int) -> Pixels:
            return self._squares(np.array([one]), pictures.shape[-1])[0]

        pairs = zip(to_pixels(pictures), ids, strict=True)
        return [row[are_copies(true, row, photo)] for true, row in pairs]

    def _nearest(self, vectors: Vectors, k: int, excluded: Sequence[Ids]) -> tuple[Scores, Ids]:
        """At most k photos for each query, id -1 and score -inf where there are no more."""
        scores: Scores = np.empty((len(vectors), 0), np.float32)
        ids: Ids = np.empty((len(vectors), 0), np.int64)
        if self.database is not None:
            inside = [one[one < ALBUM_IDS] for one in excluded]
            most = min(k, len(self.database))
            scores, ids = self.database.search(vectors, most, exclude_ids=inside)
        if self.album is not None:
            own = _search_album(self.album, vectors, excluded)
            numbers = np.broadcast_to(ALBUM_IDS + np.arange(own.shape[1]), own.shape)
            scores = np.concatenate([scores, own], axis=1)
            ids = np.concatenate([ids, numbers], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(scores, order, axis=1)
        ids = np.where(np.isfinite(scores), np.take_along_axis(ids, order, axis=1), -1)
        return scores, ids

    def photos(self, ids: Ids, size: int) -> Tensor:
        """Photos (n, 3, size, size) in [0, 1], in the order of ids (n,).

        Raises:
            ImageError: a photo is no longer where it was.
        """
        unique, places = np.unique(ids, return_inverse=True)
        squares = np.stack(self._squares(unique, size))
        return to_images(squares[places.reshape(-1)])

    def _squares(self, ids: Ids, size: int) -> list[Pixels]:
        """Photos of ascending ids."""
        below = ids[ids < ALBUM_IDS]
        pixels = self.database.photos(below, size) if self.database is not None else []
        if self.album is not None:
            pixels = [*pixels, *self.album.cache.photos(ids[len(below) :] - ALBUM_IDS, size)]
        return pixels

    def __len__(self) -> int:
        beside = 0 if self.album is None else len(self.album.cache.usable)
        return beside + (0 if self.database is None else len(self.database))

    @property
    def _name(self) -> str:
        return "the album" if self.database is None else str(self.database.folder)


def describe_cache(cache: PhotoCache, descriptor: Descriptor) -> Album:
    """An album of all photos of a cache."""
    rows = np.arange(len(cache))
    vectors = []
    for start in range(0, len(rows), _BATCH):
        photos = to_images(cache.photos(rows[start : start + _BATCH]))
        vectors.append(describe_pictures(descriptor, photos))
    return Album(cache, np.concatenate(vectors))


def _search_album(album: Album, vectors: Vectors, excluded: Sequence[Ids]) -> Scores:
    """Cosines (B, n) to every photo of an album, -inf where it may not be found."""
    scores: Scores = vectors @ album.vectors.T
    usable = np.zeros(len(album.cache), dtype=bool)
    usable[album.cache.usable] = True
    scores[:, ~usable] = -np.inf
    for row, ids in zip(scores, excluded, strict=True):
        row[ids[ids >= ALBUM_IDS] - ALBUM_IDS] = -np.inf
    return scores
