"""Which of several pictures each pixel of a hole is taken from, so that few seams are seen."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

_ROUNDS: Final = 20
_KEPT: Final = 0.5  # of a message, each round

Pictures = Callable[[int, int], Tensor]
"""What each pixel's labels show so many pixels below and to the right of it: (h, w, n, C)."""


def least_seams(costs: Tensor, pictures: Pictures, hole: Tensor, weight: float) -> Tensor:
    """A label for each pixel, of little cost, by loopy min-sum belief propagation.

    The energy is the sum of the pixels' costs and, for each two neighbors p and q in the hole with
    labels a and b, ``weight * (|S_a(p) - S_b(p)|^2 + |S_a(q) - S_b(q)|^2)``, as in Kwatra et al.
    2003 (Graphcut Textures, equation 1), squared.

    Args:
        costs: (h, w, n), of each of its labels at each pixel.
        pictures: the colours S that they show, at the pixel and at those beside it.
        hole: (h, w) bool.
        weight: of seams.

    Returns:
        (h, w) int64, which of a pixel's labels; outside the hole the cheapest.
    """
    here, costs = pictures(0, 0), costs.permute(2, 0, 1).contiguous()
    beliefs = costs.clone()
    ways = []
    for axis, step in ((0, (1, 0)), (1, (0, 1))):
        pairs = hole.shape[axis] - 1
        joined = hole.narrow(axis, 0, pairs) & hole.narrow(axis, 1, pairs)
        after, before = pictures(*step), pictures(-step[0], -step[1])
        first = torch.cat([here.narrow(axis, 0, pairs), after.narrow(axis, 0, pairs)], -1)
        second = torch.cat([before.narrow(axis, 1, pairs), here.narrow(axis, 1, pairs)], -1)
        apart = torch.cdist(first, second).square_().mul_(weight * joined[..., None, None])
        seams = apart.permute(2, 3, 0, 1).contiguous(), apart.permute(3, 2, 0, 1).contiguous()
        ways.append((axis + 1, pairs, joined, seams, costs.new_zeros(2, len(costs), *joined.shape)))
    for _ in range(_ROUNDS):
        told = beliefs
        beliefs = costs.clone()
        for axis, pairs, joined, seams, messages in ways:
            # What one of a pair tells the other is not what it was told by it.
            before, after = told.narrow(axis, 0, pairs), told.narrow(axis, 1, pairs)
            for way, side in enumerate((before - messages[1], after - messages[0])):
                fresh = (seams[way] + side[:, None]).amin(0)
                messages[way].lerp_((fresh - fresh.amin(0)) * joined, 1 - _KEPT)
            beliefs.narrow(axis, 1, pairs).add_(messages[0])
            beliefs.narrow(axis, 0, pairs).add_(messages[1])
    return beliefs.argmin(0)
