"""Conversion of a table's ordinary columns to the inputs of a model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer

from tailwise.data.columns import Schema
from tailwise.data.preprocessing import fit_preprocessor, fit_tree_preprocessor, transform
from tailwise.data.reach import Reach
from tailwise.data.rows import Rows
from tailwise.data.skops_file import write_skops

# scikit-learn's own types are known to skops; a fitted imputer also holds the type of the numbers it saw.
_FILE, _TRUSTED = "preprocess.skops", ["numpy.dtype"]
_ROWS_AT_ONCE = 16_384  # divides the pieces in which predict reads a table


@dataclass(frozen=True)
class TableInputs:
    """Conversion of rows to arrays: a fitted preprocessor, and the type of the numbers.

    Args:
        preprocessor: from features, as :meth:`Schema.features` gives them, to inputs.
        dtype: float32 for networks; float64 where numbers are not scaled first.
        reach: limits of the numbers that a network takes; ``None`` of other models, and of those of earlier versions.

    Example:
        >>> features = pd.DataFrame({"size": [1.0, 2.0, 3.0]})
        >>> inputs = TableInputs.fit(features)
        >>> inputs.of_frame(Schema.infer(features.assign(y=0.0), "y"), features).round(2).tolist()
        [[-1.2200000286102295], [0.0], [1.2200000286102295]]
    """

    preprocessor: ColumnTransformer
    dtype: Any = np.float32
    reach: Reach | None = None

    @classmethod
    def fit(cls, features: pd.DataFrame, dtype: Any = np.float32, *, clamped: bool = False) -> Self:
        """Learn from features of training rows: imputed, scaled, and one input a category.

        Args:
            features: as :meth:`Schema.features` gives them.
            dtype: of the inputs.
            clamped: numbers far outside those of the training rows are taken as at :class:`Reach`'s limit.
        """
        return cls(fit_preprocessor(features), dtype, Reach.of(features) if clamped else None)

    @classmethod
    def fit_trees(cls, features: pd.DataFrame, *, scaled: bool = False) -> Self:
        """Learn from features of training rows, for models of trees: missing numbers stay, categories become codes.

        Args:
            features: as :meth:`Schema.features` gives them.
            scaled: numbers have mean 0 and standard deviation 1, for models that round them to float32.
        """
        return cls(fit_tree_preprocessor(features, scaled=scaled), np.float64)

    def of_frame(self, schema: Schema, frame: pd.DataFrame) -> Any:
        """``(n, p)`` inputs of rows."""
        return transform(self.preprocessor, schema, frame, self.dtype, self.reach)

    def pieces(self, schema: Schema, rows: Rows, *, size: int = _ROWS_AT_ONCE) -> Iterator[Any]:
        """Inputs of at most ``size`` rows at a time, in order: columns of categories make a large table dense."""
        return (self.of_frame(schema, frame) for frame in rows.pieces(size))

    def save(self, folder: Path) -> dict[str, Any] | None:
        """Write the preprocessor into a folder, and return the description that :meth:`load` needs, if there is one."""
        write_skops(self.preprocessor, folder / _FILE)
        return None if self.reach is None else {"reach": self.reach.to_json()}

    @classmethod
    def load(cls, folder: Path, saved: Mapping[str, Any] | None = None, dtype: Any = np.float32) -> Self:
        """Read what :meth:`save` wrote; nothing in it is executed."""
        reach = None if saved is None else Reach.from_json(saved["reach"])
        return cls(skops.io.load(folder / _FILE, trusted=_TRUSTED), dtype, reach)
