import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from tailwise import MLP, Bins, InputError, Regressor, compose, lds_weights
from tailwise.heads.attach import HEADS, attach_head, head_from, shape_from_json, shape_to_json
from tailwise.heads.evidential import VariationalHead
from tailwise.heads.head import Head, as_head
from tailwise.heads.laplace import LaplaceHeads
from tailwise.losses.evidential_loss import posterior
from tailwise.losses.laplace_likelihood import UVote, laplace_nll
from tailwise.losses.pointwise import L1

Y = np.array([10.0, 20.0, 60.0, 35.0])
SHAPES = [
    {"kind": "laplace", "n_heads": 1},
    {"kind": "laplace", "n_heads": 3},
    {"kind": "variational"},
    {"kind": "variational", "n_latent": 3},
    {"kind": "histogram", "n_cells": 4},
    {"kind": "histogram", "n_cells": 30},
    {"kind": "quantile", "levels": [0.1, 0.25, 0.5, 0.8]},
]


def head_of(shape, y=Y):
    torch.manual_seed(0)
    return head_from(5, shape).double().match_scale(y)


def features(n=9):
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
class TestHeads:
    def test_predictions_and_standard_deviations(self, shape):
        head = head_of(shape)
        outputs = head.outputs(features())
        assert torch.equal(head.point(outputs), head(features()))
        assert head(features()).shape == head.std(outputs).shape == (9,)
        assert (head.std(outputs) > 0).all()
        assert head(features(1)).shape == (1,)

    def test_outputs_are_in_target_units(self, shape):
        small, large = head_of(shape), head_of(shape, 1000 * Y + 7)
        torch.testing.assert_close(large(features()), 1000 * small(features()) + 7)
        spreads = (head.std(head.outputs(features())) for head in (large, small))
        torch.testing.assert_close(next(spreads), 1000 * next(spreads))

    def test_a_head_is_rebuilt_from_its_shape(self, shape):
        head = head_of(shape)
        assert head.shape == shape
        assert isinstance(head, HEADS[shape["kind"]])
        again = head_from(5, head.shape).double()
        assert not torch.equal(again(features()), head(features()))
        again.load_state_dict(head.state_dict())
        assert torch.equal(again(features()), head(features()))
        assert torch.equal(pickle.loads(pickle.dumps(head))(features()), head(features()))

    def test_reset_draws_new_weights_and_keeps_units(self, shape):
        head = head_of(shape)
        before = {name: values.clone() for name, values in head.state_dict().items()}
        head.reset()
        same = {name for name, values in head.state_dict().items() if torch.equal(values, before[name])}
        assert same == {"shift", "scale"} | ({"edges"} if shape["kind"] == "histogram" else set())

    def test_every_weight_learns(self, shape):
        head = head_of(shape)
        if not isinstance(head, VariationalHead):
            head.outputs(features()).square().sum().backward()
        else:
            mean, variance = head.latent(features())
            z = mean + variance.sqrt() * torch.randn_like(mean)
            sum(values.square().sum() for values in head.evidence(z)).backward()
        assert all((p.grad != 0).any() for p in head.parameters())

    def test_in_low_precision_and_with_wild_features(self, shape):
        head = head_of(shape).float()
        wild = 1e6 * features().float()
        assert torch.isfinite(head.std(head.outputs(wild))).all()
        assert (head.std(head.outputs(wild)) > 0).all()
        outputs = head.bfloat16().outputs(features().bfloat16())
        assert torch.isfinite(head.std(outputs)).all()
        assert outputs.dtype == torch.bfloat16

    def test_refuse_labels_they_cannot_take(self, shape):
        with pytest.raises(InputError, match="shape"):
            head_of(shape, np.ones((4, 2)))
        with pytest.raises(InputError, match="constant"):
            head_of(shape, np.ones(4))


EVERY = [
    *SHAPES,
    {"kind": "mixture", "n_components": 3},
    {"kind": "point"},
    {"kind": "point", "n_outputs": 2},
    {"kind": "ensemble", "members": 5},
    {"kind": "dense"},
    {"kind": "dense-mixture", "n_components": 3},
]


@pytest.mark.parametrize("shape", EVERY, ids=str)
class TestProtocol:
    def make(self, shape):
        torch.manual_seed(0)
        return head_from(5, shape)

    def batch(self, shape):
        is_dense = shape["kind"].startswith("dense")
        z = torch.randn(4, 5, 6, 6) if is_dense else torch.randn(4, 5)
        dims = (4, 6, 6) if is_dense else (4, 2) if "n_outputs" in shape else (4,)
        return z, torch.randn(dims)

    def test_it_is_a_head_with_predictions_like_the_target(self, shape):
        head, (z, y) = self.make(shape), self.batch(shape)
        assert isinstance(head, Head)
        assert as_head(head) is head
        assert head.shape == shape
        outputs = head.outputs(z)
        assert head.point(outputs).shape == y.shape
        assert torch.equal(head(z), head.point(outputs))
        std = head.std(outputs)
        assert (std is None) == (shape["kind"] in ("point", "ensemble", "dense"))
        assert std is None or std.shape == y.shape
        predictive = head.predictive(outputs)
        assert (predictive is None) == (std is None or "n_outputs" in shape)
        assert predictive is None or len(predictive) == (y.numel() if y.ndim == 3 else len(y))

    def test_losses_are_those_of_members_predictions_or_outputs(self, shape):
        class OnOutputs(nn.Module):
            on_outputs = True

            def forward(self, outputs, target, weight=None):
                return outputs.sum()

        head, (z, y) = self.make(shape), self.batch(shape)
        outputs = head.outputs(z)
        losses = head.losses(L1(), outputs, y, None)
        members = outputs.unbind(1) if shape["kind"] == "ensemble" else [head.point(outputs)]
        assert torch.equal(torch.stack(list(losses)), torch.stack([(pred - y).abs().mean() for pred in members]))
        (loss,) = head.losses(OnOutputs(), outputs, y, None)
        assert torch.equal(loss, outputs.sum())

    def test_saved_descriptions_stay_as_they_were(self, shape):
        saved = shape_to_json(shape)
        assert saved["head"] == (None if shape["kind"] == "point" else shape)
        assert saved.get("n_outputs") == shape.get("n_outputs")
        assert shape_from_json({"kind": "network", **saved}) == shape


class TestAttach:
    def model(self, n_outputs=None):
        return Regressor(MLP(3, widths=(10,)), 10, n_outputs)

    @pytest.mark.parametrize("shape", [shape for shape in EVERY if shape["kind"] != "dense"], ids=str)
    def test_a_new_head_is_scaled_and_of_the_models_type(self, shape):
        model = self.model().double()
        old = model.head
        y = np.stack([Y, 2 * Y], axis=1) if "n_outputs" in shape else Y
        attach_head(model, shape, y)
        assert (model.head is old) == (shape == {"kind": "point"})
        assert model.head.shape == shape
        assert model.head.scale.dtype == torch.float64
        if model.head is not old:
            np.testing.assert_allclose(model.head.scale, np.atleast_1d(y.std(axis=0)), rtol=1e-6)
        same = model.head
        attach_head(model, shape, y)
        assert model.head is same

    def test_a_head_without_weights_is_replaced_too(self):
        model = Own(nn.Identity())
        attach_head(model, {"kind": "laplace"}, Y)
        assert model.head.shape == {"kind": "laplace", "n_heads": 2}

    def test_without_a_shape_it_is_the_point_head(self):
        model = self.model()
        attach_head(model, {"kind": "laplace"}, Y)
        attach_head(model, None, Y)
        assert model.head.shape == {"kind": "point"}

    def test_a_model_must_say_how_many_features_it_has(self):
        model = Own(nn.Linear(5, 1))
        del model.n_features
        with pytest.raises(InputError, match="the model needs n_features"):
            attach_head(model, {"kind": "laplace"}, Y)
        with pytest.raises(InputError, match="cannot take labels of shape"):
            attach_head(self.model(), {"kind": "laplace"}, np.stack([Y, Y], axis=1))


class Own(nn.Module):
    """A model of a user's own, with any module for a head."""

    def __init__(self, head):
        super().__init__()
        self.n_features, self.encoder, self.head = 5, nn.Linear(3, 5), head

    def encode(self, x):
        return self.encoder(x).relu()


class Scalars(nn.Linear):
    """Features to ``(B,)`` predictions."""

    def forward(self, features):
        return super().forward(features).squeeze(1)


class TestHeadsOfOnesOwn:
    def step(self, head, name="l1", **params):
        torch.manual_seed(0)
        return compose(name, **params).build(Own(head), Y)

    @pytest.mark.parametrize("name", ["l1", "sqinv+lds+fds+conr", "bmc"])
    def test_a_plain_module_is_trained_as_it_is(self, name):
        step = self.step(Scalars(5, 1), name)
        x, y = torch.randn(6, 3), 40 + torch.randn(6)
        terms = step(x, y)
        sum(terms.values()).backward()
        assert all(p.grad is not None for p in step.model.head.parameters())
        assert {name for name in step.state_dict() if "head" in name} == {"model.head.weight", "model.head.bias"}
        if name == "l1":
            pred = step.model.head(step.model.encode(x))
            torch.testing.assert_close(terms["loss"], (pred - y).abs().mean() / Y.std())

    def test_a_linear_layer_predicts_k_targets(self):
        y = np.stack([Y, Y[::-1]], axis=1)
        step = compose("l1").build(Own(nn.Linear(5, 2)), y)
        assert torch.isfinite(step(torch.randn(6, 3), torch.randn(6, 2))["loss"])

    def test_a_head_that_is_replaced_later_is_the_one_trained(self):
        step = self.step(Scalars(5, 1))
        x, y = torch.randn(6, 3), torch.randn(6)
        for head in (Scalars(5, 1), head_from(5, {"kind": "laplace"})):
            step.model.head = head
            step(x, y)["loss"].backward()
            assert all(p.grad is not None for p in head.parameters())
        copied = pickle.loads(pickle.dumps(self.step(Scalars(5, 1))))
        assert copied.head.module is copied.model.head

    def test_a_head_with_outputs_takes_a_loss_on_outputs(self):
        class TwoOutputs(nn.Linear):
            def outputs(self, features):
                return super().forward(features)

            def point(self, outputs):
                return outputs[:, 0]

            def forward(self, features):
                return self.point(self.outputs(features))

        class Likelihood(nn.Module):
            on_outputs = True

            def forward(self, outputs, target, weight=None):
                return ((target - outputs[:, 0]).square() * outputs[:, 1].exp() - outputs[:, 1]).mean()

        x, y = torch.randn(6, 3), torch.randn(6)
        step = self.step(TwoOutputs(5, 2), "vanilla", loss=Likelihood())
        outputs = step.model.head.outputs(step.model.encode(x))
        assert torch.equal(step(x, y)["loss"], Likelihood()(outputs, y))
        with pytest.raises(InputError, match=r"model\.head is Scalars, which has predictions alone"):
            self.step(Scalars(5, 1), "vanilla", loss=Likelihood())(x, y)

    def test_a_stage_that_trains_the_head_needs_reset(self):
        with pytest.raises(InputError, match=r"needs model.head.reset\(\)"):
            compose("rrt").build(Own(Scalars(5, 1)), Y, stage=1)


def test_the_laplace_head_with_the_smallest_scale_predicts():
    head = LaplaceHeads(5, n_heads=3)
    outputs = torch.tensor([[[1.0, 0.5], [2.0, -0.5], [3.0, 0.0]], [[1.0, -3.0], [2.0, 0.5], [3.0, 1.0]]])
    assert head.point(outputs).tolist() == [2.0, 1.0]
    assert head.std(outputs).tolist() == pytest.approx([math.sqrt(2) * math.exp(-0.5), math.sqrt(2) * math.exp(-3)])


def test_laplace_scales_are_clamped_in_units_of_the_labels_spread():
    head = head_of({"kind": "laplace", "n_heads": 2})
    b = head.outputs(1e6 * features())[..., 1].exp() / Y.std()
    assert b.min().item() == pytest.approx(math.exp(-5), rel=1e-6)
    assert b.max().item() == pytest.approx(math.exp(5), rel=1e-6)


def test_variational_outputs_are_the_posterior_at_the_latent_mean():
    head = head_of({"kind": "variational", "n_latent": 3})
    mean, variance = head.latent(features())
    assert mean.shape == variance.shape == (9, 3)
    assert (variance > 0).all()
    outputs = head.outputs(features())
    torch.testing.assert_close(outputs, posterior(*head.evidence(mean)))
    for row, std in zip(outputs.tolist(), head.std(outputs).tolist(), strict=True):
        _, nu, alpha, beta = row
        assert std**2 == pytest.approx(beta / (alpha - 1) + beta / (nu * (alpha - 1)))


def test_the_root_of_a_vanishing_variance_has_a_gradient():
    head = head_of({"kind": "variational"}).float()
    wild = (1e6 * features().float()).requires_grad_()
    mean, variance = head.latent(wild)
    assert variance.min().item() == pytest.approx(1e-6)
    (mean + variance.sqrt()).sum().backward()
    assert torch.isfinite(wild.grad).all()


def test_evidence_is_a_soft_plus_of_a_linear_layer():
    head = head_of({"kind": "variational"})
    z = features()
    for raw, x, n, beta in zip(head.linear(z).tolist(), *(v.tolist() for v in head.evidence(z)), strict=True):
        assert x == pytest.approx(Y.mean() + Y.std() * raw[0], rel=1e-6)
        assert n == pytest.approx(2 + 10 * math.log1p(math.exp(0.1 * raw[1])))
        assert beta == pytest.approx(Y.std() ** 2 * (10 * math.log1p(math.exp(0.1 * raw[2])) + 1e-6), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: head_from(5, {"kind": "laplaec"}), "did you mean 'laplace'"),
        (
            lambda: head_from(5, {}),
            "known are dense, dense-mixture, ensemble, histogram, hurdle, laplace, log-link, members, mixture, point, "
            "quantile",
        ),
        (lambda: LaplaceHeads(5, n_heads=0), "n_heads must be"),
        (lambda: VariationalHead(5, n_latent=0), "n_latent must be"),
    ],
)
def test_mistakes_with_heads(make, message):
    with pytest.raises(InputError, match=message):
        make()


# From here on the loss of Laplace heads.

BINS = Bins.from_edges(np.arange(0, 11))
Y_TRAIN = np.repeat([1.5, 4.5, 8.5], [60, 30, 3])


class Power(nn.Module):
    """A weight that grows with the label."""

    def __init__(self, power):
        super().__init__()
        self.power = power

    def forward(self, target):
        return (1 + target.abs()) ** self.power


def votes(n_heads=2, **params):
    return UVote([Power(m) for m in range(n_heads)], **params)


def laplace_batch(n=12, n_heads=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(n, n_heads, 2, generator=generator, dtype=dtype)
    target, weight = torch.randn(2, n, generator=generator, dtype=dtype)
    return outputs, 3 * target, weight.exp()


@pytest.mark.parametrize("n_heads", [1, 2, 3])
def test_uvote_against_plain_loops(n_heads):
    outputs, target, weight = laplace_batch(n_heads=n_heads)
    terms = [0.0] * n_heads
    for i, y in enumerate(target.tolist()):
        for m in range(n_heads):
            mu, log_b = outputs[i, m].tolist()
            b = math.exp(log_b)
            terms[m] += float(weight[i]) * (1 + abs(y)) ** m * (math.log(2 * b) + abs(y - mu) / b) / len(target)
    loss = votes(n_heads)
    assert float(loss(outputs, target, weight)) == pytest.approx(sum(terms))
    weights = torch.stack([w(target) for w in loss.weights], dim=1)
    assert laplace_nll(outputs, target, weights * weight.unsqueeze(1)).tolist() == pytest.approx(terms)


def test_laplace_nll_is_that_of_torch():
    outputs, target, _ = laplace_batch()
    mean, log_b = outputs.unbind(2)
    expected = -torch.distributions.Laplace(mean, log_b.exp()).log_prob(target.unsqueeze(1)).mean(0)
    torch.testing.assert_close(laplace_nll(outputs, target), expected)


def test_uvote_gradient_weights_and_order():
    outputs, target, weight = laplace_batch()
    loss = votes()
    torch.autograd.gradcheck(lambda o: loss(o, target, weight), outputs.clone().requires_grad_())
    value = loss(outputs, target, weight)
    assert value.dtype == torch.float64
    assert torch.allclose(loss(outputs, target, 2 * weight), 2 * value)
    assert torch.allclose(loss(outputs, target, torch.ones(12)), loss(outputs, target))
    order = torch.randperm(12)
    assert torch.allclose(loss(outputs[order], target[order], weight[order]), value)
    assert torch.isfinite(loss(outputs[:1], target[:1]))
    low = loss(outputs.bfloat16(), target.bfloat16(), weight.bfloat16())
    assert float(low) == pytest.approx(float(value), rel=0.05)


def test_ramp_grows_with_the_epochs_and_is_saved():
    outputs, target, _ = laplace_batch(n_heads=3)
    loss, full = votes(3, ramp=4), votes(3)
    first, *others = laplace_nll(outputs, target, torch.stack([w(target) for w in loss.weights], dim=1))
    for t in range(7):
        expected = first + (min(t, 4) / 4) ** 2 * sum(others)
        torch.testing.assert_close(loss(outputs, target), expected)
        again = votes(3, ramp=4)
        again.load_state_dict(loss.state_dict())
        assert torch.equal(pickle.loads(pickle.dumps(again))(outputs, target), loss(outputs, target))
        loss.end_epoch()
        full.end_epoch()
    torch.testing.assert_close(loss(outputs, target), full(outputs, target))


def test_uvote_takes_the_outputs_of_the_head_it_names():
    loss = UVote([lds_weights(Y_TRAIN, BINS, power=p) for p in (0.0, 1.0)])
    head = head_from(5, loss.head).double().match_scale(Y_TRAIN)
    target = torch.tensor([1.5, 4.5, 8.5], dtype=torch.float64).repeat(3)
    value = loss(head.outputs(features()), target)
    value.backward()
    assert value.shape == ()
    assert torch.isfinite(head.linear.weight.grad).all()
    assert loss.on_outputs
    assert loss.degree == 0


def test_gradients_of_uvote_do_not_depend_on_the_unit():
    gradients = []
    for unit in (1.0, 1000.0):
        head = head_of({"kind": "laplace", "n_heads": 2}, unit * Y_TRAIN)
        bins = Bins.from_edges(unit * np.arange(0, 11))
        loss = UVote([lds_weights(unit * Y_TRAIN, bins, power=p) for p in (0.0, 1.0)])
        target = unit * torch.tensor([1.5, 4.5, 8.5], dtype=torch.float64).repeat(3)
        loss(head.outputs(features()), target).backward()
        gradients.append(head.linear.weight.grad)
    torch.testing.assert_close(*gradients)


def test_a_fit_finds_mean_and_spread():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(2000, 5)))
    y = 50 + 10 * x[:, 0] + torch.from_numpy(rng.laplace(scale=4.0, size=2000))
    head = LaplaceHeads(5, n_heads=1).double().match_scale(y.numpy())
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        UVote([Power(0)])(head.outputs(x), y).backward()
        optimizer.step()
    outputs = head.outputs(x).detach()
    assert float((head.point(outputs) - 50 - 10 * x[:, 0]).abs().mean()) < 0.5
    assert float(head.std(outputs).mean()) == pytest.approx(math.sqrt(2) * 4.0, rel=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UVote([]), "weights is empty"),
        (lambda: votes(ramp=0), "ramp must be"),
        (lambda: votes()(torch.zeros(4, 3, 2), torch.zeros(4)), "of 2 heads"),
        (lambda: votes()(torch.zeros(4, 2), torch.zeros(4)), "of 2 heads"),
        (lambda: votes()(torch.zeros(4, 2, 2), torch.zeros(4, 1)), "scalar target"),
        (lambda: votes()(torch.zeros(4, 2, 2), torch.zeros(4), torch.ones(4, 1)), "weight has shape"),
        (lambda: laplace_nll(torch.zeros(4, 2, 3), torch.zeros(4)), "Laplace heads"),
        (lambda: laplace_nll(torch.zeros(4, 2, 2), torch.zeros(4, 2)), "Laplace heads"),
        (lambda: laplace_nll(torch.zeros(4, 2, 2), torch.zeros(4), torch.zeros(4)), "weights has shape"),
    ],
)
def test_mistakes_with_votes(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own, while tracing
@pytest.mark.parametrize("ramp", [None, 3])
def test_uvote_compiles_without_breaks(ramp):
    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.loss = LaplaceHeads(5), votes(ramp=ramp)

        def forward(self, z, y):
            outputs = self.head.outputs(z)
            return self.loss(outputs, y) + self.head.point(outputs).mean()

    step, z, y = Step(), features().float(), torch.arange(9.0)
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(z, y), step(z, y), atol=1e-5)
