"""Weights of several targets: in the loss, in the choice of the epoch and in errors over all targets."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from tailwise import Bins, Experiment, InputError, Recipe, compose, evaluate, fit, prepare
from tailwise.cli.main import run
from tailwise.data.target_weight import target_weights
from tailwise.heads.point import Regressor
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.output_bins import OutputBins
from tailwise.metrics.errors import error_sizes, in_units
from tailwise.metrics.region_metrics import region_metrics


def frame(k, n=300):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    targets = {f"y{j}": np.exp(x[:, j % 3]) * (j + 1) + rng.normal(0, 0.3, n) for j in range(k)}
    return pd.DataFrame({f"x{j}": x[:, j] for j in range(3)} | targets)


def names(k):
    return [f"y{j}" for j in range(k)]


QUICK = Experiment("vanilla", encoder="mlp", recipe=Recipe(epochs=3))


@pytest.mark.parametrize("k", [2, 5])
def test_equal_weights_change_no_number(k):
    table = frame(k)
    plain = prepare(table, names(k))
    equal = prepare(table, names(k), target_weight=dict.fromkeys(names(k), 7.0))
    assert equal.notes == plain.notes
    assert equal.shots.to_json() == plain.shots.to_json()
    new = table[["x0", "x1", "x2"]]
    np.testing.assert_array_equal(fit(equal, QUICK).predict(new), fit(plain, QUICK).predict(new))
    assert prepare(table, names(k), target_weight={"y0": 2}).shots.bins.weights == (2.0, *[1.0] * (k - 1))


def test_errors_are_means_of_squares_by_weight():
    y, pred = np.zeros((50, 2)), np.tile([3.0, 4.0], (50, 1))
    y[::2] = 1.0
    pred[::2] += 1.0
    axes = (Bins.from_edges([-0.5, 0.5, 1.5]),) * 2
    grid = BinGrid(axes, (3.0, 1.0))
    np.testing.assert_allclose(error_sizes(*in_units(y, pred, grid)), np.sqrt((3 * 9 + 1 * 16) / 2))
    many = OutputBins.from_labels(y, axes)
    weighted = OutputBins(many.axes, many.counts, many.spread, (3.0, 1.0))
    expected = np.sqrt((3 * 9 + 1 * 16) / 4) / y.std()
    np.testing.assert_allclose(error_sizes(*in_units(y, pred, weighted)), expected)
    for bins in (grid, weighted):
        loaded = type(bins).from_json(json.loads(json.dumps(bins.to_json())))
        assert loaded.weights == (3.0, 1.0)
        np.testing.assert_array_equal(loaded.unit, bins.unit)


@pytest.mark.parametrize("k", [2, 5])
def test_every_overall_error_counts_by_the_weights(k):
    task = prepare(frame(k), names(k), target_weight={"y1": 100.0})
    y = task.rows_of("test")[1]
    spread = np.ones(k) if k == 2 else task.shots.bins.spread
    shift = np.eye(k)[1] * 0.5 * spread
    all_rows = region_metrics(y, y + shift, task.shots, resamples=20)["all"].metrics
    factor = np.sqrt(100 * k / (100 + k - 1)) / (1 if k == 2 else np.sqrt(k))
    for name in ("mae", "rmse", "gm", "bmae"):
        assert all_rows[name].value == pytest.approx(0.5 * factor), name
        assert all_rows[name].low == pytest.approx(0.5 * factor), name
    assert task.errors(y, y + shift)["both"] == pytest.approx(0.5 * factor)
    other = np.roll(shift / spread, 1) * spread
    assert task.errors(y, y + other)["both"] < 0.2 * task.errors(y, y + shift)["both"]


@pytest.mark.parametrize("method", ["vanilla", "l1", "huber", "focal_l1", "focal_mse", "sqinv"])
def test_the_loss_is_the_sum_of_the_losses_of_the_targets_by_weight(method):
    y = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).abs()
    axes = tuple(Bins.count(y[:, j].numpy(), 3) for j in range(2))

    def loss(weights, shift):
        grid = BinGrid(axes, weights)
        torch.manual_seed(0)
        step = compose(method).build(Regressor(torch.nn.Linear(1, 4), 4, 2), y.numpy(), grid)
        step.model.encode, step.model.head.forward = (lambda x: x), None
        step.model.head.outputs = lambda _: y + torch.tensor(shift)
        step.model.head.point = lambda outputs: outputs
        return float(step(torch.zeros(len(y), 1), y)["loss"])

    first, second = loss(None, [1.0, 0.0]), loss(None, [0.0, 1.0])
    assert loss((3.0, 1.0), [1.0, 1.0]) == pytest.approx(1.5 * first + 0.5 * second, rel=1e-5)
    assert loss((3.0, 1.0), [1.0, 0.0]) == pytest.approx(1.5 * first, rel=1e-5)


def test_a_heavy_target_is_learnt_better():
    """Two targets that one narrow network cannot both fit."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 6))
    table = pd.DataFrame(x, columns=[f"x{j}" for j in range(6)])
    table["a"] = np.sin(3 * x[:, 0]) * x[:, 1] + x[:, 2]
    table["b"] = np.cos(3 * x[:, 3]) * x[:, 4] + x[:, 5]
    experiment = Experiment("vanilla", encoder="mlp", params={"widths": (3,)}, recipe=Recipe(epochs=12, lr=1e-2))

    def errors(weights):
        task = prepare(table, ["a", "b"], target_weight=weights)
        return [one.as_rows_come for one in evaluate(fit(task, experiment), task).outputs]

    of_a, of_b = errors({"a": 50}), errors({"b": 50})
    assert of_a[0] < of_b[0]
    assert of_b[1] < of_a[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y9": 2.0}, "names 'y9', which is no target"),
        ({"x0": 2.0}, "names 'x0', which is no target"),
        ({"y0": 0.0}, "of 'y0' must be a finite number above 0, got 0.0"),
        ({"y0": float("nan")}, "must be a finite number above 0"),
        ({"y0": True}, "must be a finite number above 0"),
        (["y0=inf"], "must be a finite number above 0"),
        (["y0=many"], "must be a finite number above 0, got 'many'"),
        (["y0"], "must be NAME=WEIGHT, such as price=2, got 'y0'"),
        (["y0=1", "y0=2"], "names 'y0' twice"),
    ],
)
def test_weights_that_do_not_work(given, message):
    with pytest.raises(InputError, match=message) as error:
        prepare(frame(2), ["y0", "y1"], target_weight=given)
    assert "\n" not in str(error.value)


def test_weights_where_they_mean_nothing(tmp_path, capsys):
    with pytest.raises(InputError, match="among several targets, and there is one"):
        prepare(frame(2), "y0", target_weight={"y0": 2.0})
    task = prepare(frame(2), ["y0", "y1"], target_weight={"y0": 2.0})
    for method in ("mixture", "bmc", "rrt+bmc"):
        with pytest.raises(InputError, match="need a loss that is a mean over the targets"):
            fit(task, Experiment(method, encoder="mlp", recipe=Recipe(epochs=1)))
    model = Regressor(torch.nn.Linear(3, 4), 4, 2)
    with pytest.raises(InputError, match="need a loss that is a mean over the targets, and MSELoss"):
        compose("vanilla", loss=torch.nn.MSELoss()).build(model, task.rows_of("train")[1], task.shots.bins)
    frame(2).to_csv(tmp_path / "t.csv", index=False)
    words = ["train", str(tmp_path / "t.csv"), "-t", "y0", "--target-weight", "y0=2", "--out", str(tmp_path / "r")]
    assert run(words) == 2
    assert "--target-weight divides the training among several targets" in capsys.readouterr().err


def test_names_with_an_equals_sign():
    assert target_weights(["a=b=2"], ["a=b", "c"]) == {"a=b": 2.0}


def test_weights_go_from_the_command_to_new_rows_and_other_runs(tmp_path, capsys):
    table, plain, out = tmp_path / "t.csv", tmp_path / "plain", tmp_path / "run"
    frame(2).to_csv(table, index=False)
    words = ["train", str(table), "-t", "y0", "-t", "y1", "--method", "vanilla", "--encoder", "mlp", "--epochs", "2"]
    assert run([*words, "--out", str(plain)]) == 0
    assert run([*words, "--target-weight", "y1=3", "--against", str(plain), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "by --target-weight: y0 25 %, y1 75 %" in " ".join(shown.err.split())
    assert "weights 1, 3" in " ".join(shown.out.split())
    assert json.loads((out / "config.json").read_text())["table"]["target_weight"] == {"y1": 3.0}
    assert "count by the weights 1, 3." in (out / "report.html").read_text()

    rows = pd.read_parquet(out / "predictions.parquet").query("split == 'test'")
    squares = [(rows[f"prediction_y{j}"] - rows[f"target_y{j}"]) ** 2 for j in range(2)]
    expected = np.sqrt(0.5 * squares[0] + 1.5 * squares[1]).mean()
    assert json.loads((out / "metrics.json").read_text())["all"]["mae"]["value"] == pytest.approx(expected)

    frame(2).iloc[rows["row"]].to_csv(tmp_path / "test.csv", index=False)
    assert run(["evaluate", str(out), str(tmp_path / "test.csv"), "--out", str(tmp_path / "m.json")]) == 0
    again = json.loads((tmp_path / "m.json").read_text())["all"]["mae"]["value"]
    assert again == pytest.approx(expected, rel=1e-4)
    assert "weights 1, 3" in " ".join(capsys.readouterr().out.split())
