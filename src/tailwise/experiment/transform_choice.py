"""Choose the transform of the target by the validation error of a quick model, in original units."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from tailwise._checks import InputError
from tailwise._numbers import number
from tailwise.data.task import Task
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.transformed import of_transformed
from tailwise.labels.transform_names import TRANSFORMS
from tailwise.labels.transforms import Transform
from tailwise.modalities.table_inputs import TableInputs

NONE = "none"
_GAIN = 0.02
_MOST_ROWS = 20_000
_FOLDS = 5


@dataclass(frozen=True)
class TransformChoice:
    """A chosen transform and why.

    Args:
        name: of the transform; ``None`` for the target as it is.
        crps: mean continuous ranked probability score of each candidate on validation rows, target units.
    """

    name: str | None
    crps: Mapping[str, float]

    @property
    def note(self) -> str:
        """One line for the user."""
        scores = ", ".join(f"{name} {number(score)}" for name, score in self.crps.items())
        choice = "the target as it is" if self.name is None else f"`transform={self.name}`"
        return f"transform: {choice}, by the error of a quick model on validation rows (CRPS: {scores})"


def choose_transform(task: Task) -> TransformChoice:
    """Choose among the target as it is and its transforms; one has to lower the error by 2 % to be taken.

    Boosted trees are trained on at most 20,000 training rows for each candidate. Of a validation row the quick model
    gives a Gaussian around its prediction, in units of the transformed target, as wide as the residuals of the other
    validation rows; its CRPS is that of the distribution in target units. Test rows choose nothing.

    Args:
        task: a table with one target.

    Raises:
        InputError: several targets, images, texts or signals, rows that are not in memory.
    """
    if len(task.schema.targets) > 1 or task.schema.media or not task.rows.in_memory:
        raise InputError("`transform=auto` is for one target of a table in memory; name a transform")
    features, y_train = task.training_features()
    chosen = np.random.default_rng(0).permutation(len(y_train))[:_MOST_ROWS]
    inputs = TableInputs.fit_trees(features)
    x = inputs.of_frame(task.schema, task.rows_of("train")[0].frame())[chosen]
    rows, y_val = task.rows_of("val")
    x_val, y_train = inputs.of_frame(task.schema, rows.frame()), y_train[chosen]
    possible = [name for name in TRANSFORMS if Transform(name).possible(task.y[task.part != "test"])]
    crps = {name: _crps(name, x, y_train, x_val, y_val) for name in (NONE, *possible)}
    best = min(crps, key=lambda name: crps[name])
    better = best != NONE and crps[best] < (1 - _GAIN) * crps[NONE]
    return TransformChoice(best if better else None, crps)


def _crps(
    name: str,
    x: NDArray[np.float64],
    y_train: NDArray[np.float64],
    x_val: NDArray[np.float64],
    y_val: NDArray[np.float64],
) -> float:
    """Return the mean CRPS of validation rows, target units."""
    transform = None if name == NONE else Transform.of_labels(name, y_train)
    z, z_val = (y if transform is None else transform.forward(y) for y in (y_train, y_val))
    pred = HistGradientBoostingRegressor(max_iter=100, early_stopping=False, random_state=0).fit(x, z).predict(x_val)
    fold = np.arange(len(pred)) % _FOLDS
    residual = z_val - pred
    others = [residual[fold != fold_of] if (fold != fold_of).any() else residual for fold_of in range(_FOLDS)]
    spread = np.array([np.sqrt(np.mean(np.square(part))) for part in others])[fold]
    rows = Mixture(np.ones((len(pred), 1)), pred[:, None], np.maximum(spread, 1e-300)[:, None])
    return float(of_transformed(rows, transform).crps(y_val).mean())
