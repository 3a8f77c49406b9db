"""Tables, images, signals, texts, maps and a text encoder for ``same_numbers.py``, each drawn from a fixed seed."""

from pathlib import Path

import numpy as np
import pandas as pd


def toy_frame(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """A skewed target, and columns of every kind."""
    rng = np.random.default_rng(seed)
    x1, x2, city = rng.normal(size=n), rng.normal(size=n), rng.choice(["oslo", "lima", "pune"], size=n)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D")
    price = np.exp(1.0 + 0.8 * x1) * 10 + 5 * (city == "lima") + rng.normal(scale=0.5, size=n)
    new, built = np.where(x2 > 0, "yes", "no"), day.strftime("%Y-%m-%d")
    frame = pd.DataFrame({"x1": x1, "x2": x2, "city": city, "new": new, "built": built, "price": price})
    frame["cost"] = 0.5 * price + 4 * x2 + rng.normal(size=n)
    frame.loc[::17, "x2"] = np.nan
    frame.loc[::23, "city"] = None
    return frame


def write_inputs(folder: Path) -> None:
    """Write every table, image, signal, map and encoder that the runs read."""
    folder.mkdir()
    rng = np.random.default_rng(9)
    frame = toy_frame()
    frame.to_csv(folder / "toy.csv", index=False)
    toy_frame(120, seed=1).to_csv(folder / "other.csv", index=False)
    whole = frame.assign(house=rng.integers(0, 60, len(frame)))
    whole.to_csv(folder / "whole.csv", index=False)
    parted = whole.assign(part=rng.choice(["train", "train", "train", "val", "test"], len(frame)))
    parted.loc[::41, "price"] = np.nan
    parted.to_csv(folder / "parted.csv", index=False)
    for name, rows in {"parts": frame, "grouped": whole}.items():
        (folder / name / "deeper").mkdir(parents=True)
        rows[:200].to_parquet(folder / name / "a.parquet")
        rows[200:].to_parquet(folder / name / "deeper" / "b.parquet")
    write_media(folder / "media")
    write_scenes(folder / "scenes")
    write_bert(folder / "bert")


def write_media(folder: Path, n: int = 300) -> None:
    """Write images, signals and texts that tell a skewed target."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("pic", "sig"):
        (folder / name).mkdir(parents=True)
    rows = []
    for i in range(n):
        y = min(int(rng.exponential(3)), 12)
        pixels = rng.integers(0, 60, (16, 16, 3)).astype(np.uint8)
        pixels[: y + 2] += 150
        Image.fromarray(pixels).save(folder / "pic" / f"{i}.png")
        length = 40 + i % 3
        np.save(folder / "sig" / f"{i}.npy", np.sin(np.linspace(0, 2 + y, length)) + rng.normal(0, 0.1, length))
        words = rng.choice(["a", "b", "one", "two"], 3)
        rows.append(
            (f"pic/{i}.png", f"sig/{i}.npy", " ".join(["word"] * (y + 1)), " ".join(words), rng.normal() + y, y)
        )
    frame = pd.DataFrame(rows, columns=["pic", "sig", "a", "b", "x", "y"])
    frame.to_csv(folder / "all.csv", index=False)
    for name, columns in {"images": "pic", "signals": "sig", "texts": "a", "pairs": "a b"}.items():
        frame[[*columns.split(), "y"]].to_csv(folder / f"{name}.csv", index=False)


def write_scenes(folder: Path, n: int = 24, side: int = 64) -> None:
    """Write images of a wall and a box, paler where they are farther, with a map of millimetres each."""
    from PIL import Image

    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(n):
        depth = np.full((side, side), 4 + rng.exponential(4)) - np.linspace(0, 2, side)[:, None]
        top, left = rng.integers(0, side - 20, 2)
        depth[top : top + 20, left : left + 20] = 1 + rng.exponential(1)
        depth[rng.random(depth.shape) < 0.02] = 0
        grey = np.clip(depth[..., None] * [12, 10, 8] + rng.normal(0, 3, (side, side, 3)), 0, 255)
        Image.fromarray(grey.astype(np.uint8)).save(folder / f"{i}.png")
        Image.fromarray((1000 * np.clip(depth, 0, 20)).astype(np.uint16)).save(folder / f"{i}-depth.png")
    mask = np.zeros((side, side), np.uint8)
    mask[:, : side // 2] = 255
    Image.fromarray(mask).save(folder / "left.png")
    names = {"image": [f"{i}.png" for i in range(n)], "depth": [f"{i}-depth.png" for i in range(n)]}
    left = np.where(np.arange(n) % 2 == 0, "left.png", None)
    pd.DataFrame({**names, "room": np.arange(n) % 6, "left": left}).to_csv(folder / "index.csv", index=False)


def write_bert(folder: Path) -> None:
    """Write a BERT of one layer with random weights, and a tokenizer of whole words."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "word", "a", "b", "one", "two"]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(known)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    bert = transformers.BertModel(transformers.BertConfig(vocab_size=len(known), max_position_embeddings=24, **size))
    bert.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
