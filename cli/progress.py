"""One progress bar for every long command, on stderr, drawn by rich."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ..data.progress import Progress

_LEAST: Final = 0.1  # seconds, in which what was there already is looked through


@contextmanager
def progress_bar(title: str, unit: str = "", *, of_bytes: bool = False) -> Iterator[Progress]:
    """Show a bar with count, speed and time left while the body runs.

    Args:
        title: what is being done, "Drawing masks".
        unit: what is counted, "masks".
        of_bytes: counts are bytes and are shown as MB.

    Yields:
        the callback to hand to the library function.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            done, took = task.completed - task.fields["before"], task.elapsed or 0
            if took < _LEAST:
                return Text()
            digits = 0 if done > 10 * took else 1
            return Text(f"{done / took:,.{digits}f} {unit}/s")

    columns: list[ProgressColumn] = (
        [DownloadColumn(), TransferSpeedColumn()] if of_bytes else [MofNCompleteColumn(), Speed()]
    )
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task, begun = bars.add_task(title, total=None, before=0), False

    def tell(done: int, total: int | None) -> None:
        nonlocal begun
        if not begun:  # so that a mistake that is found first is told alone
            bars.update(task, before=done if done != total else 0)
            bars.start()
            begun = True
        bars.update(task, completed=done, total=total)

    try:
        yield tell
    finally:
        if begun:
            bars.stop()
