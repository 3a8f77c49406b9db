"""Poisson and Tweedie deviance, for networks and for boosting."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import mean_tweedie_deviance

from tailwise import Experiment, InputError, Recipe, fit, prepare
from tailwise.heads.attach import head_from
from tailwise.losses.tweedie import Poisson, Tweedie, tweedie_deviance
from test_cli import refused


def amounts(n=600):
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    paid = rng.poisson(np.exp(0.5 + x))
    return pd.DataFrame({"x": x, "other": rng.normal(size=n), "paid": [rng.gamma(2.0, 3.0, k).sum() for k in paid]})


class TestLoss:
    @pytest.mark.parametrize("power", [1.0, 1.3, 1.5, 1.9])
    def test_the_deviance(self, power):
        """scikit-learn's mean deviance is an independent reference."""
        y, m = np.array([0.0, 0.4, 3.0, 70.0]), np.array([0.2, 0.4, 5.0, 2.0])
        rows = tweedie_deviance(torch.from_numpy(np.log(m)), torch.from_numpy(y), power)
        assert float(rows.mean()) == pytest.approx(mean_tweedie_deviance(y, m, power=power))
        assert float(rows[1]) == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize("loss", [Poisson(2.0), Tweedie(2.0, power=1.6)])
    def test_gradient_and_weights(self, loss):
        eta = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
        y = torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64)
        assert torch.autograd.gradcheck(lambda outputs: loss(outputs, y), eta)
        weight = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
        assert torch.allclose(loss(eta, y, torch.ones_like(y)), loss(eta, y))
        assert torch.allclose(loss(eta, y, 2 * weight), 2 * loss(eta, y, weight))
        with pytest.raises(InputError):
            loss(eta, y[:2])

    @pytest.mark.parametrize("power", [0.5, 2.0, np.nan])
    def test_powers(self, power):
        with pytest.raises(InputError, match="power"):
            Tweedie(1.0, power=power)

    def test_the_head(self):
        head = head_from(4, {"kind": "log-link"}).match_scale([0.0, 3.0, 6.0])
        assert head(torch.zeros(2, 4)).min() > 0
        assert head.shape == {"kind": "log-link"}
        with pytest.raises(InputError, match="labels"):
            head.match_scale([-1.0, 2.0])


class TestModels:
    @pytest.mark.parametrize("name", ["poisson", "tweedie"])
    def test_boosting(self, name):
        frame = amounts()
        task = prepare(frame, "paid", split="random")
        model = fit(task, Experiment(name, "lightgbm", params={"n_estimators": 80}))
        pred = model.predict(frame)
        assert pred.min() > 0
        assert pred.mean() == pytest.approx(frame["paid"].mean(), rel=0.15)
        assert np.corrcoef(pred, np.exp(frame["x"]))[0, 1] > 0.8

    def test_a_network(self, tmp_path):
        frame = amounts(300)
        task = prepare(frame, "paid", split="random")
        model = fit(task, Experiment("tweedie", encoder="mlp", recipe=Recipe(epochs=6, lr=1e-2)))
        pred = model.predict(frame)
        assert pred.min() > 0
        assert np.corrcoef(pred, np.exp(frame["x"]))[0, 1] > 0.6
        model.save(tmp_path)
        np.testing.assert_array_equal(type(model).load(tmp_path).predict(frame), pred)

    @pytest.mark.parametrize("words", [["--method", "tweedie"], ["--method", "poisson", "--model", "lightgbm"]])
    def test_negative_labels(self, tmp_path, monkeypatch, capsys, words):
        monkeypatch.chdir(tmp_path)
        frame = amounts(100)
        frame.assign(paid=frame["paid"] - 5).to_csv("a.csv", index=False)
        assert "needs labels of at least 0, the lowest is -5" in refused(capsys, "train", "a.csv", "-t", "paid", *words)
        assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
