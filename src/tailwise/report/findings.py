"""Findings of a diagnosis as lines of text, for the terminal and the page."""

from collections.abc import Iterator

from tailwise._numbers import number
from tailwise.diagnose.facts import Diagnosis, Region

_SHOWN = 4
_END = {"low": ", the smallest value", "high": ", the largest value", "inside": ""}


def target_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield lines about the target's values and bins."""
    target, density = diagnosis.target, diagnosis.density
    missing = f", {target.missing:,} without a target left out" if target.missing else ""
    yield f"{target.rows:,} rows{missing}; {target.distinct:,} different values"
    yield (
        f"from {number(target.low)} to {number(target.high)}, mean {number(target.mean)}, "
        f"median {number(target.median)}, std {number(target.std)}, skew {target.skew:.2f}"
    )
    width = density.edges[1] - density.edges[0]
    yield f"{len(density.counts)} bins of width {number(width)}: {density.rule}"
    yield (
        f"imbalance ratio {density.ratio:,.0f} (rows of the fullest bin over those of the sparsest); "
        f"{_region(diagnosis, 'few').share:.1%} of the rows are few-shot"
    )


def _region(diagnosis: Diagnosis, name: str) -> Region:
    return next(region for region in diagnosis.density.regions if region.name == name)


def findings(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Yield the title and the line of each finding."""
    density, columns, relevance = diagnosis.density, diagnosis.columns, diagnosis.relevance
    if density.empty:
        widest = sorted(density.empty, key=lambda run: run.low - run.high)[:_SHOWN]
        which = ", ".join(f"{number(run.low)} to {number(run.high)}" for run in widest)
        yield "empty ranges", f"{len(density.empty)}, {density.empty_share:.0%} of the range; widest {which}"
    else:
        yield "empty ranges", "none"
    if relevance is None:
        yield "relevance", "0 everywhere: by the box-plot rule no value is extreme"
    else:
        points = ", ".join(f"{number(y)}: {phi:g}" for y, phi in zip(relevance.points, relevance.values, strict=True))
        ends = f"at least 0.8 for {relevance.low_rows:,} low and {relevance.high_rows:,} high rows"
        yield "relevance", f"{ends} (control points {points})"
    spikes = [f"{number(s.value)} ({s.share:.1%}{_END[s.where]})" for s in diagnosis.spikes[:_SHOWN]]
    more = f" and {len(diagnosis.spikes) - _SHOWN} more" if len(diagnosis.spikes) > _SHOWN else ""
    yield "spikes", ", ".join(spikes) + more if spikes else "no single value stands out with 1% of the rows or more"
    if diagnosis.rounding is not None:
        share = "all" if diagnosis.rounding.share == 1 else f"{diagnosis.rounding.share:.0%} of the"
        whole = "whole numbers" if diagnosis.rounding.step == 1 else f"multiples of {number(diagnosis.rounding.step)}"
        yield "rounding", f"{share} values are {whole}"
    same = diagnosis.duplicates
    yield "duplicates", f"{same.repeated:,} rows repeated; {same.contradicting:,} share features, not the target"
    kinds = ", ".join(f"{count} {kind}" for kind, count in columns.kinds.items())
    yield "columns", f"{columns.features} features ({kinds})"
    for title, names in (
        ("constant", columns.constant),
        ("identifiers", columns.identifiers),
        ("not used", [f"{name} ({reason})" for name, reason in columns.unused.items()]),
        ("leakage suspects", [f"{s.column} ({s.measure} {s.value:.3f})" for s in columns.suspects]),
    ):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield title, ", ".join(names[:_SHOWN]) + more
