"""No public name, parameter or option vanishes: ``public_api.txt`` lists them, and only grows.

``python tests/test_public_api.py`` writes the list anew. A line that goes is a breaking change (docs/reliability.md).
"""

import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path

import tailwise

LIST = Path(__file__).with_name("public_api.txt")


def parameters(name: str, function: object) -> Iterator[str]:
    yield name
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    for parameter in signature.parameters.values():
        if parameter.name not in ("self", "cls") and not parameter.name.startswith("_"):
            star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
            yield f"{name}({star}{parameter.name})"


def of_library() -> Iterator[str]:
    for name in sorted(tailwise.__all__):
        value = getattr(tailwise, name)
        if not callable(value):
            yield name
            continue
        yield from parameters(name, value)
        if inspect.isclass(value):
            for inner in sorted(vars(value)):
                if not inner.startswith("_"):
                    function = getattr(value, inner)
                    yield from parameters(f"{name}.{inner}", function) if callable(function) else [f"{name}.{inner}"]


def of_command() -> Iterator[str]:
    import typer

    from tailwise.cli.main import app

    def below(command: object, words: str) -> Iterator[str]:
        yield words
        for parameter in command.params:
            if parameter.param_type_name == "option":
                yield from (f"{words} {flag}" for flag in sorted(parameter.opts))
        for name, inner in sorted(getattr(command, "commands", {}).items()):
            yield from below(inner, f"{words} {name}")

    yield from below(typer.main.get_command(app), "tailwise")


def public() -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return [*of_library(), *of_command()]


def test_nothing_vanishes():
    now = set(public())
    gone = [line for line in LIST.read_text(encoding="utf-8").splitlines() if line not in now]
    assert gone == [], "a public name, parameter or option is gone; deprecate it for one minor version first"


def test_the_list_is_complete():
    new = sorted(set(public()) - set(LIST.read_text(encoding="utf-8").splitlines()))
    assert new == [], "run python tests/test_public_api.py to add what is new"


if __name__ == "__main__":
    LIST.write_text("".join(line + "\n" for line in public()), encoding="utf-8")
