import math

import numpy as np
import pytest

from golden import golden
from tailwise.labels.kernels import kernel_window, smooth


@pytest.mark.parametrize("case", golden("kernel_windows"))
def test_windows_equal_the_reference(case):
    taps = kernel_window(case.kernel, window=case.params["ks"], sigma=case.params["sigma"], compat="reference")
    case.close(taps, "lds_window")
    case.close(taps / taps.sum(), "fds_window_f32")


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 3.7])
@pytest.mark.parametrize("window", [1, 3, 5, 9])
@pytest.mark.parametrize("kernel", ["gaussian", "laplace", "triangular"])
def test_windows_equal_the_papers_formula(kernel, window, sigma):
    half = window // 2
    expected = []
    for x in range(-half, half + 1):
        if kernel == "gaussian":
            expected.append(math.exp(-(x**2) / (2 * sigma**2)))
        elif kernel == "laplace":
            expected.append(math.exp(-abs(x) / sigma))
        else:
            expected.append(1 - abs(x) / (half + 1))
    np.testing.assert_allclose(kernel_window(kernel, window=window, sigma=sigma), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "window", "sigma", "compat", "expected"),
    [
        ("gaussian", 5, 2.0, "reference", [0.85829, 0.94583, 1, 0.94583, 0.85829]),
        ("gaussian", 5, 2.0, "paper", [0.60653, 0.88250, 1, 0.88250, 0.60653]),
        ("gaussian", 9, 1.0, "reference", [0.00034, 0.01111, 0.13534, 0.60653, 1, 0.60653, 0.13534, 0.01111, 0.00034]),
        ("triangular", 5, 2.0, "reference", [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
        ("laplace", 5, 2.0, "reference", [0.36788, 0.60653, 1, 0.60653, 0.36788]),
    ],
)
def test_windows_have_the_known_values(kernel, window, sigma, compat, expected):
    taps = kernel_window(kernel, window=window, sigma=sigma, compat=compat)
    np.testing.assert_allclose(taps, expected, atol=1e-5)


def smooth_by_loops(values, taps, padding):
    n, half = len(values), len(taps) // 2
    out = np.zeros(values.shape)
    for b in range(n):
        seen = 0.0
        for k in range(-half, half + 1):
            at, tap = b + k, taps[half + k]
            if padding == "reflect":
                at %= 2 * n
                at = min(at, 2 * n - 1 - at)
            elif padding == "mirror":
                at %= 2 * n - 2
                at = min(at, 2 * n - 2 - at)
            if 0 <= at < n:
                out[b] += tap * values[at]
                seen += tap
        if padding == "renormalise":
            out[b] /= seen
    return out


@pytest.mark.parametrize("shape", [(7,), (12, 3)])
@pytest.mark.parametrize("window", [1, 3, 5, 9])
@pytest.mark.parametrize("kernel", ["gaussian", "triangular"])
@pytest.mark.parametrize("padding", ["renormalise", "constant", "reflect", "mirror"])
def test_smoothing_equals_plain_loops(padding, kernel, window, shape):
    values = np.random.default_rng(0).normal(size=shape)
    taps = kernel_window(kernel, window=window, sigma=1.5)
    np.testing.assert_allclose(
        smooth(values, taps, padding=padding), smooth_by_loops(values, taps, padding), rtol=1e-10
    )


@pytest.mark.parametrize("padding", ["renormalise", "constant", "reflect"])
def test_a_window_may_be_wider_than_the_bins(padding):
    values, taps = np.array([3.0, 1.0, 4.0]), kernel_window("laplace", window=7)
    np.testing.assert_allclose(
        smooth(values, taps, padding=padding), smooth_by_loops(values, taps, padding), rtol=1e-10
    )


def test_mirroring_refuses_a_window_wider_than_the_bins():
    with pytest.raises(ValueError, match="a window of 7 bins needs more than 3 bins, got 3"):
        smooth(np.ones(3), kernel_window("laplace", window=7), padding="mirror")


def test_whole_counts_are_not_rounded_down():
    # The reference code convolves an integer array and gets [0, 3, 8, 6, 2, 1].
    taps = np.array([0.1, 0.5, 1.0, 0.5, 0.1])
    smoothed = smooth(np.array([0, 0, 7, 3, 0, 1]), taps, padding="constant")
    np.testing.assert_allclose(smoothed, [0.7, 3.8, 8.5, 6.6, 2.7, 1.3], rtol=1e-12)
