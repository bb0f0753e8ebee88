"""Training batches, each a pure function of (seed, step): any run can be resumed exactly."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.masks import MaskConfig, MaskGenerator
from ...data.strokes import StrokeBank
from .jitter import jittered
from .photo_cache import PhotoCache
from .recipes import Recipe

Batch: TypeAlias = dict[str, Tensor]

_ORDER, _MIRROR, _LATENTS, _COUNT, _FADE, _JITTER = range(6)  # what random numbers are drawn for
_LUMA: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601
_SEPIA: Final = (0.0, 0.15, 0.4)  # what the brownest paper takes from red, green and blue
_VALIDATION = 1 << 40  # validation's masks are numbered from here: training never comes so far


class Batches(Protocol):
    """What the training loop asks for data; handed to worker processes."""

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """The part of a step's batch that process `rank` of `world` works on."""


@dataclass(frozen=True)
class PhotoSet:
    """Photos to paint, and for each of them photos like it.

    Attributes:
        photos: where the photos to paint are.
        rows: (n,) int64, which of them.
        shelf: where the neighbors are.
        neighbors: (n, K) int64, rows of `shelf`, most similar first; K may be 0.
    """

    photos: PhotoCache
    rows: NDArray[np.int64]
    shelf: PhotoCache
    neighbors: NDArray[np.int64]

    @classmethod
    def alone(cls, photos: PhotoCache, shelf: PhotoCache | None = None) -> "PhotoSet":
        """All usable photos of a cache, without neighbors; they may be found on a shelf."""
        none = np.empty((len(photos.usable), 0), dtype=np.int64)
        return cls(photos, photos.usable, shelf or photos, none)

    @property
    def shelf_rows(self) -> NDArray[np.int64]:
        """(n,) int64, the rows of `shelf` with the photos themselves, -1 where they are others."""
        there = self.photos.folder == self.shelf.folder
        return self.rows if there else np.full_like(self.rows, -1)

    def __len__(self) -> int:
        return len(self.rows)


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)


def shuffled(positions: Sequence[int], count: int, seed: int) -> NDArray[np.int64]:
    """Which of `count` things stand at some positions of an endless sequence of shuffled epochs."""
    return np.array([_order(count, seed, p // count)[p % count] for p in positions], dtype=np.int64)


def mirrored(positions: Sequence[int], seed: int) -> NDArray[np.bool_]:
    """A fair coin for each position."""
    coins = [np.random.default_rng([seed, _MIRROR, p]).integers(2) for p in positions]
    return np.array(coins, dtype=np.bool_)


def faded(photos: Tensor, positions: Sequence[int], share: float, seed: int) -> Tensor:
    """Take the colours from a share of the photos, as old prints lost theirs.

    Args:
        photos: uint8 (B, S, S, 3).
        positions: of the photos in the sequence.
        share: of photos that become black and white, or brown by some degree.
        seed: of the choice.
    """
    out = photos.clone()
    for i, position in enumerate(positions):
        chance, brown = np.random.default_rng([seed, _FADE, position]).uniform(size=2)
        if chance < share:
            gray = photos[i].float() @ torch.tensor(_LUMA)  # (S, S)
            paper = 1 - max(0.0, 2 * brown - 1) * torch.tensor(_SEPIA)  # half of them stay gray
            out[i] = (gray[..., None] * paper).round().byte()
    return out


def share(recipe: Recipe, step: int, rank: int, world: int) -> tuple[range, int]:
    """The positions in the sequence of photos that a process takes at a step, and the size."""
    stage, seen = recipe.at(step)
    part = stage.batch // world
    start = seen + rank * part
    return range(start, start + part), stage.size


class InpaintingBatches:
    """Photos with holes drawn on the fly, and the photos' neighbors.

    A batch holds "photos" uint8 (B, S, S, 3), "holes" uint8 (B, 1, S, S), 1 = hole, and, for K > 0,
    "neighbors" uint8 (B, K, S, S, 3). Where they are to be found, it holds "rows" int64 (B,)
    instead, the photos' places on the shelf, -1 for those that are not there, and "wanted" int64
    (B,), which is K.

    Args:
        photos: what is painted.
        masks: kinds of holes, taken in turn; their `size` does not matter.
        bank: strokes for those that are strokes.
        recipe: sizes and batches.
        seed: of order and mirroring; the masks have their own.
        find: neighbors are to be found, so many for validation, 0 to so many for training.
    """

    def __init__(
        self,
        photos: PhotoSet,
        masks: Sequence[MaskConfig],
        bank: StrokeBank | None,
        recipe: Recipe,
        seed: int,
        find: int | None = None,
    ) -> None:
        self.photos, self.recipe, self.seed, self.find = photos, recipe, seed, find
        sizes = {stage.size for stage in recipe.stages}
        self._masks = {
            size: [MaskGenerator(bank, replace(config, size=size)) for config in masks]
            for size in sizes
        }
        equal = [[kind for kind, other in enumerate(masks) if other == one] for one in masks]
        self._turns = [(kinds.index(kind), len(kinds)) for kind, kinds in enumerate(equal)]

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """This process's part of a step's batch."""
        positions, size = share(self.recipe, step, rank, world)
        picks = shuffled(positions, len(self.photos), self.seed)
        batch = self._draw(picks, positions, size, self.recipe.jitter)
        if self.recipe.flip:
            mirror = torch.from_numpy(mirrored(positions, self.seed))
            for name in batch.keys() & {"photos", "neighbors"}:
                batch[name][mirror] = batch[name][mirror].flip(-2)
        if self.recipe.faded:
            batch["photos"] = faded(batch["photos"], positions, self.recipe.faded, self.seed)
        if self.find is not None:
            count = np.random.default_rng([self.seed, _COUNT, step]).integers(self.find + 1)
            batch["wanted"].fill_(int(count))
        return batch

    def validation(self, batch: int = 16) -> list[Batch]:
        """All photos once, at the final size, in order, always with the same holes."""
        parts = np.split(np.arange(len(self.photos)), range(batch, len(self.photos), batch))
        return [self._draw(part, (part + _VALIDATION).tolist(), self.recipe.size) for part in parts]

    def _draw(
        self, picks: NDArray[np.int64], numbers: Sequence[int], size: int, jitter: float = 0
    ) -> Batch:
        holes = np.empty((len(numbers), size, size), dtype=np.uint8)
        for out, number in zip(holes, numbers, strict=True):
            turn, kind = divmod(number, len(self._turns))
            # Each kind counts its own masks, so that balanced strokes, which are aimed by their
            # number, meet every bucket; one that is named twice counts both, and repeats none.
            rank, times = self._turns[kind]
            self._masks[size][kind].draw(turn * times + rank, out)
        rows = self.photos.rows[picks]
        photos = jittered(self.photos.photos, rows, numbers, jitter, (self.seed, _JITTER), size)
        batch = {"photos": torch.from_numpy(photos), "holes": torch.from_numpy(holes[:, None])}
        if self.find is not None:
            rows = self.photos.shelf_rows[picks]
            batch |= {"rows": torch.from_numpy(rows), "wanted": torch.full((len(rows),), self.find)}
        neighbors = self.photos.neighbors[picks]  # (B, K)
        if neighbors.shape[1]:
            flat = self.photos.shelf.photos(neighbors.ravel(), size)  # (B K, S, S, 3)
            batch["neighbors"] = torch.from_numpy(flat.reshape(*neighbors.shape, size, size, 3))
        return batch


class FaceBatches:
    """Photos beside random latents, for a generator: "photos" as above, "latents" float32 (B, D).

    Latents are uniform in [-1, 1] (Radford et al. 2016, section 4).
    """

    def __init__(self, photos: PhotoCache, recipe: Recipe, seed: int, latent: int = 100) -> None:
        self.photos, self.recipe, self.seed, self.latent = photos, recipe, seed, latent

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """This process's part of a step's batch."""
        positions, size = share(self.recipe, step, rank, world)
        rows = self.photos.usable[shuffled(positions, len(self.photos.usable), self.seed)]
        photos = torch.from_numpy(self.photos.photos(rows, size))
        if self.recipe.flip:
            mirror = torch.from_numpy(mirrored(positions, self.seed))
            photos[mirror] = photos[mirror].flip(-2)
        rng = np.random.default_rng([self.seed, _LATENTS, positions[0]])
        latents = rng.uniform(-1, 1, (len(positions), self.latent)).astype(np.float32)
        return {"photos": photos, "latents": torch.from_numpy(latents)}
