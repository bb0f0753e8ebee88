import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simpaint.data.simplify import simplify

QUICKDRAW = Path(__file__).parents[3] / "shared" / "data" / "quickdraw"


def slow_resample(line: NDArray[np.float64]) -> NDArray[np.float64]:
    along = np.append(0, np.cumsum(np.hypot(*np.diff(line, axis=0).T)))
    at = [*np.arange(0, along[-1], 1.0), along[-1]] if along[-1] else [0.0] * min(2, len(line))
    return np.stack([np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])], axis=1)


def slow_rdp(line: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    start, end = line[0], line[-1]
    away, base = line - start, end - start
    if base.any():
        distance = np.abs(away[:, 0] * base[1] - away[:, 1] * base[0]) / np.hypot(*base)
    else:
        distance = np.hypot(*away.T)
    middle = int(distance[1:-1].argmax()) + 1 if len(line) > 2 else 0
    if not middle or distance[middle] <= 2.0:
        return [start, end] if len(line) > 1 else [start]
    return slow_rdp(line[: middle + 1])[:-1] + slow_rdp(line[middle:])


def slow_simplify(drawing: list[NDArray[np.float64]]) -> list[list[list[int]]]:
    """The recipe as published, a stroke at a time: x and y lists of each stroke."""
    low = np.concatenate(drawing).min(axis=0)
    side = (np.concatenate(drawing).max(axis=0) - low).max()
    boxed = [(stroke - low) * (255 / side if side else 0) for stroke in drawing]
    return [np.rint(slow_rdp(slow_resample(s))).astype(int).T.tolist() for s in boxed]


def fast_simplify(drawings: list[list[NDArray[np.float64]]]) -> list[list[list[list[int]]]]:
    strokes = [stroke for drawing in drawings for stroke in drawing]
    counts = np.array([len(drawing) for drawing in drawings])
    points, xy = simplify(np.concatenate(strokes), np.array([len(s) for s in strokes]), counts)
    lists = [part.T.tolist() for part in np.split(xy, np.cumsum(points)[:-1])]
    ends = np.cumsum(counts)
    return [lists[end - n : end] for end, n in zip(ends, counts, strict=True)]


def curve(rng: np.random.Generator) -> NDArray[np.float64]:
    heading = np.cumsum(rng.normal(0, 0.5, rng.integers(1, 80)))
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * rng.uniform(0.1, 20)
    return np.cumsum(steps, axis=0) + rng.uniform(-500, 500, 2)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_many_drawings_at_once_are_as_one_stroke_at_a_time_by_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawings = [[curve(rng) for _ in range(rng.integers(1, 5))] for _ in range(4)]
    assert fast_simplify(drawings) == [slow_simplify(drawing) for drawing in drawings]


def test_strokes_without_length_keep_one_point_or_both_ends() -> None:
    dot, press = np.full((1, 2), 3.0), np.full((4, 2), 7.0)
    assert fast_simplify([[dot]]) == [[[[0], [0]]]]
    assert fast_simplify([[press]]) == [[[[0, 0], [0, 0]]]]
    assert fast_simplify([[dot, press]]) == [[[[0], [0]], [[255, 255], [255, 255]]]]


def test_a_closed_stroke_is_measured_from_its_one_end() -> None:
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]], float)
    assert fast_simplify([[square]]) == [[[[0, 255, 255, 0, 0], [0, 0, 255, 255, 0]]]]


@pytest.mark.skipif(not QUICKDRAW.exists(), reason="needs the real drawings")
def test_real_raw_drawings_become_their_simplified_form() -> None:
    same = strokes = 0
    for path in sorted((QUICKDRAW / "raw").iterdir()):
        raw = [json.loads(line)["drawing"] for line in path.read_text().splitlines()]
        other = (QUICKDRAW / "simplified" / path.name).read_text().splitlines()
        made = fast_simplify([[np.array(s[:2], float).T for s in drawing] for drawing in raw])
        for drawing, line in zip(made, other, strict=True):
            expected = json.loads(line)["drawing"]
            strokes += len(expected)
            same += sum(a == b for a, b in zip(drawing, expected, strict=True))
    # The rest are ties: two points equally far from the line, but for the last bit.
    assert same >= 0.99 * strokes, f"{same} of {strokes} strokes"
