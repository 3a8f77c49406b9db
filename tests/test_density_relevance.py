import math

import numpy as np
import pytest
from scipy.stats import norm

from tailwise import InputError, compose
from tailwise.labels.density_relevance import DensityRelevance
from tailwise.losses.sera import SERA
from tailwise.weights.density_ratio import density_ratio_weights

Y = np.random.default_rng(0).gamma(2, 3, 400)
H = 0.8


def kernel_density(labels, at, h):
    return np.array([sum(math.exp(-(((t - v) / h) ** 2) / 2) for v in labels) for t in at]) / (
        len(labels) * h * math.sqrt(2 * math.pi)
    )


def uniform_density(low, high, at, h):
    """The kernel density of a uniform distribution, in closed form."""
    return (norm.cdf((at - low) / h) - norm.cdf((at - high) / h)) / (high - low)


@pytest.mark.parametrize("target", [None, (2.0, 12.0), "labels", "function"])
def test_ratio_and_distance_equal_the_formula_as_loops(target):
    at = np.linspace(Y.min(), Y.max(), 60)
    grid = np.linspace(Y.min() - 4 * H, Y.max() + 4 * H, 1000)
    others = np.random.default_rng(1).normal(8, 2, 300)
    given = {"labels": others, "function": lambda y: ((y >= 3) & (y <= 9)) * 7.0}.get(target, target)

    def q(points):
        if target == "labels":
            return kernel_density(others, points, H)
        low, high = {None: (Y.min(), Y.max()), "function": (3.0, 9.0)}.get(target, target)
        return uniform_density(low, high, points, H)

    phi = DensityRelevance(Y, given, bandwidth=H)
    p = np.maximum(kernel_density(Y, at, H), kernel_density(Y, Y, H).min())
    np.testing.assert_allclose(phi.ratio(at), q(at) / p, rtol=1e-2, atol=1e-3)
    difference = kernel_density(Y, grid, H) - q(grid)
    d = kernel_density(Y, at, H) - q(at)
    plain = [1 - (0.5 + 0.5 * v / difference.max()) if v >= 0 else 1 - (0.5 - 0.5 * v / difference.min()) for v in d]
    np.testing.assert_allclose(phi(at), np.maximum(plain, 1e-6), atol=1e-2)
    assert phi(at).min() > 0
    assert phi(at).max() <= 1


def test_weights_are_the_ratio_over_its_mean():
    ratio = DensityRelevance(Y, (0.0, 20.0)).ratio(Y)
    weights = density_ratio_weights(Y, target=(0.0, 20.0))
    np.testing.assert_allclose(weights.sample_weight(Y), ratio / ratio.mean(), rtol=1e-4)


def test_weighted_labels_are_spread_as_declared():
    y = np.random.default_rng(0).normal(0, 1, 20_000)
    for target, mean, spread in (((-2.0, 2.0), 0.0, 4 / math.sqrt(12)), ((0.0, 2.0), 1.0, 2 / math.sqrt(12))):
        w = density_ratio_weights(y, target=target, bandwidth=0.05).sample_weight(y)
        assert (w * y).mean() == pytest.approx(mean, abs=0.03)
        assert math.sqrt((w * (y - mean) ** 2).mean()) == pytest.approx(spread, rel=0.03)


def test_labels_spread_as_those_of_training_have_a_ratio_of_one():
    np.testing.assert_allclose(DensityRelevance(Y, Y).ratio(np.quantile(Y, [0.1, 0.5, 0.9])), 1, rtol=1e-2)
    np.testing.assert_allclose(DensityRelevance([3.0] * 5).ratio([3.0]), 1)


def test_control_points_serve_sera_and_weights_compose():
    sera = SERA(Y, points=DensityRelevance(Y).points())
    assert sera.relevance is not None
    assert compose("density_ratio", density_ratio={"target": [0.0, 20.0]}).name == "density_ratio"


@pytest.mark.parametrize(
    ("target", "message"),
    [("wide", "target must be a range"), ((100.0, 200.0), "0 on all training labels"), (lambda y: -y, "at least 0")],
)
def test_other_targets_are_refused(target, message):
    with pytest.raises(InputError, match=message):
        DensityRelevance(Y, target)
