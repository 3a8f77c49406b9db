"""Render a page from its template."""

import re
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup, escape

from tailwise._numbers import number
from tailwise.metrics.confidence import Interval


def render(template: str, **values: Any) -> str:
    """Return a page as HTML text, self-contained.

    Args:
        template: file name.
        values: variables of the template; text is escaped.
    """
    environment = Environment(
        loader=PackageLoader("tailwise.report"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "interval": _interval, "sentence": _sentence, "code": _code}
    return environment.get_template(template).render(version=version("tailwise"), **values)


def _interval(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return " to ".join(number(float(f"{end:.3g}")) for end in (interval.low, interval.high))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _code(text: str) -> Markup:
    """Return text as HTML, with its words in backticks set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))
