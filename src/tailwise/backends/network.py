"""A trained network: inputs to predictions, saved and loaded without running code from a file."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.heads.distributional import EnsembleHead, head_from
from tailwise.heads.point import Regressor
from tailwise.modalities.encoders import encoder_from

Inputs = NDArray[np.float32] | Mapping[str, NDArray[Any]]
ROWS_AT_ONCE, MEDIA_AT_ONCE = 16_384, 256
_WEIGHTS = "model.safetensors"


class Network:
    """A network of rows: of a table's numbers, or of several inputs by name.

    Args:
        model: encoder and head.
        encoder: the encoder's description, see :func:`tailwise.modalities.table.new_encoder`.
    """

    dtype = np.float32

    def __init__(self, model: Regressor, encoder: dict[str, Any]) -> None:
        self.model, self.encoder = model, encoder

    def predict(self, x: Inputs) -> NDArray[np.float64]:
        """``(n,)`` predictions, target units; ``(n, K)`` of K targets."""
        self.model.eval()
        return predictions(self.model, x)

    def std(self, x: Inputs) -> NDArray[np.float64] | None:
        """``(n,)`` standard deviations of the predictive distribution, target units; ``None`` if the head has none."""
        head: Any = self.model.head
        if not hasattr(head, "std"):
            return None
        self.model.eval()
        return _over_rows(self.model, lambda rows: head.std(head.outputs(self.model.encode(rows))), x)

    def features(self, x: Inputs) -> NDArray[np.float64]:
        """``(n, d)`` features, which the head makes predictions of."""
        self.model.eval()
        return _over_rows(self.model, self.model.encode, x)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights into a folder, and say what they belong to."""
        state = {name: value.detach().cpu().contiguous().clone() for name, value in self.model.state_dict().items()}
        save_file(state, folder / _WEIGHTS)  # clones, for weights that are one tensor under two names
        saved = {"kind": "network", "encoder": self.encoder, "head": getattr(self.model.head, "shape", None)}
        n_outputs = self.model.head.n_outputs
        return saved if n_outputs is None else {**saved, "n_outputs": n_outputs}

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        model = network_of(encoder_from(description["encoder"]), description.get("n_outputs"))
        if description["head"] is not None:
            model.head = head_from(model.n_features, description["head"])
        model.load_state_dict(load_file(folder / _WEIGHTS))
        return cls(model, description["encoder"])


def network_of(encoder: Any, n_outputs: int | None = None) -> Regressor:
    """A regressor with the head that its encoder needs, of one target or of ``n_outputs``.

    Raises:
        InputError: several targets with an encoder of an ensemble.
    """
    model = Regressor(encoder, encoder.n_features, n_outputs)
    if hasattr(encoder, "members"):
        if n_outputs is not None:
            raise InputError(f"TabM predicts one target, and there are {n_outputs}; use the encoder mlp or mlp-ple")
        model.head = EnsembleHead(encoder.n_features, members=encoder.members)
    return model


def predictions(model: nn.Module, x: Inputs) -> NDArray[np.float64]:
    """Predictions of a model in evaluation mode, many rows at once, target units."""
    return _over_rows(model, model, x)


def _over_rows(model: nn.Module, what: Callable[[Any], Tensor], x: Inputs) -> NDArray[np.float64]:
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [what(chunk).double().cpu() for chunk in _chunks(x, device)]
    return torch.cat(parts).numpy()


def _chunks(x: Inputs, device: torch.device) -> Iterator[Tensor | dict[str, Tensor]]:
    if not isinstance(x, Mapping):
        yield from (chunk.to(device) for chunk in torch.split(torch.from_numpy(x), ROWS_AT_ONCE))
        return
    n = len(next(iter(x.values())))
    for start in range(0, max(n, 1), MEDIA_AT_ONCE):
        yield {k: torch.from_numpy(values[start : start + MEDIA_AT_ONCE]).to(device) for k, values in x.items()}
