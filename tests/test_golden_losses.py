import math

import numpy as np
import pytest
import torch

from golden import golden
from tailwise.losses.focal import focal_loss
from tailwise.losses.pointwise import huber_loss, l1_loss, mse_loss

FOCAL_BETA = {"agedb": 0.2, "sts-b": 20.0}
HUBER_BETA = {"agedb": 1.0, "sts-b": 0.5}


def reference_loss(params, pred, target, weight):
    name = params["loss"]
    if name == "mse":
        return mse_loss(pred, target, weight)
    if name == "l1":
        return l1_loss(pred, target, weight)
    if name == "huber":
        return huber_loss(pred, target, weight, beta=params.get("beta", HUBER_BETA[params["variant"]]))
    return focal_loss(
        pred,
        target,
        weight,
        power={"focal_l1": 1, "focal_mse": 2}[name],
        beta=params.get("beta", FOCAL_BETA[params["variant"]]),
        gamma=params.get("gamma", 1.0),
        activation=params["activate"],
        compat="reference",
    )


@pytest.mark.parametrize("case", golden("weighted_losses"))
def test_losses_and_gradients_equal_the_reference(case):
    # Scalar targets are (N, 1) there and (N,) here.
    pred, target, weight = (
        torch.tensor(case.inputs[name]).squeeze(-1) if name in case.inputs else None
        for name in ("preds", "targets", "weights")
    )
    pred.requires_grad_()
    loss = reference_loss(case.params, pred, target, weight)
    loss.backward()
    case.close(loss.detach(), "loss")
    case.close(pred.grad.reshape(case.expected["grad_preds"].shape), "grad_preds")


def focal_by_loops(pred, target, weight, power, beta, gamma, activation):
    total = 0.0
    for p, t, w in zip(pred, target, weight, strict=True):
        size = abs(p - t)
        factor = 1 / (1 + math.exp(-beta * size)) if activation == "sigmoid" else math.tanh(beta * size)
        total += w * factor**gamma * size**power
    return total / len(pred)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize(("beta", "gamma"), [(0.2, 1.0), (0.05, 3.0), (2.0, 0.5)])
@pytest.mark.parametrize("power", [1, 2])
def test_focal_equals_the_papers_formula(power, beta, gamma, activation):
    rng = np.random.default_rng(0)
    p, t, w = 10 * rng.normal(size=9), 10 * rng.normal(size=9), rng.uniform(0.1, 5, size=9)
    pred = torch.tensor(p, requires_grad=True)
    form = {"power": power, "beta": beta, "gamma": gamma, "activation": activation}
    loss = focal_loss(pred, torch.tensor(t), torch.tensor(w), **form)
    loss.backward()
    np.testing.assert_allclose(loss.item(), focal_by_loops(p, t, w, **form), rtol=1e-12)
    # The factor is not detached: its slope is in the gradient.
    for i, step in enumerate(1e-5 * np.eye(9)):
        slope = focal_by_loops(p + step, t, w, **form) - focal_by_loops(p - step, t, w, **form)
        np.testing.assert_allclose(pred.grad[i].item(), slope / 2e-5, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("beta", [0.3, 2.0])
def test_huber_equals_its_formula(beta):
    errors = [-5.0, -beta, -0.1, 0.0, 0.2, 4.0]
    expected = [e**2 / (2 * beta) if abs(e) < beta else abs(e) - beta / 2 for e in errors]
    loss = huber_loss(torch.tensor(errors).double(), torch.zeros(6).double(), beta=beta)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-6)
