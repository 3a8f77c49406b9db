"""Numbers and dates that may stand for missing values, such as -999 and 9999-12-31."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import short, shown
from tailwise._numbers import counted, number
from tailwise.data.reading import as_missing

_CODE = re.compile(r"-?9{2,}(?:\.9+|\.25)?|-9|-1e\+?[23]\d|1e\+?[23]\d")
_FEWEST_CELLS, _MOST_DATE_CODES = 2, 2
_DATE_CODE = re.compile(
    r"(?:[3-9]\d{3}|2[1-9]99)-.*|2099-12-31|1[789]00-01-01|1899-12-3[01]|1753-01-01|1970-01-01|0001-.*"
)


def missing_codes(values: NDArray[np.float64]) -> frozenset[float]:
    """Return lowest and highest numbers that may stand for missing values.

    They are written with nines alone or are powers of ten from 1e20 on, are in two cells or more, and lie farther from
    all others than these from each other, or are below 0 unlike all others. A column may have several.

    Args:
        values: ``(n,)`` numbers; NaN is left out.

    Example:
        >>> sorted(missing_codes(np.array([-999.0, -999.0, 3.0, 20.0, 7.0, 99.0])))
        [-999.0]
    """
    others = values[np.isfinite(values)]
    candidates = []
    while (end := _code_at_an_end(others)) is not None:
        candidates.append(end)
        others = others[others != end]
    return frozenset(code for code in candidates if others.size and (_is_far(code, others) or _is_below(code, others)))


def _code_at_an_end(values: NDArray[np.float64]) -> float | None:
    """Return the lowest or highest number, if it is written like a code and in two cells or more."""
    for end in (values.min(initial=np.inf), values.max(initial=-np.inf)):
        if np.isfinite(end) and _CODE.fullmatch(f"{end:.10g}") and np.count_nonzero(values == end) >= _FEWEST_CELLS:
            return float(end)
    return None


def _is_far(code: float, others: NDArray[np.float64]) -> bool:
    return bool(np.abs(others - code).min() > np.ptp(others))


def _is_below(code: float, others: NDArray[np.float64]) -> bool:
    return bool(code < 0 <= others.min())


def notes_on_date_codes(name: str, when: pd.Series, written: pd.Series) -> list[str]:
    """Return a note for each date of a column that may stand for a missing value.

    They are the first or the last date, one that programs write for none (such as 1900-01-01 and 9999-12-31), and
    farther from all others than half of these from each other.

    Args:
        name: the column.
        when: its moments.
        written: the cells, as they are written.
    """
    when, written = when.reset_index(drop=True), written.reset_index(drop=True)
    others = when.astype("int64").astype(np.float64)[when.notna()]
    notes = []
    for _ in range(_MOST_DATE_CODES):
        for end in (others.max(), others.min()):
            is_end, rest = others == end, others[others != end]
            if rest.empty or np.abs(rest - end).min() <= np.ptp(rest) / 2:
                continue
            place = others.index[is_end][0]
            if _DATE_CODE.fullmatch(_day(end)) is None:
                continue
            cell = _day(end) if pd.api.types.is_datetime64_any_dtype(written) else str(written[place]).strip()
            notes.append(
                f"column {shown(name)} has {counted(int(is_end.sum()), 'cell')} {cell}, far from all other dates "
                f"({_day(rest.min())} to {_day(rest.max())}): if it stands for a missing value, pass "
                f"{as_missing(short(name), cell)}"
            )
            others = rest
    return notes


def _day(seconds: float) -> str:
    return str(np.datetime64(int(seconds), "s"))[:10]


def notes_on_codes(name: str, values: pd.Series) -> list[str]:
    """Return a note for each number of a column that may stand for missing values.

    Args:
        name: the column.
        values: its numbers.
    """
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    notes, codes = [], sorted(missing_codes(numbers))
    others = numbers[np.isfinite(numbers) & ~np.isin(numbers, codes)]
    for code in codes:
        unlike = "far from all others" if _is_far(code, others) else "below 0 unlike all others"
        notes.append(
            f"column {shown(name)} has {counted(int((numbers == code).sum()), 'cell')} {code:.10g}, {unlike} "
            f"({number(others.min())} to {number(others.max())}): if it stands for a missing value, pass "
            f"{as_missing(short(name), f'{code:.10g}')}"
        )
    return notes
