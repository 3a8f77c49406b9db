"""Train models and methods on many real tables over several seeds and print wins, ties and losses as Markdown.

    python benchmarks/quality.py TABLES.json OUT --jobs 2

``TABLES.json`` lists tables with ``name``, ``file``, ``target``, ``nominal`` and ``drop``. At most 8,000 rows of each
are used (under 6,000 of them for training). Cells that are finished are not run again, so an interrupted run goes on.
A difference on a table counts as a win or a loss when its 95 % t interval over the seeds, paired by seed, leaves
out 0.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from scipy.stats import t

from tailwise.compare.cell import Cell
from tailwise.compare.grid import read_cell, run_grid
from tailwise.experiment.spec import Experiment, recipe_of

TABM = recipe_of({"lr": 2e-3, "patience": 15})
ENTRIES = (
    Experiment("vanilla", model="lightgbm"),
    Experiment("sqinv+lds", model="lightgbm"),
    Experiment("inv+lds", model="lightgbm"),
    Experiment("ro", model="lightgbm"),
    Experiment("smogn", model="lightgbm"),
    Experiment("smoter", model="lightgbm"),
    Experiment("vanilla"),
    Experiment("sqinv+lds"),
    Experiment("sqinv+lds+fds+conr"),
    Experiment("rrt+lds"),
    Experiment("smogn"),
    Experiment("vanilla", encoder="mlp-ple"),
    Experiment("sqinv+lds", encoder="mlp-ple"),
    Experiment("vanilla", encoder="tabm-ple", recipe=TABM),
    Experiment("sqinv+lds", encoder="tabm-ple", recipe=TABM),
)
MEASURES = {"All": ("all", "mae"), "Many": ("many", "mae"), "Few": ("few", "mae"), "SERA": ("all", "sera")}
COUNTED = ("All", "Few", "SERA")


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tables", dest="names", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--print-only", action="store_true", help="run nothing, print what is there")
    given = parser.parse_args()
    tables = [t for t in json.loads(given.tables.read_text()) if not given.names or t["name"] in given.names]
    cells = [
        Cell(
            table["name"],
            str(given.tables.parent / table["file"]),
            table["target"],
            entry,
            seed,
            {"nominal": table["nominal"], "drop": table["drop"]},
            given.rows,
        )
        for seed in range(given.seeds)
        for table in tables
        for entry in ENTRIES
    ]
    if given.print_only:
        found = {key(cell): result for cell in cells if (result := read_cell(cell, given.out)) is not None}
    else:
        found = {}
        for cell, result in run_grid(cells, given.out, jobs=given.jobs):
            found[key(cell)] = result
            said = result.get("error") or f"{result['seconds']:.0f} s"
            print(f"{len(found)}/{len(cells)} {cell.table} {cell.entry.name} seed {cell.seed}: {said}", file=sys.stderr)
    print(markdown(found, [table["name"] for table in tables], given.seeds))


def key(cell: Cell) -> tuple[str, str, int]:
    """What tells a cell from the others of this grid."""
    return cell.table, cell.entry.name, cell.seed


def errors(found: dict, table: str, entry: Experiment, measure: str, seeds: int) -> np.ndarray:
    """A measure by seed; NaN where there is none."""
    region, metric = MEASURES[measure]
    results = [found.get((table, entry.name, seed), {}) for seed in range(seeds)]
    return np.array([result.get("metrics", {}).get(region, {}).get(metric, np.nan) for result in results])


def compared(ours: np.ndarray, base: np.ndarray) -> tuple[float, str]:
    """Mean change in percent over the seeds that have both, and ``win``, ``tie`` or ``loss``; NaN where none has."""
    both = np.isfinite(ours) & np.isfinite(base) & (base > 0)
    if not both.any():
        return np.nan, ""
    percent = 100 * (ours[both] / base[both] - 1)
    mean = float(percent.mean())
    if both.sum() < 2:
        return mean, "tie"
    half = t.ppf(0.975, both.sum() - 1) * percent.std(ddof=1) / np.sqrt(both.sum())
    return mean, "tie" if abs(mean) <= half else "win" if mean < 0 else "loss"


def markdown(found: dict, tables: list[str], seeds: int) -> str:
    """Wins, ties and losses against the first entry, median changes, and every table's few-shot MAE."""
    base = ENTRIES[0]
    heads = " | ".join(f"{m}: wins / ties / losses | better on | median" for m in COUNTED)
    lines = [f"| entry | {heads} | median Many |", "|---" * (3 * len(COUNTED) + 2) + "|"]
    for entry in ENTRIES[1:]:
        cells = []
        for measure in COUNTED:
            pairs = [
                compared(errors(found, n, entry, measure, seeds), errors(found, n, base, measure, seeds))
                for n in tables
            ]
            said = [outcome for _, outcome in pairs if outcome]
            changes = np.array([mean for mean, outcome in pairs if outcome])
            counts = " / ".join(str(said.count(outcome)) for outcome in ("win", "tie", "loss"))
            cells += [counts, f"{(changes < 0).sum()} of {len(said)}", f"{np.median(changes):+.0f} %" if said else "-"]
        many = [
            compared(errors(found, n, entry, "Many", seeds), errors(found, n, base, "Many", seeds))[0] for n in tables
        ]
        lines.append(f"| `{entry.name}` | " + " | ".join(cells) + f" | {np.nanmedian(many):+.0f} % |")
    shown = [e for e in ENTRIES if e.method in ("vanilla", "sqinv+lds", "smogn", "rrt+lds")]
    for measure in ("Few", "All"):
        lines += ["", f"MAE, {measure}: mean over the seeds.", ""]
        lines += ["| table | " + " | ".join(f"`{e.name}`" for e in shown) + " |", "|---" * (len(shown) + 1) + "|"]
        for name in tables:
            values = [
                np.nanmean(v) if np.isfinite(v).any() else np.nan
                for v in (errors(found, name, e, measure, seeds) for e in shown)
            ]
            best = np.nanmin(values) if np.isfinite(values).any() else np.nan
            cells = ["-" if np.isnan(v) else f"**{v:.3g}**" if v == best else f"{v:.3g}" for v in values]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
