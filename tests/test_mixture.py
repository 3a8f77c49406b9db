import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from tailwise import MLP, InputError, Regressor, compose
from tailwise.heads.attach import head_from
from tailwise.heads.dense import DenseMixtureHead
from tailwise.heads.mixture import MixtureHead, components
from tailwise.losses.mixture_likelihood import MixtureLikelihood, mixture_nll

RNG = np.random.default_rng(0)


def outputs_of(n=7, c=3, k=1):
    weights = torch.from_numpy(RNG.dirichlet(np.ones(c), n))
    means, log_scales = (torch.from_numpy(RNG.normal(size=(n, c, k))) for _ in range(2))
    return torch.cat((weights.log().unsqueeze(2), means, log_scales), dim=2)


@pytest.mark.parametrize("k", [1, 3])
def test_the_likelihood_is_that_of_plain_loops(k):
    outputs = outputs_of(k=k)
    y = torch.from_numpy(RNG.normal(size=(7, k)))
    weights, means, log_scales = (part.numpy() for part in components(outputs))
    plain = [
        -math.log(
            sum(
                weights[i, c] * np.prod(norm.pdf(y[i].numpy(), means[i, c], np.exp(log_scales[i, c]))) for c in range(3)
            )
        )
        for i in range(7)
    ]
    torch.testing.assert_close(mixture_nll(outputs, y[:, 0] if k == 1 else y), torch.tensor(plain, dtype=torch.float64))


def test_point_and_std_are_those_of_the_mixture():
    head = MixtureHead(4, n_components=2).double().match_scale([0.0, 2.0])
    outputs = outputs_of(n=5, c=2)
    weights, means, log_scales = (
        part.numpy()[:, :, 0] if part.ndim == 3 else part.numpy() for part in components(outputs)
    )
    mean = (weights * means).sum(1)
    second = (weights * (means**2 + np.exp(2 * log_scales))).sum(1)
    np.testing.assert_allclose(head.point(outputs).numpy(), mean)
    np.testing.assert_allclose(head.std(outputs).numpy(), np.sqrt(second - mean**2))


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_the_loss_of_maps_is_that_of_their_known_pixels(beta):
    loss = MixtureLikelihood(2.0, n_components=3, beta=beta)
    outputs, target = outputs_of(n=2 * 3 * 4).view(2, 3, 4, 3, 3).requires_grad_(), torch.rand(2, 3, 4).double()
    target[0, :2] = torch.nan
    known, weight = ~torch.isnan(target), torch.rand(2, 3, 4).double()
    value = loss(outputs, target, weight)
    torch.testing.assert_close(value, loss(outputs[known], target[known], weight[known]))
    value.backward()
    assert (outputs.grad[~known] == 0).all()
    assert (outputs.grad[known] != 0).any()
    nothing = loss(outputs.detach(), torch.full((2, 3, 4), torch.nan))
    assert float(nothing) == 0
    with pytest.raises(InputError, match="outputs of maps must be"):
        loss(outputs, target[:1])


def test_each_pixel_has_the_distribution_of_its_outputs():
    head = DenseMixtureHead(4, n_components=2).double().match_scale([1.0, 2.0, 9.0])
    outputs = head.outputs(torch.from_numpy(RNG.normal(size=(2, 4, 5, 6))))
    predictive = head.predictive(outputs)
    np.testing.assert_allclose(predictive.mean(), head.point(outputs).detach().flatten())
    np.testing.assert_allclose(predictive.std(), head.std(outputs).detach().flatten())
    weights, means, log_scales = (part[1, 3, 2].detach().numpy() for part in components(outputs))
    (row,) = predictive.select([1 * 30 + 3 * 6 + 2]).cdf(3.0)
    assert row == pytest.approx((weights * norm.cdf(3.0, means[:, 0], np.exp(log_scales[:, 0]))).sum())


def test_gradients_are_right():
    outputs, y = outputs_of(n=4).requires_grad_(), torch.from_numpy(RNG.normal(size=4))
    for loss in (MixtureLikelihood(2.0, n_components=3), MixtureLikelihood(2.0, n_components=3, squared_error=0.0)):
        assert torch.autograd.gradcheck(lambda out, loss=loss: loss(out, y, torch.arange(4.0)), (outputs,))


def test_weights_multiply_rows():
    loss, outputs, y = MixtureLikelihood(1.0), outputs_of(), torch.from_numpy(RNG.normal(size=7))
    torch.testing.assert_close(loss(outputs, y), loss(outputs, y, torch.ones(7)))
    torch.testing.assert_close(2 * loss(outputs, y), loss(outputs, y, 2 * torch.ones(7)))


def test_beta_weighs_rows_by_their_predicted_variance():
    outputs = torch.tensor([[[0.0, 0.0, math.log(2.0)]], [[0.0, 0.0, 0.0]]])
    y = torch.tensor([1.0, 1.0])
    nll = mixture_nll(outputs, y)
    loss = MixtureLikelihood(1.0, n_components=1, squared_error=0.0, beta=0.5)
    torch.testing.assert_close(loss(outputs, y), (nll * torch.tensor([2.0, 1.0])).mean())


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_the_loss_with_beta_is_that_of_plain_loops(beta, k):
    spread, coef, outputs, weight = 2.5, 0.7, outputs_of(k=k), torch.from_numpy(RNG.uniform(0.5, 2.0, 7))
    y = torch.from_numpy(RNG.normal(size=(7, k)))
    nll = mixture_nll(outputs, y).tolist()
    shares, means, log_scales = (part.tolist() for part in components(outputs))
    total = 0.0
    for i in range(7):
        variances, errors = [], []
        for j in range(k):
            mean = sum(shares[i][c] * means[i][c][j] for c in range(3))
            second = sum(shares[i][c] * (means[i][c][j] ** 2 + math.exp(log_scales[i][c][j]) ** 2) for c in range(3))
            variances.append((second - mean**2) / spread**2)
            errors.append(((float(y[i, j]) - mean) / spread) ** 2)
        row = (sum(variances) / k) ** beta * nll[i] + coef * sum(errors) / k
        total += float(weight[i]) * row / 7
    loss = MixtureLikelihood(spread, n_components=3, squared_error=coef, beta=beta)
    assert float(loss(outputs, y[:, 0] if k == 1 else y, weight)) == pytest.approx(total)


@pytest.mark.parametrize("n_components", [1, 4])
def test_the_distributions_are_those_of_the_outputs(n_components):
    head = MixtureHead(4, n_components=n_components).double().match_scale([0.0, 2.0, 9.0])
    outputs = head.outputs(torch.from_numpy(RNG.normal(size=(6, 4))))
    weights, means, log_scales = (part.detach().numpy() for part in components(outputs))
    predictive = head.predictive(outputs)
    np.testing.assert_allclose(predictive.mean(), head.point(outputs).detach())
    np.testing.assert_allclose(predictive.std(), head.std(outputs).detach())
    for t in (-1.0, 3.0):
        expected = (weights * norm.cdf(t, means[..., 0], np.exp(log_scales[..., 0]))).sum(1)
        np.testing.assert_allclose(predictive.cdf(t), expected)
    np.testing.assert_allclose(
        predictive.log_score(np.full(6, 3.0)), mixture_nll(outputs, torch.full((6,), 3.0)).detach()
    )


def test_several_targets_have_joint_distributions():
    head = MixtureHead(4, 2, n_components=3).double().match_scale([[0.0, 5.0], [2.0, 9.0], [4.0, 1.0]])
    outputs, y = head.outputs(torch.from_numpy(RNG.normal(size=(5, 4)))), torch.from_numpy(RNG.normal(size=(5, 2)))
    joint = head.predictive(outputs)
    np.testing.assert_allclose(joint.mean(), head.point(outputs).detach())
    np.testing.assert_allclose(joint.std(), head.std(outputs).detach())
    np.testing.assert_allclose(joint.log_score(y.numpy()), mixture_nll(outputs, y).detach())


def test_a_description_builds_the_head_again():
    head = MixtureHead(8, 2, n_components=3)
    again = head_from(8, head.shape)
    assert isinstance(again, MixtureHead)
    assert again.shape == head.shape == {"kind": "mixture", "n_components": 3, "n_outputs": 2}
    again.load_state_dict(head.state_dict())


def test_it_learns_a_spread_that_depends_on_the_input():
    torch.manual_seed(0)
    x = torch.rand(2000, 1)
    y = 10 + 5 * x[:, 0] + (0.2 + 3 * x[:, 0]) * torch.randn(2000)
    model = Regressor(MLP(1, widths=[32], dropout=0.0), 32)
    objective = compose("mixture", mixture={"n_components": 2}).build(model, y.numpy())
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        sum(objective(x, y).values()).backward()
        optimizer.step()
    with torch.no_grad():
        outputs = model.head.outputs(model.encode(torch.tensor([[0.1], [0.9]])))
        pred, std = model.head.point(outputs), model.head.std(outputs)
    torch.testing.assert_close(pred, torch.tensor([10.5, 14.5]), atol=0.6, rtol=0)
    torch.testing.assert_close(std, torch.tensor([0.5, 2.9]), atol=0.4, rtol=0)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"beta": 2}, "beta must be at most 1"),
        ({"squared_error": -1}, "squared_error must be"),
        ({"n_components": 0}, "n_components must be a whole number"),
    ],
)
def test_bad_parameters(params, match):
    model = Regressor(MLP(2), 256)
    with pytest.raises(InputError, match=match):
        compose("mixture", mixture=params).build(model, np.arange(30.0))


def test_outputs_of_another_head_are_refused():
    with pytest.raises(InputError, match="a mixture head gives outputs"):
        mixture_nll(torch.zeros(5), torch.zeros(5))


@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize("k", [1, 3])
def test_the_gradient_in_closed_form_is_that_of_the_formula(beta, k):
    torch.manual_seed(0)
    outputs = torch.randn(7, 4, 1 + 2 * k, dtype=torch.float64)
    outputs[..., 0] = outputs[..., 0].log_softmax(1)
    outputs.requires_grad_()
    target, weight = torch.randn(7, k, dtype=torch.float64), torch.rand(7, dtype=torch.float64)
    loss = MixtureLikelihood(2.0, squared_error=0.7, beta=beta)(outputs, target, weight)

    shares, means, scales = outputs[..., :1].exp(), outputs[..., 1 : 1 + k], outputs[..., 1 + k :].exp()
    mean = (shares * means).sum(1)
    variance = ((shares * (means**2 + scales**2)).sum(1) - mean**2).mean(1).detach() / 4
    rows = mixture_nll(outputs, target) * variance**beta + 0.7 * ((target - mean) ** 2 / 4).mean(1)
    expected = (weight * rows).mean()

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, outputs, retain_graph=True)[0] for value in (loss, expected))
    )
