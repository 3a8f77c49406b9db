"""Several processes give what one process gives; one that dies ends the run, which goes on later."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tailwise import distributed as processes
from tailwise.cli.main import run as run_here

HERE = Path(__file__).parent
RUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

pytestmark = pytest.mark.slow


def run(*command, ok=True):
    made = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert not ok or made.returncode == 0, made.stderr[-3000:]
    return made


def train(of, out, *options, data, method, ok=True):
    words = ["train", data, "--target", "y", "--method", method, "--device", "cpu", "--out", out, *options]
    if of == 1:
        assert run_here([str(word) for word in words]) == 0
        return None
    return run(*RUN, f"--nproc-per-node={of}", "-m", "tailwise", *words, ok=ok)


def history(out):
    return [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]


def assert_same_run(one, other, rtol):
    for a, b in zip(history(one), history(other), strict=True):
        for what in ("terms", "validation"):
            assert a[what] == pytest.approx(b[what], rel=rtol)
    a, b = (pd.read_parquet(out / "predictions.parquet") for out in (one, other))
    assert a["row"].tolist() == b["row"].tolist()
    np.testing.assert_allclose(a["prediction"], b["prediction"], rtol=10 * rtol)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(401, 3)), columns=list("abc"))
    frame["y"] = (10 * np.exp(frame["a"] / 2) + rng.normal(size=401)).round(2)
    frame.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


@pytest.mark.parametrize("of", [2, 3])
def test_pieces_of_several_processes(of):
    made = run(*RUN, f"--nproc-per-node={of}", HERE / "several_processes.py")
    assert made.stdout.count("done") == of


@pytest.mark.parametrize("kind", ["csv", "folder"])
def test_train_gives_the_same_on_two_processes(kind, data, tmp_path):
    # Two stages, one with a frozen encoder; draws (dropout), statistics of bins, pairs of the global batch. Without
    # RankSim, whose ranks turn rounding into steps of 1e-4.
    method = "sqinv+lds+fds+conr+rrt"
    options = ["--epochs", 3, "--batch-size", 64, "--set", "rrt.epochs=1"]
    if kind == "folder":
        frame = pd.read_csv(data)
        data = tmp_path / "parquet"
        data.mkdir()
        frame[:250].to_parquet(data / "a.parquet")
        frame[250:].to_parquet(data / "b.parquet")
    train(1, tmp_path / "one", *options, data=data, method=method)
    made = train(2, tmp_path / "two", *options, data=data, method=method)
    assert_same_run(tmp_path / "one", tmp_path / "two", rtol=1e-4)
    assert made.stdout.count("report:") == 1
    assert (tmp_path / "two" / "manifest.json").exists()


def test_a_mistake_is_told_once(data, tmp_path):
    made = train(2, tmp_path / "out", "--bins", 5, "--bin-width", 1, data=data, method="vanilla", ok=False)
    assert made.returncode != 0
    assert made.stderr.count("give --bin-width or --bins, not both") == 1
    assert not (tmp_path / "out").exists()


def test_a_batch_smaller_than_the_processes_is_refused(data, tmp_path):
    made = train(2, tmp_path / "out", "--batch-size", 1, data=data, method="vanilla", ok=False)
    assert "a batch of 1 rows cannot be shared by 2 processes" in made.stderr


def worker(launcher, rank):
    """Process number of a rank, among the children of the launcher."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    for child in children:
        if f"\0RANK={rank}\0".encode() in Path(f"/proc/{child}/environ").read_bytes():
            return int(child)
    raise AssertionError(f"no worker {rank} among {children}")


LONG = ["--epochs", 40, "--batch-size", 32, "--patience", 0]


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("long") / "whole"
    train(1, folder, *LONG, data=data, method="sqinv+lds+conr")
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc")
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_run_which_one_process_finishes(killed, data, uninterrupted, tmp_path):
    method, options = "sqinv+lds+conr", LONG
    out = tmp_path / "cut"
    command = ["-m", "tailwise", "train", data, "-t", "y", "-m", method, "--device", "cpu", "-o", out, *options]
    with subprocess.Popen(
        [str(part) for part in [*RUN, "--nproc-per-node=2", *command]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as running:
        deadline = time.monotonic() + 120
        while not (out / "history.jsonl").exists() or len(history_so_far(out)) < 3:
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.02)
        os.kill(worker(running.pid, killed), signal.SIGKILL)
        _, stderr = running.communicate(timeout=120)
    assert running.returncode != 0
    assert f"process {1 - killed} of 2: another process of this training has ended" in stderr
    assert f"--resume --out {out}" in stderr
    assert not (out / "manifest.json").exists()
    assert len(history_so_far(out)) < 40

    train(1, out, *options, "--resume", data=data, method=method)
    assert len(history(out)) == len(history(uninterrupted)) == 40
    assert_same_run(out, uninterrupted, rtol=2e-2)  # rounding grows over 40 epochs


def history_so_far(out):
    return (out / "history.jsonl").read_text().splitlines()


def test_without_other_processes_everything_is_as_it_is():
    import torch

    rows = torch.arange(6.0).view(3, 2)
    assert processes.world() == (0, 1)
    assert processes.piece(7) == slice(0, 7)
    assert processes.gather_rows(rows) is rows
    assert processes.gather_objects("a") == ["a"]
    assert processes.from_main("a") == "a"
    assert processes.on_main(lambda: "a") == "a"
    assert processes.together(lambda: "a") == "a"
