"""``tailwise train`` without a method: the stack in a run folder, and what is refused."""

import json
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from conftest import toy_frame
from tailwise import Experiment, FittedModel
from tailwise.backends.stack import fitting
from tailwise.cli.main import run
from tailwise.data.rows import as_rows
from tailwise.experiment.quality import experiment_for
from tailwise.training.recipe import Recipe
from test_cli import PROGRESS, refused

TRAIN = ["--target", "price", "--epochs", "2", "--jobs", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a table, new rows, and a finished run of a stack."""
    folder = tmp_path_factory.mktemp("stack")
    toy_frame(200).to_csv(folder / "toy.csv", index=False)
    toy_frame(30, seed=1).drop(columns="price").to_csv(folder / "new.csv", index=False)
    assert run(["train", str(folder / "toy.csv"), *TRAIN, "-o", str(folder / "run")]) == 0
    return folder


def what_starts(monkeypatch, *words):
    """Return the experiment that a command would train."""
    started = []

    def stop(task, experiment):
        started.append(experiment)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tailwise.experiment.fit.start", stop)
        assert run([str(word) for word in words]) == 130
    return started[0]


class TestChoice:
    @pytest.mark.parametrize(
        ("words", "experiment"),
        [
            ([], experiment_for("good")),
            (["--quality", "good"], experiment_for("good")),
            (["--quality", "best", "--jobs", "2"], experiment_for("best", params={"jobs": 2})),
            (["--quality", "fast"], experiment_for("fast")),
            (["--time-limit", "60"], experiment_for("good", params={"seconds": 60.0})),
            (["--within", "0.05"], experiment_for("good", within=0.05)),
            (["--balance", "0.5", "--epochs", "3"], experiment_for("good", Recipe(epochs=3), balance=0.5)),
            (["--model", "stack"], Experiment("vanilla", "stack", balance="auto")),
            (
                ["--model", "stack", "--set", "model.hurdle=false"],
                Experiment("vanilla", "stack", params={"hurdle": False}, balance="auto"),
            ),
            (["--set", "model.hurdle=false"], experiment_for("good", params={"hurdle": False})),
            (
                ["--quality", "best", "--jobs", "2", "--set", "model.hurdle=false"],
                experiment_for("best", params={"jobs": 2, "hurdle": False}),
            ),
            (["--method", "auto"], experiment_for("good")),
            (["--method", "vanilla"], Experiment("vanilla")),
            (["--model", "linear"], Experiment("sqinv+lds", "linear")),
            (["--encoder", "mlp"], Experiment("sqinv+lds", encoder="mlp")),
            (["--set", "lds.sigma=1"], Experiment("sqinv+lds", method_params={"lds": {"sigma": 1}})),
            (["--criterion", "mae"], Experiment("sqinv+lds", recipe=Recipe(criterion="mae"))),
            (["--precision", "bf16"], Experiment("sqinv+lds", recipe=Recipe(precision="bf16"))),
            (["--target", "x1"], Experiment("sqinv+lds")),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else value.name,
    )
    def test_of_options(self, words, experiment, toy_csv, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert what_starts(monkeypatch, "train", toy_csv, "-t", "price", *words) == experiment

    def test_of_data_that_a_stack_does_not_take(self, toy, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "parts").mkdir()
        toy.to_parquet(tmp_path / "parts" / "a.parquet")
        toy.assign(text="a word").to_csv(tmp_path / "texts.csv", index=False)
        for words in (["parts"], ["texts.csv", "--text", "text"]):
            assert what_starts(monkeypatch, "train", *words, "-t", "price") == Experiment("sqinv+lds")

    def test_of_texts(self, toy, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        toy.assign(text="a word").to_csv("texts.csv", index=False)
        words = ["train", "texts.csv", "-t", "price", "--text", "text", "--set", "text.units=4"]
        of_text = {"text": {"units": 4}}
        stack = experiment_for("good", params={"jobs": 2, **of_text})
        assert what_starts(monkeypatch, *words, "--quality", "good", "--jobs", "2") == stack
        without = replace(stack, params={**stack.params, "hurdle": False})
        hurdle = ["--quality", "good", "--jobs", "2", "--set", "model.hurdle=false"]
        assert what_starts(monkeypatch, *words, *hurdle) == without
        fast = replace(experiment_for("fast"), params=of_text)
        assert what_starts(monkeypatch, *words, "--quality", "fast") == fast
        assert what_starts(monkeypatch, *words) == Experiment("sqinv+lds", params=of_text)


class TestRefused:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--quality", "good", "--method", "vanilla"], "--quality and --method do not go together"),
            (["--jobs", "2", "--method", "vanilla"], "--jobs and --method do not go together"),
            (["--time-limit", "9", "--model", "linear"], "--time-limit and --model do not go together"),
            (["--within", "0.1", "--set", "lds.sigma=1"], "--within and --set do not go together: --set trains one"),
            (["--quality", "good", "--criterion", "mae"], "--quality and --criterion do not go together"),
            (["--quality", "good", "-t", "x1"], "--quality is for one --target and one process; leave it out"),
            (["--jobs", "2", "--image", "x1"], "--jobs is for --quality, which images, texts and signals have none of"),
            (["--quality", "good", "--image", "x1"], "--image names 'x1', which holds numbers"),
            (
                ["--quality", "good", "--text", "city", "--set", "lds.sigma=1"],
                "--quality and --set do not go together: --set trains one model",
            ),
            (
                ["--quality", "fast", "--jobs", "2"],
                "--jobs, --backend and --time-limit are for --quality good and best",
            ),
            (
                ["--quality", "fast", "--set", "model.hurdle=false"],
                "--set model.hurdle is for --quality good and best, which train a stack",
            ),
            (["--quality", "good", "--set", "model.folds=3"], "--quality and --set do not go together"),
            (["--set", "model.hurdle=no"], "--set model.hurdle must be true or false, got 'no'"),
            (["--time-limit", "0"], "--time-limit must be a finite number above 0, got 0.0"),
            (["--time-limit", "-3"], "--time-limit must be a finite number above 0"),
            (["--within", "5"], "--within must be a fraction such as 0.05 for 5 %, at most 1, got 5"),
            (["--within", "-1"], "--within must be a finite number of at least 0, got -1.0"),
            (["--jobs", "0"], "--jobs must be"),
            (["--quality", "goood"], "--quality must be one of 'fast', 'good', 'best', got 'goood'"),
            (["--balance", "2"], "balance"),
            (["--device", "abacus"], "--device must be"),
            (["--model", "stack", "--set", 'model.experts=["lightgbm"]'], "must include 'network', got lightgbm"),
            (["--model", "stack", "--set", "model.fold=3"], "a stack has no parameter 'fold'"),
            (["--model", "stack", "--method", "sqinv+lds"], "rows as they come, without 'sqinv+lds'; leave it out"),
        ],
        ids=str,
    )
    def test_one_line_and_nothing_written(self, words, message, toy_csv, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        line = refused(capsys, "train", toy_csv, "-t", "price", *words)
        assert message in line
        assert "`" not in line
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_folder_of_parquet_files(self, toy, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "parts").mkdir()
        toy.to_parquet(tmp_path / "parts" / "a.parquet")
        words = ["train", "parts", "-t", "price", "-o", "r"]
        line = refused(capsys, *words, "--quality", "good")
        assert "--quality is for a file, whose rows are in memory, not for a folder of Parquet files" in line
        line = refused(capsys, *words, "--model", "stack")
        assert "a stack needs the rows in memory; give a file, not a folder" in line
        assert not (tmp_path / "r").exists()

    def test_few_rows(self, toy, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        for n, message in ((29, "29 rows with a target; at least 30"), (32, "a stack needs at least 30 rows")):
            toy[:n].to_csv("few.csv", index=False)
            assert message in refused(capsys, "train", "few.csv", "-t", "price", "--split", "random")
        assert not (tmp_path / "runs").exists()
        assert "--quality fast" in refused(capsys, "train", "few.csv", "-t", "price", "--split", "random")

    def test_a_level_whose_packages_are_not_installed(self, toy_csv, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setitem(sys.modules, "catboost", None)
        line = refused(capsys, "train", toy_csv, "-t", "price", "--quality", "best")
        assert "pip install 'tailwise[catboost]'" in line
        assert not (tmp_path / "runs").exists()


@pytest.mark.slow
class TestRun:
    def test_the_folder_is_complete(self, trained):
        out = trained / "run"
        config = json.loads((out / "config.json").read_text())
        assert config["label"] == "stack"
        assert config["model"]["name"] == "stack"
        assert config["model"]["parameters"]["model"] == {"quality": "good"}
        assert config["balance"] == "auto"
        assert len((out / "history.jsonl").read_text().splitlines()) == 12
        manifest = json.loads((out / "manifest.json").read_text())
        assert {"trade_off.json", "leaderboard.json"} <= set(manifest["sha256"])
        names = {path.name for path in (out / "model").iterdir()}
        assert names == {*map(str, range(12)), "model.json", "combiner.safetensors", "held_out.safetensors"}
        suffixes = {path.suffix for path in (out / "model").rglob("*") if path.is_file()}
        assert suffixes == {".json", ".safetensors", ".skops", ".txt"}

    def test_the_leaderboard_is_in_the_folder_and_on_the_page(self, trained):
        saved = json.loads((trained / "run" / "leaderboard.json").read_text())
        names = [standing["name"] for standing in saved["standings"]]
        assert names == ["stack", "lightgbm", "network", "mixture network", "constant"]
        page = (trained / "run" / "report.html").read_text()
        section = re.search(r"<h2>The stack beside its parts, out of fold</h2>(.*?)<h2>", page, flags=re.S)[1]
        section, _, why = section.partition(f"<h3>Why balance {saved['choice']['balance']:g}</h3>")
        assert re.findall(r'<th scope="row">(.*?)</th>', why) == [f"{i / 8:g}" for i in range(9)]
        assert why.count("<td>chosen</td>") == 1
        rows = re.findall(r'<th scope="row">(.*?)</th>', section)
        assert rows == [f"stack at balance {saved['choice']['balance']:g}", *names[1:]]
        for rival in ("a plain network", "plain LightGBM"):
            assert page.count(f"Against {rival}, out of fold: ") == 1 + (rival == "plain LightGBM")  # and at the top
            assert re.search(rf"Against {rival}, out of fold: \S[^.]* error as rows come", page)
        assert "The model of the best validation score is kept" not in page
        assert page.index("Errors against a plain network, on the same ") < page.index("<h2>")

    def test_the_plain_network_is_the_mean_of_its_folds(self, trained):
        model = FittedModel.load(trained / "run" / "model")
        rows = as_rows(pd.read_csv(trained / "toy.csv").drop(columns="price").head(20))
        (x,) = model.inputs.pieces(model.schema, rows)
        place = [expert.name for expert in model.model.experts].index("network")
        points = model.model.points_of("network", model.schema, rows)
        np.testing.assert_allclose(points, model.model.columns(x)[:, place], rtol=1e-6)

    def test_the_leaderboard_is_printed(self, trained, tmp_path, capsys):
        words = ["train", str(trained / "toy.csv"), *TRAIN, "--within", "0.1", "-o", str(tmp_path / "r")]
        assert run(words) == 0
        text = " ".join(capsys.readouterr().out.split())
        saved = json.loads((tmp_path / "r" / "leaderboard.json").read_text())
        for part in (
            "Out of fold, no model judged on rows it was trained on",
            f"stack at balance {saved['choice']['balance']:g}",
            *("lightgbm", "network", "mixture network", "constant"),
            "Against a plain network, out of fold: ",
            "Against plain LightGBM, out of fold: ",
            " error as rows come, ",
            "stack: errors on ",
        ):
            assert part in text
        config = json.loads((tmp_path / "r" / "config.json").read_text())
        assert (config["balance"], config["within"]) == ("auto", 0.1)
        plain = json.loads((trained / "run" / "leaderboard.json").read_text())
        assert saved["choice"]["bound"] == pytest.approx(1.1 * plain["choice"]["bound"])
        assert saved["choice"]["as_rows_come"] == plain["choice"]["as_rows_come"]

    def test_predictions_are_those_of_the_loaded_model(self, trained, tmp_path):
        model = FittedModel.load(trained / "run" / "model")
        source = pd.read_csv(trained / "toy.csv").drop(columns="price")
        saved = pd.read_parquet(trained / "run" / "predictions.parquet")
        test = saved[saved["split"] == "test"]
        np.testing.assert_allclose(model.predict(source)[test["row"]], test["prediction"], rtol=1e-5)
        assert set(saved["split"]) == {"val", "test"}
        new = pd.read_csv(trained / "new.csv")
        for i, (words, decision) in enumerate(
            (
                ([], {}),
                (["--balance", "0.7"], {"balance": 0.7}),
                (["--cost", "under=9,over=1"], {"under": 9.0, "over": 1.0}),
            )
        ):
            out = tmp_path / f"{i}.csv"
            assert run(["predict", *(str(trained / name) for name in ("run", "new.csv")), *words, "-o", str(out)]) == 0
            np.testing.assert_allclose(pd.read_csv(out)["prediction"], model.predict(new, **decision), rtol=1e-5)

    def test_evaluate(self, trained, tmp_path):
        out = tmp_path / "m.json"
        assert run(["evaluate", str(trained / "run"), str(trained / "toy.csv"), "-o", str(out)]) == 0
        assert json.loads(out.read_text())["all"]["n"] == 200

    def test_a_file_of_an_expert_that_was_altered(self, trained, tmp_path, capsys):
        copied = shutil.copytree(trained / "run", tmp_path / "run")
        with (copied / "model" / "0" / "model.txt").open("ab") as file:
            file.write(b" ")
        line = refused(capsys, "predict", copied, trained / "new.csv", "-o", tmp_path / "p.csv")
        assert "altered" in line
        assert "model/0/model.txt" in line

    def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_results(self, trained, tmp_path, monkeypatch, capsys):
        words = ["train", str(trained / "toy.csv"), *TRAIN, "-o", str(tmp_path / "run")]
        calls, train = [], fitting.train_fold

        def stop(task, fold, number, expert, *given):
            calls.append((expert.name, number))
            if len(calls) == 6:
                raise KeyboardInterrupt
            return train(task, fold, number, expert, *given)

        with monkeypatch.context() as patch:
            patch.setattr(fitting, "train_fold", stop)
            assert run(words) == 130
            assert "--resume" in capsys.readouterr().err
            done = len((tmp_path / "run" / "history.jsonl").read_text().splitlines())
            assert 4 <= done <= 5
            assert "pass --resume" in refused(capsys, *words)
            calls.clear()
            patch.setattr(fitting, "train_fold", lambda *given: calls.append(given[3].name) or train(*given))
            assert run([*words, "--resume"]) == 0
        assert len(calls) == 12 - done
        for name in ("metrics.json", "predictions.parquet", "leaderboard.json", "intervals.json"):
            assert (tmp_path / "run" / name).read_bytes() == (trained / "run" / name).read_bytes()
        new = pd.read_csv(trained / "new.csv")
        models = [FittedModel.load(folder / "run" / "model") for folder in (tmp_path, trained)]
        np.testing.assert_array_equal(models[0].predict(new), models[1].predict(new))
        assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 12

    def test_folds_are_packed_inside_the_run_folder(self, trained, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
        out = tmp_path / "run"
        assert run(["train", str(trained / "toy.csv"), *TRAIN, "-o", str(out)]) == 0
        assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["last"]

    def test_groups_and_a_time_limit(self, toy, tmp_path):
        toy[:150].assign(house=np.arange(150) // 5).to_csv(tmp_path / "toy.csv", index=False)
        words = ["-t", "price", "--group", "house", "--time-limit", "0.01", "--jobs", "1", "-o", str(tmp_path / "run")]
        assert run(["train", str(tmp_path / "toy.csv"), *words]) == 0
        assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 12

    def test_a_stack_beside_a_method(self, trained, tmp_path, capsys):
        words = ["train", str(trained / "toy.csv"), "-t", "price", "-m", "vanilla", "--epochs", "1"]
        assert run([*words, "-o", str(tmp_path / "r"), "--against", str(trained / "run")]) == 0
        assert "vanilla beside stack" in capsys.readouterr().out

    def test_an_error_of_an_expert_leaves_nothing(self, trained, tmp_path, capsys):
        words = ["train", trained / "toy.csv", "-t", "price", "--lr", 1e15, "--epochs", 2, "--device", "cpu"]
        assert "smaller --lr" in refused(capsys, *words, "-o", tmp_path / "r", before=PROGRESS)
        assert not (tmp_path / "r").exists()

    def test_fast_has_no_leaderboard(self, trained, tmp_path, capsys):
        words = ["train", str(trained / "toy.csv"), "-t", "price", "--quality", "fast", "--epochs", "2"]
        assert run([*words, "-o", str(tmp_path / "r")]) == 0
        assert not (tmp_path / "r" / "leaderboard.json").exists()
        assert "Against" not in capsys.readouterr().out
        new = ["predict", str(tmp_path / "r"), str(trained / "new.csv"), "--balance", "0.7"]
        assert run([*new, "-o", str(tmp_path / "p.csv")]) == 0
