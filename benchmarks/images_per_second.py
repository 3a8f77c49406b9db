"""Images per second of one training epoch on generated images, with and without the parts of a method.

    python benchmarks/images_per_second.py --encoder resnet50 --size 224 --images 10000 --batch 256 --precision bf16

Images are generated in memory, so this measures the network and the method, not decoding. After an epoch that warms up,
epochs of the methods take turns; the median of three each is shown, and its ratio to vanilla's. With ``--views`` a
method has two views of each image (``twoviews``): then twice as many images pass the network, and the ratio is to
vanilla on two views.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from tailwise import Bins, Regressor, compose
from tailwise.modalities.encoders import MediaEncoder
from tailwise.modalities.image import image_encoder
from tailwise.training.loop import Training
from tailwise.training.media_batches import MediaBatches
from tailwise.training.recipe import Recipe

METHODS = ("vanilla", "sqinv+lds", "sqinv+lds+fds", "sqinv+lds+fds+conr")
ROUNDS = 3


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--precision", default="no")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--views", action="store_true")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    y = np.minimum(rng.exponential(15, given.images), 100).astype(np.float32)
    images = torch.from_numpy(rng.integers(0, 256, (given.images, 3, given.size, given.size), dtype=np.uint8))
    views = "twoviews+" if given.views else ""
    trainings = {name: started((views + name).removesuffix("+vanilla"), images, y, given) for name in METHODS}
    epochs = {name: training.epochs() for name, training in trainings.items()}
    for each in epochs.values():
        next(each)
    seconds: dict[str, list[float]] = {name: [] for name in METHODS}
    for _ in range(ROUNDS):
        for name, each in epochs.items():
            synchronise(trainings[name].device)
            start = time.perf_counter()
            next(each)
            synchronise(trainings[name].device)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print("| method | images a second | time, relative to vanilla |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| `{name}` | {given.images / median:,.0f} | {median / medians['vanilla']:.2f} |")


def started(method: str, images: torch.Tensor, y: np.ndarray, given: argparse.Namespace) -> Training:
    """A training of a new network on these images."""
    shape = (3, given.size, given.size)
    encoder = MediaEncoder({"image": image_encoder(given.encoder, shape, crop=given.size // 14, flip=True)[0]})
    batches = MediaBatches({"image": images}, torch.from_numpy(y), batch_size=given.batch)
    recipe = Recipe(epochs=ROUNDS + 1, patience=None, device=given.device, precision=given.precision)
    model = Regressor(encoder, encoder.n_features).match_scale(y)
    return Training(
        compose(method), model, batches, y, bins=Bins.width(y, 1.0), validate=lambda _: {"both": 0.0}, recipe=recipe
    )


def synchronise(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
