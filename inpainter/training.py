"""One training loop for every network, on Hugging Face Accelerate.

Runs on one CPU, one GPU, or many of them and of machines under `accelerate launch`. Batches are
pure functions of (seed, step) and the learning rate of the step, so that a run killed at any moment
and resumed ends with the weights of an undisturbed one.
"""

import atexit
import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..data.files import make_folder
from ..errors import DependencyError, InputError
from .train.batches import Batch, Batches
from .train.recipes import Recipe
from .train.reporting import Reporter
from .train.run_state import Place, RunState, has_state, kept_in

if TYPE_CHECKING:
    from accelerate import Accelerator

_logger = logging.getLogger(__name__)

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Update:
    """One optimizer step that a task asks for.

    Attributes:
        network: whose optimizer steps.
        loss: what to minimise.
        scalars: what to report, detached.
    """

    network: str
    loss: Tensor
    scalars: Mapping[str, Tensor]


class Task(Protocol):
    """What is trained. One loop serves them all.

    Attributes:
        shipped: the name of the trained network that is averaged and kept.
        trained: what changes as the run goes on, all of it part of its state: networks, each with
            its optimizer, and modules of nothing but buffers.
        fixed: networks that take part unchanged.
    """

    shipped: str
    trained: dict[str, nn.Module]
    fixed: dict[str, nn.Module]

    def updates(self, modules: Mapping[str, nn.Module], batch: Batch) -> Iterator[Update]:
        """The optimizer steps for one batch, one after another.

        Args:
            modules: `trained` and `fixed` by name, as prepared for the device.
            batch: on the device.
        """

    def validate(
        self, network: nn.Module, modules: Mapping[str, nn.Module]
    ) -> Mapping[str, float] | None:
        """Numbers about the averaged network; "total" decides; None if nothing is validated."""

    def samples(self, network: nn.Module) -> Tensor | None:
        """A picture of what the averaged network does, (3, H, W) in [0, 1]."""


@dataclass(frozen=True)
class RunOptions:
    """How a run is run; none of it changes what is learned, but for rounding.

    Attributes:
        folder: where its files go.
        resume: go on from the last state, if there is one.
        workers: processes that make batches; 0 makes them in this one.
        precision: "auto" is bfloat16 on a GPU, float32 on a CPU. float16 is not offered: it needs a
            loss scale, and bfloat16 is as fast.
        minutes: end after so long, with a state to resume from.
        compile: let torch.compile fuse the networks; takes a minute per size.
        cpu: do not use a GPU.
    """

    folder: Path
    resume: bool = False
    workers: int = 2
    precision: Precision = "auto"
    minutes: float | None = None
    compile: bool = False
    cpu: bool = False


def expect_startable(options: RunOptions) -> None:
    """Refuse a folder with another run, before photos are decoded for this one.

    Raises:
        InputError: it holds a run and `resume` was not asked for, or a network without a state.
    """
    if has_state(options.folder):
        if not options.resume:
            raise InputError(f"{options.folder}: holds a run already; --resume goes on with it")
    elif kept_in(options.folder).exists():
        raise InputError(
            f"{kept_in(options.folder)}: is trained already, with no state to go on from; "
            "name another folder"
        )


def train(
    task: Task,
    batches: Batches,
    recipe: Recipe,
    options: RunOptions,
    settings: dict[str, Any],
    keep: Callable[[Path, nn.Module, Mapping[str, Any]], None],
    say: Callable[[str], None] = _logger.info,
) -> Path:
    """Train until the recipe, the patience or the time ends.

    Args:
        task: networks and losses.
        batches: the data.
        recipe: sizes, rates, how long.
        options: where and how.
        settings: all that decides the result, as JSON values; a run resumes with the same only.
        keep: writes the network that is shipped, given path, network and how it was made.
        say: told a line a minute.

    Returns:
        the path of the network that was kept: the best validated, else the last.

    Raises:
        InputError: the folder holds a run and `resume` was not asked for, or another run, or a
            network without a state.
        DependencyError: the extra `train` is not installed.
        SimpaintError: a loss became infinite, in training or validation.
    """
    expect_startable(options)
    make_folder(options.folder)
    run = _Run(task, batches, recipe, options, settings, keep, say)
    if options.resume:
        run.restore()
    run.go()
    return run.kept


class _Run:
    """A run in progress."""

    def __init__(
        self,
        task: Task,
        batches: Batches,
        recipe: Recipe,
        options: RunOptions,
        settings: dict[str, Any],
        keep: Callable[[Path, nn.Module, Mapping[str, Any]], None],
        say: Callable[[str], None],
    ) -> None:
        self.task, self.batches, self.recipe, self.options = task, batches, recipe, options
        self.settings, self.keep = settings, keep
        self.accelerator = _accelerator(options)
        self.say = say if self.accelerator.is_main_process else _logger.debug
        self.kept = kept_in(options.folder)
        for stage in recipe.stages:
            if stage.batch % self.accelerator.num_processes:
                raise InputError(
                    f"batches of {stage.batch} cannot be shared by "
                    f"{self.accelerator.num_processes} processes"
                )
        self._prepare()
        self.place = Place()

    def _prepare(self) -> None:
        """Bring networks to the device, each with its optimizer, and make the average."""
        device = self.accelerator.device
        gpu = device.type == "cuda"
        for network in [*self.task.trained.values(), *self.task.fixed.values()]:
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers = {
            name: torch.optim.AdamW(
                learned,
                lr=self.recipe.learning_rate,
                betas=self.recipe.betas,
                weight_decay=self.recipe.weight_decay,
                fused=gpu,
            )
            for name, network in self.task.trained.items()
            if (learned := [p for p in network.parameters() if p.requires_grad])
        }
        shipped = self.task.trained[self.task.shipped]
        self.average = copy.deepcopy(shipped).requires_grad_(requires_grad=False).eval()
        modules = {**self.task.trained, "average": self.average}
        self.state = RunState(self.options.folder, modules, self.optimizers, self.settings)
        if self.options.compile:
            for network in [*self.task.trained.values(), *self.task.fixed.values()]:
                network.compile()
        prepare, learning = self.accelerator.prepare_model, self.optimizers.keys()
        self.modules: dict[str, nn.Module] = {
            name: prepare(network, evaluation_mode=name not in learning)
            for name, network in {**self.task.trained, **self.task.fixed}.items()
        }

    def restore(self) -> None:
        self.place = self.state.restore()
        self.say(f"resuming after step {self.place.step:,}")

    def go(self) -> None:
        """Step, report and check until the end."""
        if self._out_of_patience():
            return
        for network in self.task.trained.values():
            network.train()
        processes = self.accelerator
        started = time.monotonic()
        folder = self.options.folder if processes.is_main_process else None
        with Reporter(folder, self.recipe, self.place.step, processes.num_processes, self.say) as r:
            for batch in r.waiting(self._loader()):
                scalars = self._step(batch)
                self.place = replace(self.place, step=self.place.step + 1)
                late = self._late(started)
                last = self.place.step == self.recipe.steps
                due = last or self.place.step % self.recipe.check_every == 0
                r.tell(self.place.step, scalars, due=due or late)  # before a state is written
                if due:
                    self._check(r)
                elif late and processes.is_main_process:  # off schedule nothing is chosen
                    self.state.save(self.place)
                    if math.isinf(self.place.best):  # nothing was ever validated
                        self._keep()
                if late and not last:
                    self.say(f"its time is over after step {self.place.step:,}; --resume goes on")
                if late or (due and self._out_of_patience()):
                    break
        processes.wait_for_everyone()

    def _loader(self) -> Iterator[Batch]:
        """The batches from the next step on, made ahead by other processes, on the device."""
        processes = self.accelerator
        steps = _Steps(self.batches, processes.process_index, processes.num_processes)
        workers = self.options.workers
        loader = DataLoader(
            steps,
            batch_size=None,
            sampler=range(self.place.step, self.recipe.steps),
            num_workers=workers,
            pin_memory=processes.device.type == "cuda",
            prefetch_factor=4 if workers else None,
            worker_init_fn=_one_thread,
        )
        for batch in loader:
            yield {
                name: value.to(processes.device, non_blocking=True) for name, value in batch.items()
            }

    def _step(self, batch: Batch) -> dict[str, Tensor]:
        """Every update that the task asks for, and the average."""
        scalars: dict[str, Tensor] = {}
        rate = self.recipe.rate(self.place.step)
        for update in self.task.updates(self.modules, batch):
            optimizer = self.optimizers[update.network]
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            self.accelerator.backward(update.loss)
            if self.recipe.clip is not None:
                parameters = self.task.trained[update.network].parameters()
                scalars[f"gradient/{update.network}"] = nn.utils.clip_grad_norm_(
                    parameters, self.recipe.clip
                )
            optimizer.step()
            scalars |= update.scalars
        # A young average forgets its beginnings faster.
        decay = min(self.recipe.average, (1 + self.place.step) / (10 + self.place.step))
        update_average(self.average, self.task.trained[self.task.shipped], decay)
        return scalars

    def _check(self, reporter: Reporter) -> None:
        """Validate, keep the network if it is the best, and write the state to resume from."""
        best, since = self.place.best, self.place.since_best + 1
        if self.accelerator.is_main_process:
            found = self.task.validate(self.average, self.modules)
            reporter.show(self.place.step, found, self.task.samples(self.average))
            if found is None or found["total"] < best:
                best, since = (best if found is None else found["total"]), 0
                self._keep()
            self.state.save(Place(self.place.step, best, since))
        agreed = self._agreed(best, since)
        self.place = Place(self.place.step, agreed[0], int(agreed[1]))

    def _keep(self) -> None:
        self.keep(self.kept, self.average, {**self.settings, "steps": self.place.step})

    def _agreed(self, *values: float) -> list[float]:
        """The main process's numbers, in every process."""
        from accelerate.utils import broadcast

        tensor = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        agreed: list[float] = broadcast(tensor).tolist()
        return agreed

    def _late(self, started: float) -> bool:
        """Whether the run's time is over; every process must come to the same answer."""
        if self.options.minutes is None:
            return False
        late = time.monotonic() - started >= 60 * self.options.minutes
        return bool(self._agreed(late)[0]) if self.accelerator.num_processes > 1 else late

    def _out_of_patience(self) -> bool:
        patience = self.recipe.patience
        over = patience is not None and self.place.since_best >= patience
        if over:
            self.say(f"no better network in {patience} checks: ending")
        return over


class _Steps(Dataset[Batch]):
    """Batches by step, for PyTorch's loader."""

    def __init__(self, batches: Batches, rank: int, world: int) -> None:
        self.batches, self.rank, self.world = batches, rank, world

    def __getitem__(self, step: int) -> Batch:
        return self.batches.batch(step, self.rank, self.world)


def _one_thread(worker: int) -> None:
    """A worker process makes batches on one core; there are others for the other cores."""
    import cv2

    del worker
    cv2.setNumThreads(0)


def _accelerator(options: RunOptions) -> "Accelerator":
    try:
        import tensorboard  # noqa: F401 - missed now rather than after the first steps
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise DependencyError(
            f"training needs {error.name}: pip install 'simpaint[train]'"
        ) from error
    bfloat16 = options.precision == "bfloat16" or (
        options.precision == "auto" and not options.cpu and torch.cuda.is_available()
    )
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    AcceleratorState._reset_state()  # an earlier run in this process may have had another precision
    accelerator = Accelerator(mixed_precision="bf16" if bfloat16 else "no", cpu=options.cpu)
    if accelerator.num_processes > 1:  # PyTorch: a group that is not ended may crash at exit
        atexit.register(accelerator.state.destroy_process_group)
    return accelerator


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """``average <- decay * average + (1 - decay) * network``; counters are copied."""
    target, source = average.state_dict(), network.state_dict()
    floating = [name for name, value in target.items() if value.is_floating_point()]
    torch._foreach_lerp_([target[n] for n in floating], [source[n] for n in floating], 1 - decay)
    for name in target.keys() - set(floating):
        target[name].copy_(source[name])
