import itertools

import numpy as np
import pytest
import torch

from golden import golden
from tailwise import InputError
from tailwise.regularizers.ordinal_entropy import OrdinalEntropy, ordinal_entropy_loss


# c002, c010, c016: no two labels are equal, and their tightness is a mean over nothing, NaN; ours is diversity alone.
# c017: a single label, where their code raises; ours is 0.
@pytest.mark.parametrize("case", golden("ordinal_entropy"))
def test_values_and_gradients_equal_the_reference(case):
    features, target = (torch.tensor(case.inputs[name]) for name in ("features", "gt"))
    features.requires_grad_()
    rows, rtol, atol, options = features, case.case["rtol"], 1e-9, {}
    if case.params["kind"] == "depth":
        target = torch.where(target > 0.001, target, torch.nan).squeeze(1)
    elif case.params["kind"] == "tabular":
        drawn = torch.tensor(case.inputs["sample_idx"])
        rows, target = features[drawn], target[drawn]
        options = {"tightness": 0.0, "label_distance": "l2"}
        if len(target.unique(dim=0)) < len(target):  # their distance of equal labels is 1e-6, ours 0
            rtol, atol, options = 2e-6, 1e-8, options | {"compat": "reference"}
    loss = ordinal_entropy_loss(rows, target.squeeze(1) if target.ndim == 2 else target, **options)
    loss.backward()
    if "nonfinite" in case.case["flags"]:
        assert loss.detach() == pytest.approx(loops(features.detach().numpy(), target.numpy()))
        assert torch.isfinite(features.grad).all()
        assert (features.grad != 0).any()
    elif "raises_RuntimeError" in case.case["flags"]:
        assert loss == 0
        assert (features.grad == 0).all()
    else:
        np.testing.assert_allclose(loss.detach(), case.expected["loss"], rtol=rtol)
        np.testing.assert_allclose(features.grad, case.expected["grad_features"], rtol=rtol, atol=atol)


def unit(z):
    return z / np.linalg.norm(z)


def loops(z, y, diversity=1.0, tightness=1.0, order=1):
    """The formula for one batch, or one map."""
    y = [tuple(np.atleast_1d(label)) for label in y]
    classes = sorted(set(y))
    centre = {c: unit(np.mean([z[i] for i in range(len(y)) if y[i] == c], axis=0)) for c in classes}
    couples = list(itertools.combinations(classes, 2))
    if not couples:
        return 0.0
    gap = [np.linalg.norm(np.subtract(a, b), ord=order) for a, b in couples]
    share = [(g - min(gap)) / max(gap) for g in gap]
    spread = [w * np.linalg.norm(centre[a] - centre[b]) for w, (a, b) in zip(share, couples, strict=True)]
    loose = [np.linalg.norm(unit(z[i]) - centre[y[i]]) for i in range(len(y)) if y.count(y[i]) > 1]
    return tightness * (np.mean(loose) if loose else 0.0) - diversity * np.mean(spread)


@pytest.mark.parametrize(("n", "k"), [(3, 1), (9, 1), (40, 1), (40, 2)])
@pytest.mark.parametrize(("name", "order"), [("l1", 1), ("l2", 2)])
def test_against_plain_loops(n, k, name, order):
    rng = np.random.default_rng(n)
    z, y = rng.normal(size=(n, 4)), np.round(2 * rng.normal(size=(n, k)))
    target = torch.tensor(y[:, 0] if k == 1 else y)
    ours = OrdinalEntropy(diversity=0.7, tightness=0.3, label_distance=name)(torch.tensor(z), target, target)
    assert ours == pytest.approx(loops(z, y, 0.7, 0.3, order))


def test_maps_are_taken_one_by_one_without_pixels_that_have_no_label():
    rng = np.random.default_rng(0)
    z = torch.tensor(rng.normal(size=(3, 5, 9, 12))).requires_grad_()
    y = torch.tensor(np.round(3 * rng.random((3, 9, 12))))
    y[0, ::2] = torch.nan
    y[1, 0, 0] = torch.nan
    y[2] = torch.nan
    total = 0.0
    for i in range(3):
        pixels = [(r, c) for r in range(0, 9, 4) for c in range(0, 12, 4) if y[i, r, c] >= 0]
        if pixels:
            total += loops([z[i, :, r, c].detach().numpy() for r, c in pixels], [float(y[i, r, c]) for r, c in pixels])
    # All rows that are taken of the first map are NaN, so it adds nothing.
    value = ordinal_entropy_loss(z, y)
    assert value.detach() == pytest.approx(total / 3)
    value.backward()
    assert (z.grad[[0, 2]] == 0).all()
    assert (z.grad[1, :, ::4, ::4] != 0).any()
    assert torch.isfinite(z.grad).all()


def test_labels_take_the_size_of_the_features_and_absent_pixels_may_hold_anything():
    z, y = torch.randn(2, 3, 8, 8), torch.randint(0, 4, (2, 8, 8)).float()
    y[1, 4] = torch.nan
    larger = y.repeat_interleave(2, 1).repeat_interleave(2, 2)
    value = ordinal_entropy_loss(z, y, stride=2)
    assert torch.equal(ordinal_entropy_loss(z, larger, stride=2), value)
    z[1, :, 4] = torch.nan
    z.requires_grad_()
    again = ordinal_entropy_loss(z, y, stride=2)
    assert torch.equal(again, value)
    again.backward()
    assert (z.grad[1, :, 4] == 0).all()


def test_labels_that_are_not_whole_numbers_stay_apart():
    y = torch.tensor([0.1, 0.4, 0.9, 0.9])
    z = torch.randn(4, 3)
    assert not torch.allclose(ordinal_entropy_loss(z, y), ordinal_entropy_loss(z, y.floor()))


@pytest.mark.parametrize("tightness", [0.0, 1.0])
def test_gradient(tightness):
    z, y = torch.randn(9, 4, dtype=torch.float64, requires_grad=True), torch.arange(9.0) // 2
    torch.autograd.gradcheck(lambda z: ordinal_entropy_loss(z, y, tightness=tightness), z)


@pytest.mark.parametrize("n", [6, 60])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_features_that_are_all_equal_have_finite_gradients(n, dtype):
    z = torch.full((n, 5), 0.3, dtype=dtype, requires_grad=True)
    value = ordinal_entropy_loss(z, torch.arange(n) % 3)
    value.backward()
    assert value.detach() == pytest.approx(0.0, abs=2e-3)
    assert torch.isfinite(z.grad).all()


def test_equal_features_of_one_label_are_their_own_centre():
    z = torch.randn(4, 7).repeat_interleave(3, dim=0)
    y = torch.arange(12) // 3
    alone = ordinal_entropy_loss(z[::3], y[::3])
    assert ordinal_entropy_loss(z, y) == pytest.approx(float(alone), rel=1e-5)
    z[0] += 1
    moved = ordinal_entropy_loss(z, y, diversity=0.0)
    first = torch.nn.functional.normalize(z[:3], dim=1)
    centre = torch.nn.functional.normalize(z[:3].mean(0), dim=0)
    assert moved == pytest.approx(float((first - centre).norm(dim=1).mean()), rel=1e-5)


def test_falls_when_centres_spread_in_the_order_of_labels():
    angle = torch.linspace(0, torch.pi, 8)
    z = torch.stack([angle.cos(), angle.sin()], dim=1)
    shuffled = z[[3, 6, 0, 5, 1, 7, 2, 4]]
    assert ordinal_entropy_loss(z, torch.arange(8.0)) < ordinal_entropy_loss(shuffled, torch.arange(8.0)) < 0


@pytest.mark.parametrize("shape", [(12,), (12, 2), (2, 16, 16)])
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own, while tracing
@pytest.mark.slow
def test_compiles_without_breaks(shape):
    y = torch.randint(0, 3, shape).float()
    if len(shape) == 3:
        y[0, :8] = torch.nan
    z = torch.randn(shape[0], 4, *shape[1:]) if len(shape) == 3 else torch.randn(shape[0], 4)
    compiled = torch.compile(OrdinalEntropy(), fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(z, y, y), OrdinalEntropy()(z, y, y), atol=1e-6)


def test_bad_input():
    with pytest.raises(InputError, match=r"features must be \(B, d\)"):
        ordinal_entropy_loss(torch.zeros(3, 2), torch.zeros(4))
    with pytest.raises(InputError, match=r"features must be \(B, d, H, W\)"):
        ordinal_entropy_loss(torch.zeros(2, 3), torch.zeros(2, 8, 8))
    with pytest.raises(InputError, match="diversity"):
        OrdinalEntropy(diversity=-1.0)
    with pytest.raises(InputError, match="stride"):
        OrdinalEntropy(stride=0)
    with pytest.raises(InputError, match="label_distance"):
        OrdinalEntropy(label_distance="l3")
