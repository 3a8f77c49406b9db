"""Targets that a model is trained on transformed: the transforms, their distributions, and models in original units."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import lognorm, norm

import tailwise
from conftest import toy_frame
from tailwise import Experiment, FittedModel, ImbalancedRegressor, InputError, Recipe, evaluate, fit, prepare
from tailwise.cli.main import run
from tailwise.data.original_units import OriginalUnits, transformed_shots
from tailwise.distributions import Dial, Mixture, StepFunction, Transformed, concatenate, predictive_from_arrays
from tailwise.distributions.atoms import atoms_from_json, atoms_of
from tailwise.experiment.transform_choice import choose_transform
from tailwise.labels.transforms import Transform
from test_cli import refused

POWERS = [Transform("yeo-johnson", power) for power in (0, 0.3, 1, 1.6, 2)]
EVERY = (
    Transform("log"),
    Transform("log1p"),
    Transform("sqrt"),
    *(Transform("yeo-johnson", p) for p in (0, 0.3, 1, 1.6, 2)),
)
MEANS, SCALES = np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.0, 1.5])
LOG_NORMAL = Transformed(Mixture(np.ones((3, 1)), MEANS[:, None], SCALES[:, None]), Transform("log"))


def log_normal_table(n=2000, spread=0.8):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.exp(1 + 0.8 * x[:, 0] + spread * rng.normal(size=n))})


def named(transform):
    return f"{transform.name}-{transform.power:g}"


class TestTransforms:
    @pytest.mark.parametrize("transform", EVERY, ids=named)
    def test_the_way_back_and_the_slope(self, transform):
        y = np.array([0.001, 0.5, 1.0, 30.0, 5000.0])
        y = np.concatenate([-y[::-1], [0.0], y]) if transform.name == "yeo-johnson" else y
        z = transform.forward(y)
        assert (np.diff(z) > 0).all()
        assert transform.inverse(z) == pytest.approx(y, rel=1e-9, abs=1e-12)
        step = 1e-6 * np.maximum(np.abs(y), 1e-3)
        slope = (transform.forward(y + step) - transform.forward(y - step)) / (2 * step)
        assert np.exp(transform.log_slope(y)) == pytest.approx(slope, rel=1e-5)
        assert Transform.from_json(json.loads(json.dumps(transform.to_json()))) == transform
        assert transform.affine(3.0, 2.0).inverse(z) == pytest.approx(3 + 2 * y, rel=1e-9, abs=1e-9)

    def test_the_power_makes_log_normal_labels_normal(self):
        y = np.expm1(np.random.default_rng(0).normal(3.0, 1.0, 2000))
        assert Transform.of_labels("yeo-johnson", y).power == pytest.approx(0.0, abs=0.05)
        assert Transform.of_labels("yeo-johnson", np.log1p(y)).power == pytest.approx(1.0, abs=0.2)

    @pytest.mark.parametrize(("name", "labels"), [("log", [0.0, 1.0]), ("log1p", [-0.5, 1.0]), ("sqrt", [-1.0, 2.0])])
    def test_labels_without_a_transform(self, name, labels):
        with pytest.raises(InputError, match=rf"`transform={name}` needs labels .* the lowest .*; use `transform="):
            Transform(name).check(labels)

    def test_bins_keep_their_labels(self):
        y = np.concatenate([[0.0] * 20, np.random.default_rng(0).exponential(10.0, 500)])
        shots = tailwise.Shots.from_labels(y, tailwise.Bins.from_edges([-5.0, -1.0, 0.5, 5.0, 20.0, 200.0]))
        for name in ("log1p", "sqrt", "yeo-johnson"):
            transform = Transform.of_labels(name, y)
            of_bins = transformed_shots(shots, transform, y)
            np.testing.assert_array_equal(of_bins.names(transform.forward(y)), shots.names(y))
        positive = y[y > 0]
        shots = tailwise.Shots.from_labels(positive, tailwise.Bins.from_edges([0.0, 1.0, 5.0, 20.0, 200.0]))
        of_bins = transformed_shots(shots, Transform("log"), positive)
        np.testing.assert_array_equal(of_bins.names(np.log(positive)), shots.names(positive))


class TestDistributions:
    def test_closed_forms_of_the_log_normal(self):
        mean = np.exp(MEANS + SCALES**2 / 2)
        assert LOG_NORMAL.mean() == pytest.approx(mean, rel=1e-6)
        assert LOG_NORMAL.std() == pytest.approx(mean * np.sqrt(np.expm1(SCALES**2)), rel=1e-4)
        y = np.array([0.7, 2.0, 9.0])
        w = (np.log(y) - MEANS) / SCALES
        rest = norm.cdf(w - SCALES) + norm.cdf(SCALES / np.sqrt(2)) - 1
        assert LOG_NORMAL.crps(y) == pytest.approx(y * (2 * norm.cdf(w) - 1) - 2 * mean * rest, rel=1e-6)
        exact = lognorm(SCALES, scale=np.exp(MEANS))
        assert LOG_NORMAL.log_score(y) == pytest.approx(-exact.logpdf(y), rel=1e-12)
        assert LOG_NORMAL.above(y) == pytest.approx(exact.sf(y), rel=1e-9)
        assert LOG_NORMAL.quantile(0.9) == pytest.approx(exact.ppf(0.9), rel=1e-9)
        assert LOG_NORMAL.cdf(0.0).tolist() == [0.0] * 3
        assert LOG_NORMAL.above(-1.0).tolist() == [1.0] * 3
        assert np.isinf(LOG_NORMAL.log_score(np.full(3, -1.0))).all()

    @pytest.mark.parametrize("transform", EVERY, ids=named)
    def test_draws(self, transform):
        z = np.random.default_rng(0).normal(0.5, 0.8, (2, 400_000))
        y = transform.inverse(z)
        rows = Transformed(Mixture([[1.0]], [[0.5]], [[0.8]]), transform)
        assert rows.mean() == pytest.approx([y.mean()], rel=0.01, abs=0.005)
        assert rows.std() == pytest.approx([y.std()], rel=0.01)
        crps = np.abs(y - 0.7).mean() - np.abs(y[0] - y[1]).mean() / 2
        assert rows.crps([0.7]) == pytest.approx([crps], rel=0.02)
        for t in (-0.4, 0.0, 0.3, 2.0):
            assert rows.cdf(t) == pytest.approx([(y <= t).mean()], abs=0.003)
            assert rows.below(t) == pytest.approx([(y < t).mean()], abs=0.003)

    def test_a_tilt_maps_the_edges(self):
        weights = StepFunction([-5.0, 1.0, 4.0, 50.0], [1.0, 3.0, 7.0])
        tilted, grid = LOG_NORMAL.tilt(weights), np.linspace(1e-5, 50, 400_001)
        for i in range(3):
            density = lognorm.pdf(grid, SCALES[i], scale=np.exp(MEANS[i])) * weights(grid)
            density /= density.sum()
            assert tilted.mean()[i] == pytest.approx(density @ grid, rel=1e-3)
            assert tilted.median()[i] == pytest.approx(grid[np.searchsorted(density.cumsum(), 0.5)], rel=1e-3)
            assert tilted.above(4.0)[i] == pytest.approx(density[grid > 4].sum(), rel=1e-3)

    def test_the_dial_moves_up(self):
        dial = Dial.from_labels(np.exp(np.random.default_rng(0).normal(1, 1, 3000)))
        decided = [dial.decide(LOG_NORMAL, balance=a, loss="squared") for a in (0, 0.5, 1)]
        assert (np.diff(decided, axis=0) > 0).all()

    def test_rows_and_arrays(self):
        again = predictive_from_arrays("transformed", concatenate([LOG_NORMAL, LOG_NORMAL]).to_arrays())
        assert again.select([4]).mean().tolist() == LOG_NORMAL.mean()[1:2].tolist()
        assert (3 + 2 * LOG_NORMAL.mean()).tolist() == pytest.approx(LOG_NORMAL.affine(3, 2).mean().tolist())
        with pytest.raises(InputError, match="one class"):
            concatenate([LOG_NORMAL, LOG_NORMAL.base])

    def test_a_value_that_many_rows_share(self):
        rng = np.random.default_rng(0)
        y = np.where(rng.random(2000) < 0.8, 0.0, np.exp(rng.normal(2, 1, 2000)))
        transform = Transform("log1p")
        atoms = atoms_of(y, transform)
        rows = Transformed(Mixture([[0.7, 0.3]], [[0.0, 2.0]], [[0.01, 1.0]]), transform)
        inflated = atoms.of(rows)
        assert inflated.below(0.0).tolist() == [0.0]
        assert inflated.cdf(0.0) == pytest.approx([0.7], abs=0.03)
        again = atoms_from_json(json.loads(json.dumps(atoms.to_json())))
        assert again.of(rows).mean().tolist() == inflated.mean().tolist()


@pytest.fixture(scope="module")
def task():
    return prepare(log_normal_table(), "y", split="random")


class TestModels:
    def test_smearing_is_unbiased_and_the_naive_way_is_not(self, task):
        model = fit(task, Experiment("vanilla", "linear", transform="log"))
        rows, y = task.rows_of("test")
        assert model.predict(rows).mean() == pytest.approx(y.mean(), rel=0.12)
        naive = model.transform.inverse(model.model.inner.predict(model.inputs.of_frame(model.schema, rows.frame())))
        assert naive.mean() < 0.85 * y.mean()

    def test_absolute_errors_predict_the_median(self, task):
        model = fit(task, Experiment("l1", "lightgbm", transform="log", params={"n_estimators": 60}))
        rows, y = task.rows_of("test")
        assert np.mean(y < model.predict(rows)) == pytest.approx(0.5, abs=0.1)
        assert model.back.point == "median"

    def test_distributions_of_a_point_model_stay_above_0(self, task):
        model = fit(task, Experiment("vanilla", "linear", transform="log"))
        rows, y = task.rows_of("test")
        low, _ = model.predictive(rows, balance=0.5).interval(0.9)
        assert low.min() > 0
        known = model.predictive(rows)
        assert np.mean(y > known.quantile(0.9)) == pytest.approx(0.1, abs=0.06)
        assert known.mean().mean() == pytest.approx(y.mean(), rel=0.12)
        assert model.predict_interval(rows).min() >= 0

    @pytest.mark.slow
    def test_the_mean_of_a_mixture_network_is_unbiased(self, task):
        experiment = Experiment("mixture", recipe=Recipe(epochs=15, criterion="mae"), transform="log")
        model = fit(task, experiment)
        rows, y = task.rows_of("test")
        assert model.predict(rows).mean() == pytest.approx(y.mean(), rel=0.15)
        np.testing.assert_array_equal(model.predict(rows), np.clip(model.predictive(rows).mean(), 0, None))

    @pytest.mark.slow
    def test_a_stack(self, tmp_path):
        frame = log_normal_table(200)
        task = prepare(frame, "y", split="random")
        params = {"folds": 2, "jobs": 1}
        experiment = Experiment("vanilla", "stack", params=params, recipe=Recipe(epochs=2), balance="auto")
        model = fit(task, replace(experiment, transform="sqrt"))
        evaluation = evaluate(model, task)
        assert evaluation.leaderboard is not None
        assert evaluation.trade_off is not None
        model.save(tmp_path)
        again = FittedModel.load(tmp_path)
        for wanted in ({}, {"balance": 0.7}, {"loss": "squared"}):
            np.testing.assert_allclose(again.predict(frame, **wanted), model.predict(frame, **wanted), rtol=1e-9)
        assert model.predictive(frame).below(0).max() == 0

    def test_weights_smear_about_their_own_mean(self):
        units = OriginalUnits(Transform("log"), None, "mean", centered=True)
        residuals, weights = units.smearing(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 1.0]), 100)
        assert weights @ residuals == pytest.approx(0)
        assert weights.sum() == pytest.approx(1)

    def test_history_is_in_original_units(self, task):
        epochs = []
        fit(task, Experiment("vanilla", recipe=Recipe(epochs=1), transform="log"), on_epoch=epochs.append)
        assert epochs[0].validation["rmse"] > 1.5

    def test_the_choice(self, task):
        assert choose_transform(task).name in ("log", "log1p", "yeo-johnson")
        frame = task.rows.frame()
        linear = frame.assign(y=frame["a"] + np.random.default_rng(0).normal(size=len(frame)))
        choice = choose_transform(prepare(linear, "y", split="random"))
        assert choice.name is None
        assert "the target as it is" in choice.note
        assert set(choice.crps) == {"none", "yeo-johnson"}

    def test_the_estimator(self):
        frame = log_normal_table(200)
        model = ImbalancedRegressor("vanilla", epochs=1, target_transform="log", random_state=0).fit(
            frame[["a", "b"]], frame["y"]
        )
        assert model.predict(frame[["a", "b"]]).min() > 0
        assert model.predict_distribution(frame[["a", "b"]]).below(0).max() == 0

    def test_several_targets(self):
        frame = log_normal_table(100).assign(z=1.0 + np.arange(100))
        with pytest.raises(InputError, match="`transform` is for one target, and there are 2"):
            fit(prepare(frame, ["y", "z"]), Experiment("vanilla", transform="log"))


class TestCommand:
    def test_from_table_to_predictions(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        toy_frame(200).to_csv("toy.csv", index=False)
        words = ["--target", "price", "--model", "linear", "--method", "vanilla", "--transform", "auto"]
        assert run(["train", "toy.csv", *words]) == 0
        assert "note: transform: --transform " in capsys.readouterr().err
        folder = tmp_path / "runs" / "price"
        assert json.loads((folder / "config.json").read_text())["transform"] != "auto"
        assert run(["predict", str(folder), "toy.csv", "--interval", "0.9", "--above", "20", "-o", "out.csv"]) == 0
        predicted = pd.read_csv("out.csv")
        assert predicted["prediction"].corr(pd.read_csv("toy.csv")["price"]) > 0.5
        assert run(["evaluate", str(folder), "toy.csv"]) == 0
        assert "of log" not in (folder / "report.html").read_text()

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["--target", "x1", "--transform", "log"], "--transform log needs labels above 0"),
            (["--target", "price", "--transform", "lgo"], "--transform must be one of"),
            (["--target", "price", "--target", "x1", "--transform", "log"], "--transform is for one target"),
        ],
    )
    def test_bad_input(self, tmp_path, monkeypatch, capsys, words, reason):
        monkeypatch.chdir(tmp_path)
        toy_frame(100).to_csv("toy.csv", index=False)
        assert reason in refused(capsys, "train", "toy.csv", *words)
        assert [path.name for path in tmp_path.iterdir()] == ["toy.csv"]
