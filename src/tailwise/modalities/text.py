"""Encoders of texts and of pairs of texts: of ``transformers``, frozen or fine-tuned, or a BiLSTM over words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from tailwise._checks import InputError, did_you_mean, not_negative, one_of, positive, true_or_false, whole
from tailwise.modalities.hub import description_of, new_backbone, pretrained_backbone, tried
from tailwise.modalities.mlp import MLP, Dropout
from tailwise.modalities.text_tokens import TokenReader, encode_tokens, tokenizer_of, trimmed
from tailwise.modalities.text_vectors import VectorReader
from tailwise.modalities.text_words import WordReader, read_word_vectors

PAIRS = ("all", "symmetric")
PRETRAINED_LR = 0.05  # learning rate of pretrained weights, relative to that of new ones
_TOKENS, _WORDS = 128, 40
_LEAST_STD = 1e-4  # vectors have values of size 1; some are the same for every text
_OF = {
    "bilstm": ("frozen", "vectors", "words", "units", "width", "dropout"),
    "a frozen encoder": ("cache", "widths", "dropout", "input_dropout"),
    "a fine-tuned encoder": ("lr_factor", "dropout"),
}


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


class TextVectors(nn.Module):
    """Vectors of a frozen encoder, pairs side by side, standardised, then a perceptron.

    Args:
        d: length of a vector.
        n_texts: 1, or 2 of pairs.
        pair: see :func:`side_by_side`.
        input_dropout: share of the perceptron's inputs dropped in training.
        shape: ``widths`` and ``dropout`` of :class:`tailwise.modalities.mlp.MLP`.

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
        flat, mask = trimmed(x)
        lengths = mask.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.words(flat), lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, padding_value=-torch.inf)
        features: Tensor = self.dropout(side_by_side(hidden.amax(1).view(*x.shape[:2], -1), self.pair))
        return features


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
