"""Charts of a network's features: a map of them, and the similarity of intervals of the target."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from numpy.typing import ArrayLike, NDArray

from tailwise._numbers import number
from tailwise.labels.shots import Shots
from tailwise.report.bands import Bands
from tailwise.report.drawing import OURS, drawing, percent, short

Array = NDArray[np.float64]

_ROWS_OF_A_BAND, _DRAWN_OF_A_BAND = 200, 80
_STEPS = 12
# Visible on white and on black; blue to orange differ under every common colour blindness.
_SCALE = ["#3d7bd0", "#8a63b8", "#b8558a", "#d8572f"]


def feature_rows(y: Array, shots: Shots, seed: int = 0) -> NDArray[np.int64]:
    """Draw the rows whose features are shown: at most 200 from each of at most 25 equal intervals of the target.

    Args:
        y: ``(n,)`` labels.
        shots: bins.
        seed: random seed of the draw.
    """
    return _drawn(Bands.of(y, shots), _ROWS_OF_A_BAND, seed)


def _drawn(bands: Bands, most: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    order = rng.permutation(bands.index.size)
    order = order[np.argsort(bands.index[order], kind="stable")]
    first = np.cumsum(bands.counts) - bands.counts
    place = np.arange(order.size) - first[bands.index[order]]
    return np.sort(order[place < most])


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Features of rows in two dimensions, and the cosine similarity of the mean features of intervals of the target.

    Args:
        y: ``(m,)`` labels of the rows on the map.
        points: ``(m, 2)`` their first two principal components.
        explained: fraction of the variance along each component.
        bands: intervals of the target over which features are averaged.
        similarity: ``(k, k)`` cosine between the means of intervals, NaN for an interval without rows.
    """

    y: Array
    points: Array
    explained: tuple[float, float]
    bands: Bands
    similarity: Array

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest similarity."""
        known = self.similarity[np.isfinite(self.similarity)]
        return float(known.min()), float(known.max())

    @classmethod
    def of(cls, features: ArrayLike, y: Array, shots: Shots, seed: int = 0) -> Self | None:
        """Project features and compare their means; ``None`` for fewer than three rows or constant features.

        Args:
            features: ``(n, d)``.
            y: ``(n,)`` labels.
            shots: bins.
            seed: random seed of the draw of the rows on the map.
        """
        from sklearn.decomposition import PCA

        x = np.asarray(features, dtype=np.float64)
        if len(x) < 3 or x.shape[1] < 2 or not x.std(axis=0).any():
            return None
        bands = Bands.of(y, shots)
        pca = PCA(2, svd_solver="covariance_eigh").fit(x)
        drawn = _drawn(bands, _DRAWN_OF_A_BAND, seed)
        means = np.zeros((bands.counts.size, x.shape[1]))
        np.add.at(means, bands.index, x)
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = means / np.linalg.norm(means, axis=1, keepdims=True)
        share = pca.explained_variance_ratio_
        return cls(y[drawn], pca.transform(x[drawn]), (float(share[0]), float(share[1])), bands, unit @ unit.T)


def map_chart(features: FeatureMap, target: str) -> str:
    """Draw rows by the first two principal components of their features, coloured by target."""
    x, y = features.points.T
    low, high = float(features.y.min()), float(features.y.max())
    along = _correlation(x, features.y), _correlation(y, features.y)
    alt = (
        f"Features of {features.y.size:,} test rows along their first two principal components, which hold "
        f"{percent(features.explained[0])} and {percent(features.explained[1])} of the variance; their correlation "
        f"with {target} ({number(low)} to {number(high)}) is {along[0]:.2f} and {along[1]:.2f}."
    )
    with drawing(alt, 5.6, 4.2, grid=None, near="xy") as drawn:
        axes = drawn.axes
        colors = LinearSegmentedColormap.from_list("target", _SCALE, N=_STEPS)
        order = np.argsort(features.y, kind="stable")
        dots = axes.scatter(
            x[order],
            y[order],
            c=features.y[order],
            cmap=colors,
            norm=Normalize(low, high),
            s=11,
            alpha=0.75,
            linewidth=0,
        )
        bar = drawn.figure.colorbar(dots, ax=axes, aspect=30, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label(short(target, 30))
        bar.ax.yaxis.set_major_formatter(lambda value, _: number(value))
        for i in order:
            drawn.tell(x[i], y[i], f"{short(target, 20)} {number(features.y[i])}")
        axes.set_xlabel(f"first component ({percent(features.explained[0])} of the variance)")
        drawn.title(f"second component ({percent(features.explained[1])})")
    return drawn.svg


def similarity_chart(features: FeatureMap, target: str) -> str:
    """Draw the cosine between the mean features of intervals of the target: the higher, the stronger the colour."""
    cosine, bands = features.similarity, features.bands
    known = np.isfinite(cosine)
    low, high = features.span
    seen = np.flatnonzero(bands.counts)
    beside = [float(cosine[a, b]) for a, b in pairwise(seen)]
    alt = (
        f"Cosine similarity of the mean features of {seen.size} intervals of {target}: from {low:.3f} to {high:.3f}; "
        f"between neighbours {np.mean(beside) if beside else 1:.3f} in the mean, between the lowest and the highest "
        f"{cosine[seen[0], seen[-1]]:.3f}."
    )
    with drawing(alt, 5.6, 4.6, grid=None, near="xy") as drawn:
        axes = drawn.axes
        strength = np.where(known, (cosine - low) / max(high - low, 1e-12), 0)
        squares, faces = [], []
        for i, j in zip(*np.nonzero(known), strict=True):
            (x0, x1), (y0, y1) = bands.edges[[j, j + 1]], bands.edges[[i, i + 1]]
            squares.append([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
            faces.append(to_rgba(OURS, 0.06 + 0.94 * round(float(strength[i, j]), 2)))
            drawn.tell((x0 + x1) / 2, (y0 + y1) / 2, f"{bands.name(i)} and {bands.name(j)}: {cosine[i, j]:.3f}")
        axes.add_collection(PolyCollection(squares, facecolors=faces, linewidths=0))
        axes.set(xlim=bands.edges[[0, -1]], ylim=bands.edges[[0, -1]], aspect="equal")
        axes.spines[:].set_visible(False)
        axes.set_xlabel(short(target))
        drawn.title(short(target))
    return drawn.svg


def _correlation(a: Array, b: Array) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else 0.0
