"""Commands in the advice."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Commands:
    """Commands for the same table, target and choices.

    Args:
        data: name of the table in the commands.
        target: target column.
        options: words of each option.

    Example:
        >>> commands = Commands("houses.csv", "price", (("--bins", "20"), ("--drop", "row id")))
        >>> commands.train("sqinv")
        "tailwise train houses.csv --target price --bins 20 --drop 'row id' --method sqinv"
        >>> commands.again("--bin-width", "5")
        "tailwise diagnose houses.csv --target price --drop 'row id' --bin-width 5"
    """

    data: str
    target: str
    options: tuple[tuple[str, ...], ...]

    def train(self, method: str, *more: str) -> str:
        """Return the command that trains a method."""
        return self._line("train", "--method", method, *more)

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
