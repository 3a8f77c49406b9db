import json
import math
import re
import shlex
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tailwise import LDS, Bins, InputError, Relevance, density_weights
from tailwise.cli import main
from tailwise.diagnose import Diagnosis, diagnose
from tailwise.diagnose.imbalance_advice import _method, weights_tried
from tailwise.diagnose.quick_model import MOST_ROWS as MOST_MODEL_ROWS
from tailwise.experiment.commands import Commands

RNG = np.random.default_rng(0)


def table(y, **columns):
    """A table whose column x tells something about the target and whose column noise does not."""
    y = np.asarray(y, dtype=float)
    told = {"x": y + RNG.normal(scale=0.5 * y.std(), size=y.size), "noise": RNG.normal(size=y.size)}
    return pd.DataFrame({**told, **columns, "y": y})


def even(n=1000):
    """A target without anything odd about it."""
    return RNG.uniform(0.0, 100.0, n)


def skewed(n=1000):
    return RNG.lognormal(0.0, 1.0, n) * 10


def labels_only(y, **choices) -> Diagnosis:
    return diagnose(table(y), "y", quick_model=False, **choices)


def advised(found, words):
    """The one advice whose finding has the words, or none."""
    said = [advice for advice in found.advice if words in advice.finding]
    assert len(said) <= 1
    return said[0] if said else None


class TestLabels:
    def test_plain_statistics(self):
        y = skewed()
        frame = table(y)
        frame.loc[:6, "y"] = np.nan
        target = diagnose(frame, "y", quick_model=False, drop_missing_target=True).target
        kept = y[7:]
        assert (target.rows, target.missing, target.distinct) == (993, 7, 993)
        assert (target.low, target.high) == (kept.min(), kept.max())
        assert target.mean == pytest.approx(sum(kept) / 993)
        assert target.std == pytest.approx(math.sqrt(sum((v - target.mean) ** 2 for v in kept) / 993))
        assert target.skew == pytest.approx(sum(((v - target.mean) / target.std) ** 3 for v in kept) / 993)
        assert abs(target.log_skew) < 0.3 < target.skew

    def test_bins_regions_and_gaps_as_loops(self):
        y = np.concatenate([skewed(), [400.0, 401.0, 500.0]])
        density = labels_only(y, bin_width=10.0, shots=(50, 5)).density
        counts = [sum(a <= value < b for value in y) for a, b in zip(density.edges, density.edges[1:], strict=False)]
        assert list(density.counts) == counts
        names = ["zero" if c == 0 else "many" if c > 50 else "few" if c < 5 else "medium" for c in counts]
        assert list(density.bin_regions) == names
        for region in density.regions:
            assert region.bins == names.count(region.name)
            assert region.rows == sum(c for c, name in zip(counts, names, strict=True) if name == region.name)
        assert density.ratio == max(counts) / min(c for c in counts if c)
        taps = [math.exp(-(d**2) / 8) for d in range(-2, 3)]
        for b in (0, 7, len(counts) - 1):
            inside = [(taps[d + 2], counts[b + d]) for d in range(-2, 3) if 0 <= b + d < len(counts)]
            assert density.smoothed[b] == pytest.approx(sum(t * c for t, c in inside) / sum(t for t, _ in inside))
        hole = [run for run in density.empty if run.low <= 450 < run.high]
        assert [(run.low, run.high, run.bins) for run in hole] == [(410.0, 500.0, 9)]
        empty = sum(c == 0 for c in counts)
        assert sum(run.bins for run in density.empty) == empty
        assert density.empty_share == pytest.approx(empty / len(counts))

    def test_rules(self):
        assert "given" in labels_only(even(), bin_width=5.0).density.rule
        assert len(labels_only(even(), n_bins=7).density.counts) == 7
        assert "whole number" in labels_only(RNG.integers(20, 60, 1000)).density.rule
        assert "√n" in labels_only(even()).density.rule

    @pytest.mark.filterwarnings("ignore:the weights are extreme")
    def test_weightings_are_those_of_training(self):
        y = skewed()
        found = labels_only(y)
        bins = Bins.from_edges(found.density.edges)
        for method, power, density in (("inv", 1.0, None), ("sqinv", 0.5, None), ("sqinv+lds", 0.5, LDS())):
            weight = density_weights(y, bins, power=power, density=density).sample_weight(y)
            weighting = found.weighting(method)
            assert weighting.effective_rows == pytest.approx(weight.sum() ** 2 / (weight**2).sum(), rel=1e-4)
            assert weighting.share == pytest.approx(weighting.effective_rows / 1000)
            assert weighting.largest == pytest.approx(weight.max() / weight.mean(), rel=1e-4)

    def test_relevance(self):
        y = skewed()
        relevance = labels_only(y).relevance
        phi = Relevance.extremes(y)
        assert (relevance.low_rows, relevance.high_rows) == (0, int((phi(y) >= 0.8).sum()))
        assert relevance.points == tuple(phi.points)
        assert labels_only(-y).relevance.low_rows == relevance.high_rows

    def test_no_relevance_is_said(self):
        found = labels_only(even())
        assert found.relevance is None
        assert "beyond the fences" in advised(found, "relevance is 0 everywhere").finding
        assert advised(labels_only(skewed()), "relevance") is None
        half = np.where(RNG.random(1000) < 0.8, 5.0, even())
        assert "half of the values are equal" in advised(labels_only(half), "relevance is 0").finding


class TestCeilings:
    @pytest.mark.parametrize(("sign", "end"), [(1, "high"), (-1, "low")])
    def test_censoring_at_an_end(self, sign, end):
        y = sign * np.minimum(skewed(), 30.0)
        found = labels_only(y)
        (spike,) = found.spikes
        assert (spike.value, spike.where, spike.rows) == (sign * 30.0, end, int((y == sign * 30.0).sum()))
        assert spike.share == pytest.approx(spike.rows / 1000)
        advice = advised(found, "far more than the neighbouring values")
        assert "censoring" in advice.action
        side = "above" if end == "high" else "below"
        assert advice.commands[0].endswith(f"--censored-{side} {sign * 30}")

    def test_a_placeholder_inside(self):
        found = labels_only(np.where(RNG.random(1000) < 0.05, 50.0, even()))
        (spike,) = found.spikes
        assert (spike.value, spike.where) == (50.0, "inside")
        assert advised(found, "single values have many more rows") is not None

    @pytest.mark.parametrize(
        "y",
        [even(), RNG.poisson(20.0, 1000), RNG.geometric(0.1, 1000), RNG.integers(0, 2, 1000), np.round(even(300))],
        ids=["continuous", "poisson", "geometric", "two values", "rounded"],
    )
    def test_no_spike_where_the_neighbours_are_as_high(self, y):
        found = labels_only(y)
        assert found.spikes == ()
        assert advised(found, "far more than the neighbouring values") is None

    @pytest.mark.parametrize("step", [0.5, 1.0, 25.0, 1000.0, 2e-9])
    def test_rounding(self, step):
        rounding = labels_only(step * RNG.integers(3, 90, 1000)).rounding
        assert rounding.step == pytest.approx(step)
        assert rounding.share == 1

    def test_most_values_rounded(self):
        y = np.where(RNG.random(1000) < 0.9, 10.0 * RNG.integers(1, 60, 1000), RNG.uniform(0.0, 600.0, 1000))
        rounding = labels_only(y).rounding
        assert rounding.step == 10
        assert rounding.share == pytest.approx(0.9, abs=0.03)

    def test_heaps_at_round_values_are_rounding(self):
        rng = np.random.default_rng(0)
        true = 40 + rng.gamma(4, 60, 1500)
        y = np.where(rng.random(1500) < 0.9, 25 * np.round(true / 25), true.round(1))
        found = labels_only(y)
        assert len(found.spikes) >= 5
        assert (found.rounding.step, found.rounding.share) == (25, pytest.approx(0.9, abs=0.03))
        assert advised(found, "single values have many more rows") is None
        assert "--bin-width 25" in advised(found, "are multiples of 25, but the bins are").commands[0]
        few = np.where(rng.random(1500) < 0.2, rng.choice([100.0, 150.0, 200.0], 1500), true)  # placeholders
        assert labels_only(few).rounding is None
        assert advised(labels_only(few), "single values have many more rows") is not None

    @pytest.mark.parametrize("y", [even(), skewed(), even() * 1e9, np.round(skewed() * 1e6)])
    def test_no_rounding_that_matters(self, y):
        assert labels_only(y).rounding is None

    def test_bins_narrower_than_the_rounding(self):
        y = 10.0 * RNG.integers(0, 15, 1000)
        told = advised(labels_only(y), "are multiples of 10, but the bins are 1 wide")
        assert "--bin-width 10" in told.commands[0]
        again = labels_only(y, bin_width=10.0)
        assert advised(again, "multiples of") is None
        assert again.density.empty == ()


class TestColumns:
    def test_repeated_and_contradicting_rows(self):
        frame = table(even(500))
        twice = pd.concat([frame, frame.head(40), frame.tail(3).assign(y=lambda f: f["y"] + 1)], ignore_index=True)
        found = diagnose(twice, "y", quick_model=False)
        assert (found.duplicates.repeated, found.duplicates.contradicting) == (40, 6)
        assert advised(found, "40 rows (7.4%) repeat an earlier one") is not None
        calm = diagnose(frame, "y", quick_model=False)
        assert (calm.duplicates.repeated, calm.duplicates.contradicting) == (0, 0)
        assert advised(calm, "repeat") is None

    def test_features_that_cannot_tell_rows_apart(self):
        frame = pd.DataFrame({"city": RNG.choice(["oslo", "lima"], 200), "y": even(200)})
        assert diagnose(frame, "y", quick_model=False).duplicates.contradicting == 200

    def test_leakage(self):
        y = even()
        frame = table(y, monotone=np.exp(y / 20), fold=np.abs(y - 50), bent=np.where(y > 50, 150 - y, y))
        found = diagnose(frame, "y", quick_model=False)
        assert [suspect.column for suspect in found.columns.suspects] == ["monotone", "bent"]
        monotone, bent = found.columns.suspects
        assert monotone.measure == "rank correlation"
        assert monotone.value > 0.999
        assert bent.measure == "R² of a small tree"
        told = advised(found, "one column alone predicts")
        assert told is found.advice[0]
        assert told.commands[0].endswith("--drop monotone --drop bent")

    def test_a_good_column_is_no_leak(self):
        y = even()
        frame = table(y, good=y + RNG.normal(scale=6.0, size=1000), year=np.where(RNG.random(1000) < 0.1, np.nan, 1.0))
        found = diagnose(frame, "y", quick_model=False)
        assert abs(np.corrcoef(frame["good"], y)[0, 1]) > 0.97
        assert found.columns.suspects == ()
        assert advised(found, "one column alone") is None

    def test_few_rows_do_not_make_a_leak(self):
        noise = {f"n{i}": RNG.normal(size=30) for i in range(60)}
        assert diagnose(table(even(30), **noise), "y", quick_model=False).columns.suspects == ()

    def test_identifiers_and_constants(self):
        n = 300
        frame = table(
            even(n),
            row=np.arange(n)[::-1] + 7,
            house_id=RNG.permutation(10**6)[:n],
            people=RNG.permutation(10**6)[:n],
            same=1,
            empty=np.nan,
            often=np.where(np.arange(n) % 2, 3.0, np.nan),
            name=[f"house {i}" for i in range(n)],
        )
        columns = diagnose(frame, "y", quick_model=False).columns
        assert columns.identifiers == ("row", "house_id")
        assert columns.constant == ("same", "empty")
        assert list(columns.unused) == ["name"]
        assert columns.kinds == {"numeric": 8}
        told = advised(diagnose(frame, "y", quick_model=False), "cannot help")
        assert shlex.split(told.commands[0])[5:] == [
            word for name in ("same", "empty", "row", "house_id") for word in ("--drop", name)
        ]
        assert advised(labels_only(even()), "cannot help") is None


class TestQuickModel:
    def test_a_wide_table_may_have_many_categories(self):
        frame = pd.DataFrame(RNG.normal(size=(400, 210))).rename(columns=str)
        frame["kind"] = RNG.choice([f"k{number}" for number in range(150)], 400)
        frame["y"] = np.exp(frame["0"])
        (overall, *_) = diagnose(frame, "y").model.errors
        assert overall.n == 400
        assert overall.r2 > 0

    def test_where_it_hurts(self):
        found = diagnose(table(skewed(3000)), "y")
        many, few = found.model.of("many"), found.model.of("few")
        assert few.mae > 2 * many.mae
        assert found.model.of("few").bias < 0
        contrast = found.model.contrast
        assert (contrast.rare, contrast.crowd) == ("few", "many")
        assert contrast.ratio == pytest.approx(few.mae / many.mae)
        assert 1 < contrast.low < contrast.ratio < contrast.high
        told = advised(found, "few-shot errors (")
        assert f"{contrast.ratio:.1f} times" in told.finding
        assert "too low" in told.finding
        assert [shlex.split(c)[2:] for c in told.commands] == [["data.csv", "--target", "y"]]

    def test_weights_are_tried(self):
        found = diagnose(table(skewed(3000)), "y")
        trial = found.model.trial
        assert (trial.method, trial.rare) == ("sqinv+lds", "few")
        assert trial.low < trial.change < trial.high
        assert trial.overall_low < trial.overall < trial.overall_high
        told = advised(found, "tried on the quick model")
        assert f"by {trial.change:+.0f} %" in told.finding
        for high in (-1.0, 1.0):
            one = replace(found, model=replace(found.model, trial=replace(trial, high=high)))
            (advice,) = weights_tried(one, Commands.of("data.csv", "y", {}))
            methods = [shlex.split(command)[6] for command in advice.commands]
            assert methods == (["vanilla", "sqinv+lds"] if high < 0 else [])

    def test_regions_make_up_all_rows(self):
        model = diagnose(table(skewed(3000)), "y").model
        over_all = model.of("all")
        parts = [model.of(region) for region in ("many", "medium", "few")]
        assert sum(part.n for part in parts) == over_all.n == 3000
        for measure in ("mae", "bias"):
            total = sum(part.n * getattr(part, measure) for part in parts)
            assert total / 3000 == pytest.approx(getattr(over_all, measure), abs=1e-9)

    def test_both_ends(self):
        model = diagnose(table(RNG.standard_t(3.0, 3000) * 10), "y").model
        low, high = model.of("few, low end"), model.of("few, high end")
        assert low.bias > 0 > high.bias
        assert low.n + high.n == model.of("few").n

    def test_predictions_are_out_of_fold(self):
        frame = pd.DataFrame(RNG.normal(size=(400, 20)), columns=list("abcdefghijklmnopqrst")).assign(z=even(400))
        found = diagnose(frame, "z")
        assert found.model.of("all").r2 < 0.05
        assert advised(found, "hardly predict") is not None
        assert advised(diagnose(table(even()), "y"), "hardly predict") is None

    def test_groups_stay_whole(self):
        house = np.repeat(np.arange(60), 10)
        y = RNG.uniform(0.0, 100.0, 60)[house] + RNG.normal(size=600)
        frame = pd.DataFrame({"a": RNG.permutation(60)[house] * 1.0, "house": house, "y": y})
        assert diagnose(frame.drop(columns="house"), "y").model.of("all").r2 > 0.8
        found = diagnose(frame, "y", group="house")
        assert found.model.of("all").r2 < 0.2
        assert found.columns.unused == {"house": "group"}
        assert all("--group house" in command for advice in found.advice for command in advice.commands)

    def test_fewer_groups_than_folds(self):
        frame = table(even(300)).assign(site=np.arange(300) % 3)
        assert diagnose(frame, "y", group="site").model.folds == 3

    def test_no_harm_is_said(self):
        y = np.concatenate([10 + RNG.uniform(-5, 5, 2000), 60 + RNG.uniform(-5, 5, 40)])
        found = diagnose(pd.DataFrame({"kind": ["crowd"] * 2000 + ["rare"] * 40, "noise": even(2040), "y": y}), "y")
        assert found.model.contrast.low < 1
        told = advised(found, "without a clear effect")
        assert [shlex.split(command)[2:] for command in told.commands] == [["data.csv", "--target", "y"]]

    def test_too_few_rare_rows_to_tell(self):
        found = diagnose(table(np.concatenate([even(400), [300.0, 400.0, 500.0]])), "y")
        assert found.model.contrast is None
        assert "not measured" in advised(found, "the target is imbalanced").reason

    def test_at_most_so_many_rows(self):
        found = diagnose(table(skewed(MOST_MODEL_ROWS + 500)), "y")
        assert found.model.rows == found.model.of("all").n == MOST_MODEL_ROWS
        assert any("20,000 of the 20,500 rows" in note for note in found.notes)

    def test_repeatable(self):
        frame = table(skewed(500))
        assert diagnose(frame, "y", seed=3) == diagnose(frame, "y", seed=3)
        assert diagnose(frame, "y", seed=3).model != diagnose(frame, "y", seed=4).model


class TestAdvice:
    def test_a_balanced_target(self):
        found = diagnose(table(even()), "y")
        told = advised(found, "nearly balanced")
        assert "hardly help" in told.action
        assert not any("sqinv" in command for advice in found.advice for command in advice.commands)
        assert advised(diagnose(table(skewed()), "y"), "nearly balanced") is None

    def test_heavy_weights(self):
        found = labels_only(skewed(5000))
        assert f"{found.weighting('inv').largest:,.0f} times" in advised(found, "plain inverse weights").finding
        assert advised(labels_only(even()), "plain inverse weights") is None

    def test_smoothing_that_undoes_the_weights(self):
        y = RNG.choice(11, 5000, p=np.array([1, 2, 5, 20, 60, 100, 60, 20, 5, 2, 1]) / 276)
        found = labels_only(y, bin_width=2.0)
        assert found.weighting("sqinv").share < 0.9 <= found.weighting("sqinv+lds").share
        assert _method(found) == "sqinv"

    def test_empty_ranges(self):
        y = np.concatenate([even(2000) * 0.6, 90 + RNG.uniform(0.0, 10.0, 200)])
        told = advised(labels_only(y), "range has no row")
        assert re.search(r"is 60 to 90$", told.finding)
        low, high = (float(end) for end in shlex.split(told.commands[0])[-1].split(","))
        assert 10 < ((y >= low) & (y < high)).sum() < 0.2 * y.size
        assert advised(labels_only(even()), "range has no row") is None

    def test_heavy_tails(self):
        y = RNG.lognormal(0.0, 1.5, 3000)
        told = advised(labels_only(y), "very heavy tails")
        assert "log(y)" in told.action
        assert shlex.split(told.commands[0])[-2:] == ["--transform", "log"]
        width = float(shlex.split(told.commands[1])[-1])
        again = labels_only(y, bin_width=width)
        assert max(again.density.counts) < max(labels_only(y).density.counts)
        assert "log(" not in advised(labels_only(y - 1), "very heavy tails").action
        assert advised(labels_only(even()), "heavy tails") is None

    def test_few_different_values(self):
        assert "classification" in advised(labels_only(RNG.integers(0, 2, 400)), "only 2 different values").action
        assert advised(labels_only(RNG.integers(0, 40, 400)), "different values") is None

    def test_commands_keep_the_choices(self):
        frame = table(skewed(), **{"odd name": 1.0}, code=RNG.integers(0, 4, 1000))
        choices = {"bin_width": 5.0, "shots": (40, 4), "drop": ["odd name"], "nominal": ["code"], "seed": 7}
        found = diagnose(frame, "y", quick_model=False, data="my data.csv", **choices)
        command = advised(found, "the target is imbalanced").commands[0]
        assert shlex.split(command) == [
            *("tailwise", "train", "my data.csv", "--target", "y", "--drop", "odd name", "--nominal", "code"),
            *("--bin-width", "5.0", "--shots", "40,4", "--seed", "7"),
        ]


class TestChoices:
    def test_held_out_rows_are_not_looked_at(self):
        frame = table(even(400)).assign(split=np.where(np.arange(400) % 4, "train", "test"))
        frame.loc[frame["split"] == "test", "y"] += 1000
        found = diagnose(frame, "y", quick_model=False)
        assert found.target.rows == 300
        assert found.target.high < 100
        assert found.columns.unused == {"split": "split"}
        assert any("300 rows" in note for note in found.notes)
        assert diagnose(frame, "y", quick_model=False, drop=["split"]).target.rows == 400

    def test_nothing_is_changed(self):
        frame = table(skewed(200))
        before = frame.copy()
        diagnose(frame, "y")
        pd.testing.assert_frame_equal(frame, before)

    @pytest.mark.parametrize("scale", [1e-9, 1e9, -1.0])
    def test_units_do_not_matter(self, scale):
        y = skewed(600)
        one, other = (diagnose(table(y).assign(x=y**0.5, y=y * s), "y", n_bins=20) for s in (1.0, scale))
        assert sorted(other.density.counts) == sorted(one.density.counts)
        assert other.model.contrast.ratio == pytest.approx(one.model.contrast.ratio, rel=0.5)
        assert abs(other.target.skew) == pytest.approx(one.target.skew)

    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param(lambda: table(even(60), empty=np.nan), id="empty column"),
            pytest.param(
                lambda: pd.DataFrame(
                    {"a": RNG.choice(["u", None], 60), "b": RNG.choice(list("pqr"), 60), "y": even(60)}
                ),
                id="nominal only",
            ),
            pytest.param(lambda: table(RNG.integers(0, 2, 60)), id="two values"),
            pytest.param(lambda: table((np.arange(31) == 3) * 1.0), id="one rare row"),
            pytest.param(lambda: pd.DataFrame({"same": 1, "y": even(60)}), id="constant only"),
            pytest.param(
                lambda: table(even(60), day=pd.date_range("2020-01-01", periods=60).strftime("%Y-%m-%d")), id="dates"
            ),
            pytest.param(
                lambda: pd.DataFrame(RNG.normal(size=(60, 500))).assign(y=even(60)), id="wide", marks=pytest.mark.slow
            ),
        ],
    )
    def test_odd_tables_are_diagnosed(self, frame):
        found = diagnose(frame(), "y")
        saved = found.to_json()
        assert json.loads(json.dumps(saved, allow_nan=False)) == saved
        assert found.advice

    def test_bins_of_columns_are_found_once(self, monkeypatch):
        from sklearn.ensemble._hist_gradient_boosting import binning

        def slow(*_, **__):
            raise AssertionError("quantiles of each column, fold and weighting: a minute for 3,000 columns")

        monkeypatch.setattr(binning, "_weighted_percentile", slow)
        y = skewed(700)
        found = diagnose(table(y, x=np.log(y) + RNG.normal(0, 0.05, 700)), "y")
        assert found.model.trial is not None
        assert found.error("all").r2 > 0.8

    def test_a_table_of_images_and_texts_alone(self):
        frame = pd.DataFrame({"photo": [f"{i}.png" for i in range(200)], "y": skewed(200)})
        frame = frame.assign(words=[f"number {i} of many" for i in range(200)])
        found = diagnose(frame, "y", image=["photo"], text=["words"], data="photos.csv")
        assert found.model is None
        assert found.columns.kinds == {"image": 1, "text": 1}
        assert found.duplicates.repeated == found.duplicates.contradicting == 0
        assert "only images and texts vary, which the quick model cannot use" in " ".join(found.notes)
        commands = [line for advice in found.advice for line in advice.commands]
        assert commands
        assert all("--image photo --text words" in line for line in commands)
        with pytest.raises(InputError, match="named with `image`, `text` or `signal`"):
            diagnose(frame, "y")
        twice = diagnose(pd.concat([frame, frame]), "y", image=["photo"], drop=["words"])
        assert twice.duplicates.repeated == 200

    def test_columns_that_may_be_images_texts_or_signals_are_named(self):
        rows = range(300)
        frame = table(RNG.normal(size=300), face=[f"{i}.JPG" for i in rows], ecg=[f"{i}.npy" for i in rows])
        frame = frame.assign(said=[f"I said {i}" for i in rows], key=[f"k{i}" for i in rows])
        told = " ".join(diagnose(frame, "y", quick_model=False).notes)
        for words in ("pass `image` face", "pass `signal` ecg", "'said' holds texts: to train on them, pass `text`"):
            assert words in told
        assert "'key'" not in told
        found = diagnose(frame[["y", "face", "noise"]], "y", image=["face"])
        assert "the quick model ignores images and uses only the other columns" in found.notes
        assert advised(found, "hardly predict the target") is None
        assert advised(diagnose(frame[["y", "noise"]], "y"), "hardly predict the target") is not None

    @pytest.mark.parametrize(
        ("change", "choices", "message"),
        [
            (lambda f: f[:1], {}, "1 row with a target; at least 30"),
            (lambda f: f[:29], {}, "29 rows with a target; at least 30"),
            (lambda f: f[:0], {}, "0 rows and 3 columns"),
            (lambda f: f[["y"]], {}, "at least one feature"),
            (lambda f: f.assign(y=2.0), {}, "is constant"),
            (lambda f: f.assign(y="dear"), {}, "must be numeric"),
            (lambda f: f.assign(y=f["y"].mask(f.index == 4)), {}, "1 empty cell in the target; drop them with"),
            (lambda f: f.assign(y=f["y"].mask(f.index == 4, np.inf)), {}, "1 infinite cell, the first in row 5"),
            (lambda f: f.assign(y=f["y"] * 1e-15), {}, "standard deviation"),
            (lambda f: f.rename(columns={"y": "yy"}), {}, "did you mean 'yy'?"),
            (lambda f: f, {"bin_width": 1.0, "n_bins": 5}, "not both"),
            (lambda f: f, {"bin_width": -1.0}, "width must be"),
            (lambda f: f, {"shots": (5, 20)}, "few <= many"),
            (lambda f: f, {"drop": ["nose"]}, "did you mean 'noise'?"),
            (lambda f: f, {"group": "y"}, "which is the target"),
            (lambda f: f.assign(g=1), {"group": "g"}, "has one group"),
            (lambda f: f, {"seed": -1}, "`seed` must be"),
        ],
    )
    def test_refused(self, change, choices, message):
        with pytest.raises(InputError, match=re.escape(message)):
            diagnose(change(table(even(60))), "y", **choices)


@pytest.fixture
def command():
    """The command line."""
    return lambda *arguments: main.run([str(argument) for argument in arguments])


@pytest.fixture
def toy_folder(tmp_path, monkeypatch, toy):
    toy.to_csv(tmp_path / "toy.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestCommand:
    def test_a_target_named_like_markup(self, command, toy_folder, capsys):
        pd.read_csv("toy.csv").rename(columns={"price": "price [/b]"}).to_csv("odd.csv", index=False)
        assert command("diagnose", "odd.csv", "-t", "price [/b]") == 0
        assert "price [/b]" in capsys.readouterr().out

    def test_summary_and_json(self, command, toy_folder, capsys):
        assert command("diagnose", "toy.csv", "-t", "price", "-o", "d.json") == 0
        shown = capsys.readouterr().out
        saved = json.loads((toy_folder / "d.json").read_text())
        assert saved["data"]["name"] == "toy.csv"
        assert len(saved["data"]["sha256"]) == 64
        assert saved == {"data": saved["data"], **diagnose(pd.read_csv("toy.csv"), "price", data="toy.csv").to_json()}
        for word in ("price of toy.csv", "M many", "regions", "few", "sqinv+lds", "relevance", "what to do", "d.json"):
            assert word in shown
        for advice in saved["advice"]:
            assert all(f"   {line}\n" in shown for line in advice["commands"])
        long = [line for line in shown.splitlines() if len(line) > 80 and not line.startswith("   tailwise ")]
        assert long == []

    def test_no_model(self, command, toy_folder, capsys):
        assert command("diagnose", "toy.csv", "-t", "price", "--no-model", "-o", "d.json") == 0
        assert json.loads((toy_folder / "d.json").read_text())["model"] is None
        assert "R²" not in capsys.readouterr().out

    @pytest.mark.parametrize("plain", [False, True])
    def test_the_chart_says_regions_without_colour(self, plain):
        from tailwise.cli.show_diagnosis import chart

        density = labels_only(np.concatenate([skewed(3000), [900.0]]), n_bins=60).density
        lines = [line.plain for line in chart(density, plain=plain)]
        (letters,) = [line for line in lines if line.lstrip().startswith("region ")]
        expected = "".join({"many": "M", "medium": "m", "few": "f", "zero": "."}[name] for name in density.bin_regions)
        assert letters.split()[1] == expected
        bars = [line[9:] for line in lines[:8]]
        heights = [sum(row[b : b + 1] not in " ─-" for row in bars) for b in range(60)]
        assert heights[int(np.argmax(density.counts))] == 8
        assert all((height > 0) == (count > 0) for height, count in zip(heights, density.counts, strict=True))
        assert max(map(len, lines)) <= 80
        assert "".join(lines).isascii() == plain

    def test_many_bins_are_put_together(self):
        from tailwise.cli.show_diagnosis import chart

        lines = [line.plain for line in chart(labels_only(skewed(3000), n_bins=300).density)]
        assert max(map(len, lines)) <= 80
        assert any("the mean of 5 bins" in line for line in lines)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nothing.csv", "-t", "price"], "no file 'nothing.csv'"),
            (["toy.csv", "-t", "pric"], "did you mean 'price'?"),
            (["toy.csv"], "Missing option '--target'"),
            (["toy.csv", "-t", "price", "-o", "d.txt"], "--out must name a .json file"),
            (["toy.csv", "-t", "price", "-o", "no/d.json"], "no folder 'no'"),
            (["toy.csv", "-t", "price", "--shots", "20"], "--shots takes MANY,FEW"),
            (["toy.csv", "-t", "price", "--bins", "0"], "n_bins"),
            (["toy.csv", "-t", "price", "--seed", "-1"], "seed must be"),
            (["toy.csv", "-t", "city"], "must be numeric"),
            ([".", "-t", "pric"], "did you mean 'price'?"),
        ],
    )
    def test_one_line_and_nothing_written(self, command, toy_folder, capsys, arguments, message):
        before = sorted(toy_folder.rglob("*"))
        assert command("diagnose", *arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("tailwise: ")
        assert message in line
        assert sorted(toy_folder.rglob("*")) == before

    def test_a_file_is_kept_unless_overwrite(self, command, toy_folder, capsys):
        (toy_folder / "d.json").write_text("mine")
        arguments = ("diagnose", "toy.csv", "-t", "price", "--no-model", "-o", "d.json")
        assert command(*arguments) == 2
        assert "pass --overwrite" in capsys.readouterr().err
        assert (toy_folder / "d.json").read_text() == "mine"
        assert command(*arguments, "--overwrite") == 0
        assert json.loads((toy_folder / "d.json").read_text())["target"]["name"] == "price"

    @pytest.mark.slow
    def test_every_command_of_the_advice_works(self, command, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        gap = np.concatenate([np.exp(RNG.normal(size=600)) * 20, 900 + even(30)])
        tables = {"tail.csv": table(gap, same=1.0, copy=gap), "flat.csv": table(even(300))}
        lines = []
        for name, frame in tables.items():
            frame.to_csv(name, index=False)
            found = diagnose(frame, "y", data=name, drop_missing_target=True)
            lines += [line for advice in found.advice for line in advice.commands]
        frame = table(skewed(1500))
        frame.to_csv("skew.csv", index=False)
        found = diagnose(frame, "y")
        gained = replace(found, model=replace(found.model, trial=replace(found.model.trial, high=-1.0)))  # as if
        lines += [
            line for advice in weights_tried(gained, Commands.of("skew.csv", "y", {})) for line in advice.commands
        ]
        for words in ("vanilla", "--against", "--mask-target", "--bin-width", "--drop", "sera.points="):
            assert any(words in line for line in lines), words
        for i, line in enumerate(dict.fromkeys(lines)):
            program, *arguments = shlex.split(line)
            assert program == "tailwise"
            if arguments[0] == "train":
                arguments += ["--epochs", "1", "--device", "cpu"]
                arguments += [] if "--out" in arguments else ["--out", f"run{i}"]
            assert command(*arguments) == 0, line

    @pytest.mark.slow
    def test_without_torch(self, toy_folder):
        script = (
            "import sys, typer\n"
            "from tailwise.cli import main\n"
            "from tailwise.cli.diagnose import diagnose\n"
            "main.app = typer.Typer()\n"
            "main.app.command()(diagnose)\n"
            "assert main.run(['toy.csv', '-t', 'price', '-o', 'd.json']) == 0\n"
            "assert not {'torch', 'accelerate', 'matplotlib'} & set(sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (toy_folder / "d.json").exists()


class TestRealTables:
    @pytest.mark.slow
    def test_kc_house(self, shared_table):
        found = diagnose(pd.read_csv(shared_table("kc_house")), "price")
        assert found.target.rows == 21_613
        assert found.target.skew > 3
        assert found.relevance.low_rows == 0 < found.relevance.high_rows
        assert found.columns.suspects == found.columns.constant == found.columns.identifiers == ()
        assert found.model.of("all").r2 > 0.85
        assert found.model.contrast.low > 3
        assert found.model.of("few, high end").bias < 0 < found.model.of("few, low end").bias
        assert "log(price)" in advised(found, "very heavy tails").action
        assert advised(found, "few-shot errors (") is found.advice[0]

    def test_abalone(self, shared_table):
        found = diagnose(pd.read_csv(shared_table("abalone")), "Rings")
        assert found.density.edges[0] == 0.5
        assert len(found.density.counts) == 29
        assert found.rounding.step == 1
        assert [(run.low, run.high) for run in found.density.empty] == [(27.5, 28.5)]
        assert found.columns.kinds == {"nominal": 1, "numeric": 7}
        assert 0.45 < found.model.of("all").r2 < 0.65
        assert found.model.contrast.low > 2
        assert advised(found, "very heavy tails") is None

    def test_a_hidden_copy_is_found(self, shared_table):
        frame = pd.read_csv(shared_table("abalone"))
        found = diagnose(frame.assign(Age=frame["Rings"] + 1.5), "Rings", quick_model=False)
        assert [suspect.column for suspect in found.columns.suspects] == ["Age"]
