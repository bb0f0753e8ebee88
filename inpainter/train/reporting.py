"""What a training run tells: TensorBoard scalars and pictures, and a line a minute."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...data.progress import Progress
from ...errors import SimpaintError
from .batches import Batch
from .photo_cache import PhotoCache
from .recipes import Recipe
from .run_state import kept_in

SCALARS_EVERY = 50  # steps; reading a scalar makes the GPU wait
LINE_EVERY = 60.0  # seconds
PROGRESS_EVERY = 10.0  # seconds, before training begins


class Reporter:
    """Tells of a run; a context that closes its log.

    Args:
        folder: the run's, where TensorBoard's events go; None writes none.
        recipe: what is trained.
        step: steps taken before; later ones in the log, of a run that was killed, are dropped.
        processes: how many work on each batch.
        say: told a line a minute.
    """

    def __init__(
        self,
        folder: Path | None,
        recipe: Recipe,
        step: int,
        processes: int,
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._recipe, self._start = folder, recipe, step
        self._processes, self._say = processes, say
        self._kept = None if folder is None else kept_in(folder)
        self._line_at = time.monotonic()
        self._waited = self._photos = 0.0
        self._writer: Any = None

    def __enter__(self) -> "Reporter":
        if self._folder is not None:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=self._start + 1)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def waiting(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches on, and count the time that they are waited for."""
        while True:
            before = time.monotonic()
            batch = next(batches, None)
            self._waited += time.monotonic() - before
            if batch is None:
                return
            self._photos += len(batch["photos"]) * self._processes
            yield batch

    def tell(self, step: int, scalars: Mapping[str, Tensor], *, due: bool = False) -> None:
        """Report after a step, if enough steps or time have passed, or it is `due`.

        Raises:
            SimpaintError: a loss is infinite or not a number.
        """
        line_due = time.monotonic() - self._line_at >= LINE_EVERY
        if line_due or due or step % SCALARS_EVERY == 0:
            values = {name: float(value) for name, value in scalars.items()}
            _refuse_infinite(values, step, self._kept)
            self._scalars("train", step, values)
            if line_due:
                self._line(step, values)

    def _line(self, step: int, values: Mapping[str, float]) -> None:
        seconds = time.monotonic() - self._line_at
        speed, waited = self._photos / seconds, self._waited / seconds
        self._scalars("speed", step, {"photos per second": speed, "share of time waiting": waited})
        stage, _ = self._recipe.at(step - 1)
        self._say(
            f"step {step:,} of {self._recipe.steps:,} at {stage.size} px: {_words(values)}; "
            f"{speed:,.0f} photos/s, {waited:.0%} of the time waiting for data"
        )
        self._line_at, self._waited, self._photos = time.monotonic(), 0.0, 0.0

    def show(
        self, step: int, validated: Mapping[str, float] | None, samples: Tensor | None
    ) -> None:
        """Report a check: what validation found, and what the network's pictures look like.

        Raises:
            SimpaintError: a loss is infinite or not a number.
        """
        if validated is not None:
            _refuse_infinite(validated, step, self._kept)
            self._scalars("validation", step, validated)
            self._say(f"validation after step {step:,}: {_words(validated)}")
        if samples is not None and self._writer is not None:
            self._writer.add_image("samples", samples.cpu(), step)

    def _scalars(self, group: str, step: int, values: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)


def in_lines(say: Callable[[str], None], what: str) -> Progress:
    """A progress callback that says a line every few seconds, such as "2,048 of 20,055 photos"."""
    told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= PROGRESS_EVERY:
            told = time.monotonic()
            say(f"{done:,} of {total:,} {what}")

    return progress


def tell_unusable(say: Callable[[str], None], *caches: PhotoCache) -> None:
    """Say how many photos of each cache could not be decoded, and why the first could not."""
    for cache in caches:
        if cache.unusable:
            name, reason = next(iter(cache.unusable.items()))
            count = f"{len(cache.unusable):,} of {len(cache):,}"
            say(f"{count} photos cannot be used and are left out; the first is {name}: {reason}")


def _words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())


def _refuse_infinite(values: Mapping[str, float], step: int, kept: Path | None) -> None:
    for name, value in values.items():
        if not abs(value) < float("inf"):
            begin = f"{name} is {value} at step {step}: begin again with a lower learning rate"
            whole = kept is not None and kept.exists()
            raise SimpaintError(
                f"{begin}, from {kept}, say, where there is --initial" if whole else begin
            )
