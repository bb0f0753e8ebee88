"""The generator and its training step."""

import pytest
import torch
from torch import nn

from simpaint.errors import InputError
from simpaint.inpainter.dcgan import (
    DCGANTask,
    Discriminator,
    Generator,
    GeneratorConfig,
    generate_faces,
)


@pytest.mark.parametrize("size", [8, 32, 64])
def test_pictures_have_the_size_and_lie_in_0_1(size: int) -> None:
    config = GeneratorConfig(latent=5, width=2, size=size)
    pictures = Generator(config)(torch.rand(3, 5) * 2 - 1)
    assert pictures.shape == (3, 3, size, size)
    assert 0 <= pictures.min() <= pictures.max() <= 1
    assert Discriminator(config)(pictures).shape == (3,)


def test_a_seeds_first_faces_do_not_depend_on_their_number() -> None:
    generator = Generator(GeneratorConfig(latent=7, width=2, size=8)).eval()
    few, many = generate_faces(generator, 3, seed=1), generate_faces(generator, 70, seed=1)
    torch.testing.assert_close(few, many[:3])
    assert not torch.equal(few, generate_faces(generator, 3, seed=2))


def test_it_is_built_as_in_the_paper() -> None:
    layers = [*Generator(GeneratorConfig()).layers]
    convs = [layer for layer in layers if isinstance(layer, nn.ConvTranspose2d)]
    assert [conv.in_channels for conv in convs] == [100, 512, 256, 128, 64]
    assert all(conv.kernel_size == (4, 4) for conv in convs)
    assert isinstance(layers[-1], nn.ConvTranspose2d)  # no norm at the output
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in layers) == 4


def test_each_network_is_moved_by_its_own_loss() -> None:
    torch.manual_seed(0)
    task = DCGANTask(GeneratorConfig(latent=4, width=2, size=16))
    batch = {
        "photos": torch.randint(0, 256, (4, 16, 16, 3), dtype=torch.uint8),
        "latents": torch.rand(4, 4),
    }
    updates = task.updates(task.trained, batch)
    first = next(updates)
    first.loss.backward()  # type: ignore[no-untyped-call]
    assert first.network == "discriminator"
    assert all(p.grad is None for p in task.trained["generator"].parameters())
    second = next(updates)
    second.loss.backward()  # type: ignore[no-untyped-call]
    assert second.network == "generator"
    assert all(p.grad is not None for p in task.trained["generator"].parameters())
    assert list(updates) == []


def test_the_discriminator_is_spectrally_normalised() -> None:
    torch.manual_seed(0)
    network = Discriminator(GeneratorConfig(width=2, size=16))
    for _ in range(50):  # a power iteration a pass
        network(torch.rand(1, 3, 16, 16))
    for layer in network.layers:
        if isinstance(layer, nn.Conv2d):
            norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
            assert norm.item() == pytest.approx(1, rel=0.01)


def test_a_size_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(InputError):
        GeneratorConfig(size=48)
