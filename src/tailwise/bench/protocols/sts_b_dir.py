"""STS-B-DIR: similarity of two sentences, 5,249 / 1,000 / 1,000 pairs (Yang et al., ICML 2021)."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from tailwise._checks import InputError
from tailwise.bench.protocols.base import SPLIT, Index, Protocol, need, need_columns

FILES = {"train": "train_new.tsv", "val": "dev_new.tsv", "test": "test_new.tsv"}
MANY = [0, *range(10, 49, 2), 49]
MEDIUM = [2, 4, 6, 8, 27, 35, 37]
EDGES = [float(edge) for edge in np.linspace(0, 5, 51).astype(np.float32)]
_COLUMNS = ("sentence1", "sentence2", "score")


def read_sts_b(folder: Path) -> Index:
    """Return the pairs of the three released files."""
    frames = []
    for part, file in zip(FILES, need(folder, *FILES.values()), strict=True):
        try:
            rows = pd.read_csv(file, sep="\t", quoting=csv.QUOTE_NONE, keep_default_na=False, dtype=str)
        except (ValueError, OSError) as error:
            raise InputError(f"{file.name!r} cannot be read as tab-separated text: {error}") from error
        need_columns(rows, file, _COLUMNS)
        score = pd.to_numeric(rows["score"], errors="coerce")
        if not score.between(0, 5).all():
            raise InputError(f"{file.name!r} has scores that are not numbers from 0 to 5")
        frames.append(rows[list(_COLUMNS)].assign(score=score, **{SPLIT: part}))
    return Index(pd.concat(frames, ignore_index=True), f"released: {', '.join(FILES.values())}")


_SUBJECTS = ("a man", "a woman", "a dog", "a child", "the cat", "a girl", "two boys", "the band")
_VERBS = ("runs", "sleeps", "plays", "cooks", "sings", "reads", "swims", "waits")
_PLACES = ("in the park", "at home", "on a stage", "by the river", "in a street", "near a tree")


def toy(folder: Path, seed: int) -> None:
    """Write synthetic pairs to the three files: they share 0 to 3 of three phrases, most of them few."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, n in zip(FILES.values(), (300, 90, 90), strict=True):
        lines = []
        for i in range(n):
            first = [rng.choice(words) for words in (_SUBJECTS, _VERBS, _PLACES)]
            second = [rng.choice(words) for words in (_SUBJECTS, _VERBS, _PLACES)]
            shared = rng.permutation(3)[: rng.choice(4, p=(0.4, 0.3, 0.2, 0.1))]
            for place in shared:
                second[place] = first[place]
            similarity = sum(a == b for a, b in zip(first, second, strict=True)) / 3
            score = np.clip(np.round(5 * similarity + rng.normal(0, 0.3), 1), 0, 5)
            lines.append((i, *(" ".join(words).capitalize() + "." for words in (first, second)), f"{score:.3f}"))
        frame = pd.DataFrame(lines, columns=["index", *_COLUMNS])
        frame.to_csv(folder / name, sep="\t", index=False, quoting=csv.QUOTE_NONE)


PROTOCOL = Protocol(
    name="sts-b-dir",
    title="similarity of two sentences, 7,249 pairs of STS-B",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML 2021",
    layout=(
        f"{', '.join(FILES.values())} from the folder sts-b-dir of the repository "
        "YyzHarry/imbalanced-regression (columns sentence1, sentence2, score; the pairs are those of STS-B, GLUE)"
    ),
    target="score",
    unit="points from 0 to 5",
    choices={
        "edges": EDGES,
        "regions": {"many": MANY, "medium": MEDIUM},
        "text_pair": ["sentence1", "sentence2"],
    },
    metrics=("mse", "pearson"),
    recipe={"epochs": 100, "batch_size": 128, "lr": 1e-4, "weight_decay": 1e-5, "clip_norm": 5.0, "criterion": "rmse"},
    params={"text": {"encoder": "bilstm", "units": 1500, "length": 40, "dropout": 0.2}},
    # Published for scores / 5, with variance 0.088: beta 20, and 3e-4 with the squared error.
    parts={"fds": {"clip": [0.5, 2.0]}, "focal_mse": {"beta": 4.0}, "ranksim": {"coef": 0.0034}},
    methods=("vanilla", "inv+lds", "inv+fds", "inv+lds+fds", "ranksim", "conr"),
    deviations=(
        "validated each epoch, at most 100 epochs, stopped after 30 without improvement; published: validated every "
        "400 iterations, at most 100 times, stopped after 10 without improvement",
        "the learning rate falls along half a cosine; published: constant",
        "word vectors are learnt; published: GloVe 840B with 300 dimensions (`text.vectors=FILE`)",
        "the output is scaled to the scores; published: the network is trained on scores / 5",
        "19 test pairs also occur among the training pairs, as in the released files",
    ),
    quick=("text.units=16", "text.width=16", "recipe.batch_size=32"),
    read=lambda folder: {"index": read_sts_b(folder)},
    toy=toy,
)
