"""A stack that knows a limit beside the same stack that does not, on generated labels cut off there.

    python benchmarks/censored_stack.py --seeds 5

Each seed has 1,000 rows of either table, of which ``prepare`` leaves out its test rows, and 4,000 new ones; a fifth of
the labels are cut off. Errors are those against the true values, which no training sees. It prints them for
each seed, then the mean change with an interval: seeds, and rows within seeds, are drawn again 2,000 times.
"""

import argparse
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from many_zeros import interval

from tailwise import Experiment, FittedModel, Recipe, fit, prepare


@dataclass(frozen=True)
class Table:
    """Features, and the true values behind labels.

    Args:
        features: of ``n`` rows.
        true: ``(n,)`` values before they are cut off.
    """

    features: pd.DataFrame
    true: np.ndarray


def even(n: int, seed: int) -> Table:
    """A sum of curves, with noise that grows with one column."""
    rng = np.random.default_rng(seed)
    x, z, w, v = rng.uniform(0, 3, (4, n))
    true = 2 * x + np.sin(2 * z) + 0.5 * w * (x > 1.5) + (0.2 + 0.1 * v) * rng.normal(size=n)
    return Table(pd.DataFrame({"x": x, "z": z, "w": w, "v": v}), true)


def skewed(n: int, seed: int) -> Table:
    """Prices: the exponential of a sum, in thousands."""
    rng = np.random.default_rng(seed)
    x, z, w = rng.normal(size=(3, n))
    return Table(
        pd.DataFrame({"x": x, "z": z, "w": w}), np.exp(5 + 0.5 * x + 0.3 * np.tanh(z) + 0.2 * rng.normal(size=n))
    )


TABLES = {"even": (even, None), "skewed": (skewed, None), "skewed, on its logarithm": (skewed, "log")}
KINDS = ("stack with the limit", "stack without", "network with the limit")


def trained(kind: str, table: Table, limit: float, recipe: Recipe, transform: str | None) -> FittedModel:
    """A fitted model."""
    frame = table.features.assign(label=np.minimum(table.true, limit))
    task = prepare(frame, "label", split="random", seed=recipe.seed)
    given = {"recipe": recipe, "transform": transform, "censored_above": None if kind == "stack without" else limit}
    if kind.startswith("network"):
        return fit(task, Experiment("mixture", **given))
    return fit(task, Experiment("vanilla", "stack", params={"folds": 3}, **given))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--cut", type=float, default=0.2, help="fraction of the labels that are cut off")
    given = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    for name, (table_of, transform) in TABLES.items():
        errors: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
        scores: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
        for seed in range(given.seeds):
            table, new = table_of(given.rows, seed), table_of(4000, 1000 + seed)
            limit = float(np.quantile(table.true, 1 - given.cut))
            beyond = new.true > limit
            for kind in KINDS:
                recipe = Recipe(seed=seed, epochs=given.epochs, device="cpu")
                model = trained(kind, table, limit, recipe, transform)
                pred, known = model.predict(new.features), model.predictive(new.features)
                error = np.abs(pred - new.true)
                errors[kind].append(error)
                scores[kind].append(known.crps(new.true))
                print(
                    f"{name} {seed} {kind}: error {error.mean():.3f}, beyond the limit {error[beyond].mean():.3f} "
                    f"(bias {(pred - new.true)[beyond].mean():+.3f}), within {error[~beyond].mean():.3f}, "
                    f"CRPS {scores[kind][-1].mean():.3f}, below the 90 % quantile "
                    f"{(new.true <= known.quantile(0.9)).mean():.1%}",
                    flush=True,
                )
        for other in KINDS[1:]:
            for what, values in (("error", errors), ("CRPS", scores)):
                mean, low, high = interval(np.stack(values[KINDS[0]]), np.stack(values[other]))
                print(f"{name}: {what} against the {other} {mean:+.3f} ({low:+.3f} to {high:+.3f})", flush=True)


if __name__ == "__main__":
    main()
