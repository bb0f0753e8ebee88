"""Holes filled with what another photo of the same place shows, and without it.

VIEWS is the folder `examples/data` of Debian's package `opencv-doc`: five pairs of photos of a
place from two places, and a film of a street by a camera that stands still, of which frames are
taken ten seconds or more apart. OTHERS are photos without a face; their second view is made of
them: turned by up to 5 degrees, 15 % smaller to 10 % larger, in perspective, in other light, and
stored as JPEG. As in `benchmarks/whole.py` an ellipse is removed, a fifth to a third of the photo
high, or strokes 3 % wide. L1 inside the hole in per cent, sharpness, and seconds; each alone and
with the other view.
"""

import argparse
import time
from collections.abc import Iterator
from math import nan
from pathlib import Path

import cv2
import numpy as np

from simpaint.benchmarks.whole import blob, sharp, strokes
from simpaint.data.images import Pixels, decode
from simpaint.data.sources import open_source
from simpaint.inpainter import Inpainter
from simpaint.inpainter.whole.places import Whole
from simpaint.inpainter.whole.similar import Noise

PAIRS = [
    ("graf1.png", "graf3.png"),
    ("leuvenA.jpg", "leuvenB.jpg"),
    ("aloeL.jpg", "aloeR.jpg"),
    ("left.jpg", "right.jpg"),
    ("rubberwhale1.png", "rubberwhale2.png"),
]
FRAMES = [(20, 150), (150, 300), (300, 420), (420, 560), (560, 700)]


class Other(Noise):
    """Another view, and no similar faces."""

    def __init__(self, view: Pixels) -> None:
        super().__init__(1)
        self._view = view

    def whole(self, photo: Pixels) -> list[Whole]:  # noqa: ARG002
        """See `Similar`."""
        return [Whole(0, nan, self._view.copy, chosen=True)]


def real(folder: Path) -> Iterator[tuple[Pixels, Pixels]]:
    """Photos of the same place."""
    for one, other in PAIRS:
        yield decode(folder / one), decode(folder / other)
    film = cv2.VideoCapture(str(folder / "vtest.avi"))
    frames: dict[int, Pixels] = {}
    for number in range(max(later for _, later in FRAMES) + 1):
        _, frame = film.read()
        if any(number in pair for pair in FRAMES):
            frames[number] = np.ascontiguousarray(frame[..., ::-1], np.uint8)
    for first, later in FRAMES:
        yield frames[first], frames[later]


def made(others: Path) -> Iterator[tuple[Pixels, Pixels]]:
    """Photos, and a view that is made of each."""
    source = open_source(others)
    for seed, name in enumerate(source.names):
        photo = decode(source.read(name), name=name)
        yield photo, second_view(photo, np.random.default_rng(seed))


def second_view(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """As another camera might have seen it."""
    height, width = photo.shape[:2]
    size = np.array([width, height])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    angle, scale = np.deg2rad(rng.uniform(-5, 5)), rng.uniform(0.85, 1.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (corners - size / 2) @ (scale * turn).T + size / 2
    moved += (rng.uniform(-0.06, 0.06, (4, 2)) + rng.uniform(-0.06, 0.06, 2)) * size
    plane = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    seen = cv2.warpPerspective(photo, plane, (width, height), flags=cv2.INTER_AREA)
    there = cv2.warpPerspective(np.ones(photo.shape[:2], np.uint8), plane, (width, height))
    rim = 0
    while not there[rim : height - rim, rim : width - rim].all():
        rim += 2
    seen = seen[rim : height - rim, rim : width - rim] / 255
    lit = (seen ** rng.uniform(0.8, 1.25) * rng.uniform(0.85, 1.15, 3)).clip(0, 1)
    pixels = np.rint(lit * 255).astype(np.uint8)
    _, stored = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)


def report(name: str, pairs: list[tuple[Pixels, Pixels]], masks: int) -> None:
    """Fill holes, alone and with the other view."""
    alone = Inpainter.load(k=0)
    for kind in (blob, strokes):
        told = []
        for views, said in ((False, "alone"), (True, "with another view")):
            off, energy, truth, took, used, count = [], 0.0, 0.0, 0.0, 0, 0
            for photo, view in pairs:
                network = alone._network
                both = Inpainter(alone._coarse, network, Other(view), k=1, finder=alone._finder)
                for seed in range(masks):
                    hole = kind(photo.shape, np.random.default_rng(seed))
                    start = time.perf_counter()
                    result = (both if views else alone)(photo, hole)
                    took += time.perf_counter() - start
                    painted = np.asarray(result.photo)
                    off.append(100 * np.abs(painted / 255.0 - photo / 255.0)[hole].mean())
                    energy, truth = energy + sharp(painted, hole), truth + sharp(photo, hole)
                    used, count = used + int((result.ids >= 0).any()), count + 1
            share = f", known again in {used} of {count}" if views else ""
            means = f"{np.mean(off):.2f} / {energy / truth:.2f}, {took / count:.1f} s"
            told.append(f"{said} {means}{share}")
        print(f"{name} {kind.__name__:8s} {'; '.join(told)}", flush=True)


def main() -> None:
    """Fill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("views", type=Path)
    parser.add_argument("others", type=Path)
    arguments = parser.parse_args()
    report("two views", list(real(arguments.views)), 2)
    report("views made", list(made(arguments.others)), 1)


if __name__ == "__main__":
    main()
