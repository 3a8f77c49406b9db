"""A request in JSON: rows of a table, and what is asked about them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Self

import pandas as pd

from tailwise._checks import InputError, did_you_mean, quoted, shown
from tailwise.data.columns import Schema
from tailwise.distributions.decisions import Decision
from tailwise.runs.predicted_table import Asked
from tailwise.runs.questions import Questions

_DECISION = ("balance", "loss", "under", "over")
_NAMES = ("rows", *_DECISION, "density", "quantile", "above", "below", "interval")
_MOST_DIGITS = 400


@dataclass(frozen=True)
class Request:
    """Rows to predict, and what is asked about them.

    Args:
        frame: the rows, with every column that the model needs.
        asked: what is asked about them.
    """

    frame: pd.DataFrame
    asked: Asked

    @classmethod
    def parsed(cls, body: bytes, schema: Schema, *, most_rows: int) -> Self:
        """Return the request that JSON describes.

        It is a list of rows, each an object from column to a number, a text, true, false or null, or an object with
        the list as ``rows`` and, if wanted, ``balance``, ``density`` (``[low, high]``), ``loss``, ``under`` and
        ``over``, ``quantile``, ``above`` and ``below`` (lists of numbers) and ``interval``.

        Args:
            body: UTF-8 text.
            schema: columns of the model.
            most_rows: limit of the number of rows.

        Raises:
            InputError: text that is no JSON, or no such request.
        """
        wanted = _json(body)
        wanted = {"rows": wanted} if isinstance(wanted, list) else wanted
        if not isinstance(wanted, dict):
            raise InputError("the request must be a list of rows, or an object with rows, a list of rows")
        for name in wanted:
            if name not in _NAMES:
                raise InputError(f"a request has no field {shown(name)}{did_you_mean(name, _NAMES)}")
        return cls(_frame(wanted.get("rows"), schema, most_rows), _asked(wanted))


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), parse_int=_whole, parse_float=_finite, parse_constant=_constant)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise InputError(f"the request is no JSON: {reason}") from error


def _whole(text: str) -> int | float:
    return int(text) if len(text) < len(str(2**53)) else _finite(text)


def _finite(text: str) -> float:
    value = float(text[:_MOST_DIGITS])
    if not isfinite(value):
        raise InputError(f"the request has the number {shown(text)}, which is too large")
    return value


def _constant(text: str) -> float:
    raise InputError(f"the request has {text}, which is no JSON; write null for a missing value")


def _frame(rows: Any, schema: Schema, most: int) -> pd.DataFrame:
    """Return rows as a table; each must have every column that the model needs."""
    if not isinstance(rows, list) or not rows:
        raise InputError('rows must be a list of at least one row, each an object such as {"x": 1.5}')
    if len(rows) > most:
        raise InputError(f"the request has {len(rows):,} rows, and at most {most:,} are taken; send several requests")
    needed = schema.inputs
    for place, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise InputError(f'row {place} must be an object such as {{"x": 1.5}}, got {shown(row)}')
        missing = [name for name in needed if name not in row]
        if missing:
            hint = did_you_mean(missing[0], row) if len(missing) == 1 and row else ""
            raise InputError(f"row {place} lacks {quoted(missing)}; write null where a value is missing{hint}")
    return pd.DataFrame(rows)


def _asked(wanted: Mapping[str, Any]) -> Asked:
    given = {name: wanted[name] for name in _DECISION if wanted.get(name) is not None}
    for name in ("balance", "under", "over"):
        if name in given:
            given[name] = _number(given[name], name)
    density = wanted.get("density")
    if density is not None:
        ends = _numbers(density, "density")
        if len(ends) != len(("low", "high")) or not ends[0] < ends[1]:
            raise InputError(f"`density` must be a range [low, high] of equally likely values, got {shown(density)}")
        given["density"] = (ends[0], ends[1])
    if "balance" in given and density is not None:
        raise InputError("give `balance` or `density`, not both")
    interval = wanted.get("interval")
    return Asked(
        Decision(**given),
        Questions(
            tuple(_numbers(wanted.get("quantile"), "quantile")), _values(wanted, "above"), _values(wanted, "below")
        ),
        None if interval is None else _number(interval, "interval"),
    )


def _values(wanted: Mapping[str, Any], name: str) -> tuple[tuple[str, float], ...]:
    return tuple((f"{value:g}", value) for value in _numbers(wanted.get(name), name))


def _numbers(values: Any, name: str) -> list[float]:
    """Return different numbers of a list, or of a single one."""
    several = [] if values is None else values if isinstance(values, list) else [values]
    return list(dict.fromkeys(_number(value, name) for value in several))


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"`{name}` takes numbers, got {shown(value)}")
    return float(value)
