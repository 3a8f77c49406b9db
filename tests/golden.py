import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
ABSENT = "../shared is absent: golden numbers are not part of the project"


class Golden(NamedTuple):
    """One case of a golden file: what went into a reference implementation, and what came out."""

    case: dict[str, Any]
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    shared: dict[str, np.ndarray]

    @property
    def id(self) -> str:
        return self.case["id"]

    @property
    def params(self) -> dict[str, Any]:
        return self.case["params"]

    @property
    def kernel(self) -> str:
        kernel = self.params.get("kernel", "gaussian")
        return "triangular" if kernel == "triang" else kernel

    def close(self, actual: Any, expected: np.ndarray | str, *, single: bool = False) -> None:
        """Assert equality within the case's rtol, if it has one; ``single`` for numbers that came from float32."""
        if isinstance(expected, str):
            expected = self.expected[expected]
        single = single or expected.dtype == np.float32 or self.params.get("dtype") == "float32"
        rtol = self.case.get("rtol", 2e-6)
        np.testing.assert_allclose(np.asarray(actual), expected, rtol=rtol, atol=1e-5 if single else 1e-9)


@cache
def _cases(name: str) -> tuple[Golden, ...]:
    with np.load(SHARED / "golden" / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    shared = {key.removeprefix("shared."): array for key, array in arrays.items() if key.startswith("shared.")}

    def named(case: dict[str, Any], kind: str, names: list[str]) -> dict[str, np.ndarray]:
        return {key: arrays[f"{case['id']}.{kind}.{key}"] for key in names}

    return tuple(
        Golden(case, named(case, "in", case["inputs"]), named(case, "out", case["expected"]), shared)
        for case in json.loads(str(arrays["index"]))["cases"]
    )


def load_golden(name: str) -> Iterator[Golden]:
    """Yield every case of a file; skip the test where the folder is absent."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(ABSENT)
    yield from _cases(name)


def golden(name: str, *, without: Mapping[str, str] | None = None, having: str = "") -> list[Any]:
    """List the cases of a file for ``pytest.mark.parametrize``.

    ``without`` leaves cases out, by id with the reason; ``having`` keeps those that expect an array of that name.
    """
    if not (SHARED / "golden").is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason=ABSENT), id="absent")]
    cases = {case.id: case for case in _cases(name)}
    without = {} if without is None else without
    assert without.keys() <= cases.keys(), f"{name} has no case {without.keys() - cases.keys()}"
    return [
        pytest.param(case, id=f"{name}.{case.id}-{re.sub(r'[^0-9A-Za-z.]+', '-', case.case['desc']).strip('-')}")
        for case in cases.values()
        if case.id not in without and (not having or having in case.expected)
    ]
