from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from simpaint.data.images import Pixels, decode
from simpaint.inpainter.whole.canvas import open_canvas
from simpaint.inpainter.whole.find_faces import (
    CascadeFinder,
    FaceFinder,
    default_finder,
    find_faces,
    people,
    surest_face,
)
from simpaint.inpainter.whole.frames import Frame, cut
from simpaint.inpainter.whole.hidden import _parts

from ..tiny import Told

FACES = Path(__file__).parents[4] / "shared" / "data" / "faces" / "val"
EYES = (153 + 101j, 197 + 103j)  # (x, y) in the photo below, set by eye
FINDERS = [
    pytest.param("dlib", marks=pytest.mark.skipif(not find_spec("dlib"), reason="no dlib")),
    "cascade",
]


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    load: Any = data.astronaut  # scikit-image has no types; the photo is in the public domain
    return np.asarray(load()[:300, 50:400], np.uint8)


def finder(name: str) -> FaceFinder:
    return default_finder() if name == "dlib" else CascadeFinder()


def where(frame: Frame, point: complex) -> complex:
    return complex(frame.inside(np.array([point]))[0])


@pytest.mark.parametrize("name", FINDERS)
def test_the_eyes_come_to_lie_where_they_are_in_training(astronaut: Pixels, name: str) -> None:
    frame = surest_face(astronaut, finder(name))
    assert frame is not None
    for eye, wanted in zip(EYES, (0.30 + 0.30j, 0.68 + 0.30j), strict=True):
        assert abs(where(frame, eye) - wanted) < 0.06


def test_the_cascade_does_not_call_faces_of_the_smallest_size_larger(astronaut: Pixels) -> None:
    sides = []
    for scale in np.arange(0.6, 1.01, 0.05):
        photo = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        hole = np.zeros(photo.shape[:2], np.bool_)
        faces = CascadeFinder()(np.asarray(photo, np.uint8), hole, 80)
        sides += [abs(face.frame.side) / scale for face in faces if face.score > 6]
    assert len(sides) >= 9
    assert max(sides) < 1.2 * np.median(sides)


@pytest.mark.parametrize("name", FINDERS)
@pytest.mark.parametrize("angle", [-12, 12])
def test_a_tilted_face_is_turned_upright(astronaut: Pixels, name: str, angle: float) -> None:
    turn = cv2.getRotationMatrix2D((172, 110), angle, 1)
    tilted = cv2.warpAffine(astronaut, turn, (350, 300), borderValue=(90, 90, 90))
    upright = surest_face(astronaut, finder(name))
    frame = surest_face(np.asarray(tilted, np.uint8), finder(name))
    assert upright is not None
    assert frame is not None
    turned = np.angle(frame.side / upright.side)
    assert np.degrees(turned) == pytest.approx(-angle, abs=5)


@pytest.mark.parametrize("name", FINDERS)
@pytest.mark.parametrize(
    "box",
    [(85, 115, 120, 220), (130, 165, 140, 210), (60, 200, 170, 240), (60, 200, 110, 170)],
)
def test_a_half_hidden_face_is_found_where_it_is(
    astronaut: Pixels, name: str, box: tuple[int, int, int, int]
) -> None:
    whole = surest_face(astronaut, finder(name))
    assert whole is not None
    hole = np.zeros(astronaut.shape[:2], np.bool_)
    hole[box[0] : box[1], box[2] : box[3]] = True
    canvas = open_canvas(astronaut, hole)
    (frame,) = find_faces(canvas.as_bytes(), hole, finder(name))
    assert abs(where(whole, frame.corner + frame.side * (0.5 + 0.5j)) - (0.5 + 0.5j)) < 0.12
    assert abs(frame.side) / abs(whole.side) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("name", FINDERS)
def test_a_small_face_in_a_large_photo_is_found_near_the_hole(astronaut: Pixels, name: str) -> None:
    large = np.full((3000, 4000, 3), 128, np.uint8)
    large[2000:2300, 700:1050] = astronaut
    hole = np.zeros(large.shape[:2], np.bool_)
    hole[2140:2165, 840:910] = True
    faces = find_faces(open_canvas(large, hole).as_bytes(), hole, finder(name))
    assert len(faces) == 1
    assert abs(where(faces[0], EYES[0] + complex(700, 2000)) - (0.30 + 0.30j)) < 0.15


@pytest.mark.parametrize("name", FINDERS)
def test_several_threads_find_what_one_does(astronaut: Pixels, name: str) -> None:
    photos = [astronaut[20:180, 90 + 4 * shift : 250 + 4 * shift] for shift in range(6)]
    holes = [np.zeros((160, 160), np.bool_) for _ in photos]
    for shift, hole in enumerate(holes):
        hole[95:120, 50 - 4 * shift : 120 - 4 * shift] = True
    shared = finder(name)
    alone = [find_faces(photo, hole, shared) for photo, hole in zip(photos, holes, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(find_faces, photos, holes, [shared] * 6))
    assert together == alone
    assert all(alone)


def test_two_hidden_faces_far_apart_are_found(astronaut: Pixels) -> None:
    photo = np.full((512, 3000, 3), 128, np.uint8)
    photo[100:400, :350], photo[100:400, -350:] = astronaut, astronaut[:, ::-1]
    hole = np.zeros(photo.shape[:2], np.bool_)
    hole[160:300, 110:170] = True
    hole[160:300, -170:-110] = True
    faces = find_faces(open_canvas(photo, hole).as_bytes(), hole, CascadeFinder())
    left, right = sorted(faces, key=lambda frame: frame.corner.real)
    assert abs(where(left, EYES[1] + 100j) - (0.68 + 0.30j)) < 0.1
    assert abs(where(right, 2999 - EYES[1].conjugate() + 100j) - (0.32 + 0.30j)) < 0.1


def test_a_square_photo_is_taken_for_a_face_only_if_it_looks_like_one(astronaut: Pixels) -> None:
    whole = surest_face(astronaut, CascadeFinder())
    assert whole is not None
    load: Any = data.grass
    grass = np.repeat(np.asarray(load(), np.uint8)[..., None], 3, 2)
    hole = np.zeros((200, 200), np.bool_)
    hole[20:180, 20:180] = True
    for photo, found in ((grass[:200, :200], False), (cut(astronaut, whole, 200), True)):
        canvas = open_canvas(photo.astype(np.uint8), hole)
        faces = find_faces(canvas.as_bytes(), hole, CascadeFinder())
        assert faces == [Frame(0j, 200 + 0j)] * found
    tall = np.pad(canvas.as_bytes(), ((60, 0), (0, 0), (0, 0)))
    assert not find_faces(tall, np.pad(hole, ((60, 0), (0, 0))), CascadeFinder())


def test_specks_are_not_taken_for_tiny_faces() -> None:
    load: Any = data.grass
    photo = np.repeat(np.asarray(load(), np.uint8)[..., None], 3, 2)
    hole = np.zeros(photo.shape[:2], np.bool_)
    hole[282:290, 199:207] = True
    canvas = open_canvas(photo, hole)
    assert find_faces(canvas.as_bytes(), hole, CascadeFinder()) == []


def test_many_specks_in_a_large_photo_are_looked_at_quickly() -> None:
    hole = np.zeros((5000, 8000), np.bool_)
    hole[::40, ::40] = True
    parts = _parts(hole)
    assert len(parts) == 1
    hole[1000:1100, 3000:3200] = True
    whole, part = _parts(hole)
    assert whole == (0, 0, 7961, 4961)
    assert np.abs(np.subtract(part, (3000, 1000, 3200, 1100))).max() <= 16


@pytest.mark.parametrize("name", FINDERS)
def test_a_hidden_face_is_found_beside_another_hole(astronaut: Pixels, name: str) -> None:
    hole = np.zeros(astronaut.shape[:2], np.bool_)
    hole[60:200, 110:170] = True  # half of the face
    hole[10:60, 290:340] = True
    hole[260:290, 5:60] = True
    canvas = open_canvas(astronaut, hole)
    (frame,) = find_faces(canvas.as_bytes(), hole, finder(name))
    assert abs(where(frame, EYES[1]) - (0.68 + 0.30j)) < 0.1


@pytest.mark.parametrize("name", ["coffee", "rocket", "chelsea", "brick", "horse"])
def test_no_face_is_found_where_there_is_none(name: str) -> None:
    """Nor that of a cat."""
    load: Any = getattr(data, name)
    photo = np.asarray(load()).astype(np.uint8)
    photo = np.repeat(photo[..., None], 3, 2) if photo.ndim == 2 else photo
    height, width = photo.shape[:2]
    for top, left in ((0.2, 0.2), (0.3, 0.5), (0.6, 0.4)):
        hole = np.zeros((height, width), np.bool_)
        rows = slice(int(top * height), int((top + 0.25) * height))
        hole[rows, int(left * width) : int((left + 0.2) * width)] = True
        canvas = open_canvas(photo, hole)
        assert find_faces(canvas.as_bytes(), hole, CascadeFinder()) == []


def test_faces_away_from_the_hole_are_left_alone(astronaut: Pixels) -> None:
    hole = np.zeros(astronaut.shape[:2], np.bool_)
    hole[270:290, 10:40] = True
    assert find_faces(astronaut, hole, default_finder()) == []


@pytest.mark.skipif(not FACES.is_dir(), reason="no photos")
@pytest.mark.parametrize("name", FINDERS)
def test_training_photos_are_their_own_frame(name: str) -> None:
    frames, found = [], finder(name)
    for path in sorted(FACES.glob("*.jpg"))[:10]:
        photo = decode(path)
        frame = surest_face(photo, found)
        if frame is not None:
            frames.append(Frame(frame.corner / 200, frame.side / 200))
            assert cut(photo, frame, 32).shape == (32, 32, 3)
    assert len(frames) >= 9
    assert abs(np.median([frame.corner.real for frame in frames])) < 0.06
    assert np.median([abs(frame.side) for frame in frames]) == pytest.approx(1, abs=0.1)


def test_people_are_where_their_faces_are_and_below() -> None:
    photo = np.zeros((400, 600, 3), np.uint8)
    nowhere = np.zeros((400, 600), np.bool_)
    there = people(photo, nowhere, Told(Frame(0.25 + 0.1j, 0.1 + 0j), Frame(0.8 + 0.4j, 0.05 + 0j)))
    for row, column in ((90, 180), (250, 180), (255, 495), (330, 495)):
        assert there[row, column]
    for row, column in ((90, 300), (390, 180), (100, 495), (255, 560)):
        assert not there[row, column]
    assert not people(photo, nowhere, Told()).any()


def test_people_are_looked_for_widely_in_another_photo() -> None:
    photo, nowhere = np.zeros((900, 1200, 3), np.uint8), np.zeros((900, 1200), np.bool_)
    finder = Told(Frame(0.4 + 0.1j, 0.05 + 0j))
    there = people(photo, nowhere, finder, widely=True)
    assert there[580, 500]  # the feet
    assert there[200, 425]  # an elbow
    assert not there[200, 300]
    assert max(finder.seen[-1].shape) == 1000
