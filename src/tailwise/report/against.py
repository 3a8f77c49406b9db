"""Compare a run with another one on the same test rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailwise._numbers import error_change
from tailwise.labels.shots import Shots
from tailwise.metrics.confidence import Interval
from tailwise.metrics.errors import in_units, mean_absolute_error
from tailwise.metrics.headlines import headline_change
from tailwise.metrics.paired_bootstrap import mae_change
from tailwise.metrics.region_errors import error_as_rows_come, region_errors, region_rows

FEWEST_TO_SPEAK = 10
HEADLINES = {"as_rows_come": "as rows come", "bmae": "evenly over values"}


@dataclass(frozen=True)
class OtherRun:
    """Test predictions of another run on the same test rows.

    Args:
        method: method string, after the model if that is not the default.
        y_pred: test predictions, ``(n,)`` or ``(n, K)``.
        folder: name of the run folder.
        masked: whether ranges of the target were removed from the training rows.
    """

    method: str
    y_pred: NDArray[np.float64]
    folder: str = "the other run"
    masked: bool = False

    def names(self, method: str, *, masked: bool) -> tuple[str, str]:
        """Return different names for a run of ``method`` and for this one.

        >>> OtherRun("lds", np.zeros(1), "first").names("lds", masked=True)
        ('lds (this run)', 'lds (first, without masked ranges)')
        """
        ours, theirs = (["this run"], [self.folder]) if method == self.method else ([], [])
        if masked != self.masked:
            (theirs if masked else ours).append("without masked ranges")
        return _with(method, ours), _with(self.method, theirs)


def _with(method: str, remarks: list[str]) -> str:
    return method + (f" ({', '.join(remarks)})" if remarks else "")


@dataclass(frozen=True)
class Comparison:
    """Change of the MAE of a region, or of a headline, from another run to this one, on the same rows.

    Args:
        ours: MAE of this run.
        theirs: MAE of the other run.
        change: difference with its paired bootstrap interval, target units.
    """

    ours: float
    theirs: float
    change: Interval

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference excludes 0."""
        return self.change.excludes_zero

    @property
    def verdict(self) -> str:
        """``"better"``, ``"worse"``, or ``"same"`` where the interval of the difference contains 0."""
        return "same" if not self.differs else "better" if self.change.value < 0 else "worse"

    @property
    def text(self) -> str:
        """The change in percent, and whether it differs from 0."""
        percent = f"{100 * self.change.value / max(self.theirs, 1e-300):+.0f} %"
        return percent if self.differs else f"no difference ({percent}, inside the noise of these rows)"

    @property
    def short(self) -> str:
        """The change in a few words: ``"8 % lower error"``, ``"16 % higher error"`` or ``"no difference"``."""
        return error_change(self.ours / max(self.theirs, 1e-300)) if self.differs else "no difference"


def compare(
    y_true: NDArray[np.float64],
    y_pred: NDArray[np.float64],
    y_other: NDArray[np.float64],
    shots: Shots,
    *,
    weight: NDArray[np.float64] | None = None,
) -> dict[str, Comparison]:
    """Compare two runs row by row: over all rows, over each region that has rows, and in both headlines.

    Headlines have the keys of :data:`HEADLINES`.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels.
        y_pred: predictions of this run, like the labels.
        y_other: predictions of the other run, like the labels.
        shots: regions.
        weight: ``(n,)`` how much each row counts.
    """
    by_region = {}
    for name, rows in region_rows(y_true, shots).items():
        if rows.any():
            (true, ours), (_, theirs) = (in_units(y_true[rows], pred[rows], shots.bins) for pred in (y_pred, y_other))
            of = None if weight is None else weight[rows]
            by_region[name] = Comparison(
                mean_absolute_error(true, ours, sample_weight=of),
                mean_absolute_error(true, theirs, sample_weight=of),
                mae_change(true, ours, theirs, sample_weight=of),
            )
    headlines = {}
    if len(y_true):
        both = (y_pred, y_other)
        come = [error_as_rows_come(y_true, pred, shots, sample_weight=weight) for pred in both]
        even = [region_errors(y_true, pred, shots, sample_weight=weight)["all"]["bmae"] for pred in both]
        for name, (mine, other) in zip(HEADLINES, (come, even), strict=True):
            change = headline_change(y_true, y_pred, y_other, shots, evenly=name == "bmae", sample_weight=weight)
            headlines[name] = Comparison(mine, other, change)
    return by_region | headlines
