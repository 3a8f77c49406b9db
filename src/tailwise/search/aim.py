"""The aim of a search: the validation error to minimise, and the limit of the overall error."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tailwise._checks import InputError, not_negative, one_of
from tailwise.training.recipe import Criterion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tailwise.labels.shots import Shots

_REGIONS = ("few", "medium", "many")
_FEW_ROWS = 30
OBJECTIVES = (*_REGIONS, "bmae", "mae")


@dataclass(frozen=True)
class Aim:
    """Objective of a search on the validation rows.

    Args:
        minimise: one of :data:`OBJECTIVES`: the MAE of a region, bMAE, or the overall MAE.
        within: limit of the overall MAE, as the fraction by which it may exceed vanilla's; ``None`` for no limit.

    Raises:
        InputError: an unknown name, a number below 0.
    """

    minimise: str = "few"
    within: float | None = 0.02

    def __post_init__(self) -> None:
        one_of(self.minimise, "`minimise`", OBJECTIVES)
        if self.within is not None:
            not_negative(self.within, "`within`")

    @property
    def criterion(self) -> Criterion:
        """Validation score that selects the epoch of a trial: the overall MAE if it is the aim, otherwise bMAE."""
        return "mae" if self.minimise == "mae" else "bmae"

    def check(self, y_val: "NDArray[np.float64]", shots: "Shots") -> None:
        """Raise if there is nothing to minimise, before a study is opened with this aim.

        Args:
            y_val: ``(m,)`` labels of the validation rows.
            shots: regions of the target.

        Raises:
            InputError: no validation row in the region.
        """
        if self.minimise in _REGIONS and not (shots.names(y_val) == self.minimise).any():
            self.value({})

    def notes(self, y_val: "NDArray[np.float64]", shots: "Shots") -> list[str]:
        """Return a warning if the region that is minimised has few validation rows; arguments as for :meth:`check`."""
        if self.minimise not in _REGIONS:
            return []
        n = int((shots.names(y_val) == self.minimise).sum())
        if n >= _FEW_ROWS:
            return []
        return [
            f"only {n} of the rows that trials are scored on lie in the region {self.minimise!r}, below {_FEW_ROWS}: "
            "the best score is largely chance there; `minimise` bmae has more rows to go by"
        ]

    def value(self, errors: Mapping[str, float]) -> float:
        """Return the score of validation errors, target units.

        Raises:
            InputError: no validation row in the region.
        """
        if self.minimise not in errors:
            raise InputError(
                f"no validation row lies in the region {self.minimise!r}; use another `minimise`, such as bmae"
            )
        return float(errors[self.minimise])

    def excess(self, errors: Mapping[str, float], vanilla: Mapping[str, float]) -> float:
        """Return by how much the overall MAE exceeds its limit, relative to vanilla's; at most 0 within the limit."""
        if self.within is None:
            return 0.0
        return float(errors["mae"] / max(vanilla["mae"], 1e-300) - 1 - self.within)
