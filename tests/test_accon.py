import math

import numpy as np
import pytest
import torch

from tailwise.regularizers.accon import accon_loss


def loops(z, y, *, window, temperature):
    n, rows = len(y), []
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    largest = max(np.abs(a - b).sum() for a in y for b in y)
    for i in range(n):
        logits, positives = {}, []
        for j in range(n):
            if j == i:
                continue
            cosine, gap = float(z[i] @ z[j]), float(np.abs(y[i] - y[j]).sum())
            if gap <= window:
                positives.append(j)
                logits[j] = cosine / temperature
            else:
                phi = (1 - gap / largest) * math.pi
                rest = math.sqrt(1 - cosine**2)
                logits[j] = (cosine * math.cos(phi) - rest * abs(math.sin(phi))) / temperature
        if positives:
            total = math.log(sum(math.exp(v) for v in logits.values()))
            rows.append(sum(total - logits[p] for p in positives) / len(positives))
    return sum(rows) / len(rows)


@pytest.mark.parametrize(("n", "k", "window"), [(5, 1, 3.0), (16, 1, 0.0), (16, 1, 0.5), (16, 3, 2.0)])
def test_values_equal_plain_loops(n, k, window):
    rng = np.random.default_rng(n)
    z, y = rng.normal(size=(n, 4)), rng.integers(0, 5, (n, k)).astype(float)
    target = torch.tensor(y[:, 0] if k == 1 else y)
    value = accon_loss(torch.tensor(z), target, window=window, temperature=0.3)
    assert float(value) == pytest.approx(loops(z, y, window=window, temperature=0.3), rel=1e-6)


def test_equal_features_with_different_labels_have_finite_gradients():
    z = torch.ones(4, 3, requires_grad=True)
    accon_loss(z, torch.tensor([0.0, 0.0, 1.0, 5.0])).backward()
    assert torch.isfinite(z.grad).all()


def test_the_best_angle_between_features_is_in_proportion_to_the_distance_of_labels():
    y = torch.tensor([0.0, 0.0, 1.0, 2.0, 4.0, 4.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)

    def value(angle):
        return accon_loss(torch.stack([angle.cos(), angle.sin()], dim=1).double(), y, temperature=1.0)

    best = value(math.pi * y / 4)
    for size in (0.1, 0.3, 1.0):
        for _ in range(10):
            assert best < value(math.pi * y / 4 + size * torch.randn(6, generator=generator))
