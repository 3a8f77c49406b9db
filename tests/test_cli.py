import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import toy_frame
from tailwise import Experiment, FittedModel, Recipe, TableModel, fit, prepare
from tailwise.cli.main import run
from tailwise.methods.catalog import PARTS

TRAIN = ["--target", "price", "--method", "sqinv+lds", "--epochs", "3", "--device", "cpu"]
LONGER = ["--target", "price", "--method", "sqinv+lds", "--epochs", "4"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a table and a finished run."""
    from conftest import toy_frame

    folder = tmp_path_factory.mktemp("finished")
    toy_frame().to_csv(folder / "toy.csv", index=False)
    assert run(["train", str(folder / "toy.csv"), *TRAIN, "--out", str(folder / "run")]) == 0
    return folder


# beginnings of the lines that a training shows
PROGRESS = ("epoch ", "lightgbm, fold ", "network, fold ", "mixture, fold ", "note: ")


def refused(capsys, *arguments, before=("epoch ",)):
    """Run, expect one line on stderr and exit status 2, and return the line.

    A training that fails has shown its progress before, in lines that begin like this.
    """
    capsys.readouterr()
    assert run([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.strip() and not line.startswith(before)]
    assert captured.out == ""
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("tailwise: ")
    return lines[0]


class TestTrain:
    def test_the_run_folder_is_complete(self, finished):
        out = finished / "run"
        names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
        assert names >= {
            "config.json",
            "model/model.safetensors",
            "model/preprocess.skops",
            "model/model.json",
            "history.jsonl",
            "metrics.json",
            "predictions.parquet",
            "report.html",
            "checkpoints/last/state.safetensors",
            "manifest.json",
        }
        config = json.loads((out / "config.json").read_text())
        assert config["method"]["name"] == "sqinv+lds"
        assert len(config["data"]["sha256"]) == 64
        assert config["versions"]["torch"]
        history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in history] == [0, 1, 2]
        assert {"terms", "validation", "lr", "seconds"} <= set(history[0])

    def test_metrics_match_the_predictions(self, finished):
        metrics = json.loads((finished / "run" / "metrics.json").read_text())
        frame = pd.read_parquet(finished / "run" / "predictions.parquet")
        test = frame[frame["split"] == "test"]
        error = (test["prediction"] - test["target"]).abs()
        assert metrics["all"]["n"] == len(test)
        assert metrics["all"]["mae"]["value"] == pytest.approx(error.mean())
        assert metrics["all"]["mae"]["low"] < error.mean() < metrics["all"]["mae"]["high"]
        for region in ("many", "medium", "few", "zero"):
            here = error[test["region"] == region]
            assert metrics[region]["n"] == len(here)
            assert ("mae" in metrics[region]) == bool(len(here))
        source = pd.read_csv(finished / "toy.csv")
        assert np.allclose(source["price"].to_numpy()[frame["row"]], frame["target"])

    def test_the_page_is_self_contained(self, finished):
        page = (finished / "run" / "report.html").read_text()
        assert "<svg" in page
        assert page.count("<script") == 1
        assert "Map of the features" in page
        for address in ('src="http', 'href="http', "@import", "url(http"):
            assert address not in page
        assert len(page) < 2_000_000

    @pytest.mark.slow
    def test_the_table_goes_to_stdout(self, toy_csv, tmp_path, capsys):
        assert run(["train", str(toy_csv), *TRAIN, "--method", "vanilla", "-o", str(tmp_path / "r")]) == 0
        text = capsys.readouterr().out
        for word in ("All", "Many", "Medium", "Few", "Zero", "MAE", "report:"):
            assert word in text
        assert text.splitlines()[-1] == f"new rows: tailwise predict {tmp_path / 'r'} NEW.csv --out predicted.csv"

    @pytest.mark.slow
    def test_every_option_at_once(self, toy_csv, tmp_path):
        arguments = [
            "train",
            toy_csv,
            *TRAIN,
            "--method",
            "reweight+lds+fds+conr+focal_l1+rrt",
            "--out",
            tmp_path / "r",
        ]
        arguments += ["--set", "conr.window=2.0", "--set", "reweight.power=0.7", "--set", "rrt.epochs=2", "--seed", 3]
        arguments += ["--bin-width", 5, "--shots", "30,5", "--split", "random", "--batch-size", 50, "--lr", 0.002]
        arguments += ["--drop", "x2", "--nominal", "new", "--patience", 0, "--criterion", "mae", "--precision", "bf16"]
        assert run([str(a) for a in arguments]) == 0
        model = json.loads((tmp_path / "r" / "model" / "model.json").read_text())
        assert model["shots"]["many"] == 30
        assert model["schema"]["unused"] == {"x2": "dropped"}
        history = (tmp_path / "r" / "history.jsonl").read_text().splitlines()
        assert len(history) == 5

    @pytest.mark.slow
    def test_groups_stay_whole(self, toy, tmp_path):
        toy["house"] = np.arange(len(toy)) // 5
        toy.to_csv(tmp_path / "g.csv", index=False)
        assert run(["train", str(tmp_path / "g.csv"), *TRAIN, "--group", "house", "-o", str(tmp_path / "r")]) == 0
        frame = pd.read_parquet(tmp_path / "r" / "predictions.parquet")
        assert frame.assign(house=frame["row"] // 5).groupby("house")["split"].nunique().max() == 1

    @pytest.mark.slow
    def test_a_run_beside_another(self, finished, tmp_path, capsys):
        arguments = ["train", finished / "toy.csv", *TRAIN, "--method", "vanilla", "-o", tmp_path / "r"]
        assert run([str(a) for a in [*arguments, "--against", finished / "run"]]) == 0
        assert "vanilla beside sqinv+lds" in capsys.readouterr().out
        assert "Beside sqinv+lds" in (tmp_path / "r" / "report.html").read_text()

    @pytest.mark.slow
    def test_a_run_is_told_from_one_of_the_same_method(self, finished, tmp_path):
        arguments = ["train", finished / "toy.csv", *TRAIN, "--mask-target", "40,60", "-o", tmp_path / "r"]
        assert run([str(a) for a in [*arguments, "--against", finished / "run"]]) == 0
        page = (tmp_path / "r" / "report.html").read_text()
        assert "Beside sqinv+lds (run, without masked ranges)" in page
        assert "MAE sqinv+lds (this run)" in page

    def test_a_run_on_other_rows_is_no_comparison(self, finished, tmp_path, capsys):
        arguments = ["train", finished / "toy.csv", *TRAIN, "--seed", 5, "-o", tmp_path / "r"]
        assert "tested on other rows" in refused(capsys, *arguments, "--against", finished / "run")
        assert not (tmp_path / "r").exists()


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nothing.csv", "-t", "price"], "no file 'nothing.csv'"),
            (["TOY", "-t", "pric"], "did you mean 'price'?"),
            (["TOY", "-t", "city"], "must be numeric"),
            (["TOY", "-t", "price", "--method", "sqinv+con"], "unknown method part 'con' in 'sqinv+con'; did you mean"),
            (["TOY", "-t", "price", "--method", "inv+sqinv"], "both fill the slot"),
            (["TOY", "-t", "price", "--set", "conr.window=2"], "not part of 'sqinv+lds'; add it to the method"),
            (["TOY", "-t", "price", "--set", "lds.windw=2"], "'lds' has no parameter 'windw'; did you mean 'window'?"),
            (["TOY", "-t", "price", "--set", "lds.window=4"], "odd"),
            (["TOY", "-t", "price", "--set", "window"], "--set takes PART.PARAMETER=VALUE"),
            (["TOY", "-t", "price", "-m", "sera", "--set", "sera.points=[[0,1]"], "is no valid JSON list"),
            (["TOY", "-t", "price", "--shots", "20"], "--shots takes MANY,FEW"),
            (["TOY", "-t", "price", "--shots", "5,20"], "few <= many"),
            (["TOY", "-t", "price", "--group", "cty"], "did you mean 'city'?"),
            (["TOY", "-t", "price", "--split", "column"], "needs a column 'split'"),
            (["TOY", "-t", "price", "--bins", "0"], "n_bins"),
            (["TOY", "-t", "price", "--bin-width", "-1"], "width must be"),
            (["TOY", "-t", "price", "--epochs", "0"], "epochs must be"),
            (["TOY", "-t", "price", "--epochs", "many"], "--epochs takes a whole number, got 'many'"),
            (["TOY", "-t", "price", "--device", "abacus"], "device must be"),
            (["TOY", "-t", "price", "--drop", "none"], "--drop 'none' is not a column"),
            (["TOY"], "Missing option '--target'"),
            (["TOY", "-t", "price", "--metod", "lds"], "No such option"),
            (["example:airprts", "-t", "x"], "did you mean 'airports'?"),
            (["TOY", "-t", "price", "--resume"], "no run to resume"),
            (["TOY", "-t", "price", "--against", "elsewhere"], "no run folder 'elsewhere'"),
        ],
    )
    def test_one_line_and_nothing_written(self, toy_csv, tmp_path, monkeypatch, capsys, arguments, message):
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        assert message in refused(capsys, "train", *(str(toy_csv) if a == "TOY" else a for a in arguments))
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda f: f.assign(price=1.0), "is constant"),
            (lambda f: f.assign(price=f["price"].mask(f.index < 3)), "3 empty cells in the target; drop them with"),
            (lambda f: f.assign(price=f["price"].mask(f.index == 3, np.inf)), "1 infinite cell"),
            (lambda f: f[:20], "20 rows with a target; at least 30"),
        ],
    )
    def test_bad_targets(self, toy, tmp_path, capsys, change, message):
        change(toy).to_csv(tmp_path / "bad.csv", index=False)
        line = refused(capsys, "train", tmp_path / "bad.csv", *TRAIN, "-o", tmp_path / "r")
        assert message in line
        assert not (tmp_path / "r").exists()

    @pytest.mark.slow
    def test_a_finished_run_is_kept_unless_overwrite(self, finished, toy_csv, tmp_path, capsys):
        line = refused(capsys, "train", toy_csv, *TRAIN, "-o", finished / "run")
        assert "already holds a finished run; pass --overwrite" in line
        other = tmp_path / "other"
        assert run(["train", str(toy_csv), *TRAIN, "-o", str(other)]) == 0
        assert run(["train", str(toy_csv), *TRAIN, "-o", str(other), "--overwrite", "--method", "vanilla"]) == 0
        assert json.loads((other / "config.json").read_text())["method"]["name"] == "vanilla"

    def test_other_peoples_folders_are_not_runs(self, toy_csv, tmp_path, capsys):
        site = tmp_path / "site"
        (site / "model").mkdir(parents=True)
        (site / "model" / "precious.pt").write_text("weights")
        for name in ("manifest.json", "config.json"):
            (site / name).write_text('{"name": "an app"}')
        line = refused(capsys, "train", toy_csv, *TRAIN, "-o", site, "--overwrite")
        assert "holds no run" in line
        assert (site / "model" / "precious.pt").exists()

    @pytest.mark.slow
    def test_a_failed_replacement_keeps_the_finished_run(self, toy_csv, tmp_path, capsys):
        out = tmp_path / "r"
        assert run(["train", str(toy_csv), *TRAIN, "-o", str(out)]) == 0
        before = (out / "model" / "model.safetensors").read_bytes()
        assert "smaller --lr" in refused(
            capsys, "train", toy_csv, *TRAIN, "-o", out, "--overwrite", "--lr", 1e15, before=PROGRESS
        )
        assert (out / "model" / "model.safetensors").read_bytes() == before
        assert run(["evaluate", str(out), str(toy_csv)]) == 0

    @pytest.mark.slow
    def test_what_is_put_aside_is_never_somebody_elses(self, toy_csv, tmp_path, capsys):
        out = tmp_path / "r"
        assert run(["train", str(toy_csv), *TRAIN, "-o", str(out)]) == 0
        (out / "replaced").mkdir()
        (out / "replaced" / "mine.txt").write_text("keep")
        assert "is in the way" in refused(capsys, "train", toy_csv, *TRAIN, "-o", out, "--overwrite")
        assert (out / "replaced" / "mine.txt").exists()
        assert run(["evaluate", str(out), str(toy_csv)]) == 0

    def test_a_training_that_diverges_leaves_nothing(self, toy_csv, tmp_path, capsys):
        refused(capsys, "train", toy_csv, *TRAIN, "-o", tmp_path / "r", "--lr", 1e15, before=PROGRESS)
        assert not (tmp_path / "r").exists()

    @pytest.mark.parametrize(
        "setting",
        [
            "conr.coef=abc",
            "conr.coef=none",
            "conr.window=NaN",
            "fds.clip=[]",
            "fds.clip=[0.5,2,3]",
            "fds.start_update=abc",
            "fds.window=5.0",
            "sqinv.clip=abc",
            "lds.sigma=1e300",
            "rrt.epochs=0",
            "rrt.epochs=2.5",
            "rrt.lr=-1",
        ],
    )
    def test_parameters_of_the_wrong_kind(self, toy_csv, tmp_path, capsys, setting):
        refused(
            capsys, "train", toy_csv, *TRAIN, "-m", "sqinv+lds+fds+conr+rrt", "--set", setting, "-o", tmp_path / "r"
        )
        assert not (tmp_path / "r").exists()

    def test_a_folder_with_other_things_is_left_alone(self, toy_csv, tmp_path, capsys):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("years of work")
        for extra in ([], ["--overwrite"]):
            line = refused(capsys, "train", toy_csv, *TRAIN, "-o", tmp_path / "mine", *extra)
            assert "is not empty and holds no run" in line
        assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


class TestInterrupted:
    def stopped(self, toy_csv, out, monkeypatch, after=2):
        from tailwise.training.loop import Training

        real = Training._one_epoch

        def stop(training):
            if training.epoch == after:
                raise KeyboardInterrupt
            return real(training)

        monkeypatch.setattr(Training, "_one_epoch", stop)
        code = run(["train", str(toy_csv), *LONGER, "-o", str(out)])
        monkeypatch.setattr(Training, "_one_epoch", real)
        return code

    @pytest.mark.slow
    def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_model(self, toy_csv, tmp_path, monkeypatch, capsys):
        whole, cut = tmp_path / "whole", tmp_path / "cut"
        common = ["train", str(toy_csv), *LONGER]
        assert run([*common, "-o", str(whole)]) == 0
        assert self.stopped(toy_csv, cut, monkeypatch) == 130
        assert "--resume" in capsys.readouterr().err
        assert "unfinished run" in refused(capsys, "predict", cut, toy_csv, "-o", tmp_path / "p.csv")
        assert "pass --resume" in refused(capsys, *common, "-o", cut)
        assert "another recipe" in refused(capsys, *common[:-1], "9", "-o", cut, "--resume")
        assert run([*common, "-o", str(cut), "--resume"]) == 0
        files = [run_ / "model" / "model.safetensors" for run_ in (whole, cut)]
        assert files[0].read_bytes() == files[1].read_bytes()
        assert len((cut / "history.jsonl").read_text().splitlines()) == 4

    @pytest.mark.slow
    def test_stopped_before_the_first_epoch(self, toy_csv, tmp_path, monkeypatch):
        assert self.stopped(toy_csv, tmp_path / "r", monkeypatch, after=0) == 130
        assert run(["train", str(toy_csv), *LONGER, "-o", str(tmp_path / "r"), "--resume"]) == 0


WITH_STD = ("uvote", "vir", "mixture", "histogram", "pinball", "hurdle")
ONE_OF_EACH_SLOT = list({part.slot: name for name, part in PARTS.items()}.values())


@pytest.fixture(scope="module")
def toy_task():
    return prepare(toy_frame(), "price")


class TestEveryPart:
    @pytest.mark.filterwarnings("ignore:the weights are extreme")
    @pytest.mark.parametrize("name", list(PARTS))
    @pytest.mark.slow
    def test_is_trained_saved_and_loaded(self, name, toy_task, toy, tmp_path):
        params = {"rrt": {"epochs": 2}} if name == "rrt" else {}
        experiment = Experiment(name, method_params=params, recipe=Recipe(epochs=2, device="cpu"))
        model = fit(toy_task, experiment)
        prediction = model.predict(toy)
        assert np.isfinite(prediction).all()
        model.save(tmp_path)
        loaded = FittedModel.load(tmp_path)
        assert (loaded.predict(toy) == prediction).all()
        spread = loaded.predict_std(toy)
        assert (spread is not None) == (name in WITH_STD)
        assert spread is None or (spread > 0).all()

    @pytest.mark.parametrize("name", ONE_OF_EACH_SLOT)
    @pytest.mark.slow
    def test_trains_predicts_and_evaluates(self, name, toy_csv, tmp_path):
        out, written = tmp_path / "run", tmp_path / "p.csv"
        settings = ["--set", "rrt.epochs=2"] if name == "rrt" else []
        table = ["--target", "price", "--epochs", "2", "--method", name, *settings]
        assert run(["train", str(toy_csv), *table, "--out", str(out)]) == 0
        assert run(["predict", str(out), str(toy_csv), "-o", str(written)]) == 0
        frame = pd.read_csv(written)
        assert np.isfinite(frame["prediction"]).all()
        assert ("std" in frame) == (name in WITH_STD)
        saved = pd.read_parquet(out / "predictions.parquet")
        again = frame.set_index("row").loc[saved["row"]]
        for column in {"prediction", "std"} & set(frame):
            assert np.allclose(again[column], saved[column], rtol=1e-5)
            assert (again[column] > 0).all() or column == "prediction"
        assert run(["evaluate", str(out), str(toy_csv)]) == 0

    @pytest.mark.slow
    def test_a_correction_changes_what_is_predicted(self, toy_csv, tmp_path):
        common = ["train", str(toy_csv), "--target", "price", "--epochs", "2"]
        frames = []
        for name in ("vanilla", "isotonic"):
            assert run([*common, "-m", name, "-o", str(tmp_path / name)]) == 0
            frames.append(pd.read_parquet(tmp_path / name / "predictions.parquet"))
        model = json.loads((tmp_path / "isotonic" / "model" / "model.json").read_text())
        plain = frames[0]["prediction"]
        corrected = np.interp(plain, model["correction"]["points"], model["correction"]["values"])
        assert np.allclose(frames[1]["prediction"], corrected)
        assert not np.allclose(frames[1]["prediction"], plain)

    @pytest.mark.parametrize("setting", ["quantile.to=test", "quantile.levels=1"])
    def test_a_correction_is_checked_before_training(self, toy_csv, tmp_path, capsys, setting):
        arguments = ["train", toy_csv, *TRAIN, "-m", "quantile", "--set", setting, "-o", tmp_path / "r"]
        assert refused(capsys, *arguments).startswith("tailwise: quantile: ")
        assert not (tmp_path / "r").exists()

    @pytest.mark.slow
    def test_warnings_are_notes(self, toy_csv, tmp_path, capsys):
        arguments = ["train", str(toy_csv), *TRAIN, "-m", "sqinv+bmc", "-o", str(tmp_path / "r")]
        assert run(arguments) == 0
        assert "note: 'sqinv' and 'bmc' each correct" in capsys.readouterr().err
        assert "correct twice" in (tmp_path / "r" / "report.html").read_text()


class TestMaskedTarget:
    @pytest.mark.slow
    def test_gaps_are_reported_and_a_run_resumes(self, toy_csv, tmp_path, capsys):
        out = tmp_path / "r"
        arguments = [
            "train",
            str(toy_csv),
            *TRAIN,
            "-o",
            str(out),
            "--mask-target",
            "40,60",
            "--mask-target",
            "100,1e9",
        ]
        assert run(arguments) == 0
        assert "Interpolation" in capsys.readouterr().out
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["interpolation"]["n"] > 0
        assert metrics["extrapolation"]["n"] > 0
        assert "Extrapolation" in (out / "report.html").read_text()
        assert run(["evaluate", str(out), str(toy_csv)]) == 0
        assert "Seen" in capsys.readouterr().out
        (out / "manifest.json").unlink()
        assert run([*arguments, "--resume"]) == 0

    @pytest.mark.parametrize(
        ("ranges", "match"),
        [
            (["40"], "LOW,HIGH"),
            (["60,40"], "low < high"),
            (["nan,40"], "low < high"),
            (["-1e9,1e9"], "leaves no training row"),
            (["1e6,2e6"], "removes nothing"),
        ],
    )
    def test_bad_ranges(self, toy_csv, tmp_path, capsys, ranges, match):
        masks = [argument for text in ranges for argument in ("--mask-target", text)]
        assert match in refused(capsys, "train", toy_csv, *TRAIN, "-o", tmp_path / "r", *masks)
        assert not (tmp_path / "r").exists()


class TestPredictAndEvaluate:
    @pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
    def test_predictions_are_written(self, finished, tmp_path, suffix):
        from tailwise.data.table_files import read_table

        out = tmp_path / f"p{suffix}"
        assert run(["predict", str(finished / "run"), str(finished / "toy.csv"), "-o", str(out)]) == 0
        frame = read_table(out)
        assert len(frame) == 400
        saved = pd.read_parquet(finished / "run" / "predictions.parquet")
        assert np.allclose(frame["prediction"].to_numpy()[saved["row"]], saved["prediction"], rtol=1e-4)

    def test_in_python(self, finished):
        model = TableModel.load(finished / "run" / "model")
        frame = pd.read_csv(finished / "toy.csv").drop(columns="price")
        assert np.isfinite(model.predict(frame)).all()
        assert model.predict(frame[:0]).shape == (0,)

    def test_unseen_categories_and_missing_cells(self, finished, tmp_path):
        frame = pd.read_csv(finished / "toy.csv").drop(columns="price")
        frame["city"] = "atlantis"
        frame.loc[:5, ["x1", "built", "new"]] = np.nan
        frame.to_csv(tmp_path / "new.csv", index=False)
        out = tmp_path / "p.csv"
        assert run(["predict", str(finished / "run"), str(tmp_path / "new.csv"), "-o", str(out)]) == 0
        assert pd.read_csv(out)["prediction"].notna().all()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda f: f.drop(columns=["x1", "city"]), "lacks 2 columns the model was trained on: 'x1', 'city'"),
            (lambda f: f.drop(columns="x1"), "lacks 1 column the model was trained on: 'x1'"),
            (lambda f: f.assign(x1="tall"), "column 'x1' is numeric, but 400 cells are not, e.g. 'tall' in row 1"),
            (lambda f: f.assign(built="soon"), "column 'built' is a date"),
            (lambda f: f.assign(new="maybe"), "column 'new' is boolean"),
        ],
    )
    def test_tables_that_do_not_fit(self, finished, tmp_path, capsys, change, message):
        change(pd.read_csv(finished / "toy.csv")).to_csv(tmp_path / "new.csv", index=False)
        for command in (["predict", "-o", tmp_path / "p.csv"], ["evaluate"]):
            assert message in refused(capsys, command[0], finished / "run", tmp_path / "new.csv", *command[1:])
        assert not (tmp_path / "p.csv").exists()

    def test_extra_columns_are_ignored_with_a_note(self, finished, tmp_path, capsys):
        plain, new = pd.read_csv(finished / "toy.csv"), tmp_path / "new.csv"
        plain.assign(extra=1).to_csv(new, index=False)
        for command in (["predict", "-o", tmp_path / "p.csv"], ["evaluate"]):
            words = [str(word) for word in (command[0], finished / "run", new, *command[1:])]
            note = "note: 1 column the model was not trained on, ignored: 'extra'"
            assert run(words) == 0
            assert capsys.readouterr().err.count(note) == 1
            assert run([*words, "--ignore-extra", *(["--overwrite"] if command[0] == "predict" else [])]) == 0
            assert note not in capsys.readouterr().err
        expected = FittedModel.load(finished / "run" / "model").predict(plain)
        np.testing.assert_allclose(pd.read_csv(tmp_path / "p.csv")["prediction"], expected, rtol=1e-12)

    def test_evaluate_writes_what_it_shows(self, finished, tmp_path, capsys):
        out = tmp_path / "m.json"
        assert run(["evaluate", str(finished / "run"), str(finished / "toy.csv"), "-o", str(out)]) == 0
        assert json.loads(out.read_text())["all"]["n"] == 400
        assert "400" in capsys.readouterr().out

    def test_evaluate_needs_the_target(self, finished, tmp_path, capsys):
        pd.read_csv(finished / "toy.csv").drop(columns="price").to_csv(tmp_path / "new.csv", index=False)
        line = refused(capsys, "evaluate", finished / "run", tmp_path / "new.csv")
        assert "target 'price' is not a column" in line

    def test_files_are_not_replaced_unasked(self, finished, tmp_path, capsys):
        table = tmp_path / "new.csv"
        pd.read_csv(finished / "toy.csv").to_csv(table, index=False)
        before = table.read_bytes()
        assert "exists already" in refused(capsys, "predict", finished / "run", table, "-o", table)
        assert "is the table itself" in refused(capsys, "predict", finished / "run", table, "-o", table, "--overwrite")
        assert table.read_bytes() == before
        arguments = ["predict", str(finished / "run"), str(table), "-o", str(tmp_path / "p.csv")]
        assert run(arguments) == 0
        assert run([*arguments, "--overwrite"]) == 0

    def test_no_rows_and_one_row(self, finished, tmp_path):
        frame = pd.read_csv(finished / "toy.csv")
        for n in (0, 1):
            frame[:n].to_csv(tmp_path / "few.csv", index=False)
            out = tmp_path / f"p{n}.csv"
            assert run(["predict", str(finished / "run"), str(tmp_path / "few.csv"), "-o", str(out)]) == 0
            assert len(pd.read_csv(out)) == n
        assert run(["evaluate", str(finished / "run"), str(tmp_path / "few.csv")]) == 0

    @pytest.mark.slow
    def test_a_model_of_one_feature(self, toy, tmp_path):
        toy[["x1", "price"]].to_csv(tmp_path / "two.csv", index=False)
        toy[["x1"]].to_csv(tmp_path / "one.csv", index=False)
        assert run(["train", str(tmp_path / "two.csv"), *TRAIN, "-o", str(tmp_path / "r")]) == 0
        assert run(["predict", str(tmp_path / "r"), str(tmp_path / "one.csv"), "-o", str(tmp_path / "p.csv")]) == 0

    @pytest.mark.parametrize("out", ["p.xlsx", "nowhere/p.csv"])
    def test_bad_out(self, finished, tmp_path, capsys, out):
        refused(capsys, "predict", finished / "run", finished / "toy.csv", "-o", tmp_path / out)


class TestBrokenRuns:
    @pytest.fixture
    def copied(self, finished, tmp_path):
        import shutil

        shutil.copytree(finished / "run", tmp_path / "run")
        return tmp_path / "run"

    @pytest.mark.parametrize("name", ["model/model.json", "model/model.safetensors", "metrics.json"])
    def test_missing_file(self, copied, finished, capsys, name):
        (copied / name).unlink()
        line = refused(capsys, "evaluate", copied, finished / "toy.csv")
        assert "incomplete" in line
        assert name in line

    @pytest.mark.parametrize("name", ["model/model.json", "model/preprocess.skops", "model/model.safetensors"])
    def test_altered_file(self, copied, finished, capsys, name):
        with (copied / name).open("ab") as file:
            file.write(b" ")
        line = refused(capsys, "evaluate", copied, finished / "toy.csv")
        assert "altered" in line
        assert name in line

    def test_no_run(self, tmp_path, finished, capsys):
        assert "no run folder" in refused(capsys, "evaluate", tmp_path / "gone", finished / "toy.csv")
        assert "holds no run" in refused(capsys, "evaluate", tmp_path, finished / "toy.csv")

    def test_code_in_the_preprocessor_is_not_run(self, copied):
        import skops.io
        from sklearn.preprocessing import FunctionTransformer

        skops.io.dump(FunctionTransformer(func=print), copied / "model" / "preprocess.skops")
        with pytest.raises(ValueError, match="not a complete model folder"):
            TableModel.load(copied / "model")


class TestLists:
    def test_methods_come_from_the_parts(self, capsys):
        from tailwise.methods.catalog import PARTS

        assert run(["methods", "--markdown"]) == 0
        text = capsys.readouterr().out
        assert all(f"`{name}`" in text for name in PARTS)
        assert run(["methods"]) == 0
        lines = capsys.readouterr().out.splitlines()
        for name, part in PARTS.items():
            assert [line for line in lines if line.split() == [name, *part.summary.split()]], name
        assert [line for line in lines if line in {part.slot for part in PARTS.values()}] == list(
            dict.fromkeys(part.slot for part in PARTS.values())
        )

    @pytest.mark.parametrize("name", PARTS)
    def test_everything_of_one_part(self, name, capsys):
        assert run(["methods", name]) == 0
        text = capsys.readouterr().out
        part = PARTS[name]
        for known in (part.summary, part.cost, *part.use.splitlines(), *(part.parameters().keys() - part.in_python)):
            assert known in text
        assert "None" not in text.replace("decoder=None", "")
        assert not any(parameter in text for parameter in part.in_python)

    def test_what_is_shown_of_parameters(self, capsys):
        shown = {}
        for name in ("lds", "kde", "rrt", "twoviews", "rnc_pretrain", "bmc", "quantile"):
            run(["methods", name])
            shown[name] = " ".join(capsys.readouterr().out.split())
        assert "kernel gaussian (or triangular, laplace)" in shown["lds"]
        assert "bandwidth 1.06 sigma n^(-1/5) [target]" in shown["kde"]
        assert "ICML 2021 (after Kang et al., Decoupling, ICLR 2020)" in shown["rrt"]
        assert "ICLR 2022 (the augmentation of tables)" in shown["twoviews"]
        assert "lr as --lr" in shown["rnc_pretrain"]
        assert "learn_sigma true (or false)" in shown["bmc"]
        assert "to validation (or train, uniform)" in shown["quantile"]

    def test_an_unknown_part(self, capsys):
        assert "did you mean 'quantile'?" in refused(capsys, "methods", "quantil")
        assert "'binover' is now 'ro' with --set ro.by='bins'" in refused(capsys, "methods", "binover")

    def test_examples(self, capsys):
        assert run(["examples"]) == 0
        assert "example:airports" in capsys.readouterr().out

    @pytest.mark.parametrize("command", [[], ["train"], ["predict"], ["evaluate"], ["methods"], ["examples"]])
    def test_help(self, command, capsys):
        assert run([*command, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out

    def test_version(self, capsys):
        assert run(["--version"]) == 0
        assert capsys.readouterr().out.startswith("tailwise ")

    def test_completion_of_methods(self):
        from tailwise.cli.completion import complete_method

        assert "sqinv" in complete_method("sq")
        assert complete_method("sqinv+ld") == ["sqinv+lds"]
        assert "sqinv+lds+lds" not in complete_method("sqinv+lds+")

    @pytest.mark.parametrize(
        ("words", "offered"),
        [
            ("tailwise tr", "train"),
            ("tailwise train x.csv --method sqinv+ld", "sqinv+lds"),
            ("tailwise train x.csv --split bal", "balanced"),
            ("tailwise train x.csv --precision b", "bf16"),
        ],
    )
    def test_completion_in_a_shell(self, words, offered):
        asked = {"_TAILWISE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        command = Path(sys.executable).with_name("tailwise")
        done = subprocess.run([command], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
        assert offered in done.stdout.split()


HEAVY = ("torch", "pandas", "sklearn", "matplotlib", "scipy", "accelerate")


@pytest.mark.parametrize(
    "code",
    [
        "import tailwise",
        "from tailwise.cli.main import run; run(['--help'])",
        "from tailwise.cli.completion import complete_method; complete_method('sqinv+')",
        "from tailwise.methods.grammar import parse; parse('vir+lds+isotonic+smoter')",
    ],
)
def test_nothing_heavy_is_imported(code):
    check = f"{code}\nimport sys\nassert not set({HEAVY}) & set(sys.modules), set({HEAVY}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vanilla", "sqinv+lds+fds+conr"])
@pytest.mark.parametrize(
    ("name", "target"), [("abalone", "Rings"), ("cpusm", "usr"), ("bike_hourly", "count"), ("kc_house", "price")]
)
def test_real_tables(shared_table, tmp_path, name, target, method):
    arguments = ["train", str(shared_table(name)), "-t", target, "--epochs", "3", "-o", str(tmp_path / "r")]
    assert run([*arguments, "--method", method]) == 0
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert metrics["few"]["n"] > 0
    assert metrics["all"]["pearson"]["value"] > 0.4


@pytest.mark.slow
def test_a_warning_while_training_is_a_note_in_the_terminal_and_on_the_page(tmp_path, capsys):
    out = tmp_path / "r"
    arguments = ["train", "example:diabetes", "-t", "progression", "-m", "bmc", "--batch-size", "1", "--epochs", "1"]
    assert run([*arguments, "-o", str(out)]) == 0
    told = "bmc compares the labels of a batch"
    assert capsys.readouterr().err.count(told) == 1
    assert (out / "report.html").read_text().count(told) == 1


class TestIntervals:
    def test_are_written_where_asked_for(self, finished, tmp_path):
        out = tmp_path / "p.csv"
        run(["predict", str(finished / "run"), str(finished / "toy.csv"), "-o", str(out), "--interval", "0.8"])
        frame = pd.read_csv(out)
        assert (frame["low"] <= frame["prediction"]).mean() > 0.5
        assert (frame["low"] < frame["high"]).all()
        wide = tmp_path / "w.csv"
        run(["predict", str(finished / "run"), str(finished / "toy.csv"), "-o", str(wide), "--interval", "0.9"])
        assert (pd.read_csv(wide)["high"] >= frame["high"]).all()

    def test_are_in_the_run(self, finished):
        folder = finished / "run"
        found = json.loads((folder / "intervals.json").read_text())
        predictions = pd.read_parquet(folder / "predictions.parquet")
        test = predictions[predictions["split"] == "test"]
        inside = ((test["low"] <= test["target"]) & (test["target"] <= test["high"])).mean()
        assert found["all"]["by_true"]["coverage"]["value"] == pytest.approx(inside)
        assert "90 % intervals" in (folder / "report.html").read_text()

    @pytest.mark.parametrize("fraction", ["0", "1", "90", "-0.5"])
    def test_only_fractions(self, fraction, finished, tmp_path, capsys):
        arguments = ["predict", str(finished / "run"), str(finished / "toy.csv"), "-o", str(tmp_path / "p.csv")]
        assert run([*arguments, f"--interval={fraction}"]) == 2
        assert "--interval must be a fraction between 0 and 1" in capsys.readouterr().err

    def test_too_few_rows_for_so_high_a_fraction(self, finished, tmp_path, capsys):
        arguments = ["predict", str(finished / "run"), str(finished / "toy.csv"), "-o", str(tmp_path / "p.csv")]
        assert run([*arguments, "--interval", "0.999"]) == 0
        assert "intervals of confidence 0.999 are infinite" in capsys.readouterr().err


class TestKeptColumns:
    @pytest.fixture
    def table(self, toy_csv, tmp_path):
        frame = pd.read_csv(toy_csv)[:5].drop(columns="price")
        frame.insert(0, "id", ["007", "008", "009", "010", "011"])
        frame.to_csv(tmp_path / "new.csv", index=False)
        return tmp_path / "new.csv"

    def test_ids_pass_through_to_standard_output(self, finished, table, capsys):
        first = pd.read_csv(table, dtype={"id": str})
        assert run(["predict", str(finished / "run"), str(table), "--keep", "id", "--keep", "x1", "-o", "-"]) == 0
        shown = pd.read_csv(io.StringIO(capsys.readouterr().out), dtype={"id": str})
        assert list(shown)[:4] == ["row", "id", "x1", "prediction"]
        assert shown["id"].tolist() == first["id"].tolist()
        np.testing.assert_allclose(shown["x1"], first["x1"])

    def test_the_predictions_are_those_without(self, finished, table, tmp_path):
        assert (
            run(["predict", str(finished / "run"), str(table), "--keep", "id", "-o", str(tmp_path / "kept.csv")]) == 0
        )
        assert (
            run(["predict", str(finished / "run"), str(table), "--ignore-extra", "-o", str(tmp_path / "plain.csv")])
            == 0
        )
        kept, plain = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("kept", "plain"))
        pd.testing.assert_frame_equal(kept.drop(columns="id"), plain)

    def test_a_column_that_is_not_there(self, finished, table, capsys):
        assert run(["predict", str(finished / "run"), str(table), "--keep", "key", "-o", "-"]) == 2
        assert "--keep 'key' is not a column; columns: 'id'" in capsys.readouterr().err

    def test_a_name_of_the_predictions_is_refused(self, finished, table, tmp_path, capsys):
        pd.read_csv(table, dtype={"id": str}).rename(columns={"id": "region"}).to_csv(table, index=False)
        words = ["predict", str(finished / "run"), str(table), "--keep", "region", "-o", str(tmp_path / "p.csv")]
        assert run(words) == 2
        assert "--keep 'region' has the name of a column of the predictions" in capsys.readouterr().err
        assert not (tmp_path / "p.csv").exists()

    def test_a_feature_that_is_kept_is_read_as_one(self, finished, table, tmp_path):
        paths = [tmp_path / "kept.csv", tmp_path / "plain.csv"]
        for path, more in zip(paths, (["--keep", "x1", "--keep", "id"], ["--ignore-extra"]), strict=True):
            assert run(["predict", str(finished / "run"), str(table), *more, "-o", str(path)]) == 0
        kept, plain = map(pd.read_csv, paths)
        pd.testing.assert_series_equal(kept["prediction"], plain["prediction"])
