"""Scores that entries of a comparison are compared in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tailwise.compare.statistics import Compared

# Region and metric of each score that is compared.
SCORES: Mapping[str, tuple[str, str]] = {
    "come": ("all", "as_rows_come"),
    "evenly": ("all", "bmae"),
    "many": ("many", "mae"),
    "medium": ("medium", "mae"),
    "few": ("few", "mae"),
}
HEADINGS: Mapping[str, str] = {
    "come": "As rows come",
    **{score: score.capitalize() for score in SCORES if score != "come"},
}
WHERE: Mapping[str, str] = {
    "come": "as rows come",
    "evenly": "evenly over values",
    "many": "where training rows are many",
    "medium": "where training rows are neither many nor few",
    "few": "where training rows are few",
}


def where(one: "Compared") -> str:
    """Return a score in words, with its change in percent."""
    change = "" if one.paired.percent is None else f" ({one.paired.percent:+.0f} %)"
    return WHERE[one.region] + change
