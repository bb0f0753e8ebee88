import numpy as np
import pytest
import torch

from simpaint.inpainter.whole.frames import Floats
from simpaint.inpainter.whole.offsets import usual_offsets


def noise(height: int, width: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def nothing(photo: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.zeros(photo.shape[:2], np.bool_)


def test_a_pattern_resembles_itself_one_period_away() -> None:
    photo = np.tile(noise(12, 20), (6, 4, 1))
    offsets = usual_offsets(photo, nothing(photo), ~nothing(photo), 5)
    found = {tuple(offset) for offset in offsets[:4].tolist()}
    assert found <= {(y, x) for y in range(-72, 73, 12) for x in range(-80, 81, 20)}
    assert (0, 0) not in found
    assert {(-y, -x) for y, x in offsets.tolist()} == {tuple(o) for o in offsets.tolist()}


def test_what_stands_twice_is_found_by_its_offset() -> None:
    photo = noise(90, 100)
    photo[50:80, 60:90] = photo[10:40, 20:50]
    near = nothing(photo)
    near[10:40, 20:50] = True  # only there is it asked
    first, second = usual_offsets(photo, nothing(photo), near, 8)[:2].tolist()
    assert sorted([first, second]) == [[-40, -40], [40, 40]]


def test_shorter_offsets_than_asked_for_are_none() -> None:
    photo = np.tile(noise(8, 8), (8, 8, 1))
    for least in (1, 8, 9, 20):
        offsets = usual_offsets(photo, nothing(photo), ~nothing(photo), least)
        assert len(offsets)
        # Counts are blurred by a pixel before the commonest are taken.
        assert np.abs(offsets).max(1).min() >= max(least, 8)


def test_unknown_pixels_resemble_nothing() -> None:
    photo = noise(64, 64)
    photo[40:60, 40:60] = photo[4:24, 4:24]
    unknown = nothing(photo)
    unknown[50, 50] = unknown[52, 44] = unknown[43, 57] = unknown[57, 57] = True
    offsets = usual_offsets(photo, nothing(photo), ~nothing(photo), 8)
    assert np.abs(offsets[0]).tolist() == [36, 36]
    unknown[40:60, 40:60] = True
    offsets = usual_offsets(photo, unknown, ~nothing(photo), 8)
    assert [36, 36] not in np.abs(offsets[:2]).tolist()


@pytest.mark.parametrize(("height", "width"), [(3, 50), (8, 8), (9, 9), (20, 20)])
def test_too_little_is_known(height: int, width: int) -> None:
    photo = noise(height, width)
    assert usual_offsets(photo, ~nothing(photo), ~nothing(photo), 4).shape == (0, 2)
    assert usual_offsets(photo, nothing(photo), nothing(photo), 4).shape == (0, 2)
    assert usual_offsets(photo, nothing(photo), ~nothing(photo), 30).shape == (0, 2)


def test_threads_do_not_change_what_is_found() -> None:
    photo = np.clip(2 * noise(90, 130), 0, 1)
    photo[:40] = 1.0  # where all patches are the same
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(usual_offsets(photo, nothing(photo), ~nothing(photo), 6))
    finally:
        torch.set_num_threads(threads)
    one, two = found
    np.testing.assert_array_equal(one, two)
