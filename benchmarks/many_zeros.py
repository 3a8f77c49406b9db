"""The hurdle of a stack beside the same stack without it, on generated payments of which about 80 % are 0.

    python benchmarks/many_zeros.py --seeds 5
    python benchmarks/many_zeros.py --seeds 3 --signals

Each seed has 1,000 rows, of which ``prepare`` leaves out its test rows, and 4,000 new ones. It prints, for each seed,
CRPS, log score and the correlation of P(y = 0) with the true chance, then the mean change with an interval: seeds, and
rows within seeds, are drawn again 2,000 times. With ``--signals`` what tells of a row is in a signal of 48 samples, and
there are no columns of numbers.
"""

import argparse
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.special import expit

from tailwise import Experiment, Recipe, fit, prepare

DRAWS = 2000


def payments(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A table with the target ``paid``, and the true chance of 0 of each row."""
    rng = np.random.default_rng(seed)
    x, z, w = rng.normal(size=(3, n))
    above = expit(-2.1 + 1.5 * x)
    amount = np.exp(3 + 0.7 * z + 0.4 * rng.normal(size=n))
    return pd.DataFrame({"x": x, "z": z, "w": w, "paid": np.where(rng.random(n) < above, amount, 0.0)}), 1 - above


def with_signals(table: pd.DataFrame, folder: Path, name: str) -> pd.DataFrame:
    """The table with a signal in place of its numbers: three waves, as high as the numbers say, and noise."""
    rng, t = np.random.default_rng(0), np.linspace(0, 2 * np.pi, 48)
    waves = np.stack([np.sin(t), np.sin(3 * t), np.cos(2 * t)])
    signals = table[["x", "z", "w"]].to_numpy() @ waves + 0.1 * rng.normal(size=(len(table), len(t)))
    files = [str(folder / f"{name}{row}.npy") for row in range(len(table))]
    for file, signal in zip(files, signals, strict=True):
        np.save(file, signal)
    return pd.DataFrame({"signal": files, "paid": table["paid"]})


def scores(given: argparse.Namespace, seed: int, folder: Path, *, hurdle: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """CRPS and log score of each new row, and the correlation of the chance of 0 with the true one."""
    (train, _), (new, chance) = payments(given.rows, seed), payments(4000, 1000 + seed)
    params = {"jobs": 1, "folds": 3, "hurdle": hurdle}
    recipe = Recipe(seed=seed, epochs=given.epochs, device="cpu")
    if given.signals:
        train, new = with_signals(train, folder, "train"), with_signals(new, folder, "new")
        task = prepare(train, "paid", split="random", seed=seed, signal=["signal"], folder=folder)
    else:
        task = prepare(train, "paid", split="random", seed=seed)
    model = fit(task, Experiment("vanilla", "stack", params=params, recipe=recipe, balance=0.0))
    known, y = model.predictive(new.drop(columns="paid")), new["paid"].to_numpy()
    return known.crps(y), known.log_score(y), float(np.corrcoef(1 - known.above(0), chance)[0, 1])


def interval(with_it: np.ndarray, without: np.ndarray) -> tuple[float, float, float]:
    """Mean change, and its interval at 95 %: of ``(seeds, rows)`` scores, in the units of the second's mean."""
    rng = np.random.default_rng(0)
    change = with_it - without
    n_seeds, n_rows = change.shape
    drawn = [
        np.mean(
            [change[seed, rng.integers(n_rows, size=n_rows)].mean() for seed in rng.integers(n_seeds, size=n_seeds)]
        )
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(change.mean()), float(low), float(high)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--signals", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    found = {True: [], False: []}
    for seed in range(given.seeds):
        for hurdle in (True, False):
            with TemporaryDirectory() as folder:
                found[hurdle].append(scores(given, seed, Path(folder), hurdle=hurdle))
            crps, log_score, correlation = found[hurdle][-1]
            name = "hurdle" if hurdle else "without"
            print(
                f"{seed} {name}: CRPS {crps.mean():.3f}, log score {log_score.mean():.3f}, r {correlation:.3f}",
                flush=True,
            )
    for place, name in enumerate(("CRPS", "log score")):
        mean, low, high = interval(*(np.stack([one[place] for one in found[hurdle]]) for hurdle in (True, False)))
        print(f"{name}: {mean:+.3f} ({low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    main()
