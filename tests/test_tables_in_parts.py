"""Folders of files that are one table: the same as that table in one file."""

import json

import numpy as np
import pandas as pd
import pytest

from conftest import toy_frame
from tailwise._checks import InputError
from tailwise.cli.main import run
from tailwise.data.source_parts import load_whole

ROWS = {"a.csv": slice(0, 150), "b.csv": slice(150, 151), "sub/c.csv": slice(151, None)}


def write_parts(frame, folder, *, suffix=".csv"):
    for name, rows in ROWS.items():
        file = (folder / name).with_suffix(suffix)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = frame[rows]
        part.to_csv(file, index=False) if suffix == ".csv" else part.to_parquet(file, index=False)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a table, its parts as text and Parquet, and a run."""
    place = tmp_path_factory.mktemp("parts")
    frame = toy_frame()
    frame.to_csv(place / "toy.csv", index=False)
    write_parts(frame, place / "text")
    write_parts(frame, place / "parquet", suffix=".parquet")
    options = ["-t", "price", "--model", "linear", "--out", str(place / "run")]
    assert run(["train", str(place / "toy.csv"), *options]) == 0
    return place


@pytest.mark.parametrize("parts", ["text", "parquet"])
class TestTheSameAsOneFile:
    def test_evaluate(self, finished, parts, tmp_path):
        for data in ("toy.csv", parts):
            out = tmp_path / f"{data}.json"
            assert run(["evaluate", str(finished / "run"), str(finished / data), "--out", str(out)]) == 0
        assert (tmp_path / "toy.csv.json").read_bytes() == (tmp_path / f"{parts}.json").read_bytes()

    def test_explain(self, finished, parts, tmp_path):
        for data in ("toy.csv", parts):
            out = tmp_path / f"{data}.json"
            options = ["--repeats", "1", "--out", str(out)]
            assert run(["explain", str(finished / "run"), str(finished / data), *options]) == 0
        assert (tmp_path / "toy.csv.json").read_bytes() == (tmp_path / f"{parts}.json").read_bytes()

    def test_diagnose(self, finished, parts, tmp_path):
        found = []
        for data in ("toy.csv", parts):
            out = tmp_path / f"{data}.json"
            assert run(["diagnose", str(finished / data), "-t", "price", "--no-model", "--out", str(out)]) == 0
            found.append({key: value for key, value in json.loads(out.read_text()).items() if key != "data"})
        assert json.dumps(found[0]).replace("toy.csv", parts) == json.dumps(found[1])


class TestRows:
    def test_that_are_named_count_through_the_files_from_1(self, finished, tmp_path, capsys):
        frame = toy_frame()
        frame.loc[200, "x1"] = 1e6
        folder = write_parts(frame, tmp_path / "far")
        assert run(["evaluate", str(finished / "run"), str(folder)]) == 0
        assert "row 201: prediction" in capsys.readouterr().err

    def test_without_a_target_are_left_out_on_request(self, finished, tmp_path, capsys):
        frame = toy_frame()
        frame.loc[170:179, "price"] = np.nan
        folder = write_parts(frame, tmp_path / "some")
        assert run(["evaluate", str(finished / "run"), str(folder)]) == 2
        assert "--drop-missing-target" in capsys.readouterr().err
        assert run(["evaluate", str(finished / "run"), str(folder), "--drop-missing-target"]) == 0
        assert "390" in capsys.readouterr().out


class TestBadFolders:
    def test_a_file_with_other_columns(self, finished, tmp_path, capsys):
        folder = write_parts(toy_frame(), tmp_path / "other")
        (folder / "b.csv").write_text((folder / "b.csv").read_text().replace("x1", "x9"))
        assert run(["evaluate", str(finished / "run"), str(folder)]) == 2
        assert "file 'b.csv': the table lacks 1 column the model was trained on: 'x1'" in capsys.readouterr().err
        assert run(["diagnose", str(folder), "-t", "price"]) == 2
        told = capsys.readouterr().err
        assert "file 'b.csv': its columns are not those of the first file: it lacks 'x1'" in told

    def test_a_file_with_one_column_more(self, tmp_path):
        folder = write_parts(toy_frame(), tmp_path / "more")
        pd.read_csv(folder / "b.csv").assign(extra=1).to_csv(folder / "b.csv", index=False)
        with pytest.raises(
            InputError, match=r"file 'b\.csv': its columns are not those of the first file: it has 'extra'"
        ):
            load_whole(str(folder))

    def test_a_file_that_is_no_table(self, finished, tmp_path, capsys):
        folder = write_parts(toy_frame(), tmp_path / "damaged")
        (folder / "b.csv").write_bytes(b"\x00\x01")
        assert run(["evaluate", str(finished / "run"), str(folder)]) == 2
        assert "file 'b.csv': " in capsys.readouterr().err

    def test_no_file(self, finished, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        for command in (["evaluate", str(finished / "run")], ["explain", str(finished / "run")]):
            assert run([*command, str(tmp_path / "empty")]) == 2
            assert "has no file whose name ends in .parquet, .csv or .tsv" in capsys.readouterr().err
