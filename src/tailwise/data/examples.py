"""Example tables that come with installed packages and need no network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tailwise._checks import InputError, did_you_mean
from tailwise._numbers import counted

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "example:"


@dataclass(frozen=True)
class Example:
    """An example table.

    Args:
        target: target column.
        about: description in one line.
        source: package of the data, and licence.
        load: function that returns the table and notes on dropped rows.
    """

    target: str
    about: str
    source: str
    load: "Callable[[], tuple[pd.DataFrame, list[str]]]"


def _airports() -> "tuple[pd.DataFrame, list[str]]":
    import airportsdata
    import pandas as pd

    rows = pd.DataFrame(airportsdata.load().values())
    unknown = rows["elevation"] == 0
    impossible = (rows["lat"].abs() > 90) | (rows["lon"].abs() > 180) | ~rows["elevation"].between(-1400, 16000)
    nowhere = (rows["country"] == "") | (rows["tz"] == "")
    notes = [
        f"{counted(int(wrong.sum()), 'row')} dropped: {reason}"
        for wrong, reason in (
            (unknown, "elevation 0, which in the source also means unknown"),
            (~unknown & impossible, "impossible position or elevation"),
            (~unknown & ~impossible & nowhere, "no country or time zone"),
        )
        if wrong.any()
    ]
    kept = rows[~(unknown | impossible | nowhere)]
    names = {"lat": "latitude", "lon": "longitude", "country": "country", "tz": "time_zone", "elevation": "elevation"}
    return kept[list(names)].rename(columns=names).reset_index(drop=True), notes


def _diabetes() -> "tuple[pd.DataFrame, list[str]]":
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True, scaled=False).frame
    return frame.rename(columns={"target": "progression"}), []


EXAMPLES: dict[str, Example] = {
    "airports": Example(
        "elevation",
        "airfields of the world: elevation in feet from position, country and time zone",
        "airportsdata, MIT",
        _airports,
    ),
    "diabetes": Example(
        "progression",
        "442 patients: progression of diabetes after one year from ten measurements",
        "scikit-learn, BSD-3-Clause",
        _diabetes,
    ),
}


def load_example(name: str) -> "tuple[pd.DataFrame, list[str]]":
    """Load an example by its name, with or without the prefix ``example:``.

    Raises:
        InputError: an unknown name.
    """
    name = name.removeprefix(PREFIX)
    if name not in EXAMPLES:
        raise InputError(f"unknown example {name!r}{did_you_mean(name, EXAMPLES)}")
    return EXAMPLES[name].load()
