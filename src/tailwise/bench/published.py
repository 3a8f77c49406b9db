"""Published numbers of the field's benchmarks, each with its source."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

TAGS = {"V": "seen in the source itself", "V2": "quoted by a third party"}


@dataclass(frozen=True)
class Published:
    """One published number.

    Args:
        benchmark: protocol, or ``protocol/table`` for a protocol with several tables.
        method: method string, without the loss of the protocol; empty if there is none.
        label: name of the method in the source.
        metric: ``mae``, ``gm``, ``mse``, ``rmse``, ``bmae``, ``pearson`` (in percent), ``delta1`` (a fraction),
            ``nasa``.
        region: ``all``, ``many``, ``medium``, ``few``, or ``seen``, ``interpolation``, ``extrapolation``.
        value: the number.
        source: paper and table.
        tag: one of ``TAGS``.
        comparable: whether it was measured as by the protocol.
        note: reason why not, or another remark.
    """

    benchmark: str
    method: str
    label: str
    metric: str
    region: str
    value: float
    source: str
    tag: str
    comparable: bool
    note: str


@cache
def published() -> tuple[Published, ...]:
    """Return all published numbers, in the order of their sources.

    Example:
        >>> next(p.value for p in published() if p.benchmark == "agedb-dir" and p.method == "sqinv+lds+fds")
        7.55
    """
    text = files("tailwise.bench").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            row["benchmark"],
            row["method"],
            row["label"],
            row["metric"],
            row["region"],
            float(row["value"]),
            row["source"],
            row["tag"],
            row["comparable"] == "yes",
            row["note"],
        )
        for row in csv.DictReader(text.splitlines())
    )
