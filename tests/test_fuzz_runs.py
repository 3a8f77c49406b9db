"""Runs whose files were altered in a valid way, with a manifest that fits: a result, or one line."""

import copy
import io
import json
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from fuzzing import examples, tried_command
from tailwise._files import file_digest
from tailwise.cli.main import run
from test_fuzz_pages import OWN, answer_of, serving

MODELS = {
    "linear": ["--model", "linear"],
    "network": ["--method", "mixture", "--epochs", "1"],
    "trees": ["--model", "lightgbm", "--set", "model.n_estimators=2"],
    "stack": ["--quality", "good", "--jobs", "1", "--epochs", "1"],
}
# Altered trees can end the process inside LightGBM, which reads them; docs/reliability.md says whom to trust.
NOT_ALTERED = ("model.txt", "trees.txt")
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([10**30, -(10**400), 1e308, float("nan"), float("inf"), "", "x", "y", "nan", [], {}, [[]], [None]]),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.floats(allow_nan=False), max_size=3),
)
COMMANDS = (
    ["predict", "r", "t.csv", "-o", "p.csv", "--ignore-extra"],
    ["predict", "r", "t.csv", "-o", "p.csv", "--ignore-extra", "--balance", "0.5", "--quantile", "0.1"],
    ["predict", "r", "t.csv", "-o", "p.csv", "--ignore-extra", "--interval", "0.9"],
    ["evaluate", "r", "t.csv", "--ignore-extra"],
    ["evaluate", "r", "t.csv", "--balance", "0.5"],
    ["explain", "r", "--repeats", "1"],
    ["explain", "r", "t.csv", "--repeats", "1"],
    ["export", "r", "n.pt2"],
    ["train", "t.csv", "-t", "y", "--model", "linear", "-o", "new", "--against", "r"],
    ["train", "t.csv", "-t", "y", "--model", "linear", "-o", "r", "--overwrite"],
)
PAGES = ("/", "/run?run=r", "/live?run=r", "/compare?run=r&run=whole", "/chart?run=r&kind=training&format=csv")


def places(value, path=()):
    """Paths of all values inside a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def altered_json(draw, value):
    """The value with one of its parts replaced, left out or doubled."""
    path = draw(st.sampled_from(list(places(value))))
    if not path:
        return draw(ODD)
    changed = inner = copy.deepcopy(value)
    for key in path[:-1]:
        inner = inner[key]
    match draw(st.sampled_from(["replace", "replace", "remove", "double", "swap"])):
        case "replace":
            inner[path[-1]] = draw(ODD)
        case "remove":
            del inner[path[-1]]
        case "double" if isinstance(inner, list):
            inner.append(inner[path[-1]])
        case "swap" if isinstance(inner, list):
            inner.reverse()
        case _:
            inner["new"] = draw(ODD)
    return changed


def altered_array(draw, array):
    """The array with other values, another type or another shape."""
    way = draw(st.sampled_from(["nan", "huge", "shape", "flat", "empty", "type", "zero"]))
    return {
        "nan": lambda: np.full_like(array, np.nan) if array.dtype.kind == "f" else array,
        "huge": lambda: np.full_like(array, np.finfo(array.dtype).max) if array.dtype.kind == "f" else array,
        "shape": lambda: array[..., :-1] if array.ndim else array[None],
        "flat": lambda: array.reshape(-1),
        "empty": lambda: np.zeros((0,), array.dtype),
        "type": lambda: array.astype(np.int64 if array.dtype.kind == "f" else np.float32),
        "zero": lambda: np.zeros_like(array),
    }[way]().copy()


def altered_frame(draw, frame):
    """The table with a column or rows changed."""
    name = draw(st.sampled_from(list(frame.columns)))
    return {
        "drop": lambda: frame.drop(columns=name),
        "rename": lambda: frame.rename(columns={name: "new"}),
        "text": lambda: frame.assign(**{name: "x"}),
        "missing": lambda: frame.assign(**{name: None}),
        "infinite": lambda: frame.assign(**{name: np.inf}),
        "rows": lambda: frame.head(draw(st.integers(0, 2))),
        "order": lambda: frame.iloc[::-1],
    }[draw(st.sampled_from(["drop", "rename", "text", "missing", "infinite", "rows", "order"]))]()


def altered_zip(draw, content):
    """The file of skops with one of its members changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw(st.sampled_from(sorted(members)))
    if name == "schema.json" or draw(st.booleans()):
        members["schema.json"] = json.dumps(altered_json(draw, json.loads(members["schema.json"]))).encode()
    else:
        members[name] = draw(st.sampled_from([b"", members[name][:-1], members[name][:40]]))
    with zipfile.ZipFile(out := io.BytesIO(), "w") as archive:
        for name, one in members.items():
            archive.writestr(name, one)
    return out.getvalue()


def alter(draw, path):
    """Alter a file by its kind."""
    if draw(st.integers(0, 9)) == 0:
        path.write_bytes(
            draw(st.sampled_from([b"", b"{}", b"[]", b"\xff", path.read_bytes()[: path.stat().st_size // 2]]))
        )
    elif path.suffix == ".json":
        path.write_text(json.dumps(altered_json(draw, json.loads(path.read_text()))))
    elif path.suffix == ".jsonl":
        lines = path.read_text().splitlines() or ["{}"]
        at = draw(st.integers(0, len(lines) - 1))
        lines[at] = json.dumps(altered_json(draw, json.loads(lines[at])))
        path.write_text("\n".join(lines) + "\n")
    elif path.suffix == ".safetensors":
        arrays = load_file(path)
        name = draw(st.sampled_from(sorted(arrays)))
        if draw(st.booleans()):
            arrays[name] = altered_array(draw, arrays[name])
        else:
            arrays["new"] = arrays.pop(name)
        save_file(arrays, path)
    elif path.suffix == ".parquet":
        altered_frame(draw, pd.read_parquet(path)).to_parquet(path, index=False)
    elif path.suffix == ".skops":
        path.write_bytes(altered_zip(draw, path.read_bytes()))
    else:
        path.unlink()


def sign(folder: Path):
    """Write the manifest of what is there."""
    manifest = json.loads((folder / "manifest.json").read_text())
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    digests = {name: file_digest(folder / name) for name in names if name != "manifest.json"}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"sha256": digests}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A table, and a finished run of each model."""
    folder = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    table = pd.DataFrame({"x": x, "kind": rng.choice(["a", "b"], 80), "y": np.exp(x) + rng.normal(0, 0.1, 80)})
    table["day"] = "2020-01-0" + pd.Series(rng.integers(1, 9, 80)).astype(str)
    table.to_csv(folder / "t.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tailwise.runs.artifact.run_page", lambda **_: "<html></html>")
        for name, words in MODELS.items():
            assert run(["train", str(folder / "t.csv"), "-t", "y", *words, "-o", str(folder / name)]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_altered_runs(trained, tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr("tailwise.runs.artifact.run_page", lambda **_: "<html></html>")
    files = sorted(path.relative_to(trained / name) for path in (trained / name).rglob("*.*") if path.is_file())
    files = [path for path in files if path.name not in ("manifest.json", *NOT_ALTERED)]

    @examples(8)
    @given(st.data())
    def try_one(data):
        folder = tmp_path / "altered"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(trained / "t.csv", folder)
        shutil.copytree(trained / name, folder / "r")
        shutil.copytree(trained / name, folder / "whole")
        for path in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=2, unique=True)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                alter(data.draw, folder / "r" / path)
        sign(folder / "r")
        if data.draw(st.integers(0, 3)) == 0:
            with serving(folder) as server:
                page = data.draw(st.sampled_from(PAGES))
                answer_of(server, f"GET {page} HTTP/1.0\r\nHost: {OWN}\r\n\r\n".encode(), capsys)
        else:
            tried_command(folder, data.draw(st.sampled_from(COMMANDS)), capsys, tmp_path / "f")

    try_one()
