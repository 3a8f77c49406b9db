"""Build the site: ``make site``, or ``python docs/sphinx/build.py FOLDER``.

``FOLDER/source`` gets the pages of the repository and those made from the code, ``FOLDER/html`` the site. A warning of
Sphinx, a broken link among them, is an error. Nothing is loaded from the network.
"""

import argparse
import shutil
import sys
from pathlib import Path

import matplotlib as mpl
from sphinx.cmd.build import build_main

mpl.use("Agg")
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import api  # noqa: E402
import navigation  # noqa: E402
import notebooks  # noqa: E402
import pieces  # noqa: E402
import stage  # noqa: E402


def build(folder: Path) -> int:
    """Build the site into ``folder``; return the exit status of Sphinx."""
    source = folder / "source"
    if source.exists():
        shutil.rmtree(source)
    stage.copy_pages(source)
    stage.copy_gallery(folder / "gallery")
    api.write(source)
    pieces.write(source)
    notebooks.write(source)
    navigation.write(source)
    arguments = [
        "-b",
        "html",
        "-c",
        str(HERE),
        "-d",
        str(folder / "doctrees"),
        "-W",
        "--keep-going",
        "-q",
        "-t",
        "gallery",
    ]
    return build_main([*arguments, str(source), str(folder / "html")])


def main() -> int:
    """Build into the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=stage.ROOT / "site")
    return build(parser.parse_args().folder.resolve())


if __name__ == "__main__":
    sys.exit(main())
