import cmath
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.squares import Square, plan


def owners(
    squares: list[Square], shape: tuple[int, int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """How many squares own each pixel."""
    count = np.zeros(shape, np.int64)
    for square in squares:
        count[square.box] += square.own
    return count


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    boxes=st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=4),
    faces=st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(20, 200), st.floats(-1, 1)),
        max_size=3,
    ),
)
def test_every_pixel_of_the_hole_has_exactly_one_owner_that_sees_it(
    shape: tuple[int, int],
    boxes: list[tuple[float, ...]],
    faces: list[tuple[float, ...]],
) -> None:
    hole = np.zeros(shape, np.bool_)
    for top, left, height, width in boxes:
        y, x = int(top * (shape[0] - 1)), int(left * (shape[1] - 1))
        hole[y : y + 1 + int(height * 90), x : x + 1 + int(width * 90)] = True
    frames = [
        Frame(complex(x * shape[1], y * shape[0]), cmath.rect(side, turn))
        for x, y, side, turn in faces
    ]
    squares = plan(hole, frames, 64)
    np.testing.assert_array_equal(owners(squares, shape), hole)
    for square in squares:
        rows, columns = np.nonzero(square.own)
        rows, columns = rows + square.box[0].start, columns + square.box[1].start
        inside = square.frame.inside(columns + 0.5 + 1j * (rows + 0.5))
        assert min(inside.real.min(), inside.imag.min()) >= -1e-9
        assert max(inside.real.max(), inside.imag.max()) <= 1 + 1e-9


def test_what_lies_in_a_face_is_painted_with_the_face() -> None:
    hole = np.zeros((300, 400), np.bool_)
    hole[120:150, 100:300] = True
    near, far = Frame(80 + 80j, 100 + 0j), Frame(220 + 80j, 100 + 0j)
    squares = plan(hole, [near, far], 128)
    assert [square.frame for square in squares[:2]] == [near, far]
    assert squares[0].own.sum() == pytest.approx(30 * 78, abs=60)
    assert squares[1].own.sum() == pytest.approx(30 * 78, abs=60)
    rest = squares[2:]
    assert sum(square.own.sum() for square in rest) == hole.sum() - sum(
        square.own.sum() for square in squares[:2]
    )
    assert all(square.frame.side == 128 for square in rest)


def test_what_lies_at_the_rim_of_a_face_is_not_painted_with_the_face() -> None:
    hole = np.zeros((300, 400), np.bool_)
    hole[150, 50:350] = True
    face = plan(hole, [Frame(100 + 100j, 100 + 0j)], 128)[0]
    assert face.box == (slice(150, 151), slice(102, 198))


def test_a_scratch_across_a_large_photo_is_painted_at_full_resolution() -> None:
    hole = np.zeros((1000, 2000), np.bool_)
    hole[500:504] = True
    squares = plan(hole, [], 128)
    assert {square.frame.side for square in squares} == {128}
    assert len(squares) <= 33


def test_a_large_hole_gets_context_but_no_more_than_there_is() -> None:
    hole = np.zeros((600, 900), np.bool_)
    hole[200:300, 400:500] = True
    (square,) = plan(hole, [], 128)
    assert square.frame.side == pytest.approx(300, abs=20)
    hole[50:580, 100:700] = True
    assert all(square.frame.side.real <= 600 for square in plan(hole, [], 128))
    assert all(0 <= s.frame.corner.real <= 900 - s.frame.side.real for s in plan(hole, [], 128))


@pytest.mark.parametrize(("shape", "side"), [((20, 6000), 128), ((6000, 1), 128), ((3, 85), 85)])
def test_a_thin_photo_is_painted_in_squares_with_context(shape: tuple[int, int], side: int) -> None:
    hole = np.zeros(shape, np.bool_)
    start, stop = max(shape) // 4, 3 * max(shape) // 4
    (hole if shape[0] > shape[1] else hole.T)[start:stop] = True
    squares = plan(hole, [], 128)
    assert {square.frame.side for square in squares} == {side}
    assert len(squares) <= 1 + (stop - start) // (side // 2)
    np.testing.assert_array_equal(owners(squares, shape), hole)


def test_a_square_knows_whether_it_shows_a_face() -> None:
    hole = np.zeros((300, 400), np.bool_)
    hole[120:150, 100:300] = True
    squares = plan(hole, [Frame(80 + 80j, 100 + 0j)], 128)
    assert [square.face for square in squares] == [True] + [False] * (len(squares) - 1)
    assert not any(square.face for square in plan(hole, [], 128))


def test_a_small_photo_is_painted_once_however_many_holes_it_has() -> None:
    hole = np.zeros((64, 64), np.bool_)
    for place in (5, 30, 58):
        hole[place : place + 2, ::20] = True
    (square,) = plan(hole, [], 128)
    assert square.frame == Frame(0j, 64 + 0j)
    seen = np.zeros_like(hole)
    seen[square.box] = square.own
    np.testing.assert_array_equal(seen, hole)


def test_thousands_of_specks_that_share_squares_are_planned_at_once() -> None:
    hole = np.zeros((64, 100_000), np.bool_)
    hole[10, 70:-70:20] = hole[50, 70:-70:20] = True
    began = time.process_time()
    squares = plan(hole, [], 64)
    assert time.process_time() - began < 3
    assert [square.own.shape for square in squares] == [(41, 1)] * int(hole[10].sum())
    np.testing.assert_array_equal(owners(squares, hole.shape), hole)


def test_what_a_large_face_shows_is_painted_again_at_the_photos_own_resolution() -> None:
    hole = np.zeros((900, 900), np.bool_)
    hole[400:406, 50:850] = True
    face = Frame(150 + 150j, cmath.rect(600, 0.1))
    once, (first, *others) = plan(hole, [face], 128), plan(hole, [face], 128, ours=True)
    assert first.frame == face
    assert not first.again
    again = [square for square in others if square.again]
    assert others[len(others) - len(again) :] == again  # last
    assert len(once) + len(again) == len(others) + 1
    assert {square.frame.side for square in again} == {128}
    painted = np.zeros_like(hole)
    painted[first.box] = first.own
    np.testing.assert_array_equal(owners(again, hole.shape), painted)


def test_what_no_smaller_square_shows_is_painted_once() -> None:
    hole = np.zeros((900, 900), np.bool_)
    hole[400:406, 50:850] = True
    assert len(plan(hole, [Frame(400 + 350j, 130 + 0j)], 128, ours=True)) == len(
        plan(hole, [Frame(400 + 350j, 130 + 0j)], 128)
    )
    hole[300:600, 200:700] = True  # half of a face: less of it does not tell what it is
    assert not any(s.again for s in plan(hole, [Frame(150 + 150j, 600 + 0j)], 128, ours=True))


@pytest.mark.parametrize("way", [(600, 0), (0, 500), (450, 450), (600, 211)])
def test_lines_of_three_pixels_are_thin_in_any_direction_and_come_first(
    way: tuple[int, int],
) -> None:
    drawn = np.zeros((700, 700), np.uint8)
    cv2.line(drawn, (20, 30), (20 + way[0], 30 + way[1]), 1, 2)  # OpenCV's 2 are up to 3
    drawn[500, 500] = 1  # a speck
    hole = drawn.view(np.bool_)
    squares = plan(hole, [Frame(0j, 700 + 0j)], 128, ours=True)  # in a face, too
    assert all(square.thin and square.filled for square in squares)
    np.testing.assert_array_equal(owners(squares, hole.shape), hole)
    assert not any(square.thin for square in plan(hole, [], 128))  # Sim-K paints all of it
    hole[300:340, 600:604] = True  # four pixels
    first, others = [], plan(hole, [], 128, ours=True)
    while others[0].thin:
        first.append(others.pop(0))
    assert not any(square.thin for square in others)
    assert sum(square.own.sum() for square in others) == 160
    np.testing.assert_array_equal(owners([*first, *others], hole.shape), hole)


def test_ragged_edges_of_a_larger_hole_are_not_thin() -> None:
    rng = np.random.default_rng(0)
    hole = np.zeros((300, 300), np.bool_)
    for row in range(100, 180):
        hole[row, 100 - rng.integers(4) : 200 + rng.integers(4)] = True
    assert not any(square.thin for square in plan(hole, [], 128, ours=True))


def test_thousands_of_specks_share_squares() -> None:
    hole = np.random.default_rng(0).random((1000, 1500)) < 0.001
    squares = plan(hole, [], 128, ours=True)
    assert len(squares) <= 6 * 8
    np.testing.assert_array_equal(owners(squares, hole.shape), hole)


def test_deep_holes_are_thick_and_not_beside_a_face() -> None:
    hole = np.zeros((600, 900), np.bool_)
    hole[300:304, 20:200] = True  # a scratch
    hole[100:200, 500:580] = True  # a stranger
    squares = plan(hole, [], 128, ours=True)
    assert {s.frame.centre.real > 400 for s in squares if s.copied} == {True}
    assert {s.frame.centre.real > 400 for s in squares if not s.copied} == {False}
    assert not any(s.copied for s in plan(hole, [], 128))  # Sim-K paints all of it
    far, near = Frame(100 + 250j, 100 + 0j), Frame(450 + 150j, 80 + 0j)
    assert any(s.copied for s in plan(hole, [far], 128, ours=True))
    assert not any(s.copied for s in plan(hole, [far, near], 128, ours=True))


def test_no_tile_at_the_edge_of_a_deep_hole_is_left_to_networks() -> None:
    cross = np.zeros((800, 1200), np.bool_)
    cross[320:500] = cross[:, 480:660] = True
    bar = np.zeros((640, 640), np.bool_)
    bar[100:170, 50:550] = True
    for hole in (cross, bar):
        assert all(square.copied for square in plan(hole, [], 128, ours=True))


def test_scratches_that_meet_a_deep_hole_are_left_to_networks() -> None:
    drawn = np.zeros((640, 640), np.uint8)
    cv2.circle(drawn, (320, 320), 30, 1, -1)
    cv2.line(drawn, (20, 30), (620, 600), 1, 4)
    squares = plan(drawn.view(np.bool_), [], 128, ours=True)
    deep = [square for square in squares if square.copied]
    assert sum(square.own.sum() for square in deep) > np.pi * 29**2
    assert max(abs(square.frame.centre - (320 + 320j)) for square in deep) < 130
    assert len(deep) < len(squares) / 2


def test_nothing_is_deep_in_photos_of_few_pixels() -> None:
    hole = np.zeros((20, 300), np.bool_)
    hole[10, 5:200] = True
    assert not any(square.copied for square in plan(hole, [], 128, ours=True))
