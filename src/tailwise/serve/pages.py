"""The pages of the server as HTML text."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from tailwise.metrics.region_metrics import METRICS
from tailwise.report.against import HEADLINES
from tailwise.serve.beside import MOST_RUNS, Column
from tailwise.serve.chart_series import KINDS, Plot
from tailwise.serve.library import Page
from tailwise.serve.listing import ALL_REGIONS, Listing, Query, known, last
from tailwise.serve.run_charts import CURVES, dial_plot, error_plot, regions_plot, training_plot
from tailwise.serve.runs import Run
from tailwise.serve.runs_beside import differences
from tailwise.serve.templating import render

_LAST_EPOCHS = 12


def list_page(listing: Listing, total: int, pages: Sequence[Page], folder: str) -> str:
    """Return the list of runs and of other pages."""
    return render(
        "runs.html",
        title="Runs",
        folder=folder,
        listing=listing,
        total=total,
        pages=pages,
        regions=ALL_REGIONS,
        most=MOST_RUNS,
    )


def run_page(run: Run) -> str:
    """Return the page of a run: its training so far and its errors by region."""
    return render("run_page.html", title=run.id, **_of_run(run))


def live_part(run: Run) -> str:
    """Return the part of a run's page that changes while it trains."""
    return render("live.html", **_of_run(run))


def compare_page(columns: Sequence[Column], curve: str) -> str:
    """Return the comparison of runs with the first of them."""
    ids = [column.run.id for column in columns]
    plots = {kind: plot for kind in KINDS if (plot := compared_plot(kind, columns, curve)) is not None}
    return render(
        "beside.html",
        title="Runs beside each other",
        columns=columns,
        regions=list(dict.fromkeys(region for column in columns for region in column.errors)),
        headlines={key: words for key, words in HEADLINES.items() if any(key in one.headlines for one in columns)},
        plots=plots,
        svgs={kind: Markup(plot.svg()) for kind, plot in plots.items()},
        curves=CURVES,
        curve=curve,
        ids=ids,
        settings=differences([column.run for column in columns]),
        others=[column.name for column in columns if column.run.target != columns[0].run.target],
        first_instead={name: [name, *(other for other in ids if other != name)] for name in ids},
    )


def compared_plot(kind: str, columns: Sequence[Column], curve: str) -> Plot | None:
    """Return a chart of a comparison, over the runs with the target of the first one."""
    alike = [column for column in columns if column.run.target == columns[0].run.target]
    if kind == "regions":
        return regions_plot(alike)
    if kind == "dial":
        return dial_plot(alike)
    return error_plot(alike) if kind == "error" else training_plot({one.name: one.run for one in alike}, curve)


def message_page(title: str, message: str) -> str:
    """Return a page with an error message and a link back."""
    return render("message.html", title=title, message=message)


def curve_of(query: Query) -> str:
    """Return the region of the training curves of several runs.

    Raises:
        InputError: an unknown region.
    """
    return known(last(query, "curve") or "mae", "curve", tuple(CURVES))


def _of_run(run: Run) -> dict[str, Any]:
    plot = training_plot({run.label: run}, "mae") if run.epochs else None
    last = run.history[-1] if run.history else {}
    of = last.get("of")
    stage = [line for line in run.history if line.get("stage") == last.get("stage")]
    validation = [errors if isinstance(errors := line.get("validation"), dict) else {} for line in run.history]
    return {
        "run": run,
        "plot": plot,
        "svg": Markup(plot.svg()) if plot is not None and len(run.history) > 1 else None,
        "done": len(stage),
        "of": of if isinstance(of, int) and of > 0 else None,
        "stages": isinstance(last.get("stage"), int) and last["stage"] > 0,
        "last": list(zip(range(1, run.epochs + 1), run.history, validation, strict=True))[-_LAST_EPOCHS:][::-1],
        "regions": [region for region in run.metrics if run.rows(region)],
        "metrics": {name: about for name, about in METRICS.items() if name != "sera"},
        "curves": {key: name for key, name in CURVES.items() if any(key in errors for errors in validation)},
    }
