"""A fitted model of maps as a folder that loads without running code from it: save, load, predict."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise._stored import read_stored
from tailwise.data.damaged import DAMAGED
from tailwise.distributions.decisions import Decision, Dial, Loss
from tailwise.distributions.label_density import SmoothedDensity, Target
from tailwise.distributions.predictive import Predictive
from tailwise.labels.shots import Shots
from tailwise.modalities.map_network import Images, MapInputs, MapNetwork
from tailwise.modalities.map_rows import MapRows, map_rows
from tailwise.modalities.map_schema import MapSchema, MapSettings
from tailwise.modalities.map_task import PreparedMaps

OfImage = TypeVar("OfImage")
FORMAT = "tailwise-maps-1"
_DESCRIPTION = "model.json"


@dataclass(frozen=True)
class MapModel:
    """A fitted model of maps: images in, maps in the target's units out.

    Args:
        schema: the columns it needs, with the size that images are stretched to.
        model: the network.
        shots: regions, from training pixels.
        inputs: from rows to the network's inputs.
        dial: smoothed density of the training pixels, for decisions between common and rare values; ``None`` of a model
            without distributions, or with those of pixels that were weighted by label.
        balance: of predictions where a call gives none, from 0 (labels as they come) to 1 (every value equally likely).
    """

    schema: MapSchema
    model: MapNetwork
    shots: Shots
    inputs: MapInputs = field(default_factory=MapInputs)
    dial: Dial | None = None
    balance: float = 0.0

    @classmethod
    def of(cls, task: PreparedMaps, predictor: MapNetwork, *, balance: float = 0.0, reweighted: bool = False) -> Self:
        """Return the model of a network that was trained on a task.

        Args:
            task: the data.
            predictor: the network.
            balance: of its predictions.
            reweighted: whether pixels were weighted by label: its distributions are then not those of labels as they
                come.
        """
        settings, dial = replace(task.schema.settings, size=task.rows.size), None
        if predictor.has_distributions and not reweighted:
            low, high = task.pixels.min(), task.pixels.max()
            density = SmoothedDensity.from_counts(task.shots.scalar_bins, task.counts.counts, low=low, high=high)
            dial = Dial(density)
        return cls(replace(task.schema, settings=settings), predictor, task.shots, dial=dial, balance=balance)

    def rows(self, frame: pd.DataFrame, folder: Path, *, maps: bool) -> MapRows:
        """Return rows of an index table as this model takes them, with their files checked.

        Args:
            frame: the table.
            folder: where relative paths start.
            maps: whether to open maps and masks too, to evaluate.

        Raises:
            InputError: columns that are missing, files that cannot be used.
        """
        self.schema.check([str(name) for name in frame.columns], maps=maps)
        return map_rows(frame, folder, self.schema, maps=maps)

    def predict(
        self,
        rows: MapRows | pd.DataFrame,
        *,
        balance: float | None = None,
        density: Target | None = None,
        loss: Loss | None = None,
        under: float | None = None,
        over: float | None = None,
        quantile: float | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Return a map ``(H, W)`` for each image, of the image's stored size, target units, one after the other.

        Without further arguments they are the model's own; otherwise the prediction of each pixel minimizes the
        expected loss under its distribution, tilted as the balance or the density says. Nothing is trained again.

        Args:
            rows: rows, or an index table whose relative paths start at the current folder.
            balance: from 0 (labels as they come) to 1 (every value equally likely); by default the model's.
            density: declared density of the pixels' labels, in place of a balance; see
                :meth:`tailwise.distributions.SmoothedDensity.ratio`.
            loss: ``"absolute"`` (the median; the default of a decision) or ``"squared"`` (the mean).
            under: cost of predicting too low, per unit; with ``over`` the quantile under / (under + over).
            over: cost of predicting too high, per unit.
            quantile: a level in (0, 1).

        Raises:
            InputError: columns that are missing, files that cannot be used, a model without distributions, what
                :class:`tailwise.distributions.Decision` refuses.
        """
        decision = Decision(balance=balance, density=density, loss=loss, under=under, over=over, quantile=quantile)
        opened = self.rows(rows, Path(), maps=False) if isinstance(rows, pd.DataFrame) else rows
        return self.decided(opened, decision)

    def decided(self, rows: MapRows, decision: Decision) -> Iterator[NDArray[np.float32]]:
        """Return the maps that a decision asks for, one after the other; see :meth:`predict`.

        Raises:
            InputError: a model without distributions, where the decision or the model's balance needs them.
        """
        if not decision.given and self.balance == 0:
            return self._maps(rows, self.model.predict)
        return (maps[0] for maps in self._decided(rows, [decision]))

    def at_balances(self, rows: MapRows, balances: Sequence[float]) -> Iterator[list[NDArray[np.float32]]]:
        """Return the maps of each image at several balances, one image after the other, in one pass of the network.

        Raises:
            InputError: a model without distributions, a balance outside [0, 1].
        """
        return self._decided(rows, [Decision(balance=balance) for balance in balances])

    def _decided(self, rows: MapRows, decisions: Sequence[Decision]) -> Iterator[list[NDArray[np.float32]]]:
        if self.dial is None:
            raise InputError(
                "this model of maps has no distributions; train it with this version and `method='mixture'`, without "
                "weights, or predict without them"
            )
        dial = self.dial

        def decide(distributions: Predictive) -> list[NDArray[np.float64]]:
            return [decision.of(distributions, dial, self.balance) for decision in decisions]

        return self._maps(rows, lambda x: self.model.decided(x, decide))

    def _maps(self, rows: MapRows, predict: Callable[[Images], list[OfImage]]) -> Iterator[OfImage]:
        for x in self.inputs.pieces(self.schema, rows):
            yield from predict(x)

    def save(self, folder: Path) -> None:
        """Write the model into a folder that exists."""
        description = {
            "format": FORMAT,
            "image": self.schema.image,
            "depth": self.schema.depth,
            "settings": asdict(self.schema.settings),
            **self.model.save(folder),
            "shots": self.shots.to_json(),
            "dial": None if self.dial is None else self.dial.to_json(),
            "balance": self.balance,
        }
        (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model folder; nothing in it is executed.

        Raises:
            InputError: files that are missing or cannot be read, another kind of model.
        """
        folder = Path(folder)
        try:
            description = read_stored(folder / _DESCRIPTION, {"format": (str, int)})
            if description["format"] != FORMAT:
                raise InputError(f"{str(folder)!r} holds no model of maps that this version reads")
            network = MapNetwork.load(folder, description)
            settings = MapSettings.of(description["settings"])
            schema = MapSchema(str(description["image"]), str(description["depth"]), settings)
            shots, dial = Shots.from_json(description["shots"]), description.get("dial")  # none in earlier models
            return cls(
                schema,
                network,
                shots,
                dial=None if dial is None else Dial.from_json(dial),
                balance=float(description.get("balance", 0.0)),
            )
        except InputError:
            raise
        except DAMAGED as error:
            raise InputError(f"{str(folder)!r} is not a complete model folder: {str(error).splitlines()[0]}") from error


def is_map_model(folder: Path) -> bool:
    """Return whether a model folder holds a model of maps."""
    try:
        description = read_stored(folder / _DESCRIPTION)
    except InputError:
        return False
    return description.get("format") == FORMAT
