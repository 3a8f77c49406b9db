"""The page of an explanation: which rows are wrong and what they have in common, then which columns matter where."""

from typing import TYPE_CHECKING

from markupsafe import Markup

from tailwise._numbers import counted, number
from tailwise.report.against import FEWEST_TO_SPEAK, HEADLINES
from tailwise.report.importance_chart import importance_chart, shap_chart, shown_rise
from tailwise.report.rendering import render

if TYPE_CHECKING:
    from tailwise.experiment.importance import Explanation
    from tailwise.experiment.shap_values import ShapValues

_DRAWN = 12  # columns in the chart
_COME = HEADLINES["as_rows_come"]


def explained_page(
    found: "Explanation", *, title: str, rows: str, shap: "ShapValues | None" = None, background: str = "training rows"
) -> str:
    """Return the page of an explanation as HTML text.

    Args:
        found: the explanation.
        title: title of the page.
        rows: the rows it is about, such as ``"the test rows of run 'price'"``.
        shap: SHAP values of these rows, which the page has a section on.
        background: what these compare with.
    """
    regions = list(found.n)
    return render(
        "explained.html",
        title=title,
        rows=rows,
        found=found,
        answer=answer(found) + ([] if shap is None else [shap_answer(shap)]),
        come=_COME,
        regions=regions,
        chart=Markup(importance_chart(found.columns[:_DRAWN], regions, found.by, found.target)),
        left_out=len(found.columns[_DRAWN:]),
        shap=shap,
        background=background,
        shap_chart=Markup(
            "" if shap is None else shap_chart(shap.columns[:_DRAWN], list(shap.n), shap.by, shap.target)
        ),
    )


def _few_shot(n: int) -> str:
    return "1 few-shot row is" if n == 1 else f"{n:,} few-shot rows are"


def answer(found: "Explanation") -> list[str]:
    """Return where the errors are, what the rows have in common, and which column is needed there, in sentences."""
    region, n = found.by, found.n[found.by]
    mae, come = found.mae[region], found.mae[_COME]
    times = f", {mae / come:.1f} times the {number(come)} of rows as they come" if come > 0 else ""
    lines = [f"The MAE of the {n:,} {_shots(region)} rows is {number(mae)}{times}, in units of {found.target}."]
    if n < FEWEST_TO_SPEAK:
        lines.append(f"Too few to judge a region by: {counted(n, 'row')}; give a table with more of them.")
    worst = found.worst
    if worst is not None and worst.too_low:
        lines.append(
            f"{_few_shot(worst.n_too_low)} predicted too low; they have in common: {'; '.join(worst.too_low)}."
        )
    elif worst is not None and worst.n_too_low:
        lines.append(f"{_few_shot(worst.n_too_low)} predicted too low: too few, or no column sets them apart.")
    clear = [one for one in found.columns if (one.rise[region].low or 0) > 0]
    if clear:
        first = clear[0]
        lines.append(
            f"Of the columns, {first.column!r} matters most there: shuffled, the MAE rises by "
            f"{shown_rise(first.rise[region])}."
        )
    else:
        lines.append(
            "No column has a clear rise there: more columns, or more such rows, help more than another method."
        )
    return lines


def shap_answer(shap: "ShapValues") -> str:
    """Return which column moves the predictions of the rarest rows most, in a sentence."""
    first = shap.columns[0]
    return (
        f"The predictions of {_shots(shap.by)} rows are moved most by {first.column!r}: by "
        f"{shown_rise(first.size[shap.by])} on average, up or down (SHAP values)."
    )


def _shots(region: str) -> str:
    return "zero-shot" if region == "zero" else f"{region}-shot"
