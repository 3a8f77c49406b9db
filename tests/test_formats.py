"""Runs that were written in an earlier format are read forever, or refused by name.

``formats/run-1.zip`` holds four runs in the format ``tailwise-run-1`` with models of format 2, without their pages and
test predictions, as version 0.1.0 wrote them on 2026-12-01: ``linear``, ``network`` (``sqinv+lds`` at balance .5),
``outputs`` (two targets, ``mixture``) and ``stack`` (a network and a linear model, two folds); ``rows.csv``, and beside
each run what it predicted for them. They are never written again.
"""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tailwise import InputError
from tailwise._files import file_digest
from tailwise.cli.main import run
from tailwise.experiment.model import FittedModel
from tailwise.runs.folder import open_run, read_settings

RUNS = ("linear", "network", "outputs", "stack")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    with zipfile.ZipFile(Path(__file__).parent / "formats" / "run-1.zip") as packed:
        packed.extractall(folder)
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_format_1_predicts_what_it_did(name, written):
    folder = open_run(written / name)
    assert read_settings(folder)["format"] == "tailwise-run-1"
    model, rows = FittedModel.load(folder / "model"), pd.read_csv(written / "rows.csv")
    known = json.loads((written / f"{name}.json").read_text())
    np.testing.assert_allclose(model.predict(rows), known["own"], rtol=1e-4)
    if "balance 1" in known:
        np.testing.assert_allclose(model.predict(rows, balance=1.0), known["balance 1"], rtol=1e-4)
    if "interval at balance 0.5" in known:
        ends = model.predict_interval(rows, 0.8, balance=0.5)
        np.testing.assert_allclose(ends, known["interval at balance 0.5"], rtol=1e-4)
    if "interval" in known:
        np.testing.assert_allclose(model.predict_interval(rows, 0.8), known["interval"], rtol=1e-4)


def test_the_command_takes_a_run_of_format_1(written, tmp_path):
    words = ["predict", str(written / "network"), str(written / "rows.csv"), "--interval", "0.8"]
    assert run([*words, "-o", str(tmp_path / "p.csv")]) == 0
    known = json.loads((written / "network.json").read_text())
    np.testing.assert_allclose(pd.read_csv(tmp_path / "p.csv")["prediction"], known["own"], rtol=1e-4)


def changed(folder: Path, name: str, key: str, value: object) -> None:
    """Change a field of a JSON file of a run, and sign the run again."""
    saved = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(saved | {key: value}))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = {file: file_digest(folder / file) for file in manifest["sha256"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("file", "value", "message"),
    [
        ("manifest.json", "tailwise-run-2", "has format 'tailwise-run-2', and this version of tailwise reads"),
        ("model/model.json", 3, "has model format 3, this version reads 2; use the version that wrote it"),
        ("model/model.json", 1, "has model format 1, this version reads 2; use the version that wrote it"),
    ],
)
def test_other_formats_are_refused_by_name_and_nothing_changes(file, value, message, written, tmp_path, capsys):
    folder = tmp_path / "r"
    shutil.copytree(written / "linear", folder)
    changed(folder, file, "format", value)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run(["predict", str(folder), str(written / "rows.csv"), "-o", str(tmp_path / "p.csv")]) == 2
    assert message in capsys.readouterr().err
    with pytest.raises(InputError, match=r"use the version that wrote it"):
        FittedModel.load(open_run(folder) / "model")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "p.csv").exists()
