import json
from dataclasses import replace

import pytest

from tailwise.bench import grid
from tailwise.bench.grid import Cell, Entry, read_cell, run_grid

FAST = {"epochs": 1}


@pytest.fixture
def cell(toy_csv):
    return Cell("toy", str(toy_csv), "price", Entry("sqinv+lds", recipe=FAST, params={"widths": (8,)}), seed=0)


def test_a_cell_is_what_the_command_gives(cell, toy_csv, tmp_path):
    from tailwise.cli.main import run

    entry = Entry("vanilla", model="linear")
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


def test_what_is_finished_is_not_run_again(cell, tmp_path, monkeypatch):
    ((_, first),) = run_grid([cell], tmp_path)
    monkeypatch.setattr(grid, "_trained", lambda cell: pytest.fail("it was trained again"))
    ((_, again),) = run_grid([cell], tmp_path)
    assert again == json.loads(json.dumps(first))
    assert read_cell(replace(cell, entry=replace(cell.entry, recipe={"epochs": 2})), tmp_path) is None
    assert read_cell(replace(cell, rows=100), tmp_path) is None
    cell.file(tmp_path).write_text("half a fi")
    assert read_cell(cell, tmp_path) is None


def test_a_cell_that_fails_does_not_stop_the_others(cell, tmp_path):
    wrong = replace(cell, entry=Entry("sqinv+con"))
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
    entries = [Entry("vanilla", model="lightgbm", params={"num_leaves": n, "n_estimators": 5}) for n in (3, 31)]
    cells = [replace(cell, entry=entry) for entry in entries]
    list(run_grid(cells, tmp_path))
    assert all(read_cell(c, tmp_path) for c in cells)
