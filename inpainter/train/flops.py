"""Counting what a training run costs before it starts."""

import copy

from torch.utils.flop_counter import FlopCounterMode

from ..training import Task
from .batches import Batch
from .recipes import Recipe


def training_flops(task: Task, batch: Batch) -> float:
    """Floating-point operations of one photo's training step, forward, backward and features.

    Takes one step on copies. Convolutions and matrix products are counted, two operations for a
    multiplication and an addition.

    Args:
        task: what is trained; left as it is.
        batch: of which sizes alone matter.

    Raises:
        InputError: the network cannot be trained on so few photos of this size.
    """
    modules = copy.deepcopy({**task.trained, **task.fixed})
    for name in task.trained:
        modules[name].train()
    # Two photos, unless the run has but one: batch norm refuses that where it shrinks to a pixel.
    count = min(2, len(batch["photos"]))
    few = {name: value[:1].expand(count, *value.shape[1:]) for name, value in batch.items()}
    with FlopCounterMode(display=False) as counter:
        for update in task.updates(modules, few):
            update.loss.backward()  # type: ignore[no-untyped-call]
    total: int = counter.get_total_flops()
    return total / count


def describe_cost(task: Task, batches: dict[int, Batch], recipe: Recipe) -> str:
    """A line on parameters, operations per photo at each size, and operations of the whole run.

    Args:
        task: what is trained.
        batches: one for each size of the recipe.
        recipe: how long at which size.
    """
    costs = {size: training_flops(task, batch) for size, batch in batches.items()}
    total = sum(costs[s.size] * s.steps * s.batch for s in recipe.stages)
    parameters = sum(p.numel() for p in task.trained[task.shipped].parameters())
    sizes = ", ".join(
        f"{cost / 1e9:.2f} GFLOP a photo at {size} px" for size, cost in costs.items()
    )
    photos = sum(stage.steps * stage.batch for stage in recipe.stages)
    return (
        f"{parameters / 1e6:.2f} million parameters; {sizes}; "
        f"{recipe.steps:,} steps of {photos:,} photos: {total / 1e15:.3g} PFLOP"
    )
