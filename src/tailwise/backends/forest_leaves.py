"""Distributions of a random forest: training labels weighted by the leaves that they share with a row."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array, vstack

from tailwise.distributions.empirical import Empirical
from tailwise.distributions.row_arrays import Floats, pieces

_MOST_ENTRIES = 20_000_000  # rows x trees
_AT_ONCE = 2**20


@dataclass(frozen=True, eq=False)
class ForestLeaves:
    """Leaves of the training rows in each tree, from which a forest gives distributions.

    The weight of a training row for a new row is the mean over trees of its fraction of the leaf of the new row, with
    the weights that the tree was fitted with: Meinshausen, *Quantile Regression Forests* (JMLR 2006). The mean of the
    distribution is the prediction of a forest for the squared error.

    Note:
        Of forests with more than 20,000,000 leaves (training rows times trees), rows drawn at random are kept, so that
        there are no more. The mean is then only near the prediction; trees without a kept row in the leaf of a new row
        do not count, and if there is no other tree, the kept label nearest to the prediction is certain.

    Args:
        labels: ``(n,)`` training labels, target units.
        leaves: ``(n, T)`` leaf of each training row in each tree.
        counts: ``(n, T)`` how often the row is in the bootstrap sample of the tree.
        weights: ``(n,)`` weight of the row in all trees; ones if bootstrap samples are drawn by weight.
        nodes: ``(T,)`` number of nodes of each tree.
    """

    labels: Floats
    leaves: NDArray[np.int32]
    counts: NDArray[np.unsignedinteger[Any]]
    weights: Floats
    nodes: NDArray[np.int64]

    @classmethod
    def of(
        cls, forest: Any, x: Floats, y: Floats, weight: Floats | None, *, seed: int, most: int = _MOST_ENTRIES
    ) -> Self:
        """Return the leaves of the rows that a forest was fitted to.

        Args:
            forest: a fitted ``RandomForestRegressor``.
            x: ``(n, p)`` inputs.
            y: ``(n,)`` labels.
            weight: ``(n,)`` sample weights that it was fitted with, if any.
            seed: of the choice of rows.
            most: number of leaves to keep.
        """
        n, n_trees = y.size, len(forest.estimators_)
        kept = np.arange(n)
        if n * n_trees > most:
            kept = np.sort(np.random.default_rng(seed).choice(n, max(most // n_trees, 1), replace=False))
        leaves = np.empty((kept.size, n_trees), dtype=np.int32)
        for rows in pieces(kept.size, n_trees, _AT_ONCE):
            leaves[rows] = forest.apply(x[kept[rows]])
        counts = np.ones(leaves.shape, dtype=np.uint32)
        if forest.bootstrap:
            for tree, sample in enumerate(forest.estimators_samples_):
                counts[:, tree] = np.bincount(sample, minlength=n)[kept]
        counts = counts.astype(np.min_scalar_type(counts.max()))
        drawn_by_weight = weight is None or forest.bootstrap
        weights = np.ones(kept.size) if drawn_by_weight else np.asarray(weight, dtype=np.float64)[kept]
        nodes = np.array([tree.tree_.node_count for tree in forest.estimators_], dtype=np.int64)
        return cls(np.asarray(y, dtype=np.float64)[kept], leaves, counts, weights, nodes)

    def predictive(self, forest: Any, x: Floats, pred: Floats) -> Empirical:
        """Return the distributions of new rows.

        Args:
            forest: the forest.
            x: ``(m, p)`` inputs.
            pred: ``(m,)`` predictions of the forest.
        """
        values, shares = self._by_leaf
        first = np.cumsum(self.nodes) - self.nodes
        blocks = []
        for rows in pieces(len(x), self.nodes.size, _AT_ONCE):
            leaf = forest.apply(x[rows]) + first
            starts = np.arange(len(leaf) + 1) * self.nodes.size
            member = csr_array((np.ones(leaf.size), leaf.ravel(), starts), shape=(len(leaf), shares.shape[0]))
            blocks.append(csr_array(member @ shares))
        weights: Any = vstack(blocks, format="csr")
        empty = np.flatnonzero(np.diff(weights.indptr) == 0)
        if empty.size:
            nearest = np.searchsorted((values[:-1] + values[1:]) / 2, pred[empty])
            weights = weights + csr_array((np.ones(empty.size), (empty, nearest)), shape=weights.shape)
        return Empirical(values, weights)

    @cached_property
    def _by_leaf(self) -> tuple[Floats, Any]:
        """Increasing labels, and for each leaf of all trees the fraction of its weight that each label has."""
        values, column = np.unique(self.labels, return_inverse=True)
        weight = self.counts * self.weights[:, None]
        used = weight > 0
        row, _ = np.nonzero(used)
        leaf = (self.leaves + (np.cumsum(self.nodes) - self.nodes))[used]
        shares: Any = csr_array((weight[used], (leaf, column[row])), shape=(int(self.nodes.sum()), values.size))
        shares.data /= np.repeat(shares.sum(axis=1), np.diff(shares.indptr))
        return values, shares

    def save(self, path: Path) -> None:
        """Write the arrays into a file."""
        arrays = {name: getattr(self, name) for name in ("labels", "leaves", "counts", "weights", "nodes")}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote."""
        return cls(**load_file(path))
