"""Training steps with the real loader against the same steps on data already in memory.

    python benchmarks/training.py PHOTOS [--size 64] [--batch 32] [--workers 1] [--steps 30] [--cpu]

Both run the training loop itself, turn about; the first steps of each run warm up and are not
timed. The best of three runs counts, since other work on the machine can only slow a run down.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from simpaint.data import MaskConfig, synthetic_bank
from simpaint.inpainter import checkpoint
from simpaint.inpainter.features import load_features
from simpaint.inpainter.train.batches import Batch, Batches, InpaintingBatches
from simpaint.inpainter.train.flops import training_flops
from simpaint.inpainter.train.photo_sets import Caches, photo_set
from simpaint.inpainter.train.recipes import RECIPES, Recipe, Stage
from simpaint.inpainter.train.tasks import InpaintingTask
from simpaint.inpainter.training import RunOptions, Update, train
from simpaint.inpainter.unet import VARIANTS, UNetConfig, build_unet

LIMIT = 0.95
WARM = 5
RUNS = 3


class Timed(InpaintingTask):
    """Notes when each step begins."""

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - InpaintingTask's
        super().__init__(*arguments)
        self.starts: list[float] = []

    def updates(self, modules: Mapping[str, nn.Module], batch: Batch) -> Iterator[Update]:
        """As the task itself."""
        if batch["photos"].is_cuda:
            torch.cuda.synchronize()
        self.starts.append(time.perf_counter())
        yield from super().updates(modules, batch)

    def samples(self, network: nn.Module) -> None:
        """No pictures here."""


class InMemory:
    """One batch, over and over."""

    def __init__(self, batches: Batches) -> None:
        self._batch = batches.batch(0, 0, 1)

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """The same for every step."""
        del step, rank, world
        return self._batch


def seconds(task: Timed, batches: Batches, recipe: Recipe, *, workers: int, cpu: bool) -> float:
    """The mean time of a step after the first ones."""
    task.starts.clear()
    with tempfile.TemporaryDirectory() as folder:
        options = RunOptions(Path(folder), workers=workers, cpu=cpu)
        train(task, batches, recipe, options, {}, checkpoint.save)
    return (task.starts[-1] - task.starts[WARM]) / (len(task.starts) - 1 - WARM)


@click.command()
@click.argument("photos", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(["pconv", "sim"]), default="sim")
@click.option("--variant", type=click.Choice(list(VARIANTS)), default="small")
@click.option("--features", type=click.Choice(["simnet", "vgg16", "none"]), default="simnet")
@click.option("--size", default=64)
@click.option("--batch", default=32)
@click.option("--workers", default=1)
@click.option("--steps", default=30)
@click.option("--cpu", is_flag=True)
def main(photos: Path, kind: Any, variant: str, features: Any, **numbers: int) -> None:  # noqa: ANN401
    """Time both, print the ratio, and end with 1 if it is below the limit."""
    size, batch, cpu = numbers["size"], numbers["batch"], bool(numbers["cpu"])
    recipe = RECIPES["small"]
    weights = replace(recipe.loss, perceptual=0, style=0) if features == "none" else recipe.loss
    stages = (Stage(size, numbers["steps"] + WARM + 1, batch),)
    recipe = replace(recipe, stages=stages, loss=weights, check_every=10**6)
    with tempfile.TemporaryDirectory() as folder:
        shown = photo_set(photos, Caches(Path(folder), size))
        loaded = InpaintingBatches(shown, [MaskConfig()], synthetic_bank(), recipe, 0)
        network = build_unet(UNetConfig(kind, VARIANTS[variant]))
        task = Timed(network, load_features(features), weights)
        cost = training_flops(task, loaded.batch(0))
        memory = InMemory(loaded)
        pairs = []
        for _ in range(RUNS):
            own = seconds(task, loaded, recipe, workers=numbers["workers"], cpu=cpu)
            pairs.append((own, seconds(task, memory, recipe, workers=0, cpu=cpu)))
    ours, best = (min(times) for times in zip(*pairs, strict=True))
    device = "CPU" if cpu or not torch.cuda.is_available() else torch.cuda.get_device_name()
    print(
        f"{variant} {kind}, {features}, {batch} photos of {size} px on {device}: "
        f"{batch / ours:,.0f} photos/s, {cost * batch / ours / 1e12:.3f} TFLOP/s; "
        f"in memory {batch / best:,.0f} photos/s: ratio {best / ours:.3f} (limit {LIMIT})"
    )
    sys.exit(int(best / ours < LIMIT))


if __name__ == "__main__":
    main()
