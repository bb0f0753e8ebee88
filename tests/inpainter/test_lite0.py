"""EfficientNet-Lite0: its maps against functions of the weights, and which weights it takes."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from simpaint.errors import DependencyError, WeightsError
from simpaint.index_build.tensors import write_tensors
from simpaint.inpainter import lite0
from simpaint.inpainter.lite0 import WIDTHS, Lite0, load_lite0


def test_maps_are_at_a_half_to_a_sixteenth_also_of_odd_sizes() -> None:
    photos = torch.rand(2, 3, 33, 64, requires_grad=True)
    maps = load_lite0()(photos)
    sizes = [(17, 32), (9, 16), (5, 8), (3, 4)]
    shapes = [(2, width, *size) for width, size in zip(WIDTHS, sizes, strict=True)]
    assert [tuple(m.shape) for m in maps] == shapes
    sum(m.mean() for m in maps).backward()
    assert photos.grad is not None
    assert photos.grad.abs().sum() > 0


def test_the_first_map_is_what_the_weights_say() -> None:
    network = load_lite0()
    weights = network.state_dict()

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        scale = weights[f"{name}.weight"] / (var + 1e-3).sqrt()
        bias = weights[f"{name}.bias"]
        out: Tensor = (x - mean[:, None, None]) * scale[:, None, None] + bias[:, None, None]
        return out

    photos = torch.rand(1, 3, 32, 32)
    x = F.pad(2 * photos - 1, (0, 1, 0, 1))  # of an even size, TensorFlow pads the end alone
    x = norm(F.conv2d(x, weights["_conv_stem.weight"], stride=2), "_bn0").clamp(0, 6)
    x = F.conv2d(x, weights["_blocks.0._depthwise_conv.weight"], padding=1, groups=32)
    x = norm(x, "_blocks.0._bn1").clamp(0, 6)
    x = norm(F.conv2d(x, weights["_blocks.0._project_conv.weight"]), "_blocks.0._bn2")
    torch.testing.assert_close(network(photos)[0], x, rtol=1e-4, atol=1e-4)


def test_a_photo_is_like_its_mirror_image_and_unlike_its_pixels_shuffled() -> None:
    from skimage.data import chelsea

    pixels = chelsea()[:288, :288].copy()  # type: ignore[no-untyped-call]
    cat = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    order = torch.randperm(288 * 288, generator=torch.Generator().manual_seed(0))
    shuffled = cat.flatten(2)[..., order].view_as(cat)
    network = load_lite0()
    one, mirror, noise = (network(x)[-1].mean((2, 3)) for x in (cat, cat.flip(-1), shuffled))
    assert F.cosine_similarity(one, mirror) > 0.9
    assert F.cosine_similarity(one, noise) < 0.5


def test_its_statistics_stay_those_it_was_trained_with() -> None:
    network = Lite0().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.rand(2, 3, 32, 32))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(p.requires_grad for p in network.parameters())


def test_weights_come_from_a_file_or_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    saved = Lite0().state_dict()
    write_tensors(tmp_path / "lite0.safetensors", saved)
    torch.save(saved, tmp_path / "lite0.pth")
    for name in ("lite0.safetensors", "lite0.pth"):
        found = load_lite0(tmp_path / name).state_dict()
        assert all(torch.equal(found[key], saved[key]) for key in saved)
    write_tensors(tmp_path / "other.safetensors", {"x": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"other\.safetensors: expected a tensor _conv_stem"):
        load_lite0(tmp_path / "other.safetensors")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(WeightsError, match=r"text\.pth: expected PyTorch weights") as refused:
        load_lite0(tmp_path / "text.pth")
    assert "weights_only" not in str(refused.value)
    monkeypatch.setattr(lite0, "_PACKAGE", "no_such_package")
    with pytest.raises(DependencyError, match=r"simpaint\[train\]"):
        load_lite0()
