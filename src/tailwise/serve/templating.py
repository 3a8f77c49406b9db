"""Templates, with filters for addresses, numbers and dates."""

from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape

from tailwise._numbers import number
from tailwise.metrics.confidence import Interval
from tailwise.serve.runs import finite


def render(name: str, **values: Any) -> str:
    """Return a rendered template."""
    return _environment().get_template(name).render(version=version("tailwise"), **values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("tailwise.serve"), PackageLoader("tailwise.report")]),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": _short, "ends": _ends, "date": _date, "iso": iso, "clock": _clock}
    environment.globals |= {"link": link}
    return environment


def base_page() -> str:
    """Return the base page, which all others extend, without content."""
    return _environment().get_template("base.html").render(title="", version="")


def link(path: str, **query: Any) -> str:
    """Return an address of this server; lists repeat their name, empty values are left out.

    >>> link("/compare", run=["a", "b c"], region="")
    '/compare?run=a&run=b+c'
    """
    pairs = [
        (name, one)
        for name, value in query.items()
        for one in (value if isinstance(value, list | tuple) else [value])
        if one != ""
    ]
    return path + ("?" + urlencode(pairs, errors="surrogateescape") if pairs else "")


def _short(value: Any) -> str:
    known = finite(value)
    return "–" if known is None else number(float(f"{known:.4g}"))


def _ends(interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return " to ".join(number(float(f"{end:.3g}")) for end in (interval.low, interval.high))


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def iso(seconds: float) -> str:
    """Return a time in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")
