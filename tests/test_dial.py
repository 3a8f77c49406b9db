"""The dial through the whole flow: distributions of fitted models, decisions, the command, the estimator, the page."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tailwise
from conftest import toy_frame
from tailwise import Experiment, FittedModel, ImbalancedRegressor, InputError, Recipe, prepare
from tailwise._numbers import number
from tailwise.cli.decision_options import note_on_means
from tailwise.cli.main import run
from tailwise.distributions import ConditionalDensity, Decision, Dial, Mixture, cross_fitted
from tailwise.distributions.dialed import weights_as_rows_come
from tailwise.experiment.evaluate import predict_part
from tailwise.experiment.trade_off import BALANCES
from tailwise.runs import artifact

EXPERIMENTS = {
    "network": Experiment("vanilla", recipe=Recipe(epochs=3, device="cpu")),
    "mixture": Experiment("mixture", recipe=Recipe(epochs=3, device="cpu")),
    "corrected": Experiment("vir+isotonic", recipe=Recipe(epochs=2, device="cpu")),
    "lightgbm": Experiment("vanilla", model="lightgbm", params={"n_estimators": 20}),
    "linear": Experiment("vanilla", model="linear"),
    "weighted": Experiment("sqinv+mixture", recipe=Recipe(epochs=3, device="cpu")),
    "forest": Experiment("vanilla", model="forest", params={"n_estimators": 20, "leaves": True}),
    "weighted forest": Experiment("sqinv", model="forest", params={"n_estimators": 20}),
}
OWN = ("mixture", "forest")


@pytest.fixture(scope="module")
def task():
    return prepare(toy_frame(600), "price")


@pytest.fixture(scope="module")
def fitted(task):
    models = {}

    def model(name):
        if name not in models:
            models[name] = tailwise.fit(task, EXPERIMENTS[name])
        return models[name]

    return model


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dial")
    toy_frame(600).to_csv(folder / "toy.csv", index=False)
    for name, words in (("plain", ["--method", "vanilla"]), ("half", ["--method", "mixture", "--balance", "0.5"])):
        arguments = ["train", folder / "toy.csv", "-t", "price", *words, "--epochs", "3", "--out", folder / name]
        assert run([*map(str, arguments), "--device", "cpu"]) == 0
    return folder


@pytest.mark.parametrize("name", EXPERIMENTS)
class TestEveryModel:
    def test_decisions_are_those_of_its_distributions(self, name, task, fitted):
        model, (rows, y) = fitted(name), task.rows_of("test")
        predictive = model.predictive(rows)
        assert len(predictive) == len(y)
        assert (model.conditional is None) == (name in OWN)
        for decision in ({"balance": 0.0}, {"balance": 0.7}, {"density": (0.0, 60.0)}, {"under": 9, "over": 1}):
            expected = Decision(**decision).of(predictive, model.dial, 0.0)
            np.testing.assert_array_equal(model.predict(rows, **decision), expected)
        tilted = model.predictive(rows, balance=0.7)
        np.testing.assert_array_equal(model.predict(rows, balance=0.7, quantile=0.9), tilted.quantile(0.9))
        np.testing.assert_array_equal(model.predict(rows, loss="squared"), predictive.mean())
        assert np.isfinite(tilted.crps(y)).all()

    def test_without_a_decision_nothing_changes(self, name, task, fitted):
        model, (rows, _) = fitted(name), task.rows_of("test")
        np.testing.assert_array_equal(model.predict(rows), model.predictions(rows, predictive=True).pred)

    def test_standard_deviations_belong_to_the_predictions(self, name, task, fitted):
        model, (rows, _) = fitted(name), task.rows_of("test")
        known = model.predictions(rows, predictive=True)
        if known.std is not None and not model.reweighted:  # the network's own, of labels as they were weighted
            np.testing.assert_allclose(known.std, known.predictive.std(), rtol=1e-5)

    def test_saved_and_loaded(self, name, task, fitted, tmp_path):
        model, (rows, _) = fitted(name), task.rows_of("test")
        model.save(tmp_path)
        again = FittedModel.load(tmp_path)
        np.testing.assert_array_equal(again.predict(rows, balance=0.6), model.predict(rows, balance=0.6))

    def test_the_trade_off_is_measured(self, name, task, fitted):
        evaluation = tailwise.evaluate(fitted(name), task)
        curve, y = evaluation.trade_off, evaluation.predicted.y
        assert [point.balance for point in curve.points] == list(BALANCES)
        for point in curve.points:
            errors = np.abs(point.pred - y)
            assert point.mae["all"].value == pytest.approx(errors.mean())
            assert point.mae["all"].low < errors.mean() < point.mae["all"].high
        assert task.split == "balanced"  # the scores are of the distributions under that spread of labels
        tilted = fitted(name).dial.tilted(evaluation.predicted.predictive, density=y)
        assert curve.scores["all"].crps == pytest.approx(tilted.crps(y).mean())
        assert json.loads(json.dumps(curve.to_json()))["balance"] == 0.0


class TestModels:
    def test_the_density_is_that_of_validation_rows_as_rows_come(self, task, fitted):
        model, (rows, y) = fitted("network"), task.rows_of("val")
        weight = weights_as_rows_come(y, model.dial.density, task.shots.scalar_bins)
        expected = ConditionalDensity.fit(y, model.predict(rows), sample_weight=weight)
        np.testing.assert_array_equal(model.conditional.offsets, expected.offsets)
        assert weight.mean() == pytest.approx(1.0)
        assert np.corrcoef(weight, y)[0, 1] < 0  # a balanced split holds more rare, high labels

    def test_validation_rows_are_judged_by_the_others(self, task, fitted):
        model = fitted("network")
        part = predict_part(model, task, "val")
        weight = weights_as_rows_come(part.y, model.dial.density, task.shots.scalar_bins)
        expected = cross_fitted(part.y, part.pred, sample_weight=weight)
        np.testing.assert_array_equal(part.predictive.means, expected.means)

    def test_weights_of_a_random_split_are_nearly_one(self):
        y = np.random.default_rng(0).exponential(10.0, 8000)
        bins = tailwise.Bins.auto(y)
        weight = weights_as_rows_come(y[:2000], Dial.from_labels(y[2000:], bins).density, bins)
        assert np.median(weight) == pytest.approx(1.0, abs=0.1)

    def test_a_balance_of_the_experiment_decides_everywhere(self, task):
        plain, half = (
            tailwise.fit(task, Experiment("vanilla", model="linear", balance=balance)) for balance in (0.0, 0.5)
        )
        rows, _ = task.rows_of("test")
        np.testing.assert_array_equal(half.predict(rows), plain.predict(rows, balance=0.5))
        evaluation = tailwise.evaluate(half, task)
        np.testing.assert_array_equal(evaluation.predicted.pred, half.predict(rows))
        assert evaluation.coverage["all"].by_true.coverage.value > 0.7

    def test_models_without_distributions_say_so(self, task, fitted, tmp_path):
        fitted("linear").save(tmp_path)
        saved = json.loads((tmp_path / "model.json").read_text())
        for name in ("dial", "conditional", "balance"):
            del saved[name]
        (tmp_path / "model.json").write_text(json.dumps(saved))
        old = FittedModel.load(tmp_path)
        rows, _ = task.rows_of("test")
        np.testing.assert_array_equal(old.predict(rows), fitted("linear").predict(rows))
        with pytest.raises(InputError, match="no density of the training labels"):
            old.predict(rows, balance=0.5)
        assert tailwise.evaluate(old, task).trade_off is None

    def test_what_cannot_have_a_balance_is_refused_before_training(self):
        frame = toy_frame(120)
        several = prepare(frame.assign(other=frame["price"]), ["price", "other"])
        with pytest.raises(InputError, match="`balance` is for one target"):
            tailwise.fit(several, Experiment("vanilla", balance=0.5))
        model = tailwise.fit(several, Experiment("vanilla", recipe=Recipe(epochs=1)))
        with pytest.raises(InputError, match="no distributions of 2 targets in this model"):
            model.predict(frame.drop(columns="price"), balance=0.5)
        few = prepare(frame.head(60), "price")
        with pytest.raises(InputError, match="`balance` needs 40 validation rows"):
            tailwise.fit(few, Experiment("vanilla", balance=0.5))
        with pytest.raises(InputError, match="balance must be a number from 0"):
            Experiment("vanilla", balance=1.5)

    @pytest.mark.parametrize(
        ("decision", "message"),
        [
            ({"balance": -0.1}, "balance must be a number from 0"),
            ({"balance": np.nan}, "balance must be a number from 0"),
            ({"under": 1.0}, "costs need both"),
            ({"under": 0.0, "over": 1.0}, "under must be"),
            ({"quantile": 1.0}, "quantile"),
            ({"loss": "huber"}, "loss must be one of"),
            ({"loss": "squared", "quantile": 0.5}, "only one of"),
            ({"density": (1e6, 2e6)}, "0 on all training labels"),
        ],
    )
    def test_bad_decisions(self, task, fitted, decision, message):
        with pytest.raises(InputError, match=message):
            fitted("linear").predict(task.rows_of("test")[0], **decision)


def refused(capsys, *arguments):
    capsys.readouterr()
    assert run([str(word) for word in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


class TestEvaluate:
    def test_errors_are_those_of_the_decision(self, finished, tmp_path):
        table, model = finished / "toy.csv", FittedModel.load(finished / "plain" / "model")
        frame = pd.read_csv(table)
        for words, decision in (
            ([], {}),
            (["--balance", "0.7"], {"balance": 0.7}),
            (["--cost", "under=10,over=1"], {"under": 10.0, "over": 1.0}),
            (["--density", "uniform:0,100"], {"density": (0.0, 100.0)}),
            (["--loss", "squared"], {"loss": "squared"}),
        ):
            out = tmp_path / "out.json"
            given = ["evaluate", finished / "plain", table, "--out", out, "--overwrite", *words]
            assert run([str(word) for word in given]) == 0
            pred = model.predict(frame.drop(columns="price"), **decision)
            known = json.loads(out.read_text())["all"]["mae"]["value"]
            assert known == pytest.approx(np.abs(pred - frame["price"]).mean(), rel=1e-9)

    def test_an_existing_file_is_kept(self, finished, tmp_path, capsys):
        out = tmp_path / "out.json"
        out.write_text("mine")
        line = refused(capsys, "evaluate", finished / "plain", finished / "toy.csv", "--out", out)
        assert "exists; pass --overwrite" in line
        assert out.read_text() == "mine"

    def test_rows_that_it_was_trained_on_are_told(self, finished, tmp_path, capsys):
        pd.read_csv(finished / "toy.csv").head(50).to_csv(tmp_path / "other.csv", index=False)
        for command in ("evaluate", "explain"):
            for table, told in ((finished / "toy.csv", True), (tmp_path / "other.csv", False)):
                capsys.readouterr()
                assert run([command, str(finished / "plain"), str(table)]) == 0
                assert ("the run was trained on rows of this very table" in capsys.readouterr().err) is told

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("--balance 2", "balance must be a number from 0"),
            ("--cost under=1", "--cost takes under=COST,over=COST"),
            ("--density uniform:9000,10000", "0 on all training labels"),
            ("--loss huber", "loss must be one of"),
            ("--target-balance price=1", "--target-balance is for several targets, and there is one; pass --balance"),
        ],
    )
    def test_bad_input_is_one_line(self, finished, capsys, words, message):
        assert message in refused(capsys, "evaluate", finished / "plain", finished / "toy.csv", *words.split())


class TestPredict:
    def test_columns_of_every_question(self, finished, tmp_path):
        table, out = finished / "toy.csv", tmp_path / "out.csv"
        words = ["--balance", "0.7", "--quantile", "0.1", "0.9", "--above", "30", "--below", "5", "--interval", "0.8"]
        assert run([*map(str, ("predict", finished / "plain", table, "--out", out)), *words, "--ignore-extra"]) == 0
        frame, model = pd.read_csv(out), FittedModel.load(finished / "plain" / "model")
        predictive = model.predictive(pd.read_csv(table).drop(columns="price"), balance=0.7)
        for name, values in (
            ("prediction", predictive.median()),
            ("low", model.predict_interval(pd.read_csv(table).drop(columns="price"), 0.8, balance=0.7)[:, 0]),
            ("quantile_0.1", predictive.quantile(0.1)),
            ("quantile_0.9", predictive.quantile(0.9)),
            ("above_30", predictive.above(30)),
            ("below_5", predictive.below(5)),
        ):
            np.testing.assert_allclose(frame[name], values, rtol=1e-9, atol=1e-12, err_msg=name)

    def test_the_balance_of_the_run_is_used(self, finished, tmp_path):
        table = finished / "toy.csv"
        names = {}
        for name, words in (("run", []), ("same", ["--balance", "0.5"]), ("zero", ["--balance", "0"])):
            names[name] = tmp_path / f"{name}.csv"
            words = ["predict", finished / "half", table, "--ignore-extra", "--out", names[name], *words]
            assert run([str(word) for word in words]) == 0
        frames = {name: pd.read_csv(path)["prediction"] for name, path in names.items()}
        np.testing.assert_array_equal(frames["run"], frames["same"])
        assert not np.allclose(frames["run"], frames["zero"])

    def test_costs_and_declared_densities(self, finished, tmp_path):
        table, model = finished / "toy.csv", FittedModel.load(finished / "plain" / "model")
        frame = pd.read_csv(table)
        rows = frame.drop(columns="price")
        for words, decision in (
            (["--cost", "under=10,over=1"], {"under": 10.0, "over": 1.0}),
            (["--density", "uniform:0,100"], {"density": (0.0, 100.0)}),
            (["--density", f"labels:{table}"], {"density": frame["price"].to_numpy()}),
            (["--loss", "squared"], {"loss": "squared"}),
        ):
            out = tmp_path / "out.csv"
            words = ["predict", finished / "plain", table, "--ignore-extra", "--out", out, "--overwrite", *words]
            assert run([str(word) for word in words]) == 0
            np.testing.assert_allclose(pd.read_csv(out)["prediction"], model.predict(rows, **decision), rtol=1e-9)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("--balance 2", "balance must be a number from 0"),
            ("--balance x", "--balance"),
            ("--cost under=1", "--cost takes under=COST,over=COST"),
            ("--cost under=0,over=1", "above 0"),
            ("--cost under=a,over=1", "--cost takes"),
            ("--density uniform:3,1", "LOW below HIGH"),
            ("--density uniform:9000,10000", "0 on all training labels"),
            ("--density nope", "--density takes"),
            ("--quantile 1.5", "--quantile takes levels between 0 and 1"),
            ("--above abc", "--above takes a number"),
            ("--above 800,000", "--above takes a number, got '800,000'; use 800000, or 800.000 (a point)"),
            ("--above nan", "--above takes a number"),
            ("--below inf", "--below takes a number"),
            ("--loss huber", "loss must be one of"),
            ("--balance 0.1 --density uniform:0,9", "not both"),
            ("--loss squared --cost under=1,over=1", "not both"),
        ],
    )
    def test_bad_input_is_one_line_and_nothing_is_written(self, finished, tmp_path, capsys, words, message):
        out = tmp_path / "out.csv"
        arguments = [
            "predict",
            finished / "plain",
            finished / "toy.csv",
            "--ignore-extra",
            "--out",
            out,
            *words.split(),
        ]
        assert message in refused(capsys, *arguments)
        assert not out.exists()

    def test_no_rows(self, finished, tmp_path):
        pd.read_csv(finished / "toy.csv").head(0).to_csv(tmp_path / "none.csv", index=False)
        out = tmp_path / "out.csv"
        words = ["predict", finished / "half", tmp_path / "none.csv", "--ignore-extra", "--out", out, "--above", "3"]
        assert run([str(word) for word in words]) == 0
        assert len(pd.read_csv(out)) == 0

    def test_rows_pass_through_the_model_once(self, finished, tmp_path, monkeypatch):
        from tailwise.backends.network import Network

        passes, outputs = [], Network.outputs

        def counted(self, x, **asked):
            passes.append(len(x))
            return outputs(self, x, **asked)

        monkeypatch.setattr(Network, "outputs", counted)
        words = ["predict", finished / "half", finished / "toy.csv", "--ignore-extra", "--out", tmp_path / "out.csv"]
        assert run([str(word) for word in words]) == 0
        assert passes == [600]


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("held")
    y = rng.exponential(10.0, 800)
    frame = pd.DataFrame({"y": y, "pred": 5 + 0.5 * (y + rng.normal(0, 3, 800))})
    frame.to_csv(folder / "held.csv", index=False)
    frame.head(50).drop(columns="y").to_csv(folder / "new.csv", index=False)
    return folder


class TestPage:
    def test_the_other_run_is_a_point_beside_the_curve(self, task, fitted):
        from tailwise.report.trade_off_charts import exchange_chart, exchange_regions

        evaluation, (rows, y) = tailwise.evaluate(fitted("linear"), task), task.rows_of("test")
        curve = evaluation.trade_off
        common, rare = exchange_regions(curve)
        assert common == "many"
        other = fitted("forest").predict(rows)
        svg = exchange_chart(curve, y, [("linear", evaluation.predicted.pred), ("<forest>", other)], task.shots)
        error = np.abs(other - y)[task.shots.names(y) == rare].mean()
        assert "&lt;forest&gt;: many" in svg
        assert f"{rare} {number(error)}" in svg
        for point in curve.points:
            assert f"balance {point.balance:g}: many {number(point.mae['many'].value)}" in svg
        alone = replace(curve, points=tuple(replace(p, mae={"all": p.mae["all"]}) for p in curve.points))
        assert exchange_regions(alone) is None


class TestDialCommand:
    def test_shows_the_trade_off_and_applies_it(self, held_out, tmp_path, capsys):
        out = tmp_path / "out.csv"
        words = ["dial", held_out / "held.csv", "-t", "y", "-p", "pred", "--apply", held_out / "new.csv", "--out", out]
        assert run([*map(str, words), "--balance", "1", "--above", "20"]) == 0
        shown = capsys.readouterr().out
        assert "as given" in shown
        assert "0.75" in shown
        held, new = pd.read_csv(held_out / "held.csv"), pd.read_csv(held_out / "new.csv")
        dialed = tailwise.dial(held["y"], held["pred"])
        frame = pd.read_csv(out)
        np.testing.assert_allclose(frame["prediction"], dialed(new["pred"], balance=1), rtol=1e-9)
        assert frame["above_20"].between(0, 1).all()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("-t y -p nope", "column 'nope' is not a column of the table"),
            ("-t y -p pred --balance 0.5", "decisions are for rows that are written"),
            ("-t y -p pred --apply new.csv", "together with --out"),
            ("-t y -p pred --apply new.csv --out o.txt", "--out must end in"),
        ],
    )
    def test_bad_input(self, held_out, monkeypatch, capsys, words, message):
        monkeypatch.chdir(held_out)
        before = sorted(held_out.iterdir())
        assert message in refused(capsys, "dial", "held.csv", *words.split())
        assert sorted(held_out.iterdir()) == before

    def test_too_few_rows(self, held_out, tmp_path, capsys):
        pd.read_csv(held_out / "held.csv").head(10).to_csv(tmp_path / "few.csv", index=False)
        assert "20" in refused(capsys, "dial", tmp_path / "few.csv", "-t", "y", "-p", "pred")


@pytest.mark.slow
def test_a_run_written_from_python_is_that_of_the_command(finished, tmp_path):
    from tailwise.data.source import load_source

    task = prepare(load_source(str(finished / "toy.csv")), "price")
    experiment = Experiment("vanilla", recipe=Recipe(epochs=3, device="cpu"))
    out = artifact.write(tmp_path / "run", task, experiment, tailwise.fit(task, experiment))
    ours, theirs = (pd.read_parquet(folder / "predictions.parquet") for folder in (out, finished / "plain"))
    pd.testing.assert_frame_equal(ours, theirs)
    for name in ("metrics.json", "intervals.json", "trade_off.json"):
        assert (out / name).read_text() == (finished / "plain" / name).read_text()
    assert "Common or rare values: the dial" in (out / "report.html").read_text()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    return X, np.exp(X[:, 0]) + 0.1 * rng.normal(size=500)


class TestEstimator:
    def test_balances_quantiles_chances(self, data, tmp_path):
        X, y = data
        model = ImbalancedRegressor("vanilla", epochs=3, random_state=0).fit(X, y)
        predictive = model.predict_distribution(X)
        assert isinstance(predictive, Mixture)
        np.testing.assert_array_equal(model.predict(X, balance=0), predictive.median())
        np.testing.assert_array_equal(model.predict_quantiles(X, [0.1, 0.9]), predictive.quantile([0.1, 0.9]))
        np.testing.assert_array_equal(model.predict_above(X, 2.0), predictive.above(2.0))
        assert model.predict_quantiles(X, 0.5, balance=1).shape == (500, 1)
        model.save(tmp_path / "model")
        again = ImbalancedRegressor.load(tmp_path / "model")
        np.testing.assert_array_equal(again.predict(X, balance=0.7), model.predict(X, balance=0.7))

    @pytest.mark.slow
    def test_a_balance_of_its_own(self, data):
        X, y = data
        plain = ImbalancedRegressor("vanilla", epochs=2, random_state=0).fit(X, y)
        half = ImbalancedRegressor("vanilla", epochs=2, random_state=0, balance=0.5).fit(X, y)
        np.testing.assert_array_equal(half.predict(X), plain.predict(X, balance=0.5))
        with pytest.raises(InputError, match="balance must be"):
            ImbalancedRegressor("vanilla", balance=3).fit(X, y)


def test_chances_and_quantiles_are_of_labels_as_they_come_whatever_the_balance_of_predictions():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    y = np.exp(x[:, 0])
    model = tailwise.ImbalancedRegressor("mixture", balance=0.5, epochs=2, random_state=0).fit(x, y)
    chance = model.predict_above(x, 3.0)
    np.testing.assert_array_equal(chance, model.predict_above(x, 3.0, balance=0))
    assert (chance < model.predict_above(x, 3.0, balance=0.5)).all()
    np.testing.assert_array_equal(model.predict_quantiles(x, 0.9), model.predict_quantiles(x, 0.9, balance=0))
    np.testing.assert_array_equal(model.predict(x), model.predict(x, balance=0.5))


def test_means_at_a_balance_above_0_are_noted():
    (note,) = note_on_means(Decision(loss="squared"), 0.3)
    assert "the run's own balance, 0.3," in note
    assert "with --balance 0 the sum" in note
    for decision, balance in (
        (Decision(loss="squared"), 0.0),
        (Decision(loss="squared", balance=0.0), 0.3),
        (Decision(loss="squared", density=(0.0, 1.0)), 0.3),
        (Decision(), 0.3),
    ):
        assert note_on_means(decision, balance) == []
