import warnings

import numpy as np
import pytest
import torch
from torch import nn

from tailwise import MLP, Batches, Bins, InputError, Recipe, Regressor, Training, compose
from tailwise.losses.balanced_mse import BMC
from tailwise.losses.pointwise import L1, MSE
from tailwise.losses.sera import SERA
from tailwise.methods.catalog import PARTS
from tailwise.weights.weight_function import UniformWeights

RNG = np.random.default_rng(0)


def objective(name, stage=0, **params):
    torch.manual_seed(0)
    return compose(name, **params).build(Regressor(MLP(3, widths=(8,)), 8), np.arange(40.0), stage=stage)


def test_balanced_mse_is_the_second_stage_of_rrt():
    first, second = objective("bmc+rrt"), objective("bmc+rrt", stage=1)
    assert isinstance(first.loss, MSE)
    assert isinstance(second.loss, BMC)
    assert isinstance(second.weights, UniformWeights)
    assert not second.train().model.encoder.training


def test_a_balanced_loss_of_ones_own_is_the_second_stage_of_rrt():
    first, second = objective("rrt", loss=BMC()), objective("rrt", stage=1, loss=BMC())
    assert isinstance(first.loss, MSE)
    assert isinstance(second.loss, BMC)
    assert isinstance(second.weights, UniformWeights)


def test_what_weighs_rare_values_is_the_second_stage_of_rrt():
    sera = {"points": ((0, 1), (20, 0), (40, 1))}
    first, second = objective("sera+rrt", sera=sera), objective("sera+rrt", stage=1, sera=sera)
    assert isinstance(first.loss, MSE)
    assert isinstance(second.loss, SERA)
    assert isinstance(second.weights, UniformWeights)


@pytest.mark.parametrize("name", [name for name, part in PARTS.items() if part.slot == "loss"])
def test_a_loss_that_balances_is_a_part_that_corrects(name):
    assert PARTS[name].balances <= PARTS[name].corrects


def test_rrt_without_balanced_mse_is_reweighted():
    assert not isinstance(objective("l1+rrt", stage=1).weights, UniformWeights)
    assert isinstance(objective("l1+rrt").loss, L1)


def test_pretraining_trains_the_encoder_by_rnc_alone():
    first, second = objective("rnc_pretrain+sqinv"), objective("rnc_pretrain+sqinv", stage=1)
    assert first.trains == "encoder"
    assert list(first(torch.randn(6, 3), torch.arange(6.0))) == ["rnc"]
    assert {id(p) for p in first.trained_parameters()} == {id(p) for p in first.model.encoder.parameters()}
    assert isinstance(second.loss, L1)
    assert second.trains == "head"
    assert not isinstance(second.weights, UniformWeights)
    assert isinstance(objective("rnc_pretrain+huber", stage=1).loss, nn.Module)


def test_supremix_takes_its_window_from_the_labels():
    first, second = objective("supremix_pretrain"), objective("supremix_pretrain+sqinv", stage=1)
    assert list(first(torch.randn(6, 3), torch.arange(6.0))) == ["supremix_pretrain"]
    term = first.regularizers["supremix_pretrain"]
    assert term.window == pytest.approx(5 * term.bin_width)
    assert isinstance(second.loss, L1)
    assert not isinstance(second.weights, UniformWeights)
    given = objective("supremix_pretrain+twoviews", supremix_pretrain={"window": 3.0, "temperature": 0.1})
    term = given.regularizers["supremix_pretrain"]
    assert (term.window, term.temperature) == (3.0, 0.1)
    with pytest.raises(InputError, match=r"supremix_pretrain\.window"):
        compose("supremix_pretrain", supremix_pretrain={"window": -1.0})


@pytest.mark.parametrize("name", ["rrt", "rnc_pretrain", "supremix_pretrain"])
def test_a_frozen_encoder_is_in_evaluation_mode_from_the_start(name):
    encoder = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
    second = compose(name).build(Regressor(encoder, 8), np.arange(40.0), stage=1)
    x, y = torch.randn(16, 3) + 5, torch.arange(16.0)
    assert second(x, y)["loss"] == second(x, y)["loss"]
    assert (encoder[1].running_mean == 0).all()
    assert second.model.head.training


def test_pretraining_refuses_what_it_already_does():
    with pytest.raises(InputError, match="trains with rnc already"):
        compose("rnc_pretrain+rnc")
    with pytest.raises(InputError, match="both fill the slot 'smoother'"):
        compose("rnc_pretrain+fds")
    with pytest.raises(InputError, match="both fill the slot 'stage'"):
        compose("rnc_pretrain+rrt")
    with pytest.raises(InputError, match=r"rnc_pretrain\.head_epochs"):
        compose("rnc_pretrain", rnc_pretrain={"head_epochs": 0})


@pytest.mark.slow
def test_pretraining_keeps_its_last_epoch_and_orders_features():
    x = torch.randn(400, 3)
    y = 10 * x[:, 0] + x[:, 1]
    torch.manual_seed(0)
    model = Regressor(MLP(3, widths=(32, 8), dropout=0.0), 8)
    params = {"epochs": 8, "head_epochs": 12, "head_lr": 3e-2}
    training = Training(
        compose("rnc_pretrain+twoviews", rnc_pretrain=params),
        model,
        Batches(x, y, batch_size=64),
        y.numpy(),
        bins=Bins.count(y.numpy(), 10),
        validate=lambda m: {"both": float((m(x) - y).abs().mean())},
        recipe=Recipe(epochs=3, lr=1e-2, patience=2, device="cpu"),
    )
    epochs = list(training.epochs())
    first = [e for e in epochs if e.stage == 0]
    assert len(first) == 8
    assert all(not e.validation and e.best for e in first)
    assert first[-1].terms["rnc"] < first[0].terms["rnc"]
    assert epochs[-1].validation["both"] < 0.5 * float((y - y.median()).abs().mean())


def test_warns_of_two_corrections():
    with pytest.warns(UserWarning, match="leave out 'sqinv'"):
        compose("sqinv+bmc")
    with pytest.warns(UserWarning, match="'lds' and 'bmc' .* correct twice; leave out 'lds'"):
        compose("bmc+lds")
    with pytest.warns(UserWarning, match="'inv' and loss= .*; leave out 'inv'"):
        compose("inv+lds", loss=BMC())
    with pytest.warns(UserWarning, match="weights= and 'bmc' .*; leave out weights="):
        compose("bmc", weights=UniformWeights())
    for balanced in (compose("rrt", loss=BMC()), compose("bsam", loss=BMC())):
        assert not [f for stage in balanced.stages for f in stage.fillings if f.part.slot == "weights"]
    for name in ("sqinv+sera", "sqinv+debias", "lds+debias", "bsam+debias", "bmc+debias", "sera+debias"):
        with pytest.warns(UserWarning, match=f"{name.split('+')[0]}' and '{name.split('+')[1]}' .* correct twice"):
            compose(name)
    for name in ("vir+debias", "uvote+debias"):
        with pytest.warns(UserWarning, match=f"'{name.split('+')[0]}' and 'debias' .* correct twice"):
            compose(name)
    with pytest.warns(UserWarning, match="'inv', 'bmc' and 'debias' .* correct 3 times; leave out all but one"):
        compose("inv+bmc+debias")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("sqinv+lds+isotonic", "vir+lds", "uvote+lds", "sera+rrt", "bsam+sera", "debias", "sqinv+dist"):
            compose(name)
    compose("bni+lds")  # smooths the bins that bni integrates over, and re-weights nothing


def test_bsam_means_a_reweighted_loss():
    assert not isinstance(objective("bsam").weights, UniformWeights)
    assert isinstance(objective("bsam+bmc").weights, UniformWeights)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("uvote+sqinv", "both fill the slot 'weights'"),
        ("uvote+l1", "both fill the slot 'loss'"),
        ("vir+conr", "both fill the slot 'regularizer'"),
        ("conr+vir", "both fill the slot 'regularizer'"),
        ("vir+rrt", "both fill the slot 'stage'"),
        ("denseweight+lds", "both fill the slot 'density'"),
        ("isotonic+debias", "both fill the slot 'correction'"),
        ("twoviews+cmixup", "both fill the slot 'augment'"),
    ],
)
def test_slots_that_collide(name, match):
    with pytest.raises(InputError, match=match):
        compose(name)


def test_uvote_gives_the_model_its_heads_once():
    built = objective("uvote+lds", uvote={"n_heads": 3})
    assert built.model.head.shape == {"kind": "laplace", "n_heads": 3}
    pred = built.model(torch.randn(5, 3))
    assert pred.shape == (5,)
    head = built.model.head
    compose("uvote", uvote={"n_heads": 3}).stages[0].build(built.model, np.arange(40.0))
    assert built.model.head is head


def test_bsam_refuses_a_scaled_gradient(monkeypatch):
    x, y = torch.randn(40, 3), torch.arange(40.0)
    model = Regressor(MLP(3, widths=(8,)), 8)
    arguments = {
        "bins": Bins.count(y.numpy(), 5),
        "validate": lambda m: {"both": 0.0},
        "recipe": Recipe(device="cpu"),
    }
    training = Training(compose("bsam"), model, Batches(x, y, batch_size=8), y.numpy(), **arguments)
    monkeypatch.setattr(type(training.accelerator), "scaler", object(), raising=False)
    training.accelerator.scaler = object()
    with pytest.raises(InputError, match="bf16"):
        training._start_stage()
