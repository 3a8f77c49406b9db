"""Encoders of images, texts, signals and columns of a table, side by side."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

TABLE = "table"


class MediaEncoder(nn.Module):
    """Encoders of several inputs of a row; their features lie side by side.

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
        """Features of each row."""
        return torch.cat([encoder(x[name]) for name, encoder in self.encoders.items()], dim=1)


def media_encoder_from(description: Mapping[str, Any]) -> MediaEncoder:
    """A new encoder from the description of another; its weights are to be loaded."""
    return MediaEncoder({name: _encoder_from(dict(saved)) for name, saved in description["inputs"].items()})


def _encoder_from(saved: dict[str, Any]) -> nn.Module:
    kind = saved.pop("kind")
    if kind == "image":
        from tailwise.modalities.image import image_encoder_from

        return image_encoder_from(saved)
    if kind == "signal":
        from tailwise.modalities.signal import ResNet1d

        return ResNet1d(**saved)
    if kind == "text":
        from tailwise.modalities.text import text_encoder_from

        return text_encoder_from(saved)
    from tailwise.modalities.table import encoder_from

    return encoder_from(saved)
