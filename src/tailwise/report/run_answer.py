"""The answer at the top of a run's page: how errors differ from another model's, and how far off rare values are."""

from collections.abc import Mapping
from dataclasses import dataclass

from tailwise._numbers import counted, number
from tailwise.experiment.leaderboard import Leaderboard
from tailwise.metrics.region_metrics import RegionMetrics
from tailwise.report.against import FEWEST_TO_SPEAK, HEADLINES, Comparison


@dataclass(frozen=True)
class Answer:
    """The first sentences of a page.

    Args:
        changes: how errors differ from the other model's, each with the rows that it is about.
        rare: sentences about rare values.
        out_of_fold: how errors of a stack differ from those of plain LightGBM out of fold; empty of other models.
    """

    changes: tuple[tuple[Comparison, str], ...]
    rare: tuple[str, ...]
    out_of_fold: str = ""


def answer(
    regions: Mapping[str, RegionMetrics],
    target: str,
    changes: Mapping[str, Comparison],
    others: Mapping[str, RegionMetrics],
    other_name: str,
    leaderboard: Leaderboard | None = None,
) -> Answer:
    """Return the answer of a run: both headlines and the rarest region with at least ten test rows.

    Args:
        regions: metrics of the run by region.
        target: name of the target.
        changes: comparison with the other model, by region and headline; empty without one.
        others: metrics of the other model by region; empty without one.
        other_name: name of the other model.
        leaderboard: out-of-fold errors of a stack and its experts.
    """
    rare = _rarest(regions)
    words = HEADLINES | ({} if rare is None else {rare: f"where training rows are {rare}"})
    return Answer(
        tuple((changes[name], where) for name, where in words.items() if name in changes),
        (*too_few(regions), *_about_rare(regions, rare, target, others, other_name)),
        "" if leaderboard is None else leaderboard.against("lightgbm"),
    )


def _rarest(regions: Mapping[str, RegionMetrics]) -> str | None:
    return next((name for name in ("few", "zero", "medium") if _speaks(regions, name)), None)


def too_few(regions: Mapping[str, RegionMetrics]) -> list[str]:
    """Return a sentence about each region whose test rows are too few for a verdict; none of regions without rows."""
    return [
        f"{name.capitalize()}-shot: only {counted(regions[name].n, 'test row')}, no verdict."
        for name in ("many", "medium", "few")
        if name in regions and 0 < regions[name].n < FEWEST_TO_SPEAK
    ]


def _about_rare(
    regions: Mapping[str, RegionMetrics],
    rare: str | None,
    target: str,
    others: Mapping[str, RegionMetrics],
    other_name: str,
) -> list[str]:
    if rare is None or not _speaks(regions, "many"):
        return []
    ratio = regions[rare].metrics["mae"].value / max(regions["many"].metrics["mae"].value, 1e-300)
    times = f"Where training rows are {rare}, errors are {ratio:.1f} times those where they are many"
    side = _side(regions[rare])
    if side is None:
        return [f"{times}."]
    beside = _side(others[rare]) if rare in others else None
    theirs = "" if beside is None else f" ({other_name}: {beside.removeprefix('on average ')})"
    return [f"{times}, and predictions of {target} are {side}{theirs}."]


def _side(region: RegionMetrics) -> str | None:
    """Return how far predictions are off on average, in words; ``None`` of several targets."""
    bias = region.metrics.get("bias")
    if bias is None:
        return None
    if not bias.excludes_zero:
        return "not clearly too high or low"
    return f"on average {number(abs(bias.value))} too {'low' if bias.value < 0 else 'high'}"


def _speaks(regions: Mapping[str, RegionMetrics], name: str) -> bool:
    return name in regions and regions[name].n >= FEWEST_TO_SPEAK
