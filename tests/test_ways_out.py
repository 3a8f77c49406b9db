"""Errors name the value that is wrong and the way out."""

import json

import numpy as np
import pandas as pd
import pytest

from tailwise import Bins, ImbalancedRegressor, InputError, prepare
from tailwise.cli.main import run
from tailwise.cli.number_words import in_words
from tailwise.cli.show import beside_table
from tailwise.diagnose import diagnose
from tailwise.metrics.confidence import Interval
from tailwise.report.against import Comparison
from tailwise.serve.library import Library
from tailwise.serve.runs_beside import differences

RNG = np.random.default_rng(0)
AREA = RNG.integers(40, 200, 120) + 0.5


def houses(**columns):
    """Houses whose price is text."""
    price = [f"€ {int(area * 3_000):,}" for area in AREA]
    return pd.DataFrame({"area": AREA, "district": RNG.choice(["Süd", "Nord"], 120), **columns, "price": price})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder with houses.csv, the current one."""
    monkeypatch.chdir(tmp_path)
    houses().to_csv("houses.csv", index=False)
    return tmp_path


def refused(capsys, *words):
    """The one line of an error."""
    assert run([str(word) for word in words]) == 2
    return capsys.readouterr().err.strip().rsplit("\n", 1)[-1]


class TestTargets:
    def test_text_that_is_a_number_names_prepare(self):
        frame = houses()
        first = frame["price"].iloc[0]
        with pytest.raises(InputError, match=rf"y must hold numbers, got '{first}' at position 0.* tailwise.prepare"):
            ImbalancedRegressor().fit(frame[["area"]], frame["price"])

    def test_other_text_does_not(self):
        with pytest.raises(InputError, match=r"got 'Süd' at position 1; choose a numeric target"):
            ImbalancedRegressor().fit(np.ones((2, 1)), [1.0, "Süd"])
        with pytest.raises(InputError, match="all rows of one length"):
            Bins.auto([[1.0, 2.0], [3.0]])

    def test_categories(self, folder, capsys):
        said = refused(capsys, "train", "houses.csv", "--target", "district")
        assert "120 of 120 cells are not" in said
        assert "looks like a column of categories or texts: choose a numeric column" in said
        assert "--missing" not in said

    def test_some_wrong_cells(self, folder, capsys):
        pd.DataFrame({"x": AREA, "y": ["sold", *map(str, AREA[1:])]}).to_csv("some.csv", index=False)
        assert "pass --missing y=sold" in refused(capsys, "train", "some.csv", "--target", "y")


def test_a_threshold_that_is_no_number_is_named():
    model = ImbalancedRegressor("mixture", epochs=1, random_state=0).fit(AREA[:, None], AREA)
    with pytest.raises(InputError, match=r"^threshold must be a number or an array of numbers, got '800,000'$"):
        model.predict_above(AREA[:2, None], "800,000")
    with pytest.raises(InputError, match=r"^threshold must be one number, or one a row \(2,\), got shape \(3,\)$"):
        model.predict_above(AREA[:2, None], np.ones(3))
    assert model.predict_above(AREA[:2, None], [50.0, 60.0]).shape == (2,)


class TestNumbers:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--balance", "1,5"], "--balance takes a number, got '1,5'; use 1.5 (a point)"),
            (["--balance=,5"], "--balance takes a number, got ',5'; use 0.5 (a point)"),
            (["--bin-width", "1,000"], "--bin-width takes a number, got '1,000'; use 1000, or 1.000 (a point)"),
            (["--bin-width", "wide"], "--bin-width takes a number, got 'wide'"),
            (["--epochs", "1,000"], "--epochs takes a whole number, got '1,000'; use 1000"),
            (["--epochs", "1,5"], "--epochs takes a whole number, got '1,5'"),
        ],
    )
    def test_commas(self, folder, capsys, words, message):
        assert refused(capsys, "train", "houses.csv", "--target", "price", *words) == f"tailwise: {message}"

    def test_the_wrong_one_of_several(self, folder, capsys):
        said = refused(capsys, "predict", "runs/price", "houses.csv", "-o", "out.csv", "--quantile", "0.5", "0,9")
        assert said == "tailwise: --quantile takes a number, got '0,9'; use 0.9 (a point)"

    def test_other_messages_stay(self):
        assert in_words("No such option: --ballance", [], ["--ballance", "1,5"]) == "No such option: --ballance"


class TestPaths:
    @pytest.mark.parametrize("command", ["train", "diagnose", "compare"])
    def test_a_file(self, folder, capsys, command):
        said = refused(capsys, command, "house.csv", "--target", "price")
        assert said == "tailwise: no file 'house.csv'; did you mean 'houses.csv'?"

    def test_no_file_nearby(self, folder, capsys):
        assert "give a CSV" in refused(capsys, "train", "elsewhere/houses.csv", "--target", "price")
        assert "give a CSV" in refused(capsys, "train", "trees.parquet", "--target", "price")

    def test_a_run(self, folder, capsys):
        (folder / "runs" / "price").mkdir(parents=True)
        (folder / "runs" / "prise.txt").touch()
        said = refused(capsys, "predict", "runs/prise", "houses.csv", "-o", "out.csv")
        assert said == "tailwise: no run folder 'runs/prise'; did you mean 'runs/price'?"


class TestNotes:
    def test_how_a_target_is_read(self):
        frame = houses()
        frame.loc[0, "price"] = "€ 1,642,000"
        said = "target 'price' is read as numbers, e.g. '€ 1,642,000' = 1,642,000"
        assert said in prepare(frame, "price").notes
        assert said in diagnose(frame, "price", quick_model=False).notes
        assert not any("read as numbers" in note for note in prepare(frame.assign(price=AREA), "price").notes)

    @pytest.mark.parametrize(
        ("name", "values", "is_told"),
        [
            ("customer", np.arange(10_000, 10_120), True),
            ("customer_id", RNG.permutation(10**6)[:120], True),
            ("customer_id", np.r_[RNG.permutation(10**6)[:115], [1] * 5], True),
            ("people", RNG.permutation(10**6)[:120], False),
            ("customer_id", RNG.integers(0, 30, 120), False),
            ("customer_id", RNG.permutation(10**6)[:120] + 0.5, False),
        ],
    )
    def test_columns_that_identify_rows(self, name, values, is_told):
        frame = houses(**{name: values}).assign(price=AREA)
        note = f"column '{name}' seems to number the rows; if it identifies them, leave it out: `drop={name}`"
        task = prepare(frame, "price")
        assert (note in task.notes) == is_told
        assert name in task.schema.inputs
        assert not any("number the rows" in said for said in prepare(frame, "price", numeric=[name]).notes)
        found = diagnose(frame, "price", quick_model=False)
        assert (found.columns.identifiers == (name,)) == is_told
        assert note not in found.notes  # it is in the advice

    def test_the_column_of_the_time_is_no_identifier(self):
        frame = houses(day=np.arange(120)).assign(price=AREA)
        assert not any("number the rows" in note for note in prepare(frame, "price", time="day").notes)


class TestManyZeros:
    def advice(self, y):
        found = diagnose(pd.DataFrame({"x": RNG.normal(size=len(y)), "y": y}), "y", quick_model=False, data="paid.csv")
        return {one.finding: one for one in found.advice if "exactly" in one.finding}

    def test_the_default_comes_first(self):
        (finding, one), *others = self.advice(np.r_[np.zeros(700), RNG.lognormal(size=300)]).items()
        assert finding == "many zeros: 700 rows (70%) have exactly 0, and none has less"
        assert one.commands == (
            "tailwise train paid.csv --target y",
            "tailwise train paid.csv --target y --censored-below 0",
        )
        assert others == []

    @pytest.mark.parametrize(
        "y",
        [
            np.r_[np.zeros(100), RNG.lognormal(size=900)],  # fewer than a fifth
            np.r_[np.full(700, 5.0), 5 + RNG.lognormal(size=300)],  # another limit
        ],
    )
    def test_other_heaps_are_limits(self, y):
        (finding, one), *_ = self.advice(y).items()
        assert "exactly the smallest value" in finding
        assert "--censored-below" in one.commands[0]


def test_the_terminal_table_of_two_runs_has_words():
    pair = Comparison(1.0, 2.0, Interval(-1.0, -1.5, -0.5))
    table = beside_table({"few": pair, "as_rows_come": pair, "bmae": pair}, "a", "b")
    assert list(table.columns[0].cells) == ["Few", "As rows come", "Evenly"]


def test_served_runs_show_their_transform(tmp_path):
    for name, more in (("plain", {}), ("logs", {"transform": "log"})):
        (tmp_path / name).mkdir()
        config = {"format": "tailwise-run-1", "method": {"name": "stack"}, "target": "price", **more}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    runs = {run.id: run for run in Library(tmp_path).look()[0]}
    assert (runs["plain"].method, runs["logs"].method) == ("stack", "stack on log")
    assert differences([runs["plain"], runs["logs"]]) == {"transform": ["–", "log"]}
