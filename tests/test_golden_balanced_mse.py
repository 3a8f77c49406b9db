import math

import numpy as np
import pytest
import torch

from golden import golden
from tailwise import Bins, InputError
from tailwise.losses.balanced_mse import BMC, BNI, GAI, bmc_loss, bni_loss, gai_loss

# The other two kinds are plain re-weighting by a known density in their multi-dimensional benchmark, not Balanced MSE.
ONE = np.arange(9.0)
TWO = np.stack([ONE, ONE**2], axis=1)
REWEIGHTING = ("reweight_inverse", "reweight_sqrt_inv")


@pytest.mark.filterwarnings("ignore:bmc compares")
@pytest.mark.parametrize("case", golden("balanced_mse"))
def test_values_and_gradients_equal_the_reference(case):
    kind = case.params["kind"] if case else ""
    if kind in REWEIGHTING:
        assert "gmm_means" not in case.inputs
        return
    flat = not kind.endswith("_md")
    pred, target = (torch.tensor(case.inputs[name]) for name in ("pred", "target"))
    if flat:
        pred, target = pred.squeeze(1), target.squeeze(1)
    pred.requires_grad_()
    sigma = torch.tensor(float(case.params["sigma"]), dtype=torch.float64, requires_grad=True)
    if kind.startswith("bmc"):
        loss = bmc_loss(pred, target, sigma=sigma)
    elif kind.startswith("gai"):
        mixture = {
            ours: torch.tensor(case.inputs[theirs])
            for ours, theirs in (("shares", "gmm_weights"), ("means", "gmm_means"), ("covariances", "gmm_variances"))
        }
        loss = gai_loss(pred, target, sigma=sigma, **mixture)
    else:
        centers, shares = (torch.tensor(case.inputs[name]) for name in ("bucket_centers", "bucket_weights"))
        loss = bni_loss(pred, target, sigma=sigma, centers=centers[shares > 0], shares=shares[shares > 0])
    loss.backward()
    case.close(loss.detach(), "loss")
    case.close(pred.grad.unsqueeze(1) if flat else pred.grad, "grad_pred")
    case.close(sigma.grad, "grad_sigma")


def test_bmc_warns_of_a_single_label():
    with pytest.warns(UserWarning, match="use larger batches"):
        assert bmc_loss(torch.tensor([5.0]), torch.tensor([3.0]), sigma=1.0) == 0


def test_bmc_against_plain_loops():
    rng = np.random.default_rng(0)
    pred, target, sigma = rng.normal(size=7), rng.normal(size=7), 0.7
    total = 0.0
    for i in range(7):
        logits = [-((pred[i] - target[j]) ** 2) / (2 * sigma**2) for j in range(7)]
        total += math.log(sum(math.exp(v) for v in logits)) - logits[i]
    ours = bmc_loss(torch.tensor(pred), torch.tensor(target), sigma=sigma)
    assert ours == pytest.approx(2 * sigma**2 * total / 7)


def test_gai_of_one_very_wide_component_is_squared_error_and_a_constant():
    pred, target = torch.randn(20, dtype=torch.float64), torch.randn(20, dtype=torch.float64)
    wide = {"shares": torch.ones(1), "means": torch.zeros(1, 1), "covariances": torch.full((1, 1, 1), 1e12)}
    gaps = [gai_loss(p, target, sigma=1.0, **wide) - (p - target).square().mean() for p in (pred, pred + 3.0, 2 * pred)]
    assert gaps[0] == pytest.approx(float(gaps[1]), abs=1e-6)
    assert gaps[0] == pytest.approx(float(gaps[2]), abs=1e-6)


def test_bni_and_gai_agree_when_they_describe_the_same_labels():
    y = np.random.default_rng(0).normal(40, 8, 200_000)
    pred, target = torch.linspace(10, 70, 30, dtype=torch.float64), torch.full((30,), 40.0, dtype=torch.float64)
    bni = BNI(y, Bins.width(y, 0.25), sigma=4.0, learn_sigma=False)
    gai = GAI(y, components=1, sigma=4.0, learn_sigma=False)
    near = (pred > 25) & (pred < 55)
    for form in (bni, gai):
        form.double()
    a = bni(pred[near], target[near])
    b = gai(pred[near], target[near])
    # GAI keeps ½ log σ² and the mixture's normaliser, BNI has neither: they differ by ½ log 2π σ²-like constants.
    shifted = bni(pred[near] + 1, target[near]) - a, gai(pred[near] + 1, target[near]) - b
    assert float(shifted[0]) == pytest.approx(float(shifted[1]), rel=0.02)


def test_sigma_is_learnt_above_zero_and_saved():
    loss = BMC(sigma=3.0)
    optimizer = torch.optim.SGD(loss.parameters(), lr=1.0)
    for _ in range(50):
        optimizer.zero_grad()
        loss(torch.randn(16), torch.randn(16)).backward()
        optimizer.step()
    assert loss.sigma > 0
    assert set(loss.state_dict()) == {"log_sigma"}
    assert set(GAI([1.0, 2.0, 3.0], components=1).state_dict()) == {"log_sigma", "shares", "means", "covariances"}
    assert not list(BMC(sigma=3.0, learn_sigma=False).parameters())


def test_components_are_chosen_by_bic():
    rng = np.random.default_rng(0)
    one = GAI(rng.normal(size=2000), components=None)
    two = GAI(np.concatenate([rng.normal(-10, 1, 1000), rng.normal(10, 1, 1000)]), components=None)
    assert len(one.shares) == 1
    assert len(two.shares) == 2


def test_dense_maps_are_drawn_from():
    pred, target = torch.randn(2, 20, 20), torch.randn(2, 20, 20)
    target[0, :5] = torch.nan
    torch.manual_seed(0)
    some = BMC(pixels=100)(pred, target)
    torch.manual_seed(0)
    assert some == BMC(pixels=100)(pred, target)
    assert torch.isfinite(BMC(pixels=10_000)(pred, target))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BMC(sigma=0.0), "sigma must be"),
        (lambda: BMC(pixels=1), "pixels"),
        (lambda: GAI([1.0, 1.0]), "constant"),
        (lambda: GAI([1.0, 2.0], components=5), "components must be at most 2, the number"),
        (lambda: GAI([1.0, 2.0], components=1.7), "components must be a whole number"),
        (lambda: BMC(pixels=float("nan")), "pixels must be a whole number"),
        (lambda: BMC(learn_sigma="no"), "learn_sigma must be true or false, got 'no'"),
        (
            lambda: GAI(ONE)(torch.zeros(4, 3), torch.zeros(4, 3)),
            r"with 1 dimensions, but target \(4, 3\) has 3",
        ),
        (lambda: GAI(TWO)(torch.zeros(4, 3), torch.zeros(4, 3)), "labels with 2 dimensions"),
        (lambda: GAI(TWO)(torch.zeros(4), torch.zeros(4)), "has 1; fit it"),
        (lambda: GAI(TWO)(torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)), "has 1; fit it"),
        (lambda: BNI([1.0, 2.0])(torch.zeros(3, 2), torch.zeros(3, 2)), "use bmc or gai"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(InputError, match=message):
        make()
