"""The modalities: one list, without anything heavy imported."""

from tailwise._checks import InputError, did_you_mean
from tailwise.modalities.image_modality import IMAGE
from tailwise.modalities.modality import ColumnOption, Modality
from tailwise.modalities.signal_modality import SIGNAL
from tailwise.modalities.text_modality import TEXT

MODALITIES: tuple[Modality, ...] = (IMAGE, TEXT, SIGNAL)


def kinds() -> tuple[str, ...]:
    """Return the names of all modalities."""
    return tuple(modality.name for modality in MODALITIES)


def modality_named(name: str) -> Modality:
    """Return a modality by its name.

    Raises:
        InputError: an unknown name.
    """
    for modality in MODALITIES:
        if modality.name == name:
            return modality
    raise InputError(f"there are no columns of the kind {name!r}{did_you_mean(name, kinds())}")


def column_options() -> list[tuple[Modality, ColumnOption]]:
    """Return the keywords that name columns, each with its modality.

    Example:
        >>> [option.name for _, option in column_options()]
        ['image', 'text', 'text_pair', 'signal']
    """
    return [(modality, option) for modality in MODALITIES for option in modality.options]


def plurals(last: str) -> str:
    """Return the plurals of all modalities for a message.

    Args:
        last: word before the last of them.

    Example:
        >>> plurals("and")
        'images, texts and signals'
    """
    return _listed([modality.plural for modality in MODALITIES], last)


def how_to_name() -> str:
    """Return a hint for messages: the keywords that name columns of each modality.

    Example:
        >>> how_to_name()
        'columns of images, texts or signals are named with `image`, `text` or `signal`'
    """
    names = [f"`{modality.options[0].name}`" for modality in MODALITIES]
    return f"columns of {plurals('or')} are named with {_listed(names, 'or')}"


def _listed(words: list[str], last: str) -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
