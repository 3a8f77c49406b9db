"""Censored targets of a stack and of estimators: labels cut off at a limit, beyond which the true values lie."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm
from sklearn.base import clone

from tailwise import Experiment, FittedModel, ImbalancedRegressor, InputError, Recipe, evaluate, fit, prepare
from tailwise.backends.stack.combiner import Combiner, CombinerRecipe, Members
from tailwise.backends.stack.experts import ABOVE, EXPERTS, WHETHER_ZERO
from tailwise.backends.stack.fitting import StackFitting, _reach, folds_of
from tailwise.backends.stack.hurdle_experts import has_many_zeros, seen_by
from tailwise.backends.stack.stack_settings import StackSettings
from tailwise.backends.stack.trained_fold import train_fold
from tailwise.cli.main import run
from tailwise.experiment.fit import start
from tailwise.experiment.leaderboard import Leaderboard
from tailwise.experiment.quality import default_for, experiment_for
from tailwise.labels.censoring import Censoring
from test_censored import LIMIT, houses
from test_cli import refused
from test_stack_zeros import payments

SMALL = {"experts": ("linear", "network", "mixture network"), "folds": 2, "jobs": 1}
QUICK = Recipe(epochs=2, device="cpu")


def small(**changes):
    given = {"params": SMALL, "recipe": QUICK, "censored_above": LIMIT} | changes
    return Experiment("vanilla", "stack", **given)


@pytest.fixture(scope="module")
def task():
    return prepare(houses()[0], "price", split="random")


@pytest.fixture(scope="module")
def model(task):
    return fit(task, small())


class TestCombiner:
    side = torch.tensor([0, 1, -1, 0, 1, -1.0], dtype=torch.float64)

    def members(self):
        recipe, generator = CombinerRecipe(components=3, width=4), torch.Generator().manual_seed(0)
        rows = torch.randn(6, 4, generator=generator)
        return Members(4, 2, 2, recipe, generator).double(), rows.double(), torch.linspace(-2, 2, 6).double()

    def test_plain_loops(self):
        members, z, y = self.members()
        log_weights, means, log_scales = (values.detach().numpy() for values in members(z))
        likelihood = members.log_likelihood(z, y, self.side).detach().numpy()
        for member in range(2):
            for i, (label, side) in enumerate(zip(y.tolist(), self.side.tolist(), strict=True)):
                of = [np.exp(log_weights[member, i]), means[member, i], np.exp(log_scales[member, i])]
                weights, centers, scales = of
                density, above = norm.pdf(label, centers, scales), norm.sf(label, centers, scales)
                term = {0: density, 1: above, -1: 1 - above}[side]
                assert likelihood[member, i] == pytest.approx(math.log(weights @ term), rel=1e-9)

    def test_rows_that_are_not_censored_count_as_without_limits(self):
        members, z, y = self.members()
        without = members.log_likelihood(z, y)
        assert torch.equal(members.log_likelihood(z, y, torch.zeros(6)), without)
        exact = self.side == 0
        assert torch.equal(members.log_likelihood(z, y, self.side)[:, exact], without[:, exact])

    def test_finite_differences(self):
        members, z, y = self.members()
        assert torch.autograd.gradcheck(lambda rows: members.log_likelihood(rows, y, self.side), (z.requires_grad_(),))

    def test_labels_far_from_their_limit(self):
        recipe = CombinerRecipe(components=1)
        members = Members(1, 1, 1, recipe, torch.Generator().manual_seed(0))
        z = torch.tensor([[-300.0], [300.0]], requires_grad=True)
        value = members.log_likelihood(z, torch.zeros(2), torch.ones(2))
        value.sum().backward()
        assert torch.isfinite(value).all()
        assert torch.isfinite(z.grad).all()
        assert value[0, 0] < -100
        assert value[0, 1] == 0

    @pytest.mark.parametrize("sign", [1, -1])
    def test_learns_which_expert_is_right_beyond_the_limit(self, sign):
        rng = np.random.default_rng(0)
        signal = rng.uniform(0, 6, 900)
        true = signal + 0.5 * rng.normal(size=900)
        limits = Censoring(above=3.0) if sign > 0 else Censoring(below=-3.0)
        y = sign * np.minimum(true, 3.0)
        columns = sign * np.column_stack([np.minimum(signal, 2.8), signal])
        given = {"n_experts": 2, "reach": (-7.0, 7.0), "recipe": CombinerRecipe(epochs=40)}
        far = signal > 4
        bias = {}
        for censoring in (None, limits):
            rows = Combiner.fit(columns, y, np.arange(900) % 2, censoring=censoring, **given).predictive(columns)
            bias[censoring] = float((sign * rows.median() - true)[far].mean())
        assert bias[None] < -1.5
        assert abs(bias[limits]) < 0.35

    def test_reach(self):
        y, columns = np.array([0.0, 4.0, 10.0]), np.array([[-20.0, 5.0], [3.0, 30.0]])
        assert _reach(y, columns, None) == (-1.0, 11.0)
        assert _reach(y, columns, Censoring(above=10.0)) == (-1.0, 30.0)
        assert _reach(y, columns, Censoring(below=0.0)) == (-20.0, 11.0)
        assert _reach(y, columns / 100, Censoring(0.0, 10.0)) == (-1.0, 11.0)


class TestExperts:
    @pytest.mark.parametrize(("name", "changes"), [("mixture network", True), ("linear", False)])
    def test_the_mixture_network_alone_has_the_likelihood(self, task, name, changes):
        fold = folds_of(task, StackSettings.from_params(SMALL), 0)
        known = replace(task, censoring=Censoring(above=LIMIT))
        one, two = (train_fold(of, fold, 0, EXPERTS[name], QUICK).columns for of in (task, known))
        assert (not np.array_equal(one, two)) is changes

    def test_a_stack_without_such_an_expert_is_refused(self, task):
        with pytest.raises(InputError, match=r"`censored_above` needs an expert .* add 'mixture network'"):
            start(task, small(params=SMALL | {"experts": ("linear", "network")}))

    def test_zeros_that_are_limits_have_no_hurdle(self):
        task = prepare(payments(500), "paid", split="random")
        fold = folds_of(task, StackSettings.from_params(SMALL), 0)
        most = float(task.y.max())
        assert has_many_zeros(replace(task, censoring=Censoring(above=most)), fold)
        assert not has_many_zeros(replace(task, censoring=Censoring(below=0.0)), fold)

    def test_whether_a_label_is_0_is_not_censored(self):
        task = replace(prepare(payments(500), "paid", split="random"), censoring=Censoring(above=1.0))
        fold = folds_of(task, StackSettings.from_params(SMALL), 0)
        assert seen_by(replace(EXPERTS["linear"], learns=WHETHER_ZERO), task, fold)[0].censoring is None
        assert seen_by(replace(EXPERTS["linear"], learns=ABOVE), task, fold)[0].censoring == Censoring(above=1.0)

    @pytest.mark.slow
    def test_reach_of_a_hurdle_is_that_of_labels_above_0(self):
        frame = payments(500)
        frame["paid"] = 1e-3 * np.minimum(frame["paid"], 30)  # a chance of 0 is far above every label
        task = replace(prepare(frame, "paid", split="random"), censoring=Censoring(above=0.03))
        fitting = StackFitting(task, QUICK, StackSettings.from_params(SMALL))
        for _ in fitting.epochs():
            pass
        assert fitting.hurdle
        assert fitting.predictor.combiner.above.high < 0.2


class TestModel:
    def test_errors_count_the_shortfall(self, task, model):
        y, pred = np.array([1.0, LIMIT, LIMIT]), np.array([0.5, LIMIT + 5, LIMIT - 2])  # errors of 0.5, 0 and 2
        board = Leaderboard.of(y, pred, {"linear": pred + 1}, task.shots, None, None, Censoring(above=LIMIT))
        evenly = {one.name: one.evenly for one in board.standings}
        assert evenly == pytest.approx({"stack": (0.5 + 1) / 2, "linear": (0.5 + 0.5) / 2, "constant": (2 + 0) / 2})
        evaluation = evaluate(model, task, resamples=0)
        predicted = evaluation.predicted
        expected = np.where(predicted.y == LIMIT, np.maximum(LIMIT - predicted.pred, 0), predicted.pred - predicted.y)
        assert evaluation.metrics()["all"]["mae"] == pytest.approx(np.abs(expected).mean())
        assert (evaluation.trade_off, evaluation.coverage, evaluation.balance) == (None, None, 0.0)
        assert sum("censored at 3" in note for note in evaluation.notes) == 1

    def test_no_balance_is_chosen(self, model):
        assert model.leaderboard.choice is None
        assert [one.name for one in model.leaderboard.standings][:2] == ["stack", "linear"]
        with pytest.raises(InputError, match="`balance` needs the density of the true values"):
            model.predict(houses(5)[0], balance=1.0)
        with pytest.raises(InputError, match="no intervals where labels are censored"):
            model.predict_interval(houses(5)[0])

    def test_is_saved_and_loaded(self, model, task, tmp_path):
        model.save(tmp_path)
        again, rows = FittedModel.load(tmp_path), task.rows_of("test")[0]
        assert again.censoring == Censoring(above=LIMIT)
        np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
        np.testing.assert_array_equal(again.predict(rows, quantile=0.9), model.predict(rows, quantile=0.9))

    def test_a_transform_transforms_the_limit(self, task):
        positive = replace(task, y=np.maximum(task.y, 0.1))
        running = start(positive, small(transform="log"))
        assert running.fitting.inner.task.censoring.above == pytest.approx(math.log(LIMIT))
        assert running.task.censoring.above == LIMIT

    @pytest.mark.parametrize(
        ("experiment", "reason"),
        [
            (small(balance=0.5), "a `balance` needs the density"),
            (small(balance="auto"), "a `balance` needs the density"),
            (small(within=0.1), "`within` is for the choice of a balance"),
            (Experiment("auto", censored_above=LIMIT, balance=0.5), "a `balance` needs the density"),
            (small(censored_above=99.0), "no training label is at `censored_above=99`"),
        ],
    )
    def test_mistakes(self, task, experiment, reason):
        with pytest.raises(InputError, match=reason):
            start(task, experiment)

    def test_the_default(self, task):
        running = start(task, Experiment("auto", censored_above=LIMIT, recipe=QUICK))
        assert running.experiment == replace(experiment_for("good", QUICK, balance=0.0), censored_above=LIMIT)
        few = replace(task, part=np.where(np.arange(len(task.y)) < 25, "train", "test"))
        assert default_for(few).method == "sqinv+lds"
        assert start(few, Experiment("auto", censored_above=LIMIT)).experiment.method == "mixture"


@pytest.mark.slow
class TestTruth:
    """By the true values, which no training saw."""

    def test_the_bias_is_gone(self):
        frame, _ = houses(900)
        task, (new, true) = prepare(frame, "price", split="random"), houses(1000, seed=1)
        far = true > LIMIT
        recipe = Recipe(epochs=25, device="cpu")
        error, bias = [], []
        for limit in (None, LIMIT):
            pred = fit(task, small(recipe=recipe, censored_above=limit)).predict(new)
            error.append(float(np.abs(pred - true).mean()))
            bias.append(float((pred - true)[far].mean()))
        assert bias[0] < -1
        assert abs(bias[1]) < 0.5
        assert error[1] < 0.6 * error[0]

    def test_a_hurdle_with_labels_cut_off_above(self):
        frame, new = payments(800), payments(1000, seed=1)
        limit = float(frame["paid"][frame["paid"] > 0].quantile(0.75))
        task = prepare(frame.assign(paid=frame["paid"].clip(upper=limit)), "paid", split="random")
        recipe, true = Recipe(epochs=12, device="cpu"), new.pop("paid").to_numpy()
        means, scores = [], []
        for known in (None, limit):
            model = fit(task, small(recipe=recipe, censored_above=known))
            distributions = model.predictive(new)
            assert distributions.cdf(0.0).mean() == pytest.approx((true == 0).mean(), abs=0.05)
            means.append(float(distributions.mean().mean()))
            scores.append(float(distributions.crps(true).mean()))
        assert means[0] < means[1] < 1.1 * true.mean()
        assert scores[1] < scores[0]


class TestEstimator:
    frame, _ = houses(120)
    X, y = frame[["x"]], frame["price"]

    def estimator(self, **given):
        return ImbalancedRegressor(epochs=1, jobs=1, random_state=0, device="cpu", **given)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({}, ("vanilla", "stack", 0.0)),
            ({"quality": "good"}, ("vanilla", "stack", 0.0)),
            ({"quality": "fast"}, ("mixture", "network", 0.0)),
            ({"method": "sqinv+mixture"}, ("sqinv+mixture", "network", 0.0)),
            ({"encoder": "mlp"}, ("mixture", "network", 0.0)),
        ],
    )
    def test_what_is_trained(self, monkeypatch, given, expected):
        trained = []

        def fit_instead(task, experiment, **_):
            trained.append(start(task, experiment).experiment)
            raise KeyboardInterrupt

        monkeypatch.setattr("tailwise.estimators.imbalanced.fit", fit_instead)
        with pytest.raises(KeyboardInterrupt):
            self.estimator(censored_above=np.float32(LIMIT), **given).fit(self.X, self.y)
        (one,) = trained
        assert (one.method, one.model, one.balance) == expected
        assert (one.censored_below, one.censored_above) == (None, LIMIT)

    def test_predicts_and_is_saved(self, tmp_path):
        model = self.estimator(quality="fast", censored_above=LIMIT).fit(self.X, self.y)
        assert model.model_.censoring == Censoring(above=LIMIT)
        assert model.predict_quantiles(self.X, [0.5, 0.9]).shape == (120, 2)
        with pytest.raises(InputError, match="no intervals where labels are censored"):
            model.predict_interval(self.X)
        model.save(tmp_path / "model")
        again = ImbalancedRegressor.load(tmp_path / "model")
        assert again.censored_above == LIMIT
        np.testing.assert_array_equal(again.predict(self.X), model.predict(self.X))

    def test_is_cloned(self):
        model = clone(self.estimator(censored_below=-1.0, censored_above=LIMIT))
        assert (model.get_params()["censored_below"], model.get_params()["censored_above"]) == (-1.0, LIMIT)

    def test_small_tables_have_the_network(self):
        model = self.estimator(censored_above=LIMIT).fit(self.X[:25], self.y[:25])
        assert model.model_.censoring == Censoring(above=LIMIT)

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"censored_above": "3"}, "`censored_above` must be a finite number"),
            ({"censored_above": math.nan}, "`censored_above` must be a finite number"),
            ({"censored_above": 50.0}, "no training label is at `censored_above=50`"),
            ({"censored_above": 2.0}, "are above `censored_above=2`"),
            ({"censored_above": LIMIT, "balance": "auto"}, "a `balance` needs the density"),
            ({"censored_above": LIMIT, "balance": 0.5, "quality": "fast"}, "a `balance` needs the density"),
            ({"censored_above": LIMIT, "within": 0.1}, "`within` is for the choice of a balance"),
            ({"censored_above": LIMIT, "method": "sqinv+lds"}, "'sqinv.lds' has none; use the default, a stack, or"),
        ],
    )
    def test_mistakes(self, given, reason):
        with pytest.raises(InputError, match=reason):
            self.estimator(**given).fit(self.X, self.y)


class TestCommand:
    @pytest.mark.slow
    def test_from_table_to_predictions(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        houses(200)[0].to_csv("houses.csv", index=False)
        words = ["train", "houses.csv", "-t", "price", "--censored-above", "3", "--epochs", "1", "--jobs", "1"]
        assert run([*words, "--split", "random"]) == 0
        printed = capsys.readouterr()
        assert "labels are censored at 3: a prediction beyond the limit counts as no error" in printed.err
        assert "stack at balance 0" in printed.out
        folder = tmp_path / "runs" / "price"
        config = json.loads((folder / "config.json").read_text())
        assert (config["model"]["name"], config["censored_above"]) == ("stack", 3)
        assert json.loads((folder / "leaderboard.json").read_text())["choice"] is None
        assert "censored at 3" in (folder / "report.html").read_text()
        assert run(["predict", str(folder), "houses.csv", "--quantile", "0.9", "--above", "4", "-o", "out.csv"]) == 0
        assert "--balance needs" in refused(capsys, "predict", folder, "houses.csv", "--balance", 1, "-o", "two.csv")
        assert pd.read_csv("out.csv")["above_4"].between(0, 1).all()

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["--within", "0.1"], "--within is for the choice of a balance"),
            (["--balance", "0.5"], "a --balance needs the density"),
            (["--model", "forest", "--method", "vanilla"], "'forest' has none; use the default, a stack, or"),
            (
                ["--method", "hurdle"],
                "'hurdle' has none; use the default, a stack, or the network with --method mixture",
            ),
            (
                ["--model", "stack", "--set", 'model.experts=["linear","network"]'],
                "add 'mixture network' to the experts",
            ),
        ],
    )
    def test_bad_input(self, tmp_path, monkeypatch, capsys, words, reason):
        monkeypatch.chdir(tmp_path)
        houses(150)[0].to_csv("houses.csv", index=False)
        assert reason in refused(capsys, "train", "houses.csv", "-t", "price", "--censored-above", "3", *words)
        assert [path.name for path in tmp_path.iterdir()] == ["houses.csv"]
