"""Hold the stack on images, texts and signals against one network, on the tasks of ``media.py`` and on STS-B-DIR.

    python benchmarks/media_stack.py DATA OUT --seeds 3 --text-encoder all-MiniLM-L6-v2

``DATA`` is what ``media.py`` takes, with ``stsb_dir`` beside it. At most ``--rows`` training rows of a task are used,
drawn by the seed. The validation rows that ``media.py`` sets apart are left out: their labels are spread evenly, and a
stack would learn from them. Every entry takes validation rows from the training rows. Each training is kept in ``OUT``
and not repeated. Numbers are errors of the test rows; errors as rows come weight their bins by the training rows.
Changes are against the plain network of the same seed, in percent, with half a 95 % t interval over the seeds.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from media import IMAGE, RECIPE, SIGNAL, TASKS, WRITE
from scipy.stats import t
from stack import COLUMNS, measured

import tailwise
from tailwise._files import write_json
from tailwise.backends.stack.experts import PLAIN as BAGGED
from tailwise.distributions.decisions import Decision
from tailwise.experiment.spec import Experiment

PLAIN = "plain network"
WEIGHTED = "sqinv+lds"
BALANCES = (0.0, 0.5, "auto")
GROUPS = {"engines": "unit"}


def main() -> None:
    """Write the data, train what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", nargs="+", default=[*TASKS, "sentences"], choices=[*TASKS, "sentences"])
    parser.add_argument("--text-encoder", default="bilstm", help="folder or hub name; its weights stay as they are")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="folds of a stack in parallel")
    parser.add_argument("--folds", nargs="+", type=int, default=[3], help="folds of a stack, one entry each")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for task in given.tasks:
        by_seed = []
        for seed in range(given.seeds):
            errors: dict[str, dict[str, float]] = {}
            for name in (PLAIN, WEIGHTED, *(f"stack of {folds}" for folds in given.folds)):
                result = run(task, name, seed, given)
                errors |= result["errors"]
                print(f"{task} seed {seed} {name}: {result['seconds']:.0f} s of CPU", file=sys.stderr, flush=True)
            by_seed.append(errors)
        print("\n".join(markdown(task, by_seed)), end="\n\n", flush=True)


def run(name: str, entry: str, seed: int, given: argparse.Namespace) -> dict:
    """Train one entry, unless it is there, and return errors by label of the row of the table of results."""
    file = given.out / name / f"{entry.replace(' ', '-')}-{given.rows}-{seed}.json"
    if file.exists():
        return json.loads(file.read_text())
    task, params = prepared(name, seed, given)
    recipe = replace(RECIPE, seed=seed, device="cpu", epochs=given.epochs)
    stacked = entry.startswith("stack")
    if stacked:
        settings = {"folds": int(entry.split()[-1]), "jobs": given.jobs, **params}
        experiment = Experiment("vanilla", "stack", params=settings, recipe=recipe, balance="auto")
    else:
        experiment = Experiment("vanilla" if entry == PLAIN else entry, params=params, recipe=recipe)
    started = time.process_time()
    model = tailwise.fit(task, experiment)
    seconds = time.process_time() - started
    rows, y = task.rows_of("test")
    known = model.predictions(rows, predictive=stacked)
    result: dict = {"seconds": seconds, "errors": {}}
    if stacked:
        result["balance"] = model.balance
        for balance in BALANCES:
            pred = model.decided(known, Decision(balance=None if balance == "auto" else balance))
            result["errors"][f"{entry}, balance {balance}"] = measured(y, pred, task.shots)
        pred = model.model.points_of(BAGGED, model.schema, rows)
        result["errors"][f"plain networks of {entry.split()[-1]} folds"] = measured(y, pred, task.shots)
        result["leaderboard"] = [standing.as_rows_come for standing in model.leaderboard.standings]
    else:
        result["errors"][entry] = measured(y, known.pred, task.shots)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, result)
    return result


def prepared(name: str, seed: int, given: argparse.Namespace) -> tuple[tailwise.Task, dict]:
    """Return a task of at most so many training rows, and the parameters of its encoders."""
    if name == "sentences":
        frame, target, choices = sentences(given.data), "score", {"text_pair": ["sentence1", "sentence2"]}
        params = {"text": {"encoder": given.text_encoder}}
        if given.text_encoder != "bilstm":
            params["text"] |= {"cache": str(given.out.absolute() / "vectors")}
        folder, choices = given.data, {**choices, "bin_width": 0.25}
    else:
        folder = given.out.absolute() / "data" / name
        if not (folder / "index.csv").exists():
            folder.mkdir(parents=True, exist_ok=True)
            WRITE[name](given.data, folder).to_csv(folder / "index.csv", index=False)
        frame = pd.read_csv(folder / "index.csv")
        target, choices, _ = TASKS[name]
        choices = {key: value for key, value in choices.items() if key not in ("mask_target", "drop")}
        params = SIGNAL if "signal" in choices else IMAGE
    if name in GROUPS:  # numbered from 1 in both parts
        frame[GROUPS[name]] += 1000 * (frame["split"] == "test")
    train = frame[frame["split"] == "train"]
    drawn = train.sample(min(given.rows, len(train)), random_state=seed)
    frame = pd.concat([drawn, frame[frame["split"] == "test"]], ignore_index=True)
    choices = {**choices, "split": "column", "group": GROUPS.get(name), "seed": seed}
    return tailwise.prepare(frame, target, folder=folder, **choices), params


def sentences(data: Path) -> pd.DataFrame:
    """Return the pairs of STS-B-DIR."""
    parts = []
    for file, part in (("train_new.tsv", "train"), ("test_new.tsv", "test")):
        table = pd.read_csv(data / "stsb_dir" / file, sep="\t", quoting=3)
        parts.append(table[["sentence1", "sentence2", "score"]].assign(split=part))
    return pd.concat(parts, ignore_index=True)


def markdown(task: str, by_seed: list[dict[str, dict[str, float]]]) -> Iterator[str]:
    """Yield the lines of a table of results."""
    yield f"| {task} | {' | '.join(COLUMNS)} |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for name in by_seed[0]:
        cells = []
        for column in COLUMNS:
            values = [(errors[name].get(column), errors[PLAIN].get(column)) for errors in by_seed]
            both = np.array([pair for pair in values if None not in pair])
            if not len(both):
                cells.append("-")
            elif name == PLAIN:
                cells.append(f"{both[:, 0].mean():.3g}")
            else:
                cells.append(_with_interval(100 * (both[:, 0] / both[:, 1] - 1)))
        yield f"| {name} | {' | '.join(cells)} |"


def _with_interval(changes: np.ndarray) -> str:
    """Return the mean of changes in percent, and half its 95 % t interval."""
    if len(changes) < 2:
        return f"{changes.mean():+.0f} %"
    half = t.ppf(0.975, len(changes) - 1) * changes.std(ddof=1) / np.sqrt(len(changes))
    return f"{changes.mean():+.0f} ± {half:.0f} %"


if __name__ == "__main__":
    main()
