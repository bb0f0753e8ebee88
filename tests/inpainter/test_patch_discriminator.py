"""The judge of patches: what it judges, and its two losses."""

import torch

from simpaint.inpainter.patch_discriminator import (
    PatchDiscriminator,
    adversarial_loss,
    discriminator_loss,
)


def test_only_patches_about_the_hole_count() -> None:
    holes = torch.zeros(1, 1, 64, 64)
    holes[..., :16, :16] = 1
    verdicts, counts = PatchDiscriminator((4, 4, 4))(torch.rand(1, 3, 64, 64), holes)
    assert verdicts.shape == counts.shape == (1, 1, 7, 7)
    assert counts[..., 0, 0] == 1
    assert counts.sum() <= 9
    assert not counts[..., 3:, :].any()


def test_the_losses_are_means_over_the_patches_that_count() -> None:
    real, fake = torch.tensor([0.25, 9.0, 2.0]), torch.tensor([-3.0, 9.0, 0.5])
    counts = torch.tensor([1.0, 0.0, 1.0])
    torch.testing.assert_close(discriminator_loss(real, fake, counts), torch.tensor(2.25 / 2))
    torch.testing.assert_close(adversarial_loss(fake, counts), torch.tensor(2.5 / 2))
    assert adversarial_loss(fake, torch.zeros(3)) == 0
