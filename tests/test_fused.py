"""The Triton kernels of ConR give what the blocks give: on a GPU, or anywhere with TRITON_INTERPRET=1."""

import importlib.util
import os

import pytest
import torch

from tailwise.regularizers import blocks
from tailwise.regularizers.blocks import FusedContrast, Pairs, contrast, fused_kernels
from tailwise.regularizers.conr import conr_loss

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed"),
    pytest.mark.skipif(DEVICE == "cpu" and not INTERPRETED, reason="needs a GPU, or TRITON_INTERPRET=1 and Triton"),
]


def batch(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, d, generator=generator)
    y = torch.randint(0, 20, (n,), generator=generator).float()
    pred = y + 3 * torch.randn(n, generator=generator)
    weight = 0.1 + torch.rand(n, generator=generator)
    shares = torch.randn(2, n, generator=generator)
    return [t.to(DEVICE) for t in (features, y, pred, weight, shares)]


@pytest.mark.parametrize("n", [1, 2, 31, 64, 65, 150])
@pytest.mark.parametrize("d", [1, 16, 20, 130])
@pytest.mark.parametrize("weighted", [True, False])
def test_kernels_equal_blocks(n, d, weighted):
    features, y, pred, weight, (share, pull) = batch(n, d, seed=n)
    pairs = Pairs(y, pred, 1.0, "l1", 0.1)
    found = []
    for apply in (
        lambda z, w: contrast(z.cpu(), Pairs(y.cpu(), pred.cpu(), 1.0, "l1", 0.1), w, temperature=0.2),
        lambda z, w: FusedContrast.apply(z, w, pairs, 0.2, torch.float32, fused_kernels()),
    ):
        on = "cpu" if not found else DEVICE
        z = features.detach().clone().to(on).requires_grad_()
        w = weight.detach().clone().log().to(on).requires_grad_() if weighted else None
        log_sum, closeness, n_positive, n_negative = apply(z, w)
        has_pairs = n_positive + n_negative > 0
        loss = (torch.where(has_pairs, log_sum, 0) * share.to(on)).sum() + (closeness * pull.to(on)).sum()
        gradients = torch.autograd.grad(loss, [z] if w is None else [z, w])
        found.append([torch.where(has_pairs, log_sum, 0), closeness, n_positive, n_negative, *gradients])
    for fused, plain in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(fused.detach().cpu(), plain.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("compat", ["paper", "reference"])
def test_conr_on_a_gpu_takes_the_kernels_and_gives_what_a_cpu_gives(dtype, compat, monkeypatch):
    features, y, pred, weight, _ = batch(300, 128)
    called = []
    monkeypatch.setattr(blocks.FusedContrast, "apply", lambda *a, f=FusedContrast.apply: called.append(1) or f(*a))
    z = features.to(dtype).requires_grad_()
    loss = conr_loss(z, y, pred, weight, compat=compat)
    (gradient,) = torch.autograd.grad(loss, z)
    exact = features.cpu().double().requires_grad_()
    plain = conr_loss(exact, y.cpu().double(), pred.cpu().double(), weight.cpu().double(), compat=compat)
    (expected,) = torch.autograd.grad(plain, exact)
    tolerance = 1e-4 if dtype == torch.float32 else 3e-2
    assert called
    torch.testing.assert_close(loss.double().cpu(), plain, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(gradient.double().cpu(), expected, rtol=tolerance, atol=tolerance * expected.abs().max())
