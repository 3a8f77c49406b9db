import warnings

import numpy as np
import pandas as pd
import pytest

from tailwise import Bins, InputError
from tailwise.data.columns import Schema
from tailwise.data.examples import EXAMPLES, load_example
from tailwise.data.frame_blocks import MOST_BLOCKS
from tailwise.data.preprocessing import fit_preprocessor, transform
from tailwise.data.resampling import resample_features
from tailwise.data.source import load_source
from tailwise.data.splits import balanced_split, random_split
from tailwise.data.table_files import read_table
from tailwise.data.targets import target_values
from tailwise.experiment.prepare import prepare
from tailwise.metrics.region_errors import error_as_rows_come
from tailwise.sampling import SMOGN

RNG = np.random.default_rng(0)


def kinds(frame, **options):
    return {column.name: column.kind for column in Schema.infer(frame, "y", **options).columns}


class TestSchema:
    def frame(self, n=60):
        return pd.DataFrame(
            {
                "number": RNG.normal(size=n),
                "written": [f" {i % 7} " for i in range(n)],
                "flag": RNG.random(n) > 0.5,
                "answer": RNG.choice(["Yes", "no", ""], n),
                "colour": RNG.choice(["red", "blue"], n),
                "when": pd.date_range("2020-01-01", periods=n).strftime("%Y-%m-%d %H:%M:%S"),
                "stamp": pd.date_range("2020-01-01", periods=n, tz="UTC"),
                "code": RNG.integers(0, 5, n),
                "id": [f"row{i}" for i in range(n)],
                "empty": [np.nan] * n,
                "y": RNG.normal(size=n),
            }
        )

    def test_kinds_are_recognised(self):
        assert kinds(self.frame()) == {
            "number": "numeric",
            "written": "numeric",
            "flag": "boolean",
            "answer": "boolean",
            "colour": "nominal",
            "when": "date",
            "stamp": "date",
            "code": "numeric",
            "empty": "numeric",
        }

    def test_kinds_are_overridden(self):
        found = kinds(self.frame(), nominal=["code", "id"], drop=["number"], numeric=["written"])
        assert found["code"] == "nominal"
        assert found["id"] == "nominal"
        assert "number" not in found

    def test_two_letters_of_different_pairs_are_categories(self):
        frame = self.frame().assign(sex=["F", "N"] * 30, answer=["t", "f"] * 30)
        assert kinds(frame)["sex"] == "nominal"
        assert kinds(frame)["answer"] == "boolean"

    def test_an_identifier_is_left_out_and_said(self):
        assert "identifier" in Schema.infer(self.frame(), "y").unused["id"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"drop": ["numbr"]}, r"`drop` 'numbr' is not a column of the table; did you mean 'number'\?"),
            ({"nominal": ["y"]}, "which is the target"),
            ({"nominal": ["code"], "numeric": ["code"]}, "named in two of"),
            ({"numeric": ["colour"]}, "column 'colour' is numeric, but 60 cells are not"),
            ({"date": ["colour"]}, "column 'colour' is a date"),
            ({"date": ["number"]}, "column 'number' is a date"),
        ],
    )
    def test_bad_choices(self, options, message):
        with pytest.raises(InputError, match=message):
            Schema.infer(self.frame(), "y", **options)

    @pytest.mark.parametrize("n_columns", [2, MOST_BLOCKS + 1])
    def test_numbers_are_not_copied_up_to_100_columns(self, n_columns):
        columns = {f"x{i}": np.arange(8.0) + i for i in range(n_columns)}
        frame = pd.DataFrame(columns | {"y": np.arange(8.0)}, copy=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            features = Schema.infer(frame, "y", numeric=list(columns)).features(frame)
        np.testing.assert_array_equal(features, frame[list(columns)])
        shared = np.shares_memory(features["x1"].to_numpy(), columns["x1"])
        assert shared == (n_columns <= MOST_BLOCKS)

    def test_no_feature_left(self):
        with pytest.raises(InputError, match="no feature column is left"):
            Schema.infer(self.frame()[["y", "id"]], "y")

    def test_later_tables_must_fit(self):
        frame = self.frame()
        schema = Schema.from_json(Schema.infer(frame, "y").to_json())
        schema.check(list(frame.drop(columns=["y", "id"])))
        with pytest.raises(InputError, match="lacks 2 columns the model was trained on: 'number', 'colour'"):
            schema.check(list(frame.drop(columns=["number", "colour"])))
        with pytest.raises(InputError, match=r"1 column the model was not trained on: 'new'.*`ignore_extra=True`"):
            schema.check(list(frame.assign(new=1)))
        schema.check(list(frame.assign(new=1)), ignore_extra=True)
        with pytest.raises(InputError, match=r"column 'number' is numeric, but 1 cell is not, e.g. 'a' in row 3"):
            schema.features(frame.astype({"number": object}).assign(number=["1", "2", "a"] + ["4"] * 57))
        with pytest.raises(InputError, match="column 'flag' is boolean"):
            schema.features(frame.assign(flag=2))
        with pytest.raises(InputError, match="column 'when' is a date"):
            schema.features(frame.assign(when="soon"))

    def test_whole_numbers_stay_the_same_category_whatever_their_type(self):
        frame = self.frame()
        schema = Schema.infer(frame, "y", nominal=["code"])
        as_float = frame.assign(code=frame["code"].astype(float).where(frame.index > 0))
        assert schema.features(as_float)["code"][1:].tolist() == schema.features(frame)["code"][1:].tolist()


class TestTarget:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (["a", "1", "2"], "must be numeric, but 1 cell is not, e.g. 'a' in row 1"),
            ([1.0, np.inf, 2.0], "1 infinite cell, the first in row 2"),
            ([True, False, True], "of type bool"),
        ],
    )
    def test_bad_targets(self, values, message):
        with pytest.raises(InputError, match=message):
            target_values(pd.DataFrame({"y": values}), "y")

    def test_nearest_name(self):
        with pytest.raises(InputError, match=r"target 'pric' is not a column of the table; did you mean 'price'\?"):
            target_values(pd.DataFrame({"price": [1]}), "pric")


class TestPreprocessing:
    def inputs(self, train, later):
        schema = Schema.infer(train, "y")
        preprocessor = fit_preprocessor(schema.features(train))
        return transform(preprocessor, schema, train), transform(preprocessor, schema, later)

    def test_constant_duplicate_empty_and_unseen_give_finite_numbers(self):
        n = 50
        train = pd.DataFrame(
            {
                "a": RNG.normal(size=n),
                "constant": 7,
                "empty": np.nan,
                "city": RNG.choice(["x", "z"], n),
                "huge": RNG.normal(size=n) * 1e12,
                "y": RNG.normal(size=n),
            }
        )
        train["a again"] = train["a"]
        later = train.copy()
        later["city"] = ["unseen", None] * (n // 2)
        later.loc[0, "a"] = np.inf
        later["constant"] = np.nan
        for x in self.inputs(train, later):
            assert x.dtype == np.float32
            assert np.isfinite(x).all()

    def test_a_missing_number_is_told_apart_from_the_median(self):
        train = pd.DataFrame({"a": [1.0, 2.0, 3.0, np.nan] * 10, "y": np.arange(40.0)})
        x, _ = self.inputs(train, train)
        median, missing = x[1], x[3]
        assert median[0] == missing[0]
        assert median[1] != missing[1]

    def test_only_training_rows_are_learnt_from(self):
        train = pd.DataFrame({"a": np.arange(40.0), "y": np.arange(40.0)})
        x, far = self.inputs(train, train.assign(a=1e6))
        assert abs(x.mean()) < 1e-6
        assert far.min() > 1e4

    def test_date_parts_follow_the_calendar(self):
        days = pd.DataFrame({"d": ["2020-01-01", "2021-01-01", "2020-07-01"] * 10, "y": np.arange(30.0)})
        parts = Schema.infer(days, "y").features(days)
        year = parts["d (cosine of year)"]
        assert year[0] == pytest.approx(year[1], abs=0.01)
        assert year[0] - year[2] > 1.9


class TestFiles:
    def test_csv_tsv_parquet_and_gzip_read_the_same(self, toy, tmp_path):
        toy.to_csv(tmp_path / "a.csv", index=False)
        toy.to_csv(tmp_path / "b.tsv", sep="\t", index=False)
        toy.to_parquet(tmp_path / "c.parquet", index=False)
        toy.to_csv(tmp_path / "d.csv.gz", index=False)
        prices = [read_table(path)["price"].to_numpy() for path in sorted(tmp_path.iterdir())]
        assert all(np.allclose(p, prices[0]) for p in prices)

    @pytest.mark.parametrize("n_columns", [3, MOST_BLOCKS + 1])
    def test_columns_of_a_parquet_file_stay_apart_up_to_100(self, n_columns, tmp_path):
        frame = pd.DataFrame(np.arange(5.0 * n_columns).reshape(5, -1)).add_prefix("x")
        frame.to_parquet(tmp_path / "t.parquet")
        read = read_table(tmp_path / "t.parquet")
        pd.testing.assert_frame_equal(read, frame)
        steps = np.diff([read[name].to_numpy().__array_interface__["data"][0] for name in read])
        assert (set(steps) == {5 * 8}) == (n_columns > MOST_BLOCKS)  # one array holds them all

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("missing.csv", None, "no file"),
            ("a.txt", "x,y\n1,2\n", "must end in"),
            ("empty.csv", "", "cannot be read as a table"),
            ("twice.csv", "x,y,x\n1,2,3\n", "several columns named 'x'"),
            ("latin.csv", "x,y\n1,\udce9\n", "save it as UTF-8"),
            ("bad.parquet", "hello", "cannot be read as a table"),
            ("torn.csv", 'x,y\n1,2\n3,4,5,6\n"', "cannot be read as a table"),
        ],
    )
    def test_what_is_not_a_table_is_refused(self, tmp_path, name, content, message):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(InputError, match=message):
            read_table(path)

    def test_a_binary_file_is_refused(self, tmp_path):
        path = tmp_path / "image.csv"
        path.write_bytes(bytes(range(256)) * 10)
        with pytest.raises(InputError, match="cannot be read as a table"):
            read_table(path)


class TestExamples:
    @pytest.mark.parametrize("name", list(EXAMPLES))
    def test_examples_are_clean(self, name):
        frame, _ = load_example(name)
        assert frame.notna().all().all()
        assert target_values(frame, EXAMPLES[name].target).nunique() > 100

    def test_airports_make_sense(self):
        frame, notes = load_example("example:airports")
        assert len(frame) > 26_000
        assert frame["latitude"].abs().max() <= 90
        assert frame["elevation"].skew() > 2.5
        assert "rows dropped" in notes[0]

    def test_unknown(self):
        with pytest.raises(InputError, match=r"unknown example 'airport'; did you mean 'airports'\?"):
            load_source("example:airport")


class TestHowRowsCome:
    """Errors as rows come are those that new rows have, whatever the split takes out of the training rows."""

    @pytest.mark.parametrize("split", ["balanced", "random"])
    def test_the_error_of_the_test_rows_is_that_of_the_table(self, split):
        rng = np.random.default_rng(0)
        y = rng.exponential(10.0, 20_000)
        task = prepare(pd.DataFrame({"x": y, "y": y}), "y", split=split, seed=1)
        error = 0.1 * y**2  # larger where values are rare
        _, tested = task.rows_of("test")
        found = error_as_rows_come(tested, tested + 0.1 * tested**2, task.shots)
        assert found == pytest.approx(error.mean(), rel=0.1)
        as_trained = np.average(0.1 * task.y[task.part == "train"] ** 2)
        assert (as_trained < 0.85 * error.mean()) == (split == "balanced")

    def test_masked_rows_do_not_count(self):
        frame = pd.DataFrame({"x": np.arange(600.0), "y": np.tile(np.arange(6.0), 100)})
        task = prepare(frame, "y", split="balanced", mask_target=[(1.5, 2.5)])
        assert task.shots.population.sum() == (task.part != "masked").sum()


class TestBalancedSplit:
    def test_every_bin_gives_its_capped_share(self):
        y = np.repeat(np.arange(5.0), [400, 90, 30, 5, 2])
        bins = Bins.from_edges(np.arange(-0.5, 5))
        parts = balanced_split(y, bins, cap=30)
        for part in ("val", "test"):
            assert [int(((parts == part) & (y == b)).sum()) for b in range(5)] == [30, 30, 10, 1, 0]

    def test_cap_of_agedb(self):
        # 16,488 rows; 30 is the largest cap with at most 13 % in validation in the released split of these counts.
        y = np.repeat(np.arange(100.0), 165)
        parts = balanced_split(y, Bins.from_edges(np.arange(-0.5, 100)))
        assert (parts == "val").sum() <= 0.13 * y.size
        assert (parts == "val").sum() == (parts == "test").sum()

    @pytest.mark.parametrize("n_groups", [3, 4, 10])
    def test_few_groups_still_give_three_parts(self, n_groups):
        y = np.linspace(0, 100, 300)
        parts = balanced_split(y, Bins.auto(y), groups=np.arange(300) * n_groups // 300)
        assert set(parts) == {"train", "val", "test"}

    def test_repeatable_and_seeded(self):
        y = RNG.gamma(2, 10, 1000)
        bins = Bins.auto(y)
        assert np.array_equal(balanced_split(y, bins, seed=3), balanced_split(y, bins, seed=3))
        assert not np.array_equal(balanced_split(y, bins, seed=3), balanced_split(y, bins, seed=4))

    def test_no_group_is_split(self):
        y = RNG.gamma(2, 10, 2000)
        groups = RNG.integers(0, 100, 2000)
        for parts in (balanced_split(y, Bins.auto(y), groups=groups), random_split(2000, groups=groups)):
            assert pd.Series(parts).groupby(groups).nunique().max() == 1
            shares = pd.Series(parts).value_counts(normalize=True)
            assert shares["train"] > 0.5
            assert shares["test"] > 0.05
            assert shares["val"] > 0.05

    def test_rows_of_a_capped_protocol_balance_the_test_set(self):
        y = RNG.exponential(10, 20_000)
        bins = Bins.auto(y)
        parts = balanced_split(y, bins)
        train, test = bins.histogram(y[parts == "train"]), bins.histogram(y[parts == "test"])
        assert train.max() / max(train[train > 0].mean(), 1) > test.max() / test[test > 0].mean()


class TestPrepare:
    def test_bins_come_from_training_rows(self, toy):
        table = prepare(toy, "price")
        assert table.shots.counts.sum() == (table.part == "train").sum()
        assert table.shots.bins.edges[-1] <= np.nextafter(np.float32(table.y[table.part == "train"].max()), 1e9) + max(
            table.shots.bins.widths
        )

    def test_rows_without_a_target(self, toy):
        toy.loc[[3, 7], "price"] = np.nan
        with pytest.raises(InputError, match="2 empty cells in the target; drop them with `drop_missing_target=True`"):
            prepare(toy, "price")
        table = prepare(toy, "price", drop_missing_target=True)
        assert len(table.y) == len(toy) - 2
        assert 3 not in table.row

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda f: f[["price"]], "400 rows and 1 column"),
            (lambda f: f[:0], "0 rows and 6 columns"),
            (lambda f: f.assign(price=3), "is constant"),
            (lambda f: f.assign(price=f["price"] * 1e30), "choose a unit"),
            (lambda f: f.assign(x1=f["x1"].mask(f.index == 4, 1e300)), r"'x1' has 1e\+300 in row 5"),
            (lambda f: f.assign(x1=[[1, 2]] * 400), "holds list values"),
            (lambda f: f.assign(x1=[b"a"] * 400), "holds bytes values"),
            (lambda f: f.assign(split=["train", "val"] * 200), "leaves no row for 'test'"),
            (lambda f: f.assign(split=["train", "val", "test", None] * 100), "must have train, val or test"),
        ],
    )
    def test_tables_that_cannot_be_trained_on(self, toy, change, message):
        with pytest.raises(InputError, match=message):
            prepare(change(toy), "price")

    def test_dates_far_away_and_empty_ones(self, toy):
        toy["until"] = "9999-12-31"
        toy.loc[:9, "until"] = "1600-01-01"
        schema = prepare(toy, "price").schema
        assert schema.features(toy)["until (days)"].abs().max() > 2_000_000
        assert schema.features(toy.assign(until=np.nan))["until (days)"].isna().all()

    def test_periods_are_dates(self, toy):
        toy["month"] = pd.period_range("2000-01", periods=len(toy), freq="M")
        schema = prepare(toy, "price").schema
        assert {c.name: c.kind for c in schema.columns}["month"] == "date"
        assert schema.features(toy)["month (days)"].is_monotonic_increasing

    def test_row_numbers_and_missing_marks(self, toy):
        toy.insert(0, "Unnamed: 0", range(len(toy)))
        toy["x1"] = toy["x1"].astype(object).mask(toy.index % 50 == 0, "?")
        schema = prepare(toy, "price").schema
        assert schema.unused == {"Unnamed: 0": "row numbers"}
        assert schema.features(toy)["x1"].isna().sum() == 8

    def test_too_few_rows(self, toy):
        with pytest.raises(InputError, match="29 rows with a target; at least 30"):
            prepare(toy[:29], "price")

    def test_split_column_is_found_and_kept_from_the_features(self, toy):
        toy["split"] = np.resize(["train", "train", "VALID", "test"], len(toy))
        table = prepare(toy, "price")
        assert table.split == "column"
        assert (table.part == "val").sum() == 100
        assert "split" in table.schema.unused

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"group": "town"}, "`group` 'town' is not a column"),
            ({"group": "one"}, "has one group; train, val and test need at least 3"),
            ({"group": "city"}, "empty cells"),
            ({"split": "column"}, "needs a column 'split'"),
            ({"split_column": "where"}, "needs a column 'where'"),
            ({"split_column": "city", "split": "random"}, "does not use it"),
            ({"group": "price"}, "which is the target"),
            ({"group": "house", "drop": ["house"]}, "is the group column"),
            ({"n_bins": 10**9}, "at most 10,000 bins"),
            ({"split": "fair"}, "`split` must be one of"),
            ({"split": "column", "split_column": "city"}, "must have train, val or test"),
            ({"bin_width": 1.0, "n_bins": 3}, "not both"),
            ({"shots": (1.0, 2.0)}, "few <= many"),
        ],
    )
    def test_bad_choices(self, toy, options, message):
        with pytest.raises(InputError, match=message):
            prepare(toy.assign(one=1, house=toy.index // 4), "price", **options)

    @pytest.mark.parametrize("split", ["balanced", "random", "column"])
    def test_with_a_key_the_order_of_rows_does_not_change_the_parts(self, toy, split):
        toy["id"] = [f"row {i}" for i in range(len(toy))]
        if split == "column":  # its validation rows are drawn
            toy["split"] = np.resize(["train", "train", "test"], len(toy))
        parts = {}
        for seed in (None, 1, 2):
            frame = toy if seed is None else toy.sample(frac=1, random_state=seed)
            table = prepare(frame, "price", split=split, split_key="id", seed=3)
            assert table.schema.unused["id"] == "key"
            parts[seed] = dict(zip(frame["id"], table.part, strict=True))
        assert parts[None] == parts[1] == parts[2]
        assert set(parts[1].values()) == {"train", "val", "test"}
        other = prepare(toy, "price", split=split, split_key="id", seed=4)
        assert dict(zip(toy["id"], other.part, strict=True)) != parts[1]

    def test_with_groups_the_order_of_rows_does_not_change_the_parts(self, toy):
        toy["house"] = toy.index // 4
        parts = []
        for frame in (toy, toy.sample(frac=1, random_state=1)):
            table = prepare(frame, "price", group="house")
            parts.append(pd.Series(table.part, index=frame.index).sort_index())
        pd.testing.assert_series_equal(*parts)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"split_key": "house"}, "must differ in every row, but 300 rows repeat a key, such as '0'.* use `group`"),
            ({"split_key": "x2"}, "empty cells; every row needs a key"),
            ({"split_key": "nope"}, "`split_key` 'nope' is not a column"),
            ({"split_key": "price"}, "which is the target"),
            ({"split_key": "id", "group": "house"}, "leave one out"),
            ({"split_key": "id", "split_column": "part"}, "holds one; leave one out"),
        ],
    )
    def test_keys_that_do_not_work(self, toy, options, message):
        more = {"house": toy.index // 4, "id": range(len(toy)), "part": np.resize(["train", "val", "test"], len(toy))}
        with pytest.raises(InputError, match=message):
            prepare(toy.assign(**more), "price", **options)

    def test_a_group_in_two_parts_of_a_split_column_is_refused(self, toy):
        toy["split"] = np.resize(["train", "train", "val", "test"], len(toy))
        toy["g"] = np.arange(len(toy)) % 7
        with pytest.raises(InputError, match="is in several parts"):
            prepare(toy, "price", group="g")


class TestResampling:
    @pytest.fixture
    def features(self):
        rng = np.random.default_rng(0)
        n = 300
        frame = pd.DataFrame(
            {
                "size": rng.normal(size=n),
                "rooms": rng.integers(1, 9, n).astype(float),
                "garden": (rng.random(n) < 0.4).astype(float),
                "city": rng.choice(["x", "y", "z"], n).astype(object),
            }
        )
        frame.loc[::5, "size"] = np.nan
        frame.loc[1::7, "city"] = np.nan
        frame.loc[2::9, "garden"] = np.nan
        return frame, rng.lognormal(sigma=1.0, size=n)

    def test_gaps_come_back_where_they_were(self, features):
        frame, y = features
        rows, labels, index = resample_features(SMOGN(), frame, y, seed=0)
        assert len(rows) == len(labels) == len(index)
        np.testing.assert_array_equal(rows.isna().to_numpy(), frame.isna().to_numpy()[index])
        kept = labels == y[index]
        pd.testing.assert_frame_equal(
            rows[kept].reset_index(drop=True), frame.iloc[index[kept]].reset_index(drop=True), check_dtype=False
        )
        assert (~kept).sum() > 50

    def test_values_stay_what_they_are(self, features):
        rows, _, _ = resample_features(SMOGN(), *features, seed=0)
        assert set(rows["garden"].dropna()) == {0.0, 1.0}
        assert (rows["rooms"].dropna() % 1 == 0).all()
        assert (rows["size"].dropna() % 1 != 0).all()
        assert [str(rows[name].dtype) for name in rows] == ["float64", "float64", "float64", "object"]

    def test_the_seed_is_that_of_the_run_and_the_resampler_stays_as_it_is(self, features):
        sampler = SMOGN()
        first, again, other = (resample_features(sampler, *features, seed=seed)[0] for seed in (0, 0, 1))
        pd.testing.assert_frame_equal(first, again)
        assert not first.equals(other)
        assert sampler.random_state is None

    def test_a_resampler_must_say_where_its_rows_come_from(self, features):
        class Mine:
            def fit_resample(self, X, y):
                return X, y

        with pytest.raises(InputError, match="Mine must set sample_indices_ in fit_resample"):
            resample_features(Mine(), *features, seed=0)
