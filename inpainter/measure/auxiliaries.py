"""What methods that look at similar photos are shown: the paper's two steps, and ablations of them.

- `database`: the hole is filled coarsely, and the coarse picture's neighbors are looked up;
- `oracle`: the neighbors of the true photo, what the coarse picture costs;
- `random`: any photos of the database, and `noise`: none at all, but uniform noise (Iskakov 2018,
  section 5.6), whether the network looks at its neighbors;
- `album`: as `database`, which here holds the person's other photos too;
- `person`: as `database`, which here holds nothing but these.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from ...index_build.exact import Ids
from ..losses import composite
from ..methods.signature import Method
from ..painters import coarse_picture
from .library import Library

Auxiliary = Literal["database", "oracle", "random", "noise", "album", "person"]

COARSE: Final = ("database", "album", "person")
"""Those that need a coarse picture."""


class Shown(NamedTuple):
    """Which photos a method was shown for a batch.

    Attributes:
        ids: (B, k) int64; none for noise.
        scores: (B, k) float32 cosines, where there was a search.
    """

    ids: Ids
    scores: NDArray[np.float32]


class Auxiliaries:
    """Finds similar photos for the batch that `begin` announced.

    A method's own arguments cannot say which case it is, and must not show it the true photo.

    Attributes:
        shown: what the method was given last.
    """

    def __init__(
        self, kind: Auxiliary, library: Library | None, coarse: Method | None, seed: int
    ) -> None:
        """Prepare.

        Args:
            kind: what to show.
            library: where photos are found; None only if no method asks for any, or for noise.
            coarse: fills holes for the search.
            seed: of what is random.
        """
        self._kind, self._library, self._coarse, self._seed = kind, library, coarse, seed
        self._all = library.ids() if library is not None and kind == "random" else None
        self.shown = _nothing(0)

    def begin(
        self,
        numbers: NDArray[np.int64],
        truth: Tensor,
        excluded: list[Ids],
        names: Sequence[str],
    ) -> None:
        """Announce a batch.

        Args:
            numbers: (B,) the cases.
            truth: (B, 3, H, W) in [0, 1].
            excluded: for each the ids that it must not be shown, besides copies of the truth.
            names: their photos', for errors.
        """
        self._numbers, self._excluded = numbers, excluded
        self._names = names
        self.shown = _nothing(len(numbers))
        if self._library is not None and self._kind != "noise":
            self._truth = self._library.describe(truth)
            copies = self._library.copies(self._truth, truth)
            self._excluded = [np.union1d(a, b) for a, b in zip(copies, excluded, strict=True)]

    def __call__(self, photos: Tensor, masks: Tensor, k: int) -> Tensor:
        """The photos to show: (B, k, 3, H, W)."""
        size = photos.shape[-1]
        if self._kind == "noise":
            draws = [self._rng(n).random((k, 3, size, size), np.float32) for n in self._numbers]
            return torch.from_numpy(np.stack(draws))
        library = self._library
        assert library is not None  # noqa: S101 - planned with one
        random = self._kind == "random"
        self.shown = self._random(k) if random else self._found(library, photos, masks, k)
        found = library.photos(self.shown.ids.ravel(), size)  # (B k, 3, H, W)
        return found.view(len(photos), k, *found.shape[1:])

    def _random(self, k: int) -> Shown:
        assert self._all is not None  # noqa: S101 - as above
        rows = []
        for number, excluded in zip(self._numbers, self._excluded, strict=True):
            left = np.setdiff1d(self._all, excluded)
            if len(left) < k:
                raise InputError(f"random: expected {k} photos for every case, found {len(left)}")
            rows.append(self._rng(number).choice(left, k, replace=False))
        ids = np.stack(rows)
        return Shown(ids, np.empty((len(ids), 0), np.float32))

    def _found(self, library: Library, photos: Tensor, masks: Tensor, k: int) -> Shown:
        queries, size = self._truth, photos.shape[-1]
        if self._coarse is not None:
            painted = coarse_picture(self._coarse, photos, masks)
            queries = library.describe(composite(painted, photos, masks))
        if self._kind != "person":
            scores, ids = library.search(queries, k, self._excluded, size)
            return Shown(ids, scores)
        # A person may have fewer than k other photos: then these are shown again.
        left = [len(library) - len(no) for no in self._excluded]
        if 0 in left:
            raise InputError(
                f"{self._names[left.index(0)]}: expected another photo of the person, found copies "
                "of this one; leave the person out of the album"
            )
        found = [
            library.search(query[None], min(k, most), [no], size)
            for query, most, no in zip(queries, left, self._excluded, strict=True)
        ]
        turns = [np.arange(k) % ids.shape[1] for _, ids in found]
        return Shown(
            np.stack([ids[0, turn] for (_, ids), turn in zip(found, turns, strict=True)]),
            np.stack([scores[0, turn] for (scores, _), turn in zip(found, turns, strict=True)]),
        )

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, int(number), 0xA0])


def _nothing(count: int) -> Shown:
    return Shown(np.empty((count, 0), np.int64), np.empty((count, 0), np.float32))
