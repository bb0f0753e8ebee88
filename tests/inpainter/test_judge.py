"""The judge: what it looks at, what counts, its losses, and that it learns."""

import pytest
import torch
from torch import Tensor

from simpaint.inpainter.judge import (
    Judge,
    adversarial_loss,
    discriminator_loss,
    matching_loss,
)
from simpaint.inpainter.lite0 import WIDTHS


def some_maps(count: int, side: int) -> list[Tensor]:
    return [torch.randn(count, width, side >> i, side >> i) for i, width in enumerate(WIDTHS, 1)]


def test_a_verdict_counts_by_how_much_of_its_place_is_hole() -> None:
    holes = torch.zeros(2, 1, 64, 64)
    holes[0, :, :16, :16] = 1
    holes[1] = 1
    verdicts, weights = Judge()(torch.rand(2, 3, 64, 64), some_maps(2, 64), holes)
    places = [32 * 32, 16 * 16, 16 * 16, 8 * 8, 4 * 4]
    assert verdicts.shape == weights.shape == (2, sum(places))
    torch.testing.assert_close(weights.sum(dim=1), torch.tensor([1 / 16, 1.0]))
    for part in weights[0].split(places):  # every map has the same share
        assert part.sum().item() == pytest.approx(1 / 16 / 5)
        square = part.unflatten(0, (round(len(part) ** 0.5), -1))
        quarter = len(square) // 4
        assert not square[quarter:].any()
        assert not square[:, quarter:].any()


def test_the_losses_are_weighted_by_the_hole() -> None:
    real, fake = torch.tensor([[0.25, 9.0, 2.0]]), torch.tensor([[-3.0, 9.0, 0.5]])
    weights = torch.tensor([[0.25, 0.0, 0.5]])
    wanted = (0.25 * 0.75 + 0.5 * 1.5) / 0.75
    assert discriminator_loss(real, fake, weights).item() == pytest.approx(wanted)
    assert adversarial_loss(fake, weights).item() == pytest.approx(0.25 * 3 - 0.5 * 0.5)
    assert discriminator_loss(real, fake, torch.zeros(1, 3)) == 0


def test_matching_is_in_units_of_the_truths_deviation() -> None:
    truth = some_maps(2, 32)
    assert matching_loss(truth, truth) == 0
    off = [m + 3 * m.std() for m in truth]
    assert matching_loss(off, truth).item() == pytest.approx(3)
    scaled = matching_loss([10 * m for m in off], [10 * m for m in truth])
    assert scaled.item() == pytest.approx(3)


def test_it_learns_to_tell_a_weave_of_two_pixels_from_the_truth() -> None:
    torch.manual_seed(0)
    judge = Judge()
    optimizer = torch.optim.Adam(judge.parameters(), 1e-3)
    holes = torch.ones(4, 1, 32, 32)
    weave = 0.05 * torch.tensor([1.0, -1.0]).repeat(16)
    blind = [torch.zeros(4, width, 16 >> i, 16 >> i) for i, width in enumerate(WIDTHS)]
    for _ in range(60):
        truth = torch.rand(4, 3, 1, 1).expand(-1, -1, 32, 32)
        (real, weights), (fake, _) = judge(truth, blind, holes), judge(truth + weave, blind, holes)
        loss = discriminator_loss(real[:, :256], fake[:, :256], weights[:, :256])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss < 1
