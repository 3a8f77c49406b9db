import math

import numpy as np
import pytest
import torch

from golden import golden
from tailwise.regularizers.rank_n_contrast import rnc_loss


# c013: distances of over a thousand underflow in theirs (the row's largest value is that of the anchor itself, 0); ours
# is finite, which is all that can be asserted.
@pytest.mark.parametrize("case", golden("rnc"))
def test_values_and_gradients_equal_the_reference(case):
    dtype = getattr(torch, case.params["dtype"])
    features = torch.tensor(case.inputs["features"], dtype=dtype).requires_grad_()
    loss = rnc_loss(features, torch.tensor(case.inputs["labels"], dtype=dtype), temperature=case.params["temperature"])
    loss.backward()
    if "nonfinite" in case.case["flags"]:
        assert torch.isfinite(loss)
        assert torch.isfinite(features.grad).all()
        return
    case.close(loss.detach(), "loss")
    case.close(features.grad, "grad_features")


def loops(z, y, temperature):
    n, total = len(z), 0.0
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            gap = np.abs(y[i] - y[j]).sum()
            far = [k for k in range(n) if k != i and np.abs(y[i] - y[k]).sum() >= gap]
            s = {k: -np.linalg.norm(z[i] - z[k]) / temperature for k in far}
            total -= s[j] - math.log(sum(math.exp(v) for v in s.values()))
    return total / (n * (n - 1))


@pytest.mark.parametrize(("n", "k"), [(2, 1), (5, 1), (17, 1), (17, 3)])
@pytest.mark.parametrize("whole", [True, False])
def test_against_plain_loops(n, k, whole):
    rng = np.random.default_rng(n)
    z, y = rng.normal(size=(n, 4)), rng.normal(size=(n, k))
    y = np.round(2 * y) if whole else y
    target = torch.tensor(y[:, 0] if k == 1 else y)
    assert rnc_loss(torch.tensor(z), target, temperature=0.7) == pytest.approx(loops(z, y, 0.7))


def test_lower_when_features_are_ordered_as_labels():
    y = 3.0 ** torch.arange(8)  # all distances differ
    ordered = rnc_loss(10 * y.unsqueeze(1), y)
    shuffled = rnc_loss(10 * y[torch.randperm(8)].unsqueeze(1), y)
    assert ordered < 0.1 < shuffled


def test_one_sample_says_nothing():
    z = torch.randn(1, 3, requires_grad=True)
    rnc_loss(z, torch.zeros(1)).backward()
    assert (z.grad == 0).all()
