"""Options of `train` that `compare` and `tune` take too: tables of parts, kinds of columns, the split, censoring."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import toy_frame
from tailwise import Experiment, InputError, Recipe, evaluate, fit, prepare
from tailwise.cli.main import run
from tailwise.compare.entries import entries_of
from tailwise.compare.grid import run_grid
from tailwise.compare.plan import plan_cells
from tailwise.compare.predictions import Predictions
from tailwise.compare.shares import shares_tested
from tailwise.experiment.fit import start
from tailwise.search.aim import Aim
from tailwise.search.space import Space
from tailwise.search.study import Search
from tailwise.search.train_command import train_command
from test_censored import houses
from test_cli import refused

LINEAR = ["-m", "vanilla", "inv", "--model", "linear", "--seeds", "2", "--preset", "standard"]
LIMITS = {"censored_above": 3.0}


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = toy_frame(400)
    frame.head(300).to_csv("train.csv", index=False)
    frame.tail(100).to_csv("test.csv", index=False)
    return frame


@pytest.fixture
def light(monkeypatch):
    monkeypatch.setattr("tailwise.report.compare_page.compare_page", lambda *_, **__: "<html></html>")


def cells_of(folder="c"):
    return [json.loads(path.read_text()) for path in sorted((Path(folder) / "cells").rglob("linear*.json"))]


@pytest.mark.usefixtures("light")
class TestCompare:
    def test_a_table_of_test_rows_is_tested_by_every_seed(self, tables, tmp_path):
        words = ["compare", "train.csv", "-t", "price", *LINEAR, "--test", "test.csv", "-o", "c"]
        assert run(words) == 0
        cells = cells_of()
        assert {cell["rows"]["test"] for cell in cells} == {100}
        assert {cell["cell"]["choices"]["test"] for cell in cells} == {"test.csv"}
        for path in sorted((tmp_path / "c" / "cells").rglob("linear*.npz")):
            predictions = Predictions.read(path)
            np.testing.assert_array_equal(predictions.row, np.arange(300, 400))
            np.testing.assert_allclose(predictions.target, tables["price"].tail(100))
        assert all(set(cell["tested"].values()) == {0.5} for cell in cells)

    def test_changed_test_rows_are_tested_again(self, tables):
        words = ["compare", "train.csv", "-t", "price", *LINEAR, "--test", "test.csv", "-o", "c"]
        assert run(words) == 0
        first = [cell["metrics"]["all"]["mae"] for cell in cells_of()]
        tables.tail(100).assign(price=lambda f: f["price"] + 100).to_csv("test.csv", index=False)
        assert run(words) == 0
        assert all(cell["metrics"]["all"]["mae"] > mae + 50 for cell, mae in zip(cells_of(), first, strict=True))

    def test_the_number_of_rows_is_one_of_the_table(self, tables, tmp_path):
        choices = {"test": "test.csv", "valid": "test.csv"}
        entries = entries_of(["vanilla", "inv"], ["linear"])
        (cell, *_) = plan_cells([("train.csv", "price")], entries, choices=choices, seeds=1, rows=150)
        (_, result), *_ = run_grid([cell], tmp_path / "g")
        assert result["rows"] == {"train": 150, "val": 100, "test": 100}
        np.testing.assert_array_equal(Predictions.read(cell.predictions_file(tmp_path / "g")).row, np.arange(300, 400))

    def test_split_and_kinds_of_columns(self, tables):
        frame = tables.assign(code=np.arange(400) % 3, day="2020-01-0" + pd.Series(np.arange(400) % 9 + 1).astype(str))
        frame["code"] = frame["code"].map({0: "1", 1: "2", 2: "x"})
        frame.to_csv("train.csv", index=False)
        assert run(["compare", "train.csv", "-t", "price", *LINEAR, "--split", "random", "-o", "c"]) == 0
        assert {cell["rows"]["test"] for cell in cells_of()} == {60}
        assert {cell["cell"]["choices"]["split"] for cell in cells_of()} == {"random"}
        assert run(["compare", "train.csv", "-t", "price", *LINEAR, "-o", "d"]) == 0
        assert not {"split", "numeric", "date", "test"} & set(cells_of("d")[0]["cell"]["choices"])

    def test_columns_of_a_kind_reach_the_preparation(self, tables, capsys):
        for option in ("--numeric", "--date"):
            line = refused(capsys, "compare", "train.csv", "-t", "price", *LINEAR, option, "city", "-o", "c")
            assert "'city'" in line

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("train.csv test.csv --test test.csv", "--test is a part of one table, and there are 2"),
            ("train.csv --test test.csv --folds 3", "--folds draws the test rows, and --test says which they are"),
            ("train.csv --split random --folds 3", "--folds draws the test rows, and --split says which they are"),
            ("train.csv --valid test.csv --time x1", "with --time each of the --seeds tests earlier rows, and --valid"),
            ("train.csv --test nope.csv", "no file 'nope.csv'"),
            ("train.csv --test test.csv --split random", "--test and --valid name the parts"),
            ("train.csv --split halves", "halves"),
            ("train.csv --censored-above 1e6", "entry 'linear vanilla censored above 1e+06'"),
            ("train.csv --censored-above nan", "--censored-above must be a finite number"),
        ],
    )
    def test_mistakes_are_one_line(self, tables, tmp_path, capsys, words, message):
        assert message in refused(capsys, "compare", *words.split(), "-t", "price", *LINEAR, "-o", "c")
        assert not (tmp_path / "c").exists()


class TestSharesTested:
    def test_rows_that_every_seed_tests_count_whole(self, tables):
        task = prepare("train.csv", "price", test="test.csv")
        assert set(shares_tested(task, again=True).values()) == {0.5}
        assert shares_tested(task)["all"] == pytest.approx(0.25)


class TestCensored:
    @pytest.fixture
    def censored(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        houses()[0].to_csv("houses.csv", index=False)

    def test_entries_by_default_have_the_likelihood(self):
        from tailwise.compare.entries import default_methods, default_models

        methods, models = default_methods(censored=True), default_models(censored=True)
        entries = entries_of(methods, models, limits=LIMITS)
        assert [entry.name for entry in entries] == ["auto mixture censored above 3", "stack censored above 3"]
        assert all(entry.balance == 0 and entry.censored_above == 3 for entry in entries)

    @pytest.mark.usefixtures("censored")
    def test_an_entry_without_the_likelihood_is_named(self):
        entries = entries_of(["mixture"], ["mlp", "linear"], limits=LIMITS)
        with pytest.raises(InputError, match=r"entry 'linear mixture censored above 3': .* has none") as error:
            plan_cells([("houses.csv", "price")], entries)
        assert "mlp" not in str(error.value)
        with pytest.raises(InputError, match="no training label is at `censored_above=9`"):
            plan_cells(
                [("houses.csv", "price")], entries_of(["mixture"], ["mlp", "stack"], limits={"censored_above": 9})
            )

    @pytest.mark.slow
    @pytest.mark.usefixtures("censored")
    def test_errors_are_those_of_a_training(self, tmp_path):
        entries = entries_of(["mixture", "sqinv+mixture"], ["mlp"], recipe={"epochs": 2}, limits=LIMITS)
        cell = plan_cells([("houses.csv", "price")], entries, choices={"split": "random"}, seeds=1)[0]
        ((_, result),) = run_grid([cell], tmp_path / "g")
        task = prepare("houses.csv", "price", split="random")
        model = fit(task, Experiment("mixture", encoder="mlp", recipe=Recipe(epochs=2), **LIMITS))
        expected = evaluate(model, task)
        assert result["metrics"]["all"]["mae"] == pytest.approx(expected.metrics()["all"]["mae"])
        stored = Predictions.read(cell.predictions_file(tmp_path / "g"))
        assert stored.error.mean() == pytest.approx(expected.metrics()["all"]["mae"])
        assert (stored.prediction[stored.target == 3] <= 3).all()
        assert (expected.predicted.pred > 3).any()


@pytest.mark.slow
class TestTune:
    FAST = ("--model", "linear", "-m", "inv", "--minimise", "bmae", "--trials", "1", "--seeds", "1")

    def test_a_table_of_test_rows(self, tables, capsys):
        pytest.importorskip("optuna")
        words = ["tune", "train.csv", "-t", "price", *self.FAST, "--test", "test.csv", "-o", "t"]
        assert run(words) == 0
        report = json.loads(Path("t/tune.json").read_text())
        assert report["outer"]["all"]["n"] == 100
        assert "--test test.csv" in report["command"]
        tables.tail(100).assign(price=lambda f: f["price"] + 100).to_csv("test.csv", index=False)
        assert run(words) == 2  # the study is one of other rows
        capsys.readouterr()
        for option in ("--numeric", "--date"):
            line = refused(capsys, "tune", "train.csv", "-t", "price", *self.FAST, option, "city", "-o", "n")
            assert "'city'" in line


class TestTuneCensored:
    def test_the_space_has_methods_with_the_likelihood(self):
        space = Space.of([], "network", [], None, LIMITS)
        assert space.plain(Recipe()) == Experiment("mixture", censored_above=3.0)
        assert space.plain_method == "mixture"
        assert all("mixture" in method for method in space.methods)
        assert space.described()["censored_above"] == 3
        assert not {"censored_above", "censored_below", "transform"} & set(Space.of([], "network", []).described())

    @pytest.mark.parametrize(
        ("methods", "model", "message"),
        [
            (["vanilla"], "network", "`censored_above` needs a likelihood of censored labels, and 'vanilla' has none"),
            ([], "lightgbm", "model 'lightgbm' has none"),
            (["cmixup+mixture"], "network", "takes labels for true values"),
        ],
    )
    def test_what_has_no_likelihood_is_named(self, methods, model, message):
        with pytest.raises(InputError, match=message):
            Space.of(methods, model, [], None, LIMITS)

    def test_a_limit_without_labels_writes_nothing(self, tables, tmp_path, capsys):
        pytest.importorskip("optuna")
        line = refused(
            capsys, "tune", "train.csv", "-t", "price", "--minimise", "bmae", "--censored-above", "1e6", "-o", "t"
        )
        assert "no training label is at --censored-above 1e+06" in line
        assert not (tmp_path / "t").exists()

    @pytest.mark.slow
    def test_a_stack_knows_the_limit(self, tmp_path, monkeypatch):
        pytest.importorskip("optuna")
        monkeypatch.setattr("tailwise.search.space.other_experts", lambda: ["lightgbm", "linear"])
        table = prepare(houses()[0], "price", split="random")
        space = Space.of([], "stack", [], None, LIMITS)
        search = Search(table, space, Aim("bmae", 0.5), Recipe(epochs=2, device="cpu"), settings={}, folder=tmp_path)
        (trial,) = search.run(1)
        experiment = space.stored(trial.drawn, search.recipe)
        assert "mixture network" in experiment.params["experts"]
        assert (experiment.censored_above, experiment.balance) == (3.0, 0.0)
        assert "--censored-above 3" in train_command("houses.csv", "price", experiment, search.recipe, {})
        stack = start(table, experiment).fitting
        list(stack.epochs())
        known = stack.out_of_fold
        y, pred = table.y[known.rows], known.outputs.predictive.median()
        error = np.abs(np.where(y >= 3, np.minimum(pred, 3), pred) - y).mean()
        assert trial.errors["mae"] == pytest.approx(error)
        assert error < np.abs(pred - y).mean()

    @pytest.mark.slow
    def test_errors_and_command_know_the_limit(self, tmp_path, monkeypatch, capsys):
        pytest.importorskip("optuna")
        monkeypatch.chdir(tmp_path)
        houses()[0].to_csv("houses.csv", index=False)
        words = ["tune", "houses.csv", "-t", "price", "--minimise", "bmae", "--trials", "2", "--seeds", "1"]
        words += ["-m", "mixture", "--encoder", "mlp", "--epochs", "3", "--device", "cpu", "--split", "random"]
        assert run([*words, "--censored-above", "3", "-o", "t"]) == 0
        shown = capsys.readouterr()
        assert "labels are censored at 3" in " ".join(shown.err.split())
        assert "and mixture: MAE on test rows" in " ".join(shown.out.split())
        report = json.loads(Path("t/tune.json").read_text())
        assert "--censored-above 3" in report["command"]
        assert "vanilla" not in Path("t/tune.html").read_text()
        task = prepare("houses.csv", "price", split="random")
        plain = Experiment("mixture", recipe=Recipe(epochs=3, criterion="bmae", device="cpu"), censored_above=3.0)
        predicted = evaluate(fit(task, plain), task).predicted
        error = np.abs(predicted.counted() - predicted.y).mean()
        assert report["outer"]["all"]["vanilla"] == pytest.approx(error, rel=1e-3)
        assert error < np.abs(predicted.pred - predicted.y).mean()
