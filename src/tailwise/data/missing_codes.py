"""Numbers that may stand for missing values, such as -999."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import short, shown
from tailwise._numbers import counted, number

_CODE = re.compile(r"-?9{2,}(?:\.9+|\.25)?|-9|-1e\+?[23]\d|1e\+?[23]\d")
_FEWEST_CELLS = 2


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
            f"`missing={short(name)}={code:.10g}`"
        )
    return notes
