"""Charts of a search: scores in the order of the trials, and scores against the overall error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from tailwise._numbers import number
from tailwise.report.drawing import INK, OTHER, OURS, drawing, short

_WORDS = 90  # characters of the settings beside a point


@dataclass(frozen=True)
class ShownTrial:
    """A trial as the page shows it.

    Args:
        number: number of the trial, from 0.
        words: method, parameters, encoder and learning rate in a line.
        state: ``"complete"``, ``"pruned"`` or ``"failed"``.
        score: the error that is minimised, on held-out rows; ``None`` of a failed trial.
        overall: MAE over all held-out rows, target units.
        allowed: whether the overall MAE is within the limit.
        failed: error of a failed trial.
    """

    number: int
    words: str
    state: str
    score: float | None
    overall: float | None
    allowed: bool
    failed: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it could be the best: complete and within the limit."""
        return self.state == "complete" and self.allowed

    @property
    def about(self) -> str:
        """Its state in words."""
        if self.state != "complete":
            return self.state
        return "complete" if self.allowed else "beyond the limit"


def score_chart(trials: Sequence[ShownTrial], vanilla: float, what: str, target: str, *, plain: str = "vanilla") -> str:
    """Draw the score of each trial in the order of the trials, with the best so far and vanilla's.

    Args:
        trials: the trials.
        vanilla: score of vanilla.
        what: name of the error that is minimised.
        target: target column.
        plain: method that trials are compared with.
    """
    scored = [(trial, trial.score) for trial in trials if trial.score is not None]
    alt = f"{what} of {len(scored)} trials on held-out rows, and the lowest so far; {plain}: {number(vanilla)}."
    with drawing(alt, 5.6, 3.6, near="xy") as drawn:
        axes, best, steps = drawn.axes, vanilla, []
        for trial, score in scored:
            best = min(best, score) if trial.counts else best
            steps.append(best)
            axes.scatter([trial.number], [score], zorder=3, **_mark(trial.counts))
            words = f"trial {trial.number}, {trial.about}: {number(score)}. {short(trial.words, _WORDS)}"
            drawn.tell(trial.number, score, words)
        axes.axhline(vanilla, color=INK, linewidth=1.0, linestyle=":", label=plain)
        places = [trial.number for trial, _ in scored]
        axes.step(places, steps, where="post", color=OURS, linewidth=1.6, label="lowest so far within the limit")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.set_xlabel("trial")
        drawn.title(f"{what} ({target})")
        drawn.legend()
    return drawn.svg


def limit_chart(
    trials: Sequence[ShownTrial],
    best: int | None,
    vanilla: tuple[float, float],
    limit: float | None,
    what: str,
    target: str,
    *,
    plain: str = "vanilla",
) -> str:
    """Draw the score of each complete trial against its overall error, with the limit of the latter.

    Args:
        trials: the trials.
        best: number of the best trial.
        vanilla: overall error and score of vanilla.
        limit: largest overall error that is allowed; ``None`` for no limit.
        what: name of the error that is minimised.
        target: target column.
        plain: method that trials are compared with.
    """
    shown = [
        (trial, trial.overall, trial.score)
        for trial in trials
        if trial.state == "complete" and trial.overall is not None and trial.score is not None
    ]
    alt = f"{what} against the MAE over all held-out rows, of {len(shown)} complete trials and of {plain}."
    with drawing(alt, 5.6, 3.6, grid="both", near="xy") as drawn:
        axes = drawn.axes
        axes.scatter(*([value] for value in vanilla), s=42, color=INK, marker="D", zorder=3)
        drawn.tell(*vanilla, f"{plain}: {what} {number(vanilla[1])}, MAE over all {number(vanilla[0])}")
        for trial, overall, score in shown:
            axes.scatter([overall], [score], zorder=4, **_mark(trial.allowed, 90 if trial.number == best else 24))
            errors = f"{what} {number(score)}, MAE over all {number(overall)}"
            drawn.tell(overall, score, f"trial {trial.number}: {errors}. {short(trial.words, _WORDS)}")
        if limit is not None:
            axes.axvline(limit, color=INK, linewidth=1.0, linestyle="--", label="limit of the MAE over all rows")
            drawn.legend()
        axes.margins(0.1)
        axes.set_xlabel(short(f"MAE over all held-out rows ({target})", 60))
        drawn.title(f"{what} ({target})")
    return drawn.svg


def _mark(filled: bool, size: int = 24) -> dict[str, Any]:
    """Return the looks of a point: hollow for a trial that does not count."""
    color = OURS if filled else OTHER
    return {"s": size, "facecolors": color if filled else "none", "edgecolors": color}
