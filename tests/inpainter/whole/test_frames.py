import cmath

import numpy as np
import pytest
from PIL import Image

from simpaint.inpainter.whole.frames import Floats, Frame, cut, cut_hole, lift

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> Floats:
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    waves = [np.sin(columns / 17), np.cos(rows / 13), np.sin((rows + columns) / 23)]
    return np.asarray(np.stack(waves, axis=-1) / 2 + 0.5, np.float32)


def test_a_square_of_the_same_size_is_cut_exactly() -> None:
    np.testing.assert_array_equal(cut(PHOTO, Frame(7 + 5j, 64 + 0j), 64), PHOTO[5:69, 7:71])


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_shrinking_averages_over_areas(factor: int) -> None:
    side = 10 * factor
    found = cut(PHOTO, Frame(6 + 3j, side + 0j), 10)
    slow = PHOTO[3 : 3 + side, 6 : 6 + side].astype(np.float64)
    slow = slow.reshape(10, factor, 10, factor, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(found, slow, atol=1e-3)


def test_shrinking_by_a_fraction_is_pillows_box_filter_nearly() -> None:
    found = cut(PHOTO, Frame(0j, 90 + 0j), 40)
    peer = Image.fromarray(PHOTO[:, :90]).resize((40, 40), Image.Resampling.BOX)
    assert np.abs(found - np.asarray(peer)).mean() < 13  # of noise whose own deviation is 32


@pytest.mark.parametrize("angle", [0, 0.3, -0.7, 2.0])
def test_a_turned_square_shows_what_stands_there(angle: float) -> None:
    frame = Frame(100 + 90j, cmath.rect(40, angle))
    found = cut(smooth(200, 200), frame, 64)
    for x, y in ((0, 0), (63, 0), (20, 50), (63, 63)):
        place = frame.corner + frame.side * complex((x + 0.5) / 64, (y + 0.5) / 64)
        waves = [np.sin(place.real / 17), np.cos(place.imag / 13)]
        waves.append(np.sin((place.real + place.imag) / 23))
        np.testing.assert_allclose(found[y, x], np.array(waves) / 2 + 0.5, atol=5e-3)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_what_is_lifted_lies_where_it_was_cut(size: int) -> None:
    photo = smooth(200, 220)
    frame = Frame(50 + 40j, cmath.rect(90, 0.4))
    box = slice(60, 110), slice(55, 100)
    lifted = lift(cut(photo, frame, size), frame, box)
    inside = frame.inside(np.add.outer(np.arange(60, 110) * 1j, np.arange(55, 100)) + 0.5 + 0.5j)
    rim = 2 / size
    there = (abs(inside.real - 0.5) < 0.5 - rim) & (abs(inside.imag - 0.5) < 0.5 - rim)
    assert there.mean() > 0.5
    np.testing.assert_allclose(lifted[there], photo[box][there], atol=0.02)


@pytest.mark.parametrize(("side", "angle"), [(30, 0.2), (64, 0.0), (64, 0.5), (150, 0.1), (500, 0)])
def test_no_pixel_of_a_frame_that_is_called_known_has_seen_the_hole(
    side: float, angle: float
) -> None:
    hole = np.random.default_rng(1).random((160, 200)) < 0.01
    hole[40:70, 60:90] = True
    frame = Frame(40 + 30j, cmath.rect(side, angle))
    photo = np.full((160, 200, 3), 0.5, np.float32)
    known = ~cut_hole(hole, frame, 64)
    photo[hole] = 9
    np.testing.assert_allclose(cut(photo, frame, 64)[known], 0.5, atol=2e-3)
    if abs(side) < 100:
        assert known.any()


def test_beyond_the_photo_is_hole() -> None:
    known = ~cut_hole(np.zeros((50, 50), np.bool_), Frame(-25 - 25j, 100 + 0j), 100)
    assert known[26:74, 26:74].all()
    assert not known[:25].any()
    assert not known[:, 76:].any()


@pytest.mark.parametrize("corner", [-900 + 10j, 900 + 10j, 10 - 900j, 10 + 900j, -500 - 500j])
@pytest.mark.parametrize("side", [20 + 0j, 200 + 50j])
def test_a_frame_that_sees_nothing_of_the_photo_is_all_hole(corner: complex, side: complex) -> None:
    photo = np.full((50, 60, 3), 7, np.uint8)
    frame = Frame(corner, side)
    assert cut_hole(np.zeros((50, 60), np.bool_), frame, 16).all()
    np.testing.assert_allclose(cut(photo, frame, 16), 7, atol=1e-4)
