"""Copy the pages of the repository, as they are, into the folder that Sphinx reads.

The copy has the layout of the repository, so that links between pages work in both.
"""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GALLERY = ROOT / "docs" / "gallery"  # sphinx-gallery makes pages of it
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")


def pages() -> list[Path]:
    """All pages, relative to the root of the repository."""
    named = [Path(name) for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "examples/README.md")]
    found = (path for path in (ROOT / "docs").rglob("*.md") if GALLERY not in path.parents)
    return named + sorted(path.relative_to(ROOT) for path in found)


def copy_pages(source: Path) -> None:
    """Copy the pages, with the files that they link to, into ``source``."""
    known = {ROOT / page for page in pages()}
    for page in sorted(known):
        _copy(page, source)
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            path = (page.parent / target).resolve()
            if path.is_file() and path not in known and GALLERY not in path.parents:
                _copy(path, source)


def copy_gallery(folder: Path) -> None:
    """Copy the scripts of the gallery, with the head that sphinx-gallery asks for, made from their README."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for script in GALLERY.glob("*.py"):
        shutil.copyfile(script, folder / script.name)
    text = (GALLERY / "README.md").read_text(encoding="utf-8").split("\n", 1)[1].strip()
    name = title(GALLERY / "README.md")
    (folder / "GALLERY_HEADER.rst").write_text(f"{name}\n{'=' * len(name)}\n\n{text}\n", encoding="utf-8")


def title(page: Path) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return found.group(1) if found else page.stem


def toctree(caption: str, entries: list[str], depth: int = 1) -> str:
    """A part of the navigation."""
    return f"```{{toctree}}\n:hidden:\n:maxdepth: {depth}\n:caption: {caption}\n\n" + "\n".join(entries) + "\n```\n"


def _copy(path: Path, source: Path) -> None:
    goal = source / path.relative_to(ROOT)
    goal.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, goal)
