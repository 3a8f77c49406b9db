"""Two gloo processes on this machine: how far their loss is from one process's, and what the exchange takes of a step.

    python benchmarks/two_processes.py

Prints JSON: ``loss_gap``, the largest relative difference of a step's loss over three epochs of `sqinv+lds+fds+conr`;
``exchange``, the share of a step of a network of two layers of width 2048 (global batch 2048) that goes into averaging
gradients over the processes; the milliseconds of that step, and of that of one process with the whole batch.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import distributed as dist

from tailwise import MLP, Bins, Regressor, compose
from tailwise.distributed import world
from tailwise.training.batches import Batches
from tailwise.training.loop import Training, accelerator_for, seed_everything
from tailwise.training.recipe import Recipe

ROWS, WIDTH, BATCH, STEPS = 4000, 2048, 2048, 15


def losses():
    """Sum of the terms of each step of three epochs."""
    recipe = Recipe(epochs=3, batch_size=256, device="cpu", patience=None)
    accelerator_for(recipe)
    x = torch.randn(ROWS, 8, generator=torch.Generator().manual_seed(0))
    y = (20 * torch.exp(x[:, 0] / 3)).round()
    seed_everything(0, 0, -2)
    model = Regressor(MLP(8), 256)

    def validate(network):
        return {"both": float((network(x) - y).abs().mean())}

    bins = Bins.width(y.numpy(), 5.0)
    training = Training(
        compose("sqinv+lds+fds+conr"), model, Batches(x, y, batch_size=256), y.numpy(), bins=bins, validate=validate,
        recipe=recipe,
    )  # fmt: skip
    found, step = [], training._step

    def recorded(*batch):
        terms = step(*batch)
        found.append(float(sum(term.detach() for term in terms.values())))
        return terms

    training._step = recorded
    for _ in training.epochs():
        pass
    return found


def exchange():
    """Milliseconds of a step with and without the exchange of gradients, which take turns."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(64, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU(),
        torch.nn.Linear(WIDTH, 1),
    )  # fmt: skip
    alone = world()[1] == 1
    parallel = network if alone else torch.nn.parallel.DistributedDataParallel(network, gradient_as_bucket_view=True)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    x = torch.randn(BATCH // world()[1], 64)

    def step():
        optimizer.zero_grad()
        parallel(x).square().mean().backward()
        optimizer.step()

    def wait():
        if not alone:
            dist.barrier()

    def timed():
        wait()
        start = time.perf_counter()
        step()
        wait()
        return 1000 * (time.perf_counter() - start)

    timed()
    rounds = []
    for _ in range(STEPS):
        together = timed()
        with nullcontext() if alone else parallel.no_sync():
            rounds.append((together, timed()))
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def worker(out):
    torch.set_num_threads(1)
    found = {"losses": losses()}
    found["step_ms"], found["alone_ms"] = exchange()
    if world()[1] > 1:
        dist.destroy_process_group()
    if os.environ.get("RANK", "0") == "0":
        Path(out).write_text(json.dumps(found))


def main():
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for of in (1, 2):
            launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={of}"] if of > 1 else []
            command = [sys.executable, *launcher, __file__, f"{folder}/{of}.json"]
            subprocess.run(command, check=True, env=environment, capture_output=True)
            found.append(json.loads(Path(f"{folder}/{of}.json").read_text()))
    one, two = found
    gaps = [abs(a - b) / abs(a) for a, b in zip(one["losses"], two["losses"], strict=True)]
    share = 1 - two["alone_ms"] / two["step_ms"]
    curve = {"x": [1, 2], "ours_ms": [one["step_ms"], two["step_ms"]]}
    made = {"loss_gap": max(gaps), "exchange": share, "ours_ms": two["step_ms"], "steps": len(gaps)}
    print(json.dumps(made | {"curves": {"processes": curve}}))


if __name__ == "__main__":
    worker(sys.argv[1]) if len(sys.argv) > 1 else main()
