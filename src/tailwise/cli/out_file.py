"""Check a file that a command is to write."""

from pathlib import Path

from tailwise._checks import InputError


def check_out_file(path: Path | None, option: str, *suffixes: str, overwrite: bool) -> None:
    """Raise unless a file may be written.

    Args:
        path: file to write; nothing is checked if not given.
        option: option that names it.
        suffixes: those allowed, with their dots.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: another suffix, a folder, a file in a missing folder, an existing file that is not to be replaced.
    """
    if path is None:
        return
    if path.is_dir() or path.suffix.lower() not in suffixes:
        *others, last = suffixes
        kinds = f"{', '.join(others)} or {last}" if others else last
        raise InputError(f"{option} must name a {kinds} file, got {str(path)!r}")
    check_parent(path)
    if path.exists() and not overwrite:
        raise InputError(f"{str(path)!r} exists; pass --overwrite to replace it")


def check_out_table(path: Path, *read: str, overwrite: bool, also: str = "") -> None:
    """Raise unless a table may be written, in place of none that the command reads.

    Args:
        path: file to write.
        read: files or names of the tables that are read.
        overwrite: whether an existing file may be replaced.
        also: what ``--out`` may be besides, for the message.

    Raises:
        InputError: another suffix, a folder, a file in a missing folder, an existing file that is not to be replaced,
            a table that is read.
    """
    from tailwise.data.table_files import SUFFIXES  # needs pandas, which `--help` does not load

    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"--out must end in .csv, .tsv or .parquet{also}, got {str(path)!r}")
    check_parent(path)
    is_read = path.exists() and any(Path(table).exists() and path.samefile(table) for table in read)
    if path.exists() and (path.is_dir() or not overwrite or is_read):
        what = "is a folder" if path.is_dir() else "exists already" if not overwrite else "is the table itself"
        raise InputError(f"{str(path)!r} {what}; choose another --out" + ("" if overwrite else ", or pass --overwrite"))


def check_parent(path: Path) -> None:
    """Raise unless the folder of a file exists."""
    if not path.absolute().parent.is_dir():
        raise InputError(f"no folder {str(path.parent)!r} to write {path.name!r} into")
