"""Photos as they are stored, in any mode, and as the RGB that is painted in.

::

    NumPy                        PIL
    (H, W), (H, W, 1)  grey      1, L, I;16  grey       P             palette
    (H, W, 2)    grey, alpha     LA          grey, alpha    CMYK, YCbCr, LAB, HSV
    (H, W, 3)    RGB             RGB
    (H, W, 4)    RGB, alpha      RGBA, RGBX

Arrays are uint8, uint16, or floats in [0, 1]; grey ones may be bool. What is transparent is seen
over white. Known pixels stay as they are stored, and as transparent as they were; painted ones are
turned back from RGB, and are opaque: what was erased is to be seen again.
"""

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ImageError

Array: TypeAlias = NDArray[Any]
Stored: TypeAlias = Image.Image | Array
"""A photo in the form that its owner has it in."""

_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's
_AS_ARRAY: Final = ("1", "L", "LA", "RGB", "RGBA", "RGBX", "I;16", "I;16L", "I;16B")
_BY_PILLOW: Final = ("YCbCr", "LAB", "HSV")
MODES: Final = (*_AS_ARRAY, *_BY_PILLOW, "P", "CMYK")
"""The modes of PIL images that can be painted in."""


def white_of(dtype: np.dtype[Any]) -> float:
    """The value of white."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def to_rgb(stored: Stored) -> Array:
    """A photo's pixels as they are seen.

    Args:
        stored: (H, W) pixels in one of the forms above; it is not turned.

    Returns:
        (H, W, 3) RGB: uint8, or uint16 where the photo has 16 bits, or float32 in [0, 1] where it
        is an array of floats.

    Raises:
        ImageError: another form.
    """
    if isinstance(stored, np.ndarray):
        return _array_to_rgb(_checked(stored))
    if stored.mode not in MODES:
        raise ImageError(f"expected a photo of mode {', '.join(MODES)}, found {stored.mode}")
    if stored.mode in _AS_ARRAY and "transparency" not in stored.info:
        array = np.asarray(stored)
        return _array_to_rgb(array[..., :3] if stored.mode == "RGBX" else array)
    if stored.mode.startswith("I;16"):
        grey, key = np.array(stored), stored.info["transparency"]
        grey[grey == key] = white_of(grey.dtype)
        return _array_to_rgb(grey)
    if stored.has_transparency_data:
        return _array_to_rgb(np.asarray(stored.convert("RGBA")))
    return np.asarray(stored.convert("RGB"))


def with_painted(stored: Stored, painted: Array, hole: NDArray[np.bool_]) -> Stored:
    """A copy of a photo in which the hole's pixels, and no others, are new.

    Args:
        stored: as given to `to_rgb`.
        painted: (H, W, 3) RGB, of the type that `to_rgb` gave.
        hole: (H, W), True where `painted` is to be taken.

    Returns:
        the same size, mode, type and palette. A palette has no other colours than
        its own: the nearest ones are taken; 1-bit photos are dithered.
    """
    if isinstance(stored, np.ndarray):
        array: Array = stored.copy()
        if hole.any():
            box = box_of(hole)
            array[box] = _merged(stored[box], painted[box], hole[box])
        return array
    image: Image.Image = stored.copy()
    if hole.any():
        rows, columns = box_of(hole)
        corner = (columns.start, rows.start)
        part = stored.crop((*corner, columns.stop, rows.stop))
        colours = _image_from_rgb(part, painted[rows, columns])
        # Not by Image.paste, which blends; an index or a 16-bit value must stay what it is.
        pixels = _merge(np.asarray(part), colours, hole[rows, columns])
        part.frombytes(_packed(pixels))
        image.paste(part, corner)
    return image


def box_of(hole: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest box around a hole (H, W) that is not empty."""
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _checked(array: Array) -> Array:
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4):
        raise ImageError(f"expected an array (H, W) or (H, W, 1 to 4), found {array.shape}")
    if array.dtype not in (np.bool_, np.uint8, np.uint16) and array.dtype.kind != "f":
        raise ImageError(f"expected bool, uint8, uint16 or floats in [0, 1], found {array.dtype}")
    if array.dtype == np.bool_ and array.ndim == 3 and array.shape[2] > 1:
        raise ImageError(f"expected a bool array (H, W), found {array.shape}")
    if array.dtype.kind == "f" and array.size and not 0 <= array.min() <= array.max() <= 1:
        raise ImageError(f"expected floats in [0, 1], found {array.min()} to {array.max()}")
    return array


def _split(array: Array) -> tuple[Array, Array | None]:
    """Colours (H, W, 1 or 3) and alpha (H, W, 1)."""
    array = array[..., None] if array.ndim == 2 else array
    if array.shape[2] in (1, 3):
        return array, None
    return array[..., :-1], array[..., -1:]


def _array_to_rgb(array: Array) -> Array:
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind == "f" or array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("=") if array.dtype.kind == "u" else "f4")
    colours, alpha = _split(array)
    if alpha is not None:
        white = white_of(array.dtype)
        seen = white + (colours.astype(np.float32) - white) * (alpha / np.float32(white))
        colours = _rounded(seen, array.dtype)
    return np.ascontiguousarray(np.broadcast_to(colours, (*array.shape[:2], 3)))


def _rounded(values: Array, dtype: np.dtype[Any]) -> Array:
    white = white_of(dtype)
    return (np.rint(values) if dtype.kind == "u" else values).clip(0, white).astype(dtype)


def _merged(stored: Array, painted: Array, hole: NDArray[np.bool_]) -> Array:
    return _merge(stored, _array_from_rgb(stored, painted), hole)


def _merge(stored: Array, colours: Array, hole: NDArray[np.bool_]) -> Array:
    """`colours` in the hole and `stored` elsewhere, of the stored type."""
    mask = hole if stored.ndim == 2 else hole[..., None]
    return np.where(mask, colours.reshape(stored.shape), stored).astype(stored.dtype)


def _array_from_rgb(stored: Array, painted: Array) -> Array:
    """RGB to the stored form, opaque."""
    colours, alpha = _split(stored)
    values: Array = painted.astype(np.float32)
    if colours.shape[2] == 1:
        values = (values @ _LUMA)[..., None]
    if stored.dtype == np.bool_:
        return values >= white_of(painted.dtype) / 2
    values = _rounded(values, stored.dtype)
    if alpha is None:
        return values
    opaque = np.full_like(alpha, white_of(stored.dtype))
    return np.concatenate([values, opaque], axis=2)


def _image_from_rgb(stored: Image.Image, painted: Array) -> Array:
    """RGB to the pixels of an image's mode, as `np.asarray(stored)` has them."""
    if stored.mode in _BY_PILLOW:
        return np.asarray(Image.fromarray(painted).convert(stored.mode))
    if stored.mode == "1":  # Floyd and Steinberg's dithering
        return np.asarray(Image.fromarray(painted).convert("1"))
    if stored.mode == "P":
        return _nearest_entries(stored, painted)
    if stored.mode == "CMYK":
        return _to_cmyk(np.asarray(stored), painted)
    array = np.asarray(stored)
    if stored.mode == "RGBX":
        return np.concatenate([painted, array[..., 3:]], axis=2)
    colours = _array_from_rgb(array, painted)
    if (key := stored.info.get("transparency")) is not None:  # this colour would be seen through
        clear = (colours == np.asarray(key)).reshape(*colours.shape[:2], -1).all(axis=2)
        colours[clear] ^= 1
    return colours


def _nearest_entries(stored: Image.Image, painted: Array) -> Array:
    """Of each colour the nearest in the palette, transparent entries left out."""
    palette = np.array(stored.convert("P").getpalette("RGBA"), np.float32).reshape(-1, 4)
    if stored.palette is None or not len(palette):
        raise ImageError("expected a palette, found a picture of mode P without one")
    clear = stored.info.get("transparency")
    if isinstance(clear, bytes):
        palette[: len(clear), 3] = list(clear)[: len(palette)]
    elif clear is not None:
        palette[clear:][:1, 3] = 0
    entries = np.flatnonzero(palette[:, 3] > 0) if palette[:, 3].any() else np.arange(len(palette))
    colours = palette[entries, :3]  # (n, 3)
    flat = painted.reshape(-1, 3).astype(np.float32)
    nearest = np.empty(len(flat), np.uint8)
    for start in range(0, len(flat), 1 << 16):  # by blocks: (block, n) distances
        block = flat[start : start + (1 << 16)]
        distance = (colours**2).sum(1) - 2 * block @ colours.T
        nearest[start : start + len(block)] = entries[distance.argmin(1)]
    return nearest.reshape(painted.shape[:2])


def _to_cmyk(stored: Array, painted: Array) -> Array:
    """RGB to CMYK, black taking the share of grey that it has around the hole.

    The inverse of Pillow's conversion, R = (1 - C) (1 - K), which leaves K open.
    """
    paper = 1 - stored.astype(np.float32) / 255  # of white paper, what each ink leaves
    most = 1 - (paper[..., :3] * paper[..., 3:]).max(axis=2)  # the black there could be
    share = min(1.0, float((1 - paper[..., 3]).sum() / max(float(most.sum()), 1e-6)))
    rgb = painted.astype(np.float32) / 255
    black = share * (1 - rgb.max(axis=2, keepdims=True))
    inks = 1 - rgb / np.maximum(1 - black, 1e-6)
    return _rounded(255 * np.concatenate([inks, black], axis=2), np.dtype(np.uint8))


def _packed(pixels: Array) -> bytes:
    """The bytes of `Image.tobytes`: rows of 1-bit pixels fill whole bytes."""
    return np.packbits(pixels, axis=1).tobytes() if pixels.dtype == np.bool_ else pixels.tobytes()


_TURNS: Final = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}
"""What each EXIF orientation asks for to stand upright."""


def upright(array: Array, orientation: int) -> Array:
    """(H, W, ...) pixels turned as an EXIF orientation asks; 1 and unknown ones ask nothing."""
    turn = _TURNS.get(orientation)
    return array if turn is None else np.ascontiguousarray(turn(array))


def as_stored(array: Array, orientation: int) -> Array:
    """The inverse of `upright`."""
    return upright(array, {6: 8, 8: 6}.get(orientation, orientation))
