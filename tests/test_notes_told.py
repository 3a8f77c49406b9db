"""Notes on how a table was read reach the user of every command, once, and its page."""

import json

import numpy as np
import pandas as pd
import pytest

from conftest import toy_frame
from tailwise import prepare
from tailwise.cli.main import run
from tailwise.compare.cell import plain_cell
from tailwise.compare.entries import entries_of
from tailwise.compare.plan import notes_on_tables, plan_cells

STRAY = "rows end in a stray ',', the first is row 1"
PRICE = "price"
UNSEEN = {f"x{i}": (8 - i) / 8 for i in range(6)}
ENTRIES = entries_of(["vanilla", "inv"], ["linear"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables whose rows end in a comma: all rows, and those of two parts."""
    folder = tmp_path_factory.mktemp("stray")
    frame = toy_frame()
    for name, rows in {"toy": frame, "train": frame[:220], "test": frame[220:]}.items():
        with_stray_commas(rows, folder / f"{name}.csv")
    return folder


def with_stray_commas(frame, file):
    header, *lines = frame.to_csv(index=False).splitlines()
    file.write_text("\n".join([header, *(f"{line}," for line in lines)]))
    return str(file)


def told(capsys):
    return capsys.readouterr().err.count(STRAY)


def test_notes_on_reading_are_in_the_task(folder):
    task = prepare(folder / "toy.csv", PRICE)
    assert sum(STRAY in note for note in task.notes) == 1
    assert prepare(task.source, PRICE).notes == task.notes


@pytest.mark.parametrize("of_file", [True, False])
def test_notes_on_tables_of_parts_name_the_part(folder, of_file):
    data = folder / "train.csv" if of_file else toy_frame()[:220]
    notes = [note for note in prepare(data, PRICE, test=folder / "test.csv").notes if STRAY in note]
    assert [note.startswith("`test` table: ") for note in notes] == ([False, True] if of_file else [True])


@pytest.mark.slow
def test_train_says_it_once(folder, tmp_path, capsys):
    table, out = str(folder / "toy.csv"), tmp_path / "r"
    assert run(["train", table, "-t", PRICE, "--model", "linear", "-o", str(out)]) == 0
    assert told(capsys) == 1
    assert (out / "report.html").read_text().count(STRAY.replace("'", "&#39;")) == 1


def test_a_diagnosis_says_it_on_its_page_and_in_its_file(folder, tmp_path, capsys):
    page, file = tmp_path / "d.html", tmp_path / "d.json"
    command = ["diagnose", str(folder / "toy.csv"), "-t", PRICE, "--no-model", "--html", str(page), "-o", str(file)]
    assert run(command) == 0
    assert told(capsys) == 1
    assert page.read_text().count(STRAY.replace("'", "&#39;")) == 1
    assert file.read_text().count(STRAY) == 1


def test_tune_says_it_once_for_each_table(folder, tmp_path, capsys):
    choices = ["--model", "linear", "--trials", "1", "--minimise", "bmae", "--test", str(folder / "test.csv")]
    assert run(["tune", str(folder / "train.csv"), "-t", PRICE, *choices, "-o", str(tmp_path / "t")]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if STRAY in line]
    assert len(lines) == 2
    assert lines[1].startswith("note: --test table: ")


class TestCompare:
    def test_everything_once(self, tmp_path, capsys):
        """A table with a comma behind its rows, a column without values and a cell that is no number."""
        frame = toy_frame().astype({"x1": object})
        frame.loc[4, "x1"] = "12 kg"
        table, out = with_stray_commas(frame.assign(empty=np.nan), tmp_path / "odd.csv"), tmp_path / "c"
        words = ["--model", "linear", "-m", "vanilla", "inv", "--seeds", "2", "-o", str(out)]
        assert run(["compare", table, "-t", PRICE, *words]) == 0
        printed = capsys.readouterr().err
        page, saved = (out / "comparison.html").read_text(), (out / "comparison.json").read_text()
        for words in ("rows end in a stray", "12 kg", "'empty' is not an input"):
            counts = [text.replace("&#39;", "'").count(words) for text in (printed, page, saved)]
            assert counts == [1, 1, 1], words
        assert page.count(">Notes<") == 1

    def test_notes_are_no_settings_of_a_cell(self, folder):
        cell, _ = plan_cells([(str(folder / "toy.csv"), PRICE)], ENTRIES, seeds=1)
        assert any(STRAY in note for note in cell.notes)
        assert "notes" not in plain_cell(cell)

    def test_notes_of_several_tables_name_theirs(self, folder):
        tables = [(str(folder / "toy.csv"), PRICE), ("example:diabetes", "progression")]
        cells = plan_cells(tables, ENTRIES, seeds=2)
        assert [note.startswith("toy: rows end") for note in notes_on_tables(cells) if STRAY in note] == [True]


def test_dial_says_which_table_it_is(tmp_path, capsys):
    frame = toy_frame().assign(prediction=lambda rows: rows["price"] * 0.8 + rows["x1"])
    table = with_stray_commas(frame, tmp_path / "held.csv")
    given = ["--target", PRICE, "--prediction", "prediction", "--labels", table, "--density", f"labels:{table}"]
    assert run(["dial", table, *given, "--apply", table, "--out", str(tmp_path / "new.csv")]) == 0
    lines = [line.removeprefix("note: ") for line in capsys.readouterr().err.splitlines() if STRAY in line]
    assert [line.split(" table")[0] for line in lines] == ["--density", lines[1], "--labels", "--apply"]
    assert lines[1].startswith(STRAY)


@pytest.mark.slow
def test_explain_says_it_of_the_table_of_the_run(folder, tmp_path, capsys):
    out = str(tmp_path / "r")
    assert run(["train", str(folder / "toy.csv"), "-t", PRICE, "--model", "linear", "-o", out]) == 0
    capsys.readouterr()
    assert run(["explain", out]) == 0
    assert told(capsys) == 1


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    """A run on six columns, and a table of which each has values that training did not have."""
    folder = tmp_path_factory.mktemp("shifted")
    x = np.random.default_rng(0).normal(size=(200, 6))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(6)]).assign(price=np.exp(x[:, 0]))
    frame.to_csv(folder / "t.csv", index=False)
    assert run(["train", str(folder / "t.csv"), "-t", PRICE, "--model", "linear", "-o", str(folder / "r")]) == 0
    new = frame[:8].copy()
    for i in range(6):
        new.loc[: 7 - i, f"x{i}"] += 100.0
    new.to_csv(folder / "new.csv", index=False)
    return folder


class TestUnseenValues:
    def test_predict_writes_all_columns(self, shifted, capsys):
        file = shifted / "u.json"
        words = ["predict", str(shifted / "r"), str(shifted / "new.csv"), "-o", str(shifted / "p.csv")]
        assert run([*words, "--unseen", str(file)]) == 0
        assert json.loads(file.read_text()) == {"rows": 8, "unseen": UNSEEN}
        assert list(json.loads(file.read_text())["unseen"]) == list(UNSEEN)
        printed = capsys.readouterr().err
        assert "; and 2 more columns\n" in printed
        assert "--unseen FILE.json" not in printed
        assert run([*words, "--overwrite"]) == 0
        assert "note: --unseen FILE.json has the fractions of all 6 columns with" in capsys.readouterr().err
        assert run([*words, "--overwrite", "--unseen", str(shifted / "u.csv")]) == 2
        assert "--unseen must name a .json file" in capsys.readouterr().err

    def test_evaluate_writes_all_columns(self, shifted, capsys):
        file, words = shifted / "e.json", ["evaluate", str(shifted / "r"), str(shifted / "new.csv")]
        assert run(words) == 0
        assert "note: --out FILE.json has the fractions of all 6 columns with" in capsys.readouterr().err
        assert run([*words, "-o", str(file)]) == 0
        assert "FILE.json" not in capsys.readouterr().err
        saved = json.loads(file.read_text())
        assert saved["unseen"] == UNSEEN
        assert saved["all"]["n"] == 8
