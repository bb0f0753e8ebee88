"""Equation 1, term by term, against loops written from the papers."""

import math

import numpy as np
import pytest
import torch
from skimage.morphology import dilation
from torch import Tensor

from simpaint.errors import InputError
from simpaint.inpainter.losses import (
    LossWeights,
    composite,
    gradient_energy,
    gram,
    hinge_discriminator_loss,
    hinge_generator_loss,
    hole_loss,
    inpainting_loss,
    l1_sums,
    perceptual_loss,
    sharpness_loss,
    style_loss,
    total_variation,
    valid_loss,
)

torch.manual_seed(0)
OUT, TRUTH = torch.rand(2, 2, 3, 9, 11).unbind(0)
HOLE = (torch.rand(2, 1, 9, 11) < 0.2).float()


def features(photos: Tensor) -> list[Tensor]:
    """A stand-in for a feature network: maps of three sizes and widths."""
    return [photos**2, photos[:, :2, ::2, ::2] * 3, photos[:, :1, :4, :3] - 1]


def test_valid_and_hole_terms_are_means_over_all_elements() -> None:
    valid = hole = 0.0
    for b, c, y, x in np.ndindex(*OUT.shape):
        error = abs(OUT[b, c, y, x] - TRUTH[b, c, y, x]).item()
        if HOLE[b, 0, y, x] == 1:
            hole += error
        else:
            valid += error
    assert valid_loss(OUT, TRUTH, HOLE).item() == pytest.approx(valid / OUT.numel(), rel=1e-5)
    assert hole_loss(OUT, TRUTH, HOLE).item() == pytest.approx(hole / OUT.numel(), rel=1e-5)


def test_l1_sums_of_parts_add_up_to_the_whole() -> None:
    parts = [l1_sums(OUT[i : i + 1], TRUTH[i : i + 1], HOLE[i : i + 1]) for i in range(2)]
    whole = l1_sums(OUT, TRUTH, HOLE)
    for i in range(3):
        assert float(sum(part[i] for part in parts)) == pytest.approx(float(whole[i]), rel=1e-5)


def test_total_variation_counts_pairs_inside_the_dilated_hole_only() -> None:
    expected = 0.0
    for b in range(2):
        region = dilation(HOLE[b, 0].numpy(), np.ones((3, 3)))
        for c, y, x in np.ndindex(3, 9, 11):
            for down, right in ((1, 0), (0, 1)):
                if y + down < 9 and x + right < 11 and region[y, x] and region[y + down, x + right]:
                    expected += abs(OUT[b, c, y + down, x + right] - OUT[b, c, y, x]).item()
    assert total_variation(OUT, HOLE).item() == pytest.approx(expected / OUT.numel(), rel=1e-5)
    assert total_variation(OUT, torch.zeros_like(HOLE)).item() == 0


def test_perceptual_term_equals_the_loop() -> None:
    a, b = features(OUT), features(TRUTH)
    expected = sum(float((x - y).abs().sum()) / y.numel() for x, y in zip(a, b, strict=True))
    assert perceptual_loss(a, b).item() == pytest.approx(expected, rel=1e-5)


def slow_gram(psi: Tensor) -> Tensor:
    channels, height, width = psi.shape
    result = torch.zeros(channels, channels)
    for i, j in np.ndindex(channels, channels):
        result[i, j] = sum(psi[i, y, x] * psi[j, y, x] for y, x in np.ndindex(height, width))
    return result / (channels * height * width)


def test_style_term_equals_the_loop() -> None:
    a, b = features(OUT), features(TRUTH)
    expected = 0.0
    for x, y in zip(a, b, strict=True):
        for i in range(2):
            difference = (slow_gram(x[i]) - slow_gram(y[i])).abs().sum()
            expected += float(difference) / x.shape[1] ** 2 / 2
    assert style_loss(a, b).item() == pytest.approx(expected, rel=1e-4)


def test_gram_matrices_do_not_overflow_under_autocast() -> None:
    huge = torch.full((1, 8, 64, 64), 300.0, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        result = gram(huge)
    assert result.dtype is torch.float32
    torch.testing.assert_close(result, torch.full((1, 8, 8), 300.0**2 / 8), rtol=1e-2, atol=0)


def test_equation_1_adds_the_terms_with_the_papers_weights() -> None:
    comp = OUT * HOLE + TRUTH * (1 - HOLE)
    assert torch.equal(composite(OUT, TRUTH, HOLE), comp)
    expected = (
        1 * valid_loss(OUT, TRUTH, HOLE)
        + 6 * hole_loss(OUT, TRUTH, HOLE)
        + 0.1 * total_variation(comp, HOLE)
    )
    for picture in (OUT, comp):
        expected += 0.05 * perceptual_loss(features(picture), features(TRUTH))
        expected += 120 * style_loss(features(picture), features(TRUTH))
    got = inpainting_loss(OUT, TRUTH, HOLE, features)
    torch.testing.assert_close(got["total"], expected)


def test_without_weights_for_them_features_are_not_needed() -> None:
    weights = LossWeights(perceptual=0, style=0)
    got = inpainting_loss(OUT, TRUTH, HOLE, None, weights)
    assert set(got) == {"valid", "hole", "tv", "total"}
    with pytest.raises(InputError, match="need a feature network"):
        inpainting_loss(OUT, TRUTH, HOLE, None)


def test_a_perfect_picture_costs_only_its_own_variation_and_gives_finite_gradients() -> None:
    out = TRUTH.clone().requires_grad_()
    got = inpainting_loss(out, TRUTH, HOLE, features)
    torch.testing.assert_close(got["total"], 0.1 * got["tv"])
    got["total"].backward()  # type: ignore[no-untyped-call]
    assert out.grad is not None
    assert out.grad.isfinite().all()


def test_hinge_losses_equal_the_loop() -> None:
    real, fake = torch.tensor([[2.0, 0.5], [-1.0, 1.0]]), torch.tensor([[-2.0, 0.5], [0.0, -1.0]])
    expected = (0 + 0.5 + 2 + 0) / 4 + (0 + 1.5 + 1 + 0) / 4
    assert hinge_discriminator_loss(real, fake).item() == pytest.approx(expected)
    assert hinge_generator_loss(fake).item() == pytest.approx((2 - 0.5 + 0 + 1) / 4)


def test_gradient_energy_counts_pairs_inside_the_hole_of_each_photo() -> None:
    expected = torch.zeros(2)
    for b, c, y, x in np.ndindex(*OUT.shape):
        for down, right in ((1, 0), (0, 1)):
            if y + down < 9 and x + right < 11:
                pair = HOLE[b, 0, y, x] * HOLE[b, 0, y + down, x + right]
                expected[b] += pair * (OUT[b, c, y + down, x + right] - OUT[b, c, y, x]) ** 2
    torch.testing.assert_close(gradient_energy(OUT, HOLE), expected)


def test_sharpness_compares_windows_of_8_pixels_as_the_loop_does() -> None:
    weights = {1: (-1, 1), 2: (1, -2, 1)}
    hole = 1 - HOLE[0, 0]

    def energy(photo: Tensor, order: int, step: tuple[int, int], top: int, left: int) -> float:
        total = 0.0
        for c, y, x in np.ndindex(3, 8, 8):
            places = [(top + y + i * step[0], left + x + i * step[1]) for i in range(order + 1)]
            if all(0 <= row < 9 and 0 <= column < 11 for row, column in places):
                inside = all(hole[place] == 1 for place in places)
                pairs = zip(weights[order], places, strict=True)
                total += inside * float(sum(w * photo[c][place] for w, place in pairs)) ** 2
        return total / 64 + 1e-4

    def divergence(wanted: float, made: float) -> float:
        return wanted * math.log(wanted / made) - wanted + made

    def weight(top: int, left: int) -> float:
        deep = [
            float(hole[max(0, y - 8) : y + 9, max(0, x - 8) : x + 9].mean()) ** 2
            for y, x in np.ndindex(9, 11)
            if top <= y < top + 8 and left <= x < left + 8
        ]
        return 1 - float(np.mean(deep))

    errors = [
        weight(top, left)
        * divergence(*(energy(x[0], order, step, top, left) for x in (TRUTH, OUT)))
        for order in (1, 2)
        for step in ((0, 1), (1, 0))
        for top in range(-4, 9 + 4 - 7, 4)
        for left in range(-4, 11 + 4 - 7, 4)
    ]
    found = sharpness_loss(OUT[:1], TRUTH[:1], hole[None, None]).item()
    assert found == pytest.approx(np.mean(errors), rel=1e-3)


def test_fine_stripes_are_no_substitute_for_detail() -> None:
    truth = torch.sin(torch.arange(32) / 3).expand(1, 3, 32, 32) / 4 + 0.5
    blurred, hole = (truth - 0.5) * 0.6 + 0.5, torch.zeros(1, 1, 32, 32)
    hole[..., 12:20, :] = 1
    missing = gradient_energy(truth, hole) - gradient_energy(blurred, hole)
    stripes = (torch.arange(32) % 2 - 0.5)[:, None] * (missing / (3 * 7 * 32)).sqrt()
    striped = blurred + stripes
    torch.testing.assert_close(gradient_energy(striped, hole), gradient_energy(truth, hole))
    assert sharpness_loss(striped, truth, hole) > sharpness_loss(blurred, truth, hole)


def test_no_sharpness_is_asked_for_deep_in_a_wide_hole() -> None:
    truth, hole = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    hole[..., 4:8, :] = hole[..., 16:, :] = 1
    flat = torch.full_like(truth, 0.5).requires_grad_()
    (gradient,) = torch.autograd.grad(sharpness_loss(flat * truth, truth, hole), flat)
    asked = gradient.abs().amax((0, 1, 3))  # of each row
    assert asked[36:].max() < 1e-6
    assert min(asked[4:8].max(), asked[16:18].max()) > 1e-4


def test_a_flat_filling_has_a_loss_of_sharpness_and_a_finite_gradient() -> None:
    flat = torch.full_like(TRUTH, 0.5).requires_grad_()
    loss = sharpness_loss(flat, TRUTH, 1 - HOLE)
    assert loss > sharpness_loss(TRUTH, TRUTH, 1 - HOLE) == 0
    loss.backward()  # type: ignore[no-untyped-call]
    assert flat.grad is not None
    assert flat.grad.isfinite().all()
