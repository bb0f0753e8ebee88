"""What SimNet learns from: photos, and the same photos with crudely filled holes."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.files import replacing
from ..data.images import Pixels, decode, square
from ..data.masks import MaskConfig, MaskGenerator, Shape
from ..data.sources import file_stamp, open_source
from ..data.strokes import StrokeBank
from ..data.tensors import to_images
from ..errors import ImageError, InputError
from . import crude_fills
from .simnet import INPUT_SIZE

CACHED_SIZE = 72  # a little more than the network's 64, so that a shifted photo stays sharp
THUMBNAIL = 24

_WIDE: tuple[Shape, ...] = ("center", "left", "right", "random-block", "random-region")


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Attributes:
        whole: (B, 3, 64, 64) in [0, 1].
        filled: the same photos with a crudely filled hole.
        masks: (B, 1, 64, 64), 1 = hole.
        thumbnails: (B, 576), grey, of mean 0 and length 1: inner products tell copies.
    """

    whole: Tensor
    filled: Tensor
    masks: Tensor
    thumbnails: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(*(tensor.to(device) for tensor in vars(self).values()))


def cache_photos(folders: Sequence[Path], run: Path) -> tuple[Pixels, str]:
    """Decode photos once into a file of squares, and map it into memory.

    Args:
        folders: photos' folders, searched recursively; what cannot be decoded is left out.
        run: the folder for `photos-*.npy`, made unless it is there for these files.

    Returns:
        (n, 72, 72, 3) uint8, and a digest of the photos' paths, sizes and times.

    Raises:
        InputError: no photo can be used.
    """
    places = [(source, name) for source in map(open_source, folders) for name in source.names]
    digest = hashlib.sha256(
        "\n".join(
            f"{source.root}/{name} {file_stamp(source, name)}" for source, name in places
        ).encode("utf-8", "backslashreplace")
    )
    cache = run / f"photos-{digest.hexdigest()[:16]}.npy"
    if not cache.exists():
        squares = []
        for source, name in places:
            try:
                squares.append(square(decode(source.read(name), name=name), CACHED_SIZE))
            except ImageError:
                continue
        if not squares:
            raise InputError(f"{', '.join(map(str, folders))}: expected photos, found none")
        with replacing(cache) as temporary:
            np.save(temporary, np.stack(squares))
    photos: Pixels = np.load(cache, mmap_mode="r")
    return photos, digest.hexdigest()


def thumbnails_of(photos: Pixels) -> Tensor:
    """Grey thumbnails (n, 576) of mean 0 and length 1, of photos (n, s, s, 3)."""
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


def make_batch(
    photos: Pixels, thumbnails: Tensor, masks: Pixels, size: int, seed: int, step: int
) -> Batch:
    """The batch of a step: a pure function of its arguments.

    Args:
        photos: (n, 72, 72, 3) uint8.
        thumbnails: (n, 576): see `Batch`.
        masks: (m, 64, 64) uint8, 1 = hole.
        size: photos a batch, n at most; no photo is in it twice.
        seed: of the run.
        step: which batch.
    """
    rng = np.random.default_rng([seed, step])
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    rows = np.sort(rng.choice(len(photos), size, replace=False))
    images = to_images(photos[rows])  # (B, 3, 72, 72)
    whole = _vary(images, generator)
    drawn = masks[rng.integers(len(masks), size=size)]
    mirrored = np.where(rng.random((size, 1, 1)) < 0.5, drawn, drawn[:, :, ::-1])
    holes = torch.from_numpy(mirrored)[:, None].float()  # (B, 1, 64, 64)
    return Batch(whole, _fill(whole, holes, generator), holes, thumbnails[torch.from_numpy(rows)])


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
