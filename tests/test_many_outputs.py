"""Several targets: errors of each alone, in its own unit and regions, in terminal, page and JSON."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from tailwise import LDS, Experiment, InputError, Recipe, Shots, compose, density_weights, evaluate, fit, prepare
from tailwise.cli.main import run
from tailwise.experiment.leaderboard import errors_by_output
from tailwise.heads.point import Regressor
from tailwise.labels.bins import Bins
from tailwise.labels.output_bins import OutputBins
from tailwise.metrics.region_errors import error_as_rows_come, region_errors
from tailwise.metrics.region_metrics import region_metrics
from tailwise.weights.by_bins import effective_number_weights

N = 300


def frame(k=2, n=N):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    targets = {f"y{j}": 10.0 ** (j % 4) * np.exp(x[:, j % 3]) + rng.normal(0, 0.1, n) for j in range(k)}
    return pd.DataFrame({f"x{j}": x[:, j] for j in range(3)} | targets)


def test_the_regions_of_an_output_are_those_of_its_own_labels():
    table = frame()
    task = prepare(table, ["y0", "y1"])
    y_train = task.rows_of("train")[1]
    for j in range(2):
        alone = Shots.from_labels(y_train[:, j], task.shots.bins.axes[j])
        ours = task.shots.of_output(j)
        np.testing.assert_array_equal(ours.counts, alone.counts)
        np.testing.assert_array_equal(ours.bin_codes, alone.bin_codes)
    weighted = task.shots.weighted(y_train, np.full(len(y_train), 2.0)).of_output(1)
    np.testing.assert_allclose(weighted.mass, 2.0 * weighted.counts)
    with pytest.raises(InputError, match="of one target"):
        task.shots.of_output(0).of_output(0)


@pytest.mark.parametrize("method", ["vanilla", "sqinv+lds", "mixture"])
def test_two_targets_of_units_far_apart_are_each_scaled_by_their_own(method):
    table = frame()
    told = [note for note in prepare(table, ["y0", "y1"]).notes if "far apart" in note]
    assert told == []
    preds = []
    for factor in (64.0, 128.0):
        task = prepare(table.assign(y1=factor * table["y1"]), ["y0", "y1"])
        assert isinstance(task.shots.bins, OutputBins)
        assert any("each target is scaled by its own" in note for note in task.notes)
        model = fit(task, Experiment(method, encoder="mlp", recipe=Recipe(epochs=2, device="cpu")))
        preds.append(model.predict(table))
        assert evaluate(model, task).as_rows_come.value < 3.0  # standard deviations
    np.testing.assert_allclose(preds[1], preds[0] * [1.0, 2.0], rtol=1e-5)


def test_errors_by_output_are_those_of_each_target_alone():
    table = frame()
    task = prepare(table, ["y0", "y1"])
    _, y = task.rows_of("test")
    pred = y + np.array([0.5, -3.0])
    one, other = errors_by_output(y, pred, task.shots, ("y0", "y1"))
    assert (one.name, one.as_rows_come, one.evenly) == ("y0", pytest.approx(0.5), pytest.approx(0.5))
    assert (other.as_rows_come, other.bias["many"]) == (pytest.approx(3.0), pytest.approx(-3.0))
    weight = np.where(np.arange(len(y)) % 2, 9.0, 1.0)
    uneven = pred + np.where(np.arange(len(y)) % 2, 1.0, 0.0)[:, None]
    heavy, _ = errors_by_output(y, uneven, task.shots, ("y0", "y1"), weight)
    assert heavy.mae["many"] > errors_by_output(y, uneven, task.shots, ("y0", "y1"))[0].mae["many"]


def test_terminal_page_and_json_have_a_line_an_output(tmp_path, capsys):
    table, out = tmp_path / "t.csv", tmp_path / "run"
    frame().to_csv(table, index=False)
    words = ["-t", "y0", "-t", "y1", "--method", "vanilla", "--encoder", "mlp", "--epochs", "2", "--out", str(out)]
    assert run(["train", str(table), *words]) == 0
    shown = capsys.readouterr().out
    assert "Each target" in shown
    outputs = json.loads((out / "outputs.json").read_text())
    assert [one["name"] for one in outputs] == ["y0", "y1"]
    predictions = pd.read_parquet(out / "predictions.parquet").query("split == 'test'")
    for one in outputs:
        error = (predictions[f"prediction_{one['name']}"] - predictions[f"target_{one['name']}"]).abs()
        rows = [one["mae"][region] for region in one["mae"]]
        assert min(rows) <= error.mean() <= max(rows)
    assert "outputs.json" in json.loads((out / "manifest.json").read_text())["sha256"]
    page = (out / "report.html").read_text()
    assert 'aria-label="Errors of each target alone"' in page
    assert run(["evaluate", str(out), str(table), "--out", str(tmp_path / "m.json")]) == 0
    assert [one["name"] for one in json.loads((tmp_path / "m.json").read_text())["outputs"]] == ["y0", "y1"]


def test_many_outputs_are_as_rare_as_their_rarest_label():
    y = np.zeros((100, 4))
    y[:5, 2] = 1.0
    bins = OutputBins.from_labels(y, [Bins.from_edges([-0.5, 0.5, 1.5])] * 4)
    shots = Shots.of_outputs(y, bins, (50, 10))
    assert shots.names(y[:6]).tolist() == ["few"] * 5 + ["many"]
    assert shots.names([[0.0, 0.0, 0.0, 1.0]]).tolist() == ["zero"]
    assert shots.counts.sum() == 100
    loaded = Shots.from_json(json.loads(json.dumps(shots.to_json())))
    np.testing.assert_array_equal(loaded.codes(y), shots.codes(y))
    assert shots.of_output(2).counts.tolist() == [95, 5]


def test_errors_of_many_units_are_root_mean_squares_in_standard_deviations():
    table = frame(6)
    targets = [f"y{j}" for j in range(6)]
    task = prepare(table, targets)
    _, y = task.rows_of("test")
    spread = task.rows_of("train")[1].std(axis=0)
    metrics = region_metrics(y, y + 0.5 * spread, task.shots, resamples=20)["all"].metrics
    for name in ("mae", "rmse", "gm", "bmae"):
        assert metrics[name].value == pytest.approx(0.5), name
    assert region_errors(y, y + 0.5 * spread, task.shots)["all"]["mae"] == pytest.approx(0.5)
    assert error_as_rows_come(y, y + 0.5 * spread, task.shots) == pytest.approx(0.5)


def test_no_unit_decides_the_training():
    """An output in thousands learns as one in ones does, and a change of unit changes no prediction but by the unit."""
    table = frame(5, 400)
    targets = [f"y{j}" for j in range(5)]
    recipe = Recipe(epochs=15, lr=3e-3)
    experiment = Experiment("vanilla", encoder="mlp", recipe=recipe)
    task = prepare(table, targets)
    model = fit(task, experiment)
    relative = [one.as_rows_come / table[one.name].std() for one in evaluate(model, task).outputs]
    assert max(relative) < 0.6
    assert max(relative) < 3 * min(relative)
    other = fit(prepare(table.assign(y2=1000 * table["y2"]), targets), experiment)
    new = table[["x0", "x1", "x2"]]
    ratio = other.predict(new)[:, 2] / model.predict(new)[:, 2]
    assert np.median(np.abs(ratio - 1000)) < 10


def test_many_outputs_go_from_the_command_to_new_rows(tmp_path, capsys):
    table, out = tmp_path / "t.csv", tmp_path / "run"
    frame(5, 200).to_csv(table, index=False)
    targets = [word for j in range(5) for word in ("-t", f"y{j}")]
    words = ["--encoder", "mlp", "--epochs", "1", "--out", str(out)]
    assert run(["train", str(table), *targets, "--method", "vanilla", *words]) == 0
    assert "standard deviations of the 5 targets" in capsys.readouterr().out
    predicted = tmp_path / "p.csv"
    assert run(["predict", str(out), str(table), "--out", str(predicted)]) == 0
    found = pd.read_csv(predicted)
    assert {f"prediction_y{j}" for j in range(5)} <= set(found)
    kept = pd.read_parquet(out / "predictions.parquet")
    np.testing.assert_allclose(found["prediction_y4"][kept["row"]], kept["prediction_y4"], rtol=1e-4)
    assert run(["evaluate", str(out), str(table), "--out", str(tmp_path / "m.json")]) == 0
    assert len(json.loads((tmp_path / "m.json").read_text())["outputs"]) == 5
    page = (out / "report.html").read_text()
    assert "a row is as rare as its rarest label" in page
    assert run(["predict", str(out), str(table), "--balance", "0.5", "--out", str(tmp_path / "q.csv")]) == 2
    assert not (tmp_path / "q.csv").exists()


def test_too_many_outputs_are_refused(tmp_path, capsys):
    table = frame(51, 60)
    targets = [f"y{j}" for j in range(51)]
    with pytest.raises(InputError, match="a model has 1 to 50 targets, got 51"):
        prepare(table, targets)
    with pytest.raises(InputError, match="have no common bins"):
        fit(prepare(frame(4), targets[:4]), Experiment("fds", encoder="mlp", recipe=Recipe(epochs=1)))
    with pytest.raises(InputError, match="a mean over the targets, and MixtureLikelihood is one of all together"):
        fit(prepare(frame(4), targets[:4]), Experiment("sqinv+mixture", encoder="mlp", recipe=Recipe(epochs=1)))
    table.to_csv(tmp_path / "t.csv", index=False)
    words = [word for name in targets for word in ("-t", name)]
    assert run(["train", str(tmp_path / "t.csv"), *words, "--out", str(tmp_path / "r")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "r").exists()


def whole_labels(n=300, k=4):
    """Whole numbers, which lie on the edges of bins of width 1, with spreads that divide nothing evenly."""
    rng = np.random.default_rng(3)
    return np.stack([rng.binomial(3 + j, 0.4, n) for j in range(k)], axis=1).astype(float)


@pytest.mark.parametrize(
    ("method", "make"),
    [
        ("inv", partial(density_weights, power=1.0)),
        ("sqinv+lds", partial(density_weights, power=0.5, density=LDS())),
        ("effective", effective_number_weights),
    ],
)
@pytest.mark.filterwarnings("ignore:the weights are extreme")
def test_weights_by_bin_are_those_of_each_target_alone(method, make):
    y = whole_labels()
    axes = [Bins.from_edges(np.arange(0, y[:, j].max() + 2)) for j in range(4)]
    bins = OutputBins.from_labels(y, axes)
    step = compose(method).build(Regressor(torch.nn.Linear(3, 4), 4, 4), y / bins.spread, bins.scaled())
    labels = torch.from_numpy(y).float() / torch.from_numpy(bins.spread).float()
    found = step.weights(labels)
    assert found.shape == (300, 4)
    for j, axis in enumerate(axes):
        expected = make(y[:, j], axis).sample_weight(y[:, j])
        np.testing.assert_allclose(found[:, j].numpy(), expected, rtol=1e-5, err_msg=str(j))
    np.testing.assert_allclose(step.weights.sample_weight(labels.numpy()), found.numpy(), rtol=1e-5)
    terms = step(torch.randn(300, 3), labels)
    assert np.isfinite(float(terms["loss"].detach()))


def test_weights_by_bin_and_target_multiply():
    y = whole_labels()
    plain = OutputBins.from_labels(y, [Bins.from_edges(np.arange(0, y[:, j].max() + 2)) for j in range(4)])
    heavy = OutputBins(plain.axes, plain.counts, plain.spread, (5.0, 1.0, 1.0, 1.0))
    labels = torch.from_numpy(y / plain.spread).float()

    def loss(bins):
        torch.manual_seed(0)
        step = compose("sqinv+l1").build(Regressor(torch.nn.Linear(3, 4), 4, 4), labels.numpy(), bins.scaled())
        return step.weights(labels), float(step(torch.ones(300, 3), labels)["loss"].detach()), step

    of_rows, weighted, step = loss(heavy)
    pred = step.model(torch.ones(300, 3)).detach()
    by_hand = (of_rows * torch.tensor([2.5, 0.5, 0.5, 0.5]) * (pred - labels).abs()).mean()
    assert weighted == pytest.approx(float(by_hand * step.loss_scale), rel=1e-5)
    assert loss(plain)[1] != pytest.approx(weighted, rel=1e-3)


class Watching(torch.nn.Module):
    def forward(self, features, target, pred, weight):
        self.seen = weight
        return 0 * pred.sum()


def test_regularizers_see_the_mean_weight_of_a_row():
    y = whole_labels()
    bins = OutputBins.from_labels(y, [Bins.from_edges(np.arange(0, y[:, j].max() + 2)) for j in range(4)])
    method = compose("sqinv+lds", regularizers={"watching": Watching()})
    step = method.build(Regressor(torch.nn.Linear(3, 4), 4, 4), y / bins.spread, bins.scaled())
    labels = torch.from_numpy(y / bins.spread).float()
    step(torch.randn(300, 3), labels)
    torch.testing.assert_close(step.regularizers["watching"].seen, step.weights(labels).mean(1))


def test_rare_values_of_each_target_gain_by_weights():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    targets = {f"y{j}": np.exp(0.4 * x[:, j] + rng.normal(0, 0.7, 600)) for j in range(4)}
    table = pd.DataFrame({f"x{j}": x[:, j] for j in range(4)} | targets)
    task = prepare(table, list(targets))
    rows, y = task.rows_of("test")
    highest = y > np.quantile(y, 0.9, axis=0)
    bias = {}
    for method in ("vanilla", "sqinv+lds"):
        model = fit(task, Experiment(method, encoder="mlp", recipe=Recipe(epochs=10, lr=3e-3)))
        error = model.predict(rows.frame()[["x0", "x1", "x2", "x3"]]) - y
        bias[method] = [error[highest[:, j], j].mean() for j in range(4)]
    assert max(bias["vanilla"]) < 0
    assert np.all(np.greater(bias["sqinv+lds"], bias["vanilla"]))  # less too low, each


@pytest.mark.parametrize("split", ["balanced", "random"])
def test_rows_of_each_of_four_targets_come_as_those_of_all_parts_do(split):
    table = frame(4, 600).assign(w=np.random.default_rng(1).integers(1, 5, 600).astype(float))
    task = prepare(table, [f"y{j}" for j in range(4)], split=split, weight="w")
    come = np.ones(len(task.y), dtype=bool) if split == "balanced" else task.part == "train"
    again = Shots.from_json(json.loads(json.dumps(task.shots.to_json())))
    for j, bins in enumerate(task.shots.bins.axes):
        rows = np.bincount(bins.index(task.y[come, j]), task.weight[come], bins.n_bins)
        np.testing.assert_array_equal(task.shots.of_output(j).population, rows)
        np.testing.assert_array_equal(again.of_output(j).population, rows)
        np.testing.assert_array_equal(task.shots.of_output(j).counts, bins.histogram(task.y[task.part == "train", j]))
