"""The long steps of a build on Ray: any number of machines write shards and fill inverted lists.

All machines see the photos and the database's folder under the same paths. A task describes a
stretch of the listing by the `embed` of a build on one machine, which keeps the shards that are
there: what a task or a whole run had finished when it was killed is not done again. Where the
folder stands is only known from its files; Ray keeps nothing.
"""

import importlib
import logging
import os
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from ..data.progress import Progress
from ..data.sources import PhotoSource
from ..errors import DatabaseError, DependencyError, InputError, SimpaintError
from .build import BuildConfig
from .cluster_tasks import embed_stretch, fill_part, job_of, missing
from .descriptors import Descriptor
from .embed import embed
from .exact import Ids, Vectors
from .faiss_index import Fill, add_batches, merge_indexes
from .faiss_library import import_faiss, parts
from .manifest import Manifest, ShardInfo
from .shards import shard_name
from .store import Skipped

_RETRIES: Final = 5  # a machine may be taken away more than once during a task
_SHARDS_PER_TASK: Final = {"cpu": 1, "cuda": 8}  # a GPU's decoding processes take seconds to start
_PATIENCE: Final = 120.0  # seconds; a network file system shows others' files late

_Call: TypeAlias = Callable[[], Any]  # submits a task, returns Ray's reference to its result


@contextmanager
def ray_engine(address: str | None = None, cpus: int | None = None) -> Iterator["RayEngine"]:
    """Join a Ray cluster, or start one on this machine; leave it or end it again.

    Args:
        address: "HOST:PORT", "auto" for the one this machine belongs to; None to start one.
        cpus: of the one that is started; all processors if None.

    Yields:
        an engine for `build_index`.

    Raises:
        DependencyError: Ray is not installed.
        InputError: no cluster answers at the address.
    """
    if address is not None and address != "auto":
        _reach(address)
    ray = _import_ray()
    where: dict[str, Any] = {"address": address}
    if address is None:
        where = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    try:
        ray.init(**where, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        what = "cannot be started" if address is None else f"does not answer at {address}"
        raise InputError(f"--engine ray: Ray {what}: {_first_line(error)}") from error
    try:
        yield RayEngine(ray)
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Find out at once what Ray takes minutes to find out: that nobody answers."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"--address {address}: expected HOST:PORT of a running Ray cluster, found: {error}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _import_ray() -> Any:  # noqa: ANN401 - its types would take mypy a minute
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what users do is nobody's business
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise DependencyError(
            "--engine ray needs Ray: pip install 'simpaint[cluster]', on every machine"
        ) from error


class RayEngine:
    """The engine of a build on a cluster: see `build.Engine`."""

    def __init__(self, ray: Any) -> None:  # noqa: ANN401
        """Take the connected module `ray`."""
        self._ray = ray

    def embed(
        self,
        source: PhotoSource,
        descriptor: Descriptor,
        folder: Path,
        config: BuildConfig,
        progress: Progress,
    ) -> tuple[list[ShardInfo], list[Skipped]]:
        """Let tasks write the shards that are not there yet.

        Raises:
            SimpaintError: of the task that failed, or that a worker died again and again.
        """
        job = job_of(source, descriptor, folder, config)
        names, how = source.names, job.embedding
        device = how.device.partition(":")[0]
        stretches = missing(folder, names, how.shard_size, _SHARDS_PER_TASK[device])
        sizes = [len(stretch.names) for stretch in stretches]
        done = len(names) - sum(sizes)
        progress(done, len(names))
        needs = self._needs(device, config.workers)
        task = self._task(embed_stretch, needs)
        calls = [partial(task, job, stretch, needs["CPU"]) for stretch in stretches]
        with closing(self._run(calls, needs)) as results:
            for number, result in results:
                self._get(result)
                done += sizes[number]
                progress(done, len(names))
        _await_shards(folder, -(-len(names) // how.shard_size))
        # Every shard is there: this only says what they hold.
        return embed(source, names, descriptor, folder, how)

    def fill(self, folder: Path, manifest: Manifest) -> Fill:
        """What fills copies of a trained index with a part of the shards each, and joins them."""
        return partial(self._fill, folder.absolute(), manifest)

    def _fill(
        self,
        folder: Path,
        manifest: Manifest,
        index: Any,  # noqa: ANN401 - FAISS has no types
        stream: Iterator[tuple[Ids, Vectors]],
        count: int,
        tell: Callable[[int], None],
    ) -> None:
        """Fill a trained index: see `faiss_index.Fill`; graphs cannot be joined and are made here.

        Parts are joined in the order of their shards, so that the lists are those of one machine.
        """
        faiss = import_faiss()
        if not _is_inverted_file(index):
            add_batches(index, stream, count, tell)
            return
        needs = self._needs("cpu", None)
        pieces = _cut(manifest, self._slots(needs))
        trained = self._ray.put(faiss.serialize_index(index))
        task = self._task(fill_part, needs)
        calls = [partial(task, trained, folder, piece) for piece in pieces]
        waiting, joined = dict[int, Any](), 0
        with closing(self._run(calls, needs)) as results:
            for number, result in results:
                waiting[number] = result
                tell(sum(shard.rows for shard in pieces[number].shards))
                while joined in waiting:
                    filled = self._get(waiting.pop(joined))
                    merge_indexes([index, faiss.deserialize_index(filled)])
                    joined += 1

    def _needs(self, device: str, workers: int | None) -> dict[str, int]:
        """What one task takes: a processor, or a GPU and its share of the processors.

        Raises:
            InputError: the cluster has no room for a single task.
        """
        needs = {"CPU": workers or 1}
        if device != "cpu":
            have = self._ray.cluster_resources()
            share = int(have.get("CPU", 0)) // max(1, int(have.get("GPU", 0)))
            needs = {"CPU": workers or max(1, share), "GPU": 1}
        if not self._slots(needs):
            wanted = " and ".join(f"{amount} {name}" for name, amount in needs.items())
            raise InputError(f"expected a Ray cluster with {wanted} for a task, found fewer")
        return needs

    def _slots(self, needs: dict[str, int]) -> int:
        """How many tasks the cluster has room for now; machines may come and go."""
        have = self._ray.cluster_resources()
        return min(int(have.get(name, 0)) // amount for name, amount in needs.items())

    def _task(self, function: Callable[..., Any], needs: dict[str, int]) -> Callable[..., Any]:
        remote = self._ray.remote(
            num_cpus=needs["CPU"],
            num_gpus=needs.get("GPU", 0),
            max_retries=_RETRIES,
            max_calls=0,  # a process that has loaded its network serves all tasks
        )(function)
        submit: Callable[..., Any] = remote.remote
        return submit

    def _run(
        self, calls: Iterable[_Call], needs: dict[str, int]
    ) -> Generator[tuple[int, Any], None, None]:
        """Submit tasks, twice as many at a time as there is room for, and cancel what is left over.

        Yields:
            number and result reference of each task, as they end.
        """
        coming, pending = enumerate(calls), dict[Any, int]()
        try:
            while True:
                room = 2 * max(1, self._slots(needs)) - len(pending)
                pending |= {call(): number for number, call in islice(coming, max(0, room))}
                if not pending:
                    return
                (ended,), _ = self._ray.wait(list(pending), fetch_local=False)
                yield pending.pop(ended), ended
        finally:
            for result in pending:
                self._ray.cancel(result, force=True)

    def _get(self, result: Any) -> Any:  # noqa: ANN401 - whatever the task returned
        """What a task returned, or raised."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(result)
        except errors.RayTaskError as error:
            if isinstance(error.cause, SimpaintError):
                raise error.cause from error
            raise
        except errors.RayError as error:  # its process died, more often than is tried
            raise SimpaintError(
                f"a task on the Ray cluster failed: {_first_line(error)}; repeat the command to "
                "go on"
            ) from error


def _await_shards(folder: Path, count: int) -> None:
    """Wait until this machine sees all shards of a build.

    Raises:
        DatabaseError: it does not, as if the folder was not shared.
    """
    end = time.monotonic() + _PATIENCE
    for part in range(count):
        while not (folder / shard_name(part)).exists():
            if time.monotonic() > end:
                raise DatabaseError(
                    f"{folder / shard_name(part)}: expected what a Ray worker has written, found "
                    "nothing: is the folder on a file system that all machines share?"
                )
            time.sleep(0.2)


def _is_inverted_file(index: Any) -> bool:  # noqa: ANN401
    faiss = import_faiss()
    kinds = (faiss.IndexPreTransform, faiss.IndexIVF)
    return all(isinstance(part, kinds) for part in parts(index))


def _cut(manifest: Manifest, pieces: int) -> list[Manifest]:
    """At most so many manifests, each of an equal part of the shards."""
    borders = np.linspace(0, len(manifest.shards), pieces + 1).round().astype(int)
    return [
        replace(manifest, shards=manifest.shards[low:high], files={})
        for low, high in pairwise(borders)
        if high > low
    ]
