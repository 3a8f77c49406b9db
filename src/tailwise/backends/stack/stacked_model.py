"""A trained stack: the experts' models by fold, and the combiner of their predictions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise.backends.protocol import Inputs, Outputs, Predictor
from tailwise.backends.stack.combiner import Combiner
from tailwise.backends.stack.encoded_rows import EncodedRows, FeatureInputs
from tailwise.backends.stack.experts import ABOVE, PLAIN, WHETHER_ZERO, Expert
from tailwise.backends.stack.hurdle_combiner import HurdleCombiner, load_combiner
from tailwise.backends.stack.trained_fold import TrainedFold, files_below, load_expert
from tailwise.data.columns import Schema
from tailwise.data.rows import Rows

KIND = "stack"


@dataclass(frozen=True)
class StackInputs:
    """Inputs of all models of a stack, by the position of the model.

    Args:
        parts: of each model.
    """

    parts: tuple[Inputs, ...]

    def of_frame(self, schema: Schema, frame: pd.DataFrame) -> dict[str, Any]:
        """Return the inputs of the rows of a data frame."""
        return {str(place): part.of_frame(schema, frame) for place, part in enumerate(self.parts)}

    def pieces(self, schema: Schema, rows: Rows) -> Iterator[dict[str, Any]]:
        """Return the inputs of rows, a piece at a time, in order."""
        for pieces in zip(*(part.pieces(schema, rows) for part in self.parts), strict=True):
            yield {str(place): piece for place, piece in enumerate(pieces)}

    def save(self, folder: Path) -> dict[str, Any]:  # noqa: ARG002  the files are written with the models
        """Return a description for ``model.json``."""
        return {"kind": KIND}


class StackedModel:
    """A trained stack.

    Args:
        experts: the experts.
        trained: of each expert, its models by fold, in the order of the experts.
        combiner: the conditional density of the label.
        parts: inputs and model of each of them, where they were loaded before.
    """

    def __init__(
        self,
        experts: Sequence[Expert],
        trained: Sequence[TrainedFold],
        combiner: Combiner | HurdleCombiner,
        parts: Sequence[tuple[Inputs, Predictor]] | None = None,
    ) -> None:
        self.experts, self.trained, self.combiner = tuple(experts), tuple(trained), combiner
        parts = [one.load() for one in trained] if parts is None else parts
        self.inputs = StackInputs(tuple(inputs for inputs, _ in parts))
        self.models: tuple[Predictor, ...] = tuple(model for _, model in parts)

    def columns(self, x: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the ``(n, c)`` inputs of the combiner: means over folds, see :func:`combiner_columns`."""
        outputs = self._outputs(x)
        columns = [
            np.mean([expert.columns(outputs[place]) for place in self._places(expert.name)], axis=0)
            for expert in self.experts
        ]
        return combiner_columns(self.experts, columns)

    def points_of(self, name: str, schema: Schema, rows: Rows) -> NDArray[np.float64]:
        """Return the ``(n,)`` predictions of one expert, the mean over its folds, target units."""
        places = self._places(name)
        if any(isinstance(self.inputs.parts[place], FeatureInputs) for place in places):
            needed = sorted({*places, *self._places(PLAIN)})
        else:
            needed = places
        inputs = StackInputs(tuple(self.inputs.parts[place] for place in needed))
        pieces = []
        for x in inputs.pieces(schema, rows):
            outputs = self._outputs({str(place): x[str(i)] for i, place in enumerate(needed)})
            pieces.append(np.mean([outputs[place].pred for place in places], axis=0))
        return np.concatenate([np.empty(0), *pieces])

    def _places(self, name: str) -> list[int]:
        return [place for place, one in enumerate(self.trained) if one.expert == name]

    def _outputs(self, x: Mapping[str, Any]) -> dict[int, Outputs]:
        """Return the outputs of models by place; a network gives features to the experts on them in the same pass."""
        levels = {expert.name: bool(expert.levels) for expert in self.experts}
        waiting = {int(place): rows for place, rows in x.items() if isinstance(rows, EncodedRows)}
        folds = {self.trained[place].fold for place in waiting}
        outputs, features = {}, {}
        for place in (int(name) for name in x):
            one = self.trained[place]
            if place not in waiting:
                encodes = one.expert == PLAIN and one.fold in folds
                outputs[place] = self.models[place].outputs(
                    x[str(place)], features=encodes, predictive=levels[one.expert]
                )
                if encodes:
                    features[one.fold] = outputs[place].features
        for place, rows in waiting.items():
            one, given = self.trained[place], features.get(self.trained[place].fold)
            if given is None:
                raise TypeError(f"no features of fold {one.fold} for {one.expert!r}")
            outputs[place] = self.models[place].outputs(rows.with_features(given), predictive=levels[one.expert])
        return outputs

    def outputs(self, x: Any, *, features: bool = False, predictive: bool = False) -> Outputs:  # noqa: ARG002
        """Return medians, standard deviations and distributions of rows; a stack has no features."""
        known = self.combiner.predictive(self.columns(x))
        return Outputs(known.median(), known.std(), None, known if predictive else None)

    def predict(self, x: Any) -> NDArray[np.float64]:
        """Return ``(n,)`` predictions, target units."""
        return self.outputs(x).pred

    def cpu(self) -> None:
        """Move the models to the CPU."""
        for model in self.models:
            model.cpu()

    def save(self, folder: Path) -> dict[str, Any]:
        """Write a folder for each model, and the combiner; return a description for JSON."""
        for place, one in enumerate(self.trained):
            (folder / str(place)).mkdir()
            one.write(folder / str(place))
        return {
            "kind": KIND,
            "experts": [asdict(expert) for expert in self.experts],
            "trained": [{"expert": one.expert, "fold": one.fold} for one in self.trained],
            "combiner": self.combiner.save(folder),
        }

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        experts = [Expert(**{**plain, "levels": tuple(plain["levels"])}) for plain in description["experts"]]
        trained = [
            TrainedFold(
                str(plain["expert"]),
                int(plain["fold"]),
                np.empty((0, 0)),
                files_below(folder / str(place)),
                0.0,
            )
            for place, plain in enumerate(description["trained"])
        ]
        parts = [load_expert(folder / str(place)) for place in range(len(trained))]
        return cls(experts, trained, load_combiner(folder, description["combiner"]), parts)


def combiner_columns(experts: Sequence[Expert], columns: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the ``(n, c)`` inputs of the combiner from the columns of each expert: points, then what else they give.

    On a target with many zeros those of experts on labels above 0, then the chances of 0.
    """
    of = [(expert.learns, one) for expert, one in zip(experts, columns, strict=True)]
    above = [one for learns, one in of if learns == ABOVE]
    amounts = above or [one for _, one in of]
    chances = [one[:, :1] for learns, one in of if learns == WHETHER_ZERO]
    return np.concatenate([*(one[:, :1] for one in amounts), *(one[:, 1:] for one in amounts), *chances], axis=1)
