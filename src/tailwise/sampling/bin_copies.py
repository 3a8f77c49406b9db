"""Number of copies of the rows of each bin of the target: the rarer a bin, the more copies."""

import reprlib

import numpy as np

from tailwise._checks import InputError
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.sampling.mixed_table import Floats, Rows


def rows_by_bin(
    labels: Floats, rng: np.random.Generator, *, power: float, most: float, bins: Bins | None, density: LDS | None
) -> Rows:
    """Return all rows and then copies of them, so that bin b has n_b min((p_max / p_b)^power, most) rows.

    n_b is the number of rows of a bin and p_b its density: n_b itself, or the smoothed one. Every row of a bin is
    copied equally often; the remainder is drawn at random.

    Args:
        labels: ``(n,)`` targets.
        rng: of the remainder.
        power: above 0.
        most: at least 1.
        bins: bins of the target; ``Bins.auto(labels)`` if not given.
        density: smooths the counts over neighbouring bins.

    Raises:
        InputError: bins or a density of another type, constant targets without bins given.

    Example:
        >>> labels = np.r_[np.zeros(4), 10.0]
        >>> bins = Bins.from_edges([-5, 5, 15])
        >>> rows_by_bin(labels, np.random.default_rng(0), power=1.0, most=3.0, bins=bins, density=None).tolist()
        [0, 1, 2, 3, 4, 4, 4]
    """
    if not isinstance(bins, Bins | None):
        raise InputError(
            f"bins must be a Bins or None, got {reprlib.repr(bins)}; write Bins.count(y, 10) or Bins.from_edges([...])"
        )
    if not isinstance(density, LDS | None):
        raise InputError(f"density must be an LDS(...) or None, got {density!r}")
    bins = Bins.auto(labels) if bins is None else bins
    index = bins.index(labels)
    counts = np.bincount(index, minlength=bins.n_bins)
    has_rows = counts > 0
    effective = counts.astype(np.float64) ** power if density is None else density.effective(counts, power=power)
    factor = np.ones(bins.n_bins)
    np.divide(effective[has_rows].max(), effective, out=factor, where=has_rows)
    extra = np.rint(np.minimum(factor, most) * counts).astype(np.int64) - counts
    rounds, remainder = np.divmod(extra, np.maximum(counts, 1))
    # The remainder of a bin goes to its first rows in a random order.
    order = rng.permutation(labels.size)
    by_bin = order[np.argsort(index[order], kind="stable")]
    rank_in_bin = np.arange(labels.size) - np.repeat(np.cumsum(counts) - counts, counts)
    copies = np.empty(labels.size, dtype=np.int64)
    copies[by_bin] = rounds[index[by_bin]] + (rank_in_bin < remainder[index[by_bin]])
    rows = np.arange(labels.size)
    return np.concatenate([rows, np.repeat(rows, copies)])
