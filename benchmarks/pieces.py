"""The pieces that are measured: from sizes to callables, ours, the floor, the formula as loops and as plain torch."""

import json
import os
import subprocess
import sys
import time

import formulas
import numpy as np
import torch
from harness import HERE, Calls, Found, Memory, elapsed
from sklearn.neighbors import NearestNeighbors
from torch import nn

from tailwise import FDS, Bins, Relevance, Shots, lds_weights, region_metrics
from tailwise.labels.streaming import LabelDensity
from tailwise.losses.balanced_mse import bmc_loss
from tailwise.methods.label_weights import label_weights
from tailwise.metrics.region_errors import region_errors
from tailwise.regularizers.conr import conr_loss
from tailwise.regularizers.rank_n_contrast import rnc_loss
from tailwise.regularizers.ranksim import ranksim_loss
from tailwise.sampling import SMOGN, SMOTER

AGES = 100
CONR = {"window": 1.0, "temperature": 0.2, "push": 0.01}


def ages(n, seed=0):
    """Whole numbers from 0 to 100, few of them high, as the ages of the field's data."""
    return np.random.default_rng(seed).gamma(8, 5, n).clip(0, AGES).round()


def batch(n, d):
    """Features, labels and predictions."""
    torch.manual_seed(0)
    y = torch.from_numpy(ages(n)).float()
    return torch.randn(n, d).requires_grad_(), y, y + 3 * torch.randn(n)


def step(function, leaf, gradient=None):
    """Forward and backward; gives the value and the gradient of ``leaf``."""

    def run():
        leaf.grad = None
        value = function(leaf)
        value.backward(gradient)
        return value.detach(), leaf.grad

    return run


def conr(n, d) -> Calls:
    z, y, pred = batch(n, d)
    data = z.detach()

    def floor():
        products = data @ data.T
        return products.exp().sum(1), products @ data

    return {
        "ours": step(lambda z: conr_loss(z, y, pred, **CONR), z),
        "floor": floor,
        "plain": step(lambda z: formulas.conr_dense(z, y, pred, **CONR), z),
        "loops": step(lambda z: formulas.conr_loops(z, y.tolist(), pred.tolist(), **CONR), z),
    }


def rnc(n, d) -> Calls:
    z, y, _ = batch(n, d)

    def floor(z):
        order = (y - y.unsqueeze(1)).abs().sort(dim=1).indices
        return torch.cdist(z, z).gather(1, order).logcumsumexp(1).mean()

    return {
        "ours": step(lambda z: rnc_loss(z, y, temperature=2.0), z),
        "floor": step(floor, z),
        "plain": step(lambda z: formulas.rnc_columns(z, y, temperature=2.0), z),
        "loops": step(lambda z: formulas.rnc_loops(z, y, temperature=2.0), z),
    }


def ranksim(m, d) -> Calls:
    z, _, _ = batch(m, d)
    y = AGES * torch.rand(m)
    data, pairs = z.detach(), torch.randn(m, m)

    def floor():
        for _ in range(6):
            pairs.argsort(dim=1)
        return data @ data.T, pairs @ data, pairs.T @ data

    return {
        "ours": step(lambda z: ranksim_loss(z, y, interpolation=2.0), z),
        "floor": floor,
        "loops": step(lambda z: formulas.ranksim_loops(z, y.tolist(), interpolation=2.0), z),
    }


def bmc(n) -> Calls:
    _, y, pred = batch(n, 1)
    data, leaf = pred.clone(), pred.requires_grad_()
    return {
        "ours": step(lambda p: bmc_loss(p, y, sigma=3.0), leaf),
        "floor": lambda: torch.logsumexp(-(data.unsqueeze(1) - y).square(), 1),
        "plain": step(lambda p: formulas.bmc_dense(p, y, sigma=3.0), leaf),
        "loops": step(lambda p: formulas.bmc_loops(p, y, sigma=3.0), leaf),
    }


def denseweight(n) -> Calls:
    y = np.random.default_rng(0).lognormal(size=n)
    return {"ours": lambda: label_weights("denseweight", y).sample_weight(y)}


def resampling(name, n, p) -> Calls:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, p)), rng.lognormal(sigma=0.9, size=n)
    relevance = Relevance.from_points([(np.median(y), 0.0), (np.quantile(y, 0.93), 1.0)])
    sampler = {"smoter": SMOTER, "smogn": SMOGN}[name](relevance=relevance, distance="euclidean", random_state=0)
    rare = np.flatnonzero(relevance(y) >= sampler.threshold)

    def ours():
        return torch.tensor(len(sampler.fit_resample(X, y)[1]))

    def loops():
        made = formulas.smogn_loops(
            X.tolist(), y.tolist(), rare.tolist(), n // 2 - len(rare), k=5, noise=name == "smogn"
        )
        return torch.tensor(len(made) + len(rare) + n - n // 2)

    return {
        "ours": ours,
        "floor": lambda: NearestNeighbors(n_neighbors=6).fit(X[rare]).kneighbors(X[rare]),
        "loops": loops,
    }


def growth(n, p) -> Found:
    """Exponent of the time of each resampler with the number of rows."""
    found = {}
    for name in ("smoter", "smogn"):
        calls = [resampling(name, rows, p)["ours"] for rows in n]
        seconds = [min(elapsed(call) for _ in range(5)) for call in calls]
        found[name] = float(np.polyfit(np.log(n), np.log(seconds), 1)[0])
    return found


def smoothing(n_bins, d):
    """FDS after an epoch, and the statistics of that epoch by the formula."""
    torch.manual_seed(0)
    fds = FDS(Bins.from_edges(range(n_bins + 1)), d).train()
    index = torch.arange(4 * n_bins) % n_bins
    z = torch.randn(len(index), d) * (1 + torch.rand(d)) + index.unsqueeze(1) / n_bins
    fds(z, index.float())
    fds.end_epoch()
    mean, var = formulas.moments_loops(z, index, n_bins)
    return fds, (mean, var, formulas.smooth_loops(mean), formulas.smooth_loops(var))


def fds(n, d, n_bins, statistics) -> Calls:
    smoother, known = smoothing(n_bins, d)
    smoother.gathers = statistics
    index = torch.randint(n_bins, (n,))
    y, z, gradient = index.float(), torch.randn(n, d).requires_grad_(), torch.randn(n, d)
    scale, shift, data = smoother.scale, smoother.shift, z.detach()

    def floor(z):
        if statistics:
            torch.zeros(n_bins, d).index_add_(0, index, data)
            torch.zeros(n_bins, d).index_add_(0, index, data.square())
        return torch.addcmul(shift.index_select(0, index), z, scale.index_select(0, index))

    return {
        "ours": step(lambda z: smoother(z, y), z, gradient),
        "floor": step(floor, z, gradient),
        "loops": step(lambda z: formulas.fds_loops(z, index.tolist(), known), z, gradient),
    }


def fds_dense(maps, d, height, width, n_bins) -> Calls:
    smoother, known = smoothing(n_bins, d)
    index = torch.randint(n_bins, (maps, height, width))
    flat = index.flatten()
    z, gradient = torch.randn(maps, d, height, width).requires_grad_(), torch.randn(maps, d, height, width)
    rows, of_rows = torch.randn(flat.numel(), d).requires_grad_(), torch.randn(flat.numel(), d)
    y, scale, shift = index.float(), smoother.scale, smoother.shift

    def floor(rows):
        torch.zeros(n_bins, d).index_add_(0, flat, rows.detach())
        return torch.addcmul(shift.index_select(0, flat), rows, scale.index_select(0, flat))

    def loops(z):
        smoothed = formulas.fds_loops(z.movedim(1, -1).reshape(-1, d), flat.tolist(), known)
        return smoothed.view(maps, height, width, d).movedim(-1, 1)

    return {
        "ours": step(lambda z: smoother(z, y), z, gradient),
        "floor": step(floor, rows, of_rows),
        "loops": step(loops, z, gradient),
    }


def fds_epoch(n, d, n_bins) -> Calls:
    torch.manual_seed(0)
    index, features = torch.arange(n) % n_bins, torch.randn(n, d)
    batches = [(features[i : i + 256], index[i : i + 256].float()) for i in range(0, n, 256)]
    network = nn.Sequential(
        nn.Linear(16, d), nn.ReLU(), nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1)
    )
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    inputs = torch.randn(n, 16)
    smoother = FDS(Bins.from_edges(range(n_bins + 1)), d, start_smooth=10**9).train()

    def ours():
        for z, y in batches:
            smoother(z, y)
        smoother.end_epoch()
        return smoother.running_mean, smoother.running_var

    def floor():
        for i in range(0, n, 256):
            loss = (network(inputs[i : i + 256]).squeeze(1) - index[i : i + 256]).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return {"ours": ours, "floor": floor, "loops": lambda: formulas.moments_loops(features, index, n_bins)}


def lds(n) -> Calls:
    y, bins = ages(n), Bins.from_edges(range(AGES + 2))
    index, table = y.astype(np.int64), np.random.default_rng(0).random(AGES + 1)
    return {
        "ours": lambda: lds_weights(y, bins).sample_weight(y),
        "floor": lambda: (np.bincount(index, minlength=AGES + 1), table[index]),
        "loops": lambda: formulas.lds_loops(index.tolist(), AGES + 1),
    }


def shots(n, train, resamples) -> Calls:
    rng, bins = np.random.default_rng(1), Bins.from_edges(range(AGES + 2))
    true = rng.integers(0, AGES + 1, n).astype(float)  # balanced, as the test rows of the field
    y, pred = ages(train), true + rng.normal(0, 5, n)
    regions = Shots.from_labels(y, bins)

    def ours():
        if resamples:
            return region_metrics(true, pred, regions, resamples=resamples)["all"].metrics["mae"].high
        errors = region_errors(true, pred, regions)
        names = ("n", "mae", "rmse", "gm", "bias", "bmae")
        return [errors[region][name] for region in ("all", "many", "medium", "few") for name in names]

    def floor():
        if resamples:
            return np.random.default_rng(0).integers(0, n, (resamples, n))
        index, error = true.astype(np.int64), np.abs(pred - true)
        return np.bincount(index), np.bincount(index, error), np.bincount(index, np.square(error))

    made = {"ours": ours, "floor": floor}
    if not resamples:
        loops = (true.astype(int).tolist(), pred.tolist(), y.astype(int).tolist())
        made["loops"] = lambda: formulas.shots_loops(*loops, many=regions.many, few=regions.few)
    return made


def stream(n, chunk=1_000_000):
    """Skewed labels in chunks, each written over the one before."""
    rng, room = np.random.default_rng(0), np.empty(chunk, dtype=np.float32)
    for start in range(0, n, chunk):
        y = rng.random(out=room[: min(chunk, n - start)], dtype=np.float32)
        y *= y
        y *= AGES
        yield y


def labels(n) -> Calls:
    bins = Bins.from_edges(range(AGES + 1))

    def ours():
        density = LabelDensity(bins)
        for y in stream(n):
            density.partial_fit(y)
        return density.counts

    return {"ours": ours, "loops": lambda: formulas.counts_loops([v for y in stream(n) for v in y.tolist()], AGES)}


def measured_labels(n) -> Found:
    """Seconds of the generator and of counting apart."""
    density, generating, counting = LabelDensity(Bins.from_edges(range(AGES + 1))), 0.0, 0.0
    with Memory() as memory:
        chunks = stream(n)
        while True:
            start = time.perf_counter()
            y = next(chunks, None)
            generating += (between := time.perf_counter()) - start
            if y is None:
                break
            density.partial_fit(y)
            counting += time.perf_counter() - between
    assert density.n == n
    speed = {"ours_ms": 1000 * counting, "million_per_s": n / 1e6 / counting, "memory_mb": memory.mb}
    return {"labels": n, **speed, "generator_ms": 1000 * generating}


def two_processes() -> Found:
    """What ``two_processes.py`` prints as JSON, if it is there."""
    script = HERE / "two_processes.py"
    if not script.exists():
        return {}
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found
