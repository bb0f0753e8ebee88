"""Worker processes that leave Ctrl-C to their parent, and end with it."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import ParamSpec, TypeVar

from ..errors import StorageError

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Workers(ProcessPoolExecutor):
    """A pool of new processes; forks would copy the locks of OpenCV's and torch's threads.

    Ctrl-C reaches every process of a terminal, and the parent alone decides what it means: the
    workers never see it, and the parent only once a worker that it is starting is told everything.
    A parent that is killed can tell them nothing: they end by themselves.

    Args:
        count: of processes, started as they are needed.
        start: called in each of them before anything else.
        arguments: for `start`.
    """

    def __init__(self, count: int, start: Callable[..., object], *arguments: object) -> None:
        super().__init__(count, get_context("spawn"), _begin, (start, arguments))
        resource_tracker.ensure_running()  # its own start would let Ctrl-C through again

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """As of any pool."""
        with _uninterrupted():
            return super().submit(fn, *args, **kwargs)

    def results(
        self, fn: Callable[..., _T], jobs: Iterable[tuple[object, ...]], out: Path
    ) -> Iterator[_T]:
        """What `fn` gives for each job's arguments, in the order in which they are done.

        Args:
            fn: called in the workers.
            jobs: its arguments.
            out: what it works for, for errors.

        Raises:
            StorageError: a worker was killed, which is what systems do that run out of memory.
        """
        try:
            for future in as_completed([self.submit(fn, *job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool as error:
            raise StorageError(f"{out}: a worker process was killed; try fewer") from error

    def __exit__(self, *error: object) -> None:
        """Wait for what has begun, and begin no more."""
        self.shutdown(cancel_futures=True)


def _begin(start: Callable[..., object], arguments: tuple[object, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None  # noqa: S101 - this is a worker
    wait([parent.sentinel])
    os._exit(1)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off, and keep it from processes that are started meanwhile."""
    asked: list[tuple[int, FrameType | None]] = []
    before = signal.getsignal(signal.SIGINT)
    holds = threading.current_thread() is threading.main_thread() and callable(before)
    if holds:
        signal.signal(signal.SIGINT, lambda number, frame: asked.append((number, frame)))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if holds:
            signal.signal(signal.SIGINT, before)
        if asked and callable(before):
            before(*asked[0])
