"""Advice on imbalance: whether and how strongly to re-weight, and the limits of weights."""

from collections.abc import Iterator

import numpy as np

from tailwise._numbers import number
from tailwise.diagnose.facts import FEW_VALUES, FEWEST, Advice, Contrast, Density, Diagnosis
from tailwise.experiment.commands import Commands

_EVEN = 0.9
_HEAVY_WEIGHT = 20.0  # largest weight above which methods warn
_WIDE_GAP = 0.05


def imbalance(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise what to train, by the errors of the quick model and by what weights changed of them."""
    default = commands.train()
    model = diagnosis.model
    contrast = None if model is None else model.contrast
    if _even(diagnosis):
        yield Advice(
            "the target is nearly balanced: all of its values have about as many rows",
            "train the default; re-weighting will hardly help",
            "square-root inverse weights would be almost equal: the effective sample size would be "
            f"{diagnosis.weighting('sqinv').share:.0%} of the rows",
            (default,),
        )
    elif contrast is None:
        yield Advice(
            f"the target is imbalanced: the fullest bin has {diagnosis.density.ratio:,.0f} times the rows of the "
            "sparsest",
            "train the default, and compare its errors by region with those of plain models in its report",
            "the errors of rare values were not measured"
            + (": too few rows are rare, or crowded" if model else " (no quick model)"),
            (default,),
        )
    elif contrast.low > 1:
        yield Advice(
            _contrast_words(diagnosis, contrast) + _bias_of(diagnosis, contrast.rare),
            "train the default, a stack with a dial between common and rare values, and look at its errors by region",
            "rare values have little weight in a mean loss, so predictions shrink towards common values. No method "
            "removes all of this error: extreme values are larger, and partly noise",
            (default,),
        )
    else:
        yield Advice(
            f"the target is imbalanced, without a clear effect on errors: {_contrast_words(diagnosis, contrast)}",
            "train the default and look at its errors by region",
            "if rare values are predicted as well as common ones, re-weighting only adds errors on common ones",
            (default,),
        )


def weights_tried(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Say what weights changed in a trial, and advise a weighted training where they lowered rare rows' errors."""
    trial = None if diagnosis.model is None else diagnosis.model.trial
    if trial is None or _even(diagnosis):
        return
    finding = (
        f"tried on the quick model, weights ({trial.method}) change {trial.rare}-shot errors by {trial.change:+.0f} % "
        f"({trial.low:+.0f} to {trial.high:+.0f}) and those of all rows by {trial.overall:+.0f} % "
        f"({trial.overall_low:+.0f} to {trial.overall_high:+.0f})"
    )
    if trial.high < 0:
        yield Advice(
            finding,
            "a weighted network may be worth training beside a plain one, if the common values may pay for it",
            "the dial of the default trades common for rare values without another training",
            (
                commands.train("vanilla", "--out", commands.vanilla),
                commands.train(_method(diagnosis), "--against", commands.vanilla),
            ),
        )
    else:
        yield Advice(
            finding,
            "leave re-weighting out",
            "it did not lower the errors of rare rows beyond chance",
        )


def _contrast_words(diagnosis: Diagnosis, contrast: Contrast) -> str:
    rare = diagnosis.error(contrast.rare)
    return (
        f"{contrast.rare}-shot errors ({rare.n if rare else 0:,} rows) are {contrast.ratio:.1f} times those of the "
        f"{contrast.crowd}-shot rows (95 % interval {contrast.low:.1f} to {contrast.high:.1f})"
    )


def _method(diagnosis: Diagnosis) -> str:
    """Return square-root inverse weights, smoothed unless smoothing would flatten them."""
    flat = _even(diagnosis, "sqinv+lds") and not _even(diagnosis)
    return "sqinv" if flat else "sqinv+lds"


def _even(diagnosis: Diagnosis, method: str = "sqinv") -> bool:
    """Return whether a weighting hardly changes the sample."""
    return diagnosis.weighting(method).share >= _EVEN


def _bias_of(diagnosis: Diagnosis, rare: str) -> str:
    """Return the direction of a region's errors as text, by end."""
    biases = []
    for end in ("low end", "high end"):
        error = diagnosis.error(f"{rare}, {end}")
        if error and error.n >= FEWEST and abs(error.bias) > error.mae / 2:
            biases.append(f"{_too(error.bias)} at the {end}")
    error = diagnosis.error(rare)
    if not biases and error and abs(error.bias) > error.mae / 2:
        biases.append(_too(error.bias))
    return f", and on average {' and '.join(biases)}" if biases else ""


def _too(bias: float) -> str:
    return f"{number(abs(bias))} too {'high' if bias > 0 else 'low'}"


def heavy_weights(diagnosis: Diagnosis, _: Commands) -> Iterator[Advice]:
    """Warn of stronger weights."""
    inverse, gentle = diagnosis.weighting("inv"), diagnosis.weighting(_method(diagnosis))
    if inverse.largest > _HEAVY_WEIGHT and not _even(diagnosis):
        yield Advice(
            f"plain inverse weights (inv) give the rarest rows {inverse.largest:,.0f} times the mean weight",
            f"prefer {gentle.method}, or reweight with a low power",
            f"effective sample size {inverse.effective_rows:,.0f} of {diagnosis.target.rows:,} rows with inv: a few "
            f"rows dominate training; {gentle.effective_rows:,.0f} with {gentle.method}, whose largest weight is "
            f"{gentle.largest:,.1f} times the mean",
        )


def empty_ranges(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise on wide ranges of the target without rows."""
    density = diagnosis.density
    if not density.empty or diagnosis.target.distinct <= FEW_VALUES:
        return
    widest = max(density.empty, key=lambda run: run.high - run.low)
    if widest.high - widest.low < _WIDE_GAP * (diagnosis.target.high - diagnosis.target.low):
        return
    stretch = _stretch_to_hide(density, widest.bins)
    if stretch is None:
        action, tries = "do not trust predictions there", []
    else:
        action = "mask a range that has rows, to measure how well a model interpolates"
        tries = [commands.train("vanilla", "--mask-target", f"{stretch[0]:.7g},{stretch[1]:.7g}")]
    yield Advice(
        f"{density.empty_share:.0%} of the target's range has no row; the widest empty range is "
        f"{number(widest.low)} to {number(widest.high)}",
        action,
        "weights have no effect on values without rows: predictions there are interpolation or extrapolation",
        tuple(tries),
    )


def _stretch_to_hide(density: Density, bins: int) -> tuple[float, float] | None:
    """Return the range with the fewest rows that is worth masking: as wide as the empty one, or 1/2, 1/4, ... of it.

    It has at most a fifth of the rows, and enough of them in each bin for test rows.
    """
    counts = np.array(density.counts)
    while 0 < bins < counts.size:
        windows = np.lib.stride_tricks.sliding_window_view(counts, bins)
        total = windows.sum(axis=1)
        fit = np.flatnonzero((windows.min(axis=1) >= FEWEST) & (total <= counts.sum() / 5))
        if fit.size:
            first = int(fit[np.argmin(total[fit])])
            return density.edges[first], density.edges[first + bins]
        bins //= 2
    return None


def no_relevance(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise if no value is extreme."""
    if diagnosis.relevance is None:
        target = diagnosis.target
        points = f"[{target.low:.7g},1],[{target.median:.7g},0],[{target.high:.7g},1]"
        apart = target.low < target.median < target.high
        half = target.reach is None
        why = "half of the values are equal" if half else "no value lies beyond the fences of a box plot"
        yield Advice(
            f"relevance is 0 everywhere: {why}",
            "use bins (sqinv, lds), or set the control points of relevance",
            "the loss sera, the metric SERA and resampling by relevance have no effect",
            (commands.train("sera", "--set", f"sera.points=[{points}]"),) if apart else (),
        )
