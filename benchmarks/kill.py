"""A build that is killed again and again, against one that is left in peace.

    python benchmarks/kill.py PHOTOS [--photos 2000] [--kills 20]

Each build gets SIGKILL at a random moment, the last one may end. Then names, sizes and checksums of
all files are compared: ids, paths and vectors are the same, bit for bit, or they differ.
"""

import argparse
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from simpaint.index_build import BuildConfig, build_index, read_manifest
from simpaint.index_build.faiss_library import import_faiss


def main() -> None:
    """Build twice, once with kills, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    import_faiss()  # builds are forked off this process, which computes nothing itself
    pa.array(np.zeros(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = sorted(arguments.source.glob("*.jpg"))[: arguments.photos]
        (folder / "photos.txt").write_text("\n".join(map(str, photos)))
        start = time.perf_counter()
        if os.waitpid(fork_build(folder, "whole"), 0)[1]:
            raise SystemExit("the undisturbed build failed")
        seconds = time.perf_counter() - start
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        killed_build(folder, arguments.kills, seconds)
        whole, killed = (read_manifest(folder / name) for name in ("whole", "killed"))
        same = whole.files == killed.files
        print(f"{killed.count} photos; the same files, bit for bit: {same}")
        raise SystemExit(not same)


def fork_build(folder: Path, name: str) -> int:
    """Start a build in a process of its own."""
    process = os.fork()
    if not process:
        status = 1
        try:
            config = BuildConfig(device="cpu", shard_size=32, batch_size=16)
            build_index(folder / "photos.txt", folder / name, config)
            status = 0
        finally:
            os._exit(status)
    return process


def killed_build(folder: Path, kills: int, seconds: float) -> None:
    """Kill a build at random moments spread over its whole length, then let it end."""
    moments, shards = random.Random(0), len(read_manifest(folder / "whole").shards)
    for i in range(kills):
        process = fork_build(folder, "killed")
        while finished_shards(folder) < i * shards // kills:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, seconds / shards))
        os.kill(process, signal.SIGKILL)
        ended = os.waitpid(process, 0)[1] == 0
        print(f"kill {i + 1}: {finished_shards(folder)} of {shards} shards, ended: {ended}")
    if os.waitpid(fork_build(folder, "killed"), 0)[1]:
        raise SystemExit("the last build failed")


def finished_shards(folder: Path) -> int:
    """How many shards the killed build has so far."""
    return len(list((folder / "killed").glob("images/part-*.parquet")))


if __name__ == "__main__":
    main()
