"""What one core does in a second, and what a photo takes on disk: the figures of docs/scale.md.

    OMP_NUM_THREADS=1 python benchmarks/scale.py [--photos FOLDER]

Times are processor time of one thread, so that what else runs on the machine counts little. The
large photos are drawn, with noise as cameras have it; the vectors are random.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.files import sha256
from simpaint.data.images import read_photo
from simpaint.index_build.faiss_choice import estimate_memory
from simpaint.index_build.faiss_index import add_batches, train_index
from simpaint.index_build.faiss_library import empty_index
from simpaint.index_build.shards import PhotoRow, read_columns, vectors_of, write_shard
from simpaint.index_build.simnet import SimNet
from simpaint.index_build.vgg import VGG16

D, SHARD = 512, 4096
BILLION = 1_000_000_000


def seconds(work: Callable[[], object], units: int, least: float = 1.0) -> float:
    """Processor seconds a unit, warmed up, repeated until `least` seconds have passed."""
    work()
    start, rounds = time.process_time(), 0
    while time.process_time() - start < least:
        work()
        rounds += 1
    return (time.process_time() - start) / (rounds * units)


def large_photos(count: int) -> list[bytes]:
    """Drawn JPEGs of 1024 by 768 pixels."""
    rng, photos = np.random.default_rng(0), []
    for _ in range(count):
        face = Image.fromarray(drawn_face(rng, 256)).resize((1024, 768))
        noisy = np.asarray(face) + rng.normal(0, 6, (768, 1024, 3))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
        photos.append(buffer.getvalue())
    return photos


def report_decoding(what: str, photos: list[bytes]) -> None:
    """Photos a second, from bytes in memory to a square."""
    size = sum(map(len, photos)) / len(photos)
    for side in (64, 224):

        def decode(side: int = side) -> None:
            for content in photos:
                read_photo(content, name="a photo", side=side)

        rate = 1 / seconds(decode, len(photos))
        print(f"decode {what} ({size / 1000:.0f} kB) to {side}: {rate:,.0f} photos/s a core")


def report_networks() -> None:
    """Operations and photos a second of the bare networks."""
    for name, network, side in (("simnet", SimNet().eval(), 64), ("vgg16", VGG16(), 224)):
        images = torch.rand(4, 3, side, side)
        flops = 0.0

        def count(layer: torch.nn.Module, _: object, out: torch.Tensor) -> None:
            nonlocal flops
            flops += 2.0 * next(layer.parameters())[0].numel() * out[0].numel()

        kinds = (torch.nn.Conv2d, torch.nn.Linear)
        hooks = [
            layer.register_forward_hook(count)
            for layer in network.modules()
            if isinstance(layer, kinds)
        ]
        with torch.inference_mode():
            network(images[:1])
            for hook in hooks:
                hook.remove()
            rate = 1 / seconds(lambda n=network, x=images: n(x), len(images))  # type: ignore[misc]
        print(f"{name}: {flops / 1e9:.3f} GFLOP a photo, {rate:,.1f} photos/s a core")


def unit(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Random vectors (count, D) of length 1."""
    vectors = rng.standard_normal((count, D), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def report_storage() -> None:
    """Bytes a photo in a shard, and what each column takes of it."""
    rng = np.random.default_rng(0)
    rows = [
        PhotoRow(i, f"{i // 10000:05d}/{i:010d}_0123456789.jpg", rng.bytes(32).hex(), 1024, 768)
        for i in range(SHARD)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part-00000.parquet"
        write_shard(path, rows, unit(rng, SHARD))
        size = path.stat().st_size / SHARD
        reading = seconds(lambda: vectors_of(read_columns(path, ["id", "vector"]), D), SHARD)
        hashing = seconds(lambda: sha256(path), path.stat().st_size)
        names = sum(sys.getsizeof(row.path) + 8 for row in rows) / SHARD
    print(f"a shard: {size:,.1f} bytes a photo, of which {2 * D} vector, {len(rows[0].path)} path")
    print(f"read back: {1 / reading:,.0f} vectors/s, hashed: {1e-9 / hashing:.2f} GB/s a core")
    print(f"a listing in memory: {names:.0f} bytes a name")
    for lists in (65_536, 262_144):
        factory = f"IVF{lists}_HNSW32,PQ64"
        memory = estimate_memory(factory, BILLION, D) / 1e9
        print(f"{factory} of a billion vectors: at most {memory:,.0f} GB while it is built")


def filled(factory: str, count: int) -> tuple[Any, float]:
    """An index of random vectors, and processor seconds a vector that adding took."""
    rng = np.random.default_rng(0)
    index = empty_index(factory, D)
    train_index(index, unit(rng, 4096))
    batches = [(np.arange(first, first + 4096), unit(rng, 4096)) for first in range(0, count, 4096)]
    start = time.process_time()
    add_batches(index, iter(batches))
    return index, (time.process_time() - start) / count


def report_index(count: int = 40_960) -> None:
    """What it costs to add a vector, and to compare a query with one code of a long list."""
    index, added = filled("IVF1024_HNSW32,PQ64", count)
    vectors = unit(np.random.default_rng(1), 1024)
    finding = seconds(lambda: index.quantizer.search(vectors, 1), len(vectors))
    print(f"{1 / added:,.0f} vectors/s a core are added, {finding * 1e6:.0f} us to find one's list")
    index, _ = filled("IVF32,PQ64", count)
    times = []
    for probes in (2, 32):
        index.nprobe = probes
        times.append(seconds(lambda: index.search(vectors[:64], 10), 64))
    codes = (32 - 2) * count / 32
    print(f"{(times[1] - times[0]) / codes * 1e9:.1f} ns a core to compare a query with a code")


@click.command()
@click.option("--photos", type=click.Path(path_type=Path), help="Also decode 500 of these.")
def main(photos: Path | None) -> None:
    """Print one line a figure."""
    torch.set_num_threads(1)
    if photos is not None:
        found = sorted(photos.iterdir())[:500]
        report_decoding(f"{photos.name}", [path.read_bytes() for path in found])
    report_decoding("1024x768", large_photos(20))
    report_networks()
    report_storage()
    report_index()


if __name__ == "__main__":
    main()
