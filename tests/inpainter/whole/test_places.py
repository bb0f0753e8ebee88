from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from simpaint.data.images import Pixels
from simpaint.inpainter.whole.copying import paste_copies
from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.places import Place, Whole, find_places
from simpaint.inpainter.whole.squares import plan
from simpaint.inpainter.whole.tone import tone_of

from ..tiny import Told

Holes = NDArray[np.bool_]
NAN = float("nan")


def pixels(photo: Any) -> Pixels:  # noqa: ANN401 - scikit-image has no types
    found = np.asarray(photo, np.uint8)
    return found if found.ndim == 3 else np.repeat(found[..., None], 3, 2)


def found(photo: Pixels, hole: Holes, *others: Pixels, chosen: bool = False) -> list[Place]:
    wholes = [Whole(number, NAN, other.copy, chosen) for number, other in enumerate(others)]
    known = np.where(hole[..., None], np.uint8(128), photo)
    return find_places(known, hole, known, wholes, Told(), most=3)


def painted(photo: Pixels, hole: Holes, places: list[Place]) -> tuple[Pixels, list[Place]]:
    canvas = np.where(hole[..., None], np.uint8(128), photo)
    used: list[Place] = []
    for square in plan(hole, [], 128, ours=True):
        tone = tone_of(photo, 255, ~hole)
        used += paste_copies(canvas, 255, square, hole, np.zeros_like(hole), places, tone)
    np.testing.assert_array_equal(canvas[~hole], photo[~hole])
    return canvas, used


def off(one: Pixels, other: Pixels, where: Holes) -> float:
    return float(np.abs(one.astype(int) - other)[where].mean())


def test_a_place_is_known_again_from_another_place_and_others_are_not(
    table: Pixels, beside: Pixels, hole: Holes
) -> None:
    photos: Any = data
    wall, face, park = (pixels(one()) for one in (photos.brick, photos.astronaut, photos.camera))
    (place,) = found(table, hole, wall, face, beside, park)
    assert place.number == 2
    assert np.allclose(place.photo.shape, beside.shape, rtol=0.15)


def test_what_stood_in_a_hole_is_taken_from_a_photo_of_the_same_place(
    table: Pixels, beside: Pixels, hole: Holes
) -> None:
    alone, nothing = painted(table, hole, [])
    whole, used = painted(table, hole, found(table, hole, beside))
    assert nothing == []
    assert [place.number for place in used] == [0]
    assert off(alone, table, hole) > 20
    assert off(whole, table, hole) < 5


def test_the_surest_photos_of_a_place_are_kept(table: Pixels, beside: Pixels, hole: Holes) -> None:
    part, tiny = beside[:, :420], cv2.resize(beside, None, fx=0.5, fy=0.5)
    places = found(table, hole, part, pixels(tiny), beside, beside[:, 160:])
    assert places[0].number == 2
    assert {place.number for place in places} == {0, 2, 3}


def copies(photo: Pixels) -> Iterator[Pixels]:
    """The same photo, as albums have it."""
    _, stored = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 80])
    decoded = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)
    yield photo
    yield pixels(cv2.resize(decoded, (400, 267), interpolation=cv2.INTER_AREA))
    yield pixels((decoded[10:380, 20:590] * 1.2).clip(0, 255))
    yield pixels(photo.mean(2))


def test_a_copy_of_the_photo_is_not_borrowed_from_but_an_undamaged_one_is(
    table: Pixels, hole: Holes, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = np.where(hole[..., None], np.uint8(128), table)
    assert found(table, hole, *copies(damaged)) == []
    assert caplog.messages == []
    assert found(table, hole, *copies(damaged), chosen=True) == []
    assert len(caplog.messages) == 4
    assert all(told.startswith("a reference: expected another photo") for told in caplog.messages)
    assert len(found(table, hole, *[*copies(table)][:3])) == 3
    later = damaged.copy()
    later[300:360, 40:100] = 240  # the camera stood still, and somebody had passed by
    assert len(found(table, hole, later)) == 1


def test_nobody_in_the_other_photo_is_borrowed(table: Pixels, beside: Pixels, hole: Holes) -> None:
    known = np.where(hole[..., None], np.uint8(128), table)
    whole = Whole(0, NAN, beside.copy)
    for corner, side, borrowed in ((0.6 + 0.3j, 0.3, False), (0.05 + 0.05j, 0.1, True)):
        somebody = Told(Frame(corner, side + 0j))
        (place,) = find_places(known, hole, known, [whole], somebody, most=3)
        _, used = painted(table, hole, [place])
        assert 0 < place.open.mean() < 1
        assert bool(used) == borrowed
    everybody = Told(Frame(-0.2 - 0.2j, 1.4 + 0j))
    assert find_places(known, hole, known, [whole], everybody, most=3) == []


def test_a_caption_is_no_place(table: Pixels, hole: Holes) -> None:
    photos: Any = data
    face, cat = table.copy(), pixels(cv2.resize(photos.chelsea(), (600, 400)))
    for one in (face, cat):
        text, font = "Studio Portrait, Summer of 1975", cv2.FONT_HERSHEY_COMPLEX
        cv2.putText(one, text, (20, 380), font, 1, (255, 255, 255), 2)
    assert found(face, hole, cat) == []


def test_beyond_the_other_photo_nothing_is_shown(
    table: Pixels, beside: Pixels, hole: Holes
) -> None:
    (place,) = found(table, hole, beside[:, :420])
    box = slice(0, 400), slice(0, 600)
    shown = place.shown(box)
    assert shown[100:300, 120:300].all()
    assert not shown[:, 420:].any()
    alone, _ = painted(table, hole, [])
    whole, used = painted(table, hole, [place])
    assert len(used) == 1
    assert off(whole, table, hole & shown) < 0.5 * off(alone, table, hole & shown)


def test_what_would_lie_behind_the_camera_is_not_shown(table: Pixels) -> None:
    anywhere, points = np.ones((400, 600), np.bool_), np.array([[100, 200]], np.float32)
    plane = np.array([[1, 0, 0], [0, 1, 0], [-0.0025, 0, 1]])  # its horizon stands at x = 400
    place = Place(0, NAN, table, anywhere, points, points, plane, 1.0)
    shown = place.shown((slice(0, 400), slice(-2000, 2000)))
    seen = np.argwhere(shown)[:, 1] - 2000
    assert len(seen)
    assert seen.min() >= 0


def test_a_frame_of_the_other_photo_shows_what_the_photo_shows(
    table: Pixels, beside: Pixels, hole: Holes
) -> None:
    (place,) = found(table, hole, beside)
    seen = place.cut(Frame(320 + 140j, 160 + 0j), 80) / 255
    truth = cv2.resize(table[140:300, 320:480], (80, 80), interpolation=cv2.INTER_AREA) / 255
    assert seen.shape == (80, 80, 3)
    light = np.array([0.9, 0.8, 0.7])
    assert np.abs(seen - (truth * light + 10 / 255)).mean() < 0.02


def test_what_stands_nearer_moves_further(table: Pixels) -> None:
    """Two planes: each has its own way into the other photo."""
    other = np.zeros((400, 600, 3), np.uint8)
    other[:, :300], other[:, 300:] = table[:, 20:320], np.roll(table, 16, 1)[:, 300:]
    hole = np.zeros((400, 600), np.bool_)
    hole[170:230, 420:480] = True
    places = found(table, hole, other)
    whole, used = painted(table, hole, places)
    assert len(used) == 1
    assert off(whole, table, hole) < 3


def test_a_grey_photo_gets_no_colours(table: Pixels, beside: Pixels, hole: Holes) -> None:
    grey = np.repeat(table.mean(2, keepdims=True), 3, 2).astype(np.uint8)
    whole, used = painted(grey, hole, found(grey, hole, beside))
    assert len(used) == 1
    assert np.ptp(whole[hole].astype(int), axis=1).max() <= 1
    assert off(whole, grey, hole) < 6


def test_a_photo_without_colours_lends_its_brightness(
    table: Pixels, beside: Pixels, hole: Holes
) -> None:
    alone, _ = painted(table, hole, [])
    (coloured,) = found(table, hole, beside)
    (grey,) = found(table, hole, pixels(beside.mean(2)))
    assert grey.grey
    assert not coloured.grey
    box = slice(0, 400), slice(0, 600)
    around = table / np.float32(255)
    shown = next(grey.over(around, ~hole, box, (slice(140, 300), slice(340, 460)))).photo
    ours, theirs = (one - one.mean(2, keepdims=True) for one in (shown, around))
    assert np.abs(ours - theirs).mean() < 0.03
    whole, used = painted(table, hole, [grey])
    assert len(used) == 1
    assert off(pixels(whole.mean(2)), pixels(table.mean(2)), hole) < 8
    assert off(whole, table, hole) < off(alone, table, hole)


def test_a_small_photo_is_not_made_sharper_than_it_is(
    table: Pixels, beside: Pixels, hole: Holes
) -> None:
    box = slice(0, 400), slice(0, 600)
    photo = table / np.float32(255)
    energy = []
    for size in (1.0, 0.35):
        other = pixels(cv2.resize(beside, None, fx=size, fy=size, interpolation=cv2.INTER_AREA))
        (place,) = found(table, hole, other)
        shown = next(place.over(photo, ~hole, box, (slice(140, 300), slice(340, 460)))).photo
        plain = place._moved(place.plane, hole.shape) / 255
        steps = [np.square(np.diff(one, axis=1)).mean() for one in (shown, plain)]
        energy.append(steps[0] / steps[1])
    assert energy[1] < 1.2 * energy[0]


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (40, 40)])
def test_photos_without_points(table: Pixels, hole: Holes, shape: tuple[int, int]) -> None:
    blank = np.full((*shape, 3), 200, np.uint8)
    assert found(table, hole, blank) == []
    none = np.zeros(shape, np.bool_)
    assert found(blank, none, table, blank) == []
