"""Hold the stack against other people's tools, on the splits of ``benchmarks/stack.py``.

    python benchmarks/peers.py split TABLES.json OUT --seeds 3 --rows 2500
    python benchmarks/peers.py fit OUT autogluon        # in an environment that has the peer; it needs pandas besides
    python benchmarks/peers.py report TABLES.json OUT STACK --seeds 3 --rows 2500

``split`` writes the training, validation and test rows of each table and seed; ``fit`` trains a peer on training and
validation rows and writes its test predictions, unless they are there; ``report`` prints changes against the plain
network that ``benchmarks/stack.py`` kept in the folder ``STACK``, of peers that were fitted to all splits. Peers are
installed apart, each with its defaults:

    pip install 'autogluon.tabular[lightgbm,catboost]'
    pip install catboost ngboost quantile-forest
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

Rows = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]  # training, validation, test


def autogluon(rows: Rows, target: str, nominal: list[str], seed: int) -> np.ndarray:  # noqa: ARG001
    """AutoGluon at medium quality, without its networks where torch is not installed; it has a seed of its own."""
    from autogluon.tabular import TabularPredictor

    train, val, test = rows
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(
            target, problem_type="regression", eval_metric="mean_absolute_error", path=folder, verbosity=0
        )
        both = pd.concat([train, val]).astype(dict.fromkeys(nominal, "category"))
        predictor.fit(both, presets="medium_quality", num_cpus=1)
        return predictor.predict(test.drop(columns=target)).to_numpy()


def catboost(rows: Rows, target: str, nominal: list[str], seed: int) -> np.ndarray:
    """CatBoost, absolute error, stopped early on the validation rows."""
    from catboost import CatBoostRegressor

    (x, y), val, (x_test, _) = (_as_text(part, target, nominal) for part in rows)
    model = CatBoostRegressor(
        loss_function="MAE", iterations=2000, random_seed=seed, verbose=False, thread_count=1, allow_writing_files=False
    )
    model.fit(x, y, cat_features=nominal, eval_set=val, early_stopping_rounds=50)
    return model.predict(x_test)


def ngboost(rows: Rows, target: str, nominal: list[str], seed: int) -> np.ndarray:
    """NGBoost with a normal distribution, its median, stopped early on the validation rows."""
    from ngboost import NGBRegressor

    (x, y), (x_val, y_val), (x_test, _) = _numbers(rows, target, nominal)
    model = NGBRegressor(n_estimators=500, random_state=seed, verbose=False)
    model.fit(x, y, X_val=x_val, Y_val=y_val, early_stopping_rounds=50)
    return model.predict(x_test)


def quantile_forest(rows: Rows, target: str, nominal: list[str], seed: int) -> np.ndarray:
    """A quantile regression forest, its median."""
    from quantile_forest import RandomForestQuantileRegressor

    (x, y), (x_val, y_val), (x_test, _) = _numbers(rows, target, nominal)
    model = RandomForestQuantileRegressor(n_estimators=500, random_state=seed, n_jobs=1)
    model.fit(np.concatenate([x, x_val]), np.concatenate([y, y_val]))
    return model.predict(x_test, quantiles=0.5)


PEERS: dict[str, Callable[[Rows, str, list[str], int], np.ndarray]] = {
    "autogluon": autogluon,
    "catboost": catboost,
    "ngboost": ngboost,
    "quantile-forest": quantile_forest,
}


def _as_text(part: pd.DataFrame, target: str, nominal: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    x = part.drop(columns=target)
    return x.assign(**{name: x[name].astype(str) for name in nominal}), part[target].to_numpy(dtype=float)


def _numbers(rows: Rows, target: str, nominal: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return numbers: a column for each category, missing values as the median of the training rows."""
    dummies = [pd.get_dummies(_as_text(part, target, nominal)[0], columns=nominal, dtype=float) for part in rows]
    columns, medians = dummies[0].columns, dummies[0].median()
    known = [one.reindex(columns=columns).fillna(medians).to_numpy(dtype=float) for one in dummies]
    return [(x, part[target].to_numpy(dtype=float)) for x, part in zip(known, rows, strict=True)]


def split(given: argparse.Namespace) -> None:
    """Write the rows of each table and seed."""
    for table, seed, task in _tasks(given):
        folder = given.out / f"{table['name']}-{seed}"
        if (folder / "columns.json").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        target = task.schema.target
        names = [column.name for column in task.schema.columns]
        for part in ("train", "val", "test"):
            rows, y = task.rows_of(part)
            rows.frame()[names].copy().assign(**{target: y}).to_csv(folder / f"{part}.csv", index=False)
        nominal = [column.name for column in task.schema.columns if column.kind == "nominal"]
        (folder / "columns.json").write_text(json.dumps({"target": target, "nominal": nominal}))


def fit(given: argparse.Namespace) -> None:
    """Train a peer on every split, unless its predictions are there."""
    for folder in sorted(path.parent for path in given.out.glob("*/columns.json")):
        file = folder / f"{given.peer}.json"
        if file.exists() or _seed(folder) >= given.seeds:
            continue
        columns = json.loads((folder / "columns.json").read_text())
        dtypes = dict.fromkeys(columns["nominal"], str)
        rows = [
            pd.read_csv(folder / f"{part}.csv", dtype=dtypes, keep_default_na=True) for part in ("train", "val", "test")
        ]
        started = time.perf_counter()
        pred = PEERS[given.peer](tuple(rows), columns["target"], columns["nominal"], _seed(folder))
        seconds = time.perf_counter() - started
        file.write_text(json.dumps({"seconds": seconds, "pred": np.asarray(pred, dtype=float).tolist()}))
        print(f"{folder.name} {given.peer} {seconds:.0f} s", file=sys.stderr, flush=True)


def _seed(split: Path) -> int:
    return int(split.name.rsplit("-", 1)[1])


def report(given: argparse.Namespace) -> None:
    """Print the table of changes against the plain network, the stack's and the peers'."""
    import stack

    results: dict = {}
    splits = [path.parent for path in given.out.glob("*/columns.json") if _seed(path.parent) < given.seeds]
    peers = [peer for peer in PEERS if all((split / f"{peer}.json").exists() for split in splits)]
    for table, seed, task in _tasks(given):
        errors: dict = {}
        for name in (stack.PLAIN, "stack"):
            file = given.stack / table["name"] / f"{name.replace(' ', '-')}-{seed}.json"
            errors |= json.loads(file.read_text())["errors"]
        for peer in peers:
            file = given.out / f"{table['name']}-{seed}" / f"{peer}.json"
            pred = np.array(json.loads(file.read_text())["pred"])
            errors[peer] = stack.measured(task.rows_of("test")[1], pred, task.shots)
        results[table["name"], seed] = errors
    print("\n".join(stack.markdown(results, list(dict.fromkeys(name for name, _ in results)), given.seeds)))


def _tasks(given: argparse.Namespace):
    """Yield the splits of ``benchmarks/stack.py``."""
    import stack

    for table in stack_tables(given.tables):
        for seed in range(given.seeds):
            yield table, seed, stack.task_of(table, given.tables.parent, seed, given.rows)


def stack_tables(file: Path) -> list[dict]:
    """Return the tables of the list, and the airports."""
    airports = {"name": "airports", "file": "", "target": "elevation", "nominal": [], "drop": []}
    return [*json.loads(file.read_text()), airports]


def main() -> None:
    """Run one of the three steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(required=True)
    for name, function in (("split", split), ("fit", fit), ("report", report)):
        step = steps.add_parser(name)
        step.set_defaults(function=function)
        step.add_argument("--seeds", type=int, default=3)
        if name != "fit":
            step.add_argument("tables", type=Path)
            step.add_argument("--rows", type=int, default=2500)
        step.add_argument("out", type=Path)
        if name == "fit":
            step.add_argument("peer", choices=PEERS)
        if name == "report":
            step.add_argument("stack", type=Path)
    given = parser.parse_args()
    given.function(given)


if __name__ == "__main__":
    main()
