"""Answers of a finished run to requests: predictions, and a description of the columns it needs."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from tailwise._checks import InputError
from tailwise.data.rows import as_rows
from tailwise.data.seen import Seen
from tailwise.deploy.request import Request
from tailwise.experiment.model import FittedModel
from tailwise.modalities.kinds import modality_named
from tailwise.modalities.map_model import is_map_model
from tailwise.modalities.media_rows import with_full_paths
from tailwise.runs.folder import MODEL, open_run
from tailwise.runs.predicted_table import predicted_table

_MOST_LEVELS = 1000


@dataclass(frozen=True)
class Answers:
    """Predictions of a run's model, in values for JSON.

    Args:
        name: of the run.
        model: its model.
        most_rows: limit of the rows of a request.
    """

    name: str
    model: FittedModel
    most_rows: int = 10_000

    @classmethod
    def of_run(cls, run: str | Path, *, most_rows: int = 10_000) -> Self:
        """Load the model of a finished run.

        Raises:
            InputError: no finished run, or one whose rows name files: a request could read files of this machine.
        """
        folder = open_run(run) / MODEL
        if is_map_model(folder):
            raise InputError(f"{str(run)!r} predicts maps, which no request can hold; use `tailwise predict`")
        model = FittedModel.load(folder)
        for medium in model.schema.media:
            if modality_named(medium.kind).holds_paths:
                raise InputError(
                    f"{str(run)!r} was trained on {medium.plural}, whose cells name files, and a request must not read "
                    "files of this machine; use `tailwise predict`"
                )
        return cls(Path(run).resolve().name, model, most_rows)

    def to(self, body: bytes) -> dict[str, Any]:
        """Return the answer to a request in JSON, see :meth:`tailwise.deploy.request.Request.parsed`.

        Returns:
            ``predictions``, a list of objects in the order of the rows with ``prediction``, ``region`` and whatever
            else was asked for; and ``notes``, a list of texts.

        Raises:
            InputError: a request that does not fit the model.
        """
        schema = self.model.schema
        request = Request.parsed(body, schema, most_rows=self.most_rows)
        request.asked.check(self.model)
        rows = with_full_paths(as_rows(request.frame), schema, Path())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            frame, notes = predicted_table(self.model, rows, request.asked)
        warned = [str(one.message) for one in caught if one.category is UserWarning]
        notes = [*schema.note_on_extra(rows.columns), *dict.fromkeys(warned), *notes]
        return {"predictions": _records(frame.drop(columns="row")), "notes": notes}

    def describe(self) -> dict[str, Any]:
        """Return the columns of a row with kind and training range, and what can be asked for."""
        model, schema = self.model, self.model.schema
        columns = [
            {"name": column.name, "kind": column.kind} | _range(column.kind, self._seen(column.name, column.kind))
            for column in schema.columns
        ]
        columns += [{"name": name, "kind": medium.kind} for medium in schema.media for name in medium.columns]
        return {
            "run": self.name,
            "targets": list(schema.targets),
            "columns": columns,
            "balance": model.balance,
            "distributions": model.dial is not None,
            "intervals": model.intervals is not None,
            "most_rows": self.most_rows,
        }

    def _seen(self, name: str, kind: str) -> Seen | None:
        return self.model.schema.seen.get(f"{name} (days)" if kind == "date" else name)


def _range(kind: str, seen: Seen | None) -> dict[str, Any]:
    """Return the training range of a column, or its levels where they are not too many."""
    if seen is None or kind == "boolean":
        return {}
    if seen.levels is not None:
        return {"levels": list(seen.levels)} if len(seen.levels) <= _MOST_LEVELS else {"n_levels": len(seen.levels)}
    if seen.low is None or seen.high is None:
        return {}
    ends = (seen.low, seen.high)
    low, high = (str(np.datetime64(int(end), "D")) for end in ends) if kind == "date" else ends
    return {"low": low, "high": high}


def _records(frame: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Return rows as objects for JSON, with null where a number is not finite."""
    columns = {str(name): [_finite(value) for value in frame[name].tolist()] for name in frame}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
