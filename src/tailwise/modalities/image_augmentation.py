"""Augmentation of images by kornia, on the device the images are on."""

from typing import Any

from torch import nn

from tailwise._checks import InputError, not_negative, true_or_false, whole


def image_augmentation(
    shape: tuple[int, int, int], *, crop: int = 0, flip: bool = False, colour: float = 0.0, erase: float = 0.0
) -> Any:
    """Return a module that augments images ``(B, C, H, W)`` from 0 to 1, or ``None`` if nothing is to be done.

    Args:
        shape: C, H, W.
        crop: pixels by which an image may be shifted: it is padded by that on each side, then cut to its size at
            random. At most its longer side.
        flip: whether half of the images are mirrored left to right.
        colour: how much brightness, contrast and saturation may change, from 0 to 1.
        erase: fraction of images in which a rectangle of 2 to 20 % is set to 0.

    Raises:
        InputError: a choice outside its range, kornia not installed.
    """
    whole(crop, "image.crop", least=0, most=max(shape[1:]))
    true_or_false(flip, "image.flip")
    not_negative(colour, "image.colour", most=1.0)
    if not not_negative(erase, "image.erase") <= 1:
        raise InputError(f"image.erase, a fraction of the images, must be at most 1, got {erase!r}")
    if not (crop or flip or colour or erase):
        return None
    try:
        import kornia.augmentation as kornia
    except ImportError as error:
        raise InputError("augmentation needs kornia: pip install 'tailwise[image]', or `image.crop=0`") from error
    steps: list[Any] = []
    if crop:
        steps.append(
            kornia.RandomCrop(shape[1:], padding=crop, padding_mode="reflect" if crop < min(shape[1:]) else "constant")
        )
    if flip:
        steps.append(kornia.RandomHorizontalFlip(p=0.5))
    if colour:
        steps.append(kornia.ColorJitter(colour, colour, colour if shape[0] == 3 else 0.0, 0.0, p=1.0))
    if erase:
        steps.append(kornia.RandomErasing(p=erase, scale=(0.02, 0.2)))
    return nn.Sequential(*steps)
