"""Several targets: errors of each alone, in its own unit and regions, in terminal, page and JSON."""

import json

import numpy as np
import pandas as pd
import pytest

from tailwise import InputError, Shots, prepare
from tailwise.cli.main import run
from tailwise.experiment.leaderboard import errors_by_output

N = 300


def frame(k=2, n=N):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    targets = {f"y{j}": 10.0**j * np.exp(x[:, j % 3]) + rng.normal(0, 0.1, n) for j in range(k)}
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
