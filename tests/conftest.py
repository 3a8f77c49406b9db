import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the hub

import numpy as np
import pandas as pd
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def fresh_rng(request):
    """Every test draws the same numbers, whichever ran before it."""
    if hasattr(request.module, "RNG"):
        request.module.RNG = np.random.default_rng(0)


@pytest.fixture
def shared_table():
    """A function from a table's name to its path; skips where the real data is absent."""

    def path(name: str) -> Path:
        file = SHARED / "data" / "tables" / f"{name}.csv"
        if not file.exists():
            pytest.skip("../shared is absent: real tables are not part of the project")
        return file

    return path


def toy_frame(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """A skewed target that a network can learn, with every kind of column."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(size=n), rng.normal(size=n)
    city = rng.choice(["oslo", "lima", "pune"], size=n)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D")
    price = np.exp(1.0 + 0.8 * x1) * 10 + 5 * (city == "lima") + rng.normal(scale=0.5, size=n)
    frame = pd.DataFrame(
        {
            "x1": x1,
            "x2": x2,
            "city": city,
            "new": np.where(x2 > 0, "yes", "no"),
            "built": day.strftime("%Y-%m-%d"),
            "price": price,
        }
    )
    frame.loc[::17, "x2"] = np.nan
    frame.loc[::23, "city"] = None
    return frame


@pytest.fixture
def toy() -> pd.DataFrame:
    return toy_frame()


@pytest.fixture
def toy_csv(tmp_path: Path) -> Path:
    path = tmp_path / "toy.csv"
    toy_frame().to_csv(path, index=False)
    return path
