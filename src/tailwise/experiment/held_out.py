"""Held-out rows of a fitted model: what intervals of any decision are calibrated on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tailwise.calibration.distribution_intervals import DistributionIntervals
from tailwise.distributions.atoms import Atoms, Inflated, InflatedTransform, with_atoms
from tailwise.distributions.conditional import FEWEST
from tailwise.distributions.decisions import Decision, Dial
from tailwise.distributions.dialed import cross_fitted_through
from tailwise.distributions.pooling import predictive_from_arrays
from tailwise.distributions.predictive import Predictive
from tailwise.labels.shots import Shots
from tailwise.labels.transforms import Transform

_FILE = "held_out.safetensors"
_MOST_ROWS = 5_000
_MOST_NUMBERS = 2_000_000  # of saved distributions


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Validation rows and the model's predictions for them; the model was not fitted to these rows.

    Args:
        y: ``(n,)`` labels, target units.
        pred: ``(n,)`` the model's predictions, each corrected by a correction that did not see its label.
        weight: ``(n,)`` weights that give the labels the density of the training labels, times the rows' own.
        balanced: whether only weighted rows resemble rows as they come: those of a balanced split, or with weights of
            their own.
        given: the distributions that the model itself gives; ``None`` for those of the label given the prediction,
            each fitted to the other rows.
        atoms: values that many training labels share, as ``given`` does not have them.
        transform: of the labels, in whose units distributions are fitted.
    """

    y: NDArray[np.float64]
    pred: NDArray[np.float64]
    weight: NDArray[np.float64]
    balanced: bool
    given: Predictive | None = None
    atoms: Atoms | None = None
    transform: Transform | None = None

    @cached_property
    def _without_atoms(self) -> Predictive | None:
        if self.given is not None:
            return self.given
        if len(self.y) < 2 * FEWEST:
            return None
        return cross_fitted_through(self.transform, self.y, self.pred, sample_weight=self.weight)

    @cached_property
    def distributions(self) -> Predictive | None:
        """Distributions of the rows, none fitted to its label; ``None`` of too few rows."""
        known = self._without_atoms
        if known is None or self.atoms is None:
            return known
        return with_atoms(self.atoms, known, self.y, self.weight)

    def calibrated_atoms(self) -> Atoms | None:
        """Return the atoms with what is learned about them from these rows."""
        if not isinstance(self.atoms, Inflated | InflatedTransform) or self._without_atoms is None:
            return self.atoms
        return self.atoms.calibrated(self._without_atoms, self.y, self.weight)

    def intervals(self, decision: Decision, dial: Dial, shots: Shots, balance: float) -> DistributionIntervals | None:
        """Return intervals of the distributions as a decision tilts them; ``None`` of too few rows.

        They hold for rows as they come, apart for each region of the decided prediction.

        Args:
            decision: the decision; with nothing given the model's own predictions name the regions.
            dial: of the training labels.
            shots: regions, from training labels.
            balance: the model's.
        """
        if self.distributions is None:
            return None
        tilted = decision.tilted(self.distributions, dial, balance)
        decided = decision.given or balance > 0
        pred = decision.of(self.distributions, dial, balance) if decided else self.pred
        weight = self.weight if self.balanced else None
        return DistributionIntervals.fit(self.y, tilted, pred, shots, sample_weight=weight)

    def thinned(self) -> Self:
        """Return at most 5,000 of the rows, drawn at random, fewer where their distributions are large."""
        numbers = 0 if self.given is None else sum(np.size(array) for array in self.given.to_arrays().values())
        n = len(self.y)
        most = min(_MOST_ROWS, int(n * _MOST_NUMBERS / max(numbers, 1)) if numbers > _MOST_NUMBERS else n)
        if n <= most:
            return self
        rows = np.sort(np.random.default_rng(0).permutation(n)[:most])
        given = None if self.given is None else self.given.select(rows)
        pred, weight = self.pred[rows], self.weight[rows]
        return replace(self, y=self.y[rows], pred=pred, weight=weight, given=given)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the rows into a folder; return a description for JSON."""
        arrays = {} if self.given is None else self.given.to_arrays()
        rows = {"y": self.y, "pred": self.pred, "weight": self.weight}
        stored = rows | {f"predictive.{name}": np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(stored, folder / _FILE)
        return {"balanced": self.balanced, "kind": None if self.given is None else self.given.kind}

    @classmethod
    def load(
        cls, folder: Path, saved: Mapping[str, Any], atoms: Atoms | None, transform: Transform | None = None
    ) -> Self:
        """Read what :meth:`save` wrote; atoms and transform are those of the model."""
        arrays = load_file(folder / _FILE)
        distributions = {
            name.removeprefix("predictive."): array for name, array in arrays.items() if name.startswith("predictive.")
        }
        given = None if saved["kind"] is None else predictive_from_arrays(saved["kind"], distributions)
        return cls(arrays["y"], arrays["pred"], arrays["weight"], bool(saved["balanced"]), given, atoms, transform)
