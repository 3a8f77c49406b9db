"""Signals: fitted reader, and a residual network of one-dimensional convolutions."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from torch import Tensor, nn

from tailwise._checks import InputError, not_negative, whole
from tailwise.distributed import own_rows
from tailwise.modalities.medium import FittedMedium
from tailwise.modalities.signal_files import SignalReader


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.second = nn.Conv1d(outputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm1d(outputs), nn.BatchNorm1d(outputs)])
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv1d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm1d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, half as long if the stride is 2."""
        y = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(y)) + self.shortcut(x))


class ResNet1d(nn.Module):
    """Residual network of one-dimensional convolutions (He et al., *Deep Residual Learning*, CVPR 2016, along time).

    Args:
        channels: C of the signals.
        width: channels of the first stage; each of the four stages has twice as many as the one before.
        blocks: residual blocks per stage.
        kernel: length of the convolutions, odd.
        noise: standard deviation of noise added in training, relative to that of the signals: two views of a signal
            (``twoviews``) differ by it.

    Shape:
        ``(B, C, L)`` to ``(B, 8 width)``.

    Example:
        >>> import torch
        >>> ResNet1d(3, width=8)(torch.zeros(2, 3, 100)).shape
        torch.Size([2, 64])
    """

    def __init__(self, channels: int, *, width: int = 32, blocks: int = 2, kernel: int = 7, noise: float = 0.0) -> None:
        super().__init__()
        whole(width, "signal.width", least=1)
        whole(blocks, "signal.blocks", least=1)
        if whole(kernel, "signal.kernel", least=1) % 2 == 0:
            raise InputError(f"signal.kernel must be odd, got {kernel}")
        self.noise = not_negative(noise, "signal.noise")
        widths = [width, *(width * 2**i for i in range(4))]
        layers: list[nn.Module] = [
            nn.Conv1d(channels, width, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        ]
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            first = _Block(inputs, outputs, 2 if stage else 1, kernel)
            layers += [first, *(_Block(outputs, outputs, 1, kernel) for _ in range(blocks - 1))]
        self.layers = nn.Sequential(*layers)
        self.n_features = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each signal: the mean over time."""
        if self.training and self.noise:
            x = x + self.noise * own_rows(lambda n: torch.randn(n, *x.shape[1:], device=x.device), len(x)).to(x.dtype)
        features: Tensor = self.layers(x).mean(2)
        return features


def fit_signals(
    columns: Sequence[str],
    frame: pd.DataFrame,
    params: dict[str, Any],
    device: torch.device | str,  # noqa: ARG001  every modality's function has it
) -> FittedMedium:
    """Return reader and encoder for the signals of a column.

    Args:
        columns: the column that names the files.
        frame: training rows.
        params: ``length`` of :meth:`SignalReader.fit`, and the parameters of :class:`ResNet1d`.
        device: not used.

    Raises:
        InputError: files that are no signals, parameters that do not work.
    """
    signals = SignalReader.fit(columns[0], frame, length=params.pop("length", None))
    description = {"channels": signals.shape[0], **params}
    return FittedMedium(signals, ResNet1d(**description), description)


def signal_encoder_from(description: dict[str, Any]) -> ResNet1d:
    """Return a new encoder from the description of another; its weights are to be loaded."""
    return ResNet1d(**description)
