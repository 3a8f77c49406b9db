"""Encoders of table rows by name: perceptrons, embeddings of numbers and categories, TabM."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tailwise._checks import InputError, did_you_mean, not_negative, whole
from tailwise.modalities.encoder_names import ENCODERS
from tailwise.modalities.mlp import MLP, Dropout
from tailwise.modalities.table_embeddings import ColumnEmbeddings, Columns

_PARAMETERS = {"mlp": ("widths", "dropout"), "tabm": ("members", "width", "depth", "dropout")}


class EmbeddedMLP(nn.Module):
    """Embedded inputs and a perceptron.

    Args:
        columns: the inputs.
        edges: edges of the piecewise-linear embeddings.
        embedding: see :class:`tailwise.modalities.table_embeddings.ColumnEmbeddings`.
        shape: ``widths`` and ``dropout`` of :class:`tailwise.modalities.mlp.MLP`.

    Shape:
        ``(B, p)`` to ``(B, widths[-1])``.
    """

    def __init__(
        self, columns: Columns, edges: Sequence[Tensor] | None = None, *, embedding: str, **shape: Any
    ) -> None:
        super().__init__()
        self.inputs = ColumnEmbeddings(columns, edges, embedding=embedding)
        self.layers = MLP(sum(self.inputs.chunks), **shape)
        self.n_features = self.layers.n_features

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each row, ``(B, n_features)``."""
        features: Tensor = self.layers(self.inputs(x))
        return features


class TabM(nn.Module):
    """Ensemble of k perceptrons that share most of their weights, each with its own features and prediction.

    Gorishniy et al., *TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling* (ICLR 2025), by its
    authors' package ``tabm``. The features of the k members are concatenated, so that FDS, ConR and every other piece
    sees one vector per row; the head is :class:`tailwise.heads.ensemble.EnsembleHead`.

    Args:
        columns: the inputs.
        edges: edges of the piecewise-linear embeddings.
        embedding: ``"none"`` or ``"ple"``.
        members: k.
        width: of each layer.
        depth: number of layers.
        dropout: fraction of activations dropped in training.

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

        self.inputs = ColumnEmbeddings(columns, edges, embedding=embedding)
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
        """Return the features of each row, member after member."""
        features: Tensor = self.layers(self.view(self.inputs(x)))
        return features.flatten(1)


def new_encoder(
    name: str, x: NDArray[np.float32], categories: Sequence[int], params: Mapping[str, Any] | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """Return an encoder for these inputs, and the description from which :func:`table_encoder_from` makes another.

    Args:
        name: one of :data:`ENCODERS`.
        x: ``(n, p)`` inputs of training rows, from which the edges of piecewise-linear embeddings are taken.
        categories: for each nominal column, its number of inputs; they are the last ones.
        params: parameters of the encoder: ``widths``, ``dropout`` of a perceptron, ``members``, ``width``, ``depth``,
            ``dropout`` of TabM.

    Raises:
        InputError: an unknown encoder, a parameter that it does not have or that does not work.

    Example:
        >>> import torch
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


def encoder_parameters(name: str | None = None) -> list[str]:
    """Return the names of the parameters of an encoder; of all encoders if there is none of that name.

    >>> encoder_parameters("mlp-ple")
    ['widths', 'dropout']
    """
    of_one = _PARAMETERS.get((name or "").partition("-")[0])
    return list(dict.fromkeys(key for known in _PARAMETERS.values() for key in known) if of_one is None else of_one)


def table_encoder_from(description: dict[str, Any]) -> nn.Module:
    """Return a new encoder from the description of another; its weights are to be loaded.

    Raises:
        InputError: an unknown encoder.
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
    """Return the parameters of an encoder, each in its range; a single width is one layer."""
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
