import numpy as np
import pytest
from scipy.stats import norm

from tailwise.calibration.corrections import Debias, Fitting
from tailwise.distributions import Dial, Mixture, SmoothedDensity, decide
from tailwise.labels.bins import Bins


def labels(n=5000):
    return np.random.default_rng(0).gamma(2.0, 10.0, n)


def mixture(n=20, k=3, seed=1):
    rng = np.random.default_rng(seed)
    return Mixture(rng.dirichlet(np.ones(k), n), rng.uniform(0, 90, (n, k)), rng.uniform(0.5, 10, (n, k)))


@pytest.mark.parametrize("balance", [0.3, 1.0])
def test_tilted_mixtures_against_a_plain_integral(balance):
    dial, base = Dial.from_labels(labels()), mixture(n=4)
    weights, tilted = dial.density.weights(balance), dial.tilted(base, balance)
    nodes, step = np.linspace(*weights.edges[[0, -1]], 400_001, retstep=True)
    middles = nodes[:-1] + step / 2
    for row in range(len(base)):
        density = sum(
            share * norm.pdf(middles, mean, scale)
            for share, mean, scale in zip(base.weights[row], base.means[row], base.scales[row], strict=True)
        )
        mass = weights(middles) * density
        mass /= mass.sum()
        cdf, mean, part = mass.cumsum(), (mass * middles).sum(), tilted.select([row])
        assert part.mean() == pytest.approx(mean, abs=1e-4)
        assert part.std() == pytest.approx(np.sqrt((mass * (middles - mean) ** 2).sum()), abs=1e-4)
        assert part.quantile([0.05, 0.5, 0.9])[0] == pytest.approx(
            np.interp([0.05, 0.5, 0.9], cdf, nodes[1:]), abs=3e-4
        )
        assert part.crps([30.0]) == pytest.approx(((cdf - (middles >= 30)) ** 2).sum() * step, abs=1e-4)
        assert part.cdf(30.0) == pytest.approx(np.interp(30.0, nodes[1:], cdf), abs=1e-6)
        assert part.above(30.0) == pytest.approx(1 - np.interp(30.0, nodes[1:], cdf), abs=1e-6)


def test_a_balance_of_zero_returns_the_same_object():
    base = mixture()
    assert Dial.from_labels(labels()).tilted(base, 0) is base


def test_balance_one_with_one_width_is_debias():
    y = np.repeat(np.arange(60.0), np.arange(60, 0, -1))
    bins, sigma, predictions = Bins.auto(y), 4.0, np.linspace(5, 55, 40)
    corrected = Debias(sigma=sigma).fit(Fitting(y, bins, y, y + 1))(predictions)
    dial = Dial(SmoothedDensity.from_labels(y, bins, reach=0.0))
    gaussian = Mixture(np.ones((40, 1)), predictions[:, None], np.full((40, 1), sigma))
    assert dial.decide(gaussian, balance=1, loss="squared") == pytest.approx(corrected, abs=2e-3)


def test_decisions_minimize_expected_losses():
    base = mixture(n=3)
    for options, level in (({}, 0.5), ({"under": 3, "over": 1}, 0.75), ({"quantile": 0.2}, 0.2)):
        assert base.cdf(decide(base, **options)) == pytest.approx(np.full(3, level), abs=1e-12)
    assert decide(base, loss="squared") == pytest.approx((base.weights * base.means).sum(axis=1))
