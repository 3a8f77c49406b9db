"""Permutation importance by region, and the command that shows it."""

import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest

from tailwise import Experiment, InputError, Recipe, fit, prepare
from tailwise._numbers import number
from tailwise.cli.main import run
from tailwise.experiment.importance import COME, ColumnImportance, Explanation, explain
from tailwise.experiment.worst_rows import WorstRow, WorstRows, in_common
from tailwise.metrics.confidence import Interval
from tailwise.report.explained_page import answer, explained_page

BOOSTED = ["--target", "y", "--method", "vanilla", "--model", "lightgbm"]


def table(n=500, seed=0):
    """Return rows of which only the rare large ones depend on `rare`; `dead` is of no use."""
    rng = np.random.default_rng(seed)
    level, rare, dead = rng.normal(size=n), rng.normal(size=n), rng.normal(size=n)
    high = rng.random(n) < 0.1
    y = 10 + level + np.where(high, 20 + 5 * rare, 0)
    return pd.DataFrame({"level": level, "high": np.where(high, "yes", "no"), "rare": rare, "dead": dead, "y": y})


@pytest.fixture(scope="module")
def fitted():
    task = prepare(table(), "y", bin_width=2.0, shots=(30, 10))
    return fit(task, Experiment("vanilla", model="lightgbm")), table(300, seed=1)


class TestImportance:
    def test_columns_matter_where_they_are_needed(self, fitted):
        model, new = fitted
        found = explain(model, new, new["y"], repeats=2)
        rise = {one.column: one.rise for one in found.columns}
        assert set(rise) == {"level", "high", "rare", "dead"}
        assert rise["rare"]["few"].low > 0
        assert rise["rare"]["few"].value > 5 * abs(rise["rare"]["many"].value)
        assert rise["level"]["many"].low > 0
        assert abs(rise["dead"]["few"].value) < 0.1 * rise["high"]["few"].value
        assert found.columns[0].column == "high"
        assert found.by == "few"
        assert sum(found.n.values()) == 300
        error, codes = np.abs(model.predict(new) - new["y"].to_numpy()), model.shots.codes(new["y"].to_numpy())
        assert found.mae["few"] == pytest.approx(error[codes == 2].mean())
        assert found.worst.rows[0].row == error.argmax()
        json.dumps(found.to_json(), allow_nan=False)

    def test_the_value_is_that_of_shuffled_rows(self, fitted):
        model, new = fitted
        found = explain(model, new, new["y"], repeats=1, seed=3)
        rng, true = np.random.default_rng(3), new["y"].to_numpy()
        first = new.assign(level=new["level"].to_numpy()[rng.integers(0, 300, 300)])
        by_hand = np.abs(model.predict(first) - true) - np.abs(model.predict(new) - true)
        many = model.shots.codes(true) == 0
        rise = {one.column: one.rise for one in found.columns}["level"]
        assert rise["many"].value == pytest.approx(by_hand[many].mean())
        assert rise["many"].low < rise["many"].value < rise["many"].high

    def test_a_prediction_that_stays_gives_exactly_0(self):
        params = {"n_estimators": 1, "min_child_samples": 10_000}
        model = fit(prepare(table(), "y"), Experiment("vanilla", model="lightgbm", params=params))
        new = table(300, seed=1)
        found = explain(model, new, new["y"], repeats=3)
        assert {rise.value for one in found.columns for rise in one.rise.values()} == {0.0}

    def test_samples_and_weights(self, fitted):
        model, new = fitted
        few = explain(model, new, new["y"], repeats=1, most=40)
        assert sum(few.n.values()) == 300
        weighted = explain(model, new, new["y"], repeats=1, sample_weight=np.linspace(0.1, 3, 300))
        plain = explain(model, new, new["y"], repeats=1)
        assert weighted.mae["as rows come"] != plain.mae["as rows come"]

    def test_mistakes(self, fitted):
        model, new = fitted
        with pytest.raises(InputError, match="y has 299 labels, and the table 300 rows"):
            explain(model, new, new["y"][1:])
        with pytest.raises(InputError, match="`repeats` must be"):
            explain(model, new, new["y"], repeats=0)
        both = prepare(new.assign(z=new["y"] + new["level"]), ["y", "z"])
        with pytest.raises(InputError, match="of models of one target"):
            explain(fit(both, Experiment("vanilla", recipe=Recipe(epochs=1, device="cpu"))), new, new["y"])


def explanation(**changes):
    """What 40 few-shot and 160 many-shot rows could give, with a name that must be escaped."""
    columns = (
        ColumnImportance("<i>", {COME: Interval(1.0), "many": Interval(0.2, 0.1, 0.3), "few": Interval(4.0, 3.0, 5.0)}),
        ColumnImportance("b", {COME: Interval(0.1), "many": Interval(0.1, 0.0, 0.2), "few": Interval(0.5, -1.0, 2.0)}),
    )
    worst = WorstRows(("<i>",), (WorstRow(7, "few", 30.0, 12.0, ("x",)),), ("b: 9 in the median, of all rows 2",), 9)
    plain = {"target": "y", "n": {"many": 160, "few": 40}, "mae": {COME: 2.0, "many": 1.0, "few": 6.0}, "by": "few"}
    return Explanation(**{**plain, "columns": columns, "worst": worst, **changes})


class TestPage:
    def test_the_answer(self):
        assert answer(explanation()) == [
            "The MAE of the 40 few-shot rows is 6, 3.0 times the 2 of rows as they come, in units of y.",
            "9 few-shot rows are predicted too low; they have in common: b: 9 in the median, of all rows 2.",
            "Of the columns, '<i>' matters most there: shuffled, the MAE rises by 4 (3 to 5).",
        ]

    def test_nothing_clear(self):
        found = explanation()
        unclear = explanation(columns=found.columns[1:], worst=replace(found.worst, too_low=()))
        assert "no column sets them apart" in answer(unclear)[1]
        assert "No column has a clear rise" in answer(unclear)[2]
        assert len(answer(explanation(worst=None))) == 2

    def test_text_is_escaped_and_all_values_are_there(self):
        text = explained_page(explanation(), title="<b>", rows="the rows of t.csv")
        assert "<i>" not in text
        assert "<b>" not in text.split("<style>")[0]
        for words in ("&lt;i&gt;", "-1 to 2", "-18", "n 160"):
            assert words in text
        assert text.count("<svg") == 1

    def test_many_columns_are_in_the_table_alone(self):
        columns = tuple(replace(explanation().columns[1], column=f"c{i:02d}") for i in range(14))
        text = explained_page(explanation(columns=columns), title="t", rows="r")
        chart, table = text[text.index("<svg") : text.index("</svg>")], text[text.index("</svg>") :]
        assert "c11" in chart
        assert "c12" not in chart
        assert "2 more columns are in the table" in table
        assert '<th scope="row">c13</th>' in table


def test_years_have_no_separators():
    frame = pd.DataFrame({"year": np.repeat([1990.0, 2015.0], [90, 10]), "area": np.repeat([1500.5, 9000.0], [90, 10])})
    assert sorted(in_common(frame, np.arange(100) >= 90)) == [
        "area: 9,000 in the median, of all rows 1,500",
        "year: 2015 in the median, of all rows 1990",
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    table().to_csv(folder / "t.csv", index=False)
    table(200, seed=2).to_csv(folder / "new.csv", index=False)
    assert run(["train", str(folder / "t.csv"), *BOOSTED, "--bin-width", "2", "--out", str(folder / "run")]) == 0
    return folder


class TestCommand:
    def test_the_test_rows_of_a_run(self, folder, capsys):
        out = folder / "e.json"
        assert run(["explain", str(folder / "run"), "--repeats", "1", "--out", str(out), "--overwrite"]) == 0
        said, found = capsys.readouterr().out, json.loads(out.read_text())
        metrics = json.loads((folder / "run" / "metrics.json").read_text())
        assert found["n"] == {name: metrics[name]["n"] for name in found["n"]}
        assert found["mae"]["many"] == pytest.approx(metrics["many"]["mae"]["value"])
        assert found["mae"]["as rows come"] == pytest.approx(metrics["all"]["as_rows_come"]["value"])
        assert "Rise of the MAE without a column" in said
        assert "Rows with the largest errors" in said
        assert "1 column not shown" in " ".join(said.split())
        answer = said.index(f"few-shot rows is {number(found['mae']['few'])}, ")
        assert answer < said.index("Of the columns, ") < said.index("Rise of the MAE without a column")
        test = pd.read_parquet(folder / "run" / "predictions.parquet").query("split == 'test'")
        worst = test.loc[(test["prediction"] - test["target"]).abs().idxmax()]
        assert found["worst"]["rows"][0]["row"] == worst["row"]

    def test_a_table(self, folder, capsys):
        assert run(["explain", str(folder / "run"), str(folder / "new.csv"), "--repeats", "1"]) == 0
        assert "high" in capsys.readouterr().out

    def test_a_page(self, folder, capsys):
        html, out = folder / "e.html", folder / "of-page.json"
        words = ["explain", str(folder / "run"), "--repeats", "1", "--html", str(html), "--out", str(out)]
        assert run(words) == 0
        assert f"page: {html}" in capsys.readouterr().out
        text, found = unescape(html.read_text()), json.loads(out.read_text())
        answer = text.index(f"few-shot rows is {number(found['mae']['few'])}")
        assert answer < text.index("Rows with the largest errors</h2>") < text.index("<svg")
        assert "://" not in re.sub(r'xmlns[:a-z]*="[^"]*"', "", text)
        for name in found["columns"]:
            assert f'<th scope="row">{name}</th>' in text
        assert run(words) == 2
        assert "exists; pass --overwrite" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["nothing"], "no run folder 'nothing'"),
            (["RUN", "absent.csv"], "no file 'absent.csv'"),
            (["RUN", "t.csv", "--repeats", "0"], "--repeats must be"),
            (["RUN", "lacks.csv"], "the table lacks 3 columns"),
            (["RUN", "--out", "e.txt"], "--out must name a .json file"),
            (["RUN", "--html", "e.txt"], "--html must name a .html file"),
        ],
    )
    def test_mistakes(self, folder, monkeypatch, capsys, words, message):
        monkeypatch.chdir(folder)
        table(30)[["level", "y"]].to_csv("lacks.csv", index=False)
        assert run(["explain", *("run" if word == "RUN" else word for word in words)]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.strip().splitlines()) == 1

    def test_a_table_that_has_changed(self, folder, tmp_path, capsys):
        table().to_csv(tmp_path / "t.csv", index=False)
        assert run(["train", str(tmp_path / "t.csv"), *BOOSTED, "--out", str(tmp_path / "run")]) == 0
        table(seed=9).to_csv(tmp_path / "t.csv", index=False)
        capsys.readouterr()
        assert run(["explain", str(tmp_path / "run")]) == 2
        assert "has changed since run" in capsys.readouterr().err
