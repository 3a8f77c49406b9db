import html
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import tailwise
from conftest import toy_frame
from tailwise import Bins, Shots, region_metrics
from tailwise.calibration.intervals import RegionIntervals
from tailwise.cli.main import run
from tailwise.cli.show import region_table
from tailwise.diagnose import diagnose
from tailwise.diagnose.answer import answer, is_pulled
from tailwise.diagnose.facts import Contrast, EndError
from tailwise.distributions import Dial, Mixture
from tailwise.experiment.leaderboard import Leaderboard, Standing
from tailwise.experiment.trade_off import TradeOff, TradeOffPoint, trade_off
from tailwise.experiment.worst_rows import in_common, worst_rows
from tailwise.metrics.confidence import Interval
from tailwise.metrics.coverage import coverage_by_region
from tailwise.report.against import OtherRun, compare
from tailwise.report.bands import Bands
from tailwise.report.charts import density_chart, error_chart, scatter_chart, training_chart
from tailwise.report.diagnosis_charts import label_chart, quick_model_chart, relevance_chart
from tailwise.report.diagnosis_page import diagnosis_page
from tailwise.report.features import FeatureMap, feature_rows, map_chart, similarity_chart
from tailwise.report.kept_epoch import kept_epoch, why_stopped
from tailwise.report.page import run_page
from tailwise.report.run_answer import answer as run_answer
from tailwise.report.trade_off_charts import exchange_chart, pit_chart, reliability_chart, trade_off_chart
from tailwise.report.trust_charts import LEVELS, calibration_chart, coverage_by_level, residual_chart

RNG = np.random.default_rng(0)
Y_TRAIN, Y = RNG.gamma(2, 10, 5000), RNG.gamma(2, 10, 400)
PRED = Y + RNG.normal(scale=5, size=400)
SHOTS = Shots.from_labels(Y_TRAIN, Bins.auto(Y_TRAIN), many=200, few=80)
HISTORY = [
    {"stage": stage, "epoch": epoch, "validation": {"mae": 5.0, "many": 3.0 + epoch, "few": 9.0}}
    for stage in (0, 1)
    for epoch in range(3)
]

BOTH = [("ours", PRED), ("theirs", PRED + 1)]
INTERVALS = RegionIntervals.fit(Y_TRAIN[:400], Y_TRAIN[:400] + RNG.normal(scale=5, size=400), SHOTS)
HELD = coverage_by_level(lambda confidence: INTERVALS.intervals(PRED, confidence), Y, PRED, SHOTS)
FEATURES = np.column_stack([np.sin(Y / 20), np.cos(Y / 20), Y / 40]) + RNG.normal(scale=0.1, size=(400, 3))
MAP = FeatureMap.of(FEATURES, Y, SHOTS)
DIAL = trade_off(
    Y, Mixture(*np.stack([np.ones(400), PRED, np.full(400, 5.0)])[..., None]), Dial.from_labels(Y_TRAIN), SHOTS
)
FOUND = diagnose(toy_frame(), "price", data="toy.csv")

CHARTS = {
    "density": lambda: density_chart(SHOTS, "price"),
    "error": lambda: error_chart(Y, BOTH, SHOTS, "price"),
    "size": lambda: error_chart(Y, BOTH, SHOTS, "price", show="size"),
    "scatter": lambda: scatter_chart(Y, PRED, SHOTS, "price"),
    "training": lambda: training_chart(HISTORY, "price"),
    "residuals": lambda: residual_chart(Y, BOTH, SHOTS, "price"),
    "calibration": lambda: calibration_chart(HELD),
    "map": lambda: map_chart(MAP, "price"),
    "similarity": lambda: similarity_chart(MAP, "price"),
    "trade-off": lambda: trade_off_chart(DIAL),
    "transforms": lambda: pit_chart(DIAL.scores),
    "reliability": lambda: reliability_chart(DIAL.scores["all"], "price"),
    "labels": lambda: label_chart(FOUND.density, "price"),
    "relevance": lambda: relevance_chart(FOUND.relevance, FOUND.target),
    "quick model": lambda: quick_model_chart(FOUND.model, "price"),
}


def told(svg):
    """What a chart says where the pointer comes to a place: x, y and text."""
    return json.loads(ElementTree.fromstring(svg).get("data-tips"))


def alt(svg):
    return ElementTree.fromstring(svg).get("aria-label")


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


def curve_with(last):
    """A dial in use at 0.5 whose many-shot error at balance 1 is some times that at 0."""
    balances, many = (0.0, 0.5, 1.0), (1.0, 1.2, last)
    points = tuple(
        TradeOffPoint(at, np.empty(0), {"many": Interval(x, x, x), "few": Interval(3.0 - at, None, None)}, {}, 1.0)
        for at, x in zip(balances, many, strict=True)
    )
    return TradeOff(0.5, points, {})


def test_one_balance_does_not_flatten_the_others():
    svg = trade_off_chart(curve_with(6.0))
    assert "many +500 % at 1" in "".join(ElementTree.fromstring(svg).itertext())
    (beyond,) = [place for place in told(svg) if place[2].startswith("many, balance 1:")]
    assert beyond[2].endswith("MAE 6 (6 to 6)")
    assert all(0 <= y <= float(ElementTree.fromstring(svg).get("viewBox").split()[3]) for _, y, _ in told(svg))
    assert "% at 1" not in "".join(ElementTree.fromstring(trade_off_chart(curve_with(1.9))).itertext())


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_the_same_for_the_same_numbers_and_follow_the_page(name):
    svg = CHARTS[name]()
    assert svg == CHARTS[name]()
    root = ElementTree.fromstring(svg)
    assert "currentColor" in svg
    assert not re.search(r"#000000", svg)
    assert "$" not in svg
    assert root.get("role") == "img"
    assert re.search(r"\d", root.get("aria-label"))
    width, height = (float(end) for end in root.get("viewBox").split()[2:])
    places = told(svg)
    assert len(places) > 3
    assert all(0 <= x <= width and 0 <= y <= height and text for x, y, text in places)


class TestChartsTellTheNumbers:
    def test_every_row_is_in_a_hexagon(self):
        rows = [re.search(r"([0-9,]+) rows?$", text)[1].replace(",", "") for _, _, text in told(CHARTS["scatter"]())]
        assert sum(map(int, rows)) == 400
        assert len(rows) < 400

    def test_rows_by_bin(self):
        texts = [text for _, _, text in told(CHARTS["density"]())]
        rows = [re.search(r": ([0-9,]+) rows?,", text) for text in texts]
        assert [int(found[1].replace(",", "")) if found else 0 for found in rows] == SHOTS.counts.tolist()
        assert f"{int((SHOTS.counts == 0).sum())} bins have none" in alt(CHARTS["density"]())

    def test_very_many_bins_are_drawn_together(self):
        fine = Shots.from_labels(Y_TRAIN, Bins.count(Y_TRAIN, 10_000))
        svg = density_chart(fine, "price")
        assert len(told(svg)) == 250
        assert "(mean of 40 bins)" in svg
        assert "in 10,000 bins of price" in alt(svg)
        assert len(svg) < 300_000

    def test_errors_of_both_runs(self):
        svg = error_chart(Y, [("ours", Y + 1), ("theirs", Y - 2)], SHOTS, "price", show="size")
        assert "ours from 1 " in alt(svg)
        assert all(re.search(r"ours 1( \(1 to 1\))?; theirs 2( \(2 to 2\))?$", text) for _, _, text in told(svg))

    def test_quantiles_of_the_residuals(self):
        low, middle, high = np.quantile(PRED - Y, [0.1, 0.5, 0.9])
        expected = [
            f"{share} % of the residuals are below {v:.4g}" for share, v in ((10, low), (50, middle), (90, high))
        ]
        found = [text for _, _, text in told(CHARTS["residuals"]()) if text.startswith("ours, all:")]
        assert [text.removeprefix("ours, all: ") for text in found] == expected

    def test_coverage_of_each_level(self):
        assert tuple(HELD) == LEVELS
        ends = INTERVALS.intervals(PRED, 0.8)
        inside = float(((ends[:, 0] <= Y) & (ends[:, 1] >= Y)).mean())
        assert HELD[0.8]["all"].by_true.coverage.value == inside
        assert HELD[0.8] == coverage_by_region(Y, PRED, ends[:, 0], ends[:, 1], SHOTS)
        assert f"nominal 80 %, observed {100 * inside:.0f} %" in alt(CHARTS["calibration"]())

    def test_infinite_intervals_are_left_out(self):
        few = RegionIntervals.fit(Y[:12], PRED[:12], SHOTS, least=5)
        levels = coverage_by_level(lambda confidence: few.intervals(PRED, confidence), Y, PRED, SHOTS)
        texts = [text for _, _, text in told(calibration_chart(levels))]
        assert any("nominal 50 %" in text for text in texts)
        assert not any("nominal 95 %" in text for text in texts)

    def test_advice_needs_the_errors_of_the_quick_model(self):
        texts = [text for _, _, text in told(CHARTS["quick model"]())]
        assert [text.split(",")[0] for text in texts][:2] == ["all", "many"]
        assert f"{FOUND.error('all').mae:.4g}" in texts[0]


class TestFeatures:
    def test_rows_are_drawn_from_the_whole_range(self):
        y = np.concatenate([np.full(5000, 1.0) + RNG.random(5000), [50.0, 99.0]])
        rows = feature_rows(y, Shots.from_labels(y, Bins.width(y, 1.0)))
        assert {5000, 5001} <= set(rows.tolist())
        assert np.bincount(Bands.of(y, SHOTS).index[rows]).max() <= 400
        assert len(rows) < 500
        assert (np.diff(rows) > 0).all()

    def test_cosine_between_the_means_of_intervals(self):
        y = np.repeat([0.0, 10.0, 20.0], 5)
        x = np.repeat([[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0]], 5, axis=0)
        found = FeatureMap.of(x, y, Shots.from_labels(y, Bins.width(y, 5.0)))
        here = found.bands.counts > 0
        half = np.sqrt(0.5)
        expected = [[1.0, half, -1.0], [half, 1.0, -half], [-1.0, -half, 1.0]]
        np.testing.assert_allclose(found.similarity[np.ix_(here, here)], expected)
        assert np.isnan(found.similarity[~here]).all()
        assert found.span == pytest.approx((-1, 1))
        assert "between the lowest and the highest -1.000" in alt(similarity_chart(found, "price"))

    def test_two_directions_hold_a_plane(self):
        assert sum(FeatureMap.of(FEATURES[:, :2], Y, SHOTS).explained) == pytest.approx(1)
        assert MAP.points.shape == (len(MAP.y), 2)

    @pytest.mark.parametrize("features", [np.ones((400, 3)), FEATURES[:, :1]])
    def test_nothing_to_see(self, features):
        assert FeatureMap.of(features, Y, SHOTS) is None


@pytest.mark.slow
def test_the_page_says_what_the_numbers_say():
    text = page(rival=OtherRun("plain LightGBM", PRED + 100), changes=compare(Y, PRED, PRED + 100, SHOTS))
    first = ("Errors against plain LightGBM", "<h3>Size of the errors", "MAE, many-shot", "<h2>Errors on the test rows")
    places = [text.index(words) for words in first]
    assert places == sorted(places)
    assert "<h2>Beside" not in text
    assert ">plain LightGBM</text>" in text
    assert "Where training rows are few, errors are" in text
    assert "3 rows dropped: no target" in text
    assert text.count('<svg font-family="sans-serif" stroke-linejoin="round" role="img" aria-label="') == 6
    everything = page(levels=HELD, features=MAP, coverage=HELD[0.9])
    assert everything.count("<svg") == 10
    assert len(everything) < 2_000_000


@pytest.mark.parametrize("made", [lambda: page(levels=HELD, features=MAP), lambda: diagnosis_page(FOUND, "toy.csv")])
@pytest.mark.slow
def test_a_page_is_one_file_with_one_of_each_id(made):
    text = made()
    assert not re.search(r"""(src|href|action)=["']?[^"'#]|@import|url\((?!#)""", text)
    assert len(re.findall("<script", text)) == 1
    script = text[text.index("<script>") : text.index("</script>")]
    assert len(script) < 5000
    ids = re.findall(r' id="([^"]+)"', re.sub(r"<defs>.*?</defs>", "", text, flags=re.DOTALL))
    assert len(ids) == len(set(ids))
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.slow
def test_a_difference_inside_the_intervals_is_no_difference():
    text = page(other=OtherRun("vanilla", PRED + RNG.normal(scale=0.1, size=400)))
    assert ">no difference</span> as rows come" in text
    better = page(other=OtherRun("vanilla", PRED + 100))
    assert ">no difference</span> as rows come" not in better
    assert re.search(r'<span class="better">\d+ % lower error</span> as rows come', better)


def test_a_small_difference_on_every_row_is_a_difference():
    pairs = compare(Y, PRED, Y + 1.05 * (PRED - Y), SHOTS)
    marginal = region_metrics(Y, PRED, SHOTS)["all"].metrics["mae"]
    assert marginal.high > pairs["all"].theirs
    assert pairs["all"].differs
    assert pairs["all"].text == "-5 %"
    assert pairs["all"].short == "5 % lower error"
    assert compare(Y, Y + 1.1 * (PRED - Y), PRED, SHOTS)["all"].short == "10 % higher error"


def test_a_region_of_few_test_rows_is_named_without_a_verdict():
    few, many = np.flatnonzero(SHOTS.names(Y) == "few")[:6], np.flatnonzero(SHOTS.names(Y) == "many")
    rows = np.concatenate([few, many])
    regions = region_metrics(Y[rows], PRED[rows], SHOTS, resamples=0)
    assert run_answer(regions, "price", {}, {}, "").rare == ("Few-shot: only 6 test rows, no verdict.",)
    every = region_metrics(Y, PRED, SHOTS, resamples=0)
    assert not any("no verdict" in line for line in run_answer(every, "price", {}, {}, "").rare)


def test_plain_lightgbm_stands_in_the_answer_of_a_stack():
    ours, theirs = (Standing.of(name, Y, PRED + by, SHOTS) for name, by in (("stack", 0), ("lightgbm", 100)))
    line = run_answer({}, "price", {}, {}, "", Leaderboard((ours, theirs), None)).out_of_fold
    assert line.startswith("Against plain LightGBM, out of fold: 9")
    assert " % lower error as rows come, " in line
    assert run_answer({}, "price", {}, {}, "", Leaderboard((ours,), None)).out_of_fold == ""


def test_names_under_the_exchange_chart_stand_one_below_another():
    svg = exchange_chart(DIAL, Y, [("stack", PRED), ("a plain network", PRED + 1)], SHOTS)
    legend = svg[svg.index('class="legend_1"') :]
    places = [
        re.search(rf' x="([\d.]+)" y="([\d.]+)"[^>]*>{name}<', legend)
        for name in ("the dial, balance 0 to 1", "stack", "a plain network")
    ]
    assert len({place[1] for place in places}) == 1
    heights = [float(place[2]) for place in places]
    assert all(after - before > 10 for before, after in pairwise(heights))


def test_a_constant_with_a_lower_error_is_named_at_the_top():
    words = "As rows come, the error is larger than that of always predicting 0"
    text = page(beaten_by_constant=words)
    assert text.index(f"<strong>{words}</strong>") < text.index('<ul class="tiles">')
    assert words not in page()


def test_runs_of_one_method_are_told_apart_everywhere():
    other = OtherRun("sqinv+lds", PRED + 100, "first", masked=True)
    assert other.names("sqinv+lds", masked=True) == ("sqinv+lds (this run)", "sqinv+lds (first)")
    assert other.names("lds", masked=True) == ("lds", "sqinv+lds")
    assert other.names("lds", masked=False) == ("lds (without masked ranges)", "sqinv+lds")
    text = page(other=other)
    ours, theirs = "sqinv+lds (this run, without masked ranges)", "sqinv+lds (first)"
    for said in (
        f"<h2>Beside {theirs}</h2>",
        *(f'<th scope="col">{metric} {name}</th>' for metric in ("MAE", "bias") for name in (ours, theirs)),
        f"Errors against {theirs}, on the same 400 test rows: ",
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
    lines = training_chart(history, "price").split('class="figure_1"')[1].split('class="legend_1"')[0]
    assert bool(re.findall(r"<use[^>]*fill: var\(--many", lines)) == marked


@pytest.mark.slow
def test_the_stages_are_explained():
    assert "dashed line" not in page(history=HISTORY[:3])
    assert "at the dashed line the second stage begins" in page()
    assert "nothing to validate" not in page()
    assert "The first stage trains the encoder alone" in page(history=ENCODER_FIRST)


def test_the_kept_epoch_is_marked_and_the_end_explained():
    line = {"stage": 0, "of": 5, "validation": {"mae": 5.0, "many": 3.0}, "best": False}
    history = [line, line | {"best": True}, line, line]
    assert kept_epoch(history) == 1
    assert ">kept: epoch 2</text>" in training_chart(history, "price")
    assert "kept" not in training_chart(HISTORY, "price")
    assert why_stopped(history, "epoch").endswith("Training stopped early: 2 epochs in a row were not better.")
    assert why_stopped([*history, line], "epoch").endswith("Training stopped at its maximum of 5 epochs.")
    assert why_stopped(history[:2], "round").endswith("Training stopped at its time limit.")
    assert kept_epoch([*history, line | {"stage": 1}]) is None


def test_wide_intervals_do_not_squash_the_means():
    y = np.array([5.0, 5.1, 95.0, 95.1])
    svg = error_chart(y, [("ours", y + np.array([1.0, 1.0, -900.0, 910.0]))], SHOTS, "price")
    places = [place for _, place, _ in told(svg)]
    height = float(ElementTree.fromstring(svg).get("viewBox").split()[3])
    assert max(places) - min(places) > height / 4


def test_a_single_row_has_no_band():
    y = np.array([5.0, 6.0, 7.0, 95.0])
    shots = Shots.from_labels(Y_TRAIN, Bins.width(Y_TRAIN, 10.0), many=200, few=80)

    texts = [
        text for _, _, text in told(error_chart(y, [("ours", y + np.array([1.0, 3.0, 2.0, 2.0]))], shots, "price"))
    ]
    assert [text.split(": ")[1] for text in texts] == ["2 (0.868 to 3.13)", "2"]


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
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "<i>" not in text
    assert "a&amp;b" in text


def test_one_region_only():
    few = Shots(Bins.from_edges([0, 1000]), np.array([5000]), many=10, few=2)
    text = page(shots=few, regions=region_metrics(Y, PRED, few, resamples=20))
    assert "Errors on the test rows" in text


class TestDiagnosisPage:
    def test_holds_what_the_terminal_says(self):
        text = html.unescape(diagnosis_page(FOUND, "toy.csv"))
        for advice in FOUND.advice:
            assert advice.finding[1:] in text
            assert all(command in text for command in advice.commands)
        for weighting in FOUND.weightings:
            assert f">{weighting.method}</th><td>{weighting.effective_rows:,.0f}</td>" in text
        assert f"{FOUND.error('few').mae:.4g}" in text
        assert text.count("<svg") == 3

    def test_begins_with_the_answer_and_the_histogram(self):
        text = html.unescape(diagnosis_page(FOUND, "toy.csv"))
        first = (answer(FOUND), "<h3>Rows by value", "<h3>Errors of a quick model", "Many-shot", "<h2>What to do")
        places = [text.index(words) for words in first]
        assert places == sorted(places)
        few = FOUND.error("few")
        assert f"<td>{few.mae:.4g}</td><td>{100 * few.relative:.0f} %</td>" in text

    def test_the_answer_is_that_of_the_errors(self):
        top = EndError("top", 0.01, 20, 90.0, 30.0, -28.0, 2.0, 0.25)
        model = replace(FOUND.model, ends=(top,))
        said = answer(replace(FOUND, model=model))
        assert said == "Yes: a quick model predicts your top 1 % (from 90) 28 too low on average (25 % of their value)."
        for end in (replace(top, bias=28.0), replace(top, bias_error=20.0), replace(top, mae=80.0)):
            assert not is_pulled(end)
        assert is_pulled(replace(top, end="lowest", bias=28.0))
        even = Contrast("few", "many", 1.1, 0.8, 1.4)
        assert answer(replace(FOUND, model=replace(model, ends=(), contrast=even))).startswith("No clear sign")
        assert answer(replace(FOUND, model=replace(model, ends=(), contrast=replace(even, low=1.05)))).startswith("Yes")
        assert answer(replace(FOUND, model=None)).startswith("Not measured")

    def test_the_ends_are_those_of_the_values(self):
        (lowest,) = [end for end in FOUND.model.ends if end.end == "lowest"]
        y = np.sort(toy_frame()["price"].to_numpy())
        assert lowest.value == y[lowest.n - 1]
        assert lowest.n >= 10

    def test_without_a_model_or_relevance(self):
        even = diagnose(pd.DataFrame({"x": range(100), "y": range(100)}), "y", quick_model=False)
        assert even.relevance is None
        text = diagnosis_page(even, "even.csv")
        assert text.count("<svg") == 1
        assert "R²" not in text

    def test_names_are_escaped(self):
        frame = toy_frame().rename(columns={"price": "<b>p", "x2": "<i>q"})
        frame["<u>c"] = 1
        text = diagnosis_page(diagnose(frame, "<b>p", quick_model=False), "<script>x")
        assert "<script>x" not in text
        assert not re.search("<b>p|<i>q|<u>c", text)
        assert "&lt;b&gt;p" in text

    def test_the_command_writes_it(self, toy_csv, monkeypatch, capsys):
        monkeypatch.chdir(toy_csv.parent)
        arguments = ["diagnose", "toy.csv", "-t", "price", "--no-model", "--html"]
        assert run([*arguments, "d.html"]) == 0
        assert "page: d.html" in capsys.readouterr().out
        assert "<h1>price of toy.csv</h1>" in (toy_csv.parent / "d.html").read_text()
        for name, told in (("d.html", "pass --overwrite"), ("d.txt", "must name a .html"), ("no/d.html", "no folder")):
            assert run([*arguments, name]) == 2
            assert told in capsys.readouterr().err
        assert run([*arguments, "d.html", "--overwrite"]) == 0


@pytest.mark.slow
def test_a_model_without_features_has_no_map_of_them(toy_csv, tmp_path):
    assert run(["train", str(toy_csv), "-t", "price", "--model", "linear", "-o", str(tmp_path / "r")]) == 0
    text = (tmp_path / "r" / "report.html").read_text()
    assert "Map of the features" not in text
    assert "Calibration of the intervals" in text


def contrast(one, other):
    """Contrast of two colours as WCAG 2 defines it."""

    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("place", [0, 1], ids=["light", "dark"])
def test_letters_and_lines_stand_out_in_both_schemes(place):
    themes = re.findall(r":root \{([^}]*)\}", page())
    colors = dict(re.findall(r"--(\w+): (#\w{6})", themes[0]))
    colors |= dict(re.findall(r"--(\w+): (#\w{6})", themes[place]))
    for ground in (colors["paper"], colors["card"]):
        assert min(contrast(colors[letters], ground) for letters in ("ink", "soft", "accent")) > 4.5
        for role in ("many", "medium", "few", "zero", "ours", "other"):
            assert contrast(colors[role], ground) > 3


def test_the_page_lists_the_rows_with_the_largest_errors_and_what_they_share(tmp_path):
    rng = np.random.default_rng(0)
    hidden = rng.random(1200) < 0.1
    frame = pd.DataFrame({"x": rng.normal(size=1200), "kind": np.where(hidden, "odd", "usual")})
    frame["y"] = rng.normal(size=1200) + 40 * hidden * rng.random(1200)
    task = tailwise.prepare(frame, "y", split="random", drop=["kind"])
    model = tailwise.fit(task, tailwise.Experiment("vanilla", model="linear"))
    predicted = tailwise.evaluate(model, task, resamples=0).predicted
    worst = worst_rows(task, predicted)
    errors = np.abs(predicted.pred - predicted.y)
    assert len(worst.rows) == 20
    assert [abs(one.predicted - one.true) for one in worst.rows] == pytest.approx(np.sort(errors)[::-1][:20])
    for one in worst.rows:
        assert one.true == frame["y"][one.row]
    few = (task.shots.codes(predicted.y) == 2) & (predicted.pred < predicted.y)
    assert worst.n_too_low == few.sum()
    tested = frame.iloc[predicted.row].reset_index(drop=True)
    shared = in_common(tested[["x", "kind"]], predicted.y > 10)
    assert shared[0].startswith("kind is 'odd' in 100 %")
