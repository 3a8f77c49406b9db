import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tailwise import Bins, InputError, Relevance, Shots
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

    @pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, np.nan], [[0.0, 1.0]]])
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


def test_index_refuses_nan():
    with pytest.raises(InputError, match="1 NaN"):
        Bins.count([0.0, 1.0], 2).index([np.nan])


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
