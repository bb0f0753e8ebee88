import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from simpaint.cli import main
from simpaint.data.progress import Progress
from simpaint.errors import DependencyError, InputError, WeightsError
from simpaint.index_build.build import BuildConfig, build_index
from simpaint.index_build.cluster import RayEngine, ray_engine
from simpaint.index_build.cluster_tasks import missing
from simpaint.index_build.descriptors import DescriptorConfig
from simpaint.index_build.faiss_index import read_index
from simpaint.index_build.publish import IndexConfig
from simpaint.index_build.simnet import SimNet
from simpaint.index_build.store import (
    Manifest,
    iter_vectors,
    open_checked,
    read_skipped,
    rows,
    shard_name,
)
from simpaint.index_build.tensors import write_tensors

from .tiny import TinyDescriptor, draw_faces

COUNT, SHARD = 80, 8


@pytest.fixture(scope="module")
def engine() -> Iterator[RayEngine]:
    pytest.importorskip("ray")
    with ray_engine(cpus=2) as started:
        yield started


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_faces(tmp_path_factory.mktemp("photos"), COUNT)
    (folder / "0005.jpg").write_bytes(b"")
    (folder / "0042.jpg").write_bytes((folder / "0042.jpg").read_bytes()[:200])
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> BuildConfig:
    """An untrained network, and an index that is trained, filled in parts and joined."""
    torch.manual_seed(0)
    weights = tmp_path_factory.mktemp("weights") / "simnet.safetensors"
    write_tensors(weights, SimNet().state_dict())
    return BuildConfig(
        DescriptorConfig(pca=16, weights=weights),
        IndexConfig("IVF4,SQfp16"),
        "cpu",
        batch_size=4,
        shard_size=SHARD,
    )


@pytest.fixture(scope="module")
def local(photos: Path, config: BuildConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("local") / "db"
    build_index(photos, out, config)
    return out


def assert_same(found: Path, expected: Path) -> None:
    """The same ids, paths, hashes and skipped files; vectors and search results alike."""
    ours, theirs = open_checked(found), open_checked(expected)
    assert replace(ours, files={}) == replace(theirs, files={})
    parts = {path: list(iter_vectors(path, ours)) for path in (found, expected)}
    ids = np.concatenate([part for part, _ in parts[expected]])
    np.testing.assert_array_equal(np.concatenate([part for part, _ in parts[found]]), ids)
    assert rows(found, ours, ids) == rows(expected, theirs, ids)
    assert read_skipped(found / ours.skipped) == read_skipped(expected / theirs.skipped)
    vectors = np.concatenate([part for _, part in parts[expected]])
    np.testing.assert_allclose(
        np.concatenate([part for _, part in parts[found]]), vectors, atol=1e-3
    )
    np.testing.assert_allclose(*(scores(path, ours, vectors) for path in parts), atol=2e-3)


def scores(database: Path, manifest: Manifest, vectors: np.ndarray) -> np.ndarray:
    index = read_index(database / manifest.index.file, {"nprobe": 2})
    return index.search(vectors, 5)[0]


def running_tasks() -> list[int]:
    """The processes below this one that Ray has renamed after the task they are running."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(") ")[2].split()
            parents[int(folder.name)] = (int(stat[1]), (folder / "cmdline").read_bytes())
        except OSError:
            continue

    def ours(process: int) -> bool:
        while process in parents and process != os.getpid():
            process = parents[process][0]
        return process == os.getpid()

    return [p for p, (_, name) in parents.items() if name.startswith(b"ray::embed") and ours(p)]


class Killer:
    """Stages that kill a worker once the first task has ended: first halted, so that its task is
    surely unfinished, then killed."""

    def __init__(self) -> None:
        self.killed: list[int] = []

    @contextmanager
    def __call__(self, title: str, unit: str) -> Iterator[Progress]:
        yield self.watch if title == "Embedding" else lambda done, total: None

    def watch(self, done: int, total: int) -> None:
        if SHARD <= done < total and not self.killed and (running := running_tasks()):
            os.kill(running[0], signal.SIGSTOP)
            if running[0] in running_tasks():
                self.killed.append(running[0])
                threading.Timer(0.5, os.kill, (running[0], signal.SIGKILL)).start()
            else:
                os.kill(running[0], signal.SIGCONT)


def test_with_a_worker_killed_a_cluster_builds_the_database_of_one_machine(
    engine: RayEngine, photos: Path, config: BuildConfig, local: Path, tmp_path: Path
) -> None:
    killer = Killer()
    manifest = build_index(photos, tmp_path / "db", config, killer, engine=engine)
    assert len(killer.killed) == 1
    assert not Path(f"/proc/{killer.killed[0]}").exists()
    assert (manifest.count, manifest.skipped_count) == (COUNT - 2, 2)
    assert_same(tmp_path / "db", local)
