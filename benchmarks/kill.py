"""A build that is killed again and again, against one that is left in peace.

    python benchmarks/kill.py PHOTOS [--photos 2000] [--kills 20]

Each build is a process that gets SIGKILL at a random moment; the last one may end. Then ids, paths,
checksums and vectors are compared, bit for bit.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from simpaint.index_build import read_manifest

_BUILD = """
import sys
from pathlib import Path
from simpaint.index_build import BuildConfig, build_index
build_index(Path(sys.argv[1]), Path(sys.argv[2]), BuildConfig(device="cpu", shard_size=128))
"""


def main() -> None:
    """Build twice, once with kills, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = sorted(arguments.source.glob("*.jpg"))[: arguments.photos]
        (folder / "photos.txt").write_text("\n".join(map(str, photos)))
        start = time.perf_counter()
        build(folder, "whole").wait()
        seconds = time.perf_counter() - start
        print(f"undisturbed: {seconds:.1f} s")
        killed_build(folder, arguments.kills, seconds)
        whole, killed = (read_manifest(folder / name) for name in ("whole", "killed"))
        same = whole.files == killed.files  # names, sizes and checksums of all shards
        print(f"{killed.count} photos; the same files, bit for bit: {same}")
        raise SystemExit(not same)


def build(folder: Path, name: str) -> "subprocess.Popen[bytes]":
    """Start a build in a process group of its own."""
    command = [sys.executable, "-c", _BUILD, str(folder / "photos.txt"), str(folder / name)]
    return subprocess.Popen(command, start_new_session=True)


def killed_build(folder: Path, kills: int, seconds: float) -> None:
    """Kill a build at random moments, then let it end."""
    moments = random.Random(0)
    for i in range(kills):
        process = build(folder, "killed")
        try:
            process.wait(moments.uniform(0.2, 0.9) * seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shards = len(list((folder / "killed").glob("images/*.parquet")))
        print(f"kill {i + 1}: {shards} shards, finished: {process.returncode == 0}")
    if build(folder, "killed").wait():
        raise SystemExit("the last build failed")


if __name__ == "__main__":
    main()
