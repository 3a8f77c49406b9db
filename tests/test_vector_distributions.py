"""Joint distributions of several targets: closed forms, sums over cells, and what holds for all of them."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from tailwise import LDS, InputError
from tailwise.distributions import (
    Decision,
    Dial,
    GridDensity,
    GridFunction,
    Mixture,
    SmoothedDensity,
    StepFunction,
    TiltedMarginal,
    TiltedVectorMixture,
    VectorDial,
    VectorMixture,
    concatenate,
    decide,
    predictive_from_arrays,
)
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins


def labels(n=4000, k=2):
    rng = np.random.default_rng(0)
    return rng.gamma(2.0, 10.0, (n, k)) + np.arange(k)


def mixture(n=6, m=3, k=2, seed=1, narrowest=0.5):
    rng = np.random.default_rng(seed)
    means, scales = rng.uniform(0, 90, (n, m, k)), rng.uniform(narrowest, 15, (n, m, k))
    return VectorMixture(rng.dirichlet(np.ones(m), n), means, scales)


def uneven_grid(k=2, seed=3, zeros=True):
    rng = np.random.default_rng(seed)
    edges = tuple(np.concatenate([[-5.0], np.sort(rng.uniform(0, 90, 4 + j)), [100.0 + j]]) for j in range(k))
    values = rng.uniform(0, 1, tuple(axis.size - 1 for axis in edges))
    if zeros:
        values[rng.random(values.shape) < 0.3] = 0.0
    return GridFunction(edges, values)


def by_brute_force(base, weights, points=600):
    """Mean, standard deviation and median of each target of a row, from sums over a fine mesh of midpoints."""
    axes = []
    for edges in weights.edges:  # no small cell straddles an edge
        parts = [np.linspace(low, high, points // (edges.size - 1) + 1) for low, high in pairwise(edges)]
        axes.append(np.unique(np.concatenate(parts)))
    middles = [(axis[:-1] + axis[1:]) / 2 for axis in axes]
    mesh = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1)
    mass = weights(mesh)
    for j, axis in enumerate(axes):
        mass = mass * np.diff(axis).reshape([-1 if i == j else 1 for i in range(len(axes))])
    density = 0.0
    for share, mean, scale in zip(base.weights[0], base.means[0], base.scales[0], strict=True):
        density = density + share * multivariate_normal.pdf(mesh, mean, np.diag(scale**2))
    mass = mass * density
    result = []
    for j, (axis, middle) in enumerate(zip(axes, middles, strict=True)):
        one = mass.sum(axis=tuple(i for i in range(len(axes)) if i != j)) / mass.sum()
        mean = (one * middle).sum()
        result.append((mean, np.sqrt((one * (middle - mean) ** 2).sum()), np.interp(0.5, one.cumsum(), axis[1:])))
    return np.array(result), np.log(mass.sum())


class TestMixture:
    def test_each_target_is_a_mixture_by_itself(self):
        base, y = mixture(), labels(6)
        for k in range(2):
            one = Mixture(base.weights, base.means[:, :, k], base.scales[:, :, k])
            np.testing.assert_allclose(base.mean()[:, k], one.mean())
            np.testing.assert_allclose(base.std()[:, k], one.std())
            np.testing.assert_allclose(base.quantile([0.1, 0.9])[:, k], one.quantile([0.1, 0.9]))
            np.testing.assert_allclose(base.crps(y)[:, k], one.crps(y[:, k]))
            np.testing.assert_allclose(base.interval(0.8)[1][:, k], one.interval(0.8)[1])
            np.testing.assert_allclose(base.marginal(k).above(30.0), one.above(30.0))

    def test_the_joint_density_is_that_of_scipy(self):
        base, y = mixture(k=3), labels(6, k=3)
        for i in range(6):
            density = sum(
                share * multivariate_normal.pdf(y[i], mean, np.diag(scale**2))
                for share, mean, scale in zip(base.weights[i], base.means[i], base.scales[i], strict=True)
            )
            assert base.log_score(y)[i] == pytest.approx(-np.log(density))

    def test_one_target_is_a_scalar_mixture(self):
        base = mixture(k=1)
        one, y = Mixture(base.weights, base.means[:, :, 0], base.scales[:, :, 0]), labels(6, k=1)
        np.testing.assert_allclose(base.log_score(y), one.log_score(y[:, 0]))
        np.testing.assert_allclose(decide(base, under=3, over=1)[:, 0], decide(one, under=3, over=1))

    def test_no_rows(self):
        none = VectorMixture(np.zeros((0, 1)), *np.zeros((2, 0, 1, 2)))
        dial = VectorDial.from_labels(labels())
        for each in (none, dial.tilted(none, 0.5)):
            assert each.mean().shape == each.median().shape == each.std().shape == (0, 2)
            assert len(each.marginal(0)) == 0
        assert none.log_score(np.zeros((0, 2))).shape == (0,)

    @pytest.mark.parametrize(
        ("arrays", "match"),
        [
            (([[1.0]], [[[0.0, 0.0]]], [[[1.0, 0.0]]]), "scales must be above 0"),
            (([[1.0]], [[[0.0, 0.0]]], [[[1.0]]]), r"one shape \(n, M, K\)"),
            (([[0.0]], [[[0.0]]], [[[1.0]]]), "weights must have a value above 0"),
            (([[1.0]], [[[np.nan]]], [[[1.0]]]), "means has 1 values that are NaN"),
        ],
    )
    def test_bad_arrays(self, arrays, match):
        with pytest.raises(InputError, match=match):
            VectorMixture(*arrays)

    def test_bad_questions(self):
        base = mixture()
        with pytest.raises(InputError, match="k must be"):
            base.marginal(2)
        with pytest.raises(InputError, match=r"finite labels \(6, 2\)"):
            base.crps(np.zeros(6))
        with pytest.raises(InputError, match="a function of 3 targets; there are 2"):
            base.tilt(uneven_grid(3))


class TestTilt:
    @pytest.mark.parametrize("zeros", [False, True])
    def test_two_targets_as_sums_over_a_fine_mesh(self, zeros):
        weights = uneven_grid(zeros=zeros)
        for i in range(4):
            base = mixture(narrowest=2.0).select([i])
            tilted = base.tilt(weights)
            expected, log_total = by_brute_force(base, weights)
            np.testing.assert_allclose(tilted.mean()[0], expected[:, 0], atol=0.02)
            np.testing.assert_allclose(tilted.std()[0], expected[:, 1], atol=0.02)
            np.testing.assert_allclose(tilted.median()[0], expected[:, 2], atol=0.1)
            y = np.array([[20.0, 30.0]])
            with np.errstate(divide="ignore"):
                joint = np.log(weights(y)) - base.log_score(y) - log_total
            np.testing.assert_allclose(tilted.log_score(y), -joint, atol=1e-3)

    def test_three_targets_as_sums_over_a_fine_mesh(self):
        base, weights = mixture(n=1, m=2, k=3, narrowest=6.0), uneven_grid(3)
        expected, _ = by_brute_force(base, weights, points=120)
        tilted = base.tilt(weights)
        np.testing.assert_allclose(tilted.mean()[0], expected[:, 0], atol=0.05)
        np.testing.assert_allclose(tilted.std()[0], expected[:, 1], atol=0.05)

    def test_components_are_weighted_by_plain_loops_over_cells(self):
        base, weights = mixture(n=2, m=2), uneven_grid()
        tilted = base.tilt(weights)
        for i in range(2):
            total, sums = 0.0, np.zeros(2)
            for m in range(2):
                for cell in np.ndindex(weights.values.shape):
                    low, high = (
                        np.array([axis[c + end] for axis, c in zip(weights.edges, cell, strict=True)]) for end in (0, 1)
                    )
                    mean, scale = base.means[i, m], base.scales[i, m]
                    a, b = (low - mean) / scale, (high - mean) / scale
                    mass = norm.cdf(b) - norm.cdf(a)
                    share = base.weights[i, m] * weights.values[cell] * mass.prod()
                    total += share
                    first = mean * mass - scale * (norm.pdf(b) - norm.pdf(a))
                    sums += base.weights[i, m] * weights.values[cell] * first * mass[::-1]
            np.testing.assert_allclose(tilted.mean()[i], sums / total)

    @pytest.mark.parametrize("balance", [0.3, 1.0])
    def test_one_target_is_tilted_as_a_scalar_mixture(self, balance):
        y, base = labels(k=1), mixture(n=30, k=1)
        bins = Bins.width(y[:, 0], 2.0)
        dial = Dial(SmoothedDensity.from_labels(y[:, 0], bins))
        vector = VectorDial.from_labels(y, BinGrid((bins,)))
        np.testing.assert_allclose(vector.density.edges[0], dial.density.edges)
        np.testing.assert_allclose(vector.density.values, dial.density.values)
        one = dial.tilted(base.marginal(0), balance)
        joint = vector.tilted(base, balance)
        marginal, points = joint.marginal(0), y[:30, 0]
        for ours, theirs in (
            (joint.mean()[:, 0], one.mean()),
            (joint.std()[:, 0], one.std()),
            (marginal.quantile([0.02, 0.5, 0.97]), one.quantile([0.02, 0.5, 0.97])),
            (marginal.cdf(points), one.cdf(points)),
            (marginal.below(points), one.below(points)),
            (marginal.above(points), one.above(points)),
            (marginal.crps(points), one.crps(points)),
            (marginal.log_score(points), one.log_score(points)),
            (joint.log_score(y[:30]), one.log_score(points)),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9)
        for density in ((0.0, 60.0), points, lambda t: np.exp(-np.ravel(t) / 30)):
            declared = (np.array([0.0]), np.array([60.0])) if isinstance(density, tuple) else density
            declared = points[:, None] if isinstance(density, np.ndarray) else declared
            by_vector = vector.decide(base, density=declared)[:, 0]
            np.testing.assert_allclose(by_vector, dial.decide(base.marginal(0), density=density), rtol=1e-8)

    def test_a_density_that_is_a_product_tilts_each_target_by_itself(self):
        edges = [np.linspace(-60, 60, 401), np.linspace(-90, 90, 301)]
        middles = [(axis[:-1] + axis[1:]) / 2 for axis in edges]
        values = np.multiply.outer(norm.pdf(middles[0], 0, 10), norm.pdf(middles[1], 0, 20))
        density = GridDensity(tuple(edges), values, np.ones(values.shape), [-60.0, -90.0], [60.0, 90.0])
        base = VectorMixture(np.ones((1, 1)), [[[12.0, -20.0]]], [[[3.0, 8.0]]])
        for balance in (0.25, 1.0):
            precision = 1 / base.scales[0, 0] ** 2 - balance / np.array([10.0, 20.0]) ** 2
            mean = base.means[0, 0] / base.scales[0, 0] ** 2 / precision
            tilted = VectorDial(density).tilted(base, balance)
            for predicted in (tilted.mean(), tilted.median()):
                np.testing.assert_allclose(predicted[0], mean, atol=1e-2)
            np.testing.assert_allclose(tilted.std()[0], precision**-0.5, atol=1e-2)
            y = np.array([[15.0, -10.0]])
            expected = multivariate_normal.logpdf(y, mean, np.diag(1 / precision))
            np.testing.assert_allclose(tilted.log_score(y), -expected, atol=1e-1)

    def test_the_tilt_of_a_narrow_mixture_is_not_blurred(self):
        base = VectorMixture(np.ones((3, 1)), [[[3.3, 20.0]], [[41.7, 7.7]], [[60.1, 50.0]]], np.full((3, 1, 2), 1e-3))
        decided = VectorDial.from_labels(labels()).decide(base, balance=1.0)
        np.testing.assert_allclose(decided, base.means[:, 0], atol=1e-9)

    def test_rows_far_from_all_cells_become_certain_of_the_nearest_point(self):
        base = VectorMixture(np.ones((2, 1)), [[[1e6, 30.0]], [[30.0, 30.0]]], np.full((2, 1, 2), 2.0))
        tilted = VectorDial.from_labels(labels()).tilted(base, 1.0)
        highest = tilted.grid.edges[0][-1]
        np.testing.assert_allclose(tilted.mean()[0], [highest, 30.0])
        np.testing.assert_allclose(tilted.median()[0], [highest, 30.0])
        np.testing.assert_allclose(tilted.std()[0], 0.0, atol=1e-6)
        y = np.array([[highest, 30.0], [30.0, 30.0]])
        assert tilted.log_score(y)[0] == 0
        assert tilted.log_score(y - 1)[0] == np.inf
        corner = GridFunction(([0.0, 10.0, 20.0], [0.0, 10.0, 20.0]), [[0.0, 0.0], [0.0, 1.0]])
        np.testing.assert_allclose(base.select([0]).tilt(corner).mean(), [[20.0, 20.0]])

    def test_tilting_twice_is_tilting_by_the_product(self):
        base, one, other = mixture(), uneven_grid(seed=3), uneven_grid(seed=8)
        twice, at_once = base.tilt(one).tilt(other), base.tilt(one.times(other))
        np.testing.assert_allclose(twice.mean(), at_once.mean())
        y = labels(6)
        np.testing.assert_allclose(one.times(other)(y), one(y) * other(y))
        none = GridFunction(([200.0, 300.0], [0.0, 1.0]), [[1.0]])
        with pytest.raises(InputError, match="leave nothing"):
            base.tilt(one).tilt(none)

    def test_one_target_of_a_tilted_mixture_can_be_tilted_again(self):
        base, step = mixture(), StepFunction([0.0, 30.0, 60.0, 90.0], [1.0, 3.0, 0.5])
        weights = uneven_grid(zeros=False)
        further = GridFunction((step.edges, weights.edges[1][[0, -1]]), step.values[:, None])
        again, expected = base.tilt(weights).marginal(0).tilt(step), base.tilt(weights).tilt(further).marginal(0)
        np.testing.assert_allclose(again.mean(), expected.mean())
        np.testing.assert_allclose(again.quantile(0.9), expected.quantile(0.9))
        narrow = StepFunction([-4.0, -3.9], [1.0])
        far = VectorMixture([[1.0]], [[[80.0, 50.0]]], np.ones((1, 1, 2))).tilt(weights).marginal(0).tilt(narrow)
        np.testing.assert_allclose(far.mean(), -3.9)
        np.testing.assert_allclose(far.median(), -3.9)

    def test_pieces_of_rows_change_nothing(self, monkeypatch):
        base, y = mixture(n=50), labels(50)
        tilted = VectorDial.from_labels(labels()).tilted(base, 0.8)
        whole = tilted.mean(), tilted.median(), tilted.crps(y), tilted.log_score(y), tilted.marginal(1).std()
        monkeypatch.setattr("tailwise.distributions.tilted_vectors._CELLS_AT_ONCE", 100)
        by_piece = tilted.mean(), tilted.median(), tilted.crps(y), tilted.log_score(y), tilted.marginal(1).std()
        for one, other in zip(whole, by_piece, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


class TestDensity:
    def test_it_is_that_of_plain_loops(self):
        y = labels(500)
        grid = BinGrid((Bins.width(y[:, 0], 10.0), Bins.width(y[:, 1], 15.0)))
        density = GridDensity.from_labels(y, grid, lds=LDS(window=1), reach=0.0)
        counts = np.histogram2d(y[:, 0], y[:, 1], [axis.edges for axis in grid.axes])[0]
        volume = np.multiply.outer(*(axis.widths for axis in grid.axes))
        expected = counts / volume
        expected = np.maximum(expected, expected[expected > 0].min())
        np.testing.assert_allclose(density.values / density.values[0, 0], expected / expected[0, 0])
        assert (density.values * np.multiply.outer(*map(np.diff, density.edges))).sum() == pytest.approx(1.0)
        np.testing.assert_allclose(density.weights(1.0).values, expected.min() / expected)
        np.testing.assert_allclose(density.weights(0.5).values, np.sqrt(expected.min() / expected))

    def test_a_declared_density(self):
        y = labels()
        density = GridDensity.from_labels(y)
        np.testing.assert_allclose(density.ratio(density).values, 1.0)
        uniform = density.ratio((np.array([5.0, 10.0]), np.array([50.0, 40.0])))
        assert uniform([[4.9, 20.0], [51.0, 20.0], [20.0, 9.0]]).tolist() == [0, 0, 0]
        places = np.array([[10.0, 20.0], [30.0, 12.0]])
        ratio = uniform(places) * density(places)
        assert ratio[0] == pytest.approx(ratio[1])
        everywhere = density.ratio(lambda t: np.ones(len(t)))
        np.testing.assert_allclose(everywhere(y), density.weights(1.0)(y))
        spread = density.ratio(np.random.default_rng(1).uniform(10, 40, (3000, 2)))
        assert spread([[90.0, 90.0]]) == 0
        assert spread([[25.0, 25.0]]) > 0

    def test_saved_and_loaded(self):
        dial = VectorDial.from_labels(labels())
        again = VectorDial.from_json(json.loads(json.dumps(dial.to_json())))
        base = mixture()
        np.testing.assert_array_equal(again.decide(base, balance=0.6), dial.decide(base, balance=0.6))

    @pytest.mark.parametrize(
        ("target", "match"),
        [
            (np.ones(3), r"labels \(m, 2\)"),
            (np.full((4, 2), 1e6), "0 on all training labels"),
            (([0.0], [1.0]), "two corners"),
            (([0.0, 5.0], [1.0, 4.0]), "two corners"),
            (GridFunction(([0.0, 1.0],), [1.0]), "one of 1 targets; the model has 2"),
            (lambda t: t, "one finite number of at least 0"),
        ],
    )
    def test_bad_densities(self, target, match):
        with pytest.raises(InputError, match=match):
            GridDensity.from_labels(labels()).ratio(target)

    @pytest.mark.parametrize(
        ("arrays", "match"),
        [
            (([[0.0, 1.0]], [-1.0]), "at least 0"),
            (([[0.0, 1.0]], [1.0, 2.0]), r"one number a cell, \(1,\)"),
            (([[1.0, 1.0]], [1.0]), "increasing"),
        ],
    )
    def test_bad_functions(self, arrays, match):
        with pytest.raises(InputError, match=match):
            GridFunction(*arrays)

    def test_labels_of_one_target_are_for_the_other_class(self):
        with pytest.raises(InputError, match="use SmoothedDensity"):
            GridDensity.from_labels(labels()[:, 0])


class TestDecisions:
    def test_losses_costs_and_quantiles_go_by_target(self):
        base, dial = mixture(), VectorDial.from_labels(labels())
        tilted = dial.tilted(base, 0.5)
        np.testing.assert_array_equal(Decision(balance=0.5).of(base, dial), tilted.median())
        np.testing.assert_array_equal(Decision(balance=0.5, loss="squared").of(base, dial), tilted.mean())
        np.testing.assert_array_equal(Decision(balance=0.5, under=3, over=1).of(base, dial), tilted.quantile(0.75))
        np.testing.assert_array_equal(Decision(quantile=0.9).of(base, dial), base.quantile(0.9))
        assert dial.tilted(base, 0.0) is base

    def test_medians_and_means_minimize_the_expected_loss_over_cells(self):
        """Against every point of a mesh, for the distribution as masses of a fine mesh of cells."""
        base, weights = mixture(n=1, narrowest=5.0), uneven_grid()
        tilted = base.tilt(weights)
        axis = np.linspace(-5, 101, 107)
        middles = (axis[:-1] + axis[1:]) / 2
        mesh = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
        density = np.exp(-tilted.select(np.zeros(len(mesh), dtype=int)).log_score(mesh))
        mass = density / density.sum()
        gaps = np.abs(mesh[:, None] - mesh[None, ::7])
        best = {"absolute": gaps.sum(axis=2), "squared": np.square(gaps).sum(axis=2)}
        for loss, cost in best.items():
            decided = decide(tilted, loss=loss)
            gap = np.abs(mesh - decided)
            expected = (mass * (gap.sum(axis=1) if loss == "absolute" else np.square(gap).sum(axis=1))).sum()
            assert expected <= (mass @ cost).min() * (1 + 1e-3)

    def test_a_single_component_moves_with_the_balance(self):
        base = VectorMixture([[1.0]], [[[40.0, 40.0]]], np.full((1, 1, 2), 8.0))
        dial = VectorDial.from_labels(labels())
        decided = np.array([dial.decide(base, balance=a)[0] for a in (0, 0.5, 1)])
        assert (np.diff(decided, axis=0) > 0).all()  # large values are rare


@pytest.mark.parametrize("kind", ["mixture", "tilted", "marginal"])
def test_saved_joined_and_selected(kind):
    base = mixture(n=12)
    tilted = base.tilt(uneven_grid())
    rows = {"mixture": base, "tilted": tilted, "marginal": tilted.marginal(1)}[kind]
    again = predictive_from_arrays(rows.kind, rows.to_arrays())
    for name, array in rows.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array)
    np.testing.assert_array_equal(again.mean(), rows.mean())
    joined = concatenate([rows.select(slice(0, 5)), rows.select(slice(5, 12))])
    np.testing.assert_allclose(joined.median(), rows.median(), rtol=1e-12)
    np.testing.assert_array_equal(rows.select([3, 1]).std(), rows.std()[[3, 1]])
    assert type(rows).__name__ in repr(rows)
    assert isinstance(rows, VectorMixture | TiltedVectorMixture | TiltedMarginal)


class TestProperties:
    seeds = st.integers(0, 10_000)

    @settings(max_examples=30, deadline=None)
    @given(seed=seeds, k=st.integers(1, 3), balance=st.floats(0.05, 1.0))
    def test_the_order_of_rows_and_components_does_not_matter(self, seed, k, balance):
        base, dial = mixture(n=5, k=k, seed=seed), VectorDial.from_labels(labels(300, k))
        order, shuffled = np.random.default_rng(seed).permutation(5), [2, 0, 1]
        decided = dial.decide(base, balance=balance)
        np.testing.assert_array_equal(dial.decide(base.select(order), balance=balance), decided[order])
        mixed = VectorMixture(base.weights[:, shuffled], base.means[:, shuffled], base.scales[:, shuffled])
        np.testing.assert_allclose(dial.decide(mixed, balance=balance), decided, rtol=1e-8, atol=1e-8)

    @settings(max_examples=30, deadline=None)
    @given(seed=seeds, balance=st.floats(0.05, 1.0), factor=st.floats(0.01, 100.0))
    def test_units_do_not_matter(self, seed, balance, factor):
        y, base = labels(300), mixture(n=4, seed=seed)
        shift, scale = np.array([3.0, -7.0]), np.array([factor, 2.0])
        grid = BinGrid(tuple(Bins.count(column, 6) for column in y.T))
        edges = (a + b * axis.edges for axis, a, b in zip(grid.axes, shift, scale, strict=True))
        moved = VectorDial.from_labels(shift + scale * y, BinGrid(tuple(Bins.from_edges(e) for e in edges)))
        dial = VectorDial.from_labels(y, grid)
        for loss in ("absolute", "squared"):
            in_other_units = moved.decide(base.affine(shift, scale), balance=balance, loss=loss)
            plain = shift + scale * dial.decide(base, balance=balance, loss=loss)
            np.testing.assert_allclose(in_other_units, plain, rtol=1e-4, atol=1e-4 * factor)
        tilted = dial.tilted(base, balance)
        np.testing.assert_allclose(tilted.affine(shift, scale).mean(), shift + scale * tilted.mean(), rtol=1e-9)
        np.testing.assert_allclose(
            tilted.affine(shift, scale).log_score(shift + scale * y[:4]),
            tilted.log_score(y[:4]) + np.log(scale).sum(),
            rtol=1e-8,
            atol=1e-8,
        )

    @settings(max_examples=30, deadline=None)
    @given(seed=seeds, k=st.integers(1, 3))
    def test_decisions_stay_in_the_grid_and_marginals_are_distributions(self, seed, k):
        base, weights = mixture(n=4, k=k, seed=seed), uneven_grid(k, seed=seed)
        if not weights.values.any():
            return
        tilted = base.tilt(weights)
        median, mean = tilted.median(), tilted.mean()
        for j, edges in enumerate(weights.edges):
            for decided in (median[:, j], mean[:, j]):
                assert ((decided >= edges[0] - 1e-9) & (decided <= edges[-1] + 1e-9)).all()
            one = tilted.marginal(j)
            points = np.linspace(edges[0] - 1, edges[-1] + 1, 40)[None]
            cdf = one.cdf(points)
            assert (np.diff(cdf, axis=1) >= -1e-12).all()
            np.testing.assert_allclose(cdf + one.above(points), 1.0, atol=1e-9)
            spread = one.std() > 0  # a row without mass on the grid is certain of its nearest point
            levels = np.where(spread[:, None], [0.2, 0.7], 1.0)
            np.testing.assert_allclose(one.cdf(one.quantile([0.2, 0.7])), levels, atol=1e-6)
