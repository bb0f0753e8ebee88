import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from simpaint.inpainter.whole.seams import least_seams


def energy(labels: Tensor, costs: Tensor, pictures: Tensor, hole: Tensor, weight: float) -> float:
    """What is to be small, as the docstring has it, pixel by pixel."""
    height, width = hole.shape
    total = 0.0
    for y, x in itertools.product(range(height), range(width)):
        if not hole[y, x]:
            continue
        total += float(costs[y, x, labels[y, x]])
        for down, right in ((0, 1), (1, 0)):
            v, u = y + down, x + right
            if v < height and u < width and hole[v, u]:
                a, b = labels[y, x], labels[v, u]
                for place in (pictures[y, x], pictures[v, u]):
                    total += weight * float((place[a] - place[b]).square().sum())
    return total


def shown_by(pictures: Tensor) -> Callable[[int, int], Tensor]:
    """What stands beside each pixel in pictures (h, w, n, 3), each going on at its other side."""
    return lambda down, right: pictures.roll((-down, -right), (0, 1))


@pytest.mark.parametrize("shape", [(1, 6), (6, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_all_is_found_where_pixels_stand_in_a_row(
    shape: tuple[int, int], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    costs = torch.rand(*shape, 3, generator=generator)
    pictures = torch.rand(*shape, 3, 3, generator=generator)
    hole = torch.ones(shape, dtype=torch.bool)
    found = energy(least_seams(costs, shown_by(pictures), hole, 0.7), costs, pictures, hole, 0.7)
    every = (torch.tensor(labels).view(shape) for labels in itertools.product(range(3), repeat=6))
    assert found == pytest.approx(min(energy(e, costs, pictures, hole, 0.7) for e in every))


@pytest.mark.parametrize("seed", [6, 9, 11])
def test_where_pixels_stand_in_rings_messages_come_to_rest(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)  # in these, they swing if nothing is kept
    costs = torch.rand(3, 3, 2, generator=generator)
    pictures = torch.rand(3, 3, 2, 3, generator=generator)
    hole = torch.ones(3, 3, dtype=torch.bool)
    found = energy(least_seams(costs, shown_by(pictures), hole, 1.5), costs, pictures, hole, 1.5)
    every = (torch.tensor(labels).view(3, 3) for labels in itertools.product(range(2), repeat=9))
    assert found == pytest.approx(min(energy(e, costs, pictures, hole, 1.5) for e in every))


def test_seams_run_where_pictures_are_alike() -> None:
    height, width = 12, 20
    pictures = torch.zeros(height, width, 2, 3)
    pictures[:, :, 1] = 1.0  # they differ
    pictures[:, 13, 1] = pictures[:, 14, 1] = 0  # but here
    costs = torch.full((height, width, 2), 0.01)
    costs[:, 0, 1] = costs[:, -1, 0] = 9.0  # one is wanted on the left, the other on the right
    labels = least_seams(
        costs, shown_by(pictures), torch.ones(height, width, dtype=torch.bool), 8.0
    )
    assert not labels[:, :14].any()
    assert labels[:, 14:].all()


def test_each_pixel_may_have_labels_of_its_own() -> None:
    generator = torch.Generator().manual_seed(0)
    costs = torch.rand(1, 6, 3, generator=generator)
    pictures = torch.rand(1, 6, 3, 3, generator=generator)
    hole = torch.ones(1, 6, dtype=torch.bool)
    order = torch.rand(1, 6, 3, generator=generator).argsort(2)
    shown = shown_by(pictures)

    def ordered(down: int, right: int) -> Tensor:
        return shown(down, right).gather(2, order[..., None].expand(-1, -1, -1, 3))

    usual = least_seams(costs, shown, hole, 0.7)
    labels = least_seams(costs.gather(2, order), ordered, hole, 0.7)
    assert torch.equal(order.gather(2, labels[..., None])[..., 0], usual)


def test_holes_that_do_not_touch_do_not_know_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    costs = torch.rand(5, 5, 2, generator=generator)
    pictures = torch.rand(5, 5, 2, 3, generator=generator)
    hole = torch.zeros(5, 5, dtype=torch.bool)
    hole[::2, ::2] = True
    labels = least_seams(costs, shown_by(pictures), hole, 100.0)
    assert torch.equal(labels, costs.argmin(-1))
