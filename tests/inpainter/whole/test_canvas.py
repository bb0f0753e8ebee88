from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simpaint.data.drawn_faces import drawn_face
from simpaint.errors import ImageError, InputError
from simpaint.inpainter.whole.canvas import open_canvas


def test_a_tiff_that_pillow_has_not_turned_yet_is_turned_once(tmp_path: Path) -> None:
    pixels = drawn_face(np.random.default_rng(0), 40)[:, :30]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.tif", exif=exif)
    with Image.open(tmp_path / "turned.tif") as photo:
        canvas = open_canvas(photo, np.zeros((30, 40), np.bool_))
    np.testing.assert_array_equal(canvas.pixels, np.rot90(pixels, -1))


def test_a_mask_of_16_bits_is_a_hole_where_it_is_half_as_bright_as_white() -> None:
    photo = np.zeros((2, 3, 3), np.uint8)
    grey = np.array([[0, 300, 30000], [33000, 65535, 0]], np.uint16)
    expected = [[False, False, False], [True, True, False]]
    for mask in (grey, Image.fromarray(grey)):
        np.testing.assert_array_equal(open_canvas(photo, mask).hole, expected)


@pytest.mark.parametrize("grow", [0, 1, 4])
def test_holes_are_grown_to_all_sides(grow: int) -> None:
    photo = np.random.default_rng(0).integers(1, 200, (20, 30, 3), np.uint8)
    mask = np.zeros((20, 30), np.bool_)
    mask[6, 2] = mask[15, 20:24] = True
    canvas = open_canvas(photo, mask, grow=grow)
    rows, columns = np.nonzero(mask)
    for y, x in np.ndindex(mask.shape):
        near = np.hypot(rows - y, columns - x).min() <= grow
        assert canvas.hole[y, x] == canvas.unknown[y, x] == near
    assert not open_canvas(photo, np.zeros_like(mask), grow=grow).hole.any()


def test_holes_are_filled_smoothly_from_what_is_around_them() -> None:
    rows, columns = np.mgrid[:90, :140].astype(np.float32) / 140
    photo = np.stack([rows, columns, 1 - columns], axis=-1)
    hole = np.zeros((90, 140), np.bool_)
    hole[30:60, 50:90] = True
    seen = photo.copy()
    seen[hole] = np.random.default_rng(0).random((hole.sum(), 3))
    for scale, kind in ((1, np.float32), (255, np.uint8), (65535, np.uint16)):
        canvas = open_canvas((seen * scale).astype(kind), hole)
        np.testing.assert_array_equal(canvas.pixels[~hole], (seen * scale).astype(kind)[~hole])
        assert np.abs(canvas.pixels / scale - photo)[hole].max() < 0.05


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_constant_photo_of_which_little_is_known_is_filled_with_its_colour(
    dtype: type[np.generic],
) -> None:
    photo = np.full((600, 900, 3), 100, dtype)
    mask = np.ones((600, 900), np.bool_)
    mask[::20, ::20] = False
    np.testing.assert_array_equal(open_canvas(photo, mask).pixels, photo)


@pytest.mark.parametrize(
    ("white", "dtype"), [(255, np.uint16), (100, np.uint8), (100, np.int64), (0.4, np.float32)]
)
def test_a_mask_too_faint_for_a_hole_is_refused_and_not_taken_for_none(
    tmp_path: Path, white: float, dtype: type[np.generic]
) -> None:
    photo = np.zeros((4, 6, 3), np.uint8)
    empty, mask = np.zeros((4, 6), dtype), np.zeros((4, 6), dtype)
    mask[1:3, 2:5] = white
    most = {np.uint16: 65535, np.float32: 1}.get(dtype, 255)
    for faint, nothing, black_holes in (
        (mask, empty, False), (most - mask, np.full_like(mask, most), True)
    ):  # fmt: skip
        with pytest.raises(ImageError, match="no pixel of the mask is"):
            open_canvas(photo, faint, black_holes=black_holes)
        assert not open_canvas(photo, nothing, black_holes=black_holes).hole.any()
        if dtype == np.uint16:
            Image.fromarray(faint).save(tmp_path / "mask.png")
            with pytest.raises(ImageError, match=r"mask\.png: no pixel of the mask is"):
                open_canvas(photo, tmp_path / "mask.png", black_holes=black_holes)
            Image.fromarray(nothing).save(tmp_path / "mask.png")
            open_canvas(photo, tmp_path / "mask.png", black_holes=black_holes)


def test_holes_are_not_made_narrower() -> None:
    with pytest.raises(InputError, match="grow: expected 0 pixels or more, found -1"):
        open_canvas(np.zeros((4, 6, 3), np.uint8), np.eye(4, 6, dtype=bool), grow=-1)


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_a_mask_of_other_numbers_is_refused(value: float) -> None:
    with pytest.raises(ImageError, match="numbers of 0 or more"):
        open_canvas(np.zeros((2, 3, 3), np.uint8), np.full((2, 3), value))
