"""Write the API reference: a page for each public name, and one for each package with public names of its own."""

import importlib
import inspect
from pathlib import Path

import tailwise

# Heading of the names that live in a package, in the order of the page; others come last under their package's name.
HEADINGS = {
    "experiment": "From a table to a model",
    "data": "From a table to a model",
    "training": "From a table to a model",
    "estimators": "scikit-learn",
    "backends": "LightGBM",
    "methods": "Methods by name",
    "labels": "Labels: bins, regions, densities",
    "weights": "Weights",
    "losses": "Losses",
    "regularizers": "Regularizers",
    "smoothing": "Smoothing",
    "heads": "Networks",
    "modalities": "Networks",
    "distributions": "The dial",
    "metrics": "Metrics",
    "_checks": "Errors",
}
# Not in the navigation, which every page repeats.
UP = "---\norphan: true\n---\n\n[API reference](README.md)\n\n"
PACKAGES = ("tailwise.distributions", "tailwise.sampling")


def write(source: Path) -> None:
    """Write ``docs/api`` below ``source``."""
    folder = source / "docs" / "api"
    folder.mkdir(parents=True)
    groups: dict[str, list[str]] = {heading: [] for heading in HEADINGS.values()}
    for name in tailwise.__all__:
        package = getattr(tailwise, name).__module__.split(".")[1]
        groups.setdefault(HEADINGS.get(package, package), []).append(name)
    text = ["# API reference\n", "What `from tailwise import ...` gives, and two packages with more.\n"]
    for heading, names in groups.items():
        text.append(f"## {heading}\n")
        text += [_entry(name, _write_name(folder, name)) for name in names]
        text.append("")
    text.append("## Packages\n")
    text += [_entry(name, _write_package(folder, name)) for name in PACKAGES]
    text.append("")
    (folder / "README.md").write_text("\n".join(text), encoding="utf-8")


def _entry(name: str, page_and_line: tuple[str, str]) -> str:
    page, line = page_and_line
    return f"- [`{name}`]({page}): {line}"


def _write_name(folder: Path, name: str) -> tuple[str, str]:
    """Write the page of a name; return its file and the first line of its docstring."""
    value = getattr(tailwise, name)
    if value.__name__ != name:
        body = f"Another name of [`{value.__name__}`]({value.__name__}.md)."
        line = f"another name of `{value.__name__}`"
    else:
        body = directive("tailwise", name, value)
        line = first_line(value)
    (folder / f"{name}.md").write_text(f"{UP}# {name}\n\n{body}\n", encoding="utf-8")
    return f"{name}.md", line


def _write_package(folder: Path, package: str) -> tuple[str, str]:
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in module.__all__}
    parts = [directive(package, name, value) for name, value in public.items() if inspect.getdoc(value)]
    file = f"{package.split('.')[1]}.md"
    page = f"{UP}# {package}\n\n{inspect.getdoc(module)}\n\n" + "\n\n".join(parts) + "\n"
    (folder / file).write_text(page, encoding="utf-8")
    return file, first_line(module)


def directive(module: str, name: str, value: object, *, index: bool = True) -> str:
    """The directive that shows a docstring."""
    kind = "autoclass" if inspect.isclass(value) else "autofunction"
    option = "" if index else "\n   :no-index:"
    return f"```{{eval-rst}}\n.. {kind}:: {module}.{name}{option}\n```"


def first_line(value: object) -> str:
    """The first line of a docstring, without the roles of reStructuredText."""
    line = (inspect.getdoc(value) or "").split("\n")[0]
    return line.replace(":func:", "").replace(":class:", "").replace("``", "`")
