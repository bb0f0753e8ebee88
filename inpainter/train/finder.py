"""Similar photos found while training as they are found in use: by the coarse picture.

The neighbors of the whole photo know what stands in the hole. A network that is trained with them
trusts what it is given in use too much.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from ...index_build.descriptors import Descriptor
from ...retrieval.retriever import describe_pictures
from .photo_cache import PhotoCache

_AHEAD: Final = 4.0  # more than cosines can differ by


class Finder:
    """Exact search among all photos of a shelf but the photo itself and its copies."""

    def __init__(
        self,
        shelf: PhotoCache,
        vectors: NDArray[np.float32],
        descriptor: Descriptor,
        max_score: float,
        folders: NDArray[np.int64] | None = None,
    ) -> None:
        """Keep the vectors in memory.

        Args:
            shelf: the photos, n of them.
            vectors: (n, d) float32 of length 1, their descriptors.
            descriptor: what made them.
            max_score: photos whose descriptors are more alike than this are copies.
            folders: (n,) the folder of each, if photos of the same folder come first.
        """
        self._shelf, self._descriptor, self._max_score = shelf, descriptor, max_score
        self._vectors = torch.from_numpy(vectors)
        self._folders = None if folders is None else torch.from_numpy(folders)
        usable = np.isin(np.arange(len(vectors)), shelf.usable)
        self._unusable = torch.from_numpy(~usable)

    @torch.no_grad()
    def __call__(self, pictures: Tensor, truth: Tensor, rows: Tensor, k: int) -> Tensor:
        """Find the photos that pictures resemble most.

        Args:
            pictures: (B, 3, S, S) float in [0, 1], their holes filled coarsely.
            truth: (B, 3, S, S) float in [0, 1], the whole photos: copies of those that are not on
                the shelf are told by them.
            rows: (B,) int64, where the whole photos are on the shelf, -1 for those that are not.
            k: how many for each.

        Returns:
            uint8 (B, k, S, S, 3), the most similar first.

        Raises:
            InputError: there are fewer than k for a picture.
        """
        size = pictures.shape[-1]
        shape = (len(pictures), k, size, size, 3)
        if not k:
            return torch.empty(shape, dtype=torch.uint8)
        rows = rows.cpu()
        scores = torch.from_numpy(describe_pictures(self._descriptor, pictures)) @ self._vectors.T
        here = rows >= 0
        own = self._vectors[rows]  # (B, d)
        if not here.all():
            others = truth[~here.to(truth.device)]
            own[~here] = torch.from_numpy(describe_pictures(self._descriptor, others))
        copies = own @ self._vectors.T > self._max_score  # (B, n)
        copies[here.nonzero().flatten(), rows[here]] = True
        if self._folders is not None:
            together = self._folders[rows, None] == self._folders
            scores += _AHEAD * (together & here[:, None])
        scores[self._unusable | copies] = -torch.inf
        best = scores.topk(min(k, scores.shape[1]))
        least = int(best.values.isfinite().sum(1).min())
        if least < k:
            raise InputError(
                f"{self._shelf.folder}: expected {k} photos for each that are no copies of it, "
                f"found {least}"
            )
        rows_found = best.indices.flatten().numpy()
        return torch.from_numpy(self._shelf.photos(rows_found, size)).reshape(shape)
