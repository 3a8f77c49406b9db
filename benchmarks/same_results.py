"""Read the results of a run of ``same_numbers.py``, and tell how those of two runs differ."""

import fnmatch
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Values = dict[str, Any]
CONFIG = ("target", "table", "columns", "method", "model", "label", "recipe")
DROPPED = {"seconds", "versions", "data", "cell", "predictions", "settings", "sha256", "format", "datetime"}
SENTENCES = {
    *("reason", "finding", "action", "command", "commands", "rule", "verdict", "source", "note"),
    *("unused", "deviations", "failed", "left_out", "not_run"),
}
SKIPPED = {"manifest.json", "protocol.json", "bench.json", "estimator.json"}
REPORT = "report.html"


def flat(value: Any, path: str = "", *, sentence: bool = False) -> Values:
    """Leaves of a JSON value by path, without what is not compared; of a sentence only that it is there."""
    if isinstance(value, dict):
        items = [(key, item) for key, item in value.items() if key not in DROPPED]
    elif isinstance(value, list):
        items = [(str(i), item) for i, item in enumerate(value)]
    else:
        sentence = isinstance(value, str) and (sentence or path.endswith("/rows"))
        return {path: "a sentence" if sentence else value}
    leaves = (flat(item, f"{path}/{key}", sentence=sentence or key in SENTENCES) for key, item in items)
    return {key: leaf for part in leaves for key, leaf in part.items()}


def read_json(file: Path) -> Values:
    """Leaves of a JSON file; of a configuration only what describes the training."""
    value = json.loads(file.read_text(encoding="utf-8"))
    if file.name == "config.json":
        value = {key: value[key] for key in CONFIG if key in value}
        value["model"] = {"encoder": value.get("model", {}).get("encoder")}
    return flat(value)


def read_table(frame: pd.DataFrame) -> Values:
    """Columns, text as NumPy's strings."""
    columns = {str(name): frame[name].to_numpy() for name in frame}
    return {name: values.astype(str) if values.dtype == object else values for name, values in columns.items()}


def read_tensors(file: Path) -> Values:
    """Tensors of a safetensors file."""
    from safetensors.numpy import load_file

    return dict(load_file(file))


def read_arrays(file: Path) -> Values:
    """Arrays of an NPZ file."""
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_titles(file: Path) -> Values:
    """Titles of the sections of a page."""
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {re.sub(r"<[^>]+>", "", title).strip(): "title" for title in titles}


def read_lines(file: Path) -> Values:
    """Lines of a text."""
    return {f"line {i}": line for i, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)}


READERS: dict[str, Callable[[Path], Values]] = {
    "*.parquet": lambda file: read_table(pd.read_parquet(file)),
    "*.csv": lambda file: read_table(pd.read_csv(file, dtype=str).astype(object)),
    "*.npy": lambda file: {"array": np.load(file, allow_pickle=False)},
    "*.npz": read_arrays,
    "*.safetensors": read_tensors,
    "*.json": read_json,
    "*.jsonl": lambda file: flat([json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]),
    "model.txt": read_lines,
    REPORT: read_titles,
    "*.err": lambda file: {"notes": file.read_text(encoding="utf-8").count("note: ")},
}


def results(folder: Path) -> dict[str, Callable[[], Values]]:
    """By file of a finished run what is compared, read when called."""
    readers: dict[str, Callable[[], Values]] = {}
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        skipped = file.name in SKIPPED or parts[0] == "data" or ("model" in parts and file.suffix == ".json")
        reader = next((read for pattern, read in READERS.items() if fnmatch.fnmatch(file.name, pattern)), None)
        if file.is_file() and reader is not None and not skipped:
            name = re.sub(r"-[0-9a-f]{8}(-\d+\.)", r"\1", "/".join(parts))  # the digest of a cell's settings may change
            readers[name] = lambda file=file, reader=reader: reader(file)
    return readers


def equal(then: Any, now: Any) -> bool:
    """Whether two values are the same, bit for bit."""
    if not isinstance(then, np.ndarray) or not isinstance(now, np.ndarray):
        return type(then) is type(now) and repr(then) == repr(now)
    if then.shape != now.shape or then.dtype.kind != now.dtype.kind:
        return False
    if then.dtype.kind in "UT":
        return bool((then == now).all())
    return then.dtype == now.dtype and then.tobytes() == now.tobytes()


def distance(then: Any, now: Any) -> float:
    """The largest difference between two values, NaN where there is no number for it."""
    try:
        a, b = np.asarray(then).astype(np.float64), np.asarray(now).astype(np.float64)
    except (TypeError, ValueError):
        return math.nan
    if a.shape != b.shape or not a.size:
        return math.nan
    gap = np.abs(a - b)
    return float(np.max(gap[~np.isnan(gap)], initial=0.0)) if (np.isnan(a) == np.isnan(b)).all() else math.inf


def differences(then: Values, now: Values) -> str:
    """How the values of one file differ, in a few words; empty if they are the same."""
    missing = [key for key in then if key not in now]
    changed = [key for key in then if key in now and not equal(then[key], now[key])]
    phrases = [f"lacks {shown(missing)}"] if missing else []
    if changed:
        sizes = [distance(then[key], now[key]) for key in changed]
        sizes = [size for size in sizes if not math.isnan(size)]
        first = f"{str(then[changed[0]])[:60]!r} became {str(now[changed[0]])[:60]!r}"
        phrases.append(f"{shown(changed)}: " + (f"largest difference {max(sizes):.3g}" if sizes else first))
    return "; ".join(phrases)


def shown(keys: list[str]) -> str:
    """The first keys and how many more there are."""
    more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
    return ", ".join(repr(key) for key in keys[:2]) + more


def compare_runs(then: Path, now: Path) -> tuple[list[str], list[str]]:
    """Return lines on what differs, and lines on what is new. Titles of a page are wording: they never differ."""
    differ, new = [], []
    old, fresh = results(then), results(now)
    for file, read in old.items():
        if file not in fresh:
            differ.append(f"{file} is missing")
            continue
        before, after = read(), fresh[file]()
        line = differences(before, after)
        if line:
            (new if file.endswith(REPORT) else differ).append(f"{file}: {line}")
        keys = [key for key in after if key not in before]
        new += [f"{file}: {shown(keys)}"] if keys else []
    return differ, new + [file for file in fresh if file not in old]
