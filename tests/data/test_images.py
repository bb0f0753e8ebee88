import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import decode, mask_of, read_mask, read_photo, square, write_mask
from simpaint.errors import ImageError

FACE = drawn_face(np.random.default_rng(1), 64)
COLOUR = Image.new("RGB", (30, 20), (200, 100, 50))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(depth: int, kind: int, row: bytes, transparent: bytes = b"") -> bytes:
    """A 1 x 1 PNG written from the specification, for what Pillow cannot write."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, depth, kind, 0, 0, 0))]
    chunks += [(b"tRNS", transparent)] if transparent else []
    chunks += [(b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_every_format_is_read_by_its_content(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(encoded(COLOUR, kind))
    pixels = decode(path)
    assert pixels.shape == (20, 30, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_allclose(pixels[10, 15], (200, 100, 50), atol=4)


def test_every_colour_mode_becomes_rgb() -> None:
    for mode in ("1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr"):
        image = COLOUR.convert(mode)
        pixels = decode(encoded(image, "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"))
        np.testing.assert_allclose(pixels, np.asarray(image.convert("RGB")), atol=2)


def test_cmyk_of_a_jpeg_is_not_inverted() -> None:
    data = encoded(COLOUR.convert("CMYK"), "JPEG")  # written inverted, as Adobe does
    np.testing.assert_allclose(decode(data)[10, 15], (200, 100, 50), atol=4)


def test_16_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    expected = np.rint(ramp / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(
            decode(encoded(Image.fromarray(ramp), kind))[..., 0], expected
        )
    inverted = encoded(Image.fromarray(ramp), "TIFF", tiffinfo={262: 0})
    np.testing.assert_allclose(decode(inverted)[..., 1], 255 - expected.astype(int), atol=1)
    row = struct.pack(">3H", 51400, 25700, 12850)
    assert decode(png(16, 2, row)).ravel().tolist() == [200, 100, 50]


def test_what_is_transparent_lies_over_white() -> None:
    half = Image.new("RGBA", (4, 4), (200, 100, 50, 51))
    expected = np.array((200, 100, 50)) * 0.2 + 255 * 0.8
    for data in (encoded(half, "PNG"), encoded(half, "WEBP", lossless=True)):
        np.testing.assert_allclose(decode(data)[0, 0], expected, atol=1)
    palette = COLOUR.quantize(4)
    assert decode(encoded(palette, "PNG", transparency=0)).min() == 255
    assert decode(encoded(palette, "GIF", transparency=0)).min() == 255
    grey, colour = struct.pack(">H", 51400), struct.pack(">3H", 51400, 25700, 12850)
    assert decode(png(16, 0, grey, grey)).min() == 255
    assert decode(png(16, 2, colour, colour)).min() == 255


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stands_upright(kind: str, orientation: int) -> None:
    image = Image.fromarray(FACE[:, :40])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, kind, exif=exif)
    photo = read_photo(data)
    with Image.open(io.BytesIO(data)) as reference:
        expected = np.asarray(ImageOps.exif_transpose(reference))
    np.testing.assert_array_equal(photo.pixels, expected)
    assert (photo.height, photo.width) == expected.shape[:2]


def test_a_damaged_exif_block_does_not_lose_the_photo() -> None:
    data = encoded(COLOUR, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode(data).shape == (20, 30, 3)


def test_a_square_is_close_to_the_area_average_and_decoded_smaller_where_it_can_be() -> None:
    image = Image.fromarray(drawn_face(np.random.default_rng(2), 400)[:, :390])
    for kind, most in (("PNG", 0.0), ("JPEG", 3.0)):
        data = encoded(image, kind, quality=95)
        photo = read_photo(data, side=96)
        assert photo.pixels.shape == (96, 96, 3)
        assert (photo.width, photo.height) == (390, 400)
        whole = square(decode(data), 96).astype(float)
        difference = np.abs(photo.pixels - whole).mean()
        assert difference <= most
        assert (difference > 0) == (kind == "JPEG")  # of 100 x 98 pixels, not of 400 x 390


def test_too_many_pixels_are_refused_before_decoding() -> None:
    data = encoded(Image.new("1", (9000, 12000)), "PNG")
    with pytest.raises(ImageError, match=r"bomb.png: 9000 x 12000 = 108000000 pixels.*100000000"):
        decode(data, name="bomb.png")
    assert decode(encoded(COLOUR, "PNG"), max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(ImageError, match="limit of 599"):
        decode(encoded(COLOUR, "PNG"), max_pixels=599)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(COLOUR, "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="scans"):
        decode(data[:start] + data[start:-2] * 200 + data[-2:])


def test_what_is_no_photo_is_refused_with_a_reason(tmp_path: Path) -> None:
    for data, reason in ((b"", "empty"), (b"hello world", "b'hello wo'"), (b"BM text", "damaged")):
        with pytest.raises(ImageError, match=f"x.jpg: .*{reason}"):
            decode(data, name="x.jpg")
    with pytest.raises(ImageError, match="No such file"):
        decode(tmp_path / "absent.jpg")
    with pytest.raises(ImageError, match="expected a file"):
        decode(tmp_path)
    with pytest.raises(ImageError, match="expected a file"):
        decode(Path("/dev/zero"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_gives_a_picture_or_an_image_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"]))
    content = bytearray(encoded(Image.fromarray(FACE), kind))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        pixels = decode(bytes(content), max_pixels=1_000_000)
    except ImageError:
        return
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3


def test_a_square_is_the_area_average_of_the_centre() -> None:
    image = np.random.default_rng(3).integers(0, 256, (24, 36, 3), dtype=np.uint8)
    expected = image[:, 6:30].reshape(8, 3, 8, 3, 3).mean(axis=(1, 3))  # (8, 8, 3)
    np.testing.assert_allclose(square(image, 8), expected, atol=1)
    np.testing.assert_array_equal(square(image, 24), image[:, 6:30])
    assert square(image, 50).shape == (50, 50, 3)


def test_masks_come_back_as_written(tmp_path: Path) -> None:
    mask = np.random.default_rng(4).random((12, 17)) < 0.5
    write_mask(tmp_path / "mask.png", mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", black_holes=True), ~mask)
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "L"


def test_masks_are_cut_at_128_and_resized_to_the_nearest(tmp_path: Path) -> None:
    grey = np.array([[0, 127], [128, 255]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png", (4, 6))
    expected = np.repeat(np.repeat(grey >= 128, 2, 0), 3, 1)
    np.testing.assert_array_equal(mask, expected)


def test_drawn_faces_repeat_with_their_seed_and_differ_otherwise() -> None:
    rng = np.random.default_rng(1)
    first, second = drawn_face(rng, 64), drawn_face(rng, 64)
    np.testing.assert_array_equal(first, FACE)
    assert np.abs(first.astype(int) - second).mean() > 5


def test_what_is_transparent_is_no_hole(tmp_path: Path) -> None:
    layer = np.zeros((4, 6, 4), np.uint8)
    layer[1:3, 2:5] = 255
    Image.fromarray(layer).save(tmp_path / "white.png")
    expected = np.zeros((4, 6), np.bool_)
    expected[1:3, 2:5] = True
    np.testing.assert_array_equal(read_mask(tmp_path / "white.png"), expected)
    layer[1:3, 2:5, :3] = 0
    Image.fromarray(layer).save(tmp_path / "black.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "black.png", black_holes=True), expected)
    assert not read_mask(tmp_path / "black.png").any()
    grey = struct.pack(">H", 51400)  # 16 bits of grey, of which one is said to be transparent
    (tmp_path / "deep.png").write_bytes(png(16, 0, grey, grey))
    assert not read_mask(tmp_path / "deep.png").any()
    assert not read_mask(tmp_path / "deep.png", black_holes=True).any()


def test_a_photo_given_as_mask_is_refused(tmp_path: Path) -> None:
    damage = np.s_[20:40, 20:40]
    red, erased = FACE.copy(), np.dstack([FACE, np.full((64, 64), 255, np.uint8)])
    red[damage] = 255, 0, 0
    erased[damage] = 0
    layer = np.zeros((64, 64, 4), np.uint8)
    layer[10, 10:20] = 255, 0, 0, 255  # red paint on an empty layer
    grey = np.repeat(FACE[..., 1:2], 3, axis=2)
    grey[damage] = 255, 0, 0
    for picture in (FACE, red, erased, layer, grey):
        for black_holes in (False, True):
            Image.fromarray(picture).save(tmp_path / "mask.png")
            with pytest.raises(
                ImageError, match=r"mask\.png: expected a black and white mask, found colours$"
            ):
                read_mask(tmp_path / "mask.png", black_holes=black_holes)
            with pytest.raises(ImageError, match=r"^expected a black and white mask, found"):
                mask_of(Image.fromarray(picture), black_holes=black_holes)


def test_a_grey_photo_given_as_mask_is_refused_but_not_a_mask_with_soft_edges() -> None:
    for black_holes in (False, True):
        with pytest.raises(ImageError, match=r"found mostly shades of grey$"):
            mask_of(Image.fromarray(FACE).convert("L"), black_holes=black_holes)
    across = np.abs(np.arange(64)[:, None] - np.arange(64)) * 12.0
    soft = Image.fromarray(across.clip(0, 255).astype(np.uint8))
    np.testing.assert_array_equal(mask_of(soft), across >= 128)


def test_a_mask_may_have_as_much_colour_as_compression_makes(tmp_path: Path) -> None:
    mask = np.zeros((80, 80, 3), np.uint8)
    mask[20:50, 30:60] = 255
    mask[:6, :10] = 255, 0, 0  # less than 1 %
    mask[60:] = 50, 0, 0
    for kind in ("png", "jpg", "gif", "webp"):
        Image.fromarray(mask).save(tmp_path / f"mask.{kind}")
        found = read_mask(tmp_path / f"mask.{kind}")
        assert (found[6:] == (mask[6:, :, 1] > 0)).mean() > 0.99


def test_a_mask_too_faint_to_have_holes_is_told_from_an_empty_one(tmp_path: Path) -> None:
    grey = np.zeros((20, 30), np.uint8)
    for faint in (0, 8):
        grey[5:9, 5:9] = faint
        Image.fromarray(grey).save(tmp_path / "mask.png")
        assert not read_mask(tmp_path / "mask.png").any()
        Image.fromarray(255 - grey).save(tmp_path / "mask.png")
        assert not read_mask(tmp_path / "mask.png", black_holes=True).any()
    for told in (1, 20):  # 1: as arrays have it
        grey[5:9, 5:9] = told
        Image.fromarray(grey).save(tmp_path / "mask.png")
        with pytest.raises(ImageError, match=f"the brightest is {told} of 255"):
            read_mask(tmp_path / "mask.png")
    grey[5:9, 5:9] = 120
    Image.fromarray(grey).save(tmp_path / "mask.png")
    message = r"mask\.png: .* is white \(the brightest is 120 of 255; 128 is needed\)$"
    with pytest.raises(ImageError, match=message):
        read_mask(tmp_path / "mask.png")
    Image.fromarray(255 - grey).save(tmp_path / "mask.png")
    message = r"mask\.png: .* is black \(the darkest is 135 of 255; less than 128 is needed\)$"
    with pytest.raises(ImageError, match=message):
        read_mask(tmp_path / "mask.png", black_holes=True)


def test_colours_of_what_is_transparent_do_not_count(tmp_path: Path) -> None:
    layer = np.zeros((64, 64, 4), np.uint8)
    layer[..., :3] = FACE
    layer[20:40, 20:40] = 255
    Image.fromarray(layer).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), layer[..., 3] > 0)


def test_a_damaged_mask_is_named(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(ImageError, match=r"mask\.png: damaged"):
        read_mask(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=r"gone\.png: cannot be read"):
        read_mask(tmp_path / "gone.png")
