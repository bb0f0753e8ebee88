from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn

from simpaint.inpainter.measure import perceptual
from simpaint.inpainter.measure.perceptual import Networks, find_networks


class Means(nn.Module):
    """Mean colours, in place of a network's features."""

    num_features = 3

    def forward(self, photos: Tensor) -> Tensor:
        return photos.double().mean((2, 3))


def test_each_metric_without_weights_is_left_out_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "find_spec", lambda name: None)
    found = find_networks(tmp_path)
    assert (found.lpips, found.inception, found.logits) == (None, None, None)
    assert "alexnet-owt-7be5be79.pth" in found.left_out[0]
    assert "pip install torch-fidelity" in found.left_out[1]
    monkeypatch.setattr(perceptual, "find_spec", lambda name: name)
    assert "weights-inception" in find_networks(tmp_path).left_out[1]
    for name in ("alexnet-owt-7be5be79.pth", "weights-inception-2015-12-05-6726825d.pth"):
        (tmp_path / name).touch()
    assert find_networks(tmp_path).left_out == ()
    assert find_networks(tmp_path).inception == 2048


def test_the_frechet_distance_is_the_formulas() -> None:
    rng = np.random.default_rng(0)
    filled, truth = (torch.from_numpy(rng.integers(0, 256, (40, 3, 4, 4), np.uint8)) for _ in "ab")
    networks = Networks(lambda a, b: (a.float() - b.float()).abs().mean((1, 2, 3)), Means())
    alone = perceptual._measure(iter([(filled[:1], truth[:1])]), networks)
    assert [name for name, *_ in alone] == ["lpips"]
    halves = ((filled[i : i + 20], truth[i : i + 20]) for i in (0, 20))
    found = {name: mean for name, mean, _ in perceptual._measure(halves, networks)}
    a, b = (x.double().mean((2, 3)).numpy() for x in (filled, truth))
    covariances = np.cov(a.T), np.cov(b.T)
    root = np.trace(sqrtm(covariances[0] @ covariances[1]).real)
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + sum(map(np.trace, covariances)) - 2 * root
    assert found["fid"] == pytest.approx(wanted, rel=1e-6)
    assert found["lpips"] == pytest.approx((filled.float() - truth.float()).abs().mean().item())
