import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tailwise import InputError
from tailwise.regularizers.supremix import SupReMix, supremix_loss


def loops(z, y, mix, *, temperature, window, bin_width):
    """The formula over all samples and all mixtures of each anchor, one by one."""
    rows = []
    z = z / torch.linalg.vector_norm(z, dim=1, keepdim=True)
    for i in range(len(y)):
        positives, others = [], []
        for q in range(len(y)):
            if q == i:
                continue
            others.append((z[i] @ z[q], abs(y[i] - y[q])))
            if y[q] == y[i]:
                positives.append(z[i] @ z[q])
            else:
                a = mix[i, q]
                label = a * y[i] + (1 - a) * y[q]
                others.append((z[i] @ (a * z[i] + (1 - a) * z[q]).detach(), abs(y[i] - label)))
        for j in range(len(y)):
            for k in range(len(y)):
                if y[j] < y[i] < y[k] and y[i] - y[j] <= window and y[k] - y[i] <= window:
                    fraction = (y[k] - y[i]) / (y[k] - y[j])
                    s = z[i] @ (fraction * z[j] + (1 - fraction) * z[k]).detach()
                    positives.append(s)
                    others.append((s, 0.0))
        if positives:
            total = sum((gap / bin_width + 1) * torch.exp(s / temperature) for s, gap in others)
            rows.append(torch.log(total) - sum(positives) / temperature / len(positives))
    return sum(rows) / len(rows) if rows else z.sum() * 0


def batch(n, d=4, *, whole, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 6, n).astype(float) if whole else rng.normal(3, 2, n)
    return torch.tensor(rng.normal(size=(n, d))).requires_grad_(), torch.tensor(y), torch.tensor(rng.beta(2, 8, (n, n)))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n", "window"), [(2, 5.0), (7, 1.0), (13, 2.0), (13, 50.0)])
@pytest.mark.parametrize("temperature", [0.5, 0.02])
def test_values_and_gradients_equal_plain_loops(n, window, whole, temperature):
    z, y, mix = batch(n, whole=whole, seed=n)
    params = {"temperature": temperature, "window": window, "bin_width": 0.5}
    plain = loops(z, y, mix, **params)
    (expected,) = torch.autograd.grad(plain, z)
    loss = supremix_loss(z, y, mix=mix, **params)
    (gradient,) = torch.autograd.grad(loss, z)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(gradient, expected, rtol=1e-7, atol=1e-10)


def test_blocks_of_hard_positives_add_up(monkeypatch):
    z, y, mix = batch(40, whole=False)
    whole = supremix_loss(z, y, mix=mix)
    monkeypatch.setattr("tailwise.regularizers.supremix._pairs_at_once", lambda n: 7)
    in_blocks = supremix_loss(z, y, mix=mix)
    torch.testing.assert_close(in_blocks, whole)


class Largest(TorchDispatchMode):
    """Largest number of elements of a tensor that arises."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return result


@pytest.mark.parametrize(("n", "d"), [(64, 8), (128, 8), (128, 100)])
def test_no_tensor_has_more_than_pairs_of_samples(n, d):
    z, y, mix = batch(n, d, whole=False)
    with Largest() as largest:
        supremix_loss(z, y, window=1e3, mix=mix).backward()
    assert math.comb(n, 3) > 10 * n * n  # hard positives, which are mixtures of d numbers each
    assert n * n <= largest.numel <= 2 * n * n + n


def test_the_order_of_the_batch_and_the_unit_of_labels_do_not_matter():
    z, y, mix = batch(12, whole=False)
    order = torch.randperm(12)
    value = supremix_loss(z, y, mix=mix)
    torch.testing.assert_close(supremix_loss(z[order], y[order], mix=mix[order][:, order]), value)
    torch.testing.assert_close(supremix_loss(z, 100 * y, window=500.0, bin_width=100.0, mix=mix), value)


@pytest.mark.parametrize("n", [1, 2])
def test_zero_with_zero_gradients_without_a_comparison(n):
    z = torch.randn(n, 3, requires_grad=True)
    value = SupReMix()(z, torch.full((n,), 3.0), torch.zeros(n))
    value.backward()
    assert value == 0
    assert (z.grad == 0).all()


def test_lower_when_features_follow_labels():
    y = torch.arange(20.0)
    angle = y / 20 * math.pi
    ordered = torch.stack([angle.cos(), angle.sin()], dim=1)
    torch.manual_seed(0)
    shuffled = ordered[torch.randperm(20)]
    term = SupReMix()
    assert term(ordered, y, y) < term(shuffled, y, y)


def test_views_half_precision_and_whole_labels():
    z, y = torch.randn(6, 2, 3), torch.arange(6)
    torch.manual_seed(0)
    flat = SupReMix()(z.transpose(0, 1).reshape(12, 3), torch.cat([y, y]), None)
    torch.manual_seed(0)
    assert torch.equal(SupReMix()(z, y, None), flat)
    assert torch.isfinite(SupReMix()(z[:, 0].bfloat16(), y.bfloat16(), None))
    with pytest.raises(InputError, match="scalar labels"):
        SupReMix()(z[:, 0], torch.rand(6, 2), torch.rand(6, 2))
    with pytest.raises(InputError, match="temperature"):
        SupReMix(temperature=0)
