"""The dial of maps: distributions of pixels, decisions image by image, run folders, the command."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import interpolate

import tailwise
from tailwise import Experiment, InputError, Recipe
from tailwise.cli.main import run
from tailwise.distributions import Decision
from tailwise.experiment.map_trade_off import map_trade_off
from tailwise.labels.density import LDS
from tailwise.metrics.depth import DepthErrors
from tailwise.modalities.map_model import MapModel
from tailwise.modalities.map_network import MapInputs
from tailwise.modalities.map_schema import MapSettings
from tailwise.modalities.map_task import prepare_maps
from tailwise.modalities.scenes import write_scenes
from test_cli import refused

RECIPE = Recipe(epochs=2, device="cpu", lr=3e-3)
COLUMNS = ["--image", "image", "--depth", "depth", "--set", "depth.scale=0.001"]
QUICK = ["--epochs", "1", "--device", "cpu", "--lr", "0.003"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", 16)


@pytest.fixture(scope="module")
def task(scenes):
    return prepare_maps(
        pd.read_csv(scenes), scenes.parent, "image", "depth", settings=MapSettings(scale=0.001, augment=False)
    )


@pytest.fixture(scope="module")
def model(task):
    return tailwise.fit(task, Experiment("mixture", recipe=RECIPE))


@pytest.fixture(scope="module")
def finished(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, words in (("plain", ["-m", "vanilla"]), ("half", ["-m", "mixture", "--balance", "0.5"])):
        assert run(["train", str(scenes), *COLUMNS, *words, *QUICK, "-o", str(folder / name)]) == 0
    return folder


def maps_of(model, rows, **decision):
    return list(model.predict(rows, **decision))


class TestModel:
    def test_the_density_is_that_of_all_training_pixels(self, model, task):
        density = model.dial.density
        counts = task.counts.counts
        seen = np.flatnonzero(counts)
        np.testing.assert_array_equal(density.counts, counts[seen[0] : seen[-1] + 1])
        smoothed = (LDS().effective(counts, power=1.0) / task.shots.bins.widths)[seen[0] : seen[-1] + 1]
        known = density.counts > 0
        np.testing.assert_allclose(density.values[known] / smoothed[known], density.values[0] / smoothed[0])

    @pytest.mark.parametrize(
        "decision",
        [{"balance": 0.0}, {"balance": 0.7}, {"loss": "squared"}, {"density": (1.0, 8.0)}, {"quantile": 0.9}],
    )
    def test_decisions_are_those_of_each_pixel(self, model, task, decision):
        rows, _ = task.rows_of("test")
        (x,) = MapInputs().pieces(task.schema, rows)
        network = model.model.model.eval()
        with torch.no_grad():
            outputs = network.head.outputs(network.encode(x.pixels))
        decided = Decision(**decision).of(network.head.predictive(outputs), model.dial)
        small = torch.from_numpy(decided).float().view(len(rows), 1, *outputs.shape[1:3])
        expected = interpolate(small, size=(64, 64), mode="bilinear", align_corners=True)[:, 0].numpy()
        for ours, theirs in zip(maps_of(model, rows, **decision), expected, strict=True):
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)

    def test_images_by_themselves_have_the_same_maps(self, model, task):
        rows, _ = task.rows_of("test")
        together = maps_of(model, rows, balance=0.5)
        for i in range(len(rows)):
            (alone,) = maps_of(model, rows.select([i]), balance=0.5)
            np.testing.assert_allclose(alone, together[i], rtol=1e-4, atol=1e-4)

    def test_maps_are_decided_as_they_are_asked_for(self, model, task, monkeypatch):
        decoded, read = [], type(task.rows).decoded

        def counted(rows):
            decoded.append(len(rows))
            return read(rows)

        monkeypatch.setattr(type(task.rows), "decoded", counted)
        monkeypatch.setattr("tailwise.modalities.map_network.IMAGES_AT_ONCE", 3)
        maps = model.predict(task.rows, balance=0.5)
        assert decoded == []
        assert next(maps).shape == (64, 64)
        assert decoded == [3]

    def test_a_higher_balance_predicts_rarer_depths(self, model, task):
        rows, _ = task.rows_of("test")
        density = [model.dial.density(np.stack(maps_of(model, rows, balance=a))).mean() for a in (0.0, 0.5, 1.0)]
        assert density[0] > density[1] > density[2]

    def test_the_curve_is_of_the_maps_at_each_balance(self, model, task):
        rows, truths = task.rows_of("test")
        curve = map_trade_off(model, rows, balances=(0.0, 0.6), resamples=50)
        assert [point.balance for point in curve.points] == [0.0, 0.6]
        for point in curve.points:
            alone = DepthErrors(model.shots)
            for truth, pred in zip(truths, maps_of(model, rows, balance=point.balance), strict=True):
                alone.add(truth, pred)
            expected = alone.metrics(resamples=50)
            assert point.mae == {name: one.metrics["mae"] for name, one in expected.items() if one.n}
            assert point.bmae == expected["all"].metrics["bmae"].value
        assert curve.points[0].mae["all"].low < curve.points[0].mae["all"].value < curve.points[0].mae["all"].high

    def test_the_curve_of_many_images_is_of_some_spread_over_them(self, model, task):
        rows, truths = task.rows_of("test")
        curve = map_trade_off(model, rows, balances=(0.5,), most=2, resamples=0)
        (point,) = [point for point in curve.points if point.balance == 0.5]
        alone = DepthErrors(model.shots)
        chosen = [0, len(rows) - 1]
        known = list(truths)
        for i, pred in zip(chosen, maps_of(model, rows.select(chosen), balance=0.5), strict=True):
            alone.add(known[i], pred)
        assert point.mae["all"].value == pytest.approx(alone.metrics(resamples=0)["all"].metrics["mae"].value)

    def test_without_a_decision_maps_are_the_means(self, model, task):
        rows, _ = task.rows_of("test")
        for plain, mean in zip(maps_of(model, rows), maps_of(model, rows, loss="squared"), strict=True):
            np.testing.assert_allclose(plain, mean, rtol=1e-4, atol=1e-5)

    def test_saved_and_loaded(self, model, task, tmp_path):
        rows, _ = task.rows_of("test")
        model.save(tmp_path)
        again = MapModel.load(tmp_path)
        for one, other in zip(maps_of(again, rows, balance=0.6), maps_of(model, rows, balance=0.6), strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.slow
    def test_a_balance_of_the_experiment_decides_everywhere(self, model, task):
        half = tailwise.fit(task, Experiment("mixture", recipe=RECIPE, balance=0.5))
        rows, _ = task.rows_of("test")
        for one, other in zip(maps_of(half, rows), maps_of(model, rows, balance=0.5), strict=True):
            np.testing.assert_array_equal(one, other)
        evaluation = tailwise.evaluate(half, task)
        truths = list(task.rows_of("test")[1])
        expected = np.nanmean(np.abs(maps_of(half, rows)[0] - truths[0]))
        assert evaluation.images["mae"][0] == pytest.approx(expected)

    @pytest.mark.slow
    def test_models_without_distributions_say_so(self, task):
        rows, _ = task.rows_of("test")
        for method in ("vanilla", "sqinv+mixture"):
            other = tailwise.fit(task, Experiment(method, recipe=Recipe(epochs=1, device="cpu")))
            with pytest.raises(InputError, match="this model of maps has no distributions; train it with"):
                other.predict(rows, balance=0.5)
            name = method.replace("+", ".")
            with pytest.raises(InputError, match=f"with method '{name}' a `balance` is for one target a row, and maps"):
                tailwise.fit(task, Experiment(method, balance=0.5))

    def test_models_of_earlier_versions_are_read(self, task, tmp_path):
        plain = tailwise.fit(task, Experiment("vanilla", recipe=Recipe(epochs=1, device="cpu")))
        plain.save(tmp_path)
        saved = json.loads((tmp_path / "model.json").read_text())
        for name in ("head", "dial", "balance"):
            del saved[name]
        (tmp_path / "model.json").write_text(json.dumps(saved))
        rows, _ = task.rows_of("test")
        for one, other in zip(maps_of(MapModel.load(tmp_path), rows), maps_of(plain, rows), strict=True):
            np.testing.assert_array_equal(one, other)


class TestCommand:
    def test_a_stored_balance(self, finished, scenes, tmp_path):
        assert json.loads((finished / "half" / "config.json").read_text())["balance"] == 0.5
        model = MapModel.load(finished / "half" / "model")
        frame = pd.read_parquet(finished / "half" / "predictions.parquet")
        row = int(frame.loc[frame["split"] == "test", "row"].iloc[0])
        rows = model.rows(pd.read_csv(scenes).iloc[[row]], scenes.parent, maps=False)
        with np.load(finished / "half" / "predictions.npz") as stored:
            np.testing.assert_allclose(stored[f"row{row}"], maps_of(model, rows)[0], rtol=1e-4, atol=1e-4)

    def test_the_curve_is_in_the_run_and_on_its_page(self, finished):
        curve = json.loads((finished / "half" / "trade_off.json").read_text())
        assert [point["balance"] for point in curve["curve"]] == [0, 0.25, 0.5, 0.75, 1]
        page = (finished / "half" / "report.html").read_text()
        assert "MAE over the pixels of" in page
        assert "0.5 (in use)" in page
        assert not (finished / "plain" / "trade_off.json").exists()
        assert "the dial" not in (finished / "plain" / "report.html").read_text()

    def test_predict(self, finished, scenes, tmp_path):
        model = MapModel.load(finished / "half" / "model")
        rows = model.rows(pd.read_csv(scenes).head(3), scenes.parent, maps=False)
        few = scenes.parent / "few.csv"
        pd.read_csv(scenes).head(3).to_csv(few, index=False)
        for i, (words, decision) in enumerate(
            (
                ([], {}),
                (["--balance", "1"], {"balance": 1.0}),
                (["--density", "uniform:1,5"], {"density": (1.0, 5.0)}),
                (["--cost", "under=1,over=4"], {"under": 1.0, "over": 4.0}),
            )
        ):
            out = tmp_path / str(i)
            assert run(["predict", str(finished / "half"), str(few), "-o", str(out), *words]) == 0
            names = pd.read_csv(out / "predictions.csv")["prediction"]
            for name, expected in zip(names, maps_of(model, rows, **decision), strict=True):
                np.testing.assert_allclose(np.load(out / name), expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize(
        ("name", "words", "message"),
        [
            ("plain", "--balance 0.5", "this model of maps has no distributions"),
            ("half", "--balance 2", "balance must be a number from 0"),
            ("half", "--above 3", "--quantile, --above and --below add columns to a table"),
            ("half", "--density uniform:900,901", "0 on all training labels"),
        ],
    )
    def test_bad_input_is_one_line_and_nothing_is_written(
        self, finished, scenes, tmp_path, capsys, name, words, message
    ):
        out = tmp_path / "maps"
        assert message in refused(capsys, "predict", finished / name, scenes, "-o", out, *words.split())
        assert list(tmp_path.iterdir()) == []

    def test_a_balance_that_the_method_cannot_give_is_refused_before_training(self, scenes, tmp_path, capsys):
        words = ["train", scenes, *COLUMNS, "-m", "vanilla", "--balance", "0.5", "-o", tmp_path / "run"]
        assert "a --balance is for one target a row, and maps have none" in refused(capsys, *words)
        assert not (tmp_path / "run").exists()
