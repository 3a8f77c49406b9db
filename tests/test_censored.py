"""Censored targets: labels cut off at a limit, beyond which the true values lie."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm

from conftest import toy_frame
from tailwise import Experiment, FittedModel, InputError, Recipe, evaluate, fit, prepare
from tailwise.cli.main import run
from tailwise.heads.mixture import mixture_std
from tailwise.labels.censoring import Censoring
from tailwise.losses.mixture_likelihood import MixtureLikelihood
from test_cli import refused
from test_mixture import outputs_of

LIMIT = 3.0
LIMITS = {"censored_below": -1.0, "censored_above": 1.0}
QUICK = {"encoder": "mlp", "recipe": Recipe(epochs=2)}


def houses(n=400, seed=0):
    """The true value, and the price that is cut off at the limit."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 3, n)
    true = 2 * x + 0.5 * rng.normal(size=n)
    return pd.DataFrame({"x": x, "price": np.minimum(true, LIMIT)}), true


@pytest.fixture(scope="module")
def task():
    return prepare(houses()[0], "price", split="random")


@pytest.fixture(scope="module")
def model(task):
    return fit(task, Experiment("mixture", censored_above=LIMIT, **QUICK))


def mass_beyond(outputs, i, limit, sign):
    """Mass beyond the limit of one row, component by component."""
    return sum(
        math.exp(log_weight) * norm.sf(sign * (limit - mean) / math.exp(log_scale))
        for log_weight, mean, log_scale in outputs[i].tolist()
    )


class TestLoss:
    Y = torch.tensor([-1.0, 0.3, 1.0, 1.0, -0.2, -1.0], dtype=torch.float64)

    def test_plain_loops(self):
        outputs, loss = outputs_of(n=6), MixtureLikelihood(2.0, n_components=3, squared_error=0.7, **LIMITS)
        expected = []
        for i, y in enumerate(self.Y.tolist()):
            weights, means, scales = (outputs[i, :, j].numpy() for j in range(3))
            weights, scales = np.exp(weights), np.exp(scales)
            if abs(y) == 1:
                expected.append(-math.log(mass_beyond(outputs, i, y, sign=y)))
                continue
            density = (weights * norm.pdf(y, means, scales)).sum()
            expected.append(-math.log(density) + 0.7 * ((y - weights @ means) / 2) ** 2)
        for i, value in enumerate(expected):
            assert float(loss(outputs[i : i + 1], self.Y[i : i + 1])) == pytest.approx(value, rel=1e-10)
        assert float(loss(outputs, self.Y)) == pytest.approx(np.mean(expected), rel=1e-10)

    @pytest.mark.parametrize("squared_error", [0.0, 1.0])
    def test_finite_differences(self, squared_error):
        outputs = outputs_of(n=6).requires_grad_()
        loss = MixtureLikelihood(2.0, n_components=3, squared_error=squared_error, **LIMITS)
        assert torch.autograd.gradcheck(lambda out: loss(out, self.Y, torch.arange(6.0)), (outputs,))

    def test_a_variance_to_a_power_weights_censored_rows_too(self):
        outputs, parts = outputs_of(n=6).requires_grad_(), {}
        for beta in (0.0, 0.5):
            loss = MixtureLikelihood(2.0, n_components=3, squared_error=0.0, beta=beta, **LIMITS)
            parts[beta] = torch.autograd.grad(loss(outputs, self.Y), outputs)[0]
        factor = (mixture_std(outputs.detach()) / 2).unsqueeze(2)
        torch.testing.assert_close(parts[0.5], factor * parts[0.0])

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
    def test_limits_far_away(self, dtype):
        outputs = torch.tensor([[[0.0, -100.0, -3.0]], [[0.0, 100.0, -3.0]]], dtype=dtype, requires_grad=True)
        value = MixtureLikelihood(1.0, censored_above=1.0)(outputs, torch.ones(2, dtype=dtype))
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(outputs.grad).all()
        assert outputs.grad[0, 0, 1] < 0  # a mean below the limit is raised
        assert (outputs.grad[1, 0, 1:] == 0).all()  # one far beyond it is let be

    def test_labels_at_a_limit_that_is_rounded(self):
        outputs, y = outputs_of(n=2).float(), torch.tensor([0.1, 0.0])
        measured, censored = MixtureLikelihood(1.0), MixtureLikelihood(1.0, censored_above=0.1)
        assert float(censored(outputs[:1], y[:1])) != pytest.approx(float(measured(outputs[:1], y[:1])))
        assert float(censored(outputs[1:], y[1:])) == float(measured(outputs[1:], y[1:]))

    def test_several_targets(self):
        with pytest.raises(InputError, match="censored labels are for one target, and there are 3"):
            MixtureLikelihood(1.0, censored_above=0.1)(outputs_of(k=3), torch.zeros(7, 3))


class TestErrors:
    def test_only_the_shortfall_counts(self):
        limits = Censoring(-1.0, 1.0)
        counted = limits.counted([-1.0, -1.0, 0.0, 1.0, 1.0, 1.0], [-5.0, 0.5, 3.0, 7.0, 0.2, -9.0])
        assert counted.tolist() == [-1.0, 0.5, 3.0, 1.0, 0.2, -9.0]
        assert Censoring.from_json(json.loads(json.dumps(limits.to_json()))) == limits

    @pytest.mark.parametrize(
        "given", [{"above": math.nan}, {"above": "5"}, {"below": True}, {}, {"below": 1, "above": 1.0}]
    )
    def test_bad_limits(self, given):
        with pytest.raises(InputError, match="censor"):
            Censoring(**given)

    def test_an_evaluation_counts_the_shortfall(self, task, model):
        rows = task.rows_of("test")[0]
        pred = model.predict(rows)
        evaluation = evaluate(model, task, resamples=0)
        y = evaluation.predicted.y
        expected = np.where(y == LIMIT, np.maximum(LIMIT - pred, 0), np.abs(pred - y))
        assert evaluation.metrics()["all"]["mae"] == pytest.approx(expected.mean())
        assert sum("censored at 3" in note for note in evaluation.notes) == 1
        assert evaluation.trade_off is None
        assert evaluation.coverage is None


@pytest.mark.slow
@pytest.mark.parametrize("transform", [None, "sqrt"])
def test_the_bias_of_cut_off_labels_is_gone(transform, tmp_path):
    """By the true values, which no training saw."""
    frame, _ = houses(2000)
    frame["price"] = np.maximum(frame["price"], 0) if transform else frame["price"]
    task = prepare(frame, "price", split="random")
    new, true = houses(1000, seed=1)
    far = true > LIMIT
    recipe = Recipe(epochs=25, criterion="mae")
    plain, censored = (
        fit(task, Experiment("mixture", encoder="mlp", recipe=recipe, transform=transform, censored_above=limit))
        for limit in (None, LIMIT)
    )
    bias = [float((model.predict(new) - true)[far].mean()) for model in (plain, censored)]
    error = [float(np.abs(model.predict(new) - true).mean()) for model in (plain, censored)]
    assert bias[0] < -1
    assert abs(bias[1]) < 0.4
    assert error[1] < 0.6 * error[0]
    assert censored.predict(new).max() > LIMIT + 0.5 > plain.predict(new).max()
    censored.save(tmp_path)
    again = FittedModel.load(tmp_path)
    np.testing.assert_array_equal(again.predict(new), censored.predict(new))
    assert again.censoring == Censoring(above=LIMIT)
    near = new["x"] < LIMIT / 2  # where most labels are known; farther on the shape is a guess
    assert np.mean((true < again.predictive(new).quantile(0.9))[near]) == pytest.approx(0.9, abs=0.06)


class TestModel:
    def test_the_bound_is_lifted_on_the_censored_side_alone(self, model, task):
        rows, _ = task.rows_of("test")
        far = np.full(len(rows), 50.0)
        same, none = model._bounded(far, rows, quiet=True)
        assert (same.tolist(), none) == (far.tolist(), None)
        inside, bounded = model._bounded(-far, rows, quiet=True)
        assert inside.min() > -50
        assert bounded.n_rows == len(rows)

    def test_what_needs_the_true_values_is_refused(self, model, task):
        rows, _ = task.rows_of("test")
        assert model.predict(rows, quantile=0.5).shape == (len(rows),)
        with pytest.raises(InputError, match="`balance` needs the density of the true values"):
            model.predict(rows, balance=0.5)
        with pytest.raises(InputError, match="no intervals where labels are censored"):
            model.predict_interval(rows)
        with pytest.raises(InputError, match="no intervals where labels are censored"):
            model.predict_interval(rows, balance=0.0)

    def test_validation_errors_count_the_shortfall(self, task):
        y, beyond = np.array([1.0, LIMIT]), np.array([1.0, LIMIT + 5])
        known = replace(task, censoring=Censoring(above=LIMIT))
        assert known.errors(y, beyond)["mae"] == 0
        assert task.errors(y, beyond)["mae"] > 0

    def test_description(self):
        experiment = Experiment("mixture", censored_below=0.0, censored_above=5.0)
        assert Experiment.from_json(json.loads(json.dumps(experiment.to_json()))) == experiment
        assert experiment.name == "auto mixture censored below 0 censored above 5"

    @pytest.mark.parametrize(
        ("experiment", "reason"),
        [
            (Experiment("hurdle", censored_above=LIMIT), "'hurdle' has none; use the default, a stack, or the network"),
            (Experiment("vanilla", "lightgbm", censored_above=LIMIT), "'lightgbm' has none; use the default, a stack"),
            (Experiment("mixture+cmixup", censored_above=LIMIT), "cmixup of 'cmixup.mixture' takes labels"),
            (Experiment("mixture+smogn", censored_above=LIMIT), "SMOGN of 'mixture.smogn' takes labels"),
            (Experiment("mixture", censored_above=LIMIT, balance=0.5), "a `balance` needs the density"),
            (Experiment("mixture", censored_above=LIMIT, balance="auto"), "a `balance` needs the density"),
        ],
    )
    def test_methods(self, task, experiment, reason):
        with pytest.raises(InputError, match=reason):
            fit(task, experiment)

    def test_all_labels_at_a_limit(self):
        frame, _ = houses(100)
        frame["price"] = np.where(frame["x"] > 1.5, LIMIT, 0.0)
        with pytest.raises(InputError, match="training labels are at a limit"):
            fit(prepare(frame, "price"), Experiment("mixture", censored_below=0.0, censored_above=LIMIT))


class TestCommand:
    def test_from_table_to_predictions(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        houses(200)[0].to_csv("houses.csv", index=False)
        words = ["train", "houses.csv", "-t", "price", "--censored-above", "3", "--epochs", "1"]
        assert run([*words, "--encoder", "mlp", "--split", "random"]) == 0
        assert "labels are censored at 3: a prediction beyond the limit counts as no error" in capsys.readouterr().err
        (folder,) = (tmp_path / "runs").iterdir()
        assert folder.name == "price"
        config = json.loads((folder / "config.json").read_text())
        assert (config["method"]["name"], config["censored_above"]) == ("mixture", 3)  # the default of one network
        assert "censored at 3" in (folder / "report.html").read_text()
        assert run(["predict", str(folder), "houses.csv", "--quantile", "0.9", "-o", "out.csv"]) == 0
        assert run(["evaluate", str(folder), "houses.csv"]) == 0
        assert "censored at 3" in capsys.readouterr().err
        assert "no intervals" in refused(capsys, "predict", folder, "houses.csv", "--interval", 0.9, "-o", "two.csv")
        assert "--balance needs" in refused(capsys, "predict", folder, "houses.csv", "--balance", 1, "-o", "two.csv")
        assert not (tmp_path / "two.csv").exists()

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["--censored-above", "much"], "--censored-above takes a number, got 'much'"),
            (["--censored-above", "nan"], "--censored-above must be a finite number"),
            (["--censored-above", "99"], "no training label is at --censored-above 99"),
            (["--censored-below", "2"], "are below --censored-below 2"),
            (["--censored-above", "3", "--method", "sqinv"], "or the network with --method mixture"),
            (["--censored-above", "3", "--model", "lightgbm", "--method", "vanilla"], "--method mixture"),
            (["--censored-above", "3", "--balance", "0.5"], "a --balance needs the density"),
            (["--censored-above", "3", "--target", "x"], "--censored-above is for one target, and there are 2"),
            (["--set", "mixture.censored_above=3"], "censored_above"),
        ],
    )
    def test_bad_input(self, tmp_path, monkeypatch, capsys, words, reason):
        monkeypatch.chdir(tmp_path)
        houses(150)[0].assign(z=range(150)).to_csv("houses.csv", index=False)
        given = words if "--method" in words else [*words, "--method", "mixture"]
        assert reason in refused(capsys, "train", "houses.csv", "--target", "price", *given)
        assert [path.name for path in tmp_path.iterdir()] == ["houses.csv"]

    def test_all_labels_at_the_limit(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        toy_frame(100).assign(price=3.0).to_csv("toy.csv", index=False)
        words = ["train", "toy.csv", "-t", "price", "--method", "mixture", "--censored-above", "3"]
        refused(capsys, *words)
        assert [path.name for path in tmp_path.iterdir()] == ["toy.csv"]
