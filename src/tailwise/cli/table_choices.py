"""Convert the options that describe a table to keywords of :func:`tailwise.experiment.prepare.prepare`."""

from typing import Any, TypedDict, Unpack

from tailwise.cli.settings import parse_counts, parse_ranges, parse_shots

_LISTS = ("drop", "nominal", "numeric", "date")
_IF_GIVEN = (
    *("split_key", "test", "valid", "weight", "target_weight", "time"),
    *("missing", "decimal", "thousands", "date_order"),
)


class TableOptions(TypedDict, total=False):
    """Options that say how a table is read and split, as the command line gives them."""

    bin_width: float | None
    bins: int | None
    shots: str | None
    split: str
    split_column: str | None
    split_key: str | None
    test: str | None
    valid: str | None
    group: str | None
    weight: str | None
    target_weight: list[str] | None
    time: str | None
    lags: str | None
    rolling: str | None
    drop_missing_target: bool
    mask_target: list[str] | None
    seed: int
    drop: list[str] | None
    nominal: list[str] | None
    numeric: list[str] | None
    date: list[str] | None
    missing: list[str] | None
    decimal: str | None
    thousands: str | None
    date_order: str | None


def table_choices(**given: Unpack[TableOptions]) -> dict[str, Any]:
    """Convert options to keywords of :func:`tailwise.experiment.prepare.prepare`; only those given, in order.

    Raises:
        InputError: shots or a range of the target that are no two numbers.

    Example:
        >>> table_choices(bins=20, shots="100,20", drop=None)
        {'n_bins': 20, 'shots': (100.0, 20.0), 'drop': []}
    """
    choices: dict[str, Any] = {}
    options: dict[str, Any] = dict(given)
    for name, value in options.items():
        match name:
            case "bins":
                choices["n_bins"] = value
            case "shots":
                choices["shots"] = parse_shots(value)
            case "mask_target":
                choices["mask_target"] = parse_ranges(value or [])
            case "lags" | "rolling":
                choices |= {name: parse_counts(value, f"--{name}")} if value is not None else {}
            case _ if name in _IF_GIVEN:
                choices |= {name: value} if value else {}
            case _:
                choices[name] = list(value or []) if name in _LISTS else value
    return choices


def if_given(**options: Any) -> dict[str, Any]:
    """Return the options that have a value, for choices that are stored: without those of later versions.

    >>> if_given(numeric=["code"], date=None, censored_below=0.0)
    {'numeric': ['code'], 'censored_below': 0.0}
    """
    return {name: value for name, value in options.items() if value is not None and value != []}
