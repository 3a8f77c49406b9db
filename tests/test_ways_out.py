"""Errors name the value that is wrong and the way out."""

import numpy as np
import pandas as pd
import pytest

from tailwise import Bins, ImbalancedRegressor, InputError
from tailwise.cli.main import run
from tailwise.cli.number_words import in_words

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
