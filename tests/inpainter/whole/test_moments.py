"""Faces of the same moment: known again, and laid over each other."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from simpaint.data.drawn_faces import drawn_face
from simpaint.inpainter.whole import moments
from simpaint.inpainter.whole.frames import Floats
from simpaint.inpainter.whole.moments import same_moment, shown_then

SIZE = 128


def face(seed: int, size: int = SIZE) -> Floats:
    """A drawn face with skin: pores and hair that no other has, (S, S, 3) in [0, 1]."""
    noise = np.random.default_rng([seed, 1]).standard_normal((SIZE, SIZE)).astype(np.float32)
    skin = cv2.resize(cv2.GaussianBlur(noise, (0, 0), 1.5), (size, size))[..., None]
    drawn = drawn_face(np.random.default_rng(seed), size) / np.float32(255)
    return np.asarray((0.1 + 0.8 * drawn + 0.15 * skin).clip(0, 1), np.float32)


def later(picture: Floats, degrees: float = 4, shift: float = 0.03, light: float = 0.85) -> Floats:
    """The same face turned, moved and in other light."""
    size = len(picture)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), degrees, 1.03)
    matrix = matrix + np.array([0, 0, shift * size])
    moved = cv2.warpAffine(picture, matrix, (size, size), borderMode=cv2.BORDER_REFLECT)
    return np.asarray((moved * np.array([light, light, 0.9 * light]) + 0.05).clip(0, 1), np.float32)


def half(size: int = SIZE) -> NDArray[np.bool_]:
    hole = np.zeros((size, size), np.bool_)
    hole[int(0.3 * size) : int(0.8 * size), int(0.25 * size) : int(0.5 * size)] = True
    return hole


def with_hole(picture: Floats, hole: NDArray[np.bool_]) -> Floats:
    return np.where(hole[..., None], np.float32(0.5), picture)


def test_the_same_moment_is_known_among_others_and_shows_what_was_hidden() -> None:
    truth, hole = face(0), half()
    others = [face(1), later(truth), face(2)]
    picture = with_hole(truth, hole)
    moment = same_moment(picture, hole, others)
    assert moment is not None
    assert moment.number == 1
    shown = shown_then(moment, picture, hole, others[1])
    off = np.abs(shown - truth)[hole].mean()
    assert off < 0.035
    assert off < 0.5 * np.abs(others[1] - truth)[hole].mean()


def test_flow_goes_on_into_the_hole() -> None:
    truth, hole = face(3), half()
    other = later(truth, degrees=8, shift=0)
    moment = same_moment(with_hole(truth, hole), hole, [other])
    assert moment is not None
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), 8, 1.03)
    points = np.argwhere(hole)[:, ::-1]
    right = points @ matrix[:, :2].T + matrix[:, 2] - points
    extended = moments._extended(moment.flow, hole)[hole]
    before = np.abs(moment.flow[hole] - right).mean()
    assert np.abs(extended - right).mean() < 0.8 * before < 1


@pytest.mark.parametrize("size", [200, 400])
def test_it_is_laid_over_larger_pictures_too(size: int) -> None:
    truth = face(4, size)
    other = later(truth)
    small, little = (moments._sized(one, SIZE) for one in (truth, other))
    hole = half()
    moment = same_moment(with_hole(small, hole), hole, [little])
    assert moment is not None
    large = half(size)
    shown = shown_then(moment, with_hole(truth, large), large, other)
    assert shown.shape == (size, size, 3)
    assert np.abs(shown - truth)[large].mean() < 0.035


def test_what_stands_in_the_hole_is_not_used() -> None:
    truth, hole = face(5), half()
    other = later(truth)
    found = []
    for colour in (0.0, 1.0):
        picture = np.where(hole[..., None], np.float32(colour), truth)
        moment = same_moment(picture, hole, [other])
        assert moment is not None
        found.append(shown_then(moment, picture, hole, other)[hole])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_another_face_is_of_another_moment() -> None:
    truth, hole = face(6), half()
    others = [face(seed) for seed in range(7, 13)]
    assert same_moment(with_hole(truth, hole), hole, others) is None


def test_the_same_face_much_changed_is_not_used() -> None:
    truth, hole = face(13), half()
    smooth = np.asarray(cv2.GaussianBlur(truth, (0, 0), 6), np.float32)
    assert same_moment(with_hole(truth, hole), hole, [smooth]) is None


def test_too_little_of_a_face_tells_nothing() -> None:
    truth = face(14)
    hole = np.ones((SIZE, SIZE), np.bool_)
    hole[:30] = False
    assert same_moment(with_hole(truth, hole), hole, [truth]) is None


def test_a_photo_without_contrast_tells_nothing() -> None:
    grey = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    assert same_moment(grey, half(), [grey]) is None


def test_no_photos_no_moment() -> None:
    truth = face(15)
    assert same_moment(truth, half(), []) is None
