"""The documentation site: it builds offline, without a warning, and each of its links leads somewhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "docs" / "sphinx" / "build.py"
pytest.importorskip("sphinx", reason="pip install 'tailwise[site]'")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, str(BUILD), str(folder)], capture_output=True, text=True, env=offline())
    assert done.returncode == 0, done.stderr
    return folder / "html"


def offline():
    """An environment in which every request to another machine fails."""
    nowhere = "http://127.0.0.1:9"
    return os.environ | {"HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_every_page_of_the_repository_is_on_the_site(site):
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "gallery"]
    for page in [ROOT / "CHANGELOG.md", *pages]:
        assert (site / page.relative_to(ROOT).with_suffix(".html")).exists(), page


@pytest.mark.slow
def test_the_gallery_has_pictures_and_the_start_pages_notebooks(site):
    for script in (ROOT / "docs" / "gallery").glob("*.py"):
        assert "sphx_glr_" in (site / "docs" / "gallery" / f"{script.stem}.html").read_text()
    for page in (ROOT / "docs" / "start").glob("*.md"):
        (notebook,) = site.glob(f"_downloads/*/{page.stem}.ipynb")
        cells = json.loads(notebook.read_text())["cells"]
        code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        assert "!tailwise train" in code
        assert "import tailwise" in code


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        loaded = re.findall(r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"(\w+:)?//", page.read_text())
        assert not loaded, page
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text()), style


@pytest.mark.slow
@pytest.mark.parametrize("link", ["[a](nowhere.md)", "[a](other.md#no-such-heading)"])
def test_a_broken_link_is_an_error(tmp_path, link):
    for name, text in {"index": "[other](other.md)", "other": link}.items():
        (tmp_path / f"{name}.md").write_text(f"# Page\n\n{text}\n")
    (tmp_path / "index.md").write_text("# Page\n\n```{toctree}\nother\n```\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", str(BUILD.parent)]
    done = subprocess.run([*command, str(tmp_path), str(tmp_path / "out")], capture_output=True, text=True)
    assert done.returncode != 0
    assert "myst.xref_missing" in done.stderr
