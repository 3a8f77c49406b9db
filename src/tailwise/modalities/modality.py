"""A modality: a kind of column that a network reads with an encoder of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from tailwise._checks import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

    from tailwise.modalities.medium import FittedMedium, Reader


@dataclass(frozen=True)
class ColumnOption:
    """A keyword of :func:`tailwise.experiment.prepare.prepare` that names columns of a modality.

    The command has an option of the same name, with dashes.

    Args:
        name: keyword.
        help: help of the command's option.
        together: number of columns that are read together; with 1 the keyword takes any number of columns.
    """

    name: str
    help: str
    together: int = 1


@dataclass(frozen=True, kw_only=True)
class Modality:
    """A kind of column, described without anything heavy imported.

    Functions that read and encode it are given as ``"module:function"`` and imported on use.

    Args:
        name: singular, e.g. ``"image"``; prefix of its parameters and of its part of a saved model. Ends in a letter.
        plural: plural, for messages.
        options: keywords that name its columns.
        parameters: names of the parameters of reader and encoder.
        fit: ``(columns, frame, params, device) -> FittedMedium``: reader and encoder from training rows.
        reader: ``(folder, saved) -> Reader``: the reader that ``Reader.save`` wrote.
        encoder: ``(description) -> nn.Module``: an encoder of this description; its weights are to be loaded.
        check: ``(column, frame) -> None``: raise unless every file that a column names can be used.
        notes: ``(column, training rows, all rows, params, known notes) -> list[str]``: notes for the user on the files.
        holds_paths: whether the cells are paths of files; other cells are taken as text.
        looks_like: whether stripped cells of a column look like this modality; for ``diagnose``.
        one_encoder: whether most parameters belong to one encoder, so that they are not kept for another.
    """

    name: str
    plural: str
    options: tuple[ColumnOption, ...]
    parameters: tuple[str, ...]
    fit: str
    reader: str
    encoder: str
    check: str | None = None
    notes: str | None = None
    holds_paths: bool = True
    looks_like: Callable[["pd.Series"], bool] | None = None
    one_encoder: bool = False

    def checked(self, params: Any) -> dict[str, Any]:
        """Return the parameters as a new mapping.

        Raises:
            InputError: no mapping, or an unknown name.
        """
        if not isinstance(params, Mapping):
            raise InputError(
                f"parameters of {self.name} encoders must be a mapping such as {{'size': 64}}, got {params!r}"
            )
        for name in params:
            if name not in self.parameters:
                raise InputError(f"{self.name} has no parameter {name!r}{did_you_mean(name, self.parameters)}")
        return dict(params)

    def fitted(
        self, columns: Sequence[str], frame: "pd.DataFrame", params: dict[str, Any], device: "torch.device | str"
    ) -> "FittedMedium":
        """Return reader and encoder for the training rows of a column, or of several that are read together."""
        medium: FittedMedium = resolve_name(self.fit)(columns, frame, params, device)
        return medium

    def load_reader(self, folder: Path, saved: dict[str, Any]) -> "Reader":
        """Read what ``Reader.save`` wrote; nothing in it is executed."""
        reader: Reader = resolve_name(self.reader)(folder, saved)
        return reader

    def encoder_from(self, description: dict[str, Any]) -> "nn.Module":
        """Return a new encoder from the description of another; its weights are to be loaded."""
        encoder: nn.Module = resolve_name(self.encoder)(description)
        return encoder

    def check_files(self, columns: Sequence[str], frame: "pd.DataFrame") -> None:
        """Raise unless every file that these columns name can be used."""
        if self.check is not None:
            check = resolve_name(self.check)
            for column in columns:
                check(column, frame)

    def notes_on_files(
        self,
        columns: Sequence[str],
        train: "pd.DataFrame",
        frame: "pd.DataFrame",
        params: Mapping[str, Any],
        known: Sequence[str],
    ) -> list[str]:
        """Return new notes for the user on the files that these columns name; see the argument ``notes``."""
        if self.notes is None:
            return []
        notes_on = resolve_name(self.notes)
        return [note for column in columns for note in notes_on(column, train, frame, params, known)]


def ends_in(suffixes: tuple[str, ...]) -> Callable[["pd.Series"], bool]:
    """Return a function that says whether all cells of a column end in one of these suffixes, in any case."""

    def all_end(cells: "pd.Series") -> bool:
        return bool(cells.str.lower().str.endswith(suffixes).all())

    return all_end
