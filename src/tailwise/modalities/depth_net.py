"""A network from images to dense maps: an encoder, a decoder, fusion of all scales, refinement."""

from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from numpy.typing import ArrayLike
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.heads.dense import DenseHead
from tailwise.modalities.hub import new_backbone, pretrained_backbone
from tailwise.modalities.image import CONFIGURATIONS

_CONFIGURATIONS = {
    "small": {
        "model_type": "resnet",
        "depths": [1, 1, 1, 1],
        "hidden_sizes": [16, 32, 64, 128],
        "embedding_size": 16,
        "layer_type": "basic",
    },
    **{name: CONFIGURATIONS[name] for name in ("resnet18", "resnet34", "resnet50")},
}
_SHAPE = (
    "depths",
    "hidden_sizes",
    "embedding_size",
    "layer_type",
    "hidden_act",
    "downsample_in_first_stage",
    "downsample_in_bottleneck",
)
ENCODERS = tuple(_CONFIGURATIONS)
FEWEST_PIXELS = 64
_LEAST_CHANNELS, _FUSED = 8, 16
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, on which pretrained encoders were trained


class UpProjection(nn.Module):
    """Up-sampling with a residual branch.

    Laina et al., *Deeper Depth Prediction with Fully Convolutional Residual Networks* (3DV 2016), with bilinear
    interpolation as Hu et al. use it.

    Args:
        n_inputs: channels of the input.
        n_outputs: channels of the output.

    Shape:
        ``(B, n_inputs, h, w)`` to ``(B, n_outputs, *size)``.
    """

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.straight = _convolution(n_inputs, n_outputs, 5)
        self.refine = _convolution(n_outputs, n_outputs, 3)
        self.shortcut = _convolution(n_inputs, n_outputs, 5)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Return features of a given height and width."""
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
        return F.relu(self.refine(F.relu(self.straight(x))) + self.shortcut(x))


class DepthNet(nn.Module):
    """Network from images to dense maps of half their height and width.

    Hu et al., *Revisiting Single Image Depth Estimation* (WACV 2019): a ResNet, a decoder of four up-projections, the
    four scales of the encoder brought to the size of the output and fused, and refinement by 5 x 5 convolutions.

    Args:
        encoder: ``"small"`` (for few and small images), ``"resnet18"``, ``"resnet34"``, ``"resnet50"``, a local folder
            with a pretrained ResNet of ``transformers``, or a configuration of one as a mapping.

    Shape:
        Images ``(B, 3, H, W)``, of 64 pixels a side or more, as uint8 or as numbers from 0 to 1, to maps
        ``(B, ceil(H / 2), ceil(W / 2))``; features are ``(B, n_features, ceil(H / 2), ceil(W / 2))``.

    Raises:
        InputError: an unknown encoder, a folder without one, images of another shape, ``transformers`` not installed.

    Example:
        >>> model = DepthNet("small").match_scale([1.0, 2.0, 9.0]).eval()
        >>> model.encode(torch.zeros(2, 3, 64, 96)).shape, model(torch.zeros(2, 3, 64, 96)).shape
        (torch.Size([2, 40, 32, 48]), torch.Size([2, 32, 48]))
    """

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: str | dict[str, Any] = "resnet50") -> None:
        super().__init__()
        self.encoder = _encoder(encoder)
        widths = [int(width) for width in self.encoder.config.hidden_sizes]
        channels = [max(widths[-1] >> k, _LEAST_CHANNELS) for k in range(1, 6)]
        self.narrow = _convolution(widths[-1], channels[0], 1)
        self.up = nn.ModuleList([UpProjection(a, b) for a, b in pairwise(channels)])
        fused = min(_FUSED, channels[-1])
        self.scales = nn.ModuleList([UpProjection(width, fused) for width in widths])
        self.fuse = _convolution(len(widths) * fused, len(widths) * fused, 5)
        self.n_features = channels[-1] + len(widths) * fused
        self.refine = nn.Sequential(
            *[
                layer
                for _ in range(2)
                for layer in (_convolution(self.n_features, self.n_features, 5), nn.ReLU(inplace=True))
            ]
        )
        self.head = DenseHead(self.n_features)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1), persistent=False)

    @property
    def shape(self) -> dict[str, Any]:
        """Configuration of the encoder, from which an untrained network of the same form is made."""
        config = self.encoder.config
        return {"model_type": config.model_type} | {name: getattr(config, name) for name in _SHAPE}

    def match_scale(self, y_train: ArrayLike) -> Self:
        """Scale the output to training pixels; see :meth:`DenseHead.match_scale`."""
        self.head.match_scale(y_train)
        return self

    def encode(self, x: Tensor) -> Tensor:
        """Return the features of each pixel of the output."""
        if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[2:]) < FEWEST_PIXELS:
            raise InputError(
                f"images must be (B, 3, H, W) with H and W of at least {FEWEST_PIXELS}, got {tuple(x.shape)}"
            )
        image = x.to(self.mean.dtype) / 255 if x.dtype == torch.uint8 else x
        stages = self.encoder((image - self.mean) / self.std, output_hidden_states=True).hidden_states[1:]
        size = (-(-x.shape[2] // 2), -(-x.shape[3] // 2))
        decoded = F.relu(self.narrow(stages[-1]))
        for up, skipped in zip(self.up, (*reversed(stages[:-1]), None), strict=True):
            decoded = up(decoded, size if skipped is None else tuple(skipped.shape[2:]))
        scales = torch.cat([scale(stage, size) for scale, stage in zip(self.scales, stages, strict=True)], dim=1)
        features: Tensor = self.refine(torch.cat([decoded, F.relu(self.fuse(scales))], dim=1))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Return maps in target units."""
        pred: Tensor = self.head(self.encode(x))
        return pred


def _convolution(n_inputs: int, n_outputs: int, size: int) -> nn.Sequential:
    """Return a convolution that keeps height and width, followed by batch normalisation."""
    return nn.Sequential(nn.Conv2d(n_inputs, n_outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(n_outputs))


def _encoder(encoder: str | dict[str, Any]) -> Any:
    backbone: Any
    if isinstance(encoder, dict):
        backbone = new_backbone(encoder)
    elif encoder in _CONFIGURATIONS:
        backbone = new_backbone(_CONFIGURATIONS[encoder])
    elif Path(encoder).is_dir():
        backbone = pretrained_backbone(encoder, extra="image")
    else:
        raise InputError(f"there is no encoder {encoder!r} of maps; take {', '.join(ENCODERS)}, or a ResNet's folder")
    kind = str(getattr(backbone.config, "model_type", ""))
    if kind != "resnet":
        raise InputError(f"encoder {encoder!r} is of the kind {kind!r}; maps need a 'resnet'")
    backbone.pooler = nn.Identity()
    return backbone
