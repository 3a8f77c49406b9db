"""The same command twice gives the same model folder, byte for byte."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingRegressor

from conftest import toy_frame
from tailwise import Experiment, Recipe, fit, prepare
from tailwise.cli.main import run
from tailwise.data.skops_file import to_skops
from test_media import media_frame

COMMANDS = {
    "linear": ["--model", "linear"],
    "lightgbm": ["--model", "lightgbm", "--set", "model.n_estimators=5"],
    "network": ["--method", "vanilla", "--epochs", "2"],
    "stack": ["--quality", "good", "--epochs", "1", "--jobs", "2"],
}


def bytes_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("model", COMMANDS)
def test_a_model_folder(toy, tmp_path, model):
    table = tmp_path / "t.csv"
    toy.head(120).to_csv(table, index=False)
    for name in ("a", "b"):
        assert run(["train", str(table), "-t", "price", *COMMANDS[model], "-o", str(tmp_path / name)]) == 0
    first, second = (bytes_below(tmp_path / name / "model") for name in ("a", "b"))
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.parametrize(
    ("model", "encoder", "params"),
    [
        ("forest", "auto", {"n_estimators": 5}),
        ("hist-boosting", "auto", {"max_iter": 5}),
        ("catboost", "auto", {"iterations": 5}),
        ("network", "tabm-ple", {"members": 2, "width": 8}),
    ],
)
def test_a_model_folder_of_other_models(toy, tmp_path, model, encoder, params):
    if model == "catboost":
        pytest.importorskip("catboost", reason="the extra `catboost` is not installed")
    recipe = Recipe(epochs=2 if model == "network" else None, device="cpu")
    for name in ("a", "b"):
        task = prepare(toy, "price")
        (tmp_path / name).mkdir()
        fit(task, Experiment("vanilla", model, encoder=encoder, params=params, recipe=recipe)).save(tmp_path / name)
    first, second = (bytes_below(tmp_path / name) for name in ("a", "b"))
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []


MEDIA = {
    "images": ["--image", "path", "--set", "image.width=4", "--set", "image.size=16"],
    "texts": ["--text", "a", "--set", "text.units=4", "--set", "text.width=8"],
    "signals": ["--signal", "sig", "--set", "signal.width=4", "--set", "signal.blocks=1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MEDIA)
def test_a_model_folder_of_media(tmp_path, kind):
    media_frame(tmp_path).to_csv(tmp_path / "index.csv", index=False)
    words = ["train", str(tmp_path / "index.csv"), "-t", "y", "--method", "vanilla", "--epochs", "1", "--device", "cpu"]
    for name in ("a", "b"):
        assert run([*words, *MEDIA[kind], "-o", str(tmp_path / name)]) == 0
    first, second = (bytes_below(tmp_path / name / "model") for name in ("a", "b"))
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []


@pytest.fixture(scope="module")
def trained_on_threads(tmp_path_factory):
    """Folders, by the number of threads, in which a process of its own trained every model and predicted."""
    folders = {}
    toy = toy_frame()
    table = pd.concat([toy] * 2).assign(price=lambda t: t["price"] + 0.01 * np.arange(len(t)))  # several batches
    train = [["train", "t.csv", "-t", "price", *words, "-o", model] for model, words in COMMANDS.items()]
    predict = [["predict", model, "t.csv", "-o", f"{model}.csv", "--interval", "0.8"] for model in COMMANDS]
    code = f"from tailwise.cli.main import run\nfor words in {train + predict!r}: assert run(words) == 0"
    for threads in ("1", "2"):
        folders[threads] = folder = tmp_path_factory.mktemp(f"threads{threads}")
        table.to_csv(folder / "t.csv", index=False)
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("model", COMMANDS)
def test_one_thread_and_two_in_processes_of_their_own(trained_on_threads, model):
    first, second = (
        bytes_below(folder / model / "model") | {"p.csv": (folder / f"{model}.csv").read_bytes()}
        for folder in trained_on_threads.values()
    )
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []


def test_equal_objects_of_scikit_learn():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    one, other = (HistGradientBoostingRegressor(max_iter=3, random_state=0).fit(x, y) for _ in range(2))
    assert to_skops(one) == to_skops(other)
    trusted = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
    loaded = skops.io.loads(to_skops(one), trusted=trusted)
    np.testing.assert_array_equal(loaded.predict(x), one.predict(x))
