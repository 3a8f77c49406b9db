"""Mixtures of several predictive distributions, such as those of several folds, and their rows in one object."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import vstack

from tailwise._checks import InputError, one_of
from tailwise.distributions.empirical import Empirical
from tailwise.distributions.histograms import Histogram
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.row_arrays import finite, numbers, same_length, shares
from tailwise.distributions.separate_targets import SeparateTargets
from tailwise.distributions.tilted import TiltedMixture
from tailwise.distributions.tilted_marginals import TiltedMarginal
from tailwise.distributions.tilted_vectors import TiltedVectorMixture
from tailwise.distributions.transformed import Transformed
from tailwise.distributions.vector_mixtures import VectorMixture
from tailwise.distributions.vector_predictive import VectorPredictive

_SCALAR = (Mixture, Histogram, Empirical, TiltedMixture, TiltedMarginal)
_VECTOR = (VectorMixture, TiltedVectorMixture, SeparateTargets)
_KINDS: dict[str, type[Any]] = {kind.kind: kind for kind in (*_SCALAR, Transformed, *_VECTOR)}
_SHARED = {  # arrays that all rows of one object have in common
    Mixture.kind: (),
    Histogram.kind: ("edges",),
    Empirical.kind: ("values",),
    TiltedMixture.kind: ("edges", "values"),
    TiltedMarginal.kind: ("edges",),
    VectorMixture.kind: (),
    TiltedVectorMixture.kind: ("edges_0", "edges_1", "edges_2", "values"),
}
_P = TypeVar("_P", Predictive, VectorPredictive)


def mixture_of(predictives: Sequence[Predictive], weights: ArrayLike | None = None) -> Predictive:
    """Return the mixture of several distributions of the same rows; exact.

    Args:
        predictives: p distributions of n rows, all of one class: :class:`Mixture`, :class:`Histogram` or
            :class:`Empirical`.
        weights: ``(p,)`` or ``(n, p)``, at least 0; divided by their sum. By default equal.

    Raises:
        InputError: no distributions, other numbers of rows, classes that differ, tilted mixtures, weights that do not
            fit.

    Example:
        >>> folds = [Mixture([[1.0]], [[mean]], [[1.0]]) for mean in (3.0, 5.0)]
        >>> mixture_of(folds).mean().tolist()
        [4.0]
    """
    parts = list(predictives)
    if not parts:
        raise InputError("predictives is empty; at least one distribution is needed")
    n = same_length((len(part) for part in parts), "predictives")
    kinds = {type(part) for part in parts}
    if len(kinds) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(f"predictives must be of one class, got {names}; Histogram.of gives all of them one")
    if not isinstance(parts[0], Mixture | Histogram | Empirical):
        raise InputError(
            f"a {type(parts[0]).__name__} cannot be mixed; mix the distributions first and tilt the mixture"
        )
    given = numbers(np.ones(len(parts)) if weights is None else weights, "weights")
    if given.shape not in ((len(parts),), (n, len(parts))):
        raise InputError(f"weights must have shape ({len(parts)},) or ({n}, {len(parts)}), got {given.shape}")
    rows = np.broadcast_to(given, (n, len(parts)))
    pooled = parts[0]._pooled
    return pooled(parts, shares(finite(rows, "weights", 2), "weights"))  # type: ignore[arg-type]


def concatenate(predictives: Sequence[_P]) -> _P:
    """Return the distributions of the rows of several objects in one, in order.

    Args:
        predictives: distributions of one model: of one class, with the same number of components, the same edges or
            the same values; at least one.

    Raises:
        InputError: no distributions, or distributions that do not belong together.

    Example:
        >>> parts = [Mixture([[1.0]], [[mean]], [[1.0]]) for mean in (3.0, 5.0)]
        >>> concatenate(parts).mean().tolist()
        [3.0, 5.0]
    """
    parts: list[Any] = list(predictives)
    if not parts:
        raise InputError("predictives is empty; at least one distribution is needed")
    if len(parts) == 1:
        only: _P = parts[0]
        return only
    kind = type(parts[0])
    if kind is Transformed and len({getattr(part, "transform", None) for part in parts}) == 1:
        rows: _P = Transformed(concatenate([part.base for part in parts]), parts[0].transform)  # type: ignore[assignment]
        return rows
    if kind is SeparateTargets and all(type(part) is kind and part.n_targets == parts[0].n_targets for part in parts):
        apart: _P = kind([concatenate([part.marginal(k) for part in parts]) for k in range(parts[0].n_targets)])
        return apart
    arrays = [part.to_arrays() for part in parts]
    shared = [name for name in _SHARED.get(kind.kind, ()) if name in arrays[0]]
    fit = kind is not SeparateTargets and all(
        type(part) is kind and all(np.array_equal(one[name], arrays[0][name]) for name in shared)
        for part, one in zip(parts, arrays, strict=True)
    )
    if not fit:
        raise InputError("predictives must be of one class and have the same edges or values")
    if kind is Empirical:
        whole: _P = kind(arrays[0]["values"], vstack([part.weights for part in parts]))
        return whole
    joined = {name: np.concatenate([one[name] for one in arrays]) for name in arrays[0] if name not in shared}
    whole = kind.from_arrays(joined | {name: arrays[0][name] for name in shared})
    return whole


def predictive_from_arrays(kind: str, arrays: Mapping[str, Any]) -> Any:
    """Read distributions that ``to_arrays`` of a class gave, by the ``kind`` of that class.

    Raises:
        InputError: an unknown kind, a missing array, arrays that do not fit.
    """
    try:
        return _KINDS[one_of(kind, "kind", _KINDS)].from_arrays(arrays)
    except KeyError as missing:
        raise InputError(f"the arrays of a {kind} distribution lack {missing}, got {sorted(arrays)}") from None
