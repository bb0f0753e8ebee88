"""What stands in the table, against numbers computed in other ways."""

import numpy as np
import pyarrow as pa
import pytest

from simpaint.inpainter.measure.report import _metric_table
from simpaint.inpainter.measure.results import Summary, summarise


def test_mean_and_deviation_are_those_of_the_cases_and_a_ratios_those_of_its_error() -> None:
    rng = np.random.default_rng(0)
    n = 400
    l1, truth = rng.gamma(2, 1, n), rng.gamma(3, 2, n)
    energy = 0.7 * truth + rng.normal(0, 0.5, n)
    table = pa.table(
        {
            "method": ["telea"] * n, "rank": np.zeros(n, np.int64), "bucket": ["eyes"] * n,
            "l1": l1, "energy": energy, "true_energy": truth,
        }
    )  # fmt: skip
    plain, ratio = summarise(table)
    assert (plain.metric, plain.n) == ("l1", n)
    assert plain.mean == pytest.approx(np.mean(l1))
    assert plain.std == pytest.approx(np.std(l1))
    assert (ratio.metric, ratio.n) == ("sharpness", n)
    assert ratio.mean == pytest.approx(energy.sum() / truth.sum())
    # Its error by the jackknife: the ratio without one case after another.
    left = [np.delete(energy, i).sum() / np.delete(truth, i).sum() for i in range(n)]
    error = np.sqrt((n - 1) * np.var(left))
    assert ratio.std / np.sqrt(n) == pytest.approx(error, rel=0.02)


def test_the_report_says_mean_and_deviation_and_marks_the_best() -> None:
    cells = [
        Summary("telea", "eyes", "l1", 1.234, 0.567, 9),
        Summary("ns", "eyes", "l1", 2.0, float("nan"), 9),
    ]
    head, rows = _metric_table("l1", cells)
    assert head == ["", "eyes"]
    assert rows == [["telea", "**1.23** ± 0.57"], ["ns", "2.00"]]
