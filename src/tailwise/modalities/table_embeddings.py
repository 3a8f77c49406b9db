"""Embeddings of the columns of a table: numbers and categories, concatenated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_MOST_BINS, _ROWS_FOR_EDGES = 48, 100_000


@dataclass(frozen=True)
class Columns:
    """Input columns of a table, in their order: numbers, then for each nominal column its categories.

    Args:
        numbers: number of inputs that are numbers (and indicators of missing ones).
        embedded: positions of the numbers that are embedded; those with one or two values stay as they are.
        edges: for each embedded number, number of edges of its piecewise-linear embedding.
        categories: for each nominal column, its number of inputs, one per category.
    """

    numbers: int
    embedded: tuple[int, ...]
    edges: tuple[int, ...]
    categories: tuple[int, ...]

    @classmethod
    def of(cls, x: NDArray[np.float32], categories: Sequence[int]) -> tuple[Self, list[Tensor]]:
        """Return the columns of inputs ``(n, p)`` of training rows, and the edges of the numbers that are embedded."""
        import rtdl_num_embeddings as rtdl

        numbers = x.shape[1] - sum(categories)
        x = x[:: 1 + len(x) // _ROWS_FOR_EDGES]
        embedded = tuple(i for i in range(numbers) if len(np.unique(x[:, i])) > 2)
        most = min(_MOST_BINS, len(x) - 1)
        edges = [rtdl.compute_bins(torch.from_numpy(x[:, [i]]), n_bins=most)[0] for i in embedded]
        return cls(numbers, embedded, tuple(len(e) for e in edges), tuple(categories)), edges


class ColumnEmbeddings(nn.Module):
    """Inputs of a table, embedded column by column and concatenated.

    Gorishniy et al., *On Embeddings for Numerical Features in Tabular Deep Learning* (NeurIPS 2022): piecewise-linear
    or periodic embeddings of numbers. A nominal column of c categories is embedded in min(c, 1.6 c^0.56) dimensions.

    Args:
        columns: the inputs.
        edges: edges of the piecewise-linear embeddings; placeholders of the right number, to be loaded, by default.
        embedding: ``"none"``, ``"ple"`` (piecewise linear), ``"plr"`` (periodic).

    Shape:
        ``(B, p)`` to ``(B, sum(chunks))``.
    """

    embedded: Tensor
    plain: Tensor

    def __init__(self, columns: Columns, edges: Sequence[Tensor] | None = None, *, embedding: str = "none") -> None:
        super().__init__()
        import rtdl_num_embeddings as rtdl

        embedded = list(columns.embedded) if embedding != "none" else []
        self.embedding: nn.Module | None = None
        width = 1
        if embedded and embedding == "ple":
            edges = [torch.arange(float(n)) for n in columns.edges] if edges is None else edges
            self.embedding, width = rtdl.PiecewiseLinearEmbeddings(edges, 16, activation=False, version="B"), 16
        elif embedded:
            self.embedding, width = rtdl.PeriodicEmbeddings(len(embedded), 24, lite=False), 24
        plain = [i for i in range(columns.numbers) if i not in set(embedded)]
        self.register_buffer("embedded", torch.tensor(embedded, dtype=torch.long), persistent=False)
        self.register_buffer("plain", torch.tensor(plain, dtype=torch.long), persistent=False)
        self.n_plain = len(plain)
        self.sizes = [columns.numbers, *columns.categories]
        widths = [min(c, round(1.6 * c**0.56)) for c in columns.categories]
        self.categories = nn.ModuleList(
            nn.Linear(c, width, bias=False) for c, width in zip(columns.categories, widths, strict=True)
        )
        self.chunks = [width] * len(embedded) + [1] * len(plain) + widths

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedded inputs, concatenated."""
        numbers, *categories = torch.split(x, self.sizes, dim=1)
        parts = []
        if self.embedding is not None:
            parts.append(self.embedding(numbers.index_select(1, self.embedded)).flatten(1))
        if self.n_plain:
            parts.append(numbers.index_select(1, self.plain))
        parts += [embed(column) for embed, column in zip(self.categories, categories, strict=True)]
        return torch.cat(parts, dim=1)
