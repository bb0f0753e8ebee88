"""Pictures from the differences between their neighboring pixels."""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Holes = NDArray[np.bool_]


def sides(axis: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The first and the second pixels of all pairs of neighbors along an axis."""
    every, first, second = slice(None), slice(None, -1), slice(1, None)
    return ((first, every), (second, every)) if axis == 0 else ((every, first), (every, second))


def solve_poisson(
    picture: Doubles,
    hole: Holes,
    steps: tuple[Doubles, Doubles],
    joined: tuple[Holes, Holes],
    pull: float = 0.0,
) -> Doubles:
    """Fill a hole so that it has given differences, as nearly as can be, and meets its border.

    What is least is the sum of ``|f_q - f_p - step|^2`` over all joined pairs of pixels p and q,
    one of them at least in the hole, and of ``pull * |f_p - g_p|^2`` over the pixels p of the hole,
    where g stands in the picture: Perez et al. 2003 (Poisson Image Editing, equation 6), screened.

    Args:
        picture: (H, W, C), outside the hole given.
        hole: (H, W).
        steps: (H - 1, W, C) from each pixel to the one below it, and (H, W - 1, C) to its right.
        joined: (H - 1, W) and (H, W - 1), which of these count.
        pull: 0 or more; if 0, each part of the hole must be joined to what is given.

    Returns:
        (H, W, C), changed in the hole alone.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    count = int(hole.sum())
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(count)
    diagonal, sums = np.full(count, pull), pull * picture[hole]
    rows, columns = [], []
    for axis, (step, pairs) in enumerate(zip(steps, joined, strict=True)):
        first, second = sides(axis)
        for here, there, sign in ((first, second, -1), (second, first, 1)):
            used = pairs & hole[here]
            row, column = number[here][used], number[there][used]
            given = np.where(column[:, None] < 0, picture[there][used], 0)
            np.add.at(diagonal, row, 1)
            np.add.at(sums, row, given + sign * step[used])
            rows.append(row[column >= 0])
            columns.append(column[column >= 0])
    row, column, every = np.concatenate(rows), np.concatenate(columns), np.arange(count)
    values = np.concatenate([diagonal, np.full(len(row), -1.0)])
    places = np.concatenate([every, row]), np.concatenate([every, column])
    matrix = coo_array((values, places), shape=(count, count))
    filled: Doubles = picture.copy()
    symmetric = {"SymmetricMode": True}
    factors = splu(matrix.tocsc(), "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric)
    filled[hole] = factors.solve(sums)
    return filled
