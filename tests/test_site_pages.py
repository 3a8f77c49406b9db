"""What the site makes from the code: the reference, a page a part; each without building the site."""

import runpy
import sys
from pathlib import Path

import pytest

import tailwise

SPHINX = Path(__file__).resolve().parents[1] / "docs" / "sphinx"


@pytest.fixture
def maker(monkeypatch):
    """A function that loads one of the modules that write pages."""
    monkeypatch.setattr(sys, "path", [str(SPHINX), *sys.path])

    return lambda name: runpy.run_path(str(SPHINX / f"{name}.py"))


def test_every_public_name_has_a_page_with_its_docstring(maker, tmp_path):
    maker("api")["write"](tmp_path)
    folder = tmp_path / "docs" / "api"
    index = (folder / "README.md").read_text()
    for name in tailwise.__all__:
        assert f"]({name}.md)" in index
        page = (folder / f"{name}.md").read_text()
        assert f":: tailwise.{name}" in page or "Another name of" in page
    assert "packages" not in [line.strip("# ") for line in index.splitlines()]


@pytest.mark.parametrize(
    ("docstring", "shown"),
    [
        (["The error |e|, not ``|e|``."], ["The error \\|e\\|, not ``|e|``."]),
        (["Text:", "", "    |a| = b", "", "with |a|."], ["Text:", "", "::", "", "    |a| = b", "", "with \\|a\\|."]),
        (["Args:", "    a: |b|."], ["Args:", "    a: \\|b\\|."]),
    ],
)
def test_formulas_in_docstrings_are_shown_as_written(maker, docstring, shown):
    maker("docstrings")["_plain_text"](None, "function", "f", None, None, docstring)
    assert docstring == shown
