from typing import Any

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from simpaint.inpainter.whole.frames import Floats, Frame
from simpaint.inpainter.whole.membrane import membrane
from simpaint.inpainter.whole.paste import match_border, paste, paste_smooth


def disc(side: int, radius: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    rows, columns = np.mgrid[:side, :side] - side / 2
    return np.asarray(np.hypot(rows, columns) < radius)


def noise(shape: tuple[int, int], sigma: float, strength: float, seed: int) -> Floats:
    """Grain (H, W, 3), correlated over sigma pixels, of a given deviation."""
    white = np.random.default_rng(seed).standard_normal((*shape, 3))
    grain = gaussian_filter(white, (sigma, sigma, 0))
    return np.asarray(strength * grain / grain.std(), np.float32)


@pytest.mark.parametrize("side", [31, 64, 128])
def test_a_membrane_is_close_to_laplaces_equation_solved_slowly(side: int) -> None:
    rng = np.random.default_rng(side)
    values = gaussian_filter(rng.random((side, side, 2)), (3, 3, 0)).astype(np.float32)
    hole = disc(side, side / 4)
    slow = np.where(hole[..., None], values[~hole].mean(), values)
    for _ in range(4 * side * side // 10):
        near = cv2.blur(slow, (3, 3)) * 9 - slow  # the eight neighbors
        slow = np.where(hole[..., None], near / 8, values)
    found = membrane(values, hole)
    np.testing.assert_array_equal(found[~hole], values[~hole])
    assert np.abs(found - slow).max() < 0.1 * np.ptp(values)
    assert np.abs(found - slow)[hole].mean() < 0.02 * np.ptp(values)


def test_a_membrane_over_everything_or_nothing() -> None:
    values = np.ones((9, 7, 3), np.float32)
    np.testing.assert_array_equal(membrane(values, np.zeros((9, 7), np.bool_)), values)
    np.testing.assert_array_equal(membrane(values, np.ones((9, 7), np.bool_)), 0)
    one = np.ones((1, 5), np.bool_)
    one[0, 2] = False
    np.testing.assert_allclose(membrane(np.full((1, 5, 3), 3.0, np.float32), one), 3)


def test_a_shifted_painting_meets_the_photo_all_around() -> None:
    rows, columns = np.mgrid[:64, :64].astype(np.float32) / 64
    photo = np.stack([rows, columns, (rows + columns) / 2], axis=-1)
    painted = np.asarray(photo * 0.7 + 0.2, np.float32)  # other contrast, other brightness
    hole = disc(64, 16)
    whole = match_border(painted, np.where(hole[..., None], np.float32(9), photo), hole)
    np.testing.assert_array_equal(whole[~hole], photo[~hole])
    assert np.abs(whole - photo)[hole].max() < 0.05
    assert np.abs(painted - photo)[hole].max() > 0.1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_smooth_filling_goes_on_with_slopes_and_writes_its_own_pixels_alone(dtype: type) -> None:
    white = 1.0 if dtype == np.float32 else float(np.iinfo(dtype).max)
    rows, columns = np.mgrid[:50, :60] / 60
    slopes = np.stack([rows, columns, rows * columns], axis=-1)
    photo: np.ndarray[tuple[int, ...], np.dtype[Any]] = (slopes * white).astype(dtype)
    unknown = np.zeros((50, 60), np.bool_)
    unknown[:, 20:23] = unknown[40:, 30:] = True  # the latter is not known either, nor asked for
    canvas = np.where(unknown[..., None], np.asarray(white, dtype), photo)
    before = canvas.copy()
    own = np.zeros((47, 3), np.bool_)
    own[:45] = True
    paste_smooth(canvas, white, ((slice(3, 50), slice(20, 23)), own), unknown)
    written = np.zeros_like(unknown)
    written[3:48, 20:23] = True
    np.testing.assert_array_equal(canvas[~written], before[~written])
    error = np.abs(canvas.astype(float) - photo.astype(float))[written] / white
    assert error.max() < 0.01


@pytest.mark.parametrize(("scale", "sigma"), [(1, 0.0), (1, 0.8), (3, 0.0), (3, 1.0)])
def test_the_paste_has_the_grain_of_its_surroundings(scale: int, sigma: float) -> None:
    size = 64 * scale
    smooth = gaussian_filter(noise((size, size), 0, 1, 1), (20, 20, 0)) + 0.5
    photo = (smooth + noise((size, size), sigma, 0.03, 2)).astype(np.float32)
    hole = disc(size, size / 4)
    canvas = np.where(hole[..., None], np.float32(0.5), photo)
    whole = cv2.resize(smooth.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    own = ((slice(0, size), slice(0, size)), hole)
    paste(canvas, 1.0, Frame(0j, size + 0j), whole, own, hole, np.random.default_rng(0))
    np.testing.assert_array_equal(canvas[~hole], photo[~hole])
    inside, outside = disc(size, size / 4 - 6), ~disc(size, size / 4 + 6)
    detail = canvas - gaussian_filter(canvas, (2, 2, 0))
    assert 0.75 < detail[inside].std() / detail[outside].std() < 1.15
    step = np.diff(detail, axis=1)  # how fine the grain is
    ratio = step[inside[:, 1:]].std() / step[outside[:, 1:]].std()
    assert 0.7 < ratio < 1.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 40), (2, 2)])
def test_a_hole_of_few_pixels_gets_no_more_grain_than_a_large_one(shape: tuple[int, int]) -> None:
    photo = 0.5 + noise((64, 64), 0.7, 0.03, 3)
    hole = np.zeros((64, 64), np.bool_)
    hole[30 : 30 + shape[0], 10 : 10 + shape[1]] = True
    flat = np.full((64, 64, 3), 0.5, np.float32)
    found = []
    for seed in range(40):
        canvas = photo.copy()
        own = ((slice(0, 64), slice(0, 64)), hole)
        paste(canvas, 1.0, Frame(0j, 64 + 0j), flat, own, hole, np.random.default_rng(seed))
        found.append(canvas[hole] - 0.5)
    assert 0.02 < np.concatenate(found).std() < 0.04


def test_edges_around_the_hole_are_no_grain() -> None:
    photo = np.full((128, 128, 3), 0.5, np.float32)
    photo[:, ::32] = 0.9  # lines, and flat between them
    hole = disc(128, 24)
    canvas = photo.copy()
    own = ((slice(0, 128), slice(0, 128)), hole)
    flat = np.full((64, 64, 3), 0.5, np.float32)
    paste(canvas, 1.0, Frame(0j, 128 + 0j), flat, own, hole, np.random.default_rng(0))
    assert canvas[hole].std() < 0.01


def test_the_texture_of_what_is_beyond_the_square_is_no_grain() -> None:
    photo = 0.5 + noise((128, 128), 0.7, 0.1, 4)
    photo[32:96, 32:96] = 0.5
    hole = np.zeros((128, 128), np.bool_)
    hole[36:92, 36:92] = True
    canvas = photo.copy()
    own = ((slice(0, 128), slice(0, 128)), hole)
    flat = np.full((64, 64, 3), 0.5, np.float32)
    paste(canvas, 1.0, Frame(32 + 32j, 64 + 0j), flat, own, hole, np.random.default_rng(0))
    assert canvas[hole].std() < 0.01
