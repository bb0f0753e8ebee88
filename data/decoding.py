"""Decoding photos ahead of whoever uses them, in parallel, in order, in bounded memory."""

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from ..errors import ImageError, SimpaintError
from .archives import SourceKind
from .images import MAX_PIXELS, Pixels, read_photo
from .sources import PhotoSource, reopen_source
from .workers import Workers

_SPARE: Final = 3  # batches beyond those being decoded: one in use, two ready


class Usable(NamedTuple):
    """What is known of a photo beside its pixels: of its bytes the SHA-256, and its whole size."""

    sha256: str
    width: int
    height: int


class DecodedBatch(NamedTuple):
    """Some photos of a source.

    Attributes:
        names: their names.
        squares: uint8 RGB (n, S, S, 3), zeros where a photo could not be used; overwritten as soon
            as the next batch is asked for.
        outcomes: for each photo what is known of it, or the reason why it could not be used.
        result: what `use` made of the squares.
    """

    names: list[str]
    squares: Pixels
    outcomes: list[Usable | str]
    result: Any


def decode_ahead(
    source: PhotoSource,
    batches: Iterable[list[str]],
    size: int,
    *,
    batch_size: int,
    workers: int,
    processes: bool = False,
    use: Callable[[Pixels], Any] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Generator[DecodedBatch, None, None]:
    """Decode batches of photos to squares while the caller works on earlier ones.

    Args:
        source: where the photos are.
        batches: names, at most `batch_size` in each.
        size: side S of the squares, in pixels.
        batch_size: what memory is set aside for.
        workers: how many batches are decoded at once.
        processes: decode in processes and not in threads. Threads start at once and suffice up to
            a few thousand photos a second, beyond which they wait for Python's global lock.
        use: what to do with a batch's squares, in the thread that decoded them; not in processes.
        max_pixels: photos of more pixels are not decoded.

    Yields:
        the batches, in order.

    Raises:
        SimpaintError: a decoding process died.
    """
    pending: deque[tuple[list[str], int, Future[_Result]]] = deque()
    waiting = iter(batches)
    shape = (workers + _SPARE, batch_size, size, size, 3)
    free = deque(range(shape[0]))
    with _pool(source, shape, workers, processes, use, max_pixels) as (pool, decode, slots):
        try:
            while True:
                while free and (names := next(waiting, None)) is not None:
                    slot = free.popleft()
                    pending.append((names, slot, pool.submit(decode, names, slot)))
                if not pending:
                    return
                names, slot, future = pending.popleft()
                outcomes, result = future.result()
                yield DecodedBatch(names, slots[slot, : len(names)], outcomes, result)
                free.append(slot)
        except BrokenProcessPool as error:
            raise SimpaintError(
                "a decoding process died: out of memory, or a script that builds an index "
                'without `if __name__ == "__main__":`'
            ) from error


_Use = Callable[[Pixels], Any] | None
_Result = tuple[list[Usable | str], Any]


class _Decoder:
    """Decodes a batch into one of the slots it was given, and lets it be used."""

    def __init__(self, source: PhotoSource, slots: Pixels, use: _Use, max_pixels: int) -> None:
        self.source, self.slots, self.use, self.max_pixels = source, slots, use, max_pixels

    def __call__(self, names: list[str], slot: int) -> _Result:
        squares = self.slots[slot, : len(names)]
        outcomes = [self._decode(name, out) for name, out in zip(names, squares, strict=True)]
        return outcomes, self.use(squares) if self.use else None

    def _decode(self, name: str, out: Pixels) -> Usable | str:
        size = out.shape[0]
        try:
            if not name.isascii():
                name.encode()
            content = self.source.read(name)
            photo = read_photo(content, name=name, max_pixels=self.max_pixels, side=size)
        except (ImageError, UnicodeEncodeError) as error:
            out[:] = 0
            if isinstance(error, UnicodeEncodeError):
                return "the file's name is not valid UTF-8"
            return str(error).removeprefix(f"{name}: ")
        out[:] = photo.pixels
        return Usable(hashlib.sha256(content).hexdigest(), photo.width, photo.height)


_Shape = tuple[int, int, int, int, int]
_Pool = tuple[Executor, "_Decoder | partial[_Result]", Pixels]


@contextmanager
def _pool(
    source: PhotoSource, shape: _Shape, workers: int, processes: bool, use: _Use, max_pixels: int
) -> Iterator[_Pool]:
    """Workers, the function they run, and the slots it fills."""
    with ExitStack() as stack:
        if processes:
            memory = SharedMemory(create=True, size=int(np.prod(shape)))
            stack.callback(memory.unlink)  # the last batch may still be in use: not closed here
            slots: Pixels = np.ndarray(shape, np.uint8, memory.buf)
            arguments = (source.kind, source.root, source.earlier, memory.name, shape, max_pixels)
            pool: Executor = Workers(workers, _start_process, *arguments)
            stack.callback(pool.shutdown, cancel_futures=True)
            yield pool, partial(_decode_in_process), slots
            del slots
        else:
            slots = np.empty(shape, np.uint8)
            pool = ThreadPoolExecutor(workers, "decode")
            stack.callback(pool.shutdown, cancel_futures=True)
            yield pool, _Decoder(source, slots, use, max_pixels), slots


_decoder: _Decoder | None = None  # one a process, set as it starts
_memory: SharedMemory | None = None


def _start_process(
    kind: SourceKind,
    root: Path,
    earlier: tuple[Path, ...],
    memory: str,
    shape: _Shape,
    max_pixels: int,
) -> None:
    global _decoder, _memory
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what matters of it is in the outcomes
    _memory = SharedMemory(memory)
    slots: Pixels = np.ndarray(shape, np.uint8, _memory.buf)
    _decoder = _Decoder(reopen_source(kind, root, earlier), slots, None, max_pixels)


def _decode_in_process(names: list[str], slot: int) -> _Result:
    assert _decoder is not None  # noqa: S101 - set by the initializer
    return _decoder(names, slot)
