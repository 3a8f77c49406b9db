"""A trained network: inputs to predictions, saved and loaded without running code from a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tailwise.models.encoders import encoder_from
from tailwise.models.heads import EnsembleHead, head_from
from tailwise.models.regressor import Regressor

ROWS_AT_ONCE = 16_384
_WEIGHTS = "model.safetensors"


class Network:
    """A network of table rows.

    Args:
        model: encoder and head.
        encoder: the encoder's description, see :func:`tailwise.models.encoders.new_encoder`.
    """

    dtype = np.float32

    def __init__(self, model: Regressor, encoder: dict[str, Any]) -> None:
        self.model, self.encoder = model, encoder

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """``(n,)`` predictions, target units."""
        self.model.eval()
        return predictions(self.model, x)

    def std(self, x: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """``(n,)`` standard deviations of the predictive distribution, target units; ``None`` if the head has none."""
        head: Any = self.model.head
        if not hasattr(head, "std"):
            return None
        self.model.eval()
        return _over_rows(self.model, lambda rows: head.std(head.outputs(self.model.encode(rows))), x)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights into a folder, and say what they belong to."""
        save_file({k: v.detach().cpu().contiguous() for k, v in self.model.state_dict().items()}, folder / _WEIGHTS)
        return {"kind": "network", "encoder": self.encoder, "head": getattr(self.model.head, "shape", None)}

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        model = network_of(encoder_from(description["encoder"]))
        if description["head"] is not None:
            model.head = head_from(model.n_features, description["head"])
        model.load_state_dict(load_file(folder / _WEIGHTS))
        return cls(model, description["encoder"])


def network_of(encoder: Any) -> Regressor:
    """A regressor with the head that its encoder needs."""
    model = Regressor(encoder, encoder.n_features)
    if hasattr(encoder, "members"):
        model.head = EnsembleHead(encoder.n_features, members=encoder.members)
    return model


def predictions(model: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Predictions of a model in evaluation mode, many rows at once, target units."""
    return _over_rows(model, model, x)


def _over_rows(model: nn.Module, what: Callable[[Tensor], Tensor], x: NDArray[np.float32]) -> NDArray[np.float64]:
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [what(chunk.to(device)).double().cpu() for chunk in torch.split(torch.from_numpy(x), ROWS_AT_ONCE)]
    return torch.cat(parts).numpy()
