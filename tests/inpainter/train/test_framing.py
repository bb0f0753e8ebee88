import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from simpaint.data.images import write_png
from simpaint.data.sources import open_source
from simpaint.errors import InputError
from simpaint.inpainter.checkpoint import load, notes
from simpaint.inpainter.train.framing import (
    SIDE,
    FramingBatches,
    FramingTask,
    Teller,
    distance,
    told_frames,
)
from simpaint.inpainter.train.photo_cache import PhotoCache, cache_photos
from simpaint.inpainter.train.recipes import Recipe, Stage
from simpaint.inpainter.train.runs import train_framing
from simpaint.inpainter.training import RunOptions
from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.framing import FramingConfig, FramingNet

RECIPE = Recipe(stages=(Stage(64, 4, 8),), check_every=2, patience=None)
NO_FACE = Frame(0j, 0j)
NEEDS_DLIB = pytest.mark.skipif(not find_spec("dlib"), reason="no dlib")


@pytest.fixture
def cache(tmp_path: Path) -> PhotoCache:
    """A face, its mirror image, and no face."""
    picture: Any = data.astronaut  # scikit-image has no types; the photo is in the public domain
    face = np.asarray(picture()[10:270, 90:350], np.uint8)
    (tmp_path / "photos").mkdir()
    write_png(tmp_path / "photos" / "a.png", face)
    write_png(tmp_path / "photos" / "b.png", np.ascontiguousarray(face[:, ::-1]))
    write_png(tmp_path / "photos" / "c.png", np.full_like(face, 90))
    source = open_source(tmp_path / "photos")
    return cache_photos(source, source.names, tmp_path / "cache", SIDE)


@NEEDS_DLIB
def test_landmarks_tell_frames_once(cache: PhotoCache) -> None:
    face, mirrored, none = told_frames(cache, workers=1)
    assert none == NO_FACE
    assert abs(face.side) == pytest.approx(111.5 * SIDE / 260, rel=0.05)
    there = SIDE - (face.corner + face.side).real + 1j * (face.corner + face.side).imag
    assert mirrored.corner == pytest.approx(there, abs=2)
    (path,) = cache.folder.glob("told-*.npy")
    told = np.load(path)
    told[2] = 1, 2
    np.save(path, told)
    assert told_frames(cache)[2] == Frame(1 + 0j, 2 + 0j)


@NEEDS_DLIB
def test_photos_without_faces_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    write_png(tmp_path / "photos" / "a.png", np.full((64, 64, 3), 90, np.uint8))
    source = open_source(tmp_path / "photos")
    with pytest.raises(InputError, match="expected photos of faces, found none"):
        told_frames(cache_photos(source, source.names, tmp_path / "cache", SIDE))


@NEEDS_DLIB
def test_a_face_that_is_seen_on_one_side_only_is_neither(tmp_path: Path) -> None:
    """A face too dark to be sure of must not be learned, nor be taken for none."""
    picture: Any = data.astronaut
    face = np.asarray(picture()[10:270, 90:350], np.uint8).copy()
    face[:, 125:] = face[:, 125:] // 4
    frame = Teller()(np.asarray(cv2.resize(face, (SIDE, SIDE)), np.uint8))
    assert np.isnan(frame.side)


def test_batches_are_functions_of_seed_and_step(cache: PhotoCache) -> None:
    frames = [Frame(40 + 30j, 70 + 3j), Frame(50 + 30j, 70 - 3j), NO_FACE]
    batches = FramingBatches(cache, frames, FramingConfig(), RECIPE, seed=1)
    assert len(batches) == 2
    first, same, next_one = batches.batch(0), batches.batch(0), batches.batch(1)
    assert first["photos"].shape == (8, 4, 64, 64)
    assert first["offsets"].shape == (8, 4)
    assert first["faces"].shape == (8,)
    for name, tensor in first.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, same[name])
        assert not torch.equal(tensor, next_one[name])
    halves = [batches.batch(0, rank, 2)["photos"] for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), first["photos"])
    unknown = first["photos"][:, 3:]
    assert ((unknown == 0) | (unknown == 1)).all()
    assert (first["photos"][:, :3] * unknown).abs().max() == 0
    offsets = torch.cat([batches.batch(step)["offsets"] for step in range(4)])
    assert (offsets.abs().amax(0) < torch.tensor([0.8, 0.8, 0.41, 0.71])).all()
    assert (offsets.abs().amax(0) > torch.tensor([0.1, 0.1, 0.2, 0.3])).all()


def test_views_around_right_frames_show_the_face_in_its_place(cache: PhotoCache) -> None:
    """Whatever was done to a photo, what its offset says is where the face is."""
    frames = [Frame(50 + 34j, 68 + 3j)] * 3
    square = np.zeros((3, SIDE, SIDE, 3), np.uint8)  # in place of faces: their frames, white
    square[:, 34:102, 50:118] = 255
    cache._blocks = [square]
    batches = FramingBatches(cache, frames, FramingConfig(), RECIPE, seed=3)
    for step in range(4):
        batch = batches.batch(step)
        for seen, (right, down, scale, _) in zip(batch["photos"], batch["offsets"], strict=True):
            known = seen[3] == 0
            bright = (seen[:3].mean(0) > 0.45) & known
            if known.float().mean() < 0.8 or not bright.any():
                continue
            rows, columns = (axis.float() + 0.5 for axis in torch.nonzero(bright, as_tuple=True))
            reach = 64 / 1.5 * (0.75 * scale.exp() + 0.1)  # half of a turned square's diagonal
            x, y = 32 + 64 / 1.5 * right, 32 + 64 / 1.5 * down
            near = ((columns - x) ** 2 + (rows - y) ** 2).sqrt() < reach
            assert near.float().mean() > 0.6


@pytest.mark.parametrize("third", [NO_FACE, Frame(50 + 34j, 68 + 3j)])
def test_a_third_of_the_views_show_no_face(cache: PhotoCache, third: Frame) -> None:
    """Of a photo without one, or beside a face, or a part of it: its frame is white here."""
    frames = [Frame(50 + 34j, 68 + 0j)] * 2 + [third]
    pictures = np.zeros((3, SIDE, SIDE, 3), np.uint8)
    pictures[:, 34:102, 50:118] = 255
    if third == NO_FACE:
        pictures[2] = 0
    cache._blocks = [pictures]
    recipe = Recipe(stages=(Stage(64, 4, 64),), patience=None)
    batches = FramingBatches(cache, frames, FramingConfig(), recipe, seed=3)
    made = [batches.batch(step) for step in range(4)]
    views, offsets, faces = (torch.cat([b[name] for b in made]) for name in made[0])
    assert 0.25 < (faces == 0).float().mean() < 0.45
    assert offsets[faces == 0].abs().max() == 0
    white = views[:, :3].mean(1) > 0.45
    rim = torch.ones(64, 64, dtype=torch.bool)
    rim[5:-5, 5:-5] = False
    framed = white[:, 20:-20, 20:-20].all(2).all(1) & (white[:, rim].float().mean(1) < 0.2)
    assert framed[faces == 1].float().mean() > 0.2
    assert not framed[faces == 0].any()


def test_where_there_is_no_face_nothing_is_asked_of_the_frame() -> None:
    torch.manual_seed(0)
    task = FramingTask(FramingNet(FramingConfig()))
    torch.nn.init.normal_(task.trained["network"].told.bias)  # type: ignore[union-attr, arg-type]
    batch = {
        "photos": torch.rand(4, 4, 64, 64),
        "offsets": torch.rand(4, 4),
        "faces": torch.tensor([1.0, 0.0, 1.0, 0.0]),
    }
    ((one),) = task.updates(task.trained, batch)
    batch["offsets"][1::2] += 1
    ((same),) = task.updates(task.trained, batch)
    assert torch.equal(one.loss, same.loss)
    batch["faces"] = 1 - batch["faces"]
    ((other),) = task.updates(task.trained, batch)
    assert other.loss != one.loss


def test_the_distance_of_frames_is_that_of_places_in_faces() -> None:
    right = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 0.0]])
    torch.testing.assert_close(distance(right, right), torch.zeros(3), atol=2e-3, rtol=0)
    moved = right + torch.tensor([0.3, 0.4, 0.0, 0.0])
    expected = torch.tensor([0.5, 0.5 / np.exp(0.3), 0.5 / np.e], dtype=torch.float32)
    torch.testing.assert_close(distance(moved, right), expected, atol=1e-4, rtol=0)


@NEEDS_DLIB
def test_a_run_keeps_a_network_that_can_be_loaded(cache: PhotoCache, tmp_path: Path) -> None:
    options = RunOptions(tmp_path / "run", workers=0, cpu=True)
    said: list[str] = []
    kept = train_framing(tmp_path / "photos", RECIPE, options, tmp_path, said.append)
    network = load(kept, FramingNet)
    assert network.config == FramingConfig()
    assert notes(kept)["number of photos"] == 2
    assert "PFLOP" in json.dumps(said)
    assert network.told.weight.abs().max() > 0
