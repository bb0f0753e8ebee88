import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from simpaint.data.images import Pixels
from simpaint.inpainter.whole.canvas import open_canvas
from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.quiet import Shown, grain_of, without_grain

SIDE = 128
FRAME = Frame(0j, SIDE + 0j)


def photo(sigma: float) -> Pixels:
    """A soft picture with an edge, and grain of some deviation."""
    rng = np.random.default_rng(1)
    soft = gaussian_filter(rng.standard_normal((SIDE, SIDE, 3)), (20, 20, 0)) * 600 + 110
    soft[:, 70:] += 60
    grainy = soft + rng.normal(0, sigma, soft.shape[:2])[..., None]
    return np.asarray(np.rint(grainy.clip(0, 255)), np.uint8)


def hole() -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    hole = np.zeros((SIDE, SIDE), np.bool_)
    hole[40:46, 10:100] = True
    return hole


@pytest.mark.parametrize("sigma", [0, 3, 6, 10, 20])
def test_the_strength_of_white_grain_is_found_beside_edges_and_holes(sigma: float) -> None:
    scratched = photo(sigma)
    scratched[hole()] = np.random.default_rng(2).integers(0, 256, (hole().sum(), 3))
    assert abs(grain_of(scratched, ~hole()) - sigma) <= 0.3 + 0.15 * sigma


def test_texture_beside_a_smooth_sky_is_no_grain() -> None:
    leaves = photo(0)
    leaves[32:] = np.random.default_rng(3).integers(0, 256, leaves[32:].shape)
    assert grain_of(leaves, np.ones((SIDE, SIDE), np.bool_)) < 1


def test_a_white_border_does_not_hide_the_grain() -> None:
    bordered = np.full((2 * SIDE, 2 * SIDE, 3), 255, np.uint8)
    bordered[32 : 32 + SIDE, 32 : 32 + SIDE] = photo(8)
    assert grain_of(bordered, np.ones(bordered.shape[:2], np.bool_)) > 6


@pytest.mark.parametrize("shape", [(1, 1), (15, 200), (16, 16)])
def test_a_photo_of_few_pixels_tells_nothing_about_grain(shape: tuple[int, int]) -> None:
    small = np.random.default_rng(4).integers(100, 156, (*shape, 3), np.uint8)
    assert grain_of(small, np.ones(shape, np.bool_)) == 0


def test_pixels_without_grain_are_means_of_known_ones_alone() -> None:
    flat = np.full((SIDE, SIDE, 3), 100, np.uint8)
    flat[hole()] = 255
    found = without_grain(flat, ~hole())
    assert np.abs(found[~hole()].astype(int) - 100).max() <= 2  # rounding
    np.testing.assert_array_equal(found[hole()], 255)
    grainy, clean = photo(10), photo(0)
    error = without_grain(grainy, ~hole()).astype(float) - clean
    assert np.abs(error[:, :60][~hole()[:, :60]]).mean() < 3


@pytest.mark.parametrize("sigma", [0, 3])
def test_a_photo_with_little_grain_is_shown_as_it_is(sigma: float) -> None:
    canvas = open_canvas(photo(sigma), hole())
    shown = Shown(canvas)
    assert shown.quiet is None
    shown.paint(FRAME, np.zeros((32, 32, 3), np.float32), ((slice(0, 1), slice(0, 1)), hole()))
    shown.renew(((slice(0, SIDE), slice(0, SIDE)), hole()), hole())
    np.testing.assert_array_equal(
        shown.cut(FRAME, SIDE), canvas.pixels.astype(np.float32) / np.float32(255)
    )


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_later_squares_see_what_was_painted_and_copied_without_grain(kind: str) -> None:
    pixels = {
        "uint8": photo(10),
        "uint16": photo(10).astype(np.uint16) * np.uint16(257),
        "float32": photo(10) / np.float32(255),
    }[kind]
    canvas = open_canvas(pixels, hole())
    before, shown = canvas.pixels.copy(), Shown(canvas)
    assert np.abs(shown.cut(FRAME, SIDE) - photo(0) / 255)[:30, :60].mean() < 0.012
    own = (slice(40, 46), slice(10, 100)), np.ones((6, 90), np.bool_)
    shown.paint(FRAME, np.full((64, 64, 3), 0.25, np.float32), own)
    np.testing.assert_allclose(shown.cut(FRAME, SIDE)[hole()], 0.25, atol=0.003)
    np.testing.assert_array_equal(canvas.pixels, before)
    noise = np.random.default_rng(5).normal(0.5, 0.04, (hole().sum(), 3))
    canvas.pixels[hole()] = (noise * canvas.white).astype(kind)
    shown.renew(own, canvas.unknown)
    copied = shown.cut(FRAME, SIDE)[hole()]
    assert abs(copied.mean() - 0.5) < 0.01
    assert copied.std() < 0.025
