"""Weights files: what is saved comes back, and nothing else is taken."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from simpaint.errors import WeightsError
from simpaint.inpainter import checkpoint
from simpaint.inpainter.dcgan import Generator, GeneratorConfig
from simpaint.inpainter.unet import PConvUNet, SimUNet, UNetConfig

TINY = (4, 6)


@pytest.mark.parametrize(
    "network",
    [
        PConvUNet(UNetConfig("pconv", TINY)),
        SimUNet(UNetConfig("sim", TINY, 2)),
        Generator(GeneratorConfig(latent=4, width=2, size=16)),
    ],
)
def test_a_network_comes_back_with_its_notes(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    checkpoint.save(path, network, {"features": "simnet"})
    loaded = checkpoint.load(path, type(network))
    assert loaded.config == network.config
    assert not loaded.training
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert checkpoint.notes(path) == {"features": "simnet"}


def test_half_precision_halves_the_file_and_comes_back_as_float32(tmp_path: Path) -> None:
    network = SimUNet(UNetConfig("sim", (16, 32)))
    whole, half = tmp_path / "whole", tmp_path / "half"
    checkpoint.save(whole, network, {})
    checkpoint.save(half, network, {}, half=True)
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    loaded = checkpoint.load(half, SimUNet)
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float())


def test_names_are_those_of_the_shipped_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path)
    checkpoint.save(tmp_path / "mine.safetensors", PConvUNet(UNetConfig("pconv", TINY)), {})
    assert checkpoint.shipped() == ["mine"]
    assert isinstance(checkpoint.load("mine", PConvUNet), PConvUNet)
    with pytest.raises(WeightsError, match=r"shipped name \(mine\)"):
        checkpoint.load("yours", PConvUNet)
    with pytest.raises(WeightsError, match=r"shipped name \(none\)"):
        checkpoint.load("yours", SimUNet)


def test_a_shipped_name_may_be_a_path_unless_there_is_such_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = Path("pconv")
    assert checkpoint.load(name, PConvUNet).config == checkpoint.load("pconv", PConvUNet).config
    checkpoint.save(name, PConvUNet(UNetConfig("pconv", TINY)), {})
    assert checkpoint.load(name, PConvUNet).config.widths == TINY
    assert checkpoint.load("pconv", PConvUNet).config.widths != TINY


def test_other_files_are_refused_with_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    checkpoint.save(path, PConvUNet(UNetConfig("pconv", TINY)), {})
    with pytest.raises(WeightsError, match="expected weights of a SimUNet, found those of 'pconv'"):
        checkpoint.load(path, SimUNet)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="found another program's"):
        checkpoint.load(path, SimUNet)
    path.write_text("text")
    with pytest.raises(WeightsError, match="whole safetensors file"):
        checkpoint.load(path, SimUNet)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 0.9999), bit=st.integers(0, 7), cut=st.booleans())
def test_no_damage_goes_unnoticed(place: float, bit: int, cut: bool, tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    checkpoint.save(path, SimUNet(UNetConfig("sim", (2, 2))), {})
    whole = checkpoint.load(path, SimUNet).state_dict()
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    content[at] ^= 1 << bit
    path.write_bytes(content[:at] if cut else content)
    try:
        found = checkpoint.load(path, SimUNet)
    except WeightsError:
        return
    # A flip in the header's padding or notes changes nothing that is loaded.
    assert not cut
    assert all(torch.equal(found.state_dict()[name], value) for name, value in whole.items())
