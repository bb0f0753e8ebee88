import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from simpaint.inpainter.measure.bootstrap import RESAMPLES, differences, resample, too_few


def results(values: dict[str, np.ndarray], units: np.ndarray | None = None) -> pa.Table:
    """Results of several methods in one bucket, with L1 alone."""
    tables = []
    for method, column in values.items():
        n = len(column)
        tables.append(
            pa.table(
                {
                    "method": [method] * n,
                    "rank": np.zeros(n, np.int64),
                    "bucket": ["(0.1, 0.2]"] * n,
                    "unit": np.arange(n) if units is None else units,
                    "l1": column,
                }
            )
        )
    return pa.concat_tables(tables)


def test_the_interval_is_that_of_scipys_paired_bootstrap() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.gamma(2, 1, (2, 80))
    found = next(iter(differences(results({"a": a, "b": b}), seed=0)))
    wanted = stats.bootstrap((a - b,), np.mean, n_resamples=20_000, method="percentile", rng=rng)
    assert found.difference == pytest.approx((a - b).mean())
    assert found.low == pytest.approx(wanted.confidence_interval.low, abs=0.04)
    assert found.high == pytest.approx(wanted.confidence_interval.high, abs=0.04)


def test_a_small_difference_holds_because_the_photos_are_the_same() -> None:
    rng = np.random.default_rng(2)
    hard = rng.gamma(2, 5, 100)  # photos differ by far more than methods do
    pairs = {
        "a": hard + rng.normal(0, 0.1, 100),
        "b": hard + 0.1,
        "c": hard + rng.normal(0, 1, 100),
    }
    found = {(d.a, d.b): d.better for d in differences(results(pairs), seed=0)}
    assert found == {("a", "b"): "a", ("a", "c"): "", ("b", "c"): ""}


def test_units_are_drawn_whole() -> None:
    units = np.array([0, 0, 1, 2, 2, 2])
    weights = resample(units, np.random.default_rng(0))
    assert weights.shape == (RESAMPLES, 6)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(1) == 3).all()


def test_alike_photos_of_few_persons_widen_the_interval() -> None:
    persons = np.repeat(np.arange(10), 20)
    gain = np.random.default_rng(3).normal(0, 1, 10)[persons]
    pair = {"a": gain, "b": np.zeros(200)}
    alone = next(iter(differences(results(pair), seed=0)))
    whole = next(iter(differences(results(pair, persons), seed=0)))
    assert whole.high - whole.low > 3 * (alone.high - alone.low)


def test_nothing_holds_of_too_few_units_or_of_what_is_no_number() -> None:
    better = np.arange(30.0)
    for units, holds in ((9, ""), (10, "a")):
        few = np.arange(30) % units
        table = results({"a": better, "b": better + 1}, few)
        (found,) = differences(table, seed=0)
        assert found.better == holds
        assert list(too_few(table).values()) == ([] if holds else [9])
    nothing = np.full(30, np.nan)
    (found,) = differences(results({"a": nothing, "b": better}), seed=0)
    assert found.better == ""


@pytest.mark.filterwarnings("error")
def test_flat_photos_whose_truth_has_no_energy_are_quietly_without_a_sharpness() -> None:
    flat, zero = results({"a": np.ones(30), "b": np.zeros(30)}), pa.array(np.zeros(60))
    table = flat.append_column("energy", flat["l1"]).append_column("true_energy", zero)
    found = {one.metric: one.better for one in differences(table, seed=0)}
    assert found == {"l1": "b", "sharpness": ""}
