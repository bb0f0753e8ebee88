"""Painting end to end against the bare forwards of its three networks, part by part, and memory.

A photo of 256 x 256 pixels goes through everything: the face is found and turned upright, the hole
filled coarsely, a similar photo searched and read, the hole filled again, and pasted. The peer is
what no pipeline can do without: the coarse network, the descriptor and the last network on tensors
that lie ready, for as many squares as the photos needed, as many at once as is quickest. Both take
turns, with the same threads. Without `--photos`, faces are drawn, and the detector is told where
they are, as it knows only real ones; with it, dlib's or scikit-image's looks for them.

    python benchmarks/inpaint.py [--photos FOLDER] [--network NAME] [--size 256] [--threads N]
"""

import argparse
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

import cv2
import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import Pixels, decode, square, write_png
from simpaint.data.sources import open_source
from simpaint.index_build import BuildConfig, build_index, database_descriptor
from simpaint.index_build.descriptors import Descriptor, NetworkDescriptor
from simpaint.index_build.simnet import load_simnet
from simpaint.inpainter import Inpainter, pipeline
from simpaint.inpainter.checkpoint import OUR_OWN
from simpaint.inpainter.memory import keep_freed_memory
from simpaint.inpainter.painters import (
    CoarseNetwork,
    LastNetwork,
    coarse_of,
    coarse_picture,
    in_turns,
    load_coarse,
    load_last,
    neighbors_of,
    paint_last,
)
from simpaint.inpainter.whole import quiet, work
from simpaint.inpainter.whole.find_faces import FaceFinder, default_finder
from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.framing import Face
from simpaint.inpainter.whole.similar import MostSimilar
from simpaint.retrieval import ImageDatabase, Retriever

LIMIT: Final = 1.15
SIDE: Final = 256  # of the photos
PARTS: Final = (
    (pipeline, "open_canvas", "opening, and a first filling"),
    (pipeline, "find_faces", "finding the face"),
    (pipeline, "plan", "planning squares"),
    (quiet, "grain_of", "looking for grain"),
    (quiet, "cut", "cutting squares"),
    (work, "cut_hole", "cutting squares"),
    (work, "match_border", "meeting the border"),
    (work, "paste", "grain and paste"),
)
"""What is called where, and which part of the work it is."""


class Told(FaceFinder):
    """A detector that takes as long as nothing and finds the whole photo."""

    def __call__(
        self,
        photo: Pixels,
        hole: NDArray[np.bool_],  # noqa: ARG002
        smallest: int,  # noqa: ARG002
    ) -> list[Face]:
        """One face."""
        return [Face(Frame(0j, complex(photo.shape[1])), 9.0)]


def make_photos(folder: Path | None, count: int) -> list[Pixels]:
    """Photos of 256 x 256: the first of a folder, or drawn."""
    if folder is None:
        return [drawn_face(np.random.default_rng(1000 + i), SIDE) for i in range(count)]
    source = open_source(folder)
    return [square(decode(source.read(name)), SIDE) for name in source.names[:count]]


def make_database(folder: Path) -> ImageDatabase:
    """500 drawn faces."""
    (folder / "photos").mkdir()
    for i in range(500):
        write_png(folder / "photos" / f"{i:03d}.png", drawn_face(np.random.default_rng(i), 200))
    build_index(folder / "photos", folder / "db", BuildConfig(device="cpu"))
    return ImageDatabase.open(folder / "db")


def seconds(steps: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """The median time of each, warmed up, taken turn about so that a busy machine is fair."""
    times: list[list[float]] = [[] for _ in steps]
    for repeat in range(repeats + 2):
        for own, run in zip(times, steps, strict=True):
            start = time.perf_counter()
            run()
            wait()
            if repeat >= 2:
                own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in times]


def wait() -> None:
    """Until a GPU, where there is one in use, has done its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Clock:
    """Tells what parts of a painting take, summed over threads."""

    def __init__(self) -> None:
        self._spans: list[tuple[str, float]] = []

    @contextmanager
    def watching(self, coarse: CoarseNetwork, last: LastNetwork) -> Iterator[None]:
        """Time all parts while the context lasts."""
        with ExitStack() as stack:
            watched: list[tuple[object, str, str]] = [
                *PARTS,
                (coarse, "forward", "coarse network"),
                (NetworkDescriptor, "__call__", "descriptor"),
                (last, "forward", "last network"),
                (MostSimilar, "__call__", "descriptor, search and reading"),
            ]
            for owner, name, part in watched:
                timed = self._timed(part, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, timed))
            yield

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the function takes
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                wait()
                self._spans.append((part, time.perf_counter() - start))

        return run

    def parts(self) -> dict[str, float]:
        """Seconds of each part."""
        total: dict[str, float] = defaultdict(float)
        for part, span in self._spans:
            total[part] += span
        total["search and reading"] = total.pop("descriptor, search and reading", 0.0)
        total["search and reading"] -= total["descriptor"]
        return total


def measure(options: argparse.Namespace, folder: Path) -> list[float]:
    """Time batches of 1 and 16; print and return the ratios."""
    database = make_database(folder)
    descriptor = database_descriptor(database.folder, database.manifest, device=options.device)
    last = load_last(options.network)
    coarse, k = load_coarse(coarse_of(last)), neighbors_of(last)
    print(f"{coarse_of(last)}, {descriptor.name} and {options.network}, k = {k}")
    similar = MostSimilar(database, Retriever(database, descriptor, k, options.size)) if k else None
    finder = default_finder() if options.photos else Told()
    paint = Inpainter(
        coarse, last, similar, size=options.size, finder=finder, device=options.device
    )
    photos = make_photos(options.photos, 16)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[90:190, 80:180] = True  # 15 % of the photo, over the nose
    ratios: list[float] = []
    for batch in (1, 16):
        some, masks = photos[:batch], [mask] * batch
        squares = [len(result.frames) for result in paint.batch(some, masks)]
        turns = [sum(n > turn for n in squares) for turn in range(max(squares))]
        bare = forwards(coarse, last, descriptor, turns, options)
        repeats = options.repeats * (5 if batch == 1 else 1)  # a short time varies more
        alone, whole = seconds([bare, lambda: paint.batch(some, masks)], repeats)  # noqa: B023
        ratios.append(whole / alone)
        print(
            f"{batch} photo{'s' * (batch > 1)} of {SIDE} px, networks at {options.size} px, "
            f"{sum(squares)} squares: {whole * 1e3:.0f} ms, bare forwards {alone * 1e3:.0f} ms: "
            f"{whole / alone:.2f} times as long (limit {LIMIT})"
        )
        clock = Clock()
        with clock.watching(coarse, last):
            for _ in range(options.repeats):
                paint.batch(some, masks)
        for part, span in clock.parts().items():
            print(f"    {span / options.repeats * 1e3:8.1f} ms {part}")
    return ratios


def forwards(
    coarse: CoarseNetwork,
    last: LastNetwork,
    descriptor: Descriptor,
    turns: Sequence[int],
    options: argparse.Namespace,
) -> Callable[[], None]:
    """The three networks on batches that lie ready."""
    place, layout = torch.device(options.device), torch.channels_last
    simnet = load_simnet().to(place).to(memory_format=layout)
    given = []
    for batch in turns:
        shape = (batch, 3, options.size, options.size)
        photos = torch.rand(shape, device=place).to(memory_format=layout)
        small = torch.rand(batch, 3, descriptor.input_size, descriptor.input_size, device=place)
        holes = torch.zeros_like(photos[:, :1])
        holes[..., options.size // 3 : 3 * options.size // 4, options.size // 3 : -50] = 1
        neighbors = photos[:, None].repeat(1, neighbors_of(last), 1, 1, 1)
        given.append((photos, holes, small.to(memory_format=layout), neighbors))

    def run() -> None:
        with torch.inference_mode():
            for photos, holes, small, neighbors in given:
                in_turns(partial(coarse_picture, coarse), photos, holes)
                simnet(small)
                in_turns(partial(paint_last, last), photos, holes, photos, neighbors)

    return run


def main() -> int:
    """Print the ratios of 1 and 16 photos and the peak memory; the exit code tells of the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="real photos of faces")
    parser.add_argument("--network", default=OUR_OWN, help="the last one: name or file")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    for set_threads in (torch.set_num_threads, cv2.setNumThreads, faiss.omp_set_num_threads):
        set_threads(options.threads)
    keep_freed_memory()  # as `simpaint inpaint` does
    cuda = options.device.startswith("cuda")
    print(torch.cuda.get_device_name() if cuda else f"{options.threads} threads")
    with TemporaryDirectory() as folder:
        ratios = measure(options, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB")
    return int(max(ratios) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
