"""Models of a transformed target, such as its logarithm, with predictions in the original units."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.backends.protocol import Fitting, Inputs, OutOfFold, Outputs, Predictor
from tailwise.data.original_units import OriginalUnits, Point, smeared, transformed_shots
from tailwise.data.task import Task
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.transformed import Transformed
from tailwise.labels.transforms import Transform
from tailwise.training.epoch import Epoch
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

_RESIDUALS = 1_000
_ARRAYS = ("residuals", "weights")


def transformed_task(task: Task, name: str, point: Point, *, reweighted: bool) -> tuple[Task, OriginalUnits]:
    """Return a task with transformed labels and bins, whose errors stay in the original units, and the way back.

    Args:
        task: a table with one target.
        point: what the model predicts of the transformed label.
        reweighted: whether training rows are weighted by label, so that predictions lie off the mean on purpose.
        name: one of :data:`tailwise.labels.transform_names.TRANSFORMS`.

    Raises:
        InputError: several targets; training or validation labels that have no transform.
    """
    if len(task.schema.targets) > 1:
        raise InputError(f"`transform` is for one target, and there are {len(task.schema.targets)}; leave it out")
    y_train = task.rows_of("train")[1]
    transform = Transform.of_labels(name, y_train)
    transform.check(task.y[task.part != "test"])
    shots = transformed_shots(task.shots, transform, y_train)
    units = OriginalUnits(transform, task.shots, point, task.split == "balanced", reweighted, task.censoring)
    censoring = None if task.censoring is None else task.censoring.transformed(transform.forward)
    return replace(task, y=transform.forward(task.y), shots=shots, units=units, censoring=censoring), units


@dataclass(frozen=True, eq=False)
class WayBack:
    """The way from a model of transformed labels to predictions in target units.

    Where the model predicts distributions the mean is that of the transformed distribution, otherwise it is smeared,
    see :class:`tailwise.data.original_units.OriginalUnits`.

    Args:
        transform: of the labels.
        point: what the model predicts of the transformed label.
        residuals: ``(r,)`` residuals of validation rows, transformed units, means of neighbouring ones where there are
            many; none of a median.
        weights: ``(r,)`` their fractions of rows as they come.
    """

    transform: Transform
    point: Point
    residuals: NDArray[np.float64]
    weights: NDArray[np.float64]

    def outputs(self, given: Outputs) -> Outputs:
        """Return outputs in target units."""
        base = given.predictive
        predictive = Transformed(base, self.transform) if isinstance(base, Predictive) else None
        std = None if given.std is None or predictive is None else predictive.std()
        return Outputs(self._points(given.pred, predictive), std, given.features, predictive)

    def _points(self, pred: NDArray[np.float64], predictive: Predictive | None) -> NDArray[np.float64]:
        if self.point == "median":
            return self.transform.inverse(pred)
        if predictive is not None:
            return predictive.mean()
        return smeared(self.transform, pred, self.residuals, self.weights)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return {"transform": self.transform.to_json(), "point": self.point, **arrays}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        point: Point = "median" if saved["point"] == "median" else "mean"
        residuals, weights = (np.asarray(saved[name], dtype=np.float64) for name in _ARRAYS)
        return cls(Transform.from_json(saved["transform"]), point, residuals, weights)


class TransformedPredictor:
    """A trained model of transformed labels.

    Args:
        inner: the model.
        back: the way to target units.
    """

    def __init__(self, inner: Predictor, back: WayBack) -> None:
        self.inner, self.back = inner, back

    @property
    def encoder(self) -> Mapping[str, Any]:
        """Description of the encoder of a network; empty of another model."""
        description: Mapping[str, Any] = getattr(self.inner, "encoder", {})
        return description

    def outputs(self, x: Any, *, features: bool = False, predictive: bool = False) -> Outputs:
        """Return outputs from one pass, target units."""
        given = self.back.outputs(self.inner.outputs(x, features=features, predictive=True))
        return given if predictive else replace(given, predictive=None)

    def predict(self, x: Any) -> NDArray[np.float64]:
        """Return ``(n,)`` predictions, target units."""
        return self.outputs(x).pred

    def cpu(self) -> None:
        """Move the model to the CPU."""
        self.inner.cpu()

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model into a folder; return its description, without the way back."""
        return self.inner.save(folder)


class TransformedFitting:
    """A training on transformed labels in progress, see :class:`tailwise.backends.protocol.Fitting`.

    Args:
        inner: the training.
        task: its task, of transformed labels.
        units: the way back to the original ones.
    """

    def __init__(self, inner: Fitting, task: Task, units: OriginalUnits) -> None:
        self.inner, self.task, self.units = inner, task, units
        self._back: WayBack | None = None

    @property
    def recipe(self) -> Recipe:
        """Settings of the training."""
        return self.inner.recipe

    @property
    def inputs(self) -> Inputs:
        """Conversion of rows to inputs."""
        return self.inner.inputs

    @property
    def encoder(self) -> str | None:
        """Name of the encoder of a network."""
        return self.inner.encoder

    @property
    def resumable(self) -> bool:
        """Whether :meth:`state` and :meth:`restore` can be used."""
        return self.inner.resumable

    @property
    def predictor(self) -> TransformedPredictor:
        """The model; after the epochs.

        Raises:
            RuntimeError: before the epochs have ended.
        """
        if self._back is None:
            raise RuntimeError("a model of a transformed target is trained when epochs() has ended")
        return TransformedPredictor(self.inner.predictor, self._back)

    @cached_property
    def out_of_fold(self) -> OutOfFold | None:
        """Predictions of rows that took part in the training, target units; after the epochs."""
        given = self.inner.out_of_fold
        if given is None or self._back is None:
            return None
        points = {name: self.units.transform.inverse(pred) for name, pred in given.points.items()}
        return replace(given, outputs=self._back.outputs(given.outputs), points=points)

    def epochs(self) -> Iterator[Epoch]:
        """Train, epoch by epoch, then learn the way back from the validation rows."""
        yield from self.inner.epochs()
        self._back = WayBack(self.units.transform, self.units.point, *self._residuals())

    def _residuals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return residuals of the validation rows and their weights; none where they are not needed."""
        if self.units.point == "median":
            return np.empty(0), np.empty(0)
        rows, y = self.task.rows_of("val")
        pieces = self.inner.inputs.pieces(self.task.schema, rows)
        pred = np.concatenate([np.empty(0), *(self.inner.predictor.predict(x) for x in pieces)])
        return self.units.smearing(y, pred, _RESIDUALS, self.task.weight_of("val"))

    def state(self) -> "tuple[dict[str, Tensor], dict[str, Any]]":
        """Return everything needed to go on after the last epoch."""
        return self.inner.state()

    def restore(self, tensors: "dict[str, Tensor]", numbers: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.inner.restore(tensors, numbers)
