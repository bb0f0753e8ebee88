"""Painting end to end against the bare forwards of its three networks, and its peak memory.

A photo of 256 x 256 pixels goes through everything: the face is found and turned upright, the hole
filled coarsely, similar photos searched and read, the hole filled again, and pasted. The peer is
what no pipeline can do without: the coarse network, the descriptor and Sim-K, once each, on
tensors of the same size that lie ready. Without `--photos`, faces are drawn, and the detector is
told where they are, as it knows only real ones; with it, dlib's or scikit-image's looks for them.

    python benchmarks/inpaint.py [--photos FOLDER] [--weights FOLDER] [--size 256] [--device cpu]
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import Pixels, decode, square, write_png
from simpaint.data.sources import open_source
from simpaint.index_build import BuildConfig, build_index, database_descriptor
from simpaint.index_build.simnet import load_simnet
from simpaint.inpainter import VARIANTS, Inpainter, PConvUNet, SimUNet, UNetConfig
from simpaint.inpainter.checkpoint import load
from simpaint.inpainter.whole.find_faces import Face, default_finder
from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.similar import MostSimilar
from simpaint.retrieval import ImageDatabase, Retriever

LIMIT = 1.15
SIDE = 256  # of the photos


class Told:
    """A detector that takes as long as nothing and finds the whole photo."""

    def __call__(
        self,
        photo: Pixels,
        hole: NDArray[np.bool_],  # noqa: ARG002
        smallest: int,  # noqa: ARG002
    ) -> list[Face]:
        """One face."""
        return [Face(Frame(0j, complex(photo.shape[1])), 1.0)]


def make_photos(folder: Path | None, count: int) -> list[Pixels]:
    """Photos of 256 x 256: the first of a folder, or drawn."""
    if folder is None:
        return [drawn_face(np.random.default_rng(1000 + i), SIDE) for i in range(count)]
    source = open_source(folder)
    return [square(decode(source.read(name)), SIDE) for name in source.names[:count]]


def make_networks(weights: Path | None) -> tuple[PConvUNet, SimUNet]:
    """The shipped networks, a folder's, or random ones of the same size."""
    if weights is not None:
        names = (weights / f"{name}.safetensors" for name in ("pconv", "sim-1"))
        coarse, sim = names
        return load(coarse, PConvUNet), load(sim, SimUNet)
    torch.manual_seed(0)
    widths = VARIANTS["small"]
    return PConvUNet(UNetConfig("pconv", widths)), SimUNet(UNetConfig("sim", widths, 1))


def make_database(folder: Path) -> ImageDatabase:
    """500 drawn faces."""
    (folder / "photos").mkdir()
    for i in range(500):
        write_png(folder / "photos" / f"{i:03d}.png", drawn_face(np.random.default_rng(i), 200))
    build_index(folder / "photos", folder / "db", BuildConfig(device="cpu"))
    return ImageDatabase.open(folder / "db")


def seconds(steps: Sequence[Callable[[], object]], repeats: int, device: str) -> list[float]:
    """The median time of each, warmed up, taken turn about so that a busy machine is fair."""
    times: list[list[float]] = [[] for _ in steps]
    for repeat in range(repeats + 2):
        for own, run in zip(times, steps, strict=True):
            start = time.perf_counter()
            run()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            if repeat >= 2:
                own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in times]


def measure(options: argparse.Namespace, folder: Path) -> list[float]:
    """Time batches of 1 and 16; print and return the ratios."""
    database = make_database(folder)
    descriptor = database_descriptor(database.folder, database.manifest, device=options.device)
    coarse, sim = make_networks(options.weights)
    similar = MostSimilar(database, Retriever(database, descriptor, 1, options.size))
    finder = default_finder() if options.photos else Told()
    paint = Inpainter(coarse, sim, similar, size=options.size, finder=finder, device=options.device)
    photos = make_photos(options.photos, 16)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[90:190, 80:180] = True  # 15 % of the photo, over the nose
    ratios: list[float] = []
    for batch in (1, 16):
        some, masks = photos[:batch], [mask] * batch

        def everything(some: list[Pixels] = some, masks: list[NDArray[np.bool_]] = masks) -> None:
            paint.batch(some, masks)

        bare = forwards(coarse, sim, descriptor.input_size, batch, options)
        alone, whole = seconds([bare, everything], options.repeats, options.device)
        squares = [len(result.frames) for result in paint.batch(some, masks)]
        ratios.append(whole / alone)
        print(
            f"{batch} photo{'s' * (batch > 1)} of {SIDE} px, networks at {options.size} px, "
            f"{sum(squares)} squares: {whole * 1e3:.0f} ms, bare forwards {alone * 1e3:.0f} ms: "
            f"{whole / alone:.2f} times as long (limit {LIMIT})"
        )
    return ratios


def forwards(
    coarse: PConvUNet, sim: SimUNet, described: int, batch: int, options: argparse.Namespace
) -> Callable[[], None]:
    """The three networks on a batch that lies ready."""
    place, layout = torch.device(options.device), torch.channels_last
    shape = (batch, 3, options.size, options.size)
    photos = torch.rand(shape, device=place).to(memory_format=layout)
    small = torch.rand(batch, 3, described, described, device=place).to(memory_format=layout)
    holes = torch.zeros_like(photos[:, :1])
    holes[..., options.size // 3 : 3 * options.size // 4, options.size // 3 : -50] = 1
    simnet = load_simnet().to(place).to(memory_format=layout)

    def run() -> None:
        with torch.inference_mode():
            coarse(photos, holes)
            simnet(small)
            sim(photos, holes, photos[:, None])

    return run


def main() -> int:
    """Print the ratios of 1 and 16 photos and the peak memory; the exit code tells of the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="real photos of faces")
    parser.add_argument("--weights", type=Path, help="folder of pconv and sim-1.safetensors")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    place = (
        torch.cuda.get_device_name()
        if options.device.startswith("cuda")
        else (f"{torch.get_num_threads()} threads")
    )
    print(place)
    with TemporaryDirectory() as folder:
        ratios = measure(options, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB")
    return int(max(ratios) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
