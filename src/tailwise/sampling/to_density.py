"""Resampling of rows towards a declared density of labels."""

from typing import Any, Literal

import numpy as np

from tailwise._checks import not_negative, one_of
from tailwise.labels.density_relevance import Declared, DensityRelevance
from tailwise.labels.kde import Rule
from tailwise.sampling.mixed_table import Floats
from tailwise.sampling.resampler import Drawn, Resampler, resampler_part

ByDensity = Literal["distance", "ratio"]
BY_DENSITY = ("distance", "ratio")


class DensityResampler(Resampler):
    """Copies and removals that bring the labels closer to a declared density q, uniform by default.

    Density-distance and density-ratio relevance (arXiv 2506.01486), see
    :class:`tailwise.labels.density_relevance.DensityRelevance`.

    With ``by="distance"`` rows are added, drawn with replacement in proportion to φ², and left out, drawn without
    replacement in proportion to (1 - φ)². With ``by="ratio"`` each row appears ⌊r⌋ or ⌈r⌉ times, r on average and
    n rows in total, with r_i ∝ q(y_i) / p(y_i), of mean 1.

    Args:
        by: ``"distance"`` or ``"ratio"``.
        target: q: a range ``(low, high)`` for a uniform density; labels spread as those to be predicted; or a function
            of ``(m,)`` labels, on any scale. ``None`` is uniform over the range of the labels.
        bandwidth: of both kernel densities, target units, or ``"silverman"`` or ``"scott"``; ``None`` takes
            1.06 σ n^(-1/5).
        over: by distance, rows added, as a fraction of n.
        under: by distance, rows left out, as a fraction of n, at most 1.
        random_state: whole number, generator, or ``None`` for a different draw each time.

    Shape:
        ``fit_resample(X, y)``: ``(n, p)`` and ``(n,)`` to ``(m, p)`` and ``(m,)``.

    Raises:
        InputError: from ``fit_resample``, parameters that are not allowed.

    Note:
        The numbers of rows added and left out are those of :class:`tailwise.sampling.WERCS`. At least one row stays.
        Rows are only copied and left out, so any column and missing values are allowed.

    Example:
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(38) % 5, 50.0, 60.0]
        >>> new_X, new_y = DensityResampler(by="ratio", random_state=0).fit_resample(X, y)
        >>> int((new_y >= 50).sum()) > 2
        True
    """

    def __init__(
        self,
        *,
        by: ByDensity = "distance",
        target: Declared | None = None,
        bandwidth: float | Rule | None = None,
        over: float = 0.5,
        under: float = 0.5,
        random_state: Any = None,
    ) -> None:
        self.by, self.target, self.bandwidth = by, target, bandwidth
        self.over, self.under, self.random_state = over, under, random_state

    def _draw(self, table: Any, labels: Floats, rng: np.random.Generator) -> Drawn:  # noqa: ARG002
        one_of(self.by, "by", BY_DENSITY)
        n = labels.size
        n_over = int(np.rint(not_negative(self.over, "over", most=1000.0) * n))
        n_under = int(np.rint(not_negative(self.under, "under", most=1.0) * n))
        relevance = DensityRelevance(labels, self.target, bandwidth=self.bandwidth)
        if self.by == "ratio":
            ratio = relevance.ratio(labels)
            # Systematic sampling in a random order: each row appears floor(r) or ceil(r) times, and n rows in total.
            order = rng.permutation(n)
            upto = rng.random() + np.append(0.0, np.cumsum(ratio[order] * (n / ratio.sum())))
            upto[-1] = upto[0] + n
            times = np.empty(n, dtype=np.int64)
            times[order] = np.diff(np.floor(upto)).astype(np.int64)
            return np.concatenate([np.flatnonzero(times), np.repeat(np.arange(n), np.maximum(times - 1, 0))]), None
        phi = relevance(labels)
        drawn = rng.choice(n, n_over, p=phi**2 / (phi**2).sum())
        spare = (1 - phi) ** 2
        n_under = min(n_under, int((spare > 0).sum()), n - 1)
        kept = np.ones(n, dtype=bool)
        if n_under:
            kept[rng.choice(n, n_under, replace=False, p=spare / spare.sum(), shuffle=False)] = False
        return np.concatenate([np.flatnonzero(kept), drawn]), None


TO_DENSITY_PART = resampler_part(
    name="to_density",
    make=DensityResampler,
    summary="repeat and leave out rows towards a declared density of labels, uniform by default",
    source="imbami, arXiv 2506.01486",
    year=2025,
    cost="none; more or fewer rows",
    use="""\
from tailwise.sampling import DensityResampler
X_more, y_more = DensityResampler(target=(0.0, 100.0), random_state=0).fit_resample(X_train, y_train)""",
    units={
        "target": "target",
        "bandwidth": "target",
        "over": "fraction of rows",
        "under": "fraction of rows",
    },
    hidden=frozenset({"random_state"}),
    of_none={
        "target": "uniform over the training labels; or [low, high], or labels",
        "bandwidth": "1.06 sigma n^(-1/5)",
    },
)
