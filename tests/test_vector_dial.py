"""The dial of several targets through the whole flow: fitted models, run folders, the command."""

import json

import numpy as np
import pandas as pd
import pytest

import tailwise
from tailwise import Experiment, FittedModel, InputError, Recipe, prepare
from tailwise.cli.main import run
from tailwise.distributions import Decision, VectorDial, VectorMixture
from test_cli import refused
from test_vector_targets import QUICK, TWO, eyes

RECIPE = Recipe(epochs=4, device="cpu", batch_size=64)
SMALL = {"widths": (32,)}


def table(n=300, seed=0):
    return eyes(n, seed).drop(columns="subject")


@pytest.fixture(scope="module")
def task():
    return prepare(table(), ["pitch", "yaw"])


@pytest.fixture(scope="module")
def model(task):
    return tailwise.fit(task, Experiment("mixture", encoder="mlp", params=SMALL, recipe=RECIPE))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eyes")
    table().to_csv(folder / "eyes.csv", index=False)
    table(50, seed=1).to_csv(folder / "new.csv", index=False)
    for name, words in (
        ("plain", ["-m", "vanilla"]),
        ("mixture", ["-m", "mixture"]),
        ("half", ["-m", "mixture", "--balance", "0.5"]),
    ):
        arguments = ["train", str(folder / "eyes.csv"), *TWO, *QUICK, *words, "--out", str(folder / name)]
        assert run(arguments) == 0
    return folder


class TestModel:
    def test_decisions_are_those_of_the_joint_distributions(self, model, task):
        rows, y = task.rows_of("test")
        joint = model.predictive(rows)
        assert isinstance(joint, VectorMixture)
        _, y_train = task.rows_of("train")
        dial = VectorDial.from_labels(y_train, task.shots.bins)
        np.testing.assert_array_equal(model.dial.density.values, dial.density.values)
        for decision in (
            {"balance": 0.0},
            {"balance": 0.7},
            {"balance": 1.0, "loss": "squared"},
            {"density": y},
            {"under": 9, "over": 1},
            {"balance": 0.3, "quantile": 0.9},
        ):
            pred = model.predict(rows, **decision)
            assert pred.shape == y.shape
            np.testing.assert_array_equal(pred, Decision(**decision).of(joint, dial))
        np.testing.assert_array_equal(model.predictive(rows, balance=0.7).median(), model.predict(rows, balance=0.7))

    def test_the_head_and_its_distribution_agree(self, model, task):
        rows, _ = task.rows_of("test")
        known = model.predictions(rows, predictive=True)
        np.testing.assert_allclose(known.pred, known.predictive.mean(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(known.std, known.predictive.std(), rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(model.predict(rows), known.pred)

    def test_a_higher_balance_predicts_rarer_combinations(self, model, task):
        rows, _ = task.rows_of("test")
        density = [model.dial.density(model.predict(rows, balance=a)).mean() for a in (0.0, 0.5, 1.0)]
        assert density[0] > density[1] > density[2]

    def test_saved_and_loaded(self, model, task, tmp_path):
        rows, _ = task.rows_of("test")
        model.save(tmp_path)
        again = FittedModel.load(tmp_path)
        np.testing.assert_array_equal(again.predict(rows, balance=0.6), model.predict(rows, balance=0.6))

    def test_a_balance_of_the_experiment_decides_everywhere(self, model, task):
        half = tailwise.fit(task, Experiment("mixture", encoder="mlp", params=SMALL, recipe=RECIPE, balance=0.5))
        rows, _ = task.rows_of("test")
        np.testing.assert_array_equal(half.predict(rows), model.predict(rows, balance=0.5))
        evaluation = tailwise.evaluate(half, task, resamples=0)
        np.testing.assert_array_equal(evaluation.predicted.pred, half.predict(rows))
        assert evaluation.trade_off.balance == 0.5
        assert not evaluation.trade_off.scores

    def test_no_rows(self, model):
        none = table(3).head(0)[["a", "b"]]
        assert model.predict(none, balance=0.5).shape == (0, 2)
        assert len(model.predictive(none)) == 0

    @pytest.mark.parametrize("method", ["vanilla", "sqinv+mixture"])
    def test_models_without_joint_distributions_say_so(self, method, task):
        experiment = Experiment(method, encoder="mlp", params=SMALL, recipe=Recipe(epochs=1, device="cpu"))
        other, (rows, _) = tailwise.fit(task, experiment), task.rows_of("test")
        for ask in (lambda: other.predict(rows, balance=0.5), lambda: other.predictive(rows)):
            with pytest.raises(InputError, match="no distributions of 2 targets in this model; train it with"):
                ask()
        with pytest.raises(InputError, match=f"with method '{method.replace('+', '.')}' a `balance` is for one target"):
            tailwise.fit(task, Experiment(method, balance=0.5))

    def test_three_targets(self):
        frame = table(200).assign(roll=lambda f: f["pitch"] + f["yaw"])
        task = prepare(frame, ["pitch", "yaw", "roll"])
        experiment = Experiment("mixture", encoder="mlp", params=SMALL, recipe=Recipe(epochs=2, device="cpu"))
        model, (rows, y) = tailwise.fit(task, experiment), task.rows_of("test")
        assert np.isfinite(model.predict(rows, balance=0.5)).all()
        assert model.predictive(rows, balance=0.5).crps(y).shape == y.shape


class TestCommand:
    def test_the_run_folder(self, finished):
        frame = pd.read_parquet(finished / "mixture" / "predictions.parquet")
        assert [name for name in frame.columns if name.startswith("std")] == ["std_pitch", "std_yaw"]
        assert json.loads((finished / "half" / "config.json").read_text())["balance"] == 0.5
        model = FittedModel.load(finished / "half" / "model")
        source = pd.read_csv(finished / "eyes.csv").iloc[frame["row"]][["a", "b"]]
        half = pd.read_parquet(finished / "half" / "predictions.parquet")
        np.testing.assert_allclose(half[["prediction_pitch", "prediction_yaw"]], model.predict(source), rtol=1e-4)
        assert not np.allclose(half["prediction_pitch"], frame["prediction_pitch"])

    def test_predict(self, finished, tmp_path):
        model, new = FittedModel.load(finished / "mixture" / "model"), pd.read_csv(finished / "new.csv")
        for words, decision in (
            ([], {}),
            (["--balance", "0.7"], {"balance": 0.7}),
            (["--loss", "squared"], {"loss": "squared"}),
            (["--cost", "under=3,over=1"], {"under": 3, "over": 1}),
            (["--density", f"labels:{finished / 'new.csv'}"], {"density": new[["pitch", "yaw"]].to_numpy()}),
        ):
            out = tmp_path / "out.csv"
            arguments = ["predict", finished / "mixture", finished / "new.csv", "--out", out, "--overwrite", *words]
            assert run([str(word) for word in [*arguments, "--quantile", "0.1", "--quantile", "0.9"]]) == 0
            frame = pd.read_csv(out)
            predicted = frame[["prediction_pitch", "prediction_yaw"]]
            np.testing.assert_allclose(predicted, model.predict(new, **decision), rtol=1e-6)
            balanced = {name: value for name, value in decision.items() if name in ("balance", "density")}
            joint = model.predictive(new, **balanced)
            np.testing.assert_allclose(
                frame[["quantile_0.9_pitch", "quantile_0.9_yaw"]], joint.quantile(0.9), rtol=1e-6
            )
            np.testing.assert_allclose(frame[["std_pitch", "std_yaw"]], joint.std(), rtol=1e-4)

    def test_evaluate(self, finished, tmp_path):
        for name in ("mixture", "half"):
            out = tmp_path / f"{name}.json"
            assert run(["evaluate", str(finished / name), str(finished / "new.csv"), "--out", str(out)]) == 0
        model, new = FittedModel.load(finished / "half" / "model"), pd.read_csv(finished / "new.csv")
        size = np.hypot(*(model.predict(new) - new[["pitch", "yaw"]].to_numpy()).T)
        assert json.loads(out.read_text())["all"]["mae"]["value"] == pytest.approx(size.mean())

    @pytest.mark.parametrize(
        ("name", "words", "message"),
        [
            ("mixture", "--above 3", "--above and --below are for a run on one target, and this one has 2"),
            ("mixture", "--below 3", "--above and --below are for a run on one target, and this one has 2"),
            ("mixture", "--density uniform:0,1", "--density uniform is for one target, and there are 2"),
            ("mixture", "--balance 2", "balance must be a number from 0"),
            ("mixture", "--balance 0.5 --interval 0.9", "has no intervals"),
            ("plain", "--balance 0.5", "no distributions of 2 targets in this model; train it with"),
            ("plain", "--quantile 0.5", "no distributions of 2 targets in this model; train it with"),
        ],
    )
    def test_bad_input_is_one_line_and_nothing_is_written(self, finished, tmp_path, capsys, name, words, message):
        out = tmp_path / "out.csv"
        arguments = ["predict", finished / name, finished / "new.csv", "--out", out, *words.split()]
        assert message in refused(capsys, *arguments)
        assert not out.exists()

    def test_a_balance_that_the_method_cannot_give_is_refused_before_training(self, finished, tmp_path, capsys):
        words = ["train", finished / "eyes.csv", *TWO, "-m", "vanilla", "--balance", "0.5", "--out", tmp_path / "run"]
        assert "a --balance is for one target a row, and there are 2" in refused(capsys, *words)
        assert not (tmp_path / "run").exists()
