import numpy as np
import pytest

from simpaint.inpainter.whole.blend import shift_of
from simpaint.inpainter.whole.frames import Floats
from simpaint.inpainter.whole.moved import Copies
from simpaint.inpainter.whole.views import Holes, View, view

SIDE = 40


def photo() -> Floats:
    """A pattern of 20 pixels twice each way, in light that grows from left to right."""
    tile = np.random.default_rng(0).random((20, 20, 3)) * 0.3
    light = np.linspace(0, 0.6, SIDE)[None, :, None]
    return np.asarray(np.tile(tile, (2, 2, 1)) + light, np.float32)


def seen(picture: Floats, hole: Holes, unknown: Holes | None = None) -> View:
    unknown = hole if unknown is None else unknown
    grey = np.where(unknown[..., None], np.float32(0.5), picture)
    return view(grey, hole, unknown, np.zeros_like(hole), 1.0)


def square(top: int, left: int, side: int) -> Holes:
    hole = np.zeros((SIDE, SIDE), np.bool_)
    hole[top : top + side, left : left + side] = True
    return hole


def filled(
    whole: View, offsets: list[tuple[int, int]], labels: np.ndarray
) -> tuple[Floats, Floats]:
    """The copies as they are, and as they are blended."""
    copies = Copies(whole.photo, whole.smooth, whole.closed, np.array(offsets))
    box = slice(0, SIDE), slice(0, SIDE)
    taken = copies.at(box, labels[..., None])[0][:, :, 0]
    shift = shift_of(whole, copies, labels)
    assert not shift[~whole.hole].any()
    return taken, taken + shift


def test_a_copy_in_other_light_meets_its_surroundings() -> None:
    truth, hole = photo(), square(4, 4, 10)
    hard, soft = filled(seen(truth, hole), [(0, 20)], np.zeros((SIDE, SIDE), np.int64))
    assert np.abs(hard - truth)[hole].mean() > 0.2
    np.testing.assert_allclose(soft[hole], truth[hole], atol=0.02)


def test_copies_in_different_light_go_over_into_each_other() -> None:
    truth, hole = photo(), square(4, 4, 10)
    labels = np.zeros((SIDE, SIDE), np.int64)
    labels[:, 9:] = 1
    hard, soft = filled(seen(truth, hole), [(0, 20), (20, 0)], labels)
    truth_step = np.diff(truth, axis=1)[4:14, 8]
    assert np.abs(np.diff(hard, axis=1)[4:14, 8] - truth_step).mean() > 0.2
    np.testing.assert_allclose(np.diff(soft, axis=1)[4:14, 8], truth_step, atol=0.03)


def test_what_is_unknown_beside_a_hole_tells_nothing() -> None:
    truth, hole = photo(), square(4, 4, 10)
    unknown = square(4, 4, 12)
    labels = np.zeros((SIDE, SIDE), np.int64)
    first = seen(truth, hole, unknown)
    changed = first._replace(photo=np.where(unknown[..., None], np.float32(9), first.photo))
    np.testing.assert_array_equal(
        filled(first, [(0, 20)], labels)[1][hole], filled(changed, [(0, 20)], labels)[1][hole]
    )


@pytest.mark.parametrize("side", ["above", "below", "left", "right"])
def test_a_shred_of_what_was_removed_does_not_spread(side: str) -> None:
    truth, hole = photo(), square(4, 4, 10)
    shred = {
        "above": np.s_[2:4, 6:9],
        "below": np.s_[14:16, 6:9],
        "left": np.s_[6:9, 2:4],
        "right": np.s_[6:9, 14:16],
    }[side]
    left = truth.copy()
    left[shred] = 5.0
    labels = np.zeros((SIDE, SIDE), np.int64)
    _, soft = filled(seen(left, hole), [(0, 20)], labels)
    np.testing.assert_allclose(soft[hole], truth[hole], atol=0.05)


@pytest.mark.parametrize("light", [0.0, 0.3])
def test_where_nothing_is_met_a_copy_keeps_its_colours(light: float) -> None:
    truth = photo() + np.float32(light)
    hole = square(4, 4, 10)
    everything = square(0, 0, 16)  # unknown around the hole
    hard, soft = filled(seen(truth, hole, everything), [(0, 20)], np.zeros((SIDE, SIDE), np.int64))
    np.testing.assert_allclose(soft[hole], hard[hole], atol=1e-5)
