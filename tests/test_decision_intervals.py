"""Intervals of decisions: calibrated on held-out rows, by region, saved with the model, in the command and the page."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tailwise
from conftest import toy_frame
from tailwise import Experiment, FittedModel, ImbalancedRegressor, InputError, Recipe, prepare
from tailwise.calibration.distribution_intervals import DistributionIntervals
from tailwise.cli.decision_options import note_on_spread
from tailwise.cli.main import run
from tailwise.data.rows import FrameRows
from tailwise.distributions import Decision, Mixture
from tailwise.distributions.dialed import weights_as_rows_come
from tailwise.metrics.coverage import weighted_coverage
from tailwise.runs import artifact
from tailwise.runs.predicted_table import Asked, predicted_table
from tailwise.runs.questions import Questions

pytestmark = pytest.mark.filterwarnings("ignore:.*weights are extreme")  # those of uvote on few rows

RECIPE = Recipe(epochs=3, device="cpu")
EXPERIMENTS = {
    "linear": Experiment("vanilla", model="linear"),
    "mixture": Experiment("mixture", recipe=RECIPE),
    "uvote+isotonic": Experiment("uvote+isotonic", recipe=RECIPE),
    "vir+quantile": Experiment("vir+quantile", recipe=RECIPE),
    "mixture+isotonic": Experiment("mixture+isotonic", recipe=RECIPE),
    "mixture+quantile": Experiment("mixture+quantile", recipe=RECIPE),
    "forest": Experiment("vanilla", model="forest", params={"n_estimators": 20, "leaves": True}),
}
CORRECTED = [name for name in EXPERIMENTS if "+" in name]


@pytest.fixture(scope="module")
def task():
    return prepare(toy_frame(700), "price")


@pytest.fixture(scope="module")
def fitted(task):
    models = {}

    def model(name):
        if name not in models:
            models[name] = tailwise.fit(task, EXPERIMENTS[name])
        return models[name]

    return model


def inside(y, ends):
    return (ends[:, 0] <= y) & (y <= ends[:, 1])


@pytest.mark.parametrize("name", EXPERIMENTS)
class TestEveryModel:
    def test_ends_are_conformalized_on_held_out_rows(self, name, task, fitted):
        model, (_, y_val), (new, _) = fitted(name), task.rows_of("val"), task.rows_of("test")
        held = model.held_out
        np.testing.assert_array_equal(held.y, y_val)
        assert held.balanced
        tilted = Decision(balance=0.7).tilted(held.distributions, model.dial)
        weight = weights_as_rows_come(y_val, model.dial.density, task.shots.scalar_bins)
        expected = DistributionIntervals.fit(y_val, tilted, tilted.median(), task.shots, sample_weight=weight)
        predictive = model.predictive(new, balance=0.7)
        np.testing.assert_array_equal(
            model.predict_interval(new, 0.8, balance=0.7), expected.intervals(predictive, predictive.median(), 0.8)
        )

    def test_saved_and_loaded(self, name, task, fitted, tmp_path):
        model, (rows, _) = fitted(name), task.rows_of("test")
        model.save(tmp_path)
        again = FittedModel.load(tmp_path)
        for asked in ({"balance": 1.0}, {"density": (0.0, 60.0)}):
            ours, theirs = (one.predict_interval(rows, **asked) for one in (again, model))
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        np.testing.assert_array_equal(again.predict_interval(rows), model.predict_interval(rows))

    def test_a_model_with_distributions_has_their_intervals(self, name, task, fitted):
        model, (rows, _) = fitted(name), task.rows_of("test")
        ends = model.predict_interval(rows)
        widths = len(np.unique(np.round(ends[:, 1] - ends[:, 0], 6)))
        if model.has_own_intervals:
            np.testing.assert_array_equal(ends, model.predict_interval(rows, balance=0.0))
            assert widths > len(ends) // 2
        else:
            known = model.predictions(rows)
            np.testing.assert_array_equal(ends, model.intervals_of(known.pred))
            assert widths <= 4  # one a region

    def test_the_coverage_is_measured(self, name, task, fitted):
        evaluation = tailwise.evaluate(fitted(name), task)
        *around, zero, one = evaluation.intervals
        assert zero.name == "of distributions, balance 0"
        assert [kind.name for kind in around] == ([] if fitted(name).has_own_intervals else ["around predictions"])
        rows, y = task.rows_of("test")
        ends = fitted(name).predict_interval(rows, balance=1)
        few = task.shots.names(y) == "few"
        assert one.by_true["few"].coverage.value == pytest.approx(inside(y, ends)[few].mean())
        weight = weights_as_rows_come(y, fitted(name).dial.density, task.shots.scalar_bins)
        assert one.as_rows_come.coverage.value == pytest.approx(np.average(inside(y, ends), weights=weight))
        by_default = around[0] if around else zero
        ours, theirs = by_default.by_true["few"].coverage, evaluation.coverage["few"].by_true.coverage
        assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high), abs=1e-6)
        json.dumps([kind.to_json() for kind in evaluation.intervals])
        assert tailwise.evaluate(fitted(name), task, "val").intervals == ()


@pytest.mark.parametrize("name", CORRECTED)
class TestCorrectedModels:
    def test_predictions_deviations_and_intervals_belong_together(self, name, task, fitted):
        model, (rows, _) = fitted(name), task.rows_of("test")
        known = model.predictions(rows, predictive=True)
        np.testing.assert_array_equal(known.pred, model.predict(rows))
        np.testing.assert_allclose(known.std, known.predictive.std(), rtol=1e-9)
        np.testing.assert_array_equal(known.predictive.means, model.conditional.predictive(known.pred).means)
        for ends in (model.predict_interval(rows), model.predict_interval(rows, balance=0.0)):
            assert (ends[:, 0] <= known.pred).mean() > 0.9
            assert (known.pred <= ends[:, 1]).mean() > 0.9
        # The distribution is of the corrected prediction: its median and mean lie within a standard deviation.
        assert (np.abs(known.predictive.median() - known.pred) <= known.std).mean() > 0.9
        np.testing.assert_array_equal(model.predict(rows, balance=0.0), known.predictive.median())

    def test_held_out_rows_are_corrected_without_their_labels(self, name, task, fitted):
        model, (rows, _) = fitted(name), task.rows_of("val")
        assert not np.array_equal(model.held_out.pred, model.predict(rows))
        assert np.abs(model.held_out.pred - model.predict(rows)).mean() < model.held_out.y.std()

    def test_the_frame_of_the_run_has_the_same_deviations(self, name, task, fitted):
        again, raw = fitted(name).validated(task, EXPERIMENTS[name].compose().correction)
        expected = again.predictions(task.rows_of("val")[0])
        np.testing.assert_allclose(raw.std, expected.std)


class TestCoverage:
    def test_rows_as_they_come_are_covered_after_a_balanced_split(self):
        rng, hits = np.random.default_rng(0), []
        for seed in range(4):
            x = rng.normal(size=6000)
            y = np.exp(x + 0.3 * rng.normal(size=6000) * (1 + (x > 1)))
            frame = pd.DataFrame({"x": x, "y": y})
            task = prepare(frame.head(2500), "y", seed=seed)
            model = tailwise.fit(task, Experiment("vanilla", model="linear"))
            new = frame.tail(3500)
            ends = model.predict_interval(new[["x"]], balance=0.0)
            hits.append(inside(new["y"].to_numpy(), ends).mean())
        assert np.mean(hits) == pytest.approx(0.9, abs=0.03)

    def test_a_balance_of_one_covers_rare_values_better(self):
        rng = np.random.default_rng(1)
        x = rng.normal(size=8000)
        frame = pd.DataFrame({"x": x, "y": np.exp(0.9 * x + 0.6 * rng.normal(size=8000))})
        task = prepare(frame, "y", split="random")
        kinds = tailwise.evaluate(tailwise.fit(task, Experiment("vanilla", model="linear")), task).intervals
        around, zero, one = (kind.by_true["few"].coverage.value for kind in kinds)
        assert one > max(around, zero)
        for kind in kinds:
            assert kind.as_rows_come.coverage.value == pytest.approx(0.9, abs=0.04)

    def test_weighted_scores_are_those_of_repeated_rows(self):
        rng = np.random.default_rng(2)
        y, scale = rng.normal(size=900), np.exp(rng.normal(size=900))
        rows = Mixture(np.ones((900, 1)), np.zeros((900, 1)), scale[:, None])
        shots = tailwise.Shots.from_labels(y)
        for_each = DistributionIntervals.fit(y, rows, np.zeros(900), shots, sample_weight=np.full(900, 3.0))
        plain = DistributionIntervals.fit(y, rows, np.zeros(900), shots)
        np.testing.assert_allclose(for_each.scores[0], plain.scores[0])
        twice = np.repeat(np.arange(900), np.where(y > 0, 2, 1))
        weighted = DistributionIntervals.fit(y, rows, np.zeros(900), shots, sample_weight=np.where(y > 0, 2.0, 1.0))
        repeated = DistributionIntervals.fit(y[twice], rows.select(twice), np.zeros(twice.size), shots)
        ours, theirs = (one.intervals(rows, np.zeros(900), 0.9) for one in (weighted, repeated))
        np.testing.assert_allclose(ours, theirs, atol=0.02)
        assert weighted.rows["many"] < 900
        with pytest.raises(InputError, match="sample_weight must be above 0"):
            DistributionIntervals.fit(y, rows, np.zeros(900), shots, sample_weight=np.zeros(900))

    def test_weighted_coverage(self):
        assert weighted_coverage([], [], []) is None
        one = weighted_coverage([1.0, 5.0, 9.0], [0.0, 0.0, 0.0], [2.0, np.inf, 2.0], [2.0, 1.0, 1.0])
        assert one.coverage.value == 0.75
        assert np.isinf(one.mean_width)
        plain = weighted_coverage(np.arange(20.0), np.zeros(20), np.full(20, 14.5))
        assert (round(plain.coverage.low, 3), round(plain.coverage.high, 3)) == (0.531, 0.888)


def test_models_of_earlier_versions_still_load(task, fitted, tmp_path):
    fitted("linear").save(tmp_path)
    saved = json.loads((tmp_path / "model.json").read_text())
    for name in ("atoms", "held_out"):
        del saved[name]
    (tmp_path / "model.json").write_text(json.dumps(saved))
    (tmp_path / "held_out.safetensors").unlink()
    old, (rows, _) = FittedModel.load(tmp_path), task.rows_of("test")
    np.testing.assert_array_equal(old.predict_interval(rows), fitted("linear").predict_interval(rows))
    with pytest.raises(InputError, match="no held-out rows that intervals of a decision"):
        old.predict_interval(rows, balance=1.0)
    assert [kind.name for kind in tailwise.evaluate(old, task).intervals] == ["around predictions"]


def test_too_few_held_out_rows_have_no_intervals_of_decisions():
    task = prepare(toy_frame(160), "price")
    model = tailwise.fit(task, Experiment("vanilla", model="linear"))
    assert 20 <= task.count("val") < 40
    assert not model.has_decision_intervals
    with pytest.raises(InputError, match="train it again, or ask for quantiles"):
        model.predict_interval(task.rows_of("test")[0], balance=0.5)


def test_many_rows_are_thinned(fitted):
    held = fitted("mixture").held_out
    repeated = type(held)(*(np.tile(getattr(held, name), 80) for name in ("y", "pred", "weight")), False)
    assert len(repeated.thinned().y) == 5000
    rows = np.tile(np.arange(len(held.y)), 200)
    large = type(held)(held.y[rows], held.pred[rows], held.weight[rows], False, held.given.select(rows))
    kept = large.thinned()
    assert len(kept.given) == len(kept.y) == 5000
    assert held.thinned() is held


def test_the_command_and_the_page(tmp_path, capsys):
    toy_frame(600).to_csv(tmp_path / "toy.csv", index=False)
    words = ["train", tmp_path / "toy.csv", "-t", "price", "--model", "linear", "--out", tmp_path / "run"]
    assert run([*map(str, words)]) == 0
    model, rows = FittedModel.load(tmp_path / "run" / "model"), toy_frame(600).drop(columns="price")
    out = tmp_path / "out.csv"
    words = ["predict", tmp_path / "run", tmp_path / "toy.csv", "--out", out, "--ignore-extra", "--overwrite"]
    assert run([*map(str, words), "--interval", "0.8", "--balance", "1"]) == 0
    np.testing.assert_allclose(
        pd.read_csv(out)[["low", "high"]], model.predict_interval(rows, 0.8, balance=1.0), rtol=1e-9
    )
    assert run([*map(str, words), "--interval", "0.8", "--cost", "under=9,over=1"]) == 0
    known = model.predictions(rows, predictive=True)
    expected = model.intervals_of_decision(known, Decision(under=9.0, over=1.0), 0.8)
    np.testing.assert_allclose(pd.read_csv(out)[["low", "high"]], expected, rtol=1e-9)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Promised is the coverage of rows as they come" in page
    assert "Of distributions, balance 1" in page
    kinds = json.loads((tmp_path / "run" / "trade_off.json").read_text())["intervals"]
    assert next(kind["intervals"] for kind in kinds) == "around predictions"


def test_intervals_are_about_labels_as_they_come_as_quantiles_and_chances_are(task, fitted):
    model, rows = replace(fitted("mixture"), balance=1.0), task.rows_of("test")[0].frame()
    ends = model.predict_interval(rows)
    np.testing.assert_array_equal(ends, model.predict_interval(rows, balance=0.0))
    assert not np.array_equal(ends, model.predict_interval(rows, balance=1.0))
    np.testing.assert_array_equal(model.predict(rows), model.predict(rows, balance=1.0))
    asked = Asked(Decision(), Questions(quantiles=(0.05, 0.95)), 0.9)
    table, _ = predicted_table(model, FrameRows(rows), asked)
    np.testing.assert_array_equal(table[["low", "high"]], ends)
    wide = (table["high"] - table["low"]).mean() / (table["quantile_0.95"] - table["quantile_0.05"]).mean()
    assert 0.5 < wide < 2.0
    for decision, n in (
        (Decision(), 0),
        (Decision(balance=0.0), 0),
        (Decision(balance=0.5), 1),
        (Decision(loss="squared"), 0),
    ):
        assert len(note_on_spread(replace(asked, decision=decision))) == n
    assert note_on_spread(Asked(Decision(balance=0.5))) == []
    (note,) = note_on_spread(replace(asked, decision=Decision(balance=(0.0, 0.5))))
    assert "spread as --target-balance says" in note


def test_the_estimator():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    y = np.exp(X[:, 0]) + 0.1 * rng.normal(size=500)
    model = ImbalancedRegressor("mixture", epochs=3, random_state=0).fit(X, y)
    ends = model.predict_interval(X, 0.8, balance=1)
    frame = pd.DataFrame(X, columns=["x0", "x1", "x2"])
    np.testing.assert_array_equal(ends, model.model_.predict_interval(frame, 0.8, balance=1))
    assert (ends[:, 0] <= ends[:, 1]).all()
    assert not np.array_equal(ends, model.predict_interval(X, 0.8))


def test_the_page_is_written_from_python(task, fitted, tmp_path):
    out = artifact.write(tmp_path / "run", task, EXPERIMENTS["linear"], fitted("linear"))
    assert "intervals" in json.loads((out / "trade_off.json").read_text())
