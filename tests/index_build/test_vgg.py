import hashlib
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import VGG16_Weights, vgg16

from simpaint.errors import WeightsError
from simpaint.index_build import vgg


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(vgg.VGG16().state_dict())


@pytest.fixture
def pth(tmp_path: Path, state: dict[str, Tensor]) -> Path:
    torch.save({**state, "classifier.0.bias": torch.zeros(4096)}, tmp_path / "vgg.pth")
    return tmp_path / "vgg.pth"


def serve(pth: Path, digest: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pth.rename(pth.with_name(f"vgg16-{digest}.pth"))
    monkeypatch.setattr(vgg, "_URL", source.as_uri())
    monkeypatch.setattr(torch.hub, "_hub_dir", str(cache))


def test_the_weights_are_torchvisions() -> None:
    assert VGG16_Weights.IMAGENET1K_V1.url == vgg._URL


def test_equals_torchvisions_network_at_every_tap(state: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        theirs = vgg16(weights=None).features[:30]
    theirs.load_state_dict(
        {name.removeprefix("features."): value for name, value in state.items()}, assign=True
    )
    ours = vgg.VGG16()
    ours.load_state_dict(state)
    images = torch.rand(2, 3, 48, 48)
    x = (images - torch.tensor(vgg._MEAN).view(3, 1, 1)) / torch.tensor(vgg._STD).view(3, 1, 1)
    taps = (*vgg.POOLS, 28, vgg.LAST_CONV)
    for tap, found in zip(taps, ours(images, taps), strict=True):
        torch.testing.assert_close(found, theirs[: tap + 1](x))


def test_pth_and_safetensors_give_the_same_weights(pth: Path, state: dict[str, Tensor]) -> None:
    save_file(state, pth.with_suffix(".safetensors"))
    for path in (pth, pth.with_suffix(".safetensors")):
        assert all(
            torch.equal(value, state[name])
            for name, value in vgg.load_vgg16(path).state_dict().items()
        )


def test_another_networks_file_is_refused_by_name(pth: Path, state: dict[str, Tensor]) -> None:
    torch.save({**state, "features.28.weight": torch.zeros(512, 256, 3, 3)}, pth)
    with pytest.raises(WeightsError, match=r"vgg\.pth.*features\.28\.weight.*\(512, 512, 3, 3\)"):
        vgg.load_vgg16(pth)
    torch.save({name: value for name, value in state.items() if name != "features.0.bias"}, pth)
    with pytest.raises(WeightsError, match=r"vgg\.pth.*features\.0\.bias"):
        vgg.load_vgg16(pth)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut off"])
def test_damaged_files_are_one_line(tmp_path: Path, content: bytes) -> None:
    for name in ("w.pth", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=name) as caught:
            vgg.load_vgg16(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": Path}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match=r"evil\.pth"):
        vgg.load_vgg16(tmp_path / "evil.pth")


def test_download_checks_the_hash_and_fills_the_cache(
    pth: Path, tmp_path: Path, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(pth.read_bytes()).hexdigest()[:8]
    serve(pth, digest, tmp_path / "hub", monkeypatch)
    found = vgg.load_vgg16().state_dict()["features.0.weight"]
    assert torch.equal(found, state["features.0.weight"])
    assert (tmp_path / "hub" / "checkpoints" / f"vgg16-{digest}.pth").exists()


def test_a_download_with_another_hash_leaves_nothing(
    pth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(pth, "00000000", tmp_path / "hub", monkeypatch)
    with pytest.raises(WeightsError, match="hash"):
        vgg.load_vgg16()
    assert not list((tmp_path / "hub" / "checkpoints").iterdir())


def test_without_network_the_message_says_where_to_put_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setattr(vgg, "_URL", f"http://127.0.0.1:{port}/vgg16-397923af.pth")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    with pytest.raises(WeightsError, match=r"--weights FILE") as caught:
        vgg.load_vgg16()
    assert str(tmp_path / "checkpoints" / "vgg16-397923af.pth") in str(caught.value)
