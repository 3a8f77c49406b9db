"""Evaluate a model of maps: errors by region, errors of each image, and examples to look at."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise.labels.shots import Shots
from tailwise.metrics.depth import DepthErrors
from tailwise.metrics.region_metrics import RegionMetrics
from tailwise.modalities.map_files import read_image
from tailwise.modalities.map_rows import MapRows, Truths
from tailwise.modalities.map_task import PreparedMaps


class PredictsMaps(Protocol):
    """A model of maps, such as :class:`tailwise.modalities.map_model.MapModel`."""

    @property
    def shots(self) -> Shots:
        """Regions, from training pixels."""

    def predict(self, rows: MapRows, /) -> Iterator[NDArray[np.float32]]:
        """Yield a map ``(H, W)`` for each image."""


class Store(Protocol):
    """A place for predicted maps, such as :class:`tailwise.modalities.map_store.MapFile`."""

    def add(self, name: str, values: NDArray[Any], /) -> None:
        """Keep a map."""

    def read(self, name: str, /) -> NDArray[Any]:
        """Return a map that was kept."""


@dataclass(frozen=True)
class Example:
    """An image with its map and its prediction.

    Args:
        name: name of the image.
        image: ``(3, H, W)`` bytes.
        truth: ``(H, W)`` target units, NaN where unknown.
        pred: ``(H, W)`` target units.
    """

    name: str
    image: NDArray[np.uint8]
    truth: NDArray[np.float32]
    pred: NDArray[np.float32]


@dataclass(frozen=True)
class MapEvaluation:
    """Errors of a model on some images.

    Args:
        errors: of all pixels by bin.
        images: a row for each image: ``row``, ``split``, ``image``, ``pixels`` (known ones), ``mae``, ``rmse``,
            ``bias``; NaN for an image without known pixels.
        examples: images with the smallest, the median and the largest MAE, if predicted maps were stored.
    """

    errors: DepthErrors
    images: pd.DataFrame
    examples: tuple[Example, ...]

    def regions(self, *, resamples: int = 1000, seed: int = 0) -> dict[str, RegionMetrics]:
        """Return metrics by region; see :meth:`DepthErrors.metrics`."""
        return self.errors.metrics(resamples=resamples, seed=seed)


def evaluate_part(model: PredictsMaps, task: PreparedMaps, part: str, *, store: Store | None = None) -> MapEvaluation:
    """Evaluate a model on one part of a task; see :func:`evaluate_maps`."""
    rows, _ = task.rows_of(part)
    return evaluate_maps(model, rows, row=task.row[task.part == part], part=part, store=store)


def evaluate_maps(
    model: PredictsMaps,
    rows: MapRows,
    *,
    row: NDArray[np.int64] | None = None,
    part: str = "test",
    store: Store | None = None,
    pred: Iterable[NDArray[np.float32]] | None = None,
) -> MapEvaluation:
    """Evaluate a model on images with maps; pixels that a mask leaves out do not count.

    Args:
        model: a fitted model.
        rows: images with maps.
        row: ``(n,)`` position of each row in the source; 0 to n - 1 by default.
        part: name of the rows in the table of images.
        store: keeps each predicted map as ``row`` and its position; without it there are no examples.
        pred: predicted maps, one for each row; by default what the model predicts.

    Raises:
        InputError: predictions that are not finite, depths that are not above 0.
    """
    positions = [int(i) for i in (range(len(rows)) if row is None else row)]
    errors, lines = DepthErrors(model.shots), []
    predicted = model.predict(rows) if pred is None else pred
    for position, name, truth, one in zip(positions, rows.names, Truths(rows), predicted, strict=True):
        errors.add(truth, one)
        if store is not None:
            store.add(_key(position), one)
        lines.append({"row": position, "split": part, "image": name, **_errors_of_image(truth, one)})
    images = pd.DataFrame(lines)
    examples = () if store is None else tuple(_examples(images, rows, store))
    return MapEvaluation(errors, images, examples)


def _key(position: int) -> str:
    return f"row{position}"


def _errors_of_image(truth: NDArray[np.float32], pred: NDArray[np.float32]) -> dict[str, Any]:
    known = ~np.isnan(truth)
    error = (pred[known] - truth[known]).astype(np.float64)
    return {
        "pixels": int(known.sum()),
        "mae": np.abs(error).mean() if known.any() else np.nan,
        "rmse": np.sqrt(np.square(error).mean()) if known.any() else np.nan,
        "bias": error.mean() if known.any() else np.nan,
    }


def _examples(images: pd.DataFrame, rows: MapRows, store: Store) -> Iterator[Example]:
    """Yield the images with the smallest, the median and the largest MAE."""
    ranked = images[images["pixels"] > 0].sort_values("mae", kind="stable")
    for rank in sorted({0, len(ranked) // 2, len(ranked) - 1}) if len(ranked) else ():
        place = int(ranked.index[rank])
        (truth,) = Truths(rows.select([place]))
        pred = store.read(_key(int(images["row"].iloc[place])))
        yield Example(rows.names[place], read_image(Path(rows.images[place])), truth, pred)
