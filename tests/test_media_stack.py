"""The stack on images, texts and signals: a network a fold, and experts on its features."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tailwise
from media_tables import SMALL, media_frame, prepared, save_bert
from tailwise import Experiment, FittedModel, InputError, Recipe, fit
from tailwise.backends.stack.encoded_rows import feature_frame, feature_schema
from tailwise.backends.stack.experts import EXPERTS
from tailwise.backends.stack.fitting import folds_of
from tailwise.backends.stack.media_folds import train_media_fold
from tailwise.backends.stack.stack_settings import StackSettings
from tailwise.cli.main import run
from tailwise.compare.entries import entries_of
from tailwise.data.columns import Column, Medium, Schema
from tailwise.experiment.fit import start
from tailwise.modalities.encoders import MediaEncoder
from test_media import refused

EXPERT_NAMES = ("linear", "network", "mixture network")
SETTINGS = {"experts": EXPERT_NAMES, "folds": 2, "jobs": 1}
ON_IMAGES = {"image": SMALL["image"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with ``index.csv``, its images and its signals."""
    made = tmp_path_factory.mktemp("media")
    media_frame(made)
    return made


@pytest.fixture(scope="module")
def task(folder):
    return prepared(folder, image=["path"])


def stack(params=ON_IMAGES, epochs=2, **settings):
    """A stack of a linear model, the plain network and a mixture head, in two folds."""
    recipe = Recipe(epochs=epochs, batch_size=16, device="cpu")
    return Experiment("vanilla", "stack", params={**SETTINGS, **params, **settings}, recipe=recipe, balance="auto")


@pytest.fixture(scope="module")
def whole(task):
    """A finished training, and its model."""
    running = start(task, stack())
    epochs = list(running.fitting.epochs())
    return epochs, running.fitting, running.finish()[0]


class TestFeatures:
    def test_are_columns_beside_the_ordinary_ones(self):
        schema = Schema(("y",), (Column("feature 0", "numeric"),), {}, (Medium("image", ("path",)),))
        frame = pd.DataFrame({"path": ["a", "b"], "feature 0": ["1", "2"], "y": [0.0, 1.0]}, index=[5, 7])
        table = feature_frame(schema, frame, np.array([[0.5, 1.5], [2.5, 3.5]]))
        encoded = feature_schema(schema, 2)
        assert list(table) == encoded.inputs == ["_feature 0", "_feature 1", "feature 0"]
        assert not encoded.media
        assert encoded.features(table).to_numpy().tolist() == [[0.5, 1.5, 1.0], [2.5, 3.5, 2.0]]

    def test_come_from_one_pass_a_fold(self, whole, task, monkeypatch):
        calls, forward = [], MediaEncoder.forward
        monkeypatch.setattr(MediaEncoder, "forward", lambda self, x: calls.append(len(x["table"])) or forward(self, x))
        rows, _ = task.rows_of("test")
        whole[2].predict(rows)
        assert calls == [len(rows)] * 2


class TestFolds:
    def test_of_labels_of_the_fold_left_out_nothing_is_known(self, task):
        fold = folds_of(task, StackSettings(**SETTINGS), seed=0)
        y = task.y.copy()
        y[fold == 0] = y[fold == 0][::-1]
        experts = [EXPERTS[name] for name in EXPERT_NAMES]
        recipe = Recipe(epochs=1, batch_size=16, device="cpu")  # of several the best would be known from the fold
        for number, alike in ((0, True), (1, False)):
            one, other = (
                train_media_fold(replace(task, y=labels), fold, number, experts, recipe, ON_IMAGES)
                for labels in (task.y, y)
            )
            assert [part.expert for part in one] == ["network", "linear", "mixture network"]
            for a, b in zip(one, other, strict=True):
                assert a.columns.shape == ((fold == number).sum(), 4 if a.expert == "mixture network" else 1)
                assert np.array_equal(a.columns, b.columns) == alike

    @pytest.mark.slow
    def test_random_labels_are_not_predicted(self, task):
        y = np.random.default_rng(0).permutation(task.y)
        model = tailwise.fit(replace(task, y=y), stack(epochs=12))
        *_, constant = standings = model.leaderboard.standings
        assert len(standings) == 5
        for standing in standings[1:-1]:
            assert standing.as_rows_come > 0.95 * constant.as_rows_come

    def test_are_fewer_than_those_of_tables_unless_given(self, task):
        for quality, folds in (("good", 3), ("best", 5)):
            assert StackSettings(quality=quality).for_media().folds == folds
        assert StackSettings(folds=7).for_media().folds == 7


class TestTraining:
    def test_every_expert_is_judged_on_every_fold(self, whole, task):
        epochs, _, model = whole
        assert [(epoch.stage, epoch.epoch) for epoch in epochs] == [(1, 0), (0, 0), (2, 0), (1, 1), (0, 1), (2, 1)]
        assert [one.name for one in model.leaderboard.standings] == ["stack", *EXPERT_NAMES, "constant"]
        rows, _ = task.rows_of("test")
        points = np.stack([model.model.points_of(name, task.schema, rows) for name in EXPERT_NAMES], axis=1)
        (x,) = model.inputs.pieces(task.schema, rows)
        np.testing.assert_allclose(points, model.model.columns(x)[:, :3], rtol=1e-6)
        assert np.ptp(points, axis=1).min() > 0

    def test_is_saved_without_pickle_and_loaded_bit_for_bit(self, whole, task, tmp_path):
        model = whole[2]
        model.save(tmp_path)
        assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} <= {".json", ".safetensors", ".skops"}
        loaded = FittedModel.load(tmp_path)
        rows, _ = task.rows_of("test")
        np.testing.assert_array_equal(loaded.predict(rows, balance=0.5), model.predict(rows, balance=0.5))
        assert loaded.predict(rows.frame()[:0]).shape == (0,)

    @pytest.mark.slow
    @pytest.mark.parametrize("done", [1, 3, 5])
    def test_goes_on_bit_for_bit_after_an_interruption(self, whole, task, done):
        cut = start(task, stack())
        epochs = cut.fitting.epochs()
        for _ in range(done):
            next(epochs)
        tensors, numbers = cut.fitting.state()
        epochs.close()
        again = start(task, stack())
        again.fitting.restore(tensors, json.loads(json.dumps(numbers)))
        assert len(list(again.fitting.epochs())) == 6 - done
        for one, other in zip(again.fitting.trained, whole[1].trained, strict=True):
            assert (one.expert, one.fold) == (other.expert, other.fold)
            np.testing.assert_array_equal(one.columns, other.columns)
        rows, _ = task.rows_of("test")
        np.testing.assert_array_equal(again.finish()[0].predict(rows), whole[2].predict(rows))

    @pytest.mark.slow
    def test_folds_in_parallel_give_the_same(self, whole, task):
        rows, _ = task.rows_of("test")
        np.testing.assert_array_equal(tailwise.fit(task, stack(jobs=2)).predict(rows), whole[2].predict(rows))

    @pytest.mark.slow
    def test_frozen_texts_and_signals_without_ordinary_columns(self, folder, tmp_path):
        frame = pd.read_csv(folder / "index.csv").drop(columns="x")
        task = prepared(folder, frame, text=["a"], signal=["sig"])
        bert = save_bert(tmp_path / "bert")
        params = {"text": {"encoder": str(bert), "widths": [8]}, "signal": SMALL["signal"]}
        model = tailwise.fit(task, stack(params))
        (tmp_path / "model").mkdir()
        model.save(tmp_path / "model")
        rows, _ = task.rows_of("test")
        loaded = FittedModel.load(tmp_path / "model").predict(rows)
        np.testing.assert_allclose(loaded, model.predict(rows), rtol=1e-4, atol=1e-4)

    @pytest.mark.slow
    def test_a_time_limit_ends_with_every_fold(self, task):
        running = start(task, stack(epochs=100_000, seconds=0.5))
        assert len(list(running.fitting.epochs())) == 6


@pytest.fixture(scope="module")
def task_with_zeros(folder):
    """Images of which two fifths have the label 0, and the others one above it that is no count."""
    frame = pd.read_csv(folder / "index.csv")
    rng = np.random.default_rng(0)
    frame["y"] = np.where(frame["y"] < 2, 0.0, np.exp(0.3 * frame["y"] + 0.1 * rng.normal(size=len(frame))))
    return prepared(folder, frame, image=["path"])


def test_the_chance_of_0_is_learned_apart_on_images(task_with_zeros, tmp_path):
    zeros = replace(stack(epochs=4), balance=0.0)
    running = start(task_with_zeros, zeros)
    names = [f"{epoch.model}" for epoch in running.fitting.epochs()]
    assert names[:2] == ["network", "lightgbm: zero or not"]
    assert len(names) == 2 * 6
    assert [note for note in task_with_zeros.notes if "the chance of 0 is learned apart" in note]
    model = running.finish()[0]
    rows, y = task_with_zeros.rows_of("test")
    known = model.predictive(rows)
    assert known.below(0.0).max() == 0
    assert known.cdf(0.0)[y == 0].mean() > known.cdf(0.0)[y > 0].mean() + 0.2
    model.save(tmp_path)
    np.testing.assert_array_equal(FittedModel.load(tmp_path).predict(rows), model.predict(rows))


class TestCommand:
    @pytest.mark.slow
    @pytest.mark.slow
    def test_censored_labels_have_their_likelihood_on_features_too(self, task):
        limit = float(np.quantile(task.y, 0.7))
        cut = replace(task, y=np.minimum(task.y, limit))
        one, two = (fit(cut, replace(stack(), balance=0.0, censored_above=known)) for known in (None, limit))
        rows = cut.rows_of("test")[0]
        assert (one.leaderboard.choice, two.leaderboard.choice) == (None, None)
        assert two.censoring.above == limit
        x = next(one.inputs.pieces(task.schema, rows)), next(two.inputs.pieces(task.schema, rows))
        plain, mixture = (EXPERT_NAMES.index(name) for name in ("network", "mixture network"))
        assert one.model.experts[plain].name == "network"
        columns = [model.model.columns(of) for model, of in zip((one, two), x, strict=True)]
        np.testing.assert_array_equal(columns[0][:, plain], columns[1][:, plain])
        assert not np.array_equal(columns[0][:, mixture], columns[1][:, mixture])

    def test_a_run_is_trained_predicted_and_evaluated(self, folder, tmp_path, capsys):
        data, out = folder / "index.csv", tmp_path / "run"
        words = ["--target", "y", "--image", "path", "--drop", "sig", "--drop", "a", "--drop", "b"]
        words += ["--model", "stack", "--set", "image.width=4", "--set", 'model.experts=["lightgbm","network"]']
        words += ["--set", "model.folds=2", "--set", "model.jobs=1", "--epochs", "2", "--device", "cpu"]
        assert run(["train", str(data), *words, "--batch-size", "16", "-o", str(out)]) == 0
        names = [one["name"] for one in json.loads((out / "leaderboard.json").read_text())["standings"]]
        assert names == ["stack", "lightgbm", "network", "constant"]
        saved = pd.read_parquet(out / "predictions.parquet")
        test = saved[saved["split"] == "test"]
        assert run(["predict", str(out), str(data), "-o", str(tmp_path / "p.csv")]) == 0
        pred = pd.read_csv(tmp_path / "p.csv")["prediction"]
        np.testing.assert_allclose(pred[test["row"]], test["prediction"], rtol=1e-5)
        assert run(["evaluate", str(out), str(data), "-o", str(tmp_path / "m.json")]) == 0
        assert run(["train", str(data), *words, "--batch-size", "16", "-o", str(out), "--resume"]) == 2
        capsys.readouterr()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--set", "image.sise=3"], "image has no parameter 'sise'; did you mean 'size'?"),
            (["--set", "text.pair=all"], "parameters of text encoders are given, but no column is one of texts"),
            (["--set", "model.fold=3"], "a stack has no parameter 'fold'"),
            (["--set", "encoder.dropout=0"], "--model stack has no encoder"),
            (["--encoder", "mlp"], "--encoder is for networks"),
            (["-m", "sqinv+lds"], "rows as they come, without 'sqinv+lds'"),
            (["-t", "x"], "predicts one target, and there are 2"),
            (["--image", "a"], "72 of the 72 files that column 'a' names cannot be used"),
        ],
        ids=str,
    )
    def test_mistakes_are_told_before_training(self, folder, tmp_path, monkeypatch, capsys, words, message):
        monkeypatch.chdir(tmp_path)
        command = ["train", folder / "index.csv", "-t", "y", "--image", "path", "--model", "stack"]
        assert message in refused(capsys, *command, *words)
        assert not list(tmp_path.iterdir())

    def test_too_few_rows(self, folder, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        frame = pd.read_csv(folder / "index.csv").assign(path=lambda table: str(folder) + "/" + table["path"])
        frame[:32].to_csv("few.csv", index=False)
        words = ["train", "few.csv", "-t", "y", "--image", "path", "--split", "random", "--model", "stack"]
        assert "a stack needs at least 30 rows to train on" in refused(capsys, *words)

    def test_a_comparison_gives_it_the_parameters_of_encoders(self):
        network, compared = entries_of(["vanilla"], ["auto", "stack"], settings=ON_IMAGES)
        assert network.params == ON_IMAGES
        assert compared.params == {"quality": "good", "jobs": 1, **ON_IMAGES}

    def test_parameters_of_encoders_on_a_plain_table(self, folder):
        task = prepared(folder)
        with pytest.raises(InputError, match="no column is one of images; use `image`"):
            start(task, stack())
