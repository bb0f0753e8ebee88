import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import Pixels
from simpaint.inpainter.whole.tone import tone_of

SEPIA = np.array([1.08, 0.99, 0.82])


def photo(tone: str) -> tuple[Pixels, NDArray[np.bool_]]:
    """A photo and where it is known."""
    face = drawn_face(np.random.default_rng(3), 64)
    known = np.ones((64, 64), np.bool_)
    known[20:40, 20:40] = False
    if tone != "colours":
        bright = face.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
        face = np.rint(bright * (0.9 * SEPIA if tone == "sepia" else 1)).astype(np.uint8)
    return face, known


@pytest.mark.parametrize("white", [255.0, 65535.0])
@pytest.mark.parametrize("tone", ["grey", "sepia"])
def test_colours_take_the_photos_tone_and_keep_their_brightness(tone: str, white: float) -> None:
    pixels, known = photo(tone)
    found = tone_of(pixels.astype(np.float64) * (white / 255), white, known)
    assert found is not None
    painted = torch.rand(3, 16, 16) * 0.6 + 0.2
    toned = found(painted)
    torch.testing.assert_close(toned.mean(0), painted.mean(0))
    wanted = torch.ones(3) if tone == "grey" else torch.tensor(SEPIA / SEPIA.mean())
    torch.testing.assert_close(
        toned / painted.mean(0), wanted.view(3, 1, 1).expand(3, 16, 16).to(toned), atol=0.02, rtol=0
    )


def test_a_photo_in_colours_has_no_tone_nor_has_one_of_which_nothing_is_known() -> None:
    pixels, known = photo("colours")
    assert tone_of(pixels, 255, known) is None
    pixels, known = photo("grey")
    assert tone_of(pixels, 255, np.zeros_like(known)) is None
    assert tone_of(pixels, 255, known) is not None


def test_what_stood_in_the_hole_does_not_count() -> None:
    pixels, known = photo("grey")
    pixels[~known] = [255, 0, 0]
    assert tone_of(pixels, 255, known) is not None
    assert tone_of(pixels, 255, np.ones_like(known)) is None


def test_a_line_of_ink_does_not_make_a_photo_of_one_tone_one_in_colours() -> None:
    pixels, known = photo("sepia")
    pixels[50:52, :60] = [30, 40, 160]
    written = tone_of(pixels, 255, known)
    assert written is not None
    bright = torch.full((3, 4, 4), 0.3)
    wanted = torch.tensor(SEPIA / SEPIA.mean() * 0.3).view(3, 1, 1).expand(3, 4, 4).float()
    torch.testing.assert_close(written(bright), wanted, atol=0.005, rtol=0)


def test_beyond_the_darkest_and_the_brightest_pixel_the_tint_stays_the_same() -> None:
    bright = np.linspace(0.3, 0.7, 64 * 64).reshape(64, 64, 1)
    found = tone_of(bright + 0.2 * (bright - 0.5) ** 2 * (SEPIA - SEPIA.mean()) + 0.01 * (
        SEPIA - SEPIA.mean()), 1.0, np.ones((64, 64), np.bool_))  # fmt: skip
    assert found is not None
    for beyond, end in ((0.05, 0.3), (0.95, 0.7)):
        tints = [found(torch.full((3, 1, 1), value)) - value for value in (beyond, end)]
        torch.testing.assert_close(tints[0], tints[1], atol=1e-4, rtol=0)


def test_a_dark_photo_in_faint_colours_is_in_colours() -> None:
    rng = np.random.default_rng(0)
    dark = rng.uniform(0.02, 0.04, (64, 64, 3))
    assert tone_of(dark, 1.0, np.ones((64, 64), np.bool_)) is None


def test_the_tone_of_a_large_photo_is_that_of_the_little_that_is_known() -> None:
    bright = np.random.default_rng(0).integers(0, 256, (6000, 400, 1), np.uint8)
    pixels = np.broadcast_to(bright, (6000, 400, 3))
    for place in (np.s_[-21:], np.s_[:, 399:], np.s_[1::2, 1::2]):
        known = np.zeros((6000, 400), np.bool_)
        known[place] = True
        assert tone_of(pixels, 255, known) is not None
