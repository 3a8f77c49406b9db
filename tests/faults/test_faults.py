"""At every operation on a file: a kill, a half-written file, a full disk; afterwards every promise is kept.

A sample of the operations is tried; ``TAILWISE_FAULTS=1`` (``make faults``) tries all of them, for more models, and
prints how many; ``TAILWISE_FAULTS=8`` every eighth.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from media_tables import media_frame
from tailwise._checks import InputError
from tailwise._files import LOCK
from tailwise.modalities.scenes import write_scenes
from tailwise.runs.folder import check_out, open_run

KILLED = 97
EVERY = int(os.environ.get("TAILWISE_FAULTS", "0"))
TRAIN = ["train", "t.csv", "-t", "y"]
MEDIA = ["train", "index.csv", "-t", "y", "--method", "vanilla", "--epochs", "2", "--device", "cpu"]
MODELS = {
    "linear": [*TRAIN, "--model", "linear"],
    "lightgbm": [*TRAIN, "--model", "lightgbm", "--set", "model.n_estimators=5"],
    "network": [*TRAIN, "--method", "vanilla", "--epochs", "2"],
    "stack": [*TRAIN, "--quality", "good", "--jobs", "1", "--epochs", "1"],
}
MORE = {
    "catboost": [*TRAIN, "--model", "catboost", "--set", "model.iterations=5"],
    "forest": [*TRAIN, "--model", "forest", "--set", "model.n_estimators=5"],
    "images": [*MEDIA, "--image", "path", "--set", "image.width=4", "--set", "image.size=16"],
    "texts": [*MEDIA, "--text", "a", "--set", "text.units=4", "--set", "text.width=8"],
    "signals": [*MEDIA, "--signal", "sig", "--set", "signal.width=4", "--set", "signal.blocks=1"],
}
SAMPLE = {"linear": 6, "lightgbm": 2, "network": 3, "stack": 1}
FAULTS = ("kill", "torn", "full")
if EVERY:
    MODELS |= MORE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the harness forks")


class Warm:
    """A process that has imported everything and runs commands in forks."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "printed.txt"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, str(Path(__file__).with_name("warm.py"))]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        assert self.process.stdout.readline() == "ready\n"

    def run(self, folder: Path, command: list[str], fault: str = "none", at: int = -1) -> dict:
        request = {"folder": str(folder), "command": command, "fault": fault, "at": at, "log": str(self.log)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())  # of a child that hangs, an alarm ends it

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    process = Warm(tmp_path_factory.mktemp("warm"))
    yield process
    process.close()


@pytest.fixture(scope="module")
def old(warm, tmp_path_factory):
    """A folder with a table and a finished run ``r``."""
    folder = tmp_path_factory.mktemp("old")
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    table = pd.DataFrame({"x": x, "kind": rng.choice(["a", "b"], 80), "y": np.exp(x) + rng.normal(0, 0.1, 80)})
    table.to_csv(folder / "t.csv", index=False)
    (folder / "parts").mkdir()
    for start in (0, 50):
        table[start : start + 50].to_csv(folder / "parts" / f"{start}.csv", index=False)
    if EVERY:
        media_frame(folder)
    ended = warm.run(folder, [*MODELS["linear"], "--seed", "1", "-o", "r"])
    assert ended["status"] == 0, ended["printed"]
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != LOCK
    }


def results_in(folder: Path) -> dict[str, object]:
    """The results of a comparison, search or benchmark, but for times and the journals and pages that hold them.

    Trials have no numbers: one that was interrupted keeps its own, and is drawn again as another.
    """

    def timeless(value: object) -> object:
        if isinstance(value, dict):
            return {name: timeless(one) for name, one in value.items() if "seconds" not in name and name != "number"}
        return [timeless(one) for one in value] if isinstance(value, list) else value

    found: dict[str, object] = {}
    for name, content in files_in(folder).items():
        if name.endswith(".json"):
            found[name] = timeless(json.loads(content))
        elif not name.endswith((".journal", ".html", ".jsonl")):
            found[name] = content
    return found


def places(operations: list[str], wanted: int) -> list[tuple[str, int]]:
    """Faults and numbers of operations: every n-th, or a sample, always the same, that takes the faults in turn.

    The sample is spread over all operations (multiples of the golden section, with the first and the last from three
    places on), and begins with a fault that depends on their number, so that few places have not always the same one.
    """
    total = len(operations)
    if EVERY:
        found = [(fault, at) for at in range(0, total, EVERY) for fault in FAULTS]
    else:
        ends = {0, total - 1} if wanted >= len(FAULTS) else set()
        spread = (int(total * (0.618034 * place % 1)) for place in range(1, wanted + 1 - len(ends)))
        numbers = sorted({*ends, *spread})
        found = [(FAULTS[(place + total) % len(FAULTS)], at) for place, at in enumerate(numbers)]
    print(f"{total} operations, {len(found)} faults")
    return found


def is_resumable(run: Path) -> bool:
    try:
        check_out(run, overwrite=False, resume=True)
    except InputError:
        return False
    return True


def fresh_copy(old: Path, to: Path, *, with_run: bool) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(old, to)
    if not with_run:
        shutil.rmtree(to / "r")
    return to


def operations_of(warm: Warm, folder: Path, command: list[str]) -> list[str]:
    """Return the operations of a command that ends well."""
    ended = warm.run(folder, command)
    assert ended["status"] == 0, ended["printed"]
    return ended["operations"]


def one_line(ended: dict) -> bool:
    """A full disk gives an exit status and one line that names it."""
    assert ended["status"] == 2, ended["printed"]
    assert "Traceback" not in ended["printed"]
    last = ended["printed"].splitlines()[-1]
    assert "No space left on device" in last or "make room on its disk" in last, last
    return True


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.slow
def test_overwriting(warm, old, tmp_path, model):
    command = [*MODELS[model], "-o", "r", "--overwrite"]
    operations = operations_of(warm, fresh_copy(old, tmp_path / "f", with_run=True), command)
    before = files_in(old / "r")
    for fault, at in places(operations, SAMPLE.get(model, 0)):
        folder = fresh_copy(old, tmp_path / "f", with_run=True)
        ended = warm.run(folder, command, fault, at)
        where = f"{fault} at {at}, {operations[at]}: {ended['printed']}"
        readable = open_run(folder / "r")  # raises if there is no whole run
        check_out(folder / "r", overwrite=True, resume=False)
        if fault == "full":
            if ended["status"] == 0:  # only files were left to remove
                assert readable == folder / "r", where
                continue
            one_line(ended)
            assert files_in(folder / "r") == before, where
        else:
            assert ended["status"] == KILLED, where
            is_old = files_in(readable) == before
            assert is_old or readable == folder / "r", where
            assert is_old or (readable / "manifest.json").exists(), where


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.slow
def test_a_new_run(warm, old, tmp_path, model):
    command = [*MODELS[model], "-o", "r"]
    operations = operations_of(warm, folder := fresh_copy(old, tmp_path / "f", with_run=False), command)
    uninterrupted = files_in(folder / "r" / "model")
    for fault, at in places(operations, SAMPLE.get(model, 0)):
        folder = fresh_copy(old, tmp_path / "f", with_run=False)
        ended = warm.run(folder, command, fault, at)
        where = f"{fault} at {at}, {operations[at]}: {ended['printed']}"
        run = folder / "r"
        finished = (run / "manifest.json").exists()
        if fault == "full" and ended["status"] != 0:
            one_line(ended)
        elif fault != "full":
            assert ended["status"] == KILLED, where
        if finished:
            open_run(run)
        elif is_resumable(run):
            again = warm.run(folder, [*command, "--resume"])
            assert again["status"] == 0, where + again["printed"]
            open_run(run)
            assert files_in(run / "model") == uninterrupted, where
        else:
            check_out(run, overwrite=False, resume=False)  # a clean absence: the same command starts anew
            assert fault == "full" or "config.json" not in files_in(run) if run.exists() else True, where


@pytest.mark.parametrize("data", ["t.csv", "parts"])
@pytest.mark.parametrize("fault", FAULTS)
def test_predicting(warm, old, tmp_path, fault, data):
    command = ["predict", "r", data, "-o", "p.csv", "--overwrite"]
    folder = fresh_copy(old, tmp_path / "f", with_run=True)
    operations = operations_of(warm, folder, command)
    whole, earlier = (folder / "p.csv").read_bytes(), b"row,prediction\n"
    for at in range(len(operations)):
        folder = fresh_copy(old, tmp_path / "f", with_run=True)
        (folder / "p.csv").write_bytes(earlier)
        ended = warm.run(folder, command, fault, at)
        assert (folder / "p.csv").read_bytes() in (earlier, whole), operations[at]
        if fault == "full":
            assert ended["status"] == 0 or one_line(ended)  # the rename at the end needs no room
            assert not (folder / "p.csv.new").exists()
        assert warm.run(folder, command)["status"] == 0
        assert (folder / "p.csv").read_bytes() == whole


WRITTEN = {  # the file that a command writes, or replaces
    "predict": ["predict", "r", "t.csv", "--overwrite", "-o", "p.parquet"],
    "predict-parts": ["predict", "r", "parts", "--overwrite", "-o", "p.parquet"],
    "evaluate": ["evaluate", "r", "t.csv", "--overwrite", "-o", "e.json"],
    "diagnose": ["diagnose", "t.csv", "-t", "y", "--overwrite", "-o", "d.json"],
    "diagnose-page": ["diagnose", "t.csv", "-t", "y", "--overwrite", "--html", "d.html"],
    "explain": ["explain", "r", "t.csv", "--repeats", "1", "--overwrite", "-o", "x.json"],
    "explain-page": ["explain", "r", "t.csv", "--repeats", "1", "--overwrite", "--html", "x.html"],
    "dial": ["dial", "t.csv", "-t", "y", "--prediction", "x", "--overwrite", "-o", "dialled.csv"],
    "export": ["export", "network", "--overwrite", "n.pt2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITTEN)
def test_one_file(warm, old, tmp_path, name):
    command, file = WRITTEN[name], WRITTEN[name][-1]
    start = fresh_copy(old, tmp_path / "start", with_run=True)
    if "network" in command:
        operations_of(warm, start, [*MODELS["network"], "-o", "network"])
    folder = fresh_copy(start, tmp_path / "f", with_run=True)
    operations = operations_of(warm, folder, command)
    whole, others = (folder / file).read_bytes(), {*files_in(start), file}
    for fault, at in places(operations, 4):
        folder = fresh_copy(start, tmp_path / "f", with_run=True)
        (folder / file).write_bytes(b"earlier")
        ended = warm.run(folder, command, fault, at)
        where = f"{fault} at {at}, {operations[at]}: {ended['printed']}"
        assert (folder / file).read_bytes() in (b"earlier", whole), where
        if fault == "full":
            assert ended["status"] == 0 or one_line(ended), where
            assert set(files_in(folder)) == others, where
        else:
            assert ended["status"] == KILLED, where
        again = warm.run(folder, command)
        assert again["status"] == 0, where + again["printed"]
        assert (folder / file).read_bytes() == whole, where
        assert set(files_in(folder)) == others, where


CONTINUED = {
    "compare": ["compare", "t.csv", "-t", "y", "-m", "vanilla", "inv", "--model", "linear", "--seeds", "2"],
    "bench": ["bench", "run", "uci-dir", "--data", "prepared", "-m", "vanilla", "--seeds", "1", "--epochs", "1"],
    "tune": ["tune", "t.csv", "-t", "y", "--model", "linear", "-m", "inv", "--trials", "2", "--seeds", "1"],
}


@pytest.mark.parametrize("name", CONTINUED)
@pytest.mark.slow
def test_what_the_same_command_continues(warm, old, tmp_path, name):
    command = [*CONTINUED[name], "-o", "r"]
    start = fresh_copy(old, tmp_path / "start", with_run=True)
    if name == "bench":
        operations_of(warm, start, ["bench", "toy", "uci-dir", "data"])
        operations_of(warm, start, ["bench", "prepare", "uci-dir", "--data", "data", "--out", "prepared"])
    folder = fresh_copy(start, tmp_path / "f", with_run=False)
    operations = operations_of(warm, folder, command)
    whole = results_in(folder / "r")
    for fault, at in places(operations, 3):
        folder = fresh_copy(start, tmp_path / "f", with_run=False)
        ended = warm.run(folder, command, fault, at)
        where = f"{fault} at {at}, {operations[at]}: {ended['printed']}"
        if fault != "full":
            assert ended["status"] == KILLED, where
        elif ended["status"] != 0:
            one_line(ended)
        again = warm.run(folder, command)
        assert again["status"] == 0, where + again["printed"]
        assert "Traceback" not in again["printed"], where
        assert results_in(folder / "r") == whole, where


@pytest.fixture(scope="module")
def scenes(warm, tmp_path_factory):
    """A folder with scenes and a run on maps ``r``."""
    folder = tmp_path_factory.mktemp("maps")
    write_scenes(folder / "scenes", 24)
    depth = ["--image", "image", "--depth", "depth", "--set", "depth.scale=0.001"]
    options = ["-m", "vanilla", "--encoder", "small", "--epochs", "1", "--device", "cpu", "-o", "r"]
    ended = warm.run(folder, ["train", "scenes/index.csv", *depth, *options])
    assert ended["status"] == 0, ended["printed"]
    few = pd.read_csv(folder / "scenes" / "index.csv").head(3)
    few.to_csv(folder / "scenes" / "few.csv", index=False)
    few.head(2).to_csv(folder / "scenes" / "fewer.csv", index=False)
    return folder


@pytest.mark.slow
def test_predicting_maps(warm, scenes, tmp_path):
    command = ["predict", "r", "scenes/few.csv", "-o", "p", "--overwrite"]
    first = fresh_copy(scenes, tmp_path / "first", with_run=True)
    assert warm.run(first, ["predict", "r", "scenes/fewer.csv", "-o", "p"])["status"] == 0
    earlier = files_in(first / "p")
    folder = fresh_copy(first, tmp_path / "f", with_run=True)
    operations = operations_of(warm, folder, command)
    whole = files_in(folder / "p")
    assert len(whole) == len(earlier) + 1
    for fault, at in places(operations, 6):
        folder = fresh_copy(first, tmp_path / "f", with_run=True)
        ended = warm.run(folder, command, fault, at)
        where = f"{fault} at {at}, {operations[at]}: {ended['printed']}"
        if fault == "full" and ended["status"] != 0:
            one_line(ended)
            assert files_in(folder / "p") == earlier, where
        kept = folder / "p" if (folder / "p").exists() else folder / "p.old"
        assert files_in(kept) in (earlier, whole), where
        again = warm.run(folder, command)
        assert again["status"] == 0, where + again["printed"]
        assert files_in(folder / "p") == whole, where
        assert not (folder / "p.old").exists(), where
        assert not (folder / "p.new").exists(), where


@pytest.mark.slow
def test_preparing_a_benchmark(warm, tmp_path):
    start = tmp_path / "start"
    start.mkdir()
    assert warm.run(start, ["bench", "toy", "uci-dir", "data"])["status"] == 0
    command = ["bench", "prepare", "uci-dir", "--data", "data", "--out", "prepared"]
    for again in (False, True):
        folder = fresh_copy(start, tmp_path / "f", with_run=True)
        operations = operations_of(warm, folder, command)
        whole = files_in(folder / "prepared")
        if again:
            shutil.copytree(folder / "prepared", start / "prepared")
        for fault, at in places(operations, 6):
            folder = fresh_copy(start, tmp_path / "f", with_run=True)
            ended = warm.run(folder, command, fault, at)
            where = f"{fault} at {at}, {operations[at]}: {ended['printed']}"
            assert fault != "full" or ended["status"] == 0 or one_line(ended), where
            assert warm.run(folder, command)["status"] == 0, where
            assert files_in(folder / "prepared") == whole, where
