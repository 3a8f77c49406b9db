"""C-MAPSS FD001: remaining useful life of turbofan engines (Saxena et al., PHM 2008).

Training engines run to failure; test engines stop before, and their last cycle is judged. Some training engines, whole,
validate.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.bench.protocols.base import SPLIT, Index, Protocol, need

SEED = 0
SHARE = 0.2
COLUMNS = ("unit", "cycle", *(f"setting{i}" for i in range(1, 4)), *(f"sensor{i}" for i in range(1, 22)))
FILES = ("train_FD001.txt", "test_FD001.txt", "RUL_FD001.txt")
TARGET = "rul"


def read_c_mapss(folder: Path) -> Index:
    """Return all cycles of the training engines and the last cycle of each test engine."""
    train_file, test_file, lives_file = need(folder, *FILES)
    train, test = _cycles(train_file), _cycles(test_file)
    lives = _numbers(lives_file)
    last = test.groupby("unit", sort=True)["cycle"].idxmax()
    if lives.shape != (len(last), 1):
        raise InputError(
            f"{lives_file.name!r} must hold one number for each of the {len(last)} engines of {test_file.name!r}, got "
            f"shape {lives.shape}; the three files must be of one data set"
        )
    train[TARGET] = train.groupby("unit")["cycle"].transform("max") - train["cycle"]
    units = np.unique(train["unit"])
    held = np.random.default_rng(SEED).permutation(units)[: max(1, round(SHARE * units.size))]
    train[SPLIT] = np.where(train["unit"].isin(held), "val", "train")
    test = test.loc[last]
    test[TARGET], test[SPLIT] = lives[:, 0], "test"
    frame = pd.concat([train, test], ignore_index=True).drop(columns="unit")
    return Index(
        frame, f"released test engines, their last cycle; {held.size} training engines validate, by seed {SEED}"
    )


def _numbers(file: Path) -> NDArray[np.float64]:
    try:
        return pd.read_csv(file, sep=r"\s+", header=None).to_numpy(dtype=np.float64)
    except (ValueError, OSError) as error:
        raise InputError(f"{file.name!r} cannot be read as columns of numbers: {error}") from error


def _cycles(file: Path) -> pd.DataFrame:
    values = _numbers(file)
    if values.shape[1:] != (len(COLUMNS),):
        raise InputError(f"{file.name!r} must have {len(COLUMNS)} columns of numbers, got shape {values.shape}")
    return pd.DataFrame(values, columns=list(COLUMNS))


def toy(folder: Path, seed: int) -> None:
    """Write 20 synthetic training engines and 10 test engines: three sensors drift towards the end."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    lives = []
    for name, n_units in (("train", 20), ("test", 10)):
        rows = []
        for unit in range(1, n_units + 1):
            life = int(rng.integers(40, 90))
            seen = life if name == "train" else int(rng.integers(20, life - 5))
            left = life - np.arange(1, seen + 1)
            sensors = rng.normal(0, 0.3, (seen, 21))
            sensors[:, :3] += np.exp(-left / 20)[:, None] * np.array([3.0, -2.0, 1.0])
            rows.append(
                np.column_stack([np.full(seen, unit), np.arange(1, seen + 1), rng.normal(size=(seen, 3)), sensors])
            )
            if name == "test":
                lives.append(life - seen)
        np.savetxt(folder / f"{name}_FD001.txt", np.concatenate(rows), fmt="%.4f")
    np.savetxt(folder / FILES[2], np.array(lives), fmt="%d")


PROTOCOL = Protocol(
    name="c-mapss-fd001",
    title="remaining useful life of turbofan engines, 100 training and 100 test engines",
    source="Saxena et al., Damage Propagation Modeling for Aircraft Engine Run-to-Failure Simulation, PHM 2008",
    layout=(
        f"{', '.join(FILES)} of the turbofan engine degradation data (C-MAPSS) of NASA's prognostics data repository: "
        f"{len(COLUMNS)} columns of numbers (unit, cycle, 3 settings, 21 sensors), and the remaining lives of the test "
        "engines"
    ),
    target=TARGET,
    unit="cycles",
    metrics=("rmse", "nasa"),
    extra="nasa",
    recipe={"criterion": "rmse"},
    methods=("vanilla", "sqinv+lds", "conr"),
    deviations=(
        "each cycle is a row of its own; published networks see windows of cycles",
        f"the remaining life is not capped; {100 * SHARE:.0f} % of the training engines validate, by seed {SEED}",
        "networks, training and regions are the library's; the score is a sum over the test engines of a region",
    ),
    quick=("encoder.widths=[16]",),
    read=lambda folder: {"index": read_c_mapss(folder)},
    toy=toy,
)
