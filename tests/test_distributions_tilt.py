import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from golden import golden
from tailwise import LDS, Bins
from tailwise.calibration.corrections import Debias, Fitting
from tailwise.distributions import Decision, Dial, Empirical, Histogram, Mixture, SmoothedDensity, StepFunction, decide


def labels(n=5000):
    return np.random.default_rng(0).gamma(2.0, 10.0, n)


def mixture(n=20, k=3, seed=1):
    rng = np.random.default_rng(seed)
    return Mixture(rng.dirichlet(np.ones(k), n), rng.uniform(0, 90, (n, k)), rng.uniform(0.5, 10, (n, k)))


def gaussian(means, scale):
    means = np.asarray(means, dtype=float)[:, None]
    return Mixture(np.ones_like(means), means, np.full_like(means, scale))


@pytest.mark.parametrize("balance", [0.3, 1.0])
def test_tilted_mixtures_against_a_plain_integral(balance):
    dial, base = Dial.from_labels(labels()), mixture(n=4)
    weights, tilted = dial.density.weights(balance), dial.tilted(base, balance)
    nodes, step = np.linspace(*weights.edges[[0, -1]], 100_001, retstep=True)
    middles = nodes[:-1] + step / 2
    for row in range(len(base)):
        density = sum(
            share * norm.pdf(middles, mean, scale)
            for share, mean, scale in zip(base.weights[row], base.means[row], base.scales[row], strict=True)
        )
        mass = weights(middles) * density
        mass /= mass.sum()
        cdf, mean, part = mass.cumsum(), (mass * middles).sum(), tilted.select([row])
        levels = [0.05, 0.5, 0.9]
        assert part.mean() == pytest.approx(mean, abs=1e-3)
        assert part.std() == pytest.approx(np.sqrt((mass * (middles - mean) ** 2).sum()), abs=1e-3)
        assert part.quantile(levels)[0] == pytest.approx(np.interp(levels, cdf, nodes[1:]), abs=2e-3)
        assert part.crps([30.0]) == pytest.approx(((cdf - (middles >= 30)) ** 2).sum() * step, abs=1e-3)
        assert part.cdf(30.0) == pytest.approx(np.interp(30.0, nodes[1:], cdf), abs=1e-5)


def test_the_tilt_of_a_narrow_mixture_is_not_blurred():
    narrow = gaussian([3.3, 41.7, 88.8], 1e-3)
    for balance in (0.01, 1.0):
        decided = Dial.from_labels(labels()).decide(narrow, balance=balance)
        np.testing.assert_allclose(decided, narrow.median(), atol=1e-9)


class TestClosedForms:
    def test_gaussian_with_a_gaussian_density_of_labels(self):
        """N(m, s²) / N(0, 10²)^a is Gaussian with precision 1 / s² - a / 10²."""
        edges = np.linspace(-60, 60, 6001)
        middles = (edges[1:] + edges[:-1]) / 2
        density = SmoothedDensity(edges, norm.pdf(middles, 0, 10), np.ones(6000), -60.0, 60.0)
        means, scale = np.linspace(-20, 20, 9), 3.0
        for balance in (0.25, 0.5, 1.0):
            precision = 1 / scale**2 - balance / 100
            tilted = Dial(density).tilted(gaussian(means, scale), balance)
            expected = norm(means / scale**2 / precision, precision**-0.5)
            np.testing.assert_allclose(tilted.median(), expected.mean(), atol=1e-4)
            np.testing.assert_allclose(tilted.mean(), expected.mean(), atol=1e-4)
            np.testing.assert_allclose(tilted.std(), expected.std(), atol=1e-4)
            np.testing.assert_allclose(tilted.quantile(0.95), expected.ppf(0.95), atol=1e-4)
            np.testing.assert_allclose(tilted.above(15.0), expected.sf(15.0), atol=1e-5)
            np.testing.assert_allclose(
                tilted.crps(means), gaussian(expected.mean(), expected.std()[0]).crps(means), atol=1e-4
            )

    def test_labels_that_are_all_equally_likely_change_nothing(self):
        y = np.repeat(np.arange(100.0), 20)
        base = gaussian(np.linspace(20, 80, 13), 2.0)
        for balance in (0.5, 1.0):
            np.testing.assert_allclose(Dial.from_labels(y).decide(base, balance=balance), base.median(), atol=1e-9)

    def test_two_values(self):
        y = [0.0] * 90 + [1.0] * 10
        density = SmoothedDensity.from_labels(y, Bins.from_edges([-0.5, 0.5, 1.5]), lds=LDS(window=1))
        chance = np.array([0.02, 0.1, 0.3, 0.9])
        tilted = Dial(density).tilted(Empirical([0.0, 1.0], np.stack([1 - chance, chance], axis=1)), 1.0)
        odds = chance / (1 - chance) * 9
        np.testing.assert_allclose(tilted.above(0.5), odds / (1 + odds))
        assert tilted.median().tolist() == [0.0, 0.0, 1.0, 1.0]

    def test_an_inflated_zero_keeps_its_mass(self):
        rng = np.random.default_rng(0)
        y = np.concatenate([np.zeros(700), rng.uniform(0.5, 20, 300)])
        dial = Dial.from_labels(y, Bins.width(y, 1.0))
        dry, wet = np.array([0.9, 0.5, 0.3]), np.array([5.0, 8.0, 12.0])
        base = Mixture(np.stack([dry, 1 - dry], axis=1), np.stack([0 * dry, wet], axis=1), [[0.0, 1.0]] * 3)
        weights = dial.density.weights(0.5)
        tilted = dial.tilted(base, 0.5)
        zero = dry * weights(0.0)
        rest = [
            (1 - p) * (weights(m + norm.ppf((np.arange(4000) + 0.5) / 4000))).mean()
            for p, m in zip(dry, wet, strict=True)
        ]
        np.testing.assert_allclose(tilted.cdf(0.0) - tilted.below(0.0), zero / (zero + rest), rtol=1e-3)
        assert (base.median() == 0).tolist() == [True, True, False]
        assert tilted.median()[0] == 0 or zero[0] < rest[0]
        assert dial.decide(base, balance=0.1)[0] == 0


def expected_train_mean(centers, shares, pred, sigma):
    """Mean of the training posterior: a flat posterior N(y; ŷ, σ²) on the centers, tilted by p_train to the power 1."""
    likelihood = np.exp(-((centers - pred[:, None]) ** 2) / (2 * sigma**2))
    width = np.diff(centers).min() / 2 if centers.size > 1 else 1.0
    edges = np.concatenate([centers[:1] - width, (centers[1:] + centers[:-1]) / 2, centers[-1:] + width])
    flat = Empirical(centers, likelihood)
    under_training = flat.tilt(StepFunction(edges, shares))
    restored = under_training.tilt(StepFunction(edges, 1 / shares))
    np.testing.assert_allclose(restored.mean(), flat.mean(), rtol=1e-9)
    return under_training.mean()


@pytest.mark.parametrize("case", golden("balanced_mse"))
def test_gradients_of_balanced_mse_are_means_under_a_tilt(case):
    """The gradient of Balanced MSE is 2 (E_train[y | x] - y) / n: its network holds the distribution at balance 1."""
    kind = case.params["kind"] if case else ""
    if kind not in ("bmc", "bni"):
        return
    pred, target, sigma = case.inputs["pred"][:, 0], case.inputs["target"][:, 0], float(case.params["sigma"])
    if kind == "bmc":
        centers, shares = np.unique(target, return_counts=True)
    else:
        centers, shares = case.inputs["bucket_centers"], case.inputs["bucket_weights"]
        centers, shares = centers[shares > 0], shares[shares > 0]
    if (np.exp(-((centers - pred[:, None]) ** 2) / (2 * sigma**2)).sum(axis=1) == 0).any():
        return
    mean = expected_train_mean(centers, shares.astype(float), pred, sigma)
    case.close((2 * (mean - target) / target.size)[:, None], "grad_pred")


def test_balance_one_with_one_width_is_debias():
    y = np.repeat(np.arange(60.0), np.arange(60, 0, -1))
    bins, sigma, predictions = Bins.auto(y), 4.0, np.linspace(-5, 75, 81)
    corrected = Debias(sigma=sigma).fit(Fitting(y, bins, y, y + 1))(predictions)
    dial = Dial(SmoothedDensity.from_labels(y, bins, reach=0.0))
    decided = dial.decide(gaussian(predictions, sigma), balance=1, loss="squared")
    np.testing.assert_allclose(decided, corrected, atol=2e-3)


class TestDensity:
    def test_weights_are_those_of_lds(self):
        y = labels()
        bins = Bins.width(y, 2.0)
        density = SmoothedDensity.from_labels(y, bins)
        counts = bins.histogram(y)
        smoothed = LDS().effective(counts, power=1.0)
        seen = counts > 0
        for balance in (0.5, 1.0):
            weights = density.weights(balance)(bins.centers[seen])
            np.testing.assert_allclose(weights * smoothed[seen] ** balance, (weights * smoothed[seen] ** balance)[0])

    def test_no_decision_goes_further_beyond_the_labels_than_the_reach(self):
        y = np.random.default_rng(0).normal(50, 10, 2000)
        far = Mixture([[1.0], [1.0], [1.0]], [[1e6], [200.0], [-150.0]], [[1.0], [50.0], [1e3]])
        for reach in (0.0, 0.1, 0.5):
            dial = Dial.from_labels(y, Bins.width(y, 0.01), reach=reach)
            low, high = y.min() - reach * np.ptp(y) - 0.01, y.max() + reach * np.ptp(y) + 0.01
            for level in (0.001, 0.5, 0.999):
                decided = dial.decide(far, balance=0.5, quantile=level)
                assert ((decided >= low) & (decided <= high)).all()
            assert dial.decide(far, balance=0.5)[0] == pytest.approx(high, abs=0.021)
        assert dial.decide(far, balance=0)[0] == 1e6

    def test_gaps_get_the_lowest_density_and_the_ends_that_of_the_outermost_bins(self):
        y = np.concatenate([np.full(1000, 0.5), np.full(40, 1.5), np.full(200, 20.5)])
        density = SmoothedDensity.from_labels(y, Bins.from_edges(np.arange(-3.0, 40)))
        weights = density.weights(1.0)
        assert weights([10.5, 5.5]) == pytest.approx(1.0)
        assert weights(-1.0) == weights(0.5)
        assert weights(22.0) == weights(20.5) < 1
        assert density.edges[[0, -1]].tolist() == [-1.5, 22.5]

    def test_skewed_labels_do_not_pull_decisions_below_the_crowd(self):
        y = np.random.default_rng(0).exponential(10.0, 5000)
        base = gaussian([1.0], 3.0)
        assert Dial.from_labels(y).decide(base, balance=1)[0] > 0.5

    def test_json_round_trip(self):
        dial = Dial(SmoothedDensity.from_labels(labels(), lds=LDS(kernel="laplace", window=9, sigma=1.0)))
        again = Dial.from_json(json.loads(json.dumps(dial.to_json())))
        assert again.to_json() == dial.to_json()
        np.testing.assert_array_equal(
            again.decide(mixture(), density=labels(50)), dial.decide(mixture(), density=labels(50))
        )


class TestDeclaredDensity:
    def test_a_uniform_density_over_all_cells_is_balance_1(self):
        dial, base = Dial.from_labels(labels()), mixture()
        whole = tuple(dial.density.edges[[0, -1]])
        expected = dial.decide(base, balance=1)
        for density in (whole, lambda y: np.full(y.shape, 7.0), StepFunction(whole, [3.0])):
            np.testing.assert_allclose(dial.decide(base, density=density), expected, rtol=1e-9)
        np.testing.assert_allclose(dial.decide(base, density=whole, balance=0.5), dial.decide(base, balance=0.5))

    def test_the_training_density_itself_changes_nothing_within_reach(self):
        dial, base = Dial.from_labels(labels()), gaussian(np.linspace(20, 60, 9), 3.0)
        for density in (dial.density, dial.density.__call__):
            np.testing.assert_allclose(dial.decide(base, density=density), base.median(), atol=1e-6)

    def test_labels_of_the_rows_to_come(self):
        y = labels(20_000)
        dial, base = Dial.from_labels(y), gaussian(np.linspace(20, 60, 9), 3.0)
        np.testing.assert_allclose(dial.decide(base, density=y), base.median(), atol=0.05)
        high = dial.decide(base, density=list(y[y > 30]))
        assert (high >= 26).all()  # two bins of smoothing below 30

    def test_a_range_limits_decisions(self):
        decided = Dial.from_labels(labels()).decide(mixture(), density=(10.0, 20.0))
        assert ((decided >= 10) & (decided <= 20)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 15))
def test_decisions_move_to_rare_values_with_the_balance(seed, scale):
    """For a density of labels that falls, every quantile rises with the balance."""
    dial = Dial(SmoothedDensity(np.arange(0.0, 101), np.exp(-np.arange(100) / 9), np.ones(100), 0.0, 100.0))
    rng = np.random.default_rng(seed)
    base = Mixture(rng.dirichlet(np.ones(3), 4), rng.uniform(5, 95, (4, 3)), np.full((4, 3), scale))
    decisions = [dial.decide(base, balance=balance) for balance in (0.01, 0.3, 0.7, 1.0)]
    assert (np.diff(decisions, axis=0) >= -1e-9).all()


@settings(max_examples=20, deadline=None)
@given(st.floats(-100, 100), st.sampled_from([0.25, 2.0, 1024.0]))
def test_decisions_do_not_depend_on_units(shift, scale):
    y, base = labels(500), mixture()
    shift = float(np.float32(shift))
    edges = np.linspace(0, 100, 51)
    one = Dial.from_labels(y, Bins.from_edges(edges)).decide(base, balance=0.7)
    moved = Dial.from_labels(shift + scale * y, Bins.from_edges(shift + scale * edges))
    np.testing.assert_allclose(
        moved.decide(base.affine(shift, scale), balance=0.7), shift + scale * one, rtol=1e-4, atol=1e-3 * scale
    )


@pytest.mark.parametrize("maker", [mixture, lambda: Histogram.of(mixture(), np.linspace(-40, 130, 300))])
def test_decisions_minimize_expected_losses(maker):
    base = maker()
    for options, level in (
        ({}, 0.5),
        ({"under": 3, "over": 1}, 0.75),
        ({"quantile": 0.2}, 0.2),
        ({"loss": "absolute"}, 0.5),
    ):
        np.testing.assert_allclose(base.cdf(decide(base, **options)), level, atol=1e-12)
    np.testing.assert_allclose(decide(base, loss="squared"), base.mean())


def test_a_balance_of_zero_returns_the_same_object():
    base = mixture()
    assert Dial.from_labels(labels()).tilted(base, 0) is base
    assert Dial.from_labels(labels()).tilted(base) is base


def test_millions_of_rows_keep_memory_constant():
    dial = Dial.from_labels(labels())
    peaks = []
    for n in (20_000, 80_000):
        base = gaussian(np.linspace(0, 90, n), 5.0)
        tracemalloc.start()
        dial.decide(base, balance=0.5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 60_000 * 8 * 8  # some vectors of the rows, none of rows and cells


MIXTURE = mixture(3)
DENSITY = SmoothedDensity.from_labels(labels())
DIAL = Dial(DENSITY)
NAN = float("nan")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DIAL.decide(MIXTURE, balance=1.5), "balance must be a number from 0 .* got 1.5"),
        (lambda: DIAL.decide(MIXTURE, balance=NAN), "balance must be"),
        (lambda: DIAL.decide(MIXTURE, balance="half"), "balance must be"),
        (lambda: DIAL.decide(MIXTURE, balance=True), "balance must be"),
        (lambda: DIAL.decide(MIXTURE, density=(1e4, 2e4)), "density is 0 on all training labels, which run from"),
        (lambda: DIAL.decide(MIXTURE, density=lambda y: 0 * y), "density is 0 on all"),
        (lambda: DIAL.decide(MIXTURE, density=[1e4, 2e4]), "density is 0 on all"),
        (lambda: DIAL.decide(MIXTURE, density=lambda y: y - 1e9), "density must give"),
        (lambda: DIAL.decide(MIXTURE, density=lambda y: 1.0), "density must give"),
        (lambda: DIAL.decide(MIXTURE, density=(5.0, 5.0)), "uniform density"),
        (lambda: DIAL.decide(MIXTURE, density=[NAN]), "density has 1 labels that are NaN"),
        (lambda: decide(MIXTURE, under=1.0), "both under and over"),
        (lambda: decide(MIXTURE, under=0.0, over=1.0), "under must be a finite number above 0"),
        (lambda: decide(MIXTURE, under=1.0, over=float("inf")), "over must be a finite number above 0"),
        (lambda: decide(MIXTURE, quantile=1.0), "quantile must be between 0 and 1"),
        (lambda: decide(MIXTURE, quantile=[0.1, 0.9]), "quantile must be one number"),
        (lambda: decide(MIXTURE, loss="huber"), "loss must be one of"),
        (lambda: decide(MIXTURE, loss="squared", quantile=0.5), "only one of"),
        (lambda: MIXTURE.quantile(0.0), "q must be between 0 and 1"),
        (lambda: MIXTURE.quantile([]), "q must be between 0 and 1"),
        (lambda: MIXTURE.interval(90), "confidence must be between 0 and 1"),
        (lambda: MIXTURE.cdf("ten"), "t must be a number or an array of numbers, got 'ten'"),
        (lambda: MIXTURE.above(NAN), "t must be numbers, got 1 that are NaN"),
        (lambda: MIXTURE.above(np.zeros(5)), r"t must be one number, one a row \(3,\), or columns"),
        (lambda: MIXTURE.crps([1.0]), "y must have one label a row, 3, got 1"),
        (lambda: MIXTURE.crps([1.0, NAN, 2.0]), "y has 1 labels that are NaN"),
        (lambda: MIXTURE.select([7]), "rows must be"),
        (lambda: MIXTURE.affine(0.0, -1.0), "scale must be"),
        (lambda: MIXTURE.affine(NAN, 1.0), "shift must be a finite number"),
        (
            lambda: Mixture([[1.0]], [[NAN]], [[1.0]]),
            r"means has 1 values that are NaN or infinite, the first at \(0, 0\)",
        ),
        (lambda: Mixture([[1.0]], [[0.0]], [[-1.0]]), "scales must be 0"),
        (lambda: Mixture([[0.0]], [[0.0]], [[1.0]]), "weights must have a value above 0 in every row; row 0"),
        (lambda: Mixture([[1.0]], [[0.0, 1.0]], [[1.0]]), "must have one shape"),
        (lambda: Mixture([1.0], [0.0], [1.0]), "weights must have 2 dimensions"),
        (lambda: Mixture([[]], [[]], [[]]), "weights is empty"),
        (lambda: Mixture([["a"]], [[0.0]], [[1.0]]), "weights must be a number or an array of numbers"),
        (lambda: Mixture([[1.0], [1.0, 2.0]], [[0.0]], [[1.0]]), "weights must be a number or an array of numbers"),
        (lambda: Histogram([0.0, 0.0], [[1.0]]), "edges must be at least two increasing"),
        (lambda: Histogram([0.0, 1.0], [[1.0, 1.0]]), "masses must have one column a bin"),
        (lambda: Histogram([0.0, 1.0], [[-1.0]]), "masses must be at least 0"),
        (lambda: Histogram([0.0, 1.0], [[NAN]]), "masses has 1 values"),
        (lambda: Empirical([1.0, 2.0], [[1.0]]), "weights must have one column a value"),
        (lambda: Empirical([1.0], [[0.0]]), "weights must have a value above 0"),
        (lambda: Empirical([1.0], [[-1.0]]), "weights must be at least 0"),
        (lambda: Empirical([NAN], [[1.0]]), "values has 1 values"),
        (lambda: StepFunction([0.0, 1.0], [0.0]), "not all 0"),
        (lambda: StepFunction([0.0, 1.0], [1.0, 2.0]), "one number a cell"),
        (lambda: SmoothedDensity.from_labels([]), "y_train is empty"),
        (lambda: SmoothedDensity.from_labels([1.0, NAN]), "y_train has 1 labels"),
        (lambda: SmoothedDensity.from_labels(labels(), reach=-1), "reach must be"),
        (lambda: SmoothedDensity([0.0, 1.0], [0.0], [1.0], 0.0, 1.0), "densities above 0"),
        (lambda: SmoothedDensity([0.0, 1.0], [1.0], [1.0], 0.0, 2.0), "between the edges"),
    ],
)
def test_mistakes_are_one_line(call, message):
    from tailwise import InputError

    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_means_of_many_rows_keep_memory_constant():
    weights = StepFunction(np.linspace(0, 90, 201), np.linspace(1, 5, 200))
    peaks = []
    for n in (2600, 10_400):
        tilted = mixture(n).tilt(weights)
        tracemalloc.start()
        tilted.mean()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 7800 * 8 * 8


def test_moments_at_shared_edges_are_those_of_every_row():
    rows, edges, center = mixture(30)._components, np.linspace(-20, 130, 60), np.linspace(0, 90, 30)
    for pivot in (-1e3, 45.0, 1e3):
        expected = rows.moments(np.broadcast_to(edges, (30, 60)), pivot, center)
        ours = rows.moments_at(edges, pivot, center, most=2)
        np.testing.assert_allclose(ours[0], rows.cumulative(np.broadcast_to(edges, (30, 60)), pivot, strict=True))
        for moment, theirs in zip(ours[1:], expected, strict=True):
            np.testing.assert_allclose(moment, theirs, rtol=1e-9, atol=1e-9)


def test_a_dial_decides_as_a_decision_does():
    dial, rows = Dial.from_labels(labels()), mixture()
    for asked in ({"balance": 0.7}, {"density": (10.0, 80.0)}, {"under": 3, "over": 1}, {"loss": "squared"}, {}):
        np.testing.assert_array_equal(dial.decide(rows, **asked), Decision(**asked).of(rows, dial))
    np.testing.assert_array_equal(
        dial.decide(rows, density=(10.0, 80.0)), dial.tilted(rows, density=(10.0, 80.0)).median()
    )
