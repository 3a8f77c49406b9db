import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score

from tailwise import InputError, Relevance
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.labels.density_relevance import DensityRelevance
from tailwise.sampling import (
    SMOGN,
    SMOTER,
    WERCS,
    DensityResampler,
    GaussianNoise,
    GeometricSMOTE,
    RandomOverSampler,
    RandomUnderSampler,
)
from tailwise.sampling import neighbours as neighbours_module
from tailwise.sampling.geometric import ball_points
from tailwise.sampling.mixed_table import SyntheticRows, read_table, take_labels
from tailwise.sampling.neighbours import Metric, between, nearest, safe_distances
from tailwise.sampling.noise import noisy_rows
from tailwise.sampling.pools import find_bumps, multipliers, relevance_of, wanted_rows
from tailwise.sampling.smoter import rows_between

PHI = [(-2.0, 1.0), (-1.0, 0.0), (1.0, 0.0), (2.0, 1.0)]
SYNTHETIC = [SMOTER, SMOGN, GaussianNoise, GeometricSMOTE]
BY_BUMP = [*SYNTHETIC, RandomOverSampler, RandomUnderSampler]
TO_DENSITY = [partial(DensityResampler, by=by) for by in ("distance", "ratio")]
EVERY = [*BY_BUMP, WERCS, partial(RandomOverSampler, by="bins"), *TO_DENSITY]


def numeric(n=400, p=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.array([1.0, 10.0, 0.1])[:p]
    return X, X[:, 0] + 0.5 * rng.normal(size=n)


def mixed(n=300, seed=0):
    rng = np.random.default_rng(seed)
    y = pd.Series(rng.normal(size=n), name="price", index=np.arange(n) * 3 + 7)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n) + y.to_numpy(),
            "single": rng.normal(size=n).astype(np.float32),
            "rooms": rng.integers(0, 9, n),
            "floor": rng.integers(0, 200, n).astype(np.uint8),
            "some": pd.array(rng.integers(0, 5, n), dtype="Int16"),
            "kind": pd.Categorical(rng.choice(["a", "b", "c"], n), categories=["c", "b", "a", "never"], ordered=True),
            "town": rng.choice(["Ulm", "Bonn"], n),
            "anything": pd.Series(rng.choice(["x", "y"], n), dtype=object),
            "new": rng.random(n) < 0.3,
            "same": 4.25,
        }
    )
    return frame.set_index(y.index), y


def is_by_bins(cls):
    return isinstance(cls, partial)


def made_with(cls, seed=0, **params):
    if is_by_bins(cls):
        return cls(random_state=seed, **params)
    return cls(random_state=seed, relevance=params.pop("relevance", PHI), **params)


def bumps_of(y, relevance=PHI, threshold=0.8):
    return find_bumps(y, relevance_of(y, relevance, "both"), threshold)


# -- bumps and factors


def test_bumps_are_maximal_runs_of_rare_and_common_targets():
    y = np.array([0.0, -3.0, 3.0, 0.5, -2.5, 9.0, -0.5])
    bumps = bumps_of(y)
    assert [(bump.rows.tolist(), bump.rare) for bump in bumps] == [([1, 4], True), ([0, 3, 6], False), ([2, 5], True)]
    assert [(bump.low, bump.high) for bump in bumps] == [(-3.0, -2.5), (-0.5, 0.5), (3.0, 9.0)]


def test_the_threshold_itself_is_rare():
    bumps = find_bumps(np.arange(4.0), np.array([0.0, 0.79, 0.8, 0.81]), 0.8)
    assert [(bump.rows.tolist(), bump.rare) for bump in bumps] == [([0, 1], False), ([2, 3], True)]
    assert find_bumps(np.arange(2.0), np.array([0.8, 0.8]), 0.8)[0].rare


def test_multipliers_equal_the_formula_as_loops():
    y = np.r_[np.full(3, -3.0), np.zeros(80), np.full(7, 3.0)]
    bumps, sizes = bumps_of(y), [3, 80, 7]
    even = sum(sizes) / len(sizes)
    np.testing.assert_allclose(multipliers(bumps, "balance"), [even / size for size in sizes])
    objective = [even**2 / size for size in sizes]
    scaled = [value * len(sizes) * even / sum(objective) for value in objective]
    np.testing.assert_allclose(multipliers(bumps, "extreme"), [v / s for v, s in zip(scaled, sizes, strict=True)])
    assert wanted_rows(bumps, "balance") == [30, 30, 30]
    assert wanted_rows(bumps, "balance", under=False) == [30, 80, 30]
    assert wanted_rows(bumps, "balance", over=False) == [3, 30, 7]
    assert wanted_rows(bumps, "extreme") == [61, 2, 26]
    assert wanted_rows(bumps, [4.0, 0.5, 1.0]) == [12, 40, 7]


def test_a_rare_bump_never_shrinks_and_a_common_one_never_grows_or_vanishes():
    y = np.r_[np.full(90, 3.0), np.zeros(10)]
    assert wanted_rows(bumps_of(y), "balance") == [10, 90]
    assert wanted_rows(bumps_of(y), [1e-6, 1.0]) == [1, 90]


@pytest.mark.parametrize("cls", BY_BUMP)
@pytest.mark.parametrize("strategy", ["balance", "extreme", [3.5, 0.25, 1.0]])
def test_rows_of_each_bump_are_those_wanted(cls, strategy):
    X, y = numeric()
    over, under = cls is not RandomUnderSampler, cls is not RandomOverSampler
    if not isinstance(strategy, str):
        strategy = [share if (over and share > 1) or (under and share < 1) else 1.0 for share in strategy]
    wanted = wanted_rows(bumps_of(y), strategy, over=over, under=under)
    sampler = made_with(cls, strategy=strategy)
    new_X, new_y = sampler.fit_resample(X, y)
    source = sampler.sample_indices_
    assert [int(np.isin(source, bump.rows).sum()) for bump in bumps_of(y)] == wanted
    assert len(new_X) == len(new_y) == sum(wanted)
    rare = np.concatenate([bump.rows for bump in bumps_of(y) if bump.rare])
    assert np.isin(rare, source[~sampler.synthetic_]).all()
    for bump in bumps_of(y):
        times = np.bincount(source, minlength=len(y))[bump.rows]
        assert bump.rare or times.max() == 1
        assert cls is RandomOverSampler or np.ptp(times) <= 1


@pytest.mark.parametrize("cls", SYNTHETIC)
def test_common_rows_all_stay_without_under_sampling(cls):
    X, y = numeric()
    sampler = made_with(cls, under_sample=False)
    new_X, new_y = sampler.fit_resample(X, y)
    np.testing.assert_array_equal(new_X[: len(X)], X)
    np.testing.assert_array_equal(new_y[: len(y)], y)
    assert sampler.synthetic_[len(X) :].all()
    assert len(new_X) > len(X)


def test_the_automatic_relevance_serves_the_ends_asked_for():
    X, y = numeric(2000)
    rare = Relevance.extremes(y, which="low")(y) >= 0.8
    assert 0 < rare.sum() < 100
    for which, low in (("low", True), ("high", False)):
        sampler = SMOTER(which=which, random_state=0)
        sampler.fit_resample(X, y)
        assert ((y[sampler.sample_indices_[sampler.synthetic_]] < 0) == low).all()


def test_relevance_may_be_a_function_or_an_object():
    X, y = numeric()
    one = RandomOverSampler(relevance=Relevance.from_points(PHI), random_state=0).fit_resample(X, y)[1]
    other = RandomOverSampler(relevance=lambda y: np.abs(y) > 1.71, random_state=0).fit_resample(X, y)[1]
    np.testing.assert_array_equal(one, RandomOverSampler(relevance=PHI, random_state=0).fit_resample(X, y)[1])
    assert (np.abs(other[len(y) :]) > 1.71).all()


def test_the_default_threshold_takes_a_third_of_the_labels_that_a_half_would():
    y = np.random.default_rng(0).normal(size=20_000)
    phi = relevance_of(y, None, "both")
    assert (phi >= SMOTER().threshold).mean() == pytest.approx(0.06, abs=0.01)
    assert (phi >= 0.5).mean() == pytest.approx(0.18, abs=0.01)


# -- distances and neighbours


def plain_heom(frame, i, j):
    total = 0.0
    for name in frame.columns:
        a, b = frame[name].iloc[i], frame[name].iloc[j]
        if frame[name].dtype.kind in "iuf":
            spread = float(frame[name].max()) - float(frame[name].min())
            total += ((float(a) - float(b)) / spread) ** 2 if spread else 0.0
        else:
            total += float(a != b)
    return np.sqrt(total)


def plain_hvdm(frame, y, i, j):
    cuts = np.quantile(y, [0.2, 0.4, 0.6, 0.8])
    fifth = [sum(value >= cut for cut in cuts) for value in y]
    total = 0.0
    for name in frame.columns:
        values = list(frame[name])
        if frame[name].dtype.kind in "iuf":
            sd = np.std(np.asarray(values, dtype=float))
            total += ((float(values[i]) - float(values[j])) / (4 * sd)) ** 2 if sd else 0.0
            continue
        for c in range(5):
            share = [
                sum(v == values[r] and f == c for v, f in zip(values, fifth, strict=True)) / values.count(values[r])
                for r in (i, j)
            ]
            total += (share[0] - share[1]) ** 2
    return np.sqrt(total)


@pytest.mark.parametrize("name", ["heom", "hvdm"])
def test_encoded_rows_have_the_distances_of_the_formula(name):
    frame, y = mixed(60)
    y = y.to_numpy()
    table = read_table(frame)
    metric = Metric.of(name, table, y)
    encoded = metric.encode(table.numbers, table.codes)
    for i, j in [(0, 1), (2, 9), (17, 17), (30, 59), (44, 3)]:
        plain = plain_heom(frame, i, j) if name == "heom" else plain_hvdm(frame, y, i, j)
        np.testing.assert_allclose(np.linalg.norm(encoded[i] - encoded[j]), plain, rtol=1e-9, atol=1e-12)


def test_euclidean_distances_are_those_of_the_columns():
    X, y = numeric(50)
    table = read_table(X)
    encoded = Metric.of("euclidean", table, y).encode(table.numbers, table.codes)
    np.testing.assert_allclose(np.linalg.norm(encoded[3] - encoded[8]), np.linalg.norm(X[3] - X[8]))


@pytest.mark.parametrize("columns", [2, 12])
def test_neighbours_are_the_nearest_of_the_other_rows(columns):
    Z = np.random.default_rng(0).normal(size=(60, columns))
    near = nearest(Z, 4)
    for i in range(60):
        apart = sorted((np.linalg.norm(Z[i] - Z[j]), j) for j in range(60) if j != i)
        assert set(near[i]) == {j for _, j in apart[:4]}


def test_neighbours_differ_from_a_row_and_from_each_other():
    Z = np.array([[0.0], [0.0], [-0.0], [1.0], [1.0], [3.0]])
    near = nearest(Z, 2)
    for i, row in enumerate(near):
        assert len({float(Z[i, 0]), *Z[row, 0].tolist()}) == 3
    assert nearest(np.zeros((4, 2)), 2) is None


def true_share(Z, k=5, n_numeric=None):
    apart = np.linalg.norm(Z[:, None] - Z, axis=2)
    np.fill_diagonal(apart, np.inf)
    true = np.argsort(apart, axis=1)[:, :k]
    found = nearest(Z, k, n_numeric)
    assert not (found == np.arange(len(Z))[:, None]).any()
    assert (np.diff(np.sort(found, axis=1), axis=1) > 0).all()
    return np.mean([len(set(one) & set(other)) / k for one, other in zip(true, found, strict=True)])


def encoded_mixed(n=900):
    rng = np.random.default_rng(1)
    columns = {f"x{i}": rng.normal(size=n) for i in range(5)} | {f"c{i}": rng.choice(list("abcd"), n) for i in range(3)}
    table = read_table(pd.DataFrame(columns))
    return Metric.of("heom", table, columns["x0"]).encode(table.numbers, table.codes)


def test_neighbours_of_eight_thousand_mixed_rows_are_exact():
    Z = encoded_mixed(8_000)
    near = nearest(Z, 5, 5)
    for i in range(0, 8_000, 400):
        apart = np.linalg.norm(Z - Z[i], axis=1)
        apart[i] = np.inf
        assert set(near[i]) == set(np.argsort(apart)[:5])


def test_most_of_the_true_neighbours_are_found_beyond_the_exact_limit(monkeypatch):
    rng = np.random.default_rng(1)
    low = rng.normal(size=(900, 2))
    many = np.c_[low[:, :1], low[:, 1:], low.sum(axis=1), rng.normal(size=(900, 6)) * 0.1]
    two_values = np.c_[rng.integers(0, 2, 900), rng.normal(size=(900, 8)) * 0.3]
    tables = [(many, 9), (encoded_mixed(), 5), (two_values, 9)]
    assert [true_share(Z, n_numeric=q) for Z, q in tables] == [1.0, 1.0, 1.0]
    monkeypatch.setattr(neighbours_module, "_EXACT_ROWS", 800)
    shares = [true_share(Z, n_numeric=q) for Z, q in tables]
    assert all(least < share < 1 for least, share in zip((0.98, 0.55, 0.85), shares, strict=True)), shares


def test_a_tree_is_exact_in_few_columns(monkeypatch):
    monkeypatch.setattr(neighbours_module, "_EXACT_ROWS", 100)
    assert true_share(np.random.default_rng(0).normal(size=(900, 7))) == 1.0


def test_rows_are_never_halved_along_nominal_columns(monkeypatch):
    monkeypatch.setattr(neighbours_module, "_EXACT_ROWS", 100)
    codes = np.array([[a, b, c] for a in range(8) for b in range(8) for c in range(8)])
    Z = np.hstack([np.eye(8)[codes[:, i]] for i in range(3)])
    near = nearest(Z, 5, 0)
    assert not (near == np.arange(512)[:, None]).any()
    # Each half has rows of every value: were it cut along one, all neighbours of a row would share its value there.
    assert all(
        (codes[near, i] != codes[:, None, i]).any() and (codes[near, i] == codes[:, None, i]).any() for i in range(3)
    )
    Z = np.c_[np.arange(512.0), Z]  # with a column of numbers, rows are halved along it
    given, parts = [], neighbours_module._parts
    monkeypatch.setattr(
        neighbours_module, "_parts", lambda numbers, most: given.append(numbers) or parts(numbers, most)
    )
    nearest(Z, 5, 1)
    np.testing.assert_array_equal(np.sort(given[0], axis=0), Z[:, :1])
    assert all(np.ptp(given[0][part]) == part.size - 1 < 50 for part, _ in parts(given[0], 50))


def test_memory_is_bounded_for_columns_of_many_categories():
    rng = np.random.default_rng(0)
    n = 60_000
    code = np.r_[np.arange(50_000), np.full(10_000, 7)]
    frame = pd.DataFrame({"x": rng.normal(size=n), "zip": pd.Categorical(code)})
    y = np.where(np.arange(n) % 50 == 0, 3.0 + rng.random(n), 0.0)
    table = read_table(frame)
    metric = Metric.of("heom", table, y)
    assert metric.points[0].shape == (256, 256)
    few = np.array([7, 8, 40_000, 40_001, 7])
    Z = metric.encode(np.zeros((5, 1)), few[:, None])
    assert Z.shape == (5, 257)
    apart = np.linalg.norm(Z[:, None] - Z, axis=2)
    np.testing.assert_allclose(apart[0], [0, 1, 1, 1, 0])  # the commonest value of the table, told from others
    np.testing.assert_allclose(apart[2], [1, 1, 0, 0, 1])  # two of those taken as one
    for cls in SYNTHETIC:
        sampler = made_with(cls, relevance=[(0, 0), (3, 1)], strategy=[0.01, 2.0])
        new = sampler.fit_resample(frame, y)[0][sampler.synthetic_]
        assert set(new["zip"]) <= set(frame["zip"][y >= 3])
        assert new["zip"].nunique() > 300


@pytest.mark.parametrize("m", [2, 3, 8, 41])
def test_safe_distances_are_half_the_median_to_the_others(m):
    Z = np.random.default_rng(m).normal(size=(m, 3))
    plain = [np.median([np.linalg.norm(Z[i] - Z[j]) for j in range(m) if j != i]) / 2 for i in range(m)]
    np.testing.assert_allclose(safe_distances(Z, np.random.default_rng(0)), plain)


def test_safe_distances_of_many_rows_are_estimated():
    Z = np.random.default_rng(0).normal(size=(1500, 4))
    exact = [np.median(np.delete(np.linalg.norm(Z - row, axis=1), i)) / 2 for i, row in enumerate(Z)]
    np.testing.assert_allclose(safe_distances(Z, np.random.default_rng(0)), exact, rtol=0.1)


def test_the_target_between_two_rows_is_their_distance_weighted_mean():
    first, second = np.array([10.0, 10.0, 10.0]), np.array([20.0, 20.0, 20.0])
    mixed_targets = between((first, second), (np.array([1.0, 0.0, 0.0]), np.array([3.0, 2.0, 0.0])))
    np.testing.assert_allclose(mixed_targets, [(3 * 10 + 1 * 20) / 4, 10.0, 15.0])


# -- the methods


def test_smoter_lies_on_the_segment_to_one_of_the_k_nearest_and_so_does_its_target():
    X, y = numeric(150)
    sampler = SMOTER(k=3, relevance=PHI, distance="euclidean", random_state=1)
    new_X, new_y = sampler.fit_resample(X, y)
    made, base = new_X[sampler.synthetic_], sampler.sample_indices_[sampler.synthetic_]
    assert len(made) > 50
    bump_of = {row: bump.rows for bump in bumps_of(y) for row in bump.rows}
    for row, target, i in zip(made, new_y[sampler.synthetic_], base, strict=True):
        others = sorted((np.linalg.norm(X[i] - X[j]), j) for j in bump_of[i] if j != i)[:3]
        fits = []
        for apart, j in others:
            to_base, to_other = np.linalg.norm(row - X[i]), np.linalg.norm(row - X[j])
            on_segment = abs(to_base + to_other - apart) < 1e-9 * apart
            mean = (to_other * y[i] + to_base * y[j]) / (to_base + to_other)
            fits.append(on_segment and abs(target - mean) < 1e-9 and min(y[i], y[j]) <= target <= max(y[i], y[j]))
        assert any(fits)


def in_hull(point, corners):
    ones = np.ones(len(corners))
    return linprog(0 * ones, A_eq=np.vstack([corners.T, ones]), b_eq=np.r_[point, 1.0], method="highs").success


def test_smoter_stays_in_the_convex_hull_on_segments_but_not_in_boxes():
    rng = np.random.default_rng(0)
    u = rng.random(12)
    X = np.r_[np.c_[u, u], rng.random((200, 2))]
    y = np.r_[np.full(12, 3.0) + u, np.zeros(200)]
    corners = X[:12]
    outside = {}
    for along in ("segment", "box"):
        sampler = SMOTER(along=along, relevance=PHI, strategy="balance", random_state=0)
        made = sampler.fit_resample(X, y)[0][sampler.synthetic_]
        outside[along] = sum(not in_hull(point, corners) for point in made)
        assert (made >= corners.min(axis=0)).all()
        assert (made <= corners.max(axis=0)).all()
    assert outside["segment"] == 0
    assert outside["box"] > 20


def test_the_target_uses_the_distance_over_all_columns_nominal_ones_too():
    frame = pd.DataFrame({"a": [0.0, 4.0], "b": [0.0, 2.0], "kind": ["x", "y"]})
    y = np.array([1.0, 2.0])
    table = read_table(frame)
    metric = Metric.of("heom", table, y)
    base, other = np.zeros(500, dtype=int), np.ones(500, dtype=int)
    made = rows_between(table, y, base, other, metric, np.random.default_rng(0), "box")
    for (a, b), cell, target in zip(made.numbers, made.cells[:, 0], made.labels, strict=True):
        to_base = np.sqrt((a / 4) ** 2 + (b / 2) ** 2 + (cell != 0))
        to_other = np.sqrt((1 - a / 4) ** 2 + (1 - b / 2) ** 2 + (cell != 1))
        assert target == pytest.approx((to_other * 1.0 + to_base * 2.0) / (to_base + to_other))
    assert 200 < (made.cells == 0).sum() < 300


def test_noise_has_the_standard_deviation_of_its_bump():
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(3000, 2)) * [1.0, 50.0], rng.normal(size=(40, 2)) * [0.1, 7.0]]
    y = np.r_[rng.uniform(-0.5, 0.5, 3000), rng.uniform(3.0, 4.0, 40)]
    sampler = GaussianNoise(noise=0.3, relevance=PHI, random_state=0)
    new_X, new_y = sampler.fit_resample(X, y)
    base, made = sampler.sample_indices_[sampler.synthetic_], sampler.synthetic_
    moved = new_X[made] - X[base]
    np.testing.assert_allclose(moved.std(axis=0), 0.3 * X[3000:].std(axis=0, ddof=1), rtol=0.08)
    np.testing.assert_allclose(moved.mean(axis=0) / moved.std(axis=0), 0.0, atol=0.1)
    inner = y[base] < 3.6  # far from the end of the range, where targets are cut off
    np.testing.assert_allclose((new_y[made] - y[base])[inner].std(), 0.3 * y[3000:].std(ddof=1), rtol=0.08)
    assert new_y.max() == y.max()


def test_nominal_values_of_noise_are_drawn_by_their_frequency_in_the_bump():
    rng = np.random.default_rng(0)
    kind = np.r_[np.full(500, "common"), np.full(30, "a"), np.full(10, "b")]
    frame = pd.DataFrame({"x": rng.normal(size=540), "kind": kind})
    y = np.r_[np.zeros(500), np.full(40, 3.0)]
    sampler = GaussianNoise(relevance=PHI, random_state=0)
    made = sampler.fit_resample(frame, y)[0][sampler.synthetic_]
    shares = made["kind"].value_counts(normalize=True)
    assert set(shares.index) == {"a", "b"}
    assert shares["a"] == pytest.approx(0.75, abs=0.1)


def test_noisy_rows_take_a_noise_for_each_row():
    X, y = numeric(500)
    table, pool = read_table(X), np.arange(500)
    base = np.zeros(4000, dtype=int)
    scale = np.r_[np.zeros(2000), np.full(2000, 0.5)]
    made = noisy_rows(table, y, pool, pool, base, scale, np.random.default_rng(0))
    np.testing.assert_array_equal(made.numbers[:2000], X[base[:2000]])
    np.testing.assert_allclose(made.numbers[2000:].std(axis=0), 0.5 * X.std(axis=0, ddof=1), rtol=0.06)


def test_nominal_values_of_noise_do_not_depend_on_the_base_row():
    frame = pd.DataFrame({"x": np.arange(40.0), "kind": np.r_[np.full(30, "a"), np.full(10, "b")]})
    table, pool = read_table(frame), np.arange(40)
    base = np.repeat([0, 39], 2000)  # an "a" and a "b"
    made = noisy_rows(table, frame["x"].to_numpy(), pool, pool, base, 0.1, np.random.default_rng(0))
    is_a = made.cells[:, 0] < 30
    assert is_a[:2000].mean() == pytest.approx(0.75, abs=0.04)
    assert is_a[2000:].mean() == pytest.approx(0.75, abs=0.04)


def test_smogn_adds_noise_of_the_safe_distance_where_this_is_less():
    rng = np.random.default_rng(0)
    rare = rng.normal(size=(60, 2)) * 1e-3
    X = np.r_[rare, rng.uniform(-1, 1, size=(600, 2))]  # the bump is tiny beside the range of the table
    y = np.r_[rng.uniform(3.0, 4.0, 60), np.zeros(600)]
    sampler = SMOGN(k=59, noise=0.5, distance="heom", relevance=PHI, random_state=0)
    new_X, _ = sampler.fit_resample(X, y)
    made, base = new_X[sampler.synthetic_], sampler.sample_indices_[sampler.synthetic_]
    Z = rare / np.ptp(X, axis=0)
    safe = np.array([np.median(np.delete(np.linalg.norm(Z - row, axis=1), i)) / 2 for i, row in enumerate(Z)])
    assert safe.max() < 0.01
    moved = np.abs(made - X[base]) / rare.std(axis=0, ddof=1)
    # Interpolated rows move by parts of a standard deviation, noisy ones by those of the safe distance only.
    noisy = (moved < 5 * safe[base][:, None]).all(axis=1)
    assert noisy.mean() > 0.4
    spread = ((made - X[base]) / rare.std(axis=0, ddof=1) / safe[base][:, None])[noisy].std()
    assert spread == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("cls", [GaussianNoise, SMOGN])
def test_rare_rows_of_equal_numbers_get_the_noise_of_all_rows(cls):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=100), "kind": ["z"] * 96 + ["a", "b", "c", "d"]})
    frame.loc[96:, "x"] = 5.0
    y = np.r_[np.zeros(96), 3.0, 3.1, 3.2, 3.3]
    sampler = made_with(cls, **({"k": 2} if cls is SMOGN else {}))
    with pytest.warns(UserWarning, match="equal numbers in all its rows"):
        new = sampler.fit_resample(frame, y)[0][sampler.synthetic_]
    assert not new["x"].duplicated().any()
    assert set(new["kind"]) == {"a", "b", "c", "d"}


def test_wercs_with_noise_and_one_relevant_row_uses_the_spread_of_all_rows():
    X, _ = numeric(60)
    y = np.r_[np.zeros(59), 3.0]
    for over in (0.5, 1 / 60):
        sampler = WERCS(noise=0.1, over=over, relevance=PHI, random_state=0)
        made = sampler.fit_resample(X, y)[0][sampler.synthetic_]
        assert len(np.unique(made, axis=0)) == len(made) == round(60 * over)
        assert not (made == X[59]).any()


@pytest.mark.parametrize("distance", ["euclidean", "heom"])
def test_smogn_interpolates_within_the_safe_distance_and_adds_noise_beyond(distance):
    rng = np.random.default_rng(3)
    rare = np.r_[rng.normal(size=(12, 2)) * 0.2, rng.normal(size=(12, 2)) * 0.2 + 6, [[40.0, -40.0], [3.0, 90.0]]]
    X = np.r_[rare, rng.normal(size=(300, 2))]
    y = np.r_[rng.uniform(2.5, 6.0, len(rare)), rng.uniform(-0.9, 0.9, 300)]
    m, k, noise = len(rare), 3, 0.02
    scale = np.ones(2) if distance == "euclidean" else X.max(axis=0) - X.min(axis=0)
    sd, sd_y = rare.std(axis=0, ddof=1), y[:m].std(ddof=1)
    sampler = SMOGN(k=k, noise=noise, distance=distance, relevance=PHI, random_state=0)
    new_X, new_y = sampler.fit_resample(X, y)
    kinds = {i: set() for i in range(m)}
    for row, target, i in zip(
        new_X[sampler.synthetic_], new_y[sampler.synthetic_], sampler.sample_indices_[sampler.synthetic_], strict=True
    ):
        apart = [np.linalg.norm((X[i] - X[j]) / scale) for j in range(m)]
        safe = np.median([apart[j] for j in range(m) if j != i]) / 2
        candidates = sorted(range(m), key=lambda j: (j == i, apart[j]))[:k]
        segments = []
        for j in candidates:
            to_base, to_other = np.linalg.norm((row - X[i]) / scale), np.linalg.norm((row - X[j]) / scale)
            if abs(to_base + to_other - apart[j]) < 1e-9:
                segments.append(j)
                assert apart[j] < safe
                assert target == pytest.approx((to_other * y[i] + to_base * y[j]) / (to_base + to_other))
        if segments:
            kinds[i].add("between")
            continue
        kinds[i].add("noise")
        assert max(apart[j] for j in candidates) >= safe
        assert (np.abs(row - X[i]) < 5 * min(safe, noise) * sd).all()
        assert y.min() <= target <= y.max()
        assert abs(target - y[i]) < 5 * min(safe, noise) * sd_y
    for i in range(m):
        apart = sorted(np.linalg.norm((X[i] - X[j]) / scale) for j in range(m) if j != i)
        safe = np.median(apart) / 2
        expected = {"between" if distance < safe else "noise" for distance in apart[:k]}
        assert kinds[i] <= expected
    assert kinds[24] == kinds[25] == {"noise"}
    assert all("between" in kinds[i] for i in range(5))


def test_wercs_draws_by_relevance():
    n = 40
    y = np.linspace(0.0, 1.0, n)
    X = np.arange(float(n)).reshape(-1, 1)
    phi = lambda y: y * 0.9 + 0.05  # noqa: E731
    added, kept = np.zeros(n), np.zeros(n)
    for seed in range(600):
        sampler = WERCS(over=1.0, under=0.1, relevance=phi, random_state=seed)
        new_X, _ = sampler.fit_resample(X, y)
        assert len(new_X) == n + 40 - 4
        assert not sampler.synthetic_.any()
        np.testing.assert_array_equal(new_X[:, 0], sampler.sample_indices_)
        kept[sampler.sample_indices_[:36]] += 1
        added += np.bincount(sampler.sample_indices_[36:], minlength=n)
    chance = phi(y) / phi(y).sum()
    np.testing.assert_allclose(added / added.sum(), chance, atol=4 * np.sqrt(chance.max() / added.sum()))
    removed = 1 - kept / 600
    assert np.corrcoef(removed, 1 - phi(y))[0, 1] > 0.95
    assert removed.sum() == pytest.approx(4)


def test_wercs_leaves_no_relevant_row_out_and_keeps_one():
    X, y = numeric()
    sampler = WERCS(over=0.0, under=1.0, relevance=PHI, random_state=0)
    assert set(sampler.fit_resample(X, y)[1]) == set(y[relevance_of(y, PHI, "both") == 1])
    assert len(WERCS(over=0.0, under=1.0, relevance=lambda y: 0 * y + 0.5).fit_resample(X, y)[1]) == 1


def test_wercs_adds_noise_on_request():
    X, y = numeric()
    sampler = WERCS(noise=0.05, relevance=PHI, random_state=0)
    new_X, new_y = sampler.fit_resample(X, y)
    made, base = sampler.synthetic_, sampler.sample_indices_[sampler.synthetic_]
    assert made.sum() == 200
    spread = X[base].std(axis=0, ddof=1)
    np.testing.assert_allclose((new_X[made] - X[base]).std(axis=0), 0.05 * spread, rtol=0.2)
    assert y.min() <= new_y.min() <= new_y.max() <= y.max()


@pytest.mark.parametrize("distance", ["euclidean", "heom", "hvdm"])
def test_geometric_smote_lies_in_the_ball_to_one_of_the_k_nearest(distance):
    X, y = numeric(200)
    scale = {"euclidean": np.ones(3), "heom": np.ptp(X, axis=0), "hvdm": 4 * X.std(axis=0)}[distance]
    sampler = GeometricSMOTE(k=3, distance=distance, relevance=PHI, random_state=0)
    new_X, new_y = sampler.fit_resample(X, y)
    bump_of = {row: bump.rows for bump in bumps_of(y) for row in bump.rows}
    shares = []
    for row, target, i in zip(
        new_X[sampler.synthetic_], new_y[sampler.synthetic_], sampler.sample_indices_[sampler.synthetic_], strict=True
    ):
        Z = X / scale
        near = sorted((np.linalg.norm(Z[i] - Z[j]), j) for j in bump_of[i] if j != i)[:3]
        reach = np.linalg.norm(row / scale - Z[i])
        assert reach <= near[-1][0] * (1 + 1e-9)
        fits = []
        for radius, j in near:
            to_other = np.linalg.norm(row / scale - Z[j])
            mean = (to_other * y[i] + reach * y[j]) / (reach + to_other)
            fits.append(reach <= radius * (1 + 1e-9) and abs(mean - target) < 1e-9)
        assert any(fits)
        shares.append(reach / near[-1][0])
    assert max(shares) > 0.8


def test_ball_points_are_uniform_cut_and_flattened():
    towards = np.tile([3.0, 0.0, 4.0], (4000, 1))
    rng = np.random.default_rng(0)
    whole = ball_points(towards, rng)
    radii = np.linalg.norm(whole, axis=1)
    assert radii.max() <= 5.0
    assert (radii < 5 * 0.5 ** (1 / 3)).mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(whole.mean(axis=0), 0.0, atol=0.15)
    unit = np.array([0.6, 0.0, 0.8])
    for truncation, low, high in ((1.0, 0.0, 5.0), (0.5, -2.5, 5.0), (-1.0, -5.0, 0.0), (-0.5, -5.0, 2.5)):
        ahead = ball_points(towards, rng, truncation=truncation) @ unit
        assert low - 1e-9 <= ahead.min() < low + 0.5
        assert high - 0.5 < ahead.max() <= high + 1e-9
    ahead = ball_points(towards, rng, truncation=0.5) @ unit
    assert (ahead[np.abs(ahead) < 2.5] > 0).mean() == pytest.approx(0.5, abs=0.04)
    line = ball_points(towards, rng, deformation=1.0)
    np.testing.assert_allclose(line, np.outer(line @ unit, unit), atol=1e-12)
    np.testing.assert_array_equal(ball_points(np.zeros((5, 2)), rng), 0.0)


def test_the_ball_does_not_shrink_with_columns_that_are_constant():
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(300, 2)), [[8.0, 8.0], [9.0, 9.0]]]
    y = np.r_[np.zeros(300), 3.0, 3.0]
    moves = []
    for table in (X, np.c_[X, np.ones((302, 20))]):
        sampler = GeometricSMOTE(k=1, distance="euclidean", relevance=PHI, random_state=0)
        made = sampler.fit_resample(table, y)[0][sampler.synthetic_]
        moves.append(np.linalg.norm(made - table[sampler.sample_indices_[sampler.synthetic_]], axis=1) / np.sqrt(2))
        assert (made[:, 2:] == 1).all()
    assert [move.mean() for move in moves] == pytest.approx([2 / 3, 2 / 3], abs=0.06)


def test_bins_are_filled_by_the_formula():
    rng = np.random.default_rng(0)
    y = np.r_[rng.uniform(0, 10, 300), rng.uniform(10, 20, 41), rng.uniform(30, 40, 3)]
    bins = Bins.from_edges([0, 10, 20, 30, 40])
    for power, most in ((1.0, 1000.0), (0.5, 1000.0), (1.0, 4.5)):
        sampler = RandomOverSampler(by="bins", power=power, most=most, bins=bins, random_state=0)
        new_y = sampler.fit_resample(y.reshape(-1, 1), y)[1]
        wanted = [round(n * min((300 / n) ** power, most)) if n else 0 for n in (300, 41, 0, 3)]
        assert bins.histogram(new_y).tolist() == wanted
        times = np.bincount(sampler.sample_indices_)
        for b in (0, 1, 3):
            assert np.ptp(times[bins.index(y) == b]) <= 1
        np.testing.assert_array_equal(new_y[: len(y)], y)
        assert not sampler.synthetic_.any()


def test_bins_may_share_a_smoothed_density():
    y = np.repeat([0.0, 1.0, 2.0], [40, 4, 40])
    bins = Bins.from_edges([-0.5, 0.5, 1.5, 2.5])
    density = LDS(window=3, sigma=1.0)
    sampler = RandomOverSampler(by="bins", power=1.0, bins=bins, density=density, random_state=0)
    new_y = sampler.fit_resample(y[:, None], y)[1]
    effective = density.effective([40, 4, 40], power=1.0)
    wanted = np.rint(effective.max() / effective * [40, 4, 40])
    assert bins.histogram(new_y).tolist() == wanted.tolist()
    assert wanted[1] < 40


# -- tables in, tables out


@pytest.mark.parametrize("cls", EVERY)
def test_a_frame_keeps_its_types_categories_names_and_rows(cls):
    X, y = mixed()
    before_X, before_y = X.copy(), y.copy()
    sampler = made_with(cls)
    new_X, new_y = sampler.fit_resample(X, y)
    pd.testing.assert_frame_equal(X, before_X)
    pd.testing.assert_series_equal(y, before_y)
    assert new_X.dtypes.equals(X.dtypes)
    assert list(new_X.columns) == list(X.columns)
    assert new_y.name == "price"
    assert new_y.dtype == y.dtype
    assert new_X.index.equals(pd.RangeIndex(len(new_X)))
    assert new_y.index.equals(pd.RangeIndex(len(new_X)))
    copied = ~sampler.synthetic_
    source = sampler.sample_indices_[copied]
    pd.testing.assert_frame_equal(new_X[copied].reset_index(drop=True), X.iloc[source].reset_index(drop=True))
    np.testing.assert_array_equal(new_y[copied], y.iloc[source])
    assert (new_X["same"] == 4.25).all()
    assert not new_X.isna().any().any()
    assert y.min() <= new_y.min() <= new_y.max() <= y.max()


@pytest.mark.parametrize("cls", [SMOTER, SMOGN, GeometricSMOTE])
@pytest.mark.parametrize("distance", ["heom", "hvdm"])
def test_mixed_tables_work_with_each_distance(cls, distance):
    X, y = mixed()
    sampler = made_with(cls, distance=distance)
    new_X, _ = sampler.fit_resample(X, y)
    assert sampler.synthetic_.sum() > 50
    assert not new_X[sampler.synthetic_].duplicated().any()


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_an_array_keeps_its_type(cls, dtype):
    X, y = numeric()
    X = (10 * np.abs(X)).astype(dtype)
    sampler = made_with(cls)
    new_X, new_y = sampler.fit_resample(X, (y * 10).astype(np.float32) / 10)
    assert isinstance(new_X, np.ndarray)
    assert new_X.dtype == dtype
    assert isinstance(new_y, np.ndarray)
    np.testing.assert_array_equal(new_X[~sampler.synthetic_], X[sampler.sample_indices_[~sampler.synthetic_]])


@pytest.mark.parametrize("cls", SYNTHETIC)
def test_whole_number_columns_and_targets_stay_whole(cls):
    rng = np.random.default_rng(0)
    y = pd.Series(rng.poisson(6.0, 400), dtype="Int32")
    X = np.column_stack([rng.integers(0, 50, 400).astype(object), rng.normal(size=400), rng.choice(["a", "b"], 400)])
    sampler = made_with(cls, relevance=[(8, 0), (10, 1)])
    new_X, new_y = sampler.fit_resample(X, y)
    assert new_y.dtype == "Int32"
    assert new_y.max() <= y.max()
    made = new_X[sampler.synthetic_]
    assert {type(value) for value in made[:, 0]} == {int}
    assert {type(value) for value in made[:, 1]} == {float}
    assert set(made[:, 2]) == {"a", "b"}


@pytest.mark.parametrize("cls", SYNTHETIC)
@pytest.mark.parametrize("scale", [1e-310, 1e-30, 1e90])
def test_units_may_be_tiny_or_huge(cls, scale):
    X, y = numeric()
    new_X, _ = made_with(cls).fit_resample(X * scale, y)
    assert np.isfinite(new_X).all()
    with pytest.raises(InputError, match="column '1' has values beyond 1e"):
        made_with(cls).fit_resample(X * 1e300, y)
    with pytest.raises(InputError, match="y has labels beyond 1e"):
        made_with(cls).fit_resample(X, y * 1e300)


@pytest.mark.parametrize("cls", SYNTHETIC)
def test_new_rows_stay_within_the_range_of_a_type(cls):
    X, y = numeric()
    small = (X / np.abs(X).max(axis=0) * 60_000).astype(np.float16)
    small[np.abs(y) > 2] *= np.float16(65504 / 60_000)
    assert np.isfinite(made_with(cls).fit_resample(small, y)[0]).all()
    unsigned = np.clip(X * 200, 0, 255).astype(np.uint8)
    assert made_with(cls).fit_resample(unsigned, y)[0].dtype == np.uint8


@pytest.mark.parametrize("cls", [SMOTER, GeometricSMOTE])
@pytest.mark.parametrize("as_frame", [True, False])
def test_nominal_values_are_those_of_either_row(cls, as_frame):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=340), "name": [f"row {i}" for i in range(340)]})
    y = np.r_[np.zeros(300), np.linspace(3, 4, 40)]
    sampler = made_with(cls)
    new_X, _ = sampler.fit_resample(X if as_frame else X.to_numpy(dtype=object), y)
    names = new_X["name"].to_numpy(dtype=str) if as_frame else new_X[:, 1].astype(str)
    base = [f"row {i}" for i in sampler.sample_indices_[sampler.synthetic_]]
    assert (names[sampler.synthetic_] == base).mean() == pytest.approx(0.5, abs=0.15)
    assert {int(name.split()[1]) for name in names[sampler.synthetic_]} <= set(range(300, 340))


def test_whole_targets_are_rounded_to_the_nearest():
    made = SyntheticRows(np.array([0, 0]), np.empty((2, 0)), np.empty((2, 0), dtype=int), np.array([2.6, 3.4]))
    for y in (np.array([1, 5]), pd.Series([1, 5]), pd.Series([1, 5], dtype="Int8")):
        assert list(take_labels(y, np.array([1]), made)) == [5, 3, 3]


def test_columns_of_an_array_are_nominal_by_position_and_of_a_frame_by_name():
    X, y = numeric()
    X[:, 1] = np.random.default_rng(0).integers(0, 3, len(X)) * 100
    for table, nominal in ((X, [1]), (pd.DataFrame(X, columns=["a", "b", "c"]), ["b"])):
        sampler = SMOTER(relevance=PHI, nominal=nominal, random_state=0)
        new_X = np.asarray(sampler.fit_resample(table, y)[0])
        assert set(new_X[:, 1]) == {0.0, 100.0, 200.0}
        without = SMOTER(relevance=PHI, random_state=0).fit_resample(table, y)[0]
        assert len(np.unique(np.asarray(without)[:, 1])) > 10


@pytest.mark.parametrize("mask", [[False, True, False], np.array([False, True, False]), (False, True, False)])
def test_nominal_columns_may_be_a_mask(mask):
    X, y = numeric()
    X[:, 1] = np.random.default_rng(0).integers(0, 3, len(X)) * 100
    assert read_table(X, mask).nominal == [1]
    new_X, _ = SMOTER(relevance=PHI, nominal=mask, random_state=0).fit_resample(X, y)
    np.testing.assert_array_equal(new_X, SMOTER(relevance=PHI, nominal=[1], random_state=0).fit_resample(X, y)[0])
    assert read_table(X, [False] * 3).nominal == []


def test_names_that_are_whole_numbers_are_told_from_text():
    X, y = numeric()
    with pytest.raises(InputError, match="names there are whole numbers, so write 0 without quotes"):
        SMOTER(relevance=PHI, nominal=["0"]).fit_resample(pd.DataFrame(X), y)


def test_a_table_of_nominal_columns_alone_works():
    y = np.r_[np.zeros(50), np.linspace(3, 4, 10)]
    X = np.random.default_rng(0).choice(["a", "b", "c"], (60, 3))
    for cls in SYNTHETIC:
        new_X, new_y = made_with(cls).fit_resample(X, y)
        assert set(new_X.ravel()) == {"a", "b", "c"}
        assert np.isfinite(new_y).all()


@pytest.mark.parametrize("cls", [RandomOverSampler, RandomUnderSampler, WERCS, partial(RandomOverSampler, by="bins")])
def test_rows_that_are_only_copied_may_hold_anything(cls):
    X, y = mixed()
    X["size"] = X["size"].mask(X["size"] > 0)
    X["sold"] = pd.Timestamp("2020-01-01")
    new_X, _ = made_with(cls).fit_resample(X, y)
    assert new_X.dtypes.equals(X.dtypes)
    assert new_X["size"].isna().any()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(12, 80),
    n_float=st.integers(1, 4),
    n_whole=st.integers(0, 2),
    n_nominal=st.integers(0, 2),
    repeated=st.booleans(),
    cls=st.sampled_from(EVERY),
    strategy=st.sampled_from(["balance", "extreme"]),
)
def test_random_tables(seed, n, n_float, n_whole, n_nominal, repeated, cls, strategy):
    rng = np.random.default_rng(seed)
    columns = {f"f{i}": rng.normal(size=n) * 10.0 ** rng.integers(-3, 4) for i in range(n_float)}
    columns |= {f"w{i}": rng.integers(-5, 5, n) for i in range(n_whole)}
    columns |= {f"n{i}": pd.Categorical(rng.choice(["a", "b", "c"], n)) for i in range(n_nominal)}
    X, y = pd.DataFrame(columns), pd.Series(np.r_[-3.0, -2.5, 3.0, 2.5, rng.standard_t(2, n - 4)])
    if repeated:
        X.iloc[1], X.iloc[5] = X.iloc[0], X.iloc[4]
    params = {"strategy": strategy} if cls in BY_BUMP else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        sampler = made_with(cls, seed, **params)
        new_X, new_y = sampler.fit_resample(X, y)
        again_X, again_y = made_with(cls, seed, **params).fit_resample(X, y)
        other_X, _ = made_with(cls, seed + 1, **params).fit_resample(X, y)
    pd.testing.assert_frame_equal(new_X, again_X)
    pd.testing.assert_series_equal(new_y, again_y)
    assert new_X.dtypes.equals(X.dtypes)
    assert not new_X.isna().any().any()
    assert np.isfinite(new_y).all()
    assert y.min() <= new_y.min() <= new_y.max() <= y.max()
    source, made = sampler.sample_indices_, sampler.synthetic_
    assert len(source) == len(made) == len(new_X) == len(new_y)
    assert 0 <= source.min() <= source.max() < n
    assert not new_X[made].duplicated().any()
    if made.sum() > 3:
        assert not new_X[made].reset_index(drop=True).equals(other_X.tail(made.sum()).reset_index(drop=True))


@pytest.mark.parametrize("cls", SYNTHETIC)
def test_every_synthetic_row_of_a_numeric_table_is_new(cls):
    X, y = numeric(500)
    rare = np.flatnonzero(np.abs(y) > 1.8)
    X[rare[::3]] = X[rare[0]]
    sampler = made_with(cls)
    new_X, _ = sampler.fit_resample(X, y)
    made = new_X[sampler.synthetic_]
    assert len(np.unique(made, axis=0)) == len(made) > 100
    assert not (made[:, None] == X[None]).all(axis=2).any()


@pytest.mark.parametrize("cls", EVERY)
def test_the_seed_decides(cls):
    X, y = numeric()
    one, same = made_with(cls, 1).fit_resample(X, y), made_with(cls, 1).fit_resample(X, y)
    other = made_with(cls, 2).fit_resample(X, y)
    np.testing.assert_array_equal(one[0], same[0])
    np.testing.assert_array_equal(one[1], same[1])
    assert one[0].shape != other[0].shape or (one[0] != other[0]).any()
    generator = np.random.default_rng(1)
    first = made_with(cls, generator).fit_resample(X, y)
    np.testing.assert_array_equal(first[0], one[0])
    assert (made_with(cls, generator).fit_resample(X, y)[0] != first[0]).any()


# -- with scikit-learn


class Piped(RegressorMixin, BaseEstimator):
    """A resampler before a regressor, as a pipeline that knows fit_resample has it."""

    def __init__(self, sampler=None, regressor=None):
        self.sampler, self.regressor = sampler, regressor

    def fit(self, X, y):
        self.fitted_ = clone(self.regressor).fit(*clone(self.sampler).fit_resample(X, y))
        return self

    def predict(self, X):
        return self.fitted_.predict(X)


@pytest.mark.parametrize("cls", EVERY)
def test_a_resampler_works_in_a_pipeline_and_cross_validation(cls):
    X, y = numeric(1200)
    scores = cross_val_score(Piped(made_with(cls), Ridge()), X, y, cv=3)
    assert (scores > 0.4).all()
    name = "over" if cls in (WERCS, *TO_DENSITY) else "power" if is_by_bins(cls) else "strategy"
    values = [0.5, 1.0] if name != "strategy" else ["balance", "extreme"]
    search = GridSearchCV(Piped(made_with(cls), Ridge()), {f"sampler__{name}": values}, cv=2).fit(X, y)
    assert search.best_params_[f"sampler__{name}"] in values


@pytest.mark.parametrize("cls", EVERY)
def test_parameters_are_kept_cloned_and_pickled(cls):
    sampler = made_with(cls, 3)
    params = sampler.get_params()
    assert clone(sampler).get_params() == params
    assert cls().set_params(**params).get_params() == params
    X, y = numeric()
    restored = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(restored.fit_resample(X, y)[0], sampler.fit_resample(X, y)[0])
    assert repr(sampler).startswith(type(sampler).__name__)


# -- few rare rows


@pytest.mark.parametrize("cls", [SMOTER, SMOGN, GeometricSMOTE])
def test_fewer_rare_rows_than_neighbours_lower_k_with_a_warning(cls):
    X, _ = numeric(60)
    y = np.r_[np.zeros(57), 3.0, 3.5, 4.0]
    sampler = made_with(cls)
    with pytest.warns(UserWarning, match="only 3 different rare rows, so 2 neighbours instead of 5"):
        new_X, new_y = sampler.fit_resample(X, y)
    assert np.isfinite(new_X).all()
    assert np.isfinite(new_y).all()
    assert sampler.synthetic_.sum() == 27


@pytest.mark.parametrize("cls", SYNTHETIC)
def test_a_lone_rare_row_is_copied_or_gets_the_noise_of_all_rows(cls):
    X, _ = numeric(60)
    y = np.r_[np.zeros(59), 3.0]
    sampler = made_with(cls)
    with pytest.warns(UserWarning, match="single different row"):
        new_X, new_y = sampler.fit_resample(X, y)
    extra = sampler.sample_indices_ == 59
    assert extra.sum() == 30
    assert np.isfinite(new_X).all()
    if cls in (SMOTER, GeometricSMOTE):
        assert not sampler.synthetic_.any()
        assert (new_X[extra] == X[59]).all()
    else:
        assert len(np.unique(new_X[extra], axis=0)) == 30
        assert sampler.synthetic_.sum() == 29
    assert new_y.max() == 3.0


@pytest.mark.parametrize("cls", BY_BUMP)
def test_no_rare_row_leaves_the_data_unchanged_with_a_warning(cls):
    X, y = mixed()
    sampler = cls(relevance=[(90, 0), (100, 1)], random_state=0)
    with pytest.warns(UserWarning, match="no row is rare"):
        new_X, new_y = sampler.fit_resample(X, y)
    pd.testing.assert_frame_equal(new_X, X.reset_index(drop=True))
    pd.testing.assert_series_equal(new_y, y.reset_index(drop=True))
    np.testing.assert_array_equal(sampler.sample_indices_, np.arange(len(X)))
    assert not sampler.synthetic_.any()
    with pytest.warns(UserWarning, match="no row is rare"):
        cls().fit_resample(np.arange(9.0)[:, None], np.full(9, 2.0))
    with pytest.warns(
        UserWarning, match=r"^no row is rare .*more than half of the labels are equal.*relevance=\[\(0, 0\).*by='bins'"
    ):
        cls().fit_resample(np.arange(90.0)[:, None], np.r_[np.zeros(75), np.arange(1.0, 16)])
    with pytest.warns(UserWarning, match="every row is rare"):
        cls(relevance=lambda y: np.ones_like(y)).fit_resample(X, y)


def test_wercs_without_relevance_leaves_the_data_unchanged_with_a_warning():
    X, y = numeric()
    with pytest.warns(UserWarning, match="relevance of every row is 0"):
        new_X, _ = WERCS(relevance=[(90, 0), (100, 1)]).fit_resample(X, y)
    np.testing.assert_array_equal(new_X, X)


# -- mistakes


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[:-1], y), "X has 399 rows but y has 400 labels"),
        (lambda X, y: (X, np.where(y > 2, np.nan, y)), "NaN or infinite"),
        (lambda X, y: (X, np.where(y > 2, np.inf, y)), "NaN or infinite"),
        (lambda X, y: (X, pd.Series(y).astype("Float64").mask(y > 2)), "NaN or infinite"),
        (lambda X, y: (X, np.full(len(y), "a")), "y must hold numbers"),
        (lambda X, y: (X, np.full(len(y), "1").astype(object)), "y must hold numbers, got type string"),
        (lambda X, y: (X, pd.Series(np.full(len(y), "1"))), "y must hold numbers"),
        (lambda X, y: (X, y > 0), "y must hold numbers, got type bool"),
        (lambda X, y: (X, (y > 0).astype(object)), "y must hold numbers, got type bool"),
        (lambda X, y: (X, y + 1j), "y must hold numbers, got type complex"),
        (lambda X, y: (X, np.full(len(y), "2020-01-01", dtype="M8[D]")), "y must hold numbers, got type datetime64"),
        (
            lambda X, y: (X, pd.Series(pd.date_range("2020", periods=len(y)))),
            "y must hold numbers, got type datetime64",
        ),
        (lambda X, y: (X, None), "y is None"),
        (lambda X, y: (X, y[:, None]), "one-dimensional"),
        (lambda X, y: (X[:, 0], y), r"X must be a table \(n, p\)"),
        (lambda X, y: (X[:, :0], y), "at least one column"),
        (lambda X, y: (X[:0], y[:0]), "y is empty"),
    ],
)
def test_data_that_cannot_be_used_are_refused(cls, change, message):
    with pytest.raises(InputError, match=message):
        made_with(cls).fit_resample(*change(*numeric()))


@pytest.mark.parametrize("cls", SYNTHETIC)
def test_columns_that_new_rows_cannot_be_made_of_are_refused(cls):
    X, y = mixed()
    for column, values, message in [
        ("size", X["size"].mask(X["size"] > 1), "column 'size' has .* missing or infinite"),
        ("size", X["size"].where(X["size"] < 1, np.inf), "column 'size' has .* missing or infinite"),
        ("some", X["some"].mask(X["size"] > 1), "column 'some' has .* missing"),
        ("kind", X["kind"].mask(X["size"] > 1), "column 'kind' has .* missing values"),
        ("town", X["town"].mask(X["size"] > 1), "column 'town' has .* missing values"),
        ("sold", pd.Series(pd.Timestamp("2020-01-01"), index=X.index), "column 'sold' has type datetime64"),
        ("lists", pd.Series([[1]] * len(X), index=X.index, dtype=object), "column 'lists' cannot be a nominal"),
    ]:
        with pytest.raises(InputError, match=message):
            made_with(cls).fit_resample(X.assign(**{column: values}), y)
    for nominal, message in (
        (["colour"], "'colour', which is no column"),
        ("town", "must be a list"),
        ([99], "99, which"),
        (5, "must be a list of columns, got 5"),
        (True, "must be a list of columns, got True"),
        (2.5, "must be a list of names or positions"),
        ({"town": 1}, "must be a list of names or positions"),
        ([[1]], "no column"),
        ([True, False], "mask of 2 values, but X has 10 columns"),
        ([True, "town"], "has True among other things"),
    ):
        with pytest.raises(InputError, match=message):
            made_with(cls, nominal=nominal).fit_resample(X, y)


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (SMOTER(strategy="even"), "strategy must be one of 'balance', 'extreme'"),
        (SMOTER(strategy=[2.0, 1.0], relevance=PHI), r"2 factors but the target has 3 bumps \(rare .* common"),
        (SMOTER(strategy=[2.0, 0.5, np.inf], relevance=PHI), "one factor above 0 per bump"),
        (SMOTER(strategy=[0.5, 0.5, 1.0], relevance=PHI), "factor must be at least 1"),
        (SMOTER(strategy=[2.0, 1.5, 1.0], relevance=PHI), "factor must be at most 1"),
        (SMOTER(strategy=[2.0, 0.5, 1.0], under_sample=False, relevance=PHI), "factor must be 1"),
        (RandomUnderSampler(strategy=[2.0, 0.5, 1.0], relevance=PHI), "factor must be 1"),
        (SMOTER(strategy={"a": 1}), "one factor above 0 per bump"),
        (SMOTER(k=0), "k must be a whole number of at least 1"),
        (SMOGN(k=2.5), "k must be a whole number"),
        (SMOTER(along="line"), "along must be one of"),
        (SMOTER(distance="cosine"), "distance must be one of"),
        (SMOTER(threshold=0.0), "threshold must be"),
        (SMOTER(threshold=1.5), "threshold must be at most 1"),
        (SMOTER(which="middle"), "which must be one of"),
        (SMOTER(relevance=[(1, 2)]), "two rows"),
        (SMOTER(relevance=lambda y: y * 9), r"a value in \[0, 1\]"),
        (SMOTER(relevance=lambda y: 0.5), r"a value in \[0, 1\]"),
        (SMOTER(random_state=-1), "random_state must be"),
        (SMOTER(random_state="a"), "random_state must be"),
        (GaussianNoise(noise=0), "noise must be"),
        (SMOGN(noise=-1), "noise must be"),
        (WERCS(over=-0.1), "over must be"),
        (WERCS(under=1.5), "under must be at most 1"),
        (WERCS(noise=-1), "noise must be"),
        (GeometricSMOTE(truncation=2), "truncation must be from -1 to 1"),
        (GeometricSMOTE(truncation="half"), "truncation must be from -1 to 1"),
        (GeometricSMOTE(deformation=2), "deformation must be at most 1"),
        (RandomOverSampler(by="rows"), "by must be one of 'relevance', 'bins'"),
        (RandomOverSampler(by="bins", power=0), "power must be"),
        (RandomOverSampler(by="bins", most=0.5), "most must be at least 1"),
        (RandomOverSampler(by="bins", density="lds"), "density must be"),
        (RandomOverSampler(by="bins", bins=10), r"bins must be a Bins or None, got 10; write Bins.count\(y, 10\)"),
        (RandomOverSampler(by="bins", bins=[0, 1, 2]), r"bins must be a Bins .*Bins.count\(y, 10\)"),
        (RandomOverSampler(by="bins", relevance=PHI), "relevance is given, but by='bins' does not use it"),
        (RandomOverSampler(bins=Bins.from_edges([0, 1, 2])), "only by='bins' uses it"),
        (RandomOverSampler(density=LDS()), "only by='bins' uses it"),
        (SMOTER(relevance=np.linspace(0, 1, 400)), "^.{0,80}got 400 numbers; write .{0,90}$"),
        (SMOTER(relevance=[0.5] * 400), "got 400 numbers"),
        (SMOTER(relevance=lambda y: np.ones(3)), r"^relevance must .* got an array of shape \(3,\)$"),
    ],
)
def test_parameters_that_are_not_allowed_are_refused(sampler, message):
    with pytest.raises(InputError, match=message):
        sampler.fit_resample(*numeric())


def test_euclidean_distances_of_nominal_columns_and_sparse_matrices_are_refused():
    with pytest.raises(InputError, match="'euclidean' needs numeric columns"):
        SMOTER(distance="euclidean", relevance=PHI).fit_resample(*mixed())
    from scipy.sparse import csr_array

    with pytest.raises(InputError, match="sparse"):
        SMOTER(relevance=PHI).fit_resample(csr_array(np.eye(4)), np.arange(4.0))


# -- a declared density


def test_rows_are_drawn_by_the_square_of_the_distance_relevance():
    y = np.repeat([0.0, 5.0, 10.0], [800, 150, 50])
    X = np.arange(1000.0).reshape(-1, 1)
    phi = DensityRelevance(y, bandwidth=0.5)
    sampler = DensityResampler(bandwidth=0.5, over=20.0, under=0.0, random_state=0)
    sampler.fit_resample(X, y)
    copies = np.bincount(sampler.sample_indices_, minlength=1000) - 1
    expected = phi(y) ** 2 / (phi(y) ** 2).sum() * 20_000
    for value in np.unique(y):
        assert copies[y == value].mean() == pytest.approx(expected[y == value].mean(), rel=0.06, abs=0.01)
    sampler = DensityResampler(bandwidth=0.5, over=0.0, under=0.3, random_state=0)
    sampler.fit_resample(X, y)
    kept = np.bincount(sampler.sample_indices_, minlength=1000)
    assert kept.sum() == 700
    assert kept[y == 0].mean() < min(kept[y == 5].mean(), kept[y == 10].mean())


def test_copies_are_the_ratio_of_the_densities_rounded_up_or_down():
    y = np.random.default_rng(0).normal(0, 1, 2000)
    sampler = DensityResampler(by="ratio", target=(-1.0, 3.0), random_state=0)
    _, more_y = sampler.fit_resample(y.reshape(-1, 1), y)
    ratio = DensityRelevance(y, (-1.0, 3.0)).ratio(y)
    times, wanted = np.bincount(sampler.sample_indices_, minlength=2000), ratio / ratio.mean()
    assert (np.abs(times - wanted) < 1).all()
    assert len(more_y) == 2000
    inside = (more_y > -0.5) & (more_y < 2.5)
    counts = np.histogram(more_y[inside], 6)[0]
    assert counts.min() > 0.6 * counts.mean()


def test_a_declared_density_serves_as_relevance_of_every_resampler():
    X, y = numeric()
    sampler = SMOTER(relevance=DensityRelevance(y, (y.min(), y.max())), threshold=0.5, random_state=0)
    _, more_y = sampler.fit_resample(X, y)
    assert (np.abs(more_y) > 2).mean() > (np.abs(y) > 2).mean()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"by": "both"}, "by must be one of"),
        ({"target": (50, 60)}, "0 on all training labels"),
        ({"under": 2}, "under"),
    ],
)
def test_mistakes_with_a_declared_density_are_refused(params, message):
    with pytest.raises(InputError, match=message):
        DensityResampler(**params).fit_resample(*numeric())
