"""Out-of-fold errors of a stack, its experts and a constant, by region."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tailwise._numbers import error_change
from tailwise.experiment.balance_choice import BalanceChoice
from tailwise.labels.censoring import Censoring
from tailwise.labels.shots import Shots
from tailwise.metrics.errors import weighted_median
from tailwise.metrics.region_errors import error_as_rows_come, region_errors

CONSTANT, STACK = "constant", "stack"
RIVALS: Mapping[str, str] = {"network": "a plain network", "lightgbm": "plain LightGBM"}


@dataclass(frozen=True)
class Standing:
    """Out-of-fold errors of one model.

    Args:
        name: of the model.
        as_rows_come: mean absolute error of rows as they come, target units.
        evenly: mean over bins of each bin's mean absolute error, target units.
        mae: mean absolute error of each region that has rows, target units.
        bias: mean of predicted minus true value of each region that has rows, target units.
    """

    name: str
    as_rows_come: float
    evenly: float
    mae: Mapping[str, float]
    bias: Mapping[str, float]

    @classmethod
    def of(
        cls,
        name: str,
        y: NDArray[np.float64],
        pred: NDArray[np.float64],
        shots: Shots,
        weight: NDArray[np.float64] | None = None,
    ) -> Self:
        """Measure ``(n,)`` predictions of rows with labels ``(n,)``, and weights ``(n,)`` if rows have some."""
        errors = region_errors(y, pred, shots, sample_weight=weight)
        regions = [region for region in errors if region != "all"]
        return cls(
            name,
            error_as_rows_come(y, pred, shots, sample_weight=weight),
            errors["all"]["bmae"],
            {region: errors[region]["mae"] for region in regions},
            {region: errors[region]["bias"] for region in regions},
        )


@dataclass(frozen=True, eq=False)
class Rival:
    """Predictions of a plain model for the same rows.

    Args:
        name: of the plain model.
        pred: ``(n,)`` predictions, target units.
    """

    name: str
    pred: NDArray[np.float64]


@dataclass(frozen=True)
class Leaderboard:
    """Out-of-fold errors of a stack and of what it is made of: no model is judged on rows it was trained on.

    Args:
        standings: the stack first, then its experts, then a constant (the median of the labels).
        choice: how the balance of the stack was chosen; ``None`` if it was given.
    """

    standings: Sequence[Standing]
    choice: BalanceChoice | None

    @property
    def verdict(self) -> list[str]:
        """One sentence a rival, a plain network and LightGBM: how the stack's errors differ from theirs."""
        return [sentence for name in RIVALS if (sentence := self.against(name))]

    def against(self, rival: str) -> str:
        """Return how the stack's errors differ from those of one of :data:`RIVALS`; empty if that has no line."""
        by_name = {one.name: one for one in self.standings}
        if rival not in by_name:
            return ""
        return f"Against {RIVALS[rival]}, out of fold: {_changes(by_name[STACK], by_name[rival])}."

    def _repr_html_(self) -> str:
        """Return tables for a notebook."""
        from tailwise.experiment.shown_in_notebooks import leaderboard_html

        return leaderboard_html(self)

    @classmethod
    def of(
        cls,
        y: NDArray[np.float64],
        stack: NDArray[np.float64],
        points: Mapping[str, NDArray[np.float64]],
        shots: Shots,
        choice: BalanceChoice | None,
        weight: NDArray[np.float64] | None = None,
        censoring: Censoring | None = None,
    ) -> Self:
        """Measure out-of-fold predictions ``(n,)`` of a stack and of its experts by name.

        Of a censored label a prediction beyond the limit is no error.
        """
        every = {STACK: stack, **points, CONSTANT: np.full(len(y), weighted_median(y, weight))}
        if censoring is not None:
            every = {name: censoring.counted(y, pred) for name, pred in every.items()}
        return cls(tuple(Standing.of(name, y, pred, shots, weight) for name, pred in every.items()), choice)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        choice = None if self.choice is None else asdict(self.choice)
        return {"standings": [asdict(one) for one in self.standings], "choice": choice}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        choice = saved["choice"]
        if choice is not None:
            choice = BalanceChoice(
                choice["balance"], choice["bound"], tuple(choice["as_rows_come"]), tuple(choice["evenly"])
            )
        return cls(tuple(Standing(**one) for one in saved["standings"]), choice)


def errors_by_output(
    y: NDArray[np.float64],
    pred: NDArray[np.float64],
    shots: Shots,
    names: Sequence[str],
    weight: NDArray[np.float64] | None = None,
) -> tuple[Standing, ...]:
    """Return the errors of each of K targets alone, in its own unit, bins and regions.

    Args:
        y: ``(n, K)`` labels.
        pred: ``(n, K)`` predictions.
        shots: regions of the grid of all targets, from training labels.
        names: of the targets.
        weight: ``(n,)`` how much each row counts.
    """
    return tuple(Standing.of(name, y[:, j], pred[:, j], shots.of_output(j), weight) for j, name in enumerate(names))


def _changes(ours: Standing, theirs: Standing) -> str:
    """Return how errors differ, in words and percent."""
    pairs = {
        "as rows come": (ours.as_rows_come, theirs.as_rows_come),
        "evenly over values": (ours.evenly, theirs.evenly),
        **{f"{region}-shot": (error, theirs.mae[region]) for region, error in ours.mae.items()},
    }
    return ", ".join(f"{error_change(mine / other)} {words}" for words, (mine, other) in pairs.items() if other > 0)
