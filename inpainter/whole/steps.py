"""A picture of how a photo was painted, one line for each square."""

from collections.abc import Sequence
from math import isnan

from ...data.images import Pixels
from ...data.tensors import to_pixels
from ...retrieval.grid import lay_out
from .work import Result


def draw_steps(result: Result, names: Sequence[str]) -> Pixels:
    """Draw what the networks saw, the coarse picture, the neighbors with scores, and the result.

    Args:
        result: with at least one square.
        names: of its neighbors, square by square.

    Returns:
        uint8 RGB.
    """
    pictures: list[Pixels] = []
    captions: list[str] = []
    for number, painted in enumerate(result.painted):
        seen = painted.where(result.holes[number] == 0, 1)
        steps = [seen, result.coarse[number], *result.neighbors[number], painted]
        pictures += [to_pixels(step) for step in steps]
        found = zip(result.scores[number].tolist(), result.ids[number].tolist(), strict=True)
        copied = bool(result.moved[number])
        scores = [_say(score, copied=copied and one >= 0) for score, one in found]
        captions += ["masked", "coarse", *scores, "result"]
    k = result.neighbors.shape[1]
    labels = iter(names)
    notes = [next(labels, "") if 2 <= i % (k + 3) < k + 2 else "" for i in range(len(pictures))]
    return lay_out(pictures, captions, notes, k + 3)


def _say(score: float, *, copied: bool) -> str:
    if isnan(score):
        return "copied from" if copied else "not searched"
    return f"{score:.3f}"
