"""Commands for the user to copy, with the options of a table that was prepared."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

from tailwise.modalities.kinds import column_options

_DEFAULTS: Mapping[str, Any] = {"split": "auto", "seed": 0}
_FLAGS = {"n_bins": "--bins"}


@dataclass(frozen=True)
class Commands:
    """Commands for the same table, target and choices.

    Args:
        data: name of the table in the commands.
        target: target column.
        options: words of each option.

    Example:
        >>> commands = Commands.of("houses.csv", "price", {"n_bins": 20, "drop": ["row id"]})
        >>> commands.train("sqinv")
        "tailwise train houses.csv --target price --bins 20 --drop 'row id' --method sqinv"
        >>> commands.again("--bin-width", "5")
        "tailwise diagnose houses.csv --target price --drop 'row id' --bin-width 5"
    """

    data: str
    target: str
    options: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, data: str, target: str, choices: Mapping[str, Any]) -> Self:
        """Return the commands for keywords of :func:`tailwise.experiment.prepare.prepare`, in their order."""
        return cls(data, target, tuple(words for name, value in choices.items() for words in _options(name, value)))

    def train(self, method: str | None = None, *more: str) -> str:
        """Return the command that trains a method, or the default."""
        return self._line("train", *(() if method is None else ("--method", method)), *more)

    def again(self, *more: str) -> str:
        """Return the command that diagnoses with further options; a bin width replaces the width or number given."""
        return self._line("diagnose", *more)

    def without(self, columns: Iterable[str]) -> str:
        """Return the command that diagnoses without some columns."""
        return self.again(*(word for name in columns for word in ("--drop", name)))

    @property
    def vanilla(self) -> str:
        """Folder for the run of the plain network."""
        return f"runs/{self.data.removeprefix('example:').rsplit('/', 1)[-1].split('.')[0]}-vanilla"

    def _line(self, command: str, *more: str) -> str:
        replaced = ("--bin-width", "--bins") if "--bin-width" in more else ()
        kept = [word for words in self.options if words[0] not in replaced for word in words]
        return shlex.join(["tailwise", command, self.data, "--target", self.target, *kept, *more])


def _listed(given: Any) -> Iterable[Any]:
    return given if isinstance(given, list | tuple | set) else [given]


def _options(name: str, value: Any) -> Iterator[tuple[str, ...]]:
    """Yield the words of each option that a keyword needs; none for a default."""
    flag = _FLAGS.get(name, "--" + name.replace("_", "-"))
    if value is None or value is False or (name in _DEFAULTS and value == _DEFAULTS[name]):
        return
    if value is True:
        yield (flag,)
    elif isinstance(value, str | Real):
        yield flag, str(value)
    elif any(option.name == name and option.together > 1 for _, option in column_options()):
        yield flag, *value
    elif isinstance(value, Mapping):
        cells = ((column, cell) for column, given in value.items() for cell in _listed(given))
        yield from ((flag, f"{column}={cell}") for column, cell in cells)
    elif name in ("lags", "rolling"):
        yield flag, ",".join(str(rows) for rows in value)
    elif name == "shots":
        yield flag, ",".join(f"{rows:g}" for rows in value)
    else:
        yield from ((flag, column) for column in value)
