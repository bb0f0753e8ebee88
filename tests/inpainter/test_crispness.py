"""Detail is borrowed until its energy is as similar photos have it, told by a loop over pixels."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from simpaint.inpainter.crispness import borrowed_detail, without_speckles

Maps = NDArray[np.float64]
MOST = 8


def around(values: Maps, y: int, x: int, reach: int) -> Maps:
    rows = slice(max(0, y - reach), y + reach + 1)
    return values[..., rows, max(0, x - reach) : x + reach + 1]


def slow_mean(values: Maps, reach: int) -> Maps:
    """Over the rows, then over the columns, as far as there are any."""
    height, width = values.shape[-2:]
    places = [(y, x) for y in range(height) for x in range(width)]
    means = [around(values, *place, reach).mean((-2, -1)) for place in places]
    return np.moveaxis(np.array(means), 0, -1).reshape(values.shape)


def steps(maps: Maps) -> Maps:
    right, down = np.zeros_like(maps), np.zeros_like(maps)
    right[..., :-1] = np.diff(maps, axis=-1)
    down[..., :-1, :] = np.diff(maps, axis=-2)
    return np.concatenate([right, down], axis=-3)


def bands(maps: Maps) -> list[Maps]:
    coarser = slow_mean(maps, 1)
    return [maps - coarser, coarser - slow_mean(slow_mean(coarser, 1), 2)]


def usual_energies(own: Maps, theirs: Maps, seen: Maps, known: Maps) -> Maps:
    """Of a band, that of each similar photo, as if it were as sharp as this one."""
    energies = (steps(theirs) ** 2).sum(1)
    energy = (steps(own) ** 2).sum(0)
    as_sharp = (np.sqrt(energy) * seen).sum((1, 2)) / (np.sqrt(energies) * seen).sum((1, 2))
    assert (as_sharp < 4).all()
    usual: Maps = energies * known * as_sharp[:, None, None] ** 2
    return usual


def slow_borrowed(filled: Maps, hole: Maps, similar: Maps, copied: Maps, share: float) -> Maps:
    pixels, known = similar[:, :3], similar[:, 3]
    out = np.zeros_like(filled)
    for own, given, theirs in zip(bands(filled), bands(copied), bands(pixels), strict=True):
        usual = usual_energies(own, theirs, known * (1 - hole), known)
        energy = (steps(own) ** 2).sum(0)
        products = energy, (steps(own) * steps(given)).sum(0), (steps(given) ** 2).sum(0)
        for y, x in np.argwhere(hole[0] == 1):
            inside = around(hole[0], y, x, 8)
            wanted = around(usual, y, x, 8).sum() / around(known, y, x, 8).sum()
            has, mixed, gives = (
                (around(product, y, x, 8) * inside).sum() / inside.sum() for product in products
            )
            missing = share * max(wanted - has, 0)
            gain = missing / (max(mixed, 0) + np.sqrt(mixed**2 + gives * missing))
            if mixed > 0:
                assert has + 2 * gain * mixed + gain**2 * gives == pytest.approx(has + missing)
            out[:, y, x] += inside.mean() ** 2 * min(gain, MOST) * given[:, y, x]
    return out


def slow_calmed(filled: Maps, hole: Maps, similar: Maps) -> Maps:
    pixels, known = similar[:, :3], similar[:, 3]
    own = bands(filled)[0]
    usual = usual_energies(own, bands(pixels)[0], known * (1 - hole), known)
    energy = (steps(own) ** 2).sum(0)
    out: Maps = filled.copy()
    for y, x in np.argwhere(hole[0] == 1):
        inside = around(hole[0], y, x, 8)
        wanted = around(usual, y, x, 8).sum() / around(known, y, x, 8).sum()
        has = (around(energy, y, x, 8) * inside).sum() / inside.sum()
        kept = min(1, np.sqrt(wanted / has))
        out[:, y, x] -= inside.mean() ** 2 * (1 - kept) * own[:, y, x]
    return out


def example() -> tuple[Maps, Maps, Maps, Maps]:
    """A filled photo, its hole, similar photos and what was copied of them."""
    rng = np.random.default_rng(0)
    filled = rng.random((3, 20, 23)) * 0.5
    hole = np.zeros((1, 20, 23))
    hole[:, 4:, :15] = 1
    filled[:, hole[0] == 1] *= np.linspace(0.1, 1, 15)[None].repeat(16, 0).ravel()
    similar = rng.random((2, 4, 20, 23)) * np.array([0.9, 0.9, 0.9, 1])[None, :, None, None]
    similar[0, 3], similar[1, 3] = 1, rng.random((20, 23)) < 0.5
    return filled, hole, similar, rng.random((3, 20, 23)) * 0.1 + 0.3 * filled


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_gain_is_the_loops(share: float) -> None:
    filled, hole, similar, copied = (torch.from_numpy(part)[None].float() for part in example())
    found = borrowed_detail(filled, hole, similar, copied, share)
    wanted = slow_borrowed(*example(), share)
    assert np.abs(wanted).max() > 0.03
    torch.testing.assert_close(found[0].double(), torch.from_numpy(wanted), atol=2e-4, rtol=2e-3)


def test_what_is_left_of_speckles_is_the_loops() -> None:
    filled, hole, similar, _ = example()
    filled *= 1 + 2 * hole  # some of it rougher than the similar photos
    photos, holes, others = (
        torch.from_numpy(part)[None].float() for part in (filled, hole, similar)
    )
    found = without_speckles(photos, holes, others)
    wanted = slow_calmed(filled, hole, similar)
    assert np.abs(wanted - filled).max() > 0.03
    torch.testing.assert_close(found[0].double(), torch.from_numpy(wanted), atol=2e-4, rtol=2e-3)


def energy(maps: Tensor) -> float:
    """Deep in the hole of `scene`."""
    part = maps[..., 20:44, 20:44].numpy()
    return float((steps(part) ** 2).mean())


def scene(texture: float) -> tuple[Tensor, Tensor, Tensor]:
    """A rough wall, a hole in it, and another wall, `texture` times as rough."""
    rng = torch.Generator().manual_seed(0)
    wall, other = 0.5 + 0.05 * torch.randn(2, 1, 3, 64, 64, generator=rng)
    hole = torch.zeros(1, 1, 64, 64)
    hole[..., 6:58, 6:58] = 1
    similar = torch.cat([0.5 + texture * (other - 0.5), torch.ones(1, 1, 64, 64)], dim=1)
    return wall, hole, similar[:, None]


@pytest.mark.parametrize("texture", [0.5, 1.0, 2.0])
def test_a_faint_filling_becomes_as_rough_as_the_wall_however_rough_the_neighbors(
    texture: float,
) -> None:
    wall, hole, similar = scene(texture)
    faint = wall * (1 - hole) + (0.5 + 0.4 * (wall - 0.5)) * hole
    assert energy(faint) < 0.2 * energy(wall)
    made = faint + borrowed_detail(faint, hole, similar, similar[:, 0, :3], 1.0)
    assert 0.85 < energy(made) / energy(wall) < 1.15
    assert torch.equal(made * (1 - hole), faint * (1 - hole))


def test_nothing_is_taken_to_be_more_than_four_times_as_rough_as_a_similar_photo() -> None:
    wall, hole, similar = scene(0.1)
    faint = wall * (1 - hole) + (0.5 + 0.01 * (wall - 0.5)) * hole
    other = scene(1.0)[2][:, 0, :3]
    made = faint + borrowed_detail(faint, hole, similar, other, 1.0)
    assert 0.85 < energy(made) / energy(wall) / (4 * 0.1) ** 2 < 1.15


def test_nothing_is_added_to_what_is_rough_enough_or_where_nothing_tells_how_rough() -> None:
    wall, hole, similar = scene(1.0)
    rough = wall * (1 - hole) + (0.5 + 1.5 * (wall - 0.5)) * hole
    copied = similar[:, 0, :3]
    assert not borrowed_detail(rough, hole, similar, copied, 1.0).any()
    faint = wall * (1 - hole) + (0.5 + 0.4 * (wall - 0.5)) * hole
    similar[:, :, 3] = 0
    assert not borrowed_detail(faint, hole, similar, copied, 1.0).any()


def test_of_what_is_too_rough_the_finest_detail_alone_is_brought_down() -> None:
    wall, hole, similar = scene(1.0)
    rough = wall * (1 - hole) + (0.5 + 2 * (wall - 0.5)) * hole
    calm = without_speckles(rough, hole, similar)
    assert torch.equal(calm * (1 - hole), rough * (1 - hole))
    deep = np.s_[:, 20:44, 20:44]
    (fine, coarse), (wall_fine, wall_coarse), (rough_fine, _) = (
        [(steps(band) ** 2)[deep].mean() for band in bands(x[0].numpy())]
        for x in (calm, wall, rough)
    )
    assert rough_fine > 3.5 * wall_fine
    assert 0.85 < fine / wall_fine < 1.15
    assert coarse > 1.3 * wall_coarse


def test_nothing_is_taken_from_what_is_smooth_or_where_nothing_tells_how_rough() -> None:
    wall, hole, similar = scene(1.0)
    faint, rough = (
        wall * (1 - hole) + (0.5 + strength * (wall - 0.5)) * hole for strength in (0.4, 2)
    )
    assert torch.equal(without_speckles(faint, hole, similar), faint)
    similar[:, :, 3] = 0
    assert torch.equal(without_speckles(rough, hole, similar), rough)


def test_no_more_than_so_many_times_what_was_copied_is_added() -> None:
    wall, hole, similar = scene(1.0)
    faint = wall * (1 - hole) + 0.5 * hole
    copied = 0.01 * similar[:, 0, :3]
    added = borrowed_detail(faint, hole, similar, copied, 1.0)
    detail = torch.from_numpy(np.sum(bands(copied[0].numpy()), axis=0))
    torch.testing.assert_close(added[0, :, 28:36, 28:36], MOST * detail[:, 28:36, 28:36])


def test_copies_gain_nothing_by_being_fainter() -> None:
    wall, hole, similar = scene(1.0)
    faint = wall * (1 - hole) + 0.5 * hole
    copied = (0.01 * similar[:, 0, :3]).requires_grad_()
    added = borrowed_detail(faint, hole, similar, copied, 1.0)
    added.square().sum().backward()  # type: ignore[no-untyped-call]
    assert copied.grad is not None
    along = (copied.grad * copied.detach()).sum()  # as if all of it became stronger
    assert abs(along) < 1e-3 * (copied.grad * copied.detach()).abs().sum()


def test_what_is_wanted_is_no_reason_to_change_the_photo_beside_the_hole() -> None:
    filled, hole, similar, copied = (torch.from_numpy(part)[None].float() for part in example())
    filled.requires_grad_()
    borrowed_detail(filled, hole, similar, copied, 1.0).square().sum().backward()  # type: ignore[no-untyped-call]
    assert filled.grad is not None
    assert filled.grad[hole.bool().expand_as(filled)].any()
    assert not filled.grad[..., 20:].any()  # beyond the reach of the bands of what is in the hole


def test_gradients_are_finite_where_nothing_is_missing_or_all_is_flat() -> None:
    wall, hole, similar = scene(1.0)
    for filled in (wall, torch.full_like(wall, 0.5), wall * (1 - hole)):
        given = filled.clone().requires_grad_()
        copied = given.detach().flip(-1).requires_grad_()
        borrowed_detail(given, hole, similar, copied, 1.0).square().sum().backward()  # type: ignore[no-untyped-call]
        for leaf in (given, copied):
            assert leaf.grad is not None
            assert leaf.grad.isfinite().all()
