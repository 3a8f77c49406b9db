"""How far numbers may lie outside those of the training rows: those farther are taken as at the limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

FEATURE_REACH = 1.0


@dataclass(frozen=True)
class Reach:
    """Limits of the numbers that a network takes: the training range, widened by itself on both sides.

    A network extrapolates without limit, so that one wrong cell (9999 for a missing value) can give any prediction.

    Args:
        low: lowest number of each feature.
        high: highest number; both NaN of a feature without numbers, whose cells are all taken as missing.

    Example:
        >>> reach = Reach.of(pd.DataFrame({"x": [0.0, 10.0]}))
        >>> reach.clamped(pd.DataFrame({"x": [5.0, 9999.0, -3.0]}))["x"].tolist()
        [5.0, 20.0, -3.0]
    """

    low: Mapping[str, float]
    high: Mapping[str, float]

    @classmethod
    def of(cls, features: pd.DataFrame, times: float = FEATURE_REACH) -> Self:
        """Return the limits for features of training rows, ``times`` their range beyond it."""
        numbers = features.select_dtypes(np.float64)
        low, high = numbers.min(), numbers.max()
        margin = times * (high - low)
        limits = zip(numbers.columns, low - margin, high + margin, strict=True)
        pairs = {str(name): (float(least), float(most)) for name, least, most in limits}
        return cls({name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()})

    def clamped(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return features with their numbers inside the limits; missing numbers stay missing."""
        names = [name for name in self.low if name in features]
        low = np.array([self.low[name] for name in names])
        high = np.array([self.high[name] for name in names])
        numbers = features[names].to_numpy(dtype=np.float64)
        inside = np.clip(numbers, low, high)  # NaN limits make NaN
        if np.array_equal(inside, numbers, equal_nan=True):
            return features
        return features.assign(**dict(zip(names, inside.T, strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Return JSON values that :meth:`from_json` reads."""
        return {name: [self.low[name], self.high[name]] if np.isfinite(self.low[name]) else [] for name in self.low}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Return the limits from the values of :meth:`to_json`."""
        pairs = {str(name): (float(pair[0]), float(pair[1])) if pair else (np.nan,) * 2 for name, pair in saved.items()}
        return cls({name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()})
