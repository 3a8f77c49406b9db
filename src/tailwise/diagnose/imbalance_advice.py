"""Advice on the imbalance itself: whether to re-weight, how strongly, and what weights cannot do."""

from collections.abc import Iterator

import numpy as np

from tailwise._numbers import number
from tailwise.diagnose.commands import Commands
from tailwise.diagnose.facts import FEW_VALUES, FEWEST, Advice, Contrast, Density, Diagnosis

_EVEN = 0.9
_HEAVY_WEIGHT = 20.0  # methods that weigh more than this warn
_WIDE_GAP = 0.05


def imbalance(found: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Whether to re-weight, by what the weights would do and by where a model errs."""
    plain = commands.train("vanilla", "--out", commands.vanilla)
    method = _method(found)
    pair = (plain, commands.train(method, "--against", commands.vanilla))
    contrast = None if found.model is None else found.model.contrast
    if _even(found):
        yield Advice(
            "the target is nearly balanced: all of its values have about as many rows",
            "train the plain network; re-weighting will hardly help",
            "square-root inverse weights would be almost the same for every row: "
            f"{found.weighting('sqinv').share:.0%} of the sample would remain effective",
            (plain,),
        )
    elif contrast is None:
        yield Advice(
            f"the target is imbalanced: the fullest bin has {found.density.ratio:,.0f} times the rows of the sparsest",
            "train the plain network and a re-weighted one, and compare their errors by region",
            "whether the rare values suffer was not measured"
            + (": too few rows are rare, or crowded" if found.model else " (no quick model)"),
            pair,
        )
    elif contrast.low > 1:
        yield Advice(
            _told(found, contrast) + _bias_of(found, contrast.rare),
            f"train the plain network, then one with square-root inverse weights ({method}) beside it",
            "rare values count little in an average loss, so predictions shrink towards the crowd. Part of that no "
            "method removes: values far out are larger, and partly chance. Expect the crowd's errors to rise in "
            "return, and keep the weights only if the exchange is worth it to you",
            pair,
        )
    else:
        yield Advice(
            f"the target is imbalanced, but no harm shows: {_told(found, contrast)}",
            "train the plain network and look at its errors by region first",
            "where rare values are predicted as well as common ones, re-weighting only costs the common ones",
            (plain,),
        )


def _told(found: Diagnosis, contrast: Contrast) -> str:
    rare = found.error(contrast.rare)
    return (
        f"{contrast.rare}-shot errors ({rare.n if rare else 0:,} rows) are {contrast.ratio:.1f} times those of the "
        f"{contrast.crowd}-shot rows (95 % interval {contrast.low:.1f} to {contrast.high:.1f})"
    )


def _method(found: Diagnosis) -> str:
    """Square-root inverse weights, smoothed unless so few bins would be smoothed flat."""
    flat = _even(found, "sqinv+lds") and not _even(found)
    return "sqinv" if flat else "sqinv+lds"


def _even(found: Diagnosis, method: str = "sqinv") -> bool:
    """Whether a weighting hardly changes the sample."""
    return found.weighting(method).share >= _EVEN


def _bias_of(found: Diagnosis, rare: str) -> str:
    """In which direction a region is missed, end by end."""
    said = []
    for end in ("low end", "high end"):
        error = found.error(f"{rare}, {end}")
        if error and error.n >= FEWEST and abs(error.bias) > error.mae / 2:
            said.append(f"{_too(error.bias)} at the {end}")
    error = found.error(rare)
    if not said and error and abs(error.bias) > error.mae / 2:
        said.append(_too(error.bias))
    return f", and on average {' and '.join(said)}" if said else ""


def _too(bias: float) -> str:
    return f"{number(abs(bias))} too {'high' if bias > 0 else 'low'}"


def heavy_weights(found: Diagnosis, _: Commands) -> Iterator[Advice]:
    """What stronger weights would do."""
    inverse, gentle = found.weighting("inv"), found.weighting(_method(found))
    if inverse.largest > _HEAVY_WEIGHT and not _even(found):
        yield Advice(
            f"plain inverse weights (inv) give the rarest rows {inverse.largest:,.0f} times the mean weight",
            f"prefer {gentle.method}, or reweight with a low power",
            f"inv leaves an effective {inverse.effective_rows:,.0f} of {found.target.rows:,} rows: a few rows decide "
            f"most of the training; {gentle.method} leaves {gentle.effective_rows:,.0f} with a largest weight of "
            f"{gentle.largest:,.1f}",
        )


def empty_ranges(found: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Where the target has wide ranges without rows."""
    density = found.density
    if not density.empty or found.target.distinct <= FEW_VALUES:
        return
    widest = max(density.empty, key=lambda run: run.high - run.low)
    if widest.high - widest.low < _WIDE_GAP * (found.target.high - found.target.low):
        return
    method, action = _method(found), "try a regularizer that puts features in the order of the target"
    tries = [commands.train(f"{method}+ranksim")]
    if (there := _stretch_to_hide(density, widest.bins)) is not None:
        action += "; hide a stretch that has rows to see how well a model interpolates"
        tries.append(commands.train(method, "--mask-target", f"{there[0]:.7g},{there[1]:.7g}"))
    yield Advice(
        f"{density.empty_share:.0%} of the target's range has no row; the widest empty stretch runs from "
        f"{number(widest.low)} to {number(widest.high)}",
        action,
        "weights cannot serve values without rows: what a model says there is interpolation or extrapolation",
        tuple(tries),
    )


def _stretch_to_hide(density: Density, bins: int) -> tuple[float, float] | None:
    """The stretch with the fewest rows that is worth hiding: as long as the empty one, or a half, a quarter ... of it.

    It holds a fifth of the rows at most, and enough in each bin for test rows.
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


def no_relevance(found: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Where no value is extreme."""
    if found.relevance is None:
        target = found.target
        points = f"[{target.low:.7g},1],[{target.median:.7g},0],[{target.high:.7g},1]"
        apart = target.low < target.median < target.high
        half = target.reach is None
        why = "half of the values are equal" if half else "no value lies beyond the fences of a box plot"
        yield Advice(
            f"relevance is 0 everywhere: {why}",
            "work with bins (sqinv, lds), or say yourself which values matter",
            "the loss sera, the metric SERA and resampling by relevance have nothing to prefer",
            (commands.train("sera", "--set", f"sera.points=[{points}]"),) if apart else (),
        )
