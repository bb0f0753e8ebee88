"""What is measured: which photo with which hole, the same for every method."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...data.buckets import hole_ratio
from ...data.images import Pixels
from ..train.jitter import jittered
from ..train.photo_cache import PhotoCache
from .holes import Holes

Rows = NDArray[np.int64]


class Block(NamedTuple):
    """Some cases' pictures and what is known of them.

    Attributes:
        numbers: (B,) int64, the cases.
        truth: (B, S, S, 3) uint8.
        holes: (B, S, S) uint8, 1 = hole.
        photos: (B,) int64, rows of the photo cache.
        columns: of the results: case, photo, rank, bucket, unit, hole_ratio.
    """

    numbers: Rows
    truth: Pixels
    holes: NDArray[np.uint8]
    photos: Rows
    columns: dict[str, Any]


class Cases:
    """Photos paired with holes by a seeded permutation, set after set of holes.

    Attributes:
        cache: the photos.
        photo: (n,) int64, each case's row in the cache.
        size: side of the squares that are painted, in pixels.
        jitter: share of the photos of which a part is painted.
        settings: all that determines the cases, as JSON values.
    """

    def __init__(
        self,
        cache: PhotoCache,
        sets: Sequence[Holes],
        seed: int,
        *,
        rows: Rows | None = None,
        units: Rows | None = None,
        size: int | None = None,
        jitter: float = 0.0,
    ) -> None:
        """Pair them.

        Args:
            cache: the photos.
            sets: the holes. A set with more holes than photos meets each photo several times, but
                twice only after all others.
            seed: of the permutations.
            rows: which photos of the cache; None for all.
            units: what the bootstrap draws, for each row of the cache: persons; None for photos.
            size: of what is painted; None for the cache's.
            jitter: share of the photos of which a part is taken, turned and moved.
        """
        self.cache, self._sets = cache, list(sets)
        self.size, self.jitter, self._seed = size or cache.size, jitter, seed
        rows = cache.usable if rows is None else rows
        sizes = [len(holes.groups) for holes in sets]
        self.photo = np.concatenate([_shuffled(rows, n, [seed, i])
                                     for i, n in enumerate(sizes)])  # fmt: skip
        self._ends = np.cumsum(sizes)
        groups = [group for holes in sets for group in holes.groups]
        names = sorted(set(groups), key=_rank)
        self._groups = groups
        self._ranks = np.array([names.index(group) for group in groups], dtype=np.int64)
        self._units = self.photo if units is None else units[self.photo]
        self.settings = {
            "photos": {"names and size": cache.fingerprint, "used": len(rows)},
            "photos' files": cache.files,
            "size": self.size,
            "seed": seed,
            "holes": [holes.settings for holes in sets],
            "jitter": jitter,
        }

    def __len__(self) -> int:
        return len(self.photo)

    def block(self, start: int, stop: int) -> Block:
        """Cases start to stop."""
        numbers = np.arange(start, stop)
        rows = self.photo[start:stop]
        holes = np.stack([self._hole(number) for number in range(start, stop)])
        columns = {
            "case": numbers,
            "photo": [self.cache.names[row] for row in rows],
            "rank": self._ranks[start:stop],
            "bucket": self._groups[start:stop],
            "unit": self._units[start:stop],
            "hole_ratio": hole_ratio(holes),
        }
        seed = (self._seed, 0x717)
        truth = jittered(self.cache, rows, rows.tolist(), self.jitter, seed, self.size)
        return Block(numbers, truth, holes, rows, columns)

    def _hole(self, number: int) -> NDArray[np.uint8]:
        which = int(np.searchsorted(self._ends, number, side="right"))
        first = 0 if which == 0 else int(self._ends[which - 1])
        return self._sets[which].draw(number - first, int(self.photo[number]))


def _shuffled(rows: Rows, count: int, seed: list[int]) -> Rows:
    rng = np.random.default_rng([*seed, 0xCA5E])
    rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(rounds)[:count]


def _rank(group: str) -> tuple[bool, str]:
    """Buckets first, by their lower end; then other holes, by name."""
    return (group[0] not in "[(", group.strip("[("))


def fingerprint(settings: object) -> str:
    """A hash of JSON values."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
