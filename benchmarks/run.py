"""What tailwise costs: start-up, a training, and the composed step beside a bare PyTorch loop.

    python benchmarks/run.py [TABLE TARGET]

``make bench`` runs everything on a generated table of 17,379 rows and prints Markdown; your own may be named.
Ratios come from interleaved runs of one process, medians of many; times are of this machine.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

METHODS = ("vanilla", "sqinv+lds", "sqinv+lds+fds", "sqinv+lds+fds+conr")


def command_seconds(*arguments: str, times: int = 9) -> float:
    """Median wall time of a fresh process."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def table(folder: Path) -> tuple[Path, str]:
    """The table that was named, else a generated one."""
    if len(sys.argv) == 3:
        return Path(sys.argv[1]), sys.argv[2]
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(17_379, 13))).add_prefix("x")
    frame["count"] = np.round(np.exp(4 + frame["x0"] + 0.3 * frame["x1"])).clip(1, 977)
    frame.to_csv(folder / "generated.csv", index=False)
    return folder / "generated.csv", "count"


def training_seconds(epochs: int = 60) -> tuple[str, float]:
    """Wall time of the whole command, from reading the table to the report."""
    with tempfile.TemporaryDirectory() as name:
        path, target = table(Path(name))
        started = time.perf_counter()
        arguments = ["train", str(path), "-t", target, "--epochs", str(epochs), "--patience", "0", "-o", f"{name}/run"]
        subprocess.run([sys.executable, "-m", "tailwise", *arguments], check=True, capture_output=True)
        return path.stem, time.perf_counter() - started


def step_ratios(batch: int, n_inputs: int = 13, rounds: int = 300) -> dict[str, float]:
    """Time of a training step by method over that of the same network in a bare loop, both with AdamW."""
    import numpy as np
    import torch

    from tailwise import MLP, Bins, Regressor, compose

    rng = np.random.default_rng(0)
    y = np.exp(rng.normal(4, 1, 12_000))
    x = torch.randn(batch, n_inputs)
    target = torch.from_numpy(y[:batch]).float()

    def bare():
        network = torch.nn.Sequential(MLP(n_inputs), torch.nn.Linear(256, 1))
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)
        scaled = (target - target.mean()) / target.std()

        def step():
            loss = (network(x).squeeze(1) - scaled).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        return step

    def composed(name: str):
        objective = compose(name).build(Regressor(MLP(n_inputs), 256), y, Bins.auto(y)).train()
        optimizer = torch.optim.AdamW(objective.parameters(), fused=True)

        def step():
            loss = sum(objective(x, target).values())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        step()
        objective.end_epoch()
        return step

    steps = {"bare": bare(), **{name: composed(name) for name in METHODS}}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds + 20):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if round_ >= 20:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {"bare ms": 1e3 * medians["bare"]} | {name: medians[name] / medians["bare"] for name in METHODS}


def main() -> None:
    """Measure and print."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| what | measured | bound |\n|---|---|---|")
    print(f"| `tailwise --help` | {command_seconds('-m', 'tailwise', '--help'):.2f} s | 0.4 s |")
    bare = command_seconds("-c", "pass")
    print(
        f"| `import tailwise`, beyond a bare Python | {command_seconds('-c', 'import tailwise') - bare:.3f} s | 0.2 s |"
    )
    name, seconds = training_seconds()
    print(f"| 60 epochs of `{name}`, `sqinv+lds`, the whole command | {seconds:.1f} s | 60 s |")
    import torch

    torch.set_num_threads(1)
    print(f"\nOne training step, one thread, torch {torch.__version__}, network 13-256-256-1, over a bare loop:\n")
    print("| batch | bare | " + " | ".join(METHODS) + " |\n|---|---|" + "---|" * len(METHODS))
    for batch in (128, 256, 1024):
        ratios = step_ratios(batch)
        cells = " | ".join(f"{ratios[method]:.2f}" for method in METHODS)
        print(f"| {batch} | {ratios['bare ms']:.2f} ms | {cells} |")


if __name__ == "__main__":
    main()
