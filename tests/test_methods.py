import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from tailwise import FDS, L1, MLP, Bins, ConR, InputError, Method, Objective, Regressor, compose
from tailwise.augment.views import TwoViews
from tailwise.losses.balanced_mse import BMC
from tailwise.methods.catalog import CATALOG, PARTS
from tailwise.methods.filling import Filling
from tailwise.methods.stages import Stage

Y = np.random.default_rng(0).gamma(2.0, 10.0, 300)


def model():
    torch.manual_seed(0)
    return Regressor(MLP(3, widths=(8,)), n_features=8)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("vanilla", "vanilla"),
        ("conr+fds+lds+sqinv", "sqinv+lds+fds+conr"),
        (" sqinv + lds ", "sqinv+lds"),
        ("rrt+l1", "l1+rrt"),
    ],
)
def test_names_are_put_in_order(given, canonical):
    assert compose(given).name == canonical


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("con", {}, r"unknown method part 'con' in 'con'; did you mean 'conr'\?"),
        ("CONR", {}, "did you mean 'conr'"),
        (
            "lds+binover",
            {},
            "unknown method part 'binover' in 'lds.binover'; 'binover' is now 'ro' with `ro.by='bins'`$",
        ),
        ("", {}, "unknown method part ''"),
        ("lds++fds", {}, "joined by one"),
        ("vanilla+lds", {}, "stands alone"),
        ("inv+sqinv", {}, "'inv' and 'sqinv' both fill the slot 'weights'"),
        ("l1+mse", {}, "both fill the slot 'loss'"),
        ("conr+conr", {}, "stands twice"),
        ("lds", {"conr": {"window": 2.0}}, "parameters are given for 'conr', which is not part of 'lds'"),
        ("conr", {"conr": {"windw": 2.0}}, r"'conr' has no parameter 'windw'; did you mean 'window'\?"),
        ("inv", {"inv": {"power": 0.3}}, "use 'reweight' to choose it"),
        ("conr", {"conr": 3}, "must be a mapping"),
        ("l1", {"loss": L1()}, "fills that slot already"),
        ("vanilla", {"regularizer": {}}, "which is not part of"),
    ],
)
def test_mistakes_are_refused_with_a_way_out(name, params, message):
    with pytest.raises(InputError, match=message):
        compose(name, **params)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("conr", {"conr": {"temperature": 0}}, "temperature must be a finite number above 0, got 0"),
        ("conr", {"conr": {"window": "wide"}}, "window must be"),
        ("fds", {"fds": {"window": 4}}, "odd"),
        ("fds", {"fds": {"momentum": 1.5}}, "momentum"),
        ("fds", {"fds": {"clip": (2, 1)}}, "clip"),
        ("lds", {"lds": {"kernel": "box"}}, "kernel must be one of"),
        ("reweight", {"reweight": {"power": -1}}, "power"),
    ],
)
def test_bad_parameters_are_refused_when_built(name, params, message):
    with pytest.raises(InputError, match=message):
        compose(name, **params).build(model(), Y)


@pytest.mark.parametrize("name", CATALOG)
def test_the_catalog_agrees_with_the_description_of_a_part(name):
    part = PARTS[name]
    assert (part.name, part.slot, part.also) == (name, CATALOG[name].slot, CATALOG[name].also)


def test_the_catalog_is_a_mapping_in_canonical_order():
    assert list(PARTS) == list(CATALOG)
    assert len(PARTS) == len(CATALOG)
    assert "conr" in PARTS
    assert "con" not in PARTS
    slots = [entry.slot for entry in CATALOG.values()]
    assert slots == sorted(slots, key=list(dict.fromkeys(slots)).index)


@pytest.mark.parametrize("name", CATALOG)
def test_a_method_can_be_sent_to_another_process(name):
    method = compose(name)
    again = pickle.loads(pickle.dumps(method))
    assert again.name == name
    assert again.stages == method.stages


def test_a_method_made_by_hand():
    stage = Stage((Filling(PARTS["sqinv"]), Filling(PARTS["conr"], {"window": 2.0, "coef": 0.5})), epochs=3)
    objective = Method("mine", (stage,)).build(model(), Y)
    assert objective.regularizers["conr"].window == 2.0
    assert objective.coefs == {"conr": 0.5}


def test_defaults_come_from_the_labels():
    objective = compose("huber+conr").build(model(), Y)
    assert objective.loss.beta == pytest.approx(Y.std())
    assert objective.regularizers["conr"].window == pytest.approx(5.0)
    assert objective.regularizers["conr"].push == pytest.approx(0.01 / 5.0)
    assert objective.coefs == {"conr": PARTS["conr"].coef}


def test_settings_far_below_the_spread_of_the_labels_are_refused():
    with pytest.raises(InputError, match=r"bmc: sigma must be at least 1e-09 standard deviations of .*, 1\.31e-08"):
        compose("bmc", bmc={"sigma": 1e-10}).build(model(), Y)
    compose("bmc", bmc={"sigma": 1e-10}).build(model(), Y * 1e-9)


def test_remarks_say_what_is_particular_about_predictions():
    assert compose("sqinv+lds").remarks == []
    assert "column std" in compose("uvote").remarks[0]
    assert "column std" in compose("vir").remarks[0]
    assert "by isotonic" in compose("isotonic").remarks[0]


def test_lds_alone_means_square_root_inverse():
    alone, both = (compose(name).build(model(), Y).weights.table for name in ("lds", "sqinv+lds"))
    assert torch.equal(alone, both)


@pytest.mark.filterwarnings("ignore:the weights are extreme")
def test_power_is_one_knob():
    spread = [
        float(compose("reweight", reweight={"power": power}).build(model(), Y).weights.table.max())
        for power in (0.0, 0.5, 1.0)
    ]
    assert spread[0] == pytest.approx(1.0)
    assert spread == sorted(spread)


def test_own_pieces_need_no_registration():
    class Tenth(nn.Module):
        def forward(self, pred, target, weight=None):
            return (pred - target).abs().mean() / 10

    objective = compose("lds", loss=Tenth(), regularizers={"mine": ConR(window=3.0)}).build(model(), Y)
    terms = objective(torch.zeros(4, 3), torch.ones(4))
    assert set(terms) == {"loss", "mine"}


def test_builds_of_one_method_share_no_state():
    bins = Bins.auto(Y)
    method = compose("vanilla", smoother=FDS(bins, 8), loss=BMC(), regularizers={"mine": nn.Bilinear(1, 1, 1)})
    first, second = method.build(model(), Y, bins).train(), method.build(model(), Y, bins)
    first.smoother(torch.randn(16, 8), torch.rand(16) * 50)
    first.smoother.end_epoch()
    for name, value in FDS(bins, 8).state_dict().items():
        assert torch.equal(second.smoother.state_dict()[name], value)
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
    vir = compose("vir", vir={"decoder": nn.Linear(8, 3)})
    assert vir.build(model(), Y, bins).decoder is not vir.build(model(), Y, bins).decoder


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (nn.Linear(8, 4), r"decoder must give the shape of the inputs, \(5, 3\).*got \(5, 4\)"),
        (nn.Linear(7, 3), r"decoder does not take latent features \(5, 8\)"),
    ],
)
def test_a_decoder_of_the_wrong_width_is_refused(decoder, message):
    step = compose("vir", vir={"decoder": decoder}).build(model(), Y)
    with pytest.raises(InputError, match=message):
        step(torch.randn(5, 3), torch.rand(5))


def test_own_pieces_that_hold_the_model_keep_that_model():
    class OfTheHead(nn.Module):
        def __init__(self, head):
            super().__init__()
            self.head = head

        def forward(self, features, target, pred, weight=None):
            return self.head(features).square().mean()

    network = model()
    objective = compose("vanilla", regularizers={"mine": OfTheHead(network.head)}).build(network, Y)
    assert objective.regularizers["mine"].head is network.head


def test_an_own_augmentation_acts_in_vir():
    augment = TwoViews()
    objective = compose("vir", augment=augment).build(model(), Y)
    assert isinstance(objective.augment, TwoViews)


def test_own_pieces_are_checked():
    with pytest.raises(InputError, match=r"make an object of it"):
        compose("vanilla", loss=L1)
    with pytest.raises(InputError, match="choose another name"):
        compose("conr", regularizers={"conr": ConR()})
    with pytest.raises(InputError, match="not one of the regularizers"):
        compose("conr", coefs={"conr": 1.0})
    with pytest.raises(InputError, match="nothing uses"):
        compose("lds", weights=nn.Identity())
    with pytest.raises(InputError, match="end_epoch"):
        compose("lds", smoother=nn.Identity())
    objective = compose("lds", regularizers={"mine": ConR()}, coefs={"mine": 0.5}).build(model(), Y)
    assert objective.coefs == {"mine": 0.5}


def test_k_dimensional_labels():
    y = np.random.default_rng(0).normal(size=(40, 2))
    network = Regressor(MLP(3, widths=(8,)), n_features=8, n_outputs=2)
    x, target = torch.randn(40, 3), torch.from_numpy(y).float()
    objective = compose("bmc+conr", conr={"window": 0.5}, bmc={"sigma": 1.0}).build(network, y)
    sum(objective(x, target).values()).backward()
    objective = compose("sqinv+lds+fds").build(network, y).train()
    assert objective.weights(target).shape == (40,)
    sum(objective(x, target).values()).backward()
    with pytest.raises(InputError, match="uvote: this part needs scalar labels"):
        compose("uvote").build(network, y)


def test_dimensions_of_very_different_spread_are_warned_of():
    y = np.random.default_rng(0).normal(size=(200, 2)) * [1.0, 30.0]
    network = Regressor(MLP(3, widths=(8,)), n_features=8, n_outputs=2)
    with pytest.warns(UserWarning, match="from 0.979 to 30.2, so dimension 1 dominates.*divide the labels"):
        compose("l1").build(network, y)
    compose("l1").build(network, y / y.std(axis=0))
    compose("l1").build(network, y / [1.0, 5.0])


def test_labels_of_many_dimensions_have_no_bins():
    y = np.random.default_rng(0).normal(size=(40, 5))
    network = Regressor(MLP(3, widths=(8,)), n_features=8, n_outputs=5)
    with pytest.raises(InputError, match="no common bins: they have too many dimensions"):
        compose("fds").build(network, y)
    objective = compose("sqinv+knn+conr").build(network, y)
    terms = objective(torch.randn(40, 3), torch.from_numpy(y).float())
    assert all(torch.isfinite(term) for term in terms.values())


def test_loss_in_the_objective_is_free_of_the_targets_unit():
    x = torch.randn(50, 3)
    y = np.linspace(1, 7, 50)
    values = []
    for unit in (1e-5, 1.0, 1e7):
        objective = compose("sqinv+conr").build(model(), y * unit)
        terms = objective(x, torch.from_numpy(y * unit).float())
        values.append([float(term.detach()) for term in terms.values()])
    assert np.allclose(values[0], values[1], rtol=1e-3)
    assert np.allclose(values[2], values[1], rtol=1e-3)


def test_rrt_trains_a_new_head_on_a_frozen_encoder_in_evaluation_mode():
    method = compose("fds+conr+rrt+lds")
    network = model()
    first = method.build(network, Y, stage=0)
    assert isinstance(first.smoother, FDS)
    assert not hasattr(first.weights, "table")
    head = network.head.linear.weight.detach().clone()
    second = method.build(network, Y, stage=1).train()
    assert not torch.equal(network.head.linear.weight, head)
    assert hasattr(second.weights, "table")
    assert not second.regularizers
    assert not network.encoder.training
    assert network.head.training
    sum(second(torch.randn(4, 3), torch.rand(4)).values()).backward()
    assert all(p.grad is None for p in network.encoder.parameters())
    assert {id(p) for p in second.trained_parameters()} == {id(p) for p in network.head.parameters()}


def test_models_must_have_what_a_method_needs():
    with pytest.raises(InputError, match="no encode"):
        compose("fds").build(nn.Linear(3, 1), Y)

    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 1)

        def encode(self, x):
            return x

    with pytest.raises(InputError, match="n_features"):
        compose("fds").build(Bare(), Y)
    with pytest.raises(InputError, match="no stage 1"):
        compose("fds").build(model(), Y, stage=1)
    with pytest.raises(InputError, match="coefs"):
        Objective(model(), coefs={"conr": 1.0})


def test_all_state_is_one_state_dict():
    bins = Bins.auto(Y)
    objective = compose("sqinv+lds+fds+conr").build(model(), Y, bins).train()
    x, y = torch.randn(40, 3), torch.from_numpy(Y[:40]).float()
    objective(x, y)
    objective.end_epoch()
    other = compose("sqinv+lds+fds+conr").build(model(), Y[:200], bins).train()
    other.load_state_dict(objective.state_dict())
    torch.manual_seed(1)
    ours = objective(x, y)
    torch.manual_seed(1)
    theirs = other(x, y)
    assert torch.equal(ours["loss"], theirs["loss"])


@pytest.mark.slow
def test_composing_loads_neither_pandas_nor_scikit_learn():
    """A loop of one's own pays for torch alone."""
    code = "import sys, tailwise; tailwise.compose('lds+conr'); print(sorted({'pandas', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


class TestWholeNetworks:
    """Networks from inputs to predictions, without an encoder and a head."""

    Y = np.random.default_rng(0).gamma(2, 10, 200)

    @pytest.mark.parametrize("method", ["vanilla", "sqinv+lds", "l1", "focal_l1", "bmc", "sera", "cmixup", "isotonic"])
    def test_train_in_place(self, method):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        params = {"cmixup": {"mix": "inputs"}} if method == "cmixup" else {}
        step = compose(method, **params).build(net, self.Y)
        before = [p.detach().clone() for p in net.parameters()]
        x, y = torch.randn(32, 4), torch.tensor(self.Y[:32], dtype=torch.float32)
        optimizer = torch.optim.SGD(step.parameters(), lr=0.1)
        terms = step(x, y)
        assert list(terms) == ["loss"]
        sum(terms.values()).backward()
        optimizer.step()
        step.end_epoch()
        assert all((now != then).any() for now, then in zip(net.parameters(), before, strict=True))
        assert torch.equal(step.model(x), net(x)[:, 0])

    def test_the_loss_is_that_of_a_network_with_a_head(self):
        torch.manual_seed(0)
        body, last = nn.Linear(4, 8), nn.Linear(8, 1)

        class Split(nn.Module):
            def __init__(self):
                super().__init__()
                self.body, self.head = body, nn.Sequential(last, nn.Flatten(0))

            def encode(self, x):
                return self.body(x)

        x, y = torch.randn(32, 4), torch.tensor(self.Y[:32], dtype=torch.float32)
        method = compose("sqinv+lds")
        whole, split = method.build(nn.Sequential(body, last), self.Y), method.build(Split(), self.Y)
        assert torch.equal(whole(x, y)["loss"], split(x, y)["loss"])

    def test_several_targets(self):
        net = nn.Linear(4, 2)
        y = np.random.default_rng(0).normal(size=(60, 2))
        step = compose("vanilla").build(net, y)
        assert step(torch.randn(8, 4), torch.tensor(y[:8], dtype=torch.float32))["loss"].ndim == 0

    @pytest.mark.parametrize(
        ("method", "params", "named"),
        [
            ("conr", {}, "conr"),
            ("sqinv+lds+fds", {}, "fds"),
            ("vir", {}, "vir"),
            ("cmixup", {"cmixup": {"mix": "features"}}, "cmixup"),
            ("rrt", {}, "a method of two stages"),
            ("mixture", {}, "mixture"),
            ("pinball", {}, "quantile"),
            ("vanilla", {"regularizers": {"mine": ConR(window=1.0)}}, "regularizers"),
        ],
    )
    def test_parts_that_need_features_are_refused(self, method, params, named):
        said = rf"^{named} needs features, and Sequential has no encode and head; give the model encode\(x\)"
        with pytest.raises(InputError, match=said):
            compose(method, **params).build(nn.Sequential(nn.Linear(4, 1)), self.Y)
