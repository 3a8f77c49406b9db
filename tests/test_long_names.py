"""Names of 400 characters: every mistake is still one line of at most 300, and so is every note."""

import numpy as np
import pandas as pd
import pytest

from tailwise.cli.main import run

LONG = "a very long name of a column " * 14
TEXT = "b" * 400
N = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({LONG: rng.normal(size=N), TEXT: rng.choice(["red", "blue"], N), "y": rng.normal(size=N)})
    table["g" * 400] = "one"
    table.to_csv(folder / "t.csv", index=False)
    table.assign(y=["many", *table["y"][1:]]).rename(columns={"y": "y" * 400}).to_csv(folder / "bad.csv", index=False)
    assert run(["train", str(folder / "t.csv"), "-t", "y", "--model", "linear", "-o", str(folder / "r")]) == 0
    table.drop(columns=LONG).to_csv(folder / "lacks.csv", index=False)
    table[LONG] = ["c" * 400, *table[LONG][1:]]
    table.to_csv(folder / "cell.csv", index=False)
    return folder


MISTAKES = {
    "diagnose: no such target": ["diagnose", "t.csv", "-t", LONG + "z"],
    "diagnose: a target of text": ["diagnose", "bad.csv", "-t", "y" * 400],
    "diagnose: no such column to drop": ["diagnose", "t.csv", "-t", "y", "--drop", TEXT + "z"],
    "diagnose: named twice": ["diagnose", "t.csv", "-t", "y", "--nominal", LONG, "--numeric", LONG],
    "diagnose: text as numbers": ["diagnose", "t.csv", "-t", "y", "--numeric", TEXT],
    "diagnose: text as dates": ["diagnose", "t.csv", "-t", "y", "--date", TEXT],
    "diagnose: one group": ["diagnose", "t.csv", "-t", "y", "--group", "g" * 400],
    "diagnose: missing in no column": ["diagnose", "t.csv", "-t", "y", "--missing", f"{TEXT}z=-999"],
    "diagnose: missing without a value": ["diagnose", "t.csv", "-t", "y", "--missing", TEXT],
    "diagnose: no such file": ["diagnose", LONG + ".csv", "-t", "y"],
    "diagnose: weights of text": ["diagnose", "t.csv", "-t", "y", "--weight", TEXT],
    "compare: no such target": ["compare", "t.csv", "-t", TEXT + "z", "-m", "vanilla", "-o", "c"],
    "compare: no such method": ["compare", "t.csv", "-t", "y", "-m", TEXT, "-o", "c"],
    "tune: no such target": ["tune", "t.csv", "-t", TEXT + "z", "-o", "u"],
    "tune: no such column": ["tune", "t.csv", "-t", "y", "--nominal", TEXT + "z", "-o", "u"],
    "train: no such split column": ["train", "t.csv", "-t", "y", "--split-column", TEXT + "z", "-o", "x"],
    "train: a setting of nothing": ["train", "t.csv", "-t", "y", "--set", f"{TEXT}=1", "-o", "x"],
    "train: an option": ["train", "t.csv", "-t", "y", f"--{TEXT}"],
    "predict: a column is missing": ["predict", "r", "lacks.csv", "-o", "p.csv"],
    "predict: a cell is no number": ["predict", "r", "cell.csv", "-o", "p.csv"],
    "predict: no such column to keep": ["predict", "r", "t.csv", "-o", "p.csv", "--keep", TEXT + "z"],
    "predict: no such run": ["predict", TEXT, "t.csv", "-o", "p.csv"],
    "predict: a long name to write": ["predict", "r", "t.csv", "-o", f"{TEXT}.csv"],
    "evaluate: a column is missing": ["evaluate", "r", "lacks.csv"],
    "evaluate: a cell is no number": ["evaluate", "r", "cell.csv"],
    "serve-model: no such run": ["serve-model", TEXT],
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_short_line(folder, mistake, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    capsys.readouterr()
    assert run(MISTAKES[mistake]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("tailwise: ")
    assert [line for line in lines if len(line) > 300] == []
    assert sum(line.startswith("tailwise: ") for line in lines) == 1


@pytest.mark.parametrize(
    "command", [["predict", "r", "odd.csv", "-o", "p.csv", "--overwrite"], ["diagnose", "odd.csv", "-t", "y"]]
)
def test_notes_are_short(folder, command, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    odd = pd.read_csv("t.csv")
    odd.loc[:20, LONG] = -9999
    odd.loc[:3, TEXT] = "violet"
    odd.assign(**{"n" * 400: 1.0}).to_csv("odd.csv", index=False)
    capsys.readouterr()
    assert run(command) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert notes
    assert [note for note in notes if len(note) > 400] == []
