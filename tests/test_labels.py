import copy
import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tailwise import Bins, InputError, LabelDensity, Relevance, Shots
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.tensors import bin_index, edge_bits

RNG = np.random.default_rng(0)


class TestAuto:
    def test_ages_get_one_bin_a_year(self):
        bins = Bins.auto(RNG.integers(1, 102, 12_208))
        assert bins.n_bins == 101
        assert bins.centers[0] == 1
        assert bins.widths.tolist() == [1.0] * 101

    def test_counts_over_a_wide_range_get_whole_wide_bins(self):
        y = RNG.integers(1, 978, 12_000)
        bins = Bins.auto(y)
        assert set(bins.widths) == {10.0}
        assert bins.n_bins <= 100

    @pytest.mark.parametrize("unit", [1e-5, 1.0, 1e7])
    def test_continuous_labels_get_round_widths_at_any_scale(self, unit):
        y = RNG.gamma(2, 10, 4000) * unit
        bins = Bins.auto(y)
        mantissa = bins.widths.mean() / 10 ** np.floor(np.log10(bins.widths.mean()) + 1e-6)
        assert round(mantissa, 3) in (1, 2, 5)
        assert 20 <= bins.n_bins <= 64
        assert bins.histogram(y).sum() == 4000

    def test_negative_and_fractional(self):
        bins = Bins.auto(RNG.normal(-3, 0.5, 500))
        assert bins.edges[0] < -4
        assert (np.diff(bins.edges) > 0).all()

    def test_two_distinct_values(self):
        assert Bins.auto([0, 1] * 20).n_bins == 2

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            ([], "empty"),
            ([1.0, 1.0], "constant"),
            ([1.0, np.nan], "NaN or infinite"),
            ([[1.0, 2.0]], "one-dimensional"),
        ],
    )
    def test_bad_labels(self, y, message):
        with pytest.raises(InputError, match=message):
            Bins.auto(y)


class TestGivenBins:
    def test_width_aligns_edges(self):
        assert Bins.width([0.3, 1.9], 0.5).edges.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]

    def test_count(self):
        assert Bins.count([0.0, 10.0], 4).edges.tolist() == [0.0, 2.5, 5.0, 7.5, 10.0]

    @pytest.mark.parametrize("width", [0, -1, np.nan, np.inf, "1"])
    def test_bad_width(self, width):
        with pytest.raises(InputError, match="width must be a finite number above 0"):
            Bins.width([0.0, 1.0], width)

    def test_too_many_bins(self):
        with pytest.raises(InputError, match="widen"):
            Bins.width([0.0, 1e9], 1e-3)

    @pytest.mark.parametrize("n", [0, -2, 1.5])
    def test_bad_count(self, n):
        with pytest.raises(InputError, match="n_bins"):
            Bins.count([0.0, 1.0], n)

    @pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, np.nan], [0.0, 1e39], [[0.0, 1.0]]])
    def test_bad_edges(self, edges):
        with pytest.raises(InputError, match="edge"):
            Bins.from_edges(edges)

    def test_bins_finer_than_float32_are_refused(self):
        with pytest.raises(InputError, match="differ in float32"):
            Bins.from_edges([1.7e9, 1.7e9 + 1])


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32)),
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=30, unique=True),
)
def test_numpy_and_torch_give_the_same_bin(y, edges):
    bins = Bins.from_edges(np.sort(edges) / 8)
    y = np.concatenate([y, bins.edges])
    index = bins.index(y)
    assert np.array_equal(bin_index(torch.from_numpy(y), edge_bits(bins)).numpy(), index)
    assert index.min() >= 0
    assert index.max() < bins.n_bins
    inside = (y.astype(np.float32) >= bins.edges[0]) & (y.astype(np.float32) < bins.edges[-1])
    assert (bins.edges[index[inside]] <= y[inside].astype(np.float32)).all()
    assert (y[inside].astype(np.float32) < bins.edges[index[inside] + 1]).all()


def kind_of_lookup(bins):
    cells = bins._cells
    return "none" if cells is None else "bins are cells" if cells.edge is None else "cells"


def searched(bins, y):
    with np.errstate(over="ignore"):
        return np.searchsorted(bins.edges[1:-1], np.asarray(y, dtype=np.float32), side="right")


def awkward_labels(bins):
    """On every edge, next to it, within and far outside the bins."""
    edges, exact = bins.edges, bins.edges.astype(np.float64)
    beside = [np.nextafter(edges, np.float32(side * np.inf)) for side in (-1, 1)]
    far = [-0.0, 0.0, 1e-45, 3e38, -3e38, 1e300, -1e300, np.inf, -np.inf]
    return np.concatenate([exact, *beside, np.random.default_rng(0).uniform(exact[0], exact[-1], 500), far])


LOOKUPS = {
    "unit": (np.arange(122), "bins are cells"),
    "quarters": (np.arange(17) / 4, "bins are cells"),
    # -1e-45 + 2 is 2 in float32, so the label just below 0 shares its cell with 0.
    "quarters around zero": (np.arange(-8, 9) / 4, "cells"),
    "ages": (np.arange(0.5, 102), "bins are cells"),
    "tenths": (np.arange(-30, 31) / 10, "cells"),
    "two": ([0.0, 1.0, 1e9], "cells"),
    "three of any width": ([-1e9, 0.0, 1.0, 1e9], "cells"),
    "10,000": (np.linspace(-3.0, 7.7, 10_001), "cells"),
    "log-spaced": (np.geomspace(1, 100, 60), "cells"),
    "log-spaced over eight decades": (np.geomspace(1e-4, 1e4, 60), "none"),
    "one": ([0.0, 1.0], "none"),
    "widest": ([-3e38, 0.0, 1e38, 3e38], "cells"),
    "too far apart for a float32": ([-3.1e38, -3e38, 2e38, 3e38, 3.1e38], "none"),
    "two of the narrowest": ([0.0, 1e-45, 3e-45], "cells"),
    "narrowest": ([0.0, 1e-45, 3e-45, 5e-45], "none"),
    "neighbours in float32": (np.nextafter(np.float32(1), np.float32([0, 1, 2])), "cells"),
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_every_lookup_finds_what_a_search_finds(name):
    edges, kind = LOOKUPS[name]
    bins = Bins.from_edges(edges)
    assert kind_of_lookup(bins) == kind
    y = awkward_labels(bins)
    for labels in (y, np.tile(y, 200), y.reshape(2, -1) if y.size % 2 == 0 else y[1:].reshape(2, -1), y[::-1], y[::3]):
        found = bins.index(labels)
        assert found.dtype == np.int64
        assert found.shape == labels.shape
        np.testing.assert_array_equal(found, searched(bins, labels))
        np.testing.assert_array_equal(
            bins.histogram(labels), np.bincount(searched(bins, labels).ravel(), minlength=bins.n_bins)
        )
    with np.errstate(over="ignore"):
        single = y.astype(np.float32)
    np.testing.assert_array_equal(bins.index(single), searched(bins, single))
    ints = np.arange(-1000, 1000)
    np.testing.assert_array_equal(bins.index(ints), searched(bins, ints))
    for again in (Bins.from_json(json.loads(json.dumps(bins.to_json()))), pickle.loads(pickle.dumps(bins))):
        np.testing.assert_array_equal(again.index(y), bins.index(y))
    np.testing.assert_array_equal(copy.deepcopy(bins).index(y), bins.index(y))


@st.composite
def any_edges(draw):
    spacing = draw(st.sampled_from(["unequal", "equal", "log", "multiples"]))
    n = draw(st.one_of(st.integers(2, 40), st.sampled_from([1000, 10_001])))
    scale = 10.0 ** draw(st.integers(-30, 28))  # float32 ends at 3.4e38, and edges reach 1e10
    start, span = draw(st.floats(-10, 10)), draw(st.floats(0.1, 20))
    if spacing == "log":
        edges = np.geomspace(1, 10 ** (span / 2), n)
    elif spacing == "unequal":
        edges = start + np.cumsum(np.random.default_rng(draw(st.integers(0, 99))).random(n) ** draw(st.integers(1, 4)))
    elif spacing == "equal":
        edges = np.linspace(start, start + span, n)
    else:
        edges = (draw(st.integers(-99, 99)) + np.arange(n)) * draw(st.sampled_from([0.1, 0.5, 1, 2, 5, 7]))
    return np.unique((edges * scale).astype(np.float32))


@settings(deadline=None)
@given(any_edges().filter(lambda edges: edges.size > 1))
def test_index_equals_a_search_for_any_edges(edges):
    bins = Bins.from_edges(edges)
    y = awkward_labels(bins)
    np.testing.assert_array_equal(bins.index(y), searched(bins, y))


def test_index_refuses_nan():
    with pytest.raises(InputError, match="1 NaN"):
        Bins.count([0.0, 1.0], 2).index([np.nan])
    with pytest.raises(InputError, match="3 NaN"):
        Bins.count([0.0, 1.0], 2).histogram(np.r_[np.nan, np.zeros(100_000), np.nan, np.nan])


def test_json_round_trip_is_exact():
    y = RNG.gamma(2, 3, 300)
    shots = Shots.from_labels(y, Bins.auto(y))
    again = Shots.from_json(json.loads(json.dumps(shots.to_json())))
    assert np.array_equal(again.bins.edges, shots.bins.edges)
    assert np.array_equal(again.codes(y), shots.codes(y))


class TestShots:
    def test_thresholds_scale_with_the_rows(self):
        bins = Bins.from_edges(np.arange(101))
        shots = Shots.from_labels(np.arange(12_208) % 100, bins)
        assert (shots.many, shots.few) == (100, 20)
        shots = Shots.from_labels(np.arange(122_080) % 100, bins)
        assert (shots.many, shots.few) == (1000, 200)

    def test_small_tables_keep_ten_and_two(self):
        shots = Shots.from_labels([0.5] * 300 + [1.5] * 5 + [2.5], Bins.from_edges([0, 1, 2, 3, 4]))
        assert (shots.many, shots.few) == (10, 2)
        assert shots.names([0.5, 1.5, 2.5, 3.5]).tolist() == ["many", "medium", "few", "zero"]

    def test_explicit_thresholds_win(self):
        shots = Shots.from_labels([0.5] * 300, Bins.from_edges([0, 1]), many=400, few=350)
        assert shots.names([0.5]).tolist() == ["few"]

    def test_a_density_takes_the_place_of_the_labels(self):
        y = RNG.gamma(2, 3, 3000)
        bins = Bins.count(y, 12)
        one, other = Shots.from_labels(y, bins), Shots.from_labels(LabelDensity(bins).partial_fit(y))
        assert one.to_json() == other.to_json()
        assert one.to_json() == Shots.from_labels(LabelDensity(bins).partial_fit(y), bins).to_json()
        with pytest.raises(InputError, match="was counted in Bins"):
            Shots.from_labels(LabelDensity(bins).partial_fit(y), Bins.count(y, 11))
        grid, pairs = BinGrid((bins, bins)), np.stack([y, y[::-1]], axis=1)
        of_cells = Shots.from_labels(pairs, grid)
        assert of_cells.to_json() == Shots.from_labels(LabelDensity(grid).partial_fit(pairs)).to_json()

    def test_thresholds_must_be_ordered(self):
        with pytest.raises(InputError, match="few <= many"):
            Shots.from_labels([0.5], Bins.from_edges([0, 1]), many=1, few=2)


class TestRelevance:
    def test_extremes_on_both_sides(self):
        y = np.concatenate([RNG.normal(size=500), [-20.0, 30.0]])
        phi = Relevance.extremes(y)
        assert phi(np.median(y)) == 0
        assert phi(-20.0) == pytest.approx(1)
        assert phi(30.0) == pytest.approx(1)

    def test_one_sided(self):
        phi = Relevance.extremes(np.concatenate([np.linspace(0, 1, 100), [9.0]]))
        assert phi(0.0) == 0
        assert phi(9.0) == pytest.approx(1)

    def test_no_extremes_means_no_relevance(self):
        assert Relevance.extremes(np.linspace(0, 1, 100)) is None

    def test_monotone_towards_the_extreme(self):
        phi = Relevance.extremes(np.concatenate([RNG.exponential(size=1000)]))
        values = phi(np.linspace(0, 20, 500))
        assert (np.diff(values[np.linspace(0, 20, 500) > 1]) >= -1e-12).all()
        assert values.min() >= 0
        assert values.max() <= 1
