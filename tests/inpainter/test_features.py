"""Feature networks: the scales that equation 1 wants, frozen, and the flops of a step."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from simpaint.errors import WeightsError
from simpaint.index_build import vgg
from simpaint.index_build.simnet import load_simnet
from simpaint.index_build.tensors import write_tensors
from simpaint.index_build.vgg import VGG16
from simpaint.inpainter.features import load_features
from simpaint.inpainter.losses import LossWeights
from simpaint.inpainter.train.flops import training_flops
from simpaint.inpainter.train.tasks import InpaintingTask
from simpaint.inpainter.unet import SimUNet, UNetConfig


@pytest.fixture(scope="module")
def vgg_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    torch.manual_seed(0)
    write_tensors(path, VGG16().state_dict())
    return path


@pytest.mark.parametrize(
    ("name", "widths"),
    [("vgg16", (64, 128, 256)), ("lite0", (16, 24, 40)), ("simnet", (32, 64, 128))],
)
def test_maps_are_at_a_half_a_quarter_and_an_eighth(
    name: str, widths: tuple[int, ...], vgg_weights: Path
) -> None:
    weights = vgg_weights if name == "vgg16" else None
    network = load_features(name, weights)  # type: ignore[arg-type]
    assert network is not None
    photos = torch.rand(2, 3, 32, 48, requires_grad=True)
    maps = network(photos)
    sizes = [(2, width, 32 >> i, 48 >> i) for i, width in enumerate(widths, 1)]
    assert [tuple(m.shape) for m in maps] == sizes
    sum(m.mean() for m in maps).backward()
    assert photos.grad is not None
    assert photos.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in network.parameters())


def test_vgg_maps_are_those_after_the_first_three_poolings(vgg_weights: Path) -> None:
    network = load_features("vgg16", vgg_weights)
    assert network is not None
    photos = torch.rand(1, 3, 16, 16)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (photos - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    expected = []
    layers = network.get_submodule("vgg.features")
    assert isinstance(layers, nn.Sequential)
    for layer in layers[:17]:
        x = layer(x)
        if isinstance(layer, nn.MaxPool2d):
            expected.append(x.clone())
    for found, wanted in zip(network(photos), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_simnet_maps_are_those_that_it_has_while_it_describes() -> None:
    network, simnet = load_features("simnet"), load_simnet()
    assert network is not None
    expected: list[Tensor] = []
    for number in (1, 4, 7):  # the last at a half, a quarter and an eighth
        simnet.body[number].register_forward_hook(lambda *found: expected.append(found[2]))
    photos = torch.rand(2, 3, 64, 64)
    simnet(photos)
    for found, wanted in zip(network(photos), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        load_features("simnet", tmp_path / "none.safetensors")
    assert load_features("none") is None


def test_flops_equal_the_count_by_hand() -> None:
    network = SimUNet(UNetConfig("sim", (5,)))
    task = InpaintingTask(network, None, LossWeights(perceptual=0, style=0))
    batch = {
        "photos": torch.zeros(3, 8, 8, 3, dtype=torch.uint8),
        "holes": torch.ones(3, 1, 8, 8, dtype=torch.uint8),
    }
    down = 2 * (4 * 5 * 7 * 7) * (4 * 4)  # multiply-adds twice, per output pixel
    up = 2 * ((5 + 4) * 3 * 3 * 3) * (8 * 8)
    # Backward, each layer has the weights' gradient, and all but the first also the input's.
    assert training_flops(task, batch) == 2 * down + 3 * up


def test_where_vgg_cannot_be_downloaded_the_option_of_training_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vgg, "_URL", (tmp_path / "vgg16-00000000.pth").as_uri())
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    with pytest.raises(WeightsError, match="or name it with --feature-weights FILE"):
        load_features("vgg16")
