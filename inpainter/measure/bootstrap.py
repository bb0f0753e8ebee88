"""Which differences between methods hold: the paired bootstrap (Efron and Tibshirani 1993).

All methods saw the same photos and holes. Photos are drawn with replacement, 2,000 times, the same
ones for every method, and a difference holds where 95 % of its resampled values have one sign. What
is drawn are units: photos, or persons where each has several, whose photos are alike.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .metrics import METRICS, Floats, Metric
from .results import groups_of, values_of

RESAMPLES: Final = 2000
LEAST_UNITS: Final = 10  # resamples of fewer are too much alike to tell
LEVEL: Final = 0.95


class Difference(NamedTuple):
    """Two methods compared.

    Attributes:
        bucket: the group of cases.
        metric: a name of `METRICS`.
        a: one method's label.
        b: the other's.
        difference: a's number less b's; of sharpness, a's distance from 1 less b's.
        low: lower end of the 95 % interval.
        high: its upper end.
        better: the label of the better method, or "" where the interval holds 0, is not a number,
            or comes from fewer than 10 units.
    """

    bucket: str
    metric: str
    a: str
    b: str
    difference: float
    low: float
    high: float
    better: str


def differences(table: pa.Table, seed: int) -> Iterator[Difference]:
    """Compare each pair of methods, for every group and metric.

    Args:
        table: see `results.join`; each method has the same cases in the same order.
        seed: of the resamples.
    """
    methods = pc.unique(table["method"]).to_pylist()
    for number, group in enumerate(groups_of(table)):
        rows = table.filter(pc.equal(table["bucket"], group))
        own = [rows.filter(pc.equal(rows["method"], method)) for method in methods]
        units = own[0]["unit"].to_numpy()
        draws = resample(units, np.random.default_rng([seed, number]))
        enough = len(np.unique(units)) >= LEAST_UNITS
        for name, metric in METRICS.items():
            if metric.of in table.column_names and name != "sharpness_mean":
                numbers = [values_of(one, metric) for one in own]
                tops, bottoms = (np.stack(column, axis=1) for column in zip(*numbers, strict=True))
                for (i, a), (j, b) in combinations(enumerate(methods), 2):
                    found = _compare(metric, draws, tops[:, [i, j]], bottoms[:, [i, j]])
                    holds = enough and (found[1] > 0 or found[2] < 0)  # neither where not a number
                    better = _better(metric, found[0], a, b) if holds else ""
                    yield Difference(group, name, a, b, *found, better)


def too_few(table: pa.Table) -> dict[str, int]:
    """The groups in which no difference can hold, each with the number of its units."""
    found = {}
    for group in groups_of(table):
        units = pc.count_distinct(table.filter(pc.equal(table["bucket"], group))["unit"]).as_py()
        if units < LEAST_UNITS:
            found[group] = units
    return found


def resample(units: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """How often each case counts in each resample: (`RESAMPLES`, n) float64.

    Args:
        units: (n,) which unit each case belongs to; all cases of a unit are drawn together.
        rng: draws.
    """
    names, unit = np.unique(units, return_inverse=True)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    return draws[:, unit].astype(np.float64)


def _compare(
    metric: Metric, draws: Floats, tops: Floats, bottoms: Floats
) -> tuple[float, float, float]:
    """The difference of two columns' ratios of sums, and its interval."""

    def difference(weights: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):  # sharpness of flat photos
            ratios: Floats = (weights @ tops) / (weights @ bottoms)  # (resamples, 2)
            ratios = np.abs(ratios - 1) if metric.better == "one" else ratios
            found: Floats = ratios[:, 0] - ratios[:, 1]
        return found

    margin = 50 * (1 - LEVEL)
    low, high = np.percentile(difference(draws), [margin, 100 - margin])
    return float(difference(np.ones((1, len(tops))))[0]), float(low), float(high)


def _better(metric: Metric, difference: float, a: str, b: str) -> str:
    return a if (difference < 0) != (metric.better == "high") else b
