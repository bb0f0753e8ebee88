import pytest
import torch
from torch import Tensor

from simpaint.index_build import crude_fills


@pytest.mark.parametrize("name", ["telea", "blur", "mean", "noise", "guess"])
def test_fills_keep_what_is_known_and_do_not_look_into_the_hole(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 64, 64), generator=generator) / 255
    masks = torch.zeros(3, 1, 64, 64)
    masks[:, :, 10:40, 20:50] = 1
    seeded = {"noise", "guess"}
    fill = getattr(crude_fills, name)

    def paint(photos: Tensor) -> Tensor:
        extra = [torch.Generator().manual_seed(1)] if name in seeded else []
        painted: Tensor = fill(photos, masks, *extra)
        return painted

    found = paint(images)
    known = masks.expand_as(images) == 0
    assert torch.equal(found[known], images[known])
    assert float((found - images).abs()[~known].mean()) > 0.05
    if name != "guess":  # which is made from the truth, and says so
        torch.testing.assert_close(paint(images * (1 - masks)), found)


def test_blur_of_one_colour_is_that_colour_at_any_size() -> None:
    images = torch.full((1, 3, 50, 50), 0.3)
    masks = torch.zeros(1, 1, 50, 50)
    masks[:, :, 5:45, 5:45] = 1
    torch.testing.assert_close(crude_fills.blur(images, masks), images)
