"""Our own network: any K, any order, any size, and pixels that are really copied."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from simpaint.errors import InputError
from simpaint.inpainter.copy_unet import CopyConfig, CopyUNet, _Matching, _moved
from simpaint.inpainter.crispness import borrowed_detail
from simpaint.inpainter.painters import neighbors_of
from simpaint.inpainter.thin_plate import thin_plate

TINY = CopyConfig(widths=(4, 4, 8, 8), blocks=1)


def network() -> CopyUNet:
    """With weights that make every part count."""
    torch.manual_seed(0)
    built = CopyUNet(TINY).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return built


def inputs(k: int, size: tuple[int, int] = (32, 32)) -> tuple[torch.Tensor, ...]:
    rng = torch.Generator().manual_seed(1)
    photos, coarse = torch.rand(2, 2, 3, *size, generator=rng)
    holes = (torch.rand(2, 1, *size, generator=rng) < 0.3).float()
    return photos, holes, coarse, torch.rand(2, k, 3, *size, generator=rng)


@pytest.mark.parametrize("size", [(32, 32), (17, 23), (8, 40)])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_any_size_and_any_number_of_neighbors(size: tuple[int, int], k: int) -> None:
    given = inputs(k, size)
    assert network()(*given).shape == given[0].shape


def test_fewer_neighbors_than_none_are_refused() -> None:
    assert [neighbors_of(network(), k) for k in (0, 5, None)] == [0, 5, 3]
    with pytest.raises(InputError, match="-k -1: expected 0 or more"):
        neighbors_of(network(), -1)


@torch.no_grad()
def test_the_order_of_neighbors_does_not_matter() -> None:
    photos, holes, coarse, neighbors = inputs(3)
    built = network()
    expected = built(photos, holes, coarse, neighbors)
    torch.testing.assert_close(built(photos, holes, coarse, neighbors[:, [2, 0, 1]]), expected)


@torch.no_grad()
def test_what_stands_in_the_hole_or_coarse_outside_it_is_not_seen() -> None:
    photos, holes, coarse, neighbors = inputs(1)
    built = network()
    expected = built(photos, holes, coarse, neighbors)
    other = built(
        torch.where(holes.bool(), 0.5, photos),
        holes,
        torch.where(holes.bool(), coarse, 0.9),
        neighbors,
    )
    torch.testing.assert_close(other, expected)


@torch.no_grad()
def test_a_mirrored_photo_is_painted_as_the_photo_mirrored() -> None:
    given, built = inputs(2, (16, 21)), network()
    mirrored = built(*(x.flip(-1) for x in given))
    torch.testing.assert_close(mirrored.flip(-1), built(*given), atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_before_training_it_blends_its_three_fillings() -> None:
    photos, holes, coarse, neighbors = inputs(2)
    smooth = thin_plate(photos, holes).clamp(0, 1)
    mirror = torch.where(holes.bool(), smooth, photos).flip(-1)
    copied = (mirror + neighbors.sum(dim=1)) / 3
    fillings = [smooth, torch.where(holes.bool(), coarse, photos), copied]
    shares = torch.tensor([2.0, 0.0, 0.0]).softmax(dim=0)
    expected = sum(share * filling for share, filling in zip(shares, fillings, strict=True))
    torch.testing.assert_close(CopyUNet(TINY)(photos, holes, coarse, neighbors), expected)


@torch.no_grad()
def test_what_the_mirror_puts_into_the_hole_is_looked_at() -> None:
    photos, _, coarse, neighbors = inputs(0)
    holes = torch.zeros(2, 1, 32, 32)
    holes[..., 4:12, 4:12] = 1
    built = network()
    before = built(photos, holes, coarse, neighbors)
    opposite = photos.clone()
    opposite[..., 4:12, -12:-4] = 0.5  # what the mirror puts into the hole
    inside = (slice(None), slice(None), slice(4, 12), slice(4, 12))
    assert (built(opposite, holes, coarse, neighbors) - before)[inside].abs().max() > 1e-4


def test_a_shift_moves_pixels_by_that_share_of_the_side() -> None:
    pixels = torch.rand(1, 3, 10, 20)
    shift = torch.zeros(1, 2, 10, 20)
    shift[:, 0] = 2 * 3 / 20  # three pixels from the right
    shift[:, 1] = 2 * 2 / 10  # two from below
    torch.testing.assert_close(
        _moved(pixels, shift)[..., :8, :17], pixels[..., 2:, 3:], atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_copies_are_recoloured_by_half_as_much_again_and_half_of_white_at_most() -> None:
    matching = _Matching(4, 0.1)
    here, there, pixels = torch.rand(2, 4, 8, 8), torch.rand(2, 4, 8, 8), torch.rand(2, 3, 16, 16)
    tone = torch.tensor([0.3, -0.2, 9.0, 0.1, -9.0, 0.0])  # gain, then offset, of each channel
    matching.tone.bias.copy_(tone)  # type: ignore[union-attr]
    gain, offset = 1 + 0.5 * tone[:3].tanh(), 0.5 * tone[3:].tanh()
    assert float(gain[2]) == pytest.approx(1.5)
    assert float(offset[1]) == pytest.approx(-0.5)
    copied = matching(here, there, pixels)[1]
    wanted = gain.view(3, 1, 1) * pixels + offset.view(3, 1, 1)
    torch.testing.assert_close(copied, wanted, atol=1e-5, rtol=0)


@torch.no_grad()
def test_crispness_adds_detail_of_what_was_copied_of_the_mirror_and_neighbors() -> None:
    photos, holes, coarse, neighbors = inputs(1, (12, 21))
    holes[:, :, 2:, :14] = 1
    plain, crisp = CopyUNet(TINY), CopyUNet(TINY)  # both copy the mean
    crisp.config = replace(crisp.config, crispness=0.5)
    before, after = (one(photos, holes, coarse, neighbors) for one in (plain, crisp))
    filled = torch.where(holes.bool(), before, photos)
    mirror = torch.cat([thin_plate(photos, holes).clamp(0, 1), 1 - holes], dim=1).flip(-1)
    mirror[:, :3] = torch.where(mirror[:, 3:].bool(), photos.flip(-1), mirror[:, :3])
    similar = torch.stack([mirror, torch.cat([neighbors[:, 0], torch.ones_like(holes)], 1)], 1)
    borrowed = borrowed_detail(filled, holes, similar, similar[:, :, :3].mean(1), 0.5)
    assert borrowed.any()
    torch.testing.assert_close(after, before + borrowed)
    torch.testing.assert_close(crisp.train()(photos, holes, coarse, neighbors), after)


@torch.no_grad()
def test_photos_without_a_face_are_given_no_detail_of_faces() -> None:
    photos, holes, coarse, neighbors = inputs(2, (12, 21))
    holes[:, :, 2:, :14] = 1
    plain, crisp = CopyUNet(TINY).eval(), CopyUNet(replace(TINY, crispness=0.5)).eval()
    one, other = plain(photos, holes, coarse, neighbors), crisp(photos, holes, coarse, neighbors)
    assert not torch.equal(one[1], other[1])
    mixed = crisp(photos, holes, coarse, neighbors, torch.tensor([True, False]))
    assert torch.equal(mixed, torch.stack([other[0], one[1]]))


def test_speckles_are_taken_away_in_use_and_not_in_training() -> None:
    photos, holes, coarse, neighbors = inputs(1, (24, 25))
    holes[:, :, 2:22, 3:23] = 1
    network = CopyUNet(replace(TINY, crispness=0.5))
    with torch.no_grad():
        assert network.last.bias is not None
        network.last.bias[3 + 1] = 30  # it paints the coarse picture, which is noise
    smooth = 0.5 + 0.05 * (neighbors - 0.5)
    with torch.no_grad():
        trained = network.train()(photos, holes, coarse, smooth)
        used = network.eval()(photos, holes, coarse, smooth)
    torch.testing.assert_close(trained * holes, coarse * holes)
    deep = np.s_[..., 8:16, 9:17]
    assert used[deep].diff().square().mean() < 0.5 * trained[deep].diff().square().mean()
    assert torch.equal(used * (1 - holes), trained * (1 - holes))


@pytest.mark.parametrize(
    "wrong", [{"widths": (4, 4)}, {"reach": 2.0}, {"blocks": -1}, {"crispness": -0.1}]
)
def test_a_configuration_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        CopyConfig(**wrong)  # type: ignore[arg-type]
