"""The encoder of a network from its description: of a table, or of several inputs side by side."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tailwise.modalities.kinds import modality_named
from tailwise.modalities.media_inputs import TABLE
from tailwise.modalities.table import table_encoder_from

MEDIA = "media"


class MediaEncoder(nn.Module):
    """Encoders of several inputs of a row, with their features concatenated.

    Args:
        encoders: by input; each has ``n_features``.

    Shape:
        A mapping of inputs, each ``(B, ...)``, to ``(B, n_features)``.

    Example:
        >>> from tailwise.modalities.signal import ResNet1d
        >>> from tailwise.modalities.mlp import MLP
        >>> encoder = MediaEncoder({"signal0": ResNet1d(1, width=4), "table": MLP(3, widths=[8])})
        >>> encoder({"signal0": torch.zeros(2, 1, 50), "table": torch.zeros(2, 3)}).shape
        torch.Size([2, 40])
    """

    def __init__(self, encoders: Mapping[str, Any]) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(dict(encoders))
        self.n_features = sum(int(encoder.n_features) for encoder in encoders.values())

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        """Return the features of each row."""
        return torch.cat([encoder(x[name]) for name, encoder in self.encoders.items()], dim=1)


def encoder_from(description: Mapping[str, Any]) -> nn.Module:
    """Return a new encoder from the description of another; its weights are to be loaded.

    Raises:
        InputError: an encoder that is not known.
    """
    if description["encoder"] != MEDIA:
        return table_encoder_from(dict(description))
    return MediaEncoder({name: _input_encoder(saved) for name, saved in description["inputs"].items()})


def _input_encoder(saved: Mapping[str, Any]) -> nn.Module:
    description = {key: value for key, value in saved.items() if key != "kind"}
    if saved["kind"] == TABLE:
        return table_encoder_from(description)
    return modality_named(saved["kind"]).encoder_from(description)
