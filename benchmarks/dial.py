"""Hold the dial of one mixture network against trainings re-weighted by five powers, on many tables and seeds.

    python benchmarks/dial.py TABLES.json OUT --seeds 3 --jobs 2

``TABLES.json`` lists tables with ``name``, ``file``, ``target``, ``nominal`` and ``drop``. Each training is kept in
``OUT`` and not repeated. Every curve is a list of points (MAE where rows are many, MAE where they are few), relative to
a plain network of the same seed: one mixture network at balances 0 to 1, and networks whose weights are the inverse
density to the powers 0 to 1. At equal many-shot error, within the range that both curves reach, the few-shot error of
the dial is compared with that of re-weighting; the mean of the difference over the range is the area between them.
"""

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import t

import tailwise
from tailwise._files import write_json
from tailwise.data.source import load_source
from tailwise.experiment.spec import Experiment
from tailwise.training.recipe import Recipe

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
MODELS = {
    "plain network": Experiment("vanilla"),
    "mixture network": Experiment("mixture"),
    **{f"power {p:g}": Experiment("reweight+lds", method_params={"reweight": {"power": p}}) for p in POWERS if p},
}
REGIONS = ("many", "medium", "few")


def train(table: dict, folder: Path, seed: int, name: str, rows: int, epochs: int, out: Path) -> dict:
    """Train one model, unless it is there, and return its errors by region, at each balance for the dial."""
    file = out / table["name"] / f"{name.replace(' ', '-')}-{seed}.json"
    if file.exists():
        return json.loads(file.read_text())
    source = load_source(str(folder / table["file"]) if table["file"] else f"example:{table['name']}")
    frame = source.rows.frame()
    if len(frame) > rows:
        frame = frame.sample(rows, random_state=seed)
    task = tailwise.prepare(frame, table["target"], nominal=table["nominal"], drop=table["drop"], seed=seed)
    model = MODELS[name]
    recipe = Recipe(epochs=epochs, seed=seed, device="cpu")
    fitted = tailwise.fit(task, Experiment(model.method, method_params=model.method_params, recipe=recipe))
    evaluation = tailwise.evaluate(fitted, task, resamples=0)
    result = {"as given": {name: one.get("mae") for name, one in evaluation.metrics().items()}}
    for point in evaluation.trade_off.points:
        result[f"{point.balance:g}"] = {region: value.value for region, value in point.mae.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, result)
    return result


def curves(results: dict[str, dict]) -> dict[str, np.ndarray]:
    """Curves ``(5, 2)`` of many-shot and few-shot error over those of the plain network."""
    plain = results["plain network"]["as given"]
    dial = [results["mixture network"][f"{p:g}"] for p in POWERS]
    weighted = [results["plain network" if p == 0 else f"power {p:g}"]["as given"] for p in POWERS]
    density = [results["plain network"][f"{p:g}"] for p in POWERS]
    return {
        name: np.array([[one["many"] / plain["many"], one["few"] / plain["few"]] for one in points])
        for name, points in (("mixture", dial), ("conditional", density), ("re-weighted", weighted))
    }


def lowest(curve: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Lowest few-shot error that a curve, joined by straight lines, reaches with at most these many-shot errors."""
    steps = np.linspace(0, 1, 51)[:, None]
    dense = np.concatenate([a + steps * (b - a) for a, b in pairwise(curve)])
    return np.array([dense[dense[:, 0] <= x + 1e-12, 1].min(initial=np.inf) for x in many])


def area(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean difference of the few-shot errors at equal many-shot errors, in percent of the plain network's."""
    low, high = max(ours[:, 0].min(), theirs[:, 0].min()), max(ours[:, 0].max(), theirs[:, 0].max())
    at = np.linspace(low, max(high, low), 101)
    return float(100 * (lowest(ours, at) - lowest(theirs, at)).mean())


def main() -> None:
    """Train what is missing and print the comparison as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    tables = json.loads(given.tables.read_text())
    tables.append({"name": "airports", "file": "", "target": "elevation", "nominal": [], "drop": []})
    tables = [one for one in tables if not given.only or one["name"] in given.only]
    todo = [(one, seed, name) for seed in range(given.seeds) for one in tables for name in MODELS]
    settings = (given.rows, given.epochs, given.out)
    trained = Parallel(n_jobs=given.jobs, return_as="generator")(
        delayed(train)(one, given.tables.parent, seed, name, *settings) for one, seed, name in todo
    )
    results: dict[tuple[str, int], dict[str, dict]] = {}
    for count, ((one, seed, name), result) in enumerate(zip(todo, trained, strict=True), start=1):
        results.setdefault((one["name"], seed), {})[name] = result
        print(f"{count}/{len(todo)} {one['name']} seed {seed} {name}", file=sys.stderr, flush=True)
    print("\n".join(markdown(results, [one["name"] for one in tables], given.seeds)))


def markdown(results: dict, tables: list[str], seeds: int) -> list[str]:
    """Areas between the curves by table, and the median curves."""
    lines = [
        "| table | mixture network − re-weighting | plain network with the dial − re-weighting |",
        "|---|---|---|",
    ]
    every: dict[str, list[float]] = {"mixture": [], "conditional": []}
    points: dict[str, list[np.ndarray]] = {"mixture": [], "conditional": [], "re-weighted": []}
    for table in tables:
        cells = []
        each = [curves(one) for seed in range(seeds) if "few" in (one := results[table, seed])["plain network"]["0"]]
        if not each:
            lines.append(f"| {table} | no test rows where training rows are few | |")
            continue
        for name in every:
            areas = np.array([area(one[name], one["re-weighted"]) for one in each])
            every[name].append(float(areas.mean()))
            half = t.ppf(0.975, len(areas) - 1) * areas.std(ddof=1) / np.sqrt(len(areas)) if len(areas) > 1 else np.nan
            cells.append(f"{areas.mean():+.1f} ± {half:.1f}")
        lines.append(f"| {table} | " + " | ".join(cells) + " |")
        for name, curve in points.items():
            curve.append(np.mean([one[name] for one in each], axis=0))
    for name, areas in every.items():
        lower = sum(value < 0 for value in areas)
        lines.append(f"\n{name}: lower on {lower} of {len(areas)}, median {np.median(areas):+.1f} %")
    lines += ["", "| median over tables | " + " | ".join(f"{p:g}" for p in POWERS) + " |", "|---" * 6 + "|"]
    for name, curve in points.items():
        median = 100 * (np.median(curve, axis=0) - 1)
        lines.append(f"| {name}: many / few | " + " | ".join(f"{m:+.0f} / {f:+.0f} %" for m, f in median) + " |")
    return lines


if __name__ == "__main__":
    main()
