"""What SimNet learns from: photos, and the same photos with crudely filled holes."""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...data.images import Pixels
from ...data.masks import MaskConfig, MaskGenerator, Shape
from ...data.strokes import StrokeBank
from ...data.tensors import to_images
from ...errors import InputError
from ...index_build import crude_fills
from ...index_build.simnet import INPUT_SIZE
from .batches import Batch
from .photo_cache import PhotoCache
from .recipes import Recipe

SIDE: Final = 72
"""Pixels of the photos that are cached: a little more than 64, so that a shifted one is sharp."""

THUMBNAIL: Final = 24

_WIDE: Final[tuple[Shape, ...]] = ("center", "left", "right", "random-block", "random-region")


class SimNetBatches:
    """Photos, varied a little, and the same with a crudely filled hole.

    A batch holds "photos" and "filled", float32 (B, 3, 64, 64) in [0, 1], "holes" float32
    (B, 1, 64, 64), 1 = hole, and "thumbnails" float32 (B, 576): see `thumbnails_of`. No photo is in
    it twice.

    Args:
        caches: photos of `SIDE` pixels.
        bank: strokes for holes.
        masks: different holes drawn.
        recipe: batches.
        seed: of everything random.

    Raises:
        InputError: there are fewer photos than a batch takes.
    """

    def __init__(
        self,
        caches: Sequence[PhotoCache],
        bank: StrokeBank,
        masks: int,
        recipe: Recipe,
        seed: int,
    ) -> None:
        self._places = [(cache, row) for cache in caches for row in cache.usable.tolist()]
        self.recipe, self.seed = recipe, seed
        needed = max(stage.batch for stage in recipe.stages)
        if len(self) < needed:
            raise InputError(f"expected at least {needed} photos, found {len(self)}")
        self._masks = draw_masks(bank, masks, seed)

    def __len__(self) -> int:
        return len(self._places)

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """A step's batch: each process learns from the whole, whose photos are told apart."""
        del rank, world
        size = self.recipe.at(step)[0].batch
        rng = np.random.default_rng([self.seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        rows = np.sort(rng.choice(len(self), size, replace=False))
        places = [self._places[row] for row in rows]
        photos = np.concatenate([cache.photos([row]) for cache, row in places])  # (B, 72, 72, 3)
        whole = _vary(to_images(photos), generator)
        drawn = self._masks[rng.integers(len(self._masks), size=size)]
        mirrored = np.where(rng.random((size, 1, 1)) < 0.5, drawn, drawn[:, :, ::-1])
        holes = torch.from_numpy(mirrored)[:, None].float()  # (B, 1, 64, 64)
        return {
            "photos": whole,
            "filled": _fill(whole, holes, generator),
            "holes": holes,
            "thumbnails": thumbnails_of(photos),
        }


def thumbnails_of(photos: Pixels) -> Tensor:
    """Grey thumbnails (n, 576) of photos uint8 (n, s, s, 3).

    Of mean 0 and length 1: inner products tell copies.
    """
    grey = np.empty((len(photos), THUMBNAIL, THUMBNAIL), np.uint8)
    for photo, small in zip(photos, grey, strict=True):
        one_colour = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
        small[:] = cv2.resize(one_colour, small.shape, interpolation=cv2.INTER_AREA)
    flat = torch.from_numpy(grey).flatten(1).float()
    return F.normalize(flat - flat.mean(1, keepdim=True), dim=1)


def draw_masks(strokes: StrokeBank, count: int, seed: int) -> Pixels:
    """Holes to learn from: five sixths QD-IMD, balanced over hole ratios, and a sixth wide ones.

    Returns:
        (count, 64, 64) uint8, 1 = hole.
    """
    masks = np.empty((count, INPUT_SIZE, INPUT_SIZE), np.uint8)
    wide = count // (6 * len(_WIDE))
    for number, shape in enumerate(_WIDE):
        config = MaskConfig(size=INPUT_SIZE, seed=seed, shape=shape)
        MaskGenerator(None, config).fill(0, masks[number * wide : (number + 1) * wide])
    config = MaskConfig(size=INPUT_SIZE, seed=seed, balanced=True)
    MaskGenerator(strokes, config).fill(0, masks[len(_WIDE) * wide :])
    return masks


def _vary(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror, shift, scale and light a little differently, to (B, 3, 64, 64).

    Only a little: skin and lighting are what a hole is to be filled with.
    """
    count = len(images)

    def between(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    scale = between(0.88, 1.04)
    mirror = torch.where(between(0, 1) < 0.5, -1.0, 1.0)
    places = torch.zeros(count, 2, 3)
    places[:, 0, 0], places[:, 1, 1] = scale * mirror, scale
    places[:, :, 2] = between(-0.06, 0.06, 2)
    grid = F.affine_grid(places, [count, 3, INPUT_SIZE, INPUT_SIZE], align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    colour = between(0.92, 1.08, 3, 1, 1) * between(0.85, 1.15, 1, 1, 1)
    return (images * colour + between(-0.04, 0.04, 1, 1, 1)).clamp(0, 1)


def _fill(whole: Tensor, masks: Tensor, generator: torch.Generator) -> Tensor:
    """Fill each photo's hole in one of five ways."""
    ways: list[tuple[float, Callable[[Tensor, Tensor], Tensor]]] = [
        (0.40, crude_fills.telea),
        (0.20, crude_fills.blur),
        (0.15, crude_fills.mean),
        (0.10, lambda images, holes: crude_fills.noise(images, holes, generator)),
        (0.15, lambda images, holes: crude_fills.guess(images, holes, generator)),
    ]
    shares = torch.tensor([share for share, _ in ways])
    chosen = torch.multinomial(shares, len(whole), replacement=True, generator=generator)
    filled = torch.empty_like(whole)
    for number, (_, paint) in enumerate(ways):
        rows = chosen == number
        if rows.any():
            filled[rows] = paint(whole[rows], masks[rows])
    return filled
