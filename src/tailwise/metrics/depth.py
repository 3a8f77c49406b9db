"""Errors of dense depth maps (NYUD2-DIR) over the pixels with known depth."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, same_shape
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.confidence import Interval
from tailwise.metrics.errors import GM_FLOOR
from tailwise.metrics.region_metrics import RegionMetrics

DEPTH_METRICS = {
    "mae": ("MAE", "mean absolute error"),
    "rmse": ("RMSE", "root mean squared error"),
    "mse": ("MSE", "mean squared error"),
    "gm": ("GM", "geometric mean of the absolute errors"),
    "bmae": ("bMAE", "mean over bins of each bin's MAE: every depth counts the same"),
    "bias": ("bias", "mean of predicted minus true: below 0 is too near"),
    "abs_rel": ("ABS_REL", "mean of the absolute error over the depth"),
    "lg10": ("LG10", "mean absolute difference of decimal logarithms (absent where a prediction is not above 0)"),
    **{
        f"delta{power}": (f"δ{power}", f"fraction of pixels within a factor of 1.25^{power}; higher is better")
        for power in (1, 2, 3)
    },
}
_SUMS = (
    "n",
    "signed",
    "absolute",
    "squared",
    "log",
    "relative",
    "decades",
    "not_above_0",
    "delta1",
    "delta2",
    "delta3",
)
_ABSOLUTE = _SUMS.index("absolute")


def _pixels(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true, pred = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    same_shape(pred, true)
    known = ~np.isnan(true)
    if (true[known] <= 0).any():
        raise InputError(f"depths must be above 0, got {true[known].min()!r}; mark unknown pixels as NaN")
    return true[known], pred[known]


class DepthErrors:
    """Errors of many maps, added map by map as sums by bin; every metric by region follows from the sums.

    The pixels of all maps are pooled, as in NYUD2-DIR. Pixels of one map are not independent, so intervals are
    percentiles over maps drawn with replacement.

    Args:
        shots: regions, from the training pixels.

    Example:
        >>> from tailwise.labels.bins import Bins
        >>> errors = DepthErrors(Shots(Bins.from_edges([0, 1, 2, 3]), np.array([500, 5, 0]), many=100, few=20))
        >>> errors.add([[0.5, np.nan], [1.5, 0.5]], [[0.7, 9.0], [1.0, 0.4]])
        >>> regions = errors.metrics()
        >>> regions["all"].n, round(regions["few"].metrics["mae"].value, 3), regions["zero"].n
        (3, 0.5, 0)
    """

    def __init__(self, shots: Shots) -> None:
        self.shots = shots
        self._maps: list[NDArray[np.float64]] = []

    def __len__(self) -> int:
        return len(self._maps)

    def add(self, y_true: ArrayLike, y_pred: ArrayLike) -> None:
        """Add a map ``(H, W)``, NaN where the depth is unknown; a map without known pixels changes no metric.

        Raises:
            InputError: shapes that differ, depths that are not above 0, predictions that are not finite.
        """
        truth = np.asarray(y_true)
        if np.isnan(truth).all():
            same_shape(np.asarray(y_pred), truth)
            self._maps.append(np.zeros((self.shots.bins.n_bins, len(_SUMS))))
            return
        true, pred = _pixels(truth, y_pred)
        if not np.isfinite(pred).all():
            raise InputError(f"y_pred has {int((~np.isfinite(pred)).sum()):,} predictions that are not finite")
        error = pred - true
        size = np.abs(error)
        above = pred > 0
        ratio = np.full(true.shape, np.inf)
        np.divide(true, pred, out=ratio, where=above)
        ratio = np.maximum(ratio, pred / true)
        decades = np.abs(np.log10(np.where(above, pred, true)) - np.log10(true))
        sums = {
            "n": None,
            "signed": error,
            "absolute": size,
            "squared": error * error,
            "log": np.log(np.maximum(size, GM_FLOOR)),
            "relative": size / true,
            "decades": decades,
            "not_above_0": ~above,
            **{f"delta{power}": ratio <= 1.25**power for power in (1, 2, 3)},
        }
        index, n_bins = self.shots.bins.index(true), self.shots.bins.n_bins
        self._maps.append(np.column_stack([np.bincount(index, weights=sums[name], minlength=n_bins) for name in _SUMS]))

    def metrics(self, *, resamples: int = 1000, seed: int = 0) -> dict[str, RegionMetrics]:
        """Compute metrics over all pixels and over the many-, medium-, few- and zero-shot ones, each with an interval.

        ``lg10`` is absent if a prediction is not above 0.

        Args:
            resamples: number of bootstrap resamples; 0 for none.
            seed: random seed of the resampling.

        Returns:
            ``all``, ``many``, ``medium``, ``few``, ``zero``; a region without pixels has n = 0 and no metrics.

        Raises:
            InputError: no map.
        """
        maps = self._stacked()
        draws = None
        if resamples and len(maps) > 1:
            rng = np.random.default_rng(seed)
            times = np.stack(
                [np.bincount(rng.integers(0, len(maps), len(maps)), minlength=len(maps)) for _ in range(resamples)]
            )
            draws = (times @ maps.reshape(len(maps), -1)).reshape(resamples, *maps.shape[1:])
        total = maps.sum(axis=0)
        regions = {}
        for name, bins in self._region_bins().items():
            n = int(total[bins, 0].sum())
            bin_mae = total[bins, _ABSOLUTE] / np.maximum(total[bins, 0], 1)
            has_pixels = total[bins, 0] > 0
            values = _values(total[None, bins], bin_mae, has_pixels) if n else {}
            several_maps = int(maps[:, bins, 0].any(axis=1).sum()) > 1
            drawn = {} if draws is None or not several_maps else _values(draws[:, bins], bin_mae, has_pixels)
            regions[name] = RegionMetrics(
                n,
                {
                    key: Interval.of_draws(float(value[0]), drawn.get(key))
                    for key, value in values.items()
                    if value is not None
                },
            )
        return regions

    def validation(self) -> dict[str, float]:
        """Return ``mae``, ``rmse``, ``bmae`` and ``both`` over all pixels and the MAE of each region that has pixels.

        ``both`` is the geometric mean of ``bmae`` and ``mae``: pixels come as they are.
        """
        regions = self.metrics(resamples=0)
        over_all = {name: regions["all"].metrics[name].value for name in ("mae", "rmse", "bmae")}
        over_all["both"] = float(np.sqrt(over_all["bmae"] * over_all["mae"]))
        return over_all | {name: regions[name].metrics["mae"].value for name in REGIONS if regions[name].n}

    def _stacked(self) -> NDArray[np.float64]:
        if not any(sums[:, 0].any() for sums in self._maps):
            raise InputError(f"{len(self)} maps have no pixel with a known depth; at least one is needed")
        return np.stack(self._maps)

    def _region_bins(self) -> dict[str, NDArray[np.bool_]]:
        """Return ``(n_bins,)`` masks of the bins of each region."""
        codes = self.shots.bin_codes
        return {"all": np.ones(codes.size, dtype=bool)} | {name: codes == i for i, name in enumerate(REGIONS)}


def _values(
    sums: NDArray[np.float64], bin_mae: NDArray[np.float64], has_pixels: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64] | None]:
    """Compute the metrics from ``(R, n_bins, sums)`` sums by bin, each ``(R,)``; NaN without pixels.

    A bin without pixels in a draw keeps its MAE over all maps; without it the mean over bins would favour common bins.
    """
    by_bin = dict(zip(_SUMS, np.moveaxis(sums, -1, 0), strict=True))
    count = by_bin["n"]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = {name: values.sum(axis=1) / count.sum(axis=1) for name, values in by_bin.items()}
    bin_mae = np.where(count > 0, by_bin["absolute"] / np.maximum(count, 1), bin_mae)
    bmae = bin_mae[:, has_pixels].mean(axis=1)
    return {
        "mae": mean["absolute"],
        "rmse": np.sqrt(mean["squared"]),
        "mse": mean["squared"],
        "gm": np.exp(mean["log"]),
        "bmae": bmae,
        "bias": mean["signed"],
        "abs_rel": mean["relative"],
        "lg10": None if by_bin["not_above_0"].any() else mean["decades"],
        **{f"delta{power}": mean[f"delta{power}"] for power in (1, 2, 3)},
    }
