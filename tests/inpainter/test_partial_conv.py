"""PartialConv2d against a per-pixel loop written from the paper."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from simpaint.inpainter.partial_conv import PartialConv2d, Source


def slow(layer: PartialConv2d, sources: list[Source]) -> tuple[Tensor, Tensor]:
    """Equations 1 and 2 of Liu et al. 2018, a window at a time, over full-width masks."""
    x = torch.cat([features for features, _ in sources], dim=1)
    m = torch.cat([(1 - hole).expand_as(features) for features, hole in sources], dim=1)
    k, s, p = layer.kernel_size, layer.stride, layer.kernel_size // 2
    x, m = (torch.nn.functional.pad(t, (p, p, p, p)) for t in (x, m))
    rows, columns = range(0, x.shape[2] - k + 1, s), range(0, x.shape[3] - k + 1, s)
    weight = layer.conv.weight
    values = torch.zeros(x.shape[0], weight.shape[0], len(rows), len(columns))
    holes = torch.ones(x.shape[0], 1, len(rows), len(columns))
    for b in range(x.shape[0]):
        for i, top in enumerate(rows):
            for j, left in enumerate(columns):
                window = x[b, :, top : top + k, left : left + k]
                mask = m[b, :, top : top + k, left : left + k]
                if mask.sum() > 0:
                    ratio = mask.numel() / mask.sum()
                    bias = 0 if layer.bias is None else layer.bias
                    values[b, :, i, j] = (weight * (window * mask)).sum((1, 2, 3)) * ratio + bias
                    holes[b, 0, i, j] = 0
    return values, holes


@settings(deadline=None, max_examples=25)
@example(
    height=9, width=5, kernel=7, stride=1, channels=[3, 4, 1], bias=True, coverage=0.92, seed=292
)
@given(
    height=st.integers(5, 9),
    width=st.integers(5, 9),
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.sampled_from([1, 2, 3]),
    channels=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    bias=st.booleans(),
    coverage=st.floats(0.0, 1.0),
    seed=st.integers(0, 9999),
)
def test_equals_the_paper_in_value_mask_and_gradient(
    height: int,
    width: int,
    kernel: int,
    stride: int,
    channels: list[int],
    bias: bool,
    coverage: float,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    layer = PartialConv2d(sum(channels), 3, kernel, stride, bias=bias)
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    sources: list[Source] = [
        (
            torch.randn(2, n, height, width, requires_grad=True),
            (torch.rand(2, 1, height, width) < coverage).float(),
        )
        for n in channels
    ]
    got, got_hole = layer(sources)
    expected, expected_hole = slow(layer, sources)
    leaves = [features for features, _ in sources] + list(layer.parameters())
    upstream = torch.randn_like(got)
    got_grads = torch.autograd.grad(got, leaves, upstream, allow_unused=True)
    if not expected.requires_grad:  # every window was empty
        expected_grads: tuple[Tensor, ...] = tuple(torch.zeros_like(leaf) for leaf in leaves)
    else:
        expected_grads = torch.autograd.grad(expected, leaves, upstream)
    close = 1e-4  # float32 sums, times up to 49: the windows' ratio
    torch.testing.assert_close(got, expected, atol=close, rtol=close)
    assert torch.equal(got_hole, expected_hole)
    for grad, expected_grad in zip(got_grads, expected_grads, strict=True):
        torch.testing.assert_close(grad, expected_grad, atol=close, rtol=close)


def test_colours_in_the_hole_do_not_leak() -> None:
    torch.manual_seed(0)
    layer = PartialConv2d(3, 4, 5, 2)
    photo, hole = torch.rand(1, 3, 17, 17), (torch.rand(1, 1, 17, 17) < 0.5).float()
    other = torch.where(hole.bool(), 100.0, photo)
    assert torch.equal(layer([(photo, hole)])[0], layer([(other, hole)])[0])


def test_without_a_hole_it_is_a_convolution_but_for_the_border() -> None:
    layer = PartialConv2d(3, 4, 3)
    photo = torch.rand(1, 3, 9, 9)
    out, hole = layer([(photo, torch.zeros(1, 1, 9, 9))])
    torch.testing.assert_close(out[..., 1:-1, 1:-1], layer.conv(photo)[..., 1:-1, 1:-1])
    torch.testing.assert_close(out[..., 0, 4], layer.conv(photo)[..., 0, 4] * 9 / 6)
    assert not hole.any()


def test_the_window_is_counted_exactly_under_autocast() -> None:
    layer = PartialConv2d(300, 1, 1, bias=False)
    torch.nn.init.zeros_(layer.conv.weight)
    with torch.no_grad():
        layer.conv.weight[0, 0] = 1.0
    sources = [
        (torch.ones(1, 257, 2, 2), torch.zeros(1, 1, 2, 2)),
        (torch.ones(1, 43, 2, 2), torch.ones(1, 1, 2, 2)),
    ]
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = layer(sources)
    assert out.dtype is torch.bfloat16
    assert out[0, 0, 0, 0].item() == pytest.approx(300 / 257, rel=2**-8)
