"""Compare methods over several tables: mean ranks, which of them differ, and the Pareto front of two errors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from tailwise._checks import InputError, whole

_PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of methods over tables, 1 is best, and tests of their differences.

    Args:
        mean_ranks: mean rank by method, best first.
        tables: names of the tables used.
        left_out: names of the tables on which a method has no score.
        friedman: χ² of Friedman's test of equal methods; missing for two methods or one table.
        friedman_p: p-value of Friedman's test.
        iman_davenport: F of Iman and Davenport; infinite if all tables agree.
        iman_davenport_p: p-value of F.
        p_value: p-value of Friedman's test by permutation, which decides whether any two differ; missing for one table.
        critical_difference: Nemenyi's critical difference: mean ranks at least this far apart differ.
        groups: methods that do not differ, best first: the bars of a critical-difference diagram.
        confidence: confidence level of the tests.
    """

    mean_ranks: dict[str, float]
    tables: tuple[str, ...]
    left_out: tuple[str, ...]
    friedman: float | None
    friedman_p: float | None
    iman_davenport: float | None
    iman_davenport_p: float | None
    p_value: float | None
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    confidence: float

    @property
    def differ(self) -> bool:
        """Whether any methods differ."""
        return self.p_value is not None and self.p_value < 1 - self.confidence

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; an infinite F is missing."""
        f = self.iman_davenport
        return {
            "mean_ranks": self.mean_ranks,
            "tables": list(self.tables),
            "left_out": list(self.left_out),
            "friedman": self.friedman,
            "friedman_p": self.friedman_p,
            "iman_davenport": None if f is None or math.isinf(f) else f,
            "iman_davenport_p": self.iman_davenport_p,
            "p_value": self.p_value,
            "critical_difference": self.critical_difference,
            "groups": [list(group) for group in self.groups],
            "confidence": self.confidence,
        }


def rank_methods(scores: Mapping[str, Mapping[str, float]], *, confidence: float = 0.95) -> Ranking:
    """Rank methods on every table and test whether, and which, mean ranks differ.

    Milton Friedman, *The Use of Ranks to Avoid the Assumption of Normality Implicit in the Analysis of Variance*,
    Journal of the American Statistical Association 1937; Ronald Iman and James Davenport, *Approximations of the
    Critical Region of the Friedman Statistic*, Communications in Statistics 1980; combined for comparing learners by
    Janez Demšar, *Statistical Comparisons of Classifiers over Multiple Data Sets*, JMLR 2006.

    Args:
        scores: error of every method by table, smaller is better, for example its mean over cells; equal errors have
            their mean rank. A table on which a method has none, or NaN, is listed as left out.
        confidence: confidence level of the tests.

    Raises:
        InputError: fewer than two methods, no table on which every method has a score, a confidence outside (0, 1).

    Note:
        χ² and F are approximations for many tables: with three methods on three tables, F alone has a false positive
        rate of 19 %. The verdict comes from 9,999 permutations of the ranks within tables, which is valid for few
        tables, two methods and ties (``tests/test_statistics.py``). Without a difference, all methods are one group.

    Example:
        >>> tables = {f"table {i}": {"lds": 1.0, "vanilla": 2.0, "inv": 3.0 - i % 2 * 1.5} for i in range(8)}
        >>> ranking = rank_methods(tables | {"broken": {"lds": 1.0, "vanilla": float("nan"), "inv": 1.0}})
        >>> ranking.mean_ranks["lds"], ranking.left_out, ranking.groups
        (1.0, ('broken',), (('vanilla', 'inv'),))
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be between 0 and 1, got {confidence!r}; 0.95 is usual")
    methods = tuple(dict.fromkeys(method for by_method in scores.values() for method in by_method))
    if len(methods) < 2:
        raise InputError(f"ranks need at least two methods, got {len(methods)}")
    errors = np.array([[by_method.get(m, np.nan) for m in methods] for by_method in scores.values()], dtype=np.float64)
    missing = np.isnan(errors)
    complete = np.flatnonzero(~missing.any(axis=1))
    if not complete.size:
        worst = methods[int(missing.sum(axis=0).argmax())]
        raise InputError(f"no table has a score of every method; leave out {worst!r}, which lacks most, or run it")
    errors = errors[complete]
    n, k = errors.shape
    ranks = rankdata(errors, axis=1)
    means = ranks.mean(axis=0)
    order = np.argsort(means, kind="stable")
    best_first = {methods[i]: float(means[i]) for i in order}
    friedman = friedman_p = f = f_p = p_value = None
    if n > 1:
        p_value = _permutation_p(ranks)
    if n > 1 and k > 2:
        friedman, friedman_p = _friedman(errors)
        f, f_p = _iman_davenport(friedman, n, k)
    distance = nemenyi_critical_difference(k, n, confidence=confidence)
    differ = p_value is not None and p_value < 1 - confidence
    groups = groups_alike(list(best_first.values()), distance if differ else math.inf)
    names, tables = tuple(best_first), tuple(scores)
    counted = tuple(tables[i] for i in complete.tolist())
    return Ranking(
        best_first,
        counted,
        tuple(name for name in tables if name not in counted),
        friedman,
        friedman_p,
        f,
        f_p,
        p_value,
        distance,
        tuple(names[start:end] for start, end in groups),
        confidence,
    )


def _friedman(errors: NDArray[np.float64]) -> tuple[float, float]:
    """Return χ² and p; 0 and 1 if all methods have equal errors."""
    if (errors == errors[:, :1]).all():
        return 0.0, 1.0
    test = friedmanchisquare(*errors.T)
    return float(test.statistic), float(test.pvalue)


def _iman_davenport(friedman: float, n: int, k: int) -> tuple[float, float]:
    """Return F = (n - 1) χ² / (n (k - 1) - χ²), with k - 1 and (k - 1)(n - 1) degrees of freedom, and p."""
    left = n * (k - 1) - friedman
    if left < 1e-9 * n * k:
        return math.inf, 0.0
    f = (n - 1) * friedman / left
    return f, float(fdtrc(k - 1, (k - 1) * (n - 1), f))


def _permutation_p(ranks: NDArray[np.float64]) -> float:
    """Return the fraction of permutations of every table's ranks with mean ranks at least as far apart as observed."""
    rng = np.random.default_rng(0)
    totals = np.zeros((_PERMUTATIONS, ranks.shape[1]))
    for table_ranks in ranks:
        totals += rng.permuted(np.tile(table_ranks, (_PERMUTATIONS, 1)), axis=1)
    totals -= totals.mean(axis=1, keepdims=True)
    observed = np.square(ranks.sum(axis=0) - ranks.sum(axis=0).mean()).sum()
    as_far = np.square(totals).sum(axis=1) >= observed * (1 - 1e-9)
    return float((1 + as_far.sum()) / (1 + _PERMUTATIONS))


def nemenyi_critical_difference(k: int, n: int, *, confidence: float = 0.95) -> float:
    """Return how far apart the mean ranks of two of k methods over n tables must be to differ: q √(k (k + 1) / 6n).

    q is the quantile of the studentized range of k means with infinite degrees of freedom, divided by √2. Peter
    Nemenyi, *Distribution-free Multiple Comparisons*, PhD thesis, Princeton University 1963.

    Raises:
        InputError: fewer than two methods, no table.

    Example:
        >>> round(nemenyi_critical_difference(4, 14), 3)
        1.254
    """
    whole(k, "k", least=2)
    whole(n, "n", least=1)
    q = float(studentized_range.ppf(confidence, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * n))


def groups_alike(mean_ranks: Sequence[float], distance: float) -> list[tuple[int, int]]:
    """Return the longest runs of at least two mean ranks, in ascending order, that span no more than ``distance``.

    Returns:
        Start and end position of each run, the end excluded.

    Example:
        >>> groups_alike([1.0, 1.5, 2.2, 3.9], 1.0)
        [(0, 2), (1, 3)]
    """
    ranks = np.asarray(mean_ranks, dtype=np.float64)
    ends = np.searchsorted(ranks, ranks + distance * (1 + 1e-12), side="right").tolist()
    runs, reached = [], 0
    for start, end in enumerate(ends):
        if end > reached and end - start > 1:
            runs.append((start, end))
        reached = max(reached, end)
    return runs


def pareto_front(points: ArrayLike) -> NDArray[np.bool_]:
    """Return which points are not dominated: no other is as small in both coordinates and smaller in one.

    Args:
        points: ``(n, 2)``, both to be minimised, such as many- and few-shot error; a point with NaN is not on the
            front.

    Returns:
        ``(n,)`` mask; of equal points, both are on the front.

    Raises:
        InputError: not ``(n, 2)``.

    Example:
        >>> pareto_front([[1.0, 3.0], [2.0, 2.0], [2.0, 2.0], [2.0, 4.0], [3.0, 1.0]]).tolist()
        [True, True, True, False, True]
    """
    values = np.asarray(points, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 2:
        raise InputError(f"points must be (n, 2), got shape {values.shape}")
    x, y = values.T
    no_worse = (x <= x[:, None]) & (y <= y[:, None])
    dominated = (no_worse & ((x < x[:, None]) | (y < y[:, None]))).any(axis=1)
    return np.asarray(~dominated & ~np.isnan(values).any(axis=1))
