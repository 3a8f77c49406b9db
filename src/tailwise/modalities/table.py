"""Encoders of table rows by name: perceptrons, embeddings of numbers and categories, TabM."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tailwise._checks import InputError, did_you_mean, not_negative, whole
from tailwise.modalities.encoder_names import ENCODERS
from tailwise.modalities.mlp import MLP, Dropout

_MOST_BINS, _ROWS_FOR_EDGES = 48, 100_000
_PARAMETERS = {"mlp": ("widths", "dropout"), "tabm": ("members", "width", "depth", "dropout")}


@dataclass(frozen=True)
class Columns:
    """What the input columns of a table are, in their order: numbers, then for each nominal column its categories.

    Args:
        numbers: how many of the inputs are numbers (and indicators of missing ones).
        embedded: positions of the numbers that are embedded; the others, of two values or one, stay as they are.
        edges: of each embedded number how many edges its piecewise-linear embedding has.
        categories: of each nominal column how many inputs it takes, one a category.
    """

    numbers: int
    embedded: tuple[int, ...]
    edges: tuple[int, ...]
    categories: tuple[int, ...]

    @classmethod
    def of(cls, x: NDArray[np.float32], categories: Sequence[int]) -> tuple[Self, list[Tensor]]:
        """The columns of inputs ``(n, p)`` of training rows, and the edges of the numbers that are embedded."""
        import rtdl_num_embeddings as rtdl

        numbers = x.shape[1] - sum(categories)
        x = x[:: 1 + len(x) // _ROWS_FOR_EDGES]
        embedded = tuple(i for i in range(numbers) if len(np.unique(x[:, i])) > 2)
        most = min(_MOST_BINS, len(x) - 1)
        edges = [rtdl.compute_bins(torch.from_numpy(x[:, [i]]), n_bins=most)[0] for i in embedded]
        return cls(numbers, embedded, tuple(len(e) for e in edges), tuple(categories)), edges


class TableInputs(nn.Module):
    """Inputs of a table, embedded column by column and laid side by side.

    Gorishniy et al., *On Embeddings for Numerical Features in Tabular Deep Learning* (NeurIPS 2022): piecewise-linear
    or periodic embeddings of numbers. A nominal column of c categories is embedded in min(c, 1.6 c^0.56) dimensions.

    Args:
        columns: what the inputs are.
        edges: edges of the piecewise-linear embeddings; placeholders of the right number if not given, to be loaded.
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
        self.sizes = [columns.numbers, *columns.categories]
        widths = [min(c, round(1.6 * c**0.56)) for c in columns.categories]
        self.categories = nn.ModuleList(
            nn.Linear(c, width, bias=False) for c, width in zip(columns.categories, widths, strict=True)
        )
        self.chunks = [width] * len(embedded) + [1] * len(plain) + widths

    def forward(self, x: Tensor) -> Tensor:
        """Embedded inputs, side by side."""
        numbers, *categories = torch.split(x, self.sizes, dim=1)
        parts = [numbers.index_select(1, self.plain)]
        if self.embedding is not None:
            parts.insert(0, self.embedding(numbers.index_select(1, self.embedded)).flatten(1))
        parts += [embed(column) for embed, column in zip(self.categories, categories, strict=True)]
        return torch.cat(parts, dim=1)


class EmbeddedMLP(nn.Module):
    """Embedded inputs and a perceptron."""

    def __init__(
        self, columns: Columns, edges: Sequence[Tensor] | None = None, *, embedding: str, **shape: Any
    ) -> None:
        super().__init__()
        self.inputs = TableInputs(columns, edges, embedding=embedding)
        self.layers = MLP(sum(self.inputs.chunks), **shape)
        self.n_features = self.layers.n_features

    def forward(self, x: Tensor) -> Tensor:
        """Features of each row, ``(B, n_features)``."""
        features: Tensor = self.layers(self.inputs(x))
        return features


class TabM(nn.Module):
    """k perceptrons that share most of their weights, each with features and a prediction of its own.

    Gorishniy et al., *TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling* (ICLR 2025), by its
    authors' package ``tabm``. The features of the k members lie side by side, so that FDS, ConR and every other piece
    sees one vector a row, in which each member has its part; the head is
    :class:`tailwise.heads.ensemble.EnsembleHead`.

    Args:
        columns: what the inputs are.
        edges: edges of the piecewise-linear embeddings.
        embedding: ``"none"`` or ``"ple"``.
        members: k.
        width: of each layer.
        depth: number of layers.
        dropout: share of activations dropped in training.

    Shape:
        ``(B, p)`` to ``(B, members * width)``.

    Note:
        The paper's 32 members and widths of 512 are for GPUs; the defaults here are smaller.
    """

    def __init__(
        self,
        columns: Columns,
        edges: Sequence[Tensor] | None = None,
        *,
        embedding: str,
        members: int = 8,
        width: int = 128,
        depth: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        import tabm

        self.inputs = TableInputs(columns, edges, embedding=embedding)
        self.view = tabm.EnsembleView(k=members)
        self.layers = tabm.make_tabm_backbone(
            d_in=sum(self.inputs.chunks),
            n_blocks=depth,
            d_block=width,
            dropout=dropout,
            k=members,
            start_scaling_init="random-signs" if embedding == "none" else "normal",
            start_scaling_init_chunks=self.inputs.chunks,
        )
        for module in list(self.layers.modules()):
            for name, child in module.named_children():
                if type(child) is nn.Dropout:
                    setattr(module, name, Dropout(child.p))
        self.members, self.n_features = members, members * width

    def forward(self, x: Tensor) -> Tensor:
        """Features of each row, those of one member after those of another."""
        features: Tensor = self.layers(self.view(self.inputs(x)))
        return features.flatten(1)


def new_encoder(
    name: str, x: NDArray[np.float32], categories: Sequence[int], params: Mapping[str, Any] | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """An encoder for inputs like these, and the description from which :func:`table_encoder_from` makes another.

    Args:
        name: one of :data:`ENCODERS`.
        x: ``(n, p)`` inputs of training rows, from which the edges of piecewise-linear embeddings are taken.
        categories: of each nominal column how many of the last inputs it takes.
        params: parameters of the encoder: ``widths``, ``dropout`` of a perceptron, ``members``, ``width``, ``depth``,
            ``dropout`` of TabM.

    Raises:
        InputError: an encoder that is not known, a parameter it does not have or that does not work.

    Example:
        >>> encoder, _ = new_encoder("tabm-ple", np.random.default_rng(0).normal(size=(50, 3)).astype("f"), [])
        >>> encoder(torch.zeros(2, 3)).shape
        torch.Size([2, 1024])
    """
    _known(name)
    params = _checked(name, params or {})
    if name == "mlp":
        mlp = MLP(x.shape[1], **params)
        return mlp, {"encoder": "mlp", **mlp.shape}
    columns, edges = Columns.of(x, categories)
    return _embedded(name, columns, edges, params), {"encoder": name, "columns": asdict(columns), **params}


def table_encoder_from(description: dict[str, Any]) -> nn.Module:
    """A new encoder from the description of another; its weights are to be loaded.

    Raises:
        InputError: an encoder that is not known.
    """
    name = _known(str(description["encoder"]))
    if name == "mlp":
        return MLP(**{key: value for key, value in description.items() if key != "encoder"})
    columns = Columns(**{k: _frozen(v) for k, v in description["columns"].items()})
    params = {key: value for key, value in description.items() if key not in ("encoder", "columns")}
    return _embedded(name, columns, None, params)


def _embedded(name: str, columns: Columns, edges: list[Tensor] | None, params: dict[str, Any]) -> nn.Module:
    kind, _, embedding = name.partition("-")
    if kind == "tabm":
        return TabM(columns, edges, embedding=embedding or "none", **params)
    return EmbeddedMLP(columns, edges, embedding=embedding, **params)


def _checked(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an encoder, each in its range; a single width is one layer."""
    known = _PARAMETERS[name.partition("-")[0]]
    if not isinstance(params, Mapping):
        raise InputError(f"parameters of an encoder must be a mapping such as {{'dropout': 0.2}}, got {params!r}")
    for key in params:
        if key not in known:
            raise InputError(f"encoder {name} has no parameter {key!r}{did_you_mean(key, known)}")
    params = dict(params)
    if "widths" in params:
        given = params["widths"]
        widths = list(given) if isinstance(given, list | tuple) else [given]
        params["widths"] = [whole(width, f"{name}.widths", least=1) for width in widths]
        if not widths:
            raise InputError(f"{name}.widths must name at least one layer")
    for key in ("members", "width", "depth"):
        if key in params:
            whole(params[key], f"{name}.{key}", least=1)
    if "dropout" in params and not not_negative(params["dropout"], f"{name}.dropout") < 1:
        raise InputError(f"{name}.dropout must be below 1, got {params['dropout']!r}")
    return params


def _known(name: str) -> str:
    if name not in ENCODERS:
        raise InputError(f"unknown encoder {name!r}{did_you_mean(name, ENCODERS)}")
    return name


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
