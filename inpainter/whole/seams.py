"""Which of several pictures each pixel of a hole is taken from, so that few seams are seen."""

from typing import Final

import torch
from torch import Tensor

_ROUNDS: Final = 20
_KEPT: Final = 0.5  # of a message, each round


def least_seams(costs: Tensor, pictures: Tensor, hole: Tensor, weight: float) -> Tensor:
    """A label for each pixel, of little cost, by loopy min-sum belief propagation.

    The energy is the sum of the pixels' costs and, for each two neighbors p and q in the hole with
    labels a and b, ``weight * (|S_a(p) - S_b(p)|^2 + |S_a(q) - S_b(q)|^2)``, as in Kwatra et al.
    2003 (Graphcut Textures, equation 1), squared.

    Args:
        costs: (h, w, n), of each label at each pixel.
        pictures: (h, w, n, 3), the colours S that it would give.
        hole: (h, w) bool.
        weight: of seams.

    Returns:
        (h, w) int64; outside the hole the cheapest.
    """
    apart = torch.cdist(pictures, pictures).square().mul_(weight)  # (h, w, n, n)
    beliefs = costs.clone()
    ways = []
    for axis in (0, 1):
        pairs = costs.shape[axis] - 1
        joined = (hole.narrow(axis, 0, pairs) & hole.narrow(axis, 1, pairs))[..., None]
        seams = apart.narrow(axis, 0, pairs) + apart.narrow(axis, 1, pairs)
        messages = torch.zeros(2, *joined.shape[:2], costs.shape[-1])
        ways.append((axis, pairs, joined, seams, messages))
    for _ in range(_ROUNDS):
        told = beliefs
        beliefs = costs.clone()
        for axis, pairs, joined, seams, messages in ways:
            # What one of a pair tells the other is not what it was told by it.
            before, after = told.narrow(axis, 0, pairs), told.narrow(axis, 1, pairs)
            for way, side in enumerate((before - messages[1], after - messages[0])):
                fresh = (seams + side[..., None]).amin(-2)
                fresh = (fresh - fresh.amin(-1, keepdim=True)) * joined
                messages[way].lerp_(fresh, 1 - _KEPT)
            beliefs.narrow(axis, 1, pairs).add_(messages[0])
            beliefs.narrow(axis, 0, pairs).add_(messages[1])
    return beliefs.argmin(-1)
