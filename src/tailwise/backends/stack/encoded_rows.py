"""Features of a network as columns of a table, for experts that learn on them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise.backends.protocol import Inputs
from tailwise.data.columns import Column, Schema
from tailwise.data.rows import FrameRows, Rows
from tailwise.data.task import Task
from tailwise.modalities.media_inputs import ROWS_AT_ONCE

Floats = NDArray[np.float64]


def feature_schema(schema: Schema, d: int) -> Schema:
    """Return the schema of a table of ``d`` features and the ordinary columns of a table with media.

    Example:
        >>> feature_schema(Schema(("y",), (Column("feature", "numeric"),), {}), 2).inputs
        ['_feature 0', '_feature 1', 'feature']
    """
    prefix = "feature"
    while any(column.name.startswith(prefix) for column in schema.columns):
        prefix = f"_{prefix}"
    features = tuple(Column(f"{prefix} {i}", "numeric") for i in range(d))
    return replace(schema, columns=(*features, *schema.columns), media=())


def feature_frame(schema: Schema, frame: pd.DataFrame, features: Floats) -> pd.DataFrame:
    """Return rows with ``(n, d)`` features as columns, beside the ordinary columns; see :func:`feature_schema`."""
    names = feature_schema(schema, features.shape[1]).inputs[: features.shape[1]]
    ordinary = frame[[column.name for column in schema.columns]].reset_index(drop=True)
    return pd.concat([pd.DataFrame(features, columns=names), ordinary], axis=1)


def feature_task(task: Task, positions: NDArray[np.int64], features: Floats) -> Task:
    """Return the task of predicting the labels of some rows from ``(m, d)`` features and the ordinary columns."""
    frame = feature_frame(task.schema, task.rows.select(positions).frame(), features)
    return replace(
        task,
        rows=FrameRows(frame),
        row=task.row[positions],
        y=task.y[positions],
        part=task.part[positions],
        schema=feature_schema(task.schema, features.shape[1]),
        weight=None if task.weight is None else task.weight[positions],
        group=None,
        time=None,
        notes=[],
    )


@dataclass(frozen=True)
class EncodedRows:
    """Rows whose features are still to come from the network of the same fold.

    Args:
        inputs: from features and ordinary columns to the inputs of a model.
        schema: columns of the table with media.
        frame: the rows.
    """

    inputs: Inputs
    schema: Schema
    frame: pd.DataFrame

    def with_features(self, features: Floats) -> Any:
        """Return the inputs of the model, given ``(n, d)`` features of the rows."""
        schema = feature_schema(self.schema, features.shape[1])
        return self.inputs.of_frame(schema, feature_frame(self.schema, self.frame, features))


@dataclass(frozen=True)
class FeatureInputs:
    """Inputs of a model that learnt on features.

    Args:
        inputs: from features and ordinary columns to the inputs of the model.
    """

    inputs: Inputs

    def of_frame(self, schema: Schema, frame: pd.DataFrame) -> EncodedRows:
        """Return the rows of a data frame, to which features are added later."""
        return EncodedRows(self.inputs, schema, frame[[column.name for column in schema.columns]])

    def pieces(self, schema: Schema, rows: Rows) -> Iterator[EncodedRows]:
        """Return rows in pieces of the same size as those of :class:`tailwise.modalities.media_inputs.MediaInputs`."""
        return (self.of_frame(schema, frame) for frame in rows.pieces(ROWS_AT_ONCE))

    def save(self, folder: Path) -> dict[str, Any] | None:
        """Write the inputs of the model into a folder."""
        return self.inputs.save(folder)
