"""The scripts of the gallery run, one after another in this process, and each draws a picture."""

import runpy
from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("Agg")

from matplotlib import pyplot as plt

SCRIPTS = sorted((Path(__file__).resolve().parents[1] / "docs" / "gallery").glob("*.py"))


def test_the_gallery_has_scripts():
    assert 6 <= len(SCRIPTS) <= 12


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_draws_a_picture(script, monkeypatch):
    drawn = []
    monkeypatch.setattr(plt, "show", lambda: drawn.extend(plt.get_fignums()))
    try:
        runpy.run_path(str(script))
        assert len(drawn) == 1
        axes = plt.figure(drawn[0]).axes
        assert all(axis.has_data() and axis.get_xlabel() for axis in axes if axis.get_subplotspec().is_last_row())
    finally:
        plt.close("all")
