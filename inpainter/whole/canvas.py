"""A photo and its mask, in whatever form they come, as an upright RGB canvas with a hole."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from ...data.images import Pixels, mask_of, read_mask
from ...data.photo_files import PhotoFile, open_photo
from ...data.rasters import Stored, as_stored, to_rgb, upright, white_of, with_painted
from ...errors import ImageError, InputError
from .membrane import membrane

Photo: TypeAlias = PhotoFile | Stored | Path | str
Mask: TypeAlias = Image.Image | NDArray[Any] | Path | str

_COARSE: Final = 64  # pixels of the longer side at which holes are filled before anything else


@dataclass
class Canvas:
    """A photo being painted.

    Attributes:
        source: as it came.
        pixels: (H, W, 3) RGB, upright; uint8, uint16, or float32 in [0, 1]. What stood in the hole
            is gone from the start: it is filled smoothly from its border.
        hole: (H, W), upright: what is to be painted.
        unknown: (H, W): what of it is not painted yet.
    """

    source: PhotoFile
    pixels: NDArray[Any]
    hole: NDArray[np.bool_]
    unknown: NDArray[np.bool_]

    @property
    def white(self) -> float:
        """The pixels' value of white."""
        return white_of(self.pixels.dtype)

    def as_bytes(self) -> Pixels:
        """The pixels as uint8."""
        return _as_bytes(self.pixels)

    def as_given(self) -> Pixels:
        """The same with what stood in the hole."""
        return _as_bytes(upright(to_rgb(self.source.stored), self.source.orientation))

    def rng(self, seed: int) -> np.random.Generator:
        """Random numbers that depend on the seed and on what is known of the photo alone."""
        return np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(self.pixels).data)])

    def finished(self) -> Stored:
        """The photo in the form it came in, with what was painted in its hole."""
        turn = self.source.orientation
        return with_painted(
            self.source.stored, as_stored(self.pixels, turn), as_stored(self.hole, turn)
        )


def open_canvas(photo: Photo, mask: Mask, *, black_holes: bool = False, grow: int = 0) -> Canvas:
    """Take a photo and its mask.

    Args:
        photo: a path; a PIL image; an array (see `data.rasters`); or an opened file.
        mask: holes are white (at least half as bright), True or 1. Of a photo that is a file, the
            mask is as large as the photo when it stands upright, as viewers show it; else as large
            as its array.
        black_holes: the mask has its holes black.
        grow: pixels by which its holes are made wider on each side.

    Raises:
        InputError: the mask is of another size, or covers everything; or `grow` is below 0.
        ImageError: one of them cannot be used; or something is drawn in the mask, but too faintly
            to be a hole.
    """
    if grow < 0:
        raise InputError(f"grow: expected 0 pixels or more, found {grow}")
    source, shown = _opened(photo)
    pixels = upright(to_rgb(source.stored), source.orientation)
    hole = _hole(mask, black_holes=black_holes)
    if not shown:
        hole = upright(hole, source.orientation)
    name = f"{mask}: " if isinstance(mask, Path | str) else ""
    if hole.shape != pixels.shape[:2]:
        found, expected = (f"{shape[1]} x {shape[0]}" for shape in (hole.shape, pixels.shape))
        raise InputError(f"{name}expected a mask of the photo's {expected} pixels, found {found}")
    hole = _wider(hole, grow)
    if hole.all():
        grown = f", its holes {grow} pixels wider," if grow else ""
        raise InputError(
            f"{name}the mask{grown} covers the whole photo: there is nothing to paint from"
        )
    return Canvas(source, _filled(pixels, hole), hole, hole.copy())


def _as_bytes(pixels: NDArray[Any]) -> Pixels:
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    scaled = pixels.astype(np.float32) * (255 / white_of(pixels.dtype))
    return np.asarray(np.rint(scaled), np.uint8)


def _wider(hole: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """What is no further than so many pixels from a hole."""
    if not (pixels and hole.any()):
        return hole
    away = cv2.distanceTransform((~hole).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away <= pixels)


def _opened(photo: Photo) -> tuple[PhotoFile, bool]:
    """The photo, and whether it comes from a file."""
    if isinstance(photo, PhotoFile):
        return photo, True
    if isinstance(photo, Path | str):
        return open_photo(Path(photo)), True
    if isinstance(photo, np.ndarray):
        return PhotoFile(photo, "PNG"), False
    if isinstance(photo, Image.Image):
        photo.load()  # a TIFF is turned here
        turn = int(photo.getexif().get(ExifTags.Base.Orientation, 1))
        return PhotoFile(photo, photo.format or "PNG", turn), False
    raise ImageError(f"expected a photo as path, PIL image or array, found {type(photo).__name__}")


def _hole(mask: Mask, *, black_holes: bool) -> NDArray[np.bool_]:
    """A mask in any form as (H, W), True in holes."""
    if isinstance(mask, Path | str):
        return read_mask(Path(mask), black_holes=black_holes)
    if isinstance(mask, Image.Image):
        return mask_of(mask, black_holes=black_holes)
    if not isinstance(mask, np.ndarray):
        raise ImageError(
            f"expected a mask as path, PIL image or array, found {type(mask).__name__}"
        )
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.ndim != 2 or mask.dtype.kind not in "buif":
        raise ImageError(f"expected a mask (H, W), found {mask.dtype} {mask.shape}")
    if not np.greater_equal(mask, 0).all():  # nor NaN
        raise ImageError("expected a mask of numbers of 0 or more, found others")
    half: float = 0.5 if mask.dtype.kind in "bf" or mask.max(initial=0) <= 1 else 128
    if half == 128 and mask.dtype == np.uint16:
        half = 1 << 15
    hole = np.ascontiguousarray(mask < half if black_holes else mask >= half)
    if mask.size and not hole.any() and mask.max() > (mask.min() if black_holes else 0):
        below = "less than" if black_holes else "at least"
        raise ImageError(
            f"no pixel of the mask is a hole: expected some of {below} {half:g} of {mask.dtype}, "
            f"found {mask.min():g} to {mask.max():g}"
        )
    return hole


def _filled(pixels: NDArray[Any], hole: NDArray[np.bool_]) -> NDArray[Any]:
    """A copy whose hole is filled smoothly, at a reduced size, from what is around it."""
    if not hole.any():
        return np.array(pixels)
    height, width = hole.shape
    scale = min(1.0, _COARSE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    known = cv2.resize((~hole).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    masked = cv2.copyTo(pixels, (~hole).view(np.uint8))
    total = cv2.resize(masked.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    unknown = known < 0.5 if (known >= 0.5).any() else known == 0
    means = np.asarray(total / np.maximum(known, 1e-6)[..., None], np.float32)
    coarse = membrane(means, unknown)
    if pixels.dtype.kind == "u":
        coarse = np.rint(coarse.clip(0, white_of(pixels.dtype)))
    smooth = cv2.resize(coarse.astype(pixels.dtype), (width, height))
    return np.asarray(cv2.copyTo(smooth, hole.view(np.uint8), masked))
