"""A user's file that uses the public names type-checks, with mypy and with pyright."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
USERS_FILE = """
import numpy as np
import pandas as pd
import torch
from typing_extensions import assert_type

import tailwise
from tailwise import MLP, Bins, ConR, ImbalancedRegressor, Regressor, compose, lds_weights

x, y = torch.randn(64, 8), torch.rand(64)
model = Regressor(MLP(8), n_features=256).match_scale(y.numpy())
weights = lds_weights(y.numpy(), Bins.width(y.numpy(), 0.1))
conr = ConR(window=0.2)
features = model.encode(x)
pred = model.head(features)
loss = (weights(y) * (pred - y).abs()).mean() + 4.0 * conr(features, y, pred)
loss.backward()

objective = compose("sqinv+lds", lds={"window": 5}).build(model, y.numpy())
terms = objective(x, y)
assert_type(terms, dict[str, torch.Tensor])
total = torch.stack(list(terms.values())).sum()
total.backward()
objective.end_epoch()

table = pd.DataFrame({"x": np.arange(300.0), "y": np.arange(300.0)})
task = tailwise.prepare(table, "y")
fitted = tailwise.fit(task, tailwise.Experiment("sqinv", recipe=tailwise.Recipe(epochs=1)))
assert_type(fitted, tailwise.FittedModel)
print(fitted.predict(table, balance=0.5).mean(), fitted.predictive(table))
print(tailwise.evaluate(fitted, task).metrics()["few"])

regressor = ImbalancedRegressor("sqinv+lds", epochs=1).fit(table[["x"]], table["y"])
print(regressor.predict(table[["x"]]))
decide = tailwise.dial(np.arange(100.0), np.arange(100.0), balance=0.5)
print(decide(np.arange(3.0), balance=1.0), decide(np.arange(3.0), under=10, over=1))
"""


@pytest.fixture
def users_file(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(USERS_FILE)
    return path


@pytest.mark.slow
def test_mypy_is_clean(users_file):
    cache = ROOT / ".mypy_cache"
    command = [sys.executable, "-m", "mypy", "--strict", "--allow-untyped-calls"]  # torch's backward() has no types
    command += ["--cache-dir", str(cache), str(users_file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment())
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_pyright_is_clean(users_file, tmp_path):
    if shutil.which("pyright", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("pyright is not installed")
    settings = {"include": [users_file.name], "extraPaths": [str(ROOT / "src")], "typeCheckingMode": "standard"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [str(Path(sys.executable).with_name("pyright")), "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, "-p", str(tmp_path)], capture_output=True, text=True)
    found = [fault for fault in json.loads(done.stdout)["generalDiagnostics"] if fault["severity"] == "error"]
    assert not found


def environment():
    return os.environ | {"MYPYPATH": str(ROOT / "src")}
