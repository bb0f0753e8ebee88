import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from simpaint.inpainter.measure.metrics import METRICS, MOST_PSNR, composite_8bit, measure_filled


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three photos with errors inside their holes."""
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(0, 4, (3, 3, 40, 48)), axis=3) + 128
    truth = torch.from_numpy(smooth.clip(0, 255).astype(np.uint8))
    holes = torch.zeros(3, 1, 40, 48)
    holes[0, :, 10:20, 12:40] = holes[1, :, :, 24:] = holes[2, :, 3, 5] = 1
    painted = truth / 255 + torch.from_numpy(rng.normal(0, 0.1, (3, 3, 40, 48))).float()
    return composite_8bit(painted, truth, holes), truth, holes


def test_ssim_and_psnr_are_those_of_scikit_image(batch: tuple[torch.Tensor, ...]) -> None:
    found = measure_filled(*batch)
    for i, (a, b) in enumerate(zip(batch[0].numpy(), batch[1].numpy(), strict=True)):
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        ssim = structural_similarity(a, b, channel_axis=0, **options)  # type: ignore[no-untyped-call]
        psnr = peak_signal_noise_ratio(b, a)  # type: ignore[no-untyped-call]
        assert found["ssim"][i] == pytest.approx(ssim, abs=2e-5)
        assert found["psnr"][i] == pytest.approx(psnr, abs=1e-4)


def test_l1_and_sharpness_are_those_of_slow_loops(batch: tuple[torch.Tensor, ...]) -> None:
    found = measure_filled(*batch)
    filled, truth, holes = (x[1].numpy().astype(float) for x in batch)
    inside = [(c, y, x) for c in range(3) for y, x in zip(*np.nonzero(holes[0]), strict=True)]
    errors = [abs(filled[p] - truth[p]) / 255 for p in inside]
    assert found["l1_hole"][1] == pytest.approx(100 * np.mean(errors))
    assert found["l1"][1] == pytest.approx(100 * np.sum(errors) / truth.size)
    energy = [0.0, 0.0]
    for number, picture in enumerate((filled / 255, truth / 255)):
        for c, y, x in inside:
            for down, right in ((1, 0), (0, 1)):
                if y + down < 40 and x + right < 48 and holes[0, y + down, x + right]:
                    energy[number] += (picture[c, y + down, x + right] - picture[c, y, x]) ** 2
    assert found["sharpness"][1] == pytest.approx(energy[0] / energy[1], rel=1e-5)


def test_a_photo_alone_has_the_numbers_it_has_in_a_batch(batch: tuple[torch.Tensor, ...]) -> None:
    together = measure_filled(*batch)
    for i in range(3):
        alone = measure_filled(*(x[i : i + 1] for x in batch))
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], together[name][i], rtol=1e-6)


def test_no_error_is_the_most_psnr_and_a_hole_of_one_pixel_has_no_sharpness(
    batch: tuple[torch.Tensor, ...],
) -> None:
    _, truth, holes = batch
    found = measure_filled(truth, truth, holes)
    assert (found["psnr"] == MOST_PSNR).all()
    assert (found["l1"] == 0).all()
    np.testing.assert_allclose(found["sharpness"], [1, 1, np.nan])


def test_the_composite_keeps_known_pixels_and_rounds_painted_ones() -> None:
    truth = torch.full((1, 3, 2, 2), 9, dtype=torch.uint8)
    painted = (
        torch.tensor([-1.0, 100.4 / 255, 100.6 / 255, 2.0]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    )
    filled = composite_8bit(painted, truth, torch.tensor([1.0, 1, 1, 0]).view(1, 1, 2, 2))
    assert filled[0, 0].flatten().tolist() == [0, 100, 101, 9]


def test_sharpness_is_the_better_the_closer_to_one() -> None:
    badness = METRICS["sharpness"].badness(np.array([0.5, 0.9, 1.2]))
    np.testing.assert_allclose(badness, [0.5, 0.1, 0.2])
    assert (
        METRICS["psnr"].badness(np.array([30.0]))[0] < METRICS["psnr"].badness(np.array([20.0]))[0]
    )
