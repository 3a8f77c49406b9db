"""Every block of code on the pages runs, from an empty folder, in the order of the page.

``python`` blocks share their names; the lines of ``sh`` and ``bash`` blocks are commands of tailwise, those of ``bash``
on tables that the Python above has made, with a linear model where none is named. What is not to be run is marked
``text``, or indented.
"""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from tailwise.backends import names as models
from tailwise.bench import protocols
from tailwise.cli.main import run
from tailwise.modalities import kinds

DOCS = Path(__file__).resolve().parents[1] / "docs"
TABLES = {  # files of `bash` blocks, by the names of the frames in Python
    "row-weights": {"claims.csv": "claims"},
    "many-outputs": {"plant.csv": "plant"},
    "which-rows-are-wrong": {"houses.csv": "houses"},
    "time-series": {"load.csv": "load", "next-hours.csv": "next_hours"},
}
NEEDS = {"which-rows-are-wrong": "shap"}  # packages of extras
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.M | re.S)
PAGES = [*sorted((DOCS / "start").glob("*.md")), *sorted((DOCS / "how-to").glob("*.md")), DOCS / "extending.md"]


def blocks(page):
    return [
        (kind, text)
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        if kind in ("python", "sh", "bash")
    ]


@pytest.fixture
def lists(monkeypatch):
    """Pages that extend the library add to its lists, which are put back."""
    monkeypatch.setattr(kinds, "MODALITIES", kinds.MODALITIES)
    kept = [(listed, dict(listed)) for listed in (models.BACKENDS, protocols.PROTOCOLS)]
    yield
    for listed, before in kept:
        listed.clear()
        listed.update(before)


@pytest.mark.slow
@pytest.mark.usefixtures("lists")
@pytest.mark.filterwarnings("ignore")  # of tiny tables; what a user sees is tested elsewhere
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    if page.stem in NEEDS:
        pytest.importorskip(NEEDS[page.stem], reason=f"the extra `{NEEDS[page.stem]}` is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = {"__name__": page.stem}
    # Commands on a page may stand before the Python that makes their table.
    in_order = sorted(blocks(page), key=lambda block: block[0] != "python") if page.stem in TABLES else blocks(page)
    for kind, text in in_order:
        if kind == "python":
            exec(compile(text, str(page), "exec"), names)
            for file, name in TABLES.get(page.stem, {}).items():
                if name in names:
                    pd.DataFrame(names[name]).to_csv(tmp_path / file, index=False)
            continue
        for line in text.splitlines():
            words = shlex.split(line)
            assert words[0] == "tailwise", line
            if kind == "bash" and words[1] == "train" and not {"--model", "--method"} & set(words):
                words += ["--model", "linear"]
            assert run(words[1:]) == 0, f"{line}\n{capsys.readouterr().err}"


def test_the_start_pages_have_both_ways():
    pages = sorted((DOCS / "start").glob("*.md"))
    assert len(pages) == 5
    for page in pages:
        assert {kind for kind, _ in blocks(page)} == {"python", "sh"}, page
        assert len(page.read_text().splitlines()) < 90, page
