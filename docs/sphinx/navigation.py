"""Write the start page and the index pages of the site."""

from pathlib import Path

from stage import toctree


def write(source: Path) -> None:
    """Make the README the start page, with the navigation below it."""
    readme = source / "README.md"
    tree = "\n".join(
        toctree(caption, entries)
        for caption, entries in {
            "The command": ["docs/guide", "docs/reading", "docs/media", "docs/scale"],
            "Methods": ["docs/pieces/README", "docs/methods"],
            "Python": ["docs/sklearn", "docs/api/README"],
            "Evidence": ["docs/results", "examples/README", "docs/performance"],
            "Project": ["docs/reliability", "CHANGELOG", "CONTRIBUTING", "docs/roadmap", "docs/adr/README"],
        }.items()
    )
    (source / "index.md").write_text(f"{readme.read_text(encoding='utf-8')}\n{tree}", encoding="utf-8")
    readme.unlink()
    decisions = source / "docs" / "adr"
    (decisions / "README.md").write_text("# Decisions\n\n" + "```{toctree}\n:glob:\n\n0*\n```\n", encoding="utf-8")
