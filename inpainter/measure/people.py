"""Who is on the photos of an album, and how far a filled face is from the person's."""

from dataclasses import dataclass
from functools import cache as once

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.progress import Progress, silent
from ...data.tensors import to_images
from ...index_build.faces import DlibDescriptor
from ..train.photo_cache import PhotoCache
from .auxiliaries import Auxiliary
from .library import ALBUM_IDS
from .metrics import Floats

_BATCH = 64


@dataclass(frozen=True)
class People:
    """The photos of several persons.

    Attributes:
        cache: the photos.
        persons: (n,) int64, for each row of the cache who it is.
        faces: (n, 128) float32, dlib's descriptor of each row.
    """

    cache: PhotoCache
    persons: NDArray[np.int64]
    faces: NDArray[np.float32]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The usable photos of persons that have others, ascending."""
        usable = self.cache.usable
        numbers = np.bincount(self.persons[usable])
        several: NDArray[np.int64] = usable[numbers[self.persons[usable]] > 1]
        return several

    def excluded(self, row: int, auxiliary: Auxiliary) -> NDArray[np.int64]:
        """Ids that a query for a row must not find: always itself.

        Of `album` no others, of `person` all but the person's, and else the person's.
        """
        if auxiliary == "album":
            return np.array([ALBUM_IDS + row], dtype=np.int64)
        same = self.persons == self.persons[row]
        hidden = ~same if auxiliary == "person" else same
        hidden[row] = True
        return ALBUM_IDS + np.intersect1d(np.flatnonzero(hidden), self.cache.usable)

    def shares(self, table: pa.Table) -> str:
        """Says how many of the photos that each method was shown are of the person.

        Args:
            table: see `results.join`.
        """
        rows = {name: row for row, name in enumerate(self.cache.names)}
        lines = []
        for method in pc.unique(table["method"]).to_pylist():
            own = table.filter(pc.equal(table["method"], method)).select(["photo", "neighbors"])
            same = [
                number >= ALBUM_IDS
                and self.persons[number - ALBUM_IDS] == self.persons[rows[one["photo"]]]
                for one in own.to_pylist()
                for number in one["neighbors"]
            ]
            lines += [f"{method} {np.mean(same):.0%}"] if same else []
        if not lines:
            return "No method was shown similar photos."
        return (
            f"Of the similar photos that were shown, these are of the person: {', '.join(lines)}."
        )

    def distances(
        self, filled: Tensor, truth: Tensor, rows: NDArray[np.int64]
    ) -> dict[str, Floats]:
        """How far filled faces are from the truth and from the person's other photos.

        Args:
            filled: (B, 3, S, S) uint8.
            truth: (B, 3, S, S) uint8; the face is looked for here, not in the filled photo.
            rows: (B,) rows of the cache.

        Returns:
            `identity_truth` and `identity_others`, the mean over the other photos: (B,) float64
            distances between descriptors of length 1, 0 to 2. Above 0.4, about, dlib takes two
            faces for two persons (0.6 between its own descriptors, which are 1.4 long).
        """
        vectors = identity()(filled.float() / 255, truth.float() / 255)
        to_truth = np.linalg.norm(vectors - self.faces[rows], axis=1)
        to_others = np.empty(len(rows))
        for i, row in enumerate(rows):
            usable = self.cache.usable
            others = usable[(self.persons[usable] == self.persons[row]) & (usable != row)]
            distances = np.linalg.norm(vectors[i] - self.faces[others], axis=1)
            to_others[i] = distances.mean() if len(distances) else np.nan
        return {"identity_truth": to_truth.astype(np.float64), "identity_others": to_others}


def describe_faces(cache: PhotoCache, progress: Progress = silent) -> NDArray[np.float32]:
    """Describe every photo of a cache with dlib: (n, 128) float32."""
    rows, found = np.arange(len(cache)), []
    for start in range(0, len(rows), _BATCH):
        photos = to_images(cache.photos(rows[start : start + _BATCH]))
        found.append(identity()(photos, photos))
        progress(start + len(photos), len(rows))
    return np.concatenate(found)


class _Identity:
    """dlib's descriptor of photos of any size."""

    def __init__(self) -> None:
        self._descriptor = DlibDescriptor({})

    def __call__(self, photos: Tensor, guides: Tensor) -> NDArray[np.float32]:
        side = self._descriptor.input_size
        enlarged = (
            torch.nn.functional.interpolate(x, (side, side), mode="bilinear", antialias=True)
            for x in (photos, guides)
        )
        vectors: NDArray[np.float32] = self._descriptor.describe_as(*enlarged).numpy()
        return vectors


@once
def identity() -> _Identity:
    """The one of this process: dlib's networks take a second to load.

    Raises:
        DependencyError: dlib or its models are not installed.
    """
    return _Identity()
