import numpy as np
import pytest
from numpy.typing import NDArray

from simpaint.inpainter.poisson import sides, solve_poisson


def energy(
    filled: NDArray[np.float64],
    picture: NDArray[np.float64],
    hole: NDArray[np.bool_],
    steps: tuple[NDArray[np.float64], NDArray[np.float64]],
    joined: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    pull: float,
) -> float:
    """What is to be least, as the docstring has it."""
    total = pull * np.square(filled - picture)[hole].sum()
    for axis in (0, 1):
        first, second = sides(axis)
        counts = joined[axis] & (hole[first] | hole[second])
        total += np.square(np.diff(filled, axis=axis) - steps[axis])[counts].sum()
    return float(total)


@pytest.mark.parametrize("pull", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(5, 6), (1, 7), (7, 1)])
def test_nothing_has_less_energy(pull: float, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((*shape, 2))
    hole = np.ones(shape, np.bool_)
    hole[0, 0] = False
    steps = (
        rng.normal(size=(*np.subtract(shape, (1, 0)), 2)),
        rng.normal(size=(*np.subtract(shape, (0, 1)), 2)),
    )
    joined = tuple(rng.random(step.shape[:2]) < (0.7 if pull else 1) for step in steps)
    given = hole, steps, (joined[0], joined[1]), pull
    filled = solve_poisson(picture, *given)
    np.testing.assert_array_equal(filled[~hole], picture[~hole])
    least = energy(filled, picture, *given)
    for y, x in np.argwhere(hole):
        for change in (-1e-3, 1e-3):
            other = filled.copy()
            other[y, x, 0] += change
            assert energy(other, picture, *given) > least


def test_differences_and_a_border_give_the_picture_back() -> None:
    picture = np.random.default_rng(0).random((9, 8, 3))
    hole = np.zeros((9, 8), np.bool_)
    hole[2:, 3:] = True
    steps = np.diff(picture, axis=0), np.diff(picture, axis=1)
    joined = np.ones((8, 8), np.bool_), np.ones((9, 7), np.bool_)
    damaged = np.where(hole[..., None], 0.0, picture)
    np.testing.assert_allclose(solve_poisson(damaged, hole, steps, joined), picture, atol=1e-12)
