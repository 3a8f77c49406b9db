import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import torch

from tailwise import Bins, InputError
from tailwise.regularizers.srl import SRL, centroid_contrast, envelope_loss, homogeneity_loss

BINS = Bins.from_edges([0, 1, 2, 3, 4, 6])
TERMS = ("envelope", "homogeneity", "contrast")


def unit(z):
    return z / np.linalg.norm(z)


def only(term, value=1.0):
    return {name: value if name == term else 0.0 for name in TERMS}


def data(n=12, d=3, seed=0, bins=(0, 1, 3)):
    """Features and labels that fall in the given bins alone."""
    rng = np.random.default_rng(seed)
    low, high = BINS.edges[:-1], BINS.edges[1:]
    b = np.resize(bins, n)
    return torch.tensor(rng.normal(size=(n, d)) + 1), torch.tensor(rng.uniform(low[b] + 0.01, high[b] - 0.01))


def loops(z, y, srl, surrogates):
    """The three terms for known surrogates ``{bin: centroid}``."""
    z, y = [unit(row) for row in z.detach().numpy()], y.numpy()
    bin_of = [max(b for b in range(BINS.n_bins) if BINS.edges[b] <= label) for label in y]
    centroid = dict(surrogates)
    for b in set(bin_of):
        centroid[b] = unit(np.mean([z[i] for i in range(len(z)) if bin_of[i] == b], axis=0))
    known = sorted(centroid)
    envelope = 1 - np.mean([max(p @ centroid[k] for k in known) for p in srl.points.double().numpy()])
    homogeneity = 0.0
    for a, b in itertools.pairwise(known):
        step = (BINS.centers[b] - BINS.centers[a]) / np.median(BINS.widths)
        homogeneity += ((centroid[b] - centroid[a]) ** 2).sum() / step
    contrast = 0.0
    for i in range(len(z)):
        scores = {k: z[i] @ centroid[k] / srl.temperature for k in known}
        contrast -= (scores[bin_of[i]] - math.log(sum(math.exp(s) for s in scores.values()))) / len(z)
    return {"envelope": envelope, "homogeneity": homogeneity, "contrast": contrast}


@pytest.mark.parametrize("term", TERMS)
def test_terms_against_plain_loops(term):
    z, y = data()
    srl = SRL(BINS, 3, **only(term, 0.7), temperature=0.4, points=50)
    assert srl(z, y) == pytest.approx(0.7 * loops(z, y, srl, {})[term])


@pytest.mark.parametrize("term", TERMS)
def test_absent_bins_are_filled_from_the_last_epoch_and_unseen_ones_left_out(term):
    srl = SRL(BINS, 3, **only(term), points=50).double().train()
    z, y = data(bins=(0, 2, 4))
    index = BINS.index(y.numpy())
    for rows in (index == 0, index == 4, index == 2):
        srl(z[rows][:3], y[rows][:3])
        srl(z[rows][3:], y[rows][3:])
    srl.end_epoch()
    rows = [unit(row) for row in z.numpy()]
    surrogates = {b: unit(np.mean([rows[i] for i in range(12) if index[i] == b], axis=0)) for b in (0, 2, 4)}
    batch, labels = data(seed=1, bins=(0, 1))
    filled = loops(batch, labels, srl, surrogates)[term]
    assert srl(batch, labels) == pytest.approx(filled)
    assert filled != pytest.approx(loops(batch, labels, srl, {})[term])


def test_surrogates_move_with_momentum_and_keep_what_an_epoch_did_not_see():
    srl = SRL(BINS, 2, momentum=0.75).train()
    first, second = torch.tensor([[3.0, 0.0], [0.0, 5.0]]), torch.tensor([[0.0, 2.0]])
    srl(first, torch.tensor([0.5, 1.5]))
    srl.end_epoch()
    assert torch.allclose(srl.surrogate[:2], torch.eye(2))
    srl(second, torch.tensor([0.5]))
    srl.end_epoch()
    assert torch.allclose(srl.surrogate[0], torch.tensor([0.75, 0.25]) / math.hypot(0.75, 0.25))
    assert torch.allclose(srl.surrogate[1], torch.tensor([0.0, 1.0]))
    assert srl.seen.tolist() == [True, True, False, False, False]


def test_a_centroid_that_cancels_is_still_seen():
    srl = SRL(BINS, 2).train()
    srl(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.5, 0.5, 1.5]))
    srl.end_epoch()
    assert srl.seen.tolist() == [True, True, False, False, False]


def test_nothing_is_gathered_in_evaluation_or_where_it_is_switched_off():
    srl = SRL(BINS, 3)
    z, y = data()
    srl.eval()(z, y)
    srl.train().gathers = False
    srl(z, y)
    srl.end_epoch()
    assert not srl.seen.any()
    srl.gathers = True
    srl(z, y)
    srl.end_epoch()
    assert srl.seen.tolist() == [True, True, False, True, False]


def test_the_unit_of_the_target_does_not_matter():
    z, y = data()
    euros, cents = SRL(BINS, 3), SRL(Bins.from_edges(100 * BINS.edges), 3)
    assert cents(z, 100 * y) == pytest.approx(float(euros(z, y)))


def test_homogeneity_in_the_unit_of_the_target():
    # Bins of half a unit: dividing the coefficient by the width gives squared distances over label steps.
    bins, z, y = Bins.from_edges(np.arange(0, 3, 0.5)), torch.randn(3, 4).double(), torch.tensor([0.1, 0.6, 1.9])
    c = torch.nn.functional.normalize(z, dim=1)
    paper = float((c[1] - c[0]).square().sum() / 0.5 + (c[2] - c[1]).square().sum() / 1.0)
    assert SRL(bins, 4, **only("homogeneity", 1 / 0.5))(z, y) == pytest.approx(paper)


def test_labels_of_fractions_fall_in_bins_of_their_own():
    bins = Bins.from_edges(np.arange(0, 5.01, 0.1))
    srl = SRL(bins, 3).train()
    srl(torch.randn(10, 3), torch.arange(10) / 10 + 0.05)
    srl.end_epoch()
    assert srl.seen.nonzero().flatten().tolist() == list(range(10))


def test_envelope_falls_as_centroids_cover_the_sphere():
    points = torch.nn.functional.normalize(torch.randn(500, 2), dim=1)
    angle = torch.linspace(0, 2 * torch.pi, 9)[:8]
    around = torch.stack([angle.cos(), angle.sin()], dim=1)
    known = torch.ones(8, dtype=torch.bool)
    wide, narrow = envelope_loss(around, known, points), envelope_loss(around[:1].expand(8, 2), known, points)
    assert 0 < wide < 0.1 < narrow
    assert envelope_loss(around, torch.arange(8) == 0, points) == pytest.approx(float(narrow))


def test_even_steps_are_the_most_homogeneous():
    def path(angles):
        angle = torch.tensor(angles, dtype=torch.float64)
        return torch.stack([angle.cos(), angle.sin()], dim=1)

    known, place = torch.ones(4, dtype=torch.bool), torch.arange(4.0, dtype=torch.float64)
    even = homogeneity_loss(path([0.0, 0.5, 1.0, 1.5]), known, place)
    assert even < homogeneity_loss(path([0.0, 0.1, 0.2, 1.5]), known, place)
    gap = torch.tensor([True, False, False, True])
    assert homogeneity_loss(path([0.0, 9.0, 9.0, 1.5]), gap, place) == pytest.approx((2 - 2 * math.cos(1.5)) / 3)


def test_contrast_gives_centroids_no_gradient():
    z, c = (torch.nn.functional.normalize(torch.randn(4, 3), dim=1).requires_grad_() for _ in range(2))
    known = torch.ones(4, dtype=torch.bool)
    centroid_contrast(z, torch.arange(4), c, known, temperature=0.1).backward()
    assert c.grad is None
    assert (z.grad != 0).any()


@pytest.mark.parametrize("term", ["envelope", "homogeneity"])
def test_gradient(term):
    srl = SRL(BINS, 3, **only(term), points=40).double()
    srl(*data(bins=(2, 4)))
    srl.end_epoch()
    z, y = data(seed=1)
    torch.autograd.gradcheck(lambda z: srl(z, y), z.requires_grad_())


def test_gradient_of_the_contrast_keeps_centroids_still():
    srl = SRL(BINS, 3, **only("contrast"))
    z, y = data()
    centroids = torch.stack([torch.nn.functional.normalize(z, dim=1)[BINS.index(y) == b].sum(0) for b in range(5)])
    centroids = torch.nn.functional.normalize(centroids, dim=1)[[0, 1, 3]]
    expected, ours = (z.clone().requires_grad_() for _ in range(2))
    logits = torch.nn.functional.normalize(expected, dim=1) @ centroids.T / 0.1
    place = torch.tensor([0, 1, 2, 2])[BINS.index(y)]
    (logits.logsumexp(1) - logits[torch.arange(12), place]).mean().backward()
    srl(ours, y).backward()
    assert torch.allclose(ours.grad, expected.grad)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_one_known_bin_says_nothing(n):
    srl = SRL(BINS, 3)
    z = torch.randn(n, 3, requires_grad=True)
    for _ in range(2):
        value = srl(z, torch.full((n,), 1.5))
        value.backward()
        assert value == 0
        assert (z.grad == 0).all()
        srl.end_epoch()


def test_steps_repeat_and_epochs_have_points_of_their_own():
    one, other = SRL(BINS, 3), SRL(BINS, 3)
    z, y = data()
    before = torch.get_rng_state()
    values = []
    for _ in range(2):
        assert torch.equal(one(z, y), other(z, y))
        assert torch.equal(one(z, y), one(z, y))
        values.append(one.points.clone())
        one.end_epoch()
        other.end_epoch()
    assert not torch.equal(*values)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.allclose(one.points.norm(dim=1), torch.ones(()))


def test_state_goes_round_with_the_epoch():
    srl = SRL(BINS, 3).train()
    for seed in range(3):
        srl(*data(seed=seed, bins=(seed, 4)))
        srl.end_epoch()
    srl(*data(seed=9))
    again = SRL(BINS, 3).train()
    again.load_state_dict(srl.state_dict())
    assert "points" not in srl.state_dict()
    z, y = data(seed=4)
    for copied in (again, pickle.loads(pickle.dumps(srl)), copy.deepcopy(srl)):
        assert torch.equal(copied(z, y), srl.eval()(z, y))
        srl.train()
    srl(z, y)
    srl.end_epoch()
    again.end_epoch()
    assert torch.equal(again(z, y), srl(z, y))


def test_half_precision_keeps_the_sums_exact():
    srl = SRL(BINS, 3).to(torch.bfloat16).train()
    z, y = data()
    value = srl(z.bfloat16(), y.bfloat16())
    assert torch.isfinite(value)
    assert srl.total.dtype == srl.surrogate.dtype == srl.points.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert srl(z.float(), y.float()) == pytest.approx(float(srl(z, y)), rel=0.05)
    assert srl(z, y).dtype == torch.float64


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own, while tracing
@pytest.mark.slow
def test_compiles_without_breaks():
    srl, again = SRL(BINS, 3).train(), SRL(BINS, 3).train()
    compiled = torch.compile(srl, fullgraph=True, backend="aot_eager")
    for seed in range(3):
        z, y = data(seed=seed, bins=(seed, 4))
        assert torch.allclose(compiled(z, y), again(z, y))
        srl.end_epoch()
        again.end_epoch()
    assert torch.allclose(srl.surrogate, again.surrogate)


def test_training_gathers_features_around_the_centroid_of_their_bin():
    torch.manual_seed(0)
    y = torch.rand(200) * 6
    z = torch.randn(200, 3, requires_grad=True)
    srl, optimizer = SRL(BINS, 3).train(), torch.optim.Adam([z], lr=0.1)
    for _ in range(20):
        for rows in torch.randperm(200).split(20):
            optimizer.zero_grad()
            srl(z[rows], y[rows]).backward()
            optimizer.step()
        srl.end_epoch()
    nearest = (z.detach() @ srl.surrogate.T).argmax(1).numpy()
    assert (nearest == BINS.index(y)).mean() > 0.8


def test_bad_input():
    with pytest.raises(InputError, match="SRL of 3 channels"):
        SRL(BINS, 3)(torch.zeros(4, 2), torch.zeros(4))
    with pytest.raises(InputError, match="SRL of 3 channels"):
        SRL(BINS, 3)(torch.zeros(4, 3), torch.zeros(4, 2))
    with pytest.raises(InputError, match="SRL of 3 channels"):
        SRL(BINS, 3)(torch.zeros(3, 3), torch.zeros(4))
    with pytest.raises(InputError, match="momentum"):
        SRL(BINS, 3, momentum=1.0)
    with pytest.raises(InputError, match="temperature"):
        SRL(BINS, 3, temperature=0.0)
    with pytest.raises(InputError, match="scalar target"):
        SRL([0, 1, 2], 3)
