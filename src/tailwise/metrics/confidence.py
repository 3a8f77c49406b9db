"""Values with 95 % bootstrap intervals."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_PERCENTILES = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % bootstrap interval; the ends are missing where fewer than two rows exist."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of_draws(cls, value: float, draws: NDArray[np.float64] | None) -> Self:
        """Return a value with the interval by percentiles of its bootstrap draws.

        Args:
            value: value of the statistic on all rows.
            draws: ``(resamples,)`` values on resampled rows; NaN and infinite ones are left out. ``None`` or no finite
                draw gives no ends.
        """
        finite = np.empty(0) if draws is None else draws[np.isfinite(draws)]
        if not finite.size:
            return cls(value)
        low, high = np.quantile(finite, _PERCENTILES).tolist()
        return cls(value, low, high)

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends exist and are on the same side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def to_json(self) -> dict[str, float | None]:
        """Return plain values."""
        return {"value": self.value, "low": self.low, "high": self.high}
