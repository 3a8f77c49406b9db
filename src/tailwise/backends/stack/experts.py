"""The experts of a stack, and the levels of quality."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.backends.protocol import Outputs
from tailwise.modalities.encoder_names import AUTO
from tailwise.training.recipe import EPOCHS_IN_STACK, Recipe

PLAIN = "network"
COMPARED_WITH = (PLAIN, "lightgbm")
CENSORED_EXPERT = "mixture network"  # learns from censored labels by their likelihood
EVERY_LABEL, WHETHER_ZERO, ABOVE = "label", "zero", "above"
_LARGE_BATCH = 64


@dataclass(frozen=True)
class Expert:
    """A model of a stack, trained on rows as they come.

    Args:
        name: for tables of results.
        model: one of :data:`tailwise.backends.names.MODELS`.
        method: method string.
        encoder: encoder of a network.
        levels: quantile levels of its distributions that the combiner sees beside its point.
        params: parameters of the model or the encoder.
        learns: ``"label"``; of a target with many zeros ``"zero"``, whether a label is 0, or ``"above"``, the label of
            rows that are above 0.
    """

    name: str
    model: str
    method: str = "vanilla"
    encoder: str = AUTO
    levels: tuple[float, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    learns: str = EVERY_LABEL

    def recipe_for(self, recipe: Recipe, n: int) -> Recipe:
        """Return the recipe of this expert in a stack with a recipe, of ``n`` training rows.

        The kept epoch, or round, is the best for rows as they come; for whether a label is 0 it is the one with the
        lowest squared error, the Brier score. Where the default batch has 64 rows or more and neither batch nor
        learning rate is given, both are doubled: half as many steps lose nothing in a stack. If the number of epochs is
        not given either, it is 40: a third less time for .6 % of the error (docs/results.md).
        """
        if recipe.epochs is None:
            recipe = replace(recipe, epochs=EPOCHS_IN_STACK)
        size = recipe.batch_size_for(n)
        if recipe.batch_size is None and recipe.lr is None and size >= _LARGE_BATCH:
            recipe = replace(recipe, batch_size=min(2 * size, 256), lr=2 * recipe.learning_rate)
        return replace(recipe, criterion="rmse" if self.learns == WHETHER_ZERO else "mae")

    def columns(self, outputs: Outputs) -> NDArray[np.float64]:
        """Return ``(n, 1 + levels)`` numbers of rows: the point, and quantiles of the distributions."""
        columns = [outputs.pred]
        if self.levels and outputs.predictive is not None:
            columns += [outputs.predictive.quantile(level) for level in self.levels]
        return np.stack(columns, axis=1)


EXPERTS: Mapping[str, Expert] = {
    expert.name: expert
    for expert in (
        Expert("lightgbm", "lightgbm"),
        Expert(PLAIN, "network"),
        Expert(CENSORED_EXPERT, "network", "mixture", levels=(0.1, 0.5, 0.9)),
        Expert("tabm", "network", encoder="tabm"),
        Expert("catboost", "catboost"),
        Expert("forest", "forest"),
        Expert("linear", "linear"),
        Expert("weighted network", "network", "sqinv+lds"),
    )
}
