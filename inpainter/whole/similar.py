"""What Sim-K borrows from: a database's photos, the user's own, or, to compare with, anything."""

from collections.abc import Sequence
from functools import partial
from math import nan
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from ...data.images import Pixels, decode, square
from ...data.tensors import to_images
from ...errors import DatabaseError, InputError
from ...index_build.build import database_descriptor
from ...index_build.descriptors import Descriptor
from ...index_build.manifest import Level
from ...index_build.store import all_rows
from ...retrieval.database import ImageDatabase
from ...retrieval.retriever import Retrieved, Retriever, describe_pictures
from .find_faces import FaceFinder, all_faces
from .frames import Frame, Framed
from .places import Whole
from .portraits import SMALLEST, portrait, whole_of

Auxiliary = Literal["database", "random", "noise"]

_CANDIDATES: Final = 24  # photos that may show the same place


class Similar(Protocol):
    """Photos to borrow from."""

    def __call__(self, coarse: Tensor, rngs: Sequence[np.random.Generator]) -> Retrieved:
        """Choose photos.

        Args:
            coarse: (B, 3, S, S) in [0, 1], coarsely filled.
            rngs: one for each picture.
        """

    def whole(self, photo: Pixels) -> list[Whole]:
        """Photos that may show the same place as one without holes, uint8 RGB (H, W, 3)."""

    def portrait(self, number: int) -> Framed | None:
        """A chosen photo's square as large as there is, and what is around it; None of noise."""

    def names(self, ids: Sequence[int]) -> list[str]:
        """What the photos that were chosen are called; none for noise."""


class MostSimilar:
    """The database's photos that look most like the coarse picture (Iskakov 2018, section 3.1)."""

    def __init__(self, database: ImageDatabase, retriever: Retriever) -> None:
        self._database, self._retriever = database, retriever

    def __call__(self, coarse: Tensor, rngs: Sequence[np.random.Generator]) -> Retrieved:  # noqa: ARG002
        """See `Similar`."""
        return self._retriever(coarse)

    def whole(self, photo: Pixels) -> list[Whole]:
        """See `Similar`."""
        found = self._retriever.like(photo, _CANDIDATES)
        return [Whole(number, score, partial(self._read, number)) for score, number in found]

    def portrait(self, number: int) -> Framed:
        """See `Similar`; of a face that `cut_faces` cut out of a photo it is that photo."""
        (path,) = self._database.paths([number])
        return whole_of(Path(path)) or _framed(self._read(number))

    def _read(self, number: int) -> Pixels:
        (photo,) = self._database.photos([number])
        return photo

    def names(self, ids: Sequence[int]) -> list[str]:
        """Paths of the photos."""
        return self._database.paths(ids)


class AnyPhotos:
    """Photos of the database, drawn at random; the scores are NaN (section 5.6)."""

    def __init__(self, database: ImageDatabase, k: int, size: int) -> None:
        rows = all_rows(database.folder, database.manifest)
        self._ids = np.array([row.id for row in rows], dtype=np.int64)
        if len(self._ids) < k:
            raise DatabaseError(
                f"{database.folder}: expected at least {k} photos, found {len(self._ids)}"
            )
        self._database, self._k, self._size = database, k, size

    def __call__(self, coarse: Tensor, rngs: Sequence[np.random.Generator]) -> Retrieved:  # noqa: ARG002
        """See `Similar`."""
        ids = np.stack([rng.choice(self._ids, self._k, replace=False) for rng in rngs])
        photos = self._database.photos(ids.ravel().tolist(), self._size)
        tensor = to_images(np.stack(photos))
        scores = torch.full(ids.shape, torch.nan)
        return Retrieved(tensor.view(*ids.shape, *tensor.shape[1:]), scores, torch.from_numpy(ids))

    def whole(self, photo: Pixels) -> list[Whole]:  # noqa: ARG002
        """None: any photos show other places."""
        return []

    def portrait(self, number: int) -> None:
        """None: and other moments."""
        del number

    def names(self, ids: Sequence[int]) -> list[str]:
        """Paths of the photos."""
        return self._database.paths(ids)


class Noise:
    """Uniform noise in place of photos; scores are NaN, ids count from 0 (section 5.6)."""

    def __init__(self, k: int) -> None:
        self._k = k

    def __call__(self, coarse: Tensor, rngs: Sequence[np.random.Generator]) -> Retrieved:
        """See `Similar`."""
        shape = (self._k, *coarse.shape[1:])
        photos = torch.from_numpy(np.stack([rng.random(shape, np.float32) for rng in rngs]))
        scores = torch.full(photos.shape[:2], torch.nan)
        return Retrieved(photos, scores, torch.arange(self._k).expand(scores.shape))

    def whole(self, photo: Pixels) -> list[Whole]:  # noqa: ARG002
        """None."""
        return []

    def portrait(self, number: int) -> None:
        """None."""
        del number

    def names(self, ids: Sequence[int]) -> list[str]:
        """Noise has no names."""
        return ["noise"] * len(ids)


class Chosen:
    """Photos of the user's choice: their faces, the most similar first; ids count these from 0.

    Attributes:
        faceless: ids of those in which no face was found.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        descriptor: Descriptor,
        k: int,
        size: int,
        finder: FaceFinder,
    ) -> None:
        """Read and describe the photos.

        Args:
            paths: of each the faces are taken, or else the central square.
            descriptor: what tells which are most similar.
            k: faces for each picture.
            size: their side S in pixels.
            finder: finds the faces.

        Raises:
            InputError: fewer than k.
            ImageError: one of them cannot be used.
        """
        if len(paths) < k:
            raise InputError(f"expected at least {k} reference photos, found {len(paths)}")
        squares: list[Pixels] = []
        self._faces: list[tuple[Path, Frame | None]] = []
        for path in paths:
            photo = decode(path)
            frames = _faces(photo, finder)
            squares += [_cut(photo, frame, size) for frame in frames]
            self._faces += [(path, frame) for frame in frames]
        self.faceless = {i for i, (_, frame) in enumerate(self._faces) if frame is None}
        self._photos = to_images(np.stack(squares))  # (n, 3, S, S)
        self._descriptor, self._k = descriptor, k
        self._vectors = torch.from_numpy(describe_pictures(descriptor, self._photos))  # (n, d)

    def __call__(self, coarse: Tensor, rngs: Sequence[np.random.Generator]) -> Retrieved:  # noqa: ARG002
        """See `Similar`."""
        queries = torch.from_numpy(describe_pictures(self._descriptor, coarse))  # (B, d)
        scores, places = (queries @ self._vectors.T).topk(self._k, dim=1)  # (B, K)
        return Retrieved(self._photos[places], scores, places)

    def whole(self, photo: Pixels) -> list[Whole]:  # noqa: ARG002
        """All of them."""
        firsts: dict[Path, int] = {}
        for number, (path, _) in enumerate(self._faces):
            firsts.setdefault(path, number)
        return [
            Whole(number, nan, partial(decode, path), chosen=True, name=str(path))
            for path, number in firsts.items()
        ]

    def portrait(self, number: int) -> Framed:
        """See `Similar`."""
        path, frame = self._faces[number]
        return _framed(decode(path), frame)

    def names(self, ids: Sequence[int]) -> list[str]:
        """Paths of the photos."""
        return [str(self._faces[i][0]) for i in ids]


def from_database(
    folder: Path,
    k: int,
    size: int,
    auxiliary: Auxiliary,
    device: str,
    verify: Level,
    moved: str | Path | None = None,
) -> Similar:
    """Borrow from a database's photos.

    Args:
        folder: the database.
        k: photos for each picture.
        size: their side S in pixels.
        auxiliary: the most similar ones ("database"), or any ("random").
        device: of the descriptor: "auto", "cpu", "cuda", "cuda:1"...
        verify: how the database is checked.
        moved: where its photos are now, if not where they were when it was built.

    Raises:
        DatabaseError: it cannot be used.
    """
    database = ImageDatabase.open(folder, verify, photos=moved)
    if auxiliary == "random":
        return AnyPhotos(database, k, size)
    descriptor = database_descriptor(folder, database.manifest, device=device)
    return MostSimilar(database, Retriever(database, descriptor, k, size))


def _faces(photo: Pixels, finder: FaceFinder) -> Sequence[Frame | None]:
    """The faces of a reference; small ones only where there is no other; None is its middle."""
    faces = all_faces(photo, finder)
    return [face for face in faces if abs(face.side) >= SMALLEST] or faces[:1] or [None]


def _framed(photo: Pixels, frame: Frame | None = None) -> Framed:
    """A photo and its frame, which is the central square's if none is told."""
    height, width = photo.shape[:2]
    side = min(height, width)
    corner = complex((width - side) // 2, (height - side) // 2)
    return Framed(photo, frame or Frame(corner, complex(side)))


def _cut(photo: Pixels, frame: Frame | None, size: int) -> Pixels:
    """A frame's pixels, or the central square's: (size, size, 3)."""
    return square(photo, size) if frame is None else portrait(photo, frame, size)
