"""Rows in the order of time: the split, folds that look forward only, and earlier labels as features."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from tailwise import Experiment, FittedModel, ImbalancedRegressor, InputError, Recipe, evaluate, fit, prepare
from tailwise.backends.stack.fitting import forward_folds
from tailwise.cli.main import run
from tailwise.compare.origins import rows_known
from tailwise.data.lags import Lags

LINEAR = Experiment("vanilla", "linear")


def series(n=240, start="2024-01-01", seed=0):
    """Return hours of a series that follows its own past."""
    rng = np.random.default_rng(seed)
    level = np.zeros(n)
    for i in range(1, n):
        level[i] = 0.9 * level[i - 1] + rng.normal()
    when = pd.date_range(start, periods=n, freq="h")
    return pd.DataFrame({"when": when.strftime("%Y-%m-%d %H:%M"), "x": rng.normal(size=n), "load": 50 + 5 * level})


@pytest.fixture
def command(capfd):
    """A function that runs a command and returns its code and what it wrote to stderr."""

    def call(*words):
        capfd.readouterr()
        code = run([str(word) for word in words])
        return code, capfd.readouterr().err

    return call


def test_the_split_follows_time_and_keeps_ties_together():
    frame = series().sample(frac=1, random_state=0).reset_index(drop=True)
    frame.loc[frame["when"].between("2024-01-07", "2024-01-08"), "when"] = "2024-01-07 00:00"
    task = prepare(frame, "load", time="when")
    assert task.split == "time"
    times = pd.to_datetime(frame["when"])
    latest = {part: times[task.part == part].max() for part in ("train", "val", "test")}
    earliest = {part: times[task.part == part].min() for part in ("train", "val", "test")}
    assert latest["train"] < earliest["val"]
    assert latest["val"] < earliest["test"]
    assert abs(task.count("train") / len(frame) - 0.7) < 0.1
    assert task.count("test") / len(frame) == pytest.approx(0.15, abs=0.02)


def test_numbers_are_times_and_no_features():
    frame = series().assign(when=np.arange(240.0))
    task = prepare(frame, "load", time="when")
    assert [column.name for column in task.schema.columns] == ["x"]
    assert "column 'when' is not an input: it holds the time of rows" in task.notes


def test_dates_give_phases_but_not_the_day():
    schema = prepare(series(), "load", time="when").schema
    features = schema.features(series())
    assert "when (cosine of day)" in features
    assert "when (days)" not in features


def test_lags_are_earlier_labels_of_the_same_series():
    one, other = series(40), series(40, seed=1)
    frame = pd.concat([one.assign(station="a"), other.assign(station="b")], ignore_index=True)
    frame = frame.sample(frac=1, random_state=0).reset_index(drop=True)
    task = prepare(frame, "load", time="when", group="station", lags=[1, 3], rolling=[2])
    table = task.rows.frame()
    for name, whole in (("a", one), ("b", other)):
        rows = table[table["station"] == name].sort_values("when")
        np.testing.assert_allclose(rows["load (lag 1)"][1:], whole["load"][:-1])
        np.testing.assert_allclose(rows["load (lag 3)"][3:], whole["load"][:-3])
        np.testing.assert_allclose(rows["load (mean of 2 before)"][2:], whole["load"].rolling(2).mean()[1:-1])
        assert rows["load (lag 3)"][:3].isna().all()
    assert any("6 of 80 rows lack an earlier 'load'" in note for note in task.notes)


def test_a_label_never_enters_its_own_row_or_an_earlier_one():
    frame = series(60)
    changed = frame.copy()
    changed.loc[30, "load"] = 1e3
    lags = {"time": "when", "lags": [1, 2], "rolling": [3]}
    before, after = (prepare(table, "load", **lags).rows.frame() for table in (frame, changed))
    columns = ["load (lag 1)", "load (lag 2)", "load (mean of 3 before)"]
    differ = ~np.isclose(before[columns], after[columns], equal_nan=True).all(axis=1)
    assert np.flatnonzero(differ).tolist() == [31, 32, 33]


def test_new_rows_follow_on_the_training_table(tmp_path):
    frame = series(240)
    past, ahead = frame[:200], frame[200:]
    task = prepare(past.reset_index(drop=True), "load", time="when", lags=[1, 5])
    model = fit(task, LINEAR)
    model.save(tmp_path)
    loaded = FittedModel.load(tmp_path)
    rows, notes = loaded.with_lags(ahead.drop(columns="load"))
    table = rows.frame()
    assert table["load (lag 1)"].iloc[0] == past["load"].iloc[-1]
    assert table["load (lag 1)"][1:].isna().all()
    np.testing.assert_allclose(table["load (lag 5)"][:5], past["load"][-5:])
    assert table["load (lag 5)"][5:].isna().all()
    assert len(notes) == 1
    assert "39 of 40 rows lack an earlier 'load'" in notes[0]
    known = loaded.with_lags(ahead)[0].frame()
    np.testing.assert_allclose(known["load (lag 1)"][1:], ahead["load"][:-1])
    assert not known["load (lag 5)"].isna().any()
    again = loaded.with_lags(past)[0].frame()  # rows of the training table follow on nothing later than themselves
    assert np.isnan(again["load (lag 1)"].iloc[0])
    np.testing.assert_allclose(model.predict(ahead), loaded.predict(ahead))
    last = loaded.predictions(ahead.drop(columns="load"))
    assert last.notes[0] == notes[0]


def test_each_of_several_targets_has_its_own_lags(tmp_path):
    frame = series(240)
    frame["other"] = np.sqrt(np.arange(240.0))
    past, ahead = frame[:200].reset_index(drop=True), frame[200:].reset_index(drop=True)
    task = prepare(past, ["load", "other"], time="when", lags=[1, 5], rolling=[2])
    table = task.rows.frame()
    for name in ("load", "other"):
        alone = prepare(past, name, time="when", lags=[1, 5], rolling=[2]).rows.frame()
        for column in (f"{name} (lag 1)", f"{name} (lag 5)", f"{name} (mean of 2 before)"):
            np.testing.assert_array_equal(table[column], alone[column])
    assert {"load (lag 1)", "other (mean of 2 before)"} <= {column.name for column in task.schema.columns}
    model = fit(task, Experiment("vanilla", encoder="mlp", recipe=Recipe(epochs=1, device="cpu")))
    model.save(tmp_path)
    loaded = FittedModel.load(tmp_path)
    assert loaded.schema.to_json() == model.schema.to_json()
    rows, notes = loaded.with_lags(ahead.drop(columns="other"))  # one target is known of the rows to predict
    table = rows.frame()
    np.testing.assert_allclose(table["load (lag 1)"], frame["load"][199:239])
    assert table["other (lag 1)"].iloc[0] == past["other"].iloc[-1]
    assert table["other (lag 1)"][1:].isna().all()
    assert len(notes) == 1
    assert "39 of 40 rows lack an earlier 'other'" in notes[0]
    np.testing.assert_array_equal(
        loaded.predict(ahead.drop(columns="other")), model.predict(ahead.drop(columns="other"))
    )


def test_lags_help_where_a_series_follows_its_past():
    frame = series(600)
    errors = [
        evaluate(fit(task, LINEAR), task).metrics()["all"]["mae"]
        for task in (prepare(frame, "load", time="when"), prepare(frame, "load", time="when", lags=[1]))
    ]
    assert errors[1] < 0.7 * errors[0]


def test_forward_folds_are_blocks_of_time():
    times = np.repeat(np.arange(20.0), 3)
    fold = forward_folds(times, 4)
    assert sorted(set(fold.tolist())) == [-1, 0, 1, 2, 3]
    assert (np.diff(fold) >= 0).all()
    assert all(len(set(fold[times == t].tolist())) == 1 for t in np.unique(times))
    crowded = np.r_[np.zeros(100), 1.0, 2.0]
    assert sorted(set(forward_folds(crowded, 4).tolist())) == [-1, 0, 1]
    with pytest.raises(InputError, match="at least 3 different times, got 2"):
        forward_folds(np.array([1.0, 1.0, 2.0]), 4)


@pytest.mark.slow
def test_a_stack_looks_forward_only():
    frame = series(200)
    task = prepare(frame, "load", time="when", lags=[1])
    stack = Experiment("vanilla", "stack", params={"folds": 3, "jobs": 1}, recipe=Recipe(epochs=3), balance="auto")
    model = fit(task, stack)
    changed = frame.copy()
    late = pd.to_datetime(frame["when"]) >= pd.to_datetime(frame["when"])[np.flatnonzero(task.part == "test")[0]]
    changed.loc[late, "load"] += 100.0
    other = fit(prepare(changed, "load", time="when", lags=[1]), stack)
    earlier = task.rows.select(np.flatnonzero(task.part == "train"))
    np.testing.assert_array_equal(model.predict(earlier), other.predict(earlier))  # test rows changed nothing
    assert {one.fold for one in model.model.trained} == {2}
    assert model.held_out is not None
    standings = {one.name: one for one in model.leaderboard.standings}
    assert standings["stack"].as_rows_come < standings["constant"].as_rows_come


BAD = [
    ({"time": "nope"}, "`time` 'nope' is not a column"),
    ({"time": "load"}, "is the target"),
    ({"time": "when", "split": "random"}, "`time` splits the rows by time, and `split='random'` at random"),
    ({"lags": [1]}, "name the column of the time with `time`"),
    ({"time": "when", "lags": [0]}, "`lags` must be a whole number from 1 to 100,000, got 0"),
    ({"time": "when", "lags": [1.5]}, "`lags` must be a whole number"),
    ({"time": "when", "lags": [1, 1]}, "must be different numbers of rows"),
    ({"time": "when", "rolling": [-2]}, "`rolling` must be a whole number"),
    ({"time": "word"}, "must hold dates or numbers, but has 'a'"),
    ({"time": "gap"}, "has 1 empty cells, the first in row 3"),
    ({"time": "twice", "lags": [1]}, "have the `time` of another row in their series"),
    ({"time": "two"}, "has 2 different times; train, val and test need at least 3"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_mistakes_are_refused_in_one_line(given, message, tmp_path, command):
    n = 60
    frame = series(n).assign(
        word=np.resize(["a", "b"], n),
        gap=np.where(np.arange(n) == 2, np.nan, np.arange(n)),
        twice=np.arange(n) // 2,
        two=np.arange(n) // 30,
    )
    with pytest.raises(InputError, match=re.escape(message)):
        prepare(frame, "load", **given)
    if given.get("lags") == [1.5]:
        given = {**given, "lags": ["x"]}  # the command has no half numbers
    frame.to_csv(tmp_path / "t.csv", index=False)
    words = [
        word
        for name, value in given.items()
        for word in (f"--{name}", ",".join(map(str, value)) if isinstance(value, list) else value)
    ]
    code, told = command(
        "train", tmp_path / "t.csv", "-t", "load", "--model", "linear", *words, "--out", tmp_path / "r"
    )
    assert code == 2
    assert len(told.strip().splitlines()) == 1
    assert "`" not in told
    assert not (tmp_path / "r").exists()


def test_the_command_from_training_to_rows_ahead(tmp_path, command):
    frame = series(240)
    frame[:200].to_csv(tmp_path / "past.csv", index=False)
    frame[200:].drop(columns="load").to_csv(tmp_path / "ahead.csv", index=False)
    frame[200:].to_csv(tmp_path / "known.csv", index=False)
    out = tmp_path / "run"
    given = ("--time", "when", "--lags", "1,24", "--rolling", "3", "--model", "linear", "--out", out)
    code, told = command("train", tmp_path / "past.csv", "-t", "load", *given)
    assert code == 0, told
    table = json.loads((out / "config.json").read_text())["table"]
    assert (table["time"], table["lags"], table["rolling"]) == ("when", [1, 24], [3])
    code, told = command("predict", out, tmp_path / "ahead.csv", "--out", tmp_path / "p.csv")
    assert code == 0, told
    assert told.count("lack an earlier 'load'") == 1
    assert len(pd.read_csv(tmp_path / "p.csv")) == 40
    code, told = command("evaluate", out, tmp_path / "known.csv", "--out", tmp_path / "m.json")
    assert code == 0, told
    assert "lack an earlier" not in told
    frame[200:].drop(columns=["load", "when"]).to_csv(tmp_path / "no.csv", index=False)
    code, told = command("predict", out, tmp_path / "no.csv", "--out", tmp_path / "q.csv")
    assert code == 2
    assert "lacks 1 column the model was trained on: 'when'" in told


def test_dates_split_at_random_are_told_with_the_way_out(tmp_path, command):
    frame = series(120)
    told = [note for note in prepare(frame, "load").notes if "split at random" in note]
    assert len(told) == 1
    assert "`time=when`" in told[0]
    assert not [note for note in prepare(frame, "load", time="when").notes if "split at random" in note]
    frame.to_csv(tmp_path / "t.csv", index=False)
    code, _ = command("diagnose", tmp_path / "t.csv", "-t", "load", "--no-model", "--out", tmp_path / "d.json")
    assert code == 0
    assert "--time when" in (tmp_path / "d.json").read_text()


def test_lags_come_back_from_json():
    lags = Lags("y", "t", "g", (1, 2), (3,), True, {"a": ((1.0, 2.0), (5.0, np.nan))})
    again = Lags.from_json(json.loads(json.dumps(lags.to_json())))
    assert again.to_json() == lags.to_json()
    assert np.isnan(again.tails["a"][1][1])


class TestSeveralTrainings:
    def test_the_test_rows_of_seeds_follow_each_other(self):
        table = series(400).sample(frac=1, random_state=0, ignore_index=True)
        tested = []
        for seed in range(4):
            known = rows_known(table, {"time": "when"}, seed=seed)
            task = prepare(table.iloc[known].reset_index(drop=True), "load", time="when", split="time")
            when = table["when"].to_numpy()[known]
            assert when[task.row[task.part == "test"]].min() > when[task.row[task.part != "test"]].max()
            tested.append(set(known[task.row[task.part == "test"]]))
        assert all(len(one) > 20 for one in tested)
        assert len(set.union(*tested)) == sum(map(len, tested))
        few = rows_known(table, {"time": "when"}, seed=1, most=50)
        assert sorted(table["when"][few]) == sorted(table["when"])[290:340]

    def test_compare(self, tmp_path, command):
        series().to_csv(tmp_path / "load.csv", index=False)
        words = ["compare", tmp_path / "load.csv", "-t", "load", "-m", "vanilla", "sqinv+lds", "--model", "linear"]
        words += ["--time", "when", "--lags", "1", "--transform", "log1p", "--seeds", "2", "--out", tmp_path / "out"]
        code, said = command(*words)
        assert code == 0, said
        results = [json.loads(path.read_text()) for path in (tmp_path / "out" / "cells").rglob("*.json")]
        assert {one["cell"]["entry"]["transform"] for one in results} == {"log1p"}
        rows = {one["cell"]["seed"]: sum(one["rows"].values()) for one in results}
        assert rows == {0: 240, 1: 204}
        by_seed = {one["cell"]["seed"]: one["metrics"]["all"]["mae"] for one in results}
        assert max(by_seed.values()) < 10  # lags of rows that are not next to each other would not help
        assert command(*words, "--folds", "3")[1].count("--folds are drawn at random, and --time splits") == 1
        assert "needs" not in said

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--lags", "1"], "name the column of the time with --time"),
            (["--time", "x y"], "--time 'x y' is not a column"),
            (["--transform", "cube"], "--transform must be"),
        ],
    )
    @pytest.mark.parametrize("name", ["compare", "tune"])
    def test_mistakes(self, tmp_path, command, name, words, message):
        series(60).to_csv(tmp_path / "load.csv", index=False)
        asked = [name, tmp_path / "load.csv", "-t", "load", "--model", "linear", *words, "--out", tmp_path / "out"]
        code, said = command(*asked)
        assert code == 2
        assert message in said
        assert len([line for line in said.splitlines() if line.strip()]) == 1

    @pytest.mark.slow
    def test_tune(self, tmp_path, command):
        series().to_csv(tmp_path / "load.csv", index=False)
        words = [
            "tune",
            tmp_path / "load.csv",
            "-t",
            "load",
            "--model",
            "linear",
            "-m",
            "reweight+lds",
            "--trials",
            "2",
        ]
        words += ["--minimise", "mae", "--seeds", "1", "--time", "when", "--lags", "1,2", "--transform", "log1p"]
        assert command(*words, "--out", tmp_path / "out")[0] == 0
        trained = json.loads((tmp_path / "out" / "tune.json").read_text())["command"]
        assert "--time when --lags 1,2" in trained
        assert "--transform log1p" in trained
        assert command(*words, "--rolling", "3", "--out", tmp_path / "out")[1].count("a study with another") == 1
        words[words.index("log1p")] = "sqrt"
        assert "--transform" in command(*words, "--out", tmp_path / "out")[1]


class TestEstimator:
    @pytest.mark.parametrize("kind", ["text", "dates", "numbers"])
    def test_the_latest_rows_are_held_out(self, kind, monkeypatch):
        from tailwise.estimators import imbalanced

        table = series(160).sample(frac=1, random_state=1)
        when = pd.to_datetime(table["when"])
        times = {"text": table["when"], "dates": when, "numbers": when.astype("int64").to_numpy()}[kind]
        tasks = []

        def kept(task, *given, **options):
            tasks.append(task)
            return fit(task, *given, **options)

        monkeypatch.setattr(imbalanced, "fit", kept)
        model = ImbalancedRegressor("vanilla", epochs=1, random_state=0)
        model.fit(table[["x"]], table["load"], time=times, sample_weight=np.r_[0.0, np.ones(159)])
        (task,) = tasks
        assert task.time[task.part == "val"].min() > task.time[task.part == "train"].max()
        assert (task.part == "val").sum() == pytest.approx(20, abs=1)
        assert np.corrcoef(task.time, when.astype("int64")[1:].to_numpy()[task.row])[0, 1] > 0.999

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"time": np.arange(60), "groups": np.arange(60) % 9}, "`time` holds out the latest rows, and `groups`"),
            ({"time": np.arange(60), "eval_set": (np.ones((2, 1)), [1.0, 2.0])}, "and `eval_set` others"),
            ({"time": np.zeros(60)}, "`time` is the same in all rows"),
            ({"time": np.arange(59)}, "inconsistent numbers of samples"),
            ({"time": ["soon"] * 60}, "must hold dates or numbers"),
            ({"time": [np.nan, *range(59)]}, "has 1 empty cells"),
        ],
    )
    def test_mistakes(self, given, message):
        y = np.arange(60.0)
        with pytest.raises(ValueError, match=message):
            ImbalancedRegressor("vanilla", epochs=1).fit(y[:, None], y, **given)
