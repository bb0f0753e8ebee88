import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from simpaint.data.rasters import as_stored, to_rgb, upright, with_painted
from simpaint.errors import ImageError

RGB = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)
GREY = np.random.default_rng(1).integers(0, 1 << 16, (21, 34), dtype=np.uint16)
HOLE = np.random.default_rng(2).random((21, 34)) < 0.3
MODES = ("1", "L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "P", "I;16")


def image_of(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(GREY)
    image = Image.fromarray(RGB)
    if mode == "P":
        return image.quantize(60)
    converted = image.convert(mode)
    if mode in ("LA", "RGBA"):
        converted.putalpha(Image.fromarray(RGB[..., 0]))
    return converted


@pytest.mark.parametrize("mode", MODES)
def test_known_pixels_stay_whatever_the_mode(mode: str) -> None:
    image = image_of(mode)
    seen = to_rgb(image)
    out = with_painted(image, np.iinfo(seen.dtype).max - seen, HOLE)
    assert isinstance(out, Image.Image)
    assert (out.mode, out.size, out.getpalette()) == (mode, image.size, image.getpalette())
    before, after = np.asarray(image), np.asarray(out)
    np.testing.assert_array_equal(after[~HOLE], before[~HOLE])
    assert (after[HOLE] != before[HOLE]).any()
    if mode in ("LA", "RGBA"):  # what was erased is to be seen
        np.testing.assert_array_equal(after[HOLE][:, -1], 255)


@pytest.mark.parametrize(
    ("mode", "tolerance"),
    [("L", 0), ("RGB", 0), ("RGBX", 0), ("CMYK", 1), ("YCbCr", 3), ("HSV", 8), ("I;16", 0)],
)
def test_what_is_painted_is_what_is_seen(mode: str, tolerance: int) -> None:
    image = image_of(mode)
    painted = to_rgb(image)[::-1, ::-1].copy()  # colours that the mode can hold
    out = with_painted(image, painted, HOLE)
    difference = to_rgb(out).astype(int) - painted
    assert np.abs(difference[HOLE]).max() <= tolerance


def test_half_transparent_pixels_look_as_painted() -> None:
    rgba = np.concatenate([RGB, np.full((21, 34, 1), 128, np.uint8)], axis=2)
    painted = np.full_like(RGB, 180)
    for stored in (rgba, Image.fromarray(rgba)):
        seen = to_rgb(with_painted(stored, painted, HOLE))
        np.testing.assert_allclose(seen[HOLE], 180, atol=1)


def test_a_palette_gives_its_nearest_colours_and_never_the_transparent_one() -> None:
    image = Image.new("P", (34, 21))
    image.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 255, 255, 255])
    image.info["transparency"] = 3
    painted = np.full_like(RGB, 255)
    painted[:, :17] = (200, 30, 30)
    out = np.asarray(with_painted(image, painted, HOLE))
    assert set(out[:, :17][HOLE[:, :17]]) == {1}
    assert 3 not in out[HOLE]
    np.testing.assert_array_equal(out[~HOLE], 0)


def test_painted_colours_are_not_seen_through_by_a_transparent_colour() -> None:
    for mode, key in (("L", 255), ("RGB", (255, 255, 255))):
        image = image_of(mode)
        image.info["transparency"] = key
        out = with_painted(image, np.full_like(RGB, 255), HOLE)
        assert isinstance(out, Image.Image)
        assert np.asarray(out.convert("RGBA"))[..., 3][HOLE].min() == 255


def test_black_ink_takes_the_share_it_has_in_the_photo() -> None:
    ink = np.zeros((21, 34, 4), np.uint8)
    ink[..., 3] = 155  # grey by black alone
    image = Image.fromarray(ink, "CMYK")
    out = np.asarray(with_painted(image, np.full_like(RGB, 60), HOLE))
    np.testing.assert_array_equal(out[HOLE], [[0, 0, 0, 195]] * int(HOLE.sum()))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(21, 34), (21, 34, 1), (21, 34, 2), (21, 34, 3), (21, 34, 4)])
def test_arrays_keep_type_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    values: NDArray[Any] = np.random.default_rng(3).random(shape)
    scale = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    stored: NDArray[Any] = (values * scale).astype(dtype)
    seen = to_rgb(stored)
    assert seen.shape == (21, 34, 3)
    out = with_painted(stored, seen.max() - seen, HOLE)
    assert isinstance(out, np.ndarray)
    assert (out.dtype, out.shape) == (stored.dtype, shape)
    np.testing.assert_array_equal(out[~HOLE], stored[~HOLE])


def test_one_bit_arrays_stay_so() -> None:
    stored = RGB[..., 0] > 99
    out = with_painted(stored, 255 - to_rgb(stored), HOLE)
    np.testing.assert_array_equal(out, stored ^ HOLE)


@pytest.mark.parametrize(
    "stored",
    [
        np.zeros((4, 4), np.int32),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((4, 4, 3), np.bool_),
        np.full((4, 4), 2.0),
        Image.new("F", (4, 4)),
        Image.new("I", (4, 4)),
    ],
)
def test_other_forms_are_refused(stored: Any) -> None:  # noqa: ANN401
    with pytest.raises(ImageError, match="expected"):
        to_rgb(stored)


@pytest.mark.parametrize("orientation", range(9))
def test_turning_is_pillows_and_can_be_undone(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "PNG", exif=exif.tobytes())
    turned = ImageOps.exif_transpose(Image.open(buffer))
    assert turned is not None
    np.testing.assert_array_equal(upright(RGB, orientation), np.asarray(turned))
    np.testing.assert_array_equal(as_stored(upright(RGB, orientation), orientation), RGB)
