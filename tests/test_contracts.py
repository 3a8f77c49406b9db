"""What every part must keep, checked for each entry of PARTS by its slot."""

import copy
import inspect
import itertools
import pickle
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tailwise import MLP, Batches, Bins, InputError, Recipe, Regressor, Training, compose
from tailwise._part import Setting
from tailwise.augment.views import TwoViews
from tailwise.heads.dense import DenseHead
from tailwise.labels.bin_grid import BinGrid
from tailwise.methods.catalog import PARTS
from tailwise.methods.filling import Filling

# They take all outputs of a head: tests/test_heads.py, test_mixture.py, test_histogram_head.py, test_quantile_head.py,
# test_tweedie.py, test_many_zeros.py.
ON_OUTPUTS = {"uvote", "mixture", "histogram", "pinball", "poisson", "tweedie", "hurdle"}
LOSSES = [name for name, part in PARTS.items() if part.slot == "loss" and name not in ON_OUTPUTS]
REGULARIZERS = [name for name, part in PARTS.items() if part.slot == "regularizer"]
WEIGHTS = [name for name, part in PARTS.items() if part.slot == "weights"]
SMOOTHERS = [name for name, part in PARTS.items() if part.slot == "smoother"]
# Resamplers act before the training step: tests/test_sampling.py, test_classical.py.
IN_TRAINING = {name: part for name, part in PARTS.items() if part.slot != "resample"}
# Not 0 at the target: differences of log-likelihoods, a logarithm, a distance between distributions.
NOT_ZERO = {"bmc", "gai", "bni", "gar", "dist"}
NOT_LINEAR = {"gar", "dist", "correlation"}  # in the weights: a logarithm, a term without weights, a correlation
# Gradients that are defined, not derived: ranks are piecewise constant, centroids detached.
DEFINED = {"ranksim", "srl"}
WITHOUT_PREDICTION = {"ranksim", "rnc", "ordinal_entropy", "accon", "srl"}
BINS = Bins.from_edges(np.arange(0, 11))
SETTING = Setting(np.concatenate([np.linspace(4.0, 6.0, 180), np.linspace(0.0, 9.9, 20)]), BINS, 5)


@pytest.mark.parametrize("name", list(PARTS))
def test_help_shows_formula_shapes_and_source(name):
    part = PARTS[name]
    lacks = lacking(inspect.getdoc(part.make), has_source=part.source != "-")
    assert lacks == [], f"help({part.make.__name__}) lacks them"


def lacking(shown, *, has_source):
    """What a docstring lacks of first line, formula (before the arguments), shapes and source."""
    text = re.split(r"\n(?:Note|Example):", shown)[0]
    marks = {
        "a first line that says what it is": not re.match(r":\w+:`[^`]*` as a module\.$", shown.splitlines()[0]),
        "a formula with =, ∝, ↦ or Σ": re.search(r" = |∝|↦|Σ", text.split("\nArgs:")[0]),
        "a shape such as ``(n,)``": re.search(r"``\(\w+,", text),
        "a source with its year or number": not has_source or re.search(r"\((?:[^()]*\s)?(?:19|20)\d\d\)|arXiv", text),
    }
    return [mark for mark, given in marks.items() if not given]


def test_lacking_docstrings_are_seen():
    assert len(lacking(":func:`l1_loss` as a module.", has_source=True)) == 4
    whole = "Loss.\n\nL = |e|; Huber (1964).\n\nShape:\n    ``(B,)``."
    assert lacking(whole, has_source=True) == []


def test_every_part_has_a_formula_on_its_page():
    page = Path(__file__).parents[1] / "docs" / "sphinx" / "formulas.toml"
    formulas = tomllib.loads(page.read_text(encoding="utf-8"))
    assert set(formulas) == set(PARTS)
    assert all(set(entry) == {"formula", "letters", "hurts"} and all(entry.values()) for entry in formulas.values())


def make(name, **params):
    return Filling(PARTS[name], params).make(SETTING)


def batch(n=12, d=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, d, generator=generator, dtype=dtype)
    target = (torch.arange(n, dtype=dtype) * 0.9) % 10
    pred = target + torch.randn(n, generator=generator, dtype=dtype)
    return features, target, pred, torch.rand(n, generator=generator, dtype=dtype) + 0.5


@pytest.mark.parametrize("name", LOSSES)
class TestLosses:
    def test_scalar_and_zero_at_the_target(self, name):
        _, target, pred, _ = batch()
        loss = make(name)
        assert loss(pred, target).shape == ()
        assert torch.isfinite(loss(pred, target))
        if name not in NOT_ZERO:
            assert loss(pred, target) > 0
            assert loss(target.clone(), target) == pytest.approx(0.0, abs=1e-12)

    def test_gradient(self, name):
        _, target, pred, weight = batch()
        loss = make(name)
        torch.autograd.gradcheck(lambda p: loss(p, target, weight), pred.requires_grad_())

    def test_weights(self, name):
        _, target, pred, weight = batch()
        loss = make(name)
        assert torch.allclose(loss(pred, target, torch.ones_like(target)), loss(pred, target))
        if name not in NOT_LINEAR:
            assert torch.allclose(loss(pred, target, 2 * weight), 2 * loss(pred, target, weight))
        assert not torch.allclose(loss(pred, target, weight), loss(pred, target))

    def test_order_does_not_matter(self, name):
        _, target, pred, weight = batch()
        order = torch.randperm(len(target))
        loss = make(name)
        assert torch.allclose(loss(pred[order], target[order], weight[order]), loss(pred, target, weight))

    @pytest.mark.filterwarnings("ignore:bmc compares")
    def test_batch_of_one(self, name):
        assert torch.isfinite(make(name)(torch.tensor([1.0]), torch.tensor([3.0])))

    def test_k_dimensional(self, name):
        if "k" not in PARTS[name].targets:
            with pytest.raises(InputError):
                make(name)(torch.rand(6, 3), torch.rand(6, 3))
            return
        y = np.random.default_rng(0).normal(size=(50, 3))
        loss = Filling(PARTS[name]).make(Setting(y, BINS))
        pred, target = torch.rand(6, 3), torch.rand(6, 3)
        assert torch.isfinite(loss(pred, target))
        if name not in NOT_LINEAR:
            assert torch.allclose(loss(pred, target, torch.full((6,), 2.0)), 2 * loss(pred, target))

    def test_dense_maps(self, name):
        assert "dense" in PARTS[name].targets
        loss = make(name)
        dense, truth = torch.rand(2, 4, 4, requires_grad=True), torch.rand(2, 4, 4)
        truth[0, :2] = torch.nan
        value = loss(dense, truth)
        value.backward()
        known = ~torch.isnan(truth)
        assert torch.allclose(value, loss(dense[known], truth[known]))
        assert torch.isfinite(dense.grad).all()
        assert (dense.grad[~known] == 0).all()

    def test_maps_without_a_label(self, name):
        dense = torch.rand(2, 4, 4, requires_grad=True)
        value = make(name)(dense, torch.full((2, 4, 4), torch.nan))
        value.backward()
        assert torch.isfinite(value)
        assert (dense.grad == 0).all()

    def test_wrong_shape_is_refused(self, name):
        loss = make(name)
        with pytest.raises(InputError, match=r"\(4, 1\) but target \(4,\)"):
            loss(torch.zeros(4, 1), torch.zeros(4))
        with pytest.raises(InputError, match="weight has shape"):
            loss(torch.zeros(4), torch.zeros(4), torch.ones(4, 1))

    def test_low_and_high_precision(self, name):
        low, high = (tuple(t.to(dtype) for t in batch()[1:]) for dtype in (torch.bfloat16, torch.float64))
        loss = make(name)
        assert torch.isfinite(loss(low[1], low[0], low[2]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.isfinite(loss(high[1].float(), high[0].float(), high[2].float()))
        assert loss(high[1], high[0], high[2]).dtype == torch.float64


@pytest.mark.parametrize("name", REGULARIZERS)
class TestRegularizers:
    def test_scalar_finite_and_differentiable(self, name):
        features, target, pred, weight = batch()
        pred = torch.full_like(pred, 3.0)
        term = make(name)
        assert term(features, target, pred, weight).shape == ()
        if name in DEFINED:
            term(features.requires_grad_(), target, pred, weight).backward()
            assert torch.isfinite(features.grad).all()
            return
        torch.autograd.gradcheck(lambda z: term(z, target, pred, weight), features.requires_grad_())

    def test_order_does_not_matter(self, name):
        features, target, pred, weight = batch()
        order = torch.randperm(len(target))
        term = make(name)
        again = term(features[order], target[order], pred[order], weight[order])
        assert torch.allclose(again, term(features, target, pred, weight))

    @pytest.mark.parametrize("n", [1, 2])
    def test_zero_with_finite_gradients_when_it_has_nothing_to_say(self, name, n):
        features = torch.randn(n, 5, requires_grad=True)
        target = torch.full((n,), 3.0)
        value = make(name)(features, target, target)
        value.backward()
        assert value == 0
        assert (features.grad == 0).all()

    def test_a_row_of_zeros_has_a_gradient_like_the_others(self, name):
        features, target, pred, _ = batch()
        features[3] = 0
        features.requires_grad_()
        make(name)(features, target, pred.requires_grad_()).backward()
        assert features.grad.abs().max() < 1e3

    def test_target_and_features_are_not_changed(self, name):
        features, target, pred, weight = batch()
        before = [t.clone() for t in (features, target, pred, weight)]
        make(name)(features, target, pred, weight)
        assert all(torch.equal(a, b) for a, b in zip(before, (features, target, pred, weight), strict=True))

    def test_low_and_high_precision(self, name):
        features, target, pred, weight = batch()
        term = make(name)
        value = term(features.bfloat16(), target.bfloat16(), pred.bfloat16(), weight.bfloat16())
        assert torch.isfinite(value)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.isfinite(term(features.float(), target.float(), pred.float(), weight.float()))
        assert term(features, target, pred, weight).dtype == torch.float64

    def test_wrong_shape_is_refused(self, name):
        features, target, pred, _ = batch()
        if name not in WITHOUT_PREDICTION:
            with pytest.raises(InputError):
                make(name)(features, target, pred.unsqueeze(1))
        with pytest.raises(InputError):
            make(name)(features[:-1], target, pred)


@pytest.mark.filterwarnings("ignore:the weights are extreme")
@pytest.mark.parametrize("name", WEIGHTS)
class TestWeights:
    def make(self, name, y):
        return Filling(PARTS[name]).make(Setting(y, BINS))

    def test_mean_one_over_training_rows_and_rare_weighs_more(self, name):
        y = np.repeat([1.5, 4.5, 8.5], [60, 30, 3])
        weights = self.make(name, y)
        assert weights.sample_weight(y).mean() == pytest.approx(1.0, rel=1e-6)
        assert np.all(np.diff(weights.sample_weight([1.5, 4.5, 8.5])) > 0)

    def test_torch_and_numpy_agree(self, name):
        y = np.random.default_rng(0).normal(5, 3, 500)
        weights = self.make(name, y)
        assert np.allclose(weights(torch.from_numpy(y)).numpy(), weights.sample_weight(y))

    def test_labels_that_are_whole_numbers(self, name):
        weights = self.make(name, np.repeat([1.5, 4.5, 8.5], [60, 30, 3]))
        whole = torch.tensor([1, 4, 8])
        assert torch.equal(weights(whole), weights(whole.float()))

    def test_unseen_far_and_dense_labels(self, name):
        weights = self.make(name, np.full(10, 2.5))
        assert torch.isfinite(weights(torch.tensor([-1e9, 1e9, 7.0]))).all()
        dense = torch.full((2, 3, 3), 2.5)
        dense[0, 0, 0] = torch.nan
        assert weights(dense)[0, 0, 0] == 0

    def test_survives_low_precision_and_state_dict(self, name):
        y = np.random.default_rng(0).gamma(2, 2, 500)
        weights = self.make(name, y)
        other = self.make(name, np.full(10, 2.5))
        other.load_state_dict(weights.state_dict())
        target = torch.from_numpy(y).float()
        assert torch.equal(other(target), weights(target))
        low = copy.deepcopy(weights).to(torch.bfloat16)
        assert torch.allclose(low(target), weights(target), rtol=1e-2)


@pytest.mark.parametrize("name", SMOOTHERS)
class TestSmoothers:
    def test_evaluation_keeps_features_and_training_keeps_shape(self, name):
        smoother = Filling(PARTS[name]).make(SETTING)
        features, target, _, _ = batch(dtype=torch.float32)
        before = features.clone()
        smoother.train()
        for _ in range(3):
            out = smoother(features, target)
            smoother.end_epoch()
            assert out.shape == features.shape
            assert torch.isfinite(out).all()
        assert torch.equal(features, before)
        smoother.eval()
        assert torch.equal(smoother(features, target), features)

    def test_gradient_flows(self, name):
        smoother = Filling(PARTS[name]).make(SETTING).train()
        features, target, _, _ = batch(dtype=torch.float32)
        smoother(features, target)
        smoother.end_epoch()
        features.requires_grad_()
        smoother(features, target).sum().backward()
        assert torch.isfinite(features.grad).all()
        assert (features.grad != 0).any()

    def test_wrong_shape_is_refused(self, name):
        smoother = Filling(PARTS[name]).make(SETTING).train()
        with pytest.raises(InputError, match="5 channels"):
            smoother(torch.zeros(4, 3), torch.zeros(4))


@pytest.mark.filterwarnings("ignore:.*(extreme|correct twice)")
@pytest.mark.parametrize("kind", ["scalar", "k"])
@pytest.mark.slow
def test_every_pair_of_parts_trains_together_or_is_refused(kind):
    """Composition: any two parts that the grammar lets together take two epochs and stay finite."""
    inputs = torch.randn(48, 3)
    target = torch.exp(inputs[:, 0]) * 10 if kind == "scalar" else torch.stack([inputs[:, 0] * 3, inputs[:, 1]], 1)
    trained, refusals = 0, []
    for pair in itertools.combinations([name for name, part in IN_TRAINING.items() if kind in part.targets], 2):
        try:
            method = compose("+".join(pair))
            for stage in range(len(method.stages)):
                model = Regressor(MLP(3, widths=(6,)), 6, None if kind == "scalar" else 2)
                objective = method.build(model, target.numpy(), stage=stage).train()
                for _ in range(2):
                    total = sum(objective(inputs, target).values())
                    total.backward()
                    objective.end_epoch()
                    assert torch.isfinite(total), pair
            trained += 1
        except InputError as refusal:
            refusals.append(str(refusal))
    assert trained > (400 if kind == "scalar" else 200)
    reasons = ("both fill the slot", "of bins", "over bins", "trains with rnc already")
    assert [refusal for refusal in refusals if not any(reason in refusal for reason in reasons)] == []


@pytest.mark.parametrize("name", [name for name, part in IN_TRAINING.items() if part.slot != "correction"])
def test_whole_number_labels_are_those_numbers(name):
    inputs, y = torch.randn(48, 5), torch.arange(48) % 9
    values = []
    for target in (y, y.float()):
        terms = []
        for stage in range(len(compose(name).stages)):
            torch.manual_seed(0)
            objective = compose(name).build(Regressor(MLP(5, widths=(5,)), 5), SETTING.y, BINS, stage=stage)
            for _ in range(3):  # what is smoothed, or not seen in a batch, is from the second epoch on
                terms += [float(term.detach()) for term in objective(inputs, target).values()]
                objective.end_epoch()
        values.append(terms)
    assert values[0] == values[1]


@pytest.mark.parametrize("name", [*LOSSES, *REGULARIZERS])
def test_pickle_and_state_dict_round_trip(name):
    piece = make(name)
    again = pickle.loads(pickle.dumps(piece))
    again.load_state_dict(piece.state_dict())
    features, target, pred, weight = batch()
    arguments = (pred, target, weight) if name in LOSSES else (features, target, pred, weight)
    assert torch.equal(again(*arguments), piece(*arguments))


class MapHead(nn.Module):
    """Predictions of maps in the target's units."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(n_features, 1, 1)

    def reset(self):
        self.mix.reset_parameters()

    def forward(self, features):
        return 300 + 100 * self.mix(features).squeeze(1)


class MapModel(nn.Module):
    """Maps to maps of the same size."""

    def __init__(self) -> None:
        super().__init__()
        self.n_features = 16
        self.encoder = nn.Sequential(nn.Conv2d(4, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU())
        self.head = MapHead(16)

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        return self.head(self.encode(x))


def task(kind):
    """Inputs, targets, training labels, their bins and a network of a small task of each kind of target."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(640, 4)).astype(np.float32)
    y = np.exp(0.7 * x[:, 0]) * 100 + 5 * x[:, 1]
    torch.manual_seed(0)
    if kind == "scalar":
        return torch.from_numpy(x), torch.from_numpy(y).float(), y, Bins.auto(y), Regressor(MLP(4, widths=(32, 32)), 32)
    if kind == "k":
        both = np.stack([y, 50 * x[:, 2] ** 2], axis=1)
        model = Regressor(MLP(4, widths=(32, 32)), 32, n_outputs=2)
        return torch.from_numpy(x), torch.from_numpy(both).float(), both, BinGrid.auto(both), model
    maps = torch.from_numpy(x).view(160, 2, 2, 4).movedim(-1, 1)
    target = torch.from_numpy(y).float().view(160, 2, 2).clone()
    target[:, 0, 0] = torch.nan
    known = target[~torch.isnan(target)].double().numpy()
    return maps, target, known, Bins.auto(known), MapModel()


def trainable(name, kind):
    """A method of this part alone, as it would be trained."""
    if name == "twoviews" and kind == "dense":
        return compose("vanilla", augment=TwoViews(view=nn.Dropout(0.1)))
    head = {"head_epochs": 10, "head_lr": 3e-2}
    longer = {"rrt": {"epochs": 5, "lr": 1e-2}, "rnc_pretrain": head, "supremix_pretrain": head}
    return compose(name, **{part: params for part, params in longer.items() if part == name})


@pytest.mark.filterwarnings("ignore:.*(are extreme|is extreme)")
@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, part in IN_TRAINING.items() for kind in part.targets]
)
@pytest.mark.slow
def test_a_few_epochs_beat_the_median(name, kind):
    inputs, target, y, bins, model = task(kind)
    if (name, kind) == ("mixture", "dense"):
        model.head = DenseHead(16).match_scale(y)  # whose kind has a counterpart with distributions
    there = ~torch.isnan(target)

    @torch.no_grad()
    def validate(current: nn.Module):
        return {"both": float((current(inputs) - target)[there].abs().mean())}

    training = Training(
        trainable(name, kind),
        model,
        Batches(inputs, target, batch_size=32 if kind != "dense" else 8),
        y,
        bins=bins,
        validate=validate,
        recipe=Recipe(epochs=5, lr=1e-2, device="cpu"),
    )
    for _ in training.epochs():
        pass
    model.eval()
    assert validate(model)["both"] < 0.8 * np.abs(y - np.median(y, axis=0)).mean()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own, while tracing
@pytest.mark.parametrize("name", [*LOSSES, *REGULARIZERS])
def test_compiles_without_breaks(name):
    features, target, pred, weight = batch(dtype=torch.float32)
    piece = make(name)
    arguments = (pred, target, weight) if name in LOSSES else (features, target, pred, weight)
    compiled = torch.compile(piece, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(*arguments), piece(*arguments), atol=1e-5)
