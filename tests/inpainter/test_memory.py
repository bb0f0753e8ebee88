"""Freed memory is kept, where the allocator is glibc's."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import sys
import numpy as np
from simpaint.inpainter.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        np.ones(8 << 20)  # 64 MiB: 16,384 pages, or 32 huge ones
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_the_next_block_has_the_pages_of_the_last() -> None:
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", FAULTS, how], capture_output=True, check=True
            ).stdout
        )
        for how in ("keep", "give back")
    )
    assert given_back > 80
    assert 4 * kept < given_back
