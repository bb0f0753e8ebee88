"""How long, at which sizes and how fast a network is trained."""

import math
from dataclasses import dataclass, field
from typing import Literal

from ...errors import InputError
from ..losses import LossWeights
from .jitter import side_with_room

Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one size.

    Attributes:
        size: side of the photos in pixels.
        steps: how many.
        batch: photos a step, over all processes.
    """

    size: int
    steps: int
    batch: int


@dataclass(frozen=True)
class Recipe:
    """Everything about a training run but its network, its data and its seed.

    The defaults are the paper's (Iskakov 2018, section 4): Adam, 1e-4, batches of 12 photos of 256
    pixels, no augmentation, equation 1. Photos are taken epoch by epoch, each once.

    Attributes:
        stages: one after another; sizes must not shrink.
        learning_rate: Adam's, at its highest.
        betas: Adam's.
        weight_decay: AdamW's; with 0 it is Adam.
        schedule: "constant", or "cosine": falling to zero at the last step.
        warmup: steps over which the learning rate rises from zero.
        clip: largest norm of a gradient; None leaves it as it is.
        average: decay of the running average of the weights, which is what is validated and
            shipped; 0 takes the weights themselves.
        flip: mirror photos, each by a fair coin, together with its neighbors.
        faded: share of the photos that lose their colours, to black and white or sepia; their
            neighbors keep theirs.
        jitter: share of the photos of which a part is taken, turned and moved; their neighbors
            stay as they are.
        loss: the weights of equation 1.
        check_every: steps between checkpoints, validated where there are photos for it.
        patience: end after so many checks without a better one; None goes on to the last step.
    """

    stages: tuple[Stage, ...] = (Stage(256, 300_000, 12),)
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup: int = 0
    clip: float | None = None
    average: float = 0.0
    flip: bool = False
    faded: float = 0.0
    jitter: float = 0.0
    loss: LossWeights = field(default_factory=LossWeights)
    check_every: int = 1000
    patience: int | None = 20

    def __post_init__(self) -> None:
        sizes = [stage.size for stage in self.stages]
        if not sizes or sizes != sorted(sizes) or sizes[0] < 8:
            raise InputError(f"stages need sizes from 8 pixels up that do not shrink, not {sizes}")
        if any(min(stage.steps, stage.batch) < 1 for stage in self.stages):
            raise InputError(f"stages need at least one step and one photo: {self.stages}")
        if not (self.learning_rate > 0 and 0 <= self.average < 1 and self.check_every > 0):
            raise InputError("a recipe needs a learning rate, an average in [0, 1) and checks")
        for name, value in (("faded", self.faded), ("jittered", self.jitter)):
            if not 0 <= value <= 1:
                raise InputError(f"the share of {name} photos is 0 to 1, not {value}")

    @property
    def steps(self) -> int:
        """All stages' steps."""
        return sum(stage.steps for stage in self.stages)

    @property
    def size(self) -> int:
        """The final size, at which photos are validated."""
        return self.stages[-1].size

    @property
    def cached(self) -> int:
        """The size at which photos are cached: larger where parts of them are taken."""
        return side_with_room(self.size, self.jitter)

    def at(self, step: int) -> tuple[Stage, int]:
        """The stage of a step, and how many photos were seen before the step.

        Raises:
            IndexError: the recipe has fewer steps.
        """
        seen = 0
        for stage in self.stages:
            if step < stage.steps:
                return stage, seen + step * stage.batch
            step -= stage.steps
            seen += stage.steps * stage.batch
        raise IndexError(f"the recipe ends before step {step + self.steps}")

    def rate(self, step: int) -> float:
        """The learning rate of a step: a pure function, so there is no scheduler to resume."""
        rate = self.learning_rate * min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return rate


RECIPES: dict[str, Recipe] = {
    "paper": Recipe(),
    "small": Recipe(
        stages=(Stage(64, 6000, 128), Stage(128, 5000, 64), Stage(256, 4000, 32)),
        learning_rate=5e-4,
        schedule="cosine",
        warmup=200,
        clip=1.0,
        average=0.999,
        flip=True,
        faded=0.06,
        jitter=0.5,
        check_every=500,
        patience=None,
    ),
    "small-cpu": Recipe(
        stages=(Stage(64, 14_000, 32), Stage(128, 6000, 16)),
        learning_rate=1e-3,
        schedule="cosine",
        warmup=200,
        clip=1.0,
        average=0.999,
        flip=True,
        faded=0.06,
        jitter=0.5,
        loss=LossWeights(perceptual=0.0, style=0.0),
        check_every=500,
        patience=None,
    ),
    "dcgan": Recipe(
        stages=(Stage(64, 10_000, 64),),
        learning_rate=2e-4,
        betas=(0.5, 0.999),
        average=0.999,
        flip=True,
        check_every=1000,
        patience=None,
    ),
    "framing": Recipe(
        stages=(Stage(64, 20_000, 64),),
        learning_rate=2e-3,
        schedule="cosine",
        warmup=200,
        clip=1.0,
        average=0.998,
        check_every=500,
        patience=None,
    ),
    "simnet": Recipe(
        stages=(Stage(64, 1800, 128),),
        learning_rate=1e-3,
        weight_decay=0.05,
        schedule="cosine",
        warmup=99,
        average=0.99,
        check_every=100,
        patience=None,
    ),
}
"""By name. "small" is for a few minutes of a data-centre GPU, "small-cpu" for two cores' two hours.

`simpaint train` prints the floating-point operations of a run before it starts.
"""
