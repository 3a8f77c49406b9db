"""Distributions of heads against closed forms; those of histograms and quantiles are in files of their own."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from tailwise import MLP, Regressor
from tailwise.heads.attach import head_from
from tailwise.heads.evidential import VariationalHead, student_mixture
from tailwise.heads.head import as_head
from tailwise.heads.laplace import laplace_mixture

Y = np.array([10.0, 20.0, 60.0, 35.0, 36.0])
KINDS = [
    {"kind": "laplace", "n_heads": 3},
    {"kind": "variational", "n_latent": 3},
    {"kind": "mixture", "n_components": 3},
    {"kind": "histogram", "n_cells": 5},
    {"kind": "quantile", "levels": [0.05, 0.3, 0.6, 0.9]},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", KINDS, ids=str)
def test_mean_and_standard_deviation_are_those_of_the_head(shape, dtype):
    torch.manual_seed(0)
    head = head_from(5, shape).to(dtype).match_scale(Y)
    outputs = head.outputs(3 * torch.randn(40, 5, dtype=dtype))
    assert outputs.requires_grad
    predictive = head.predictive(outputs)
    np.testing.assert_allclose(predictive.mean(), head.point(outputs).detach(), rtol=1e-5)
    np.testing.assert_allclose(predictive.std(), head.std(outputs).detach(), rtol=1e-5)
    assert (np.diff(predictive.quantile([0.1, 0.5, 0.9])) > 0).all()


@pytest.mark.parametrize("shape", KINDS, ids=str)
def test_no_rows_and_one_row(shape):
    head = head_from(5, shape)
    for n in (0, 1):
        assert len(head.predictive(head.outputs(torch.zeros(n, 5)))) == n


def test_a_laplace_distribution_is_one_of_gaussians():
    mean, b = np.array([0.0, 30.0]), np.array([1.0, 7.0])
    predictive = laplace_mixture(mean, b)
    np.testing.assert_allclose(predictive.std(), np.sqrt(2) * b)
    t = mean[:, None] + b[:, None] * np.linspace(-15, 15, 6001)
    assert np.abs(predictive.cdf(t) - stats.laplace.cdf(t, mean[:, None], b[:, None])).max() < 0.002
    expected = stats.laplace.ppf([0.05, 0.25, 0.5, 0.9])
    np.testing.assert_allclose(predictive.quantile([0.05, 0.25, 0.5, 0.9])[0], expected, atol=0.02)


def test_the_laplace_head_gives_the_distribution_of_the_smallest_scale():
    head = head_from(2, {"kind": "laplace", "n_heads": 2})
    outputs = torch.tensor([[[10.0, 1.0], [50.0, 0.0]], [[10.0, -1.0], [50.0, 0.0]]])
    predictive = head.predictive(outputs)
    np.testing.assert_allclose(predictive.mean(), [50.0, 10.0])
    np.testing.assert_allclose(predictive.std(), np.sqrt(2) * np.exp([0.0, -1.0]), rtol=1e-6)


def test_a_students_t_is_one_of_gaussians():
    for alpha in (1.3, 1.5, 2.0, 5.0, 50.0, 1e5):
        gamma, nu, beta = 30.0, 4.0, 9.0
        predictive = student_mixture(*(np.array([value]) for value in (gamma, nu, alpha, beta)))
        scale = np.sqrt(beta * (1 + nu) / (nu * alpha))
        exact = stats.t(2 * alpha, gamma, scale)
        np.testing.assert_allclose(predictive.mean(), gamma)
        np.testing.assert_allclose(predictive.std(), exact.std(), rtol=1e-6)
        t = gamma + scale * np.concatenate([np.linspace(-80, 80, 8001), np.linspace(-6, 6, 6001)])
        assert np.abs(predictive.cdf(t[None, :])[0] - exact.cdf(t)).max() < 0.0025


def test_the_posterior_of_the_variational_head():
    torch.manual_seed(0)
    head = VariationalHead(5).double().match_scale(Y)
    outputs = head.outputs(torch.randn(6, 5, dtype=torch.float64))
    gamma, nu, alpha, beta = outputs.detach().numpy().T
    exact = stats.t(2 * alpha, gamma, np.sqrt(beta * (1 + nu) / (nu * alpha)))
    for t in (20.0, 40.0):
        np.testing.assert_allclose(head.predictive(outputs).cdf(t), exact.cdf(t), atol=0.0025)


def test_heads_without_a_distribution():
    for module in (nn.Linear(5, 1), head_from(5, {"kind": "point"}), head_from(4, {"kind": "ensemble", "members": 2})):
        head = as_head(module)
        assert head.predictive(head.outputs(torch.zeros(3, getattr(module, "n_features", 5)))) is None


def test_a_head_of_a_users_own_may_have_one():
    class Certain(nn.Linear):
        def outputs(self, features):
            return super().forward(features)

        def point(self, outputs):
            return outputs[:, 0]

        def predictive(self, outputs):
            return laplace_mixture(outputs[:, 0].detach().double().numpy(), np.ones(len(outputs)))

    model = Regressor(MLP(3, widths=(5,)), 5)
    model.head = Certain(5, 1)
    head = as_head(model.head)
    outputs = head.outputs(model.encode(torch.randn(4, 3)))
    np.testing.assert_allclose(head.predictive(outputs).mean(), head.point(outputs).detach(), rtol=1e-6)
