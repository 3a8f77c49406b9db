"""Runs in the stores of other programs: settings, epochs and test errors, offline, in the folder that was named."""

import json
import sys
import time

import pytest

from tailwise import InputError
from tailwise.cli.main import run
from tailwise.tracking.tracker import open_tracker, tracked, tracker_named

SETTINGS = {"recipe": {"lr": 0.1, "epochs": 2}, "target": ["a", "b"], "method": {"name": "sqinv"}}


class Memory:
    """A tracker that keeps what it is told."""

    def __init__(self, where, run, settings):
        self.settings, self.run, self.logged, self.ended = settings, run, [], None

    def log(self, metrics, step):
        self.logged.append((step, dict(metrics)))

    def finish(self, metrics):
        self.ended = dict(metrics)

    def fail(self):
        self.ended = "failed"


@pytest.fixture
def memory(monkeypatch):
    made = []
    monkeypatch.setitem(sys.modules, "tailwise.tracking.board", sys.modules[__name__])
    monkeypatch.setattr(sys.modules[__name__], "open_tracker", lambda *a: made.append(Memory(*a)) or made[-1])
    return made


@pytest.mark.parametrize(
    ("track", "message"),
    [
        ("mlfow=x", "did you mean 'mlflow'"),
        ("mlflow", "takes NAME=WHERE"),
        ("wandb=", "takes NAME=WHERE"),
        (f"tensorboard={__file__}", "is a file"),
    ],
)
def test_bad_names(track, message, toy_csv, tmp_path, capsys):
    with pytest.raises(InputError, match=message):
        tracker_named(track)
    assert run(["train", str(toy_csv), "-t", "price", "--track", track, "-o", str(tmp_path / "run")]) == 2
    assert "--track takes NAME=WHERE" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_missing_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match=r"`track=mlflow` needs mlflow: pip install 'tailwise\[mlflow\]'"):
        open_tracker(f"mlflow={tmp_path / 'kept'}", "run", {})


def test_what_train_keeps(memory, toy_csv, tmp_path, capsys):
    words = ["train", toy_csv, "-t", "price", "-m", "sqinv", "--epochs", "2", "--device", "cpu", "-o", tmp_path / "run"]
    assert run([*map(str, words), "--track", "tensorboard=anywhere"]) == 0
    (kept,) = memory
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert kept.run == "run"
    assert kept.settings["method.name"] == "sqinv"
    assert kept.settings["run_folder"] == str(tmp_path / "run")
    assert [step for step, _ in kept.logged] == [0, 1]
    assert [one["validation/mae"] for _, one in kept.logged] == [line["validation"]["mae"] for line in history]
    losses = [{k.removeprefix("loss/"): v for k, v in one.items() if k.startswith("loss/")} for _, one in kept.logged]
    assert losses == [line["terms"] for line in history]
    assert kept.ended["test/many/mae"] == metrics["many"]["mae"]["value"]
    assert kept.ended["test/all/as_rows_come"] == metrics["all"]["as_rows_come"]["value"]


def test_a_training_that_fails(memory):
    with pytest.raises(RuntimeError), tracked("tensorboard=anywhere", "run", SETTINGS):
        raise RuntimeError
    assert memory[0].ended == "failed"
    assert memory[0].settings == {
        "recipe.lr": 0.1,
        "recipe.epochs": 2,
        "target": "['a', 'b']",
        "method.name": "sqinv",
    }


def keep(track):
    with tracked(track, "first", SETTINGS) as kept:
        kept._tracker.log({"validation/mae": 3.0}, 0)
        kept._tracker.log({"validation/mae": 2.0}, 1)
        kept.finish({"few": {"n": 3, "mae": 9.0}})


@pytest.mark.slow
def test_mlflow(tmp_path):
    pytest.importorskip("mlflow")
    keep(f"mlflow={tmp_path / 'kept'}")
    with pytest.raises(RuntimeError), tracked(f"mlflow={tmp_path / 'kept'}", "second", {}):
        raise RuntimeError
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'kept' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tailwise").experiment_id
    second, first = client.search_runs([experiment], order_by=["attributes.start_time DESC"])
    assert (first.info.run_name, first.info.status, second.info.status) == ("first", "FINISHED", "FAILED")
    assert first.data.params["recipe.lr"] == "0.1"
    assert first.data.metrics["test/few/mae"] == 9.0
    assert [one.value for one in client.get_metric_history(first.info.run_id, "validation/mae")] == [3.0, 2.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


@pytest.mark.slow
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    keep(f"tensorboard={tmp_path / 'kept'}")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "kept" / "first"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("validation/mae")] == [(0, 3.0), (1, 2.0)]
    assert events.Scalars("test/few/mae")[0].value == 9.0


@pytest.mark.slow
def test_wandb(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "kept"))
    keep(f"wandb={tmp_path / 'kept'}")
    (file,) = (tmp_path / "kept").rglob("*.wandb")
    words = (b"recipe.lr", b"validation/mae", b"test/few/mae")
    until = time.monotonic() + 30  # a process of W&B's writes the file, and may be late where others compute
    while not all(word in file.read_bytes() for word in words) and time.monotonic() < until:
        time.sleep(0.2)
    for word in words:
        assert word in file.read_bytes()
    assert not (tmp_path / "home").exists()
