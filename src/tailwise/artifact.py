"""A trained model as a folder that loads without running code from it: save, load, predict."""

import json
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
from tailwise.data.schema import Schema
from tailwise.data.table import transform
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import Shots
from tailwise.models.regressor import Regressor
from tailwise.models.table import MLP
from tailwise.training.fit import predict

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
    """

    schema: Schema
    preprocessor: ColumnTransformer
    model: Regressor
    shots: Shots
    relevance: Relevance | None

    def predict(self, frame: pd.DataFrame, *, ignore_extra: bool = False) -> NDArray[np.float64]:
        """``(n,)`` predictions for raw rows.

        Raises:
            InputError: columns that are missing, unknown, or of another type.
        """
        frame = frame.rename(columns=str)
        self.schema.check(frame, ignore_extra=ignore_extra)
        if frame.empty:
            return np.empty(0)
        self.model.eval()
        # One-hot columns are dense, so a large table is transformed piece by piece.
        pieces = [frame.iloc[start : start + _ROWS_AT_ONCE] for start in range(0, len(frame), _ROWS_AT_ONCE)]
        parts = [predict(self.model, transform(self.preprocessor, self.schema, piece)) for piece in pieces]
        return np.concatenate(parts)

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
            "target": self.schema.target,
            "schema": self.schema.to_json(),
            "shots": self.shots.to_json(),
            "relevance": None if self.relevance is None else self.relevance.to_json(),
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
            model = Regressor(encoder, encoder.n_features)
            model.load_state_dict(load_file(folder / _WEIGHTS))
            preprocessor = skops.io.load(folder / _PREPROCESS, trusted=_TRUSTED)
            relevance = description["relevance"]
            return cls(
                Schema.from_json(description["schema"]),
                preprocessor,
                model,
                Shots.from_json(description["shots"]),
                None if relevance is None else Relevance.from_json(relevance),
            )
        except InputError:
            raise
        except _UNREADABLE as error:
            raise InputError(f"{str(folder)!r} is not a complete model folder: {str(error).splitlines()[0]}") from error
