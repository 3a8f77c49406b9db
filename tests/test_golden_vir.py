import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from golden import golden
from tailwise import Bins, InputError
from tailwise.losses.evidential_loss import evidential_loss, posterior
from tailwise.smoothing.prm import PRM

EVIDENTIAL = golden("vir_evidential", having="loss")
POSTERIOR = golden("vir_evidential", having="gamma")


@pytest.mark.parametrize("case", EVIDENTIAL)
def test_loss_equals_the_reference(case):
    outputs = torch.tensor(case.inputs["evidential_output"]).requires_grad_()
    target, coef = torch.tensor(case.inputs["y"]).squeeze(1), case.params["coeff"]
    loss = evidential_loss(outputs, target, coef=coef)
    loss.backward()
    case.close(loss.detach(), "loss")
    case.close(outputs.grad, "grad")
    nll = evidential_loss(outputs.detach(), target, coef=0.0)
    case.close(nll, "nll")
    case.close((loss.detach() - nll) / coef, "reg")


@pytest.mark.parametrize("case", POSTERIOR)
def test_posterior_equals_the_reference(case):
    mean, evidence, beta = torch.tensor(case.inputs["inputs"]).unbind(1)
    weight = torch.tensor(case.inputs["weights"]).squeeze(1) if case.params["is_train"] else None
    ours = posterior(mean, evidence, beta, weight=weight).unbind(1)
    # Theirs takes any prior here; ours is the one it trains with, ν = 0 and α = 0.3.
    prior = 0.0, case.params["v"], case.params["alpha"] - 0.3, 0.0
    for values, more, name in zip(ours, prior, ("gamma", "v", "alpha", "beta"), strict=True):
        case.close((values + more).unsqueeze(1), name)


def evidence(n=12, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    target, mean, *positive = torch.randn(6, n, generator=generator, dtype=dtype).unbind()
    nu, alpha, beta, weight = (values.exp() for values in positive)
    return torch.stack((mean, nu, alpha, beta), dim=1), target, weight


def student_t_nll(y, gamma, nu, alpha, beta):
    """The predictive distribution: Student's t with 2α degrees of freedom."""
    scale = math.sqrt(beta * (1 + nu) / (nu * alpha))
    t = torch.distributions.StudentT(2 * alpha, gamma, scale)
    return -float(t.log_prob(torch.tensor(y, dtype=torch.float64)))


def test_loss_against_plain_loops():
    outputs, target, weight = evidence()
    total = 0.0
    for row, y, w in zip(outputs.tolist(), target.tolist(), weight.tolist(), strict=True):
        gamma, nu, alpha, _ = row
        total += w * (student_t_nll(y, *row) + 0.1 * abs(y - gamma) * (2 * nu + alpha))
    assert float(evidential_loss(outputs, target, weight, coef=0.1)) == pytest.approx(total / len(target))


def test_gradients_weights_and_order():
    outputs, target, weight = evidence()
    torch.autograd.gradcheck(lambda o: evidential_loss(o, target, weight), outputs.clone().requires_grad_())
    loss = evidential_loss(outputs, target, weight)
    assert torch.allclose(evidential_loss(outputs, target, 2 * weight), 2 * loss)
    assert torch.allclose(evidential_loss(outputs, target, torch.ones(12)), evidential_loss(outputs, target))
    order = torch.randperm(12)
    assert torch.allclose(evidential_loss(outputs[order], target[order], weight[order]), loss)
    assert torch.allclose(evidential_loss(outputs[:1], target[:1]), evidential_loss(outputs[[0, 0]], target[[0, 0]]))
    assert loss.dtype == torch.float64


def test_another_unit_changes_no_gradient_if_the_coefficient_follows():
    outputs, target, _ = evidence()

    def gradient(unit):
        mine = outputs.clone().requires_grad_()
        scaled = mine * torch.tensor([unit, 1, 1, unit**2], dtype=torch.float64)
        evidential_loss(scaled, unit * target, coef=0.01 / unit).backward()
        return mine.grad

    torch.testing.assert_close(gradient(1000.0), gradient(1.0))


def test_loss_in_low_precision():
    outputs, target, weight = evidence()
    low = [values.bfloat16() for values in (outputs, target, weight)]
    exact = evidential_loss(*[values.double() for values in low])
    assert float(evidential_loss(*low)) == pytest.approx(float(exact), rel=1e-3)


def test_more_evidence_is_a_heavier_label():
    x, n, beta = torch.tensor([[3.0, 3.0], [4.0, 4.0], [1.0, 1.0]])
    light, heavy = posterior(x, n, beta, weight=torch.tensor([0.5, 2.0])).tolist()
    assert light == pytest.approx([3.0, 2.0, 1.3, 1.0])
    assert heavy == pytest.approx([3.0, 8.0, 4.3, 1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: evidential_loss(torch.ones(5, 3), torch.ones(5)), r"outputs \(B, 4\)"),
        (lambda: evidential_loss(torch.ones(5, 4), torch.ones(5, 1)), r"got \(5, 4\) with \(5, 1\)"),
        (lambda: evidential_loss(torch.ones(5, 4), torch.ones(5), torch.ones(5, 1)), "weight has shape"),
        (lambda: posterior(torch.ones(5), torch.ones(5, 1), torch.ones(5)), r"evidence \(5, 1\)"),
        (lambda: posterior(torch.ones(5), torch.ones(5), torch.ones(5), weight=torch.ones(4)), r"weight \(4,\)"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(InputError, match=message):
        make()


# From here on the smoothing of Gaussian features.

BINS = Bins.from_edges(np.arange(-3, 9))


class LoopPRM:
    """The docstring's formulas for one bin and channel at a time, from all features of an epoch at once."""

    def __init__(self, bins, *, window=5, sigma=2.0, momentum=0.9, clip=(0.1, 10.0)):
        self.bins, self.half, self.sigma, self.momentum, self.clip = bins, window // 2, sigma, momentum, clip
        self.m, self.v, self.s = {}, {}, {}

    def end_epoch(self, mean, variance, labels):
        index = self.bins.index(labels)
        for b in set(index.tolist()):
            mu, var = mean[index == b], variance[index == b]
            n = len(mu)
            m, v = sum(mu) / n, sum(var) / n**2
            self.m.setdefault(b, []).append(m)
            self.v.setdefault(b, []).append(v)
            if n > 1:
                s = sum(var[i] - v + mu[i] ** 2 - m**2 for i in range(n)) / n
                self.s.setdefault(b, []).append(s)

    def running(self, history):
        shares = [self.momentum**age for age in range(len(history) - 1, -1, -1)]
        return sum(share * value for share, value in zip(shares, history, strict=True)) / sum(shares)

    def taps(self, histories, b):
        raw = {a: math.exp(-((a - b) ** 2) / (2 * self.sigma**2)) for a in histories if abs(a - b) <= self.half}
        return {a: k / sum(raw.values()) for a, k in raw.items()}

    def __call__(self, mean, variance, labels):
        mean, variance = mean.copy(), variance.copy()
        for i, b in enumerate(self.bins.index(labels).tolist()):
            if b not in self.m:
                continue
            taps = self.taps(self.m, b)
            f = np.ones(mean.shape[1])
            if b in self.s:
                smoothed = sum(k * self.running(self.s[a]) for a, k in self.taps(self.s, b).items())
                f = np.clip(smoothed / self.running(self.s[b]), *self.clip)
            m_smoothed = sum(k * self.running(self.m[a]) for a, k in taps.items())
            mean[i] = np.sqrt(f) * (mean[i] - self.running(self.m[b])) + m_smoothed
            # √f z - √f m_b + Σ k m: the variance of a sum of independent terms, each with its coefficient.
            variance[i] = f * variance[i]
            for a, k in taps.items():
                variance[i] += (k - (np.sqrt(f) if a == b else 0)) ** 2 * self.running(self.v[a])
        return mean, variance


def epoch_of(rng, n, bins=BINS, d=3):
    """Gaussian features that depend on the label; the bins are few, so some lack labels in some epochs."""
    labels = rng.choice(bins.centers, size=n, p=rng.dirichlet(np.full(bins.n_bins, 0.3)))
    mean = rng.normal(size=(n, d)) * (0.5 + 0.1 * labels[:, None]) + np.sin(labels)[:, None]
    return mean, rng.gamma(2.0, size=(n, d)) * np.exp(0.2 * labels[:, None]), labels


@pytest.mark.parametrize("clip", [(0.1, 10.0), (0.8, 1.25)])
@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize(("window", "sigma"), [(5, 2.0), (3, 1.0)])
def test_prm_equals_its_formulas(window, sigma, momentum, clip):
    rng = np.random.default_rng(0)
    form = {"window": window, "sigma": sigma, "momentum": momentum, "clip": clip}
    loops, prm = LoopPRM(BINS, **form), PRM(BINS, 3, **form).double()
    late = alone = False
    for epoch in range(4):
        batch = epoch_of(rng, 40)
        expected = loops(*batch)
        parts = [tuple(torch.tensor(values[part]) for values in batch) for part in np.array_split(np.arange(40), 4)]
        ours = [prm(*part) for part in parts]
        for j in range(2):
            np.testing.assert_allclose(torch.cat([pair[j] for pair in ours]), expected[j], rtol=1e-6, atol=1e-7)
        late |= epoch > 0 and not set(BINS.index(batch[2]).tolist()) <= loops.m.keys()
        alone |= bool(epoch) and loops.m.keys() != loops.s.keys()
        loops.end_epoch(*batch)
        prm.end_epoch()
    assert late
    assert alone


def test_prm_on_numbers_one_can_follow():
    prm = PRM(Bins.from_edges([0, 1, 2]), 1, kernel="triangular", window=3, momentum=0.0).double()
    y = torch.tensor([0.5, 0.5, 1.5, 1.5], dtype=torch.float64)
    mean = torch.tensor([[1.0], [3.0], [6.0], [6.0]], dtype=torch.float64)
    variance = torch.tensor([[2.0], [2.0], [4.0], [4.0]], dtype=torch.float64)
    assert prm(mean, variance, y) == (mean, variance)
    prm.end_epoch()
    # m = 2, 6; v = 1, 2; s = 2 - 1 + 1, 4 - 2 + 0 = 2, 2, so f = 1; taps 2/3 and 1/3.
    moved, widened = prm(mean, variance, y)
    assert moved.flatten().tolist() == pytest.approx([1 + 4 / 3, 3 + 4 / 3, 6 - 4 / 3, 6 - 4 / 3])
    assert widened.flatten().tolist() == pytest.approx([2 + 1 / 9 + 2 / 9] * 2 + [4 + 1 / 9 + 2 / 9] * 2)


@pytest.mark.parametrize("window", [1, 5])
def test_prm_leaves_bins_that_are_alike_alone(window):
    generator = torch.Generator().manual_seed(0)
    n = 4000
    mean = torch.randn(n, 4, generator=generator, dtype=torch.float64).repeat(BINS.n_bins, 1)
    variance = torch.rand(n, 4, generator=generator, dtype=torch.float64).repeat(BINS.n_bins, 1) + 0.5
    labels = torch.tensor(BINS.centers).repeat_interleave(n)
    prm = PRM(BINS, 4, window=window).double()
    prm(mean, variance, labels)
    prm.end_epoch()
    moved, widened = prm(mean, variance, labels)
    torch.testing.assert_close(moved, mean, rtol=1e-6, atol=1e-6)
    # What is left is the uncertainty of the bins' means, which falls as 1/n and is none without neighbours.
    assert float((widened - variance).abs().max()) < (1e-9 if window == 1 else 2 / n)


def test_prm_is_the_identity_in_evaluation_and_learns_nothing_there():
    mean, variance, labels = map(torch.tensor, epoch_of(np.random.default_rng(1), 30))
    prm = PRM(BINS, 3).double()
    prm(mean, variance, labels)
    prm.end_epoch()
    assert not torch.equal(prm(mean, variance, labels)[0], mean)
    before = copy.deepcopy(prm.state_dict())
    prm.eval()
    moved, widened = prm(mean, variance, labels)
    assert moved is mean
    assert widened is variance
    assert all(torch.equal(before[name], values) for name, values in prm.state_dict().items())


def test_prm_passes_bins_never_seen_and_lends_them_nothing():
    rng = np.random.default_rng(2)
    mean, variance = torch.tensor(rng.normal(size=(30, 3))), torch.tensor(rng.gamma(2.0, size=(30, 3)))
    prm = PRM(BINS, 3).double()
    prm(mean, variance, torch.tensor([0.5, 1.5, 3.5]).repeat(10))
    prm.end_epoch()
    moved, widened = prm(mean, variance, torch.tensor([2.5, -2.5, 100.0]).repeat(10))
    assert torch.equal(moved, mean)
    assert torch.equal(widened, variance)


def test_prm_with_channels_that_do_not_vary():
    # Their code drops such channels, and their error handler goes on with what is left.
    prm, y = PRM(BINS, 3).double(), torch.tensor(BINS.centers).repeat(4)
    mean, variance = torch.randn(len(y), 3).double(), torch.rand(len(y), 3).double()
    mean[:, 1], variance[:, 1] = 2.0, 0.0
    for _ in range(2):
        moved, widened = prm(mean, variance, y)
        prm.end_epoch()
    assert moved.shape == widened.shape == mean.shape
    torch.testing.assert_close(moved[:, 1], mean[:, 1], rtol=1e-6, atol=0)
    assert (widened[:, 1] == 0).all()
    assert torch.isfinite(widened).all()


def test_prm_when_it_starts_and_when_it_does_not_gather():
    mean, variance, labels = map(torch.tensor, epoch_of(np.random.default_rng(3), 30))
    prm = PRM(BINS, 3, start_update=1, start_smooth=3).double()
    for epoch in range(4):
        moved, _ = prm(mean, variance, labels)
        assert (moved is mean) == (epoch < 3)
        prm.end_epoch()
        assert bool((prm.mean_weight > 0).any()) == (epoch >= 1)
    prm.gathers = False
    prm(mean, variance, labels)
    assert prm.moments.count.sum() == 0


def test_prm_gradients_flow_and_nothing_is_changed_in_place():
    mean, variance, labels = map(torch.tensor, epoch_of(np.random.default_rng(4), 12))
    prm = PRM(BINS, 3).double()
    prm(mean, variance, labels)
    prm.end_epoch()
    prm.gathers = False
    before = mean.clone(), variance.clone()
    torch.autograd.gradcheck(
        lambda m, v: prm(m, v, labels), (mean.clone().requires_grad_(), variance.clone().requires_grad_())
    )
    assert torch.equal(mean, before[0])
    assert torch.equal(variance, before[1])


def test_prm_state_goes_round_in_the_middle_of_an_epoch():
    rng = np.random.default_rng(5)
    batches = [tuple(map(torch.tensor, epoch_of(rng, 20))) for _ in range(3)]
    prm = PRM(BINS, 3).double()
    prm(*batches[0])
    prm.end_epoch()
    prm(*batches[1])
    again = PRM(BINS, 3).double()
    again.load_state_dict(copy.deepcopy(prm.state_dict()))
    smoothed = prm(*batches[0])
    assert not torch.equal(smoothed[0], batches[0][0])
    assert all(torch.equal(a, b) for a, b in zip(smoothed, again(*batches[0]), strict=True))
    prm.end_epoch()
    again.end_epoch()
    assert all(torch.equal(a, b) for a, b in zip(prm(*batches[2]), again(*batches[2]), strict=True))


def test_prm_counts_in_low_precision():
    prm = PRM(BINS, 3).bfloat16()
    mean, y = torch.randn(500, 3).bfloat16(), torch.full((500,), float(BINS.centers[0]))
    for _ in range(4):
        prm(mean, mean.square(), y)
    assert prm.moments.count[0] == 2000
    prm.end_epoch()
    assert [values.dtype for values in prm(mean, mean.square(), y)] == [torch.bfloat16] * 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PRM(BINS, 3)(torch.ones(4, 2), torch.ones(4, 2), torch.ones(4)), "3 channels"),
        (lambda: PRM(BINS, 3)(torch.ones(4, 3), torch.ones(4, 2), torch.ones(4)), "3 channels"),
        (lambda: PRM(BINS, 3)(torch.ones(4, 3), torch.ones(4, 3), torch.ones(4, 1)), "3 channels"),
        (lambda: PRM(BINS, 0), "n_features"),
        (lambda: PRM(BINS, 3, momentum=1.0), "momentum must be"),
        (lambda: PRM(BINS, 3, clip=(2.0, 3.0)), "clip must be"),
        (lambda: PRM(Bins.from_edges(range(5002)), 3), "at most 5,000"),
    ],
)
def test_prm_mistakes(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own, while tracing
def test_loss_compiles_without_breaks():
    class Loss(nn.Module):
        def forward(self, x, n, beta, y, w):
            return evidential_loss(posterior(x, n, beta, weight=w), y)

    outputs, target, weight = evidence(dtype=torch.float32)
    x, n, _, beta = outputs.unbind(1)
    compiled = torch.compile(Loss(), fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(x, n, beta, target, weight), Loss()(x, n, beta, target, weight), atol=1e-5)
