"""What a fitted model says of rows, from one pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailwise.data.seen import Bounded
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.vector_predictive import AnyPredictive


@dataclass(frozen=True)
class Predictions:
    """Predictions of rows, from one pass through a fitted model.

    Args:
        pred: ``(n,)`` predictions, target units; ``(n, K)`` of K targets.
        std: ``(n,)`` or ``(n, K)`` standard deviations, target units, where the model gives them.
        features: ``(m, d)`` features of the rows that were asked for, where the model has features.
        predictive: distributions of the labels, joint ones of K targets, if asked for and the model has some.
        of_lags: notes for the user on earlier labels.
        bounded: predictions that were set to the limit of the training labels, if there are some.
    """

    pred: NDArray[np.float64]
    std: NDArray[np.float64] | None = None
    features: NDArray[np.float64] | None = None
    predictive: AnyPredictive | None = None
    of_lags: tuple[str, ...] = ()
    bounded: Bounded | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user."""
        return self.of_lags if self.bounded is None else (*self.of_lags, self.bounded.note)

    def of_rows(self, chosen: NDArray[np.bool_]) -> "Predictions":
        """Return the predictions of some rows, without features."""
        std, predictive = self.std, self.predictive
        return Predictions(
            self.pred[chosen],
            None if std is None else std[chosen],
            None,
            None if predictive is None else predictive.select(np.flatnonzero(chosen)),
        )


def one_target(predictive: AnyPredictive | None) -> Predictive | None:
    """Return distributions of one target; ``None`` of several targets, or where there are none."""
    return predictive if isinstance(predictive, Predictive) else None
