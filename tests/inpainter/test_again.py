"""Faces larger than the networks see: painted as a whole, and again where squares show more."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from simpaint.data.images import Pixels
from simpaint.inpainter import Inpainter
from simpaint.inpainter.whole import squares
from simpaint.inpainter.whole.frames import Frame, cut

from .tiny import Told, tiny_pconv, tiny_sim

FACE = Frame(0.08 + 0.1j, 0.8 + 0.03j)  # of the photo below


@pytest.fixture(scope="module")
def portrait() -> Pixels:
    picture: Any = data.astronaut  # scikit-image has no types; the photo is in the public domain
    return np.asarray(cv2.resize(picture()[45:200, 155:310], (400, 400)), np.uint8)


@pytest.fixture(scope="module")
def scratches(portrait: Pixels) -> NDArray[np.bool_]:
    lines = np.zeros(portrait.shape[:2], np.uint8)
    for start, end in (((60, 330), (350, 90)), ((90, 60), (300, 350)), ((40, 190), (370, 230))):
        cv2.line(lines, start, end, 1, 6)
    return lines.view(np.bool_)


def own(finder: Told) -> Inpainter:
    inpainter = Inpainter.load(k=0, device="cpu")
    inpainter._finder = finder
    return inpainter


def test_a_scratched_face_is_nearer_to_the_truth_and_sharper_for_it(
    portrait: Pixels, scratches: NDArray[np.bool_], monkeypatch: pytest.MonkeyPatch
) -> None:
    off, sharp = [], []
    for share in (0.0, squares._CLOSER):
        monkeypatch.setattr(squares, "_CLOSER", share)
        result = own(Told(FACE))(portrait, scratches)
        painted = np.asarray(result.photo, np.float32)
        assert np.array_equal(painted[~scratches], portrait[~scratches])
        off.append(np.abs(painted - portrait)[scratches].mean())
        steps = np.diff(painted, axis=1)[scratches[:, 1:] & scratches[:, :-1]]
        sharp.append(np.square(steps).mean())
    assert off[1] < 0.9 * off[0]
    assert sharp[1] > 1.1 * sharp[0]


def test_the_face_as_a_whole_is_the_coarse_picture_of_its_parts(
    portrait: Pixels, scratches: NDArray[np.bool_]
) -> None:
    result = own(Told(FACE))(portrait, scratches)
    planned = squares.plan(scratches, [Frame(FACE.corner * 400, FACE.side * 400)], 128, ours=True)
    again = [number for number, square in enumerate(planned) if square.again]
    assert len(again) > 3
    whole = cv2.resize(result.painted[0].permute(1, 2, 0).numpy(), (320, 320))
    for number in again:
        frame, inside = result.frames[number], result.holes[number, 0].bool()
        # Where the square lies in the face, which is hardly turned.
        place = Frame((frame.corner - FACE.corner * 400) * abs(FACE.side) / FACE.side, frame.side)
        there = torch.from_numpy(cut(whole, place, 128)).permute(2, 0, 1)
        assert inside.any()
        assert (there - result.coarse[number])[:, inside].abs().mean() < 0.1


def test_networks_that_see_no_coarse_picture_paint_once(
    portrait: Pixels, scratches: NDArray[np.bool_]
) -> None:
    paint = Inpainter(tiny_pconv(), tiny_sim(), size=32, finder=Told(FACE), device="cpu")
    result = paint(portrait, scratches)
    owners = squares.plan(scratches, [Frame(FACE.corner * 400, FACE.side * 400)], 32)
    assert len(result.frames) == len(owners)
