"""Networks of texts and of pairs of texts: fine-tuned transformers, a perceptron on vectors, a BiLSTM over words."""

from typing import Any

import torch
from torch import Tensor, nn

from tailwise._checks import one_of, whole
from tailwise.modalities.mlp import MLP, Dropout
from tailwise.modalities.text_tokens import encode_tokens, trimmed

PAIRS = ("all", "symmetric")
PRETRAINED_LR = 0.05  # learning rate of pretrained weights, relative to that of new ones
_LEAST_STD = 1e-4  # vectors have values of size 1; some are the same for every text


class TextTransformer(nn.Module):
    """Fine-tuned encoder of ``transformers``: mean over tokens, pairs side by side, dropout.

    The encoder's dropout draws separately in each of several processes, for the rows of that process.

    Args:
        backbone: the encoder.
        n_texts: 1, or 2 of pairs.
        pair: see :func:`side_by_side`.
        dropout: fraction of features dropped in training.

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
        """Return the features of each text or pair."""
        features: Tensor = self.dropout(side_by_side(encode_tokens(self.backbone, x), self.pair))
        return features


class TextVectors(nn.Module):
    """Vectors of a frozen encoder, pairs side by side, standardised, then a perceptron.

    Args:
        d: length of a vector.
        n_texts: 1, or 2 of pairs.
        pair: see :func:`side_by_side`.
        input_dropout: fraction of the perceptron's inputs dropped in training.
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

        Products and differences of vectors are of another size than the vectors; without standardisation the squared
        error on pairs of sentences is a fifth larger.
        """
        inputs = side_by_side(x, self.pair)
        std = inputs.std(0, correction=0)
        self.mean.copy_(inputs.mean(0))
        self.std.copy_(torch.where(std > _LEAST_STD, std, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each text or pair."""
        features: Tensor = self.layers((side_by_side(x, self.pair) - self.mean) / self.std)
        return features


class BiLSTM(nn.Module):
    """Word vectors, a bidirectional LSTM, the largest value over words; pairs side by side, dropout.

    The encoder of STS-B-DIR (Yang et al., ICML 2021; there 300-dimensional GloVe vectors that stay as they are, 1,500
    units each way, dropout 0.2).

    Args:
        n_words: size of the vocabulary, including the two entries for no word and for an unknown one.
        n_texts: 1, or 2 of pairs.
        units: of each direction.
        width: of the word vectors.
        frozen: whether the word vectors stay as they are.
        pair: see :func:`side_by_side`.
        dropout: fraction of features dropped in training.

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
        """Return the features of each text or pair."""
        flat, mask = trimmed(x)
        lengths = mask.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.words(flat), lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, padding_value=-torch.inf)
        features: Tensor = self.dropout(side_by_side(hidden.amax(1).view(*x.shape[:2], -1), self.pair))
        return features


def side_by_side(vectors: Tensor, pair: str) -> Tensor:
    """Return the features of a text, or of a pair u, v: u, v, |u - v|, u * v.

    Args:
        vectors: ``(B, 1, d)``, or ``(B, 2, d)`` of pairs.
        pair: ``"all"``, or ``"symmetric"`` for the last two alone, which do not depend on the order of the pair.
    """
    if vectors.shape[1] == 1:
        return vectors[:, 0]
    u, v = vectors.unbind(1)
    both = [(u - v).abs(), u * v]
    return torch.cat([u, v, *both] if pair == "all" else both, dim=1)


def pair_width(n_texts: int, pair: str, d: int) -> int:
    """Return the length of the features that :func:`side_by_side` returns."""
    one_of(pair, "text.pair", PAIRS)
    return d if n_texts == 1 else (4 if pair == "all" else 2) * d
