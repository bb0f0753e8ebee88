import numpy as np
import pytest

from simpaint.inpainter.whole.moved import Copies

OFFSETS = np.array([(0, 3), (-2, -1), (40, 0)])
BOX = slice(2, 7), slice(1, 9)


@pytest.mark.parametrize("beside", [(0, 0), (1, 0), (0, -1), (-3, 2)])
def test_copies_show_the_photo_moved(beside: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    photo, smooth = rng.random((2, 10, 12, 3)).astype(np.float32)
    closed = rng.random((10, 12)) < 0.3
    copies = Copies(photo, smooth, closed, OFFSETS)
    labels = rng.integers(0, 4, (5, 8, 2))
    colours, seen = copies.at(BOX, labels, *beside)
    for y, x, m in np.ndindex(labels.shape):
        label = labels[y, x, m]
        offset = OFFSETS[label] if label < 3 else (0, 0)
        v, u = np.sum([(2, 1), (y, x), beside, offset], axis=0)
        inside = 0 <= v < 10 and 0 <= u < 12
        assert seen[y, x, m] == (inside and (label == 3 or not closed[v, u]))
        if inside:
            wanted = photo if label < 3 else smooth
            np.testing.assert_array_equal(colours[y, x, m], wanted[v, u])


def test_labels_for_all_pixels_are_given_once() -> None:
    photo = np.random.default_rng(0).random((10, 12, 3)).astype(np.float32)
    copies = Copies(photo, photo, np.zeros((10, 12), np.bool_), OFFSETS)
    once = np.arange(4)[None, None]
    for a, b in zip(
        copies.at(BOX, once), copies.at(BOX, np.broadcast_to(once, (5, 8, 4))), strict=True
    ):
        np.testing.assert_array_equal(a, b)
