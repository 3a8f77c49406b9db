"""Notes on how a table was read reach the user of every command, once, and its page."""

import pytest

from conftest import toy_frame
from tailwise import prepare
from tailwise.cli.main import run

STRAY = "rows end in a stray ',', the first is row 1"
PRICE = "price"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables whose rows end in a comma: all rows, and those of two parts."""
    folder = tmp_path_factory.mktemp("stray")
    frame = toy_frame()
    for name, rows in {"toy": frame, "train": frame[:220], "test": frame[220:]}.items():
        header, *lines = rows.to_csv(index=False).splitlines()
        (folder / f"{name}.csv").write_text("\n".join([header, *(f"{line}," for line in lines)]))
    return folder


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
