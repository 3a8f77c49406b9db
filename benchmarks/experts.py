"""Ask what a stack gains from: experts added to the three of the default, more inputs of its combiner, more balances.

    python benchmarks/experts.py TABLES.json OUT --seeds 1 --rows 2500 --jobs 2

``TABLES.json`` lists tables with ``name``, ``file``, ``target``, ``nominal`` and ``drop``. Rows, splits and folds are
those of ``benchmarks/stack.py``. All experts are trained once; their out-of-fold and test predictions are kept in
``OUT``, and combiners are fitted to those of each choice. Beside the experts a combiner may see the numeric columns of
the table, or the share of rare labels among the nearest rows of other folds. *by region* has a balance for each region
of the prediction at balance 0 instead of one for all rows. Changes are against the stack of the three experts, in
percent: mean over seeds, median over tables, with the interval of a hierarchical bootstrap.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import stack
import torch
from joblib import Parallel, delayed
from sklearn.neighbors import NearestNeighbors

import tailwise
from tailwise.backends.stack import experts as known
from tailwise.backends.stack.combiner import Combiner, CombinerRecipe
from tailwise.backends.stack.experts import Expert
from tailwise.backends.stack.fitting import StackFitting
from tailwise.backends.stack.stack_settings import StackSettings
from tailwise.backends.stack.stacked_model import combiner_columns
from tailwise.distributions.decisions import Decision, Dial
from tailwise.experiment.balance_choice import CANDIDATES, BalanceChoice, choose_balance
from tailwise.experiment.leaderboard import RIVALS
from tailwise.metrics.errors import balanced_mean_absolute_error
from tailwise.metrics.region_errors import error_as_rows_come
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
INPUTS = ("columns", "neighbours")  # of the combiner, beside the predictions of the three
DECISIONS = (0.0, "auto")
NEIGHBOURS = 10


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


def more_inputs(table: dict, folder: Path, seed: int, given: argparse.Namespace) -> dict[str, list[np.ndarray]]:
    """Return what combiners may see besides, of the rows in folds and of test rows: values around 0."""
    task = stack.task_of(table, folder, seed, given.rows)
    frame = task.rows.frame().select_dtypes("number")
    frame = frame.drop(columns=[table["target"]], errors="ignore")
    in_folds, tested = np.isin(task.part, ["train", "val"]), task.part == "test"
    center, scale = frame[in_folds].mean(), frame[in_folds].std().replace(0, 1)
    z = ((frame - center) / scale).fillna(0).clip(-3, 3).to_numpy(float)
    fold = np.load(given.out / f"{table['name']}-{seed}.npz")["fold"]
    rare = (task.shots.codes(task.y[in_folds]) > 0).astype(float)
    near = np.empty(in_folds.sum())
    for one in range(fold.max() + 1):
        others = np.flatnonzero(fold != one)
        places = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(z[in_folds][others])
        near[fold == one] = rare[others][places.kneighbors(z[in_folds][fold == one])[1]].mean(1)
    places = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(z[in_folds])
    near_test = rare[places.kneighbors(z[tested])[1]].mean(1)
    spread = rare.std() or 1.0
    shares = [((one - rare.mean()) / spread)[:, None] for one in (near, near_test)]
    return {"columns": [z[in_folds], z[tested]], "neighbours": shares}


def by_region(y: np.ndarray, decided: dict, at_zero: np.ndarray, shots: "tailwise.Shots", best: BalanceChoice) -> tuple:
    """Choose a balance for each region of the prediction by the rule that chooses one for all."""
    codes = np.minimum(shots.codes(at_zero), 2)
    chosen, lowest = (best.balance,) * 3, np.inf
    for balances in itertools.product(CANDIDATES, repeat=3):
        pred = np.choose(codes, [decided[one] for one in balances])
        if error_as_rows_come(y, pred, shots) <= best.bound:
            evenly = balanced_mean_absolute_error(y, pred, shots.scalar_bins)
            chosen, lowest = (balances, evenly) if evenly < lowest else (chosen, lowest)
    return chosen


def measured(table: dict, folder: Path, seed: int, given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return test errors of the stack of each choice of experts and inputs, at several balances."""
    arrays, shots = predictions(table, folder, seed, given)
    y, fold, y_test = arrays["y"], arrays["fold"], arrays["y_test"]
    dial = Dial.from_labels(y, shots.scalar_bins)
    margin = 0.1 * np.ptp(y)
    reach = (y.min() - margin, y.max() + margin)
    more = more_inputs(table, folder, seed, given)
    seen = {choice: (names, ()) for choice, names in CHOICES.items()}
    seen |= {f"and the {name}": (BASE, tuple(more[name])) for name in INPUTS}
    errors = {}
    for choice, (names, inputs) in seen.items():
        places = [ALL.index(name) for name in names]
        levels = list(range(len(ALL), arrays["columns"].shape[1])) if "mixture network" in names else []
        columns, tested = (arrays[name][:, [*places, *levels]] for name in ("columns", "tested"))
        if inputs:  # in the units of the label, as a combiner expects, and not cut off by its reach
            z, z_test = (np.clip(y.mean() + y.std() * one, *reach) for one in inputs)
            columns, tested = np.hstack([columns, z]), np.hstack([tested, z_test])
        combiner = Combiner.fit(columns, y, fold, n_experts=len(names), reach=reach, recipe=CombinerRecipe())
        plain = arrays["columns"][:, [ALL.index(name) for name in RIVALS if name in names]].T
        predictive = combiner.predictive(tested)
        known_for = combiner.out_of_fold(columns, fold)
        best = choose_balance(y, known_for, dial, shots, plain=plain, within=0.0)
        for balance in DECISIONS:
            decision = Decision(balance=best.balance if balance == "auto" else float(balance))
            errors[f"{choice}, {balance}"] = stack.measured(y_test, decision.of(predictive, dial), shots)
        errors[f"{choice}, 0.0"] |= stack.scored(y_test, predictive, shots)
        if choice == "the three":
            of = {one: Decision(balance=one).of(known_for, dial) for one in CANDIDATES}
            chosen = by_region(y, of, of[0.0], shots, best)
            preds = [Decision(balance=one).of(predictive, dial) for one in chosen]
            codes = np.minimum(shots.codes(Decision(balance=0.0).of(predictive, dial)), 2)
            errors["by region, auto"] = stack.measured(y_test, np.choose(codes, preds), shots)
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
