"""Encoders of texts and of pairs of texts: of ``transformers``, frozen or fine-tuned, or a BiLSTM over words."""

import hashlib
import json
import math
import os
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tailwise._checks import InputError, did_you_mean, not_negative, one_of, positive, true_or_false, whole
from tailwise.models.hub import (
    cannot_load,
    description_of,
    new_backbone,
    pretrained_backbone,
    require_transformers,
    tried,
)
from tailwise.models.table import MLP, Dropout
from tailwise.processes import own_draws

PAIRS = ("all", "symmetric")
PRETRAINED_LR = 0.05  # learning rate of pretrained weights, relative to that of new ones
_WORD = re.compile(r"\w+|[^\w\s]")
_AT_ONCE = 64
_REMEMBERED = 200_000  # vectors, of all texts of a table that fits
_TOKENS, _WORDS = 128, 40
_OF = {
    "bilstm": ("frozen", "vectors", "words", "units", "width", "dropout"),
    "a frozen encoder": ("cache", "widths", "dropout", "input_dropout"),
    "a fine-tuned encoder": ("lr_factor", "dropout"),
}
_TOKENIZER = "tokenizer"
_LEAST_STD = 1e-4  # vectors have values of size 1; some are the same for every text


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
        """Read what :meth:`save` wrote.

        Raises:
            InputError: no tokenizer there.
        """
        if not (folder / _TOKENIZER).is_dir():  # else the hub would be asked for it
            raise InputError(f"the model lacks the tokenizer {str(folder / _TOKENIZER)!r}")
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
        """A reader whose vocabulary is the most frequent words of training rows; of equally frequent ones the first.

        Raises:
            InputError: training texts without a word.
        """
        counts = Counter(word for column in columns for text in texts_of(frame, column) for word in words_of(text))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        if not ranked:
            raise InputError(f"the training texts of {' and '.join(map(repr, columns))} have no words")
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
        backbone: the encoder; it is not changed.
        cache: folder in which vectors are kept for other runs, by the content of encoder, tokenizer and text; none if
            not given.
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
        """``(n, 1 or 2, d)``."""
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
            return load_file(self._file) if self._file.is_file() else {}
        except SafetensorError as error:
            raise InputError(
                f"the vectors kept in {str(self._file)!r} cannot be read ({error}); remove them"
            ) from error

    def _keep(self, fresh: dict[str, Tensor]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(f".{uuid.uuid4().hex}.new")
        save_file(self._cached() | fresh, beside)  # with what another process has kept meanwhile
        os.replace(beside, self._file)

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
        tokenizer = self.tokens.tokenizer
        cut = tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else sorted(tokenizer.get_vocab().items())
        what = [self.tokens.length, description_of(self.backbone), cut]
        digest = hashlib.sha256(json.dumps(what, default=str).encode())
        for name, value in sorted(self.backbone.state_dict().items()):
            digest.update(name.encode() + value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:24]

    def save(self, folder: Path) -> dict[str, Any]:
        """Write tokenizer and encoder into a folder."""
        state = {name: value.detach().cpu().contiguous().clone() for name, value in self.backbone.state_dict().items()}
        save_file(state, folder / "text.safetensors")  # clones, for weights that are one tensor under two names
        return {"kind": "vectors", "tokens": self.tokens.save(folder), "config": description_of(self.backbone)}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        backbone = new_backbone(saved["config"], extra="text")
        backbone.load_state_dict(load_file(folder / "text.safetensors"))
        return cls(TokenReader.load(folder, saved["tokens"]), backbone.requires_grad_(False))


class TextTransformer(nn.Module):
    """A fine-tuned encoder of ``transformers``: mean over tokens, pairs side by side, dropout.

    Its own dropout draws, of several processes, in each for its own rows.

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
    """Vectors of a frozen encoder, pairs side by side, standardised, then a perceptron.

    Args:
        d: length of a vector.
        n_texts: 1, or 2 of pairs.
        pair: see :func:`side_by_side`.
        input_dropout: share of the perceptron's inputs dropped in training.
        shape: ``widths`` and ``dropout`` of :class:`tailwise.models.table.MLP`.

    Shape:
        ``(B, 1 or 2, d)`` to ``(B, widths[-1])``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, d: int, n_texts: int, *, pair: str = "all", input_dropout: float = 0.3, **shape: Any) -> None:
        super().__init__()
        self.pair, width = pair, pair_width(n_texts, pair, d)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.layers = nn.Sequential(Dropout(input_dropout), perceptron := MLP(width, **shape))
        self.n_features = perceptron.n_features

    def match_inputs(self, x: Tensor) -> None:
        """Take mean and standard deviation of the perceptron's inputs from the vectors of training rows.

        Products and differences of vectors are of another size than the vectors; a perceptron on inputs as they are
        has a fifth more squared error on pairs of sentences.
        """
        inputs = side_by_side(x, self.pair)
        std = inputs.std(0, correction=0)
        self.mean.copy_(inputs.mean(0))
        self.std.copy_(torch.where(std > _LEAST_STD, std, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Features of each text or pair."""
        features: Tensor = self.layers((side_by_side(x, self.pair) - self.mean) / self.std)
        return features


def encode_tokens(backbone: Any, ids: Tensor) -> Tensor:
    """Pooled vectors ``(B, 1 or 2, d)`` of tokens ``(B, 1 or 2, L)``, ids + 1."""
    flat, mask = _trimmed(ids)
    with own_draws(ids.device) if backbone.training else nullcontext():
        hidden = backbone(input_ids=(flat - 1).clamp(min=0), attention_mask=mask.long()).last_hidden_state
    return pool(hidden, mask).view(*ids.shape[:2], -1)


def text_encoder(
    name: str,
    columns: Sequence[str],
    frame: pd.DataFrame,
    *,
    frozen: bool | None = None,
    length: int | None = None,
    pair: str = "all",
    **choices: Any,
) -> tuple[TokenReader | WordReader | VectorReader, nn.Module, dict[str, Any]]:
    """A reader of texts, an encoder of what it reads, and the description from which another encoder is made.

    Args:
        name: ``"bilstm"``, or a folder or hub name of an encoder of ``transformers``.
        columns: one column, or the two of a pair.
        frame: training rows, from which the BiLSTM takes its vocabulary.
        frozen: of an encoder of ``transformers``, whether it stays as it is and a perceptron learns on its vectors. Of
            the BiLSTM with ``vectors``, whether these stay. They do if not given.
        length: most tokens of a text; 128, or fewer where the encoder takes fewer, words of the BiLSTM 40, if not
            given.
        pair: see :func:`side_by_side`.
        choices: of a frozen encoder ``cache``, a folder for its vectors (see :class:`VectorReader`), ``widths`` and
            ``dropout`` of the perceptron; of a fine-tuned encoder ``lr_factor``, its learning rate relative to that of
            the head, 0.05 if not given, and ``dropout``; of the BiLSTM ``vectors``, a text file of word vectors,
            ``words``, the most words of its vocabulary, 30,000 if not given, ``units``, ``width`` and ``dropout``.

    Raises:
        InputError: an encoder that cannot be had, a choice that it does not have.
    """
    one_of(pair, "text.pair", PAIRS)
    if frozen is not None:
        true_or_false(frozen, "text.frozen")
    if length is not None:
        whole(length, "text.length", least=1)
    if name == "bilstm":
        given = choices if frozen is None else {"frozen": frozen, **choices}
        return _bilstm(columns, frame, length, pair, **_checked(given, name))
    kind = "a fine-tuned encoder" if frozen is False else "a frozen encoder"
    choices = _checked(choices, kind)
    tokenizer = tokenizer_of(name)
    backbone: Any = pretrained_backbone(name, extra="text")
    limits = [tokenizer.model_max_length, getattr(backbone.config, "max_position_embeddings", None) or _TOKENS]
    tokens = TokenReader(tuple(columns), tokenizer, int(min(_TOKENS, *limits)) if length is None else int(length))
    encoder: Any = TextTransformer(backbone, len(columns), pair=pair, dropout=choices.get("dropout", 0.1))
    longest = torch.full((1, len(columns), tokens.length), len(tokenizer), dtype=torch.int32)
    tried(encoder, longest, f"encoder {name!r} does not take texts of {tokens.length} tokens (text.length)")
    description = {"n_texts": len(columns), "pair": pair}
    if kind == "a frozen encoder":
        cache = choices.pop("cache", None)
        reader = VectorReader(tokens, backbone.requires_grad_(False).eval(), None if cache is None else Path(cache))
        head = {"d": reader.width, **description, **choices}
        return reader, TextVectors(**head), {"name": "vectors", **head}
    encoder.lr_factor = positive(choices.pop("lr_factor", PRETRAINED_LR), "text.lr_factor")
    return tokens, encoder, {"name": "transformer", "config": description_of(backbone), **description, **choices}


def _bilstm(
    columns: Sequence[str],
    frame: pd.DataFrame,
    length: int | None,
    pair: str,
    *,
    frozen: bool = True,
    vectors: str | None = None,
    words: int = 30_000,
    **shape: Any,
) -> tuple[WordReader, BiLSTM, dict[str, Any]]:
    reader = WordReader.fit(columns, frame, length=length or _WORDS, most=whole(words, "text.words", least=1))
    description = {"n_words": len(reader.vocabulary) + 2, "n_texts": len(columns), "pair": pair, **shape}
    encoder = BiLSTM(**description, frozen=frozen and vectors is not None)
    if vectors is not None:
        known = read_word_vectors(vectors, reader.vocabulary, encoder.words.embedding_dim)
        if not known:
            raise InputError(f"no word of the training texts has a vector in {str(vectors)!r}")
        with torch.no_grad():
            for i, vector in known.items():
                encoder.words.weight[i + 2] = torch.from_numpy(vector)
    return reader, encoder, {"name": "bilstm", **description}


def text_encoder_from(description: dict[str, Any]) -> nn.Module:
    """A new encoder from the description of another; its weights are to be loaded."""
    shape = dict(description)
    name = shape.pop("name")
    if name == "bilstm":
        return BiLSTM(**shape)
    if name == "vectors":
        return TextVectors(**shape)
    return TextTransformer(new_backbone(shape.pop("config"), extra="text"), **shape)


def _checked(choices: dict[str, Any], what: str) -> dict[str, Any]:
    """Choices that a kind of encoder has, each in its range."""
    shape = dict(choices)
    for key in shape:
        if key not in _OF[what]:
            raise InputError(f"{what} has no parameter text.{key}{did_you_mean(key, (*_OF[what], 'length', 'pair'))}")
    for key in ("cache", "vectors"):
        if not isinstance(shape.get(key, ""), str | Path):
            raise InputError(f"text.{key} must be a path, got {shape[key]!r}")
    for key in ("dropout", "input_dropout"):
        if key in shape and not not_negative(shape[key], f"text.{key}") < 1:
            raise InputError(f"text.{key} must be below 1, got {shape[key]!r}")
    if "widths" in shape:
        given = shape["widths"]
        widths = list(given) if isinstance(given, list | tuple) else [given]
        shape["widths"] = [whole(width, "text.widths", least=1) for width in widths]
        if not widths:
            raise InputError("text.widths must name at least one layer")
    return shape


def tokenizer_of(name: str) -> Any:
    """A tokenizer of a folder or of the hub; no code is taken from there.

    Raises:
        InputError: none there.
    """
    transformers = require_transformers(f"the encoder {name!r}", "text")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # tokenizers raises Exception itself
        raise cannot_load(name, error) from error
    folder, files = Path(name), {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    if folder.is_dir() and not any((folder / file).is_file() for file in files):  # an empty one would do
        raise InputError(f"folder {name!r} holds no tokenizer: none of {', '.join(sorted(files))}")
    return tokenizer


def words_of(text: str) -> list[str]:
    """Words and other characters, in lower case."""
    return _WORD.findall(text.lower())


def texts_of(frame: pd.DataFrame, column: str) -> list[str]:
    """Cells of a column as text."""
    return [str(cell) for cell in frame[column]]


def read_word_vectors(path: str | Path, vocabulary: Sequence[str], width: int) -> dict[int, NDArray[np.float32]]:
    """Vectors of the words of a vocabulary from a text file: a word and its numbers a line, as GloVe is released.

    A first line of two numbers, as word2vec and fastText write it, is no word.

    Args:
        path: the file.
        vocabulary: words.
        width: numbers a word.

    Raises:
        InputError: a file that cannot be read or is no text, vectors of another length or that are not finite.
    """
    wanted = {word: i for i, word in enumerate(vocabulary)}
    found: dict[int, NDArray[np.float32]] = {}
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                word, *numbers = line.rstrip().rsplit(" ", width)  # some words of GloVe hold spaces
                if number == 0 and len(line.split()) == 2:
                    continue
                if len(numbers) < width or (number < 2 and len(line.split()) > width + 1):
                    here = len(line.split()) - 1
                    raise InputError(
                        f"line {number + 1} of {str(path)!r} has {here} numbers, not {width}; --set text.width={here}"
                    )
                if word in wanted:
                    found[wanted[word]] = np.asarray(numbers, dtype=np.float32)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read word vectors from {str(path)!r}, a text file: {error}") from error
    if not all(np.isfinite(vector).all() for vector in found.values()):
        raise InputError(f"word vectors of {str(path)!r} are not finite")
    return found


def _trimmed(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Texts of a batch one below the other, without what is empty in all, and where there is a token."""
    flat = ids.flatten(0, 1).long()
    used = max(1, int((flat > 0).sum(1).max())) if len(flat) else 1
    flat = flat[:, :used]
    return flat, flat > 0


def _stacked(columns: list[list[list[int]]]) -> NDArray[np.int32]:
    longest = max((len(tokens) for column in columns for tokens in column), default=1) or 1
    made = np.zeros((len(columns[0]), len(columns), longest), np.int32)
    for i, column in enumerate(columns):
        for row, tokens in enumerate(column):
            made[row, i, : len(tokens)] = tokens
    return made
