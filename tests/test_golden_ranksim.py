import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from golden import golden
from tailwise.regularizers.ranksim import ranksim_loss


@pytest.mark.parametrize("case", golden("ranksim"))
def test_values_and_gradients_equal_the_reference(case):
    features = torch.tensor(case.inputs["features"]).requires_grad_()
    target = torch.tensor(case.inputs["targets"]).squeeze(1)
    chosen = torch.tensor(case.expected["selected"])
    compat = "reference" if "ties" in case.case["flags"] else "paper"
    loss = ranksim_loss(features[chosen], target[chosen], interpolation=case.params["lambda_val"], compat=compat)
    loss.backward()
    # Their ranks are float32 even for float64 features. Where labels tie and the sort is not stable, the value depends
    # on the build of torch and is not asserted.
    if "unstable_sort" not in case.case["flags"]:
        np.testing.assert_allclose(loss.detach(), case.expected["loss"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(features.grad, case.expected["grad_features"], rtol=1e-4, atol=1e-6)


def loops(features, target, share_ties=True):
    """The formula anchor by anchor, for labels that are all different."""
    n = len(target)
    z = features / np.linalg.norm(features, axis=1, keepdims=True)
    total = 0.0
    for i in range(n):
        by_label = rankdata(np.abs(target - target[i]), method="average" if share_ties else "ordinal") / n
        by_feature = rankdata(-(z @ z[i])) / n
        total += np.mean((by_label - by_feature) ** 2)
    return total


@pytest.mark.parametrize("n", [1, 2, 9, 40])
def test_against_plain_loops_with_ties_shared(n):
    rng = np.random.default_rng(n)
    features, target = rng.normal(size=(n, 5)), rng.permutation(2 * n)[:n].astype(float)
    ours = ranksim_loss(torch.tensor(features), torch.tensor(target))
    assert ours == pytest.approx(loops(features, target), abs=1e-12)
    mean = ranksim_loss(torch.tensor(features), torch.tensor(target), total="mean")
    assert mean == pytest.approx(loops(features, target) / n, abs=1e-12)


def test_one_sample_of_each_label_takes_part():
    rng = np.random.default_rng(0)
    features, target = torch.tensor(rng.normal(size=(30, 4))), torch.tensor(rng.integers(0, 8, 30).astype(float))
    first = [int((target == value).nonzero()[0]) for value in target.unique()]
    whole = ranksim_loss(features, target, compat="reference")
    part = ranksim_loss(features[first], target[first], compat="reference")
    picked = sorted(first)
    assert whole == pytest.approx(float(ranksim_loss(features[picked], target[picked], compat="reference")))
    assert part > 0
    torch.manual_seed(0)
    random = {float(ranksim_loss(features, target)) for _ in range(10)}
    assert len(random) > 1


def test_zero_when_features_are_ordered_as_labels():
    angle = torch.linspace(0, 1, 12, dtype=torch.float64) ** 1.3
    features = torch.stack([angle.cos(), angle.sin()], dim=1)
    assert ranksim_loss(features, angle) == 0


def test_k_dimensional_labels_use_their_distance():
    features, target = torch.randn(10, 3), torch.randn(10, 2)
    one, two = (ranksim_loss(features, target, label_distance=distance) for distance in ("l1", "l2"))
    assert torch.isfinite(one)
    assert one != two
