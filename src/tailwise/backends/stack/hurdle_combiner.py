"""The combiner of a stack on a target with many zeros: a chance of 0, and a density of labels above 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tailwise.backends.stack.combiner import Combiner
from tailwise.backends.stack.zero_chance import ZeroChance
from tailwise.distributions.above_zero import FAR, zero_or_above
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.tilted import TiltedMixture

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HurdleCombiner:
    """A density of the label with an atom at 0.

    The likelihood of a hurdle is the product of one of being 0 and one of the labels above 0, so both are fitted
    apart. The mixture of labels above 0 is fitted without regard to its part below 0, which is then cut off; that
    raises the density of every label above 0.

    Args:
        zero: the chance of 0.
        above: the density of labels above 0.
    """

    zero: ZeroChance
    above: Combiner

    @classmethod
    def fit(
        cls,
        columns: Floats,
        y: Floats,
        fold: NDArray[np.int64],
        *,
        weight: Floats | None = None,
        forward: bool = False,
        **of_combiner: Any,
    ) -> Self:
        """Fit both; arguments as :meth:`Combiner.fit` has.

        The columns are those of the experts on labels above 0, then the two chances of 0.
        """
        amounts, chances = split_columns(columns)
        above = y > 0
        return cls(
            ZeroChance.fit(chances, ~above, fold, weight, forward=forward),
            Combiner.fit(
                amounts[above],
                y[above],
                fold[above],
                weight=None if weight is None else weight[above],
                forward=forward,
                **of_combiner,
            ),
        )

    def predictive(self, columns: Floats) -> TiltedMixture:
        """Return the distributions of rows, the mean of all members, from predictions ``(n, c)``."""
        amounts, chances = split_columns(columns)
        return self._joined(self.zero.chance(chances), self.above.predictive(amounts))

    def out_of_fold(self, columns: Floats, fold: NDArray[np.int64]) -> TiltedMixture:
        """Return the distribution of each row by the members that were not fitted to it."""
        amounts, chances = split_columns(columns)
        return self._joined(self.zero.out_of_fold(chances, fold), self.above.out_of_fold(amounts, fold))

    def _joined(self, chance: Floats, above: Mixture) -> TiltedMixture:
        return zero_or_above(chance, above, self.above.center + FAR * self.above.scale)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights into a folder; return the description for JSON."""
        return {"zero": self.zero.to_json(), "above": self.above.save(folder)}

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        return cls(ZeroChance.from_json(description["zero"]), Combiner.load(folder, description["above"]))


def load_combiner(folder: Path, description: Mapping[str, Any]) -> Combiner | HurdleCombiner:
    """Read what either kind of combiner wrote."""
    kind = HurdleCombiner if "zero" in description else Combiner
    return kind.load(folder, description)


def split_columns(columns: Floats) -> tuple[Floats, Floats]:
    """Return the columns of the experts on labels above 0, and the two chances of 0."""
    return columns[:, :-2], columns[:, -2:]
