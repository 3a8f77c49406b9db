"""Targets with many zeros: the chance of 0, the distribution above it, and errors of both kinds of rows."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from tailwise import Experiment, InputError, Recipe, evaluate, fit, prepare
from tailwise.cli.main import run
from tailwise.experiment.evaluate import predict_part
from tailwise.experiment.references import beaten_by_constant
from tailwise.heads.attach import head_from
from tailwise.methods.hurdle import HurdleLikelihood, hurdle_nll
from tailwise.metrics.region_errors import zero_rows


def payments(n=2500):
    """80 % of the rows pay nothing; whether one pays depends on x, how much on z."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, n))
    pays = rng.random(n) < expit(-2.1 + 1.5 * x)
    return pd.DataFrame({"x": x, "z": z, "paid": np.where(pays, np.exp(3 + 0.7 * z + 0.4 * rng.normal(size=n)), 0.0)})


POINT = Experiment("vanilla", "lightgbm", params={"n_estimators": 100})


@pytest.fixture(scope="module")
def task():
    return prepare(payments(), "paid", split="random")


@pytest.mark.slow
@pytest.mark.parametrize("transform", [None, "log1p"])
def test_the_chance_of_more_than_0_is_calibrated(task, transform, tmp_path):
    experiment = Experiment("hurdle", encoder="mlp", recipe=Recipe(epochs=25, criterion="mae"), transform=transform)
    model = fit(task, experiment)
    rows, y = task.rows_of("test")
    known = model.predictive(rows)
    chance, pays = known.above(0), y > 0
    assert known.below(0).max() == 0  # no mass at negative payments
    assert chance.mean() == pytest.approx(pays.mean(), abs=0.05)
    for part in np.array_split(np.argsort(chance), 3):  # rows that are unlikely to pay, in between, and likely to
        assert chance[part].mean() == pytest.approx(pays[part].mean(), abs=0.1)
    assert np.corrcoef(chance, expit(-2.1 + 1.5 * rows.frame()["x"]))[0, 1] > 0.9
    model.save(tmp_path)
    np.testing.assert_array_equal(
        type(model).load(tmp_path).predict(rows, balance=0.5), model.predict(rows, balance=0.5)
    )


def test_an_error_above_that_of_a_constant_is_said():
    table = payments(600)
    task = prepare(table, "paid", split="random")
    predicted = predict_part(fit(task, Experiment("vanilla", "linear")), task, "test")
    above = replace(predicted, pred=np.full(len(predicted.y), 30.0))
    sentence = beaten_by_constant(task, above)
    assert "always predicting 0 (the median of the training labels)" in sentence
    assert "compare means (RMSE) or the CRPS" in sentence
    assert beaten_by_constant(task, replace(predicted, pred=predicted.y)) == ""
    shifted = prepare(table.assign(paid=table["paid"] + 1), "paid", split="random")
    sentence = beaten_by_constant(shifted, replace(above, y=predicted.y + 1))
    assert sentence.endswith(".")
    assert "predicting 1 (" in sentence
    assert "CRPS" not in sentence


def test_a_model_of_numbers_has_the_right_fraction_of_zeros(task):
    """It cannot tell a small chance of much from a large chance of little; over all rows the chances add up."""
    rows, y = task.rows_of("test")
    known = fit(task, POINT).predictive(rows)
    assert known.below(0).max() == 0
    assert known.above(0).mean() == pytest.approx((y > 0).mean(), abs=0.06)


class TestHead:
    def outputs(self, n_components=2):
        torch.manual_seed(0)
        head = head_from(4, {"kind": "hurdle", "n_components": n_components}).double().match_scale([0.0, 2.0, 6.0, 9.0])
        return head, head.outputs(torch.randn(5, 4, dtype=torch.float64))

    def test_moments_are_those_of_the_distribution(self):
        head, outputs = self.outputs()
        known = head.predictive(outputs)
        np.testing.assert_allclose(head.point(outputs).detach(), known.mean(), rtol=1e-6)
        np.testing.assert_allclose(head.std(outputs).detach(), known.std(), rtol=1e-5)
        np.testing.assert_allclose(known.cdf(0.0), outputs[:, 0, 0].exp().detach(), rtol=1e-9)

    def test_the_likelihood_is_that_of_the_distribution(self):
        head, outputs = self.outputs()
        y = np.array([0.0, 0.5, 4.0, 0.0, 12.0])
        nll = hurdle_nll(outputs, torch.from_numpy(y)).detach()
        np.testing.assert_allclose(nll, head.predictive(outputs).log_score(y), rtol=1e-8)

    def test_gradient_and_weights(self):
        _, outputs = self.outputs()
        given, y = outputs.detach().requires_grad_(), torch.tensor([0.0, 0.5, 4.0, 0.0, 12.0], dtype=torch.float64)
        loss = HurdleLikelihood(3.0)
        assert torch.autograd.gradcheck(lambda values: loss(values, y), given)
        weight = torch.arange(1.0, 6.0, dtype=torch.float64)
        assert torch.allclose(loss(given, y, 2 * weight), 2 * loss(given, y, weight))
        with pytest.raises(InputError, match="hurdle head"):
            loss(given, y[:2])

    def test_labels(self):
        with pytest.raises(InputError, match="two different ones above 0"):
            head_from(4, {"kind": "hurdle"}).match_scale([0.0, 0.0, 3.0])


def test_errors_of_zeros_are_apart(task, tmp_path):
    evaluation = evaluate(fit(task, POINT), task, resamples=0)
    metrics = evaluation.metrics()
    zero, other = metrics["exactly 0"], metrics["other than 0"]
    assert zero["n"] + other["n"] == metrics["all"]["n"]
    assert zero["mae"] < other["mae"]
    assert zero["bias"] > 0 > other["bias"]


def test_the_command_shows_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    payments(300).to_csv("paid.csv", index=False)
    assert run(["train", "paid.csv", "-t", "paid", "--model", "linear", "--method", "vanilla", "-o", "run"]) == 0
    assert "Exactly 0" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["exactly 0"]["n"] > 0
    assert "exactly 0" in (tmp_path / "run" / "report.html").read_text().lower()


def test_few_zeros_have_no_rows_of_their_own():
    assert zero_rows([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) == {}
    assert zero_rows([0.0, 0.0]) == {}
    assert zero_rows(np.zeros((5, 2))) == {}
    assert zero_rows([0.0, 1.0])["exactly 0"].tolist() == [True, False]
