"""Texts as vectors of a frozen encoder, each embedded once and kept by its content."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save_file
from torch import Tensor

from tailwise._checks import InputError
from tailwise.modalities.hub import description_of, new_backbone
from tailwise.modalities.text_tokens import TokenReader, encode_tokens, stacked, texts_of

_AT_ONCE = 64
_REMEMBERED = 200_000  # vectors kept in memory


@dataclass(frozen=True)
class VectorReader:
    """Read texts as vectors of a frozen encoder of ``transformers``: each different text is embedded once.

    Args:
        tokens: from texts to tokens.
        backbone: the encoder; it is not changed.
        cache: folder in which vectors are kept for other runs, by the content of encoder, tokenizer and text.
    """

    tokens: TokenReader
    backbone: Any
    cache: Path | None = None
    known: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def width(self) -> int:
        """Length d of a vector."""
        return int(self.backbone.config.hidden_size)

    def read(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """Return vectors ``(n, 1 or 2, d)``."""
        columns = [texts_of(frame, column) for column in self.tokens.columns]
        different = sorted({text for texts in columns for text in texts})
        vectors = self._vectors(different)
        place = {text: i for i, text in enumerate(different)}
        return np.stack([vectors[[place[text] for text in texts]] for texts in columns], axis=1)

    def _vectors(self, texts: list[str]) -> NDArray[np.float32]:
        if not texts:
            return np.empty((0, self.width), np.float32)
        by_key = {hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(): text for text in texts}
        known = self.known
        if not by_key.keys() <= known.keys() and self.cache is not None:
            known = known | self._cached()
        new = {key: text for key, text in by_key.items() if key not in known}
        fresh = dict(zip(new, self._embedded(list(new.values())), strict=True))
        if fresh and self.cache is not None:
            self._keep(fresh)
        vectors = {key: fresh[key] if key in fresh else known[key] for key in by_key}
        if len(self.known) + len(vectors) > _REMEMBERED:
            self.known.clear()
        self.known.update(vectors)
        return torch.stack(list(vectors.values())).numpy()

    @cached_property
    def _file(self) -> Path:
        folder: Any = self.cache
        return Path(folder) / f"text-{self._digest()}.safetensors"

    def _cached(self) -> dict[str, Tensor]:
        try:
            # load_file opens a file twice; another process may replace it in between.
            return load(self._file.read_bytes()) if self._file.is_file() else {}
        except SafetensorError as error:
            raise InputError(
                f"the vectors kept in {str(self._file)!r} cannot be read ({error}); remove them"
            ) from error

    def _keep(self, fresh: dict[str, Tensor]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(f".{uuid.uuid4().hex}.new")
        save_file(self._cached() | fresh, beside)  # together with vectors that another process has kept meanwhile
        os.replace(beside, self._file)

    def _embedded(self, texts: list[str]) -> Iterable[Tensor]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of one batch have similar lengths
        vectors = torch.empty(len(texts), self.width)
        self.backbone.eval()
        device = next(self.backbone.parameters()).device
        with torch.inference_mode():
            for start in range(0, len(order), _AT_ONCE):
                batch = order[start : start + _AT_ONCE]
                ids = torch.from_numpy(stacked([self.tokens.tokens([texts[i] for i in batch])])).to(device)
                vectors[batch] = encode_tokens(self.backbone, ids)[:, 0].float().cpu()
        return vectors.clone().unbind()

    def _digest(self) -> str:
        tokenizer = self.tokens.tokenizer
        cut = tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else sorted(tokenizer.get_vocab().items())
        settings = [self.tokens.length, description_of(self.backbone), cut]
        digest = hashlib.sha256(json.dumps(settings, default=str).encode())
        for name, value in sorted(self.backbone.state_dict().items()):
            digest.update(name.encode() + value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:24]

    def save(self, folder: Path) -> dict[str, Any]:
        """Write tokenizer and encoder into a folder."""
        state = {name: value.detach().cpu().contiguous().clone() for name, value in self.backbone.state_dict().items()}
        save_file(state, folder / "text.safetensors")  # clones, because weights may be one tensor under two names
        return {"kind": "vectors", "tokens": self.tokens.save(folder), "config": description_of(self.backbone)}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        backbone = new_backbone(saved["config"], extra="text")
        backbone.load_state_dict(load_file(folder / "text.safetensors"))
        return cls(TokenReader.load(folder, saved["tokens"]), backbone.requires_grad_(False))
