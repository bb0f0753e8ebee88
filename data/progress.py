"""How long work tells a caller where it stands."""

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (units done, units in all), from the calling thread, as often as the work likes.

What an earlier, interrupted run has done already is counted in the first call.
"""


def silent(done: int, total: int) -> None:
    """Tell nobody: the default of every function that takes a `Progress`."""
