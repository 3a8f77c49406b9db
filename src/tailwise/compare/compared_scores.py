"""Scores that entries of a comparison are compared in."""

from collections.abc import Mapping

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
