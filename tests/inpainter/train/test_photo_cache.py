"""Photos decoded once: the squares, what cannot be used, and going on after a kill."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simpaint.data.images import decode, square, write_png
from simpaint.data.sources import open_source
from simpaint.errors import InputError
from simpaint.inpainter.train import photo_cache
from simpaint.inpainter.train.photo_cache import PhotoCache, cache_photos
from simpaint.inpainter.train.photo_sets import Caches


def photos_in(folder: Path, count: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (20, 24, 3), dtype=np.uint8) for _ in range(count)]
    folder.mkdir()
    for i, photo in enumerate(photos):
        write_png(folder / f"{i:03d}.png", photo)
    return photos


def test_rows_are_the_central_squares_of_the_names_and_damaged_ones_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_cache, "_BLOCK", 4)
    photos = photos_in(tmp_path / "photos", 9)
    (tmp_path / "photos/005.png").write_bytes(b"no picture")
    source = open_source(tmp_path / "photos")
    seen: list[int] = []
    cache = cache_photos(
        source, source.names, tmp_path / "cache", 16, progress=lambda done, all_: seen.append(done)
    )
    assert seen == [4, 8, 9]
    assert cache.usable.tolist() == [0, 1, 2, 3, 4, 6, 7, 8]
    again: PhotoCache = pickle.loads(pickle.dumps(cache))
    for row in cache.usable:
        expected = square(photos[row], 16)
        assert np.array_equal(again.photos([row])[0], expected)
        shrunk = again.photos([row], 8)[0].astype(int)
        assert np.abs(shrunk - expected.reshape(8, 2, 8, 2, 3).mean((1, 3))).max() <= 0.5
        assert np.array_equal(again.photos([row], 5)[0], square(expected, 5))


def test_a_killed_run_goes_on_with_the_missing_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_cache, "_BLOCK", 4)
    photos_in(tmp_path / "photos", 9)
    source = open_source(tmp_path / "photos")

    def kill(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_photos(source, source.names, tmp_path / "cache", 16, progress=kill)
    with pytest.raises(InputError, match="found a part of one"):
        PhotoCache(tmp_path / "cache")
    before = (tmp_path / "cache/block-00000.npy").stat().st_mtime_ns
    cache = cache_photos(source, source.names, tmp_path / "cache", 16)
    assert len(cache.usable) == 9
    assert (tmp_path / "cache/block-00000.npy").stat().st_mtime_ns == before


def test_a_cache_of_other_photos_is_refused(tmp_path: Path) -> None:
    photos_in(tmp_path / "photos", 2)
    source = open_source(tmp_path / "photos")
    cache_photos(source, source.names, tmp_path / "cache", 16)
    with pytest.raises(InputError, match="another size"):
        cache_photos(source, source.names, tmp_path / "cache", 8)
    with pytest.raises(InputError, match="another names"):
        cache_photos(source, source.names[:1], tmp_path / "cache", 16)
    write_png(tmp_path / "photos/000.png", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(InputError, match="another files"):
        cache_photos(source, source.names, tmp_path / "cache", 16)


def test_a_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    photos_in(tmp_path / "photos", 2)
    (tmp_path / "photos/000.png").rename(tmp_path / "photos/\udcff.png")
    source = open_source(tmp_path / "photos")
    cache = Caches(tmp_path / "caches", 16).open(source, source.names)
    assert len(cache.usable) == 1
    assert cache.unusable == {"\udcff.png": "the file's name is not valid UTF-8"}


def test_an_exact_cache_decodes_whole_photos(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    photo = rng.integers(0, 256, (50, 50, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photos/a.jpg")
    source = open_source(tmp_path / "photos")
    exact = cache_photos(source, source.names, tmp_path / "exact", 16, exact=True).photos([0])[0]
    assert np.array_equal(exact, square(decode(tmp_path / "photos/a.jpg"), 16))
    quick = cache_photos(source, source.names, tmp_path / "quick", 16).photos([0])[0]
    assert not np.array_equal(exact, quick)
    with pytest.raises(InputError, match="another exact"):
        cache_photos(source, source.names, tmp_path / "quick", 16, exact=True)


def test_photos_of_which_none_can_be_used_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"text")
    source = open_source(tmp_path / "photos")
    with pytest.raises(InputError, match=r"none of 1 files .* a\.jpg: expected a JPEG"):
        cache_photos(source, source.names, tmp_path / "cache", 16)
    with pytest.raises(InputError, match="photos: expected photos, found none in the folder"):
        cache_photos(source, [], tmp_path / "cache", 16)
