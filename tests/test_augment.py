import numpy as np
import pytest
import torch
from torch import nn

from golden import golden
from tailwise import MLP, Bins, InputError, Regressor, compose
from tailwise.augment.cmixup import CMixup, cmixup_partners, cmixup_rates
from tailwise.augment.views import Corrupt, TwoViews
from tailwise.methods.objective import Objective, without_gathering
from tailwise.optim.bsam import BSAM
from tailwise.training.batches import Batches
from tailwise.training.loop import Training
from tailwise.training.recipe import Recipe


@pytest.mark.parametrize("case", golden("cmixup"))
def test_rates_equal_the_reference(case):
    labels = torch.tensor(case.inputs["labels"])
    case.close(cmixup_rates(labels, bandwidth=case.params["bandwidth"]), "rate")
    if labels.shape[1] == 1:
        case.close(cmixup_rates(labels.squeeze(1), bandwidth=case.params["bandwidth"]), "rate")


def test_partners_follow_the_rates():
    labels = torch.tensor([0.0, 1.0, 5.0])
    rates = cmixup_rates(labels, bandwidth=1.0)
    torch.manual_seed(0)
    drawn = torch.stack([cmixup_partners(labels, bandwidth=1.0) for _ in range(4000)])
    shares = torch.stack([(drawn == j).float().mean(0) for j in range(3)], dim=1)
    assert torch.allclose(shares, rates, atol=0.03)


def test_partners_of_a_large_batch_need_no_square_matrix():
    labels = torch.arange(3000.0)
    partner = cmixup_partners(labels, bandwidth=0.01)
    assert torch.equal(partner, torch.arange(3000))


@pytest.mark.parametrize("k", [None, 2])
def test_inputs_and_labels_are_mixed_alike(k):
    y = torch.rand(64) if k is None else torch.rand(64, k)
    x = y.unsqueeze(1) if k is None else y
    torch.manual_seed(0)
    mixed_x, mixed_y = CMixup(bandwidth=0.5).inputs(x, y)
    assert torch.allclose(mixed_x.reshape(mixed_y.shape), mixed_y)
    assert not torch.allclose(mixed_y, y)
    assert mixed_y.min() >= y.min()
    assert mixed_y.max() <= y.max()


@pytest.mark.parametrize("mix", ["inputs", "features"])
def test_whole_number_labels_are_mixed_as_floating_ones(mix):
    mixer, x, y = CMixup(bandwidth=2.0, mix=mix), torch.randn(8, 3), torch.arange(8) // 2
    mixed = []
    for labels in (y, y.float()):
        torch.manual_seed(0)
        mixed.append(getattr(mixer, mix)(x, labels))
    assert torch.equal(mixed[0][1], mixed[1][1])
    assert torch.equal(mixed[0][0], mixed[1][0])
    assert not torch.equal(mixed[0][1], y.float())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_labels_that_cannot_be_mixed_are_refused(bad):
    mixer = CMixup(bandwidth=1.0)
    with pytest.raises(InputError, match="labels that are NaN or infinite"):
        mixer.inputs(torch.randn(3, 2), torch.tensor([0.0, bad, 1.0]))
    with pytest.raises(InputError, match="4 rows with 3 labels"):
        mixer.inputs(torch.randn(4, 2), torch.zeros(3))


def test_feature_mixing_leaves_inputs_alone_and_evaluation_leaves_all():
    mixer = CMixup(bandwidth=0.5, mix="features")
    x, y = torch.randn(8, 3), torch.rand(8)
    assert mixer.inputs(x, y)[0] is x
    assert not torch.equal(mixer.features(x, y)[0], x)
    mixer.eval()
    assert mixer.features(x, y)[0] is x


def test_what_cannot_be_mixed_is_refused():
    with pytest.raises(InputError, match="mix=features"):
        CMixup().inputs(torch.zeros(4, 2, dtype=torch.int64), torch.zeros(4))
    with pytest.raises(InputError, match=r"\(B,\) or \(B, K\)"):
        CMixup().inputs(torch.zeros(4, 2), torch.zeros(4, 2, 2))
    with pytest.raises(InputError, match="bandwidth"):
        CMixup(bandwidth=0.0)
    with pytest.raises(InputError, match="mix must be one of"):
        CMixup(mix="labels")


def test_two_views_repeat_labels_and_corrupt_some_values():
    torch.manual_seed(0)
    x, y = torch.arange(200.0).view(100, 2), torch.arange(100.0)
    both, labels = TwoViews(corrupt=0.3).inputs(x, y)
    assert torch.equal(labels, y.repeat_interleave(2))
    changed = (both != x.repeat_interleave(2, dim=0)).float().mean()
    assert 0.2 < changed < 0.4
    assert torch.equal(both[:, 0] % 2, torch.zeros(200))  # every value stays in its column
    assert not torch.equal(both[::2], both[1::2])
    views = TwoViews().eval()
    assert views.inputs(x, y)[0] is x


def test_a_view_of_ones_own():
    both, _ = TwoViews(view=nn.Hardtanh()).inputs(torch.full((2, 1, 4, 4), 9.0), torch.zeros(2))
    assert both.shape == (4, 1, 4, 4)
    assert both.max() == 1
    with pytest.raises(InputError, match="pass another augmentation"):
        TwoViews().inputs(torch.zeros(2, 1, 4, 4), torch.zeros(2))
    with pytest.raises(InputError, match="below 1"):
        Corrupt(1.0)
    for bad in ("a", None, True, [0.1], np.nan, -0.1):
        with pytest.raises(InputError, match="corrupt must be a finite number of at least 0"):
            TwoViews(corrupt=bad)


def test_conr_sees_both_views():
    seen = []

    class Spy(nn.Module):
        def forward(self, features, target, pred, weight=None):
            seen.append((features.shape, target.shape, pred.shape, weight.shape))
            return features.sum() * 0

    objective = compose("sqinv+twoviews", regularizers={"spy": Spy()}).build(
        Regressor(nn.Linear(3, 4), 4), np.arange(20.0)
    )
    objective(torch.randn(6, 3), torch.arange(6.0))
    assert seen == [((12, 4), (12,), (12,), (12,))]
    objective.eval()
    objective(torch.randn(6, 3), torch.arange(6.0))
    assert seen[1][0] == (6, 4)


@pytest.mark.slow
def test_bsam_is_the_formula():
    theta = torch.tensor([1.0, -2.0], requires_grad=True)
    scale = torch.tensor([1.0, 3.0])

    def loss():
        return (scale * theta.square()).sum()

    grad = 2 * scale * theta.detach()
    worst = theta.detach() + 0.5 * grad / grad.norm()
    expected = theta.detach() - 0.1 * 2 * scale * worst
    bsam = BSAM(torch.optim.SGD([theta], lr=0.1), rho=0.5)
    loss().backward()
    bsam.step(lambda: loss().backward())
    assert torch.allclose(theta, expected)


def test_bsam_without_a_gradient_stays():
    theta = torch.zeros(2, requires_grad=True)
    bsam = BSAM(torch.optim.SGD([theta], lr=0.1), rho=0.5)
    theta.square().sum().backward()
    bsam.step(lambda: theta.square().sum().backward())
    assert torch.equal(theta, torch.zeros(2))
    theta.grad = None
    with pytest.raises(InputError, match=r"call loss\.backward\(\) before"):
        bsam.step(lambda: theta.square().sum().backward())
    with pytest.raises(InputError, match="rho"):
        BSAM(torch.optim.SGD([theta], lr=0.1), rho=0.0)


def test_the_second_pass_is_not_counted_twice():
    objective = compose("sqinv+fds+srl+bsam").build(Regressor(nn.Linear(3, 4), 4), np.arange(20.0)).train()
    x, y = torch.randn(6, 3), torch.arange(6.0)
    objective(x, y)
    with without_gathering(objective):
        objective(x, y)
    assert objective.smoother.moments.count.sum() == 6
    assert objective.smoother.gathers
    assert objective.regularizers["srl"].gathers


def test_an_encoder_alone_needs_a_regularizer():
    with pytest.raises(InputError, match="needs a regularizer"):
        Objective(Regressor(nn.Linear(3, 4), 4), trains="encoder")


def test_both_gradients_of_bsam_are_of_the_same_draws():
    y = np.random.default_rng(0).gamma(2.0, 5.0, 64)
    x = torch.randn(64, 3)
    model = Regressor(MLP(3, dropout=0.5), 256)
    training = Training(
        compose("bsam+cmixup", cmixup={"bandwidth": 2.0}, bsam={"rho": 1e-12}),
        model,
        Batches(x, torch.from_numpy(y).float(), batch_size=32),
        y,
        bins=Bins.count(y, 5),
        validate=lambda m: {"both": 1.0},
        recipe=Recipe(epochs=2, device="cpu"),
    )
    terms, gradients = [], training._gradients

    def recorded(*batch):
        terms.append(float(gradients(*batch)["loss"].detach()))
        return {"loss": torch.tensor(terms[-1])}

    training._gradients = recorded
    list(training.epochs())
    assert len(terms) == 8
    assert terms[0::2] == pytest.approx(terms[1::2], rel=1e-5)
    assert len(set(terms[0::2])) == 4
