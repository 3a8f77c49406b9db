import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import norm

from tailwise.distributions import (
    Empirical,
    Histogram,
    Mixture,
    StepFunction,
    mixture_of,
    predictive,
    predictive_from_arrays,
)

N = 7
STEP = StepFunction([-20.0, -1.0, 0.0, 2.5, 30.0], [0.2, 1.0, 0.0, 3.0])


def mixture(n=N, k=3, seed=0):
    rng = np.random.default_rng(seed)
    return Mixture(rng.dirichlet(np.ones(k), n), rng.normal(0, 4, (n, k)), rng.uniform(0.1, 3, (n, k)))


def rain(n=N):
    rng = np.random.default_rng(1)
    dry = rng.uniform(0.2, 0.8, n)
    return Mixture(
        np.stack([dry, (1 - dry) / 2, (1 - dry) / 2], axis=1),
        np.stack([np.zeros(n), rng.uniform(2, 5, n), np.full(n, 7.0)], axis=1),
        np.stack([np.zeros(n), rng.uniform(0.5, 2, n), np.zeros(n)], axis=1),
    )


def histogram(n=N):
    masses = np.random.default_rng(2).dirichlet(np.ones(6), n)
    masses[0, 2:4] = 0
    return Histogram([-4.0, -2.5, -1.0, 0.0, 0.5, 3.0, 9.0], masses)


def empirical(n=N):
    rng = np.random.default_rng(3)
    weights = rng.dirichlet(np.ones(9), n) * (rng.random((n, 9)) < 0.7)
    weights[:, 4] += 0.1
    return Empirical([3.0, -2.0, 0.0, 0.0, 1.0, 5.5, -4.0, 2.0, 8.0], weights)


MAKERS = {
    "mixture": mixture,
    "atoms": rain,
    "histogram": histogram,
    "empirical": empirical,
    "tilted": lambda n=N: mixture(n).tilt(STEP),
    "tilted atoms": lambda n=N: rain(n).tilt(STEP),
    "tilted histogram": lambda n=N: histogram(n).tilt(STEP),
    "tilted empirical": lambda n=N: empirical(n).tilt(STEP),
}
EVERY = pytest.mark.parametrize("name", MAKERS)
GRID = np.sort(np.concatenate([np.linspace(-25, 35, 601), [0.0, 7.0, 5.5, np.nextafter(0, 1)]]))
LEVELS = np.concatenate([[1e-9], np.linspace(0.01, 0.99, 21), [1 - 1e-9]])


@EVERY
def test_distribution_functions_rise_from_0_to_1(name):
    dist = MAKERS[name]()
    cdf, below, above = dist.cdf(GRID[None]), dist.below(GRID[None]), dist.above(GRID[None])
    assert cdf.shape == (N, GRID.size)
    assert (np.diff(cdf) >= -1e-15).all()
    assert (np.diff(below) >= -1e-15).all()
    assert (below <= cdf).all()
    assert cdf[:, 0] == pytest.approx(0, abs=1e-9)
    assert cdf[:, -1] == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(cdf + above, 1, atol=1e-14)


@EVERY
def test_quantiles_invert_the_distribution_function(name):
    dist = MAKERS[name]()
    quantiles = dist.quantile(LEVELS)
    assert (np.diff(quantiles) >= 0).all()
    assert (dist.cdf(quantiles) >= LEVELS - 1e-13).all()
    assert (dist.below(quantiles) <= LEVELS + 1e-13).all()
    assert np.array_equal(dist.median(), dist.quantile(0.5))
    low, high = dist.interval(0.8)
    np.testing.assert_allclose(np.stack([low, high], axis=1), dist.quantile([0.1, 0.9]), rtol=1e-12)


@EVERY
def test_moments_against_quantiles(name):
    dist = MAKERS[name]()
    levels = (np.arange(2_000) + 0.5) / 2_000
    values = dist.quantile(levels)
    np.testing.assert_allclose(dist.mean(), values.mean(axis=1), atol=5e-3)
    np.testing.assert_allclose(dist.std(), values.std(axis=1), atol=3e-2)


@EVERY
@pytest.mark.parametrize("y", [-30.0, -1.0, 0.0, 2.2, 40.0])
def test_crps_against_a_numerical_integral(name, y):
    dist = MAKERS[name]()
    edges = np.union1d(np.linspace(-60, 60, 12_001), [y])
    middles, widths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    integrals = ((dist.cdf(middles[None]) - (middles >= y)) ** 2) @ widths
    np.testing.assert_allclose(dist.crps(np.full(N, y)), integrals, rtol=2e-4, atol=5e-4)


@pytest.mark.parametrize("name", ["mixture", "histogram", "tilted", "tilted histogram"])
def test_log_scores_are_slopes_of_the_distribution_function(name):
    dist, y, step = MAKERS[name](), np.linspace(-3.4, 5.2, N), 1e-5
    slope = (dist.cdf(y + step) - dist.cdf(y - step)) / (2 * step)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(dist.log_score(y), -np.log(slope), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["atoms", "empirical", "tilted atoms", "tilted empirical"])
def test_log_scores_of_atoms_are_logarithms_of_their_mass(name):
    dist = MAKERS[name]()
    for atom in (0.0, 7.0) if "atoms" in name else (-2.0, 3.0):
        mass = dist.cdf(atom) - dist.below(atom)
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(dist.log_score(np.full(N, atom)), -np.log(mass), rtol=1e-9)


@EVERY
def test_a_tilt_multiplies_the_mass_of_each_cell(name):
    dist = MAKERS[name]()
    step = StepFunction([-8.0, -2.0, 0.0, 1.0, 6.0], [1.0, 0.25, 2.0, 0.5])
    below = dist.below(step.edges[None])
    below[:, -1] = dist.cdf(6.0)  # the last cell includes its upper edge
    mass = np.diff(below) * step.values
    tilted = dist.tilt(step)
    expected = np.cumsum(mass / mass.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    np.testing.assert_allclose(tilted.below(step.edges[None, 1:-1]), expected, atol=1e-12)
    np.testing.assert_allclose(tilted.cdf(6.0), 1)
    np.testing.assert_allclose(tilted.below(-8.0), 0)


@EVERY
def test_constant_weights_change_nothing(name):
    dist = MAKERS[name]()
    tilted = dist.tilt(StepFunction([-1e3, 0.0, 1e3], [5.0, 5.0]))
    np.testing.assert_allclose(tilted.quantile(LEVELS), dist.quantile(LEVELS), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(tilted.mean(), dist.mean(), atol=1e-12)
    np.testing.assert_allclose(tilted.std(), dist.std(), rtol=1e-9)
    np.testing.assert_allclose(tilted.crps(np.ones(N)), dist.crps(np.ones(N)), rtol=1e-6)


@EVERY
def test_two_tilts_are_one_with_the_product(name):
    dist = MAKERS[name]()
    one, other = StepFunction([-9.0, 0.0, 9.0], [1.0, 3.0]), StepFunction([-9.0, 1.0, 5.0], [1.0, 0.2])
    twice, once = dist.tilt(one).tilt(other), dist.tilt(one.times(other))
    np.testing.assert_allclose(twice.cdf(GRID[None]), once.cdf(GRID[None]), atol=1e-12)


@pytest.mark.parametrize("maker", [mixture, rain, histogram])
def test_rows_without_mass_become_certain_of_the_nearest_point(maker):
    step = StepFunction([7.9, 8.0, 500.0, 501.0], [1.0, 0.0, 1.0])
    low, high = maker().affine(-1000.0, 1.0).tilt(step), maker().affine(400.0, 1.0).tilt(step)
    for dist, point in ((low, 7.9), (high, 500.0)):
        for decided in (dist.median(), dist.mean(), dist.quantile(0.99)):
            assert (np.abs(decided - point) <= (1.0 if maker is histogram else 1e-9)).all()
        assert np.isfinite(dist.crps(np.zeros(N))).all()
        assert np.isfinite(dist.std()).all()


def test_rows_of_labels_without_mass_become_certain_of_the_nearest_label():
    tilted = Empirical([0.0, 1.0, 5.0, 9.0], [[1.0, 0, 0, 0], [1.0, 0, 0, 2.0]]).tilt(StepFunction([4.0, 10.0], [1.0]))
    assert tilted.median().tolist() == [5.0, 9.0]


def test_tilts_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="weights leave nothing"):
        mixture().tilt(STEP).tilt(StepFunction([100.0, 101.0], [1.0]))


@EVERY
@pytest.mark.parametrize(("shift", "scale"), [(3.0, 2.0), (-1e3, 0.01), (0.0, 1e6)])
def test_units_do_not_matter(name, shift, scale):
    dist = MAKERS[name]()
    moved, y = dist.affine(shift, scale), np.linspace(-3, 6, N)
    tolerance = {"rtol": 1e-6, "atol": 1e-8 * scale}
    np.testing.assert_allclose(moved.quantile(LEVELS[1:-1]), shift + scale * dist.quantile(LEVELS[1:-1]), **tolerance)
    np.testing.assert_allclose(moved.mean(), shift + scale * dist.mean(), **tolerance)
    np.testing.assert_allclose(moved.std(), scale * dist.std(), **tolerance)
    np.testing.assert_allclose(moved.crps(shift + scale * y), scale * dist.crps(y), **tolerance)
    np.testing.assert_allclose(moved.cdf(shift + scale * y[1]), dist.cdf(y[1]), atol=1e-6)


@EVERY
def test_rows_do_not_depend_on_each_other(name):
    dist, order = MAKERS[name](), np.random.default_rng(0).permutation(N)
    y = np.linspace(-3, 6, N)
    for rows in (order, order[:2], np.arange(N) > 4, slice(2, 5)):
        part = dist.select(rows)
        np.testing.assert_allclose(part.quantile(LEVELS), dist.quantile(LEVELS)[rows], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(part.crps(y[rows]), dist.crps(y)[rows], rtol=1e-12)
        np.testing.assert_allclose(part.above(1.0), dist.above(1.0)[rows], rtol=1e-12)
    none = dist.select(np.zeros(N, dtype=bool))
    assert none.mean().shape == none.quantile(0.5).shape == (0,)


@EVERY
def test_many_rows_are_computed_in_pieces(name, monkeypatch):
    dist = MAKERS[name](40)
    y = np.linspace(-3, 6, 40)
    whole = dist.quantile(LEVELS), dist.mean(), dist.crps(y), dist.log_score(y), dist.cdf(y)
    monkeypatch.setattr(predictive, "pieces", lambda n, width, elements: (slice(i, i + 3) for i in range(0, n, 3)))
    pieces = dist.quantile(LEVELS), dist.mean(), dist.crps(y), dist.log_score(y), dist.cdf(y)
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@EVERY
def test_arrays_round_trip_exactly(name, tmp_path):
    dist = MAKERS[name](300)
    np.savez(tmp_path / "dist.npz", **dist.to_arrays())
    with np.load(tmp_path / "dist.npz") as arrays:
        again = predictive_from_arrays(dist.kind, arrays)
    assert type(again) is type(dist)
    for key, array in dist.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[key], array)
    np.testing.assert_array_equal(again.median(), dist.median())


def test_weights_are_divided_by_their_sum_unless_it_is_1_but_for_rounding():
    given = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1 + 1e-12], [3.0, 3.0, 4.0]])
    assert given[0].sum() != 1
    for made in (
        Mixture(given, np.zeros((3, 3)), np.ones((3, 3))).weights,
        Histogram(np.arange(4.0), given).masses,
        Empirical(np.arange(3.0), given).weights.toarray(),
    ):
        np.testing.assert_array_equal(made[0], given[0])
        np.testing.assert_allclose(made[1:], given[1:] / given[1:].sum(axis=1, keepdims=True), rtol=1e-15)
        assert (made[1] != given[1]).all()


def test_pooled_distributions_round_trip_exactly():
    parts = [mixture(300, 8, seed) for seed in range(9)]
    pooled = mixture_of([mixture_of(parts[:5]), mixture_of(parts[5:], np.array([0.1, 0.2, 0.3, 0.4]))])
    again = Mixture.from_arrays(pooled.to_arrays())
    np.testing.assert_array_equal(again.weights, pooled.weights)


@EVERY
def test_points_may_be_one_number_one_a_row_or_columns(name):
    dist, y = MAKERS[name](), np.linspace(-2, 3, N)
    assert dist.cdf(1.0).shape == dist.cdf(y).shape == (N,)
    assert dist.cdf(np.array([[0.0, 1.0]])).shape == (N, 2)
    np.testing.assert_array_equal(dist.cdf(np.array([[0.0, 1.0]]))[:, 1], dist.cdf(1.0))
    np.testing.assert_array_equal(dist.cdf(y), np.diag(dist.cdf(y[None])))
    assert dist.quantile(0.3).shape == (N,)
    assert dist.quantile([0.3]).shape == (N, 1)


class TestMixture:
    def test_one_gaussian(self):
        y, mean, scale = np.linspace(-5, 5, N), np.linspace(-2, 2, N), np.linspace(0.1, 3, N)
        dist, ref = Mixture(np.ones((N, 1)), mean[:, None], scale[:, None]), norm(mean, scale)
        z = (y - mean) / scale
        np.testing.assert_allclose(dist.quantile([1e-12, 0.3, 0.999]).T, [ref.ppf(q) for q in (1e-12, 0.3, 0.999)])
        np.testing.assert_allclose(dist.log_score(y), -ref.logpdf(y))
        expected = scale * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
        np.testing.assert_allclose(dist.crps(y), expected, rtol=1e-9)

    def test_tiny_chances_are_exact(self):
        dist = Mixture([[0.5, 0.5]], [[0.0, 1.0]], [[1.0, 2.0]])
        assert dist.above(21.0) == pytest.approx(0.5 * (norm.sf(21) + norm.sf(10)), rel=1e-12)
        assert dist.below(-21.0) == pytest.approx(0.5 * (norm.cdf(-21) + norm.cdf(-11)), rel=1e-12)

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.tuples(st.floats(0.001, 1), st.floats(-1e3, 1e3), st.sampled_from([0.0, 1e-9, 1e-3, 0.5, 7.0, 1e4])),
            min_size=1,
            max_size=5,
        ),
        st.floats(1e-6, 1 - 1e-6),
    )
    def test_any_quantile_inverts_any_mixture(self, components, level):
        weights, means, scales = (np.array([column]) for column in zip(*components, strict=True))
        dist = Mixture(weights, means, scales)
        quantile = dist.quantile(level)
        # One rounding error of the quantile or its bracket moves the probability by the density times it.
        bracket = np.ptp(means + norm.ppf(level) * scales, axis=1)
        slack = 1e-12 + np.exp(-dist.log_score(quantile)) * np.spacing(np.abs(quantile) + bracket + 1) * 8
        slack = np.where(np.isin(quantile, means[scales == 0]), 1e-12, np.minimum(slack, 1))
        assert (dist.cdf(quantile) >= level - slack).all()
        assert (dist.below(quantile) <= level + slack).all()

    def test_far_modes_and_narrow_ones_are_found(self):
        dist = Mixture([[0.5 - 1e-6, 2e-6, 0.5 - 1e-6]], [[0.0, 50.0, 1e6]], [[1e-6, 1.0, 1e-3]])
        assert dist.median() == pytest.approx(50.0, abs=1e-6)
        assert dist.quantile(0.25) == pytest.approx(norm.ppf(0.25 / (0.5 - 1e-6)) * 1e-6, abs=1e-18)


class TestEmpirical:
    def test_quantiles_are_those_of_numpy(self):
        rng = np.random.default_rng(0)
        values, weights = rng.normal(size=30), rng.integers(0, 4, (20, 30)).astype(float)
        weights[:, 0] += 1
        dist = Empirical(values, weights)
        for level in (0.01, 0.25, 0.5, 0.9):
            expected = [np.quantile(values, level, weights=row, method="inverted_cdf") for row in weights]
            np.testing.assert_allclose(dist.quantile(level), expected)

    def test_sparse_and_dense_weights_are_alike(self):
        weights = np.random.default_rng(0).random((5, 12)) * (np.random.default_rng(1).random((5, 12)) < 0.3)
        weights[:, 3] = 0.2
        values = np.arange(12.0) // 2
        one, other = Empirical(values, weights), Empirical(values, csr_array(weights))
        np.testing.assert_array_equal(one.weights.toarray(), other.weights.toarray())
        assert one.values.size == 6

    def test_labels_of_a_count_keep_their_mass_and_decisions_are_counts(self):
        counts = np.arange(6)
        dist = Empirical.of(Mixture([[0.7, 0.3]], [[0.1, 3.2]], [[0.4, 1.0]]), counts)
        base = Mixture([[0.7, 0.3]], [[0.1, 3.2]], [[0.4, 1.0]])
        middles = np.arange(0.5, 5)
        np.testing.assert_allclose(dist.cdf(counts[None, :-1]), base.cdf(middles[None]))
        tilted = dist.tilt(StepFunction(np.arange(-0.5, 6), [0.1, 0.3, 1, 1, 1, 1]))
        assert set(tilted.quantile(LEVELS).ravel()) <= set(counts.tolist())
        mass = dist.weights.toarray()[0] * [0.1, 0.3, 1, 1, 1, 1]
        np.testing.assert_allclose(tilted.weights.toarray()[0], mass / mass.sum())

    def test_weights_that_leave_no_value_are_refused(self):
        with pytest.raises(ValueError, match="0 at every value"):
            empirical().tilt(StepFunction([100.0, 200.0], [1.0]))


class TestHistogram:
    def test_of_other_distributions(self):
        edges = np.linspace(-30, 30, 61)
        dist = mixture()
        np.testing.assert_allclose(
            Histogram.of(dist, edges).cdf(edges[None, 1:-1]), dist.cdf(edges[None, 1:-1]), atol=1e-9
        )

    def test_uniform(self):
        dist = Histogram([2.0, 6.0], [[1.0]])
        assert dist.mean() == 4
        assert dist.std() == pytest.approx(4 / np.sqrt(12))
        assert dist.crps([2.0]) == pytest.approx(4 / 3)
        assert dist.crps([4.0]) == pytest.approx(1 / 3)
        assert np.isinf(dist.log_score([7.0])).all()


@pytest.mark.parametrize("maker", [mixture, rain, histogram, empirical])
@pytest.mark.parametrize("row_weights", [False, True])
def test_mixtures_of_several_distributions_average_their_chances(maker, row_weights):
    parts = [maker(), maker().affine(0.7, 1.3), maker().affine(-2.0, 0.5)]
    weights = np.random.default_rng(0).dirichlet(np.ones(3), N) if row_weights else np.array([2.0, 1.0, 1.0])
    shares = weights if row_weights else np.broadcast_to(weights / 4, (N, 3))
    pooled = mixture_of(parts, weights)
    expected = sum(shares[:, [j]] * part.cdf(GRID[None]) for j, part in enumerate(parts))
    np.testing.assert_allclose(pooled.cdf(GRID[None]), expected, atol=1e-12)
    np.testing.assert_allclose(
        pooled.mean(), sum(shares[:, j] * part.mean() for j, part in enumerate(parts)), atol=1e-12
    )
    np.testing.assert_allclose(mixture_of(parts[:1]).cdf(GRID[None]), parts[0].cdf(GRID[None]), atol=1e-15)


def test_the_package_needs_neither_torch_nor_pandas():
    heavy = {"torch", "pandas", "sklearn", "matplotlib"}
    code = f"import sys, tailwise.distributions; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
