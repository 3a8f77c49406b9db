"""Options of every command, valid and not, in any order: a result, or one line and nothing written."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import examples, tried_command
from tailwise.cli.main import app, run

LINEAR = ["--model", "linear"]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00/"), max_size=5)
ODD = st.one_of(
    st.sampled_from(
        ["", " ", "-1", "0", "1", "nan", "inf", "-inf", "1e400", "9" * 50, "x", "y", "none", "--", "1,2,3", "[1,", "é"]
    ),
    st.floats().map(repr),
    st.integers(-5, 100).map(str),
    TEXT,
)
COLUMN = ("x", "c", "d", "s", "y", "nope")
FILES = ("t.csv", "new.csv", "empty.csv", "nope.csv", "r", "broken")
NUMBER = ("0", "0.5", "1", "-1", "nan", "2.5", "1e9", "two")
# Values that a command may know, by option; those of one name mean the same in every command. Nothing here starts
# many or long trainings, or asks a name server.
KNOWN = {
    "--target": COLUMN,
    "--prediction": COLUMN,
    "--drop": COLUMN,
    "--nominal": COLUMN,
    "--numeric": COLUMN,
    "--date": COLUMN,
    "--group": COLUMN,
    "--weight": COLUMN,
    "--keep": COLUMN,
    "--split-column": COLUMN,
    "--image": COLUMN,
    "--text": COLUMN,
    "--text-pair": COLUMN,
    "--signal": COLUMN,
    "--depth": COLUMN,
    "--test": FILES,
    "--valid": FILES,
    "--labels": FILES,
    "--apply": FILES,
    "--against": FILES,
    "--data": FILES,
    "--out": ("out", "out.csv", "out.json", "out.parquet", "r", "t.csv", "broken", "no/such/p.csv", "no/such", "", "."),
    "--html": ("page.html", "page.txt", "t.csv", "r", "no/page.html", "r/report.html"),
    "--missing": ("x=0", "c=a", "y=1", "nope=1", "x=", "x"),
    "--target-weight": ("y=2", "x=2", "y=0", "y=nan", "y=x", "y"),
    "--decimal": (",", ".", ";"),
    "--thousands": (",", ".", " ", "'"),
    "--date-order": ("dmy", "mdy", "ymd"),
    "--split": ("auto", "random", "balanced", "column"),
    "--shots": ("10,2", "2,10", "0,0", "nan,1", "5"),
    "--bin-width": NUMBER,
    "--bins": ("1", "5", "100000000", "0", "x"),
    "--mask-target": ("1,2", "2,1", "-1e9,1e9", "nan,1", "1"),
    "--method": ("vanilla", "inv", "sqinv+lds", "mixture", "lds", "auto", "nope", "inv+sqinv", "smogn", "+", "l1"),
    "--quality": ("nope", ""),
    "--encoder": ("mlp", "tabm", "mlp-ple", "nope"),
    "--set": ("model.alpha=2", "model.alpha=x", "lds.kernel=laplace", "lds.nope=1", "model.=1", "recipe.epochs=1"),
    "--criterion": ("both", "mae", "bmae", "nope"),
    "--epochs": ("1", "0", "-1", "x", "1.5"),
    "--batch-size": ("8", "0", "1", "-1", "100000000000"),
    "--lr": ("0.01", "0", "-1", "nan", "inf", "1e30"),
    "--patience": ("0", "1", "-1"),
    "--balance": ("0", "0.5", "1", "1.5", "-0.1", "nan"),
    "--within": ("2%", "0.05", "none", "-1", "nan", "x%"),
    "--density": ("uniform:0,9", "uniform:9,0", "labels:t.csv", "labels:nope.csv", "labels:", "x", "uniform:nan,1"),
    "--loss": ("absolute", "squared", "nope"),
    "--cost": ("under=1,over=2", "under=1", "under=0,over=1", "over=1,over=1", "x"),
    "--quantile": ("0.1", "0.9", "0", "1", "nan"),
    "--above": NUMBER,
    "--below": NUMBER,
    "--interval": ("0.9", "0", "1", "nan", "0.999999"),
    "--seed": ("0", "1", "-1", "4294967296", "x"),
    "--seeds": ("1", "2", "0", "-1", "x"),
    "--folds": ("2", "0", "1", "-1", "1000"),
    "--trials": ("1", "0", "-1", "x"),
    "--timeout": ("1", "0", "-1", "nan"),
    "--time-limit": NUMBER,
    "--jobs": ("1", "0", "-1", "x"),
    "--backend": ("loky", "nope", ""),
    "--device": ("cpu", "auto", "nope", "cuda"),
    "--precision": ("no", "bf16", "nope"),
    "--preset": ("quick", "nope"),
    "--minimise": ("few", "bmae", "mae", "nope"),
    "--storage": ("sqlite:///s.db", "x", "nope://a", ""),
    "--reference": ("linear vanilla", "nope", "c=01", "x=0"),
    "--select": ("val", "test", "nope"),
    "--host": ("127.0.0.1", "", " ", "localhost"),
    "--port": ("0", "-1", "70000", "x"),
    "--repeats": ("1", "2", "0", "-1", "x"),
    "--shap-rows": ("2", "0", "-1", "x"),
    "--shap-predictions": ("100", "0", "-1", "x"),
    "--target-balance": ("y=0.5", "y=", "x=1", "=", "y=nan"),
    "--max-rows": ("1", "0", "-1", "x"),
    "--max-size": NUMBER,
}
KNOWN_ONLY = (
    "--repeats",
    "--shap-rows",
    "--shap-predictions",
    "--jobs",
    "--seeds",
    "--folds",
    "--trials",
    "--epochs",
    "--host",
    "--quality",
    "--out",
    "--storage",
)
POSITIONAL = {
    "train": [FILES],
    "predict": [("r", "m", "s", "nope", "broken"), FILES],
    "evaluate": [("r", "m", "s", "nope", "broken"), FILES],
    "compare": [FILES],
    "diagnose": [FILES],
    "tune": [FILES],
    "dial": [FILES],
    "explain": [("r", "n", "nope", "broken"), FILES],
    "export": [("n", "r", "s", "nope", "broken"), ("n.onnx", "n.pt2", "n.txt", "r", "nope/n.onnx")],
    "serve": [("runs", ".", "r", "nope", "t.csv")],
    "serve-model": [("r", "n", "nope", "broken", "t.csv")],
    "bench list": [("agedb-dir", "nope")],
    "bench prepare": [("sts-b-dir", "agedb-dir", "nope")],
    "bench toy": [("nope", "")],
    "bench run": [("nope", "agedb-dir", "stress")],
    "bench table": [("nope", "r")],
    "methods": [("lds", "nope")],
    "examples": [],
}
# What is usually there: without it nothing but the first check would be tried.
USUAL = {
    "train": ["t.csv", "--target", "y"],
    "predict": ["r", "new.csv", "--out", "out.csv"],
    "evaluate": ["r", "t.csv"],
    "compare": ["t.csv", "-t", "y", *LINEAR, "-m", "vanilla", "--seeds", "2"],
    "diagnose": ["t.csv", "-t", "y", "--no-model"],
    "tune": ["t.csv", "-t", "y", *LINEAR, "-m", "inv", "--trials", "1", "--seeds", "1"],
    "dial": ["t.csv", "-t", "y", "-p", "x"],
    "explain": ["r", "t.csv", "--repeats", "1"],
    "export": ["n", "n.pt2"],
    "serve": ["."],
    "serve-model": ["r"],
    "bench run": ["nope"],
}
TRAINING = ("train", "compare", "tune")
MODELS = st.sampled_from([LINEAR, LINEAR, LINEAR, ["--method", "vanilla", "--epochs", "1"]])


@cache
def options_of(name):
    """Options of a command: flag, whether it takes a value, how many words."""
    command = typer.main.get_command(app)
    for word in name.split():
        command = command.commands[word]
    options = [one for one in command.params if one.opts[0].startswith("-")]
    return [(one.opts, one.is_flag, one.nargs) for one in options if one.name != "open_page"]


@st.composite
def commands(draw, name):
    """Words of a command: mostly what is needed, with some options, in any order."""
    words = [USUAL[name]] if name in USUAL and draw(st.integers(0, 9)) else []
    if not words:
        words = [[draw(st.sampled_from(values))] for values in POSITIONAL[name] if draw(st.integers(0, 9))]
    if name == "train":
        words.append(draw(MODELS))
    options = options_of(name)
    for names, is_flag, count in draw(st.lists(st.sampled_from(options), max_size=5)) if options else ():
        flag = draw(st.sampled_from(names))
        known = KNOWN.get(names[0])
        if is_flag:
            words.append([flag])
        elif names[0] == "--model":
            words.append([flag, draw(st.sampled_from(["linear", "linear", "nope", "", "Linear"]))])
        else:
            value = st.sampled_from(known or ("1",))
            value = value if names[0] in KNOWN_ONLY else st.one_of(value, value, ODD)
            values = [draw(value) for _ in range(count)]
            words.append([f"{flag}={values[0]}"] if draw(st.integers(0, 4)) == 0 else [flag, *values])
    if draw(st.integers(0, 9)) == 0:
        words.append([draw(st.one_of(st.sampled_from(["--nope", "-x", "--targets", "--help", "-"]), TEXT))])
    order = draw(st.permutations(words)) if draw(st.booleans()) else words
    return [*name.split(), *(word for group in order for word in group)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with tables, a finished run, and one that is none."""
    folder = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    table = pd.DataFrame({"x": x, "c": rng.choice(["01", "2A"], 80), "y": np.exp(x) + rng.normal(0, 0.1, 80)})
    table["d"], table["s"] = "2020-01-0" + pd.Series(rng.integers(1, 9, 80)).astype(str), ["hello there"] * 80
    table["split"] = rng.choice(["train", "val", "test"], 80)
    table.to_csv(folder / "t.csv", index=False)
    table.drop(columns="y").head(9).to_csv(folder / "new.csv", index=False)
    (folder / "empty.csv").write_text("x,c,d,s,y,split\n")
    (folder / "broken").mkdir()
    (folder / "broken" / "config.json").write_text("{}")
    models = {
        "r": LINEAR,
        "m": ["--model", "lightgbm", "--set", "model.n_estimators=2"],
        "n": ["--method", "vanilla", "--epochs", "1"],
        "s": ["--quality", "good", "--jobs", "1", "--epochs", "1"],
    }
    for name, words in models.items():
        assert run(["train", str(folder / "t.csv"), "-t", "y", *words, "-o", str(folder / name)]) == 0
    return folder


@pytest.fixture
def light(monkeypatch):
    """Pages without charts, a server that ends at once, no browser."""
    monkeypatch.setattr("tailwise.runs.artifact.run_page", lambda **_: "<html></html>")
    monkeypatch.setattr("tailwise.report.compare_page.compare_page", lambda *_, **__: "<html></html>")
    monkeypatch.setattr("tailwise.serve.server.RunServer.serve_forever", lambda self: None)
    monkeypatch.setattr("tailwise.deploy.server.ModelServer.serve", lambda self: None)


@pytest.mark.parametrize("name", POSITIONAL)
def test_options(whole, light, tmp_path, capsys, name):
    @examples(4 if name in TRAINING else 12)
    @given(commands(name))
    def try_one(words):
        tried_command(whole, words, capsys, tmp_path / "f")

    try_one()
