import math

import numpy as np
import pytest
import torch

from tailwise import InputError
from tailwise.losses.gar import GAR, gar_loss, gar_terms

RNG = np.random.default_rng(0)


def test_terms_against_loops_over_all_pairs():
    pred, y = RNG.normal(size=9), RNG.normal(size=9)
    n = len(y)
    magnitude = sum(((pred[i] - pred[j]) - (y[i] - y[j])) ** 2 for i in range(n) for j in range(n)) / (2 * n**2)
    ours = gar_terms(torch.tensor(pred), torch.tensor(y), spread=2.0)
    assert ours[0] == pytest.approx(np.square(pred - y).mean() / 4)
    assert ours[1] == pytest.approx(magnitude / 4)
    assert ours[2] == pytest.approx(1 - np.corrcoef(pred, y)[0, 1], rel=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_aggregation(alpha):
    pred, y = torch.randn(20, dtype=torch.float64), torch.randn(20, dtype=torch.float64)
    terms = [float(t) for t in gar_terms(pred, y)]
    expected = alpha * math.log(sum(t ** (1 / alpha) for t in terms) / 3)
    assert gar_loss(pred, y, alpha=alpha) == pytest.approx(expected)


def test_whole_number_weights_are_repeated_samples():
    pred, y = torch.randn(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 3.0, 1.0, 1.0], dtype=torch.float64)
    repeated = [v.repeat_interleave(weight.long()) for v in (pred, y)]
    weighted, plain = gar_terms(pred, y, weight), gar_terms(*repeated)
    assert weighted[0] * 5 == pytest.approx(float(plain[0]) * 8)
    assert weighted[2] == pytest.approx(float(plain[2]), rel=1e-6)


@pytest.mark.parametrize("unit", [1e-10, 1e-8, 1e-3, 1e5, 1e10])
def test_the_unit_of_the_labels_changes_nothing(unit):
    y = torch.randn(32)
    pred = (0.3 * y + torch.randn(32)).requires_grad_()
    plain = gar_terms(pred, y)
    (gradient,) = torch.autograd.grad(sum(plain), pred)
    scaled = (pred.detach() * unit).requires_grad_()
    terms = gar_terms(scaled, y * unit, spread=unit)
    (of_scaled,) = torch.autograd.grad(sum(terms), scaled)
    assert torch.allclose(torch.stack(terms), torch.stack(plain), rtol=1e-4)
    assert torch.allclose(of_scaled * unit, gradient, rtol=1e-3, atol=1e-6)


def test_a_shift_leaves_the_pairwise_terms():
    pred, y = torch.randn(20, dtype=torch.float64), torch.randn(20, dtype=torch.float64)
    moved, still = gar_terms(pred + 7, y), gar_terms(pred, y)
    assert moved[0] > still[0]
    assert torch.allclose(torch.stack(moved[1:]), torch.stack(still[1:]))


def test_columns_and_pixels_are_averaged():
    pred, y = torch.randn(8, 2, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    both = torch.stack(gar_terms(pred, y))
    each = torch.stack([torch.stack(gar_terms(pred[:, k], y[:, k])) for k in range(2)])
    assert torch.allclose(both, each.mean(0))
    maps, truth = pred.view(2, 4, 2), y.view(2, 4, 2).clone()
    truth[0, 0, 0] = torch.nan
    known = ~torch.isnan(truth)
    assert torch.allclose(torch.stack(gar_terms(maps, truth)), torch.stack(gar_terms(maps[known], truth[known])))


def test_equal_labels_and_a_batch_of_one_are_finite():
    for n in (1, 4):
        pred = torch.randn(n, requires_grad=True)
        gar_loss(pred, torch.ones(n)).backward()
        assert torch.isfinite(pred.grad).all()


def test_bad_input():
    with pytest.raises(InputError, match="alpha"):
        GAR(alpha=0.0)
    with pytest.raises(InputError, match="weight has shape"):
        gar_loss(torch.zeros(4), torch.zeros(4), torch.ones(4, 1))
