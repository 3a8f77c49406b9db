"""Encoders of texts and of pairs of texts: of ``transformers``, frozen or fine-tuned, or a BiLSTM over words."""

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tailwise._checks import InputError, did_you_mean, not_negative, one_of, positive, whole
from tailwise.models.hub import cannot_load, new_backbone, pretrained_backbone, require_transformers
from tailwise.models.table import MLP, Dropout

PAIRS = ("all", "symmetric")
PRETRAINED_LR = 0.05  # learning rate of pretrained weights, relative to that of new ones
_WORD = re.compile(r"\w+|[^\w\s]")
_AT_ONCE = 64
_TOKENIZER = "tokenizer"


def pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over tokens, scaled to length √d so that its values have size 1.

    Args:
        hidden: ``(B, L, d)``.
        mask: ``(B, L)``, whether there is a token.
    """
    there = mask.unsqueeze(2).to(hidden.dtype)
    mean = (hidden * there).sum(1) / there.sum(1).clamp(min=1)
    unit: Tensor = nn.functional.normalize(mean, dim=1)
    return unit * math.sqrt(hidden.shape[2])


def side_by_side(vectors: Tensor, pair: str) -> Tensor:
    """Features of a text, or of a pair u, v: u, v, |u - v|, u * v, or the last two alone, which know no order.

    Args:
        vectors: ``(B, 1, d)``, or ``(B, 2, d)`` of pairs.
        pair: ``"all"`` or ``"symmetric"``.
    """
    if vectors.shape[1] == 1:
        return vectors[:, 0]
    u, v = vectors.unbind(1)
    both = [(u - v).abs(), u * v]
    return torch.cat([u, v, *both] if pair == "all" else both, dim=1)


def pair_width(n_texts: int, pair: str, d: int) -> int:
    """Length of what :func:`side_by_side` gives."""
    one_of(pair, "text.pair", PAIRS)
    return d if n_texts == 1 else (4 if pair == "all" else 2) * d


@dataclass(frozen=True)
class TokenReader:
    """Texts as tokens of an encoder of ``transformers``: ids + 1, and 0 where there is none.

    Args:
        columns: one column, or the two of a pair.
        tokenizer: of ``transformers``.
        length: most tokens of a text.
    """

    columns: tuple[str, ...]
    tokenizer: Any
    length: int

    def read(self, frame: pd.DataFrame) -> NDArray[np.int32]:
        """``(n, 1 or 2, L)``, L that of the longest text."""
        return _stacked([self.tokens(texts_of(frame, column)) for column in self.columns])

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids + 1 of each text."""
        if not texts:
            return []
        found = self.tokenizer(list(texts), truncation=True, max_length=self.length)["input_ids"]
        return [[token + 1 for token in tokens] for tokens in found]

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the tokenizer into a folder."""
        self.tokenizer.save_pretrained(folder / _TOKENIZER)
        return {"kind": "tokens", "columns": list(self.columns), "length": self.length}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        return cls(tuple(saved["columns"]), tokenizer_of(str(folder / _TOKENIZER)), int(saved["length"]))


@dataclass(frozen=True)
class WordReader:
    """Texts as words of a vocabulary: 0 is none, 1 one that is not in it.

    Words are runs of letters and digits, in lower case, and single other characters.

    Args:
        columns: one column, or the two of a pair.
        vocabulary: words.
        length: most words of a text.
    """

    columns: tuple[str, ...]
    vocabulary: tuple[str, ...]
    length: int
    index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {word: i for i, word in enumerate(self.vocabulary, start=2)})

    @classmethod
    def fit(cls, columns: Sequence[str], frame: pd.DataFrame, *, length: int = 40, most: int = 30_000) -> Self:
        """A reader whose vocabulary is the most frequent words of training rows; of equally frequent ones the first."""
        counts = Counter(word for column in columns for text in texts_of(frame, column) for word in words_of(text))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(tuple(columns), tuple(ranked[:most]), length)

    def read(self, frame: pd.DataFrame) -> NDArray[np.int32]:
        """``(n, 1 or 2, L)``, L that of the longest text."""
        texts = [[words_of(text)[: self.length] for text in texts_of(frame, column)] for column in self.columns]
        return _stacked([[[self.index.get(word, 1) for word in words] for words in column] for column in texts])

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the vocabulary into a folder."""
        (folder / "vocabulary.json").write_text(json.dumps(self.vocabulary, ensure_ascii=False), encoding="utf-8")
        return {"kind": "words", "columns": list(self.columns), "length": self.length}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        words = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        return cls(tuple(saved["columns"]), tuple(words), int(saved["length"]))


@dataclass(frozen=True)
class VectorReader:
    """Texts as vectors of a frozen encoder of ``transformers``: each different text is embedded once.

    Args:
        tokens: from texts to tokens.
        backbone: the encoder.
        cache: folder in which vectors are kept for other runs, by the content of encoder and text; none if not given.
    """

    tokens: TokenReader
    backbone: Any
    cache: Path | None = None

    @property
    def width(self) -> int:
        """Length d of a vector."""
        return int(self.backbone.config.hidden_size)

    def read(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """``(n, 1 or 2, d)``."""
        columns = [texts_of(frame, column) for column in self.tokens.columns]
        different = sorted({text for texts in columns for text in texts})
        vectors = self._vectors(different)
        place = {text: i for i, text in enumerate(different)}
        return np.stack([vectors[[place[text] for text in texts]] for texts in columns], axis=1)

    def _vectors(self, texts: list[str]) -> NDArray[np.float32]:
        file = None if self.cache is None else self.cache / f"text-{self._digest()}.safetensors"
        known = {} if file is None or not file.is_file() else load_file(file)
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        new = [text for text, key in zip(texts, keys, strict=True) if key not in known]
        fresh = dict(zip((key for key in keys if key not in known), self._embedded(new), strict=True))
        if file is not None and fresh:
            file.parent.mkdir(parents=True, exist_ok=True)
            beside = file.with_suffix(f".{os.getpid()}.new")
            save_file(known | fresh, beside)
            os.replace(beside, file)
        known |= fresh
        empty = np.empty((0, self.width), np.float32)
        return torch.stack([known[key] for key in keys]).numpy() if keys else empty

    def _embedded(self, texts: list[str]) -> Iterable[Tensor]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of one batch are alike in length
        vectors = torch.empty(len(texts), self.width)
        self.backbone.eval()
        device = next(self.backbone.parameters()).device
        with torch.inference_mode():
            for start in range(0, len(order), _AT_ONCE):
                here = order[start : start + _AT_ONCE]
                ids = torch.from_numpy(_stacked([self.tokens.tokens([texts[i] for i in here])])).to(device)
                vectors[here] = encode_tokens(self.backbone, ids)[:, 0].float().cpu()
        return vectors.clone().unbind()

    def _digest(self) -> str:
        digest = hashlib.sha256(json.dumps([self.tokens.length, self.backbone.config.to_dict()], default=str).encode())
        for name, value in sorted(self.backbone.state_dict().items()):
            digest.update(name.encode() + value.cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:24]

    def save(self, folder: Path) -> dict[str, Any]:
        """Write tokenizer and encoder into a folder."""
        state = {name: value.detach().cpu().contiguous() for name, value in self.backbone.state_dict().items()}
        save_file(state, folder / "text.safetensors")
        return {"kind": "vectors", "tokens": self.tokens.save(folder), "config": self.backbone.config.to_dict()}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        backbone = new_backbone(saved["config"])
        backbone.load_state_dict(load_file(folder / "text.safetensors"))
        return cls(TokenReader.load(folder, saved["tokens"]), backbone)


class TextTransformer(nn.Module):
    """A fine-tuned encoder of ``transformers``: mean over tokens, pairs side by side, dropout.

    Shape:
        ``(B, 1 or 2, L)`` tokens to ``(B, n_features)``.
    """

    lr_factor = PRETRAINED_LR

    def __init__(self, backbone: Any, n_texts: int, *, pair: str = "all", dropout: float = 0.1) -> None:
        super().__init__()
        self.backbone = backbone
        self.pair, self.dropout = pair, Dropout(dropout)
        self.n_features = pair_width(n_texts, pair, int(self.backbone.config.hidden_size))

    def forward(self, x: Tensor) -> Tensor:
        """Features of each text or pair."""
        features: Tensor = self.dropout(side_by_side(encode_tokens(self.backbone, x), self.pair))
        return features


class BiLSTM(nn.Module):
    """Word vectors, a bidirectional LSTM, the largest value over words; pairs side by side, dropout.

    The encoder of STS-B-DIR (Yang et al., ICML 2021; there 300-dimensional GloVe vectors that stay as they are, 1,500
    units each way, dropout 0.2).

    Args:
        n_words: size of the vocabulary, with the two places of no word and of an unknown one.
        n_texts: 1, or 2 of pairs.
        units: of each direction.
        width: of the word vectors.
        frozen: whether the word vectors stay as they are.
        pair: see :func:`side_by_side`.
        dropout: share of features dropped in training.

    Shape:
        ``(B, 1 or 2, L)`` words to ``(B, n_features)``.
    """

    def __init__(
        self,
        n_words: int,
        n_texts: int,
        *,
        units: int = 256,
        width: int = 300,
        frozen: bool = False,
        pair: str = "all",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        whole(units, "text.units", least=1)
        self.words = nn.Embedding(n_words, whole(width, "text.width", least=1), padding_idx=0)
        self.words.weight.requires_grad_(not frozen)
        self.lstm = nn.LSTM(width, units, batch_first=True, bidirectional=True)
        self.pair, self.dropout = pair, Dropout(dropout)
        self.n_features = pair_width(n_texts, pair, 2 * units)

    def forward(self, x: Tensor) -> Tensor:
        """Features of each text or pair."""
        flat, mask = _trimmed(x)
        lengths = mask.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.words(flat), lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, padding_value=-torch.inf)
        features: Tensor = self.dropout(side_by_side(hidden.amax(1).view(*x.shape[:2], -1), self.pair))
        return features


class TextVectors(nn.Module):
    """Vectors of a frozen encoder, pairs side by side, then a perceptron.

    Shape:
        ``(B, 1 or 2, d)`` to ``(B, widths[-1])``.
    """

    def __init__(self, d: int, n_texts: int, *, pair: str = "all", **shape: Any) -> None:
        super().__init__()
        self.pair = pair
        self.layers = MLP(pair_width(n_texts, pair, d), **shape)
        self.n_features = self.layers.n_features

    def forward(self, x: Tensor) -> Tensor:
        """Features of each text or pair."""
        features: Tensor = self.layers(side_by_side(x, self.pair))
        return features


def encode_tokens(backbone: Any, ids: Tensor) -> Tensor:
    """Pooled vectors ``(B, 1 or 2, d)`` of tokens ``(B, 1 or 2, L)``, ids + 1."""
    flat, mask = _trimmed(ids)
    hidden = backbone(input_ids=(flat - 1).clamp(min=0), attention_mask=mask.long()).last_hidden_state
    return pool(hidden, mask).view(*ids.shape[:2], -1)


def text_encoder(
    name: str,
    columns: Sequence[str],
    frame: pd.DataFrame,
    *,
    frozen: bool = True,
    length: int | None = None,
    pair: str = "all",
    cache: str | Path | None = None,
    vectors: str | Path | None = None,
    words: int = 30_000,
    lr_factor: float = PRETRAINED_LR,
    **shape: Any,
) -> tuple[TokenReader | WordReader | VectorReader, nn.Module, dict[str, Any]]:
    """A reader of texts, an encoder of what it reads, and the description from which another encoder is made.

    Args:
        name: ``"bilstm"``, or a folder or hub name of an encoder of ``transformers``.
        columns: one column, or the two of a pair.
        frame: training rows, from which the BiLSTM takes its vocabulary.
        frozen: of an encoder of ``transformers``, whether it stays as it is and a perceptron learns on its vectors. Of
            the BiLSTM with ``vectors``, whether these stay.
        length: most tokens of a text; 128, words of the BiLSTM 40, if not given.
        pair: see :func:`side_by_side`.
        cache: folder for the vectors of a frozen encoder, see :class:`VectorReader`.
        vectors: text file of word vectors for the BiLSTM.
        words: most words of its vocabulary.
        lr_factor: learning rate of a fine-tuned encoder, relative to that of the head.
        shape: ``widths`` and ``dropout`` of the perceptron, ``dropout`` of a fine-tuned encoder, ``units``, ``width``
            and ``dropout`` of the BiLSTM.

    Raises:
        InputError: an encoder that cannot be had, a choice that it does not have.
    """
    one_of(pair, "text.pair", PAIRS)
    encoder: Any
    if name == "bilstm":
        _only(shape, ("units", "width", "dropout"), name)
        words_reader = WordReader.fit(
            columns, frame, length=whole(length or 40, "text.length", least=1), most=whole(words, "text.words", least=1)
        )
        size = len(words_reader.vocabulary) + 2
        encoder = BiLSTM(size, len(columns), frozen=frozen and vectors is not None, pair=pair, **shape)
        if vectors is not None:
            known = read_word_vectors(vectors, words_reader.vocabulary, encoder.words.embedding_dim)
            if not known:
                raise InputError(f"no word of the training texts has a vector in {str(vectors)!r}")
            with torch.no_grad():
                for i, vector in known.items():
                    encoder.words.weight[i + 2] = torch.from_numpy(vector)
        return words_reader, encoder, {"name": name, "n_words": size, "n_texts": len(columns), "pair": pair, **shape}
    if vectors is not None:
        raise InputError("text.vectors are for text.encoder=bilstm")
    tokens = TokenReader(tuple(columns), tokenizer_of(name), whole(length or 128, "text.length", least=2))
    backbone = pretrained_backbone(name, extra="text")
    if frozen:
        _only(shape, ("widths", "dropout"), "a frozen encoder")
        reader = VectorReader(tokens, backbone.requires_grad_(False), None if cache is None else Path(cache))
        head = {"d": reader.width, "n_texts": len(columns), "pair": pair, **shape}
        return reader, TextVectors(**head), {"name": "vectors", **head}
    _only(shape, ("dropout",), "a fine-tuned encoder")
    encoder = TextTransformer(backbone, len(columns), pair=pair, **shape)
    encoder.lr_factor = positive(lr_factor, "text.lr_factor")
    config = encoder.backbone.config.to_dict()
    return tokens, encoder, {"name": "transformer", "config": config, "n_texts": len(columns), "pair": pair, **shape}


def text_encoder_from(description: dict[str, Any]) -> nn.Module:
    """A new encoder from the description of another; its weights are to be loaded."""
    shape = dict(description)
    name = shape.pop("name")
    if name == "bilstm":
        return BiLSTM(**shape)
    return TextVectors(**shape) if name == "vectors" else TextTransformer(new_backbone(shape.pop("config")), **shape)


def _only(shape: dict[str, Any], known: Sequence[str], what: str) -> None:
    for key in shape:
        if key not in known:
            raise InputError(f"{what} has no parameter text.{key}{did_you_mean(key, known)}")
    if "dropout" in shape and not not_negative(shape["dropout"], "text.dropout") < 1:
        raise InputError(f"text.dropout must be below 1, got {shape['dropout']!r}")
    if "widths" in shape:
        given = shape["widths"]
        widths = list(given) if isinstance(given, list | tuple) else [given]
        shape["widths"] = [whole(width, "text.widths", least=1) for width in widths]


def tokenizer_of(name: str) -> Any:
    """A tokenizer of a folder or of the hub; no code is taken from there.

    Raises:
        InputError: none there.
    """
    transformers = require_transformers(f"the encoder {name!r}", "text")
    try:
        return transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise cannot_load(name, error) from error


def words_of(text: str) -> list[str]:
    """Words and other characters, in lower case."""
    return _WORD.findall(text.lower())


def texts_of(frame: pd.DataFrame, column: str) -> list[str]:
    """Cells of a column as text."""
    return [str(cell) for cell in frame[column]]


def read_word_vectors(path: str | Path, vocabulary: Sequence[str], width: int) -> dict[int, NDArray[np.float32]]:
    """Vectors of the words of a vocabulary from a text file: a word and its numbers a line, as GloVe is released.

    Args:
        path: the file.
        vocabulary: words.
        width: numbers a word.

    Raises:
        InputError: a file that cannot be read, vectors of another length.
    """
    wanted = {word: i for i, word in enumerate(vocabulary)}
    found: dict[int, NDArray[np.float32]] = {}
    try:
        with Path(path).open(encoding="utf-8") as file:
            for line in file:
                word, _, numbers = line.rstrip("\n").partition(" ")
                if word in wanted:
                    vector = np.asarray(numbers.split(" "), dtype=np.float32)
                    if len(vector) != width:
                        raise InputError(
                            f"the word vectors of {str(path)!r} have {len(vector)} numbers; "
                            f"--set text.width={len(vector)}"
                        )
                    found[wanted[word]] = vector
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read word vectors from {str(path)!r}: {error}") from error
    return found


def _trimmed(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Texts of a batch one below the other, without what is empty in all, and where there is a token."""
    flat = ids.flatten(0, 1).long()
    used = max(1, int((flat > 0).sum(1).max()))
    flat = flat[:, :used]
    return flat, flat > 0


def _stacked(columns: list[list[list[int]]]) -> NDArray[np.int32]:
    longest = max((len(tokens) for column in columns for tokens in column), default=1) or 1
    made = np.zeros((len(columns[0]), len(columns), longest), np.int32)
    for i, column in enumerate(columns):
        for row, tokens in enumerate(column):
            made[row, i, : len(tokens)] = tokens
    return made
