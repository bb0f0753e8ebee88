"""Several photos at a time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

_T = TypeVar("_T")


def for_each(function: Callable[..., _T], given: Iterable[tuple[Any, ...]]) -> list[_T]:
    """Call a function for every photo, as many at once as PyTorch has threads.

    Face detectors and OpenCV let other threads work meanwhile.

    Args:
        function: what to do.
        given: its arguments for each photo.

    Returns:
        what it gives for each, in order.
    """
    calls = list(given)
    workers = min(torch.get_num_threads(), len(calls))
    if workers < 2:
        return [function(*call) for call in calls]
    with ThreadPoolExecutor(workers, "photos") as pool:
        return list(pool.map(lambda call: function(*call), calls))
