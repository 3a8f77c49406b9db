"""Ask which experts a stack gains from: each is added to the three of the default, on many tables.

    python benchmarks/experts.py TABLES.json OUT --seeds 1 --rows 2500 --jobs 2

``TABLES.json`` lists tables with ``name``, ``file``, ``target``, ``nominal`` and ``drop``. Rows, splits and folds are
those of ``benchmarks/stack.py``. All experts are trained once; their out-of-fold and test predictions are kept in
``OUT``, and combiners are fitted to those of each choice. Changes are against the stack of the three experts, in
percent: mean over seeds, median over tables, with the interval of a hierarchical bootstrap.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import stack
import torch
from joblib import Parallel, delayed

import tailwise
from tailwise.backends.stack import experts as known
from tailwise.backends.stack.combiner import Combiner, CombinerRecipe
from tailwise.backends.stack.experts import Expert
from tailwise.backends.stack.fitting import StackFitting
from tailwise.backends.stack.stack_settings import StackSettings
from tailwise.backends.stack.stacked_model import combiner_columns
from tailwise.distributions.decisions import Decision, Dial
from tailwise.experiment.balance_choice import choose_balance
from tailwise.training.recipe import Recipe

BASE = ("lightgbm", "network", "mixture network")
MORE = ("catboost", "forest", "linear", "weighted network")
METHODS = ("sqinv+lds+fds", "ranksim", "conr", "srl")  # of networks, on rows as they come but for the first
CHOICES = {
    "the three": BASE,
    "without lightgbm": BASE[1:],
    "without the mixture network": BASE[:2],
    **{f"and {name}": (*BASE, name) for name in (*MORE, *METHODS)},
    "and catboost, forest, linear": (*BASE, "catboost", "forest", "linear"),
    "and the four methods": (*BASE, *METHODS),
    "all": (*BASE, *MORE, *METHODS),
}
ALL = CHOICES["all"]
DECISIONS = (0.0, "auto")


def predictions(table: dict, folder: Path, seed: int, given: argparse.Namespace) -> tuple[dict, "tailwise.Shots"]:
    """Train all experts, unless they are there; return labels, folds and predictions, and the regions."""
    task = stack.task_of(table, folder, seed, given.rows)
    file = given.out / f"{table['name']}-{seed}.npz"
    if not file.exists():
        torch.set_num_threads(1)
        known.EXPERTS.update({name: Expert(name, "network", name) for name in METHODS})  # of this comparison alone
        fitting = StackFitting(task, Recipe(seed=seed, device="cpu"), StackSettings(jobs=1, experts=ALL, hurdle=False))
        for _ in fitting.epochs():
            pass
        rows = fitting.fold >= 0
        test, y_test = task.rows_of("test")
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            file,
            columns=combiner_columns(fitting.experts, fitting.columns()),
            fold=fitting.fold[rows],
            y=task.y[rows],
            tested=fitting.predictor.columns(fitting.inputs.of_frame(task.schema, test.frame())),
            y_test=y_test,
        )
    with np.load(file) as arrays:
        return dict(arrays), task.shots


def measured(table: dict, folder: Path, seed: int, given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return test errors of the stack of each choice of experts, at several balances."""
    arrays, shots = predictions(table, folder, seed, given)
    y, fold, y_test = arrays["y"], arrays["fold"], arrays["y_test"]
    dial = Dial.from_labels(y, shots.scalar_bins)
    margin = 0.1 * np.ptp(y)
    errors = {}
    for choice, names in CHOICES.items():
        places = [ALL.index(name) for name in names]
        levels = list(range(len(ALL), arrays["columns"].shape[1])) if "mixture network" in names else []
        columns, tested = (arrays[name][:, [*places, *levels]] for name in ("columns", "tested"))
        reach = (y.min() - margin, y.max() + margin)
        combiner = Combiner.fit(columns, y, fold, n_experts=len(names), reach=reach, recipe=CombinerRecipe())
        plain, predictive = arrays["columns"][:, ALL.index("network")], combiner.predictive(tested)
        best = choose_balance(y, combiner.out_of_fold(columns, fold), dial, shots, plain=plain, within=0.0).balance
        for balance in DECISIONS:
            decision = Decision(balance=best if balance == "auto" else float(balance))
            errors[f"{choice}, {balance}"] = stack.measured(y_test, decision.of(predictive, dial), shots)
        errors[f"{choice}, 0.0"] |= stack.scored(y_test, predictive, shots)
    return errors


def main() -> None:
    """Train what is missing and print the comparison as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", type=int, default=2500)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="+", help="names of tables")
    given = parser.parse_args()
    tables = json.loads(given.tables.read_text())
    tables.append({"name": "airports", "file": "", "target": "elevation", "nominal": [], "drop": []})
    tables = [one for one in tables if not given.only or one["name"] in given.only]
    todo = [(one, seed) for seed in range(given.seeds) for one in tables]
    done = Parallel(n_jobs=given.jobs, return_as="generator")(
        delayed(measured)(one, given.tables.parent, seed, given) for one, seed in todo
    )
    results = {}
    for (one, seed), errors in zip(todo, done, strict=True):
        results[one["name"], seed] = errors
        print(f"{len(results)}/{len(todo)} {one['name']} seed {seed}", file=sys.stderr, flush=True)
    names = [one["name"] for one in tables]
    for balance in DECISIONS:
        stack.PLAIN = f"the three, {balance}"
        of_balance = {
            cell: {name: values for name, values in errors.items() if name.endswith(f", {balance}")}
            for cell, errors in results.items()
        }
        print(f"\nbalance {balance}\n\n" + "\n".join(stack.markdown(of_balance, names, given.seeds)))


if __name__ == "__main__":
    main()
