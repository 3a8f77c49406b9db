"""SHAP values by region, and what `tailwise explain --shap` shows of them."""

import builtins
import itertools
import json
import math
import warnings
from html import unescape

import numpy as np
import pandas as pd
import pytest

from tailwise import Experiment, InputError, Recipe, fit, prepare
from tailwise._numbers import number
from tailwise.cli import show_shap
from tailwise.cli.main import run
from tailwise.experiment import shap_estimate
from tailwise.experiment import shap_values as module
from tailwise.experiment.shap_estimate import require_shap
from tailwise.experiment.shap_values import ColumnShap, ShapValues, shap_values
from tailwise.metrics.confidence import Interval
from tailwise.report.explained_page import explained_page, shap_answer
from test_importance import explanation

SMALL, QUICK = {"experts": ("linear", "network"), "folds": 2, "jobs": 1}, Recipe(epochs=1, device="cpu")
BOOSTED = ["--target", "y", "--method", "vanilla", "--model", "lightgbm"]


def table(n=400, seed=0):
    """Return rows with columns of every kind, and with cells that are missing; `rare` matters where `high` is yes."""
    rng = np.random.default_rng(seed)
    level, rare = rng.normal(size=n), rng.normal(size=n)
    high = rng.random(n) < 0.1
    kind = rng.choice(["a", "b", "NA"], n).astype(object)
    y = 10 + level + np.where(high, 20 + 5 * rare, 0) + 2 * (kind == "b")
    kind[:5] = None
    return pd.DataFrame(
        {
            "level": level * 1e-10,  # differences that shap's own comparison of numbers would not see
            "high": np.where(high, "yes", "no"),
            "rare": np.where(rng.random(n) < 0.05, np.nan, rare),
            "kind": kind,
            "day": (pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D")).strftime("%d.%m.%Y"),
            "y": y,
        }
    )


@pytest.fixture(scope="module")
def shap():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's own imports
        return pytest.importorskip("shap", reason="the extra `shap` is not installed")


def fitted(experiment, **choices):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(prepare(table(), "y", bin_width=2.0, shots=(30, 10), **choices), experiment)


@pytest.fixture(scope="module")
def boosted():
    return fitted(Experiment("vanilla", model="lightgbm"))


def by_hand(model, row, background, names):
    """Shapley values of a row as the formula says: over all sets of columns that take their cells from the row."""

    def value(chosen):
        mixed = background.copy()
        for name in chosen:
            mixed[name] = row[name].iloc[0]
        return model.predict(mixed, ignore_extra=True).mean()

    p, values = len(names), dict.fromkeys(names, 0.0)
    known = {s: value(s) for k in range(p + 1) for s in itertools.combinations(names, k)}
    for name in names:
        for chosen in (s for s in known if name not in s):
            k = len(chosen)
            weight = math.factorial(k) * math.factorial(p - k - 1) / math.factorial(p)
            values[name] += weight * (known[tuple(n for n in names if n in (*chosen, name))] - known[chosen])
    return [values[name] for name in names]


@pytest.mark.slow  # shap compiles its functions first
@pytest.mark.usefixtures("shap")
class TestValues:
    @pytest.mark.parametrize(
        "experiment",
        [
            Experiment("vanilla", model="lightgbm"),
            Experiment("vanilla", model="linear"),
            Experiment("vanilla", model="forest", params={"n_estimators": 5}),
            Experiment("vanilla", model="hist-boosting"),
            Experiment("vanilla", model="catboost", params={"iterations": 20}),
            Experiment("mixture", encoder="mlp", recipe=QUICK, balance=0.5),
            Experiment("vanilla", model="stack", params=SMALL, recipe=QUICK, balance="auto"),
        ],
        ids=lambda experiment: experiment.model,
    )
    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_base_and_values_add_up_to_the_prediction(self, experiment):
        model, new = fitted(experiment), table(150, seed=1)
        found = shap_values(model, new, new["y"], background=table(), most=3, predictions=20_000)
        assert found.names == ("level", "high", "rare", "kind", "day")
        assert found.predicted == pytest.approx(model.predict(new.iloc[found.row]), abs=1e-5)
        assert found.base + found.values.sum(axis=1) == pytest.approx(found.predicted, abs=1e-5)
        assert np.abs(found.values).max() > 0.1

    def test_values_are_those_of_the_formula(self, boosted):
        """Ten orders, forwards and backwards, are near the mean over all."""
        new, background = table(60, seed=1), table(200, seed=2).sort_values("high").iloc[[*range(5), *range(-3, 0)]]
        found = shap_values(boosted, new, new["y"], background=background, most=1)
        exact = np.array([by_hand(boosted, new.iloc[[row]], background, found.names) for row in found.row])
        assert found.orders == 10
        assert found.base == pytest.approx(boosted.predict(background).mean())
        assert found.values == pytest.approx(exact, abs=0.1)
        assert np.abs(exact).max() > 2

    def test_sums_of_effects_are_exact(self):
        model = fitted(Experiment("vanilla", model="linear"), drop=["kind", "day"])
        new, background = table(60, seed=1), table(9, seed=2)
        found = shap_values(model, new, new["y"], background=background, most=2, predictions=7 * 9 * 6)
        assert found.orders == 1
        exact = np.array([by_hand(model, new.iloc[[row]], background, found.names) for row in found.row])
        assert found.values == pytest.approx(exact, abs=1e-9)

    def test_means_by_region(self, boosted):
        new = table(300, seed=1)
        found = shap_values(boosted, new, new["y"], most=20, row=np.arange(300) + 7)
        size = {one.column: one.size for one in found.columns}
        assert found.by == "few"
        assert found.n["many"] == 20
        assert found.columns[0].column == "high"
        assert size["rare"]["few"].value > 2 * size["rare"]["many"].value
        few = found.region == "few"
        mean = np.abs(found.values[few, 0]).mean()
        assert size["level"]["few"].value == pytest.approx(mean)
        assert 0 <= size["level"]["few"].low < mean < size["level"]["few"].high
        place = np.asarray(boosted.shots.bins.index(found.true))
        by_bin = {at: np.abs(found.values[place == at, 0]).mean() for at in np.unique(place)}
        share = [boosted.shots.population[at] for at in by_bin]
        come = np.average(list(by_bin.values()), weights=share)
        assert size["level"]["as rows come"].value == pytest.approx(come)
        assert (new["y"].to_numpy()[found.row - 7] == found.true).all()
        json.dumps(found.to_json(), allow_nan=False)
        frame = found.frame()
        assert list(frame)[:6] == ["row", "region", "target", "prediction", "base", "shap_level"]
        total = frame["base"] + frame.filter(like="shap_").sum(axis=1)
        assert total.to_numpy() == pytest.approx(found.predicted)

    def test_weights_of_rows(self, boosted):
        new = table(60, seed=1)
        weight = np.linspace(0.1, 3, 60)
        found = shap_values(boosted, new, new["y"], sample_weight=weight, predictions=60 * 11 * 50)
        few = found.region == "few"
        mean = np.average(np.abs(found.values[few, 1]), weights=weight[found.row[few]])
        assert {one.column: one.size for one in found.columns}["high"]["few"].value == pytest.approx(mean)

    def test_seeds_repeat_and_leave_the_global_numbers_alone(self, boosted):
        new = table(60, seed=1)
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        first, second, other = (shap_values(boosted, new, new["y"], most=2, seed=s) for s in (0, 0, 1))
        assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
        assert (first.values == second.values).all()
        assert first.base != other.base

    def test_rows_in_pieces_have_the_same_values(self, boosted, monkeypatch):
        new, told = table(60, seed=1), []
        whole = shap_values(boosted, new, new["y"], most=3)
        monkeypatch.setattr(shap_estimate, "_AT_ONCE", 1)
        pieces = shap_values(boosted, new, new["y"], most=3, on_rows=lambda *n: told.append(n))
        assert (pieces.values == whole.values).all()
        assert told == [(i + 1, len(whole.row)) for i in range(len(whole.row))]

    def test_no_more_predictions_than_allowed(self, boosted):
        new, asked = table(300, seed=1), []

        class Counted:
            schema, shots, with_lags = boosted.schema, boosted.shots, boosted.with_lags

            def predict(self, frame, **given):
                asked.append(len(frame))
                return boosted.predict(frame, **given)

        found = shap_values(Counted(), new, new["y"], predictions=20_000)
        assert found.n["many"] < 50
        assert found.orders == 1
        assert sum(asked[:-1]) <= found.predictions <= 20_000
        more = shap_values(boosted, new, new["y"], most=found.n["many"], predictions=45_000)
        assert (more.n, more.orders) == (found.n, 2)

    def test_cells_of_one_column_with_several_types(self):
        frame = table(300).assign(code=([1, "x", True] * 100))
        frame["y"] += np.where(frame["code"].astype(str) == "True", 30.0, 0.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = fit(prepare(frame, "y", nominal=["code"]), Experiment("vanilla", model="lightgbm"))
        found = shap_values(model, frame, frame["y"], most=10, predictions=40_000)
        assert found.predicted == pytest.approx(model.predict(frame.iloc[found.row]))
        assert found.columns[0].column == "code"

    def test_earlier_labels_are_columns(self):
        frame = table(200).drop(columns="day").assign(t=np.arange(200))
        frame["y"] = np.cumsum(frame["y"] - 12)
        model = fit(prepare(frame, "y", time="t", lags=[1]), Experiment("vanilla", model="lightgbm"))
        found = shap_values(model, frame, frame["y"], most=4, predictions=30_000)
        assert found.columns[0].column.startswith("y")
        assert found.base + found.values.sum(axis=1) == pytest.approx(found.predicted)


@pytest.mark.usefixtures("shap")
class TestMistakes:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"y": table(60)["y"][1:]}, "y has 59 labels, and the table 60 rows"),
            ({"most": 0}, "`most` must be a whole number from 1 to 5,000, got 0"),
            ({"predictions": 0}, "`predictions` must be"),
            ({"predictions": 500}, "of 5 columns need .* for one row of each region, more than the 500 allowed; raise"),
            ({"frame": table(0), "y": []}, "are of rows, and the table has none"),
            ({"frame": table(60).drop(columns="rare")}, "lacks 1 column the model was trained on: 'rare'"),
            ({"background": table(60).drop(columns="rare")}, "lacks 1 column the model was trained on: 'rare'"),
        ],
    )
    def test_arguments(self, boosted, changes, message):
        given = {"frame": table(60), "y": table(60)["y"], **changes}
        with pytest.raises(InputError, match=message):
            shap_values(boosted, given.pop("frame"), given.pop("y"), **given)

    def test_several_targets(self):
        frame = table().assign(z=lambda t: t["y"] * 2)
        model = fit(prepare(frame, ["y", "z"]), Experiment("vanilla", recipe=QUICK))
        with pytest.raises(InputError, match="of models of one target, and this one has 2"):
            shap_values(model, frame, frame["y"])


class TestModels:
    def test_texts(self):
        frame = table(60).assign(text="some words")
        model = fit(prepare(frame, "y", text=["text"]), Experiment("vanilla", recipe=QUICK))
        with pytest.raises(InputError, match="this one reads 'text'; permutation importance explains its ordinary"):
            shap_values(model, frame, frame["y"])

    def test_too_many_columns(self, boosted, monkeypatch):
        monkeypatch.setattr(module, "_MOST_COLUMNS", 4)
        with pytest.raises(InputError, match="at most 4 columns, and the model has 5; train on those"):
            shap_values(boosted, table(60), table(60)["y"])

    def test_the_package_is_not_there(self, monkeypatch):
        found = builtins.__import__

        def missing(name, *rest):
            if name == "shap":
                raise ImportError(name)
            return found(name, *rest)

        monkeypatch.setattr(builtins, "__import__", missing)
        with pytest.raises(InputError, match=r"pip install 'tailwise\[shap\]'"):
            require_shap()

    def test_the_defaults_of_the_command_are_those_of_the_library(self):
        assert (show_shap.ROWS, show_shap.PREDICTIONS) == (module.MOST_ROWS, module.MOST_PREDICTIONS)


def sizes(**by_region):
    return {"as rows come": Interval(1.0)} | {name: Interval(v, v - 1, v + 1) for name, v in by_region.items()}


def explained_values():
    """What two rows could give, with a name that must be escaped."""
    columns = (ColumnShap("<i>", sizes(many=2.0, few=8.0)), ColumnShap("b", sizes(many=1.5, few=1.0)))
    rows, zeros = np.arange(2), np.zeros(2)
    region = np.array(["many", "few"])
    n = {"many": 1, "few": 1}
    return ShapValues(
        "y", 3.25, ("b", "<i>"), np.zeros((2, 2)), rows, zeros, zeros, region, n, "few", columns, 50, 4, 2000
    )


class TestShown:
    def test_the_answer(self):
        assert shap_answer(explained_values()) == (
            "The predictions of few-shot rows are moved most by '<i>': by 8 (7 to 9) on average, up or down "
            "(SHAP values)."
        )

    def test_the_page(self):
        text = explained_page(explanation(), title="t", rows="r", shap=explained_values(), background="rows of a table")
        assert "moves the prediction of its row from 3.25, the mean prediction of 50 rows of a table;" in text
        assert "Estimated from 2 rows, a random sample of each region, in 4 random orders of the columns" in text
        assert '<th scope="row">&lt;i&gt;</th><td>1</td><td>2<small>1 to 3</small></td><td>8<small>7 to 9' in text
        assert "<i>" not in text
        assert text.count("<svg") == 2
        assert "SHAP" not in explained_page(explanation(), title="t", rows="r")

    def test_the_line(self):
        assert show_shap.shap_line(explained_values(), "training rows") == (
            "SHAP values of 2 rows against 50 training rows, whose mean prediction is 3.25; 4 orders of the columns, "
            "at most 2,000 predictions"
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shap")
    table().to_csv(folder / "t.csv", index=False)
    new = table(80, seed=2)
    new.to_csv(folder / "new.csv", index=False)
    new.drop(columns="y").to_csv(folder / "unlabelled.csv", index=False)
    new[:0].to_csv(folder / "empty.csv", index=False)
    words = ["train", str(folder / "t.csv"), *BOOSTED, "--bin-width", "2", "--out", str(folder / "run")]
    assert run(words) == 0
    return folder


class TestCommand:
    @pytest.mark.slow
    def test_the_test_rows_of_a_run(self, shap, folder, capsys):
        out, html, rows = folder / "e.json", folder / "e.html", folder / "rows.csv"
        words = ["explain", str(folder / "run"), "--repeats", "1", "--shap", "--shap-rows", "2", "--out", str(out)]
        assert run([*words, "--html", str(html), "--shap-out", str(rows)]) == 0
        said = capsys.readouterr().out
        assert "Mean absolute SHAP value: how far a column moves predictions" in said
        assert f"SHAP values by row: {rows}" in said
        found, frame, text = json.loads(out.read_text())["shap"], pd.read_csv(rows), unescape(html.read_text())
        assert f"SHAP values of {len(frame)} rows against 50 training rows, whose mean prediction is " in said
        assert sum(found["n"].values()) == len(frame)
        total = frame["base"] + frame.filter(like="shap_").sum(axis=1)
        assert total.to_numpy() == pytest.approx(frame["prediction"].to_numpy())
        test = pd.read_parquet(folder / "run" / "predictions.parquet").query("split == 'test'").set_index("row")
        assert test["prediction"][frame["row"]].to_numpy() == pytest.approx(frame["prediction"].to_numpy())
        assert text.count("<svg") == 2
        assert "How far each column moves the predictions, by region</h2>" in text
        for name, size in found["columns"].items():
            assert text.count(f'<th scope="row">{name}</th>') == 2
            assert f"<td>{number(size['many']['value'])}" in text

    @pytest.mark.slow
    def test_a_table(self, shap, folder, capsys):
        words = ["explain", str(folder / "run"), str(folder / "new.csv"), "--repeats", "1", "--shap"]
        assert run([*words, "--shap-rows", "1", "--shap-predictions", "20000"]) == 0
        assert "against 50 rows of the table" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--shap-rows", "9"], "--shap-rows is for SHAP values; add --shap"),
            (["--shap-predictions", "9"], "--shap-predictions is for SHAP values; add --shap"),
            (["--shap-out", "a.csv"], "--shap-out is for SHAP values; add --shap"),
            (["--shap", "--shap-rows", "0"], "--shap-rows must be a whole number from 1 to 5,000, got 0"),
            (["--shap", "--shap-predictions", "0"], "--shap-predictions must be a whole number"),
            (["--shap", "--shap-predictions", "99"], "raise --shap-predictions, or train on fewer columns"),
            (["--shap", "--shap-out", "a.txt"], "--shap-out must name a .csv, .tsv or .parquet file"),
            (["--shap", "--shap-out", "new.csv"], "'new.csv' exists; pass --overwrite"),
            (["unlabelled.csv", "--shap"], "target 'y' is not a column of the table"),
            (["empty.csv", "--shap"], "the table has no row with a target 'y'"),
        ],
    )
    def test_mistakes(self, shap, folder, monkeypatch, capsys, words, message):
        monkeypatch.chdir(folder)
        assert run(["explain", "run", *words]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.strip().splitlines()) == 1
