"""Heaped values: single ones (limits, placeholders), and multiples of a step (rounding)."""

import numpy as np
from numpy.typing import NDArray

from tailwise.data.missing_codes import missing_codes
from tailwise.diagnose.facts import FEW_VALUES, FEWEST, Rounding, Spike

Array = NDArray[np.float64]

_SPIKE_SHARE, _SPIKE_TIMES, _CROWD_TIMES = 0.01, 5.0, 10.0
_HEAPED, _STEPS_A_VALUE = 0.8, 100
_FINEST_DIGITS = 10
MANY_SPIKES = 5


def find_spikes(y: Array) -> tuple[Spike, ...]:
    """Return values with at least 1 % of the rows and five times those of the two nearest values on either side.

    Of at most nine different values, only one that most rows have is a spike. Numbers that may stand for missing values
    always are.

    Args:
        y: ``(n,)`` labels.
    """
    values, counts = np.unique(y, return_counts=True)
    codes = missing_codes(y)
    is_code = np.isin(values, list(codes))
    high = is_code.copy()
    high[~is_code] = _stand_out(counts[~is_code], y.size)
    ends = {0: "low", values.size - 1: "high"}
    return tuple(
        Spike(float(values[i]), int(counts[i]), float(counts[i] / y.size), ends.get(int(i), "inside"), bool(is_code[i]))
        for i in np.flatnonzero(high)
    )


def _stand_out(counts: NDArray[np.int64], n_rows: int) -> NDArray[np.bool_]:
    """Return which values, in order, have many more rows than their neighbours."""
    if counts.size <= FEW_VALUES:
        return _single_crowd(counts)
    around = np.pad(counts, 2)
    nearest = np.max([around[shift : shift + counts.size] for shift in (0, 1, 3, 4)], axis=0)
    stands_out = (counts >= max(_SPIKE_SHARE * n_rows, FEWEST)) & (counts >= _SPIKE_TIMES * nearest)
    return np.asarray(stands_out)


def _single_crowd(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the value of most rows, of a target with few different values, if it has ten times those of any other."""
    crowd = np.zeros(counts.size, dtype=bool)
    top = int(counts.argmax()) if counts.size else 0
    others = np.delete(counts, top) if counts.size else counts
    if others.size and counts[top] >= max(counts.sum() / 2, FEWEST, _CROWD_TIMES * others.max()):
        crowd[top] = True
    return crowd


def find_rounding(y: Array, spikes: tuple[Spike, ...]) -> Rounding | None:
    """Return the coarsest step with all values, or at least 80 % of those outside spikes, as multiples.

    Five spikes or more are round values that people write down rather than limits or placeholders, and count too.

    Args:
        y: ``(n,)`` labels.
        spikes: spikes from :func:`find_spikes`, whose values are left out.
    """
    left_out = [spike.value for spike in spikes if spike.code or len(spikes) < MANY_SPIKES]
    others = y[(y != 0) & ~np.isin(y, left_out)]
    if others.size < FEWEST:
        return None
    spread = float(np.ptp(y))
    finest = spread / min(y.size, _STEPS_A_VALUE * np.unique(y).size)
    exact = _common_step(y)
    power = int(np.floor(np.log10(spread)))
    for step in (base * 10.0**p for p in range(power, power - _FINEST_DIGITS, -1) for base in (5.0, 2.5, 2.0, 1.0)):
        if step < max(finest, exact or 0.0):
            break
        share = float(_multiples(others, step).mean())
        if step <= spread / 5 and share >= _HEAPED and step > 1.5 * (exact or 0.0):
            return Rounding(step, share)
    return Rounding(exact, 1.0) if exact is not None and exact >= finest else None


def _common_step(y: Array) -> float | None:
    """Return the largest step with all values as multiples, if they have few digits."""
    unit = 10.0 ** np.floor(np.log10(np.abs(y).max()))
    for digits in range(_FINEST_DIGITS):
        scaled = y / unit * 10.0**digits
        rounded = np.round(scaled)
        if np.allclose(scaled, rounded, rtol=1e-12, atol=1e-4):
            return float(np.gcd.reduce(rounded.astype(np.int64)) * unit / 10.0**digits)
    return None


def _multiples(y: Array, step: float) -> NDArray[np.bool_]:
    times = y / step
    return np.asarray(np.abs(times - np.round(times)) < 1e-4)
