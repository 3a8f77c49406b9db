"""What each loss and regularizer costs beside the arithmetic its formula needs: forward and backward, one thread.

    python benchmarks/parts.py [--batch 256] [--features 2048] [--repeats 200]

The floor of a part is that arithmetic as plain torch operations with their backward: passes over B numbers or over a
B x B matrix, sorts, products of B x d matrices. Ratios are medians of runs that alternate between part and floor.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from tailwise import Bins
from tailwise.methods.method import Filling
from tailwise.methods.part import Setting
from tailwise.methods.parts import PARTS

RANGE = 100


def floors(z, y, n_bins, n_points):
    """The arithmetic of each formula, by part, as functions of a prediction or of features."""
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

    gaps = (y - y.unsqueeze(1)).abs()

    def argsorted(f):
        return f.mean() * (f.detach() @ f.detach().T[:, :1] + gaps).argsort(dim=1)[0, 0]

    def products(f):
        return f @ f.T

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
        "gar": lambda p: torch.logsumexp(
            torch.stack(
                [
                    (p - y).square().mean(),
                    (p - y - (p - y).mean()).square().mean(),
                    1 - (p * (y - y.mean())).mean() * (p.square().mean() * y.square().mean()).rsqrt(),
                ]
            ).log(),
            dim=0,
        ),
        "conr": lambda f: products(f).exp().sum(1).log().mean(),
        # Labels are ranked once, features in the forward and in the backward pass.
        "ranksim": lambda f: products(f).sort(dim=1).values.mean() + 2 * gaps.sort(dim=1).values.mean() + argsorted(f),
        "rnc": lambda f: torch.logcumsumexp(
            torch.cdist(f, f).gather(1, (y - y.unsqueeze(1)).abs().sort(dim=1).indices), 1
        ).mean(),
        "ordinal_entropy": lambda f: gathered(torch.nn.functional.normalize(f, dim=1), f),
        "srl": lambda f: (f @ surrogates.T).logsumexp(1).mean() + (points @ (surrogates + f.mean(0)).T).amax(1).mean(),
    }


def milliseconds(step, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def stepper(function, leaf):
    def step():
        leaf.grad = None
        function(leaf).backward()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=100)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    labels = np.random.default_rng(0).gamma(4, 6, 20_000).clip(0, RANGE)
    setting = Setting(labels, Bins.auto(labels), given.features)
    y = torch.from_numpy(labels[: given.batch]).float()
    pred, z = (y + torch.randn_like(y)).requires_grad_(), torch.randn(given.batch, given.features).requires_grad_()
    n_bins = setting.bins.n_bins
    print(f"B = {given.batch}, d = {given.features}, {n_bins} bins, float32, 1 thread, torch {torch.__version__}\n")
    print("| part | ms | floor ms | ratio |\n|---|---|---|---|")
    for name, floor in floors(z, y, n_bins, 2000).items():
        piece = Filling(name).make(setting)
        piece.train()
        if PARTS[name].slot == "loss":
            ours, plain = stepper(lambda p, piece=piece: piece(p, y), pred), stepper(floor, pred)
        else:
            ours, plain = stepper(lambda f, piece=piece: piece(f, y, pred.detach()), z), stepper(floor, z)
        for step in (ours, plain):
            step()
        rounds = [(milliseconds(ours, given.repeats // 5), milliseconds(plain, given.repeats // 5)) for _ in range(5)]
        ms, base = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| `{name}` | {ms:.3f} | {base:.3f} | {ms / base:.2f} |", flush=True)


if __name__ == "__main__":
    main()
