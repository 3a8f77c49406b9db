"""What is computed block by block equals what is computed at once, and its memory does not grow with the square."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwise.losses import own_label
from tailwise.losses.balanced_mse import bmc_loss
from tailwise.regularizers import blocks, rank_n_contrast
from tailwise.regularizers.conr import conr_loss
from tailwise.regularizers.rank_n_contrast import rnc_loss
from tailwise.regularizers.ranksim import ranksim_loss


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks so small that a handful of rows needs several, and nothing kept between forward and backward."""

    def shrink(*, keep=False):
        monkeypatch.setattr(blocks, "TILE", 3)
        monkeypatch.setattr(blocks, "_FEWEST_ROWS", 1)
        monkeypatch.setattr(blocks, "KEPT_PAIRS", 10**9 if keep else 0)
        monkeypatch.setattr(rank_n_contrast, "PAIRS_AT_ONCE", 20)
        monkeypatch.setattr(own_label, "PAIRS_AT_ONCE", 20)

    return shrink


def batch(seed, n, k=None, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shape = (n,) if k is None else (n, k)
    y = torch.randint(0, 6, shape, generator=generator).to(dtype)  # many ties
    features = torch.randn(n, 4, generator=generator, dtype=dtype, requires_grad=True)
    pred = (y + torch.randn(shape, generator=generator, dtype=dtype)).requires_grad_()
    weight = (0.2 + torch.rand(n, generator=generator, dtype=dtype)).requires_grad_()
    return features, y, pred, weight


def value_and_gradients(loss, *leaves):
    return loss.detach(), *torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("compat", ["paper", "reference"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 10, 17])
@pytest.mark.parametrize("k", [None, 2])
def test_conr_is_the_same_in_one_tile_and_in_many(small_blocks, keep, compat, n, k):
    features, y, pred, weight = batch(n, n, k)
    form = {"window": 1.0, "push": 0.3, "compat": compat, "label_distance": "l2"}
    whole = value_and_gradients(conr_loss(features, y, pred, weight, **form), features, weight)
    small_blocks(keep=keep)
    tiled = value_and_gradients(conr_loss(features, y, pred, weight, **form), features, weight)
    torch.testing.assert_close(tiled, whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("compat", ["paper", "reference"])
def test_conr_of_pooled_maps_is_the_same_in_many_tiles(small_blocks, compat):
    generator = torch.Generator().manual_seed(0)
    y = 6 * torch.rand(8, 2, 3, generator=generator, dtype=torch.float64)
    features = torch.randn(8, 2, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    pred = y + torch.randn(8, 2, 3, generator=generator, dtype=torch.float64)
    whole = value_and_gradients(conr_loss(features, y, pred, window=0.5, compat=compat), features)
    small_blocks()
    tiled = value_and_gradients(conr_loss(features, y, pred, window=0.5, compat=compat), features)
    torch.testing.assert_close(tiled, whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("keep", [True, False])
def test_conr_in_tiles_has_the_gradient_of_its_value(small_blocks, keep):
    small_blocks(keep=keep)
    features, y, pred, weight = batch(0, 9)
    assert torch.autograd.gradcheck(lambda z, w: conr_loss(z, y, pred, w, window=1.0, push=0.3), (features, weight))
    assert torch.autograd.gradcheck(lambda z: -2 * conr_loss(z, y, pred, window=1.0), (features,))


def test_conr_weighs_nothing_where_the_weight_is_zero():
    features, y, pred, weight = batch(3, 12)
    none = weight.detach().clone()
    none[::2] = 0.0
    tiny = none.clamp(min=1e-40)
    torch.testing.assert_close(
        value_and_gradients(conr_loss(features, y, pred, none, window=1.0), features),
        value_and_gradients(conr_loss(features, y, pred, tiny, window=1.0), features),
        rtol=1e-12,
        atol=1e-14,
    )


@pytest.mark.parametrize("temperature", [1e-3, 0.01, 0.2, 5.0])
@pytest.mark.parametrize("push", [0.0, 0.01, 30.0])
def test_conr_survives_any_temperature_and_push_in_float32(temperature, push):
    features, y, pred, weight = batch(5, 40)
    form = {"window": 1.0, "temperature": temperature, "push": push}
    exact = value_and_gradients(conr_loss(features, y, pred, weight, **form), features)
    single = [t.detach().float() for t in (features, y, pred, weight)]
    single[0].requires_grad_()
    rounded = value_and_gradients(conr_loss(*single, **form), single[0])
    assert all(torch.isfinite(t).all() for t in rounded)
    scale = max(exact[1].abs().max().item(), 1e-6)
    torch.testing.assert_close(rounded[0].double(), exact[0], rtol=2e-5, atol=1e-4)
    torch.testing.assert_close(rounded[1].double(), exact[1], rtol=0, atol=1e-5 * scale / min(temperature, 1.0))


@pytest.mark.parametrize("n", [2, 3, 10, 17])
@pytest.mark.parametrize("k", [None, 2])
def test_rank_n_contrast_is_the_same_in_one_block_and_in_many(small_blocks, n, k):
    features, y, _, _ = batch(n, n, k)
    whole = value_and_gradients(rnc_loss(features, y), features)
    small_blocks()
    blocked = value_and_gradients(rnc_loss(features, y), features)
    torch.testing.assert_close(blocked, whole, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(lambda z: 3 * rnc_loss(z, y), (features,))


def test_rank_n_contrast_of_equal_features_has_a_finite_gradient():
    features = torch.ones(5, 3, requires_grad=True)
    rnc_loss(features, torch.arange(5.0)).backward()
    assert torch.equal(features.grad, torch.zeros(5, 3))


@pytest.mark.parametrize("n", [1, 2, 10, 17])
@pytest.mark.parametrize("k", [None, 3])
@pytest.mark.filterwarnings("ignore:bmc compares")
def test_balanced_mse_is_the_same_in_one_block_and_in_many(small_blocks, n, k):
    _, y, pred, weight = batch(n, n, k)
    log_sigma = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def loss(p, s):
        return bmc_loss(p, y, weight.detach(), sigma=s.exp())

    whole = value_and_gradients(loss(pred, log_sigma), pred, log_sigma)
    gap = pred.unsqueeze(1) - y.unsqueeze(0)
    logits = -(gap.square() if k is None else gap.square().sum(-1)) / (2 * log_sigma.exp() ** 2)
    values = torch.nn.functional.cross_entropy(logits, torch.arange(n), reduction="none") * weight.detach()
    plain = value_and_gradients(values.mean() * (2 * log_sigma.exp() ** 2).detach(), pred, log_sigma)
    torch.testing.assert_close(whole, plain, rtol=1e-9, atol=1e-12)
    small_blocks()
    torch.testing.assert_close(value_and_gradients(loss(pred, log_sigma), pred, log_sigma), whole)


@pytest.mark.filterwarnings("ignore:bmc compares")
@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(0, 1000), st.sampled_from([1e-3, 0.1, 1.0, 50.0]))
def test_block_losses_agree_between_float64_and_lower_precision(n, seed, sigma):
    features, y, pred, weight = batch(seed, n)
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.1)):
        z, p, w = features.detach().to(dtype), pred.detach().to(dtype), weight.detach().to(dtype)
        target = y.to(dtype)
        for low, high in (
            (
                conr_loss(z, target, p, w, window=1.0),
                conr_loss(z.double(), y, p.double(), w.double(), window=1.0),
            ),
            (rnc_loss(z, target), rnc_loss(z.double(), y)),
            (bmc_loss(p, target, sigma=sigma), bmc_loss(p.double(), y, sigma=sigma)),
        ):
            assert low.dtype == dtype
            torch.testing.assert_close(low.double(), high, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_balanced_mse_of_labels_far_from_zero(offset):
    generator = torch.Generator().manual_seed(0)
    y = offset + torch.randn(256, generator=generator)
    pred = (y + 0.3 * torch.randn(256, generator=generator)).requires_grad_()
    exact = pred.detach().double().requires_grad_()
    (rounded,) = torch.autograd.grad(bmc_loss(pred, y, sigma=0.5), pred)
    (expected,) = torch.autograd.grad(bmc_loss(exact, y.double(), sigma=0.5), exact)
    torch.testing.assert_close(rounded.double(), expected, rtol=0, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize(("offset", "size"), [(0.0, 1.0), (100.0, 0.1), (100.0, 0.01)])
def test_rank_n_contrast_of_features_far_from_zero(offset, size):
    z = (offset + size * torch.randn(64, 128, generator=torch.Generator().manual_seed(0))).requires_grad_()
    y = torch.randn(64, generator=torch.Generator().manual_seed(1))
    exact = z.detach().double().requires_grad_()
    (rounded,) = torch.autograd.grad(rnc_loss(z, y), z)
    (expected,) = torch.autograd.grad(rnc_loss(exact, y.double()), exact)
    torch.testing.assert_close(rounded.double(), expected, rtol=0, atol=1e-4 * expected.abs().max().item())


def test_ranksim_in_low_precision_ranks_in_full():
    z = torch.randn(600, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    y = torch.randperm(600, generator=torch.Generator().manual_seed(1)).float()
    gradients = []
    for features in (z.clone().requires_grad_(), z.float().requires_grad_()):
        (gradient,) = torch.autograd.grad(ranksim_loss(features, y, total="mean"), features)
        gradients.append(gradient.float().flatten())
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.999


_MEMORY = """
import torch
torch.set_num_threads(1)
from tailwise.losses.balanced_mse import bmc_loss
from tailwise.regularizers.conr import conr_loss
from tailwise.regularizers.rank_n_contrast import rnc_loss

def high_water():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

def loss(n, d):
    z = torch.randn(n, d, requires_grad=True)
    y = torch.rand(n) * 100
    pred = (y + torch.randn(n)).requires_grad_()
    z.grad, pred.grad = torch.zeros_like(z), torch.zeros_like(pred)
    yield
    {call}.backward()
    yield

for _ in loss(64, 4): pass
steps = loss({n}, {d})
next(steps)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = high_water()
next(steps)
print(high_water() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the high-water mark of /proc")
@pytest.mark.parametrize(
    ("call", "n", "d", "bound"),
    [
        pytest.param("conr_loss(z, y, pred)", 8_192, 64, 120, id="conr"),  # a matrix of pairs: 256 MB
        pytest.param("rnc_loss(z, y)", 4_096, 32, 150, id="rnc"),  # 64 MB a matrix, of which the plain form needs 15
        pytest.param("bmc_loss(pred, y, sigma=1.0)", 16_384, 1, 20, id="bmc"),
    ],
)
@pytest.mark.slow
def test_memory_does_not_grow_with_the_square_of_the_batch(call, n, d, bound):
    code = _MEMORY.replace("{call}", call).replace("{n}", str(n)).replace("{d}", str(d))
    grown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert float(grown) < bound


def test_no_product_of_the_backward_pass_is_subnormal(monkeypatch):
    """Matrix products of subnormal numbers take a hundred times as long on some processors."""
    seen = []
    original = torch.Tensor.addmm_

    def addmm_(self, left, right, **changes):
        seen.append(left.detach().clone())
        return original(self, left, right, **changes)

    monkeypatch.setattr(torch.Tensor, "addmm_", addmm_)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(512, 32, generator=generator, requires_grad=True)
    y = 100 * torch.rand(512, generator=generator)
    conr_loss(z, y, y + 5 * torch.randn(512, generator=generator)).backward()
    sizes = torch.cat([left.abs().flatten() for left in seen])
    assert len(sizes) > 512 * 256
    assert sizes[sizes > 0].min() > 1e-30
