"""Train a method on a prepared table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from torch import Tensor, nn

from tailwise.data.batches import Batches
from tailwise.data.prepare import PreparedTable
from tailwise.data.table import fit_preprocessor, transform
from tailwise.labels.shots import REGIONS, Shots
from tailwise.methods.method import Method
from tailwise.metrics.errors import balanced_mean_absolute_error, mean_absolute_error, root_mean_squared_error
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
    preprocessor = fit_preprocessor(table.schema.features(train))
    x_train = transform(preprocessor, table.schema, train)
    x_val = transform(preprocessor, table.schema, val.iloc[piece(len(val))])

    seed_everything(recipe.seed, 0, -2)
    encoder = MLP(x_train.shape[1])
    model = Regressor(encoder, encoder.n_features)
    batches = Batches(
        torch.from_numpy(x_train),
        torch.from_numpy(y_train).float(),
        batch_size=recipe.batch_size_for(len(y_train)),
    )

    def validate(current: nn.Module) -> Mapping[str, float]:
        return validation_errors(y_val, np.concatenate(gather_objects(predict(current, x_val))), table.shots)

    training = Training(method, model, batches, y_train, bins=table.shots.bins, validate=validate, recipe=recipe)
    return TableTraining(training, model, preprocessor)


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
    errors = {
        "mae": mean_absolute_error(y, pred),
        "rmse": root_mean_squared_error(y, pred),
        "bmae": balanced_mean_absolute_error(y, pred, shots.bins),
    }
    codes, size = shots.codes(y), np.abs(pred - y)
    return errors | {name: float(size[codes == i].mean()) for i, name in enumerate(REGIONS) if (codes == i).any()}
