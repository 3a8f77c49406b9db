"""Compare methods with a reference on the same cells of one table: paired tests, Holm's correction, verdicts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit
from scipy.stats import wilcoxon

from tailwise._checks import InputError, positive

BETTER, WORSE, NO_DIFFERENCE = "better", "worse", "no difference"
ONE_SEED = "cannot tell (one seed)"
NO_SEED = "cannot tell (no cell has both)"
COPIES = "cannot tell (the cells repeat each other)"

_SAME = 1e-12


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
    confidence: float = 0.95,
) -> Paired:
    """Test a method's errors against a reference's over cells (seeds, folds) by a paired t test; smaller is better.

    Splits of one table share its rows, so their differences are correlated and the plain t interval is too narrow. With
    ``n_train`` and ``n_test`` the variance of the mean is s² (1/n + n_test/n_train) instead of s²/n: the corrected
    resampled t test, Claude Nadeau and Yoshua Bengio, *Inference for the Generalization Error*, Machine Learning 2003;
    used on repeated folds by Remco Bouckaert and Eibe Frank, *Evaluating the Replicability of Significance Tests for
    Comparing Learning Algorithms*, PAKDD 2004. Without them the cells are assumed to be independent, with disjoint
    rows.

    Args:
        ours: ``(cells,)`` errors of the method; NaN where a cell has none.
        base: ``(cells,)`` errors of the reference on the same cells.
        n_train: number of rows of a cell that are not test rows, validation rows included. For the errors of a region,
            count rows of the region, since a balanced split tests a larger fraction of the rare rows. Only the ratio
            to ``n_test`` matters.
        n_test: number of test rows of a cell.
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
    a, b = a[both], b[both]
    n, gain = a.size, a - b
    low = high = p_value = None
    if n > 1:
        mean, spread = float(gain.mean()), float(gain.std(ddof=1))
        if not gain.any():
            low, high, p_value = 0.0, 0.0, 1.0
        elif spread > _SAME * max(np.abs(a).max(), np.abs(b).max()):
            error = spread * np.sqrt(1 / n + shared)
            half = float(stdtrit(n - 1, (1 + confidence) / 2)) * error
            low, high = float(mean - half), float(mean + half)
            p_value = float(2 * stdtr(n - 1, -abs(mean) / error))
    mine, theirs = (float(a.mean()), float(b.mean())) if n else (None, None)
    return Paired(n, both.size - n, mine, theirs, low, high, p_value, tuple(gain.tolist()), confidence)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values for multiple testing, which controls the family-wise error rate.

    The i-th smallest of m is multiplied by m - i + 1; the results are made non-decreasing and at most 1. Sture Holm, *A
    Simple Sequentially Rejective Multiple Test Procedure*, Scandinavian Journal of Statistics 1979.

    Args:
        p_values: ``(m,)``, in any order.

    Raises:
        InputError: not one-dimensional, or outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
        [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise InputError(f"p_values must be one-dimensional, (m,), got shape {p.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError("p_values must be numbers from 0 to 1; leave out comparisons that have none")
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return adjusted


@dataclass(frozen=True)
class Compared:
    """Comparison of a method with the reference in one region.

    Args:
        method: name of the method.
        region: region of the target.
        paired: the paired test; its interval and p-value are not corrected for multiple testing.
        adjusted_p: p-value after Holm's correction over the family; missing if the cells are inconclusive.
        verdict: ``better``, ``worse``, ``no difference``, or ``cannot tell`` with the reason.
    """

    method: str
    region: str
    paired: Paired
    adjusted_p: float | None
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        names = ("method", "region", "verdict", "adjusted_p")
        return {name: getattr(self, name) for name in names} | self.paired.to_json()


def compare_methods(
    scores: Mapping[str, Mapping[str, ArrayLike]],
    reference: str,
    *,
    n_train: float | Mapping[str, float] | None = None,
    n_test: float | Mapping[str, float] | None = None,
    confidence: float = 0.95,
) -> tuple[Compared, ...]:
    """Compare every method with a reference in every region: paired tests, one family under Holm's correction.

    Args:
        scores: errors by method and region, ``(cells,)`` in the same order of cells everywhere; smaller is better,
            NaN where a cell has none.
        reference: one of the methods.
        n_train: see :func:`compare_paired`; give both if the cells are splits of one table, by region if the split does
            not test the same fraction of each.
        n_test: number of test rows of a cell.
        confidence: 1 minus the family-wise error rate.

    Returns:
        Comparisons by method, then by region of the reference. Inconclusive ones do not count in the correction.

    Raises:
        InputError: an unknown reference, no other method, a method that lacks a region, or as :func:`compare_paired`.

    Example:
        >>> scores = {"vanilla": {"all": [3.0, 3.1, 3.0], "few": [9.0, 9.5, 9.1]},
        ...           "lds": {"all": [3.1, 3.0, 3.0], "few": [7.0, 7.6, 7.0]}}
        >>> [(c.region, c.verdict) for c in compare_methods(scores, "vanilla", n_train=800, n_test=200)]
        [('all', 'no difference'), ('few', 'better')]
        >>> one = {method: {"all": by_region["all"][:1]} for method, by_region in scores.items()}
        >>> compare_methods(one, "vanilla")[0].verdict
        'cannot tell (one seed)'
    """
    if reference not in scores or len(scores) < 2:
        raise InputError(f"the reference {reference!r} must be one of at least two methods, got {', '.join(scores)}")
    names, pairs = [], []
    for method in scores:
        for region, base in scores[reference].items():
            if region not in scores[method]:
                raise InputError(f"{method!r} has no errors for {region!r}; give NaN for cells without errors")
            if method != reference:
                ours = scores[method][region]
                names.append((method, region))
                rest, test = (n[region] if isinstance(n, Mapping) else n for n in (n_train, n_test))
                pairs.append(compare_paired(ours, base, n_train=rest, n_test=test, confidence=confidence))
    adjusted = iter(holm([pair.p_value for pair in pairs if pair.p_value is not None]).tolist())
    p_values = [None if pair.p_value is None else next(adjusted) for pair in pairs]
    return tuple(
        Compared(*name, pair, p, _verdict(pair, p)) for name, pair, p in zip(names, pairs, p_values, strict=True)
    )


def wilcoxon_after_holm(compared: Sequence[Compared]) -> tuple[float | None, ...]:
    """Return the p-values of Wilcoxon's signed-rank tests of a family after Holm's correction, for information only.

    They are missing for inconclusive cells; see :attr:`Paired.wilcoxon_p`.

    Example:
        >>> scores = {"vanilla": {"all": [3.0, 3.1, 3.0], "few": [9.0, 9.5, 9.1]},
        ...           "lds": {"all": [3.1, 3.0, 3.0], "few": [7.0, 7.6, 7.0]}}
        >>> wilcoxon_after_holm(compare_methods(scores, "vanilla"))
        (1.0, 0.5)
    """
    p_values = [one.paired.wilcoxon_p for one in compared]
    adjusted = iter(holm([p for p in p_values if p is not None]).tolist())
    return tuple(None if p is None else next(adjusted) for p in p_values)


def _verdict(pair: Paired, adjusted: float | None) -> str:
    if pair.difference is None:
        return NO_SEED
    if adjusted is None:
        return ONE_SEED if pair.n == 1 else COPIES
    if adjusted >= 1 - pair.confidence:
        return NO_DIFFERENCE
    return BETTER if pair.difference < 0 else WORSE


@dataclass(frozen=True)
class Tally:
    """How often a method was better than the reference, not different, worse, or inconclusive (``unknown``)."""

    wins: int = 0
    ties: int = 0
    losses: int = 0
    unknown: int = 0


def tally(compared: Iterable[Compared]) -> dict[str, Tally]:
    """Count wins, ties and losses of each method against the reference, over the regions and tables given.

    Example:
        >>> scores = {"vanilla": {"few": [9.0, 9.5, 9.1]}, "lds": {"few": [7.0, 7.6, 7.0]}}
        >>> tally(compare_methods(scores, "vanilla"))["lds"]
        Tally(wins=1, ties=0, losses=0, unknown=0)
    """
    verdicts: dict[str, list[str]] = {}
    for one in compared:
        verdicts.setdefault(one.method, []).append(one.verdict)
    known = (BETTER, NO_DIFFERENCE, WORSE)
    return {
        method: Tally(
            given.count(BETTER), given.count(NO_DIFFERENCE), given.count(WORSE), sum(one not in known for one in given)
        )
        for method, given in verdicts.items()
    }


def _confidence(value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"confidence must be between 0 and 1, got {value!r}; 0.95 is usual")
