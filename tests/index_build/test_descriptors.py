from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from simpaint.errors import InputError, WeightsError
from simpaint.index_build.descriptors import (
    DescriptorConfig,
    Whitened,
    Whitening,
    load_descriptor,
)
from simpaint.index_build.simnet import WEIGHTS
from simpaint.index_build.tensors import write_tensors
from simpaint.index_build.vgg import VGG16, load_vgg16


@pytest.fixture(scope="module")
def random_vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vgg") / "random.safetensors"
    write_tensors(path, VGG16().state_dict())
    return path


def random(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_simnet_gives_unit_rows_that_do_not_depend_on_the_batch() -> None:
    simnet = load_descriptor(DescriptorConfig(), "cpu")
    images = random(5, simnet.input_size)
    together = simnet(images)
    assert together.shape == (5, simnet.d)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(torch.cat([simnet(one[None]) for one in images]), together)


def test_shipped_weights_stay_small() -> None:
    assert WEIGHTS.stat().st_size <= 4 << 20


@pytest.mark.parametrize(("pooling", "d"), [("grid", 8192), ("gem", 512), ("avg", 512)])
def test_vgg_pools_as_a_slow_loop_does(random_vgg: Path, pooling: str, d: int) -> None:
    config = DescriptorConfig("vgg16", pooling, weights=random_vgg)  # type: ignore[arg-type]
    described = load_descriptor(config, "cpu")
    images = random(1, described.input_size)
    vgg = VGG16()
    vgg.load_state_dict(load_vgg16(random_vgg).state_dict())
    features = vgg(images)[0][0].numpy().astype(np.float64)
    slow = np.empty((512, 16 if pooling == "grid" else 1))
    for channel, plane in enumerate(features):
        if pooling == "grid":  # adaptive pooling's cells of 14 on 4: 0-4, 3-7, 7-11, 10-14
            edges = [(0, 4), (3, 7), (7, 11), (10, 14)]
            slow[channel] = [plane[a:b, c:e].mean() for a, b in edges for c, e in edges]
        elif pooling == "gem":
            slow[channel] = np.mean(np.maximum(plane, 1e-6) ** 3) ** (1 / 3)
        else:
            slow[channel] = plane.mean()
    expected = slow.ravel() / np.linalg.norm(slow)
    assert described.d == d == expected.size
    np.testing.assert_allclose(described(images)[0].numpy(), expected, atol=1e-5)


def test_vgg_flatten_is_the_whole_map(random_vgg: Path) -> None:
    described = load_descriptor(DescriptorConfig("vgg16", "flatten", weights=random_vgg), "cpu")
    assert described(random(1, described.input_size)).shape == (1, described.d)


def test_equal_weights_hash_equally_and_others_do_not(random_vgg: Path, tmp_path: Path) -> None:
    state = load_vgg16(random_vgg).state_dict()
    torch.save(state, tmp_path / "same.pth")
    state["features.0.bias"] = state["features.0.bias"] + 1
    torch.save(state, tmp_path / "other.pth")
    first, same, other = (
        load_descriptor(DescriptorConfig("vgg16", "avg", weights=path), "cpu").weights_sha256
        for path in (random_vgg, tmp_path / "same.pth", tmp_path / "other.pth")
    )
    assert first == same != other


def test_wrong_squares_and_options_are_refused(random_vgg: Path) -> None:
    simnet = load_descriptor(DescriptorConfig(), "cpu")
    with pytest.raises(InputError, match=r"expected float \(B, 3, 64, 64\)"):
        simnet(torch.zeros(2, 3, 32, 64))
    with pytest.raises(InputError, match="float"):
        simnet(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(InputError, match="pooling gem"):
        load_descriptor(DescriptorConfig("simnet", "gem"))
    with pytest.raises(WeightsError, match="body"):
        load_descriptor(DescriptorConfig("simnet", weights=random_vgg))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said_before_work_starts() -> None:
    with pytest.raises(InputError, match="--device cuda"):
        load_descriptor(DescriptorConfig(), "cuda")


@pytest.mark.parametrize(("count", "dimensions"), [(500, 24), (40, 64)])
def test_whitening_decorrelates_to_unit_variance(count: int, dimensions: int) -> None:
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(count, dimensions)) @ rng.normal(size=(dimensions, dimensions))
    whitening = Whitening.fit(torch.from_numpy(sample).float(), 8)
    white = (sample - whitening.mean.numpy()) @ whitening.matrix.numpy()
    np.testing.assert_allclose(np.cov(white.T), np.eye(8), atol=2e-3)
    spread = np.linalg.svd(sample - sample.mean(0))[1][:8] / np.sqrt(count - 1)
    scale = np.linalg.norm(whitening.matrix.numpy(), axis=0)
    np.testing.assert_allclose(1 / scale, spread, rtol=1e-3)  # the directions of most variance


def test_whitening_survives_directions_without_variance() -> None:
    sample = torch.cat([random(6, 4).flatten(1)[:, :5].repeat(4, 1), torch.zeros(24, 3)], 1)
    rows = Whitening.fit(sample + torch.linspace(0, 1, 24)[:, None], 8)(sample)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(24))


def test_whitening_refuses_more_dimensions_than_the_sample_has() -> None:
    with pytest.raises(InputError, match="--pca 9"):
        Whitening.fit(torch.rand(9, 20), 9)


@pytest.mark.parametrize("dimensions", [6, 20])
@pytest.mark.parametrize("noise", [0, 1e-7])
def test_whitening_refuses_a_sample_of_one_photo_many_times(dimensions: int, noise: float) -> None:
    generator = torch.Generator().manual_seed(0)
    sample = torch.nn.functional.normalize(torch.rand(1, dimensions, generator=generator), dim=1)
    alike = sample + noise * torch.rand(12, dimensions, generator=generator)
    with pytest.raises(InputError, match="--pca 4: expected photos that differ, found 12"):
        Whitening.fit(alike, 4)
    assert Whitening.fit(sample + 1e-3 * torch.rand(12, dimensions), 4).matrix.isfinite().all()


def test_whitening_comes_back_from_disk_and_damage_is_seen(tmp_path: Path) -> None:
    whitening = Whitening.fit(torch.rand(50, 12), 4)
    whitening.save(tmp_path / "w.safetensors")
    again = Whitening.load(tmp_path / "w.safetensors")
    vectors = torch.rand(3, 12)
    assert torch.equal(again(vectors), whitening(vectors))
    write_tensors(tmp_path / "w.safetensors", {"mean": torch.zeros(5), "matrix": torch.zeros(4, 2)})
    with pytest.raises(WeightsError, match=r"w\.safetensors.*matrix"):
        Whitening.load(tmp_path / "w.safetensors")
    write_tensors(
        tmp_path / "w.safetensors",
        {"mean": torch.full((4,), torch.nan), "matrix": torch.ones(4, 2)},
    )
    with pytest.raises(WeightsError, match="finite"):
        Whitening.load(tmp_path / "w.safetensors")


def test_a_whitened_descriptor_is_a_descriptor_of_fewer_dimensions() -> None:
    simnet = load_descriptor(DescriptorConfig(), "cpu")
    images = random(20, simnet.input_size)
    whitened = Whitened(simnet, Whitening.fit(simnet(images), 6))
    assert whitened(images).shape == (20, 6)
    assert whitened.config["pca"] == 6
    torch.testing.assert_close(whitened(images).norm(dim=1), torch.ones(20))
    with pytest.raises(WeightsError, match="expected one for 256 dimensions, found 12"):
        Whitened(simnet, Whitening.fit(torch.rand(50, 12), 4))
