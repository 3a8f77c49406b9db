"""Small tables of images, texts and signals, and small encoders of ``transformers`` as folders."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from tailwise import TableModel, compose
from tailwise.experiment.prepare import prepare
from tailwise.training.recipe import Recipe
from trainings import start_training

SMALL = {"image": {"width": 4}, "signal": {"width": 4, "blocks": 1}, "text": {"units": 4, "width": 8}}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "word", "a", "b", "one", "two", "three"]


def media_frame(folder: Path, n: int = 72, size: int = 16, channels: int = 3) -> pd.DataFrame:
    """A table in ``index.csv`` whose images, signals, texts and number all tell its skewed target y."""
    rng = np.random.default_rng(0)
    (folder / "pic").mkdir()
    (folder / "sig").mkdir()
    rows = []
    for i in range(n):
        y = min(int(rng.exponential(3)), 9)
        pixels = rng.integers(0, 60, (size, size, channels)).astype(np.uint8)
        pixels[: y + 2] += 150
        Image.fromarray(pixels.squeeze()).save(folder / "pic" / f"{i}.png")
        np.save(folder / "sig" / f"{i}.npy", np.sin(np.linspace(0, 2 + y, 40 + i % 3)) + rng.normal(0, 0.1, 40 + i % 3))
        rows.append((f"pic/{i}.png", f"sig/{i}.npy", " ".join(["word"] * (y + 1)), "a b", rng.normal() + y, y))
    frame = pd.DataFrame(rows, columns=["path", "sig", "a", "b", "x", "y"])
    frame.to_csv(folder / "index.csv", index=False)
    return frame


def save_bert(folder: Path, *, seed: int = 0, dropout: float = 0.1, dtype: torch.dtype = torch.float32) -> Path:
    """A BERT of one layer with a tokenizer of whole words."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=24,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return _saved(
        transformers.BertModel(config).to(dtype),
        folder,
        transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special),
    )


def save_vit(folder: Path, *, size: int = 16) -> Path:
    """A ViT of one layer, without batch norm and dropout, with the scale of its pixels."""
    import transformers

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        image_size=size,
        patch_size=8,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    made = _saved(transformers.ViTModel(config), folder)
    scale = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(scale))
    return made


def save_resnet(folder: Path) -> Path:
    """A ResNet of two small stages."""
    import transformers

    torch.manual_seed(0)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    return _saved(transformers.ResNetModel(config), folder)


def _saved(network, folder: Path, tokenizer=None) -> Path:
    from transformers.utils import logging

    logging.disable_progress_bar()
    network.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder


def prepared(folder: Path, frame: pd.DataFrame | None = None, **choices):
    """The table in a folder, prepared; of its columns only those that are named, x and y are used."""
    frame = pd.read_csv(folder / "index.csv") if frame is None else frame
    used = {"x", "y", *(choices.pop("also", ()))}
    for kind in ("image", "text", "text_pair", "signal"):
        used |= set(choices.get(kind, ()))
    return prepare(frame[[c for c in frame if c in used]], "y", folder=folder, split="random", **choices)


def trained(table, method="vanilla", *, params=None, epochs=1, settings=None, **recipe):
    """The epochs and the model of a training, of small encoders if nothing else is said."""
    recipe = {"batch_size": 16, "device": "cpu"} | recipe
    params = {medium.kind: SMALL[medium.kind] for medium in table.schema.media} if params is None else params
    setup = start_training(table, compose(method, **(settings or {})), Recipe(epochs=epochs, **recipe), params=params)
    found = list(setup.epochs())
    return found, TableModel(table.schema, setup.inputs, setup.predictor, table.shots, table.relevance)
