"""Train methods on real tables over several seeds and print the comparison as Markdown.

    python benchmarks/tables.py TABLES.json OUT --tables abalone cpusm --methods vanilla sqinv+lds --seeds 3

``TABLES.json`` lists tables with ``name``, ``file``, ``target``, ``nominal`` and ``drop``. Runs that are finished are
not run again. Every seed has its own split, the same for all methods, so changes against the first method are paired by
seed; their intervals are 95 % t intervals over the seeds.
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy.stats import t

REGIONS = ("all", "many", "medium", "few")


def train(folder: Path, table: dict, root: Path, method: str, seed: int) -> None:
    """One run, unless it is finished."""
    out = folder / table["name"] / f"{method}-{seed}"
    if (out / "manifest.json").exists():
        return
    arguments = ["train", str(root / table["file"]), "-t", table["target"], "-m", method, "--seed", str(seed)]
    arguments += ["--encoder", "mlp"]
    for option in ("nominal", "drop"):
        for column in table[option]:
            arguments += [f"--{option}", column]
    arguments += ["-o", str(out), *(["--overwrite"] if out.exists() else [])]
    subprocess.run([sys.executable, "-m", "tailwise", *arguments], check=True, capture_output=True)
    print(f"{table['name']} {method} seed {seed}", file=sys.stderr)


def errors(folder: Path, name: str, method: str, seeds: range) -> dict[str, np.ndarray]:
    """MAE of each region, and bMAE, by seed; NaN where a region has no row."""
    runs = [json.loads((folder / name / f"{method}-{seed}" / "metrics.json").read_text()) for seed in seeds]
    found = {r: np.array([run[r].get("mae", {}).get("value", np.nan) for run in runs]) for r in REGIONS}
    return found | {"bmae": np.array([run["all"]["bmae"]["value"] for run in runs])}


def spread(values: np.ndarray) -> float:
    """Half the 95 % t interval of a mean over seeds."""
    return float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def change(ours: np.ndarray, base: np.ndarray) -> str:
    """Mean change in percent with its interval; in bold when the interval leaves out 0."""
    percent = 100 * (ours / base - 1)
    if np.isnan(percent).any():
        return "-"
    mean, half = percent.mean(), spread(percent)
    text = f"{mean:+.0f} ± {half:.0f} %"
    return f"**{text}**" if abs(mean) > half else text


def significant(value: float) -> str:
    """Three significant digits."""
    return f"{float(f'{value:.3g}'):,.10g}"


def markdown(folder: Path, names: list[str], methods: list[str], seeds: range) -> str:
    """The tables of all data sets."""
    lines = []
    for name in names:
        base = errors(folder, name, methods[0], seeds)
        lines += [f"### {name}", "", "| method | All | Many | Medium | Few | bMAE |", "|---|---|---|---|---|---|"]
        cells = [f"{significant(base[k].mean())} ± {significant(spread(base[k]))}" for k in base]
        lines.append(f"| `{methods[0]}` (MAE) | " + " | ".join(cells) + " |")
        for method in methods[1:]:
            ours = errors(folder, name, method, seeds)
            lines.append(f"| `{method}` | " + " | ".join(change(ours[k], base[k]) for k in base) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tables", dest="names", nargs="+", required=True)
    parser.add_argument("--methods", nargs="+", default=["vanilla", "sqinv+lds", "sqinv+lds+fds+conr"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    known = {table["name"]: table for table in json.loads(given.tables.read_text())}
    seeds = range(given.seeds)
    with ThreadPoolExecutor(given.jobs) as pool:
        runs = [
            pool.submit(train, given.out, known[name], given.tables.parent, method, seed)
            for name in given.names
            for seed in seeds
            for method in given.methods
        ]
        for run in runs:
            run.result()
    print(markdown(given.out, given.names, given.methods, seeds))


if __name__ == "__main__":
    main()
