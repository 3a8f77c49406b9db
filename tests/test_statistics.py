import itertools
import json
import math
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.stats import binom, binomtest, friedmanchisquare, nct, ttest_rel, wilcoxon
from scipy.stats import t as student

from tailwise._checks import InputError
from tailwise.compare.cell import Cell
from tailwise.compare.comparison import compare_grid
from tailwise.compare.conclusions import conclusions
from tailwise.compare.paired import compare_paired
from tailwise.compare.power import smallest_difference, splits_needed
from tailwise.compare.ranks import groups_alike, nemenyi_critical_difference, pareto_front, rank_methods
from tailwise.compare.statistics import (
    COPIES,
    NO_SEED,
    ONE_SEED,
    Tally,
    compare_methods,
    holm,
    tally,
    wilcoxon_after_holm,
)
from tailwise.experiment.spec import Experiment
from tailwise.metrics.paired_bootstrap import paired_bootstrap

REGIONS = ("all", "many", "medium", "few")
CUTS = (3.0, 4.5)
TRAIN, TEST = 0.8, 0.2


def cells(n, seed=0, gain=0.3):
    rng = np.random.default_rng(seed)
    base = rng.normal(10, 1, n)
    return base - gain + rng.normal(0, 0.5, n), base


def test_plain_t_test_is_that_of_scipy():
    ours, base = cells(9)
    found, known = compare_paired(ours, base, confidence=0.9), ttest_rel(ours, base)
    ends = known.confidence_interval(0.9)
    assert found.p_value == pytest.approx(known.pvalue, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-12)
    assert found.difference == pytest.approx(np.mean(ours - base))
    assert found.percent == pytest.approx(100 * (ours.mean() / base.mean() - 1))
    assert (found.n, found.left_out) == (9, 0)


def test_corrected_t_test_is_its_formula():
    ours, base = cells(10, seed=3)
    gains = [a - b for a, b in zip(ours, base, strict=True)]
    mean = sum(gains) / 10
    variance = sum((g - mean) ** 2 for g in gains) / 9 * (1 / 10 + 150 / 600)
    quantile = student.ppf(0.975, 9)
    found = compare_paired(ours, base, n_train=600, n_test=150)
    assert found.p_value == pytest.approx(2 * student.sf(abs(mean) / math.sqrt(variance), 9), rel=1e-10)
    assert found.low == pytest.approx(mean - quantile * math.sqrt(variance))
    assert found.high == pytest.approx(mean + quantile * math.sqrt(variance))
    assert found.p_value > compare_paired(ours, base).p_value


@pytest.mark.parametrize("n", [2, 5, 6, 10, 60])
def test_wilcoxon_is_that_of_scipy(n):
    ours, base = cells(n, seed=n)
    found = compare_paired(ours, base)
    assert found.wilcoxon_p == pytest.approx(wilcoxon(ours, base).pvalue)


@pytest.mark.parametrize("gains", [[1.0, 2.0, -0.5, 3.0, 4.0, 5.0, -0.1], [0.0, 1.0, 1.0, -1.0, 2.0, 2.0, 2.0]])
def test_wilcoxon_is_exact_for_few_cells_also_with_ties(gains):
    # zeros are dropped, equal sizes share their mean rank, and every way to set the signs is as likely
    sizes = [abs(g) for g in gains if g]
    ranks = [sum(b < a for b in sizes) + (1 + sum(b == a for b in sizes)) / 2 for a in sizes]
    total = sum(r for r, g in zip(ranks, [g for g in gains if g], strict=True) if g > 0)
    centre = sum(ranks) / 2
    sums = [
        sum(r for r, up in zip(ranks, signs, strict=True) if up)
        for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    exact = sum(abs(s - centre) >= abs(total - centre) - 1e-9 for s in sums) / len(sums)
    found = compare_paired(np.array(gains) + 10, np.full(7, 10.0))
    assert found.wilcoxon_p == pytest.approx(exact)


def test_wilcoxon_of_five_cells_can_never_reach_five_percent():
    assert [n for n in range(2, 9) if compare_paired(*cells(n)).wilcoxon_least < 0.05] == [6, 7, 8]
    for n in (5, 6):
        found = compare_paired(np.arange(1.0, n + 1), np.zeros(n))
        assert found.wilcoxon_p == pytest.approx(found.wilcoxon_least)


def test_cells_that_lack_one_are_left_out():
    ours, base = cells(8)
    with_gaps = np.append(ours, [np.nan, 1.0]), np.append(base, [1.0, np.nan])
    found = compare_paired(*with_gaps)
    assert (found.n, found.left_out) == (8, 2)
    assert found.p_value == compare_paired(ours, base).p_value


@pytest.mark.parametrize(
    ("ours", "base", "p", "verdict"),
    [
        ([1.0], [2.0], None, ONE_SEED),
        ([1.0, np.nan], [2.0, 2.0], None, ONE_SEED),
        ([np.nan], [1.0], None, NO_SEED),
        ([], [], None, NO_SEED),
        ([0.1 + 0.2] * 4, [0.2] * 4, None, COPIES),
        ([2.1, 3.1, 4.1], [2.0, 3.0, 4.0], None, COPIES),
        ([2.0, 3.0], [2.0, 3.0], 1.0, "no difference"),
        ([2.0, 3.0, 2.5], [2.1, 2.9, 2.4], 0.667, "no difference"),
        ([1.0, 1.1, 1.0], [2.0, 2.0, 2.1], 0.003, "better"),
        ([2.0, 2.0, 2.1], [1.0, 1.1, 1.0], 0.003, "worse"),
    ],
)
def test_verdicts(ours, base, p, verdict):
    (found,) = compare_methods({"base": {"few": base}, "ours": {"few": ours}}, "base")
    assert found.verdict == verdict
    assert (found.adjusted_p is None) == (p is None)
    if p is not None:
        assert found.adjusted_p == pytest.approx(p, abs=0.001)
    assert (found.paired.low is None) == (p is None)
    json.dumps(found.to_json(), allow_nan=False)


def test_one_seed_shows_its_numbers_and_concludes_nothing():
    found = compare_paired([1.0], [2.0], n_train=80, n_test=20)
    assert (found.difference, found.percent, found.n, found.wilcoxon_p, found.wilcoxon_least) == (-1, -50, 1, None, 1)


def test_percent_needs_a_reference_above_zero():
    assert compare_paired([1.0, 2.0], [0.0, 0.0]).percent is None


def test_the_family_is_all_methods_and_regions():
    rng = np.random.default_rng(0)
    scores = {m: {r: 5 + rng.normal(size=6) for r in REGIONS} for m in ("vanilla", "lds", "inv")}
    scores["inv"]["few"] = [np.nan] * 6
    found = compare_methods(scores, "vanilla")
    assert [(c.method, c.region) for c in found] == [(m, r) for m in ("lds", "inv") for r in REGIONS]
    told = [c for c in found if c.paired.p_value is not None]
    assert len(told) == 7
    assert [c.adjusted_p for c in told] == pytest.approx(holm([c.paired.p_value for c in told]).tolist())
    assert found[-1].verdict == NO_SEED


def test_wilcoxon_beside_the_verdict_is_corrected_over_the_same_family():
    rng = np.random.default_rng(0)
    scores = {m: {r: 5 + rng.normal(size=8) for r in REGIONS} for m in ("vanilla", "lds", "inv")}
    scores["inv"]["few"] = [np.nan] * 8
    found = compare_methods(scores, "vanilla")
    alone = [
        wilcoxon(scores[m][r], scores["vanilla"][r]).pvalue for m in ("lds", "inv") for r in REGIONS
        if (m, r) != ("inv", "few")
    ]  # fmt: skip
    *told, missing = wilcoxon_after_holm(found)
    assert told == pytest.approx(holm(alone).tolist())
    assert missing is None


def test_what_is_shown_of_a_pair():
    found = compare_paired([1.0, 2.0, 4.0, 3.0], [2.0, 2.0, 5.0, 2.0])
    assert found.lower_in == 2
    assert found.percent_ends == pytest.approx((100 * found.low / 2.75, 100 * found.high / 2.75))
    assert compare_paired([1.0], [2.0]).percent_ends is None


def test_tally_counts_every_verdict():
    scores = {
        "vanilla": {"all": [2.0, 2.0, 2.1], "many": [1.0, 1.1, 1.0], "medium": [2.0, 3.0, 2.5], "few": [np.nan] * 3},
        "lds": {"all": [1.0, 1.1, 1.0], "many": [2.0, 2.0, 2.1], "medium": [2.1, 2.9, 2.4], "few": [1.0] * 3},
        "none": {r: [np.nan] * 3 for r in REGIONS},
    }
    found = compare_methods(scores, "vanilla")
    assert tally(found) == {"lds": Tally(1, 1, 1, 1), "none": Tally(0, 0, 0, 4)}
    assert tally(c for c in found if c.region == "all")["lds"] == Tally(wins=1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: compare_paired([1.0, 2.0], [1.0]), "shapes"),
        (lambda: compare_paired([[1.0]], [[1.0]]), "shapes"),
        (lambda: compare_paired([1.0, np.inf], [1.0, 2.0]), "infinite"),
        (lambda: compare_paired([1.0], [1.0], n_train=5), "both or neither"),
        (lambda: compare_paired([1.0], [1.0], n_train=0, n_test=5), "n_train"),
        (lambda: compare_paired([1.0], [1.0], confidence=95), "confidence"),
        (lambda: compare_methods({"a": {}}, "a"), "two methods"),
        (lambda: compare_methods({"a": {}, "b": {}}, "c"), "'c'"),
        (lambda: compare_methods({"a": {"few": [1.0]}, "b": {}}, "a"), "'b' has no errors for 'few'"),
        (lambda: holm([0.1, np.nan]), "from 0 to 1"),
        (lambda: holm([[0.1]]), "one-dimensional"),
        (lambda: paired_bootstrap([[1.0]], []), "same cells"),
        (lambda: paired_bootstrap([[1.0]], [[1.0, 2.0]]), "cell 0"),
        (lambda: paired_bootstrap([[np.nan]], [[1.0]]), "NaN"),
        (lambda: paired_bootstrap([[]], [[]]), "no cell has a row"),
        (lambda: paired_bootstrap([[1.0]], [[1.0]], resamples=0), "resamples"),
        (lambda: paired_bootstrap([[1.0, 2.0]], [[1.0, 2.0]], rows=[[1]]), "rows must be"),
        (lambda: paired_bootstrap([[1.0]], [[1.0]], bins=[]), "bins must be"),
        (lambda: rank_methods({"t": {"a": 1.0}}), "two methods"),
        (lambda: rank_methods({"t": {"a": 1.0, "b": math.nan}}), "leave out 'b'"),
        (lambda: rank_methods({"t": {"a": 1.0, "b": 2.0}}, confidence=0), "confidence"),
        (lambda: nemenyi_critical_difference(1, 5), "k must"),
        (lambda: nemenyi_critical_difference(3, 0), "n must"),
        (lambda: pareto_front([1.0, 2.0]), r"\(n, 2\)"),
    ],
)
def test_mistakes_are_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        # by hand: 4 x .005, 3 x .01, 2 x .03, then .04 held up to the one before
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02, 0.01, 0.03, 0.01, 0.5], [0.06, 0.05, 0.06, 0.05, 0.5]),
        # multipletests(p, method="holm") of statsmodels
        (
            [0.001, 0.039, 0.008, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216],
            [0.01, 0.312, 0.072, 0.312, 0.312, 0.312, 0.312, 0.615, 0.615, 0.615],
        ),
        ([0.9, 0.8], [1.0, 1.0]),
        ([0.03], [0.03]),
        ([], []),
    ],
)
def test_holm(p, adjusted):
    assert holm(p).tolist() == pytest.approx(adjusted)


def share_with_a_claim(errors, **rows):
    """Of experiments (E, methods, regions, cells), the first method the reference: how many claim any difference."""
    names = ["base", *(f"method {i}" for i in range(1, errors.shape[1]))]
    regions = REGIONS[: errors.shape[2]]
    told = [
        tally(
            compare_methods(
                {m: dict(zip(regions, e, strict=True)) for m, e in zip(names, one, strict=True)}, "base", **rows
            )
        )
        for one in errors
    ]
    return np.mean([any(t.wins or t.losses for t in by_method.values()) for by_method in told])


def independent_cells(experiments, rng, n_cells=10):
    """Three methods and a reference alike; cells are hard or easy for all, a method is lucky or not in all regions."""
    hard = rng.normal(size=(experiments, 1, 1, n_cells))
    own = 0.5 * rng.normal(size=(experiments, 4, 1, n_cells))
    return 10 + hard + own + rng.normal(size=(experiments, 4, 4, n_cells))


def in_regions(y):
    """(..., 4, n) masks of all, many, medium and few."""
    code = np.searchsorted(CUTS, y)
    return np.stack([np.ones_like(code, dtype=bool), code == 0, code == 1, code == 2], axis=-2).astype(float)


def mean_errors(errors, y, test):
    """Mean over the test rows of each region, NaN where a split has none."""
    counted = in_regions(y) * test[:, None]
    with np.errstate(invalid="ignore"):
        return np.einsum("ekn,ern->ekr", errors, counted) / counted.sum(-1)[:, None]


def splits(experiments, n, n_cells, rng):
    """Test rows of every split: one row in five, drawn anew from the same n."""
    for _ in range(n_cells):
        yield np.argsort(rng.random((experiments, n)), axis=1) < TEST * n


def resplit_means(experiments, rng, n=400, n_cells=10):
    """One sample an experiment, split again and again: a model is the mean of the training rows, moved by row.

    The moves of the four models follow one law, so none is better, on any region.
    """
    y, moves = rng.gamma(2, size=(experiments, n)), rng.normal(size=(experiments, 4, n))
    found = []
    for test in splits(experiments, n, n_cells, rng):
        mean = (y * ~test).sum(1) / (~test).sum(1)
        found.append(mean_errors(np.abs(y[:, None] - mean[:, None, None] - 0.5 * moves), y, test))
    return np.stack(found, axis=-1)


def test_without_a_difference_at_most_one_family_in_twenty_claims_one():
    claims = share_with_a_claim(independent_cells(1000, np.random.default_rng(0)))
    assert 0.02 < claims <= 0.05
    # one region and one method at a time would claim far more
    alone = independent_cells(300, np.random.default_rng(1))
    uncorrected = [
        any(compare_paired(one[m, r], one[0, r]).p_value < 0.05 for m in (1, 2, 3) for r in range(4)) for one in alone
    ]
    assert np.mean(uncorrected) > 0.2


@pytest.mark.slow
def test_splits_of_one_table_claim_no_more_and_would_without_the_correction():
    errors = resplit_means(1000, np.random.default_rng(0))
    assert 0.02 < share_with_a_claim(errors, n_train=TRAIN, n_test=TEST) <= 0.05
    assert share_with_a_claim(errors[:300]) > 0.3


@pytest.mark.slow
def test_a_split_that_tests_more_of_the_rare_rows_claims_no_more_and_would_with_the_share_of_all():
    """A third of the medium and few rows, a tenth of the many: each region has the correction of its own share."""
    rng = np.random.default_rng(0)
    y, moves = rng.gamma(2, size=(600, 400)), rng.normal(size=(600, 4, 400))
    code = np.searchsorted(CUTS, y)
    found = []
    for _ in range(10):
        test = rng.random(y.shape) < np.array([0.1, 1 / 3, 1 / 3])[code]
        mean = (y * ~test).sum(1) / (~test).sum(1)
        found.append(mean_errors(np.abs(y[:, None] - mean[:, None, None] - 0.5 * moves), y, test))
    errors = np.stack(found, axis=-1)
    tested = np.array([0.1, 1 / 3, 1 / 3])
    counts = np.bincount(code.ravel()) * tested
    shares = dict(zip(REGIONS, (np.average(tested, weights=counts), *tested), strict=True))
    rest = {region: 1 - share for region, share in shares.items()}
    assert 0.02 < share_with_a_claim(errors, n_train=rest, n_test=shares) <= 0.05
    whole = counts.sum() / code.size
    assert share_with_a_claim(errors, n_train=1 - whole, n_test=whole) > 0.06


def test_repeated_folds_claim_no_more():
    rng = np.random.default_rng(0)
    y, moves = rng.gamma(2, size=(400, 300)), rng.normal(size=(400, 4, 300))
    found = []
    for _ in range(3):
        fold_of = np.argsort(rng.random(y.shape), axis=1) % 5
        for fold in range(5):
            test = fold_of == fold
            mean = (y * ~test).sum(1) / (~test).sum(1)
            found.append(mean_errors(np.abs(y[:, None] - mean[:, None, None] - 0.5 * moves), y, test))
    errors = np.stack(found, axis=-1)
    assert share_with_a_claim(errors, n_train=240, n_test=60) <= 0.05
    assert share_with_a_claim(errors) > 0.3


def test_interval_covers_what_these_trainings_do_on_new_rows():
    """Two lines through different columns, learnt on every split: the truth is their error on 4,000 other rows."""
    rng = np.random.default_rng(0)
    experiments, n = 400, 500

    def draw(*size):
        x = rng.normal(size=(*size[:-1], 2, size[-1]))
        return x, 1.5 + x.sum(-2) + 1.5 * rng.normal(size=size)

    (x, y), (new_x, new_y) = draw(experiments, n), draw(1, 4000)
    weights = in_regions(new_y)[0]
    found, truth = [], []
    for test in splits(experiments, n, 10, rng):
        train = (~test)[:, None] / (~test).sum(1)[:, None, None]
        x_mean, y_mean = (x * train).sum(-1, keepdims=True), (y[:, None] * train).sum(-1, keepdims=True)
        slope = ((x - x_mean) * y[:, None] * train).sum(-1, keepdims=True)
        slope /= (np.square(x - x_mean) * train).sum(-1, keepdims=True)
        found.append(mean_errors(np.abs(y[:, None] - y_mean - slope * (x - x_mean)), y, test))
        truth.append(np.abs(new_y - y_mean - slope * (new_x - x_mean)) @ weights.T / weights.sum(1))
    found, truth = np.stack(found, -1), np.stack(truth, -1).mean(-1)
    for region in range(4):
        pairs = [compare_paired(e[1, region], e[0, region], n_train=TRAIN, n_test=TEST) for e in found]
        covered = [p.low <= t[1, region] - t[0, region] <= p.high for p, t in zip(pairs, truth, strict=True)]
        assert np.mean(covered) > 0.95 - 3 * math.sqrt(0.95 * 0.05 / experiments)


def test_other_training_rows_may_differ_further_than_the_interval_says():
    """Means of two halves of the training rows: on few-shot rows which is better hangs on the rows this table has."""
    rng = np.random.default_rng(0)
    y = rng.gamma(2, size=(300, 400))
    half = rng.integers(0, 2, size=y.shape)
    found = []
    for test in splits(300, 400, 10, rng):
        rows = np.stack([~test & (half == i) for i in (0, 1)], axis=1)
        mean = (y[:, None] * rows).sum(-1) / rows.sum(-1)
        found.append(mean_errors(np.abs(y[:, None] - mean[..., None]), y, test)[:, :, 3:])
    assert share_with_a_claim(np.stack(found, axis=-1), n_train=TRAIN, n_test=TEST) > 0.2


@pytest.mark.parametrize("rows", [{}, {"n_train": TRAIN, "n_test": TEST}])
@pytest.mark.parametrize("errors_away", [1.0, math.sqrt(10)])
def test_a_difference_is_found_as_often_as_theory_says(errors_away, rows):
    """Ten seeds, a true difference of that many standard errors of their mean (√10: one standard deviation)."""
    experiments, n = 2000, 10
    rng = np.random.default_rng(0)
    base = rng.normal(10, 1, size=(experiments, n))
    ours = base - errors_away / math.sqrt(n) + rng.normal(size=(experiments, n))
    errors = np.stack([base, ours], axis=1)[:, :, None]
    bound = student.ppf(0.975, n - 1) * math.sqrt(1 + n * rows.get("n_test", 0) / rows.get("n_train", 1))
    power = nct.sf(bound, n - 1, errors_away) + nct.cdf(-bound, n - 1, errors_away)
    found = round(experiments * share_with_a_claim(errors, **rows))
    low, high = binom.ppf([0.001, 0.999], experiments, power)
    assert low <= found <= high


def resplit_pairs(experiments, n_cells, rng, *, noise, rare):
    """Two models alike, split again and again: differences (E, cells) and their variances over test rows.

    A model is the mean of the training rows, moved by row, and by training with a standard deviation of ``noise``;
    ``rare`` tests rows of large y alone.
    """
    n = 400
    y, moves = rng.gamma(2, size=(experiments, n)), rng.normal(size=(experiments, 2, n))
    differences, variances = [], []
    for test in splits(experiments, n, n_cells, rng):
        mean = (y * ~test).sum(1) / (~test).sum(1)
        trained = noise * rng.normal(size=(experiments, 2, 1))
        errors = np.abs(y[:, None] - mean[:, None, None] - 0.5 * moves - trained)
        rows = test & (y > 4) if rare else test
        gain, size = errors[:, 1] - errors[:, 0], np.maximum(rows.sum(1), 2)
        difference = (gain * rows).sum(1) / size
        differences.append(difference)
        variances.append((np.square(gain - difference[:, None]) * rows).sum(1) / (size - 1) / size)
    return np.stack(differences, 1), np.stack(variances, 1)


def share_found(differences, variances, level):
    zeros = np.zeros(differences.shape[1])
    pairs = [
        compare_paired(10 + d, 10 + zeros, n_train=TRAIN, n_test=TEST, row_variance=v)
        for d, v in zip(differences, variances, strict=True)
    ]
    return np.mean([pair.p_value < level for pair in pairs])


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("rare", [False, True])
def test_with_the_variance_of_rows_three_splits_claim_no_more(noise, rare):
    """At the level of one comparison, and at that of the first of fifteen after Holm."""
    differences, variances = resplit_pairs(1500, 3, np.random.default_rng(0), noise=noise, rare=rare)
    assert share_found(differences, variances, 0.05) <= 0.05
    assert share_found(differences, variances, 0.05 / 15) <= 0.008


def test_with_the_variance_of_rows_three_splits_find_what_they_could_not():
    """Two models that differ by seven standard errors of the mean, at the level of the first of fifteen after Holm."""
    differences, variances = resplit_pairs(1000, 3, np.random.default_rng(0), noise=0.0, rare=False)
    differences = differences - 7 * np.sqrt(variances.mean() * (1 / 3 + TEST / TRAIN))
    assert share_found(differences, np.full_like(variances, np.nan), 0.05 / 15) < 0.2
    assert share_found(differences, variances, 0.05 / 15) > 0.5


@pytest.mark.parametrize("away", [0.5, 1.0])
def test_as_many_splits_as_said_find_the_difference_in_four_of_five_comparisons(away):
    rng = np.random.default_rng(0)
    pair = compare_paired(away + np.tile([1.0, -1.0], 4) * math.sqrt(7 / 8), np.zeros(8))  # standard deviation 1
    n = splits_needed(pair, 0.05)
    told = [compare_paired(away + rng.normal(size=n), np.zeros(n)).p_value < 0.05 for _ in range(2000)]
    assert 0.76 < np.mean(told) < 0.88
    smallest = smallest_difference(pair, 0.05)
    found = [compare_paired(smallest + rng.normal(size=8), np.zeros(8)).p_value < 0.05 for _ in range(2000)]
    assert 0.76 < np.mean(found) < 0.86


def shared_cells(rng, n=60):
    """Four cells that test rows of one table of n, some of them several times, and the gains of each."""
    rows = [np.sort(rng.choice(n, size, replace=False)) for size in (20, 30, 25, 12)]
    easy = rng.normal(size=n)  # a row that helps one cell helps all
    return rows, [0.2 + easy[r] + rng.normal(0, 0.3, r.size) for r in rows]


def grid_of(errors):
    """Results of a grid from (methods, 5 scores, cells); the first method is the reference."""
    results = []
    for order, of_method in enumerate(errors):
        entry = Experiment(
            "vanilla" if order == 0 else "reweight", method_params={"reweight": {"power": order}}, encoder="mlp"
        )
        for seed, (everything, many, medium, few, balanced) in enumerate(of_method.T.tolist()):
            metrics = {
                "all": {"as_rows_come": everything, "bmae": balanced},
                "many": {"mae": many},
                "medium": {"mae": medium},
            }
            results.append(
                (
                    Cell("t", "t.csv", "y", entry, seed, order=order),
                    {
                        "metrics": metrics | {"few": {"mae": few}},
                        "tested": dict.fromkeys((*REGIONS, "come", "evenly"), TEST),
                    },
                )
            )
    return results


def share_that_concludes(errors):
    """Of experiments (E, methods, 5 scores, cells): how many comparisons say in words that anything differs."""
    claims = 0
    for one in errors:
        found = compare_grid(grid_of(one), "mlp vanilla (reweight.power=0)")
        said = conclusions(found)
        claims += any(" is better " in line or " is worse " in line for line in said)
        differ = [line for line in said if " is better " in line or " is worse " in line]
        alike = [line for line in said if line.startswith("No difference from mlp vanilla")]
        assert len(differ) + len(alike) >= 1
        assert len(differ) <= len(one) - 1
    return claims / len(errors)


@pytest.mark.slow
def test_a_comparison_without_a_difference_concludes_one_in_at_most_five_percent():
    """Splits of one table, four methods alike, the mean over bins as the mean of the regions."""
    errors = resplit_means(1000, np.random.default_rng(0))
    errors = np.concatenate([errors, errors[:, :, 1:].mean(2, keepdims=True)], axis=2)
    assert 0.02 < share_that_concludes(errors) <= 0.05


@pytest.mark.parametrize("errors_away", [1.0, math.sqrt(10)])
def test_a_comparison_concludes_as_often_as_theory_says(errors_away):
    """The five scores of the one method move together, so Holm asks for a fifth of 5 % of each, and all are claimed."""
    experiments, n = 600, 10
    rng = np.random.default_rng(0)
    base = rng.normal(10, 0.1, size=(experiments, n))
    ours = base - 0.1 * errors_away / math.sqrt(n) + rng.normal(0, 0.1, size=(experiments, n))
    errors = np.repeat(np.stack([base, ours], axis=1)[:, :, None], 5, axis=2)
    bound = student.ppf(1 - 0.05 / 5 / 2, n - 1) * math.sqrt(1 + n * TEST / TRAIN)
    power = nct.sf(bound, n - 1, errors_away) + nct.cdf(-bound, n - 1, errors_away)
    low, high = binom.ppf([0.001, 0.999], experiments, power)
    assert low <= round(experiments * share_that_concludes(errors)) <= high


def test_bootstrap_draws_a_row_in_every_cell_that_tested_it():
    rng = np.random.default_rng(0)
    rows, gains = shared_cells(rng)
    there = np.unique(np.concatenate(rows))
    drawn = []
    for _ in range(4000):
        times = np.bincount(rng.choice(there, there.size), minlength=60)
        drawn.append(np.mean([np.average(g, weights=times[r]) for r, g in zip(rows, gains, strict=True)]))
    zeros = [np.zeros(g.size) for g in gains]
    found = paired_bootstrap(gains, zeros, rows=rows, resamples=20000)
    assert found.value == pytest.approx(np.mean([g.mean() for g in gains]))
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist(), abs=0.03)
    apart = paired_bootstrap(gains, zeros)
    assert found.high - found.low > 1.2 * (apart.high - apart.low)


def test_bootstrap_over_bins_is_that_of_the_mean_of_their_means():
    rng = np.random.default_rng(0)
    bins = np.repeat([0, 3, 4], [200, 60, 30])
    gain = rng.normal(0.3 * bins, 1 + bins / 4)
    drawn = []
    for _ in range(4000):
        picked = rng.integers(gain.size, size=gain.size)
        drawn.append(np.mean([gain[picked][bins[picked] == b].mean() for b in (0, 3, 4)]))
    found = paired_bootstrap([gain], [np.zeros(gain.size)], bins=[bins], resamples=20000)
    assert found.value == pytest.approx(np.mean([gain[bins == b].mean() for b in (0, 3, 4)]))
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist(), abs=0.03)


def test_bootstrap_of_one_cell_is_that_of_its_rows():
    gain = np.random.default_rng(0).normal(size=2000)
    found = paired_bootstrap([gain], [np.zeros(2000)])
    half = 1.96 * gain.std() / math.sqrt(2000)
    assert [found.low, found.high] == pytest.approx([gain.mean() - half, gain.mean() + half], abs=0.1 * half)


def test_bootstrap_covers_the_truth_where_cells_share_rows():
    rng = np.random.default_rng(0)
    hits = {"shared": 0, "apart": 0}
    for seed in range(300):
        rows, gains = shared_cells(rng)
        for name, given in (("shared", {"rows": rows}), ("apart", {})):
            found = paired_bootstrap(gains, [np.zeros(g.size) for g in gains], resamples=400, seed=seed, **given)
            hits[name] += found.low <= 0.2 <= found.high
    low, high = binom.ppf([0.001, 0.999], 300, 0.95)
    assert low <= hits["shared"] <= high
    assert hits["apart"] < 0.9 * 300


def test_rows_say_whether_models_differ_and_splits_whether_methods_do():
    """Two methods alike, whose every training is lucky or not: these models do differ, the methods do not."""
    rng = np.random.default_rng(0)
    over_rows = over_splits = 0
    for _ in range(200):
        gains = [rng.normal(scale=0.3) + rng.normal(size=400) for _ in range(5)]
        base = [np.full(400, 10.0)] * 5
        found = paired_bootstrap([b + g for b, g in zip(base, gains, strict=True)], base, resamples=200)
        over_rows += found.low > 0 or found.high < 0
        over_splits += compare_paired([10 + g.mean() for g in gains], [10.0] * 5).p_value < 0.05
    assert over_rows > 0.6 * 200
    assert over_splits <= binom.ppf(0.999, 200, 0.05)


def test_bootstrap_edges():
    empty = paired_bootstrap([[], [1.0, 2.0]], [[], [0.0, 0.0]], rows=[[], [3, 4]], bins=[[], [0, 0]])
    assert empty == paired_bootstrap([[1.0, 2.0]], [[0.0, 0.0]])
    single = paired_bootstrap([[3.0]], [[1.0]])
    assert (single.value, single.low, single.high) == (2.0, None, None)
    again = paired_bootstrap([[3.0], [2.0]], [[1.0], [1.0]], rows=[[7], [7]])
    assert (again.value, again.low, again.high) == (1.5, None, None)
    ours, base = cells(50)
    assert paired_bootstrap([ours], [base], seed=1) == paired_bootstrap([ours], [base], seed=1)
    assert paired_bootstrap([ours], [base], seed=1) != paired_bootstrap([ours], [base], seed=2)


def test_bootstrap_takes_less_than_a_second():
    rng = np.random.default_rng(0)
    ours, base = ([rng.exponential(size=2000) for _ in range(5)] for _ in range(2))
    started = time.process_time()
    paired_bootstrap(ours, base)
    assert time.process_time() - started < 1


def as_tables(errors):
    return {f"table {i}": {f"m{j}": float(e) for j, e in enumerate(row)} for i, row in enumerate(errors)}


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_is_that_of_scipy_and_iman_davenport_its_formula(ties):
    errors = np.random.default_rng(1).normal(np.arange(4) * 0.3, size=(12, 4))
    errors = np.round(errors, 0) if ties else errors
    found = rank_methods(as_tables(errors))
    known = friedmanchisquare(*errors.T)
    assert (found.friedman, found.friedman_p) == pytest.approx((known.statistic, known.pvalue))
    assert found.iman_davenport == pytest.approx(11 * known.statistic / (12 * 3 - known.statistic))
    for j in range(4):
        ranks = [1 + sum(b < row[j] for b in row) + (sum(b == row[j] for b in row) - 1) / 2 for row in errors]
        assert found.mean_ranks[f"m{j}"] == pytest.approx(sum(ranks) / 12)
    assert list(found.mean_ranks.values()) == sorted(found.mean_ranks.values())
    assert found.p_value == pytest.approx(found.iman_davenport_p, abs=0.02)
    json.dumps(found.to_json(), allow_nan=False)


def test_shuffles_decide_exactly_for_few_tables():
    errors = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]])
    found = rank_methods(as_tables(errors))

    def spread(rows):
        totals = [sum(r[j] for r in rows) for j in range(3)]
        return sum((t - sum(totals) / 3) ** 2 for t in totals)

    orders = list(itertools.permutations((1.0, 2.0, 3.0)))
    every = [spread(rows) for rows in itertools.product(orders, repeat=3)]
    exact = sum(s >= spread(errors) - 1e-9 for s in every) / len(every)
    assert found.p_value == pytest.approx(exact, abs=0.015)
    assert exact > 0.19
    assert found.iman_davenport_p < 0.05
    assert found.groups == (("m0", "m1", "m2"),)


@pytest.mark.parametrize("wins", [5, 6, 9])
def test_two_methods_are_the_sign_test(wins):
    errors = [[1.0, 2.0]] * wins + [[2.0, 1.0]] + [[1.0, 1.0]]
    found = rank_methods(as_tables(errors))
    assert found.p_value == pytest.approx(binomtest(wins, wins + 1).pvalue, abs=0.01)
    assert found.friedman is None


def test_four_tables_cannot_tell_two_methods_apart():
    found = rank_methods(as_tables([[1.0, 2.0]] * 4))
    assert found.critical_difference < 1 == found.mean_ranks["m1"] - found.mean_ranks["m0"]
    assert found.p_value == pytest.approx(0.125, abs=0.015)
    assert found.groups == (("m0", "m1"),)


@pytest.mark.parametrize(("k", "n"), [(2, 5), (3, 3), (4, 4), (5, 8)])
def test_ranks_without_a_difference_rarely_claim_one(k, n):
    rng = np.random.default_rng(0)
    found = [rank_methods(as_tables(rng.normal(size=(n, k)))) for _ in range(150)]
    most = binom.ppf(0.999, 150, 0.05)
    assert sum(r.p_value < 0.05 for r in found) <= most
    assert sum(len(r.groups) != 1 or len(r.groups[0]) != k for r in found) <= most


def test_tables_that_lack_a_method_are_left_out_and_named():
    tables = as_tables(np.random.default_rng(0).normal(size=(6, 3)))
    del tables["table 1"]["m2"]
    tables["table 4"]["m0"] = math.nan
    found = rank_methods(tables)
    assert found.left_out == ("table 1", "table 4")
    assert found.tables == ("table 0", "table 2", "table 3", "table 5")
    kept = rank_methods({name: tables[name] for name in found.tables})
    assert (found.mean_ranks, found.p_value) == (kept.mean_ranks, kept.p_value)


def test_one_table_and_equal_methods_tell_nothing():
    one = rank_methods(as_tables([[1.0, 2.0, 3.0]]))
    assert (one.p_value, one.friedman, one.differ) == (None, None, False)
    assert one.groups == (("m0", "m1", "m2"),)
    equal = rank_methods(as_tables(np.ones((8, 3))))
    assert (equal.p_value, equal.friedman, equal.friedman_p, equal.differ) == (1.0, 0.0, 1.0, False)
    assert set(equal.mean_ranks.values()) == {2.0}


def test_methods_that_differ_on_all_tables_are_apart():
    found = rank_methods(as_tables(np.arange(3.0) + np.zeros((20, 3))))
    assert found.differ
    assert found.groups == ()
    assert math.isinf(found.iman_davenport)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["iman_davenport"] is None


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728)])
def test_nemenyi_quantiles_are_those_of_the_tables(k, q):
    assert nemenyi_critical_difference(k, 30) / math.sqrt(k * (k + 1) / 180) == pytest.approx(q, abs=1e-3)


def test_groups_are_the_maximal_cliques():
    rng = np.random.default_rng(0)
    for _ in range(200):
        ranks = np.sort(rng.integers(10, 60, rng.integers(2, 8)) / 10).tolist()
        n = len(ranks)
        runs = [(i, j) for i in range(n) for j in range(i + 2, n + 1) if ranks[j - 1] - ranks[i] <= 1.0 + 1e-9]
        maximal = [a for a in runs if not any(b != a and b[0] <= a[0] and a[1] <= b[1] for b in runs)]
        assert groups_alike(ranks, 1.0) == maximal


def test_pareto_front_is_that_of_plain_loops():
    many = np.random.default_rng(0).integers(0, 12, size=40)
    points = np.column_stack([many, 12 - many + np.random.default_rng(1).integers(0, 4, size=40)]).astype(float)
    points[3] = np.nan
    beats = [
        [a[0] <= b[0] and a[1] <= b[1] and (a[0] < b[0] or a[1] < b[1]) for a in points.tolist()]
        for b in points.tolist()
    ]
    expected = [not any(row) and i != 3 for i, row in enumerate(beats)]
    assert pareto_front(points).tolist() == expected
    assert 1 < sum(expected) < 20
    assert pareto_front([[1.0, 1.0], [1.0, 1.0]]).tolist() == [True, True]
    assert pareto_front(np.empty((0, 2))).tolist() == []


def test_no_torch_is_needed():
    code = "import sys, tailwise.compare.statistics, tailwise.compare.ranks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
