"""The page of a search: the best settings and their command first, then all trials."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tailwise._numbers import number
from tailwise.report.rendering import render
from tailwise.report.trial_charts import ShownTrial, limit_chart, score_chart

if TYPE_CHECKING:
    from tailwise.search.outcome import Outcome

_NAMES = {"mae": "MAE over all rows", "bmae": "bMAE"}


def tune_page(
    trials: Sequence[ShownTrial],
    outcome: "Outcome",
    *,
    best: int | None,
    command: str,
    vanilla: Mapping[str, float],
    minimise: str,
    within: float | None,
    target: str,
    title: str,
    seeds: int,
    plain: str = "vanilla",
) -> str:
    """Return the page of a search as HTML text.

    Args:
        trials: all trials that ended, in order.
        outcome: test errors of the best settings and of vanilla.
        best: number of the best trial; ``None`` where no trial is better than vanilla.
        command: command that trains the best settings.
        vanilla: validation errors of vanilla.
        minimise: the error that is minimised.
        within: by what fraction the overall MAE may exceed vanilla's; ``None`` for no limit.
        target: target column.
        title: title of the page.
        seeds: number of trainings of the best and of vanilla that were tested.
        plain: method in place of vanilla, where labels are censored.
    """
    what = _NAMES.get(minimise, f"{minimise}-shot MAE")
    limit = None if within is None else vanilla["mae"] * (1 + within)
    scored = sorted((trial for trial in trials if trial.score is not None), key=_by_rank)
    charts: dict[str, Any] = {}
    if scored:
        charts["scores"] = Markup(score_chart(trials, vanilla[minimise], what, target, plain=plain))
        corner = (vanilla["mae"], vanilla[minimise])
        limits = None if minimise == "mae" else limit_chart(trials, best, corner, limit, what, target, plain=plain)
        charts["limit"] = None if limits is None else Markup(limits)
    return render(
        "tune.html",
        title=title,
        answer=_answer(outcome, best, what, minimise, target, plain),
        command=command,
        trials=scored,
        failed=[trial for trial in trials if trial.score is None],
        best=best,
        outcome=outcome,
        charts=charts,
        what=what,
        vanilla=vanilla,
        minimise=minimise,
        limit=limit,
        target=target,
        seeds=seeds,
        plain=plain,
        counts={state: sum(trial.state == state for trial in trials) for state in ("complete", "pruned", "failed")},
    )


def _by_rank(trial: ShownTrial) -> tuple[bool, float, int]:
    return not trial.counts, trial.score or 0.0, trial.number


def _answer(outcome: "Outcome", best: int | None, what: str, minimise: str, target: str, plain: str) -> list[str]:
    """Return what the search gained on the test rows, in sentences."""
    if best is None:
        return [f"No trial is better than {plain} within the limit: keep {plain}."]
    if minimise == "bmae":
        ours, theirs = outcome.bmae
        lines = [f"{what} on the test rows: {number(ours)} against {plain}'s {number(theirs)}, in units of {target}."]
    else:
        lines = _change(outcome, "all" if minimise == "mae" else minimise, what, plain)
    return lines + ([] if minimise == "mae" else _change(outcome, "all", _NAMES["mae"], plain))


def _change(outcome: "Outcome", region: str, what: str, plain: str) -> list[str]:
    """Return how the error of a region changed; nothing of a region without test rows."""
    if region not in outcome.regions:
        return []
    one = outcome.regions[region]
    size = "" if one.percent is None else f" ({one.percent:+.1f} %)"
    verdict = ("better" if one.change.value < 0 else "worse") if one.differs else "no difference"
    return [f"{what} on the test rows: {number(one.ours)} against {plain}'s {number(one.vanilla)}{size}: {verdict}."]
