"""Weights of rows: a weight of 2 is a row given twice, weights of 1 change nothing, and every number counts them."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from conftest import toy_frame
from tailwise import Experiment, ImbalancedRegressor, InputError, Recipe, Shots, evaluate, fit, prepare
from tailwise.calibration.intervals import RegionIntervals
from tailwise.cli.main import run
from tailwise.compare.row_variance import variance_over_rows
from tailwise.distributions import Mixture
from tailwise.distributions.decisions import Dial
from tailwise.distributions.scores import score_regions
from tailwise.experiment.trade_off import trade_off
from tailwise.labels.bins import Bins
from tailwise.metrics.confidence import Interval
from tailwise.metrics.coverage import coverage_by_region
from tailwise.metrics.headlines import as_rows_come
from tailwise.metrics.heavy_rows import notes_on_heavy_row
from tailwise.metrics.paired_bootstrap import crossed_bootstrap, mae_change, paired_bootstrap
from tailwise.metrics.region_errors import region_errors, validation_errors
from tailwise.metrics.region_metrics import region_metrics

N = 200
LINEAR = Experiment("vanilla", "linear")


@pytest.fixture
def rows():
    """Labels, predictions and weights of rows, and the positions that repeat each row as often as its weight says."""
    rng = np.random.default_rng(0)
    y = rng.exponential(10.0, N).round(1)
    pred = (y + rng.normal(0, 3, N)).round(1)
    weight = rng.integers(1, 4, N).astype(float)
    return y, pred, weight, np.repeat(np.arange(N), weight.astype(int))


def test_every_metric_of_a_weighted_row_is_that_of_the_row_repeated(rows):
    y, pred, weight, often = rows
    shots = Shots.from_labels(y)
    relevance = lambda labels: np.clip(labels / 30, 0, 1)  # noqa: E731
    one = region_metrics(y, pred, shots, relevance=relevance, resamples=0, sample_weight=weight)
    other = region_metrics(y[often], pred[often], shots, relevance=relevance, resamples=0)
    for name, region in one.items():
        assert region.metrics.keys() == other[name].metrics.keys()
        for metric, value in region.metrics.items():
            assert value.value == pytest.approx(other[name].metrics[metric].value, rel=1e-9), (name, metric)
    quick, repeated = region_errors(y, pred, shots, sample_weight=weight), region_errors(y[often], pred[often], shots)
    for name, errors in quick.items():
        assert errors.pop("n") == one[name].n
        repeated[name].pop("n")
        assert errors == pytest.approx(repeated[name])
    weighted = shots.weighted(y, weight)
    assert as_rows_come(y, pred, weighted, sample_weight=weight).value == pytest.approx(
        as_rows_come(y[often], pred[often], shots.weighted(y, weight)).value
    )
    assert validation_errors(y, pred, weighted, sample_weight=weight) == pytest.approx(
        validation_errors(y[often], pred[often], weighted)
    )


def test_two_dimensions_count_weights(rows):
    y, pred, weight, often = rows
    y2, pred2 = np.stack([y, y[::-1]], 1), np.stack([pred, y[::-1] + 1], 1)
    shots = Shots.from_labels(y2)
    one = region_metrics(y2, pred2, shots, resamples=0, sample_weight=weight)["all"].metrics
    other = region_metrics(y2[often], pred2[often], shots, resamples=0)["all"].metrics
    assert {k: v.value for k, v in one.items()} == pytest.approx({k: v.value for k, v in other.items()})


def test_bootstraps_surround_the_weighted_value(rows):
    y, pred, weight, _ = rows
    shots = Shots.from_labels(y)
    for name, interval in region_metrics(y, pred, shots, sample_weight=weight)["all"].metrics.items():
        assert interval.low < interval.value < interval.high, name
    ones, plain = (region_metrics(y, pred, shots, sample_weight=given)["all"].metrics for given in (np.ones(N), None))
    for name, interval in ones.items():
        ends = [plain[name].value, plain[name].low, plain[name].high]
        assert [interval.value, interval.low, interval.high] == pytest.approx(ends, abs=1e-9)
    other = pred + np.where(weight > 1, 2.0, 0.0)
    change = mae_change(y, pred, other, sample_weight=weight)
    assert change.low < change.value < change.high
    gains = np.stack([np.abs(pred - y) - np.abs(other - y)] * 2)
    crossed = crossed_bootstrap(gains, sample_weight=weight)
    assert crossed.value == pytest.approx(change.value)
    paired = paired_bootstrap([np.abs(pred - y)], [np.abs(other - y)], weights=[weight])
    assert paired.value == pytest.approx(change.value)
    assert paired.high - paired.low == pytest.approx(change.high - change.low, rel=0.15)


def test_a_mean_over_bins_and_its_variance_count_weights_within_bins(rows):
    y, pred, weight, often = rows
    gain, bins = np.abs(pred - y), (y > 8).astype(int)
    shares = np.where(bins == 1, 0.2, 0.8)
    ours = paired_bootstrap([gain], [0 * gain], bins=[bins], shares=[shares], weights=[weight])
    repeated = paired_bootstrap([gain[often]], [0 * gain[often]], bins=[bins[often]], shares=[shares[often]])
    assert ours.value == pytest.approx(repeated.value)
    equal = variance_over_rows(gain, bins, shares, np.full(N, 3.0))
    assert equal == pytest.approx(variance_over_rows(gain, bins, shares))
    assert variance_over_rows(gain, bins, shares, weight) > equal


def test_scores_of_distributions_count_weights(rows):
    y, pred, weight, often = rows
    predictive = lambda index: Mixture(np.ones((len(index), 1)), pred[index, None], np.full((len(index), 1), 3.0))  # noqa: E731
    one = score_regions(predictive(np.arange(N)), y, thresholds=[10.0], sample_weight=weight)["all"]
    other = score_regions(predictive(often), y[often], thresholds=[10.0])["all"]
    assert (one.crps, one.log_score) == pytest.approx((other.crps, other.log_score))
    assert one.pit == pytest.approx(other.pit)
    assert one.reliability[0].observed == pytest.approx(other.reliability[0].observed)
    shots, dial = Shots.from_labels(y), Dial.from_labels(y, sample_weight=weight)
    assert dial.density.values == pytest.approx(Dial.from_labels(y[often], Bins.auto(y)).density.values)
    curve = trade_off(y, predictive(np.arange(N)), dial, shots, balances=(0.0, 1.0), weight=weight)
    point = trade_off(y[often], predictive(often), dial, shots, balances=(0.0, 1.0)).points[1]
    assert curve.points[1].bmae == pytest.approx(point.bmae)
    assert curve.points[1].mae["all"].value == pytest.approx(point.mae["all"].value)


def test_intervals_and_their_coverage_count_weights(rows):
    y, pred, weight, often = rows
    shots = Shots.from_labels(y, many=1e9, few=0)
    fitted = RegionIntervals.fit(y, pred, shots, sample_weight=weight)
    low, high = fitted.intervals(pred, 0.8).T
    covered = coverage_by_region(y, pred, low, high, shots, sample_weight=weight)["all"].by_true
    assert 0.8 <= covered.coverage.value < 0.86
    repeated = coverage_by_region(y[often], pred[often], low[often], high[often], shots)["all"].by_true
    assert covered.coverage.value == pytest.approx(repeated.coverage.value)
    assert covered.mean_width == pytest.approx(repeated.mean_width)
    equal, plain = (
        RegionIntervals.fit(y, pred, shots, sample_weight=np.full(N, 2.0)),
        RegionIntervals.fit(y, pred, shots),
    )
    np.testing.assert_array_equal(equal.residuals[0], plain.residuals[0])


def test_a_row_of_great_weight_can_carry_the_error(rows):
    y, pred, _, _ = rows
    weight = np.ones(N)
    weight[3] = 500.0
    assert notes_on_heavy_row(y, pred, range(N)) == []
    assert notes_on_heavy_row(y, pred, range(N), weight)[0].startswith("row 4 carries")


@pytest.mark.parametrize("weight", [[1.0, -1.0], [1.0, np.nan], [0.0, 0.0], [1.0]])
def test_wrong_weights_are_refused(weight):
    with pytest.raises(InputError, match="sample_weight"):
        region_errors([1.0, 2.0], [1.0, 2.0], Shots.from_labels([1.0, 2.0]), sample_weight=weight)


@pytest.fixture
def command(capfd):
    """A function that runs a command and returns its code and what it wrote to stderr."""

    def call(*words):
        capfd.readouterr()
        code = run([str(word) for word in words])
        return code, capfd.readouterr().err

    return call


def weighted_frame(n=600):
    weight = np.random.default_rng(1).integers(1, 4, n)
    return toy_frame(n).drop(columns=["city", "new", "built"]).assign(w=weight)


def test_the_linear_model_of_a_weighted_row_is_that_of_the_row_repeated():
    frame = weighted_frame().fillna(0.0)
    frame["split"] = np.resize(["train", "train", "val", "test"], len(frame))
    often = np.repeat(np.arange(len(frame)), frame["w"])
    one = prepare(frame, "price", weight="w", bin_width=10)
    other = prepare(frame.iloc[often].drop(columns="w").reset_index(drop=True), "price", bin_width=10)
    alpha = Experiment("vanilla", "linear", params={"alphas": [1e-9]})
    new = frame.drop(columns=["price", "w", "split"])
    ours, theirs = fit(one, alpha), fit(other, alpha)
    np.testing.assert_allclose(ours.predict(new), theirs.predict(new), rtol=1e-5)
    mine, repeated = evaluate(ours, one).metrics()["all"], evaluate(theirs, other).metrics()["all"]
    for name in ("mae", "rmse", "bmae", "bias", "as_rows_come"):
        assert mine[name] == pytest.approx(repeated[name], rel=1e-4), name
    np.testing.assert_allclose(ours.dial.density.values, theirs.dial.density.values, rtol=1e-9)


@pytest.mark.parametrize(
    "experiment",
    [
        LINEAR,
        Experiment("sqinv+lds", "lightgbm", params={"n_estimators": 20}),
        Experiment("mixture", encoder="mlp", recipe=Recipe(epochs=2), balance=0.5),
        Experiment("vanilla", "forest", params={"n_estimators": 10}),
    ],
    ids=lambda one: one.name,
)
def test_equal_weights_change_no_number(experiment):
    frame = toy_frame(500)
    plain, weighted = prepare(frame, "price"), prepare(frame.assign(w=1), "price", weight="w")
    assert any("all weights in column 'w' are equal" in note for note in weighted.notes)
    one, other = fit(plain, experiment), fit(weighted, experiment)
    assert evaluate(one, plain).metrics_json() == evaluate(other, weighted).metrics_json()
    np.testing.assert_array_equal(one.predict(frame[:20], ignore_extra=True), other.predict(frame[:20]))
    if one.intervals is not None:
        np.testing.assert_array_equal(one.intervals.residuals[0], other.intervals.residuals[0])


@pytest.mark.parametrize("model", ["linear", "lightgbm", "forest", "network"])
def test_every_model_follows_the_weights(model):
    """The rows of one kind say y = 10, of the other y = 20, on the same inputs; the heavier kind is followed."""
    n = 400
    kind = np.arange(n) % 2
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=n), "y": np.where(kind, 20.0, 10.0) + rng.normal(0, 0.1, n)})
    frame["w"] = np.where(kind, 50.0, 1.0)
    params = {"n_estimators": 30} if model in ("lightgbm", "forest") else {}
    recipe = Recipe(epochs=12, lr=1e-2)
    trained = fit(
        prepare(frame, "y", weight="w", n_bins=10, split="random"),
        Experiment("vanilla", model, params=params, recipe=recipe),
    )
    assert np.median(trained.predict(frame[["x"]])) > 18


@pytest.mark.slow
def test_the_stack_follows_the_weights():
    n = 400
    kind = np.arange(n) % 2
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=n), "y": np.where(kind, 20.0, 10.0) + rng.normal(0, 0.1, n)})
    frame["w"] = np.where(kind, 50.0, 1.0)
    task = prepare(frame, "y", weight="w", n_bins=10, split="random")
    stack = Experiment("vanilla", "stack", params={"folds": 2, "jobs": 1}, recipe=Recipe(epochs=10), balance="auto")
    model = fit(task, stack)
    assert np.median(model.predict(frame[["x"]])) > 18
    constant = {one.name: one for one in model.leaderboard.standings}["constant"]
    assert constant.as_rows_come < 1  # the weighted median is 20; the plain one errs by 5


def test_regions_follow_rows_and_headlines_follow_weights():
    frame = weighted_frame()
    frame.loc[frame["price"] > 60, "w"] = 30
    plain, weighted = prepare(frame.drop(columns="w"), "price"), prepare(frame, "price", weight="w")
    np.testing.assert_array_equal(plain.shots.counts, weighted.shots.counts)
    np.testing.assert_array_equal(plain.part, weighted.part)
    assert weighted.shots.mass.sum() == pytest.approx(weighted.weight.sum())  # a balanced split takes rare rows
    loaded = Shots.from_json(json.loads(json.dumps(weighted.shots.to_json())))
    np.testing.assert_array_equal(loaded.population, weighted.shots.population)
    assert "w" not in [column.name for column in weighted.schema.columns]
    assert weighted.schema.weight == "w"
    assert any(re.search(r"effective sample size \d+ of 600 rows", note) for note in weighted.notes)
    evaluation = evaluate(fit(weighted, LINEAR), weighted)
    assert isinstance(evaluation.as_rows_come, Interval)
    plainly = evaluate(fit(plain, LINEAR), plain)
    assert evaluation.as_rows_come.value > 1.2 * plainly.as_rows_come.value  # rare rows weigh much, and err much
    assert evaluation.regions["all"].n == plainly.regions["all"].n


def test_rows_of_weight_0_are_dropped():
    frame = weighted_frame()
    frame.loc[:9, "w"] = 0
    task = prepare(frame, "price", weight="w")
    assert len(task.y) == len(frame) - 10
    assert task.row[0] == 10
    assert "10 rows dropped: their weight is 0" in task.notes


BAD = [
    (lambda frame: frame.assign(w=-1.0), "has 600 weights below 0, the first -1 in row 1"),
    (lambda frame: frame.assign(w=0.0), "is 0 in every row"),
    (lambda frame: frame.assign(w=np.where(frame.index == 4, np.nan, 1.0)), "has 1 empty cells, the first in row 5"),
    (lambda frame: frame.assign(w="much"), "must be numeric, but 600 of 600 cells are not, e.g. 'much'"),
    (lambda frame: frame.drop(columns="w"), "'w' is not a column of the table"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_columns_are_refused(change, message, tmp_path, command):
    frame = change(weighted_frame())
    with pytest.raises(InputError, match=re.escape(message)) as error:
        prepare(frame, "price", weight="w")
    assert "`weight`" in str(error.value)
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = tmp_path / "run"
    code, told = command("train", tmp_path / "t.csv", "-t", "price", "--weight", "w", "--model", "linear", "--out", out)
    assert code == 2
    assert "--weight" in told
    assert "Traceback" not in told
    assert len(told.strip().splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weight": "price"}, "is the target"),
        ({"weight": "x1", "group": "x1"}, "the group or the split column"),
        ({"weight": "w", "drop": ["w"]}, "is the weight column"),
    ],
)
def test_a_weight_has_no_other_role(given, message):
    with pytest.raises(InputError, match=message):
        prepare(weighted_frame(), "price", **given)


def test_the_command_counts_weights_from_training_to_new_rows(tmp_path, command):
    frame = weighted_frame()
    table, out = tmp_path / "t.csv", tmp_path / "run"
    frame.to_csv(table, index=False)
    code, told = command("train", table, "-t", "price", "--weight", "w", "--model", "linear", "--out", out)
    assert code == 0, told
    assert "rows count by column 'w'" in told
    config = json.loads((out / "config.json").read_text())
    assert config["table"]["weight"] == "w"
    assert "rows count by column" in (out / "report.html").read_text()
    predictions = pd.read_parquet(out / "predictions.parquet")
    np.testing.assert_array_equal(predictions["weight"], frame["w"][predictions["row"]])
    test = predictions[predictions["split"] == "test"]
    error = np.average((test["prediction"] - test["target"]).abs(), weights=test["weight"])
    assert json.loads((out / "metrics.json").read_text())["all"]["mae"]["value"] == pytest.approx(error)

    frame.drop(columns=["w", "price"]).to_csv(tmp_path / "new.csv", index=False)
    assert command("predict", out, tmp_path / "new.csv", "--out", tmp_path / "p.csv")[0] == 0
    metrics = []
    for name, rows in (("with", frame), ("without", frame.drop(columns="w"))):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        code, told = command("evaluate", out, tmp_path / f"{name}.csv", "--out", tmp_path / f"{name}.json")
        assert code == 0, told
        assert ("lacks the column 'w' of the weights" in told) == (name == "without")
        metrics.append(json.loads((tmp_path / f"{name}.json").read_text())["all"]["mae"]["value"])
    pred = pd.read_csv(tmp_path / "p.csv")["prediction"]
    error = (pred - frame["price"]).abs()
    assert metrics == pytest.approx([np.average(error, weights=frame["w"]), error.mean()], rel=1e-4)

    negative = frame.assign(w=-frame["w"])
    negative.to_csv(tmp_path / "negative.csv", index=False)
    code, _ = command("evaluate", out, tmp_path / "negative.csv", "--out", tmp_path / "no.json")
    assert code == 2
    assert not (tmp_path / "no.json").exists()


@pytest.mark.slow
def test_compare_and_diagnose_take_the_column(tmp_path, command):
    table = tmp_path / "t.csv"
    weighted_frame().to_csv(table, index=False)
    given = ("--weight", "w", "-m", "vanilla", "sqinv", "--model", "lightgbm", "--seeds", "3", "--out", tmp_path / "c")
    code, told = command("compare", table, "-t", "price", *given)
    assert code == 0, told
    cell = next((tmp_path / "c" / "cells").rglob("*.npz"))
    with np.load(cell) as arrays:
        assert set(np.unique(arrays["weight"])) == {1.0, 2.0, 3.0}
    given = ("--weight", "w", "--no-model", "--out", tmp_path / "d.json")
    code, told = command("diagnose", table, "-t", "price", *given)
    assert code == 0, told
    assert "--weight w" in (tmp_path / "d.json").read_text()


def test_the_estimator_judges_epochs_by_weight():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 2)), rng.exponential(size=120)

    def fit_weighted(weight):
        return ImbalancedRegressor("vanilla", epochs=2, encoder="mlp", random_state=0).fit(X, y, weight)

    plain, ones, twos = fit_weighted(None), fit_weighted(np.ones(120)), fit_weighted(np.full(120, 2.0))
    np.testing.assert_array_equal(plain.predict(X), ones.predict(X))
    np.testing.assert_array_equal(plain.predict(X), twos.predict(X))
    weight = rng.uniform(0.1, 5, 120)
    assert fit_weighted(weight).history_[0].validation != plain.history_[0].validation
