"""Learning where a face is from what a hole leaves of it, and where there is none.

The frames of whole faces are told by dlib's landmarks, twice, of the photo and of its mirror image;
where they disagree, the photo is left out. Where its detector sees nothing, there is no face.
"""

import cmath
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...data.files import replacing
from ...data.images import Pixels
from ...data.progress import Progress, silent
from ...errors import InputError
from ...index_build.faces import LANDMARKS, dlib_models
from ..training import Update
from ..whole.frames import Frame
from ..whole.framing import FramingConfig, FramingNet, offset_between, view
from .batches import Batch, share, shuffled
from .photo_cache import PhotoCache
from .recipes import Recipe

SIDE: Final = 160
"""Pixels of the photos that are cached."""

# Means over 500 of UTKFace's aligned crops (200 x 200), which the networks see, by dlib's detector
# (499 found) and landmarks, as shares of the side. Right and left are the face's own.
_LANDMARKS: Final = (
    np.array(
        [
            152.0 + 60.0j,  # left eye, outer corner
            121.1 + 61.7j,  # left eye, inner corner
            43.9 + 59.9j,  # right eye, outer corner
            74.9 + 61.6j,  # right eye, inner corner
            98.0 + 117.3j,  # under the nose
        ]
    )
    / 200
)
_BLOCK: Final = 1024  # photos between two files
_AGREED: Final = 0.05  # sides: looks that differ by more are not believed
_SURE: Final = 0.0  # of dlib's detector
_POSSIBLE: Final = -0.5  # where nothing is above it, there is no face
_UNSURE: Final = complex(math.nan, math.nan)
# Places in a face that are compared: about the eyes and the corners of the mouth.
_PLACES: Final = np.array([0.2 + 0.3j, 0.8 + 0.3j, 0.2 + 0.9j, 0.8 + 0.9j])

_SAMPLE: Final = 9  # what random numbers are drawn for
_RIM: Final = 0.2  # of the photo's side, the most that is cut off
_WHOLE: Final = 0.25  # of the faces have no hole
_BARE: Final = 0.2  # of the photos get no other surroundings
_GRAY: Final = 0.15
_SMALL: Final = 1e-6
_NUDGE: Final = (0.3, 0.4, 0.7)  # most that rough frames are off: sides, log of the side, radians
_NOWHERE: Final = 0.35  # of the views show no face, or little of one
_SMALLEST: Final = 0.12  # of the photo's side, of frames where there is no face
_AWAY: Final = 0.75  # of the larger side: frames whose centres are farther apart are others
_OTHER: Final = 2.2  # so much larger or smaller ones, too
_ODDS: Final = 0.1  # weight of whether there is a face


def told_frames(cache: PhotoCache, *, workers: int = 2, progress: Progress = silent) -> list[Frame]:
    """The frame of the face in the middle of each usable photo, by dlib's landmarks.

    They are kept beside the photos, so that a run that was killed goes on.

    Args:
        cache: photos of `SIDE` pixels.
        workers: photos at a time.
        progress: told of photos done.

    Returns:
        as many as there are usable photos; of side 0 where no face is seen, NaN where it is not
        sure.

    Raises:
        DependencyError: dlib or its models are not installed.
        InputError: no photo shows a face.
    """
    teller, rows, found = Teller(), cache.usable, []
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            path = cache.folder / f"told-{start // _BLOCK:05d}.npy"
            if not path.exists():
                told = list(pool.map(lambda row: teller(cache.photos([row])[0]), part))
                with replacing(path) as temporary, temporary.open("wb") as file:
                    np.save(file, np.array(told, np.complex128))
            found.append(np.load(path))
            progress(start + len(part), len(rows))
    frames = [Frame(complex(corner), complex(side)) for corner, side in np.concatenate(found)]
    if not any(abs(frame.side) > 0 for frame in frames):
        raise InputError(f"{cache.folder}: expected photos of faces, found none")
    return frames


class Teller(threading.local):
    """dlib's detector and landmarks, each thread's its own."""

    def __init__(self) -> None:
        models = dlib_models()  # first: what is missing is told here
        import dlib

        self._detector: Any = dlib.get_frontal_face_detector()
        self._landmarks: Any = dlib.shape_predictor(str(models / LANDMARKS))

    def __call__(self, photo: Pixels) -> Frame:
        """The face in the middle of uint8 (S, S, 3): of side 0 if there is none, NaN if unsure."""
        large: Any = cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        flipped = np.ascontiguousarray(large[:, ::-1])
        seen = [self._detector.run(picture, 0, _POSSIBLE) for picture in (large, flipped)]
        if not any(boxes for boxes, _, _ in seen):
            return Frame(0j, 0j)
        points, mirrored = map(self._points, (large, flipped), seen)
        if points is None or mirrored is None:
            return Frame(_UNSURE, _UNSURE)
        back = (large.shape[1] - mirrored.real + 1j * mirrored.imag)[[2, 3, 0, 1, 4]]
        first, second, both = (_fitted(some) for some in (points, back, (points + back) / 2))
        if abs(first.corner - second.corner) > _AGREED * abs(first.side):
            return Frame(_UNSURE, _UNSURE)
        return Frame(both.corner / 2, both.side / 2)

    def _points(self, photo: Pixels, seen: Any) -> NDArray[np.complex128] | None:  # noqa: ANN401
        """Landmarks of the sure face that is nearest to the middle; `seen`: what dlib found."""
        sure = [box for box, score in zip(*seen[:2], strict=True) if score > _SURE]
        if not sure:
            return None
        middle = complex(photo.shape[1] / 2, photo.shape[0] / 2)
        box = min(sure, key=lambda b: abs(complex(b.center().x, b.center().y) - middle))
        parts = self._landmarks(photo, box)
        return np.array([complex(parts.part(i).x + 0.5, parts.part(i).y + 0.5) for i in range(5)])


def _fitted(points: NDArray[np.complex128]) -> Frame:
    """The frame in which landmarks lie where a mean face has them, by least squares."""
    there, here = _LANDMARKS.mean(), points.mean()
    shift = _LANDMARKS - there
    # One complex number turns and scales: least squares of points = corner + side * landmarks.
    side = (shift.conj() * (points - here)).sum() / (abs(shift) ** 2).sum()
    return Frame(complex(here - side * there), complex(side))


class FramingBatches:
    """Views around rough frames of faces with holes, and how far these are off.

    A batch holds "photos" float32 (B, 4, S, S), the views, "offsets" float32 (B, 4), and "faces"
    float32 (B,), 1 where a view shows a face; see `FramingNet`. Those that do not are of photos in
    which there is none, of a face's part or of what is beside it, or of far more than it. Holes lie
    anywhere: those that always hid the eyes would tell where eyes are. For the same reason a
    photo's edge is cut, and what lies beyond made up: mirrored, another photo, or unknown.

    Args:
        photos: of `SIDE` pixels.
        frames: of the usable ones, see `told_frames`.
        config: of the network.
        recipe: batches.
        seed: of everything random.
    """

    def __init__(
        self,
        photos: PhotoCache,
        frames: Sequence[Frame],
        config: FramingConfig,
        recipe: Recipe,
        seed: int,
    ) -> None:
        pairs = list(zip(photos.usable.tolist(), frames, strict=True))
        self._faces = [(row, frame) for row, frame in pairs if abs(frame.side) > 0]
        self._without = [row for row, frame in pairs if frame.side == 0]
        self._all = self._without + [row for row, _ in self._faces]
        self.photos, self.config, self.recipe, self.seed = photos, config, recipe, seed

    def __len__(self) -> int:
        return len(self._faces)

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """This process's part of a step's batch."""
        positions, _ = share(self.recipe, step, rank, world)
        picks = shuffled(positions, len(self._faces), self.seed)
        made = [self._sample(int(pick), p) for pick, p in zip(picks, positions, strict=True)]
        views, offsets, faces = zip(*made, strict=True)
        return {
            "photos": torch.stack(views),
            "offsets": torch.tensor(offsets),
            "faces": torch.tensor(faces),
        }

    def _sample(self, pick: int, position: int) -> tuple[Tensor, tuple[float, ...], float]:
        rng = np.random.default_rng([self.seed, _SAMPLE, position])
        row, frame = self._faces[pick]
        shown = rng.random() > _NOWHERE
        bare = not shown and bool(self._without) and rng.random() < 0.5
        if bare:
            row, frame = self._without[rng.integers(len(self._without))], Frame(0j, 0j)
        photo, frame = _turned_over(self._photo(row), frame, rng)
        hole = np.zeros(photo.shape[:2], np.uint8)
        if rng.random() > _BARE:
            scenes = self._all if shown else self._without
            scene = self._photo(scenes[rng.integers(len(scenes))]) if scenes else None
            photo, hole, frame = _elsewhere(photo, frame, scene, rng)
        rough = _nudged(frame, rng) if shown else _apart(photo, frame, rng)
        if rng.random() > _WHOLE:
            _hide(hole, frame if shown else rough, rng)
        seen = view(_lit(photo, rng), hole.view(np.bool_), rough, self.config)
        return seen, offset_between(rough, frame) if shown else (0.0,) * 4, float(shown)

    def _photo(self, row: int) -> Pixels:
        photo: Pixels = self.photos.photos([row])[0]
        return photo


def _turned_over(photo: Pixels, frame: Frame, rng: np.random.Generator) -> tuple[Pixels, Frame]:
    """Every other photo's mirror image, and its frame."""
    if rng.random() < 0.5:
        return photo, frame
    side = -frame.side.conjugate()  # the mirrored frame begins at its other end
    corner = complex(photo.shape[1] - frame.corner.real, frame.corner.imag) + side
    return np.ascontiguousarray(photo[:, ::-1]), Frame(corner, -side)


def _elsewhere(
    photo: Pixels, frame: Frame, scene: Pixels | None, rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.uint8], Frame]:
    """A photo with its rim cut off and something else around it, what is unknown, and its frame."""
    rim = int(_RIM * len(photo))
    top, bottom, left, right = rng.integers(0, rim, 4)
    photo = photo[top : len(photo) - bottom, left : len(photo) - right]
    height, width = photo.shape[:2]
    pad = int(rng.integers(rim, 3 * rim))
    pads = (pad, pad, pad, pad)
    hole = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
    kind = rng.integers(3)
    if kind == 0:
        hole[:] = 1
        hole[pad:-pad, pad:-pad] = 0
    around = cv2.copyMakeBorder(photo, *pads, cv2.BORDER_REFLECT)
    if kind == 1 and scene is not None:
        part = int(rng.integers(len(scene) // 3, len(scene)))
        y, x = rng.integers(0, len(scene) - part + 1, 2)
        behind = cv2.resize(scene[y : y + part, x : x + part], hole.shape[::-1])
        soft = int(rng.integers(1, max(2, rim // 2)))
        inner = np.zeros(hole.shape, np.float32)
        inner[pad + soft : -pad - soft, pad + soft : -pad - soft] = 1
        inside = cv2.GaussianBlur(inner, (0, 0), soft / 2)[..., None]
        around = (behind * (1 - inside) + around * inside).astype(np.uint8)
    moved = Frame(frame.corner + complex(pad - left, pad - top), frame.side)
    return np.asarray(around, np.uint8), hole, moved


def _hide(hole: NDArray[np.uint8], frame: Frame, rng: np.random.Generator) -> None:
    """Draw boxes, ellipses and strokes into a hole, somewhere about a face."""
    side = abs(frame.side)
    for _ in range(rng.integers(1, 4)):
        spot = frame.corner + frame.side * complex(*rng.uniform(0, 1, 2))
        size = side * rng.uniform(0.1, 1.0, 2) * rng.choice([0.5, 1.0])
        kind = rng.integers(4)
        if kind < 2:
            x, y = (int(c) for c in (spot.real - size[0] / 2, spot.imag - size[1] / 2))
            cv2.rectangle(hole, (x, y), (x + int(size[0]), y + int(size[1])), 1, -1)
        elif kind == 2:
            box = ((spot.real, spot.imag), (size[0], size[1]), float(rng.uniform(0, 180)))
            cv2.ellipse(hole, box, 1, -1)
        else:
            steps = rng.normal(0, 0.15 * side, (int(rng.integers(3, 12)), 2)).cumsum(0)
            points = (steps + np.array([spot.real, spot.imag])).astype(np.int32)
            cv2.polylines(hole, [points], False, 1, max(1, int(side * rng.uniform(0.02, 0.15))))


def _nudged(frame: Frame, rng: np.random.Generator) -> Frame:
    """A rough frame, off by anything between nothing and `_NUDGE`."""
    shift, scale, turn = rng.random() * np.array(_NUDGE)
    grown = rng.uniform(-scale, scale) + 1j * rng.uniform(-turn, turn)
    side = frame.side * complex(np.exp(grown))
    return Frame.about(frame.centre + side * complex(*rng.uniform(-shift, shift, 2)), side)


def _apart(photo: Pixels, frame: Frame, rng: np.random.Generator) -> Frame:
    """A frame in which there is no face but, at most, a part of it: beside, larger or smaller."""
    height, width = photo.shape[:2]
    while True:
        length = min(height, width) * _SMALLEST ** rng.random()
        centre = complex(*(rng.uniform(length / 2, size - length / 2) for size in (width, height)))
        away = abs(centre - frame.centre) / max(length, abs(frame.side))
        larger = abs(frame.side) / length
        if away > _AWAY or not 1 / _OTHER < larger < _OTHER:
            side = length * cmath.exp(1j * rng.uniform(-_NUDGE[2], _NUDGE[2]))
            return Frame.about(centre, side)


def _lit(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """A photo in another light, now and then without colours: uint8 (H, W, 3)."""
    light = photo / 255 * rng.uniform(0.7, 1.3) * rng.uniform(0.85, 1.15, 3)
    light = (light + rng.uniform(-0.1, 0.1)).clip(0, 1) ** rng.uniform(0.7, 1.4)
    if rng.random() < _GRAY:
        light = np.repeat(light.mean(2, keepdims=True), 3, axis=2)
    return np.rint(light * 255).astype(np.uint8)


class FramingTask:
    """Frames to be set right, and faces to be told from what is none.

    The loss is how far places in faces are off, in sides of the face, and a tenth of the cross
    entropy of whether there is one.

    Attributes:
        trained: the network.
        fixed: nothing.
        shipped: the network's name.
    """

    shipped = "network"

    def __init__(self, network: FramingNet) -> None:
        self.trained: dict[str, nn.Module] = {"network": network}
        self.fixed: dict[str, nn.Module] = {}

    def updates(self, modules: Mapping[str, nn.Module], batch: Batch) -> Iterator[Update]:
        """One step: see `training.Task`."""
        told, faces = modules["network"](batch["photos"]).float(), batch["faces"]
        far = distance(told, batch["offsets"])
        off = (far * faces).sum() / faces.sum().clamp(min=1)
        wrong = F.binary_cross_entropy_with_logits(told[:, 4], faces)
        parts = {"distance": off.detach(), "entropy": wrong.detach()}
        yield Update("network", off + _ODDS * wrong, parts)

    def validate(self, network: nn.Module, modules: Mapping[str, nn.Module]) -> None:
        """Nothing is validated."""
        del network, modules

    def samples(self, network: nn.Module) -> None:
        """There are no pictures."""
        del network


def distance(told: Tensor, right: Tensor) -> Tensor:
    """How far four places in a face are apart in two frames, in sides of the second.

    Args:
        told: (B, 4 or more): see `FramingNet.forward`.
        right: (B, 4).

    Returns:
        (B,), the mean over the places.
    """
    places = torch.from_numpy(_PLACES - (0.5 + 0.5j)).to(told.device, torch.complex64)
    here, there = (
        torch.complex(o[:, :1], o[:, 1:2]) + torch.exp(torch.complex(o[:, 2:3], o[:, 3:4])) * places
        for o in (told, right)
    )  # (B, 4)
    squares = torch.view_as_real(here - there).square().sum(-1)
    return (squares + _SMALL).sqrt().mean(1) / right[:, 2].exp()
