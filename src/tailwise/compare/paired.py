"""Paired test of two methods on the same cells of one table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit
from scipy.stats import wilcoxon

from tailwise._checks import InputError, positive

_SAME = 1e-12
_FEWEST_WITH_ROWS, _MOST_DEGREES = 3, 60.0


@dataclass(frozen=True)
class Paired:
    """Errors of a method minus those of a reference on the same cells; below 0 the method is better.

    Args:
        n: number of cells that have both errors.
        left_out: number of cells in which one of the two is missing.
        ours: mean error of the method over the n cells, target units; missing if n is 0.
        base: mean error of the reference, likewise.
        low: lower end of the interval of the mean difference, target units; missing if the cells are inconclusive.
        high: upper end of the interval.
        p_value: two-sided p-value of no difference; missing if the cells are inconclusive.
        differences: difference of each of the n cells, in their order.
        confidence: confidence level of the interval.
        error: standard error of the mean difference; missing if the cells are inconclusive or do not differ.
        degrees: degrees of freedom of the test, likewise.
        shared: number of test rows of a cell over that of its other rows; 0 for independent cells.
    """

    n: int
    left_out: int
    ours: float | None
    base: float | None
    low: float | None
    high: float | None
    p_value: float | None
    differences: tuple[float, ...]
    confidence: float
    error: float | None = None
    degrees: float | None = None
    shared: float = 0.0

    @property
    def difference(self) -> float | None:
        """Mean difference, target units."""
        return None if self.ours is None or self.base is None else self.ours - self.base

    @property
    def percent(self) -> float | None:
        """Mean difference in percent of the reference's mean, if that is above 0."""
        if self.difference is None or self.base is None or self.base <= 0:
            return None
        return 100 * self.difference / self.base

    @property
    def percent_ends(self) -> tuple[float, float] | None:
        """Ends of the interval in percent of the reference's mean, if both exist and the mean is above 0."""
        if self.low is None or self.high is None or self.base is None or self.base <= 0:
            return None
        return 100 * self.low / self.base, 100 * self.high / self.base

    @property
    def lower_in(self) -> int:
        """Number of cells in which the method has the smaller error."""
        return sum(difference < 0 for difference in self.differences)

    @cached_property
    def wilcoxon_p(self) -> float | None:
        """Two-sided p-value of Wilcoxon's signed-rank test: exact up to 50 cells, with ties or zeros up to 13.

        The test assumes independent cells. Re-splits of one table are not, and its p-values are then too small; they
        are reported for information, and verdicts use :attr:`p_value`. Frank Wilcoxon, *Individual Comparisons by
        Ranking Methods*, Biometrics Bulletin 1945.
        """
        if self.p_value is None:
            return None
        return float(wilcoxon(self.differences).pvalue) if any(self.differences) else 1.0

    @property
    def wilcoxon_least(self) -> float:
        """Smallest possible p-value of the signed-rank test with n cells, 2^(1-n): below 0.05 for 6 cells or more."""
        return min(1.0, 2.0 ** (1 - self.n))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        names = ("n", "left_out", "ours", "base", "difference", "percent", "low", "high", "confidence", "p_value")
        plain = {name: getattr(self, name) for name in (*names, "wilcoxon_p", "wilcoxon_least", "lower_in")}
        return plain | {"differences": list(self.differences)}


def compare_paired(
    ours: ArrayLike,
    base: ArrayLike,
    *,
    n_train: float | None = None,
    n_test: float | None = None,
    row_variance: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Paired:
    """Test a method's errors against a reference's over cells (seeds, folds) by a paired t test; smaller is better.

    Splits of one table share its rows, so their differences are correlated and the plain t interval is too narrow. With
    ``n_train`` and ``n_test`` the variance of the mean is s² (1/n + n_test/n_train) instead of s²/n: the corrected
    resampled t test, Claude Nadeau and Yoshua Bengio, *Inference for the Generalization Error*, Machine Learning 2003;
    used on repeated folds by Remco Bouckaert and Eibe Frank, *Evaluating the Replicability of Significance Tests for
    Comparing Learning Algorithms*, PAKDD 2004. Without them the cells are assumed to be independent, with disjoint
    rows.

    Few cells estimate s² badly, which leaves the test without power. What test rows alone contribute to it is known
    much better, from the rows of each cell: with ``row_variance`` and three cells or more the variance is never taken
    to be below its mean v, and where s² is, the test has (n - 1) v / s² degrees of freedom, at most 60. Simulations in
    ``tests/test_statistics.py`` say how often it errs and what it finds.

    Args:
        ours: ``(cells,)`` errors of the method; NaN where a cell has none.
        base: ``(cells,)`` errors of the reference on the same cells.
        n_train: number of rows of a cell that are not test rows, validation rows included. For the errors of a region,
            count rows of the region, since a balanced split tests a larger fraction of the rare rows. Only the ratio
            to ``n_test`` matters.
        n_test: number of test rows of a cell.
        row_variance: ``(cells,)`` variance of each cell's difference over its test rows, see
            :func:`tailwise.compare.row_variance.variance_over_rows`; NaN where it is not known.
        confidence: confidence level of the interval.

    Raises:
        InputError: shapes that differ, infinite errors, one of ``n_train`` and ``n_test`` without the other, a
            confidence outside (0, 1).

    Note:
        The corrected interval applies to models trained on splits of this table and tested on new rows. Another table
        of the same kind has other training rows too, and if a region's error depends on few of them the difference
        varies by more than this interval: only more tables show that (``tests/test_statistics.py`` has both cases).

        Differences that all equal the same number other than 0 come from cells that repeat each other (one split, a
        deterministic method): they are no evidence, and there is no p-value.

    Example:
        >>> base = [3.0, 3.2, 2.9, 3.1, 3.0]
        >>> plain = compare_paired([2.7, 3.0, 2.8, 2.7, 2.8], base)
        >>> round(plain.percent, 1), round(plain.p_value, 3)
        (-7.9, 0.009)
        >>> resplit = compare_paired([2.7, 3.0, 2.8, 2.7, 2.8], base, n_train=800, n_test=200)
        >>> round(resplit.p_value, 3), resplit.wilcoxon_p, resplit.wilcoxon_least
        (0.035, 0.0625, 0.0625)
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(base, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(f"ours and base must be (cells,) of the same cells, got shapes {a.shape} and {b.shape}")
    if np.isinf(a).any() or np.isinf(b).any():
        raise InputError("an error is infinite; give NaN for a failed cell, which is left out and counted")
    if (n_train is None) != (n_test is None):
        raise InputError(f"n_train and n_test belong together, got {n_train!r} and {n_test!r}; give both or neither")
    _confidence(confidence)
    shared = 0.0 if n_train is None else positive(n_test, "n_test") / positive(n_train, "n_train")
    both = np.isfinite(a) & np.isfinite(b)
    within = np.full(a.size, np.nan) if row_variance is None else np.asarray(row_variance, dtype=np.float64)
    if within.shape != a.shape:
        raise InputError(f"row_variance must be (cells,) like the errors, {a.shape}, got shape {within.shape}")
    a, b, within = a[both], b[both], within[both]
    n, gain = a.size, a - b
    low = high = p_value = error = degrees = None
    if n > 1:
        mean, spread = float(gain.mean()), float(gain.std(ddof=1))
        if not gain.any():
            low, high, p_value = 0.0, 0.0, 1.0
        elif spread > _SAME * max(np.abs(a).max(), np.abs(b).max()):
            variance, degrees = spread**2, float(n - 1)
            if n >= _FEWEST_WITH_ROWS and np.isfinite(within).all() and within.mean() > variance:
                degrees = min(_MOST_DEGREES, degrees * float(within.mean()) / variance)
                variance = float(within.mean())
            error = float(np.sqrt(variance * (1 / n + shared)))
            half = float(stdtrit(degrees, (1 + confidence) / 2)) * error
            low, high = mean - half, mean + half
            p_value = float(2 * stdtr(degrees, -abs(mean) / error))
    mine, theirs = (float(a.mean()), float(b.mean())) if n else (None, None)
    return Paired(
        n, both.size - n, mine, theirs, low, high, p_value, tuple(gain.tolist()), confidence, error, degrees, shared
    )


def _confidence(value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"confidence must be between 0 and 1, got {value!r}; 0.95 is usual")
