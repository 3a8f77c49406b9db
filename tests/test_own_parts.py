import json

import numpy as np
import pandas as pd
import pytest

from conftest import toy_frame
from tailwise import InputError, prepare
from test_cli import run


@pytest.fixture
def parts(tmp_path):
    frame = toy_frame()
    files = {"train": frame[:200], "val": frame[200:250], "test": frame[250:]}
    for name, rows in files.items():
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    return frame, tmp_path


def test_parts_are_the_tables(parts):
    frame, folder = parts
    task = prepare(folder / "train.csv", "price", test=folder / "test.csv", valid=folder / "val.csv")
    assert [task.count(part) for part in ("train", "val", "test")] == [200, 50, len(frame) - 250]
    np.testing.assert_allclose(task.rows_of("test")[1], frame["price"][250:])
    assert task.choices["test"] == str(folder / "test.csv")
    assert "split" not in [column.name for column in task.schema.columns]
    alone = prepare(folder / "train.csv", "price")
    assert task.source.sha256 != alone.source.sha256


def test_validation_rows_come_from_the_training_table_where_none_are_given(parts):
    frame, _ = parts
    task = prepare(frame[:250], "price", test=frame[250:])
    assert task.count("train") + task.count("val") == 250
    assert task.count("val") > 0
    assert any("validation" in note for note in task.notes)


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        (lambda test: test.drop(columns="x1"), {}, "the `test` table lacks column 'x1', which the training table has"),
        (lambda test: test[:0], {}, "the `test` table has no rows"),
        (lambda test: test, {"split": "random"}, "`test` and `valid` name the parts, and `split='random'` draws them"),
        (lambda test: test, {"split_column": "x1"}, "column 'x1' splits the table, and so do `test` and `valid`"),
    ],
)
def test_mistakes(parts, change, given, message):
    frame, _ = parts
    with pytest.raises(InputError, match=message):
        prepare(frame[:250], "price", test=change(frame[250:]), **given)


def test_columns_that_only_the_test_table_has_are_left_out_and_told(parts):
    frame, _ = parts
    task = prepare(frame[:250], "price", test=frame[250:].assign(more=1.0))
    assert any("column 'more' of the `test` table is left out" in note for note in task.notes)


def test_codes_keep_their_zeros(tmp_path):
    x = np.arange(300)
    frame = pd.DataFrame({"code": [f"0{i % 5}" if i % 7 else "A1" for i in x], "y": x**1.5})
    frame[:240].to_csv(tmp_path / "a.csv", index=False)
    digits = frame[240:][frame["code"][240:] != "A1"]
    digits.to_csv(tmp_path / "b.csv", index=False)
    task = prepare(tmp_path / "a.csv", "y", test=tmp_path / "b.csv")
    assert set(task.rows_of("test")[0].frame()["code"]) == {f"0{i}" for i in range(5)}


def test_the_command(parts, capsys):
    _, folder = parts
    words = ["train", str(folder / "train.csv"), "-t", "price", "--model", "linear", "--out", str(folder / "run")]
    assert run([*words, "--test", str(folder / "test.csv"), "--valid", str(folder / "val.csv")]) == 0
    config = json.loads((folder / "run" / "config.json").read_text())
    assert config["table"]["test"] == str(folder / "test.csv")
    (folder / "test.csv").write_text("x1\n1\n")
    capsys.readouterr()
    assert run([*words, "--overwrite", "--test", str(folder / "test.csv")]) == 2
    assert "the --test table lacks columns" in capsys.readouterr().err
