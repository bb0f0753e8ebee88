import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray

from simpaint.cli import main
from simpaint.data.progress import Progress, silent
from simpaint.data.sources import open_source
from simpaint.errors import DependencyError, InputError, WeightsError
from simpaint.index_build.build import BuildConfig, build_index
from simpaint.index_build.cluster import RayEngine, ray_engine
from simpaint.index_build.cluster_tasks import Stretch, embed_stretch, job_of, missing
from simpaint.index_build.descriptors import DescriptorConfig
from simpaint.index_build.faiss_index import read_index
from simpaint.index_build.manifest import PLAN, FileInfo, Manifest, open_checked
from simpaint.index_build.publish import IndexConfig, Stages
from simpaint.index_build.shards import shard_name
from simpaint.index_build.simnet import SimNet
from simpaint.index_build.store import iter_vectors, read_skipped
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
    """The same ids, paths, vectors and skipped files, bit for bit; the index answers alike."""
    ours, theirs = open_checked(found), open_checked(expected)
    assert replace(ours, files={}) == replace(theirs, files={})
    assert shards_of(ours) == shards_of(theirs)
    assert read_skipped(found / ours.skipped) == read_skipped(expected / theirs.skipped)
    vectors = np.concatenate([part for _, part in iter_vectors(expected, theirs)])
    scores = [best_scores(path, ours, vectors) for path in (found, expected)]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-3)


def shards_of(manifest: Manifest) -> dict[str, FileInfo]:
    return {shard.file: manifest.files[shard.file] for shard in manifest.shards}


def best_scores(
    database: Path, manifest: Manifest, vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    index = read_index(database / manifest.index.file, {"nprobe": 2})
    scores: NDArray[np.float32] = index.search(vectors, 5)[0]
    return scores


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


def watching(watch: Progress) -> Stages:
    """Stages of which one, the embedding, is watched."""

    @contextmanager
    def stages(title: str, unit: str) -> Iterator[Progress]:
        yield watch if title == "Embedding" else silent

    return stages


class Killer:
    """Kills a worker once the first task has ended: halts it, so that its task is surely
    unfinished, and kills it half a second later."""

    def __init__(self) -> None:
        self.killed: list[int] = []

    def __call__(self, done: int, total: int) -> None:
        looks = 100 if SHARD <= done < total else 0  # a task may begin a little later
        while looks and not self.killed:
            looks -= 1
            for worker in running_tasks()[:1]:
                os.kill(worker, signal.SIGSTOP)
                if worker in running_tasks():
                    self.killed.append(worker)
                    threading.Timer(0.5, os.kill, (worker, signal.SIGKILL)).start()
                else:
                    os.kill(worker, signal.SIGCONT)


def test_with_a_worker_killed_a_cluster_builds_the_database_of_one_machine(
    engine: RayEngine, photos: Path, config: BuildConfig, local: Path, tmp_path: Path
) -> None:
    killer = Killer()
    manifest = build_index(photos, tmp_path / "db", config, watching(killer), engine=engine)
    assert len(killer.killed) == 1
    assert not Path(f"/proc/{killer.killed[0]}").exists()
    assert (manifest.count, manifest.skipped_count) == (COUNT - 2, 2)
    assert_same(tmp_path / "db", local)


def test_a_stopped_build_goes_on_with_the_shards_that_are_missing(
    engine: RayEngine, photos: Path, config: BuildConfig, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "db"

    def interrupt(done: int, total: int) -> None:
        if done >= 3 * SHARD:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(photos, out, config, watching(interrupt), engine=engine)
    assert not (out / "manifest.json").exists()
    before = {path: path.stat().st_mtime_ns for path in out.glob("images/part-*.parquet")}
    assert 3 <= len(before) < COUNT // SHARD
    told: list[int] = []
    build_index(photos, out, config, watching(lambda done, _: told.append(done)), engine=engine)
    assert told[0] >= SHARD * len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert_same(out, local)


def test_what_a_worker_raises_arrives_as_it_was(
    engine: RayEngine, photos: Path, config: BuildConfig, tmp_path: Path
) -> None:
    plain = replace(config, descriptor=replace(config.descriptor, pca=None))
    with pytest.raises(WeightsError, match=r"expected simnet with weights 000000000000, found"):
        build_index(photos, tmp_path / "db", plain, descriptor=TinyDescriptor(), engine=engine)


def test_a_machine_that_sees_other_files_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / PLAN).write_text("{}")
    source, config = open_source(photos), BuildConfig(device="cpu")
    job = job_of(source, TinyDescriptor(), tmp_path, config)
    stretch = Stretch(0, 0, source.names)
    with pytest.raises(InputError, match=r"expected the photos at .*absent, found nothing"):
        embed_stretch(replace(job, root=photos / "absent"), stretch, 1)
    with pytest.raises(InputError, match=r"found nothing: the folder must be shared"):
        embed_stretch(replace(job, folder=photos), stretch, 1)
    (tmp_path / PLAN).write_text("{ }")
    with pytest.raises(InputError, match=r"build\.json .* found another"):
        embed_stretch(job, stretch, 1)
    with pytest.raises(InputError, match=r"expected simpaint 0\.0, found"):
        embed_stretch(replace(job, version="0.0"), stretch, 1)


def test_missing_shards_are_cut_where_some_are_there(tmp_path: Path) -> None:
    names = [str(i) for i in range(45)]
    (tmp_path / "images").mkdir()
    for part in (2, 3):
        (tmp_path / shard_name(part)).touch()
    stretches = missing(tmp_path, names, 5, 4)
    assert [(s.part, s.first_id, len(s.names)) for s in stretches] == [
        (0, 0, 10),
        (4, 20, 20),
        (8, 40, 5),
    ]
    assert [name for s in stretches for name in s.names] == names[:10] + names[20:]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DependencyError, match=r"pip install 'simpaint\[cluster\]'"), ray_engine():
        pass
    command = ["index", "build", str(tmp_path), "--out", str(tmp_path / "db")]
    done = CliRunner().invoke(main, [*command, "--engine", "ray"])
    assert (done.exit_code, "simpaint[cluster]" in done.stderr) == (2, True)
    done = CliRunner().invoke(main, [*command, "--address", "auto"])
    assert (done.exit_code, "expected --engine ray" in done.stderr) == (2, True)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "here", "127.0.0.1:99999"])
def test_an_address_where_no_cluster_answers_is_refused(address: str) -> None:
    with (
        pytest.raises(InputError, match=f"--address {address}: expected HOST:PORT of a running"),
        ray_engine(address),
    ):
        pass
