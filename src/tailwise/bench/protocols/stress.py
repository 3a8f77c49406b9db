"""Three stress tests over AgeDB's images: extrapolation, interpolation, a blind spot (Puetz et al., 2026).

Each age has n_a = min(int(4 N w_a / Σw), N_a) training images, drawn with replacement with seed 42; N_a is the number
of images of the age, N that of all ages, and w the weight curve of the test.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.bench.protocols import agedb_dir, ages
from tailwise.bench.protocols.base import BY_COUNT, BY_GAP, SPLIT, Index, Protocol
from tailwise.data.targets import FEWEST_ROWS

SEED, TEST_PER_AGE, VAL_SHARE, OVERSAMPLE = 42, 50, 0.1, 4
GAP, SPOT, SPAN = (36, 65), (47, 54), (20, 73)

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def peak(at: float) -> Curve:
    """Return the curve exp(-0.01 (age - at)²)."""
    return lambda age: np.exp(-0.01 * np.square(age - at))


def two_peaks(age: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weigh ages by peaks at 25 and 80."""
    return peak(25)(age) + peak(80)(age)


def level(age: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weigh ages from 20 to 73 by 1, all others by 0."""
    return ((age >= SPAN[0]) & (age <= SPAN[1])).astype(np.float64)


def drawn_per_age(counts: Mapping[int, int], curve: Curve) -> dict[int, int]:
    """Return the number of training rows of each age.

    >>> drawn_per_age({49: 300, 50: 300, 80: 300}, peak(50))
    {49: 300, 50: 300, 80: 0}
    """
    age = np.array(sorted(counts))
    weight = curve(age.astype(np.float64))
    rows = sum(counts.values())
    n = (OVERSAMPLE * rows * weight / weight.sum()).astype(int)
    return {a: min(int(k), counts[a]) for a, k in zip(age.tolist(), n, strict=True)}


def read_stress(folder: Path, curve: Curve) -> Index:
    """Draw test rows, at most 50 an age, then training rows by the curve, a tenth of their images for validation."""
    faces = agedb_dir.read_agedb(folder).frame.drop(columns=SPLIT)
    rng = np.random.default_rng(SEED)
    faces = faces[curve(faces["age"].to_numpy(dtype=np.float64)) > 0]
    shuffled = faces.iloc[rng.permutation(len(faces))]
    place = shuffled.groupby("age").cumcount()
    test, rest = shuffled[place < TEST_PER_AGE], shuffled[place >= TEST_PER_AGE]
    by_age = {int(str(age)): rows for age, rows in rest.groupby("age")}
    wanted = drawn_per_age({age: len(rows) for age, rows in by_age.items()}, curve)
    if sum(wanted.values()) < FEWEST_ROWS:
        raise InputError(f"after {TEST_PER_AGE} test images an age, only {sum(wanted.values())} are left for training")
    drawn = pd.concat([by_age[age].iloc[rng.integers(0, len(by_age[age]), n)] for age, n in wanted.items() if n])
    images = drawn["path"].unique()
    held = set(rng.permutation(images)[: round(VAL_SHARE * len(images))])
    part = np.where(drawn["path"].isin(held), "val", "train")
    frame = pd.concat([drawn.assign(**{SPLIT: part}), test.assign(**{SPLIT: "test"})], ignore_index=True)
    return Index(frame, f"drawn by seed {SEED}, as published", ("path",))


def toy(folder: Path, seed: int) -> None:
    """Write synthetic faces of every fifth age, 70 each, and their list."""
    rng = np.random.default_rng(seed)
    toy_ages = np.repeat(np.arange(15, 90, 5), 70)
    paths = [f"AgeDB/{i}_Toy_{age}_{'fm'[i % 2]}.jpg" for i, age in enumerate(toy_ages)]
    for path, age in zip(paths, toy_ages.tolist(), strict=True):
        ages.draw_face(age, rng, folder / path, size=32)
    pd.DataFrame({"age": toy_ages, "path": paths}).to_csv(folder / "agedb.csv", index=False)


def _protocol(name: str, title: str, curve: Curve, gap: tuple[int, int] | None) -> Protocol:
    choices: dict[str, Any] = dict(agedb_dir.PROTOCOL.choices)
    if gap is not None:
        choices["mask_target"] = [list(gap)]
    return replace(
        agedb_dir.PROTOCOL,
        name=name,
        title=title,
        source="Puetz et al., review of deep imbalanced regression, 2026 (doi 10.1007/s10462-026-11570-1)",
        choices=choices,
        metrics=("mae", "bmae"),
        regions=(*BY_COUNT, "zero") if gap is None else BY_GAP,
        methods=("vanilla", "sqinv+lds", "sqinv+lds+fds", "ranksim", "conr"),
        deviations=(
            *ages.DEVIATIONS,
            f"test rows are drawn first, at most {TEST_PER_AGE} an age, and never trained on; N counts the rest",
            "all copies of an image are in the same part, training or validation",
            "trained like AgeDB-DIR",
            *(() if gap is None else (f"no training and validation rows from {gap[0]} to {gap[1] - 1} years",)),
        ),
        read=lambda folder: {"index": read_stress(folder, curve)},
        toy=toy,
    )


EXTRAPOLATION = _protocol(
    "stress-extrapolation", "AgeDB, training ages around 50: both ends to extrapolate", peak(50), None
)
INTERPOLATION = _protocol(
    "stress-interpolation", "AgeDB, training ages around 25 and 80: 36 to 64 to interpolate", two_peaks, GAP
)
BLIND_SPOT = _protocol("stress-blind-spot", "AgeDB, ages 20 to 73 but 47 to 53", level, SPOT)
