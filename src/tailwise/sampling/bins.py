"""Over-sampling by bins of the target: the rarer a bin, the more copies of its rows."""

import reprlib
from typing import Any

import numpy as np

from tailwise._checks import InputError, positive
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.sampling.resampler import Drawn, Resampler, resampler_part
from tailwise.sampling.table import Floats


class BinOverSampler(Resampler):
    """Copies of rows in rare bins of the target: n_b (p_max / p_b)^power rows wanted of each bin, no row is lost.

    n_b is the number of rows of a bin and p_b its density: n_b itself, or the smoothed one. Weights of the same form
    repeat rows in the loss instead of in the table.

    Args:
        power: 1 fills every bin to as many rows as the commonest has, 0.5 goes about half the way; above 0, at most 10.
        most: times the rows of a bin, at most.
        bins: bins of the target; ``Bins.auto(y)`` if not given.
        density: smooths the counts over neighbouring bins; ``None`` takes them as they are.
        random_state: whole number, generator, or ``None`` for another draw each time.

    Raises:
        InputError: from ``fit_resample``, parameters that are not allowed, constant targets without bins given.

    Note:
        Every row of a bin is copied as often as any other, the remainder is drawn at random. Rows are only copied, so
        any column and missing values are allowed.

    Example:
        >>> X, y = np.arange(12.0).reshape(-1, 1), np.r_[np.zeros(8), 10.0, 10.0, 20.0, 20.0]
        >>> sampler = BinOverSampler(power=1.0, bins=Bins.from_edges([0, 5, 15, 25]), random_state=0)
        >>> more_X, more_y = sampler.fit_resample(X, y)
        >>> np.unique(more_y, return_counts=True)[1].tolist()
        [8, 8, 8]
    """

    def __init__(
        self,
        *,
        power: float = 0.5,
        most: float = 10.0,
        bins: Bins | None = None,
        density: LDS | None = None,
        random_state: Any = None,
    ) -> None:
        self.power, self.most, self.bins, self.density = power, most, bins, density
        self.random_state = random_state

    def _draw(self, table: Any, labels: Floats, rng: np.random.Generator) -> Drawn:  # noqa: ARG002
        power, most = positive(self.power, "power", most=10.0), positive(self.most, "most", least=1.0)
        if not isinstance(self.bins, Bins | None):
            raise InputError(
                f"bins must be a Bins or None, got {reprlib.repr(self.bins)}; write Bins.count(y, 10) or "
                "Bins.from_edges([...])"
            )
        bins = Bins.auto(labels) if self.bins is None else self.bins
        index = bins.index(labels)
        counts = np.bincount(index, minlength=bins.n_bins)
        seen = counts > 0
        if self.density is None:
            effective = counts.astype(np.float64) ** power
        elif isinstance(self.density, LDS):
            effective = self.density.effective(counts, power=power)
        else:
            raise InputError(f"density must be an LDS(...) or None, got {self.density!r}")
        share = np.ones(bins.n_bins)
        np.divide(effective[seen].max(), effective, out=share, where=seen)
        extra = np.rint(np.minimum(share, most) * counts).astype(np.int64) - counts
        turns, rest = np.divmod(extra, np.maximum(counts, 1))
        # In a random order of the rows, those that come first in their bin take the remainder.
        order = rng.permutation(labels.size)
        by_bin = order[np.argsort(index[order], kind="stable")]
        place = np.arange(labels.size) - np.repeat(np.cumsum(counts) - counts, counts)
        copies = np.empty(labels.size, dtype=np.int64)
        copies[by_bin] = turns[index[by_bin]] + (place < rest[index[by_bin]])
        rows = np.arange(labels.size)
        return np.concatenate([rows, np.repeat(rows, copies)]), None


BINOVER_PART = resampler_part(
    name="binover",
    make=BinOverSampler,
    summary="repeat rows of rare bins, by the label density",
    source="-",
    year=None,
    cost="none; more rows",
    use="""\
from tailwise.sampling import BinOverSampler
X_more, y_more = BinOverSampler(random_state=0).fit_resample(X_train, y_train)""",
    hidden=frozenset({"nominal", "random_state", "bins", "density"}),
)
