import json
import math
import subprocess
import sys
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import SHARED
from tailwise import Bins, InputError, Shots
from tailwise.calibration.intervals import _MOST_KEPT, RegionIntervals
from tailwise.data.splits import balanced_split
from tailwise.labels.shots import REGIONS
from tailwise.metrics.coverage import coverage_by_region

RNG = np.random.default_rng(0)
# many, medium, few and zero on 0 to 10, 10 to 20, 20 to 30 and 30 to 40
SHOTS = Shots(Bins.from_edges([0, 10, 20, 30, 40]), np.array([500, 50, 5, 0]), many=100, few=20)
MIDDLE = dict(zip(REGIONS, (5.0, 15.0, 25.0, 35.0), strict=True))


def calibrated(rows, **choices):
    """Intervals from residuals by the region of the prediction."""
    pred = np.concatenate([np.full(len(r), MIDDLE[name]) for name, r in rows.items()])
    return RegionIntervals.fit(pred + np.concatenate(list(rows.values())), pred, SHOTS, **choices)


def pooled(residuals):
    """Intervals of one category."""
    return RegionIntervals.fit(residuals, np.zeros(len(residuals)), SHOTS)


def by_hand(residuals, confidence):
    """Order statistics whose ranks are worked out in whole fractions."""
    tail = (1 - Fraction(confidence)) / 2
    cut = math.floor(tail * (len(residuals) + 1))
    ordered = sorted(residuals)
    return (ordered[cut - 1], ordered[-cut]) if cut else (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("n", "confidence", "first", "last"),
    [(9, 0.8, 1, 9), (9, 0.6, 2, 8), (9, 0.75, 1, 9), (19, 0.9, 1, 19), (19, 0.8, 2, 18), (19, 0.5, 5, 15)],
)
def test_ends_are_order_statistics(n, confidence, first, last):
    residuals = RNG.gamma(1.0, 3.0, n)
    (low, high), (_, other) = pooled(residuals).intervals([5.0, -3.0], confidence)
    assert low == 5.0 + np.sort(residuals)[first - 1]
    assert high == 5.0 + np.sort(residuals)[last - 1]
    assert other == -3.0 + np.sort(residuals)[last - 1]


@settings(max_examples=150, deadline=None)
@given(n=st.integers(1, 400), percent=st.integers(1, 99))
def test_ranks_are_exact_for_every_number_of_rows(n, percent):
    residuals = np.random.default_rng(n).normal(size=n)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = pooled(residuals).intervals([0.0], percent / 100)[0]
    expected = by_hand(residuals, f"{percent}/100")
    assert tuple(found) == expected
    assert len(told) == np.isinf(expected[0])


def test_each_region_has_its_own_tails():
    rows = {
        "many": RNG.normal(0, 1, 200),
        "medium": RNG.normal(3, 2, 60),
        "few": RNG.gamma(2, 4, 40),
        "zero": RNG.normal(20, 8, 30),
    }
    found = calibrated(rows)
    pred = np.array([1.0, 12.0, 29.0, 39.0, -50.0, 400.0])  # beyond the bins as in their ends
    for name, prediction, ends in zip([*REGIONS, "many", "zero"], pred, found.intervals(pred, 0.9), strict=True):
        low, high = by_hand(rows[name], "9/10")
        assert ends.tolist() == pytest.approx([prediction + low, prediction + high])
    assert found.rows == {"many": 200, "medium": 60, "few": 40, "zero": 30}


@pytest.mark.parametrize(
    ("counts", "categories"),
    [
        ((100, 30, 30, 30), (0, 1, 2, 3)),
        ((100, 30, 30, 29), (0, 1, 2, 2)),
        ((100, 30, 29, 29), (0, 1, 2, 2)),
        ((100, 30, 10, 10), (0, 1, 1, 1)),
        ((100, 10, 0, 60), (0, 0, 0, 1)),
        ((100, 10, 0, 0), (0, 0, 0, 0)),
        ((3, 40, 30, 0), (0, 0, 1, 1)),
        ((3, 10, 40, 50), (0, 0, 0, 1)),
        ((0, 0, 0, 500), (0, 0, 0, 0)),
        ((5, 5, 5, 5), (0, 0, 0, 0)),
    ],
)
def test_small_regions_share_with_the_next_more_common_one(counts, categories):
    rows = {name: np.arange(n) + 1000.0 * i for i, (name, n) in enumerate(zip(REGIONS, counts, strict=True))}
    found = calibrated(rows)
    assert found.categories == categories
    for i, residuals in enumerate(found.residuals):
        own = [rows[name] for name, category in zip(REGIONS, categories, strict=True) if category == i]
        np.testing.assert_allclose(residuals, np.concatenate(own), atol=1e-9)


def test_coverage_in_every_predicted_region():
    """Calibration and new rows alike, errors that differ by region in size, side and shape."""
    sizes = {"many": 400, "medium": 150, "few": 59, "zero": 45}
    errors = {
        "many": lambda n: RNG.normal(0, 1, n),
        "medium": lambda n: RNG.gamma(1.0, 3.0, n),
        "few": lambda n: RNG.normal(8, 5, n),
        "zero": lambda n: RNG.standard_t(2, n) * 9 + 20,
    }
    repetitions, rows, confidence = 300, 400, 0.9
    pred = np.repeat(list(MIDDLE.values()), rows)
    covered = {least: np.zeros(len(REGIONS)) for least in (30, 10_000)}
    for _ in range(repetitions):
        calibration = {name: errors[name](n) for name, n in sizes.items()}
        y = pred + np.concatenate([errors[name](rows) for name in REGIONS])
        for least, total in covered.items():
            low, high = calibrated(calibration, least=least).intervals(pred, confidence).T
            total += ((low <= y) & (y <= high)).reshape(len(REGIONS), rows).mean(axis=1) / repetitions
    for share, n in zip(covered[30], sizes.values(), strict=True):
        cut = math.floor(Fraction(1, 20) * (n + 1))
        assert confidence - 0.01 <= share <= confidence + 1 / (n + 1) + 0.01
        assert share == pytest.approx(1 - 2 * cut / (n + 1), abs=0.008)
    assert covered[10_000][3] < 0.5  # one category for all pays for the crowd's coverage with the rare rows


def test_too_high_a_confidence_gives_infinite_ends_and_one_warning():
    found = calibrated({"many": RNG.normal(size=100), "medium": RNG.normal(size=40), "few": RNG.normal(size=38)})
    with pytest.warns(UserWarning, match="infinite") as told:
        ends = found.intervals([5.0, 15.0, 25.0, 35.0], 0.95)
    assert np.isinf(ends).tolist() == [[False] * 2] * 2 + [[True] * 2] * 2
    assert (ends[:, 0] < ends[:, 1]).all()
    (warning,) = told
    assert str(warning.message) == (
        "intervals of confidence 0.95 are infinite for predictions in few and zero (38 calibration rows): at least 39 "
        "rows are needed; calibrate on more rows, or ask for a lower confidence"
    )
    assert warning.filename == __file__
    assert np.isfinite(found.intervals([5.0, 15.0], 0.95)).all()  # nobody asked for the few
    with pytest.warns(UserWarning, match=r"many \(100 .*\), medium \(40 .*\): at least 199 rows"):
        found.intervals([5.0, 15.0], 0.99)


def test_a_confidence_that_no_number_of_rows_reaches():
    found = pooled(RNG.normal(size=6000))
    with pytest.warns(UserWarning, match=r"5,000 calibration rows\): at least 19,999 rows are needed; ask for a lower"):
        assert np.isinf(found.intervals([0.0], 0.9999)).all()


@pytest.mark.parametrize("confidence", [1e-9, 0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 50])
@pytest.mark.filterwarnings("ignore:intervals of confidence")
def test_low_is_never_above_high(n, confidence):
    ends = pooled(RNG.normal(size=n)).intervals(RNG.normal(0, 1e6, 20), confidence)
    assert (ends[:, 0] <= ends[:, 1]).all()


def test_higher_confidence_is_never_narrower():
    found = pooled(RNG.standard_t(3, 301))
    ends = np.stack([found.intervals([0.0], c)[0] for c in np.linspace(0.01, 0.99, 99)])
    assert (np.diff(ends[:, 0]) <= 0).all()
    assert (np.diff(ends[:, 1]) >= 0).all()


@pytest.mark.parametrize("n", [5001, 5002, 5500, 7001, 40_000])
def test_thinned_residuals_cover_no_less_and_little_more(n):
    """A residual 0 .. n-1 is its own rank, so the share between two ends is known."""
    found = pooled(RNG.permutation(n) - 5.0)
    (kept,) = found.residuals
    assert kept.size == _MOST_KEPT == np.unique(kept).size
    assert (kept[0], kept[-1]) == (-5.0, n - 6.0)
    ranks = 1 - 2 * RNG.integers(1, 2500, 200) / (_MOST_KEPT + 1)  # where the ends are order statistics without a rest
    for confidence in (0.05, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, *ranks):
        low, high = found.intervals([5.0], confidence)[0]
        for rank in (low + 1, n - high):  # of n + 1 that a new residual can take
            assert rank / (n + 1) <= (1 - confidence) / 2 + 1e-9
        assert (high - low) / (n + 1) <= confidence + 0.001


def test_saved_and_read_again():
    found = calibrated({name: RNG.normal(size=n) for name, n in zip(REGIONS, (6000, 90, 40, 3), strict=True)})
    read = RegionIntervals.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert read.categories == found.categories
    assert read.rows == found.rows == {"many": 5000, "medium": 90, "few": 43, "zero": 43}
    pred = RNG.uniform(-5, 45, 200)
    np.testing.assert_array_equal(read.intervals(pred, 0.9), found.intervals(pred, 0.9))
    assert read.to_json() == found.to_json()


@pytest.mark.parametrize("confidence", [0, 1, 1.0, -0.5, 90, np.nan, np.inf, "0.9", True, None])
def test_a_confidence_that_is_no_share(confidence):
    with pytest.raises(InputError, match="confidence"):
        pooled(np.arange(50.0)).intervals([1.0], confidence)


@pytest.mark.parametrize(
    ("true", "pred", "least", "message"),
    [
        ([1.0, 2.0], [1.0], 1, "shape"),
        ([[1.0]], [[1.0]], 1, "y_true must be one-dimensional"),
        ([], [], 1, "y_true is empty"),
        ([1.0, np.nan], [1.0, 2.0], 1, "y_true has 1 labels that are NaN"),
        ([1.0, 2.0], [1.0, np.inf], 1, "y_pred has 1 labels that are NaN or infinite"),
        ([1.0, 2.0], [1.0, 2.0], 0, "least must be a whole number"),
    ],
)
def test_bad_calibration_rows(true, pred, least, message):
    with pytest.raises(InputError, match=message):
        RegionIntervals.fit(true, pred, SHOTS, least=least)


@pytest.mark.parametrize(("pred", "message"), [([np.nan], "NaN"), ([[1.0]], "one-dimensional"), ([], "empty")])
def test_bad_predictions(pred, message):
    with pytest.raises(InputError, match=f"y_pred .*{message}"):
        pooled(np.arange(50.0)).intervals(pred, 0.9)


@pytest.mark.parametrize("categories", [(0, 0, 0), (0, 0, 0, 1), (0, 0, 0, -1)])
def test_a_region_without_residuals(categories):
    with pytest.raises(InputError, match="categories must name one of 1 lists"):
        RegionIntervals(SHOTS, categories, (np.arange(3.0),))


@pytest.mark.slow
def test_crepes_is_not_imported_before_it_is_needed_and_leaves_the_filters_of_warnings_alone():
    code = """
import sys, warnings
import numpy as np
from tailwise import Bins, Shots
from tailwise.calibration.intervals import RegionIntervals
shots = Shots.from_labels(np.arange(50.0), Bins.from_edges([0, 25, 50]))
found = RegionIntervals.from_json(RegionIntervals.fit(np.arange(50.0), np.zeros(50), shots).to_json())
assert not {"crepes", "pandas", "torch"} & set(sys.modules)
before = list(warnings.filters)
found.intervals([1.0], 0.9)
assert "crepes" in sys.modules and warnings.filters == before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def wilson(hits, n, z=1.959963984540054):
    share = hits / n
    middle = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)


def test_coverage_by_region_against_plain_loops():
    y = RNG.uniform(0, 30, 300)
    pred = y + RNG.normal(0, 5, 300)
    low, high = pred - RNG.uniform(0, 8, 300), pred + RNG.uniform(0, 8, 300)
    y[0] = low[0]  # an end is inside
    found = coverage_by_region(y, pred, low, high, SHOTS)
    assert set(found) == {"all", *REGIONS}
    assert found["zero"].by_true is None
    assert set(found["zero"].to_json()) == {"by_predicted"}
    checked = 0
    for name, region in found.items():
        for part, values in ((region.by_true, y), (region.by_predicted, pred)):
            rows = [i for i in range(300) if name == "all" or SHOTS.names([values[i]])[0] == name]
            if part is None:
                assert not rows
                continue
            hits = sum(low[i] <= y[i] <= high[i] for i in rows)
            widths = sorted(high[i] - low[i] for i in rows)
            assert part.n == len(rows)
            assert part.coverage.value == pytest.approx(hits / len(rows))
            assert (part.coverage.low, part.coverage.high) == pytest.approx(wilson(hits, len(rows)))
            assert part.mean_width == pytest.approx(sum(widths) / len(rows))
            assert part.median_width == pytest.approx((widths[(len(rows) - 1) // 2] + widths[len(rows) // 2]) / 2)
            checked += 1
    assert checked == 9
    assert found["all"].by_true == found["all"].by_predicted


def test_regions_without_rows_are_absent():
    found = coverage_by_region([1.0], [2.0], [0.0], [3.0], SHOTS)
    assert set(found) == {"all", "many"}


def test_infinite_widths_are_null_in_json():
    found = coverage_by_region([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [-np.inf, 1.0, 2.0], [2.0, 3.0, 5.0], SHOTS)
    part = found["all"].by_true
    assert (part.mean_width, part.median_width) == (math.inf, 3.0)
    saved = json.loads(json.dumps(found["all"].to_json(), allow_nan=False))
    assert saved["by_true"]["mean_width"] is None
    assert saved["by_true"]["coverage"] == {"value": 1.0, "low": part.coverage.low, "high": part.coverage.high}


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ([0.0], [1.0, 2.0], r"low must have one end a row, \(2,\), got shape \(1,\)"),
        ([0.0, 0.0], [[1.0, 2.0]], "high must have one end a row"),
        ([0.0, 3.0], [1.0, 2.0], "1 do not have it; the first goes from 3 to 2, at position 1"),
        ([0.0, np.nan], [1.0, 2.0], "low <= high"),
        ([np.inf, 0.0], [np.inf, 2.0], "low <= high"),
    ],
)
def test_bad_ends(low, high, message):
    with pytest.raises(InputError, match=message):
        coverage_by_region([1.0, 2.0], [1.0, 2.0], low, high, SHOTS)


# The five tables with the most rows.
@pytest.mark.parametrize("name", ["kc_house", "appliances_energy", "bike_hourly", "cpusm", "heat"])
def test_real_tables(shared_table, name):
    from sklearn.ensemble import HistGradientBoostingRegressor

    file = shared_table(name)
    (spec,) = (s for s in json.loads((SHARED / "data" / "tables.json").read_text()) if s["name"] == name)
    X = pd.read_csv(file).drop(columns=spec["drop"])
    y = X.pop(spec["target"]).to_numpy(dtype=np.float64)
    for column in X.select_dtypes(exclude="number"):
        X[column] = X[column].astype("category").cat.codes
    over_all, by_region = [], {}
    for seed in range(3):
        part = balanced_split(y, Bins.auto(y), seed=seed)
        train, val, test = (np.flatnonzero(part == p) for p in ("train", "val", "test"))
        shots = Shots.from_labels(y[train])
        if train.size > 6000:
            train = np.random.default_rng(seed).choice(train, 6000, replace=False)
        model = HistGradientBoostingRegressor(early_stopping=False, random_state=seed).fit(X.iloc[train], y[train])
        pred_val, pred = model.predict(X.iloc[val]), model.predict(X.iloc[test])
        low, high = RegionIntervals.fit(y[val], pred_val, shots).intervals(pred, 0.9).T
        found = coverage_by_region(y[test], pred, low, high, shots)
        over_all.append(found["all"].by_true.coverage.value)
        calibration_rows = np.bincount(shots.codes(pred_val), minlength=len(REGIONS))
        for region, rows in zip(REGIONS, calibration_rows, strict=True):
            if rows >= 50:
                by_region.setdefault(region, []).append(found[region].by_predicted.coverage.value)
    assert 0.88 <= np.mean(over_all) <= 0.92
    assert {"many", "medium"} <= set(by_region)
    assert all(np.mean(shares) > 0.85 for shares in by_region.values()), by_region
