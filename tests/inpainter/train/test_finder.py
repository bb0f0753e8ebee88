"""Neighbors found while training, against a slow search."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from simpaint.errors import InputError
from simpaint.index_build.descriptors import JSON
from simpaint.inpainter.train.finder import Finder
from simpaint.inpainter.train.photo_cache import PhotoCache


class Pixels:
    """Pixels on a 4 by 4 grid, less their mean."""

    name, d, input_size, weights_sha256 = "pixels", 48, 32, "0" * 64

    def __init__(self) -> None:
        self.config: dict[str, JSON] = {}

    def __call__(self, images: Tensor) -> Tensor:
        grid = F.adaptive_avg_pool2d(images, 4).flatten(1)
        return F.normalize(grid - grid.mean(1, keepdim=True), dim=1)


@pytest.fixture
def vectors(cache: PhotoCache) -> NDArray[np.float32]:
    photos = torch.from_numpy(cache.photos(range(len(cache)))).permute(0, 3, 1, 2)
    found: NDArray[np.float32] = Pixels()(photos.float() / 255).numpy()
    return found


def pictures(count: int) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def slow(scores: NDArray[np.float32], left_out: set[int]) -> list[int]:
    return [int(i) for i in np.argsort(-scores) if i not in left_out]


def test_the_most_similar_are_found_but_the_photo_and_its_copies(
    cache: PhotoCache, vectors: NDArray[np.float32]
) -> None:
    threshold = float(np.quantile(vectors @ vectors.T, 0.7))
    truth = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    truth[1] = torch.from_numpy(cache.photos([7], 32)[0]).permute(2, 0, 1) / 255
    shown = pictures(3)
    shown[1] = truth[1]
    found = Finder(cache, vectors, Pixels(), threshold)(
        shown, truth, torch.tensor([4, -1, 0]), 2
    ).numpy()
    queries = Pixels()(shown).numpy()
    for i, row in enumerate([4, 7, 0]):  # the second is on the shelf too, but from elsewhere
        copies = {j for j, v in enumerate(vectors) if v @ vectors[row] > threshold}
        assert row in copies
        expected = slow(vectors @ queries[i], copies)[:2]
        assert np.array_equal(found[i], cache.photos(expected, 32))


def test_photos_of_the_same_folder_come_first(
    cache: PhotoCache, vectors: NDArray[np.float32]
) -> None:
    folders = np.arange(len(cache)) % 5
    finder = Finder(cache, vectors, Pixels(), 1.1, folders)
    found = finder(pictures(2), pictures(2), torch.tensor([3, -1]), 4).numpy()
    queries = Pixels()(pictures(2)).numpy()
    ranked = slow(vectors @ queries[0], {3})
    expected = sorted(ranked, key=lambda row: folders[row] != 3)[:4]
    assert np.array_equal(found[0], cache.photos(expected, 32))
    assert np.array_equal(found[1], cache.photos(slow(vectors @ queries[1], set())[:4], 32))


def test_fewer_than_are_wanted_are_refused(cache: PhotoCache, vectors: NDArray[np.float32]) -> None:
    count = len(cache)
    finder = Finder(cache, vectors, Pixels(), 1.1)
    assert finder(pictures(1), pictures(1), torch.tensor([-1]), count).shape[1] == count
    with pytest.raises(InputError, match=f"expected {count} photos .* found {count - 1}"):
        finder(pictures(1), pictures(1), torch.tensor([0]), count)
    with pytest.raises(InputError, match=f"expected {count + 1} photos"):
        finder(pictures(1), pictures(1), torch.tensor([-1]), count + 1)


def test_none_are_found_where_none_are_wanted(
    cache: PhotoCache, vectors: NDArray[np.float32]
) -> None:
    found = Finder(cache, vectors, Pixels(), 1.1)(pictures(2), pictures(2), torch.tensor([0, 1]), 0)
    assert found.shape == (2, 0, 32, 32, 3)
