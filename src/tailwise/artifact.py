"""A trained model as a folder that loads without running code from it: save, load, predict."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.compose import ColumnTransformer

from tailwise._checks import InputError
from tailwise.data.prepare import PreparedTable
from tailwise.data.rows import Rows, as_rows
from tailwise.data.schema import Schema
from tailwise.data.table import transform
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import Shots
from tailwise.methods.method import Method
from tailwise.models.heads import head_from
from tailwise.models.regressor import Regressor
from tailwise.models.table import MLP
from tailwise.posthoc import Correction, Fitting
from tailwise.training.fit import predict, predict_std

_FORMAT = 1
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
_WEIGHTS, _PREPROCESS, _DESCRIPTION = "model.safetensors", "preprocess.skops", "model.json"


@dataclass(frozen=True)
class TableModel:
    """A table model: raw rows in, predictions in the target's units out.

    Args:
        schema: the columns it needs.
        preprocessor: from features to inputs.
        model: the network.
        shots: regions of the target, from training labels.
        relevance: φ of the target, if any value is extreme.
        correction: what corrects the network's predictions, if anything does.
    """

    schema: Schema
    preprocessor: ColumnTransformer
    model: Regressor
    shots: Shots
    relevance: Relevance | None
    correction: Correction | None = None

    def predict(self, frame: pd.DataFrame | Rows, *, ignore_extra: bool = False) -> NDArray[np.float64]:
        """``(n,)`` predictions for raw rows.

        Raises:
            InputError: columns that are missing, unknown, or of another type.
        """
        pred = self._over(frame, predict, ignore_extra)
        return pred if self.correction is None else self.correction(pred)

    def predict_std(self, frame: pd.DataFrame | Rows, *, ignore_extra: bool = False) -> NDArray[np.float64] | None:
        """``(n,)`` standard deviations of the network's predictive distribution, target units; ``None`` if it has none.

        Raises:
            InputError: columns that are missing, unknown, or of another type.
        """
        return self._over(frame, predict_std, ignore_extra) if hasattr(self.model.head, "std") else None

    def _over(
        self,
        frame: pd.DataFrame | Rows,
        what: Callable[[Regressor, NDArray[np.float32]], NDArray[np.float64]],
        ignore_extra: bool,
    ) -> NDArray[np.float64]:
        rows = as_rows(frame.rename(columns=str) if isinstance(frame, pd.DataFrame) else frame)
        self.schema.check(rows.columns, ignore_extra=ignore_extra)
        self.model.eval()
        # One-hot columns are dense, so a large table is transformed piece by piece.
        pieces = (transform(self.preprocessor, self.schema, piece) for piece in rows.pieces(_ROWS_AT_ONCE))
        return np.concatenate([np.empty(0), *(what(self.model, x) for x in pieces)])

    def save(self, folder: Path) -> None:
        """Write the model into a folder that exists."""
        encoder = self.model.encoder
        if not isinstance(encoder, MLP):
            raise InputError(f"only MLP encoders can be saved, got {type(encoder).__name__}")
        save_file({k: v.detach().cpu().contiguous() for k, v in self.model.state_dict().items()}, folder / _WEIGHTS)
        skops.io.dump(self.preprocessor, folder / _PREPROCESS)
        description = {
            "format": _FORMAT,
            "network": {"encoder": "mlp", **encoder.shape},
            "head": getattr(self.model.head, "shape", None),
            "target": self.schema.target,
            "schema": self.schema.to_json(),
            "shots": self.shots.to_json(),
            "relevance": None if self.relevance is None else self.relevance.to_json(),
            "correction": None if self.correction is None else self.correction.to_json(),
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
            if description["format"] != _FORMAT:
                raise InputError(
                    f"{str(folder)!r} has model format {description['format']}, this version reads {_FORMAT}; "
                    "use the version that wrote it"
                )
            network = {k: v for k, v in description["network"].items() if k != "encoder"}
            encoder = MLP(**network)
            model: Regressor = Regressor(encoder, encoder.n_features)
            if description.get("head") is not None:
                model.head = head_from(encoder.n_features, description["head"])
            model.load_state_dict(load_file(folder / _WEIGHTS))
            preprocessor = skops.io.load(folder / _PREPROCESS, trusted=_TRUSTED)
            relevance, correction = description["relevance"], description.get("correction")
            return cls(
                Schema.from_json(description["schema"]),
                preprocessor,
                model,
                Shots.from_json(description["shots"]),
                None if relevance is None else Relevance.from_json(relevance),
                None if correction is None else Correction.from_json(correction),
            )
        except InputError:
            raise
        except _UNREADABLE as error:
            raise InputError(f"{str(folder)!r} is not a complete model folder: {str(error).splitlines()[0]}") from error


def correction_of(model: TableModel, table: PreparedTable, method: Method) -> Correction | None:
    """What corrects a trained model's predictions, fitted on the validation rows; ``None`` if nothing does."""
    if method.correction is None:
        return None
    _, y_train = table.rows_of("train")
    rows, y_val = table.rows_of("val")
    fitting = Fitting(y_train, table.shots.bins, y_val, model.predict(rows))
    fitted: Correction = method.correction.fit(fitting)
    return fitted
