"""Train methods on real images and signals over several seeds and print errors by region as Markdown.

    python benchmarks/media.py DATA OUT --jobs 2

``DATA`` holds ``images/vgg_patches64.npz`` and ``images/split_by_image.csv`` (64 x 64 patches of the VGG cell-counting
set), ``images/mnist.npz`` (28 x 28 digits; ``is_test`` keeps the digits of train and test apart) and
``cmapss/fd001_train.csv.gz``, ``fd001_test.csv.gz`` (NASA C-MAPSS FD001). Files are written to ``OUT/data`` once; cells
that are finished are not run again.

Tasks: ``cells`` counts cells (a smooth one-sided tail); ``rotation`` tells by how many degrees an upright 4, 5, 6 or 7
was turned (exponential label density; 40 to 50 degrees never seen in training); ``digits`` counts digits on a canvas
(Zipf density); ``engines`` tells the cycles an engine has left from windows of 50 cycles (split by engine; the rare
region is a long life). Test labels of ``rotation`` and ``digits`` are uniform.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.stats import t

from tailwise.compare.cell import Cell
from tailwise.compare.grid import read_cell, run_grid
from tailwise.experiment.spec import Experiment, recipe_of

METHODS = ("vanilla", "sqinv+lds", "conr", "ranksim", "bmc", "sqinv+lds+conr")
IMAGE = {"image": {"width": 8, "crop": 2, "size": 40}}
SIGNAL = {"signal": {"width": 16, "blocks": 1}}
RECIPE = recipe_of({"epochs": 15, "patience": None, "batch_size": 64, "lr": 2e-3})
TASKS = {
    "cells": ("count", {"image": ["path"], "bin_width": 1.0}, IMAGE),
    "rotation": ("degrees", {"image": ["path"], "bin_width": 2.0, "mask_target": [(40, 50)]}, IMAGE),
    "digits": ("count", {"image": ["path"], "bin_width": 1.0}, IMAGE),
    "engines": ("rul", {"signal": ["path"], "bin_width": 5.0, "drop": ["unit"]}, SIGNAL),
}
ENTRIES = {
    task: [Experiment(method, params=params, recipe=RECIPE) for method in METHODS]
    for task, (_, _, params) in TASKS.items()
}
SENSORS = [f"s{i}" for i in (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)]  # the others never change
WINDOW, EVERY = 50, 5
DRAWN = ("vanilla", "sqinv+lds", "conr")
REGIONS = ("all", "many", "medium", "few", "zero")


def main() -> None:
    """Write the data, run what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--print-only", action="store_true", help="run nothing, print what is there")
    parser.add_argument("--picture", type=Path, help="SVG to write: error by true value of the image tasks")
    given = parser.parse_args()
    cells = []
    for task in given.tasks:
        folder = given.out.absolute() / "data" / task
        if not (folder / "index.csv").exists():
            folder.mkdir(parents=True, exist_ok=True)
            WRITE[task](given.data, folder).to_csv(folder / "index.csv", index=False)
        target, choices, _ = TASKS[task]
        choices = {**choices, "split": "column", "folder": str(folder)}
        cells += [
            Cell(task, str(folder / "index.csv"), target, entry, seed, choices)
            for seed in range(given.seeds)
            for entry in ENTRIES[task]
        ]
    if given.print_only:
        found = {(c.table, c.entry.method, c.seed): r for c in cells if (r := read_cell(c, given.out)) is not None}
    else:
        found = {}
        for cell, result in run_grid(cells, given.out, jobs=given.jobs):
            found[cell.table, cell.entry.method, cell.seed] = result
            said = result.get("error") or f"{result['seconds']:.0f} s"
            print(f"{len(found)}/{len(cells)} {cell.table} {cell.entry.method} {cell.seed}: {said}", file=sys.stderr)
    for task in given.tasks:
        print(markdown(found, task, given.seeds), end="\n\n")
    if given.picture is not None:
        draw([cell for cell in cells if "image" in cell.choices], given.out, given.picture)


def cells(data: Path, folder: Path) -> pd.DataFrame:
    """Patches of cells, split by the image they were cut from."""
    images = np.load(data / "images" / "vgg_patches64.npz")["images"]
    table = pd.read_csv(data / "images" / "split_by_image.csv")
    return pd.DataFrame(
        {"path": pictures(images[table["row"]], folder), "count": table["count"], "split": table["split"]}
    )


def rotation(data: Path, folder: Path) -> pd.DataFrame:
    """Digits turned counter-clockwise by 0 to 90 degrees."""
    rng, sources = np.random.default_rng(0), digits_of(data, (4, 5, 6, 7))
    made, rows = [], []
    for part, n in (("train", 4000), ("val", 500), ("test", 1000)):
        own = sources["test" if part == "test" else "train"]
        own = own[: len(own) * 4 // 5] if part == "train" else own[len(own) * 4 // 5 :] if part == "val" else own
        uniform = rng.random(n)
        degrees = 90 * uniform if part != "train" else -15 * np.log(1 - uniform * (1 - np.exp(-6)))
        for angle, digit in zip(degrees, rng.integers(0, len(own), n), strict=True):
            canvas = Image.new("L", (40, 40))
            canvas.paste(Image.fromarray(own[digit]), (6, 6))
            made.append(np.asarray(canvas.rotate(angle, Image.Resampling.BILINEAR)))
            rows.append((angle, part))
    frame = pd.DataFrame(rows, columns=["degrees", "split"])
    return frame.assign(path=pictures(made, folder))


def digits(data: Path, folder: Path) -> pd.DataFrame:
    """One to twelve digits on a canvas, each a third smaller than it was."""
    rng, sources = np.random.default_rng(0), digits_of(data, range(10))
    counts = np.arange(1, 13)
    zipf = counts**-3.0 / (counts**-3.0).sum()
    made, rows = [], []
    for part, n in (("train", 4000), ("val", 480), ("test", 960)):
        own = sources["test" if part == "test" else "train"]
        own = own[: len(own) * 4 // 5] if part == "train" else own[len(own) * 4 // 5 :] if part == "val" else own
        for count in rng.choice(counts, n, p=zipf if part == "train" else None):
            canvas = np.zeros((64, 64), np.uint8)
            for digit in rng.integers(0, len(own), count):
                small = np.asarray(Image.fromarray(own[digit]).resize((18, 18), Image.Resampling.BILINEAR))
                top, left = rng.integers(0, 64 - 18, 2)
                here = canvas[top : top + 18, left : left + 18]
                np.maximum(here, small, out=here)
            made.append(canvas)
            rows.append((count, part))
    frame = pd.DataFrame(rows, columns=["count", "split"])
    return frame.assign(path=pictures(made, folder))


def engines(data: Path, folder: Path) -> pd.DataFrame:
    """Windows of sensors before every fifth cycle; of the training engines every fifth is for validation."""
    rows = []
    for name, engine_of in (("train", lambda unit: "val" if unit % 5 == 0 else "train"), ("test", lambda _: "test")):
        table = pd.read_csv(data / "cmapss" / f"fd001_{name}.csv.gz")
        for unit, engine in table.groupby("unit"):
            values = engine[SENSORS].to_numpy(np.float32)
            for end in range(WINDOW, len(engine) + 1, EVERY):
                path = f"{name}-{int(unit)}-{end}.npy"
                np.save(folder / path, values[end - WINDOW : end])
                rows.append((path, int(unit), float(engine["rul"].iloc[end - 1]), engine_of(int(unit))))
    return pd.DataFrame(rows, columns=["path", "unit", "rul", "split"])


WRITE = {"cells": cells, "rotation": rotation, "digits": digits, "engines": engines}


def digits_of(data: Path, wanted: object) -> dict[str, np.ndarray]:
    """Source digits of train and test."""
    saved = np.load(data / "images" / "mnist.npz")
    here = np.isin(saved["digit"], list(wanted))
    return {"train": saved["images"][here & ~saved["is_test"]], "test": saved["images"][here & saved["is_test"]]}


def pictures(images: object, folder: Path) -> list[str]:
    """Write images; their names."""
    names = [f"{i}.png" for i in range(len(images))]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(folder / name)
    return names


def markdown(found: dict, task: str, seeds: int) -> str:
    """Mean absolute error by region with the half-width of the 95 % t interval over the seeds."""
    lines = [f"{task}, MAE in {TASKS[task][0]}", "", "| method | " + " | ".join(r.title() for r in REGIONS) + " |"]
    lines.append("|---" * (len(REGIONS) + 1) + "|")
    for method in METHODS:
        results = [found.get((task, method, seed), {}).get("metrics", {}) for seed in range(seeds)]
        shown = []
        for region in REGIONS:
            values = np.array([r[region]["mae"] for r in results if r.get(region, {}).get("mae") is not None])
            half = (
                t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
            )
            shown.append(f"{values.mean():.2f} ± {half:.2f}" if len(values) else "-")
        lines.append(f"| `{method}` | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def draw(cells: list[Cell], out: Path, file: Path) -> None:
    """Mean absolute error by true value, over the seeds, of three methods on each task; a masked range is shaded."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "tailwise"
    tasks = list(dict.fromkeys(cell.table for cell in cells))
    figure = Figure(figsize=(4 * len(tasks), 3.2), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        for method, colour in zip(DRAWN, ("#4477aa", "#ee6677", "#228833"), strict=True):
            saved = [
                np.load(c.file(out).with_suffix(".npz")) for c in cells if (c.table, c.entry.method) == (task, method)
            ]
            true = np.concatenate([one["target"] for one in saved])
            size = np.abs(np.concatenate([one["prediction"] for one in saved]) - true)
            edges = np.linspace(true.min(), true.max(), 13)
            place = np.clip(np.digitize(true, edges) - 1, 0, 11)
            shown = [i for i in range(12) if (place == i).any()]
            middles = [true[place == i].mean() for i in shown]
            axes.plot(middles, [size[place == i].mean() for i in shown], "o-", ms=3, color=colour, label=method)
        for low, high in TASKS[task][1].get("mask_target", ()):
            axes.axvspan(low, high, color="#dddddd", zorder=0)
        axes.set(title=task, xlabel=TASKS[task][0], ylabel="mean absolute error", ylim=(0, None))
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
