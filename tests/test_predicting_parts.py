"""``predict`` reads tables a piece at a time: folders of Parquet or CSV files, and large Parquet files."""

import re

import numpy as np
import pandas as pd
import pytest

from tailwise.cli.main import run
from tailwise.data import table_parts
from tailwise.data.rows import FrameRows

N = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A linear run ``r``, a table ``new.csv``, and its rows in parts."""
    folder = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    table = pd.DataFrame({"x": x, "code": rng.choice(["01", "02", "2A"], N), "y": np.exp(x) + rng.normal(0, 0.1, N)})
    table.to_csv(folder / "t.csv", index=False)
    assert run(["train", str(folder / "t.csv"), "-t", "y", "--model", "linear", "-o", str(folder / "r")]) == 0
    new = table.drop(columns="y").assign(id=[f"row {i}" for i in range(N)])
    new.loc[[3, 70, 210], "x"] = [50.0, 90.0, -70.0]
    new.loc[new.index % 3 == 0, "code"] = "09"
    new.to_csv(folder / "new.csv", index=False)
    new.to_parquet(folder / "new.parquet")
    (folder / "csv" / "deep").mkdir(parents=True)
    (folder / "parquet" / "_delta_log").mkdir(parents=True)
    for start, name in ((0, "a"), (100, "b"), (200, "deep/c")):
        new[start : start + 100].to_csv(folder / f"csv/{name}.csv", index=False)
        new[start : start + 100].to_parquet(folder / f"parquet/{name.replace('deep/', '')}.parquet")
    (folder / "parquet" / "_delta_log" / "0.parquet").write_bytes(b"no table")
    return folder


@pytest.fixture
def predict(folder, tmp_path, capsys):
    """Predict a table of the folder; return the predictions and what was printed on stderr."""

    def call(data, *options, out="p.csv", status=0):
        path = tmp_path / out
        arguments = ["predict", str(folder / "r"), str(folder / data), "-o", str(path), "--overwrite", *options]
        capsys.readouterr()
        assert run(arguments) == status
        printed = capsys.readouterr().err
        if not path.exists():
            return None, printed
        return (pd.read_parquet if out.endswith("parquet") else pd.read_csv)(path), printed

    return call


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("out", ["p.csv", "p.parquet"])
def test_a_folder_is_one_table_in_parts(predict, kind, out):
    whole, printed = predict("new.csv", "--keep", "id", "--interval", "0.8", "--above", "3", out=out)
    parts, of_parts = predict(kind, "--keep", "id", "--interval", "0.8", "--above", "3", out=out)
    files = ["a", "b", "deep/c" if kind == "csv" else "c"]
    assert parts["file"].tolist() == np.repeat([f"{name}.{kind}" for name in files], 100).tolist()
    assert parts["row"].tolist() == [*range(100)] * 3
    pd.testing.assert_frame_equal(parts.drop(columns=["file", "row"]), whole.drop(columns="row"))
    assert of_parts == printed
    assert "code 33%, e.g. '09'" in printed.replace("'code'", "code")
    assert "row 71: prediction" in printed


@pytest.mark.parametrize("data", ["new.parquet", "new.csv"])
@pytest.mark.parametrize("options", [[], ["--quantile", "0.9", "--interval", "0.8", "--balance", "0.5"]])
def test_pieces_of_a_file_make_no_difference(predict, monkeypatch, data, options):
    whole, printed = predict(data, *options)
    for module in ("tailwise.data.table_parts", "tailwise.runs.predicted_table"):
        monkeypatch.setattr(f"{module}.ROWS_AT_ONCE", 40)
    in_pieces, of_pieces = predict(data, *options)
    pd.testing.assert_frame_equal(in_pieces, whole)
    assert of_pieces == printed


def test_standard_output(folder, predict, capsys):
    whole, _ = predict("parquet")
    capsys.readouterr()
    assert run(["predict", str(folder / "r"), str(folder / "parquet"), "-o", "-"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ",".join(whole)
    assert len(lines) == N + 1
    assert sum(line.startswith("file,") for line in lines) == 1


def test_a_large_parquet_file_is_never_whole_in_memory(folder, predict, monkeypatch):
    monkeypatch.setattr(table_parts, "ROWS_AT_ONCE", 40)
    monkeypatch.setattr(FrameRows, "__init__", _small(FrameRows.__init__))
    assert len(predict("new.parquet")[0]) == N


def _small(init):
    def checked(self, frame):
        assert len(frame) <= 40
        init(self, frame)

    return checked


class TestRefused:
    def test_a_cell_names_its_file_and_row(self, folder, predict, tmp_path, monkeypatch):
        monkeypatch.setattr(table_parts, "ROWS_AT_ONCE", 10)
        bad = folder / "bad"
        bad.mkdir()
        for name in ("a", "b"):
            pd.read_csv(folder / "new.csv", nrows=50, dtype=str).to_csv(bad / f"{name}.csv", index=False)
        frame = pd.read_csv(bad / "b.csv", dtype=str)
        frame.loc[33, "x"] = "many"
        frame.to_csv(bad / "b.csv", index=False)
        predictions, printed = predict("bad", status=2)
        assert predictions is None
        assert re.search(r"file 'b.csv': column 'x' is numeric, but 1 cell is not, e.g. 'many' in row 34", printed)

    def test_files_of_two_kinds_and_none(self, folder, predict, tmp_path):
        for name in ("a.csv", "b.parquet", "none"):
            (tmp_path / "mixed").mkdir(exist_ok=True)
            (tmp_path / "mixed" / name).touch()
        assert "has Parquet files and text files" in predict(tmp_path / "mixed", status=2)[1]
        (tmp_path / "empty").mkdir()
        assert "has no file whose name ends in" in predict(tmp_path / "empty", status=2)[1]

    def test_a_file_among_the_parts(self, folder, capsys):
        assert run(["predict", str(folder / "r"), str(folder / "csv"), "-o", str(folder / "csv" / "p.csv")]) == 2
        assert "lies in the folder to predict" in capsys.readouterr().err

    def test_parts_with_other_columns(self, folder, predict, tmp_path):
        (tmp_path / "parts").mkdir()
        pd.DataFrame({"x": [1.0], "code": ["01"]}).to_parquet(tmp_path / "parts" / "a.parquet")
        pd.DataFrame({"x": [1.0]}).to_parquet(tmp_path / "parts" / "b.parquet")
        printed = predict(tmp_path / "parts", status=2)[1]
        assert "file 'b.parquet': the table lacks 1 column" in printed
        (tmp_path / "parts" / "b.parquet").write_bytes(b"no table")
        assert "file 'b.parquet':" in predict(tmp_path / "parts", status=2)[1]


def test_files_without_rows(folder, predict, tmp_path):
    (tmp_path / "parts").mkdir()
    new = pd.read_csv(folder / "new.csv", dtype={"code": str})
    new[:0].to_parquet(tmp_path / "parts" / "a.parquet")
    new[:5].to_parquet(tmp_path / "parts" / "b.parquet")
    assert predict(tmp_path / "parts")[0]["file"].tolist() == ["b.parquet"] * 5
