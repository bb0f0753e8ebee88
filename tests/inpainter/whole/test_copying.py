from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data

from simpaint.data.images import Pixels
from simpaint.inpainter import Inpainter
from simpaint.inpainter.whole import squares
from simpaint.inpainter.whole.boxes import Box
from simpaint.inpainter.whole.copying import filled_with_copies, paste_copies
from simpaint.inpainter.whole.frames import Floats, Frame
from simpaint.inpainter.whole.moved import Copies, Labels
from simpaint.inpainter.whole.squares import Square
from simpaint.inpainter.whole.views import Laid

from ..tiny import Told

Holes = NDArray[np.bool_]


def disc(shape: tuple[int, ...], radius: float) -> Holes:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(rows - shape[0] / 2, columns - shape[1] / 2)
    return np.asarray(away < radius)


def pattern(height: int, width: int, period: tuple[int, int]) -> Floats:
    """Something that repeats itself, in colour."""
    tile = np.random.default_rng(0).random((*period, 3))
    smooth = gaussian_filter(tile, (period[0] / 10, period[0] / 10, 0), mode="wrap")
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    times = -(-height // period[0]), -(-width // period[1]), 1
    return np.asarray(np.tile(smooth, times)[:height, :width], np.float32)


def filled(photo: Floats, hole: Holes, barred: Holes | None = None) -> Floats:
    """A photo whose hole was filled with grey before."""
    known = np.where(hole[..., None], np.float32(0.5), photo)
    barred = np.zeros_like(hole) if barred is None else barred
    thick = 2 * float(cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, 3).max())
    return filled_with_copies(known, hole, hole, barred, min(thick, max(hole.shape)))[0]


@pytest.mark.parametrize(("side", "radius", "period"), [(160, 15, (18, 22)), (400, 48, (50, 64))])
def test_a_pattern_goes_on(side: int, radius: float, period: tuple[int, int]) -> None:
    photo = pattern(side, side, period)
    hole = disc(photo.shape, radius)
    whole = filled(photo, hole)
    np.testing.assert_array_equal(whole[~hole], photo[~hole])
    assert np.abs(whole - photo)[hole].mean() < 0.02


def test_nothing_unknown_is_borrowed() -> None:
    photo = pattern(150, 150, (18, 22))
    hole = disc(photo.shape, 14)
    unknown = hole.copy()
    unknown[:, 100:] = unknown[110:] = True
    photo[unknown & ~hole] = (9.0, -9.0, 9.0)
    photo[hole] = 0.5
    whole, _ = filled_with_copies(photo, hole, unknown, np.zeros_like(hole), 28)
    assert -0.1 < whole[hole].min() < whole[hole].max() < 1.1


def test_of_two_photos_that_differ_that_one_is_borrowed_from_which_goes_on() -> None:
    photo = pattern(120, 120, (30, 40)) / 8 + np.float32(0.5)
    hole, laid = disc(photo.shape, 30), []
    for number, left in enumerate((38, 62)):  # somebody walks by
        other = photo.copy()
        other[45:75, left : left + 20] = (0.9, 0.1, 0.1)
        laid.append(Laid(other, np.zeros_like(hole), number))
    known = np.where(hole[..., None], np.float32(0.5), photo)
    whole, taken = filled_with_copies(known, hole, hole, ~hole, 60, laid)
    assert min(taken) > 100
    assert np.abs(whole - photo)[hole].max() < 0.1


def test_nothing_barred_is_borrowed() -> None:
    photo = pattern(140, 280, (140, 140))  # the same on the left and on the right
    hole, person = np.roll(disc(photo.shape, 14), 70, 1), np.zeros((140, 280), np.bool_)
    checked = np.indices(hole.shape).sum(0) % 2 * np.float32(0.2)
    photo[np.roll(hole, -140, 1)] += checked[np.roll(hole, -140, 1), None]
    person[:, :140] = True
    for barred, taken in ((None, True), (person, False)):
        steps = np.diff(filled(photo, hole, barred), axis=1)[hole[:, 1:] & hole[:, :-1]]
        assert (np.abs(steps).mean() > 0.1) == taken


@pytest.mark.parametrize("side", [-60, 60])
def test_what_is_not_around_a_hole_is_not_copied_into_it(side: int) -> None:
    photo = pattern(100, 180, (100, 60))  # three times the same
    middle = disc((100, 180), 8)
    photo[np.roll(middle, side, 1)] = 0.0  # but for something that stands there
    photo[np.roll(middle, -side, 1)] = 0.5
    dark = filled(photo, disc((100, 180), 14))[middle].mean()
    assert dark > 0.3


def test_a_speck_that_is_left_of_a_large_hole_is_filled() -> None:
    photo = pattern(400, 400, (50, 64))
    hole = disc(photo.shape, 0.9)
    none = np.zeros_like(hole)
    whole, _ = filled_with_copies(np.where(hole[..., None], 0, photo), hole, hole, none, 3000)
    assert np.abs(whole - photo)[hole].max() < 0.1


def test_copies_meet_what_is_around_them() -> None:
    photo = pattern(60, 280, (60, 40)) / 2
    light = np.linspace(0, 0.5, 280, dtype=np.float32)[None, :, None]
    hole = disc(photo.shape, 22)
    lit = np.asarray(photo + light, np.float32)
    whole = filled(lit, hole)
    assert np.abs(whole - lit)[hole].mean() < 0.04


def test_copies_of_large_holes_are_placed_to_the_pixel() -> None:
    photo = pattern(500, 500, (47, 57))
    hole = disc(photo.shape, 60)
    np.testing.assert_allclose(filled(photo, hole), photo, atol=1e-3)


def test_what_no_copy_shows_is_filled_from_what_is_around(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.full((90, 90, 3), 0.8, np.float32)
    hole = disc(photo.shape, 14)
    gone = disc(photo.shape, 5)
    at = Copies.at

    def with_a_gap(self: Copies, box: Box, labels: Labels, *beside: int) -> tuple[Floats, Holes]:
        colours, seen = at(self, box, labels, *beside)
        if labels.shape[2] == 1 and labels.shape[:2] == gone[box].shape and not beside:
            colours, seen = colours.copy(), seen & ~gone[box][..., None]
            colours[gone[box]] = 0
        return colours, seen

    monkeypatch.setattr(Copies, "at", with_a_gap)
    np.testing.assert_allclose(filled(photo, hole)[hole], 0.8, atol=0.05)


def test_where_nothing_can_be_borrowed_the_smooth_filling_stays() -> None:
    photo = pattern(40, 40, (20, 20))
    hole = disc(photo.shape, 17)
    whole = filled(photo, hole, ~hole)
    np.testing.assert_allclose(whole, np.where(hole[..., None], 0.5, photo), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (5, 7), (9, 9), (30, 12)])
def test_photos_of_any_size(shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).random((*shape, 3), np.float32)
    for known in range(min(3, photo[..., 0].size)):
        hole = np.ones(shape, np.bool_)
        hole.flat[:known] = False
        whole = filled(photo, hole)
        np.testing.assert_array_equal(whole[~hole], photo[~hole])
        assert np.isfinite(whole).all()


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_only_a_paintings_own_pixels_are_written(dtype: type[np.generic], white: float) -> None:
    photo = (pattern(120, 140, (18, 22)) * white).astype(dtype)
    unknown = disc(photo.shape[:2], 14)
    box = slice(40, 60), slice(50, 70)
    own = unknown[box] & (np.arange(20) % 3 > 0)
    canvas = photo.copy()
    canvas[unknown] = photo.mean()
    before = canvas.copy()
    square = Square(Frame(0j, 120 + 0j), box, own, thick=28, copied=True)
    paste_copies(canvas, white, square, unknown, np.zeros_like(unknown))
    written = np.zeros_like(unknown)
    written[box] = own
    np.testing.assert_array_equal(canvas[~written], before[~written])
    off = np.abs(canvas.astype(float) - photo.astype(float))[written].mean() / white
    assert off < 0.05


@pytest.fixture(scope="module")
def wall() -> Pixels:
    brick: Any = data.brick  # scikit-image has no types; the photo is in the public domain
    return np.asarray(np.repeat(brick()[:, :, None], 3, 2)[:400], np.uint8)


def test_a_wall_is_as_sharp_in_its_hole_as_around_it(
    wall: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    hole = disc(wall.shape[:2], 45)
    off, sharp = [], []
    for share in (9.0, squares._DEEP):
        monkeypatch.setattr(squares, "_DEEP", share)
        inpainter = Inpainter.load(k=0, device="cpu")
        inpainter._finder = Told()
        result = inpainter(wall, hole)
        painted = np.asarray(result.photo, np.float32)
        np.testing.assert_array_equal(painted[~hole], wall[~hole])
        off.append(np.abs(painted - wall)[hole].mean())
        steps = np.diff(painted, axis=1)[hole[:, 1:] & hole[:, :-1]]
        sharp.append(np.square(steps).mean())
    truth = np.diff(wall.astype(np.float32), axis=1)[hole[:, 1:] & hole[:, :-1]]
    assert sharp[0] < 0.4 * np.square(truth).mean()
    assert 0.7 < sharp[1] / np.square(truth).mean() < 1.3
    assert off[1] < 1.1 * off[0]
