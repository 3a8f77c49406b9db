"""Files of skops whose bytes depend on their content alone.

skops numbers objects by their addresses in memory and stamps its files with the time, so that the same object gives
other bytes each time. Here the numbers are those of their order in the file, and the time is the first of 1980.
"""

import io
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import skops.io

_SCHEMA, _NUMBER, _FILE = "schema.json", "__id__", "file"


def write_skops(value: Any, path: Path) -> None:
    """Write an object of scikit-learn without pickle; equal objects give equal bytes."""
    path.write_bytes(to_skops(value))


def to_skops(value: Any) -> bytes:
    """Return the content of a file of skops, the same for equal objects."""
    content = io.BytesIO()
    with ZipFile(io.BytesIO(skops.io.dumps(value))) as given, ZipFile(content, "w") as written:
        numbers: dict[int, int] = {}
        files: dict[str, str] = {}
        schema = _numbered(json.loads(given.read(_SCHEMA)), frozenset(given.namelist()), numbers, files)
        for before, after in files.items():
            written.writestr(ZipInfo(after), given.read(before))
        written.writestr(ZipInfo(_SCHEMA), json.dumps(schema, indent=2))
    return content.getvalue()


def _numbered(node: Any, names: frozenset[str], numbers: dict[int, int], files: dict[str, str]) -> Any:
    """Return a part of a schema with objects and files numbered from 1 in their order; both dicts are filled."""
    if isinstance(node, list):
        return [_numbered(one, names, numbers, files) for one in node]
    if not isinstance(node, dict):
        return node
    plain: dict[str, Any] = {}
    for key, value in node.items():
        if key == _NUMBER and isinstance(value, int):
            plain[key] = numbers.setdefault(value, len(numbers) + 1)
        elif key == _FILE and isinstance(value, str) and value in names:
            plain[key] = files.setdefault(value, f"{len(files) + 1}{Path(value).suffix}")
        else:
            plain[key] = _numbered(value, names, numbers, files)
    return plain
