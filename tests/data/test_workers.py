import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simpaint.data.workers import Workers
from simpaint.errors import StorageError


class Interrupting:
    """Presses Ctrl-C when it is sent to a worker, and fills the pipe to it."""

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        os.kill(os.getpid(), signal.SIGINT)
        return bytes, (bytes(1 << 20),)


def test_ctrl_c_while_a_worker_starts_waits_until_it_has(capfd: pytest.CaptureFixture[str]) -> None:
    with Workers(1, len, Interrupting()) as pool:
        with pytest.raises(KeyboardInterrupt):
            pool.submit(os.getpid)
        assert pool.submit(os.getpid).result() != os.getpid()
    assert capfd.readouterr().err == ""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_does_not_reach_workers() -> None:
    with Workers(1, len, b"") as pool:
        worker = pool.submit(os.getpid).result()
        os.kill(worker, signal.SIGINT)
        assert pool.submit(os.getpid).result() == worker


def test_a_killed_worker_is_told_in_one_line() -> None:
    with Workers(1, len, b"") as pool:
        results = pool.results(signal.raise_signal, [(signal.SIGKILL,)] * 3, Path("masks"))
        with pytest.raises(StorageError, match=r"^masks: a worker process was killed; try fewer$"):
            list(results)


def test_what_has_not_begun_when_the_work_is_left_never_does(tmp_path: Path) -> None:
    jobs = [(["sh", "-c", f"sleep 0.05; mkdir '{tmp_path / str(i)}'"],) for i in range(100)]
    with Workers(1, len, b"") as pool:
        assert next(pool.results(subprocess.call, jobs, tmp_path)) == 0
    assert 0 < len(list(tmp_path.iterdir())) < 100


PARENT = """
import time
from simpaint.data.workers import Workers

if __name__ == "__main__":
    pool = Workers(2, len, b"")
    busy = [pool.submit(time.sleep, 60) for _ in range(2)]
    while not all(future.running() for future in busy):
        time.sleep(0.01)
    print("busy", flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "busy\n"
        parent.kill()
        parent.communicate(timeout=20)  # its output ends with the last process that may write to it
