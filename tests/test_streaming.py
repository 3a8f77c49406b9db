import json
import math
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwise import Bins, InputError, LabelDensity, density_weights, lds_weights
from tailwise.data.parquet import parquet_files, target_batches
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.density import KDE, KNN, LDS
from tailwise.labels.streaming import LabelSummary
from tailwise.weights.by_bins import LabelWeights, effective_number_weights
from tailwise.weights.denseweight import dense_weights

RNG = np.random.default_rng(0)

pytestmark = pytest.mark.filterwarnings("ignore:the weights are extreme")

LABELS = {
    "continuous": RNG.gamma(2, 3, 3000),
    "negative": RNG.normal(-50, 1.0, 3000),
    "far from zero": RNG.normal(3e4, 20, 3000),
    "ages": RNG.integers(1, 102, 3000).astype(float),
    "whole, wide": RNG.integers(-5000, 5000, 3000).astype(float),
    "one fraction": np.r_[RNG.integers(0, 20, 2999), 0.5],
    "few": np.array([1.0, 2.0, 7.0]),
    "float32": RNG.gamma(2, 3, 3000).astype(np.float32),
    "int": RNG.integers(0, 40, 3000),
    "more than one piece": RNG.gamma(2, 3, 100_000),
}
ROWS = {
    "continuous": RNG.normal(size=(2000, 2)) * [1, 100],
    "whole": RNG.integers(0, 4, (2000, 2)).astype(float),
    "three": RNG.gamma(2, 2, (2000, 3)),
    "column": RNG.gamma(2, 2, (2000, 1)),
}


def parts(y, cuts, order):
    """Pieces of labels between the cuts, in another order; some may be empty."""
    pieces = np.split(y, sorted(int(cut * len(y)) for cut in cuts))
    return [pieces[i] for i in np.argsort(order[: len(pieces)])]


partitions = st.lists(st.floats(0, 1), min_size=5, max_size=5)
orders = st.permutations(range(6))


def merged(pieces, tree):
    """Merge a list of things pairwise, in the order that random numbers say."""
    things = list(pieces)
    for number in tree:
        if len(things) > 1:
            i = number % (len(things) - 1)
            things[i : i + 2] = [things[i].merge(things[i + 1])]
    return things[0]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(LABELS)), partitions, orders, st.lists(st.integers(0, 9), min_size=5, max_size=5))
def test_any_partition_and_order_gives_the_same_bins_density_and_weights(name, cuts, order, tree):
    y = LABELS[name]
    pieces = parts(y, cuts, order)
    assert sum(map(len, pieces)) == len(y)

    summary = merged([LabelSummary.of(piece) for piece in pieces], tree)
    exact = y.astype(np.float64)
    assert (summary.n, summary.low, summary.high) == (len(y), exact.min(), exact.max())
    assert summary.whole == bool((exact == np.round(exact)).all())
    mean = math.fsum(exact) / len(y)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in exact.tolist()) / len(y))
    assert summary.mean == pytest.approx(mean, rel=1e-12)
    assert summary.std == pytest.approx(std, rel=1e-12)

    bins = summary.bins()
    np.testing.assert_array_equal(bins.edges, Bins.auto(y).edges)
    density = merged([LabelDensity(bins).partial_fit(piece) for piece in pieces], tree)
    np.testing.assert_array_equal(density.counts, bins.histogram(y))
    assert density.n == len(y)
    streamed = LabelDensity.from_batches(lambda: iter(pieces))
    assert streamed.to_json() == density.to_json()

    whole, streamed = lds_weights(y), lds_weights(streamed)
    np.testing.assert_array_equal(whole.table, streamed.table)
    np.testing.assert_array_equal(whole.bins.edges, streamed.bins.edges)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(list(ROWS)), partitions, orders)
def test_labels_of_many_dimensions_in_batches(name, cuts, order):
    y = ROWS[name]
    density = LabelDensity.from_batches(lambda: parts(y, cuts, order))
    grid = BinGrid.auto(y)
    assert density.bins.to_json() == grid.to_json()
    np.testing.assert_array_equal(density.counts, grid.histogram(y))
    np.testing.assert_array_equal(lds_weights(density, window=3).table, lds_weights(y, window=3).table)


def test_counts_equal_plain_loops():
    bins = Bins.from_edges([0, 1, 3, 10])
    counts = [0, 0, 0]
    for value in LABELS["continuous"]:
        counts[0 if value < 1 else 1 if value < 3 else 2] += 1
    assert LabelDensity(bins).partial_fit(LABELS["continuous"]).counts.tolist() == counts


@pytest.mark.parametrize("shape", [(100, 100, 100), (2, 2)])
def test_large_and_small_grids_count_every_row(shape):
    grid = BinGrid(tuple(Bins.count([0.0, 1.0], n) for n in shape))
    y = RNG.random((70_000, len(shape)))
    density = LabelDensity(grid).partial_fit(y)
    expected = np.histogramdd(y, [axis.edges for axis in grid.axes])[0]
    np.testing.assert_array_equal(density.counts, expected.ravel())


class TestDensity:
    BINS = Bins.from_edges([0, 1, 2, 3])

    def test_nothing_is_an_empty_density(self):
        density = LabelDensity(self.BINS).partial_fit([])
        assert density.n == 0
        assert LabelSummary().merge(LabelSummary()) == LabelSummary()
        assert math.isnan(LabelSummary().std)
        with pytest.raises(InputError, match="empty"):
            lds_weights(density)
        with pytest.raises(InputError, match="empty"):
            LabelDensity.from_batches(lambda: [np.zeros(0)])
        with pytest.raises(InputError, match="no labels"):
            LabelDensity.from_batches(list)

    def test_merging_changes_neither(self):
        one, other = LabelDensity(self.BINS).partial_fit([0.5]), LabelDensity(self.BINS).partial_fit([1.5])
        assert one.merge(other).counts.tolist() == [1, 1, 0]
        assert one.counts.tolist() == [1, 0, 0]
        assert other.counts.tolist() == [0, 1, 0]

    def test_other_bins_are_refused(self):
        one, other = LabelDensity(self.BINS), LabelDensity(Bins.from_edges([0, 1]))
        with pytest.raises(InputError, match=r"Bins\(3 from 0 to 3\) and Bins\(1 from 0 to 1\)"):
            one.merge(other)
        with pytest.raises(InputError, match="same edges"):
            one.merge(LabelDensity(BinGrid((self.BINS,))))
        one.partial_fit([0.5])
        for weights in (density_weights, lds_weights, effective_number_weights):
            with pytest.raises(InputError, match=r"counted in Bins\(3 .* not in Bins\(1"):
                weights(one, other.bins)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_labels_that_are_not_finite_are_refused_and_none_counted(self, bad):
        density = LabelDensity(self.BINS)
        y = np.r_[bad, np.ones(50_000), bad]
        for labels in (y, y.astype(np.float32), list(y[[0, 1, -1]])):
            with pytest.raises(InputError, match="2 labels that are NaN or infinite"):
                density.partial_fit(labels)
            with pytest.raises(InputError, match="2 labels that are NaN or infinite"):
                LabelSummary.of(labels)
        assert density.n == 0

    def test_wrong_shapes_are_refused(self):
        with pytest.raises(InputError, match="BinGrid"):
            LabelDensity(self.BINS).partial_fit([[1.0, 2.0]])
        with pytest.raises(InputError, match="BinGrid"):
            LabelDensity(BinGrid((self.BINS,))).partial_fit([1.0])
        with pytest.raises(InputError, match="2 dimensions"):
            LabelDensity(BinGrid((self.BINS, self.BINS))).partial_fit([[1.0, 2.0, 3.0]])
        with pytest.raises(InputError, match="one-dimensional"):
            LabelSummary.of([[1.0]])
        for batches in ([[[1.0]], [1.0]], [[[1.0]], [[1.0, 2.0]]], [3.0]):
            with pytest.raises(InputError, match=r"\(n, K\)"):
                LabelDensity.from_batches(lambda batches=batches: batches)

    def test_batches_must_start_anew_at_each_call(self):
        used_up = iter([[1.0, 2.0], [3.0]])
        with pytest.raises(InputError, match="3 labels at first and 0 when called again"):
            LabelDensity.from_batches(lambda: used_up)
        with pytest.raises(InputError, match="lambda"):
            LabelDensity.from_batches([[1.0]])

    def test_given_bins_need_one_reading(self):
        calls = []
        LabelDensity.from_batches(lambda: calls.append(1) or [[0.5]], self.BINS)
        assert len(calls) == 1
        LabelDensity.from_batches(lambda: calls.append(1) or [[0.5, 1.5]])
        assert len(calls) == 3

    @pytest.mark.parametrize("bins", [BINS, BinGrid((BINS, Bins.from_edges([0.1, 0.7])))])
    def test_json_and_pickle_round_trip(self, bins):
        y = RNG.random((50, 2)) * 3
        density = LabelDensity(bins).partial_fit(y if isinstance(bins, BinGrid) else y[:, 0])
        for again in (
            LabelDensity.from_json(json.loads(json.dumps(density.to_json()))),
            pickle.loads(pickle.dumps(density)),
        ):
            np.testing.assert_array_equal(again.merge(density).counts, 2 * density.counts)
            assert again.counts.dtype == np.int64
        assert "50 labels" in repr(density)

    def test_counts_beyond_float32_stay_exact(self):
        density = LabelDensity.from_json({"bins": self.BINS.to_json(), "counts": [2**40, 0, 1]})
        assert density.merge(density).partial_fit([0.5]).counts.tolist() == [2**41 + 1, 0, 2]


class TestWeights:
    @pytest.mark.parametrize(
        "weights",
        [
            lambda y: density_weights(y, power=1.0, clip=(5, 1000)),
            lambda y: density_weights(y, density=LDS(compat="reference")),
            lambda y: lds_weights(y, kernel="triangular"),
            lambda y: effective_number_weights(y, beta=0.9),
            lambda y: effective_number_weights(y, density=LDS()),
        ],
    )
    @pytest.mark.parametrize("name", LABELS)
    def test_a_density_gives_what_the_labels_give(self, name, weights):
        y = LABELS[name]
        np.testing.assert_array_equal(weights(y).table, weights(LabelDensity.of(y)).table)

    @pytest.mark.parametrize(
        ("weights", "name"),
        [
            (lambda d: density_weights(d, density=KDE()), "KDE"),
            (lambda d: density_weights(d, density=KNN()), "KNN"),
            (dense_weights, "DenseWeight"),
        ],
    )
    def test_what_needs_the_labels_says_so(self, weights, name):
        with pytest.raises(InputError, match=f"{name} needs the labels themselves.*lds_weights"):
            weights(LabelDensity.of(LABELS["ages"]))

    @pytest.mark.parametrize("y", [*LABELS.values(), *ROWS.values()], ids=[*LABELS, *(f"rows {n}" for n in ROWS)])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_sample_weight_is_exactly_what_forward_gives(self, y, dtype):
        weights = lds_weights(y).to(dtype)
        found = weights.sample_weight(y)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, weights(torch.from_numpy(y.astype(np.float64))))
        assert weights.sample_weight(y[:0]).shape == (0,)

    def test_sample_weight_follows_a_loaded_state(self):
        y = LABELS["continuous"]
        weights, other = (lds_weights(y, Bins.from_edges(np.arange(11) * width)) for width in (1, 2))
        other.load_state_dict(weights.state_dict())
        np.testing.assert_array_equal(other.sample_weight(y), weights.sample_weight(y))

    def test_sample_weight_refuses_what_forward_refuses(self):
        weights = LabelWeights(Bins.from_edges([0, 1, 2]), [1.0, 2.0])
        for wrong in ([[1.0, 2.0]], [np.nan], [np.inf], 1.0):
            with pytest.raises(InputError):
                weights.sample_weight(wrong)
        with pytest.raises(InputError):
            LabelWeights(BinGrid((weights.bins,)), [1.0, 2.0]).sample_weight([1.0])


def growth_of_peak_memory(code, *args):
    """Megabytes by which code raises the peak memory of a process that has imported all it needs."""
    program = """
        import sys
        import numpy as np
        from tailwise import LabelDensity
        from tailwise.data.parquet import target_batches

        def peak():
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    """
    program = "\n".join(map(textwrap.dedent, (program, code))) + "\nprint(peak() - before)\n"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, args)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


needs_linux = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is read from /proc")


@needs_linux
@pytest.mark.slow
def test_20_million_labels_in_constant_memory():
    # The labels alone would take 160 MB, their bins as much.
    code = """
        def batches():
            rng = np.random.default_rng(0)
            return (rng.standard_normal(1 << 18) for _ in range(77))

        before = peak()
        assert LabelDensity.from_batches(batches).n == 77 << 18
    """
    assert growth_of_peak_memory(code) < 60


@needs_linux
@pytest.mark.slow
def test_an_array_of_float32_is_not_copied():
    # Twice that array in float64 would be 160 MB, its bins the same.
    code = """
        y = np.linspace(0, 100, 20_000_000, dtype=np.float32)
        before = peak()
        assert LabelDensity.of(y).n == len(y)
    """
    assert growth_of_peak_memory(code) < 60


class TestParquet:
    @staticmethod
    def write(path, y, name="y"):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"other": ["x"] * len(y), name: y}), path, row_group_size=100)

    def test_a_folder_gives_the_density_of_the_whole_column(self, tmp_path):
        y = LABELS["continuous"]
        for i, piece in enumerate(np.array_split(y, 4)):
            self.write(tmp_path / f"year={2020 + i // 2}" / f"part-{i}.parquet", piece)
        (tmp_path / "readme.txt").write_text("not a table")
        found = np.concatenate(list(target_batches(tmp_path, "y", rows=64)))
        np.testing.assert_array_equal(found, y)
        density = LabelDensity.from_batches(lambda: target_batches(tmp_path, "y"))
        assert density.to_json() == LabelDensity.of(y).to_json()

    def test_files_in_order_and_other_paths_refused(self, tmp_path):
        for name in ("b.parquet", "a.PARQUET", "c/a.parquet"):
            self.write(tmp_path / name, [1.0])
        assert [file.name for file in parquet_files(tmp_path)] == ["a.PARQUET", "b.parquet", "a.parquet"]
        assert parquet_files(str(tmp_path / "b.parquet")) == [tmp_path / "b.parquet"]
        (tmp_path / "empty").mkdir()
        (tmp_path / "t.csv").write_text("y\n1\n")
        for path, message in (("no", "no file or folder"), ("empty", "no file whose name"), ("t.csv", "must end in")):
            with pytest.raises(InputError, match=message):
                target_batches(tmp_path / path, "y")

    @pytest.mark.parametrize(
        ("values", "dtype"),
        [
            (pa.array([1.5, 2.5], pa.float32()), np.float32),
            (pa.array([1.5, 2.5], pa.float64()), np.float64),
            (pa.array([1.5, 2.5], pa.float16()), np.float64),
            (pa.array([1, 2], pa.int8()), np.float64),
            (pa.array([1, 2**60 + 1], pa.int64()), np.float64),
            (pa.array([1, 2**63], pa.uint64()), np.float64),
            (pa.array([1, 2], pa.decimal128(9, 2)), np.float64),
        ],
    )
    def test_types_of_numbers(self, tmp_path, values, dtype):
        path = tmp_path / "t.parquet"
        pq.write_table(pa.table({"y": values}), path)
        (found,) = target_batches(path, "y")
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, np.array([float(value) for value in values.to_pylist()]))

    @pytest.mark.parametrize("rows", [1, 7, 1000])
    def test_batches_hold_at_most_so_many_rows(self, tmp_path, rows):
        self.write(tmp_path / "t.parquet", np.arange(350.0))
        sizes = [len(batch) for batch in target_batches(tmp_path, "y", rows=rows)]
        assert max(sizes) <= rows
        assert sum(sizes) == 350
        with pytest.raises(InputError, match="rows"):
            target_batches(tmp_path, "y", rows=0)

    @pytest.mark.parametrize("cells", [[None], [np.nan], [None, np.nan]])
    def test_empty_cells_are_refused_or_left_out(self, tmp_path, cells):
        self.write(tmp_path / "t.parquet", [*np.arange(150.0), *cells, 7.0])
        with pytest.raises(InputError, match=r"'y' has empty cells, the first in row 151 of .*drop_missing=True"):
            list(target_batches(tmp_path, "y", rows=40))
        found = np.concatenate(list(target_batches(tmp_path, "y", rows=40, drop_missing=True)))
        assert found.tolist() == [*range(150), 7.0]

    def test_a_column_without_values(self, tmp_path):
        pq.write_table(pa.table({"y": pa.nulls(3)}), tmp_path / "t.parquet")
        assert sum(map(len, target_batches(tmp_path, "y", drop_missing=True))) == 0

    @pytest.mark.parametrize(
        ("values", "column", "message"),
        [
            ([1.0, np.inf], "y", "infinite cells, the first in row 2 of"),
            ([1.0, -np.inf], "y", "infinite cells, the first in row 2 of"),
            (["1", "2"], "y", "must be numeric, but its values are of type string"),
            ([True, False], "y", "of type bool"),
            (pd.to_datetime(["2020-01-01"]), "y", "of type timestamp"),
            ([[1.0]], "y", "of type list"),
            ([1.0], "Y", r"target 'Y' is not a column of the table; did you mean 'y'\?"),
        ],
    )
    def test_what_is_no_target_is_refused(self, tmp_path, values, column, message):
        self.write(tmp_path / "t.parquet", values)
        with pytest.raises(InputError, match=message):
            list(target_batches(tmp_path, column, drop_missing=True))

    def test_a_broken_file_is_refused(self, tmp_path):
        (tmp_path / "t.parquet").write_bytes(b"no table")
        with pytest.raises(InputError, match="cannot be read as a Parquet file"):
            list(target_batches(tmp_path, "y"))

    @needs_linux
    @pytest.mark.parametrize("group", [500_000, 5_000_000])
    @pytest.mark.slow
    def test_memory_stays_flat_beside_a_wide_column(self, tmp_path, group):
        # The target takes 40 MB, the text beside it 1 GB; in the file it is written once a row group.
        schema = pa.schema([("text", pa.dictionary(pa.int32(), pa.string())), ("y", pa.float64())])
        text = pa.DictionaryArray.from_arrays(np.zeros(group, np.int32), ["x" * 200])
        with pq.ParquetWriter(tmp_path / "t.parquet", schema) as file:
            for _ in range(0, 5_000_000, group):
                file.write_table(pa.table([text, RNG.standard_normal(group)], schema=schema), row_group_size=group)
        self.write(tmp_path / "small.parquet", [1.0, 2.0])
        code = """
            LabelDensity.from_batches(lambda: target_batches(sys.argv[1], "y"))
            before = peak()
            assert LabelDensity.from_batches(lambda: target_batches(sys.argv[2], "y")).n == 5_000_000
        """
        assert growth_of_peak_memory(code, tmp_path / "small.parquet", tmp_path / "t.parquet") < 25
