"""Differences that a comparison could not decide, and what deciding them would cost."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tailwise.compare.statistics import BETTER, WORSE, Compared

if TYPE_CHECKING:
    from tailwise.compare.table_comparison import TableComparison


@dataclass(frozen=True)
class OpenQuestion:
    """An entry whose splits all agree on a difference that is not beyond chance yet.

    Args:
        method: name of the entry.
        verdict: what all splits say, ``"better"`` or ``"worse"``.
        compared: the comparisons with the reference, one a score.
        seeds: number of seeds that would decide it, with a chance of 80 %.
        seconds: of computing that these seeds need beyond what is there.
    """

    method: str
    verdict: str
    compared: tuple[Compared, ...]
    seeds: int
    seconds: float

    @property
    def cost(self) -> str:
        """The computing in words."""
        if self.seconds < 100:
            return f"{math.ceil(self.seconds)} seconds"
        return f"{math.ceil(self.seconds / 60)} minutes"


def open_questions(table: "TableComparison", reference: str, *, folds: int = 1) -> list[OpenQuestion]:
    """Return what more seeds would decide, entry by entry.

    Args:
        table: comparison on a table.
        reference: the reference.
        folds: splits of a seed.
    """
    questions = []
    for name in dict.fromkeys(one.method for one in table.compared):
        pairs = [one for one in table.compared if one.method == name and one.needed is not None]
        for word in (BETTER, WORSE):
            agreed = tuple(one for one in pairs if one.paired.lower_in == (one.paired.n if word == BETTER else 0))
            if agreed:
                n, needed = agreed[0].paired.n, max(one.needed or 0 for one in agreed)
                seeds = math.ceil(needed / folds)
                seconds = (seeds * folds - n) * (table.seconds[name] + table.seconds[reference]) / n
                questions.append(OpenQuestion(name, word, agreed, seeds, seconds))
    return questions
