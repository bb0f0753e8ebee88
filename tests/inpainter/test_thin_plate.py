"""The smooth filling, beside scikit-image's solution of the same equation."""

import numpy as np
import torch
from skimage.data import astronaut
from skimage.restoration import inpaint_biharmonic

from simpaint.inpainter.thin_plate import thin_plate


def photo_and_hole() -> tuple[torch.Tensor, torch.Tensor]:
    photo = torch.from_numpy(astronaut()[60:188, 160:288].copy())  # type: ignore[no-untyped-call]
    hole = torch.zeros(1, 1, 128, 128)
    hole[..., 40:47, 20:100] = 1
    hole[..., 10:110, 70:76] = 1
    return photo.permute(2, 0, 1)[None].float() / 255, hole


def test_thin_holes_are_filled_as_the_biharmonic_equation_has_it() -> None:
    photo, hole = photo_and_hole()
    exact = inpaint_biharmonic(
        photo[0].permute(1, 2, 0).numpy(), hole[0, 0].numpy() > 0, channel_axis=-1
    )
    found = thin_plate(photo, hole, 100)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - exact).max() < 0.02
    quick = thin_plate(photo, hole)[0].permute(1, 2, 0).numpy()
    assert np.abs(quick - exact)[hole[0, 0] > 0].mean() < 0.015


def test_a_plane_is_continued_exactly_and_the_hole_is_not_seen() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 1, 37), torch.linspace(0, 1, 50), indexing="ij")
    plane = (0.3 * x + 0.5 * y)[None, None]
    hole = torch.zeros_like(plane)
    hole[..., 10:22, 15:30] = 1
    spoilt = torch.where(hole > 0, 7.0, plane)
    torch.testing.assert_close(thin_plate(spoilt, hole, 100), plane, atol=1e-3, rtol=0)
    assert torch.equal(thin_plate(spoilt, hole), thin_plate(plane, hole))


def test_a_whole_hole_stays_finite() -> None:
    assert thin_plate(torch.rand(1, 3, 9, 16), torch.ones(1, 1, 9, 16)).isfinite().all()
