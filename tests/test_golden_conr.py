import pytest
import torch

from golden import golden
from tailwise.regularizers.conr import conr_loss


def tensors(case, names):
    dtype = getattr(torch, case.params.get("dtype", "float64"))
    return [torch.tensor(case.inputs[name], dtype=dtype) if name in case.inputs else None for name in names]


def age_inputs(case):
    """Features with gradient, then labels, predictions and weights as (N,); a scalar weight is always 1."""
    features, target, pred, weight = tensors(case, ["features", "targets", "preds", "weights"])
    features.requires_grad_()
    if weight is not None:
        weight = weight.squeeze(-1).requires_grad_()
    form = {"window": case.params["w"], "temperature": case.params["t_used"], "push": case.params["e"]}
    return features, target.squeeze(-1), pred.squeeze(-1), weight, form


def close_but_for_zeros(case, features, name):
    """Gradients, but for features that are 0: theirs divide by 1e-12 there, ours leave them alone."""
    there = features.detach().abs().sum(-1) > 0
    case.close(features.grad[there], case.expected[name][there.numpy()])
    assert not features.grad[~there].any()


@pytest.mark.parametrize("case", golden("conr"))
def test_age_form_equals_the_reference(case):
    features, target, pred, weight, form = age_inputs(case)
    loss = conr_loss(features, target, pred, weight, compat="reference", **form)
    loss.backward()
    if "nan" in case.case["flags"]:
        # An anchor without a positive makes theirs NaN, the gradient of the weights too; ours adds 0.
        case.close(loss.detach(), "loss_nan_as_zero")
        case.close(features.grad, "grad_nan_as_zero")
        assert weight is None or torch.isfinite(weight.grad).all()
        return
    case.close(loss.detach(), "loss")
    close_but_for_zeros(case, features, "grad_features")
    if weight is not None:
        case.close(weight.grad.unsqueeze(-1), "grad_weights")


@pytest.mark.parametrize("case", golden("conr_nyud2"))
def test_dense_form_equals_the_reference(case):
    features, target, pred, weight = tensors(case, ["feature", "depth", "output", "weights"])
    features.requires_grad_()
    form = {"window": "w", "temperature": "t", "push": "e"}
    loss = conr_loss(
        features,
        target.squeeze(1),
        pred.squeeze(1),
        weight.squeeze(1),
        compat="reference",
        **{name: case.params.get(symbol, 0.2) for name, symbol in form.items()},
    )
    loss.backward()
    case.close(loss.detach(), "loss")
    case.close(features.grad, "grad_feature")


def distance(a, b, label_distance):
    gaps = [abs(float(p) - float(q)) for p, q in zip(a.reshape(-1), b.reshape(-1), strict=True)]
    return sum(gaps) if label_distance == "l1" else sum(gap**2 for gap in gaps) ** 0.5


def anchors_by_loops(features, target, pred, weight, *, window, temperature, push, label_distance="l1"):
    """L_j of the docstring for every anchor, None for those without a positive or a negative."""
    n = len(target)
    norms = [torch.sqrt((z * z).sum()).clamp(min=1e-12) for z in features]
    terms = []
    for j in range(n):

        def close(i, j=j):
            return torch.exp((features[j] * features[i]).sum() / (norms[j] * norms[i]) / temperature)

        gaps = [distance(target[i], target[j], label_distance) for i in range(n)]
        positives = [i for i in range(n) if i != j and gaps[i] <= window]
        negatives = [i for i in range(n) if gaps[i] > window and distance(pred[i], pred[j], label_distance) <= window]
        if not positives or not negatives:
            terms.append(None)
            continue
        eta = 1.0 if weight is None else weight[j]
        below = sum(close(p) for p in positives)
        for q in negatives:
            below = below + eta * torch.exp(torch.tensor(push * gaps[q], dtype=features.dtype)) * close(q)
        terms.append(-sum(torch.log(close(i) / below) for i in positives) / len(positives))
    return terms


def mean_of_anchors(terms, features):
    kept = [term for term in terms if term is not None]
    return sum(kept) / len(kept) if kept else features.sum() * 0


def batch(seed, n, k=None, views=None):
    g = torch.Generator().manual_seed(seed)
    labels = (n,) if k is None else (n, k)
    target = 4 * torch.rand(labels, generator=g, dtype=torch.float64)
    pred = target + torch.randn(labels, generator=g, dtype=torch.float64)
    shape = (n, 3) if views is None else (n, views, 3)
    features = torch.randn(shape, generator=g, dtype=torch.float64)
    weight = 0.2 + 2 * torch.rand(n, generator=g, dtype=torch.float64)
    return features, target, pred, weight


def assert_equal_with_gradients(ours, loops, inputs):
    torch.testing.assert_close(ours, loops, rtol=1e-9, atol=1e-12)
    for a, b in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(loops, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


FORM = {"window": 1.0, "temperature": 0.2, "push": 0.3}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("n", [3, 7, 12])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_papers_formula(seed, n, weighted):
    features, target, pred, weight = batch(seed, n)
    weight = weight if weighted else None
    inputs = [t.requires_grad_() for t in (features, weight) if t is not None]
    terms = anchors_by_loops(features, target, pred, weight, **FORM)
    if all(term is None for term in terms):
        assert conr_loss(features, target, pred, weight, **FORM).item() == 0
        return
    loss = conr_loss(features, target, pred, weight, **FORM)
    assert_equal_with_gradients(loss, mean_of_anchors(terms, features), inputs)


@pytest.mark.parametrize("label_distance", ["l1", "l2"])
@pytest.mark.parametrize("k", [2, 3])
def test_equals_the_papers_formula_for_labels_of_several_dimensions(k, label_distance):
    features, target, pred, weight = batch(0, 10, k=k)
    features.requires_grad_()
    form = {**FORM, "window": 2.0, "label_distance": label_distance}
    loops = mean_of_anchors(anchors_by_loops(features, target, pred, weight, **form), features)
    assert loops > 0
    assert_equal_with_gradients(conr_loss(features, target, pred, weight, **form), loops, [features])


@pytest.mark.parametrize("own_predictions", [False, True])
def test_two_views_are_twice_the_rows(own_predictions):
    features, target, pred, weight = batch(1, 6, views=2)
    features.requires_grad_()
    flat = features.transpose(0, 1).reshape(12, 3)
    preds = torch.stack([pred, pred.flip(0)], dim=1) if own_predictions else pred
    loss = conr_loss(features, target, preds, weight, **FORM)
    flat_pred = torch.cat([preds[:, 0], preds[:, 1]]) if own_predictions else pred.repeat(2)
    loops = anchors_by_loops(flat, target.repeat(2), flat_pred, weight.repeat(2), **FORM)
    assert_equal_with_gradients(loss, mean_of_anchors(loops, features), [features])


@pytest.mark.parametrize("compat", ["paper", "reference"])
@pytest.mark.parametrize(
    ("target", "pred"),
    [
        pytest.param([0.0, 10.0, 20.0, 30.0], [5.0, 5.0, 5.0, 5.0], id="no-positives"),
        pytest.param([0.0, 0.5, 30.0, 30.5], [0.0, 0.5, 30.0, 30.5], id="no-negatives"),
        pytest.param([7.0, 7.0, 7.0, 7.0], [1.0, 2.0, 3.0, 4.0], id="one-label"),
        pytest.param([7.0], [1.0], id="one-sample"),
    ],
)
def test_is_zero_with_zero_gradients_where_it_has_nothing_to_say(target, pred, compat):
    features = torch.randn(len(target), 3, requires_grad=True, generator=torch.Generator().manual_seed(0))
    loss = conr_loss(features, torch.tensor(target), torch.tensor(pred), compat=compat)
    loss.backward()
    assert loss.item() == 0
    assert features.grad.tolist() == torch.zeros_like(features).tolist()


# "loss_masked" is not the reference but derived from it: the paper's denominator in its frame, weighted by w_j
# once more and averaged over all anchors. The imdb-wiki cases and those that are NaN lack it.
@pytest.mark.parametrize("case", golden("conr", having="loss_masked"))
def test_paper_form_is_related_to_the_reference_by_its_frame(case):
    features, target, pred, weight, form = age_inputs(case)
    n = len(target)
    loss = conr_loss(features, target, pred, weight, **form)
    if weight is None:
        # Anchors without a positive or a negative add 0 there; here the mean runs over the others.
        similar = (target[:, None] - target).abs() <= form["window"]
        confused = ~similar & ((pred[:, None] - pred).abs() <= form["window"])
        share = ((similar.sum(1) > 1) & confused.any(1)).sum().item() / n
        (share * loss).backward()
        case.close((share * loss).detach(), "loss_masked")
        close_but_for_zeros(case, features, "grad_masked")
        return
    terms = anchors_by_loops(features, target, pred, weight, **form)
    torch.testing.assert_close(loss, mean_of_anchors(terms, features), rtol=1e-9, atol=1e-12)
    weighted = [w * term for w, term in zip(weight, terms, strict=True) if term is not None]
    masked = sum(weighted, start=features.sum() * 0) / n
    masked.backward()
    case.close(masked.detach(), "loss_masked")
    case.close(features.grad, "grad_masked")
