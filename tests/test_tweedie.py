"""Poisson and Tweedie deviance, for networks and for boosting."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import mean_tweedie_deviance

from tailwise import Experiment, InputError, Recipe, compose, fit, prepare
from tailwise.heads.attach import head_from
from tailwise.losses.tweedie import Poisson, Tweedie, tweedie_deviance
from test_cli import refused
from trainings import start_training


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


def two_groups(rows_of_group=60):
    """Counts of two groups; the validation rows hold the means of their group's training rows."""
    rng = np.random.default_rng(0)
    counts = {group: rng.poisson(mean, rows_of_group).astype(float) for group, mean in ((0.0, 1.0), (1.0, 6.0))}
    table = [(group, y, "train") for group, values in counts.items() for y in values]
    table += [(group, counts[group].mean(), part) for group in counts for part in ("val", "test")]
    return pd.DataFrame(table, columns=["group", "paid", "split"]), counts


class TestCatBoost:
    @pytest.mark.parametrize("factor", [1.0, 1e4])
    @pytest.mark.parametrize(
        ("name", "power", "theirs"),
        [("poisson", None, "Poisson"), ("tweedie", 1.0, "Poisson"), ("tweedie", 1.3, "Tweedie:variance_power=1.3")],
    )
    def test_against_the_library(self, name, power, theirs, factor):
        """Its own predictions of labels divided by their mean, times the mean."""
        import catboost

        frame = amounts(300)
        frame["paid"] *= factor
        task = prepare(frame, "paid", split="random")
        method = compose(name, **({} if power is None else {"tweedie": {"power": power}}))
        setup = start_training(task, method, Recipe(), model="catboost", params={"iterations": 40})
        epochs = list(setup.epochs())
        x, y = setup.rows.x, setup.rows.y
        reference = catboost.CatBoostRegressor(
            loss_function=theirs,
            iterations=1 + max(epoch.epoch for epoch in epochs if epoch.best),
            learning_rate=0.05,
            random_seed=0,
            allow_writing_files=False,
            verbose=False,
        ).fit(x, y / y.mean())
        np.testing.assert_allclose(setup.predictor.predict(x), y.mean() * reference.predict(x), rtol=1e-9)
        kept = setup.rows.errors(setup.predictor.predict(setup.rows.x_val))
        assert kept["mae"] == pytest.approx(min(epoch.validation["mae"] for epoch in epochs), rel=1e-9)

    @pytest.mark.parametrize("name", ["poisson", "tweedie"])
    def test_the_smallest_deviance_is_at_the_means(self, name):
        """A tree with one leaf a group converges to the mean of each group, whatever the variance function."""
        frame, counts = two_groups()
        task = prepare(frame, "paid", split="column")
        params = {"depth": 1, "l2_leaf_reg": 0, "learning_rate": 0.3, "iterations": 200}
        pred = fit(task, Experiment(name, "catboost", params=params)).predict(frame)
        for group, values in counts.items():
            np.testing.assert_allclose(pred[frame["group"] == group], values.mean(), rtol=0.01)


class TestModels:
    @pytest.mark.parametrize(("model", "rounds"), [("lightgbm", "n_estimators"), ("catboost", "iterations")])
    @pytest.mark.parametrize("name", ["poisson", "tweedie"])
    def test_boosting(self, name, model, rounds, tmp_path):
        frame = amounts()
        task = prepare(frame, "paid", split="random")
        model = fit(task, Experiment(name, model, params={rounds: 80}))
        pred = model.predict(frame)
        assert pred.min() > 0
        assert pred.mean() == pytest.approx(frame["paid"].mean(), rel=0.15)
        assert np.corrcoef(pred, np.exp(frame["x"]))[0, 1] > 0.8
        model.save(tmp_path)
        np.testing.assert_array_equal(type(model).load(tmp_path).predict(frame), pred)

    def test_a_network(self, tmp_path):
        frame = amounts(300)
        task = prepare(frame, "paid", split="random")
        model = fit(task, Experiment("tweedie", encoder="mlp", recipe=Recipe(epochs=6, lr=1e-2)))
        pred = model.predict(frame)
        assert pred.min() > 0
        assert np.corrcoef(pred, np.exp(frame["x"]))[0, 1] > 0.6
        model.save(tmp_path)
        np.testing.assert_array_equal(type(model).load(tmp_path).predict(frame), pred)

    @pytest.mark.parametrize(
        "words",
        [
            ["--method", "tweedie"],
            ["--method", "poisson", "--model", "lightgbm"],
            ["--method", "tweedie", "--model", "catboost", "--set", "tweedie.power=1.2"],
        ],
    )
    def test_negative_labels(self, tmp_path, monkeypatch, capsys, words):
        monkeypatch.chdir(tmp_path)
        frame = amounts(100)
        frame.assign(paid=frame["paid"] - 5).to_csv("a.csv", index=False)
        assert "needs labels of at least 0, the lowest is -5" in refused(capsys, "train", "a.csv", "-t", "paid", *words)
        assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
