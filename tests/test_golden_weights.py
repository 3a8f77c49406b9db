import math

import numpy as np
import pytest
import torch

from golden import golden, load_golden
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.labels.kernels import kernel_window, smooth
from tailwise.weights.by_bins import LabelWeights, lds_weights
from tailwise.weights.by_density import density_weights

pytestmark = pytest.mark.filterwarnings("ignore:the weights are extreme")

AGES = Bins.from_edges(np.arange(0, 122))


def lds_of(case, padding=None):
    params = case.params
    if not params["lds"]:
        return None
    window, sigma = params["ks"], float(params["sigma"])
    return LDS(kernel=case.kernel, window=window, sigma=sigma, padding=padding, compat="reference")


def power_of(params):
    return {"inverse": 1.0, "sqrt_inv": 0.5}[params["reweight"]]


def assert_rounds_down_to(smoothed, theirs):
    # 14.999999 became 14 there, where exact arithmetic gives 15.
    assert ((smoothed - theirs > -1e-9) & (smoothed - theirs < 1 + 1e-5)).all()


class TestAgeDB:
    @pytest.mark.parametrize("case", golden("lds_weights_agedb"))
    def test_weights_equal_the_reference(self, case):
        y = case.inputs.get("labels", case.shared["labels"])
        unique = case.expected.get("unique_labels", case.shared["unique_labels"])
        power, lds = power_of(case.params), lds_of(case)
        clip = (5, 1000) if power == 1 else None
        weights = density_weights(y, AGES, power=power, density=lds, clip=clip)
        counts = AGES.histogram(y)
        if lds is not None and power == 1:
            # Their smoothed counts are rounded down; without that the same formula gives the "_float" numbers.
            smoothed = lds.effective(np.clip(counts, *clip), power=power)
            assert_rounds_down_to(smoothed, case.expected["eff_density"])
            case.close(smoothed, "eff_density_float")
            case.close(weights.sample_weight(unique), "weight_per_label_float")
            return
        if lds is not None:
            case.close(lds.effective(counts, power=power), "eff_density")
        case.close(weights.sample_weight(unique), "weight_per_label")
        if "weights_first_500" in case.expected:
            case.close(weights.sample_weight(y[:500]), "weights_first_500")
        if "weights_sum" in case.expected:
            case.close(weights.sample_weight(y).sum(), "weights_sum")


class TestSTSB:
    @pytest.mark.parametrize("case", golden("lds_weights_stsb"))
    def test_weights_equal_the_reference(self, case):
        y = case.inputs.get("labels", case.shared["labels"])
        bins = Bins.from_edges(case.shared["bin_edges"])
        histogram = case.expected.get("histogram", case.shared["histogram"])
        np.testing.assert_array_equal(bins.histogram(y), histogram)

        power, lds = power_of(case.params), lds_of(case)
        if "eff_density" in case.expected:
            smoothed = lds.effective(histogram, power=power)
            if power == 1:
                # Their weights come from smoothed counts rounded down, so they are not comparable: these counts are.
                assert_rounds_down_to(smoothed, case.expected["eff_density"])
                return
            case.close(smoothed, "eff_density")
        weights = density_weights(y, bins, power=power, density=lds)
        if "weights" in case.expected:
            case.close(weights.sample_weight(y), "weights")
        else:
            case.close(weights.sample_weight(case.shared["unique_labels"]), "weight_per_label")
            case.close(weights.sample_weight(y).sum(), "weights_sum")


NYUD2_WITHOUT = dict.fromkeys(
    ["c007", "c008", "c009", "c010"], "bucket probabilities of BNI alone: asserted in test_densities.py"
)


class TestNYUD2:
    @staticmethod
    def table(case):
        # 3.5 billion pixel labels come as counts, the first seven of them 0: labels below 0.7 m share the first bin.
        counts = case.shared["train_bucket_num"][7:].astype(float)
        power, lds = power_of(case.params), lds_of(case, padding="reflect")
        effective = counts**power if lds is None else lds.effective(counts, power=power)
        return counts.sum() / (counts @ (1 / effective)) / effective

    # The BNI bucket centres and probabilities of the same cases are asserted in test_densities.py.
    @pytest.mark.parametrize("case", golden("bucket_weights_nyud2_bni", without=NYUD2_WITHOUT))
    def test_weights_equal_the_reference(self, case):
        bins = Bins.from_edges(np.arange(7, 101) / 10)
        weights = LabelWeights(bins, self.table(case))
        if case.params["kind"] == "nyud2":
            case.close(weights.sample_weight((np.arange(100) + 0.5) / 10), "bucket_weights")
        else:
            depth = case.inputs["depth"]
            np.testing.assert_array_equal(bins.index(depth) + 7, np.maximum(case.expected["bin_idx"], 7))
            case.close(weights(torch.tensor(depth)), "weights")


# Weights of the train ages, mean 1: INV and SQINV, and LDS with the root before the smoothing (the authors' code) or
# after it (the paper's order), both with their Gaussian and zeros beyond the ends. Columns: ages 1, 20, 35, 60, 80 and
# 101, lowest, highest, effective sample size.
AGEDB_TABLE = {
    "inv": (26.59695, 1.31668, 0.37673, 0.71884, 4.28983, 26.59695, 0.37673, 26.59695, 1945.5),
    "sqinv": (13.07654, 1.30116, 0.69599, 0.96141, 2.34862, 13.07654, 0.69599, 13.07654, 8715.7),
    "sqinv code 5 2": (22.00983, 1.40672, 0.74118, 0.99777, 2.36898, 18.70881, 0.73201, 22.00983, 8375.2),
    "sqinv paper 5 2": (13.31682, 1.39709, 0.74544, 1.00319, 2.36747, 14.47919, 0.73642, 14.47919, 8726.3),
    "sqinv code 9 1": (25.31545, 1.40145, 0.72959, 1.00525, 2.42033, 16.21452, 0.72959, 25.31545, 8408.2),
    "sqinv paper 9 1": (16.53539, 1.39227, 0.73250, 1.00898, 2.42491, 13.43085, 0.73250, 16.53539, 8712.7),
    "inv code 5 2": (33.14156, 1.54277, 0.43922, 0.79547, 4.43021, 26.96892, 0.42865, 33.14156, 2016.1),
}


@pytest.mark.parametrize("scheme", AGEDB_TABLE)
def test_weights_of_agedb_have_the_known_values(scheme):
    y = next(load_golden("lds_weights_agedb")).shared["labels"]
    power = 1.0 if scheme.startswith("inv") else 0.5
    window, sigma = map(int, scheme.split()[2:] or (5, 2))
    if "paper" in scheme:
        taps = kernel_window("gaussian", window=window, sigma=sigma, compat="reference")
        w = smooth(AGES.histogram(y), taps, padding="constant")[y] ** -power
        w /= w.mean()
    else:
        lds = LDS(window=window, sigma=sigma, compat="reference") if "code" in scheme else None
        clip = (5, 1000) if power == 1 else None
        w = density_weights(y, AGES, power=power, density=lds, clip=clip).sample_weight(y)
    *values, size = AGEDB_TABLE[scheme]
    of_ages = [w[np.argmax(y == age)] for age in (1, 20, 35, 60, 80, 101)]
    np.testing.assert_allclose([*of_ages, w.min(), w.max()], values, rtol=2e-6, atol=5e-6)
    assert w.sum() ** 2 / (w**2).sum() == pytest.approx(size, abs=0.051)


def weights_by_loops(y, bins, power, kernel, window, sigma):
    edges = [float(edge) for edge in bins.edges]
    index = []
    for value in y:
        b = 0
        while b < bins.n_bins - 1 and float(np.float32(value)) >= edges[b + 1]:
            b += 1
        index.append(b)
    counts = [index.count(b) for b in range(bins.n_bins)]
    raw = []
    for b in index:
        total = share = 0.0
        for other in range(max(0, b - window // 2), min(bins.n_bins, b + window // 2 + 1)):
            x = abs(b - other)
            if kernel == "gaussian":
                k = math.exp(-(x**2) / (2 * sigma**2))
            elif kernel == "laplace":
                k = math.exp(-x / sigma)
            else:
                k = 1 - x / (window // 2 + 1)
            total += k * counts[other]
            share += k
        raw.append((total / share) ** -power)
    return np.array(raw) / np.mean(raw)


rng = np.random.default_rng(0)
LABELS = {
    "negative": rng.normal(-50, 10, 400).round(),
    "fractional": rng.beta(2, 8, 400),
    "huge": 1e6 + 1e5 * rng.lognormal(0, 1, 400),
    "counts": rng.poisson(3, 400).astype(float),
    "around zero": rng.standard_t(3, 400),
}


@pytest.mark.parametrize("power", [0.5, 1.0, 0.3])
@pytest.mark.parametrize(
    ("kernel", "window", "sigma"), [("gaussian", 5, 2.0), ("laplace", 9, 1.0), ("triangular", 3, 1.0)]
)
@pytest.mark.parametrize("labels", LABELS)
def test_weights_equal_the_papers_formula(labels, kernel, window, sigma, power):
    y = LABELS[labels]
    bins = Bins.auto(y)
    weights = lds_weights(y, bins, power=power, kernel=kernel, window=window, sigma=sigma)
    expected = weights_by_loops(y, bins, power, kernel, window, sigma)
    np.testing.assert_allclose(weights.sample_weight(y), expected, rtol=1e-6)
    np.testing.assert_allclose(weights(torch.tensor(y)), expected, rtol=1e-6)


SMOOTHINGS = {
    "none": None,
    "paper": LDS(),
    "reference": LDS(compat="reference"),
    "reflected": LDS(kernel="laplace", window=9, sigma=1.0, padding="reflect"),
}


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("labels", LABELS)
def test_weights_have_mean_one_over_the_training_rows(labels, power, smoothing):
    y = LABELS[labels]
    assert density_weights(y, power=power, density=SMOOTHINGS[smoothing]).sample_weight(y).mean() == pytest.approx(
        1, rel=1e-6
    )


@pytest.mark.parametrize("labels", LABELS)
def test_inverse_weights_give_every_bin_the_same_total(labels):
    y = LABELS[labels]
    bins = Bins.auto(y)
    w = density_weights(y, bins, power=1.0).sample_weight(y)
    totals = np.bincount(bins.index(y), weights=w, minlength=bins.n_bins)[bins.histogram(y) > 0]
    np.testing.assert_allclose(totals, y.size / totals.size, rtol=1e-6)
