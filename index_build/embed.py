"""Photos to shards: decoding and the network side by side, finished shards kept for ever.

A shard covers a fixed stretch of the source's listing and its batches have fixed borders, so that a
run that was killed and goes on later computes exactly what an undisturbed run would have.
"""

import os
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.decoding import DecodedBatch, Usable, decode_ahead
from ..data.images import MAX_PIXELS, Pixels
from ..data.progress import Progress, silent
from ..data.sources import PhotoSource
from ..errors import InputError
from .descriptors import Descriptor
from .manifest import ShardInfo
from .shards import PhotoRow, count_rows, shard_name, write_shard
from .store import Skipped, read_skipped, write_skipped

SHARD_SIZE: Final = 4096
_BATCH: Final = {"cpu": 32, "cuda": 256}


@dataclass(frozen=True)
class EmbedConfig:
    """How photos are embedded.

    Attributes:
        device: "cpu", "cuda" or "cuda:1"; where pictures become floats.
        batch_size: photos that pass through the network at once; vectors depend on it in their
            last bits.
        workers: how many batches are worked on at once; as many as processors if None.
        shard_size: entries of the source that make a shard.
        max_pixels: photos of more pixels are skipped.
    """

    device: str = "cpu"
    batch_size: int | None = None
    workers: int | None = None
    shard_size: int = SHARD_SIZE
    max_pixels: int = MAX_PIXELS

    @property
    def photos_at_once(self) -> int:
        """The batch size, chosen by the device where none was given."""
        return self.batch_size or _BATCH[self.device.partition(":")[0]]


@dataclass(frozen=True)
class _Shard:
    part: int
    first_id: int
    names: list[str]


def embed(
    source: PhotoSource,
    names: list[str],
    descriptor: Descriptor,
    folder: Path,
    config: EmbedConfig,
    *,
    first_id: int = 0,
    first_part: int = 0,
    progress: Progress = silent,
) -> tuple[list[ShardInfo], list[Skipped]]:
    """Describe photos and write their shards; those that are there already are kept.

    The photo `names[i]` gets the id `first_id + i`, whether those before it can be used or not.

    Args:
        source: what reads the photos.
        names: those to embed.
        descriptor: squares to vectors.
        folder: the database; its `images` folder must exist.
        config: how.
        first_id: the id of the first name.
        first_part: the number of the first shard.
        progress: told of photos done, unusable ones included.

    Returns:
        the shards, and what could not be used, in the order of `names`.

    Raises:
        StorageError: a shard cannot be written.
    """
    shards = [
        _Shard(first_part + i, first_id + start, names[start : start + config.shard_size])
        for i, start in enumerate(range(0, len(names), config.shard_size))
    ]
    todo = [shard for shard in shards if not (folder / shard_name(shard.part)).exists()]
    done = len(names) - sum(len(shard.names) for shard in todo)
    progress(done, len(names))
    batches = (b for shard in todo for b in batches_of(shard.names, config.photos_at_once))
    results = describe(source, batches, descriptor, config)
    with closing(results), ThreadPoolExecutor(1, "write") as writer:
        written: Future[None] | None = None
        for shard in todo:
            rows: list[Described] = []
            while sum(len(row.names) for row in rows) < len(shard.names):
                rows.append(next(results))
                done += len(rows[-1].names)
                progress(done, len(names))
            if written is not None:
                written.result()
            written = writer.submit(_write, folder, shard, rows)
        if written is not None:
            written.result()
    return _collect(folder, shards)


def none_usable(photos: Path, count: int, first: Skipped) -> InputError:
    """What to raise where not one of `count` files can be used; it says why of the first."""
    return InputError(
        f"{photos}: none of {count} files can be used as a photo; "
        f"the first: {first.path}: {first.reason}"
    )


def batches_of(names: list[str], size: int) -> Iterator[list[str]]:
    """Cut a list of names into batches."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


@dataclass(frozen=True)
class Described:
    """A batch of photos with what is known of each (or why not), and vectors (n, d).

    Photos that could not be used have a vector too, of a black picture.
    """

    names: list[str]
    outcomes: list[Usable | str]
    vectors: NDArray[np.float32]


def describe(
    source: PhotoSource,
    batches: Iterable[list[str]],
    descriptor: Descriptor,
    config: EmbedConfig,
) -> Generator[Described, None, None]:
    """Describe batches of photos, several at once.

    On the CPU each worker decodes a batch and runs the network on it, by one thread: networks that
    share processors with decoders wait for each other at every layer. A GPU is fed by processes,
    since it outruns what threads can decode.

    Yields:
        for each batch its names, what is known of each photo, and vectors (n, d) float32.
    """
    on_gpu, threads = config.device.startswith("cuda"), torch.get_num_threads()

    def use(squares: Pixels) -> NDArray[np.float32]:
        torch.set_num_threads(1)
        vectors: NDArray[np.float32] = descriptor(_floats(torch.from_numpy(squares))).numpy()
        return vectors

    decoded = decode_ahead(
        source,
        batches,
        descriptor.input_size,
        batch_size=config.photos_at_once,
        workers=config.workers or _processors(),
        processes=on_gpu,
        use=None if on_gpu else use,
        max_pixels=config.max_pixels,
    )
    if on_gpu:
        yield from _describe_on_gpu(decoded, descriptor, torch.device(config.device))
        return
    try:
        with closing(decoded):
            for batch in decoded:
                yield Described(batch.names, batch.outcomes, batch.result)
    finally:
        torch.set_num_threads(threads)


def _floats(squares: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) to float32 (B, 3, S, S) in [0, 1], in memory as channels_last has it."""
    return squares.float().div_(255).permute(0, 3, 1, 2)


def _describe_on_gpu(
    decoded: Generator[DecodedBatch, None, None], descriptor: Descriptor, device: torch.device
) -> Iterator[Described]:
    """Describe batches while the next one is on its way to the GPU."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def upload() -> tuple[list[str], list[Usable | str], Tensor] | None:
        batch = next(decoded, None)
        if batch is None:
            return None
        with torch.cuda.stream(stream):  # a copy does not queue behind the network
            pinned = torch.from_numpy(batch.squares).pin_memory()
            images = _floats(pinned.to(device, non_blocking=True))
        stream.synchronize()
        return batch.names, batch.outcomes, images

    with closing(decoded), ThreadPoolExecutor(1, "upload") as ahead:
        coming = ahead.submit(upload)
        while (batch := coming.result()) is not None:
            coming = ahead.submit(upload)
            names, outcomes, images = batch
            yield Described(names, outcomes, descriptor(images).numpy())


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write(folder: Path, shard: _Shard, rows: list[Described]) -> None:
    """Write a shard; what was skipped goes first, since the shard's own name ends the work."""
    photos: list[PhotoRow] = []
    kept: list[NDArray[np.float32]] = []
    skipped: list[Skipped] = []
    entries = (
        entry for row in rows for entry in zip(row.names, row.outcomes, row.vectors, strict=True)
    )
    for photo_id, (name, outcome, vector) in enumerate(entries, shard.first_id):
        if isinstance(outcome, str):
            printable = name.encode("utf-8", "backslashreplace").decode()
            skipped.append(Skipped(printable, outcome))
        elif not (np.isfinite(vector).all() and vector.any()):
            skipped.append(Skipped(name, "its descriptor is zero or not finite"))
        else:
            photos.append(PhotoRow(photo_id, name, *outcome))
            kept.append(vector)
    beside = _skipped_beside(folder, shard.part)
    beside.unlink(missing_ok=True)
    if skipped:
        write_skipped(beside, skipped)
    d = rows[0].vectors.shape[1]
    vectors = np.stack(kept) if kept else np.empty((0, d), np.float32)
    write_shard(folder / shard_name(shard.part), photos, vectors)


def _skipped_beside(folder: Path, part: int) -> Path:
    return (folder / shard_name(part)).with_suffix(".skipped")


def _collect(folder: Path, shards: list[_Shard]) -> tuple[list[ShardInfo], list[Skipped]]:
    infos, skipped = [], []
    for shard in shards:
        file = shard_name(shard.part)
        infos.append(ShardInfo(file, shard.first_id, count_rows(folder / file)))
        beside = _skipped_beside(folder, shard.part)
        if beside.exists():
            skipped += read_skipped(beside)
    return infos, skipped
