"""Texts as tokens of an encoder of ``transformers``, and tokens as vectors."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.distributed import own_draws
from tailwise.modalities.hub import cannot_load, require_transformers

_TOKENIZER = "tokenizer"


@dataclass(frozen=True)
class TokenReader:
    """Read texts as tokens of an encoder of ``transformers``: ids + 1, and 0 for no token.

    Args:
        columns: one column, or the two of a pair.
        tokenizer: of ``transformers``.
        length: most tokens of a text.
    """

    columns: tuple[str, ...]
    tokenizer: Any
    length: int

    def read(self, frame: pd.DataFrame) -> NDArray[np.int32]:
        """Return tokens ``(n, 1 or 2, L)``, with L the length of the longest text."""
        return stacked([self.tokens(texts_of(frame, column)) for column in self.columns])

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return ids + 1 of each text."""
        if not texts:
            return []
        ids = self.tokenizer(list(texts), truncation=True, max_length=self.length)["input_ids"]
        return [[token + 1 for token in tokens] for tokens in ids]

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the tokenizer into a folder."""
        self.tokenizer.save_pretrained(folder / _TOKENIZER)
        return {"kind": "tokens", "columns": list(self.columns), "length": self.length}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: a folder without a tokenizer.
        """
        if not (folder / _TOKENIZER).is_dir():  # transformers would look for it on the hub
            raise InputError(f"the model lacks the tokenizer {str(folder / _TOKENIZER)!r}")
        return cls(tuple(saved["columns"]), tokenizer_of(str(folder / _TOKENIZER)), int(saved["length"]))


def tokenizer_of(name: str) -> Any:
    """Return a tokenizer of a folder or of the hub; none of its code is executed.

    Raises:
        InputError: no tokenizer found.
    """
    transformers = require_transformers(f"the encoder {name!r}", "text")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # tokenizers raises Exception itself
        raise cannot_load(name, error) from error
    folder, files = Path(name), {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    if folder.is_dir() and not any((folder / file).is_file() for file in files):  # transformers makes an empty one
        raise InputError(f"folder {name!r} holds no tokenizer: none of {', '.join(sorted(files))}")
    return tokenizer


def texts_of(frame: pd.DataFrame, column: str) -> list[str]:
    """Return the cells of a column as text."""
    return [str(cell) for cell in frame[column]]


def encode_tokens(backbone: Any, ids: Tensor) -> Tensor:
    """Return pooled vectors ``(B, 1 or 2, d)`` of tokens ``(B, 1 or 2, L)``, ids + 1."""
    flat, mask = trimmed(ids)
    with own_draws(ids.device) if backbone.training else nullcontext():
        hidden = backbone(input_ids=(flat - 1).clamp(min=0), attention_mask=mask.long()).last_hidden_state
    return pool(hidden, mask).view(*ids.shape[:2], -1)


def pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over tokens, scaled to length √d so that its values have size 1.

    Args:
        hidden: ``(B, L, d)``.
        mask: ``(B, L)``, whether there is a token.
    """
    weight = mask.unsqueeze(2).to(hidden.dtype)
    mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)
    unit: Tensor = nn.functional.normalize(mean, dim=1)
    return unit * math.sqrt(hidden.shape[2])


def trimmed(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the texts of a batch one below the other, cut to the longest, and where there is a token."""
    flat = ids.flatten(0, 1).long()
    used = max(1, int((flat > 0).sum(1).max())) if len(flat) else 1
    flat = flat[:, :used]
    return flat, flat > 0


def stacked(columns: list[list[list[int]]]) -> NDArray[np.int32]:
    """Return ``(n, 1 or 2, L)`` of the numbers of one column or two, with 0 after them."""
    longest = max((len(tokens) for column in columns for tokens in column), default=1) or 1
    padded = np.zeros((len(columns[0]), len(columns), longest), np.int32)
    for i, column in enumerate(columns):
        for row, tokens in enumerate(column):
            padded[row, i, : len(tokens)] = tokens
    return padded
