"""Write a page for each part of a method: formula, picture, when it hurts, cost, snippet, source."""

import io
import tomllib
from contextlib import redirect_stdout
from pathlib import Path

import pictures
from api import directive
from stage import ROOT

from tailwise._part import Part
from tailwise.cli.main import run
from tailwise.methods.catalog import PARTS

FORMULAS = Path(__file__).with_name("formulas.toml")
RESULTS = ROOT / "docs" / "results.md"
UP = "---\norphan: true\n---\n\n[All pieces](README.md)\n\n"
SLOTS = {
    "augment": "Augmentation of a batch",
    "weights": "Weights of rows",
    "density": "Densities that weights invert",
    "smoother": "Smoothing of features",
    "loss": "Losses",
    "regularizer": "Regularizers",
    "objective": "Whole training steps",
    "optimizer": "Optimizers",
    "stage": "Trainings in two stages",
    "resample": "Resampling of rows before training",
    "correction": "Corrections of finished predictions",
}


def write(source: Path) -> None:
    """Write ``docs/pieces`` below ``source``, with the pictures."""
    folder = source / "docs" / "pieces"
    folder.mkdir(parents=True)
    formulas = tomllib.loads(FORMULAS.read_text(encoding="utf-8"))
    for name, part in PARTS.items():
        shows = pictures.draw(name, folder / f"{name}.svg")
        (folder / f"{name}.md").write_text(page(part, formulas[name], shows), encoding="utf-8")
    (folder / "README.md").write_text(index(), encoding="utf-8")


def index() -> str:
    """The page that lists all parts by slot."""
    text = [
        "# Pieces\n",
        "Each works alone in your own loop, and by its name in a method such as `sqinv+lds+fds+conr`.\n",
    ]
    for slot in dict.fromkeys(part.slot for part in PARTS.values()):
        text.append(f"## {SLOTS.get(slot, slot)}\n")
        text += [f"- [`{name}`]({name}.md): {part.summary}" for name, part in PARTS.items() if part.slot == slot]
        text.append("")
    return "\n".join(text)


def page(part: Part, entry: dict[str, str], shows: str) -> str:
    """The page of a part."""
    summary = part.summary[0].upper() + part.summary[1:]
    text = [f"{UP}# `{part.name}`\n", f"{summary}.\n"]
    text += ["## Formula\n", f"```{{math}}\n{entry['formula']}\n```\n", f"{entry['letters']}\n"]
    text += ["## What it does\n", f"![{part.name}: {_words(shows)}]({part.name}.svg)\n", f"*{shows}*\n"]
    text += [
        "## When it hurts\n",
        entry["hurts"] + "\n",
        measured(part.name),
    ]
    text += ["## Cost\n", f"Of a training step beside the network: {part.cost}.\n"]
    text += ["## Use\n", "By name:\n", f"    tailwise train data.csv --target y --method {part.name}\n"]
    text += ["In a loop of your own ([the names in it](../methods.md#one-piece-in-your-own-loop)):\n"]
    text += [f"```python\n{part.use}\n```\n", f"```text\n{_parameters(part.name)}\n```\n"]
    text += ["## Source\n", f"{part.reference if part.source != '-' else 'Common knowledge.'}\n"]
    text += ["## Reference\n", directive(part.make.__module__, part.make.__name__, part.make, index=False) + "\n"]
    return "\n".join(text)


def measured(name: str) -> str:
    """The lines of docs/results.md on a method that is this part alone, with the tables they stand in."""
    found = []
    heading = ""
    columns = ""
    lines = RESULTS.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith("#"):
            heading = line.strip("# ")
        if line.startswith(("|---", "| ---")):
            columns = lines[number - 1]
        if line.startswith(f"| `{name}` |") and columns.startswith("| method") and "%" in line:
            found.append((heading, columns, line))
    if not found:
        return ""
    tables: dict[str, list[str]] = {}
    for heading, columns, line in found:
        tables.setdefault(columns, []).append(f"| {heading} {line}")
    text = "Measured: changes of the test MAE against the plain network ([how](../results.md)).\n\n"
    for columns, rows in tables.items():
        rule = "|---" * (columns.count("|")) + "|"
        text += f"| data {columns}\n{rule}\n" + "\n".join(rows) + "\n\n"
    return text


def _parameters(name: str) -> str:
    """What ``tailwise methods NAME`` says of the parameters."""
    out = io.StringIO()
    with redirect_stdout(out):
        run(["methods", name])
    text = out.getvalue().split("\n\nin a loop of your own")[0]
    return f"$ tailwise methods {name}\n{text}"


def _words(text: str) -> str:
    """A caption as the text of a picture, which has no marks."""
    return text.replace("`", "").replace("*", "")
