"""Measure ``method="auto"`` against vanilla on real tables, and print the changes as Markdown.

    python benchmarks/auto.py TABLES.json OUT --tables abalone heat --seeds 0 1 2 --jobs 2

``TABLES.json`` lists tables with ``name``, ``file``, ``target``, ``nominal`` and ``drop``. At most 4,000 rows of each
are used. Every table and seed is one file in ``OUT``: out-of-fold predictions of every candidate, and what vanilla and
the chosen one, trained as ``tailwise train`` trains them, give on the test rows (``--all``: all of them). The choice
is made from the predictions, each time by the rule as it is: what another rule chooses is trained when it is missing,
and all else is kept.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import t

from tailwise._files import write_json
from tailwise.data.table_files import read_table
from tailwise.data.task import Task
from tailwise.experiment.auto_candidates import candidates_for
from tailwise.experiment.fit import train_method
from tailwise.experiment.model import TableModel
from tailwise.experiment.one_standard_error import Ground, judge
from tailwise.experiment.out_of_fold import fold_of_rows, out_of_fold
from tailwise.experiment.prepare import prepare
from tailwise.experiment.spec import Experiment
from tailwise.methods.build import Method
from tailwise.metrics.region_metrics import region_metrics
from tailwise.training.recipe import Recipe

SCORES = {"All": ("all", "mae"), "Many": ("many", "mae"), "Few": ("few", "mae"), "bMAE": ("all", "bmae")}


def measure(given: argparse.Namespace, named: dict, seed: int) -> None:
    """One table and seed: what is missing of it."""
    model = given.model
    out = given.out / f"{named['name']}-{model}-{seed}.json"
    found = json.loads(out.read_text()) if out.exists() else None
    candidates = candidates_for(model)

    def missing(found: dict) -> list[str]:
        wanted = [name for name, pred in found["pred"].items() if pred is not None]
        return [n for n in wanted if n not in found["test"] and (given.all or n in ("vanilla", choice(found)[0]))]

    if found is not None and not missing(found):
        return
    warnings.simplefilter("ignore", UserWarning)
    frame = read_table(str(given.tables.parent / named["file"]))
    if len(frame) > given.rows:
        frame = frame.sample(given.rows, random_state=seed).reset_index(drop=True)
    table = prepare(frame, named["target"], nominal=named["nominal"], drop=named["drop"], seed=seed)
    recipe = Recipe(seed=seed, device="cpu", epochs=given.epochs, patience=given.patience)

    def train(table: Task, method: Method) -> TableModel:
        return train_method(table, Experiment("vanilla", model, recipe=recipe), method)

    started = time.perf_counter()
    if found is None:
        fold = fold_of_rows(table, given.folds, seed=seed)
        inner = list(out_of_fold(table, fold, candidates, train))
        kept = fold >= 0
        bins = table.shots.bins
        found = {
            "y": table.y[kept].tolist(),
            "fold": fold[kept].tolist(),
            "bin": bins.index(table.y[kept]).tolist(),
            "share": (bins.histogram(table.y[table.part == "val"]) / (table.part == "val").sum()).tolist(),
            "pred": {one.candidate.method_name: None if one.pred is None else one.pred.tolist() for one in inner},
            "failed": {one.candidate.method_name: one.failed for one in inner if one.failed},
            "test": {},
        }
    test, y = table.rows_of("test")
    models: dict[str, TableModel] = {}
    for candidate in candidates:
        if candidate.method_name not in missing(found):
            continue
        method = candidate.compose()
        plain = "vanilla" if method.correction is not None else candidate.method_name
        if plain not in models:
            models[plain] = train(table, method)
        pred = models[plain].calibrated(table, method.correction, intervals=False).predict(test)
        regions = region_metrics(y, pred, table.shots, resamples=0)
        metrics = {name: {key: v.value for key, v in region.metrics.items()} for name, region in regions.items()}
        found["test"][candidate.method_name] = metrics
    write_json(out, found)
    print(f"{out.stem}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def choice(found: dict) -> tuple[str, dict]:
    """What auto chooses by the rule as it is, and the scores."""
    names = [name for name, pred in found["pred"].items() if pred is not None]
    ground = Ground(*(np.asarray(found[key]) for key in ("y", "fold", "bin", "share")))
    scores, chosen = judge(ground, [np.asarray(found["pred"][name]) for name in names])
    return names[chosen], dict(zip(names, scores, strict=True))


def changes(found: dict, name: str) -> dict[str, float]:
    """Change in percent against vanilla on the test rows, by score; NaN where a region has no row."""

    def error(of: str, score: str) -> float:
        region, metric = SCORES[score]
        return found["test"][of].get(region, {}).get(metric, np.nan)

    return {score: 100 * (error(name, score) / error("vanilla", score) - 1) for score in SCORES}


def interval(values: np.ndarray) -> str:
    """Mean with half its 95 % t interval."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return "-"
    if values.size == 1:
        return f"{values[0]:+.1f} %"
    half = t.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    return f"{values.mean():+.1f} ± {half:.1f} %"


def markdown(folder: Path, names: list[str], seeds: list[int], model: str, only: str | None) -> str:
    """A row a table, then the means over tables."""
    lines = ["| table | chosen | " + " | ".join(SCORES) + " | worst All |", "|---" * (len(SCORES) + 3) + "|"]
    means: dict[str, list[float]] = {score: [] for score in SCORES}
    for name in names:
        files = [path for seed in seeds if (path := folder / f"{name}-{model}-{seed}.json").exists()]
        if not files:
            continue
        loaded = [json.loads(path.read_text()) for path in files]
        chosen = [only or choice(found)[0] for found in loaded]
        frame = pd.DataFrame([changes(found, one) for found, one in zip(loaded, chosen, strict=True)])
        for score in SCORES:
            if frame[score].notna().any():
                means[score].append(float(frame[score].mean()))
        cells = [interval(frame[score].to_numpy()) for score in SCORES]
        lines.append(f"| {name} | {', '.join(chosen)} | " + " | ".join(cells) + f" | {frame['All'].max():+.1f} % |")
    cells = [interval(np.array(means[score])) for score in SCORES]
    lines.append("| mean over tables | | " + " | ".join(cells) + f" | {max(means['All'], default=np.nan):+.1f} % |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tables", dest="names", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--model", default="network")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--patience", type=int, default=Recipe.patience)
    parser.add_argument("--all", action="store_true", help="test every candidate, not only vanilla and the chosen one")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", help="show this candidate in place of the choice")
    parser.add_argument("--print-only", action="store_true", help="run nothing, print what is there")
    given = parser.parse_args()
    known = {table["name"]: table for table in json.loads(given.tables.read_text())}
    names = given.names or list(known)
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.print_only:
        Parallel(n_jobs=given.jobs)(
            delayed(measure)(given, known[name], seed) for seed in given.seeds for name in names
        )
    print(markdown(given.out, names, given.seeds, given.model, given.only))


if __name__ == "__main__":
    main()
