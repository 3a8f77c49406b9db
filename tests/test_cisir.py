import math

import numpy as np
import pytest
import torch

from tailwise import InputError, compose
from tailwise.heads.point import Regressor
from tailwise.losses.correlation import Correlation, correlation_loss
from tailwise.weights.cisir import cisir_weights


def density_loops(y, at, h):
    return [sum(math.exp(-(((t - v) / h) ** 2) / 2) for v in y) / (len(y) * h * math.sqrt(2 * math.pi)) for t in at]


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
def test_weights_equal_the_formula_as_loops(alpha):
    y = np.random.default_rng(0).gamma(2, 3, 300)
    h, spread = 0.07 * y.std(), y.std()
    grid = np.linspace(y.min(), y.max(), 20_001)
    highest = max(density_loops(y[:300], grid[::5], h))
    p = [spread * d / (spread * highest + 1e-3) for d in density_loops(y, y, h)]
    plain = np.array([(1 - v**alpha) ** (1 / alpha) for v in p])
    np.testing.assert_allclose(
        cisir_weights(y, alpha=alpha).sample_weight(y), plain / plain.mean(), rtol=1e-2, atol=1e-3
    )


def test_the_unit_of_labels_does_not_matter():
    y = np.random.default_rng(0).gamma(2, 3, 300)
    np.testing.assert_allclose(
        cisir_weights(1000 * y).sample_weight(1000 * y), cisir_weights(y).sample_weight(y), rtol=1e-4
    )
    with pytest.raises(InputError, match="alpha"):
        cisir_weights(y, alpha=0)


def correlation_loops(pred, y, w, *, spread, factor, weighted_means):
    n = len(y)
    error = sum(w[i] * (pred[i] - y[i]) ** 2 for i in range(n)) / n / spread**2
    c = w if weighted_means else [1.0] * n
    mean_p, mean_y = (sum(c[i] * v[i] for i in range(n)) / sum(c) for v in (pred, y))
    joint = sum(w[i] * (pred[i] - mean_p) * (y[i] - mean_y) for i in range(n))
    sizes = [sum(w[i] * (v[i] - m) ** 2 for i in range(n)) for v, m in ((pred, mean_p), (y, mean_y))]
    return error + factor * (1 - joint / math.sqrt(sizes[0] * sizes[1]))


@pytest.mark.parametrize("compat", ["paper", "reference"])
def test_the_loss_equals_the_formula_as_loops(compat):
    rng = np.random.default_rng(0)
    y, w = rng.normal(40, 10, 30), rng.gamma(1, 1, 30)
    pred = y + rng.normal(0, 5, 30)
    value = correlation_loss(*map(torch.tensor, (pred, y, w)), spread=10.0, compat=compat)
    plain = correlation_loops(pred, y, w, spread=10.0, factor=3.3, weighted_means=compat == "paper")
    assert float(value) == pytest.approx(plain)


def test_without_variance_it_is_the_squared_error():
    y = torch.arange(5.0)
    for pred, target in ((torch.full((5,), 2.1), y), (y, torch.full((5,), 2.1))):
        pred.requires_grad_()
        value = correlation_loss(pred, target)
        value.backward()
        assert float(value.detach()) == float((pred - target).square().mean().detach())
        assert torch.isfinite(pred.grad).all()


def test_each_dimension_has_a_correlation():
    rng = np.random.default_rng(0)
    pred, y = torch.tensor(rng.normal(size=(20, 2))), torch.tensor(rng.normal(size=(20, 2)))
    both = correlation_loss(pred, y)
    assert float(both) == pytest.approx(sum(float(correlation_loss(pred[:, k], y[:, k])) for k in range(2)) / 2)


def test_the_method_of_the_paper_composes():
    y = np.random.default_rng(0).gamma(2, 3, 300)
    model = Regressor(torch.nn.Linear(3, 4), n_features=4)
    objective = compose("cisir+correlation").build(model, y)
    assert isinstance(objective.loss, Correlation)
    assert objective.loss.spread == pytest.approx(y.std())
    assert torch.isfinite(sum(objective(torch.randn(8, 3), torch.from_numpy(y[:8]).float()).values()))
