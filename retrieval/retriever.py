"""The second step of filling a hole: a coarse picture to the photos that resemble it."""

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.images import Pixels, square
from ..data.tensors import to_images, to_pixels
from ..errors import DatabaseError, InputError
from ..index_build.descriptors import Descriptor
from ..index_build.exact import Vectors
from .copies import distinct
from .database import Excluded, ImageDatabase

_ROUNDED: Final = 0.1  # resampling may pass black and white a little


class Retrieved(NamedTuple):
    """The photos most similar to each of B pictures.

    Attributes:
        photos: (B, K, 3, S, S) float32 RGB in [0, 1], the most similar first.
        scores: (B, K) float32 cosines, descending.
        ids: (B, K) int64.
    """

    photos: Tensor
    scores: Tensor
    ids: Tensor


class Retriever:
    """Coarse pictures in, the K most similar photos of a database out.

    A photo that the database holds twice, of another size or compression even, is taken once, as
    long as there are others: the second shows nothing new.
    """

    def __init__(self, database: ImageDatabase, descriptor: Descriptor, k: int, size: int) -> None:
        """Join a database and its descriptor.

        Args:
            database: where to look.
            descriptor: the one that the database was built with.
            k: photos for each picture.
            size: side S of the photos, in pixels.

        Raises:
            DatabaseError: another descriptor, or fewer than k photos.
        """
        database.check_descriptor(descriptor)
        if len(database) < k:
            raise DatabaseError(
                f"{database.folder}: expected at least {k} photos, found {len(database)}"
            )
        self._database, self._descriptor = database, descriptor
        self._k, self._size = k, size

    def __call__(
        self,
        pictures: Tensor,
        *,
        exclude_ids: Excluded | None = None,
        max_score: float | None = None,
    ) -> Retrieved:
        """Find photos.

        Args:
            pictures: (B, 3, H, W) float32 RGB in [0, 1], without holes.
            exclude_ids: for every picture the ids it must not find.
            max_score: photos more similar than this are not taken.

        Raises:
            InputError: another shape or type.
            DatabaseError: fewer than K photos are left for a picture.
            ImageError: a photo is no longer where it was.
        """
        vectors = describe_pictures(self._descriptor, pictures)
        scores, ids = self._database.search(
            vectors, 2 * self._k, exclude_ids=exclude_ids, max_score=max_score
        )
        first = ids[:, : self._k]
        if first.min(initial=0) < 0:
            raise DatabaseError(
                f"{self._database.folder}: expected {self._k} photos for every picture, "
                f"found {int((first >= 0).sum(1).min())} for one"
            )
        unique = np.unique(first).tolist()
        read = self._database.photos(unique, self._size)
        photos: dict[int, Pixels] = dict(zip(unique, read, strict=True))

        def photo(one: int) -> Pixels:
            if one not in photos:
                photos[one] = self._database.photos([one], self._size)[0]
            return photos[one]

        rows = zip(scores, ids, strict=True)
        places = np.array([distinct(*row, self._k, photo) for row in rows])
        scores = np.take_along_axis(scores, places, axis=1)
        ids = np.take_along_axis(ids, places, axis=1)
        chosen = to_images(np.stack([photo(i) for i in ids.ravel().tolist()]))  # (B K, 3, S, S)
        chosen = chosen.view(*ids.shape, *chosen.shape[1:])
        return Retrieved(chosen, torch.from_numpy(scores), torch.from_numpy(ids))

    def like(self, photo: Pixels, count: int) -> list[tuple[float, int]]:
        """Scores and ids of the photos most similar to another, the most similar first.

        Args:
            photo: uint8 RGB (H, W, 3), without holes; what is seen of it is its central square, as
                it is of the database's.
            count: how many; fewer come back where there are fewer.
        """
        seen = square(photo, self._descriptor.input_size)
        query = describe_pictures(self._descriptor, to_images(seen[None]))
        scores, ids = self._database.search(query, min(count, len(self._database)))
        there = ids[0] >= 0
        return list(zip(scores[0][there].tolist(), ids[0][there].tolist(), strict=True))


def describe_pictures(descriptor: Descriptor, pictures: Tensor) -> Vectors:
    """Describe pictures of any size as a database's photos were described.

    Args:
        descriptor: squares to vectors.
        pictures: (B, 3, H, W) float32 RGB in [0, 1].

    Returns:
        (B, d) float32, rows of length 1.

    Raises:
        InputError: another shape or type.
    """
    if pictures.ndim != 4 or pictures.shape[1] != 3 or not pictures.is_floating_point():
        raise InputError(
            f"pictures: expected float (B, 3, H, W), found {pictures.dtype} {tuple(pictures.shape)}"
        )
    pictures = pictures.detach().cpu()
    near = (pictures > -_ROUNDED) & (pictures < 1 + _ROUNDED)  # nor NaN
    if not pictures.numel() or not bool(near.all()):
        raise InputError("pictures: expected some, of numbers in [0, 1]; found none or others")
    squares = [square(picture, descriptor.input_size) for picture in to_pixels(pictures)]
    vectors: Vectors = descriptor(to_images(np.stack(squares))).numpy()
    return vectors
