"""Several targets at once: from a table with pitch and yaw to a run folder, and back."""

import json
import math
import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from media_tables import media_frame
from tailwise import InputError, TableModel, compose
from tailwise.bench.protocols import PROTOCOLS
from tailwise.cli.main import run
from tailwise.compare.cell import Cell, plain_cell
from tailwise.experiment.prepare import prepare
from tailwise.experiment.spec import Experiment
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.shots import Shots
from tailwise.methods.catalog import PARTS
from tailwise.metrics.angles import angular_error
from tailwise.metrics.errors import error_sizes, mean_absolute_error
from tailwise.metrics.region_errors import region_errors
from tailwise.metrics.region_metrics import dimension_metrics, region_metrics
from tailwise.report.cell_charts import cell_error_chart, cells_chart
from tailwise.runs import folder as run_folder
from tailwise.training.recipe import Recipe
from test_cli import refused
from trainings import start_training

RNG = np.random.default_rng(0)
TWO = ["--target", "pitch", "--target", "yaw"]
QUICK = ["--epochs", "4", "--device", "cpu", "--batch-size", "64", "--set", "encoder.widths=[32]"]


def eyes(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Two skewed angles that the other columns tell."""
    rng = np.random.default_rng(seed)
    pitch, yaw = -rng.gamma(2.0, 5.0, n), rng.normal(0, 12, n)
    a, b = np.sin(np.radians(pitch)), np.tan(np.radians(yaw))
    subject = [f"p{i % 20}" for i in range(n)]
    return pd.DataFrame({"a": a, "b": b, "subject": subject, "pitch": pitch.round(3), "yaw": yaw.round(3)})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a table, new rows, a run, and another beside it."""
    folder = tmp_path_factory.mktemp("eyes")
    eyes().to_csv(folder / "eyes.csv", index=False)
    eyes(120, seed=1).to_csv(folder / "new.csv", index=False)
    words = [str(folder / "eyes.csv"), *TWO, "--group", "subject", *QUICK]
    assert run(["train", *words, "--out", str(folder / "run")]) == 0
    other = ["-m", "fds+conr", "--against", str(folder / "run"), "--out", str(folder / "other")]
    assert run(["train", *words, *other]) == 0
    return folder


@pytest.fixture(scope="module")
def table():
    return prepare(eyes(200).drop(columns="subject"), ["pitch", "yaw"])


class TestTheTable:
    def test_regions_are_those_of_a_loop_over_cells(self, table):
        y, part, (pitch, yaw) = table.y, table.part, table.shots.bins.axes
        train = y[part == "train"]

        def cell(label):
            places = []
            for value, bins in zip(label, (pitch, yaw), strict=True):
                edges = bins.edges.astype(float)
                inside = [b for b in range(bins.n_bins) if edges[b] <= np.float32(value) < edges[b + 1]]
                places.append(inside[0] if inside else 0 if value < edges[0] else bins.n_bins - 1)
            return tuple(places)

        counts = dict.fromkeys(product(range(pitch.n_bins), range(yaw.n_bins)), 0)
        for label in train:
            counts[cell(label)] += 1
        many, few = max(len(train) / 122.08, 10), max(len(train) / 610.4, 2)

        def region(label):
            n = counts[cell(label)]
            return "zero" if n == 0 else "many" if n > many else "few" if n < few else "medium"

        assert table.shots.names(y).tolist() == [region(label) for label in y]
        assert table.shots.counts.tolist() == [counts[place] for place in sorted(counts)]
        again = Shots.from_json(json.loads(json.dumps(table.shots.to_json())))
        assert again.names(y).tolist() == table.shots.names(y).tolist()

    def test_the_balanced_split_takes_of_every_cell(self, table):
        # The cells that stratify are those of all rows.
        cell = BinGrid.auto(table.y).index(table.y)
        held = {part: np.bincount(cell[table.part == part], minlength=cell.max() + 1) for part in ("val", "test")}
        assert (held["val"] == held["test"]).all()
        assert (held["val"] <= np.bincount(cell) // 3).all()
        assert held["test"].sum() == (table.part == "test").sum() > 15

    def test_width_and_number_of_bins_are_those_of_each_axis(self):
        frame = eyes(200).drop(columns="subject")
        grid = prepare(frame, ["pitch", "yaw"], bin_width=5.0).shots.bins
        assert all((bins.widths == 5).all() for bins in grid.axes)
        assert prepare(frame, ["pitch", "yaw"], n_bins=3).shots.bins.shape == (3, 3)
        shots = prepare(frame, ["pitch", "yaw"], shots=(7, 3)).shots
        assert (shots.many, shots.few) == (7, 3)

    def test_one_target_in_a_list_is_one_target(self):
        frame = eyes(200).drop(columns=["subject", "yaw"])
        one, listed = prepare(frame, "pitch"), prepare(frame, ["pitch"])
        assert one.y.shape == listed.y.shape == (200,)
        assert one.schema == listed.schema
        assert one.schema.to_json()["target"] == "pitch"
        assert one.shots.to_json() == listed.shots.to_json()

    def test_rows_that_lack_one_of_the_targets(self):
        frame = eyes(200).drop(columns="subject")
        frame.loc[3, "pitch"] = np.nan
        frame.loc[[3, 9], "yaw"] = np.nan
        with pytest.raises(InputError, match="column 'pitch' has 1 empty cell in the target"):
            prepare(frame, ["pitch", "yaw"])
        dropped = prepare(frame, ["pitch", "yaw"], drop_missing_target=True)
        assert dropped.notes[0] == "2 rows dropped: no target"
        assert dropped.y.shape == (198, 2)
        assert not np.isin([3, 9], dropped.row).any()
        np.testing.assert_array_equal(dropped.y, frame[["pitch", "yaw"]].to_numpy()[dropped.row])

    @pytest.mark.parametrize(
        ("targets", "choices", "message"),
        [
            (["pitch", "pitch"], {}, "'pitch' is named twice"),
            ([f"y{i}" for i in range(51)], {}, "1 to 50 targets, got 51"),
            ([], {}, "1 to 50 targets, got 0"),
            (["pitch", "jaw"], {}, "target 'jaw' is not a column of the table; did you mean 'yaw'"),
            (["pitch", "subject"], {}, "target 'subject' must be numeric"),
            (["pitch", "same"], {}, "target 'same' is constant"),
            (["pitch", "yaw"], {"mask_target": [(-20, -10)]}, "`mask_target` removes a range of one target"),
            (["pitch", "yaw"], {"edges": [-90, 0, 90]}, "edges are of one target, and there are 2"),
            (["pitch", "yaw"], {"group": "yaw"}, "`group` names 'yaw', which is a target"),
            (["pitch", "yaw"], {"drop": ["yaw"]}, "`drop` names 'yaw', which is one of the targets"),
            (["pitch", "yaw"], {"bin_width": 0.001}, "at most 10,000 are allowed"),
            (["pitch", "yaw"], {"bin_width": 0.03}, "a grid has at most 1,000,000 cells"),
        ],
    )
    def test_choices_that_cannot_be(self, targets, choices, message):
        with pytest.raises(InputError, match=re.escape(message)):
            prepare(eyes(200).assign(same=1.0), targets, **choices)


class TestErrors:
    shots = Shots.from_labels(
        RNG.normal(size=(300, 2)), BinGrid((Bins.from_edges([-2, -1, 0, 1, 2]), Bins.from_edges([-2, 0, 2])))
    )

    def test_the_error_of_a_row_is_its_distance(self):
        true, pred = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3))
        plain = [math.dist(a, b) for a, b in zip(true, pred, strict=True)]
        np.testing.assert_allclose(error_sizes(true, pred), plain)
        assert mean_absolute_error(true, pred) == pytest.approx(np.mean(plain))
        with pytest.raises(InputError, match="pred has shape"):
            error_sizes(true, pred[:, :2])

    def test_regions_as_a_plain_loop(self):
        true = RNG.normal(size=(200, 2)) * 1.3
        pred = true + RNG.normal(size=(200, 2))
        size, names, cell = np.hypot(*(pred - true).T), self.shots.names(true), self.shots.bins.index(true)
        found, quick = region_metrics(true, pred, self.shots, resamples=200), region_errors(true, pred, self.shots)
        for name in ("all", "many", "medium", "few", "zero"):
            here = np.ones(200, dtype=bool) if name == "all" else names == name
            assert found[name].n == here.sum()
            if not here.any():
                assert name not in quick
                continue
            plain = {
                "mae": size[here].mean(),
                "rmse": math.sqrt((size[here] ** 2).mean()),
                "gm": math.exp(np.log(size[here]).mean()),
                "bmae": np.mean([size[here & (cell == c)].mean() for c in set(cell[here])]),
            }
            for key, value in plain.items():
                assert found[name].metrics[key].value == pytest.approx(value)
                assert quick[name][key] == pytest.approx(value)
            assert not {"bias", "sera"} & (set(found[name].metrics) | set(quick[name]))
        mean = found["all"].metrics
        assert mean["mae"].low < mean["mae"].value < mean["mae"].high
        by_hand = np.mean([np.corrcoef(true[:, j], pred[:, j])[0, 1] for j in (0, 1)])
        assert mean["pearson"].value == pytest.approx(by_hand)
        assert mean["pearson"].low < by_hand < mean["pearson"].high

    def test_each_dimension_by_itself(self):
        true = RNG.normal(size=(200, 2))
        pred = true + np.array([0.5, -1.0])
        found = dimension_metrics(true, pred, self.shots, resamples=0)
        assert [one["all"].metrics["bias"].value for one in found] == pytest.approx([0.5, -1.0])
        assert found[0]["many"].n == (self.shots.names(true) == "many").sum()
        with pytest.raises(InputError, match="need a grid"):
            dimension_metrics(true, pred, Shots.from_labels(true[:, 0]))

    def test_angles_as_plain_trigonometry(self):
        true, pred = RNG.uniform(-80, 80, size=(40, 2)), RNG.uniform(-80, 80, size=(40, 2))

        def plain(one, other):  # the great circle between two places, by the law of cosines
            (p, y), (q, z) = np.radians(one), np.radians(other)
            return math.degrees(math.acos(math.sin(p) * math.sin(q) + math.cos(p) * math.cos(q) * math.cos(y - z)))

        np.testing.assert_allclose(angular_error(true, pred), [plain(*pair) for pair in zip(true, pred, strict=True)])
        assert angular_error(true, true).max() < 1e-13
        assert angular_error([[10.0, 20.0]], [[10.0 + 1e-7, 20.0]])[0] == pytest.approx(1e-7, rel=1e-4)
        with pytest.raises(InputError, match=r"needs pitch and yaw, \(n, 2\)"):
            angular_error(true[:, 0], pred[:, 0])

    def test_charts_tell_their_cells(self):
        true = RNG.normal(size=(60, 2))
        density = cells_chart(self.shots, ["up", "side"])
        error = cell_error_chart(true, true + np.array([0.3, 0.4]), self.shots, ["up", "side"])
        assert "Training rows in 8 cells of up and side: 300 where they are many; 0 cells have none." in density
        assert len(json.loads(re.search(r'data-tips="([^"]*)"', density)[1].replace("&#34;", '"'))) == 8
        assert "mean distance 0.5 (" in error
        fine = Shots.from_labels(true, BinGrid((Bins.count(true[:, 0], 200), Bins.count(true[:, 1], 200))))
        assert "colour: training rows a cell, mean of 25" in cells_chart(fine, ["up", "side"])


class TestTraining:
    def test_it_learns_both(self, table):
        setup = start_training(table, compose("sqinv+lds"), Recipe(epochs=25, device="cpu", lr=1e-2), encoder="mlp")
        history = [epoch.validation for epoch in setup.epochs()]
        model = TableModel(table.schema, setup.inputs, setup.predictor, table.shots, None)
        rows, y = table.rows_of("test")
        pred = model.predict(rows)
        assert pred.shape == y.shape
        _, y_train = table.rows_of("train")
        median = np.broadcast_to(np.median(y_train, axis=0), y.shape)
        assert mean_absolute_error(y, pred) < 0.2 * mean_absolute_error(y, median)
        assert history[-1]["mae"] < history[0]["mae"]
        assert model.predict(rows.frame().head(0)).shape == (0, 2)

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.slow
    def test_parts_that_take_several_targets_train_and_the_others_say_no(self, table, part):
        def train():
            small = {"widths": (8,)}
            recipe = Recipe(epochs=1, device="cpu", batch_size=64)
            setup = start_training(table, compose(part), recipe, encoder="mlp", params=small)
            return [epoch.validation.get("mae", 0.0) for epoch in setup.epochs()]

        if "k" in PARTS[part].targets:
            assert np.isfinite(train()).all()
        else:
            with pytest.raises(InputError, match=rf"^'?{part}.*; leave .*out$"):
                train()

    def test_models_of_one_target_say_no(self, table):
        recipe = Recipe(epochs=1, device="cpu")
        for model in ("lightgbm", "linear"):
            with pytest.raises(InputError, match=f"model '{model}' predicts one target, and there are 2"):
                start_training(table, compose("vanilla"), recipe, model=model)
        with pytest.raises(InputError, match="TabM predicts one target, and there are 2"):
            start_training(table, compose("vanilla"), recipe, encoder="tabm")

    def test_weights_are_those_of_the_cells(self, table):
        setup = start_training(table, compose("inv"), Recipe(epochs=1, device="cpu"), encoder="mlp")
        _, y = table.rows_of("train")
        weights = setup.training.objective.weights(torch.from_numpy(y).float()).double().numpy()
        rows = table.shots.counts[table.shots.bins.index(y)]
        np.testing.assert_allclose(weights * rows, weights[0] * rows[0], rtol=1e-5)


class TestTheCommand:
    def test_the_run_folder(self, finished):
        config = json.loads((finished / "run" / "config.json").read_text())
        assert config["target"] == ["pitch", "yaw"]
        assert not (finished / "run" / "intervals.json").exists()
        frame = pd.read_parquet(finished / "run" / "predictions.parquet")
        kinds = [f"{kind}_{name}" for kind in ("target", "prediction") for name in ("pitch", "yaw")]
        assert frame.columns.tolist() == ["row", "split", *kinds, "region"]
        source = pd.read_csv(finished / "eyes.csv")
        np.testing.assert_array_equal(source[["pitch", "yaw"]].to_numpy()[frame["row"]], frame[kinds[:2]])
        subjects = source["subject"].to_numpy()[frame["row"]]
        assert pd.Series(frame["split"].to_numpy()).groupby(subjects).nunique().max() == 1
        test = frame[frame["split"] == "test"]
        size = np.hypot(*(test[kinds[2:]].to_numpy() - test[kinds[:2]].to_numpy()).T)
        metrics = json.loads((finished / "run" / "metrics.json").read_text())
        assert metrics["all"]["mae"]["value"] == pytest.approx(size.mean())
        for region in ("many", "medium", "few", "zero"):
            here = (test["region"] == region).to_numpy()
            assert metrics[region]["n"] == here.sum()
            assert "mae" not in metrics[region] or metrics[region]["mae"]["value"] == pytest.approx(size[here].mean())

    def test_predict_and_evaluate(self, finished, capsys):
        out = finished / "new-predictions.csv"
        assert run(["predict", str(finished / "run"), str(finished / "new.csv"), "--out", str(out)]) == 0
        found, model = pd.read_csv(out), TableModel.load(finished / "run" / "model")
        assert found.columns.tolist() == ["row", "prediction_pitch", "prediction_yaw", "region"]
        new = pd.read_csv(finished / "new.csv")
        pred = model.predict(new)
        np.testing.assert_allclose(found[["prediction_pitch", "prediction_yaw"]], pred)
        assert found["region"].tolist() == model.shots.names(pred).tolist()
        trained_on = pd.read_parquet(finished / "run" / "predictions.parquet")
        again = model.predict(pd.read_csv(finished / "eyes.csv"))[trained_on["row"]]
        np.testing.assert_allclose(trained_on[["prediction_pitch", "prediction_yaw"]], again, rtol=1e-5, atol=1e-5)
        scores = finished / "scores.json"
        capsys.readouterr()
        assert run(["evaluate", str(finished / "run"), str(finished / "new.csv"), "--out", str(scores)]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "distances between prediction and true value" in shown
        assert "MAE" not in shown
        assert "bias" not in shown
        size = np.hypot(*(pred - new[["pitch", "yaw"]].to_numpy()).T)
        assert json.loads(scores.read_text())["all"]["mae"]["value"] == pytest.approx(size.mean())

    def test_the_page(self, finished):
        page = (finished / "other" / "report.html").read_text()
        assert "Distance of both runs on the same test rows" in page
        assert "Each target</h2>" in page
        for picture in (
            "Training rows in 16 cells of pitch and yaw",
            "Mean distance between prediction and true value by cell of pitch and yaw",
            "Predicted against true pitch of",
            "Predicted against true yaw of",
            "Validation distance over 4 epochs",
        ):
            assert f'role="img" aria-label="{picture}' in page
        assert "Euclidean distance between prediction and true value over pitch, yaw" in page
        assert "nan" not in re.sub(r'data-tips="[^"]*"', "", page).lower()

    @pytest.mark.slow
    def test_resume(self, finished, tmp_path, capsys, monkeypatch):
        options = ["--group", "subject", *QUICK, "--out", str(tmp_path / "run")]
        words = ["train", str(finished / "eyes.csv"), *TWO, *options]
        write = run_folder.append_history

        def stop_in_the_third(out, line):
            write(out, line)
            if line["epoch"] == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(run_folder, "append_history", stop_in_the_third)
            assert run(words) == 130
        one_target = ["train", finished / "eyes.csv", *TWO[:2], *options, "--resume"]
        assert "was started with another target" in refused(capsys, *one_target)
        assert run([*words, "--resume"]) == 0
        for name in ("metrics.json", "predictions.parquet"):
            assert (tmp_path / "run" / name).read_bytes() == (finished / "run" / name).read_bytes()

    def test_refusals(self, finished, tmp_path, capsys):
        words = ["train", finished / "eyes.csv", *TWO, "--drop", "subject", "--out", tmp_path / "out"]
        for option, message in (
            (["--mask-target=-20,-10"], "--mask-target removes a range of one target"),
            (["--model", "lightgbm"], "model 'lightgbm' predicts one target"),
            (["-m", "isotonic"], "'isotonic' corrects predictions by one target"),
            (["-m", "smogn"], "'smogn' resamples rows by one target"),
            (["-m", "sera"], "sera: this part needs scalar labels"),
            (["--target", "pitch"], "target 'pitch' is named twice"),
            (["--against", finished / "run"], "was tested on other rows"),
        ):
            assert message in refused(capsys, *words, *option)
            assert not (tmp_path / "out").exists()
        predict = ["predict", finished / "run", finished / "new.csv", "--out", tmp_path / "p.csv", "--interval", "0.9"]
        assert "a run on 2 targets has no intervals; leave out --interval" in refused(capsys, *predict)
        with pytest.raises(InputError, match="no intervals of 2 targets"):
            TableModel.load(finished / "run" / "model").predict_interval(eyes(5))

    @pytest.mark.slow
    def test_targets_of_very_different_spread_are_told(self, tmp_path, capsys):
        eyes(150).assign(yaw=lambda f: 1000 * f["yaw"]).to_csv(tmp_path / "eyes.csv", index=False)
        words = ["train", str(tmp_path / "eyes.csv"), *TWO, "--drop", "subject", *QUICK, "--out", str(tmp_path / "run")]
        assert run(words) == 0
        text = capsys.readouterr()
        assert "standard deviations of the targets are far apart ('pitch' 6.036, 'yaw' 10,939)" in text.err
        assert "in units of standard deviations of the 2 targets" in text.out
        assert "standard deviations of the targets" in (tmp_path / "run" / "report.html").read_text()

    @pytest.mark.slow
    @pytest.mark.parametrize("factor", [1.0, 1000.0])
    def test_three_targets_of_images(self, factor, tmp_path, capsys):
        frame = media_frame(tmp_path)
        frame.assign(z=factor * (frame["x"] - frame["y"])).drop(columns=["sig", "a", "b"]).to_csv(
            tmp_path / "index.csv", index=False
        )
        targets = [word for name in ("x", "y", "z") for word in ("-t", name)]
        image = ["--image", "path", "--set", "image.width=4", "--epochs", "1", "--device", "cpu", "--batch-size", "32"]
        words = ["train", str(tmp_path / "index.csv"), *targets, *image, "--split", "random"]
        assert run([*words, "--out", str(tmp_path / "run")]) == 0
        assert run(["evaluate", str(tmp_path / "run"), str(tmp_path / "index.csv")]) == 0
        page = (tmp_path / "run" / "report.html").read_text()
        assert "Predicted against true z of" in page
        assert "by cell of" not in page
        assert ("standard deviations of the 3 targets" in capsys.readouterr().out) == (factor > 1)


@pytest.mark.slow
def test_gaze_is_one_benchmark_of_both_angles(tmp_path, capsys):
    protocol, data, prepared, out = PROTOCOLS["mpiigaze-dir"], *(tmp_path / name for name in ("data", "ready", "out"))
    protocol.toy(data, 0)
    protocol.prepare(data, prepared)
    frame = pd.read_csv(prepared / "index.csv")
    assert {"path", "pitch", "yaw", "split"} == set(frame)
    quick = [word for setting in protocol.quick for word in ("--set", setting)]
    words = ["bench", "run", "mpiigaze-dir", "--data", str(prepared), "--out", str(out), "-m", "vanilla"]
    assert run([*words, "--seeds", "1", "--epochs", "1", *quick]) == 0
    assert "angular error" in capsys.readouterr().out
    (file,) = (out / "cells").rglob("*.json")
    metrics = json.loads(file.read_text())["metrics"]
    with np.load(file.with_suffix(".npz")) as found:
        angles = angular_error(found["target"], found["prediction"])
        assert metrics["all"]["angular"] == pytest.approx(angles.mean())
        many = angles[found["region"] == 0]
    assert metrics["many"]["angular"] == pytest.approx(many.mean())


def test_cells_of_one_target_are_known_as_before():
    cell = Cell("toy", "toy.csv", "y", Experiment("vanilla", encoder="mlp"), 0)
    assert not {"also", "angles"} & set(plain_cell(cell))
    both = Cell("toy", "toy.csv", "pitch", Experiment("vanilla", encoder="mlp"), 0, also=("yaw",), angles=True)
    assert plain_cell(both)["also"] == ["yaw"]
