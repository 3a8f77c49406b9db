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
    all others than these from each other.

    Args:
        values: ``(n,)`` numbers; NaN is left out.

    Example:
        >>> sorted(missing_codes(np.array([-999.0, -999.0, 3.0, 20.0, 7.0, 99.0])))
        [-999.0]
    """
    codes = set()
    filled = values[np.isfinite(values)]
    for end in (filled.min(initial=np.inf), filled.max(initial=-np.inf)):
        if not np.isfinite(end) or not _CODE.fullmatch(f"{end:.10g}"):
            continue
        others = filled[filled != end]
        if filled.size - others.size >= _FEWEST_CELLS and others.size:
            gap = np.abs(others - end).min()
            if gap > np.ptp(others):
                codes.add(float(end))
    return frozenset(codes)


def notes_on_codes(name: str, values: pd.Series) -> list[str]:
    """Return a note for each number of a column that may stand for missing values.

    Args:
        name: the column.
        values: its numbers.
    """
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    notes = []
    for code in sorted(missing_codes(numbers)):
        others = numbers[np.isfinite(numbers) & (numbers != code)]
        notes.append(
            f"column {shown(name)} has {counted(int((numbers == code).sum()), 'cell')} {code:.10g}, far from all "
            f"others ({number(others.min())} to {number(others.max())}): if it stands for a missing value, pass "
            f"`missing={short(name)}={code:.10g}`"
        )
    return notes
