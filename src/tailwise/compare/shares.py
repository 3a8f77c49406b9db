"""Fraction of the rows that a split tests, which is what two splits of one table have in common."""

from typing import TYPE_CHECKING

import numpy as np

from tailwise.labels.shots import REGIONS

if TYPE_CHECKING:
    from tailwise.data.task import Task

_MAXIMUM = 1 / 3
_SAME_ROWS = 1 / 2


def shares_tested(table: "Task", *, again: bool = False) -> dict[str, float]:
    """Return, by score of a comparison, the fraction of its rows that another split of the same kind tests again.

    Random splits and folds test the same fraction of all rows. The balanced split tests up to a third of a sparse bin
    and a much smaller fraction of a crowded one: a mean over test rows then has the mean of their bins' fractions, and
    a mean over bins weights each bin's fraction by the variance of that bin's mean, one over its number of test rows.

    Where every split tests the same rows, a mean over splits has the variance of one test part whole: 1/2 stands for
    them, with which the corrected t test takes s² (1/n + 1).

    Args:
        table: a prepared table.
        again: whether other splits test the same rows, as a column or a table of test rows says.

    Returns:
        Fractions of ``all``, ``come`` (bins by how many rows they have), ``evenly`` (all bins alike), ``many``,
        ``medium`` and ``few``, without those that have no test rows.
    """
    test = table.part == "test"
    bins = table.shots.bins
    index, codes = bins.index(table.y), table.shots.codes(table.y)
    tested = np.bincount(index[test], minlength=bins.n_bins)
    by_bin = np.full(bins.n_bins, test.mean())
    if table.split == "balanced":  # stratified by bins of all rows, which may differ slightly from these
        by_bin = np.minimum(tested / np.maximum(np.bincount(index, minlength=bins.n_bins), 1), _MAXIMUM)
    by_bin = np.full(bins.n_bins, _SAME_ROWS) if again else by_bin
    by_row = by_bin[index]
    fractions = {"all": float(by_row[test].mean())}
    for code, region in enumerate(REGIONS[:3]):
        in_region = test & (codes == code)
        if in_region.any():
            fractions[region] = float(by_row[in_region].mean())
    has_rows = tested > 0
    fractions["evenly"] = float(np.average(by_bin[has_rows], weights=1 / tested[has_rows]))
    squares = np.square(table.shots.population[has_rows] / table.shots.population.sum()) / tested[has_rows]
    fractions["come"] = float(np.average(by_bin[has_rows], weights=squares)) if squares.any() else fractions["all"]
    return fractions
