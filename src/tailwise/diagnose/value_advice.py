"""Advice on the values of the target: few different ones, rounding, heavy tails, heaps."""

from collections.abc import Iterator

import numpy as np

from tailwise._numbers import number
from tailwise.diagnose.facts import FEW_VALUES, Advice, Diagnosis, Spike
from tailwise.diagnose.heaps import MANY_SPIKES
from tailwise.experiment.commands import Commands
from tailwise.metrics.region_errors import LEAST_ZEROS

_HEAVY_REACH = 10.0
_CROWDED, _MOST_BINS = 0.1, 5_000


def few_values(diagnosis: Diagnosis, _: Commands) -> Iterator[Advice]:
    """Advise if the target is more like classes."""
    if diagnosis.target.distinct <= FEW_VALUES:
        yield Advice(
            f"the target has only {diagnosis.target.distinct} different values",
            "consider classification, or ordinal regression, first",
            "imbalanced regression uses the similarity of neighbouring values; so few have hardly any neighbours",
        )


def fine_bins(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise if bins are narrower than the rounding of the values."""
    step, width = diagnosis.rounding, _bin_width(diagnosis)
    if step is not None and step.step > 1.01 * width:
        yield Advice(
            f"{'all' if step.share == 1 else f'{step.share:.0%} of the'} values are multiples of {number(step.step)}, "
            f"but the bins are {number(width)} wide",
            f"make the bins {number(step.step)} wide",
            "if bins are narrower than the rounding, some are always empty, and rows look rarer than they are",
            (commands.again("--bin-width", f"{step.step:.7g}"),),
        )


def heavy_tails(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise on heavy tails."""
    target = diagnosis.target
    if target.reach is None or target.reach <= _HEAVY_REACH:
        return
    fullest = max(diagnosis.density.counts) / target.rows
    action = "check that the farthest values are real"
    logs: tuple[str, ...] = ()
    if target.log_skew is not None and abs(target.log_skew) < abs(target.skew) / 2:
        action += (
            f"; if relative errors matter more than absolute ones, train on log({target.name}), whose skew is "
            f"{target.log_skew:.1f} instead of {target.skew:.1f}; errors stay in units of {target.name}"
        )
        logs = (commands.train(None, "--transform", "log"),)
    width = None if fullest < _CROWDED else _narrower_bins(diagnosis)
    yield Advice(
        f"very heavy tails: the farthest value lies {target.reach:.0f} interquartile ranges beyond its quartile",
        action + ("" if width is None else "; or take narrower bins"),
        f"bins of equal width cover the whole range, so the fullest has {fullest:.0%} of the rows, and the errors of "
        "extreme values outweigh all others",
        logs + (() if width is None else (commands.again("--bin-width", f"{width:.10g}"),)),
    )


def _narrower_bins(diagnosis: Diagnosis) -> float | None:
    """Return a round width, a fifth of the present one or the rounding step; ``None`` with too many bins."""
    now = _bin_width(diagnosis)
    width = max(float(f"{now / 5:.1g}"), diagnosis.rounding.step if diagnosis.rounding else 0.0)
    too_many = (diagnosis.target.high - diagnosis.target.low) / width > _MOST_BINS
    return None if width >= now or too_many else width


def _bin_width(diagnosis: Diagnosis) -> float:
    return float(np.median(np.diff(diagnosis.density.edges)))


def codes(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise on numbers that may stand for missing values."""
    found = [spike for spike in diagnosis.spikes if spike.code]
    options = [part for spike in found for part in ("--missing", f"{diagnosis.target.name}={spike.value:.10g}")]
    for i, spike in enumerate(found):
        yield Advice(
            f"{spike.rows:,} rows ({spike.share:.1%}) have the value {spike.value:.10g}, unlike all others",
            "find out whether it stands for a missing value; if so, read it as missing and drop these rows",
            "a model learns to predict the code as if it had been measured; bins and figures include it too",
            (commands.again(*options, "--drop-missing-target"),) if i == 0 else (),
        )


def many_zeros(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise the default on a target with many zeros, none of them a limit for certain."""
    zero = _many_zeros(diagnosis)
    if zero is not None:
        yield Advice(
            f"many zeros: {zero.rows:,} rows ({zero.share:.0%}) have exactly 0, and none has less",
            "train the default: a stack learns the chance of 0 apart from the values above 0, unless they are counts; "
            "only if 0 stands for values below it that were cut off (censoring), give the limit: predictions can then "
            "lie below 0",
            "a 0 that was measured, such as no payment, is right as it is; one that was cut off means only that the "
            "true value is at most 0. See docs/how-to/many-zeros.md",
            (commands.train(), commands.train(None, "--censored-below", "0")),
        )


def _many_zeros(diagnosis: Diagnosis) -> Spike | None:
    """Return the heap of zeros at the low end, if at least a fifth of the rows are in it and 0 is no code."""
    zeros = (spike for spike in diagnosis.spikes if spike.value == 0 and spike.where == "low" and not spike.code)
    return next((spike for spike in zeros if spike.share >= LEAST_ZEROS), None)


def odd_values(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise on heaps at a limit or at a value inside."""
    heaps = [spike for spike in diagnosis.spikes if not spike.code]
    inside = [spike for spike in heaps if spike.where == "inside"]
    inside = [] if len(heaps) >= MANY_SPIKES and diagnosis.rounding is not None else inside  # it is about these
    for spike in heaps:
        if spike.where == "inside" or spike == _many_zeros(diagnosis):
            continue
        low = spike.where == "low"
        least, beyond = ("smallest", "below") if low else ("largest", "above")
        option = "--censored-below" if low else "--censored-above"
        yield Advice(
            f"{spike.rows:,} rows ({spike.share:.1%}) have exactly the {least} value, {number(spike.value)}, far more "
            "than the neighbouring values",
            "find out whether the instrument or a rule cuts off values there (censoring); if so, train with the limit: "
            "predictions can then lie beyond it, and those count as no error",
            f"a value at a limit means only that the true value is at or {beyond} it; other losses take it literally, "
            "and predictions near the limit are then biased",
            (commands.train(None, option, f"{spike.value:.10g}"),),
        )
    if inside:
        yield Advice(
            "single values have many more rows than their neighbours: "
            + ", ".join(f"{number(s.value)} ({s.share:.1%})" for s in inside[:4])
            + (" and more" if len(inside) > 4 else ""),
            "check that they are measurements, not defaults or placeholders",
            "a model learns to predict placeholders, which were never measured, and their bins count as crowded",
        )
