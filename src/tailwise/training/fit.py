"""Train a method on a prepared table."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from torch import Tensor, nn

from tailwise.data.batches import Batches
from tailwise.data.prepare import PreparedTable, sample_of
from tailwise.data.streamed import StreamedBatches, fit_streamed_preprocessor
from tailwise.data.table import fit_preprocessor, transform
from tailwise.labels.shots import REGIONS, Shots
from tailwise.methods.method import Method
from tailwise.metrics.regions import region_errors
from tailwise.models.regressor import Regressor
from tailwise.models.table import MLP
from tailwise.processes import gather_objects, piece
from tailwise.training.loop import Training, accelerator_for, seed_everything
from tailwise.training.recipe import Recipe

_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class TableTraining:
    """A training in progress, its model, and the preprocessing it needs."""

    training: Training
    model: Regressor
    preprocessor: ColumnTransformer


def table_training(table: PreparedTable, method: Method, recipe: Recipe) -> TableTraining:
    """Set up the training of a method on a table with a multi-layer perceptron.

    Args:
        table: a prepared table.
        method: what to train.
        recipe: how.

    Raises:
        InputError: parameters that do not work for this table.
    """
    accelerator_for(recipe)  # from here on processes know of each other
    train, y_train = table.rows_of("train")
    val, y_val = table.rows_of("val")
    own = np.arange(len(val))[piece(len(val))]
    val = val.select(own)

    def inputs(frame: pd.DataFrame) -> NDArray[np.float32]:
        return transform(preprocessor, table.schema, frame)

    if train.in_memory:
        preprocessor = fit_preprocessor(table.schema.features(train.frame()))
    else:
        sample = train.select(sample_of(len(train), recipe.seed)).frame()
        preprocessor = fit_streamed_preprocessor(table.schema, train, sample)
    width = inputs(train.select(np.arange(1)).frame()).shape[1]

    seed_everything(recipe.seed, 0, -2)
    encoder = MLP(width)
    model = Regressor(encoder, encoder.n_features)
    batch_size = recipe.batch_size_for(len(y_train))
    batches: Batches | StreamedBatches
    x_val: Iterable[NDArray[np.float32]]
    if train.in_memory:
        x_train, y = torch.from_numpy(inputs(train.frame())), torch.from_numpy(y_train).float()
        batches = Batches(x_train, y, batch_size=batch_size)
        x_val = [inputs(frame) for frame in val.pieces(_ROWS_AT_ONCE)]
    else:
        batches = StreamedBatches(train, y_train, inputs, batch_size=batch_size)
        x_val = _Again(lambda: (inputs(frame) for frame in val.pieces(_ROWS_AT_ONCE)))

    def validate(current: nn.Module) -> Mapping[str, float]:
        pred = np.concatenate([np.empty(0), *(predict(current, x) for x in x_val)])
        return validation_errors(y_val, np.concatenate(gather_objects(pred)), table.shots)

    training = Training(method, model, batches, y_train, bins=table.shots.bins, validate=validate, recipe=recipe)
    return TableTraining(training, model, preprocessor)


class _Again:
    """An iterable that starts anew each time."""

    def __init__(self, start: Callable[[], Iterator[NDArray[np.float32]]]) -> None:
        self.start = start

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return self.start()


def predict(model: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Predictions of a model in evaluation mode, many rows at once, target units."""
    return _over_rows(model, model, x)


def predict_std(model: Regressor, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standard deviations of the predictive distribution of a model whose head gives one, target units."""
    head: Any = model.head
    return _over_rows(model, lambda rows: head.std(head.outputs(model.encode(rows))), x)


def _over_rows(model: nn.Module, what: Callable[[Tensor], Tensor], x: NDArray[np.float32]) -> NDArray[np.float64]:
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [what(chunk.to(device)).double().cpu() for chunk in torch.split(torch.from_numpy(x), _ROWS_AT_ONCE)]
    return torch.cat(parts).numpy()


def validation_errors(y: NDArray[np.float64], pred: NDArray[np.float64], shots: Shots) -> dict[str, float]:
    """``mae``, ``rmse``, ``bmae`` over all rows and the MAE of each region that has rows."""
    errors = region_errors(y, pred, shots)
    over_all = {name: errors["all"][name] for name in ("mae", "rmse", "bmae")}
    return over_all | {name: errors[name]["mae"] for name in REGIONS if name in errors}
