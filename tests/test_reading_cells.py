"""Columns and cells are read as a careful person reads them, or a note says how."""

import json
import uuid

import numpy as np
import pandas as pd
import pytest

from tailwise import Experiment, FittedModel, ImbalancedRegressor, InputError, evaluate, fit, prepare
from tailwise.data.columns import Schema
from tailwise.data.seen import UnseenValues
from tailwise.data.table_files import read_table
from tailwise.data.targets import target_values
from tailwise.diagnose import diagnose

RNG = np.random.default_rng(0)
N = 120


def base(**columns):
    rng = np.random.default_rng(1)
    x = rng.normal(size=N)
    return pd.DataFrame({"x": x, "y": 10 + 3 * x + rng.normal(size=N) / 10}).assign(**columns)


def kinds(task):
    return {column.name: column.kind for column in task.schema.columns}


def linear(task):
    return fit(task, Experiment("vanilla", model="linear"))


class TestOddCells:
    @pytest.mark.parametrize("cell", ["#DIV/0!", ".", "12 kg", "Total", "<0.5"])
    def test_one_odd_cell_neither_loses_a_column_nor_makes_it_nominal(self, cell):
        numbers = [f"{v:.4f}" for v in RNG.normal(size=N)]
        numbers[7] = cell
        task = prepare(base(b=numbers), "y")
        assert kinds(task)["b"] == "numeric"
        (note,) = [note for note in task.notes if "'b'" in note]
        assert f"1 of 120 cells are read as missing, e.g. {cell!r} in row 8" in note
        assert "`nominal=b`" in note
        features = Schema.from_json(task.schema.to_json()).features(base(b=numbers))
        assert np.flatnonzero(features["b"].isna()).tolist() == [7]

    def test_another_odd_cell_in_a_new_table_is_refused_by_row(self):
        numbers = [f"{v:.4f}" for v in RNG.normal(size=N)]
        schema = prepare(base(b=["12 kg", *numbers[1:]]), "y").schema
        with pytest.raises(InputError, match=r"column 'b' is numeric, but 1 cell is not, e.g. '13 kg' in row 3"):
            schema.features(base(b=[*numbers[:2], "13 kg", *numbers[3:]]))

    def test_codes_with_a_few_letters_stay_categories_and_the_note_says_so(self):
        codes = RNG.choice(["1", "2", "3"], N).astype(object)
        codes[5] = "X"
        task = prepare(base(b=codes), "y")
        assert kinds(task)["b"] == "nominal"
        assert any("read as categories, but only 1 of its cells are no numbers" in note for note in task.notes)

    def test_missing_values_of_the_user(self):
        b = np.where(np.arange(N) % 10 == 0, -999.0, RNG.normal(size=N))
        frame = base(b=b, c=RNG.choice(["red", "blue", "unknown"], N))
        frame.loc[:9, "y"] = -999
        task = prepare(frame, "y", missing=["b=-999", "y=-999", "c=unknown"], drop_missing_target=True)
        again = prepare(frame, "y", missing={"b": -999, "y": [-999], "c": "unknown"}, drop_missing_target=True)
        assert task.schema == again.schema
        assert len(task.y) == N - 10
        features = task.schema.features(frame)
        assert features["b"].isna().sum() == 12
        assert features["c"].isna().sum() == (frame["c"] == "unknown").sum()
        written = frame.astype({"b": str, "y": str})
        assert task.schema.features(written)["b"].isna().sum() == 12
        assert target_values(written, "y", task.schema.target_readings["y"]).isna().sum() == 10
        with pytest.raises(InputError, match="10 empty cells in the target"):
            prepare(frame, "y", missing=["y=-999"])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"missing": ["b"]}, "takes COLUMN=VALUE"),
            ({"missing": ["z=1"]}, "`missing` 'z' is not a column"),
            ({"decimal": ";"}, "`decimal` must be one of"),
            ({"decimal": ",", "thousands": ","}, "two different marks"),
            ({"date_order": "dym"}, "`date_order` must be one of"),
        ],
    )
    def test_bad_rules(self, options, message):
        with pytest.raises(InputError, match=message):
            prepare(base(), "y", **options)

    @pytest.mark.parametrize(("word", "noted"), [("?", True), ("-", True), ("#N/A", False), ("none", True)])
    def test_yes_and_no_may_have_missing_cells(self, word, noted):
        cells = np.resize(["yes", "No", word], N)
        task = prepare(base(b=cells), "y")
        assert kinds(task)["b"] == "boolean"
        note = f"column 'b' holds true and false; 40 of 120 cells are read as missing, e.g. {word!r} in row 3"
        assert any(note in one for one in task.notes) == noted
        read = Schema.from_json(task.schema.to_json()).features(base(b=cells))["b"]
        assert read.isna().sum() == 40
        assert read[:2].tolist() == [1.0, 0.0]


class TestNumbers:
    @pytest.mark.parametrize(
        ("write", "options"),
        [
            (lambda v: f"{v:.3g}".replace(".", ","), {}),
            (lambda v: f"${v * 1000:,.2f}", {}),
            (lambda v: f"{v * 1000:,.1f} €", {}),
            (lambda v: f"{v:.1f}%", {}),
            (lambda v: f"{v * 1e5:,.2f}".replace(",", "\u202f"), {}),
            (lambda v: f"{v * 1e5:,.2f}".replace(",", "_").replace(".", ",").replace("_", "."), {}),
            (lambda v: f"{int(v * 1e5):,}", {"thousands": ","}),
            (lambda v: f"{v + 1:.3f}".replace(".", ","), {"decimal": ","}),
        ],
    )
    def test_ways_of_writing(self, write, options):
        values = RNG.uniform(1.0, 99, N)
        task = prepare(base(b=[write(v) for v in values]), "y", **options)
        assert kinds(task)["b"] == "numeric"
        read = task.schema.features(base(b=[write(v) for v in values]))["b"]
        assert np.corrcoef(read, values)[0, 1] > 0.999
        assert len([note for note in task.notes if "read as written: 'b'" in note]) == 1

    def test_two_ways_are_left_to_the_user(self):
        written = [f"{v:,}" for v in RNG.integers(100_000, 999_999, N)]
        task = prepare(base(b=written), "y")
        assert "b" in task.schema.unused
        assert any("give `thousands` or `decimal`" in note for note in task.notes)

    def test_thousands_beside_whole_numbers_are_sure(self):
        values = RNG.integers(1, 5000, N)
        schema = prepare(base(b=[f"{v:,}" for v in values]), "y").schema
        assert schema.features(base(b=[f"{v:,}" for v in values]))["b"].tolist() == values.tolist()

    def test_a_target_is_read_the_same_way(self):
        frame = base()
        written = frame.assign(y=[f"{v:.4f}".replace(".", ",") for v in frame["y"]])
        task = prepare(written, "y")
        assert np.allclose(task.y, frame["y"].round(4))
        assert task.schema.target_readings["y"].decimal == ","
        with pytest.raises(InputError, match=r"which may be .* or .*; give `thousands` or `decimal`"):
            prepare(frame.assign(y=[f"{v:,}" for v in RNG.integers(100_000, 999_999, N)]), "y")

    def test_a_later_file_is_read_by_the_schema(self, tmp_path):
        values = np.round(RNG.uniform(1, 9999, N), 2)
        write = [f"{v:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".") for v in values]
        schema = prepare(base(b=write), "y").schema
        (tmp_path / "new.csv").write_text('x,b\n1,"1.234"\n2,"2.000"\n')
        frame = read_table(tmp_path / "new.csv", text=schema.text_columns)
        assert schema.features(frame)["b"].tolist() == [1234.0, 2000.0]


class TestDates:
    DAYS = pd.date_range("2020-01-01", periods=N, freq="9D")

    @pytest.mark.parametrize(
        ("form", "options"),
        [
            ("%d/%m/%Y", {}),
            ("%m/%d/%Y", {}),
            ("%d.%m.%Y", {}),
            ("%d.%m.%Y %H:%M", {}),
            ("%Y/%m/%d", {}),
            ("%Y%m%d", {"date": ["when"]}),
            ("%d-%m-%Y", {"date": ["when"]}),
            ("%d %b %Y", {}),
            ("%d-%b-%Y", {}),
            ("%B %d, %Y", {}),
            ("%b. %d, %Y %H:%M", {}),
        ],
    )
    def test_orders(self, form, options):
        task = prepare(base(when=self.DAYS.strftime(form)), "y", **options)
        assert kinds(task)["when"] == "date"
        days = task.schema.features(base(when=self.DAYS.strftime(form)))["when (days)"]
        assert (np.diff(days) == 9).all()
        assert days[0] == 18262

    @pytest.mark.parametrize("other", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d %b %Y"])
    def test_forms_may_be_mixed_and_are_told(self, other):
        every = [day.strftime(other if i % 2 else "%Y-%m-%d") for i, day in enumerate(self.DAYS)]
        task = prepare(base(when=every), "y")
        assert kinds(task)["when"] == "date"
        assert (np.diff(task.schema.features(base(when=every))["when (days)"]) == 9).all()
        example = every[1] if other != "%d %b %Y" else every[0]
        assert any(f"'when' ('{example}' is {self.DAYS[every.index(example)]:%Y-%m-%d})" in one for one in task.notes)
        again = task.schema.features(base(when=self.DAYS.strftime("%Y-%m-%d")))
        assert again["when (days)"].tolist() == task.schema.features(base(when=every))["when (days)"].tolist()

    def test_day_first_in_some_cells_and_month_first_in_others_is_told(self):
        every = [day.strftime("%d/%m/%Y" if i % 2 else "%m/%d/%Y") for i, day in enumerate(self.DAYS)]
        (note,) = [one for one in prepare(base(when=every), "y").notes if "when" in one]
        assert "begin with the day, others such as" in note
        assert note.endswith("with the month; write them alike, or as 2022-01-23")

    def test_two_orders_are_left_to_the_user(self):
        days = [f"{1 + i % 12:02}/{1 + i % 11:02}/2020" for i in range(N)]
        task = prepare(base(when=days), "y")
        assert any("may begin with the day or the month; give `date_order`" in note for note in task.notes)
        chosen = prepare(base(when=days), "y", date_order="mdy").schema
        assert chosen.features(base(when=days))["when (days)"][1] == 18262 + 32

    def test_a_zero_date_is_missing_and_told(self):
        days = self.DAYS.strftime("%Y-%m-%d").to_numpy(dtype=object)
        days[3] = "0000-00-00"
        task = prepare(base(when=days), "y")
        assert kinds(task)["when"] == "date"
        assert any("'0000-00-00' in row 4" in note for note in task.notes)
        assert task.schema.features(base(when=days))["when (days)"].isna().sum() == 1

    @pytest.mark.parametrize("form", ["%Y-%m-%d", "%d/%m/%Y", "%d %b %Y", "%Y-%m-%dT%H:%M:%S+02"])
    @pytest.mark.parametrize("cell", ["unknown", "2020-02-31", "-", "?", "#N/A!", "31/02/2020"])
    def test_one_odd_cell_does_not_lose_a_date_column(self, form, cell):
        days = self.DAYS.strftime(form).to_numpy(dtype=object)
        days[3] = cell
        task = prepare(base(when=days), "y")
        assert kinds(task)["when"] == "date"
        (note,) = [one for one in task.notes if "holds dates" in one]
        assert f"'when' holds dates; 1 of 120 cells are read as missing, e.g. {cell!r} in row 4" in note
        assert note.endswith("correct them, or pass `nominal=when`")
        schema = Schema.from_json(task.schema.to_json())
        for word in (cell, "NA", "?", ".", None):
            read = schema.features(base(when=[*days[:50], word, *days[51:]]))["when (days)"]
            assert np.flatnonzero(read.isna()).tolist() == [3, 50]
        with pytest.raises(InputError, match=r"column 'when' is a date, but 1 cell is not, e.g. 'soon' in row 6"):
            schema.features(base(when=[*days[:5], "soon", *days[6:]]))

    def test_more_odd_cells_are_no_dates_and_refused_by_row_where_dates_are_demanded(self):
        days = self.DAYS.strftime("%d/%m/%Y").to_numpy(dtype=object)
        days[3:6] = "unknown"
        assert "when" not in kinds(prepare(base(when=days), "y"))
        with pytest.raises(InputError, match=r"'when' is a date, but 3 cells are not, e.g. 'unknown' in row 4"):
            prepare(base(when=days), "y", date=["when"])
        assert kinds(prepare(base(when=days), "y", missing=["when=unknown"]))["when"] == "date"

    @pytest.mark.parametrize("as_text", [True, False])
    def test_a_date_that_the_user_calls_missing_is_missing(self, as_text):
        days = self.DAYS.to_series(index=range(N)).mask(np.arange(N) % 10 == 0, pd.Timestamp("1900-01-01"))
        frame = base(when=days.dt.strftime("%Y-%m-%d") if as_text else days)
        schema = prepare(frame, "y", missing=["when=1900-01-01"]).schema
        assert schema.features(frame)["when (days)"].isna().sum() == 12

    def test_compact_dates_may_stand_among_others(self):
        days = self.DAYS.strftime("%Y-%m-%d").to_numpy(dtype=object)
        days[3] = days[3].replace("-", "")
        schema = prepare(base(when=days), "y").schema
        assert (np.diff(schema.features(base(when=days))["when (days)"]) == 9).all()

    def test_whole_numbers_that_may_be_dates_are_told_and_the_error_says_the_rule(self):
        numbers = self.DAYS.strftime("%Y%m%d").astype(int)
        assert any("if they are dates, pass `date=when`" in note for note in prepare(base(when=numbers), "y").notes)
        with pytest.raises(InputError, match="dates are written 2022-01-23, 23/01/2022"):
            prepare(base(when=["soon"] * N), "y", date=["when"])


PRICES = np.random.default_rng(4).uniform(1, 5000, N)
MONTHS = pd.date_range("2015-01-01", periods=N, freq="MS")


class TestTextThatLooksLikeNumbers:
    @pytest.mark.parametrize(
        ("cells", "kind", "way_out"),
        [
            ([f"{v:.2f} kg" for v in PRICES], "numbers", "plain numbers"),
            ([f"{v:.2f}-" for v in PRICES], "numbers", "plain numbers"),
            ([f"{i % 9 + 1},{i % 90 + 10},456" for i in range(N)], "numbers", "plain numbers"),
            ([f"({v:,.2f})" for v in PRICES], "numbers", "plain numbers"),
            ([f"USD {v:.2f}" for v in PRICES], "numbers", "plain numbers"),
            (["<0.5" if i % 3 == 0 else f"{v:.2f}" for i, v in enumerate(PRICES)], "numbers", "plain numbers"),
            (
                ["missing" if i % 20 == 0 else f"{v:.2f}" for i, v in enumerate(PRICES)],
                "numbers",
                "`missing=b=missing`",
            ),
            (["n.a." if i % 20 == 0 else str(i % 9) for i in range(N)], "numbers", "`missing=b=n.a.`"),
            ([f"{i % 24:02}:{i % 60:02}:{i % 7:02}" for i in range(N)], "times", "as numbers, such as hours"),
            (MONTHS.strftime("%Y-%m"), "dates", "as dates, such as 2022-01-23"),
            ([f"{2000 + i % 20}-Q{1 + i % 4}" for i in range(N)], "dates", "as dates, such as 2022-01-23"),
            (MONTHS.strftime("01/%m/%y"), "dates", "as dates, such as 2022-01-23"),
            (["soon" if i % 9 == 0 else f"{m:%Y-%m-%d}" for i, m in enumerate(MONTHS)], "dates", "`missing=b=soon`"),
            ([f"{v:.0f} x {v / 2:.0f}" for v in PRICES], "several numbers each", "one column for each number"),
        ],
    )
    def test_one_note_names_the_column_the_count_an_example_and_the_way_out(self, cells, kind, way_out):
        task = prepare(base(b=cells), "y")
        notes = [
            note for note in (*task.notes, *task.schema.notes_on_unused()) if "'b'" in note and "look like" in note
        ]
        assert len(set(notes)) == 1
        like = [cell for cell in cells if cell not in ("missing", "n.a.", "soon")]
        count = "all its 120" if len(like) == N else f"{len(like)} of its 120"
        assert f"{count} filled cells look like {kind}, e.g. {like[0]!r} in row " in notes[0]
        assert way_out in notes[0]
        if "`missing=" in way_out:
            again = prepare(base(b=cells), "y", missing=[way_out.strip("`").removeprefix("missing=")])
            assert kinds(again)["b"] == {"numbers": "numeric", "dates": "date"}[kind]
        silenced = prepare(base(b=cells), "y", nominal=["b"])
        assert kinds(silenced)["b"] == "nominal"
        assert not any("look like" in note for note in silenced.notes)

    @pytest.mark.parametrize(
        "write",
        [
            "A{}",
            "{}X",
            "AB {} CD",
            "555-1{:03}",
            "(2{:03}) 555-1{:03}",
            "201.555.1{:03}",
            "Model {}",
            "{} Main St",
            "192.168.{}.{}",
            "{}.1.{}",
            "10{:03}-1{:03}",
            "978-3-{}-0",
            "01{:03}",
            "person {}, born 1990",
        ],
    )
    def test_codes_and_names_have_no_note(self, write):
        for cells in ([write.format(i, i) for i in range(N)], [write.format(i % 40, i % 40) for i in range(N)]):
            task = prepare(base(b=cells), "y")
            assert not any("look like" in note for note in (*task.notes, *task.schema.notes_on_unused()))

    @pytest.mark.parametrize(
        ("write", "message"),
        [
            ("{:.2f} kg", "they look like numbers: write them all as plain numbers"),
            ("A{:.0f}", "it looks like a column of categories or texts: choose a numeric column"),
        ],
    )
    def test_a_target_of_text_that_looks_like_numbers_is_refused_with_the_way_out(self, write, message):
        with pytest.raises(InputError, match=f"target 'y' must be numeric, but 120 of 120 cells are not, .*{message}"):
            prepare(base().assign(y=[write.format(v) for v in PRICES]), "y")

    def test_uuids_seasons_and_few_levels_have_no_note(self):
        rng = np.random.default_rng(5)
        uuids = [str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(N)]
        seasons = [f"{2000 + i % 20}-{(i + 1) % 20:02}" for i in range(N)]
        task = prepare(base(a=uuids, b=seasons, c=np.resize([" 36 months", " 60 months"], N)), "y")
        assert kinds(task) == {"x": "numeric", "b": "nominal", "c": "nominal"}
        assert task.schema.unused["a"] == f"identifier: nearly every value occurs once, e.g. '{uuids[0]}'"
        assert not any("look like" in note for note in task.notes)

    def test_more_than_six_notes_end_in_the_names_of_the_other_columns(self):
        cells = [f"{v:.0f} kg" for v in np.resize(PRICES[:50], N)]
        notes = prepare(base(**{f"b{i}": cells for i in range(8)}), "y").notes
        assert sum("look like numbers" in note for note in notes) == 6
        assert "and 2 more notes on cells of 'b6', 'b7'" in notes

    def test_infinite_cells_are_noted(self):
        b = RNG.normal(size=N)
        b[[3, 9]] = np.inf, -np.inf
        for forced in ([], ["b"]):
            notes = prepare(base(b=b), "y", numeric=forced).notes
            assert "column 'b' has 2 infinite cells, read as missing, the first in row 4" in notes
        assert not any("infinite" in note for note in prepare(base(b=b), "y", missing=["b=inf", "b=-inf"]).notes)

    @pytest.mark.parametrize("word", ["Total", "SUMME:", "Sum", "Grand total"])
    def test_a_last_row_of_totals_is_noted(self, word):
        names = RNG.choice(["north", "south"], N).astype(object)
        frame = base().assign(name=names)[["name", "x", "y"]]
        assert not any("last row" in note for note in prepare(frame, "y").notes)
        last = frame.assign(name=[*names[:-1], word])
        (note,) = [note for note in prepare(last, "y").notes if "last row" in note]
        assert note == f"the last row, 120, begins with {word!r}: if it summarises the others, remove it"
        assert not any("last row" in note for note in prepare(last.assign(name=[word, *last["name"][1:]]), "y").notes)


@pytest.mark.parametrize("word", ["Null", "n/a", "NAN"])
def test_a_target_that_may_be_read_in_two_ways_stays_unclear_beside_missing_cells(word):
    prices = [f"{1 + i},{100 + i}" for i in range(N)]
    prices[3] = word
    with pytest.raises(InputError, match=r"which may be 1.1 or 1100; give `thousands` or `decimal`"):
        prepare(pd.DataFrame({"x": np.arange(N), "price": prices}), "price", drop_missing_target=True)


def test_one_odd_cell_of_a_target_of_amounts_is_named_alone():
    prices = [f"€ {100 + i},{i:03}" for i in range(N)]
    prices[3] = "ask"
    with pytest.raises(
        InputError, match=r"must be numeric, but 1 cell is not, e.g. 'ask' in row 4; correct them, or pass"
    ):
        prepare(pd.DataFrame({"x": np.arange(N), "price": prices}), "price")


class TestCategories:
    def test_codes_of_digits_alone_are_the_levels_of_training(self, tmp_path):
        codes = RNG.choice(["01", "02", "2A", "2B"], N)
        task = prepare(base(code=codes), "y")
        model = linear(task)
        (tmp_path / "new.csv").write_text("x,code\n0.5,01\n0.5,02\n")
        frame = read_table(tmp_path / "new.csv", text=model.schema.text_columns)
        same = pd.DataFrame({"x": [0.5, 0.5], "code": ["01", "02"]})
        assert model.predict(frame).tolist() == model.predict(same).tolist()
        assert model.predict(same.assign(code=[1, 2])).tolist() == model.predict(same).tolist()
        assert model.notes_on_unseen(frame) == []

    def test_numbers_with_leading_zeros_are_told(self, tmp_path):
        rows = "\n".join(f"{i % 7:03},{v}" for i, v in enumerate(base()["y"]))
        (tmp_path / "t.csv").write_text("zip,y\n" + rows)
        notes = prepare(str(tmp_path / "t.csv"), "y").notes
        assert any(
            "leading zeros, e.g. '000' in row 1: if they are codes, pass `nominal=zip`" in note for note in notes
        )
        task = prepare(str(tmp_path / "t.csv"), "y", nominal=["zip"])
        assert task.schema.seen["zip"].levels == tuple(f"{i:03}" for i in range(7))

    def test_categories_in_several_spellings_are_noted(self):
        colours = np.resize(["red", "Red", "dark  blue", "dark blue", "green", "red"], N)
        notes = [note for note in prepare(base(c=colours), "y").notes if "'c'" in note]
        assert notes == [
            "column 'c' has category 'red' (40 rows) also as 'Red' (20), and 1 more in several spellings: if they are "
            "the same, write them alike"
        ]
        assert prepare(base(c=np.resize(["red", "blue"], N)), "y").notes == prepare(base(), "y").notes

    def test_na_beside_empty_cells_is_a_category_and_told(self):
        country = RNG.choice(["NA", "DE", "FR", None], N)
        task = prepare(base(country=country), "y")
        assert "NA" in task.schema.seen["country"].levels
        assert any("beside" in note and "`missing=country=NA`" in note for note in task.notes)
        assert task.schema.features(base(country=country))["country"].isna().sum() == pd.isna(country).sum()
        only = task.schema.features(base(country="NA"))["country"]
        assert (only == "NA").all()

    @pytest.mark.parametrize("blank", ["", "  "])
    def test_a_blank_cell_of_a_frame_is_missing(self, blank):
        model = linear(prepare(base(c=RNG.choice(["lima", "oslo"], N)), "y"))
        rows = pd.DataFrame({"x": [0.5, 0.5, 0.5], "c": [blank, None, "lima"]})
        pred = model.predict(rows)
        assert pred[0] == pred[1] != pred[2]

    def test_na_without_empty_cells_is_missing(self):
        task = prepare(base(country=RNG.choice(["NA", "DE", "FR"], N)), "y")
        assert task.schema.seen["country"].levels == ("DE", "FR")

    def test_unseen_values_are_told_by_column_in_one_note(self):
        task = prepare(base(c=RNG.choice(["red", "blue"], N), d=TestDates.DAYS), "y")
        model = linear(task)
        new = pd.DataFrame(
            {"x": [0.0, 999.0], "c": [" Red ", "red"], "d": pd.to_datetime(["2020-02-01", "2030-01-01"])}
        )
        (note,) = model.notes_on_unseen(new)
        assert note.startswith("values that no training row had: ")
        assert "'c' 50%, e.g. 'Red' (training has 'red')" in note
        assert "'x' 50%, e.g. 999 (training: " in note
        assert "'d' 50%, e.g. 2030-01-01 (training: 2020-" in note
        assert model.unseen(new) == {"x": 0.5, "c": 0.5, "d": 0.5}
        assert list(model.unseen(pd.concat([new.assign(x=0.0), new]))) == ["c", "d", "x"]
        assert model.unseen(new[1:].assign(x=0.0, d=new["d"][0])) == {}
        unseen = UnseenValues(task.schema.seen)
        unseen.add(task.schema.features(new[:0]))
        assert unseen.notes == []

    def test_unseen_values_of_an_estimator(self):
        X = pd.DataFrame({"x": np.linspace(0, 1, N), "flag": np.arange(N) % 2 == 0, "c": np.resize(["a", "b"], N)})
        model = ImbalancedRegressor("vanilla", epochs=1, random_state=0).fit(X, np.exp(X["x"]))
        new = pd.DataFrame(
            {"x": [0.5, 2.0, -1.0, np.nan], "flag": [True, False, True, False], "c": ["a", "z", "z", "z"]}
        )
        assert model.unseen(new) == {"c": 0.75, "x": 0.5}
        of_array = ImbalancedRegressor("vanilla", epochs=1, random_state=0).fit(X[["x"]].to_numpy(), np.exp(X["x"]))
        assert of_array.unseen(np.array([[0.5], [5.0]])) == {"x0": 0.5}


class TestColumns:
    @pytest.mark.parametrize(
        ("column", "reason"),
        [
            (4, "'4' in every training row"),
            (1718000000123456789, "in every training row"),
            ("89014103211118510720", "in every training row"),
            (np.nan, "empty in every training row"),
            ("red", "'red' in every training row"),
            (1718000000123456000 + np.arange(N), "in every training row"),
            (1e12 + np.arange(N) / 1e3, "nearly constant"),
        ],
    )
    def test_columns_to_learn_nothing_from_are_left_out(self, column, reason):
        frame = base(plant=column)
        task = prepare(frame, "y")
        assert reason in task.schema.unused["plant"]
        model, plain = linear(task), linear(prepare(base(), "y"))
        assert model.predict(frame.assign(plant=7)).tolist() == plain.predict(base()).tolist()

    def test_a_column_that_is_constant_or_empty_stays(self):
        frame = base(plant=np.where(np.arange(N) % 3 == 0, np.nan, 5.0))
        assert "plant" in kinds(prepare(frame, "y"))

    def test_constant_in_the_training_rows_alone(self):
        split = np.resize(["train", "train", "val", "test"], N)
        task = prepare(base(plant=np.where(split == "train", 1, np.arange(N)), split=split), "y")
        assert task.schema.unused["plant"] == "'1' in every training row"

    @pytest.mark.parametrize("model", ["network", "lightgbm", "linear"])
    def test_a_table_of_empty_columns_has_no_feature(self, model):
        with pytest.raises(InputError, match="no feature column is left: 'empty', for example, is empty in every"):
            fit(prepare(base()[["y"]].assign(empty=np.nan), "y"), Experiment("vanilla", model=model))

    def test_estimators_leave_them_out_with_a_warning(self):
        frame = base(plant=4)
        with pytest.warns(UserWarning, match="column 'plant' is not an input: '4' in every training row"):
            model = ImbalancedRegressor("vanilla", epochs=1, random_state=0).fit(frame[["x", "plant"]], frame["y"])
        frame = frame[frame["x"].abs() < 1]
        new = frame[["x", "plant"]].assign(plant=10**9)
        assert np.allclose(model.predict(new), model.predict(frame[["x", "plant"]]))

    def test_diagnose_reads_the_same(self):
        numbers = [f"{v:.4f}".replace(".", ",") for v in RNG.normal(size=N)]
        numbers[7] = "12 kg"
        found = diagnose(base(b=numbers), "y", quick_model=False)
        assert found.columns.kinds == {"numeric": 2}
        assert any("'12 kg' in row 8" in note for note in found.notes)


def test_a_model_knows_how_its_table_was_read(tmp_path):
    numbers = [f"{v:.4f}".replace(".", ",") for v in RNG.normal(size=N)]
    frame = base(b=numbers, c=RNG.choice(["01", "2A"], N))
    model = linear(prepare(frame, "y"))
    model.save(tmp_path)
    again = FittedModel.load(tmp_path)
    assert again.schema == model.schema
    assert again.predict(frame).tolist() == model.predict(frame).tolist()


def test_models_of_earlier_versions_are_read():
    saved = Schema.infer(base(), "y").to_json()
    del saved["readings"], saved["seen"]
    schema = Schema.from_json(saved)
    assert schema.features(base())["x"].tolist() == base()["x"].tolist()
    assert schema.target_readings == {}


class TestMissingCodes:
    def test_of_features_and_the_target_are_told(self):
        rng = np.random.default_rng(2)
        frame = base(b=np.where(np.arange(N) % 10 == 0, -999.0, rng.normal(size=N)))
        frame.loc[:11, "y"] = 9999
        notes = prepare(frame, "y").notes
        assert any(
            "'b' has 12 cells -999, far from all others" in note and "`missing=b=-999`" in note for note in notes
        )
        assert any("'y' has 12 cells 9999" in note for note in notes)
        assert not any("far from" in note for note in prepare(base(b=np.arange(N)), "y").notes)

    def test_diagnose_considers_a_code_before_censoring(self):
        frame = base().assign(y=np.r_[np.full(12, -999.0), np.random.default_rng(0).gamma(2, 5, N - 12)])
        found = diagnose(frame, "y", quick_model=False, data="t.csv")
        assert [spike.code for spike in found.spikes] == [True]
        (advice,) = [one for one in found.advice if "-999" in one.finding]
        assert "missing value" in advice.action
        assert "--missing y=-999" in advice.commands[0]

    def test_several_codes_and_a_code_below_wide_numbers(self):
        rng = np.random.default_rng(3)
        b, price = rng.uniform(0, 40, N), rng.uniform(1, 60_000, N)
        b[:3], b[3:9], price[5:8] = -999, -9999, -999
        text = [f"{value:.2f}".replace(".", ",") for value in rng.uniform(0, 40, N)]
        text[2] = text[7] = "-99"
        notes = prepare(base(b=b, price=price, text=text), "y").notes
        for part in ("'b' has 3 cells -999", "'b' has 6 cells -9999", "'text' has 2 cells -99"):
            assert any(f"{part}, far from all others" in note for note in notes), part
        assert any("'price' has 3 cells -999, below 0 unlike all others" in note for note in notes)

    def test_few_cells_of_the_target_are_told_first(self):
        y = np.random.default_rng(0).gamma(2, 2000, N)
        y[:3], y[3:5] = -999, -99
        found = diagnose(base().assign(y=y), "y", quick_model=False, data="t.csv")
        assert [spike.value for spike in found.spikes if spike.code] == [-999, -99]
        assert "have the value -999" in found.advice[0].finding
        assert "--missing y=-999 --missing y=-99 --drop-missing-target" in found.advice[0].commands[0]
        assert not any("censor" in one.action for one in found.advice)

    def test_a_crowd_among_few_values_is_a_spike(self):
        y = np.r_[np.zeros(293), np.arange(1.0, 8.0)]
        found = diagnose(pd.DataFrame({"x": np.arange(300.0), "y": y}), "y", quick_model=False)
        assert [(spike.value, spike.rows) for spike in found.spikes] == [(0.0, 293)]
        stars = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [10, 20, 40, 80, 150])
        found = diagnose(pd.DataFrame({"x": np.arange(300.0), "y": stars}), "y", quick_model=False)
        assert found.spikes == ()

    @pytest.mark.parametrize("form", ["%Y-%m-%d", "%d/%m/%Y", "%Y-%m-%d %H:%M:%S", None])
    @pytest.mark.parametrize("code", ["9999-12-31", "1900-01-01"])
    def test_dates_that_stand_for_none_are_noted(self, form, code):
        days = pd.Series(TestDates.DAYS.as_unit("s"))
        assert not any("far from" in note for note in prepare(base(when=days), "y").notes)
        days[[2, 7]] = pd.Timestamp(code).as_unit("s")
        frame = base(when=days if form is None else [f"{day:{form}}" for day in days])
        (note,) = [note for note in prepare(frame, "y").notes if "far from all other dates" in note]
        option = note.rpartition("pass `missing=")[2].rstrip("`")
        assert "'when' has 2 cells" in note
        assert "(2020-01-01 to 2022-12-07)" in note
        task = prepare(frame, "y", missing=[option])
        assert task.schema.features(frame)["when (days)"].isna().sum() == 2
        assert not any("far from" in note for note in task.notes)

    def test_amounts_in_two_currencies_are_noted(self):
        amounts = [f"{'€' if i % 10 == 0 else '$'}{v:.2f}" for i, v in enumerate(PRICES)]
        expected = f"has amounts in $ and € (12 in €, e.g. '{amounts[0]}'), read as numbers without conversion"
        for frame in (base(b=amounts), base().assign(y=amounts)):
            assert sum(expected in note for note in prepare(frame, "y").notes) == 1
        assert not any("conversion" in note for note in prepare(base(b=[f"${v:.2f}" for v in PRICES]), "y").notes)


class TestSplits:
    def test_validation_rows_come_from_training_rows(self):
        frame = base(split=np.resize(["train", "train", "test"], N))
        task = prepare(frame, "y")
        assert task.count("val") == 12
        assert (task.part[frame["split"] == "test"] == "test").all()
        assert any("names no validation rows: 12 of the training rows are used" in note for note in task.notes)
        assert prepare(frame, "y").part.tolist() == task.part.tolist()

    def test_groups_stay_whole(self):
        frame = base(split=np.resize(["train", "train", "test"], N), g=np.arange(N) % 30)
        frame["split"] = np.where(frame["g"] < 20, "train", "test")
        task = prepare(frame, "y", group="g")
        assert pd.Series(task.part).groupby(frame["g"]).nunique().max() == 1
        assert task.count("val") == 12
        with pytest.raises(InputError, match="leaves one group for training and validation"):
            prepare(frame.assign(g=np.where(frame["split"] == "test", np.arange(N) % 2, 2)), "y", group="g")

    def test_no_rare_test_row_is_told(self):
        y = np.r_[np.zeros(893), 3 + np.arange(7) * 1.3]
        task = prepare(pd.DataFrame({"x": np.arange(900.0), "y": y}), "y")
        notes = evaluate(linear(task), task, resamples=0).notes
        assert any("no row here is few-shot, 7 training rows are" in note for note in notes)
        y = np.r_[np.zeros(400), np.repeat(3 + np.arange(30) * 1.3, 5)]
        tested = prepare(pd.DataFrame({"x": y + np.arange(550) % 3, "y": y}), "y", shots=(100, 10))
        assert (tested.shots.codes(tested.rows_of("test")[1]) >= 2).any()
        assert not any("few-shot" in note for note in evaluate(linear(tested), tested, resamples=0).notes)


class TestFrames:
    def test_nullable_and_arrow_types(self):
        frame = base(c=RNG.choice(["red", "blue"], N), n=RNG.integers(0, 9, N), b=RNG.random(N) > 0.5)
        frame["c"] = frame["c"].mask(np.arange(N) == 3)
        plain = prepare(frame, "y")
        for backend in ("numpy_nullable", "pyarrow"):
            other = frame.convert_dtypes(dtype_backend=backend)
            other.loc[5, "n"] = pd.NA
            task = prepare(other, "y")
            assert kinds(task) == kinds(plain)
            features = task.schema.features(other)
            assert features.dtypes.astype(str).to_dict()["n"] == "float64"
            assert np.isnan(features["n"][5])
            assert linear(task).predict(other).shape == (N,)
            model = ImbalancedRegressor("vanilla", epochs=1, random_state=0).fit(other.drop(columns="y"), frame["y"])
            assert np.isfinite(model.predict(other.drop(columns="y"))).all()

    def test_polars(self):
        polars = pytest.importorskip("polars")
        frame = base(c=RNG.choice(["red", "blue"], N))
        table = polars.from_pandas(frame)
        task, same = prepare(table, "y"), prepare(frame, "y")
        assert task.schema == same.schema
        assert linear(task).predict(table).tolist() == linear(same).predict(frame).tolist()
        model = ImbalancedRegressor("vanilla", epochs=1, random_state=0).fit(table.drop("y"), table["y"])
        assert model.predict(table.drop("y")).tolist() == model.predict(frame.drop(columns="y")).tolist()


@pytest.mark.parametrize("model", ["linear", "lightgbm"])
def test_models_of_earlier_versions_know_their_levels(tmp_path, model):
    frame = base(code=RNG.choice([1, 2, 3], N))
    fitted = fit(prepare(frame, "y", nominal=["code"]), Experiment("vanilla", model=model))
    fitted.save(tmp_path)
    path = tmp_path / "model.json"
    saved = json.loads(path.read_text())
    del saved["schema"]["readings"], saved["schema"]["seen"]
    path.write_text(json.dumps(saved))
    older = FittedModel.load(tmp_path)
    padded = frame.assign(code=[f"{code:02}" for code in frame["code"]])
    assert older.predict(padded).tolist() == fitted.predict(frame).tolist()
    (note,) = older.notes_on_unseen(frame.assign(code="9"))
    assert "'code' 100%, e.g. '9'" in note
