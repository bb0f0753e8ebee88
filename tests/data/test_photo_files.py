import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from simpaint.data.photo_files import PhotoFile, open_photo, save_photo
from simpaint.data.rasters import upright
from simpaint.errors import ImageError

RGB = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)
DEEP = np.random.default_rng(1).integers(0, 1 << 16, (21, 34, 3), dtype=np.uint16)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def again(path: Path) -> Path:
    """Open and write a photo."""
    source = open_photo(path)
    out = path.with_stem(path.stem + "-out")
    save_photo(out, source.stored, source)
    return out


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".webp", ".gif"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_lossless_files_come_back_pixel_for_pixel(tmp_path: Path, suffix: str, mode: str) -> None:
    image = Image.fromarray(DEEP[..., 0]) if mode == "I;16" else Image.fromarray(RGB)
    if mode == "P":
        image = image.quantize(60)
    elif mode != "I;16":
        image = image.convert(mode)
    path = tmp_path / f"photo{suffix}"
    try:
        image.save(path, lossless=True)  # only WebP takes it
    except (OSError, ValueError, KeyError):
        pytest.skip(f"no {mode} in {suffix}")
    with Image.open(path) as before, Image.open(again(path)) as after:
        assert (before.mode, before.format) == (after.mode, after.format)
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after))
        assert before.convert("RGBA").tobytes() == after.convert("RGBA").tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_16_bits_keep_all_of_them(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = DEEP if channels == 3 else np.concatenate([DEEP, DEEP[..., :1]], axis=2)
    path = tmp_path / f"photo{suffix}"
    cv2.imwrite(str(path), pixels)  # BGR
    source = open_photo(path)
    assert isinstance(source.stored, np.ndarray)
    order = [2, 1, 0, 3][:channels]
    np.testing.assert_array_equal(source.stored, pixels[..., order])
    after = cv2.imread(str(again(path)), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(after, pixels)


def test_a_jpeg_keeps_exif_and_profile_but_not_the_thumbnail(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274], exif[271] = 6, "maker"
    block = exif.tobytes()
    path = tmp_path / "photo.jpg"
    thumbnail = io.BytesIO()
    Image.fromarray(RGB).save(thumbnail, "JPEG")
    Image.fromarray(RGB).save(
        path, exif=_with_thumbnail(block, thumbnail.getvalue()), icc_profile=PROFILE, dpi=(300, 300)
    )
    with Image.open(path) as before:
        assert before.getexif().get_ifd(ExifTags.IFD.IFD1)
    source = open_photo(path)
    assert source.orientation == 6
    assert isinstance(source.stored, Image.Image)
    assert source.stored.size == (34, 21)  # the file's raster, not turned
    with Image.open(again(path)) as after:
        kept = after.getexif()
        assert (kept[274], kept[271]) == (6, "maker")
        assert not kept.get_ifd(ExifTags.IFD.IFD1)
        assert after.info["icc_profile"] == PROFILE
        assert after.info["dpi"] == (300, 300)
        assert after.size == (34, 21)
        assert {layer[1:3] for layer in after.layer} == {(1, 1)}
    assert thumbnail.getvalue() not in again(path).read_bytes()


def _with_thumbnail(block: bytes, thumbnail: bytes) -> bytes:
    """An EXIF block with a second directory that holds a thumbnail; Pillow writes none."""
    head, tiff = block[:6], bytearray(block[6:])
    order: Any = "little" if tiff[:2] == b"II" else "big"
    first = int.from_bytes(tiff[4:8], order)
    entries = int.from_bytes(tiff[first : first + 2], order)
    link = first + 2 + 12 * entries
    start = len(tiff)
    tiff[link : link + 4] = start.to_bytes(4, order)
    data = start + 2 + 24 + 4
    directory = (2).to_bytes(2, order)
    for tag, value in ((0x201, data), (0x202, len(thumbnail))):
        directory += tag.to_bytes(2, order) + (4).to_bytes(2, order) + (1).to_bytes(4, order)
        directory += value.to_bytes(4, order)
    return head + bytes(tiff) + directory + (0).to_bytes(4, order) + thumbnail


def test_a_profile_stays_in_16_bit_png(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), DEEP)
    source = open_photo(path)
    source.extras["icc_profile"] = PROFILE
    save_photo(tmp_path / "out.png", source.stored, source)
    with Image.open(tmp_path / "out.png") as after:
        assert after.info["icc_profile"] == PROFILE
    np.testing.assert_array_equal(open_photo(tmp_path / "out.png").stored, source.stored)


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=r"film.gif: expected a single picture, found 2 frames"):
        open_photo(tmp_path / "film.gif")
    (tmp_path / "no.jpg").write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(ImageError, match=r"no.jpg: damaged"):
        open_photo(tmp_path / "no.jpg")
    Image.fromarray(RGB).convert("RGBA").save(tmp_path / "photo.png")
    source = open_photo(tmp_path / "photo.png")
    with pytest.raises(ImageError, match=r"JPEG cannot hold a photo of mode RGBA; take .png"):
        save_photo(tmp_path / "out.jpg", source.stored, source)
    with pytest.raises(ImageError, match="expected a name that ends in"):
        save_photo(tmp_path / "out.heic", source.stored, source)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_the_resolution_of_16_bit_colours_stays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scan{suffix}"
    source = PhotoFile(DEEP, "TIFF", extras={"dpi": (600.0, 300.0)})
    save_photo(path, DEEP, source)
    assert open_photo(path).extras["dpi"] == pytest.approx((600, 300), abs=0.1)
    save_photo(path, DEEP, PhotoFile(DEEP, "TIFF"))
    with Image.open(path) as image:
        assert "dpi" not in image.info  # nobody knows it


def test_formats_that_can_hold_the_mode_are_named(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    Image.fromarray(RGB).convert("CMYK").save(path)
    source = open_photo(path)
    with pytest.raises(ImageError, match=r"PNG cannot hold .* CMYK; take \.tif or \.jpg"):
        save_photo(tmp_path / "print.png", source.stored, source)


@pytest.mark.parametrize("kind", ["lossless", "lossy"])
def test_a_profile_does_not_hide_what_kind_of_webp_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photo.webp"
    Image.fromarray(RGB).save(path, lossless=kind == "lossless", icc_profile=PROFILE)
    assert open_photo(path).extras["how"] == kind
    with Image.open(path) as before, Image.open(again(path)) as after:
        assert after.info["icc_profile"] == PROFILE
        assert (before.tobytes() == after.tobytes()) == (kind == "lossless")


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("I;16", ".webp"), ("I;16", ".gif"), ("RGB", ".gif"), ("CMYK", ".webp"), ("RGBA", ".bmp")],
)
def test_no_mode_is_turned_into_another_without_a_word(
    tmp_path: Path, mode: str, suffix: str
) -> None:
    deep = mode == "I;16"
    stored = Image.fromarray(DEEP[..., 0]) if deep else Image.fromarray(RGB).convert(mode)
    with pytest.raises(ImageError, match=rf"cannot hold a photo of mode {mode}; take \.(png|tif)"):
        save_photo(tmp_path / f"out{suffix}", stored, PhotoFile(stored, "PNG"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "deep"), [(".bmp", False), (".gif", False), (".tif", True)])
def test_where_no_exif_can_be_the_pixels_stand_upright(
    tmp_path: Path, suffix: str, deep: bool, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = DEEP if deep else RGB[..., 0]
    stored = pixels if deep else Image.fromarray(pixels)
    extras = {"exif": exif.tobytes(), "dpi": (600.0, 300.0)}
    save_photo(tmp_path / f"a{suffix}", stored, PhotoFile(stored, "PNG", orientation, dict(extras)))
    after = open_photo(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(np.asarray(after.stored), upright(pixels, orientation))
    if suffix != ".gif":
        expected = (600, 300) if orientation < 5 else (300, 600)
        assert after.extras["dpi"] == pytest.approx(expected, abs=0.1)
