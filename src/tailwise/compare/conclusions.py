"""Conclusions of a comparison, in plain sentences."""

from collections.abc import Sequence

from tailwise.compare.compared_scores import WHERE, where
from tailwise.compare.comparison import GridComparison
from tailwise.compare.open_questions import open_questions
from tailwise.compare.ranks import Ranking
from tailwise.compare.statistics import BETTER, NO_DIFFERENCE, WORSE
from tailwise.compare.table_comparison import TableComparison

_SUMMARISED = ("come", "many", "few")  # over several tables; the page has all scores
ONE_SPLIT = "One seed was run: nothing can be concluded. Use `seeds=5`."


def conclusions(comparison: GridComparison, *, undecided: bool = True) -> list[str]:
    """Return what can be concluded: which entries differ on one table, or on how many of several tables they do.

    One rule gives every verdict: better or worse where the paired t test over the splits has p below 5 %, corrected for
    splits that share rows and, by Holm's method, for all comparisons of the table; otherwise no difference.

    Args:
        comparison: comparison of entries with a reference.
        undecided: whether to add what more seeds would decide, of one table.
    """
    if comparison.splits == 1:
        return [ONE_SPLIT]
    if len(comparison.tables) == 1:
        folds = comparison.splits // comparison.seeds
        return of_table(comparison.tables[0], comparison.reference, folds=folds, undecided=undecided)
    return _over_tables(comparison)


def of_tables(comparison: GridComparison, *, undecided: bool = True) -> dict[str, list[str]]:
    """Return the conclusions on each of several tables; empty where :func:`conclusions` has nothing else to sum up.

    Args:
        comparison: comparison of entries with a reference.
        undecided: whether to add what more seeds would decide.
    """
    if comparison.splits == 1 or len(comparison.tables) == 1:
        return {}
    folds = comparison.splits // comparison.seeds
    return {
        table.table: of_table(table, comparison.reference, folds=folds, undecided=undecided)
        for table in comparison.tables
    }


def of_table(table: TableComparison, reference: str, *, folds: int = 1, undecided: bool = True) -> list[str]:
    """Return what one table shows.

    A sentence for each entry that differs from the reference in some region, one for all others, and one for each entry
    with differences that more seeds would decide, with their number and cost.

    Args:
        table: comparison on the table.
        reference: the reference.
        folds: splits of a seed.
        undecided: whether to add the sentences on what more seeds would decide.
    """
    sentences: list[str] = []
    alike: list[str] = []
    inconclusive: list[str] = []
    for name in dict.fromkeys(one.method for one in table.compared):
        compared = [one for one in table.compared if one.method == name]
        parts = [
            f"{verdict} {_join([where(one) for one in compared if one.verdict == verdict])}"
            for verdict in (BETTER, WORSE)
            if any(one.verdict == verdict for one in compared)
        ]
        if parts:
            sentences.append(f"{name} is {', and '.join(parts)}.")
        else:
            (alike if any(one.verdict == NO_DIFFERENCE for one in compared) else inconclusive).append(name)
    if alike:
        sentences.append(f"No difference from {reference} in any region: {_join(alike)}.")
    if inconclusive:
        sentences.append(_inconclusive(reference, inconclusive))
    return [*sentences, *(_open(table, reference, folds) if undecided else [])]


def _open(table: TableComparison, reference: str, folds: int) -> list[str]:
    """Return a sentence for each entry whose splits all agree on a difference that is not beyond chance yet."""
    sentences = []
    for one in open_questions(table, reference, folds=folds):
        n = one.compared[0].paired.n
        sentences.append(
            f"{one.method}: {n} of {n} splits {one.verdict} {_join([where(pair) for pair in one.compared])}, not yet "
            f"beyond chance. Use `seeds={one.seeds}` to decide it, about {one.cost} more of computing."
        )
    return sentences


def _inconclusive(reference: str, names: Sequence[str]) -> str:
    return f"Inconclusive against {reference} (too few splits, or splits that repeat each other): {_join(names)}."


def _over_tables(comparison: GridComparison) -> list[str]:
    """Return on how many tables each entry is better and worse, and whether mean ranks differ."""
    tallies = comparison.tallies()
    sentences: list[str] = []
    alike: list[str] = []
    inconclusive: list[str] = []
    for name in dict.fromkeys(name for by_entry in tallies.values() for name in by_entry):
        counts = {score: by_entry[name] for score, by_entry in tallies.items() if score in _SUMMARISED}
        better = [f"{WHERE[score]} on {one.wins}" for score, one in counts.items() if one.wins]
        worse = [f"{WHERE[score]} on {one.losses}" for score, one in counts.items() if one.losses]
        parts = [f"{verdict} {_join(regions)}" for verdict, regions in ((BETTER, better), (WORSE, worse)) if regions]
        if parts:
            sentences.append(f"{name}, of {len(comparison.tables)} tables: {'; '.join(parts)}.")
        else:
            (alike if any(one.ties for one in counts.values()) else inconclusive).append(name)
    if alike:
        sentences.append(
            f"No difference from {comparison.reference} on any table, as rows come, where training rows are "
            f"many or where they are few: {_join(alike)}."
        )
    if inconclusive:
        sentences.append(_inconclusive(comparison.reference, inconclusive))
    for score in ("come", "few"):
        ranking = comparison.ranking.get(score)
        if ranking is not None and ranking.p_value is not None:
            sentences.append(f"Mean ranks {WHERE[score]} {_ranks(ranking)}.")
    return sentences


def _ranks(ranking: Ranking) -> str:
    if not ranking.differ:
        return "do not differ more than by chance"
    if any(len(group) == len(ranking.mean_ranks) for group in ranking.groups):
        return "differ as a whole, but no two entries differ significantly"
    best, rank = next(iter(ranking.mean_ranks.items()))
    others = [name for group in ranking.groups if group[0] == best for name in group[1:]]
    alike = f", inconclusive against {_join(others)}" if others else ""
    return f"differ: {best} is first ({rank:.1f}){alike}"


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
