import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from rich.console import Console

from tailwise import Bins, Shots, region_metrics
from tailwise.cli.show import region_table
from tailwise.report.charts import density_chart, error_chart, scatter_chart, training_chart
from tailwise.report.comparison import OtherRun, compare
from tailwise.report.page import run_page

RNG = np.random.default_rng(0)
Y_TRAIN, Y = RNG.gamma(2, 10, 5000), RNG.gamma(2, 10, 400)
PRED = Y + RNG.normal(scale=5, size=400)
SHOTS = Shots.from_labels(Y_TRAIN, Bins.auto(Y_TRAIN), many=200, few=80)
HISTORY = [
    {"stage": stage, "epoch": epoch, "validation": {"mae": 5.0, "many": 3.0 + epoch, "few": 9.0}}
    for stage in (0, 1)
    for epoch in range(3)
]

CHARTS = {
    "density": lambda: density_chart(SHOTS, "price"),
    "error": lambda: error_chart(Y, [("ours", PRED), ("theirs", PRED + 1)], SHOTS, "price"),
    "scatter": lambda: scatter_chart(Y, PRED, SHOTS, "price"),
    "training": lambda: training_chart(HISTORY, "price"),
}


def page(**changes):
    given = {
        "title": "price of houses.csv",
        "target": "price",
        "method": "sqinv+lds",
        "data": "houses.csv",
        "rows": {"train": 5000, "val": 400, "test": 400},
        "split": "balanced",
        "shots": SHOTS,
        "regions": region_metrics(Y, PRED, SHOTS, resamples=50),
        "y_true": Y,
        "y_pred": PRED,
        "history": HISTORY,
        "notes": ["3 rows dropped: no target"],
    }
    given |= changes
    if "other" in given:
        given["changes"] = compare(given["y_true"], given["y_pred"], given["other"].y_pred, given["shots"])
    return run_page(**given)


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_the_same_for_the_same_numbers_and_follow_the_page(name):
    svg = CHARTS[name]()
    assert svg == CHARTS[name]()
    ElementTree.fromstring(svg)
    assert "currentColor" in svg
    assert not re.search(r"#000000", svg)
    assert "$" not in svg


def test_the_page_says_what_the_numbers_say():
    text = page()
    assert "Where training rows are few, errors are" in text
    assert "3 rows dropped: no target" in text
    assert text.count("<svg") == 4
    assert text.count('aria-label="') >= 4


def test_a_difference_inside_the_intervals_is_no_difference():
    text = page(other=OtherRun("vanilla", PRED + RNG.normal(scale=0.1, size=400)))
    assert ": no difference (" in text
    worse = page(other=OtherRun("vanilla", PRED + 100))
    assert ": no difference (" not in worse


def test_a_small_difference_on_every_row_is_a_difference():
    pairs = compare(Y, PRED, Y + 1.05 * (PRED - Y), SHOTS)
    marginal = region_metrics(Y, PRED, SHOTS)["all"].metrics["mae"]
    assert marginal.high > pairs["all"].theirs
    assert pairs["all"].differs
    assert pairs["all"].text == "-5 %"


def test_nothing_is_said_of_a_handful_of_rows():
    few = np.flatnonzero(SHOTS.names(Y) == "few")
    keep = np.setdiff1d(np.arange(400), few[3:])
    text = page(y_true=Y[keep], y_pred=PRED[keep], regions=region_metrics(Y[keep], PRED[keep], SHOTS, resamples=20))
    assert "Where training rows are few" not in text


@pytest.mark.parametrize("target", ["flow [/min]", "[bold]price", "pr$ice_{$", "температура", "temp [degC]"])
def test_any_name_of_a_target_can_be_shown(target):
    assert target in page(target=target)
    Console(file=io.StringIO()).print(
        region_table(region_metrics(Y, PRED, SHOTS, resamples=0), title=target, unit=target)
    )


def test_names_from_the_table_are_escaped():
    text = page(target="<script>alert(1)</script>", title="<b>", notes=["<i>"], method="a&b", data="<img src=x>")
    assert "<script" not in text
    assert "<img" not in text
    assert "a&amp;b" in text


def test_one_region_only():
    few = Shots(Bins.from_edges([0, 1000]), np.array([5000]), many=10, few=2)
    text = page(shots=few, regions=region_metrics(Y, PRED, few, resamples=20))
    assert "Errors on the test rows" in text
