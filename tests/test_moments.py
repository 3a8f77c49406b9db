import numpy as np
import pytest
import torch

from tailwise import Bins
from tailwise.smoothing.fds import FDS
from tailwise.smoothing.moments import BinMoments


def two_pass(z, index, n_bins):
    """Mean and squared deviations of each bin by plain loops over its rows in float64."""
    mean, m2 = np.zeros((n_bins, z.shape[1])), np.zeros((n_bins, z.shape[1]))
    for b in range(n_bins):
        rows = z[index == b].astype(np.float64)
        if len(rows):
            mean[b] = sum(rows) / len(rows)
            m2[b] = sum((row - mean[b]) ** 2 for row in rows)
    return mean, m2


@pytest.mark.parametrize("sizes", [[100], [1] * 100, [7, 0, 60, 33]])
def test_batches_give_what_two_passes_give(sizes):
    rng = np.random.default_rng(0)
    z, index = 1e3 + rng.normal(size=(100, 3)).astype(np.float32), rng.integers(0, 5, 100)
    moments = BinMoments(6, 3)
    for rows in np.split(np.arange(100), np.cumsum(sizes)[:-1]):
        moments.add(torch.from_numpy(z[rows]), torch.from_numpy(index[rows]))
    mean, m2 = two_pass(z, index, 6)
    assert moments.count.squeeze(1).tolist() == np.bincount(index, minlength=6).tolist()
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(moments.m2, m2, rtol=1e-3)


@pytest.mark.slow
def test_float32_is_safe_at_ten_million_samples():
    # A mean of a thousand standard deviations: sums of squares in float32 would keep no digit of the variance.
    moments, generator = BinMoments(2, 2), torch.Generator().manual_seed(0)
    z = 1e3 + torch.randn(2**14, 2, generator=generator)
    index = torch.arange(2**14) % 2
    for _ in range(640):
        moments.add(z, index)
    for b in range(2):
        rows = z[index == b].double()
        assert int(moments.count[b]) == 640 * 2**13
        torch.testing.assert_close(moments.mean[b].double(), rows.mean(0), rtol=5e-6, atol=0)
        spread = moments.m2[b].double() / int(moments.count[b])
        torch.testing.assert_close(spread, rows.var(0, unbiased=False), rtol=1e-4, atol=0)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_one_large_call_is_as_exact_as_many_small_ones(offset):
    z = offset + torch.randn(300_000, 1, generator=torch.Generator().manual_seed(0))
    moments = BinMoments(1, 1)
    moments.add(z, torch.zeros(300_000, dtype=torch.int64))
    exact = z.double()
    assert abs(float(moments.mean) - float(exact.mean())) < 1e-3 + 1e-7 * offset
    assert float(moments.m2) / 300_000 == pytest.approx(float(exact.var(unbiased=False)), rel=1e-3)


def test_statistics_follow_the_module_but_not_into_half_precision():
    fds = FDS(Bins.from_edges(range(5)), 3)
    assert fds.double().moments.mean.dtype == torch.float64
    assert fds.bfloat16().moments.mean.dtype == torch.float64
    assert fds.to("meta").moments.m2.device.type == "meta"


def test_a_state_dict_of_another_shape_is_refused():
    state = BinMoments(3, 2).state_dict()
    with pytest.raises(RuntimeError, match=r"mean has shape \(3, 2\), expected \(4, 2\)"):
        BinMoments(4, 2).load_state_dict(state)
    del state["m2"]
    with pytest.raises(RuntimeError, match="m2"):
        BinMoments(3, 2).load_state_dict(state)


def test_pixels_without_a_label_stay_as_they_are_bit_for_bit():
    fds = FDS(Bins.from_edges(range(5)), 3)
    y = torch.rand(2, 4, 5) * 4
    y[0, :2] = torch.nan
    for _ in range(2):
        fds(torch.randn(2, 3, 4, 5) * 7, y)
        fds.end_epoch()
    z = torch.randn(2, 3, 4, 5, requires_grad=True)
    out = fds(z, y)
    there = ~torch.isnan(y).unsqueeze(1).expand_as(z)
    assert torch.equal(out[~there], z[~there])
    assert not torch.equal(out[there], z[there])
    assert int(fds.moments.count.sum()) == int((~torch.isnan(y)).sum())
    out.sum().backward()
    assert torch.equal(z.grad[~there], torch.ones_like(z.grad[~there]))


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_large_maps_give_what_their_pixels_give_as_rows(offset, channels_last):
    bins, generator = Bins.from_edges(range(7)), torch.Generator().manual_seed(0)
    maps, rows = FDS(bins, 3), FDS(bins, 3)
    y = 6 * torch.rand(3, 40, 33, generator=generator)
    y[0, :20] = torch.nan
    for _ in range(2):
        z = offset + torch.randn(3, 3, 40, 33, generator=generator)
        z = z.contiguous(memory_format=torch.channels_last) if channels_last else z
        z.requires_grad_()
        smoothed = maps(z, y)
        known = ~torch.isnan(y)
        pixels = z.detach().movedim(1, -1)[known].requires_grad_()
        expected = rows(pixels, y[known])
        torch.testing.assert_close(smoothed.movedim(1, -1)[known], expected, rtol=1e-5, atol=1e-5 * (1 + offset))
        assert torch.equal(smoothed.movedim(1, -1)[~known], z.movedim(1, -1)[~known])
        if smoothed is not z:
            gradient = torch.randn(smoothed.shape, generator=generator)
            smoothed.backward(gradient)
            expected.backward(gradient.movedim(1, -1)[known])
            torch.testing.assert_close(z.grad.movedim(1, -1)[known], pixels.grad)
            assert torch.equal(z.grad.movedim(1, -1)[~known], gradient.movedim(1, -1)[~known])
        for piece in (maps, rows):
            piece.end_epoch()
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(getattr(maps, name), getattr(rows, name), rtol=1e-4, atol=1e-5)


def test_large_maps_in_half_precision():
    fds = FDS(Bins.from_edges(range(7)), 3)
    y = 6 * torch.rand(1, 40, 40)
    for _ in range(2):
        out = fds(torch.randn(1, 3, 40, 40).bfloat16(), y)
        fds.end_epoch()
    assert out.dtype == torch.bfloat16
    assert torch.isfinite(out).all()
