import numpy as np
import torch

from simpaint.data.tensors import to_images, to_pixels

PIXELS = np.arange(2 * 5 * 4 * 6 * 3).astype(np.uint8).reshape(2, 5, 4, 6, 3)  # every number


def test_images_are_pixels_over_255_with_channels_first() -> None:
    images = to_images(PIXELS)
    assert images.dtype == torch.float32
    expected = np.moveaxis(PIXELS.astype(np.float32) / np.float32(255), -1, -3)
    np.testing.assert_array_equal(images, expected)
    assert torch.equal(to_images(torch.from_numpy(PIXELS)), images)
    assert torch.equal(to_images(PIXELS.astype(np.float64)), images)
    assert to_images(PIXELS[0]).is_contiguous(memory_format=torch.channels_last)


def test_pixels_come_back() -> None:
    for pixels in (PIXELS, PIXELS[0], PIXELS[0, 0]):
        back = to_pixels(to_images(pixels))
        assert back.dtype == np.uint8
        assert back.flags.c_contiguous
        np.testing.assert_array_equal(back, pixels)


def test_other_numbers_are_clamped_and_rounded() -> None:
    images = torch.tensor([-torch.inf, -1, -0.4 / 255, 100.4 / 255, 100.6 / 255, torch.inf])
    assert to_pixels(images.view(3, 2, 1)).tolist() == [[[0, 0, 101]], [[0, 100, 255]]]
