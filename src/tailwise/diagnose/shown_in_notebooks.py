"""A diagnosis as tables for notebooks."""

from typing import TYPE_CHECKING

from tailwise._html import html_lines, html_table
from tailwise._numbers import number

if TYPE_CHECKING:
    from tailwise.diagnose.facts import Diagnosis


def diagnosis_html(diagnosis: "Diagnosis") -> str:
    """Return the target, rows and errors of a quick model by region, and the advice."""
    target = diagnosis.target
    facts = [
        ["rows", f"{target.rows:,}"],
        ["lowest to highest", f"{number(target.low)} to {number(target.high)}"],
        ["median, mean", f"{number(target.median)}, {number(target.mean)}"],
    ]
    rows: list[list[str | None]] = []
    for region in diagnosis.density.regions:
        error = diagnosis.error(region.name)
        of_model: list[str | None] = [None, None] if error is None else [number(error.mae), number(error.bias)]
        rows.append([region.name.capitalize(), f"{region.rows:,}", f"{region.share:.1%}", *of_model])
    regions = html_table("Regions, and errors of a quick model", ["region", "rows", "share", "MAE", "bias"], rows)
    advice = [f"{one.finding}: {one.action}" for one in diagnosis.advice]
    return html_table(f"Target {target.name}", ["", ""], facts) + regions + html_lines("Advice", advice)
