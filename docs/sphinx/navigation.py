"""Write the start page, which is the README, and the index pages of the site."""

from pathlib import Path

from stage import ROOT, title, toctree

SECTIONS = {
    "Start": [f"docs/start/{name}" for name in ("prices", "ages", "sentences", "engines", "pollution")],
    "Use": ["docs/how-to/README", "docs/gallery/index", "docs/guide", "docs/reading", "docs/media", "docs/scale"],
    "Methods": ["docs/which-method", "docs/pieces/README", "docs/methods", "docs/pitfalls"],
    "Python": ["docs/sklearn", "docs/api/README", "docs/extending"],
    "Evidence": ["docs/results", "examples/README", "docs/performance"],
    "Project": ["docs/reliability", "CHANGELOG", "CONTRIBUTING", "docs/roadmap", "docs/adr/README"],
}


def write(source: Path) -> None:
    """Make the README the start page, and list the how-to pages and the decisions, whichever there are."""
    readme = source / "README.md"
    tree = "\n".join(toctree(caption, entries) for caption, entries in SECTIONS.items())
    text = readme.read_text(encoding="utf-8").replace("docs/gallery/README.md", "docs/gallery/index.rst")
    (source / "index.md").write_text(f"{text}\n{tree}", encoding="utf-8")
    readme.unlink()
    how_to = source / "docs" / "how-to" / "README.md"
    how_to.write_text(how_to.read_text(encoding="utf-8") + _listed("how-to", "[!R]*"), encoding="utf-8")
    decisions = source / "docs" / "adr" / "README.md"
    decisions.write_text("# Decisions\n" + _listed("adr", "0*"), encoding="utf-8")


def _listed(folder: str, pattern: str) -> str:
    """A list of the pages of a folder by their titles, and the same as a part of the navigation."""
    pages = sorted((ROOT / "docs" / folder).glob(f"{pattern}.md"))
    links = "".join(f"- [{title(page)}]({page.name})\n" for page in pages)
    return f"\n{links}\n```{{toctree}}\n:hidden:\n\n" + "\n".join(page.stem for page in pages) + "\n```\n"
