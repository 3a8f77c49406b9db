import math
import time

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from golden import golden
from tailwise._checks import InputError
from tailwise.labels.kde import binned_density, grid_margin, scalar_bandwidth
from tailwise.weights import denseweight as module
from tailwise.weights.denseweight import dense_weights
from tailwise.weights.on_grid import GridWeights


def labels_of(case):
    return case.inputs["y"] if "y" in case.inputs else case.shared[f"{case.params['labels']}_labels"].astype(np.float64)


def bandwidth_of(case, y):
    if case.params["labels"] == "stsb_train":
        return float(case.expected["bandwidth"])  # the authors' code took the deviation of float32 labels in float32
    if case.params["bandwidth"] == "ISJ":
        # The package has no such rule, and its bandwidth is not in the file: the one that gives their mean.
        return brentq(lambda h: unscaled_mean(y, h, margin_of(case, y)) - case.expected["mean_w_star"], 0.05, 0.3)
    return case.params["bandwidth"]


def margin_of(case, y):
    return float(case.expected["grid_last"] - y.max())


def unscaled_mean(y, bandwidth, margin):
    start, step, density = binned_density(y, bandwidth, margin=margin)
    scaled = (density - density.min()) / (density.max() - density.min())
    table = np.maximum(1 - scaled, 1e-6)
    return table[((y - start) / step).astype(int)].mean()


# The authors' grid ends where a root finder of low accuracy stopped: its ends are given to the golden tests, and
# compared with ours below.
@pytest.mark.parametrize("case", golden("denseweight"))
def test_weights_equal_the_reference(case, monkeypatch):
    y = labels_of(case)
    single = case.params["labels"] == "stsb_train"
    monkeypatch.setattr(module, "grid_margin", lambda h, compat: margin_of(case, y))
    params = {"alpha": case.params["alpha"], "bandwidth": bandwidth_of(case, y), "floor": case.params["eps"]}
    weights = dense_weights(y, **params, compat="reference")
    start, step = weights.grid.view(torch.float32).tolist()
    assert len(weights.table) == case.expected["grid_points"]
    assert start == pytest.approx(float(case.expected["grid_first"]), abs=1e-6)
    assert start + step * (len(weights.table) - 1) == pytest.approx(float(case.expected["grid_last"]), abs=1e-4)
    if "unique_labels" in case.expected:
        found = weights.sample_weight(case.expected["unique_labels"])
        case.close(found, "weight_per_unique_label", single=single)
    else:
        case.close(weights.sample_weight(y), "weights", single=single)
    if "eval_y" in case.inputs:
        case.close(weights.sample_weight(case.inputs["eval_y"]), "eval_weights", single=single)
    if "bandwidth" in case.expected:
        case.close(scalar_bandwidth(y, case.params["bandwidth"]), "bandwidth", single=single)
    if "grid_density_scaled" in case.expected:
        density = binned_density(y, float(case.expected["bandwidth"]), margin=margin_of(case, y))[2]
        case.close((density - density.min()) / (density.max() - density.min()), "grid_density_scaled")
    # 1 - α p' at the end of the grid is 1, so the last weight is 1 / their mean.
    case.close(1 / weights.sample_weight([1e9])[0], "mean_w_star", single=single)


@pytest.mark.parametrize("case", golden("denseweight", having="bandwidth"))
def test_both_forms_come_near_the_reference_with_their_own_grid(case):
    y = labels_of(case)
    h = float(case.expected["bandwidth"])
    assert grid_margin(h, "reference") == pytest.approx(margin_of(case, y), abs=0.002)
    params = {"alpha": case.params["alpha"], "bandwidth": h, "floor": case.params["eps"]}
    theirs = dense_weights(y, **params, compat="reference")
    expected = case.expected.get("weight_per_unique_label", case.expected.get("weights"))
    at = case.expected.get("unique_labels", y)
    # A node to the side, at the steepest slope of one kernel: 0.6 / h of its peak.
    slope = expected.max() * max(1.0, case.params["alpha"]) * 0.6 / h
    for weights in (theirs, dense_weights(y, **params)):
        step = float(weights.grid.view(torch.float32)[1])
        np.testing.assert_allclose(weights.sample_weight(at), expected, atol=1e-4 + slope * step)


def dense_by_loops(y, at, alpha, floor):
    n = len(y)
    h = 1.06 * np.std(y) * n**-0.2
    nodes = np.linspace(min(y) - 4 * h, max(y) + 4 * h, 4096)
    p = [sum(math.exp(-(((node - v) / h) ** 2) / 2) for v in y) for node in nodes]
    low, high = min(p), max(p)

    def raw(v):
        p_v = sum(math.exp(-(((v - u) / h) ** 2) / 2) for u in y)
        return max(1 - alpha * (p_v - low) / (high - low), floor)

    mean = sum(raw(v) for v in y) / n
    return np.array([raw(v) / mean for v in at])


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0, 1.5])
def test_weights_equal_the_papers_formula(alpha):
    y = np.random.default_rng(0).gamma(2, 2, 60)
    at = np.array([*y[:20], 0.0, 3.3])
    expected = dense_by_loops(y, at, alpha, 0.01)
    weights = dense_weights(y, alpha=alpha, floor=0.01)
    # A kernel cut at 4 bandwidths and labels shared between two nodes.
    np.testing.assert_allclose(weights.sample_weight(at), expected, atol=1e-3)
    assert weights.sample_weight(y).mean() == pytest.approx(1, rel=1e-6)


def test_alpha_turns_from_uniform_to_rare_only():
    y = np.random.default_rng(0).normal(size=500)
    assert np.allclose(dense_weights(y, alpha=0.0).sample_weight(y), 1.0)
    middle = [dense_weights(y, alpha=a).sample_weight([0.0])[0] for a in (0.0, 0.5, 1.0)]
    assert middle == sorted(middle, reverse=True)
    assert dense_weights(y, alpha=1.0).sample_weight([3.0]) > dense_weights(y, alpha=0.5).sample_weight([3.0])


def test_a_new_fit_has_a_new_bandwidth_and_no_stale_weights():
    rng = np.random.default_rng(0)
    near, wide = rng.normal(size=300), 10 * rng.normal(size=300)
    before = dense_weights(near).sample_weight(near)
    assert np.allclose(
        dense_weights(wide).sample_weight(10 * near), dense_weights(wide / 10).sample_weight(near), atol=1e-5
    )
    assert np.array_equal(dense_weights(near).sample_weight(near), before)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
@pytest.mark.parametrize("rule", [None, "scott", "silverman"])
def test_the_unit_of_the_target_does_not_matter(rule, unit):
    y = np.random.default_rng(0).gamma(2, 2, 400)
    ours = dense_weights(y, bandwidth=rule).sample_weight(y)
    np.testing.assert_allclose(dense_weights(unit * y, bandwidth=rule).sample_weight(unit * y), ours, atol=1e-4)
    theirs = dense_weights(unit * y, compat="reference").sample_weight(unit * y)
    assert np.isfinite(theirs).all()


def test_it_is_far_below_the_reference_in_cost():
    y = np.random.default_rng(0).gamma(2, 20, 10_000)
    dense_weights(y)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        dense_weights(y)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.0125  # the authors' code takes 25 ms


def test_labels_in_torch():
    y = np.random.default_rng(0).normal(5, 3, 500)
    weights = dense_weights(y)
    known = torch.from_numpy(y)
    assert np.array_equal(weights(known).numpy(), weights.sample_weight(y))
    assert weights(known).dtype == torch.float64
    dense = torch.full((2, 3, 3), 5.0)
    dense[0, 0, 0] = torch.nan
    assert weights(dense).shape == dense.shape
    assert weights(dense)[0, 0, 0] == 0
    assert (weights(dense).flatten()[1:] == weights(torch.tensor([5.0]))).all()
    far = weights(torch.tensor([-1e30, 1e30, torch.inf, -torch.inf]))
    ends = weights.table[[0, -1, -1, 0]]
    assert torch.equal(far, ends)
    again = GridWeights(0.0, 1.0, np.ones(4096))
    again.load_state_dict(weights.state_dict())
    assert torch.equal(again(known), weights(known))


@pytest.mark.parametrize("interpolate", [True, False])
def test_grid_weights_equal_plain_loops(interpolate):
    table = [1.0, 4.0, 2.0, 0.5]
    expected = []
    labels = [-3.0, 10.0, 11.0, 12.0, 14.9, 16.0, 18.7, 19.0, 40.0]
    for y in labels:
        at = min(max((y - 10) / 3, 0.0), 3.0)
        left = min(int(at), 2) if interpolate else int(at)
        expected.append(table[left] + (at - left) * (table[left + 1] - table[left]) if interpolate else table[left])
    weights = GridWeights(10.0, 3.0, table, interpolate=interpolate)
    np.testing.assert_allclose(weights.sample_weight(labels), expected, rtol=1e-6)


def test_labels_that_are_all_equal_weigh_one():
    weights = dense_weights(np.full(10, 2.5))
    assert (weights.sample_weight([2.5, 0.0, 100.0]) == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dense_weights([[1.0, 2.0]]), "one-dimensional"),
        (lambda: dense_weights([1.0, np.nan]), "NaN"),
        (lambda: dense_weights([1.0, 2.0], alpha=-1.0), "alpha"),
        (lambda: dense_weights([1.0, 2.0], floor=0.0), "floor"),
        (lambda: dense_weights([1.0, 2.0], bandwidth=-1.0), "bandwidth"),
        (lambda: dense_weights([1.0, 2.0], bandwidth="ISJ"), "bandwidth must be one of 'silverman', 'scott'"),
        (lambda: dense_weights([1.0, 2.0], compat="code"), "compat"),
        (lambda: dense_weights([1.7e9, 1.7e9 + 1]), "subtract a constant"),
        (lambda: dense_weights([1.0, 2.0])(torch.zeros(3, 2)), "scalar target"),
        (lambda: GridWeights(0.0, 1.0, [1.0]), "at least two"),
        (lambda: GridWeights(0.0, 0.0, [1.0, 2.0]), "step"),
        (lambda: GridWeights(0.0, 1.0, [1.0, -2.0]), "at least 0"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
