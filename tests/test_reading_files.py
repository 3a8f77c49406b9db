"""Files are read as a careful person reads them, or the note says how."""

import gzip
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from tailwise import InputError
from tailwise.data.source import load_source
from tailwise.data.table_files import read_table, read_with_notes

RNG = np.random.default_rng(0)


def written(folder, text, name="t.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


class TestFields:
    @pytest.mark.parametrize(
        "text", ["a,y,b\n1,20,300,\n2,21,301\n3,22,302\n", "a,y,b\n1,20,300,\n2,21,301,\n3,22,302,,\n"]
    )
    def test_a_stray_separator_shifts_no_column(self, tmp_path, text):
        frame, notes = read_with_notes(written(tmp_path, text))
        assert frame.to_dict("list") == {"a": [1, 2, 3], "y": [20, 21, 22], "b": [300, 301, 302]}
        assert notes == ["rows end in a stray ',', the first is row 1; it is left out"]

    def test_row_names_are_left_out(self, tmp_path):
        frame, notes = read_with_notes(written(tmp_path, 'a,y\n"r1",1,20\n"r2",2,21\n'))
        assert frame.to_dict("list") == {"a": [1, 2], "y": [20, 21]}
        assert "the first cell of each, e.g. 'r1' in row 1, is taken for a row name" in notes[0]

    @pytest.mark.parametrize(
        ("rows", "row"),
        [
            ("1,20,300,\n2,21,301,checked\n3,22,302,\n", 2),
            ("1,20,300,ok\n2,21,301,ok\n3,22,302,\n", 1),
            ("1,20,300,ok\n1,21,301,ok\n2,22,302,late\n", 1),
            (",20,300,ok\n,21,301,ok\n", 1),
        ],
    )
    def test_one_more_cell_in_every_row_shifts_no_column_unless_first_cells_are_row_names(self, tmp_path, rows, row):
        with pytest.raises(InputError, match=f"it has 3 columns, but row {row} has more cells"):
            read_table(written(tmp_path, "a,y,b\n" + rows))

    @pytest.mark.parametrize("text", ["a,y\n1,2\n3,4,5\n", "a,y\n1,2,,9\n3,4\n"])
    def test_a_row_with_more_cells_is_refused_by_number(self, tmp_path, text):
        row = 2 if "3,4,5" in text else 1
        with pytest.raises(InputError, match=f"it has 2 columns, but row {row} has more cells"):
            read_table(written(tmp_path, text))

    def test_short_rows_are_told(self, tmp_path):
        frame, notes = read_with_notes(written(tmp_path, "a,b,y\n1,2,3\n4,5\n\n6,7,8\n9\n"))
        assert frame["y"].isna().tolist() == [False, True, False, True]
        assert notes == ["2 rows have fewer cells than there are columns, the first is row 2; the last cells are empty"]

        _, notes = read_with_notes(written(tmp_path, "a,y\n1,2\n4\n"))
        assert notes == ["1 row has fewer cells than there are columns, the first is row 2; the last cells are empty"]

    @pytest.mark.parametrize("separator", [";", "\t", "|"])
    def test_separators_are_recognised(self, tmp_path, separator):
        text = "a;b y;c\n1,5;x,y;3\n2,5;z;4\n".replace(";", separator)
        assert read_table(written(tmp_path, text)).to_dict("list") == {
            "a": ["1,5", "2,5"],
            "b y": ["x,y", "z"],
            "c": [3, 4],
        }

    def test_separators_within_quotes_are_cells(self, tmp_path):
        frame = read_table(written(tmp_path, 'a,"b;c;d;e"\n1,"x,\ny"\n'))
        assert frame.to_dict("list") == {"a": [1], "b;c;d;e": ["x,\ny"]}


class TestCells:
    def test_codes_keep_their_zeros(self, tmp_path):
        frame = read_table(written(tmp_path, "code,n,y\n01,1,1.5\n02,10,2.5\n"))
        assert frame.to_dict("list") == {"code": ["01", "02"], "n": [1, 10], "y": [1.5, 2.5]}

    def test_columns_named_as_text_stay_text(self, tmp_path):
        path = written(tmp_path, "code,y\n1E5,1\n2.50,2\n,3\n")
        assert read_table(path, text=["code", "absent"])["code"].tolist()[:2] == ["1E5", "2.50"]
        assert load_source(str(path), text=["code"]).rows.frame()["code"].isna().tolist() == [False, False, True]

    def test_na_and_an_empty_cell_differ_in_text_and_not_in_numbers(self, tmp_path):
        frame = read_table(written(tmp_path, "country,x\nNA,1.5\n,NA\nDE,\n"))
        assert frame["country"].tolist()[0] == "NA"
        assert frame["country"].isna().tolist() == [False, True, False]
        assert frame["x"].isna().tolist() == [False, True, True]

    def test_numbers_are_those_of_pandas(self, tmp_path):
        frame = pd.DataFrame(
            {"x": RNG.normal(size=500) * 10.0 ** RNG.integers(-20, 20, 500), "n": RNG.integers(0, 9, 500)}
        )
        frame.loc[::7, "x"] = np.nan
        frame.to_csv(tmp_path / "t.csv", index=False)
        pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), pd.read_csv(tmp_path / "t.csv"))


class TestKinds:
    def frame(self):
        return pd.DataFrame({"x": [1.5, 2.5, np.nan], "code": ["01", "02", None], "y": [1, 2, 3]})

    def test_feather_json_lines_and_zip(self, tmp_path):
        frame = self.frame()
        frame.to_feather(tmp_path / "a.feather")
        lines = "".join(json.dumps(row) + "\n" for row in frame.replace({np.nan: None}).to_dict("records"))
        written(tmp_path, lines, "b.jsonl")
        (tmp_path / "c.ndjson.gz").write_bytes(gzip.compress(lines.encode()))
        with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
            archive.writestr("inner/t.csv", frame.to_csv(index=False))
            archive.writestr("__MACOSX/inner/._t.csv", "x")
            archive.writestr("README.md", "x")
        for path in sorted(tmp_path.iterdir()):
            read = read_table(path)
            assert read["x"].tolist()[:2] == [1.5, 2.5], path
            assert read["code"].tolist()[:2] == ["01", "02"], path
            assert read["code"].isna().tolist() == [False, False, True], path

    def test_excel(self, tmp_path):
        pytest.importorskip("openpyxl")
        with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
            self.frame().to_excel(book, sheet_name="data", index=False)
            self.frame()[:1].to_excel(book, sheet_name="other", index=False)
        frame, notes = read_with_notes(tmp_path / "t.xlsx")
        assert frame["code"].tolist()[:2] == ["01", "02"]
        assert notes == ["the workbook has 2 sheets; 'data', the first, is read"]

    def test_excel_without_its_package(self, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
        with pytest.raises(InputError, match=r"pip install 'tailwise\[excel\]'"):
            read_table(written(tmp_path, "x", "t.xlsx"))

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("cut.csv.gz", gzip.compress(b"x,y\n" + b"1,2\n" * 5000, mtime=0)[:-20], "cut off or damaged"),
            ("bad.csv.gz", b"x,y\n1,2\n", "cannot be read as a table"),
            ("bad.zip", b"hello", "cannot be read as a table"),
            ("bad.xlsx", b"hello", "cannot be read as a table"),
            ("bad.feather", b"hello", "cannot be read as a table"),
            ("bad.jsonl", b'{"x": 1}\n[1, 2]\n', "line 2 is no JSON object"),
            ("cut.jsonl", b'{"x": 1}\n{"x": ', "line 2 is no JSON"),
            ("deep.jsonl", b"[" * 200_000, "line 1 is no JSON"),
        ],
    )
    def test_damaged_files_are_refused_in_one_line(self, tmp_path, name, content, message):
        if name.endswith("xlsx"):
            pytest.importorskip("openpyxl")
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message) as error:
            read_table(tmp_path / name)
        assert len(str(error.value)) <= 300
        assert "\n" not in str(error.value)

    def test_a_zip_file_holds_one_table(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            archive.writestr("a.csv", "x,y\n1,2\n")
            archive.writestr("b.csv", "x,y\n1,2\n")
        with pytest.raises(InputError, match=r"has 2 tables: 'a.csv', 'b.csv'; a zip file must hold one"):
            read_table(tmp_path / "t.zip")

    def test_an_index_named_like_a_column_is_left_out(self, tmp_path):
        frame = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]}, index=pd.Index([7, 8], name="y"))
        frame.to_parquet(tmp_path / "t.parquet")
        read, notes = read_with_notes(tmp_path / "t.parquet")
        assert read["y"].tolist() == [3.0, 4.0]
        assert "the index of the file is named like a column, 'y'" in notes[0]
