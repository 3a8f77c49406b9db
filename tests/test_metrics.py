import json

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_percentage_error, r2_score

from tailwise import Bins, InputError, Relevance, Shots, region_metrics
from tailwise.metrics.depth import DepthErrors
from tailwise.metrics.errors import (
    balanced_mean_absolute_error,
    geometric_mean_error,
    mean_absolute_error,
    pearson,
    root_mean_squared_error,
    sera,
    spearman,
)
from tailwise.metrics.region_bootstrap import _times_drawn
from tailwise.metrics.region_errors import region_errors

RNG = np.random.default_rng(0)
Y = RNG.gamma(2, 10, 600)
PRED = Y + RNG.normal(scale=5, size=600)
SHOTS = Shots.from_labels(RNG.gamma(2, 10, 5000), Bins.auto(Y))
RELATIVE = {"r2", "mae_percent", "mape"}


def test_closed_forms():
    assert geometric_mean_error([0, 0], [1, 4]) == pytest.approx(2)
    assert geometric_mean_error([1, 1], [1, 1]) == pytest.approx(1e-10)
    bins = Bins.from_edges([-0.5, 0.5, 1.5])
    assert balanced_mean_absolute_error([0, 0, 1], [1, 3, 6], bins) == 3.5
    assert mean_absolute_error([0, 0, 1], [1, 3, 6]) == 3
    assert sera([1, 2], [3, 5], [0.5, 1.0]) == pytest.approx(0.5 * 4 + 9)


def test_sera_is_the_area_under_the_error_of_ever_rarer_rows():
    phi = RNG.random(600)
    steps = np.linspace(0, 1, 100_001)
    order = np.sort(phi)
    square = np.square(PRED - Y)[np.argsort(phi)]
    left = np.concatenate([np.cumsum(square[::-1])[::-1], [0.0]])[np.searchsorted(order, steps)]
    assert sera(Y, PRED, phi) == pytest.approx(np.trapezoid(left, steps), rel=1e-3)


def test_correlations_of_nothing_are_none():
    assert pearson([1.0, 2.0], [2.0, 3.0]) is None
    assert pearson([1.0, 1.0], [2.0, 3.0]) is None
    assert spearman([1.0, 2.0, 3.0], [3.0, 3.0, 3.0]) is None


@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [([1, 2], [1], "shape"), ([1, np.nan], [1, 2], "NaN"), ([], [], "empty"), ([[1]], [[1]], "one-dimensional")],
)
def test_bad_values(true, pred, message):
    with pytest.raises(InputError, match=message):
        mean_absolute_error(true, pred)


def test_regions_are_a_partition():
    found = region_metrics(Y, PRED, SHOTS, resamples=0)
    assert sum(found[name].n for name in ("many", "medium", "few", "zero")) == found["all"].n == 600
    for name in [name for name in ("many", "medium", "few", "zero") if found[name].n]:
        here = SHOTS.names(Y) == name
        assert found[name].metrics["mae"].value == pytest.approx(np.abs(PRED - Y)[here].mean())
        assert found[name].metrics["mae"].low is None


def test_a_region_without_rows_is_absent_not_zero():
    found = region_metrics(Y[Y < 20], PRED[Y < 20], SHOTS, resamples=10)
    empty = [region for region in found.values() if region.n == 0]
    assert empty
    assert all(region.metrics == {} for region in empty)
    json.dumps({name: region.to_json() for name, region in found.items()}, allow_nan=False)


def test_one_row_has_values_but_no_interval():
    found = region_metrics([5.0], [6.0], SHOTS)
    assert found["all"].metrics["mae"].value == 1
    assert found["all"].metrics["mae"].low is None
    assert "pearson" not in found["all"].metrics


@pytest.mark.slow
def test_intervals_equal_a_plain_bootstrap():
    phi = Relevance.extremes(Y)
    ours = region_metrics(Y, PRED, SHOTS, relevance=phi, resamples=2000)["all"].metrics
    rng = np.random.default_rng(1)
    drawn = {name: [] for name in ours}
    for _ in range(1000):
        i = rng.integers(0, Y.size, Y.size)
        y, p = Y[i], PRED[i]
        drawn["mae"].append(mean_absolute_error(y, p))
        drawn["rmse"].append(root_mean_squared_error(y, p))
        drawn["gm"].append(geometric_mean_error(y, p))
        drawn["bias"].append((p - y).mean())
        drawn["pearson"].append(pearsonr(y, p).statistic)
        drawn["spearman"].append(spearmanr(y, p).statistic)
        drawn["sera"].append(sera(y, p, phi(y)))
        drawn["r2"].append(r2_score(y, p))
        drawn["mae_percent"].append(100 * mean_absolute_error(y, p) / y.mean())
        if Y.min() > 0:
            drawn["mape"].append(100 * mean_absolute_percentage_error(y, p))
    for name, values in drawn.items():
        if values:
            low, high = np.quantile(values, [0.025, 0.975])
            width = high - low
            assert ours[name].low == pytest.approx(low, abs=0.2 * width), name
            assert ours[name].high == pytest.approx(high, abs=0.2 * width), name


@pytest.mark.parametrize("weight", [None, np.linspace(0.5, 2, Y.size)])
def test_relative_errors_are_those_of_scikit_learn(weight):
    found = region_metrics(Y + 1, PRED + 1, SHOTS, resamples=50, sample_weight=weight)
    for name in [name for name in ("all", "many", "few") if found[name].n > 1]:
        here = np.ones(Y.size, dtype=bool) if name == "all" else SHOTS.names(Y + 1) == name
        y, p, w = Y[here] + 1, PRED[here] + 1, None if weight is None else weight[here]
        metrics = found[name].metrics
        assert metrics["r2"].value == pytest.approx(r2_score(y, p, sample_weight=w))
        assert metrics["mape"].value == pytest.approx(100 * mean_absolute_percentage_error(y, p, sample_weight=w))
        assert metrics["mae_percent"].value == pytest.approx(100 * metrics["mae"].value / np.average(y, weights=w))
        assert all(metrics[key].low < metrics[key].value < metrics[key].high for key in ("mae_percent", "mape"))


def test_relative_errors_are_absent_where_they_mean_nothing():
    def keys(y, pred):
        return {key for key in region_metrics(y, pred, SHOTS, resamples=20)["all"].metrics if key in RELATIVE}

    assert keys([1.0, 2.0, 4.0], [1.0, 2.0, 5.0]) == RELATIVE
    assert keys([0.0, 2.0, 4.0], [1.0, 2.0, 5.0]) == RELATIVE - {"mape"}
    assert keys([-1.0, 2.0, 4.0], [1.0, 2.0, 5.0]) == {"r2"}
    assert keys([2.0, 2.0], [1.0, 2.0]) == {"mae_percent", "mape"}
    assert keys([5e-324, 2.0, 4.0], [1.0, 2.0, 5.0]) == RELATIVE - {"mape"}  # beyond the range of floats


@pytest.mark.slow
def test_intervals_hold_what_they_promise():
    rng = np.random.default_rng(0)
    covered = {"mae": 0, "bmae": 0}
    bins = Bins.from_edges([0, 10, 20, 30])
    shots = Shots(bins, np.array([900, 90, 9]), many=100, few=20)
    for seed in range(200):
        y = np.repeat([5.0, 15.0, 25.0], [300, 60, 20])
        scale = np.repeat([1.0, 2.0, 4.0], [300, 60, 20])
        found = region_metrics(y, y + rng.normal(scale=scale), shots, resamples=300, seed=seed)["all"].metrics
        mean = np.sqrt(2 / np.pi)
        truth = {"mae": mean * (300 + 120 + 80) / 380, "bmae": mean * 7 / 3}
        for name in covered:
            covered[name] += found[name].low <= truth[name] <= found[name].high
    assert covered["mae"] >= 180
    assert covered["bmae"] >= 175


def test_intervals_are_repeatable():
    first, again, other = (region_metrics(Y, PRED, SHOTS, seed=seed, resamples=50)["all"].metrics for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_depth_errors_leave_out_unknown_pixels():
    true, pred = np.array([[1.0, 2.0], [np.nan, 4.0]]), np.array([[1.2, 2.0], [9.0, 2.0]])

    def values(true, pred):
        errors = DepthErrors(Shots(Bins.from_edges([0, 5]), np.array([9]), many=5, few=2))
        errors.add(true, pred)
        return {name: interval.value for name, interval in errors.metrics(resamples=0)["all"].metrics.items()}

    assert values(true, pred)["abs_rel"] == pytest.approx((0.2 + 0 + 0.5) / 3)
    assert [values(true, pred)[f"delta{power}"] for power in (1, 2, 3)] == pytest.approx([2 / 3] * 3)
    assert values(true, 1.25 * true)["delta1"] == pytest.approx(1)
    assert values(true, pred)["lg10"] == pytest.approx((np.log10(1.2) + np.log10(2)) / 3)
    assert "lg10" not in values(true, -pred)
    with pytest.raises(InputError, match="above 0"):
        values([0.0], [1.0])
    with pytest.raises(InputError, match="no pixel"):
        values([np.nan], [1.0])


def test_errors_by_bin_are_those_of_the_rows():
    rng = np.random.default_rng(0)
    train = rng.gamma(2.0, 10.0, 3000)
    bins = Bins.auto(train)
    shots = Shots.from_labels(train, bins)
    true = np.concatenate([rng.choice(train, 400), [-5.0, 500.0]])
    pred = true + rng.normal(size=402)
    pred[:3] = true[:3]
    slow, fast = region_metrics(true, pred, shots, resamples=0), region_errors(true, pred, shots)
    assert list(fast) == [name for name, region in slow.items() if region.n]
    for name, errors in fast.items():
        assert errors.pop("n") == slow[name].n
        assert errors == pytest.approx({metric: slow[name].metrics[metric].value for metric in errors}, rel=1e-12)


def test_every_row_is_drawn_as_often_as_any_other():
    rng = np.random.default_rng(0)
    drawn = sum(_times_drawn(rng, 7) for _ in range(4000))
    assert drawn.sum() == 28_000
    assert abs(drawn / 4000 - 1).max() < 0.06
