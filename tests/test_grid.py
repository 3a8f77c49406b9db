import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tailwise import InputError
from tailwise.compare import grid
from tailwise.compare.cell import Cell
from tailwise.compare.grid import read_cell, run_grid
from tailwise.compare.predictions import Predictions
from tailwise.experiment.spec import Experiment
from tailwise.training.recipe import Recipe

FAST = Recipe(epochs=1)


@pytest.fixture
def cell(toy_csv):
    return Cell(
        "toy",
        str(toy_csv),
        "price",
        Experiment("sqinv+lds", recipe=FAST, params={"widths": (8,)}, encoder="mlp"),
        seed=0,
    )


@pytest.mark.slow
def test_a_cell_is_what_the_command_gives(cell, toy_csv, tmp_path):
    from tailwise.cli.main import run

    entry = Experiment("vanilla", model="linear")
    ((_, found),) = run_grid([replace(cell, entry=entry, seed=3)], tmp_path / "grid")
    out = tmp_path / "run"
    assert (
        run(["train", str(toy_csv), "-t", "price", "-m", "vanilla", "--model", "linear", "--seed", "3", "-o", str(out)])
        == 0
    )
    metrics = json.loads((out / "metrics.json").read_text())
    for region in ("all", "many", "medium"):
        assert found["metrics"][region]["mae"] == pytest.approx(metrics[region]["mae"]["value"])
    coverage = json.loads((out / "intervals.json").read_text())
    assert found["coverage"] == coverage


@pytest.mark.parametrize("parts", [{}, {"rows": 150}, {"folds": 3, "fold": 1}, {"rows": 200, "folds": 3, "fold": 0}])
def test_a_cell_keeps_the_predictions_its_errors_are_of(cell, parts, toy_csv, tmp_path):
    frame = pd.read_csv(toy_csv)
    frame.loc[[3, 40, 77], "price"] = np.nan  # rows that are left out do not shift the others
    frame.to_csv(toy_csv, index=False)
    choices = {"drop_missing_target": True}
    cell = replace(cell, entry=Experiment("inv", model="linear"), choices=choices, seed=1, **parts)
    ((_, found),) = run_grid([cell], tmp_path)
    tested = Predictions.read(cell.predictions_file(tmp_path))
    assert tested.target.tolist() == frame["price"].to_numpy()[tested.row].tolist()
    assert np.unique(tested.row).size == tested.row.size == found["rows"]["test"]
    for region in ("all", "many", "medium", "few"):
        here = tested.within(region)
        assert (region in found["tested"]) == here.any()
        assert here.sum() == found["metrics"][region]["n"]
        if here.any():
            assert tested.error[here].mean() == pytest.approx(found["metrics"][region]["mae"])
    means = [tested.error[tested.bin == b].mean() for b in np.unique(tested.bin)]
    assert np.mean(means) == pytest.approx(found["metrics"]["all"]["bmae"])


def test_cells_of_a_split_test_the_same_rows(cell, tmp_path):
    entries = [
        Experiment("vanilla", model="linear"),
        Experiment("ro", model="linear"),
        Experiment("inv", model="lightgbm"),
    ]
    cells = [replace(cell, entry=entry) for entry in entries]
    list(run_grid([*cells, replace(cells[0], seed=1)], tmp_path))
    first, *others = (Predictions.read(c.predictions_file(tmp_path)) for c in cells)
    assert all(first.same_rows(other) for other in others)
    assert not first.same_rows(Predictions.read(replace(cells[0], seed=1).predictions_file(tmp_path)))


def test_a_result_without_its_predictions_is_trained_again(cell, tmp_path):
    cell = replace(cell, entry=Experiment("inv", model="linear"))
    list(run_grid([cell], tmp_path))
    file = cell.predictions_file(tmp_path)
    whole = file.read_bytes()
    for broken in (None, whole[:-30], b""):
        if broken is None:
            file.unlink()
        else:
            file.write_bytes(broken)
        assert read_cell(cell, tmp_path) is None
        with pytest.raises(InputError, match="cannot be read; run the comparison again"):
            Predictions.read(cell.predictions_file(tmp_path))
        list(run_grid([cell], tmp_path))
        assert file.read_bytes() == whole
    old = json.loads(cell.file(tmp_path).read_text())
    del old["predictions"]
    cell.file(tmp_path).write_text(json.dumps(old))
    assert read_cell(cell, tmp_path) is None


def test_nothing_in_a_file_of_predictions_is_run(cell, tmp_path):
    file = cell.predictions_file(tmp_path)
    file.parent.mkdir(parents=True)
    names = ("row", "target", "prediction", "region", "bin")
    np.savez(file, **{name: np.array([print], dtype=object) for name in names})
    with pytest.raises(InputError, match="cannot be read"):
        Predictions.read(cell.predictions_file(tmp_path))


def test_what_is_finished_is_not_run_again(cell, tmp_path, monkeypatch):
    ((_, first),) = run_grid([cell], tmp_path)
    monkeypatch.setattr(grid, "_trained", lambda cell: pytest.fail("it was trained again"))
    ((_, again),) = run_grid([cell], tmp_path)
    assert again == json.loads(json.dumps(first))
    assert read_cell(replace(cell, entry=replace(cell.entry, recipe=Recipe(epochs=2))), tmp_path) is None
    assert read_cell(replace(cell, rows=100), tmp_path) is None
    cell.file(tmp_path).write_text("half a fi")
    assert read_cell(cell, tmp_path) is None


def test_a_cell_that_fails_does_not_stop_the_others(cell, tmp_path):
    wrong = replace(cell, entry=Experiment("sqinv+con", encoder="mlp"))
    found = {c.entry.name: result for c, result in run_grid([wrong, cell], tmp_path)}
    assert "unknown method part 'con'" in found["mlp sqinv+con"]["error"]
    assert found["mlp sqinv+lds"]["metrics"]["all"]["n"] > 0
    assert not wrong.file(tmp_path).exists()


def test_a_defect_of_a_cell_is_told(cell, tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "_trained", lambda cell: 1 / 0)
    ((_, found),) = run_grid([cell], tmp_path)
    assert found["error"] == "ZeroDivisionError: division by zero"


@pytest.mark.slow
def test_in_parallel_it_is_the_same(cell, tmp_path):
    cells = [replace(cell, seed=seed) for seed in (0, 1)]
    alone = {c.seed: result["metrics"] for c, result in run_grid(cells, tmp_path / "a")}
    together = {c.seed: result["metrics"] for c, result in run_grid(cells, tmp_path / "b", jobs=2)}
    assert alone == together


def test_rows_are_capped(cell, tmp_path):
    ((_, found),) = run_grid([replace(cell, rows=120)], tmp_path)
    assert sum(found["rows"].values()) == 120


def test_entries_that_differ_in_parameters_alone_have_files_of_their_own(cell, tmp_path):
    entries = [Experiment("vanilla", model="lightgbm", params={"num_leaves": n, "n_estimators": 5}) for n in (3, 31)]
    cells = [replace(cell, entry=entry) for entry in entries]
    list(run_grid(cells, tmp_path))
    assert all(read_cell(c, tmp_path) for c in cells)
