"""Reading photos and hole masks from files, and writing them.

`read_photo` is the only place that decodes a picture; everything else calls it or `decode`.
"""

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageChops,
    ImageColor,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from ..errors import ImageError
from .files import replacing

Pixels: TypeAlias = NDArray[np.uint8]

MAX_PIXELS: Final = 100_000_000
"""Photos of more pixels are refused unless the caller says otherwise."""

MAX_BYTES: Final = 1 << 30
"""Files of more bytes are refused: no photo within `MAX_PIXELS` needs them."""

# A few bytes can ask for the same pixels to be refined over and over; real photos have about 10.
_MAX_SCANS: Final = 100

_WHITE_IS_ZERO: Final = 0

_FAINT: Final = 8  # of 255: what compression makes of an empty mask,
_FAINT_16: Final = 0.002  # but not of 16 bits, where 1 is twice this: 255 there was meant as white
_COLOUR: Final = 64  # of 255, between channels: more than a JPEG makes of black and white,
_COLOURED: Final = 0.01  # in more than this share of the pixels, is a photo and no mask
_BLACK, _WHITE = 32, 224  # of 255: what lies between is grey, and most of a mask is not

# Opened by class and not by `PIL.Image.open`, which would also try formats that run other programs
# (EPS), and has a pixel limit of its own that is global to the process.
_FORMATS: Final[tuple[tuple[bytes, type[ImageFile]], ...]] = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"GIF8", GifImagePlugin.GifImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"II*\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", TiffImagePlugin.TiffImageFile),
    (b"II+\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0+", TiffImagePlugin.TiffImageFile),
)

TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What each EXIF orientation asks for to stand upright; 1 and unknown ones ask nothing."""


class Photo(NamedTuple):
    """A decoded photo.

    Attributes:
        pixels: uint8 RGB (H, W, 3), upright; the square (S, S, 3) where one was asked for.
        width: the whole photo's width in pixels, upright.
        height: the whole photo's height in pixels, upright.
    """

    pixels: Pixels
    width: int
    height: int


def decode(
    data: bytes | str | Path,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    side: int | None = None,
) -> Pixels:
    """Decode a photo: `read_photo` for those who want nothing but the pixels."""
    return read_photo(data, name=name, max_pixels=max_pixels, side=side).pixels


def read_photo(
    data: bytes | str | Path,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    side: int | None = None,
) -> Photo:
    """Decode a JPEG, PNG, WebP, TIFF, BMP or GIF (first frame), told apart by content.

    Grey, palette, 1-bit, 16-bit and CMYK become RGB; what is transparent is laid over white; the
    EXIF orientation is applied (a damaged EXIF block counts as none).

    Args:
        data: the file's bytes, or its path.
        name: what errors call the photo; the path where there is one.
        max_pixels: photos of more pixels are refused before they are decoded.
        side: of the central `square` that is wanted, in pixels; None for the whole photo. A JPEG
            may be decoded at 1/2, 1/4 or 1/8 of its size for it, as long as neither side becomes
            shorter than this: quicker, and close to the area average.

    Raises:
        ImageError: the file cannot be read, is damaged, is not a picture or is too large.
    """
    name = name or (str(data) if isinstance(data, (str, Path)) else "image")
    with _opened(data, name, max_pixels) as image:
        whole = image.size
        if side is not None:
            image.draft(None, (side, side))
        image.load()
        upright, swapped = _upright(image, whole)
        rgb = _to_rgb(upright)
        pixels = np.array(rgb if side is None else _square(rgb, side))
    width, height = reversed(whole) if swapped else whole
    return Photo(pixels, width, height)


@contextmanager
def _opened(data: bytes | str | Path, name: str, max_pixels: int) -> Iterator[ImageFile]:
    """A picture that is not decoded yet; errors that are raised inside name it."""
    try:
        content = read_file(Path(data)) if isinstance(data, (str, Path)) else data
        with open_image(content) as image:
            check_size(image, content, max_pixels)
            yield image
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except Exception as error:  # Pillow raises a dozen types on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{name}: damaged, it cannot be decoded: {reason}") from error


def expect_picture(path: Path) -> None:
    """Refuse a file that is none of a picture, by its header alone.

    Raises:
        ImageError: missing, unreadable, of another format or too large.
    """
    with _opened(path, str(path), MAX_PIXELS):
        pass


def read_file(path: Path) -> bytes:
    """The bytes of a photo's file.

    Raises:
        ImageError: missing, unreadable, not a regular file, or larger than `MAX_BYTES`; the
            message does not name the file.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("expected a file, found a folder or a device")
        if status.st_size > MAX_BYTES:
            raise ImageError(f"{status.st_size} bytes, more than the {MAX_BYTES} a photo may have")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error


def open_image(content: bytes) -> ImageFile:
    """The header, read by the format that the first bytes name.

    Raises:
        ImageError: no picture, or of a format that is not read; the message names no file.
    """
    if not content:
        raise ImageError("the file is empty")
    for magic, plugin in _FORMATS:
        if content.startswith(magic):
            return plugin(io.BytesIO(content))
    raise ImageError(
        "expected a JPEG, PNG, WebP, TIFF, BMP or GIF picture, "
        f"found a file that begins with {content[:8]!r}"
    )


def check_size(image: ImageFile, content: bytes, max_pixels: int) -> None:
    """Refuse what would take too long or too much memory to decode.

    Raises:
        ImageError: too many pixels, or too many scans; the message names no file.
    """
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} = {width * height} pixels, more than the limit of {max_pixels}"
        )
    # Compressed JPEG data never holds this marker, so the count needs no parsing.
    if image.format == "JPEG" and (scans := content.count(b"\xff\xda")) > _MAX_SCANS:
        raise ImageError(f"{scans} scans, more than the {_MAX_SCANS} a JPEG may have")


def _upright(image: ImageFile, whole: tuple[int, int]) -> tuple[Image.Image, bool]:
    """The picture turned as its EXIF says, and whether that swapped width and height."""
    if image.format == "TIFF":  # Pillow has turned it while loading
        return image, image.size != whole
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block says nothing; the picture itself is whole
        return image, False
    if turn is None:
        return image, False
    swaps = turn in (TURNS[5], TURNS[6], TURNS[7], TURNS[8])
    return image.transpose(turn), swaps


def _is_16_bits(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")


def _to_rgb(image: Image.Image, ground: str = "white") -> Image.Image:
    if _is_16_bits(image):
        grey = np.rint(_grey_of_16_bits(image, ground)).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("I", "F"):
        raise ImageError(f"32-bit pixels (mode {image.mode}), of which nobody says what is white")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba = image.convert("RGBA")
    flat = Image.new("RGB", image.size, ground)
    flat.paste(rgba, mask=rgba.getchannel("A"))
    return flat


def _grey_of_16_bits(image: Image.Image, ground: str) -> NDArray[np.float32]:
    """12 or 16 bits of grey as 0 to 255, not rounded; Pillow's own conversion clips."""
    grey = np.asarray(image).astype(np.float32)
    transparent = image.info.get("transparency")
    clear = grey == transparent if isinstance(transparent, int) else None
    bits, inverted = 16, False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = int(image.tag_v2.get(ExifTags.Base.BitsPerSample, (16,))[0])
        inverted = image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == _WHITE_IS_ZERO
    grey *= 255 / (2**bits - 1)
    if inverted:
        grey = 255 - grey
    if clear is not None:
        grey[clear] = ImageColor.getcolor(ground, "L")
    return grey


def square(image: Pixels, size: int) -> Pixels:
    """The largest central square of a photo, resized.

    Shrinking averages over each new pixel's area (exactly, with fractional borders); enlarging is
    bilinear.

    Args:
        image: uint8 (H, W, 3).
        size: the new side in pixels.

    Returns:
        uint8 (size, size, 3).
    """
    return np.array(_square(Image.fromarray(image), size))


def _square(image: Image.Image, size: int) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    if side == size:
        return image.crop(box)
    kind = Image.Resampling.BOX if side > size else Image.Resampling.BILINEAR
    return image.resize((size, size), kind, box)


def read_mask(
    path: str | Path, size: tuple[int, int] | None = None, *, black_holes: bool = False
) -> NDArray[np.bool_]:
    """Read a hole mask.

    Args:
        path: a picture; see `mask_of`.
        size: (height, width) to resize to, taking the nearest pixel.
        black_holes: the file has its holes black instead, as published QD-IMD masks do.

    Returns:
        bool (H, W), True in holes.

    Raises:
        ImageError: the file cannot be used, or is no mask.
    """
    with _opened(path, str(path), MAX_PIXELS) as image:
        image.load()
        mask = mask_of(_upright(image, image.size)[0], black_holes=black_holes)
    if size is not None and size != mask.shape:
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.intp)
            for new, old in zip(size, mask.shape, strict=True)
        )
        mask = mask[rows[:, None], columns]
    return mask


def mask_of(image: Image.Image, *, black_holes: bool = False) -> NDArray[np.bool_]:
    """The holes of a picture of any mode: what is at least half as bright as white (128 of 255).

    What is transparent is no hole: white paint on an empty layer is a mask.

    Returns:
        bool (H, W), True in holes.

    Raises:
        ImageError: a mode of which nobody says what is white; a picture in colours, or mostly in
            shades of grey; or one in which something is drawn, but too faintly to be a hole.
    """
    ground = "white" if black_holes else "black"
    rgb = _to_rgb(image, ground)
    if Image.getmodebase(image.mode) != "L" and _in_colours(rgb, image):
        raise ImageError("expected a black and white mask, found colours")
    grey = np.asarray(rgb.convert("L"))
    if np.count_nonzero((grey >= _BLACK) & (grey < _WHITE)) > grey.size // 2:
        raise ImageError("expected a black and white mask, found mostly shades of grey")
    holes = np.asarray(grey < 128 if black_holes else grey >= 128)
    if grey.size and not holes.any():
        fine = _grey_of_16_bits(image, ground) if _is_16_bits(image) else None
        _expect_empty(grey if fine is None else fine, black_holes=black_holes)
    return holes


def _expect_empty(grey: NDArray[np.generic], *, black_holes: bool) -> None:
    """Refuse a mask without holes that has paler shades where they are meant to be."""
    faint = _FAINT if grey.dtype == np.uint8 else _FAINT_16
    if black_holes and (darkest := float(grey.min())) < 255 - faint:
        raise ImageError(
            f"no pixel of the mask is black (the darkest is {darkest:.3g} of 255; less than 128 is "
            "needed)"
        )
    labels = grey.dtype == np.uint8 and grey.max() == 1  # meant as True
    if not black_holes and ((brightest := float(grey.max())) > faint or labels):
        raise ImageError(
            f"no pixel of the mask is white (the brightest is {brightest:.3g} of 255; 128 is "
            "needed)"
        )


def _in_colours(rgb: Image.Image, image: Image.Image) -> bool:
    """Whether a picture, and what it became in RGB, has more colour than compression makes."""
    red, green, blue = rgb.split()
    brightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
    coloured = sum(ImageChops.subtract(brightest, darkest).histogram()[_COLOUR + 1 :])
    visible = rgb.width * rgb.height
    if coloured and image.has_transparency_data:
        visible -= image.convert("RGBA").getchannel("A").histogram()[0]
    return coloured > _COLOURED * visible


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a bool (H, W) hole mask as an 8-bit grey PNG, holes white.

    Raises:
        StorageError: the file cannot be written.
    """
    write_png(path, mask.astype(np.uint8) * np.uint8(255))


def write_png(path: Path, image: Pixels, note: tuple[str, str] | None = None) -> None:
    """Write uint8 pixels, (H, W, 3) RGB or (H, W) grey, as PNG, and a keyword with its text.

    Raises:
        StorageError: the file cannot be written.
    """
    notes = PngImagePlugin.PngInfo()
    if note:
        notes.add_itxt(*note)
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, "PNG", pnginfo=notes)


def note_of(content: bytes, keyword: str) -> str:
    """The text that a picture's file holds for a keyword; empty if there is none."""
    with suppress(Exception), open_image(content) as image:  # a damaged one says nothing
        return str(image.info.get(keyword, ""))
    return ""
