"""Given rules for the cells of a table: values that are missing, marks of numbers, order of dates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tailwise._checks import InputError, one_of, shown
from tailwise.data.date_forms import DATE_ORDERS
from tailwise.data.reading import Reading


@dataclass(frozen=True)
class CellRules:
    """Given rules for the cells of a table.

    Args:
        missing: by column, values that count as missing.
        decimal: mark before decimals, where numbers are written with one that is not a point.
        thousands: mark between groups of three digits.
        date_order: order of year, month and day of all dates that are not ISO dates.

    Raises:
        InputError: marks that are not known or are the same.
    """

    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decimal: str | None = None
    thousands: str | None = None
    date_order: str | None = None

    def __post_init__(self) -> None:
        if self.decimal is not None:
            one_of(self.decimal, "`decimal`", (".", ","))
        if self.thousands is not None:
            one_of(self.thousands, "`thousands`", (",", ".", " ", "'"))
            if self.thousands == (self.decimal or "."):
                raise InputError(f"`thousands` and `decimal` are both {self.thousands!r}; give two different marks")
        if self.date_order is not None:
            one_of(self.date_order, "`date_order`", DATE_ORDERS)

    @classmethod
    def from_choices(cls, choices: Mapping[str, Any]) -> "CellRules":
        """Return the rules among keywords of :func:`tailwise.experiment.prepare.prepare`."""
        names = ("missing", "decimal", "thousands", "date_order")
        return cls.of(**{name: choices[name] for name in names if name in choices})

    @classmethod
    def of(
        cls,
        missing: Mapping[str, Any] | Iterable[str] | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        date_order: str | None = None,
    ) -> "CellRules":
        """Return the rules; ``missing`` maps columns to values, or lists texts such as ``"weight=-999"``.

        Raises:
            InputError: a text without ``=``.
        """
        values: dict[str, tuple[str, ...]] = {}
        if isinstance(missing, Mapping):
            for name, given in missing.items():
                cells = given if isinstance(given, list | tuple | set) else [given]
                values[str(name)] = tuple(str(cell) for cell in cells)
        else:
            for text in [missing] if isinstance(missing, str) else missing or ():
                name, mark, cell = str(text).rpartition("=")
                if not mark or not name:
                    raise InputError(f"`missing` takes COLUMN=VALUE, such as weight=-999, got {shown(text)}")
                values[name] = (*values.get(name, ()), cell.strip())
        return cls(values, decimal, thousands, date_order)

    def of_column(self, name: str) -> Reading:
        """Return what is known about a column before its cells are looked at."""
        return Reading(self.missing.get(name, ()))


NO_RULES = CellRules()
