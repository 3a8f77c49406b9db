"""The folder of a benchmark's results: its protocol, and its finished cells as tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise._files import names_besides, write_json
from tailwise.bench.protocols.base import Protocol
from tailwise.bench.protocols.cells import SELECTING, without_loss
from tailwise.bench.standings import BenchTable, bench_table
from tailwise.compare.cell import Cell
from tailwise.modalities.map_schema import DEPTH

MARKER = "bench.json"
CELLS = "cells"
_ABSENT = object()


def check_folder(out: Path, protocol: Protocol) -> None:
    """Raise unless a folder is new, empty, or holds results of the protocol.

    Raises:
        InputError: a folder with other content, or with results of another protocol.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file; `out` must name a folder")
    if (out / MARKER).exists():
        name = _read_marker(out)["protocol"]
        if name != protocol.name:
            raise InputError(f"{str(out)!r} holds results of {name!r}; choose another `out`")
    elif any(not name.startswith((MARKER, SELECTING)) for name in names_besides(out)):
        raise InputError(f"{str(out)!r} is not empty and holds no results of a benchmark; choose another `out`")


def mark(out: Path, protocol: Protocol, cells: Sequence[Cell]) -> None:
    """Write the protocol and the tables into the folder of results."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tables = {cell.table: cell.sha256 for cell in cells}
        write_json(out / MARKER, {"protocol": protocol.name, "tables": tables})
    except OSError as error:
        raise InputError(f"cannot write to {str(out)!r}: {error.strerror}") from error


def _read_marker(out: Path) -> dict[str, Any]:
    try:
        marker: dict[str, Any] = json.loads((out / MARKER).read_text(encoding="utf-8"))
        return {"protocol": str(marker["protocol"]), "tables": dict(marker["tables"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{str(out)!r} holds no results of a benchmark; `tailwise bench run` writes them") from None


def protocol_of(out: Path) -> str:
    """Return the name of the protocol of the results in a folder.

    Raises:
        InputError: a folder without results.
    """
    return str(_read_marker(out)["protocol"])


def tables_of(
    protocol: Protocol, out: Path, failures: Sequence[tuple[Cell, Mapping[str, Any]]] = ()
) -> list[BenchTable]:
    """Return the protocol's tables from the finished cells in a folder, without cells of an older index.

    Args:
        protocol: the benchmark.
        out: folder of the results.
        failures: results of cells that failed just now; they are not in the folder.

    Raises:
        InputError: no finished cell.
    """
    tables = []
    reasons = [result["error"] for _, result in failures]
    finished = False
    for name, digest in _read_marker(out)["tables"].items():
        results = [_read(file) for file in sorted((out / CELLS / name).glob("*.json"))]
        results += [{"cell": asdict(cell), **result} for cell, result in failures if cell.table == name]
        finished |= any("metrics" in result for result in results)
        results = sorted(
            (result for result in results if result["cell"]["sha256"] == digest),
            key=lambda result: result["cell"]["seed"],
        )
        changed = [_changed(protocol, result["cell"]) for result in results]
        shared = frozenset.intersection(*changed) if changed else frozenset()
        by_label: dict[str, tuple[str, list[Mapping[str, Any]]]] = {}
        for result, of_cell in zip(results, changed, strict=True):
            method = without_loss(result["cell"]["entry"]["method"], protocol.loss)
            changes = ", ".join(sorted(of_cell - shared))
            by_label.setdefault(method + (f" ({changes})" if changes else ""), (method, []))[1].append(result)
        in_order = dict(sorted(by_label.items(), key=lambda item: (item[1][0] != "vanilla", item[0])))
        known = name if name == protocol.name else f"{protocol.name}/{name.removeprefix(protocol.name + '-')}"
        tables.append(bench_table(known, protocol.metrics, protocol.regions, in_order, changed=sorted(shared)))
    if not finished:
        raise InputError(
            f"there is no finished training of {protocol.name} in {str(out)!r}" + (f": {reasons[0]}" if reasons else "")
        )
    return tables


def _read(file: Path) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{str(file)!r} cannot be read; remove it and run the benchmark again") from None
    return result


def _changed(protocol: Protocol, cell: Mapping[str, Any]) -> frozenset[str]:
    """Return the deviations of a cell from the protocol, as text."""
    entry = cell["entry"]
    usual = {**protocol.parts, "recipe": protocol.recipe, **protocol.params, DEPTH: protocol.choices.get(DEPTH, {})}
    given = {**entry["method_params"], "recipe": entry["recipe"], **entry["params"]}
    given[DEPTH] = cell["choices"].get(DEPTH, {})
    if DEPTH in protocol.choices:
        given["image"] = {"encoder": entry["encoder"]}
    before, now = _flat(usual), _flat(given)
    changed = {f"{key}={value}" for key, value in now.items() if before.get(key, _ABSENT) != value}
    if "/select-test-" in Path(cell["data"]).as_posix():
        changed.add("epoch chosen on the test rows")
    return frozenset(changed)


def _flat(nested: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return flat
