"""Encoders of images: a small convolutional network, and those of ``transformers``."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from tailwise._checks import InputError, positive, true_or_false, whole
from tailwise.distributed import own_draws
from tailwise.modalities.hub import description_of, image_scale, new_backbone, pretrained_backbone, tried
from tailwise.modalities.image_augmentation import image_augmentation
from tailwise.modalities.image_files import ImageReader
from tailwise.modalities.medium import FittedMedium


def _resnet(depths: list[int], layer: str, sizes: list[int]) -> dict[str, Any]:
    return {"model_type": "resnet", "depths": depths, "layer_type": layer, "hidden_sizes": sizes}


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "resnet18": _resnet([2, 2, 2, 2], "basic", [64, 128, 256, 512]),
    "resnet34": _resnet([3, 4, 6, 3], "basic", [64, 128, 256, 512]),
    "resnet50": _resnet([3, 4, 6, 3], "bottleneck", [256, 512, 1024, 2048]),
    "convnext": {"model_type": "convnext"},
    "vit": {
        "model_type": "vit",
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "intermediate_size": 1536,
    },
}
PRETRAINED_LR = 0.05  # learning rate of pretrained weights, relative to that of new ones
_PATCH = 16
_HALF = 0.5
_SMALL = 64  # images of at most this height and width are encoded by the small network, unless another is named


class SmallCNN(nn.Module):
    """Four blocks of two 3x3 convolutions with batch norm, each halving the size of the image; for small images.

    Args:
        channels: of the images.
        width: channels of the first block; each block has twice as many as the one before.

    Shape:
        ``(B, C, H, W)`` to ``(B, 8 width)``.

    Example:
        >>> SmallCNN(1, width=8)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 64])
    """

    def __init__(self, channels: int, *, width: int = 32) -> None:
        super().__init__()
        widths = [channels, *(width * 2**i for i in range(4))]
        blocks: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            for before, stride in ((inputs, 1), (outputs, 2)):
                convolution = nn.Conv2d(before, outputs, 3, stride=stride, padding=1, bias=False)
                nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
                blocks += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
        self.blocks = nn.Sequential(*blocks)
        self.n_features = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each image: the mean over its pixels."""
        features: Tensor = self.blocks(x).mean((2, 3))
        return features


class HubImages(nn.Module):
    """Image encoder of ``transformers``: pooled features of ResNet, ConvNeXt, ViT and similar networks.

    Args:
        backbone: the network.
        n_features: d.

    Shape:
        ``(B, C, H, W)`` to ``(B, d)``.
    """

    def __init__(self, backbone: Any, n_features: int = 0) -> None:
        super().__init__()
        self.backbone, self.n_features = backbone, n_features

    def forward(self, x: Tensor) -> Tensor:
        """Return features ``(B, d)``: pooled as the network does it, or the mean over patches."""
        output = self.backbone(pixel_values=x)
        hidden: Tensor = output.last_hidden_state
        return hidden.mean(1) if hidden.ndim == 3 else output.pooler_output.flatten(1)


class ImageEncoder(nn.Module):
    """Image bytes to features: divided by 255, augmented in training, scaled, encoded.

    Each image of a batch is augmented on its own: two views of an image (``twoviews``) differ by their augmentation.
    With several processes, each draws for its own images, and batch norm sees those alone.

    Args:
        network: from ``(B, C, H, W)`` to ``(B, n_features)``.
        shape: C, H, W.
        mean: of each channel, as a fraction of 255, or one for all.
        std: likewise, above 0.
        augmentation: choices of :func:`tailwise.modalities.image_augmentation.image_augmentation`. Images are not
            mirrored by default, because that changes angles, digits and hands.

    Raises:
        InputError: a choice outside its range, kornia not installed where it is needed.

    Shape:
        ``(B, C, H, W)`` bytes to ``(B, n_features)``.

    Example:
        >>> encoder = ImageEncoder(SmallCNN(3, width=8), (3, 32, 32)).eval()
        >>> encoder(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape
        torch.Size([2, 64])
    """

    mean: Tensor
    std: Tensor
    lr_factor = 1.0

    def __init__(
        self,
        network: Any,
        shape: tuple[int, int, int],
        *,
        mean: Any = _HALF,
        std: Any = _HALF,
        **augmentation: Any,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.n_features: int = network.n_features
        for name, values in (("mean", mean), ("std", std)):
            each = torch.as_tensor(values, dtype=torch.float32).flatten()
            if len(each) not in (1, shape[0]):
                raise InputError(
                    f"the encoder has a {name} of {len(each)} channels, but images have {shape[0]}; "
                    f"`image.mode={'RGB' if len(each) == 3 else 'L'}`"
                )
            if name == "std":
                positive(float(each.min()), "the encoder's standard deviation of pixels")
            self.register_buffer(name, each.expand(shape[0]).clone().view(-1, 1, 1), persistent=False)
        self.augment = image_augmentation(shape, **augmentation)

    def forward(self, x: Tensor) -> Tensor:
        """Return features ``(B, n_features)`` of bytes ``(B, C, H, W)``."""
        pixels = x.to(self.mean.dtype, memory_format=torch.channels_last) / 255
        if self.training and self.augment is not None:
            with torch.no_grad(), own_draws(x.device):
                pixels = self.augment(pixels)
        scaled = (pixels - self.mean) / self.std
        features: Tensor = self.network(scaled.contiguous(memory_format=torch.channels_last))
        return features


def fit_images(
    columns: Sequence[str],
    frame: pd.DataFrame,
    params: dict[str, Any],
    device: torch.device | str,  # noqa: ARG001  every modality's function has it
) -> FittedMedium:
    """Return reader and encoder for the images of a column.

    Args:
        columns: the column that names the files.
        frame: training rows.
        params: ``size``, ``mode``, ``bits`` of :meth:`ImageReader.fit`; ``in_memory``, whether all decoded images are
            kept in memory; ``encoder``, a name for :func:`image_encoder`, and the choices of that.
        device: not used.

    Raises:
        InputError: files that are no images, parameters that do not work.
    """
    in_memory = params.pop("in_memory", None)
    if in_memory is not None:
        true_or_false(in_memory, "image.in_memory")
    sized = {name: params.pop(name) for name in ("size", "mode", "bits") if name in params}
    images = ImageReader.fit(columns[0], frame, **sized)
    name = str(params.pop("encoder", "cnn" if max(images.size) <= _SMALL else "resnet18"))
    params.setdefault("crop", max(images.size) // 16)
    encoder, description = image_encoder(name, images.shape, **params)
    return FittedMedium(images, encoder, description, images, in_memory)


def image_encoder(name: str, shape: tuple[int, int, int], **choices: Any) -> tuple[ImageEncoder, dict[str, Any]]:
    """Return an encoder by name, and the description from which :func:`image_encoder_from` makes another.

    Args:
        name: ``"cnn"``, a name of :data:`CONFIGURATIONS` with new weights, or a folder or hub name of an encoder of
            ``transformers``, with its weights.
        shape: channels, height, width of the images.
        choices: those of :class:`ImageEncoder`, ``width`` of the cnn, and ``lr_factor``, the learning rate relative to
            that of the head, by default 0.05 for pretrained weights and 1 for new ones.

    Raises:
        InputError: an encoder that cannot be loaded, a choice that it does not have, a missing package.
    """
    description: dict[str, Any] = {"name": name, "shape": list(shape)}
    pretrained = name != "cnn" and name not in CONFIGURATIONS
    lr_factor = positive(choices.pop("lr_factor", PRETRAINED_LR if pretrained else 1.0), "image.lr_factor")
    network: nn.Module
    if name == "cnn":
        description["width"] = whole(choices.pop("width", 32), "image.width", least=1)
        network = SmallCNN(shape[0], width=description["width"])
    elif "width" in choices:
        raise InputError("image.width is for image.encoder=cnn")
    else:
        if name in CONFIGURATIONS:
            config = {**CONFIGURATIONS[name], "num_channels": shape[0]}
            if config["model_type"] == "vit":
                config |= {"image_size": list(shape[1:]), "patch_size": _PATCH}
            backbone = new_backbone(config)
        else:
            backbone = pretrained_backbone(name, extra="image")
            choices = {**image_scale(name), **choices}
        network = HubImages(backbone)
        refused = (
            f"image.encoder={name} does not take images of {shape} (channels, height, width; image.mode, image.size)"
        )
        network.n_features = tried(network, torch.zeros(1, *shape), refused).shape[1]
        description |= {"config": description_of(backbone), "n_features": network.n_features}
    encoder = ImageEncoder(network, shape, **choices)
    encoder.lr_factor = lr_factor
    scale = {key: getattr(encoder, key).flatten().tolist() for key in ("mean", "std")}
    return encoder, description | scale


def image_encoder_from(description: dict[str, Any]) -> ImageEncoder:
    """Return a new encoder, without augmentation, from the description of another; its weights are to be loaded."""
    channels, height, width = description["shape"]
    if "config" in description:
        network: nn.Module = HubImages(new_backbone(description["config"]), int(description["n_features"]))
    else:
        network = SmallCNN(channels, width=description["width"])
    return ImageEncoder(network, (channels, height, width), mean=description["mean"], std=description["std"])
