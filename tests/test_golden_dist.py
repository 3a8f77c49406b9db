import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde

from golden import golden
from tailwise import InputError
from tailwise.losses.dist import Dist, dist_loss, expected_counts, soft_sort

RNG = np.random.default_rng(0)
LOST = dict.fromkeys(
    ("c008", "c009", "c011", "c012"), "the reference's surplus runs over the end of the grid: counts do not add up"
)


def cases(kind, without=None):
    found = golden("dist_loss", without=without)
    return [p for p in found if p.values[0] is None or p.values[0].params["kind"] == kind]


@pytest.mark.parametrize("case", cases("pseudo", LOST))
def test_expected_labels_equal_the_reference(case):
    y = case.inputs["labels"] if "labels" in case.inputs else case.shared["agedb_train_labels"].astype(float)
    grid = np.arange(case.params["min_label"], case.params["max_label"] + case.params["step"], case.params["step"])
    density = gaussian_kde(y, bw_method=case.params["bw_method"])(grid)
    # One reference density was rounded to float32 on the way.
    assert np.allclose(density / density.sum(), case.expected["density"], atol=1e-5)
    counts = expected_counts(case.expected["density"], case.params["batch_size"])
    case.close(counts, "batch_counts")
    case.close(np.repeat(grid, counts), "pseudo_labels")


@pytest.mark.parametrize("case", cases("pseudo"))
def test_counts_always_add_up(case):
    for n in (1, 2, case.params["batch_size"], 1000):
        counts = expected_counts(case.expected["density"], n)
        assert counts.sum() == n
        assert counts.min() >= 0


@pytest.mark.parametrize("case", cases("pseudo"))
def test_a_single_label_is_expected_at_the_median(case):
    share = np.cumsum(case.expected["density"])
    node = int(expected_counts(case.expected["density"], 1).argmax())
    assert share[node - 1] < 0.5 <= share[node]


@pytest.mark.parametrize("case", cases("soft_sort"))
def test_soft_sort_equals_the_reference(case):
    values = torch.tensor(case.inputs["values"][0], requires_grad=True)
    ours = soft_sort(values, strength=case.params["regularization_strength"])
    ours.backward(torch.tensor(case.inputs["cotangent"][0]))
    case.close(ours.detach(), case.expected["sorted"][0])
    case.close(values.grad, case.expected["grad_values"][0])


@pytest.mark.parametrize("case", cases("loss"))
def test_losses_equal_the_reference(case):
    error = {"L1": "l1", "L2": "mse"}.get(case.params["loss_fn"], case.params["loss_fn"])
    pred, target, labels = (torch.tensor(case.inputs[k]).squeeze(1) for k in ("pred", "target", "pseudo_labels"))
    weight = torch.tensor(case.inputs["weights"]).squeeze(1) if "weights" in case.inputs else None
    pred.requires_grad_()

    def ours(dist_weight):
        loss = dist_loss(
            pred,
            target,
            weight,
            pseudo_labels=labels,
            dist_weight=dist_weight,
            error=error,
            beta=0.2 if error == "focal_l1" else 1.0,
            sort="soft",
            strength=case.params["regularization_strength"],
            compat="reference",
        )
        return loss if case.params["size_average"] else len(pred) * loss

    loss = ours(case.params["loss_weight"])
    loss.backward()
    case.close(loss.detach(), "loss")
    plain = ours(0.0).detach()
    case.close(plain, "plain_part")
    case.close((loss.detach() - plain) / case.params["loss_weight"], "dist_part")
    case.close(pred.grad, case.expected["grad_pred"].squeeze(1))


def test_against_plain_loops():
    pred, y, labels = RNG.normal(size=9), RNG.normal(size=9), np.sort(RNG.normal(size=9))
    weight = RNG.uniform(0.5, 2, size=9)
    plain = sum(w * abs(a - b) for a, b, w in zip(pred, y, weight, strict=True)) / 9
    apart = sum(abs(a - b) for a, b in zip(sorted(pred), labels, strict=True)) / 9
    tensors = [torch.tensor(v) for v in (pred, y, weight, labels)]
    ours = dist_loss(*tensors[:3], pseudo_labels=tensors[3], dist_weight=0.7)
    assert ours == pytest.approx(plain + 0.7 * apart)


def test_a_soft_sort_becomes_the_exact_one():
    values = torch.randn(20, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(soft_sort(values, strength=1e-3), values.sort().values)
    torch.autograd.gradcheck(lambda v: soft_sort(v, strength=0.5), values)


@pytest.mark.parametrize("unit", [1e-6, 1e5])
@pytest.mark.parametrize("strength", [0.3, 10.0])
def test_the_unit_of_the_labels_does_not_soften_the_sort(unit, strength):
    y = RNG.normal(size=500)
    pred, target = torch.randn(32, dtype=torch.float64), torch.randn(32, dtype=torch.float64)
    plain, scaled = (Dist(y * u, sort="soft", strength=strength, dist_weight=9.0) for u in (1.0, unit))
    assert scaled(pred * unit, target * unit) == pytest.approx(unit * float(plain(pred, target)), rel=1e-5)


def test_the_strength_of_the_reference_is_in_target_units():
    y, pred, target = RNG.normal(size=500) * 7, torch.randn(32) * 7, torch.randn(32) * 7
    dist = Dist(y, sort="soft", strength=1.0, compat="reference")
    by_hand = dist_loss(pred, target, pseudo_labels=dist.expected(32), sort="soft", strength=1.0, compat="reference")
    assert dist(pred, target) == by_hand


@pytest.mark.parametrize("strength", [10.0, 0.1, 0.01])
def test_a_soft_sort_keeps_the_digits_of_its_values(strength):
    values = torch.randn(256)
    assert torch.allclose(soft_sort(values, strength=strength).double(), soft_sort(values.double(), strength=strength))
    low = values.bfloat16()
    exact = soft_sort(low.double(), strength=strength)
    assert torch.allclose(soft_sort(low, strength=strength).double(), exact, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("bandwidth", [0.2, 0.5, 2.0])
def test_expected_labels_are_quantiles_of_the_kernel_density(bandwidth):
    y = RNG.gamma(3, 10, 1000)
    nodes = np.linspace(y.min(), y.max(), 10_001)
    share = np.cumsum(gaussian_kde(y, bw_method=bandwidth)(nodes))
    levels = (np.arange(64) + 0.5) / 64
    quantiles = np.interp(levels, (share - share[0]) / (share[-1] - share[0]), nodes)
    assert np.allclose(Dist(y, bandwidth=bandwidth).expected(64), quantiles, atol=0.01 * y.std())


def test_the_grid_of_the_reference_has_the_density_of_the_labels():
    y = np.round(RNG.normal(50, 10, 500))
    grid = np.arange(y.min(), y.max() + 1)
    density = gaussian_kde(y, bw_method=0.5)(grid)
    dist = Dist(y, step=1.0, compat="reference")
    for n in (1, 32, 256):
        counts = expected_counts(density / density.sum(), n)
        assert np.array_equal(dist.expected(n), np.repeat(grid, counts))
    low = dist.bfloat16()(torch.zeros(8, dtype=torch.bfloat16), torch.zeros(8, dtype=torch.bfloat16))
    assert torch.isfinite(low)


@pytest.mark.parametrize("compat", ["paper", "reference"])
@pytest.mark.parametrize("sort", ["exact", "soft"])
def test_maps_without_a_label_cost_nothing(sort, compat):
    pred = torch.randn(2, 3, 3, requires_grad=True)
    loss = Dist(RNG.normal(size=100), sort=sort, compat=compat)(pred, torch.full((2, 3, 3), torch.nan))
    loss.backward()
    assert loss == 0
    assert (pred.grad == 0).all()


@pytest.mark.parametrize("n", [1, 7, 256, 5000])
def test_expected_labels_are_quantiles_for_any_batch(n):
    y = RNG.gamma(3, 10, 20_000)
    labels = Dist(y, bandwidth=0.05).expected(n).numpy()
    assert labels.shape == (n,)
    assert (np.diff(labels) >= 0).all()
    assert labels.min() >= y.min()
    assert labels.max() <= y.max()
    levels = (np.arange(n) + 0.5) / n
    middle = (levels > 0.02) & (levels < 0.98)
    assert np.allclose(labels[middle], np.quantile(y, levels[middle]), rtol=0.03, atol=0.5)


def test_it_spreads_predictions_that_are_pulled_to_the_middle():
    y = RNG.normal(50, 10, 4000)
    target = torch.tensor(y[:256]).float()
    pred = (50 + 0.3 * (target - 50)).requires_grad_()
    plain = Dist(y, dist_weight=0.0)
    Dist(y)(pred, target).backward()
    with_dist, pred.grad = pred.grad.clone(), None
    plain(pred, target).backward()
    outward = torch.sign(pred.detach() - 50)
    assert (-with_dist * outward).sum() > (-pred.grad * outward).sum()


@pytest.mark.parametrize("compat", ["paper", "reference"])
@pytest.mark.parametrize("sort", ["exact", "soft"])
@pytest.mark.parametrize("error", ["l1", "mse", "huber", "focal_l1"])
def test_every_form_trains_and_pickles(error, sort, compat):
    dist = Dist(RNG.normal(50, 10, 500), error=error, sort=sort, compat=compat)
    for n in (1, 12):
        pred = (50 + torch.randn(n)).requires_grad_()
        dist(pred, torch.full((n,), 50.0), torch.ones(n)).backward()
        assert torch.isfinite(pred.grad).all()
    again = Dist(RNG.normal(0, 1, 500), error=error, sort=sort, compat=compat)
    again.load_state_dict(dist.state_dict())
    assert torch.equal(again.expected(64), dist.expected(64))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"error": "l3"}, "error must be one of"),
        ({"sort": "fuzzy"}, "sort must be one of"),
        ({"bandwidth": 0.0}, "bandwidth"),
        ({"bandwidth": -1.0, "compat": "reference"}, "bandwidth"),
        ({"strength": -1.0}, "strength"),
        ({"dist_weight": -1.0}, "dist_weight"),
        ({"step": 0.0, "compat": "reference"}, "step"),
        ({"step": 5.0, "compat": "reference"}, "step must be from .* the range of y_train"),
        ({"step": 1e-9, "compat": "reference"}, "step must be from"),
        ({"step": "fine"}, "step must be"),
        ({"bandwidth": 1e6}, "bandwidth must be at most 100"),
    ],
)
def test_bad_parameters(wrong, match):
    with pytest.raises(InputError, match=match):
        Dist([1.0, 2.0, 3.0], **wrong)


def test_bad_shapes_and_labels():
    dist = Dist([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="sorts scalar labels"):
        dist(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(InputError, match="one for each label"):
        dist_loss(torch.zeros(4), torch.zeros(4), pseudo_labels=torch.zeros(3))
    with pytest.raises(InputError, match="constant"):
        Dist([1.0, 1.0])
