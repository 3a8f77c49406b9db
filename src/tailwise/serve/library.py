"""The runs in a folder, and the pages that other commands wrote there."""

import html
import os
import re
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from tailwise._checks import InputError, name_nearby
from tailwise.runs.folder import CONFIG
from tailwise.runs.set_aside import MANIFEST
from tailwise.serve.files import read_bytes
from tailwise.serve.runs import WATCHED, Run, aged, read_run, seconds, stamp_of, stamps_in

_DEEPEST = 8
_END_OF_PAGE = 32_768  # last bytes of a page, with its footer
_TITLE = re.compile(rb"<title>(.*?)</title>", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page that another command wrote: a comparison or a diagnosis.

    Args:
        id: path from the served folder.
        file: path of the file.
        title: title of the page.
        changed: time of the last change, seconds since 1970.
    """

    id: str
    file: Path
    title: str
    changed: float


class Library:
    """The runs and pages under a folder; unchanged files are not read again.

    Args:
        root: the folder.

    Raises:
        InputError: no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.exists():
            hint = name_nearby(root, folders=True) or "; name the folder that holds your runs, such as runs"
            raise InputError(f"no folder {str(root)!r}{hint}")
        if not root.is_dir():
            raise InputError(f"{str(root)!r} is a file; name the folder that holds your runs")
        self.root = root.resolve()
        self._lock = Lock()
        self._runs: dict[str, tuple[tuple[Any, ...], Run]] = {}
        self._pages: dict[str, tuple[tuple[Any, ...], Page | None]] = {}

    def look(self) -> tuple[list[Run], list[Page]]:
        """Return all runs and pages under the folder, sorted by path."""
        runs: dict[str, tuple[tuple[Any, ...], Run]] = {}
        pages: dict[str, tuple[tuple[Any, ...], Page | None]] = {}
        with self._lock:
            for where, folders, files in os.walk(self.root):
                folder, deep = Path(where), len(Path(where).relative_to(self.root).parts)
                known = self._one(folder, files)
                if known is not None:
                    runs[known[1].id] = known
                    folders.clear()  # folders in a run belong to the run
                    continue
                folders[:] = sorted(name for name in folders if not name.startswith(".")) if deep < _DEEPEST else []
                for name in files:
                    if name.lower().endswith(".html"):
                        pages[self._id(folder / name)] = self._page(folder / name)
            self._runs, self._pages = runs, pages
        listed = [page for _, page in pages.values() if page is not None]
        return (
            sorted((aged(run) for _, run in runs.values()), key=lambda run: run.id),
            sorted(listed, key=lambda page: page.id),
        )

    def run(self, name: str) -> Run:
        """Return the current state of a run.

        Raises:
            InputError: no such run.
        """
        if name not in self._runs:
            self.look()  # the run may be new
        with self._lock:
            if name in self._runs:
                folder = self._runs[name][1].folder
                known = self._one(folder, [file for file in WATCHED if (folder / file).exists()])
                if known is not None:
                    self._runs[name] = known
                    return aged(known[1])
        raise InputError(f"no run {name!r} in the served folder")

    def page(self, name: str) -> Page:
        """Return a page by its id.

        Raises:
            InputError: no such page.
        """
        pages = {page.id: page for page in self.look()[1]}
        if name not in pages:
            raise InputError(f"no page {name!r} in the served folder")
        return pages[name]

    def _id(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _one(self, folder: Path, files: list[str]) -> tuple[tuple[Any, ...], Run] | None:
        """Return the run in a folder with the stamp of its files; ``None`` without a run."""
        if CONFIG not in files and MANIFEST not in files:
            return None
        stamp: tuple[Any, ...] = tuple(stamp_of(folder / name) if name in files else None for name in WATCHED)
        if MANIFEST in files:
            stamp += stamps_in(folder)
        known = self._runs.get(self._id(folder))
        if known is not None and known[0] == stamp:
            return known
        run = read_run(self.root, folder, self._id(folder), stamp)
        return None if run is None else (stamp, run)

    def _page(self, path: Path) -> tuple[tuple[Any, ...], Page | None]:
        stamp = (stamp_of(path),)
        known = self._pages.get(self._id(path))
        if known is not None and known[0] == stamp:
            return known
        try:
            content = read_bytes(self.root, path)
        except InputError:
            return stamp, None
        if b"<footer" not in content[-_END_OF_PAGE:] or b"tailwise" not in content[-_END_OF_PAGE:]:
            return stamp, None
        title = _TITLE.search(content)
        text = html.unescape(title[1].decode("utf-8", "replace")) if title else path.name
        return stamp, Page(self._id(path), path, text, seconds(stamp[0]))
