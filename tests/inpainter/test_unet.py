"""The two U-Nets: their shapes, what they see, and frozen batch norms."""

import pytest
import torch
from torch import nn

from simpaint.errors import InputError
from simpaint.inpainter.conv import Conv2d
from simpaint.inpainter.partial_conv import PartialConv2d
from simpaint.inpainter.unet import (
    VARIANTS,
    PConvUNet,
    SimUNet,
    UNetConfig,
    build_unet,
    more_neighbors,
)

TINY = (4, 6, 8, 8)


@pytest.mark.parametrize("size", [(32, 32), (17, 23), (1, 5), (16, 48)])
def test_any_size_comes_back_in_its_size(size: tuple[int, int]) -> None:
    photos, holes = torch.rand(2, 3, *size), (torch.rand(2, 1, *size) < 0.3).float()
    pconv, sim = (build_unet(UNetConfig(kind, TINY)).eval() for kind in ("pconv", "sim"))
    assert pconv(photos, holes).shape == photos.shape
    assert sim(photos, holes).shape == photos.shape


def test_paper_256_has_the_papers_seven_levels() -> None:
    with torch.device("meta"):
        network = PConvUNet(UNetConfig("pconv", VARIANTS["paper-256"]))
        levels = network.encode(torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256))
    shapes = [tuple(features.shape[1:]) for features, _ in levels[1:]]
    assert shapes == [
        (64, 128, 128),
        (128, 64, 64),
        (256, 32, 32),
        *((512, side, side) for side in (16, 8, 4, 2)),
    ]
    convs = [m for m in network.encoder.modules() if isinstance(m, PartialConv2d)]
    assert [conv.kernel_size for conv in convs] == [7, 5, 5, 3, 3, 3, 3]


def test_the_first_and_last_layers_alone_have_no_batch_norm_and_a_bias() -> None:
    network = PConvUNet(UNetConfig("pconv", TINY))
    convs = [m for m in network.modules() if isinstance(m, PartialConv2d)]
    assert [conv.bias is not None for conv in convs] == [True, *[False] * 6, True]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 6


@pytest.mark.parametrize(("kind", "k"), [("pconv", 0), ("sim", 0), ("sim", 1), ("sim", 3)])
def test_small_networks_have_at_most_4_million_parameters(kind: str, k: int) -> None:
    config = UNetConfig(kind, VARIANTS["small"], k)  # type: ignore[arg-type]
    assert sum(p.numel() for p in build_unet(config).parameters()) <= 4_000_000


@pytest.mark.parametrize("kind", ["pconv", "sim"])
def test_what_stands_in_the_hole_is_not_seen(kind: str) -> None:
    torch.manual_seed(0)
    network = build_unet(UNetConfig(kind, TINY)).eval()  # type: ignore[arg-type]
    photos, holes = torch.rand(1, 3, 32, 32), (torch.rand(1, 1, 32, 32) < 0.4).float()
    changed = torch.where(holes.bool(), 0.5, photos)
    assert torch.equal(network(photos, holes), network(changed, holes))
    assert not torch.allclose(network(photos, holes), network(photos, torch.zeros_like(holes)))


@pytest.mark.parametrize("variant", ["small", "paper-256"])
@pytest.mark.parametrize("side", [64, 128, 256])
def test_the_mask_is_filled_at_the_bottleneck(variant: str, side: int) -> None:
    widths = tuple(1 for _ in VARIANTS[variant])  # the mask's path does not depend on widths
    network = PConvUNet(UNetConfig("pconv", widths)).eval()
    half, centre = torch.zeros(2, 1, side, side)
    half[..., : side // 2] = 1
    centre[..., side // 8 : -side // 8, side // 8 : -side // 8] = 1  # 0.56 of the photo
    for hole in (half, centre):  # (1, side, side)
        levels = network.encode(torch.rand(1, 3, side, side), hole[None])
        assert not levels[-1][1].any()


def test_sim_k_reads_every_neighbor_and_refuses_another_number_of_them() -> None:
    torch.manual_seed(0)
    network = SimUNet(UNetConfig("sim", TINY, 3))
    photos, holes, neighbors = (
        torch.rand(1, 3, 16, 16),
        torch.ones(1, 1, 16, 16),
        torch.rand(1, 3, 3, 16, 16),
    )
    out = network(photos, holes, neighbors)
    for i in range(3):
        other = neighbors.clone()
        other[:, i] = 0
        assert not torch.allclose(network(photos, holes, other), out)
    with pytest.raises(InputError, match="Sim-3 needs 3 neighbors, not 2"):
        network(photos, holes, neighbors[:, :2])


def test_frozen_encoder_norms_stay_as_they_are_through_training() -> None:
    torch.manual_seed(0)
    network = PConvUNet(UNetConfig("pconv", TINY))
    photos, holes = torch.rand(4, 3, 32, 32), (torch.rand(4, 1, 32, 32) < 0.3).float()
    network(photos, holes)
    network.freeze_encoder_norm()
    assert network.train() is network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(photos, holes).sum().backward()
    optimizer.step()
    changed = {
        name for name, value in network.state_dict().items() if not value.equal(before[name])
    }
    assert not {name for name in changed if name.startswith("encoder") and "norm" in name}
    assert "encoder.1.conv.conv.weight" in changed
    assert "decoder.0.norm.running_mean" in changed


def test_a_network_that_cannot_be_is_refused() -> None:
    for kind, widths, k in (
        ("pconv", TINY, 1),
        ("sim", (), 0),
        ("sim", (4, 0), 0),
        ("gan", TINY, 0),
    ):
        with pytest.raises(InputError):
            UNetConfig(kind, widths, k)  # type: ignore[arg-type]


def test_more_neighbors_change_nothing_before_training() -> None:
    network = SimUNet(UNetConfig("sim", TINY, k=1))
    photos, holes = torch.rand(2, 3, 17, 32), (torch.rand(2, 1, 17, 32) < 0.3).float()
    neighbors = torch.rand(2, 3, 3, 17, 32)
    grown = more_neighbors(network, 3)
    assert grown.config.k == 3
    expected = network(photos, holes, neighbors[:, :1])
    torch.testing.assert_close(grown(photos, holes, neighbors), expected)


def test_no_tap_in_the_padding_gets_a_gradient_under_bfloat16() -> None:
    conv = Conv2d(16, 16, 3, 2, 1)
    for _ in range(20):  # what a skipped tap holds is left to chance
        conv.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            out = conv(torch.rand(32, 16, 1, 1).to(memory_format=torch.channels_last))
        out.float().sum().backward()
        assert conv.weight.grad is not None
        outer = conv.weight.grad.clone()
        outer[..., 1, 1] = 0
        assert not outer.any()
