"""Cross-validate a small boosted model, and return its errors by region."""

import math
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tailwise.data.preprocessing import fit_tree_preprocessor, nominal_inputs
from tailwise.diagnose.facts import FEWEST, Contrast, EndError, QuickModel, RegionError, WeightTrial
from tailwise.labels.density import LDS
from tailwise.labels.shots import REGIONS, Shots
from tailwise.model_selection import StratifiedRegressionGroupKFold, StratifiedRegressionKFold

Array = NDArray[np.float64]

MOST_ROWS = 20_000

MOST_COLUMNS = 200

_MOST_CELLS, _FEWEST_ROWS = 2_000_000, 2_000
_FOLDS = 5
_MOST_BINS, _MOST_BINS_OF_WIDE = 255, 63
_END_SHARES = (0.01, 0.05, 0.1)
_RESAMPLES = 1000
_TRIED = "sqinv+lds"
_TINY_FLOAT = np.float32(1e-12)
_TINY = np.finfo(np.float64).tiny


def cross_validate(
    features: pd.DataFrame, names: Sequence[Hashable], y: Array, shots: Shots, groups: pd.Series | None, seed: int
) -> QuickModel:
    """Return out-of-fold errors by region, on a sample of large tables.

    Of more than 200 columns each fold is trained on the 200 whose ranks correlate most with those of its own labels.

    Args:
        features: as :meth:`Schema.features` gives them.
        names: those to use, each with more than one value.
        y: ``(n,)`` labels.
        shots: the regions.
        groups: ``(n,)`` groups; folds keep groups together.
        seed: random seed of sample, folds and bootstrap.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(y))
    most = min(MOST_ROWS, max(_MOST_CELLS // min(len(names), MOST_COLUMNS), _FEWEST_ROWS))
    if len(y) > most:
        rows = np.sort(rng.choice(len(y), most, replace=False))
    sample = features[list(names)].iloc[rows]
    preprocessor = fit_tree_preprocessor(sample)
    x = np.asarray(preprocessor.transform(sample), dtype=np.float64)
    y = y[rows]
    member = None if groups is None else pd.factorize(groups)[0][rows]
    folds = _FOLDS if member is None else min(_FOLDS, np.unique(member).size)
    ranks = _ranks(x) if x.shape[1] > MOST_COLUMNS else None
    nominal = nominal_inputs(preprocessor, x.shape[1])
    bins = _MOST_BINS if ranks is None else _MOST_BINS_OF_WIDE
    x = np.where(nominal, x, _binned(x, bins))
    bins = max(bins, int(np.nanmax(x[:, nominal], initial=0)) + 1)  # each category has a bin
    settings = (ranks, nominal, member, folds, bins, seed)
    predicted = _out_of_fold(x, y, None, *settings)
    parts = _parts(y, shots)
    errors = tuple(_region_error(name, y[part], predicted[part]) for name, part in parts.items() if part.any())
    contrast = _contrast(np.abs(predicted - y), parts, rng)
    trial = None
    if contrast is not None:
        weight = 1 / LDS().effective(shots.counts, power=0.5)[shots.scalar_bins.index(y)]
        weighted = _out_of_fold(x, y, weight / weight.mean(), *settings)
        trial = _trial(np.abs(predicted - y), np.abs(weighted - y), contrast.rare, parts[contrast.rare], rng)
    return QuickModel(len(y), folds, errors, contrast, trial, tuple(_ends(y, predicted)))


def _out_of_fold(
    x: Array,
    y: Array,
    weight: Array | None,
    ranks: NDArray[np.float32] | None,
    nominal: NDArray[np.bool_],
    member: NDArray[np.int64] | None,
    folds: int,
    bins: int,
    seed: int,
) -> Array:
    splitter = StratifiedRegressionKFold if member is None else StratifiedRegressionGroupKFold
    model = HistGradientBoostingRegressor(
        learning_rate=0.2,
        max_iter=50,
        min_samples_leaf=int(np.clip(len(y) // 20, 2, 20)),
        categorical_features=nominal if nominal.any() else None,
        early_stopping=False,
        max_bins=bins,
        random_state=seed,
    )
    predicted = np.empty_like(y)
    # Several threads gain little on so few rows, and are far slower if other processes use the same cores.
    with threadpool_limits(1, user_api="openmp"):
        for train, held in splitter(folds, random_state=seed).split(x, y, member):
            mean, std = y[train].mean(), y[train].std() or 1.0
            chosen = np.arange(x.shape[1]) if ranks is None else _correlated(ranks[train], y[train])
            model.set_params(categorical_features=nominal[chosen] if nominal[chosen].any() else None)
            x_train, x_held = (x[np.ix_(rows, chosen)] if ranks is not None else x[rows] for rows in (train, held))
            weights = None if weight is None else weight[train]
            predicted[held] = model.fit(x_train, (y[train] - mean) / std, weights).predict(x_held) * std + mean
    return predicted


def _binned(x: Array, most: int) -> Array:
    """Return numbers as positions of at most so many bins a column, with about as many rows each; missing ones stay so.

    Boosting would find such bins for each fold anew, which takes most of its time on wide tables where rows have
    weights.
    """
    binned = np.empty_like(x)
    for i, column in enumerate(x.T):
        values = np.sort(column[np.isfinite(column)])
        edges = np.unique(values[np.arange(1, most) * values.size // most]) if values.size else values
        few = np.count_nonzero(np.diff(values)) < most
        binned[:, i] = column if few else np.where(np.isnan(column), np.nan, np.searchsorted(edges, column, "right"))
    return binned


def _ranks(x: Array) -> NDArray[np.float32]:
    """Return the standardised ranks of each column, ``(n, p)``; 0 where a number is missing."""
    ranks = rankdata(x, axis=0, nan_policy="omit").astype(np.float32)
    ranks -= np.nanmean(ranks, axis=0)
    ranks /= np.maximum(np.nanstd(ranks, axis=0), _TINY_FLOAT)
    return np.nan_to_num(ranks, copy=False)


def _correlated(ranks: NDArray[np.float32], y: Array) -> NDArray[np.int64]:
    """Return the columns whose ranks correlate most with those of the labels, in order."""
    labels = rankdata(y).astype(np.float32)
    strength = np.abs((labels - labels.mean()) @ ranks)
    return np.sort(np.argsort(-strength, kind="stable")[:MOST_COLUMNS])


def _parts(y: Array, shots: Shots) -> dict[str, NDArray[np.bool_]]:
    """Return masks of all rows, of each region, and of both ends of the few-shot rows if there are two."""
    codes = shots.codes(y)
    parts = {"all": np.ones(len(y), dtype=bool)} | {name: codes == i for i, name in enumerate(REGIONS)}
    low = y < np.median(y)
    ends = {"few, low end": parts["few"] & low, "few, high end": parts["few"] & ~low}
    return parts | ends if all(end.any() for end in ends.values()) else parts


def _region_error(name: str, y: Array, predicted: Array) -> RegionError:
    error = predicted - y
    r2 = float(r2_score(y, predicted)) if y.min() < y.max() else None
    mae = float(np.abs(error).mean())
    return RegionError(name, len(y), mae=mae, bias=float(error.mean()), r2=r2, relative=_relative(mae, y))


def _relative(error: float, y: Array) -> float | None:
    size = float(np.abs(y).mean())
    return abs(error) / size if size > 0 else None


def _ends(y: Array, predicted: Array) -> Iterator[EndError]:
    """Yield the errors of the highest and of the lowest 1 % of the rows, or 5 or 10 % where 1 % is too few."""
    for end, sign in (("top", 1.0), ("lowest", -1.0)):
        ranked = np.sort(sign * y)[::-1]
        for share in _END_SHARES:
            value = float(sign * ranked[max(math.ceil(share * y.size) - 1, 0)])
            chosen = sign * y >= sign * value
            if chosen.sum() >= FEWEST:
                if chosen.mean() <= 2 * share:  # not a spike at the end of the range
                    error = predicted[chosen] - y[chosen]
                    bias, spread = float(error.mean()), float(error.std(ddof=1) / np.sqrt(error.size))
                    size = float(np.abs(error).mean())
                    relative = _relative(bias, y[chosen])
                    yield EndError(end, share, int(chosen.sum()), value, size, bias, spread, relative)
                break


def _contrast(size: Array, parts: dict[str, NDArray[np.bool_]], rng: np.random.Generator) -> Contrast | None:
    """Compare the rarest with the most crowded region, among those with enough rows, by bootstrap within each."""
    enough = [name for name in ("many", "medium", "few") if parts[name].sum() >= FEWEST]
    if len(enough) < 2:
        return None
    crowd, rare = enough[0], enough[-1]
    drawn_rare, drawn_crowd = (_means(size[parts[name]], rng) for name in (rare, crowd))
    ratio = float(size[parts[rare]].mean()) / max(float(size[parts[crowd]].mean()), _TINY)
    low, high = np.quantile(drawn_rare / np.maximum(drawn_crowd, _TINY), [0.025, 0.975]).tolist()
    return Contrast(rare, crowd, ratio, low, high)


def _trial(
    plain: Array, weighted: Array, rare: str, in_rare: NDArray[np.bool_], rng: np.random.Generator
) -> WeightTrial:
    """Compare the error sizes of both models, row by row, where rows are rare and over all rows."""
    changes = []
    for rows in (in_rare, np.ones_like(in_rare)):
        both = np.stack([plain[rows], weighted[rows]])
        draws = np.stack([both[:, rng.integers(0, both.shape[1], both.shape[1])].mean(1) for _ in range(_RESAMPLES)])
        base, ours = draws.T
        ends = np.quantile(100 * (ours / np.maximum(base, _TINY) - 1), [0.025, 0.975]).tolist()
        changes += [100 * (float(both[1].mean()) / max(float(both[0].mean()), _TINY) - 1), *ends]
    return WeightTrial(_TRIED, rare, *changes)


def _means(values: Array, rng: np.random.Generator) -> Array:
    """Return the means of bootstrap resamples."""
    return np.array([values[rng.integers(0, values.size, values.size)].mean() for _ in range(_RESAMPLES)])
