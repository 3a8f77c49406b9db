"""A trained model as a folder that loads without running code from it: save, load, predict."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from safetensors import SafetensorError
from sklearn.compose import ColumnTransformer

from tailwise._checks import InputError
from tailwise.calibration.corrections import Correction, Fitting
from tailwise.calibration.intervals import RegionIntervals
from tailwise.data.columns import Schema
from tailwise.data.preprocessing import transform
from tailwise.data.rows import Rows, as_rows
from tailwise.data.task import Task
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import Shots

if TYPE_CHECKING:
    from tailwise.modalities.media_inputs import MediaInputs

_FORMAT = 2
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RuntimeError,
    BadZipFile,
    SafetensorError,
)
# scikit-learn's own types are known to skops; a fitted imputer also holds the type of the numbers it saw.
_TRUSTED = ["numpy.dtype"]
_ROWS_AT_ONCE = 20_000
_FOLDS = 5
_PREPROCESS, _DESCRIPTION = "preprocess.skops", "model.json"


class Predictor(Protocol):
    """What a saved model predicts with: :class:`tailwise.backends.network.Network` or another."""

    dtype: Any

    def predict(self, x: Any, /) -> NDArray[np.float64]:
        """``(n,)`` or ``(n, K)`` predictions, target units, for inputs of that dtype."""

    def std(self, x: Any, /) -> NDArray[np.float64] | None:
        """``(n,)`` standard deviations, target units, if it has them."""

    def save(self, folder: Path, /) -> dict[str, Any]:
        """Write itself into a folder, and say what it is."""


@dataclass(frozen=True)
class TableModel:
    """A table model: raw rows in, predictions in the target's units out.

    Args:
        schema: the columns it needs.
        preprocessor: from features to inputs; with images, texts or signals, from rows to inputs.
        model: a network, or what else predicts.
        shots: regions of the target, from training labels.
        relevance: φ of the target, if any value is extreme.
        correction: what corrects the model's predictions, if anything does.
        intervals: of its predictions by region, calibrated on validation rows.
    """

    schema: Schema
    preprocessor: "ColumnTransformer | MediaInputs"
    model: Predictor
    shots: Shots
    relevance: Relevance | None
    correction: Correction | None = None
    intervals: RegionIntervals | None = None

    def calibrated(self, table: Task, correction: Any = None, *, intervals: bool = True) -> Self:
        """This model with what is fitted to its predictions for the validation rows.

        Args:
            table: the table it was trained on.
            correction: ``fit(fitting)``, see ``tailwise.calibration.corrections``; intervals are those of corrected
                predictions.
            intervals: whether to calibrate intervals; there are none of several targets.
        """
        _, y_train = table.rows_of("train")
        rows, y_val = table.rows_of("val")
        pred = self.predict(rows)
        fitted = None
        if correction is not None:

            def fit_to(here: NDArray[np.bool_]) -> Correction:
                found: Correction = correction.fit(Fitting(y_train, table.shots.scalar_bins, y_val[here], pred[here]))
                return found

            fitted = fit_to(np.ones(len(pred), dtype=bool))
            # A correction is too good on the rows it was fitted to: each fold is corrected by the others.
            fold = np.arange(len(pred)) % _FOLDS if len(pred) >= 2 * _FOLDS else np.zeros(len(pred), dtype=np.int64)
            corrected = pred.copy()
            for i in range(int(fold.max()) + 1):
                corrected[fold == i] = (fit_to(fold != i) if fold.max() else fitted)(pred[fold == i])
            pred = corrected
        found = RegionIntervals.fit(y_val, pred, table.shots) if intervals and pred.ndim == 1 else None
        return replace(self, correction=fitted, intervals=found)

    def predict_interval(
        self, frame: pd.DataFrame | Rows, confidence: float = 0.9, *, ignore_extra: bool = False
    ) -> NDArray[np.float64]:
        """``(n, 2)`` low and high end of conformal intervals, target units; see :class:`RegionIntervals`.

        Raises:
            InputError: a model without calibration rows, a confidence outside (0, 1), columns that do not fit.
        """
        return self.intervals_of(self.predict(frame, ignore_extra=ignore_extra), confidence)

    def intervals_of(self, pred: NDArray[np.float64], confidence: float = 0.9) -> NDArray[np.float64]:
        """``(n, 2)`` low and high end around predictions of this model, ``(n,)``; see :meth:`predict_interval`."""
        if len(self.schema.targets) > 1:
            raise InputError(f"there are no intervals of {len(self.schema.targets)} targets; leave them out")
        if self.intervals is None:
            raise InputError("this model was trained without held-out rows to calibrate intervals; train on more rows")
        return self.intervals.intervals(pred, confidence)

    def predict(self, frame: pd.DataFrame | Rows, *, ignore_extra: bool = False) -> NDArray[np.float64]:
        """``(n,)`` predictions for raw rows, ``(n, K)`` of K targets; relative paths start at the current folder.

        Raises:
            InputError: columns that are missing, unknown, or of another type.
        """
        rows = self._rows(frame, ignore_extra)
        k = len(self.schema.targets)
        none = np.empty(0) if k == 1 else np.empty((0, k))
        pred = np.concatenate([none, *(self.model.predict(x) for x in self._inputs(rows))])
        return pred if self.correction is None else self.correction(pred)

    def predict_std(self, frame: pd.DataFrame | Rows, *, ignore_extra: bool = False) -> NDArray[np.float64] | None:
        """``(n,)`` standard deviations of the network's predictive distribution, target units; ``None`` if it has none.

        Raises:
            InputError: columns that are missing, unknown, or of another type.
        """
        rows = self._rows(frame, ignore_extra)
        found = []
        for x in self._inputs(rows):
            part = self.model.std(x)
            if part is None:  # without reading the others
                return None
            found.append(part)
        return np.concatenate(found) if found else None

    def features(self, frame: pd.DataFrame | Rows) -> NDArray[np.float64] | None:
        """``(n, d)`` features that a network makes of raw rows; ``None`` of a model that is no network.

        Raises:
            InputError: columns that are missing, unknown, or of another type.
        """
        if not hasattr(self.model, "features"):
            return None
        return np.concatenate([self.model.features(x) for x in self._inputs(self._rows(frame, False))])

    def _rows(self, frame: pd.DataFrame | Rows, ignore_extra: bool) -> Rows:
        rows = as_rows(frame.rename(columns=str) if isinstance(frame, pd.DataFrame) else frame)
        self.schema.check(rows.columns, ignore_extra=ignore_extra)
        return rows

    def _inputs(self, rows: Rows) -> Iterator[Any]:
        # One-hot columns are dense, so a large table is transformed piece by piece.
        if not self.schema.media:
            return (transform(self.preprocessor, self.schema, p, self.model.dtype) for p in rows.pieces(_ROWS_AT_ONCE))
        media: Any = self.preprocessor
        pieces: Iterator[Any] = media.pieces(self.schema, rows)
        return pieces

    def save(self, folder: Path) -> None:
        """Write the model into a folder that exists."""
        media: Any = self.preprocessor if self.schema.media else None
        if media is None:
            skops.io.dump(self.preprocessor, folder / _PREPROCESS)
        description = {
            "format": _FORMAT,
            "inputs": None if media is None else media.save(folder),
            "model": self.model.save(folder),
            "target": self.schema.to_json()["target"],
            "schema": self.schema.to_json(),
            "shots": self.shots.to_json(),
            "relevance": None if self.relevance is None else self.relevance.to_json(),
            "correction": None if self.correction is None else self.correction.to_json(),
            "intervals": None if self.intervals is None else self.intervals.to_json(),
        }
        (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model folder; nothing in it is executed.

        Raises:
            InputError: files that are missing or cannot be read.
        """
        folder = Path(folder)
        try:
            description: dict[str, Any] = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
            if str(description["format"]).startswith("tailwise-maps"):
                raise InputError(f"{str(folder)!r} holds a model of maps, which only predict and evaluate take")
            if description["format"] != _FORMAT:
                raise InputError(
                    f"{str(folder)!r} has model format {description['format']}, this version reads {_FORMAT}; "
                    "use the version that wrote it"
                )
            model = _load_model(folder, description["model"])
            preprocessor = _load_inputs(folder, description.get("inputs"))
            relevance, correction, intervals = (description[k] for k in ("relevance", "correction", "intervals"))
            return cls(
                Schema.from_json(description["schema"]),
                preprocessor,
                model,
                Shots.from_json(description["shots"]),
                None if relevance is None else Relevance.from_json(relevance),
                None if correction is None else Correction.from_json(correction),
                None if intervals is None else RegionIntervals.from_json(intervals),
            )
        except InputError:
            raise
        except _UNREADABLE as error:
            raise InputError(f"{str(folder)!r} is not a complete model folder: {str(error).splitlines()[0]}") from error


def _load_inputs(folder: Path, saved: Mapping[str, Any] | None) -> Any:
    if saved is None:
        return skops.io.load(folder / _PREPROCESS, trusted=_TRUSTED)
    from tailwise.modalities.media_inputs import MediaInputs

    return MediaInputs.load(folder, saved)


def _load_model(folder: Path, description: Mapping[str, Any]) -> Predictor:
    if description["kind"] == "network":
        from tailwise.backends.network import Network

        return Network.load(folder, description)
    from tailwise.backends.classical import Classical

    return Classical.load(folder, description)
