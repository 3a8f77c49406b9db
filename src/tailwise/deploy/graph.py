"""A network with its preprocessing as one module: raw numbers and codes of categories to predictions."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from torch import Tensor, nn

from tailwise.data.preprocessing import CATEGORIES, NUMBERS, categories_of
from tailwise.data.reach import Reach
from tailwise.heads.head import as_head

_NO_LEVEL = "\0"  # a category that no table has


class Numbers(nn.Module):
    """Numbers of a table as a network takes them: limited, imputed with indicators, scaled.

    Args:
        preprocessor: fitted to the features.
        names: of the numbers.
        reach: limits of the numbers, if there are some.

    Shape:
        ``(B, p)`` float64 with NaN for missing numbers, to ``(B, q)`` float32.
    """

    low: Tensor
    high: Tensor
    fill: Tensor
    indicated: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, preprocessor: ColumnTransformer, names: list[str], reach: Reach | None) -> None:
        super().__init__()
        imputer, scaler = (step for _, step in preprocessor.named_transformers_[NUMBERS].steps)
        unlimited = dict.fromkeys(names, np.inf)
        low, high = (dict.fromkeys(names, -np.inf), unlimited) if reach is None else (reach.low, reach.high)
        values = {
            "low": [low[name] for name in names],  # NaN makes every number missing, as in Reach
            "high": [high[name] for name in names],
            "fill": imputer.statistics_,
            "shift": scaler.mean_,
            "scale": scaler.scale_,
        }
        for name, numbers in values.items():
            self.register_buffer(name, torch.tensor(np.asarray(numbers, dtype=np.float64)))
        indicated = torch.tensor(imputer.indicator_.features_, dtype=torch.int64)
        self.n_indicated = len(indicated)
        self.register_buffer("indicated", indicated)

    def forward(self, numbers: Tensor) -> Tensor:
        """Return the inputs of the network."""
        inside = torch.minimum(torch.maximum(numbers, self.low), self.high)
        missing = torch.isnan(inside)
        filled = torch.where(missing, self.fill, inside)
        if self.n_indicated:
            filled = torch.cat((filled, missing.index_select(1, self.indicated).double()), dim=1)
        return ((filled - self.shift) / self.scale).float()


class Codes(nn.Module):
    """Codes of categories as a network takes them: one input a category, rare ones together.

    Args:
        preprocessor: fitted to the features.

    Shape:
        ``(B, c)`` int64, positions in :attr:`categories` or -1 for any other category, to ``(B, q)`` float32.
    """

    def __init__(self, preprocessor: ColumnTransformer) -> None:
        super().__init__()
        encoder = preprocessor.named_transformers_[CATEGORIES][-1]
        self.categories = [[str(level) for level in levels] for levels in encoder.categories_]
        first = np.array([[levels[0] for levels in encoder.categories_]], dtype=object)
        start = 0
        for place, (levels, width) in enumerate(zip(self.categories, categories_of(preprocessor), strict=True)):
            cells = np.repeat(first, len(levels) + 1, axis=0)
            cells[:, place] = [*levels, _NO_LEVEL]  # the last line is for a category that training had not
            encoded = encoder.transform(cells)[:, start : start + width]
            self.register_buffer(f"table_{place}", torch.tensor(encoded, dtype=torch.float32))
            start += width

    def forward(self, codes: Tensor) -> Tensor:
        """Return the inputs of the network."""
        inputs = []
        for place, levels in enumerate(self.categories):
            table: Any = getattr(self, f"table_{place}")
            code = codes[:, place]
            known = (code >= 0) & (code < len(levels))
            inputs.append(table.index_select(0, torch.where(known, code, len(levels))))
        return torch.cat(inputs, dim=1)


class Graph(nn.Module):
    """From numbers and codes to predictions in target units.

    Args:
        numbers: conversion of the numbers; ``None`` of a table without.
        codes: conversion of the categories; ``None`` of a table without.
        regressor: encoder and head.
        limits: lowest and highest prediction, of each target; ``None`` for no limits.
        with_std: whether to return standard deviations too.

    Shape:
        ``numbers`` ``(B, p)`` float64, ``codes`` ``(B, c)`` int64, to predictions ``(B,)`` or ``(B, K)``, and standard
        deviations of the same shape.
    """

    def __init__(
        self,
        numbers: Numbers | None,
        codes: Codes | None,
        regressor: Any,
        limits: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
        *,
        with_std: bool,
    ) -> None:
        super().__init__()
        self.numbers, self.codes, self.regressor, self.with_std = numbers, codes, regressor, with_std
        self.limited = limits is not None
        for name, ends in zip(("low", "high"), limits or (), strict=False):
            self.register_buffer(name, torch.tensor(ends, dtype=torch.float64))

    def forward(self, numbers: Tensor | None = None, codes: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return predictions, and standard deviations if wanted, float64."""
        parts = [] if self.numbers is None or numbers is None else [self.numbers(numbers)]
        parts += [] if self.codes is None or codes is None else [self.codes(codes)]
        head = as_head(self.regressor.head)
        outputs = head.outputs(self.regressor.encode(torch.cat(parts, dim=1)))
        pred = head.point(outputs).double()
        if self.limited:
            low: Any = self.low
            high: Any = self.high
            pred = torch.minimum(torch.maximum(pred, low), high)
        std = head.std(outputs) if self.with_std else None
        return (pred,) if std is None else (pred, std.double())
