"""Texts as words of a vocabulary, and vectors of words from a file."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.modalities.text_tokens import stacked, texts_of

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class WordReader:
    """Read texts as words of a vocabulary: 0 for no word, 1 for one that is not in it.

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
        """Return a reader with the most frequent words of training rows, ties in alphabetical order.

        Args:
            columns: one column, or the two of a pair.
            frame: training rows.
            length: most words of a text.
            most: size of the vocabulary.

        Raises:
            InputError: training texts without a word.
        """
        counts = Counter(word for column in columns for text in texts_of(frame, column) for word in words_of(text))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        if not ranked:
            raise InputError(f"the training texts of {' and '.join(map(repr, columns))} have no words")
        return cls(tuple(columns), tuple(ranked[:most]), length)

    def read(self, frame: pd.DataFrame) -> NDArray[np.int32]:
        """Return words ``(n, 1 or 2, L)``, with L the length of the longest text."""
        texts = [[words_of(text)[: self.length] for text in texts_of(frame, column)] for column in self.columns]
        return stacked([[[self.index.get(word, 1) for word in words] for words in column] for column in texts])

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the vocabulary into a folder."""
        (folder / "vocabulary.json").write_text(json.dumps(self.vocabulary, ensure_ascii=False), encoding="utf-8")
        return {"kind": "words", "columns": list(self.columns), "length": self.length}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        words = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        return cls(tuple(saved["columns"]), tuple(words), int(saved["length"]))


def words_of(text: str) -> list[str]:
    """Return words and other characters, in lower case."""
    return _WORD.findall(text.lower())


def read_word_vectors(path: str | Path, vocabulary: Sequence[str], width: int) -> dict[int, NDArray[np.float32]]:
    """Read vectors of the words of a vocabulary from a text file with a word and its numbers per line, such as GloVe.

    A first line of two numbers, as word2vec and fastText write it, is skipped.

    Args:
        path: the file.
        vocabulary: words.
        width: numbers per word.

    Returns:
        Vectors by the word's position in the vocabulary.

    Raises:
        InputError: a file that cannot be read or is no text, vectors of another length or that are not finite.
    """
    wanted = {word: i for i, word in enumerate(vocabulary)}
    vectors: dict[int, NDArray[np.float32]] = {}
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                word, *numbers = line.rstrip().rsplit(" ", width)  # some words of GloVe hold spaces
                if number == 0 and len(line.split()) == 2:
                    continue
                if len(numbers) < width or (number < 2 and len(line.split()) > width + 1):
                    given = len(line.split()) - 1
                    raise InputError(
                        f"line {number + 1} of {str(path)!r} has {given} numbers, not {width}; `text.width={given}`"
                    )
                if word in wanted:
                    vectors[wanted[word]] = np.asarray(numbers, dtype=np.float32)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read word vectors from {str(path)!r}, a text file: {error}") from error
    if not all(np.isfinite(vector).all() for vector in vectors.values()):
        raise InputError(f"word vectors of {str(path)!r} are not finite")
    return vectors
