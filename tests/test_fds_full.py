import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.covariance import empirical_covariance, oas

from tailwise import FDS, Bins, InputError
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.kernels import kernel_window
from tailwise.smoothing.fds import recolouring, shrunk

RNG = np.random.default_rng(0)
BINS = Bins.from_edges([0, 1, 2, 3])


def colour(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


@pytest.mark.parametrize(("n", "d"), [(50, 3), (5, 8), (2, 4)])
def test_shrinkage_is_scikit_learns(n, d):
    x = colour(n, d)
    expected, _ = oas(x)
    ours = shrunk(torch.tensor(empirical_covariance(x)), torch.tensor([float(n)]))
    assert np.allclose(ours.numpy(), expected)


def test_recolouring_is_the_matrix_roots():
    a, b = (np.cov(colour(seed=s).T) for s in (1, 2))
    ours = recolouring(torch.tensor(a), torch.tensor(b)).numpy()
    assert np.allclose(ours, sqrtm(b) @ np.linalg.inv(sqrtm(a)))
    assert np.allclose(ours @ a @ ours.T, b)


def test_features_against_plain_loops():
    fds = FDS(BINS, 3, covariance="full", momentum=0.0, window=3, sigma=1.0).double().train()
    features = [colour(40, 3, seed=b) for b in range(3)]
    z = torch.tensor(np.concatenate(features))
    y = torch.repeat_interleave(torch.arange(3.0), 40) + 0.5
    for part in torch.randperm(120, generator=torch.Generator().manual_seed(0)).split(50):
        fds(z[part], y[part])
    fds.end_epoch()
    out = fds(z, y).numpy()

    taps = kernel_window("gaussian", window=3, sigma=1.0)
    means = [f.mean(0) for f in features]
    covs = [shrunk(torch.tensor(np.cov(f.T)), torch.tensor([40.0])).numpy() for f in features]
    for b in range(3):
        total = sum(taps[1 + o] for o in (-1, 0, 1) if 0 <= b + o < 3)
        mean = sum(taps[1 + o] * means[b + o] for o in (-1, 0, 1) if 0 <= b + o < 3) / total
        cov = sum(taps[1 + o] * covs[b + o] for o in (-1, 0, 1) if 0 <= b + o < 3) / total
        matrix = sqrtm(cov) @ np.linalg.inv(sqrtm(covs[b]))
        for i in range(40):
            expected = matrix @ (features[b][i] - means[b]) + mean
            assert np.allclose(out[40 * b + i], expected, atol=1e-4)


def test_bins_that_are_all_alike_are_left_alone():
    fds = FDS(BINS, 3, covariance="full").train()
    z = torch.tensor(colour(50, 3)).float().repeat(3, 1)
    y = torch.repeat_interleave(torch.arange(3.0), 50)
    fds(z, y)
    fds.end_epoch()
    assert torch.allclose(fds(z, y), z, atol=1e-3)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_samples_than_channels(n):
    fds = FDS(BINS, 16, covariance="full").train()
    z, y = torch.randn(3 * n, 16, requires_grad=True), torch.repeat_interleave(torch.arange(3.0), n)
    for _ in range(3):
        out = fds(z, y)
        fds.end_epoch()
    assert torch.isfinite(out).all()
    out.sum().backward()
    assert torch.isfinite(z.grad).all()
    assert out.detach().std() < 10


def test_dense_maps_and_low_precision():
    fds = FDS(BINS, 4, covariance="full").train()
    z, y = torch.randn(2, 4, 5, 5), torch.rand(2, 5, 5) * 3
    y[0, 0] = torch.nan
    for _ in range(2):
        out = fds(z, y)
        fds.end_epoch()
    assert out.shape == z.shape
    assert torch.equal(out[0, :, 0], z[0, :, 0])
    assert fds(z.bfloat16(), y).dtype == torch.bfloat16


def test_what_a_full_covariance_refuses():
    with pytest.raises(InputError, match="100,000,000"):
        FDS(Bins.from_edges(range(101)), 2048, covariance="full")
    with pytest.raises(InputError, match="no ratio to clip"):
        FDS(BINS, 3, covariance="full", clip=(0.5, 2.0))
    with pytest.raises(InputError, match="no reference code"):
        FDS(BINS, 3, covariance="full", compat="reference")
    with pytest.raises(InputError, match="covariance must be one of"):
        FDS(BINS, 3, covariance="low-rank")


def test_state_goes_round():
    fds = FDS(BINS, 3, covariance="full").train()
    z, y = torch.randn(60, 3), torch.rand(60) * 3
    fds(z, y)
    fds.end_epoch()
    again = FDS(BINS, 3, covariance="full").train()
    again.load_state_dict(fds.state_dict())
    assert torch.equal(again(z, y), fds(z, y))


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_a_grid_of_bins_smooths_along_each_axis(covariance):
    grid = BinGrid((Bins.from_edges([0, 1, 2, 3]), Bins.from_edges([0, 1, 2])))
    fds = FDS(grid, 2, covariance=covariance, momentum=0.0, window=3, sigma=1.0).train()
    taps = kernel_window("gaussian", window=3, sigma=1.0)
    cells = [(i, j) for i in range(3) for j in range(2)]
    y = torch.tensor([[i + 0.5, j + 0.5] for i, j in cells]).repeat_interleave(30, dim=0)
    z = torch.randn(180, 2) + y
    fds(z, y)
    fds.end_epoch()
    means = {cell: z[30 * c : 30 * c + 30].mean(0) for c, cell in enumerate(cells)}
    for c, (i, j) in enumerate(cells):
        share = {(a, b): taps[1 + a - i] * taps[1 + b - j] for a, b in cells if abs(a - i) < 2 and abs(b - j) < 2}
        expected = sum(s * means[cell] for cell, s in share.items()) / sum(share.values())
        assert torch.allclose(fds(z, y)[30 * c : 30 * c + 30].mean(0), expected.float(), atol=1e-4)


def test_a_grid_needs_labels_of_its_dimensions():
    grid = BinGrid((BINS, BINS))
    with pytest.raises(InputError, match="grid of bins"):
        FDS(grid, 2).train()(torch.zeros(4, 2), torch.zeros(4))
    with pytest.raises(InputError, match="grid of bins"):
        FDS(BINS, 2).train()(torch.zeros(4, 2), torch.zeros(4, 2))
