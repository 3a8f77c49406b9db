"""Distributions of several targets, each by itself."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError
from tailwise.distributions.empirical import Empirical
from tailwise.distributions.grid_steps import GridFunction
from tailwise.distributions.histograms import Histogram
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.row_arrays import index_rows
from tailwise.distributions.tilted import TiltedMixture
from tailwise.distributions.tilted_marginals import TiltedMarginal
from tailwise.distributions.tilted_vectors import shift_and_scale
from tailwise.distributions.transformed import Transformed
from tailwise.distributions.vector_predictive import VectorPredictive

_SCALAR = (Mixture, Histogram, Empirical, TiltedMixture, TiltedMarginal, Transformed)
_KINDS: Mapping[str, type[Any]] = {kind.kind: kind for kind in _SCALAR}


class SeparateTargets(VectorPredictive):
    """Distributions of K targets, each by itself, without their dependence on each other.

    Args:
        parts: the distributions of each target, of as many rows.

    Raises:
        InputError: no part, or parts of different lengths.

    Example:
        >>> from tailwise.distributions import Mixture
        >>> two = SeparateTargets([Mixture([[1.0]], [[5.0]], [[1.0]]), Mixture([[1.0]], [[90.0]], [[10.0]])])
        >>> two.median().tolist()
        [[5.0, 90.0]]
    """

    kind = "separate-targets"

    def __init__(self, parts: Sequence[Predictive]) -> None:
        lengths = sorted({len(part) for part in parts})
        if len(lengths) != 1:
            raise InputError(f"parts must be distributions of as many rows, at least one of them, got rows {lengths}")
        self.parts = tuple(parts)

    def __len__(self) -> int:
        return len(self.parts[0])

    def __repr__(self) -> str:
        return f"SeparateTargets({len(self):,} rows, {self.n_targets} targets)"

    @property
    def n_targets(self) -> int:
        """K."""
        return len(self.parts)

    def select(self, rows: Any) -> Self:
        """Return the distributions of some rows."""
        index = index_rows(rows, len(self))
        return type(self)([part.select(index) for part in self.parts])

    def marginal(self, k: int) -> Predictive:
        """Return the distributions of target k, from 0."""
        return self.parts[self._target(k)]

    def affine(self, shift: ArrayLike, scale: ArrayLike) -> Self:
        """Return the distributions of ``shift + scale * y``, ``(K,)`` or one number each; scales are above 0."""
        moved = zip(self.parts, *shift_and_scale(shift, scale, self.n_targets), strict=True)
        return type(self)([part.affine(float(a), float(b)) for part, a, b in moved])

    def tilt(self, weights: GridFunction) -> NoReturn:
        """Raise: there is no joint distribution."""
        raise InputError(
            f"{self!r} has no joint distribution to multiply by {weights!r}; tilt that of each target: `marginal(k)`"
        )

    def log_score(self, y: ArrayLike) -> NoReturn:  # noqa: ARG002
        """Raise: there is no joint density."""
        raise InputError(f"{self!r} has no joint density; take the score of each target: `marginal(k).log_score(y)`")

    def to_arrays(self) -> dict[str, Any]:
        """Return arrays that :meth:`from_arrays` reads back exactly."""
        return {
            name: array
            for k, part in enumerate(self.parts)
            for name, array in {
                f"{k}.kind": np.array(part.kind),
                **{f"{k}.{inner}": values for inner, values in part.to_arrays().items()},
            }.items()
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        parts: list[dict[str, Any]] = [{} for name in arrays if name.endswith(".kind")]
        for name, values in arrays.items():
            k, _, inner = name.partition(".")
            parts[int(k)][inner] = values
        return cls([_KINDS[str(part.pop("kind"))].from_arrays(part) for part in parts])

    @property
    def _width(self) -> int:
        return max(part._width for part in self.parts)
