"""Compare combiners of a stack on tables of few rows with a plain network and LightGBM.

    python benchmarks/small_tables.py TABLES.json OUT --seeds 3

``TABLES.json`` lists tables with ``name``, ``file``, ``target``, ``nominal`` and ``drop``. From each table of 2,000
rows or more, 60, 150 or 400 rows are drawn to train on and 1,500 others to test on. Out-of-fold and test predictions of
the experts are kept in ``OUT``; combiners are fitted to them each time. Errors are relative to those of one plain
network that is trained on the same rows.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

import tailwise
from tailwise.backends.stack.combiner import Combiner, CombinerRecipe
from tailwise.backends.stack.fitting import StackFitting
from tailwise.backends.stack.stack_settings import StackSettings
from tailwise.backends.stack.stacked_model import combiner_columns
from tailwise.data.source import load_source
from tailwise.distributions.conditional import ConditionalDensity
from tailwise.distributions.decisions import Decision, Dial
from tailwise.distributions.dialed import cross_fitted
from tailwise.experiment.balance_choice import choose_balance
from tailwise.experiment.spec import Experiment
from tailwise.metrics.region_errors import error_as_rows_come, region_errors
from tailwise.training.recipe import Recipe

SIZES = (60, 150, 400)
TEST_ROWS = 1500
COMBINERS = {
    "now": CombinerRecipe(),
    "small": CombinerRecipe(components=3, width=8, weight_decay=1e-2),
    "small, no shift": CombinerRecipe(components=3, width=8, weight_decay=1e-2, shift=0.0),
    "small, shift .1": CombinerRecipe(components=3, width=8, weight_decay=1e-2, shift=0.1),
}


def predictions(table: dict, folder: Path, seed: int, size: int, folds: int, out: Path) -> dict:
    """Train the experts and a plain network, unless they are there; return labels, folds and predictions."""
    file = out / f"{table['name']}-{size}-{folds}-{seed}.npz"
    if not file.exists():
        torch.set_num_threads(1)
        source = load_source(str(folder / table["file"]) if table["file"] else f"example:{table['name']}")
        frame = source.rows.frame().sample(size + TEST_ROWS, random_state=seed).reset_index(drop=True)
        part = np.where(np.arange(len(frame)) < size, "train", "test")
        part[: size // 6] = "val"
        task = tailwise.prepare(
            frame.assign(part=part), table["target"], nominal=table["nominal"], drop=table["drop"], split_column="part"
        )
        recipe = Recipe(seed=seed, device="cpu")
        fitting = StackFitting(task, recipe, StackSettings(jobs=1, folds=folds))
        for _ in fitting.epochs():
            pass
        rows = fitting.fold >= 0
        test, y_test = task.rows_of("test")
        model = fitting.predictor
        tested = model.columns(fitting.inputs.of_frame(task.schema, test.frame()))
        plain = tailwise.fit(task, Experiment("vanilla", recipe=recipe)).predict(test)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            file,
            columns=combiner_columns(fitting.experts, fitting.columns()),
            fold=fitting.fold[rows],
            y=task.y[rows],
            tested=tested,
            y_test=y_test,
            plain=plain,
        )
    with np.load(file) as arrays:
        return dict(arrays)


def errors(y, pred, shots) -> dict[str, float]:
    """Errors as rows come, evenly over values and by region."""
    by_region = region_errors(y, pred, shots)
    own = {name: by_region[name]["mae"] for name in ("many", "medium", "few") if name in by_region}
    return {"come": error_as_rows_come(y, pred, shots), "evenly": by_region["all"]["bmae"], **own}


def measured(arrays: dict) -> dict[str, dict[str, float]]:
    """Changes of test errors against the plain network, in percent, of each way to combine the experts."""
    y, fold, columns, tested = (arrays[name] for name in ("y", "fold", "columns", "tested"))
    shots = tailwise.Shots.from_labels(y)
    dial = Dial.from_labels(y, shots.scalar_bins)
    base = errors(arrays["y_test"], arrays["plain"], shots)
    margin = 0.1 * np.ptp(y)
    reach = (y.min() - margin, y.max() + margin)
    n_experts = 3
    decided = {"mean of experts": tested[:, :n_experts].mean(axis=1), "network, bagged": tested[:, 1]}
    decided["LightGBM, bagged"] = tested[:, 0]
    for name, recipe in COMBINERS.items():
        combiner = Combiner.fit(columns, y, fold, n_experts=n_experts, reach=reach, recipe=recipe)
        decided |= both(name, combiner.out_of_fold(columns, fold), combiner.predictive(tested), arrays, shots, dial)
    mean, mean_tested = columns[:, :n_experts].mean(axis=1), tested[:, :n_experts].mean(axis=1)
    conditional = ConditionalDensity.fit(y, mean).predictive(mean_tested)
    decided |= both("density of the mean", cross_fitted(y, mean, fold), conditional, arrays, shots, dial)
    result = {}
    for name, pred in decided.items():
        own = errors(arrays["y_test"], pred, shots)
        result[name] = {score: 100 * (own[score] / base[score] - 1) for score in own}
    return result


def both(name, out_of_fold, predictive, arrays, shots, dial) -> dict:
    """Decisions at balance 0 and at the chosen balance."""
    choice = choose_balance(arrays["y"], out_of_fold, dial, shots, plain=arrays["columns"][:, :2].T, within=0.0)
    return {
        f"{name}, balance 0": Decision(balance=0.0).of(predictive, dial),
        f"{name}, chosen": Decision(balance=choice.balance).of(predictive, dial),
    }


def main() -> None:
    """Train what is missing and print the comparison as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--folds", type=int, default=4)
    given = parser.parse_args()
    tables = json.loads(given.tables.read_text())
    tables.append({"name": "airports", "file": "", "target": "elevation", "nominal": [], "drop": []})
    for size in given.sizes:
        changes: dict[str, dict[str, list[float]]] = {}
        for table in tables:
            if given.only and table["name"] not in given.only:
                continue
            for seed in range(given.seeds):
                try:
                    arrays = predictions(table, given.tables.parent, seed, size, given.folds, given.out)
                except ValueError as error:  # a table of too few rows
                    print(f"{table['name']}: {error}", file=sys.stderr)
                    break
                for name, scores in measured(arrays).items():
                    for score, value in scores.items():
                        changes.setdefault(name, {}).setdefault(score, []).append(value)
                print(f"{table['name']} {size} seed {seed}", file=sys.stderr, flush=True)
        scores = ("come", "evenly", "many", "medium", "few")
        print(f"\n{size} rows, median (mean) over tables and seeds\n")
        print("| combiner | " + " | ".join(scores) + " | worst as rows come |")
        print("|---" * (len(scores) + 2) + "|")
        for name, by_score in changes.items():
            cells = [f"{np.median(by_score[s]):+.0f} ({np.mean(by_score[s]):+.0f})" for s in scores if s in by_score]
            print(f"| {name} | " + " | ".join(cells) + f" | {max(by_score['come']):+.0f} |")


if __name__ == "__main__":
    main()
