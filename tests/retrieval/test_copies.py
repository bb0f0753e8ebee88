"""Which photos that were found show something new."""

import numpy as np
import pytest

from simpaint.data.images import Pixels
from simpaint.retrieval.copies import are_copies, distinct

LEVELS = (100, 103, 112, 160)  # of plain photos: the second is the first, compressed


def photo(one: int) -> Pixels:
    return np.full((16, 16, 3), LEVELS[one], np.uint8)


@pytest.mark.parametrize(
    ("k", "scores", "taken"),
    [
        (2, (0.9, 0.9, 0.89, 0.8), [0, 2]),  # the second of a photo is no news
        (4, (0.9, 0.9, 0.89, 0.8), [0, 1, 2, 3]),  # unless there are too few others
        (2, (0.9, 0.87, 0.86, 0.8), [0, 1]),  # copies are as similar as each other
    ],
)
def test_copies_are_left_out_as_long_as_there_are_others(
    k: int, scores: tuple[float, ...], taken: list[int]
) -> None:
    ids = np.arange(4)
    assert distinct(np.array(scores, np.float32), ids, k, photo) == taken


def test_pixels_tell_copies_from_photos_that_are_alike() -> None:
    ids = np.array([0, 1, 2, 3, -1])
    assert are_copies(photo(0), ids, photo).tolist() == [True, True, False, False, False]
