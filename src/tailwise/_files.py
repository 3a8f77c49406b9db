"""Files that are written as a whole or not at all, and their digests."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a half."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")
    os.replace(fresh, path)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
