"""Compare rules for the epoch whose weights a network keeps, on many tables and seeds.

    python benchmarks/kept_epoch.py TABLES.json OUT --seeds 5 --jobs 2

``TABLES.json`` lists tables with ``name``, ``file``, ``target``, ``nominal`` and ``drop``. Each training runs all of
its epochs once and keeps, in ``OUT``, the errors on validation and test rows after every epoch, for the weights and for
the mean of the weights of the last five epochs. Every rule is then applied to the same curves: it sees validation rows
alone. Errors are relative to those of the epoch that the smallest error over bins of one epoch chooses.
"""

import argparse
import json
import sys
from collections import deque
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed

import tailwise
from tailwise._files import write_json
from tailwise.backends.names import load_backend
from tailwise.backends.network import predictions
from tailwise.data.source import load_source
from tailwise.experiment.spec import Experiment
from tailwise.metrics.region_errors import error_as_rows_come, region_errors
from tailwise.training.recipe import Recipe

METHODS = ("vanilla", "sqinv+lds", "mixture")
SCORES = ("come", "many", "medium", "few", "bmae")
REGIONS = ("many", "medium", "few")
AVERAGED = 5  # epochs


def errors(y, pred, shots) -> dict[str, float]:
    """Errors as rows come, by region and evenly over values."""
    by_region = region_errors(y, pred, shots)
    own = {name: by_region[name]["mae"] for name in REGIONS if name in by_region}
    return {
        "come": error_as_rows_come(y, pred, shots),
        "bmae": by_region["all"]["bmae"],
        "mae": by_region["all"]["mae"],
        **own,
    }


def train(table: dict, folder: Path, seed: int, method: str, rows: int, out: Path) -> dict:
    """Train one network, unless its curves are there, and return them."""
    file = out / table["name"] / f"{method}-{seed}.json"
    if file.exists():
        return json.loads(file.read_text())
    torch.set_num_threads(1)
    source = load_source(str(folder / table["file"]) if table["file"] else f"example:{table['name']}")
    frame = source.rows.frame()
    if len(frame) > rows:
        frame = frame.sample(rows, random_state=seed)
    task = tailwise.prepare(frame, table["target"], nominal=table["nominal"], drop=table["drop"], seed=seed)
    recipe = Recipe(seed=seed, device="cpu", patience=None)
    experiment = Experiment(method, recipe=recipe)
    fitting = load_backend("network").start(task, experiment.compose(), recipe, params={})
    parts = {}
    for part in ("val", "test"):
        part_rows, y = task.rows_of(part)
        parts[part] = fitting.inputs.of_frame(task.schema, part_rows.frame()), y
    curves: list[dict] = []
    last: deque = deque(maxlen=AVERAGED)
    model, judge = fitting.training.model, fitting.training.validate

    def scores(weights: str) -> dict:
        return {f"{weights} {part}": errors(y, predictions(model, x), task.shots) for part, (x, y) in parts.items()}

    def likelihood() -> float | None:
        x, y = parts["val"]
        head = model.head
        with torch.no_grad():
            distribution = head.predictive(head.outputs(model.encode(torch.from_numpy(x))))
        return None if distribution is None else float(distribution.log_score(y).mean())

    def validate(current):
        result = judge(current)
        now = {name: value.detach().clone() for name, value in model.state_dict().items()}
        last.append(now)
        record = scores("one") | {"log": likelihood()}
        mean = {k: sum(each[k] for each in last) / len(last) if v.is_floating_point() else v for k, v in now.items()}
        model.load_state_dict(mean)
        record |= scores("mean")
        model.load_state_dict(now)
        curves.append(record)
        return result

    fitting.training.validate = validate
    for _ in fitting.epochs():
        pass
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, curves)
    return curves


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over the epochs around each one, fewer at the ends."""
    reach = width // 2
    return np.array([values[max(0, i - reach) : i + reach + 1].mean() for i in range(len(values))])


def trailing(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over the last epochs up to each one."""
    return np.array([values[max(0, i - width + 1) : i + 1].mean() for i in range(len(values))])


def stopped(score: np.ndarray, patience: int = 30) -> int:
    """Best epoch of a training that stops after ``patience`` epochs without a better score."""
    best, waited = 0, 0
    for i in range(1, len(score)):
        if score[i] < score[best]:
            best, waited = i, 0
        else:
            waited += 1
            if waited >= patience:
                break
    return best


def rules(curves: list[dict]) -> dict[str, tuple[int, str]]:
    """Epoch and weights that each rule keeps."""

    def series(name: str, weights: str = "one") -> np.ndarray:
        return np.array([each[f"{weights} val"].get(name, np.nan) for each in curves])

    def by_region(weights: str = "one") -> np.ndarray:
        present = [name for name in REGIONS if name in curves[0][f"{weights} val"]]
        return np.mean([series(name, weights) / np.median(series(name, weights)) for name in present], axis=0)

    both = np.sqrt(series("bmae") * series("come"))
    mean_both = np.sqrt(series("bmae", "mean") * series("come", "mean"))
    late = np.where(np.arange(len(curves)) < 20, np.inf, series("bmae"))
    chosen = {
        "bmae": (stopped(series("bmae")), "one"),
        "mae": (stopped(series("mae")), "one"),
        "as rows come": (stopped(series("come")), "one"),
        "bmae, mean of 3 epochs": (stopped(trailing(series("bmae"), 3)), "one"),
        "bmae, mean of 5 epochs": (stopped(trailing(series("bmae"), 5)), "one"),
        "bmae, mean of 9 epochs": (stopped(trailing(series("bmae"), 9)), "one"),
        "bmae, 5 epochs around": (stopped(smooth(series("bmae"), 5)), "one"),
        "bmae, from epoch 20": (stopped(late), "one"),
        "regions, mean": (stopped(by_region()), "one"),
        "regions, mean of 5 epochs": (stopped(trailing(by_region(), 5)), "one"),
        "bmae x as rows come": (stopped(both), "one"),
        "bmae x as rows come, mean of 5 epochs": (stopped(trailing(both, 5)), "one"),
        "mean weights, bmae": (stopped(series("bmae", "mean")), "mean"),
        "mean weights, as rows come": (stopped(series("come", "mean")), "mean"),
        "mean weights, bmae x as rows come": (stopped(mean_both), "mean"),
        "mean weights, regions": (stopped(by_region("mean")), "mean"),
        "last epoch": (len(curves) - 1, "one"),
    }
    if curves[0]["log"] is not None:
        log = np.array([each["log"] for each in curves])
        chosen["likelihood"] = (stopped(log), "one")
        chosen["likelihood, mean of 5 epochs"] = (stopped(trailing(log, 5)), "one")
        chosen["mean weights, likelihood"] = (stopped(log), "mean")
    return chosen


def markdown(results: dict, tables: list[str], seeds: int) -> list[str]:
    """A table for each method: median change over tables of the mean over seeds, worst table, kept epoch."""
    lines = []
    for method in METHODS:
        changes: dict[str, dict[str, list]] = {}
        epochs: dict[str, list[int]] = {}
        for table in tables:
            by_seed: dict[str, dict[str, list]] = {}
            for seed in range(seeds):
                curves = results.get((table, seed, method))
                if curves is None:
                    continue
                kept = rules(curves)
                base = curves[kept["bmae"][0]]["one test"]
                for rule, (epoch, weights) in kept.items():
                    epochs.setdefault(rule, []).append(epoch)
                    at = curves[epoch][f"{weights} test"]
                    for name in SCORES:
                        if name in at:
                            by_seed.setdefault(rule, {}).setdefault(name, []).append(np.log(at[name] / base[name]))
            for rule, scores in by_seed.items():
                for name, values in scores.items():
                    changes.setdefault(rule, {}).setdefault(name, []).append(100 * np.expm1(np.mean(values)))
        lines += [
            f"\n{method}: median (mean) over tables, worst table as rows come\n",
            "| rule | " + " | ".join(SCORES) + " | worst | epoch |",
        ]
        lines.append("|---" * (len(SCORES) + 3) + "|")
        for rule, scores in changes.items():
            cells = [f"{np.median(scores[name]):+.1f} ({np.mean(scores[name]):+.1f})" for name in SCORES]
            lines.append(
                f"| {rule} | "
                + " | ".join(cells)
                + f" | {max(scores['come']):+.0f} | {np.median(epochs[rule]) + 1:.0f} |"
            )
    return lines


def main() -> None:
    """Train what is missing and print the comparison as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    tables = json.loads(given.tables.read_text())
    tables.append({"name": "airports", "file": "", "target": "elevation", "nominal": [], "drop": []})
    tables = [one for one in tables if not given.only or one["name"] in given.only]
    todo = [(one, seed, method) for seed in range(given.seeds) for one in tables for method in METHODS]
    trained = Parallel(n_jobs=given.jobs, return_as="generator")(
        delayed(train)(one, given.tables.parent, seed, method, given.rows, given.out) for one, seed, method in todo
    )
    results = {}
    for count, ((one, seed, method), curves) in enumerate(zip(todo, trained, strict=True), start=1):
        results[one["name"], seed, method] = curves
        print(f"{count}/{len(todo)} {one['name']} seed {seed} {method}", file=sys.stderr, flush=True)
    print("\n".join(markdown(results, [one["name"] for one in tables], given.seeds)))


if __name__ == "__main__":
    main()
