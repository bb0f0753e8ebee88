"""Hand-like curves of our own, for whoever has no Quick, Draw! file at hand.

No human drew these: say so wherever masks made of them are described. Each stroke is a smooth curve
whose direction turns in one of six ways, with a slight tremor; lengths, points a stroke and strokes
a drawing are distributed roughly as in Quick, Draw!.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .quickdraw import Drawings
from .simplify import simplify, starts

Floats = NDArray[np.float64]

STEPS: Final = 64  # per stroke, before simplification
KINDS: Final = ("dash", "sweep", "arc", "loop", "wander", "zigzag")
_LENGTHS: Final = np.array([0.25, 0.9, 0.7, 1.1, 1.1, 1.2])  # typical, in no certain unit
_SPREAD: Final = 0.85  # of their logarithms


def synthetic_drawings(rng: np.random.Generator, category: str, drawings: int) -> Drawings:
    """Drawings of random strokes; what a category has of its own is the mixture of its strokes.

    Args:
        rng: source of all randomness.
        category: their name.
        drawings: how many.
    """
    mixture = rng.dirichlet(np.full(len(KINDS), 1.5))
    strokes = 1 + rng.negative_binomial(1.5, 1.5 / (1.5 + rng.uniform(2.5, 5)), drawings)
    kinds = rng.choice(len(KINDS), strokes.sum(), p=mixture)
    curves = _curves(rng, kinds)  # (s, STEPS, 2)
    curves += _places(rng, strokes, curves)[:, None]
    ids = rng.integers(1 << 52, 1 << 53, drawings, dtype=np.uint64)
    points, xy = simplify(curves.reshape(-1, 2), np.full(len(kinds), STEPS), strokes)
    return Drawings([category] * drawings, ids, strokes, points, xy)


def _curves(rng: np.random.Generator, kinds: NDArray[np.int64]) -> Floats:
    """Curves that start at 0, 0, in units of a drawing's side: (s, STEPS, 2)."""
    n = len(kinds)
    time = np.linspace(0, 1, STEPS)
    heading = np.stack(
        [
            _bend(rng, n, time, 0.3),
            _bend(rng, n, time, 1.2),
            rng.choice([-1, 1], (n, 1)) * rng.uniform(0.8, 4.5, (n, 1)) * time,
            rng.choice([-1, 1], (n, 1)) * rng.uniform(5.5, 7.5, (n, 1)) * time
            + _bend(rng, n, time, 0.5),
            _bend(rng, n, time, 3.5),
            _zigzag(rng, n, time) + _bend(rng, n, time, 0.5),
        ]
    )[kinds, np.arange(n)]  # (s, STEPS)
    noise = rng.normal(size=(n, STEPS + 4))
    tremor = sum(noise[:, i : i + STEPS] for i in range(5)) / 5
    heading += rng.uniform(0, 2 * np.pi, (n, 1)) + rng.uniform(0, 0.6, (n, 1)) * tremor
    length = _LENGTHS[kinds] * rng.lognormal(0, _SPREAD, n)
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=2) * (length / STEPS)[:, None, None]
    curves: Floats = np.cumsum(steps, axis=1)
    return curves


def _bend(rng: np.random.Generator, n: int, time: Floats, radians: float) -> Floats:
    """A direction that changes slowly: three sines of falling weight, about `radians` in size."""
    waves = np.arange(1, 4)[:, None, None]  # (3, n, STEPS)
    phase = rng.uniform(0, 2 * np.pi, (3, n, 1))
    size = rng.normal(size=(3, n, 1)) / waves
    bend: Floats = radians * (size * np.sin(np.pi * waves * time + phase)).sum(0)
    return bend


def _zigzag(rng: np.random.Generator, n: int, time: Floats) -> Floats:
    """To and fro: a direction that swings between two, faster than it stays."""
    swings = rng.uniform(1.5, 6, (n, 1))
    angle = rng.uniform(0.9, 1.5, (n, 1))
    zigzag: Floats = angle * np.tanh(4 * np.sin(2 * np.pi * swings * time))
    return zigzag


def _places(rng: np.random.Generator, strokes: NDArray[np.int64], curves: Floats) -> Floats:
    """Where each stroke starts (s, 2): often on the first stroke of its drawing, else near it."""
    n = len(curves)
    first = np.repeat(starts(strokes), strokes)
    touching = curves[first, rng.integers(0, STEPS, n)]
    near = curves[first].mean(axis=1) + rng.normal(0, 0.35, (n, 2))
    place = np.where(rng.random((n, 1)) < 0.5, touching, near)
    place[starts(strokes)] = 0
    return place
