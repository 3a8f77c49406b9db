import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from rich.console import Console

from tailwise import Bins, Shots, region_metrics
from tailwise.cli.show import region_table
from tailwise.report.charts import REGION_COLORS, density_chart, error_chart, scatter_chart, training_chart
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


def test_runs_of_one_method_are_told_apart_everywhere():
    other = OtherRun("sqinv+lds", PRED + 100, "first", masked=True)
    assert other.names("sqinv+lds", masked=True) == ("sqinv+lds (this run)", "sqinv+lds (first)")
    assert other.names("lds", masked=True) == ("lds", "sqinv+lds")
    assert other.names("lds", masked=False) == ("lds (without --mask-target)", "sqinv+lds")
    text = page(other=other)
    ours, theirs = "sqinv+lds (this run, without --mask-target)", "sqinv+lds (first)"
    for said in (
        f"<h2>Beside {theirs}</h2>",
        *(f'<th scope="col">{metric} {name}</th>' for metric in ("MAE", "bias") for name in (ours, theirs)),
        f"with {ours} instead of {theirs}.",
        f">{theirs}</text>",
        f">{ours}</text>",
    ):
        assert said in text, said


def test_a_bias_inside_its_interval_has_no_side():
    assert "too low." in page(y_pred=PRED - 50, regions=region_metrics(Y, PRED - 50, SHOTS, resamples=50))
    centred = PRED.copy()
    few = SHOTS.names(Y) == "few"
    centred[few] -= (PRED - Y)[few].mean()
    text = page(y_pred=centred, regions=region_metrics(Y, centred, SHOTS, resamples=50))
    assert "predictions of price are not clearly too high or low." in text


ENCODER_FIRST = [{"stage": 0, "epoch": epoch, "validation": {}} for epoch in range(4)] + HISTORY[3:]


def ticks(svg):
    return re.findall(
        r"<text[^>]*>([^<]*)</text>", svg[svg.index("matplotlib.axis_1") : svg.index("matplotlib.axis_2")]
    )


@pytest.mark.parametrize("history", [HISTORY[:1], HISTORY, ENCODER_FIRST, HISTORY * 20], ids=len)
def test_epochs_are_whole_numbers(history):
    *epochs, label = ticks(training_chart(history, "price"))
    assert label == "epoch"
    assert 1 <= len(epochs) <= 12
    assert all(1 <= int(epoch) <= len(history) for epoch in epochs if epoch != "0")


@pytest.mark.parametrize(("history", "marked"), [(HISTORY[:1], True), (ENCODER_FIRST[:5], True), (HISTORY, False)])
def test_a_single_point_has_a_marker(history, marked):
    points = re.findall(f"<use[^>]*fill: {REGION_COLORS['many']}", training_chart(history, "price"))
    assert bool(points) == marked


def test_the_stages_are_explained():
    assert "dashed line" not in page(history=HISTORY[:3])
    assert "at the dashed line the second stage begins" in page()
    assert "nothing to validate" not in page()
    assert "The first stage trains the encoder alone" in page(history=ENCODER_FIRST)


def test_a_single_row_has_no_band():
    y = np.array([5.0, 6.0, 7.0, 95.0])
    shots = Shots.from_labels(Y_TRAIN, Bins.width(Y_TRAIN, 10.0), many=200, few=80)

    def band(pred):
        svg = error_chart(y, [("ours", pred)], shots, "price")
        return svg[svg.index("FillBetween") : svg.index("</g>", svg.index("FillBetween"))]

    rows = y + np.array([1.0, 3.0, 2.0, 2.0])
    ends = [float(x) for x in re.findall(r"[ML] ([0-9.]+) ", band(rows))]
    svg = error_chart(y, [("ours", rows)], shots, "price")
    several, single = [float(x) for x in re.findall(r'<use[^>]* x="([0-9.]+)"[^>]*fill: #4477aa', svg)[1:3]]
    assert several in ends
    assert single not in ends


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
