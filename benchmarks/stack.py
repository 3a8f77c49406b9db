"""Hold the stack against plain and re-weighted models, on many tables and seeds.

    python benchmarks/stack.py TABLES.json OUT --seeds 5 --jobs 2

``TABLES.json`` lists tables with ``name``, ``file``, ``target``, ``nominal`` and ``drop``. Each training is kept in
``OUT`` and not repeated. Test rows are those of a balanced split; errors as rows come weight their bins by the training
rows. Every number is the change against one plain network of the same split, in percent; intervals are those of a
hierarchical bootstrap: tables are drawn, then the seeds of each.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

import tailwise
from tailwise._files import write_json
from tailwise.data.rows import Rows
from tailwise.data.source import load_source
from tailwise.distributions.decisions import Decision
from tailwise.distributions.predictive import Predictive
from tailwise.experiment.fit import Running, start
from tailwise.experiment.spec import Experiment
from tailwise.metrics.region_errors import error_as_rows_come, region_errors
from tailwise.training.recipe import Recipe

PLAIN = "plain network"
SINGLE = {
    PLAIN: Experiment("vanilla"),
    "sqinv+lds": Experiment("sqinv+lds"),
    "lightgbm": Experiment("vanilla", "lightgbm"),
    "weighted lightgbm": Experiment("sqinv+lds", "lightgbm"),
}
BALANCES = (0.0, 0.25, 0.5, 0.75, 1.0)
COLUMNS = ("as rows come", "many", "medium", "few", "bMAE")
SCORES = ("CRPS", "CRPS many", "CRPS medium", "CRPS few")
GREEDY = "greedy ensemble"
_ROUNDS = 20  # of the greedy selection
_TIE = 1.0  # percent


def task_of(table: dict, folder: Path, seed: int, most: int) -> "tailwise.Task":
    """Return a table of the list, at most some rows of it, split by the seed."""
    source = load_source(str(folder / table["file"]) if table["file"] else f"example:{table['name']}")
    frame = source.rows.frame()
    if len(frame) > most:
        frame = frame.sample(most, random_state=seed)
    return tailwise.prepare(frame, table["target"], nominal=table["nominal"], drop=table["drop"], seed=seed)


def run(table: dict, folder: Path, seed: int, name: str, given: argparse.Namespace) -> dict:
    """Train one entry, unless it is there, and return errors by label of the row of the table of results."""
    file = given.out / table["name"] / f"{name.replace(' ', '-')}-{seed}.json"
    if file.exists():
        return json.loads(file.read_text())
    task = task_of(table, folder, seed, given.rows)
    recipe = Recipe(seed=seed, device="cpu")
    experiment = SINGLE.get(name)
    result: dict = {"rows": len(task.rows), "errors": {}}
    rows, y = task.rows_of("test")
    started = time.perf_counter()
    if experiment is None:
        params = {"jobs": 1, **({"experts": tuple(name.split("+"))} if name != "stack" else {})}
        running = start(task, Experiment("vanilla", "stack", params=params, recipe=recipe, balance="auto"))
        for _ in running.fitting.epochs():
            pass
        model, _ = running.finish()
        result["seconds"], result["balance"] = time.perf_counter() - started, model.balance
        known = model.predictions(rows, predictive=True)
        for balance in (*BALANCES, "auto"):
            pred = model.decided(known, Decision(balance=None if balance == "auto" else balance))
            result["errors"][f"{name} {balance}"] = measured(y, pred, task.shots)
        result["errors"][f"{name} 0.0"] |= scored(y, known.predictive, task.shots)
        if name == "stack":
            result["errors"][GREEDY] = measured(y, greedy(running, rows), task.shots)
        low, high = known.predictive.interval(0.9)
        result["coverage"] = float(np.mean((low <= y) & (y <= high)))
    else:
        model = tailwise.fit(task, Experiment(experiment.method, experiment.model, recipe=recipe))
        result["seconds"] = time.perf_counter() - started
        known = model.predictions(rows, predictive=True)
        result["errors"][name] = measured(y, known.pred, task.shots) | scored(y, known.predictive, task.shots)
        constant = np.full(len(y), np.median(task.rows_of("train")[1]))
        result["errors"] |= {"constant": measured(y, constant, task.shots)} if name == PLAIN else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, result)
    return result


def measured(y: np.ndarray, pred: np.ndarray, shots: "tailwise.Shots") -> dict[str, float]:
    """Return the errors of predictions by column of the table of results."""
    errors = region_errors(y, pred, shots)
    regions = {name: errors[name]["mae"] for name in ("many", "medium", "few") if name in errors}
    return {"as rows come": error_as_rows_come(y, pred, shots), **regions, "bMAE": errors["all"]["bmae"]}


def scored(y: np.ndarray, predictive: Predictive, shots: "tailwise.Shots") -> dict[str, float]:
    """Return the mean CRPS of distributions: as rows come, and by region."""
    errors = region_errors(y, y + predictive.crps(y), shots)
    regions = {f"CRPS {name}": errors[name]["mae"] for name in ("many", "medium", "few") if name in errors}
    return {"CRPS": error_as_rows_come(y, y + predictive.crps(y), shots), **regions}


def greedy(running: Running, rows: Rows) -> np.ndarray:
    """Predict by a mean of experts, chosen with repetition for the least error out of fold (Caruana et al., 2004)."""
    known = running.fitting.out_of_fold
    y, points = running.task.y[known.rows], list(known.points.values())
    chosen: list[int] = []
    for _ in range(_ROUNDS):
        means = [np.mean([points[i] for i in (*chosen, one)], axis=0) for one in range(len(points))]
        chosen.append(int(np.argmin([np.abs(y - mean).mean() for mean in means])))
    columns = running.fitting.predictor.columns(running.fitting.inputs.of_frame(running.task.schema, rows.frame()))
    return columns[:, chosen].mean(axis=1)


def main() -> None:
    """Train what is missing and print the comparison as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="PNG of few-shot errors against errors as rows come")
    parser.add_argument("--stacks", nargs="+", default=["stack"], help="stack, or experts joined by +")
    given = parser.parse_args()
    tables = json.loads(given.tables.read_text())
    tables.append({"name": "airports", "file": "", "target": "elevation", "nominal": [], "drop": []})
    tables = [one for one in tables if not given.only or one["name"] in given.only]
    todo = [(one, seed, name) for seed in range(given.seeds) for one in tables for name in (*SINGLE, *given.stacks)]
    done = Parallel(n_jobs=given.jobs, return_as="generator")(
        delayed(run)(one, given.tables.parent, seed, name, given) for one, seed, name in todo
    )
    results: dict[tuple[str, int], dict[str, dict[str, float]]] = {}
    for count, ((one, seed, name), result) in enumerate(zip(todo, done, strict=True), start=1):
        results.setdefault((one["name"], seed), {}).update(result["errors"])
        seconds = f"{result['seconds']:.0f} s"
        print(f"{count}/{len(todo)} {one['name']} seed {seed} {name} {seconds}", file=sys.stderr, flush=True)
    names = [one["name"] for one in tables]
    print("\n".join(markdown(results, names, given.seeds)))
    if given.picture is not None:
        draw(results, names, given.seeds, given.picture)


def markdown(results: dict, tables: list[str], seeds: int) -> Iterator[str]:
    """Yield the lines of the tables of results."""
    names = list(next(iter(results.values())))
    changes = {
        (name, column): np.array([[_change(results[table, s], name, column) for s in range(seeds)] for table in tables])
        for name in names
        for column in (*COLUMNS, *SCORES)
    }
    yield f"| entry | {' | '.join(COLUMNS)} | as rows come: better, as good, worse | worst table |"
    yield "|---" * (len(COLUMNS) + 3) + "|"
    for name in names:
        if name == PLAIN:
            continue
        cells = [_with_interval(changes[name, column]) for column in COLUMNS]
        by_table = np.nanmean(changes[name, "as rows come"], axis=1)
        better, worse = (by_table < -_TIE).sum(), (by_table > _TIE).sum()
        wins = f"{better}, {len(tables) - better - worse}, {worse}"
        worst = int(np.argmax(by_table))
        yield f"| {name} | {' | '.join(cells)} | {wins} | {tables[worst]} {by_table[worst]:+.0f} |"
    yield ""
    yield f"| entry | {' | '.join(SCORES)} |"
    yield "|---" * (len(SCORES) + 1) + "|"
    for name in names:
        if name != PLAIN and not np.isnan(changes[name, SCORES[0]]).all():
            yield f"| {name} | {' | '.join(_with_interval(changes[name, column]) for column in SCORES)} |"


def draw(results: dict, tables: list[str], seeds: int, file: Path) -> None:
    """Draw the median changes of all entries: a point each, and the stack's balances as a curve."""
    from matplotlib.figure import Figure

    points = {
        name: [
            float(
                np.nanmedian(np.nanmean([[_change(results[t, s], name, c) for s in range(seeds)] for t in tables], 1))
            )
            for c in ("as rows come", "few")
        ]
        for name in next(iter(results.values()))
        if name != "constant"
    }
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    curves = sorted({name.rsplit(" ", 1)[0] for name in points if name.endswith(" auto")})
    for curve in curves:
        dial = np.array([points[f"{curve} {balance}"] for balance in BALANCES])
        axes.plot(*dial.T, "o-", label=f"{curve}, balance 0 to 1")
        axes.plot(*points[f"{curve} auto"], "*", markersize=16, label=f"{curve}, balance chosen out of fold")
    for name, (x, y) in points.items():
        if not any(name.startswith(f"{curve} ") for curve in curves):
            axes.plot(x, y, "s", color="gray")
            to_the_left = x > max(at for at, _ in points.values()) - 3  # percent; the name must stay inside
            place = {"xytext": (-6, 4), "ha": "right"} if to_the_left and x > 0 else {"xytext": (6, 4)}
            axes.annotate(name, (x, y), textcoords="offset points", **place)
    axes.axhline(0, color="lightgray", zorder=0)
    axes.axvline(0, color="lightgray", zorder=0)
    axes.margins(x=0.2)  # room for the names
    axes.set_xlabel("error as rows come, change against a plain network, %")
    axes.set_ylabel("few-shot error, change against a plain network, %")
    axes.set_title(f"Median over {len(tables)} tables; lower left is better everywhere")
    axes.legend()
    figure.savefig(file, dpi=120)


def _change(errors: dict[str, dict[str, float]], name: str, column: str) -> float:
    if column not in errors[name]:
        return np.nan
    return 100 * (errors[name][column] / errors[PLAIN][column] - 1)


def _with_interval(changes: np.ndarray, times: int = 2000) -> str:
    """Return the median over tables of the mean over seeds, with the interval of a hierarchical bootstrap."""
    changes = changes[~np.isnan(changes).all(axis=1)]
    rng = np.random.default_rng(0)
    n, k = changes.shape
    medians = []
    for _ in range(times):
        drawn = changes[rng.integers(n, size=n)]
        seeds = rng.integers(k, size=(n, k))
        medians.append(np.median(np.nanmean(np.take_along_axis(drawn, seeds, axis=1), axis=1)))
    low, high = np.nanquantile(medians, [0.025, 0.975])
    return f"{np.median(np.nanmean(changes, axis=1)):+.0f} ({low:+.0f} to {high:+.0f})"


if __name__ == "__main__":
    main()
