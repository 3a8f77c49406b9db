import contextlib
import io
import re
import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FIGURES = ["synthetic_exponential.svg", "synthetic_normal.svg", "synthetic_two_dimensional.svg"]
BENCHMARK = runpy.run_path(str(EXAMPLES / "synthetic_benchmark.py"))


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """One run: its folder and what it printed."""
    out = tmp_path_factory.mktemp("synthetic") / "new"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        BENCHMARK["main"](["--quick", "--seeds", "2", "--out", str(out)])
    return out, printed.getvalue()


def cells(printed):
    """Mean slope, MSE and MAE by training labels and fit."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.strip().splitlines()]
    assert {len(row) for row in rows} == {5}
    return {(row[0], row[1]): [float(cell.split(" ± ")[0]) for cell in row[2:]] for row in rows[2:]}


def test_the_synthetic_benchmark_prints_a_table_and_draws_its_figures(quick):
    out, printed = quick
    assert sorted(path.name for path in out.iterdir()) == FIGURES
    for name in FIGURES:
        text = (out / name).read_text()
        ElementTree.fromstring(text)
        assert "dc:date" not in text
    table = cells(printed)
    assert len(table) == 9 + 9 + 6
    assert np.isfinite(list(table.values())).all()


@pytest.mark.parametrize("labels", ["Normal(5, 0.5)", "Exponential(2)", "Normal(5, 0.5) in 2-D"])
def test_balanced_mse_comes_nearer_the_true_slope_than_plain_mse(quick, labels):
    table = cells(quick[1])
    slope, error, _ = table[labels, "MSE"]
    assert slope < 0.3
    for name in ("BMC", "GAI") if "2-D" in labels else ("BMC", "GAI", "BNI"):
        assert abs(table[labels, name][0] - 1) < abs(slope - 1) / 2
        assert table[labels, name][1] < error / 2
    if "2-D" not in labels:  # bounded by the labels that were seen, but nearer than plain MSE
        for name in ("mixture", "mixture, 0 to 10"):
            assert slope < table[labels, name][0] < 1
            assert table[labels, name][1] < error
    assert table[labels, "(the truth)"][0] == pytest.approx(1)


@pytest.mark.parametrize("labels", ["normal", "exponential", "two-dimensional"])
def test_plain_squared_error_shrinks_the_slope_as_the_formula_says(labels):
    """cov(x, y) / var(x) = s² / (s² + 1) for labels of variance s² and noise of variance 1; in 2-D Σ(Σ + I)⁻¹."""
    skew = BENCHMARK["Skew"](labels, BENCHMARK["FAMILIES"][labels][0])
    x, y = BENCHMARK["training_rows"](skew, 0, 100_000)
    inputs = np.column_stack([x, np.ones(len(x))])
    best = np.linalg.lstsq(inputs, y)[0].T
    slope = BENCHMARK["Map"](best[:, :-1], best[:, -1]).slope(skew.truth)
    spread = 0.25 * (np.array([[1.0, 0.5], [0.5, 1.0]]) if skew.k == 2 else np.eye(1))
    assert slope == pytest.approx(np.trace(spread @ np.linalg.inv(spread + np.eye(skew.k))) / skew.k, abs=0.01)


def test_fits_and_figures_are_the_same_for_the_same_seed(tmp_path):
    skew = BENCHMARK["Skew"]("normal", 0.5)
    drawn = []
    for name in ("a.svg", "b.svg"):
        results = {skew: [BENCHMARK["benchmark"](skew, 0, rows=200, steps=5)]}
        BENCHMARK["save"]("normal", results, 200, tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]


def test_no_seeds_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        BENCHMARK["main"](["--seeds", "0", "--out", str(tmp_path)])
    assert "at least 1" in capsys.readouterr().err


def test_the_pages_pictures_exist():
    page = EXAMPLES / "README.md"
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in t]
    assert {Path(target).name for target in targets} >= set(FIGURES)
    for target in targets:
        assert (page.parent / target).exists(), target
