"""Photos from files and back: what a file has besides the painted pixels stays in it.

The file's own raster is kept, not turned, and its EXIF orientation beside it. EXIF goes without
the thumbnail, which would show the photo as it was.
"""

import io
import struct
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import tifffile
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

from ..errors import ImageError, InputError
from .files import replacing
from .images import MAX_PIXELS, TURNS, check_size, open_image, read_file
from .rasters import MODES, Array, Stored, upright

JPEG_QUALITY: Final = 95
_ICC_TAG: Final = 34675
_INCH: Final = 0.0254  # metres
_FORMATS: Final = {
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_HOLD: Final = {  # where Pillow would turn other modes into one of these without a word
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("1", "L", "P"),
    "WEBP": ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX"),
}
_CANNOT_HOLD: Final = (OSError, ValueError, KeyError, tifffile.TiffFileError)
SUFFIXES: Final = frozenset(_FORMATS)
"""The file names' endings that photos are written to."""


@dataclass(frozen=True)
class PhotoFile:
    """A photo as its file has it.

    Attributes:
        stored: a PIL image; an array uint16 (H, W, 3 or 4) where colours have 16 bits, for which
            Pillow has no mode.
        format: "JPEG", "PNG", ...
        orientation: EXIF's, 1 to 8; 1 is upright.
        extras: what belongs in a copy of the file: colour profile, EXIF, resolution, compression.
    """

    stored: Stored
    format: str
    orientation: int = 1
    extras: dict[str, Any] = field(default_factory=dict)


def open_photo(path: Path) -> PhotoFile:
    """Read a photo to paint in it.

    Raises:
        ImageError: it cannot be read, is damaged, too large, animated, or of a mode without RGB.
    """
    try:
        content = read_file(path)
        with open_image(content) as image:
            check_size(image, content, MAX_PIXELS)
            return _read(image, content)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    except Exception as error:  # Pillow raises a dozen types on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path}: damaged, it cannot be decoded: {reason}") from error


def _read(image: ImageFile, content: bytes) -> PhotoFile:
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise ImageError(f"expected a single picture, found {frames} frames")
    deep = image.mode in ("RGB", "RGBA") and ";16" in str(image.tile)
    kind = image.format or "PNG"
    if kind == "TIFF":
        _check_tiff(image)
    image.load()  # Pillow turns TIFFs here, and takes their orientation away
    stored: Stored = _read_deep(content) if deep else image.copy()
    if isinstance(stored, Image.Image):
        if stored.mode == "I" and kind == "PNG":  # what older Pillows make of 16-bit grey
            stored = Image.fromarray(np.asarray(stored).astype(np.uint16))
        if stored.mode not in MODES:
            raise ImageError(f"expected a photo of mode {', '.join(MODES)}, found {image.mode}")
    extras = {key: image.info[key] for key in ("icc_profile", "dpi") if image.info.get(key)}
    if kind in ("TIFF", "WEBP"):
        extras["how"] = image.info.get("compression") or _webp_kind(content)
    exif = _exif(image)
    orientation = 1
    if exif is not None and kind != "TIFF":
        extras["exif"] = exif.tobytes()
        orientation = int(exif.get(ExifTags.Base.Orientation, 1))
    return PhotoFile(stored, kind, orientation, extras)


def _check_tiff(image: ImageFile) -> None:
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    white_is_zero = tags.get(ExifTags.Base.PhotometricInterpretation) == 0
    bits = tags.get(ExifTags.Base.BitsPerSample, (1,))[0]
    if image.mode.startswith("I;16") and (white_is_zero or bits != 16):
        raise ImageError(f"expected 16 bits of grey, 0 for black; found {bits}, or 0 for white")


def _read_deep(content: bytes) -> Array:
    """A PNG or TIFF of 16-bit colours: uint16 (H, W, 3 or 4) RGB."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise ImageError("16-bit colours in a form that cannot be decoded")
    order = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(pixels, order)


def _webp_kind(content: bytes) -> str:
    """What the chunk of pixels is; a colour profile, of any length, stands before it."""
    start = 12  # after "RIFF", the size and "WEBP"
    while (name := content[start : start + 4]) not in (b"VP8 ", b"VP8L", b""):
        size = int.from_bytes(content[start + 4 : start + 8], "little")
        start += 8 + size + size % 2
    return "lossless" if name == b"VP8L" else "lossy"


def _exif(image: ImageFile) -> Image.Exif | None:
    """The EXIF block without its thumbnail, which Pillow does not write; None if damaged."""
    try:
        exif = image.getexif()
        exif.tobytes()
    except Exception:  # a damaged block says nothing; the picture itself is whole
        return None
    return exif if len(exif) else None


def expect_png(path: Path) -> None:
    """Refuse a name under which a PNG would be taken for something else.

    Raises:
        InputError: naming it.
    """
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: expected a name that ends in .png")


def format_of(path: Path) -> str:
    """The format that a file name asks for.

    Raises:
        ImageError: none that photos are written in.
    """
    if (found := _FORMATS.get(path.suffix.lower())) is None:
        raise ImageError(f"{path}: expected a name that ends in {', '.join(sorted(SUFFIXES))}")
    return found


def save_photo(path: Path, stored: Stored, source: PhotoFile) -> None:
    """Write a photo in the format that its name asks for, atomically.

    PNG, TIFF, BMP, GIF and lossless WebP hold the pixels exactly. JPEG is written at quality 95
    with colours at full resolution (4:4:4), WebP at quality 95 where the source was lossy. A file
    that carries no EXIF (BMP, GIF, TIFF of 16-bit colours) gets the pixels upright.

    Args:
        path: where to.
        stored: the pixels, of the source's mode.
        source: the file they come from, whose extras are kept.

    Raises:
        ImageError: the format cannot hold the photo's mode, or none is named by `path`.
        StorageError: the file cannot be written.
    """
    kind = format_of(path)
    try:
        data = _encode(stored, kind, source)
    except _CANNOT_HOLD as error:
        mode = stored.mode if isinstance(stored, Image.Image) else "16-bit RGB"
        able = [s for s in (".png", ".tif", ".jpg") if _can_hold(stored, _FORMATS[s], source)]
        raise ImageError(
            f"{path}: {kind} cannot hold a photo of mode {mode}; take {' or '.join(able)}"
        ) from error
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _can_hold(stored: Stored, kind: str, source: PhotoFile) -> bool:
    try:
        _encode(stored, kind, source)
    except _CANNOT_HOLD:
        return False
    return True


def _encode(stored: Stored, kind: str, source: PhotoFile) -> bytes:
    if kind in ("BMP", "GIF") or (kind == "TIFF" and not isinstance(stored, Image.Image)):
        stored, source = _turned(stored, source)
    if not isinstance(stored, Image.Image):
        return _encode_deep(stored, kind, source.extras)
    if stored.mode not in _HOLD.get(kind, MODES):
        raise ValueError(stored.mode)
    buffer = io.BytesIO()
    stored.save(buffer, kind, **_options(kind, source))
    return buffer.getvalue()


def _turned(stored: Stored, source: PhotoFile) -> tuple[Stored, PhotoFile]:
    """The photo upright, and its source for a file that carries no EXIF."""
    extras = {key: value for key, value in source.extras.items() if key != "exif"}
    if "dpi" in extras and source.orientation >= 5:  # the sides are swapped
        extras["dpi"] = extras["dpi"][::-1]
    if not isinstance(stored, Image.Image):
        stored = upright(stored, source.orientation)
    elif (turn := TURNS.get(source.orientation)) is not None:
        stored = stored.transpose(turn)
    return stored, replace(source, extras=extras)


def _options(kind: str, source: PhotoFile) -> dict[str, Any]:
    """Pillow's options for a format."""
    options = dict(source.extras)
    how = options.pop("how", None)
    if kind == "JPEG":
        options |= {"quality": JPEG_QUALITY, "subsampling": 0, "optimize": True}
    if kind == "TIFF":
        lossless = (None, "raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "group3", "group4")
        options["compression"] = (
            how if source.format == "TIFF" and how in lossless else "tiff_adobe_deflate"
        )
    if kind == "WEBP":
        lossy = source.format == "WEBP" and how == "lossy"
        options |= {"quality": JPEG_QUALITY} if lossy else {"lossless": True, "exact": True}
    if kind == "GIF":
        options["optimize"] = False  # it would reorder the palette
    return options


def _encode_deep(pixels: Array, kind: str, extras: dict[str, Any]) -> bytes:
    across, down = map(float, extras.get("dpi", (0, 0)))
    dpi = (across, down) if across > 0 and down > 0 else None
    if kind == "TIFF":
        buffer = io.BytesIO()
        profile = extras.get("icc_profile")
        tags = [(_ICC_TAG, "B", len(profile), profile, True)] if profile else []
        tifffile.imwrite(
            buffer,
            pixels,
            photometric="rgb",
            compression="zlib",
            extratags=tags,
            resolution=dpi,
            resolutionunit="INCH" if dpi else None,
        )
        return buffer.getvalue()
    if kind != "PNG":
        raise ValueError(kind)
    order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    encoded = cv2.imencode(".png", cv2.cvtColor(pixels, order))[1].tobytes()
    chunks = b""
    if profile := extras.get("icc_profile"):
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
    if dpi:
        per_metre = (round(value / _INCH) for value in dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if exif := extras.get("exif"):
        chunks += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    head = 8 + 25  # signature and IHDR
    return encoded[:head] + chunks + encoded[head:]


def _chunk(name: bytes, data: bytes) -> bytes:
    """A PNG chunk: length, name, data, check sum."""
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
