"""Presets of a comparison: how many seeds, rows and epochs it may cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Cost of a comparison.

    Args:
        seeds: number of splits, each with a training of every entry.
        rows: maximum number of rows of a table; no limit if not given.
        recipe: fields of :class:`tailwise.training.recipe.Recipe` of networks that differ from its defaults.
    """

    seeds: int
    rows: int | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)


PRESETS: Mapping[str, Preset] = {
    "quick": Preset(3, 5000, {"epochs": 40, "patience": 12}),
    "standard": Preset(5, 20_000),
    "thorough": Preset(10, None, {"epochs": 120}),
}
