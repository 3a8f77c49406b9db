"""Results in notebooks: tables with escaped text, and the progress of a training."""

import html
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

import tailwise
from conftest import toy_frame
from tailwise import Experiment, Recipe, evaluate, prepare
from tailwise._html import html_table
from tailwise._numbers import number
from tailwise.compare.comparison import GridComparison
from tailwise.compare.statistics import compare_methods
from tailwise.compare.table_comparison import TableComparison
from tailwise.diagnose import diagnose
from tailwise.experiment.leaderboard import Leaderboard
from tailwise.training.epoch import Epoch
from tailwise.training.epoch_bar import EpochLine, epoch_bar

NASTY = "price <script>"


class Cells(HTMLParser):
    """The cells of each row, checked for balanced tags."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.tags = [], [], set()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def task():
    return prepare(toy_frame(400).rename(columns={"price": NASTY}), NASTY)


@pytest.fixture(scope="module")
def model(task):
    return tailwise.fit(task, Experiment("vanilla", model="lightgbm", params={"n_estimators": 5}))


def checked(shown):
    """Parse tables that show no markup of names, and no colour that a dark notebook would hide."""
    cells = Cells(shown)
    assert "script" not in cells.tags
    assert not re.search(r"(?<![-\w])(color|background)", shown)
    return cells.rows


def test_an_evaluation(task, model):
    evaluation = evaluate(model, task)
    rows = checked(evaluation._repr_html_())
    assert rows[0] == ["region", "n", "MAE", "95 % interval", "RMSE", "bias"]
    assert rows[1][0] == "As rows come"
    assert rows[1][2] == number(evaluation.as_rows_come.value)
    assert rows[2][2] == number(evaluation.regions["all"].metrics["bmae"].value)
    by_name = {row[0]: row for row in rows[3:]}
    assert list(by_name) == [name.capitalize() for name in evaluation.regions]
    assert by_name["All"][1] == f"{evaluation.regions['all'].n:,}"


def test_a_model(model):
    rows = checked(model._repr_html_())
    assert ["target", NASTY] in rows
    assert ["columns", "2 numeric, 1 nominal, 1 boolean, 1 date"] in rows


def test_a_leaderboard(task):
    y = task.rows_of("val")[1]
    board = Leaderboard.of(y, y, {"network <b>": y + 1}, task.shots, None)
    rows = checked(board._repr_html_())
    assert [row[0] for row in rows[1:]] == ["stack", "network <b>", "constant"]
    assert rows[2][1:3] == ["1", "1"]


def test_a_comparison():
    scores = {"vanilla": {"come": [3.0, 3.1, 3.0], "few": [9.0, 9.5, 9.1]}}
    scores["lds"] = {"come": [3.1, 3.0, 3.0], "few": [7.0, 7.6, 7.0]}
    compared = compare_methods(scores, "vanilla", n_train=800, n_test=200)
    arrays = {name: {score: np.array(v) for score, v in by_score.items()} for name, by_score in scores.items()}
    table = TableComparison("houses <b>", NASTY, arrays, compared, {}, {})
    shown = GridComparison("vanilla", ("vanilla", "lds"), (table,), {}, 3, 3)._repr_html_()
    rows = checked(shown)
    assert rows[0] == ["", "As rows come", "Few"]
    assert rows[2] == ["lds", "3.033", "7.2 better"]
    assert html.escape("houses <b>") in shown


def test_a_diagnosis():
    frame = toy_frame(300).rename(columns={"price": NASTY})
    diagnosis = diagnose(frame, NASTY, quick_model=False)
    shown = diagnosis._repr_html_()
    rows = checked(shown)
    assert ["rows", "300"] in rows
    assert any(row[0] == "Few" for row in rows)
    assert html.escape(diagnosis.advice[0].action) in shown


def test_text_is_escaped():
    assert "<i>" not in html_table("<i>", ["<i>"], [["<i>"]], "<i>")


def epochs(**changes):
    first = {"stage": 0, "of": 3, "terms": {}, "validation": {"mae": 2.0}, "lr": 0.0, "seconds": 0.1, "best": True}
    return [Epoch(**{**first, **changes, "epoch": i}) for i in range(2)]


@pytest.mark.parametrize(
    ("changes", "step"),
    [({"terms": {"mse": 1.0}}, "epoch"), ({"lr": 0.1}, "round"), ({}, "model"), ({"model": "tabm"}, "tabm, fold")],
)
def test_a_bar_names_its_steps(changes, step):
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    with epoch_bar(console) as bar:
        for epoch in epochs(**changes):
            bar.show(epoch)
    last = console.export_text().strip().splitlines()[-1]
    assert f"{step} 2/2" in last
    assert "MAE 2" in last


def test_a_line_is_overwritten(capsys):
    line = EpochLine()
    for epoch in epochs(lr=0.1):
        line.show(epoch)
    line.finish()
    assert capsys.readouterr().err == "\rround 1/3 MAE 2\rround 2/3 MAE 2\n"


def test_verbose(task, capsys):
    tailwise.fit(task, Experiment("vanilla", recipe=Recipe(epochs=1, device="cpu")), verbose=True)
    assert "epoch 1/1" in capsys.readouterr().err
    tailwise.fit(task, Experiment("vanilla", recipe=Recipe(epochs=1, device="cpu")))
    assert capsys.readouterr().err == ""


def test_an_estimator_is_verbose(capsys):
    frame = toy_frame(100)
    quiet = tailwise.ImbalancedRegressor("vanilla", epochs=1, device="cpu")
    quiet.set_params(verbose=True).fit(frame[["x1"]], frame["price"])
    assert "epoch 1/1" in capsys.readouterr().err
