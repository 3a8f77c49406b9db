"""Conformal intervals from predictive distributions: coverage by region, against the definition, and bad input."""

import json
import math
import warnings

import numpy as np
import pytest

from tailwise import Bins, InputError, Shots
from tailwise.calibration.distribution_intervals import _MOST_KEPT, LEVELS, DistributionIntervals
from tailwise.calibration.intervals import RegionIntervals
from tailwise.distributions import Empirical, Mixture
from tailwise.labels.shots import REGIONS

RNG = np.random.default_rng(0)
# many, medium, few and zero on 0 to 10, 10 to 20, 20 to 30 and 30 to 40
SHOTS = Shots(Bins.from_edges([0, 10, 20, 30, 40]), np.array([500, 50, 5, 0]), many=100, few=20)


def gaussians(means, scales):
    return Mixture(np.ones((len(means), 1)), np.reshape(means, (-1, 1)), np.reshape(scales, (-1, 1)))


def simulated(n, regions=4, wrong=1.0):
    """Labels with a spread that varies within each region, and Gaussians that are too narrow by a factor."""
    pred = RNG.uniform(0, 10 * regions, n)
    scale = np.exp(RNG.uniform(-1.5, 1.5, n))
    factor = np.array([0.5, 1.0, 2.0, 3.0])[SHOTS.codes(pred)]
    return pred + RNG.normal(size=n) * scale * factor * wrong, gaussians(pred, scale), pred


def by_hand(y, low, high, confidence):
    scores = sorted(max(a - label, label - b) for label, a, b in zip(y, low, high, strict=True))
    rank = math.ceil((len(scores) + 1) * confidence - 1e-9)
    return scores[max(rank, 1) - 1] if rank <= len(scores) else math.inf


@pytest.mark.parametrize(
    ("confidence", "level"), [(0.9, 0.9), (0.8, 0.8), (0.5, 0.5), (0.93, 0.95), (0.84, 0.8), (0.99, 0.95), (0.3, 0.5)]
)
def test_ends_are_those_of_the_definition(confidence, level):
    y, predictive, pred = simulated(600)
    fitted = DistributionIntervals.fit(y, predictive, pred, SHOTS)
    _, new, new_pred = simulated(50)
    low, high = predictive.interval(level)
    new_low, new_high = new.interval(level)
    found = fitted.intervals(new, new_pred, confidence)
    for i, region in enumerate(SHOTS.codes(new_pred)):
        rows = SHOTS.codes(pred) == region
        offset = by_hand(y[rows], low[rows], high[rows], confidence)
        expected = new_low[i] - offset, new_high[i] + offset
        if expected[0] > expected[1]:
            expected = ((new_low[i] + new_high[i]) / 2,) * 2
        assert found[i] == pytest.approx(expected)


@pytest.mark.parametrize("confidence", [0.4, 0.65, 0.9, 0.97])
def test_coverage_overall_and_in_every_predicted_region(confidence):
    repetitions, n_new = 150, 800
    hits, counts = np.zeros(len(REGIONS)), np.zeros(len(REGIONS))
    for _ in range(repetitions):
        y, predictive, pred = simulated(500)
        fitted = DistributionIntervals.fit(y, predictive, pred, SHOTS)
        y_new, new, new_pred = simulated(n_new)
        low, high = fitted.intervals(new, new_pred, confidence).T
        codes = SHOTS.codes(new_pred)
        hits += np.bincount(codes, (low <= y_new) & (y_new <= high), len(REGIONS))
        counts += np.bincount(codes, minlength=len(REGIONS))
    # Of n calibration rows the coverage is Beta distributed about rank / (n + 1), on top of the binomial error.
    variance = confidence * (1 - confidence)
    error = 4 * math.sqrt(variance / (repetitions * 125) + variance / counts.min())
    for share in hits / counts:
        assert confidence - error <= share <= confidence + 1 / 90 + error
    assert abs(hits.sum() / counts.sum() - confidence) < 1 / 90 + error / 2


def test_narrower_than_intervals_of_residuals_where_the_spread_varies():
    y, predictive, pred = simulated(4000)
    y_new, new, new_pred = simulated(4000)
    mine = DistributionIntervals.fit(y, predictive, pred, SHOTS).intervals(new, new_pred, 0.9)
    theirs = RegionIntervals.fit(y, pred, SHOTS).intervals(new_pred, 0.9)
    for ends in (mine, theirs):
        assert ((ends[:, 0] <= y_new) & (y_new <= ends[:, 1])).mean() == pytest.approx(0.9, abs=0.02)
    assert np.diff(mine).mean() < 0.85 * np.diff(theirs).mean()
    widths, scales = np.diff(mine)[:, 0], new.std()
    many = SHOTS.codes(new_pred) == 0
    wide, narrow = many & (scales > 2), many & (scales < 0.5)
    assert widths[wide].mean() > 2 * widths[narrow].mean()


def test_regions_with_few_predictions_are_merged():
    y, predictive, pred = simulated(300, regions=2)
    fitted = DistributionIntervals.fit(y, predictive, pred, SHOTS)
    assert fitted.categories == (0, 1, 1, 1)
    assert fitted.rows["zero"] == fitted.rows["medium"] == int((pred >= 10).sum())
    alone = DistributionIntervals.fit(y, predictive, pred, SHOTS, least=10_000)
    assert alone.categories == (0, 0, 0, 0)
    assert alone.rows["many"] == 300


def test_labels_that_are_atoms_are_covered():
    y = RNG.integers(0, 5, 400).astype(float)
    predictive = Empirical(np.arange(5.0), np.ones((400, 5)))
    fitted = DistributionIntervals.fit(y, predictive, np.full(400, 2.0), SHOTS)
    low, high = fitted.intervals(predictive, np.full(400, 2.0), 0.9).T
    assert ((low <= y) & (y <= high)).mean() >= 0.9


def test_intervals_that_are_far_too_wide_become_points():
    y = np.zeros(100) + 5
    wide = gaussians(y, np.full(100, 4.0))
    ends = DistributionIntervals.fit(y, wide, y, SHOTS).intervals(gaussians([5.0], [1.0]), [5.0], 0.9)
    np.testing.assert_allclose(ends, [[5.0, 5.0]], atol=1e-9)


@pytest.mark.parametrize("n", [1000, 1001, 1500, 1998, 40_000])
def test_thinned_scores_cover_no_less_and_little_more(n):
    y = RNG.permutation(n) + 1.0  # the score of an atom at 0 is the rank
    fitted = DistributionIntervals.fit(y, gaussians(np.zeros(n), np.zeros(n)), np.full(n, 5.0), SHOTS)
    assert fitted.scores[0].shape == (len(LEVELS), _MOST_KEPT)
    for confidence in (0.01, 0.5, 0.77, 0.9, 0.95, 0.99, 0.999):
        _, rank = fitted.intervals(gaussians([0.0], [0.0]), [5.0], confidence)[0]
        assert confidence - 1e-9 <= rank / (n + 1) <= confidence + 0.001 + 1 / (n + 1)


def test_too_few_rows_give_infinite_ends_and_one_warning():
    y, predictive, pred = simulated(120)
    chosen = np.sort(np.concatenate([np.flatnonzero(SHOTS.codes(pred) == 0)[:18], np.flatnonzero(pred > 30)]))
    fitted = DistributionIntervals.fit(y[chosen], predictive.select(chosen), pred[chosen], SHOTS, least=1)
    new = gaussians([5.0, 35.0], [1.0, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(fitted.intervals(new, [5.0, 35.0], 0.9)).all()
    with pytest.warns(UserWarning, match=r"infinite for predictions in many .*\(18 .*\): at least 19 rows are needed"):
        ends = fitted.intervals(new, [5.0, 35.0], 0.95)
    assert np.isinf(ends).tolist() == [[True, True], [False, False]]
    with pytest.warns(UserWarning, match="at least 9,999 rows are needed; ask for a lower confidence"):
        fitted.intervals(new, [5.0, 35.0], 0.9999)


def test_saved_and_read_again():
    y, predictive, pred = simulated(5000)
    fitted = DistributionIntervals.fit(y, predictive, pred, SHOTS)
    read = DistributionIntervals.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    np.testing.assert_array_equal(read.intervals(predictive, pred, 0.87), fitted.intervals(predictive, pred, 0.87))
    assert read.to_json() == fitted.to_json()
    assert read.rows == fitted.rows


class TestBadInput:
    ROWS = gaussians(np.full(50, 5.0), np.ones(50))
    PRED = np.full(50, 5.0)

    def fitted(self):
        return DistributionIntervals.fit(np.arange(50.0), self.ROWS, self.PRED, SHOTS)

    @pytest.mark.parametrize("confidence", [0, 1, -0.5, 90, np.nan, np.inf, "0.9", True, None])
    def test_confidence(self, confidence):
        with pytest.raises(InputError, match="confidence"):
            self.fitted().intervals(self.ROWS, self.PRED, confidence)

    def test_rows(self):
        with pytest.raises(InputError, match="one distribution a prediction, 49, got 50"):
            self.fitted().intervals(self.ROWS, self.PRED[1:])
        with pytest.raises(InputError, match="one distribution a prediction, 49, got 50"):
            DistributionIntervals.fit(np.arange(49.0), self.ROWS, self.PRED[1:], SHOTS)
        with pytest.raises(InputError, match="must be equal"):
            DistributionIntervals.fit(np.arange(49.0), self.ROWS, self.PRED, SHOTS)
        with pytest.raises(InputError, match="y_val has 1 labels that are NaN"):
            DistributionIntervals.fit(np.r_[np.nan, np.arange(49.0)], self.ROWS, self.PRED, SHOTS)
        with pytest.raises(InputError, match="y_val is empty"):
            DistributionIntervals.fit([], self.ROWS, [], SHOTS)
        with pytest.raises(InputError, match="least"):
            DistributionIntervals.fit(np.arange(50.0), self.ROWS, self.PRED, SHOTS, least=0)

    def test_arrays(self):
        scores = np.zeros((len(LEVELS), 3))
        with pytest.raises(InputError, match="categories must name one of 1"):
            DistributionIntervals(SHOTS, (0, 0, 1, 1), (scores,))
        for bad in (scores[:2], scores[:, :0], scores + np.nan, scores[0]):
            with pytest.raises(InputError, match=r"scores must be finite, \(6, k\)"):
                DistributionIntervals(SHOTS, (0, 0, 0, 0), (bad,))
