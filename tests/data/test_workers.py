import os
import signal

import pytest

from simpaint.data.workers import Workers


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
