"""What is measured besides: start-up, whole commands, composed steps beside a bare loop, every loss and regularizer."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from harness import Calls, Found
from torch.nn import functional

from tailwise import MLP, Bins, Regressor, compose
from tailwise._part import Setting
from tailwise.methods.catalog import PARTS
from tailwise.methods.filling import Filling

RANGE = 100
METHODS = ("vanilla", "sqinv+lds", "sqinv+lds+fds", "sqinv+lds+fds+conr")
BATCHES = (128, 256, 1024)


def command(*arguments) -> float:
    """Milliseconds of a fresh Python, on as many threads as it likes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    return 1000 * (time.perf_counter() - start)


def show_help(times) -> Found:
    return {"ours_ms": statistics.median(command("-m", "tailwise", "--help") for _ in range(times))}


def import_package(times) -> Found:
    pairs = [(command("-c", "import tailwise"), command("-c", "pass")) for _ in range(times)]
    return {"ours_ms": statistics.median(package - bare for package, bare in pairs)}


def train(rows, epochs) -> Found:
    """From reading a generated table to the report."""
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, 13))).add_prefix("x")
    frame["count"] = np.round(np.exp(4 + frame["x0"] + 0.3 * frame["x1"])).clip(1, 977)
    with tempfile.TemporaryDirectory() as name:
        table = Path(name, "generated.csv")
        frame.to_csv(table, index=False)
        options = ["-m", "sqinv+lds", "--epochs", str(epochs), "--patience", "0", "-o", f"{name}/run"]
        return {"ours_ms": command("-m", "tailwise", "train", str(table), "-t", "count", *options)}


LARGE = {
    "train": ("train", "t.parquet", "-t", "y", "-m", "vanilla", "--epochs", "1", "-o", "r", "--overwrite"),
    "predict": ("predict", "r", "t.parquet", "-o", "p.parquet", "--overwrite"),
    "diagnose": ("diagnose", "t.parquet", "-t", "y"),
}


# The peak of a process is at least that of the one that started it, so a small one does.
_PEAK = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "tailwise", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def large(name, rows, few=2000, columns=20) -> Found:
    """Peak memory of a command beyond that of the same one on few rows, beside the size of the table in memory."""
    import pandas as pd

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:

        def peak(n, words):
            frame = pd.DataFrame(rng.normal(size=(n, columns))).add_prefix("x")
            frame["y"] = np.exp(0.8 * frame["x0"]) * 50 + rng.normal(size=n)
            frame.to_parquet(Path(folder, "t.parquet"))
            size = float(frame.memory_usage(index=False).sum()) / 1e6
            del frame
            start = time.perf_counter()
            told = subprocess.run(
                [sys.executable, "-c", _PEAK, *words], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
            )
            return int(told.stdout) * 1024 / 1e6, size, 1000 * (time.perf_counter() - start)

        at_rest, *_ = peak(few, LARGE["train"])
        if name != "train":
            at_rest, *_ = peak(few, LARGE[name])
        most, size, duration = peak(rows, LARGE[name])
    return {"ours_ms": duration, "memory_mb": most - at_rest, "times_data": (most - at_rest) / size}


def composed(method, batch, n_inputs=13) -> Calls:
    """A step of a composed method, and one of the same network in a bare loop, both with AdamW."""
    torch.manual_seed(0)
    y = np.exp(np.random.default_rng(0).normal(4, 1, 12_000))
    x, target = torch.randn(batch, n_inputs), torch.from_numpy(y[:batch]).float()
    network = torch.nn.Sequential(MLP(n_inputs), torch.nn.Linear(256, 1))
    scaled = (target - target.mean()) / target.std()
    objective = compose(method).build(Regressor(MLP(n_inputs), 256), y, Bins.auto(y)).train()

    def stepper(module, loss):
        optimizer = torch.optim.AdamW(module.parameters(), fused=True)

        def step():
            value = loss()
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()

        return step

    ours = stepper(objective, lambda: sum(objective(x, target).values()))
    ours()
    objective.end_epoch()
    return {"ours": ours, "floor": stepper(network, lambda: (network(x).squeeze(1) - scaled).square().mean())}


def arithmetic(z, y, n_bins, n_points):
    """The arithmetic of each formula as plain torch operations: passes over B or B x B numbers, sorts, products."""
    grid = torch.linspace(0, RANGE, n_bins)
    few, nodes = torch.linspace(0, RANGE, 8), torch.linspace(0, 2 * RANGE, 4)
    surrogates, points = torch.randn(n_bins, z.shape[1]), torch.randn(n_points, z.shape[1])

    def elementwise(p):
        return (p - y).square().mean()

    def relevant(p):
        left = torch.bucketize(y, nodes)
        share = (y - nodes[left]) / 30
        return ((nodes[left] + 3 * share.square() - 2 * share * share.square()) * (p - y).square()).mean()

    def pairs(columns):
        return lambda p: torch.logsumexp(-(p.unsqueeze(1) - columns).square(), dim=1).mean()

    def gathered(own, f):
        return torch.cdist(own, own).mean() + (own - f).square().sum(1).mean()

    def aligned(p):
        e, centred = p - y, y - y.mean()
        r = 1 - (p * centred).mean() * (p.square().mean() * y.square().mean()).rsqrt()
        return torch.stack([e.square().mean(), (e - e.mean()).square().mean(), r]).log().logsumexp(0)

    gaps = (y - y.unsqueeze(1)).abs()

    def argsorted(f):
        return f.mean() * (f.detach() @ f.detach().T[:, :1] + gaps).argsort(dim=1)[0, 0]

    return {
        "mse": elementwise,
        "l1": elementwise,
        "huber": elementwise,
        "focal_l1": lambda p: (torch.sigmoid((p - y).abs()) * (p - y).abs()).mean(),
        "focal_mse": lambda p: (torch.sigmoid((p - y).abs()) * (p - y).square()).mean(),
        "bmc": pairs(y),
        "gai": pairs(few),
        "bni": pairs(grid),
        "dist": lambda p: (p.sort().values - y).abs().mean() + (p - y).abs().mean(),
        "sera": relevant,
        "gar": aligned,
        "correlation": aligned,
        "conr": lambda f: (f @ f.T).exp().sum(1).log().mean(),
        # Labels are ranked once, features in the forward and in the backward pass.
        "ranksim": lambda f: (f @ f.T).sort(dim=1).values.mean() + 2 * gaps.sort(dim=1).values.mean() + argsorted(f),
        "rnc": lambda f: torch.logcumsumexp(torch.cdist(f, f).gather(1, gaps.sort(dim=1).indices), 1).mean(),
        "ordinal_entropy": lambda f: gathered(functional.normalize(f, dim=1), f),
        "accon": lambda f: (f @ f.T).exp().sum(1).log().mean() + gaps.cos().mean() + gaps.sin().mean(),
        "srl": lambda f: (f @ surrogates.T).logsumexp(1).mean() + (points @ (surrogates + f.mean(0)).T).amax(1).mean(),
    }


NAMES = tuple(arithmetic(torch.zeros(1, 1), torch.zeros(1), 1, 1))


def part(name, batch, d, n_labels, n_points=2000) -> Calls:
    """A loss or regularizer with its defaults, and its arithmetic."""
    torch.manual_seed(0)
    labels = np.random.default_rng(0).gamma(4, 6, n_labels).clip(0, RANGE)
    setting = Setting(labels, Bins.auto(labels), d)
    piece = Filling(PARTS[name]).make(setting).train()
    y = torch.from_numpy(labels[:batch]).float()
    pred, z = (y + torch.randn_like(y)).requires_grad_(), torch.randn(batch, d).requires_grad_()
    leaf = pred if PARTS[name].slot == "loss" else z
    plain = arithmetic(z, y, setting.scalar_bins.n_bins, n_points)[name]

    def stepper(function):
        def step():
            leaf.grad = None
            function(leaf).backward()

        return step

    guessed = pred.detach()
    return {
        "ours": stepper((lambda p: piece(p, y)) if leaf is pred else lambda f: piece(f, y, guessed)),
        "floor": stepper(plain),
    }
