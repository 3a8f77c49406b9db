"""Compare methods with a reference on the same cells of one table: paired tests, Holm's correction, verdicts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError
from tailwise.compare.paired import Paired, compare_paired
from tailwise.compare.power import smallest_difference, splits_needed

BETTER, WORSE, NO_DIFFERENCE = "better", "worse", "no difference"
ONE_SEED = "inconclusive (one seed)"
NO_SEED = "inconclusive (no cell has both)"
COPIES = "inconclusive (the cells repeat each other)"


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
        verdict: ``better``, ``worse``, ``no difference``, or ``inconclusive`` with the reason.
        smallest: mean difference that the test would have found with a chance of 80 %, target units; missing if the
            cells are inconclusive.
        needed: number of splits with which the mean difference would be found; missing where it was found, or where
            100 splits would not do.
    """

    method: str
    region: str
    paired: Paired
    adjusted_p: float | None
    verdict: str
    smallest: float | None = None
    needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        names = ("method", "region", "verdict", "adjusted_p", "smallest", "needed")
        return {name: getattr(self, name) for name in names} | self.paired.to_json()


def compare_methods(
    scores: Mapping[str, Mapping[str, ArrayLike]],
    reference: str,
    *,
    n_train: float | Mapping[str, float] | None = None,
    n_test: float | Mapping[str, float] | None = None,
    row_variance: Mapping[tuple[str, str], ArrayLike] | None = None,
    confidence: float = 0.95,
) -> tuple[Compared, ...]:
    """Compare every method with a reference in every region: paired tests, one family under Holm's correction.

    Args:
        scores: errors by method and region, ``(cells,)`` in the same order of cells everywhere; smaller is better,
            NaN where a cell has none.
        reference: one of the methods.
        n_train: see :func:`tailwise.compare.paired.compare_paired`; give both if the cells are splits of one table, by
            region if the split does not test the same fraction of each.
        n_test: number of test rows of a cell.
        row_variance: by method and region, see :func:`tailwise.compare.paired.compare_paired`.
        confidence: 1 minus the family-wise error rate.

    Returns:
        Comparisons by method, then by region of the reference. Inconclusive ones do not count in the correction.

    Raises:
        InputError: an unknown reference, no other method, a method that lacks a region, or errors that
            :func:`tailwise.compare.paired.compare_paired` refuses.

    Example:
        >>> scores = {"vanilla": {"all": [3.0, 3.1, 3.0], "few": [9.0, 9.5, 9.1]},
        ...           "lds": {"all": [3.1, 3.0, 3.0], "few": [7.0, 7.6, 7.0]}}
        >>> [(c.region, c.verdict) for c in compare_methods(scores, "vanilla", n_train=800, n_test=200)]
        [('all', 'no difference'), ('few', 'better')]
        >>> one = {method: {"all": by_region["all"][:1]} for method, by_region in scores.items()}
        >>> compare_methods(one, "vanilla")[0].verdict
        'inconclusive (one seed)'
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
                rows = (row_variance or {}).get((method, region))
                pairs.append(
                    compare_paired(ours, base, n_train=rest, n_test=test, row_variance=rows, confidence=confidence)
                )
    adjusted = iter(holm([pair.p_value for pair in pairs if pair.p_value is not None]).tolist())
    p_values = [None if pair.p_value is None else next(adjusted) for pair in pairs]
    level = (1 - confidence) / max(sum(p is not None for p in p_values), 1)  # Holm's, of the smallest p-value
    return tuple(_compared(*name, pair, p, level) for name, pair, p in zip(names, pairs, p_values, strict=True))


def _compared(method: str, region: str, pair: Paired, p: float | None, level: float) -> Compared:
    verdict = _verdict(pair, p)
    needed = splits_needed(pair, level) if verdict == NO_DIFFERENCE else None
    return Compared(method, region, pair, p, verdict, smallest_difference(pair, level), needed)


def wilcoxon_after_holm(compared: Sequence[Compared]) -> tuple[float | None, ...]:
    """Return the p-values of Wilcoxon's signed-rank tests of a family after Holm's correction, for information only.

    They are missing for inconclusive cells; see :attr:`tailwise.compare.paired.Paired.wilcoxon_p`.

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
    """Number of comparisons in which a method was better than the reference, not different, worse, or inconclusive."""

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
