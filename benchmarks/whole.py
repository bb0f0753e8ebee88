"""Whole photos with holes: where half hidden faces are taken to be, and how well they are painted.

    python benchmarks/whole.py PHOTOS [--limit 60] [--without OTHERS]

PHOTOS show faces, whole. Where these are, dlib's landmarks tell (the extra `faces`). For each kind
of hole and each detector: how many faces are found within half a side, and how far four places in
them are off, in sides of the face, the mean and the ninth decile; and at how many of two boxes in
each of the OTHERS, which show none, a face is found. Then, at the photo's resolution and without
similar photos, L1 inside the hole in per cent and sharpness: for scratches, strokes and a box over
the eyes, of the face painted as a whole only, and again in smaller squares; and for something
removed from the OTHERS, and strokes over them, painted by networks alone, and by the photo itself.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from simpaint.data.images import Pixels, decode
from simpaint.data.sources import open_source
from simpaint.data.tensors import to_images
from simpaint.errors import ImageError
from simpaint.inpainter import Inpainter
from simpaint.inpainter.losses import gradient_energy
from simpaint.inpainter.train.framing import Teller
from simpaint.inpainter.whole import squares
from simpaint.inpainter.whole.canvas import open_canvas
from simpaint.inpainter.whole.find_faces import (
    CascadeFinder,
    DlibFinder,
    FaceFinder,
    all_faces,
    find_faces,
)
from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.framing import Face

Hole = NDArray[np.bool_]

# Left, top, right and bottom, as shares of the face's side.
BOXES = {
    "one eye": (0.15, 0.2, 0.5, 0.45),
    "both eyes": (0.1, 0.2, 0.9, 0.45),
    "mouth": (0.25, 0.6, 0.75, 0.9),
    "half": (-0.05, -0.05, 0.5, 1.05),
    "center": (0.25, 0.25, 0.75, 0.75),
}
PLACES = np.array([0.2 + 0.3j, 0.8 + 0.3j, 0.2 + 0.9j, 0.8 + 0.9j])
WIDTHS = {"scratches": (5, 0.015), "strokes": (2, 0.06), "wide strokes": (2, 0.13)}  # of the side


class Case(NamedTuple):
    """A face with its surroundings."""

    photo: Pixels
    frame: Frame


class Known(FaceFinder):
    """A detector that knows where the face is."""

    def __init__(self) -> None:
        self.case: Case

    def __call__(self, photo: Pixels, hole: Hole, smallest: int) -> list[Face]:
        """See `FaceFinder`."""
        del hole, smallest
        scale = photo.shape[1] / self.case.photo.shape[1]
        return [Face(Frame(*(part * scale for part in self.case.frame)), 9.0)]


def cases(photos: Path, limit: int) -> Iterator[Case]:
    """Each face, with its surroundings, and its frame by landmarks."""
    source, finder, teller = open_source(photos), DlibFinder(), Teller()
    count = 0
    for name in source.names:
        try:
            photo = decode(source.read(name), name=name)
        except ImageError as error:
            print(error)
            continue
        for face in all_faces(photo, finder):
            middle, reach = face.centre, 1.1 * abs(face.side)
            top, left = (max(0, int(c - reach)) for c in (middle.imag, middle.real))
            part = photo[top : int(middle.imag + reach), left : int(middle.real + reach)].copy()
            scale = min(1.0, 220 / max(part.shape))  # as landmarks were told in training
            corner, side = teller(np.asarray(cv2.resize(part, None, fx=scale, fy=scale), np.uint8))
            if abs(side) > 0 and count < limit:
                count += 1
                yield Case(part, Frame(corner / scale, side / scale))


def box(case: Case, sides: tuple[float, ...]) -> Hole:
    """A box over a face."""
    rows, columns = np.mgrid[: case.photo.shape[0], : case.photo.shape[1]] + 0.5
    point = case.frame.inside(columns + 1j * rows)
    left, top, right, bottom = sides
    inside: Hole = (left < point.real) & (point.real < right)
    return inside & (top < point.imag) & (point.imag < bottom)


def lines(case: Case, number: int, width: float, seed: int) -> Hole:
    """Straight lines across a face."""
    rng, side = np.random.default_rng(seed), abs(case.frame.side)
    drawn = np.zeros(case.photo.shape[:2], np.uint8)
    for _ in range(number):
        middle = case.frame.corner + case.frame.side * complex(*rng.uniform(0.25, 0.75, 2))
        half = side * (0.6 if width < 0.05 else 0.25) * np.exp(2j * np.pi * rng.random())
        ends = [(int(z.real), int(z.imag)) for z in (middle - half, middle + half)]
        cv2.line(drawn, ends[0], ends[1], 1, max(1, round(side * width)))
    return drawn.view(np.bool_)


def report_frames(found: list[Case], finders: dict[str, FaceFinder]) -> None:
    """How far frames are off."""
    for kind, sides in {"nothing": (0.48, 0.48, 0.53, 0.53), **BOXES}.items():
        told = []
        for name, finder in finders.items():
            off = []
            for case in found:
                hole = box(case, sides)
                canvas = open_canvas(case.photo, hole)
                for frame in find_faces(canvas.as_bytes(), hole, finder)[:1]:
                    places = case.frame.inside(frame.corner + frame.side * PLACES)
                    off.append(float(abs(places - PLACES).mean()))
            off = [distance for distance in off if distance < 0.5]
            told.append(
                f"{name} finds {len(off)}, off by {np.mean(off):.3f}, {np.quantile(off, 0.9):.3f}"
            )
        print(f"{kind:12s} {'; '.join(told)}", flush=True)


def report_none(others: Path, finders: dict[str, FaceFinder]) -> None:
    """How many faces are found where there is none."""
    source, told = open_source(others), dict.fromkeys(finders, 0)
    for number, name in enumerate(source.names):
        photo, rng = decode(source.read(name), name=name), np.random.default_rng(number)
        for _ in range(2):
            hole = np.zeros(photo.shape[:2], np.bool_)
            height, width = (rng.uniform(0.08, 0.3, 2) * min(hole.shape)).astype(int)
            top, left = (rng.integers(0, n) for n in np.array(hole.shape) - (height, width))
            hole[top : top + height, left : left + width] = True
            canvas = open_canvas(photo, hole)
            for finder in finders:
                told[finder] += bool(find_faces(canvas.as_bytes(), hole, finders[finder]))
    print(f"no face: of {2 * len(source.names)} boxes, found at {told}", flush=True)


def report_painting(found: list[Case]) -> None:
    """How far what is painted is off."""
    finder = Known()
    inpainter = Inpainter.load(k=0)
    inpainter = Inpainter(inpainter._coarse, inpainter._network, k=0, finder=finder)
    usual = squares._CLOSER
    kinds = dict.fromkeys(WIDTHS) | {"both eyes": BOXES["both eyes"]}
    for kind, sides in kinds.items():
        told = []
        for share, name in ((0.0, "once"), (usual, "again")):
            squares._CLOSER = share  # type: ignore[misc]
            off, energy, truth = [], 0.0, 0.0
            for seed, case in enumerate(found):
                finder.case = case
                hole = lines(case, *WIDTHS[kind], seed) if sides is None else box(case, sides)
                painted = np.asarray(inpainter(case.photo, hole).photo)
                off.append(100 * np.abs(painted / 255.0 - case.photo / 255.0)[hole].mean())
                energy, truth = energy + sharp(painted, hole), truth + sharp(case.photo, hole)
            told.append(f"{name} {np.mean(off):.2f} / {energy / truth:.2f}")
        print(f"{kind:12s} {', '.join(told)}", flush=True)


def blob(shape: tuple[int, ...], rng: np.random.Generator) -> Hole:
    """Where something stood, a fifth to a third of the photo high."""
    drawn, side = np.zeros(shape[:2], np.uint8), min(shape[:2])
    centre = [int(length * rng.uniform(0.25, 0.75)) for length in shape[1::-1]]
    axes = [int(side * rng.uniform(*share)) for share in ((0.06, 0.12), (0.1, 0.18))]
    cv2.ellipse(drawn, centre, axes, 0, 0, 360, 1, -1)
    return drawn.view(np.bool_)


def strokes(shape: tuple[int, ...], rng: np.random.Generator) -> Hole:
    """Three lines across a photo."""
    drawn, width = np.zeros(shape[:2], np.uint8), int(0.03 * min(shape[:2]))
    for _ in range(3):
        first, last = (
            [int(length * rng.uniform(0.1, 0.9)) for length in shape[1::-1]] for _ in range(2)
        )
        cv2.line(drawn, first, last, 1, max(2, width))
    return drawn.view(np.bool_)


def report_things(others: Path) -> None:
    """How far what is painted is off where there is no face."""
    source, inpainter, usual = open_source(others), Inpainter.load(k=0), squares._DEEP
    for kind in (blob, strokes):
        told = []
        for share, name in ((np.inf, "networks"), (usual, "the photo itself")):
            squares._DEEP = share  # type: ignore[misc]
            off, energy, truth, took = [], 0.0, 0.0, 0.0
            for seed, path in enumerate(source.names):
                photo = decode(source.read(path), name=path)
                hole = kind(photo.shape, np.random.default_rng(seed))
                start = time.perf_counter()
                painted = np.asarray(inpainter(photo, hole).photo)
                took += time.perf_counter() - start
                off.append(100 * np.abs(painted / 255.0 - photo / 255.0)[hole].mean())
                energy, truth = energy + sharp(painted, hole), truth + sharp(photo, hole)
            each = took / len(off)
            told.append(f"{name} {np.mean(off):.2f} / {energy / truth:.2f}, {each:.1f} s")
        print(f"{kind.__name__:12s} {', '.join(told)}", flush=True)


def sharp(photo: Pixels, hole: Hole) -> float:
    """Gradient energy inside the hole."""
    tensor = to_images(photo)[None]
    return float(gradient_energy(tensor, torch.from_numpy(hole)[None, None]))


def main() -> None:
    """Find, and paint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--without", type=Path)
    arguments = parser.parse_args()
    found = list(cases(arguments.photos, arguments.limit))
    lengths = sorted(abs(case.frame.side) for case in found)
    print(f"{len(found)} faces of {lengths[0]:.0f} to {lengths[-1]:.0f} pixels")
    finders: dict[str, FaceFinder] = {"dlib": DlibFinder(), "cascade": CascadeFinder()}
    report_frames(found, finders)
    if arguments.without:
        report_none(arguments.without, finders)
        report_things(arguments.without)
    report_painting(found)


if __name__ == "__main__":
    main()
