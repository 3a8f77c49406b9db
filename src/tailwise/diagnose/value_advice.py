"""Advice on the target's values: few of them, rounded, far out, or heaped on one."""

from collections.abc import Iterator

import numpy as np

from tailwise._numbers import number
from tailwise.diagnose.commands import Commands
from tailwise.diagnose.facts import FEW_VALUES, Advice, Diagnosis

_HEAVY_REACH = 10.0
_CROWDED, _MOST_BINS = 0.1, 5_000


def few_values(found: Diagnosis, _: Commands) -> Iterator[Advice]:
    """Where the target is more like classes."""
    if found.target.distinct <= FEW_VALUES:
        yield Advice(
            f"the target has only {found.target.distinct} different values",
            "consider classification, or ordinal regression, first",
            "imbalanced regression gains from neighbouring values that resemble each other; so few values have hardly "
            "any neighbours",
        )


def fine_bins(found: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Where bins are narrower than the values are rounded."""
    step, width = found.rounding, _bin_width(found)
    if step is not None and step.step > 1.01 * width:
        yield Advice(
            f"{'all' if step.share == 1 else f'{step.share:.0%} of the'} values are multiples of {number(step.step)}, "
            f"but the bins are {number(width)} wide",
            f"make the bins {number(step.step)} wide",
            "bins narrower than the rounding are empty by turns, and rows look rarer than they are",
            (commands.again("--bin-width", f"{step.step:.7g}"),),
        )


def heavy_tails(found: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Where a few values lie very far out."""
    target = found.target
    if target.reach is None or target.reach <= _HEAVY_REACH:
        return
    fullest = max(found.density.counts) / target.rows
    action = "check that the farthest values are real"
    if target.log_skew is not None and abs(target.log_skew) < abs(target.skew) / 2:
        action += (
            f"; if a miss of 10 % matters alike everywhere, train on log({target.name}), whose skew is "
            f"{target.log_skew:.1f} instead of {target.skew:.1f}"
        )
    width = None if fullest < _CROWDED else _narrower_bins(found)
    yield Advice(
        f"very heavy tails: the farthest value lies {target.reach:.0f} interquartile ranges beyond its quartile",
        action + ("" if width is None else "; or take narrower bins"),
        f"bins of equal width follow the range, so the fullest holds {fullest:.0%} of the rows, and errors far out "
        "outweigh all others",
        () if width is None else (commands.again("--bin-width", f"{width:.10g}"),),
    )


def _narrower_bins(found: Diagnosis) -> float | None:
    """A round width that cuts the fullest bin in five or fewer, not below the rounding, if the range allows it."""
    now = _bin_width(found)
    width = max(float(f"{now / 5:.1g}"), found.rounding.step if found.rounding else 0.0)
    too_many = (found.target.high - found.target.low) / width > _MOST_BINS
    return None if width >= now or too_many else width


def _bin_width(found: Diagnosis) -> float:
    return float(np.median(np.diff(found.density.edges)))


def odd_values(found: Diagnosis, _: Commands) -> Iterator[Advice]:
    """Where rows heap on a limit, or on a value inside."""
    inside = [spike for spike in found.spikes if spike.where == "inside"]
    for spike in found.spikes:
        if spike.where == "inside":
            continue
        least, beyond = ("smallest", "below") if spike.where == "low" else ("largest", "above")
        yield Advice(
            f"{spike.rows:,} rows ({spike.share:.1%}) have exactly the {least} value, {number(spike.value)}, far more "
            "than the values beside it",
            "find out whether the instrument or a rule cuts off there (censoring); if so, model whether a row is at "
            "the limit apart from its size, and read the errors without those rows too",
            f"a value at a limit says only that the truth is {beyond} it; a loss takes it literally",
        )
    if inside:
        yield Advice(
            "single values hold many rows while those beside them do not: "
            + ", ".join(f"{number(s.value)} ({s.share:.1%})" for s in inside[:4])
            + (" and more" if len(inside) > 4 else ""),
            "check that they are measurements, not defaults or placeholders",
            "a placeholder teaches the model a value that nobody measured, and its bin counts as crowded",
        )
