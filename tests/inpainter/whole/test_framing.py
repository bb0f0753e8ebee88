import cmath
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from simpaint.data.images import Pixels
from simpaint.errors import InputError
from simpaint.inpainter.checkpoint import load
from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.framing import (
    FramingConfig,
    FramingNet,
    offset_between,
    set_right,
    view,
)

FACE = Frame(121.2 + 66.4j, 111.4 + 5.3j)  # in the photo below, by landmarks
EYES, HALF, MOUTH = (0.1, 0.2, 0.9, 0.45), (-0.1, -0.1, 0.5, 1.1), (0.2, 0.6, 0.8, 1)
NOWHERE = np.zeros((300, 350), np.bool_)


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    picture: Any = data.astronaut  # scikit-image has no types; the photo is in the public domain
    return np.asarray(picture()[:300, 50:400], np.uint8)


@pytest.fixture(scope="module")
def network() -> FramingNet:
    return load("framing", FramingNet)


def nudged(frame: Frame, right: float, down: float, scale: float, turn: float) -> Frame:
    side = frame.side * cmath.exp(complex(scale, turn))
    centre = frame.corner + frame.side * (0.5 + 0.5j) + frame.side * complex(right, down)
    return Frame(centre - side * (0.5 + 0.5j), side)


def apart(frame: Frame, right: Frame) -> float:
    places = np.array([0.2 + 0.3j, 0.8 + 0.3j, 0.2 + 0.9j, 0.8 + 0.9j])
    gaps = (frame.corner + frame.side * places) - (right.corner + right.side * places)
    return float(abs(gaps).mean() / abs(right.side))


@pytest.mark.parametrize("nudge", [(0, 0, 0, 0), (0.15, -0.1, 0.2, 0.3), (-0.1, 0.15, -0.25, -0.4)])
@pytest.mark.parametrize("turn", [0, 25])
def test_a_rough_frame_is_moved_scaled_and_turned_to_the_face(
    astronaut: Pixels, network: FramingNet, nudge: tuple[float, ...], turn: float
) -> None:
    matrix = cv2.getRotationMatrix2D((0, 0), turn, 1)
    matrix[:, 2] = (0, 140) if turn else (0, 0)
    photo = np.asarray(cv2.warpAffine(astronaut, matrix, (440, 420)), np.uint8)
    turned = cmath.exp(-1j * np.radians(turn))
    face = Frame(FACE.corner * turned + complex(*matrix[:, 2]), FACE.side * turned)
    hole = np.zeros(photo.shape[:2], np.bool_)
    ((found, _),) = set_right(network, photo, hole, [nudged(face, *nudge)])
    assert apart(found, face) < 0.06


@pytest.mark.parametrize(
    "part", [(0.1, 0.2, 0.9, 0.45), (-0.1, -0.1, 0.5, 1.1), (0.2, 0.6, 0.8, 1)]
)
def test_holes_hide_little_of_where_a_face_is(
    astronaut: Pixels, network: FramingNet, part: tuple[float, ...]
) -> None:
    rows, columns = np.mgrid[:300, :350] + 0.5
    inside = FACE.inside(columns + 1j * rows)
    left, top, right, bottom = part
    across = (left < inside.real) & (inside.real < right)
    hole = across & (top < inside.imag) & (inside.imag < bottom)
    photo = astronaut.copy()
    photo[hole] = (0, 255, 0)
    ((found, _),) = set_right(network, photo, hole, [nudged(FACE, -0.08, 0.08, -0.12, -0.1)])
    assert apart(found, FACE) < 0.1
    photo[hole] = (255, 0, 255)  # nothing in the hole is looked at
    ((again, _),) = set_right(network, photo, hole, [nudged(FACE, -0.08, 0.08, -0.12, -0.1)])
    assert again == found


def test_a_network_that_knows_nothing_leaves_frames_alone(astronaut: Pixels) -> None:
    blank = FramingNet(FramingConfig()).eval()
    assert set_right(blank, astronaut, NOWHERE, []) == []
    ((same, _),) = set_right(blank, astronaut, NOWHERE, [FACE])
    assert same.corner == pytest.approx(FACE.corner)
    assert same.side == pytest.approx(FACE.side)


def test_a_frame_that_is_lost_stays_where_the_detector_had_it(astronaut: Pixels) -> None:
    lost = FramingNet(FramingConfig()).eval()
    with torch.no_grad():
        lost.told.bias[1] = 0.5  # again and again half a side down
    ((frame, score),) = set_right(lost, astronaut, NOWHERE, [FACE])
    assert frame == FACE
    assert score == -np.inf


def test_faces_in_the_mirror_image_are_framed_in_the_mirror_image(
    astronaut: Pixels, network: FramingNet
) -> None:
    rough = nudged(FACE, 0.1, 0.05, 0.1, 0.2)
    ((here, _),) = set_right(network, astronaut, NOWHERE, [rough])
    flipped = np.ascontiguousarray(astronaut[:, ::-1])
    ((there, _),) = set_right(network, flipped, NOWHERE, [mirrored(rough)])
    assert mirrored(there).corner == pytest.approx(here.corner, abs=0.05)
    assert mirrored(there).side == pytest.approx(here.side, abs=0.05)


def mirrored(frame: Frame) -> Frame:
    """In the photo's mirror image, of the same width."""
    right = frame.corner + frame.side
    return Frame(350 - right.conjugate(), frame.side.conjugate())


def test_a_view_shows_what_is_known() -> None:
    photo = np.full((60, 60, 3), 255, np.uint8)
    hole = np.zeros((60, 60), np.bool_)
    hole[:, 40:] = True
    seen = view(photo, hole, Frame(10 + 10j, 40 + 0j), FramingConfig(size=64, room=1.5))
    assert (seen.shape, seen.dtype) == ((4, 64, 64), torch.float32)
    assert (seen[:3, 1:-1, 1:42] == 1).all()
    assert (seen[3, 1:-1, 1:42] == 0).all()
    assert (seen[:3, :, 43:] == 0).all()
    assert (seen[3, :, 43:] == 1).all()
    beyond = view(photo, np.zeros_like(hole), Frame(0j, 60 + 0j), FramingConfig())
    assert beyond[3].mean() == pytest.approx(1 - 1 / 1.5**2, abs=0.05)


def test_offsets_lead_from_rough_frames_to_right_ones() -> None:
    rough = Frame(3 - 2j, cmath.rect(20, 0.4))
    right = nudged(rough, 0.2, -0.1, 0.3, -0.2)
    assert offset_between(rough, right) == pytest.approx((0.2, -0.1, 0.3, -0.2))
    assert offset_between(rough, rough) == pytest.approx((0, 0, 0, 0))


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(InputError, match="halved"):
        FramingConfig(size=60)
