"""Memory that networks on a CPU free is kept for their next tensors."""

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1  # mallopt's names for what is set, in malloc.h
_MMAP_MAX: Final = -4
_MOST: Final = (1 << 31) - 1


def keep_freed_memory() -> None:
    """Ask glibc's allocator, where it is the one, to keep large blocks that were freed.

    It would give them back to the system at once, which zeroes them page by page when the next
    layer asks again: a tenth of the time of painting. This is for the whole process, so commands
    call it and the library does not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _MOST)
