import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tailwise import ImbalancedRegressor, InputError
from tailwise.cli.main import run
from tailwise.experiment.auto_candidates import CLASSICAL, NETWORK, VANILLA
from tailwise.experiment.auto_choice import AutoSettings, choose_method
from tailwise.experiment.fit import train_method
from tailwise.experiment.one_standard_error import Ground, judge
from tailwise.experiment.out_of_fold import fold_of_rows, out_of_fold
from tailwise.experiment.prepare import prepare
from tailwise.experiment.spec import Experiment

RNG = np.random.default_rng(0)


def LINEAR(table, method):
    return train_method(table, Experiment("vanilla", model="linear"), method)


@pytest.fixture
def table(toy):
    return prepare(toy, "price", seed=0)


def ground(n=400, folds=4):
    """Rows of two bins, the second of which is rare among them and as frequent as the first where it counts."""
    index = (np.arange(n) % 10 == 0).astype(np.int64)
    return Ground(np.zeros(n), np.arange(n) % folds, index, np.array([0.5, 0.5]))


def preds(on, **errors):
    """Predictions with an error of each bin, and some noise that all of them share, and some of their own."""
    shared = np.abs(RNG.normal(size=on.y.size))
    return [np.array(error)[on.index] * shared + RNG.normal(size=on.y.size) / 50 for error in errors.values()]


class TestRule:
    def test_bins_count_as_often_as_their_rows_will_come(self):
        on = Ground(np.zeros(4), np.arange(4), np.array([0, 0, 0, 1]), np.array([0.25, 0.75]))
        overall, balanced = on.errors(np.array([1.0, 2.0, 3.0, 10.0]))
        assert overall == pytest.approx(0.25 * 2 + 0.75 * 10)
        assert balanced == pytest.approx(6)

    def test_a_bin_that_will_not_come_does_not_count(self):
        on = Ground(np.zeros(3), np.arange(3), np.array([0, 1, 2]), np.array([0.5, 0.5, 0.0]))
        assert on.errors(np.array([1.0, 3.0, 1000.0])).tolist() == [2.0, 2.0]

    def test_a_method_that_is_better_is_chosen(self):
        on = ground()
        scores, chosen = judge(on, preds(on, vanilla=(1, 5), better=(1, 3)))
        assert chosen == 1
        assert scores[1].change < -0.2

    def test_the_simpler_of_two_that_do_not_differ(self):
        on = ground()
        _, chosen = judge(on, preds(on, vanilla=(1, 5), simple=(1, 3), complex=(1, 3)))
        assert chosen == 1

    def test_vanilla_where_nothing_is_better(self):
        on = ground()
        assert judge(on, preds(on, vanilla=(1, 5), same=(1, 5), worse=(1, 6)))[1] == 0

    def test_a_method_that_costs_too_much_overall_is_not_eligible(self):
        on = Ground(np.zeros(400), np.arange(400) % 4, ground().index, np.array([0.95, 0.05]))
        scores, chosen = judge(on, preds(on, vanilla=(1, 8), costly=(1.3, 4), mild=(1, 6)))
        assert scores[1].balanced < scores[2].balanced
        assert [score.eligible for score in scores] == [True, False, True]
        assert chosen == 2

    def test_one_that_may_cost_too_much_is_not_eligible(self):
        on = ground()
        noisy = preds(on, vanilla=(1, 5), noisy=(1, 5))
        noisy[1] = noisy[1] + 3 * (on.fold == 0) - 0.4 * (on.fold > 0)
        score = judge(on, noisy)[0][1]
        assert score.change_error > 0.03
        assert not score.eligible

    def test_standard_errors_are_jackknifes_over_folds(self):
        on = ground(40)
        a, b = preds(on, vanilla=(1, 5), other=(1, 3))
        score = judge(on, [a, b])[0][1]
        ratios = []
        for number in range(4):
            means = []
            for pred in (a, b):
                size = np.abs(pred)
                bins = [size[(on.fold != number) & (on.index == k)].mean() for k in (0, 1)]
                means.append(0.5 * bins[0] + 0.5 * bins[1])
            ratios.append(means[1] / means[0])
        expected = np.sqrt(3 / 4 * sum((ratio - np.mean(ratios)) ** 2 for ratio in ratios))
        assert score.change_error == pytest.approx(expected)

    def test_a_vanilla_without_errors_stays(self):
        on = ground()
        scores, chosen = judge(on, [on.y, on.y + 1])
        assert chosen == 0
        assert not scores[1].eligible


class TestFolds:
    def test_every_row_but_the_test_rows_is_in_one(self, table):
        fold = fold_of_rows(table, 4, seed=1)
        assert ((fold < 0) == (table.part == "test")).all()
        for part in ("train", "val"):
            counts = np.bincount(fold[table.part == part], minlength=4)
            assert counts.max() - counts.min() <= 1
        assert (fold == fold_of_rows(table, 4, seed=1)).all()
        assert (fold != fold_of_rows(table, 4, seed=2)).any()

    def test_groups_stay_together(self, toy):
        groups = RNG.integers(0, 40, len(toy))
        table = prepare(toy.assign(who=groups), "price", group="who")
        fold = fold_of_rows(table, 3, groups=groups)
        kept = fold >= 0
        assert (pd.Series(fold[kept]).groupby(groups[kept]).nunique() == 1).all()
        assert set(fold[kept]) == {0, 1, 2}

    def test_no_more_folds_than_groups(self, table):
        groups = np.where(table.part == "val", np.arange(len(table.y)) % 2, 2 + np.arange(len(table.y)) % 9)
        assert fold_of_rows(table, 5, groups=groups).max() == 1
        with pytest.raises(InputError, match="at least 2 groups for training and 2 for validation, got 9 and 1"):
            fold_of_rows(table, 5, groups=np.where(table.part == "val", 0, groups))


class Stub:
    """Trains nothing: predicts a constant, and remembers what it was given."""

    def __init__(self, fails=()):
        self.given, self.fails, self.predicted = [], fails, 0

    def __call__(self, table, method):
        self.given.append((method.name, table))
        if method.name in self.fails:
            raise InputError("it broke")
        return self

    def predict(self, rows):
        self.predicted += 1
        return np.ones(len(rows))


class TestOutOfFold:
    def test_no_model_sees_its_fold_or_the_test_rows(self, table):
        fold = fold_of_rows(table, 3)
        train = Stub()
        (inner,) = out_of_fold(table, fold, [VANILLA], train)
        assert inner.pred.shape == ((fold >= 0).sum(),)
        for number, (_, given) in enumerate(train.given):
            seen = np.isin(given.part, ("train", "val"))
            assert not (seen & ((fold == number) | (table.part == "test"))).any()
            assert (given.part[seen] == table.part[seen]).all()
            assert (given.shots.counts == table.shots.bins.histogram(table.y[given.part == "train"])).all()

    def test_corrections_share_the_trainings(self, table):
        train = Stub()
        found = list(out_of_fold(table, fold_of_rows(table, 3), NETWORK, train))
        assert [one.candidate for one in found] == list(NETWORK)
        assert len(train.given) == 3 * 4
        assert sum(name == "vanilla" for name, _ in train.given) == 3
        assert train.predicted == 3 * (4 + 1)  # each fold once a training, and vanilla's validation rows

    def test_corrections_of_shared_predictions_are_those_of_the_model(self, table):
        fold = fold_of_rows(table, 3)
        seen = []

        def train(rows, method):
            seen.append((rows, LINEAR(rows, method)))
            return seen[-1][1]

        candidates = [VANILLA, Experiment("isotonic"), Experiment("quantile"), Experiment("debias")]
        for one in out_of_fold(table, fold, candidates, train):
            expected = np.empty(len(table.y))
            for number, (rows, model) in enumerate(seen):
                corrected = model.calibrated(rows, one.candidate.compose().correction, intervals=False)
                expected[fold == number] = corrected.predict(rows.rows_of("test")[0])
            assert (one.pred == expected[fold >= 0]).all()

    def test_a_candidate_that_fails_is_left_out(self, table):
        fold = fold_of_rows(table, 2)
        found = list(out_of_fold(table, fold, [VANILLA, Experiment("inv"), Experiment("sqinv")], Stub(fails=("inv",))))
        assert [one.failed for one in found] == [None, "it broke", None]
        with pytest.raises(InputError, match="it broke"):
            list(out_of_fold(table, fold, [VANILLA], Stub(fails=("vanilla",))))

    def test_the_budget_ends_it_but_not_before_vanilla(self, table):
        train = Stub()
        found = list(out_of_fold(table, fold_of_rows(table, 3), NETWORK, train, budget=1e-9))
        assert [one.candidate.method_name for one in found] == ["vanilla", "isotonic", "quantile"]
        assert len(train.given) == 3


class TestChoose:
    @pytest.mark.slow
    def test_says_why(self, table):
        choice = choose_method(table, LINEAR, AutoSettings(folds=2), model="linear", seed=0)
        record = json.loads(json.dumps(choice.record))
        assert [line["name"] for line in record["candidates"]] == [one.method_name for one in CLASSICAL]
        assert record["chosen"]["method"] == choice.candidate.method
        assert choice.reason.startswith(choice.candidate.method_name)
        again = choose_method(table, LINEAR, AutoSettings(folds=2), model="linear", seed=0).record
        assert _timeless(again) == _timeless(choice.record)
        assert type(choice).from_record(record) == type(choice)(choice.candidate, choice.reason, record)

    def test_a_budget_that_ended_is_said(self, table):
        choice = choose_method(table, LINEAR, AutoSettings(folds=2, budget=1e-9), model="linear")
        assert "the budget of 1e-09 s ended before reweight+lds" in choice.reason
        assert choice.record["candidates"][-1] == {"name": "smoter", "left_out": "the budget ended first"}

    def test_the_test_rows_do_not_matter(self, toy, table):
        other = toy.copy()
        test = table.row[table.part == "test"]
        other.loc[test, "price"] = 2 * other.loc[test, "price"].to_numpy()
        records = []
        for frame in (toy, other):
            named = prepare(frame.assign(split=table.part), "price", bin_width=5.0)
            choice = choose_method(named, LINEAR, AutoSettings(folds=2, budget=1e-9), model="linear")
            records.append(_timeless(choice.record))
        assert records[0] == records[1]

    @pytest.mark.slow
    def test_overall_is_measured_as_the_test_rows_come(self, toy):
        """The inner overall error is near that of the test rows, which the plain mean of out-of-fold errors is not."""
        wide = pd.concat([toy.assign(x1=toy["x1"] + RNG.normal(scale=0.3, size=len(toy))) for _ in range(3)])
        inner, outer, plain = [], [], []
        for seed in range(3):
            table = prepare(wide.reset_index(drop=True), "price", seed=seed)
            settings = AutoSettings(folds=3, budget=1e-9)
            kept = []

            def train(rows, method, kept=kept):
                kept.append((rows, LINEAR(rows, method)))
                return kept[-1][1]

            record = choose_method(table, train, settings, model="linear", seed=seed).record
            inner.append(record["candidates"][0]["overall"])
            rows, y = table.rows_of("test")
            outer.append(np.abs(LINEAR(table, VANILLA.compose()).predict(rows) - y).mean())
            held_out = [(model.predict(held.rows_of("test")[0]), held.rows_of("test")[1]) for held, model in kept]
            plain.append(np.abs(np.concatenate([pred - label for pred, label in held_out])).mean())
        assert np.mean(inner) == pytest.approx(np.mean(outer), rel=0.1)
        assert np.mean(plain) < 0.8 * np.mean(outer)

    @pytest.mark.parametrize(
        ("params", "model", "said"),
        [
            ({"conr": {"window": 2}}, "network", "parameters are given for 'conr', but method 'auto' chooses"),
            ({"auto": {"fold": 3}}, "network", "did you mean 'folds'"),
            ({"auto": {"folds": 1}}, "network", "auto.folds must be a whole number from 2"),
            ({"auto": {"budget": 0}}, "network", "auto.budget must be a finite number above 0"),
            ({"auto": {"epochs": 3}}, "lightgbm", "auto.epochs is for networks"),
        ],
    )
    def test_wrong_parameters(self, params, model, said):
        with pytest.raises(InputError, match=said):
            AutoSettings.from_params(params, model)


def _timeless(record):
    """A record without what took how long."""
    plain = {key: value for key, value in record.items() if key != "seconds"}
    plain["candidates"] = [{k: v for k, v in line.items() if k != "seconds"} for line in record["candidates"]]
    return plain


class TestCommand:
    WORDS = ("-t", "price", "-m", "auto", "--model", "linear", "--set", "auto.folds=2")

    @pytest.mark.slow
    def test_trains_what_it_chose_and_says_why(self, toy_csv, tmp_path, capsys):
        out = tmp_path / "run"
        assert run(["train", str(toy_csv), *self.WORDS, "-o", str(out)]) == 0
        method = json.loads((out / "config.json").read_text())["method"]
        assert method["name"] == method["auto"]["chosen"]["method"]
        assert method["parameters"] == method["auto"]["chosen"]["parameters"]
        said = capsys.readouterr().err
        assert "auto: choosing among 6 methods by 2-fold cross-validation" in said
        assert "auto chose" in (out / "report.html").read_text()
        named = tmp_path / "named"
        words = [f"--set={part}.{k}={v}" for part, of in method["parameters"].items() for k, v in of.items()]
        words += ["-t", "price", "-m", method["name"], "--model", "linear", "-o", str(named)]
        assert run(["train", str(toy_csv), *words]) == 0
        ours, theirs = (json.loads((folder / "metrics.json").read_text()) for folder in (out, named))
        assert ours["all"]["mae"]["value"] == theirs["all"]["mae"]["value"]

    @pytest.mark.slow
    def test_a_resumed_run_does_not_choose_again(self, toy_csv, tmp_path, monkeypatch):
        def stop(*given, **named):
            raise KeyboardInterrupt

        out = tmp_path / "run"
        words = ["train", str(toy_csv), *self.WORDS, "-o", str(out)]
        with monkeypatch.context() as patch:
            patch.setattr("tailwise.experiment.fit.Running.finish", stop)
            assert run(words) == 130
        chosen = json.loads((out / "config.json").read_text())["method"]
        monkeypatch.setattr("tailwise.experiment.fit.choose_method", stop)
        assert run([*words, "--resume"]) == 0
        assert json.loads((out / "config.json").read_text())["method"] == chosen

    def test_a_run_of_a_named_method_is_not_resumed(self, toy_csv, tmp_path, monkeypatch, capsys):
        def stop(*given, **named):
            raise KeyboardInterrupt

        out = str(tmp_path / "run")
        with monkeypatch.context() as patch:
            patch.setattr("tailwise.experiment.fit.Running.finish", stop)
            assert run(["train", str(toy_csv), "-t", "price", "--model", "linear", "-o", out]) == 130
        assert run(["train", str(toy_csv), *self.WORDS, "-o", out, "--resume"]) == 2
        assert "was started with another method" in capsys.readouterr().err

    @pytest.mark.slow
    def test_groups_are_not_split(self, toy_csv, tmp_path, monkeypatch):
        frame = pd.read_csv(toy_csv)
        frame.assign(who=np.arange(len(frame)) % 50).to_csv(toy_csv, index=False)
        seen = []

        def remember(table, folds, **named):
            seen.append(fold_of_rows(table, folds, **named))
            kept = seen[0] >= 0
            who = table.rows.frame(["who"])["who"].to_numpy()
            assert (pd.Series(seen[0][kept]).groupby(who[kept]).nunique() == 1).all()
            return seen[0]

        monkeypatch.setattr("tailwise.experiment.auto_choice.fold_of_rows", remember)
        words = ["train", str(toy_csv), *self.WORDS, "--group", "who", "-o", str(tmp_path / "run")]
        words += ["--set", "auto.budget=0.001"]
        assert run(words) == 0
        assert len(seen) == 1

    def test_parameters_of_parts_are_refused(self, toy_csv, tmp_path, capsys):
        assert run(["train", str(toy_csv), *self.WORDS, "--set", "lds.sigma=1", "-o", str(tmp_path / "run")]) == 2
        assert "method 'auto' chooses parts and their parameters" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    settings = {"auto": {"folds": 2, "epochs": 1}}
    model = ImbalancedRegressor("auto", method_params=settings, encoder="mlp", epochs=2, random_state=0)
    return model.fit(X, np.exp(X[:, 0])), X


class TestEstimator:
    def test_keeps_what_was_chosen(self, fitted, tmp_path):
        model, X = fitted
        assert len(model.auto_["candidates"]) == len(NETWORK)
        assert model.auto_["rows"] == 120
        copy = pickle.loads(pickle.dumps(model))
        assert copy.auto_ == model.auto_
        model.save(tmp_path / "m")
        loaded = ImbalancedRegressor.load(tmp_path / "m")
        assert loaded.auto_ == json.loads(json.dumps(model.auto_))
        assert (loaded.predict(X) == model.predict(X)).all()

    @pytest.mark.slow
    def test_is_repeatable_and_the_method_it_names(self, fitted):
        model, X = fitted
        y = np.exp(X[:, 0])
        again = clone(model).fit(X, y)
        assert _timeless(again.auto_) == _timeless(model.auto_)
        chosen = model.auto_["chosen"]
        named = ImbalancedRegressor(
            chosen["method"], method_params=chosen["parameters"], encoder="mlp", epochs=2, random_state=0
        ).fit(X, y)
        assert named.auto_ is None
        assert (named.predict(X) == model.predict(X)).all()

    def test_few_rows_are_not_compared(self):
        X = RNG.normal(size=(20, 2))
        model = ImbalancedRegressor("auto", epochs=1, random_state=0).fit(X, X[:, 0])
        assert "20 rows are too few" in model.auto_["reason"]

    @pytest.mark.slow
    def test_weights_groups_and_rows_of_the_caller(self):
        X = RNG.normal(size=(90, 2))
        y = np.exp(X[:, 0])
        model = ImbalancedRegressor(
            "auto",
            method_params={"auto": {"folds": 3, "epochs": 1, "budget": 1e-9}},
            encoder="mlp",
            epochs=1,
            random_state=0,
        )
        model.fit(X[:60], y[:60], sample_weight=np.arange(60.0), groups=np.arange(60) % 9, eval_set=(X[60:], y[60:]))
        assert model.auto_["rows"] == 59 + 30  # a weight of 0 leaves a row out
        with pytest.raises(InputError, match="method 'auto' chooses parts"):
            ImbalancedRegressor("auto", method_params={"lds": {"sigma": 1.0}}).fit(X, y)
