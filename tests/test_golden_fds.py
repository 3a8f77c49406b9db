import copy
import math

import numpy as np
import pytest
import torch

from golden import golden
from tailwise.labels.bins import Bins
from tailwise.labels.kernels import kernel_window, smooth
from tailwise.smoothing.fds import FDS, calibration

CLIPS = {"agedb": (0.1, 10.0), "sts-b": (0.5, 2.0), "nyud2": (0.2, 5.0)}
ALL = [*golden("fds_agedb"), *golden("fds_stsb"), *golden("fds_nyud2")]


class TestCalibration:
    @pytest.mark.parametrize("case", golden("fds_calibrate"))
    def test_equals_the_reference(self, case):
        matrix, mean, var, smoothed_mean, smoothed_var, cotangent = (
            torch.tensor(case.inputs[name]) for name in ("matrix", "m1", "v1", "m2", "v2", "cotangent")
        )
        low, high = CLIPS[case.params["variant"]]
        clip = case.params.get("clip_min", low), case.params.get("clip_max", high)
        scale, shift = calibration(mean, var, smoothed_mean, smoothed_var, clip=clip, compat="reference")
        columns = comparable(case.params["variant"], var, smoothed_var)
        case.close((matrix * scale + shift)[:, columns], case.expected["out"][:, columns])
        case.close((cotangent * scale)[:, columns], case.expected["grad_matrix"][:, columns])


def comparable(variant, var, smoothed_var):
    """Channels whose calibration is comparable, ``(..., d)``.

    Their text and depth code adds two masks of invalid channels (their variance, their smoothed variance) and looks for
    the sum 2, which two booleans never give: a single invalid channel leaves all of them as they are.
    """
    invalid = (var <= 0) | (smoothed_var < 0)
    return invalid | ((variant == "agedb") | ~invalid.any(-1, keepdim=True))


def bins_of(params):
    start, stop = params["bucket_start"], params["bucket_num"]
    if params["variant"] == "sts-b":
        return Bins.from_edges(np.linspace(0, 5, stop + 1))
    return Bins.from_edges(np.arange(start, stop + 1) / {"agedb": 1, "nyud2": 10}[params["variant"]])


def fds_of(case):
    params = case.params
    fds = FDS(
        bins_of(params),
        params["feature_dim"],
        kernel=case.kernel,
        window=params.get("ks", 5),
        sigma=float(params.get("sigma", 2)),
        momentum=params.get("momentum", 0.9),
        clip=CLIPS[params["variant"]],
        start_update=params.get("start_update", 0),
        start_smooth=params.get("start_smooth", 1),
        compat="reference",
    )
    return fds.to(getattr(torch, params["dtype"]))


def with_statistics(fds, mean, var):
    """``fds`` as if it had these running statistics of all its bins."""
    weight = torch.ones_like(fds.mean_weight)
    state = {"running_mean": torch.tensor(mean), "running_var": torch.tensor(var)}
    state |= {"mean_weight": weight, "var_weight": weight}
    fds.load_state_dict({**fds.state_dict(), **state})
    return fds


def batch_of(case, n, prefix="batch_"):
    """Features ``(n, d)`` or dense, and their labels, in position ``n`` of the epochs."""
    features = torch.tensor(case.inputs[f"e{n}_{prefix}features"], dtype=getattr(torch, case.params["dtype"]))
    labels = torch.tensor(case.inputs[f"e{n}_{prefix}labels"])
    return features, labels.squeeze(1) if labels.ndim in (2, 4) else labels


def known_rows(case, labels):
    """Rows that their code does not skip.

    The age code skips labels beyond the bins, except where one at the outermost bin occurs too: then it pools them.
    """
    if case.params["variant"] != "agedb":
        return torch.ones(labels.shape, dtype=torch.bool)
    first, last = case.params["bucket_start"], case.params["bucket_num"] - 1
    below = (labels < first) & ~(labels == first).any()
    return ~below & ~((labels > last) & ~(labels == last).any())


def advanced(case, n):
    """Whether their epoch counter moved on at position n: only then do they smooth anew."""
    return n > 0 and case.expected[f"e{n}_epoch_buffer"] != case.expected[f"e{n - 1}_epoch_buffer"]


class TestRunningStatistics:
    # Left out: c011 of fds_agedb, whose labels are not whole numbers, so that a bin there is updated once for each
    # distinct label in it. Calibration and smoothing of that case are compared below.
    CASES = (
        *golden("fds_agedb", without={"c011": "several updates of one bin in an epoch"}),
        *golden("fds_stsb"),
        *golden("fds_nyud2"),
    )

    @pytest.mark.parametrize("case", CASES)
    def test_equal_the_reference(self, case):
        fds = fds_of(case)
        bins, momentum = bins_of(case.params), case.params.get("momentum", 0.9)
        ever = np.zeros(bins.n_bins, dtype=bool)
        kept = np.ones(bins.n_bins, dtype=bool)
        for n, epoch in enumerate(case.params["epochs"]):
            features, labels = batch_of(case, n, "")
            known = known_rows(case, labels)
            feed(fds, features, labels, known)
            fds.end_epoch()
            if epoch >= case.params.get("start_update", 0):
                present = bins.histogram(labels[known]) > 0
                if ever.any() and momentum:
                    # Theirs drags a bin that it first sees late towards its initial mean 0 and variance 1.
                    kept &= ever | ~present
                if case.params["variant"] == "sts-b":
                    # Theirs overwrites every bin without samples in this epoch by its neighbours.
                    kept &= present
                ever |= present
            rows = kept & ever
            case.close(fds.running_mean[rows], case.expected[f"e{n}_running_mean"][rows])
            case.close(fds.running_var[rows], case.expected[f"e{n}_running_var"][rows])
            if fds.momentum is None:
                case.close(fds.mean_weight.squeeze(1), case.expected[f"e{n}_num_samples_tracked"])
        assert rows.any()


@torch.no_grad()
def feed(fds, features, labels, known):
    """Stream an epoch through ``fds`` in small batches."""
    if features.ndim == 4:
        for image, depth in zip(features.split(1), labels.split(1), strict=True):
            fds(image, depth)
        return
    for part in torch.arange(len(labels))[known].split(7):
        fds(features[part], labels[part])


class TestSmoothing:
    @pytest.mark.parametrize("case", ALL)
    def test_equals_the_reference(self, case):
        fds = fds_of(case)
        params = case.params
        taps = kernel_window(case.kernel, window=params.get("ks", 5), sigma=params.get("sigma", 2), compat="reference")
        taps = (taps / taps.sum()).astype(np.float32)
        case.close(taps, "kernel_window")
        steps = [n for n in range(len(params["epochs"])) if advanced(case, n)]
        assert steps
        for n in steps:
            # Theirs smooths the statistics of the epoch before. They count all bins, seen or not, as these do here.
            mean, var = (case.expected[f"e{n - 1}_running_{name}"] for name in ("mean", "var"))
            smoothed = with_statistics(fds, mean, var).smoothed_statistics()
            for name, given, ours in zip(("mean", "var"), (mean, var), smoothed, strict=True):
                theirs = case.expected[f"e{n}_smoothed_{name}_last_epoch"]
                case.close(smooth(given, taps.astype(np.float64), padding="mirror"), theirs)
                case.close(ours, theirs)


class TestCalibratedBatches:
    # The buffers are theirs at the time of the call, which in the age and text code do not belong together: the
    # "last epoch" statistics are those being updated, an epoch ahead of the smoothed ones.
    @pytest.mark.parametrize("case", ALL)
    def test_equal_the_reference(self, case):
        bins = bins_of(case.params)
        for n, epoch in enumerate(case.params["epochs"]):
            features, labels = batch_of(case, n)
            cotangent, theirs, gradient = (
                torch.tensor(array)
                for array in (
                    case.inputs[f"e{n}_batch_cotangent"],
                    case.expected[f"e{n}_batch_calibrated"],
                    case.expected[f"e{n}_batch_grad"],
                )
            )
            if epoch < case.params.get("start_smooth", 1):
                assert torch.equal(fds_before_smoothing(case, epoch)(features, labels), features)
                assert torch.equal(theirs, features)
                continue
            assert n > 0
            mean, var, smoothed_mean, smoothed_var = (
                torch.tensor(case.expected[f"e{n - 1}_{name}_last_epoch"])
                for name in ("running_mean", "running_var", "smoothed_mean", "smoothed_var")
            )
            clip = CLIPS[case.params["variant"]]
            scale, shift = calibration(mean, var, smoothed_mean, smoothed_var, clip=clip, compat="reference")
            kept = comparable(case.params["variant"], var, smoothed_var).expand_as(mean)
            if features.ndim == 4:
                features, cotangent, theirs, gradient = (
                    values.movedim(1, -1) for values in (features, cotangent, theirs, gradient)
                )
            known = known_rows(case, labels)
            index = torch.tensor(bins.index(labels))[known]
            kept = kept[index]
            assert kept.any()
            case.close((features[known] * scale[index] + shift[index])[kept], theirs[known][kept].numpy())
            case.close((cotangent[known] * scale[index])[kept], gradient[known][kept].numpy())

    # The depth code copies its buffers, so there a whole module can be compared.
    @pytest.mark.parametrize("case", golden("fds_nyud2"))
    def test_of_a_module_with_their_statistics_equal_the_reference(self, case):
        bins = bins_of(case.params)
        for n in range(1, len(case.params["epochs"])):
            mean, var, smoothed_var = (
                case.expected[f"e{n - 1}_{name}_last_epoch"] for name in ("running_mean", "running_var", "smoothed_var")
            )
            fds = with_statistics(fds_of(case), mean, var)
            fds.end_epoch()
            features, depth = batch_of(case, n)
            features.requires_grad_()
            calibrated = fds(features, depth)
            calibrated.backward(torch.tensor(case.inputs[f"e{n}_batch_cotangent"]))
            kept = comparable("nyud2", torch.tensor(var), torch.tensor(smoothed_var))
            kept = kept[bins.index(depth)].movedim(-1, 1)
            assert kept.any()
            for ours, name in [(calibrated.detach(), "calibrated"), (features.grad, "grad")]:
                case.close(ours[kept], case.expected[f"e{n}_batch_{name}"][kept.numpy()])


def fds_before_smoothing(case, epoch):
    fds = fds_of(case)
    for _ in range(epoch):
        fds.end_epoch()
    return fds


# From here on the paper's form, against plain loops.


class LoopFDS:
    """The docstring's formulas for one label at a time; statistics are means over all features of an epoch."""

    def __init__(self, bins, *, window=5, sigma=2.0, momentum=0.9, clip=None):
        self.bins, self.half, self.sigma, self.momentum, self.clip = bins, window // 2, sigma, momentum, clip
        self.history, self.spread = {}, {}

    def end_epoch(self, features, labels):
        for b in set(self.bins.index(labels).tolist()):
            z = features[self.bins.index(labels) == b]
            self.history.setdefault(b, []).append((len(z), z.mean(axis=0)))
            if len(z) > 1:
                self.spread.setdefault(b, []).append((len(z), z.var(axis=0, ddof=1)))

    def running(self, history):
        ages = range(len(history) - 1, -1, -1)
        shares = [n if self.momentum is None else self.momentum**age for (n, _), age in zip(history, ages, strict=True)]
        return sum(share * value for share, (_, value) in zip(shares, history, strict=True)) / sum(shares)

    def smoothed(self, histories, b):
        total, value = 0.0, 0.0
        for other, history in histories.items():
            if abs(other - b) <= self.half:
                k = math.exp(-((other - b) ** 2) / (2 * self.sigma**2))
                total, value = total + k, value + k * self.running(history)
        return value / total

    def __call__(self, features, labels):
        out = features.copy()
        for i, b in enumerate(self.bins.index(labels).tolist()):
            if b not in self.history:
                continue
            mean, smoothed_mean = self.running(self.history[b]), self.smoothed(self.history, b)
            var = self.running(self.spread[b]) if b in self.spread else np.zeros_like(mean)
            for c in range(features.shape[1]):
                ratio = self.smoothed(self.spread, b)[c] / var[c] if var[c] > 0 else 1.0
                if self.clip is not None:
                    ratio = min(max(ratio, self.clip[0]), self.clip[1])
                out[i, c] = (features[i, c] - mean[c]) * math.sqrt(ratio) + smoothed_mean[c]
        return out


def epoch_of(rng, n, bins, d=3):
    """Features whose mean and spread depend on the label; the bins are few, so some lack labels in some epochs."""
    labels = rng.choice(bins.centers, size=n, p=rng.dirichlet(np.full(bins.n_bins, 0.3)))
    features = rng.normal(size=(n, d)) * (0.5 + 0.1 * labels[:, None]) + np.sin(labels)[:, None]
    return features, labels


BINS = Bins.from_edges(np.arange(-3, 9))


@pytest.mark.parametrize("clip", [None, (0.8, 1.25)], ids=["no-clip", "clip"])
@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0, None])
@pytest.mark.parametrize(("window", "sigma"), [(5, 2.0), (3, 1.0)])
def test_equals_the_papers_formula(window, sigma, momentum, clip):
    rng = np.random.default_rng(0)
    form = {"window": window, "sigma": sigma, "momentum": momentum, "clip": clip}
    loops, fds = LoopFDS(BINS, **form), FDS(BINS, 3, **form).double()
    late = False
    for epoch in range(5):
        features, labels = epoch_of(rng, 60, BINS)
        features[:, 2] = 4.0 if epoch < 3 else features[:, 2]  # a channel that does not vary
        late |= epoch > 0 and not set(BINS.index(labels).tolist()) <= loops.history.keys()
        expected = loops(features, labels) if epoch else features
        parts = np.array_split(np.arange(60), 4)
        ours = [fds(torch.tensor(features[part]), torch.tensor(labels[part])).numpy() for part in parts]
        np.testing.assert_allclose(np.concatenate(ours), expected, rtol=1e-5, atol=1e-6)
        fds.end_epoch()
        loops.end_epoch(features, labels)
    assert late


@pytest.mark.parametrize(
    "sizes", [[40], [1] * 40, [3, 1, 20, 16], [39, 1]], ids=["one-batch", "single-rows", "uneven", "a-last-row"]
)
def test_statistics_do_not_depend_on_the_batches(sizes):
    features, labels = epoch_of(np.random.default_rng(1), 40, BINS)
    fds = FDS(BINS, 3).double()
    for z, y in zip(torch.tensor(features).split(sizes), torch.tensor(labels).split(sizes), strict=True):
        fds(z, y)
    fds.end_epoch()
    index = BINS.index(labels)
    for b in set(index.tolist()):
        z = features[index == b]
        np.testing.assert_allclose(fds.running_mean[b], z.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(fds.running_var[b], z.var(axis=0, ddof=1) if len(z) > 1 else np.zeros(3), rtol=1e-9)
        assert (fds.mean_weight[b] > 0, fds.var_weight[b] > 0) == (True, len(z) > 1)


def test_statistics_are_stable_in_single_precision():
    # The mean of squares less the square of the mean would have no correct digit here.
    rng = np.random.default_rng(2)
    features, labels = (1e4 + rng.normal(size=(2000, 3))).astype(np.float32), rng.choice(BINS.centers[:3], 2000)
    fds = FDS(BINS, 3)
    for part in np.array_split(np.arange(2000), 63):
        fds(torch.tensor(features[part]), torch.tensor(labels[part]))
    fds.end_epoch()
    for b in range(3):
        z = features[BINS.index(labels) == b].astype(np.float64)
        np.testing.assert_allclose(fds.running_mean[b], z.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(fds.running_var[b], z.var(axis=0, ddof=1), rtol=0.01)


@pytest.mark.parametrize("compat", ["paper", "reference"])
def test_is_the_identity_where_all_bins_are_alike(compat):
    features = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)).double().repeat(BINS.n_bins, 1)
    labels = torch.tensor(BINS.centers).repeat_interleave(20)
    fds = FDS(BINS, 4, compat=compat).double()
    fds(features, labels)
    fds.end_epoch()
    torch.testing.assert_close(fds(features, labels), features, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("compat", ["paper", "reference"])
def test_features_of_a_bin_never_seen_pass_unchanged(compat):
    rng = np.random.default_rng(3)
    features, labels = torch.tensor(rng.normal(size=(30, 3))), torch.tensor(rng.choice([0.5, 1.5, 3.5], 30))
    fds = FDS(BINS, 3, compat=compat).double()
    fds(features, labels)
    fds.end_epoch()
    never = torch.tensor([2.5, -2.5, 100.0] * 10)
    assert torch.equal(fds(features, never), features)
    assert not torch.equal(fds(features, labels), features)


def test_changes_nothing_in_place():
    rng = np.random.default_rng(4)
    features, labels = (torch.tensor(array) for array in epoch_of(rng, 30, BINS))
    fds = FDS(BINS, 3).double()
    for _ in range(3):
        given = features.clone().requires_grad_()
        twice = 2 * given
        before = twice.detach().clone()
        smoothed = fds(twice, labels)
        (smoothed.square().sum() + twice.square().sum()).backward()
        assert torch.equal(twice.detach(), before)
        assert torch.isfinite(given.grad).all()
        fds.end_epoch()
    assert not torch.equal(smoothed, twice)


def test_is_the_identity_in_evaluation_and_learns_nothing_there():
    features, labels = (torch.tensor(array) for array in epoch_of(np.random.default_rng(5), 30, BINS))
    fds = FDS(BINS, 3).double()
    fds(features, labels)
    fds.end_epoch()
    before = copy.deepcopy(fds.state_dict())
    fds.eval()
    assert fds(features, labels) is features
    assert all(torch.equal(before[name], values) for name, values in fds.state_dict().items())


@pytest.mark.parametrize("momentum", [0.9, None])
def test_a_state_dict_continues_identically(momentum):
    rng = np.random.default_rng(6)
    fds = FDS(BINS, 3, momentum=momentum).double()

    def run(module, epochs):
        outputs = []
        for batches in epochs:
            outputs += [module(*batch) for batch in batches]
            module.end_epoch()
        return outputs

    epochs = [[tuple(map(torch.tensor, epoch_of(rng, 20, BINS))) for _ in range(2)] for _ in range(4)]
    run(fds, epochs[:2])
    fds(*epochs[2][0])  # in the middle of an epoch
    copied = FDS(BINS, 3, momentum=momentum).double()
    copied.load_state_dict(copy.deepcopy(fds.state_dict()))
    rest = [epochs[2][1:], epochs[3]]
    for ours, theirs in zip(run(copied, rest), run(fds, rest), strict=True):
        assert torch.equal(ours, theirs)
    assert all(torch.equal(copied.state_dict()[name], values) for name, values in fds.state_dict().items())


def test_a_single_sample_lends_no_variance():
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.full(100, 2.5), [0.5, 1.5, 3.5, 4.5]])
    features = rng.normal(scale=3, size=(104, 3))
    fds = FDS(Bins.from_edges(range(6)), 3)
    fds(torch.tensor(features).float(), torch.tensor(labels))
    fds.end_epoch()
    assert torch.equal(fds.scale, torch.ones(5, 3))


def test_statistics_survive_half_precision():
    fds = FDS(BINS, 3).bfloat16()
    z, y = torch.randn(2000, 3).bfloat16(), torch.full((2000,), float(BINS.centers[0]))
    for part in range(4):
        fds(z[500 * part : 500 * part + 500], y[:500])
    assert fds.moments.count[0] == 2000
    assert fds.moments.mean.dtype == torch.float32
    fds.end_epoch()
    assert fds(z, y).dtype == torch.bfloat16
