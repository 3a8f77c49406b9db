"""How large a share of its rows a split tests: what two splits of one table have in common."""

from typing import TYPE_CHECKING

import numpy as np

from tailwise.labels.shots import REGIONS

if TYPE_CHECKING:
    from tailwise.data.task import Task

_MOST = 1 / 3


def shares_tested(table: "Task") -> dict[str, float]:
    """By score of a comparison the share of its rows that another split of the same kind tests again.

    A random split, or folds, test the same share of all rows. The balanced split tests up to a third of a sparse bin
    and far less of a crowded one: a mean over test rows then has the mean of their bins' shares, and the mean over bins
    gives each bin's share the weight that its own mean has in the variance, one over its test rows.

    Args:
        table: a prepared table.

    Returns:
        Of ``all``, ``many``, ``medium``, ``few`` and ``balanced`` those that have test rows.
    """
    test = table.part == "test"
    bins = table.shots.bins
    index, codes = bins.index(table.y), table.shots.codes(table.y)
    tested = np.bincount(index[test], minlength=bins.n_bins)
    share = np.full(bins.n_bins, test.mean())
    if table.split == "balanced":  # its bins are those of all rows, which may differ a little from these
        share = np.minimum(tested / np.maximum(np.bincount(index, minlength=bins.n_bins), 1), _MOST)
    of_row = share[index]
    found = {"all": float(of_row[test].mean())}
    for code, region in enumerate(REGIONS[:3]):
        here = test & (codes == code)
        if here.any():
            found[region] = float(of_row[here].mean())
    there = tested > 0
    found["balanced"] = float(np.average(share[there], weights=1 / tested[there]))
    return found
