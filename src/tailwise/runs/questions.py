"""Questions about the distributions of rows: quantiles, and chances of values above or below others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailwise._checks import InputError
from tailwise.distributions.vector_predictive import AnyPredictive
from tailwise.runs.folder import by_target


@dataclass(frozen=True)
class Questions:
    """Columns that are written beside predictions.

    Args:
        quantiles: levels in (0, 1).
        above: values to exceed, as the user wrote them, and as numbers.
        below: values to stay below.

    Raises:
        InputError: levels outside (0, 1).
    """

    quantiles: tuple[float, ...] = ()
    above: tuple[tuple[str, float], ...] = ()
    below: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        for level in self.quantiles:
            if not 0 < level < 1:
                raise InputError(f"`quantile` takes levels between 0 and 1, such as 0.9, got {level:g}")

    def __bool__(self) -> bool:
        return bool(self.quantiles or self.above or self.below)

    def check(self, n_targets: int) -> None:
        """Raise if a question makes no sense for several targets: they differ in unit, and one value is for one target.

        Raises:
            InputError: values to exceed or to stay below for more than one target.
        """
        if n_targets > 1 and (self.above or self.below):
            raise InputError(
                f"`above` and `below` are for a run on one target, and this one has {n_targets}; `quantile` gives "
                "quantiles of each"
            )

    def columns(self, predictive: AnyPredictive, targets: Sequence[str]) -> dict[str, Any]:
        """Return a column for each question, ``quantile_0.9``, ``above_200`` and ``below_10``.

        Args:
            predictive: distributions of the rows.
            targets: names of the targets; of several each has its quantiles, ``quantile_0.9_pitch``.
        """
        columns: dict[str, Any] = {}
        values = predictive.quantile(self.quantiles) if self.quantiles else None
        for i, level in enumerate(self.quantiles):
            columns |= {} if values is None else by_target(f"quantile_{level:g}", values[..., i], targets)
        one: Any = predictive  # of one target, if there are such questions
        columns |= {f"above_{text}": one.above(value) for text, value in self.above}
        return columns | {f"below_{text}": one.below(value) for text, value in self.below}


NO_QUESTIONS = Questions()
