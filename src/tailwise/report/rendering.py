"""From a template to a page."""

from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from tailwise._numbers import number
from tailwise.metrics.confidence import Interval


def render(template: str, **values: Any) -> str:
    """A page as HTML text: one file, whatever it was given.

    Args:
        template: file name.
        values: what the template names; text is escaped.
    """
    environment = Environment(
        loader=PackageLoader("tailwise.report"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "interval": _interval, "sentence": _sentence}
    return environment.get_template(template).render(version=version("tailwise"), **values)


def _interval(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return " to ".join(number(float(f"{end:.3g}")) for end in (interval.low, interval.high))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
