import copy
import math
import pickle
import time
import warnings

import numpy as np
import pytest
import torch

from golden import golden, load_golden
from tailwise._checks import InputError
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.density import KDE, KNN, LDS
from tailwise.labels.kde import row_bandwidth
from tailwise.labels.kernels import kernel_window, smooth
from tailwise.labels.tensors import BinIndex
from tailwise.losses.balanced_mse import BNI
from tailwise.weights.by_bins import LabelWeights, effective_number_weights, lds_weights
from tailwise.weights.by_density import DensityWeights, density_weights
from tailwise.weights.denseweight import dense_weights
from tailwise.weights.on_grid import GridWeights

RNG = np.random.default_rng(0)
AGES = Bins.from_edges(np.arange(0, 122))
EXTREME = "ignore:the weights are extreme"


def labels_2d(n=400):
    """Correlated, skewed labels of very different units."""
    rng = np.random.default_rng(1)
    a = rng.gamma(2, 2, n)
    return np.stack([a, 1000 * (0.5 * a + rng.normal(size=n))], axis=1)


def agedb():
    return next(load_golden("lds_weights_agedb")).shared["labels"]


class TestBNI:
    """Bucket centres and probabilities of Balanced MSE's numerical integration."""

    @pytest.mark.parametrize("case", golden("bucket_weights_nyud2_bni", having="bucket_centers"))
    def test_ages(self, case):
        # Their buckets are named by their age: bins centred on it.
        bins = Bins.from_edges(np.arange(case.params["max_target"] + 1) - 0.5)
        if not case.params["lds"]:
            bni = BNI(agedb(), bins)
            np.testing.assert_allclose(bni.centers, case.expected["bucket_centers"])
            np.testing.assert_allclose(bni.shares, case.expected["bucket_weights"], rtol=2e-7)
            return
        window, sigma = case.params["ks"], float(case.params["sigma"])
        lds = LDS(kernel=case.kernel, window=window, sigma=sigma, compat="reference")
        bni = BNI(agedb(), bins, density=lds)
        smoothed = lds.effective(bins.histogram(agedb()), power=1.0)
        seen = smoothed > 0
        np.testing.assert_allclose(bni.centers, bins.centers[seen])
        np.testing.assert_allclose(bni.shares, smoothed[seen] / smoothed.sum(), rtol=2e-7)
        # A defect of theirs: smoothed counts are rounded down, and buckets that come to 0 dropped.
        floored = np.floor(smoothed)
        np.testing.assert_array_equal(np.flatnonzero(floored), case.expected["bucket_centers"])
        np.testing.assert_allclose(floored[floored > 0] / floored.sum(), case.expected["bucket_weights"])

    @pytest.mark.parametrize("case", golden("bucket_weights_nyud2_bni", having="bni_bucket_weights"))
    def test_depths(self, case, monkeypatch):
        # 3.5 billion pixel labels come as counts. Depths below 0.7 m do not occur: the first seven buckets take what
        # the eighth has.
        bins = Bins.from_edges(np.arange(101) / 10)
        counts = case.shared["train_bucket_num"][7:].astype(float)
        power = {"inverse": 1.0, "sqrt_inv": 0.5}[case.params["reweight"]]
        effective = counts**power
        if case.params["lds"]:
            window, sigma = case.params["ks"], float(case.params["sigma"])
            lds = LDS(kernel=case.kernel, window=window, sigma=sigma, padding="reflect", compat="reference")
            effective = lds.effective(counts, power=power)
        monkeypatch.setattr(Bins, "histogram", lambda self, y: np.r_[[effective[0]] * 7, effective])
        bni = BNI([0.0, 1.0], bins)
        np.testing.assert_allclose(bni.centers, case.expected["bni_bucket_centers"], rtol=1e-6)
        case.close(bni.shares, "bni_bucket_weights")


class TestKnownValues:
    """The closed-form table of LDS on the train ages; its other rows are in test_golden_weights.py."""

    def test_counts_of_ages(self):
        counts = AGES.histogram(agedb())
        assert [counts[age] for age in (1, 2, 20, 35, 60, 80, 101)] == [1, 0, 101, 353, 185, 31, 1]

    def test_rounding_smoothed_counts_down(self):
        # Not what the package does: what the authors' code does to the smoothed counts, for comparison.
        y = agedb()
        lds = LDS(compat="reference")
        effective = np.floor(lds.effective(np.clip(AGES.histogram(y), 5, 1000), power=1.0))
        w = 1 / effective[y]
        w /= w.mean()
        at = [w[np.argmax(y == age)] for age in (1, 20, 35, 60, 80, 101)]
        known = (34.39699, 1.54016, 0.43787, 0.79276, 4.42247, 26.91938, 0.42729, 34.39699)
        np.testing.assert_allclose([*at, w.min(), w.max()], known, atol=5.1e-6)
        assert w.sum() ** 2 / (w**2).sum() == pytest.approx(1990.5, abs=0.051)

    def test_smoothing_whole_counts_gives_fractions(self):
        taps = np.array([0.1, 0.5, 1.0, 0.5, 0.1])
        smoothed = smooth(np.array([0, 0, 7, 3, 0, 1]), taps, padding="constant")
        np.testing.assert_allclose(smoothed, [0.7, 3.8, 8.5, 6.6, 2.7, 1.3])
        assert np.floor(smoothed).tolist() == [0, 3, 8, 6, 2, 1]  # scipy's answer to integers

    @pytest.mark.parametrize(
        ("window", "sigma", "known"),
        [
            (5, 2.0, [0.21700, 0.20525, 0.18625]),
            (9, 1.0, [0.39894, 0.24197, 0.05399, 0.00443, 0.00013]),
        ],
    )
    def test_kernels_of_sum_one(self, window, sigma, known):
        taps = kernel_window("gaussian", window=window, sigma=sigma, compat="reference")
        np.testing.assert_allclose((taps / taps.sum())[window // 2 :], known, atol=5.1e-6)


class TestExtremeWeights:
    def test_the_warning_names_the_sizes_and_the_way_out(self):
        with pytest.warns(UserWarning, match="26.597 times the mean") as caught:
            density_weights(agedb(), AGES, power=1.0, clip=(5, 1000))
        message = str(caught[0].message)
        assert "effective sample size 1,945.5 of 12,208 rows" in message
        assert all(word in message for word in ("power", "lds", "clip"))
        assert caught[0].filename == __file__

    @pytest.mark.parametrize(
        "build",
        [
            lambda y: lds_weights(y, AGES, power=1.5),
            lambda y: effective_number_weights(y, AGES, beta=0.9999),
            lambda y: density_weights(y, power=1.5, density=KDE()),
            lambda y: density_weights(y, power=2.0, density=KNN()),
        ],
    )
    def test_every_builder_warns_its_caller(self, build):
        with pytest.warns(UserWarning, match="weights are extreme") as caught:
            build(agedb())
        assert caught[0].filename == __file__

    def test_dense_weights_warn_too(self):
        y = np.repeat([1.0, 9.0], [9999, 1])
        with pytest.warns(UserWarning, match="lower alpha"):
            dense_weights(y)

    def test_moderate_weights_are_silent(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            density_weights(agedb(), AGES, power=0.5)
            # 19 times the mean, and 21.
            density_weights(np.repeat([0.5, 1.5], [1, 37]), Bins.from_edges([0, 1, 2]), power=1.0)
            with pytest.raises(UserWarning, match="extreme"):
                density_weights(np.repeat([0.5, 1.5], [1, 41]), Bins.from_edges([0, 1, 2]), power=1.0)


class TestEffectiveNumbers:
    @pytest.mark.parametrize("beta", [0.0, 0.5, 0.99, 0.9999])
    @pytest.mark.filterwarnings(EXTREME)
    def test_weights_equal_the_papers_formula(self, beta):
        y = RNG.poisson(3, 400).astype(float)
        bins = Bins.auto(y)
        raw = []
        for v in y:
            n = sum(1 for u in y if u == v)
            raw.append((1 - beta) / (1 - beta**n))
        expected = np.array(raw) / np.mean(raw)
        np.testing.assert_allclose(effective_number_weights(y, bins, beta=beta).sample_weight(y), expected, rtol=1e-6)

    @pytest.mark.filterwarnings(EXTREME)
    def test_from_uniform_to_inverse(self):
        y = RNG.poisson(3, 400).astype(float)
        assert np.allclose(effective_number_weights(y, beta=0.0).sample_weight(y), 1)
        inverse = density_weights(y, power=1.0).sample_weight(y)
        assert np.allclose(effective_number_weights(y, beta=1 - 1e-7).sample_weight(y), inverse, rtol=1e-4)

    @pytest.mark.filterwarnings(EXTREME)
    def test_smoothed_counts(self):
        y = RNG.gamma(2, 2, 400)
        bins = Bins.auto(y)
        smoothed = LDS().effective(bins.histogram(y), power=1.0)[bins.index(y)]
        raw = 0.01 / (1 - 0.99**smoothed)
        found = effective_number_weights(y, bins, beta=0.99, density=LDS()).sample_weight(y)
        np.testing.assert_allclose(found, raw / raw.mean(), rtol=1e-6)

    def test_unseen_bins_take_the_largest_weight(self):
        weights = effective_number_weights([0.5, 0.5, 2.5], Bins.from_edges([0, 1, 2, 3]), beta=0.9)
        assert weights.sample_weight([1.5]) == weights.sample_weight([2.5])


class TestGrid:
    def test_the_last_dimension_runs_fastest(self):
        grid = BinGrid((Bins.from_edges([0, 1, 2]), Bins.from_edges([0, 10, 20, 50])))
        assert (grid.n_bins, grid.shape) == (6, (2, 3))
        cells = [(i, j) for i in range(2) for j in range(3)]
        for c, (i, j) in enumerate(cells):
            center = [grid.axes[0].centers[i], grid.axes[1].centers[j]]
            assert grid.centers[c].tolist() == center
            assert grid.widths[c].tolist() == [1.0, [10.0, 10.0, 30.0][j]]
            assert grid.index([center]).tolist() == [c]
        assert grid.index(np.zeros((4, 5, 2))).shape == (4, 5)

    @pytest.mark.parametrize("k", [1, 2, 3])
    def test_numpy_and_torch_give_the_same_cell(self, k):
        y = RNG.normal(size=(500, k)) * [1, 1e3, 1e-3][:k]
        grid = BinGrid.auto(y)
        edges = np.stack([RNG.choice(axis.edges, 200) for axis in grid.axes], axis=1)
        y = np.concatenate([y, edges, 10 * y])
        index = BinIndex(grid)
        assert np.array_equal(index(torch.from_numpy(y)).numpy(), grid.index(y))
        low = copy.deepcopy(index).to(torch.bfloat16)
        assert torch.equal(low(torch.from_numpy(y)), index(torch.from_numpy(y)))
        assert index(torch.from_numpy(y).view(2, -1, k)).shape == (2, len(y) // 2)
        again = BinIndex(BinGrid(tuple(Bins.from_edges(axis.edges - 1) for axis in grid.axes)))
        again.load_state_dict(index.state_dict())
        assert torch.equal(again(torch.from_numpy(y)), index(torch.from_numpy(y)))

    def test_index_of_scalar_bins(self):
        bins = Bins.from_edges([0, 1, 5, 9])
        y = RNG.uniform(-3, 12, (3, 4, 4))
        assert np.array_equal(BinIndex(bins)(torch.from_numpy(y)).numpy(), bins.index(y))

    def test_histogram(self):
        y = labels_2d()
        grid = BinGrid.auto(y)
        expected = np.zeros(grid.shape)
        for row in y:
            expected[grid.axes[0].index(row[0]), grid.axes[1].index(row[1])] += 1
        assert np.array_equal(grid.histogram(y), expected.ravel())
        assert grid.histogram(y).sum() == len(y)

    @pytest.mark.parametrize(("n", "k", "per_axis"), [(400, 1, 20), (10_000, 2, 10), (100, 2, 4), (1_000_000, 3, 10)])
    def test_auto_has_about_a_root_of_n_cells(self, n, k, per_axis):
        y = np.random.default_rng(0).uniform(size=(n, k))
        assert BinGrid.auto(y).shape == (per_axis,) * k

    def test_auto_gives_a_few_whole_numbers_a_bin_each(self):
        y = np.stack([RNG.integers(1, 4, 900), RNG.normal(size=900)], axis=1)
        grid = BinGrid.auto(y)
        assert grid.axes[0].centers.tolist() == [1, 2, 3]
        assert grid.axes[1].n_bins == 5

    @pytest.mark.parametrize("padding", ["renormalise", "constant", "reflect", "mirror"])
    def test_smoothing_equals_plain_loops(self, padding):
        grid = BinGrid((Bins.from_edges(np.arange(6)), Bins.from_edges(np.arange(5)), Bins.from_edges(np.arange(4))))
        values = RNG.normal(size=(grid.n_bins, 2))
        taps = kernel_window("gaussian", window=3, sigma=1.0)
        cells = values.reshape(5, 4, 3, 2)
        expected = np.zeros_like(cells)

        def at(b, n):
            if padding == "reflect":
                return min(max(b, 0), n - 1)
            return {-1: 1, n: n - 2}.get(b, b) if padding == "mirror" else b

        for i, j, k in np.ndindex(5, 4, 3):
            seen = 0.0
            for a, b, c in np.ndindex(3, 3, 3):
                where = at(i + a - 1, 5), at(j + b - 1, 4), at(k + c - 1, 3)
                if all(0 <= w < n for w, n in zip(where, (5, 4, 3), strict=True)):
                    expected[i, j, k] += taps[a] * taps[b] * taps[c] * cells[where]
                    seen += taps[a] * taps[b] * taps[c]
            if padding == "renormalise":
                expected[i, j, k] /= seen
        np.testing.assert_allclose(grid.smooth(values, taps, padding=padding), expected.reshape(-1, 2), rtol=1e-10)

    def test_json_round_trip_is_exact(self):
        grid = BinGrid.auto(labels_2d())
        again = BinGrid.from_json(grid.to_json())
        assert np.array_equal(again.index(labels_2d()), grid.index(labels_2d()))

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: BinGrid.auto(np.ones((50, 4))), "use the density kde or knn"),
            (lambda: density_weights(np.ones((50, 4))), "use the density kde or knn"),
            (lambda: BinGrid((AGES,) * 4), "1 to 3"),
            (lambda: BinGrid(()), "1 to 3"),
            (lambda: BinGrid((AGES,) * 3), "1,771,561; use wider"),
            (lambda: BinGrid.auto(np.ones(50)), "use Bins.auto"),
            (lambda: BinGrid.auto(np.ones((50, 2))), "constant .* dimension 0"),
            (lambda: BinGrid.auto([[1.0, np.nan]]), "1 labels that are NaN"),
            (lambda: BinGrid((AGES, AGES)).index(np.zeros((3, 3))), "2 dimensions"),
            (lambda: BinGrid((AGES, AGES)).index(np.full((3, 2), np.nan)), "NaN"),
            (lambda: BinIndex(BinGrid((AGES, AGES)))(torch.zeros(3, 3)), "2 dimensions"),
        ],
    )
    def test_mistakes_are_named(self, call, message):
        with pytest.raises(InputError, match=message):
            call()


def weights_by_grid_loops(y, grid, power, window, sigma):
    """LDS of two-dimensional labels: the kernel's average over the cells that exist."""
    index = [tuple(int(axis.index(v)) for axis, v in zip(grid.axes, row, strict=True)) for row in y]
    raw = []
    for cell in index:
        total = share = 0.0
        for i, j in np.ndindex(*grid.shape):
            a, b = abs(i - cell[0]), abs(j - cell[1])
            if max(a, b) <= window // 2:
                k = math.exp(-(a**2 + b**2) / (2 * sigma**2))
                total += k * index.count((i, j))
                share += k
        raw.append((total / share) ** -power)
    return np.array(raw) / np.mean(raw)


@pytest.mark.filterwarnings(EXTREME)
class TestManyDimensions:
    @pytest.mark.parametrize("power", [0.5, 1.0])
    def test_smoothed_grid_equals_plain_loops(self, power):
        y = labels_2d()
        grid = BinGrid.auto(y)
        expected = weights_by_grid_loops(y, grid, power, 3, 1.0)
        found = density_weights(y, power=power, density=LDS(window=3, sigma=1.0))
        np.testing.assert_allclose(found.sample_weight(y), expected, rtol=1e-5)
        np.testing.assert_allclose(
            lds_weights(y, grid, power=power, window=3, sigma=1.0).sample_weight(y), expected, 1e-5
        )

    def test_plain_grid_gives_every_cell_the_same_total(self):
        y = labels_2d()
        grid = BinGrid.auto(y)
        w = density_weights(y, grid, power=1.0).sample_weight(y)
        totals = np.bincount(grid.index(y), weights=w, minlength=grid.n_bins)[grid.histogram(y) > 0]
        np.testing.assert_allclose(totals, len(y) / totals.size, rtol=1e-5)

    def test_one_dimension_equals_scalar_labels(self):
        y = RNG.gamma(2, 2, 300)
        bins = Bins.auto(y)
        for density in (None, LDS(), LDS(compat="reference")):
            scalar = density_weights(y, bins, density=density).sample_weight(y)
            column = density_weights(y[:, None], BinGrid((bins,)), density=density).sample_weight(y[:, None])
            np.testing.assert_allclose(column, scalar)

    def test_bins_and_labels_go_together(self):
        with pytest.raises(InputError, match="BinGrid"):
            density_weights(labels_2d(), AGES)
        with pytest.raises(InputError, match="BinGrid"):
            density_weights(labels_2d()[:, 0], BinGrid((AGES, AGES)))
        with pytest.raises(InputError, match=r"\(B, 2\)"):
            density_weights(labels_2d())(torch.zeros(3))


def kde_by_loops(y, at, h, power):
    k = len(h)

    def density(v):
        total = 0.0
        for u in y:
            total += math.exp(-sum(((v[j] - u[j]) / h[j]) ** 2 for j in range(k)) / 2)
        return total / (len(y) * math.prod(h) * (2 * math.pi) ** (k / 2))

    at_rows = [density(v) for v in y]
    mean = np.mean([p**-power for p in at_rows])
    return np.array([max(density(v), min(at_rows)) ** -power / mean for v in at])


class TestKDE:
    @pytest.mark.parametrize("power", [0.5, 1.0])
    @pytest.mark.parametrize("bandwidth", [None, 0.4])
    @pytest.mark.filterwarnings(EXTREME)
    def test_scalar_labels_equal_plain_loops(self, bandwidth, power):
        y = RNG.gamma(2, 2, 100)
        h = 1.06 * y.std() * 100**-0.2 if bandwidth is None else bandwidth
        at = np.array([*y, -100.0, 0.3, 100.0])
        expected = kde_by_loops(y[:, None], at[:, None], [h], power)
        weights = density_weights(y, power=power, density=KDE(bandwidth=bandwidth))
        assert isinstance(weights, GridWeights)
        np.testing.assert_allclose(weights.sample_weight(at), expected, rtol=2e-3)

    @pytest.mark.parametrize("power", [0.5, 1.0])
    @pytest.mark.parametrize("bandwidth", [None, 2.0])
    @pytest.mark.filterwarnings(EXTREME)
    def test_labels_of_two_dimensions_equal_plain_loops(self, bandwidth, power):
        y = labels_2d(100)
        h = y.std(axis=0) * (4 / (4 * 100)) ** (1 / 6) if bandwidth is None else np.array([bandwidth] * 2)
        if bandwidth is None:
            np.testing.assert_allclose(row_bandwidth(y), h)
        at = np.concatenate([y, [[1e6, -1e6], [3.0, 1000.0]]])
        weights = density_weights(y, power=power, density=KDE(bandwidth=bandwidth))
        assert isinstance(weights, DensityWeights)
        np.testing.assert_allclose(weights.sample_weight(at), kde_by_loops(y, at, h, power), rtol=1e-4)

    @pytest.mark.filterwarnings(EXTREME)
    def test_two_dimensional_density_is_a_density(self):
        y = RNG.normal(size=(500, 2))
        density = density_weights(y, density=KDE()).density
        axis = torch.linspace(-6, 6, 61)
        cells = torch.cartesian_prod(axis, axis)
        assert float(density(cells).exp().sum() * 0.2**2) == pytest.approx(1, abs=1e-3)

    def test_a_bandwidth_below_the_grid_is_a_histogram(self):
        y = np.repeat([0.0, 10.0, 1000.0], [50, 30, 20])
        w = density_weights(y, power=1.0, density=KDE(bandwidth=1e-4)).sample_weight([0.0, 10.0, 1000.0])
        np.testing.assert_allclose(w * [50, 30, 20], 100 / 3, rtol=0.35)


def knn_by_loops(y, at, k, power):
    n, dims = y.shape
    sd = [float(np.std(y[:, j])) for j in range(dims)]

    def distances(v):
        return sorted(math.sqrt(sum(((v[j] - u[j]) / sd[j]) ** 2 for j in range(dims))) for u in y)

    least = min(r for r in (distances(v)[k - 1] for v in y) if r > 0) / 2

    def density(v):
        d = distances(v)
        if d[k - 1] > 0:
            return k / (n * d[k - 1] ** dims)
        return sum(1 for x in d if x == 0) / (n * least**dims)

    at_rows = [density(v) for v in y]
    mean = np.mean([p**-power for p in at_rows])
    return np.array([max(density(v), min(at_rows)) ** -power / mean for v in at])


TIED = {
    "continuous": lambda: np.random.default_rng(0).gamma(2, 2, 120),
    "whole numbers": lambda: np.random.default_rng(0).poisson(3, 120).astype(float),
    "many zeros": lambda: np.maximum(np.random.default_rng(0).normal(size=120).astype(np.float32), 0).astype(float),
}


class TestKNN:
    @pytest.mark.parametrize("power", [0.5, 1.0])
    @pytest.mark.parametrize("k", [2, 5, 20, 120])
    @pytest.mark.parametrize("labels", TIED)
    @pytest.mark.filterwarnings(EXTREME)
    def test_scalar_labels_equal_plain_loops(self, labels, k, power):
        y = TIED[labels]().astype(np.float32).astype(float)
        at = np.array([*y, -50.0, 2.25, 50.0])
        expected = knn_by_loops(y[:, None], at[:, None], k, power)
        weights = density_weights(y, power=power, density=KNN(neighbours=k))
        np.testing.assert_allclose(weights.sample_weight(at), expected, rtol=1e-4)

    @pytest.mark.parametrize("ties", [False, True])
    @pytest.mark.parametrize("k", [3, 15])
    @pytest.mark.filterwarnings(EXTREME)
    def test_labels_of_two_dimensions_equal_plain_loops(self, k, ties):
        y = labels_2d(100).astype(np.float32).astype(float)
        if ties:
            y[::2] = y[0]
        at = np.concatenate([y, [[50.0, -1e5], [3.0, 1000.0]]])
        weights = density_weights(y, power=0.5, density=KNN(neighbours=k))
        np.testing.assert_allclose(weights.sample_weight(at), knn_by_loops(y, at, k, 0.5), rtol=1e-3)

    @pytest.mark.filterwarnings(EXTREME)
    def test_scalar_labels_and_one_column_agree(self):
        y = RNG.gamma(2, 2, 3000)
        scalar, column = (density_weights(v, density=KNN(references=500)) for v in (y, y[:, None]))
        np.testing.assert_allclose(column.sample_weight(y[:, None]), scalar.sample_weight(y), rtol=1e-3)

    def test_whole_numbers_are_about_the_histogram(self):
        y = np.repeat(np.arange(6.0), [100, 80, 60, 40, 30, 10])
        w = density_weights(y, power=1.0, density=KNN(neighbours=20)).sample_weight(np.arange(6.0))
        histogram = density_weights(y, power=1.0).sample_weight(np.arange(6.0))
        np.testing.assert_allclose(w[:5] / w[0], histogram[:5] / histogram[0], rtol=1e-5)
        assert w[5] > w[4]

    def test_one_neighbour_is_the_label_itself(self):
        # No distance is above 0, so only the number of equal labels counts.
        w = density_weights([1.0, 1.0, 1.0, 2.0], power=1.0, density=KNN(neighbours=1)).sample_weight([1.0, 2.0])
        np.testing.assert_allclose(w, [2 / 3, 2.0], rtol=1e-6)

    def test_more_neighbours_than_labels(self):
        with pytest.raises(InputError, match="at most the number of labels, 5; lower it"):
            density_weights([1.0, 2.0, 3.0, 4.0, 5.0], density=KNN())


RECIPES = {"histogram": None, "lds": LDS(), "kde": KDE(), "knn": KNN()}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.filterwarnings(EXTREME)
class TestEveryDensity:
    """What the contracts ask of weights, for scalar and for two-dimensional labels."""

    @pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
    def test_mean_one_over_training_rows(self, recipe, power):
        for y in (RNG.gamma(2, 2, 5000), labels_2d(5000), RNG.poisson(3, 500).astype(float)):
            weights = density_weights(y, power=power, density=RECIPES[recipe])
            w = weights.sample_weight(y)
            assert w.mean() == pytest.approx(1, rel=1e-5)
            assert w.dtype == np.float64
            assert w.shape == (len(y),)
            assert (np.ptp(w) < 1e-5) == (power == 0)

    def test_rare_weighs_more(self, recipe):
        y = np.repeat([1.5, 4.5, 8.5], [60, 30, 3])
        bins = Bins.from_edges(np.arange(11))
        w = density_weights(y, bins, density=RECIPES[recipe]).sample_weight([1.5, 4.5, 8.5])
        assert np.all(np.diff(w) > 0)
        rows = np.stack([y, -y], axis=1)
        w = density_weights(rows, BinGrid((bins, Bins.from_edges(np.arange(-11, 1)))), density=RECIPES[recipe])
        assert np.all(np.diff(w.sample_weight([[1.5, -1.5], [4.5, -4.5], [8.5, -8.5]])) > 0)

    def test_torch_and_numpy_agree(self, recipe):
        for y in (RNG.normal(5, 3, 500), labels_2d()):
            weights = density_weights(y, density=RECIPES[recipe])
            assert np.allclose(weights(torch.from_numpy(y)).numpy(), weights.sample_weight(y))
            for dtype in (torch.float64, torch.float32, torch.bfloat16):
                assert weights(torch.from_numpy(y).to(dtype)).dtype == dtype

    def test_whole_far_constant_and_dense_labels(self, recipe):
        weights = density_weights(RNG.gamma(2, 2, 500), density=RECIPES[recipe])
        whole = torch.tensor([1, 4, 8])
        assert torch.equal(weights(whole), weights(whole.float()))
        assert torch.isfinite(weights(torch.tensor([-1e30, 1e30, torch.inf, -torch.inf]))).all()
        dense = torch.rand(2, 3, 3) * 5
        dense[0, 0, 0] = torch.nan
        w = weights(dense)
        assert w.shape == dense.shape
        assert w[0, 0, 0] == 0
        assert torch.equal(w.flatten()[1:], weights(dense.flatten()[1:]))
        bins = Bins.from_edges(np.arange(11))
        constant = density_weights(np.full(50, 2.5), bins, density=RECIPES[recipe])
        assert np.allclose(constant.sample_weight([2.5]), 1)
        assert np.isfinite(constant.sample_weight([-1e9, 7.0, 1e9])).all()
        with pytest.raises(InputError, match="scalar target"):
            weights(torch.zeros(3, 2))
        rows = density_weights(labels_2d(), density=RECIPES[recipe])
        assert torch.isfinite(rows(torch.tensor([[1e30, -1e30], [1.0, 1.0]]))).all()
        for wrong in (torch.zeros(3), torch.zeros(3, 3), torch.zeros(2, 3, 3)):
            with pytest.raises(InputError, match=r"\(B, 2\)"):
                rows(wrong)

    def test_state_low_precision_pickle_and_compile(self, recipe):
        for y, other_y in ((RNG.gamma(2, 2, 500), RNG.normal(5, 1, 500)), (labels_2d(), labels_2d()[:, ::-1])):
            bins = Bins.auto(y) if y.ndim == 1 else BinGrid.auto(y)
            weights = density_weights(y, bins, density=RECIPES[recipe])
            target = torch.from_numpy(y).float()
            other = density_weights(other_y, bins, power=0.3, density=RECIPES[recipe])
            assert not torch.allclose(other(target), weights(target))
            other.load_state_dict(weights.state_dict())
            assert torch.equal(other(target), weights(target))
            assert torch.equal(pickle.loads(pickle.dumps(weights))(target), weights(target))
            low = copy.deepcopy(weights).to(torch.bfloat16)
            assert torch.allclose(low(target), weights(target), rtol=1e-2)
            assert repr(weights)

    def test_labels_that_run_backwards_or_cannot_be_written(self, recipe):
        for y in (RNG.gamma(2, 2, 500), labels_2d()):
            weights = density_weights(y, density=RECIPES[recipe])
            backwards = y[::-1]
            backwards.setflags(write=False)
            again = density_weights(backwards, density=RECIPES[recipe])
            np.testing.assert_allclose(again.sample_weight(backwards)[::-1], weights.sample_weight(y), rtol=1e-4)

    def test_labels_of_many_dimensions(self, recipe):
        y = RNG.normal(size=(300, 5))
        if RECIPES[recipe] is None or recipe == "lds":
            with pytest.raises(InputError, match="kde or knn"):
                density_weights(y, density=RECIPES[recipe])
            return
        weights = density_weights(y, density=RECIPES[recipe])
        assert weights.sample_weight(y).mean() == pytest.approx(1, rel=1e-5)
        far = np.linalg.norm(y, axis=1)
        assert np.corrcoef(far, weights.sample_weight(y))[0, 1] > 0.8

    def test_two_builds_are_equal(self, recipe):
        y = labels_2d(3000)
        one, two = (density_weights(y, density=RECIPES[recipe]).sample_weight(y) for _ in range(2))
        assert np.array_equal(one, two)


@pytest.mark.parametrize("recipe", ["kde", "knn"])
@pytest.mark.filterwarnings(EXTREME)
@pytest.mark.slow
def test_a_sample_of_references_will_do(recipe):
    y = RNG.gamma(2, 2, (6000, 2))
    sampled = density_weights(y, density=RECIPES[recipe])
    every = density_weights(y, density=type(RECIPES[recipe])(references=6000))
    assert np.corrcoef(sampled.sample_weight(y), every.sample_weight(y))[0, 1] > 0.85


@pytest.mark.slow
@pytest.mark.filterwarnings(EXTREME, "ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("recipe", RECIPES)
def test_weights_compile_without_breaks(recipe):
    for y in (RNG.gamma(2, 2, 300), labels_2d(300)):
        weights = density_weights(y, density=RECIPES[recipe])
        compiled = torch.compile(weights, fullgraph=True, backend="aot_eager")
        target = torch.from_numpy(y).float()
        assert torch.allclose(compiled(target), weights(target), rtol=1e-4)


@pytest.mark.filterwarnings(EXTREME)
def test_dense_maps_cost_little_memory_and_time():
    y = RNG.gamma(2, 2, 20_000)
    pixels = torch.from_numpy(RNG.gamma(2, 2, (4, 114, 152))).float()
    for recipe in (KDE(), KNN()):
        weights = density_weights(y, density=recipe)
        begin = time.perf_counter()
        weights(pixels)
        assert time.perf_counter() - begin < 2.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KDE(bandwidth=0.0), "bandwidth"),
        (lambda: KDE(bandwidth="scott"), "bandwidth"),
        (lambda: KDE(references=1), "references"),
        (lambda: KNN(neighbours=0), "neighbours"),
        (lambda: KNN(neighbours=30, references=20), "at most references"),
        (lambda: density_weights([1.0, 2.0], density=KDE(), clip=(5, 1000)), "KDE has none; leave it out"),
        (lambda: density_weights([1.0, 2.0], density="kde"), "density must be"),
        (lambda: density_weights([1.0, 2.0], density=KDE(), power=-1.0), "power"),
        (lambda: density_weights([1.0, np.inf], density=KDE()), "infinite"),
        (lambda: density_weights(np.zeros((2, 2, 2))), r"\(n, K\)"),
        (lambda: effective_number_weights([1.0, 2.0], beta=1.0), "below 1"),
        (lambda: effective_number_weights([1.0, 2.0], beta=-0.1), "beta"),
        (lambda: effective_number_weights([1.0, 2.0], density=KDE()), "smooth them by LDS"),
        (lambda: LabelWeights(AGES, np.ones(3)), "one weight a bin"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
