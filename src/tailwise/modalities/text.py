"""Encoders of texts and of pairs of texts: of ``transformers``, frozen or fine-tuned, or a BiLSTM over words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from tailwise._checks import InputError, did_you_mean, not_negative, one_of, positive, true_or_false, whole
from tailwise.modalities.hub import description_of, new_backbone, pretrained_backbone, tried
from tailwise.modalities.medium import FittedMedium
from tailwise.modalities.text_networks import PAIRS, PRETRAINED_LR, BiLSTM, TextTransformer, TextVectors
from tailwise.modalities.text_tokens import TokenReader, tokenizer_of
from tailwise.modalities.text_vectors import VectorReader
from tailwise.modalities.text_words import WordReader, read_word_vectors

TextReader = TokenReader | WordReader | VectorReader
READERS: dict[str, type[TextReader]] = {"tokens": TokenReader, "words": WordReader, "vectors": VectorReader}
_TOKENS, _WORDS = 128, 40
_PARAMETERS = {
    "bilstm": ("frozen", "vectors", "words", "units", "width", "dropout"),
    "a frozen encoder": ("cache", "widths", "dropout", "input_dropout"),
    "a fine-tuned encoder": ("lr_factor", "dropout"),
}


def fit_texts(
    columns: Sequence[str], frame: pd.DataFrame, params: dict[str, Any], device: torch.device | str
) -> FittedMedium:
    """Return reader and encoder for the texts of a column, or for pairs of texts of two columns.

    Args:
        columns: one column, or the two of a pair.
        frame: training rows.
        params: ``encoder``, a name for :func:`text_encoder`, and the choices of that.
        device: where a frozen encoder embeds texts.

    Raises:
        InputError: an encoder that cannot be loaded, a choice that it does not have.
    """
    reader, encoder, description = text_encoder(str(params.pop("encoder", "bilstm")), columns, frame, **params)
    if isinstance(reader, VectorReader):
        reader.backbone.to(device)
    match_inputs = encoder.match_inputs if isinstance(encoder, TextVectors) else None
    return FittedMedium(reader, encoder, description, match_inputs=match_inputs)


def load_text_reader(folder: Path, saved: dict[str, Any]) -> TextReader:
    """Read what ``save`` of one of :data:`READERS` wrote."""
    return READERS[saved["kind"]].load(folder, saved)


def text_encoder(
    name: str,
    columns: Sequence[str],
    frame: pd.DataFrame,
    *,
    frozen: bool | None = None,
    length: int | None = None,
    pair: str = "all",
    **choices: Any,
) -> tuple[TextReader, nn.Module, dict[str, Any]]:
    """Return a reader of texts, an encoder of its outputs, and the description from which another encoder is made.

    Args:
        name: ``"bilstm"``, or a folder or hub name of an encoder of ``transformers``.
        columns: one column, or the two of a pair.
        frame: training rows, from which the BiLSTM takes its vocabulary.
        frozen: of an encoder of ``transformers``, whether it stays as it is and a perceptron learns on its vectors; of
            the BiLSTM with ``vectors``, whether these stay as they are. ``True`` by default.
        length: most tokens of a text; by default 128, or fewer where the encoder takes fewer, and 40 words of the
            BiLSTM.
        pair: see :func:`side_by_side`.
        choices: of a frozen encoder ``cache``, a folder for its vectors (see :class:`VectorReader`), ``widths``,
            ``dropout`` and ``input_dropout`` of the perceptron; of a fine-tuned encoder ``lr_factor``, its learning
            rate relative to that of the head (0.05), and ``dropout``; of the BiLSTM ``vectors``, a text file of word
            vectors, ``words``, the most words of its vocabulary (30,000), ``units``, ``width`` and ``dropout``.

    Raises:
        InputError: an encoder that cannot be loaded, a choice that it does not have.
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
    """Return a new encoder from the description of another; its weights are to be loaded."""
    shape = dict(description)
    name = shape.pop("name")
    if name == "bilstm":
        return BiLSTM(**shape)
    if name == "vectors":
        return TextVectors(**shape)
    return TextTransformer(new_backbone(shape.pop("config"), extra="text"), **shape)


def _checked(choices: dict[str, Any], what: str) -> dict[str, Any]:
    """Return the choices of a kind of encoder, each in its range."""
    shape = dict(choices)
    for key in shape:
        if key not in _PARAMETERS[what]:
            known = (*_PARAMETERS[what], "length", "pair")
            raise InputError(f"{what} has no parameter text.{key}{did_you_mean(key, known)}")
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
