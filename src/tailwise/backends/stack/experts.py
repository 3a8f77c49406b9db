"""The experts of a stack, and the levels of quality."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.backends.protocol import Outputs
from tailwise.modalities.encoder_names import AUTO
from tailwise.training.recipe import Recipe

PLAIN = "network"
_DEFAULT = Recipe()
NETWORK: Mapping[str, Any] = {"batch_size": 128, "lr": 2e-3, "patience": 20}


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
        recipe: settings in place of those that the recipe of the stack leaves at their defaults.
    """

    name: str
    model: str
    method: str = "vanilla"
    encoder: str = AUTO
    levels: tuple[float, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def recipe_for(self, recipe: Recipe) -> Recipe:
        """Return the recipe of this expert in a stack with a recipe."""
        changed = {
            name: value for name, value in self.recipe.items() if getattr(recipe, name) == getattr(_DEFAULT, name)
        }
        return replace(recipe, criterion="mae", **changed)

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
        Expert(PLAIN, "network", recipe=NETWORK),
        Expert("mixture network", "network", "mixture", levels=(0.1, 0.5, 0.9), recipe=NETWORK),
        Expert("tabm", "network", encoder="tabm", recipe=NETWORK),
        Expert("catboost", "catboost"),
        Expert("forest", "forest"),
        Expert("linear", "linear"),
        Expert("weighted network", "network", "sqinv+lds", recipe=NETWORK),
    )
}
