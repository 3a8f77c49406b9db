import io
import json
import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tailwise import InputError
from tailwise.cli import show_progress
from tailwise.cli.main import run
from tailwise.cli.settings import repeat_options
from tailwise.compare.cell import Cell
from tailwise.compare.compared_scores import HEADINGS, SCORES, WHERE
from tailwise.compare.comparison import compare_grid
from tailwise.compare.comparison_folder import open_comparison, write_comparison
from tailwise.compare.conclusions import conclusions, of_tables
from tailwise.compare.entries import entries_of
from tailwise.compare.grid import run_grid
from tailwise.compare.open_questions import open_questions
from tailwise.compare.paired import compare_paired
from tailwise.compare.plan import plan_cells
from tailwise.compare.predictions import Predictions
from tailwise.compare.presets import PRESETS
from tailwise.compare.progress import GridProgress
from tailwise.compare.ranks import rank_methods
from tailwise.compare.shares import shares_tested
from tailwise.compare.sweep import sweep_of
from tailwise.experiment.prepare import prepare
from tailwise.experiment.spec import Experiment
from tailwise.labels.bins import Bins
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.paired_bootstrap import paired_bootstrap
from tailwise.report.compare_charts import heat_chart, trade_chart
from tailwise.report.compare_page import compare_page
from tailwise.report.critical import critical_chart, critical_text
from tailwise.report.drawing import drawing
from tailwise.report.point_labels import place_labels
from tailwise.training.recipe import Recipe

ROWS = {"train": 800, "val": 100, "test": 100}
TESTED = {
    "all": 0.15,
    "come": 0.12,
    "evenly": 0.25,
    "many": 0.1,
    "medium": 0.3,
    "few": 1 / 3,
}  # as the balanced split does
FAST = ["--seeds", "2", "--epochs", "1", "--set", "lds.sigma=1"]


def made_up(differences, tables=("t",), seeds=5):
    """Results of a grid whose errors are 10 and, of each other entry, 10 plus a difference plus some noise."""
    rng = np.random.default_rng(0)
    results = []
    for table in tables:
        for seed in range(seeds):
            base = 10 + rng.normal()
            for order, (method, difference) in enumerate({"vanilla": 0.0, **differences}.items()):
                error = base + difference + (rng.normal() / 10 if difference else 0)
                metrics = {r: {"mae": error, "bmae": error, "as_rows_come": error} for r in ("all", "many", "medium")}
                metrics["few"] = {"n": 0} if table == "rare" else {"mae": error}
                cell = Cell(table, f"{table}.csv", "y", Experiment(method, encoder="mlp"), seed, order=order)
                found = {"metrics": metrics, "rows": ROWS, "tested": TESTED, "seconds": 1.5}
                results.append((cell, found))
    return results


def kept(results, folder, shift=0.0):
    """The test rows of every cell, written beside it; of a split the same rows, whoever predicts them."""
    shots = Shots(Bins.from_edges([0, 1, 2, 3]), np.array([500, 50, 3]), many=100, few=20)
    for cell, _ in results:
        rng = np.random.default_rng(cell.seed)
        row = np.sort(rng.choice(300, 90, replace=False))
        target = np.random.default_rng(99).uniform(0, 3, 300)[row] + shift * cell.order
        better = -0.2 if cell.entry.method == "sqinv" else 0.0
        pred = target + 1 + better * target + 0.3 * np.random.default_rng(cell.order).normal(size=90)
        path = cell.predictions_file(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        Predictions.of(row, target, pred, shots).write(path)
    return results


def page_of(found, title):
    said = {"conclusions": conclusions(found, undecided=False), "of_tables": of_tables(found, undecided=False)}
    return compare_page(found, title, **said, scores=WHERE)


def svg_words(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


class TestRows:
    def test_the_interval_over_rows_is_that_of_the_cells_of_a_split_paired(self, tmp_path):
        results = kept(made_up({"sqinv": -5.0}, seeds=3), tmp_path)
        found = compare_grid(results, "mlp vanilla", folder=tmp_path).tables[0].rows
        cells = {(c.entry.method, c.seed): Predictions.read(c.predictions_file(tmp_path)) for c, _ in results}
        ours, base = ([cells[m, seed] for seed in range(3)] for m in ("sqinv", "vanilla"))
        few = [t.target > 2 for t in ours]
        expected = paired_bootstrap(
            *([np.abs(t.prediction - t.target)[f] for t, f in zip(side, few, strict=True)] for side in (ours, base)),
            rows=[t.row[f] for t, f in zip(ours, few, strict=True)],
            resamples=1000,
        )
        assert found["mlp sqinv", "few"].interval == expected
        assert expected.high < 0
        errors = [[np.mean([t.error[t.bin == b].mean() for b in range(3)]) for t in side] for side in (ours, base)]
        assert found["mlp sqinv", "evenly"].interval.value == pytest.approx(np.mean(errors[0]) - np.mean(errors[1]))
        shares = np.array([500, 50, 3]) / 553
        come = [
            np.mean([sum(s * t.error[t.bin == b].mean() for b, s in enumerate(shares)) for t in side])
            for side in (ours, base)
        ]
        assert found["mlp sqinv", "come"].interval.value == pytest.approx(come[0] - come[1])
        gain = (ours[0].error - base[0].error)[few[0]]
        assert found["mlp sqinv", "few"].variance[0, -1] == pytest.approx(gain.var(ddof=1) / gain.size)

    def test_rows_are_the_least_variance_of_a_verdict(self, tmp_path):
        results = kept(made_up({"sqinv": -5.0, "inv": 0.001}), tmp_path)
        alone, beside = compare_grid(results, "mlp vanilla"), compare_grid(results, "mlp vanilla", folder=tmp_path)
        for one, other in zip(alone.tables[0].compared, beside.tables[0].compared, strict=True):
            assert one.paired.differences == other.paired.differences
            assert one.paired.error <= other.paired.error
            assert one.paired.degrees <= other.paired.degrees
        assert any(one.paired.degrees > 4 for one in beside.tables[0].compared)
        told = {(o["method"], o["region"]): o for o in beside.to_json()["tables"][0]["compared"]}
        assert told["mlp sqinv", "few"]["rows"]["high"] < 0
        assert told["mlp sqinv", "few"]["wilcoxon_adjusted_p"] >= told["mlp sqinv", "few"]["wilcoxon_least"]
        assert alone.to_json()["tables"][0]["compared"][0]["rows"] is None

    def test_a_failed_cell_leaves_its_split_out(self, tmp_path):
        results = kept(made_up({"sqinv": -5.0}, seeds=3), tmp_path)
        results = [(c, {"error": "x"} if (c.entry.method, c.seed) == ("sqinv", 1) else r) for c, r in results]
        found = compare_grid(results, "mlp vanilla", folder=tmp_path).tables[0]
        rest = compare_grid([r for r in results if r[0].seed != 1], "mlp vanilla", folder=tmp_path).tables[0]
        assert found.rows == rest.rows
        assert found.n_failed == {"mlp sqinv": 1}
        assert {one.paired.n for one in found.compared} == {2}

    def test_other_rows_or_no_file_are_refused(self, tmp_path):
        results = kept(made_up({"sqinv": -5.0}, seeds=2), tmp_path, shift=0.001)
        with pytest.raises(InputError, match="of different rows; remove the file"):
            compare_grid(results, "mlp vanilla", folder=tmp_path)
        results[0][0].predictions_file(tmp_path).unlink()
        with pytest.raises(InputError, match="cannot be read"):
            compare_grid(results, "mlp vanilla", folder=tmp_path)


class TestShares:
    def test_each_score_has_the_correction_of_its_own_share(self):
        found = compare_grid(made_up({"sqinv": -0.05}), "mlp vanilla").tables[0]
        for one in found.compared:
            errors = (found.scores[name][one.region] for name in ("mlp sqinv", "mlp vanilla"))
            share = TESTED[one.region]
            assert one.paired.high == pytest.approx(compare_paired(*errors, n_train=1 - share, n_test=share).high)

    def test_shares_of_a_balanced_split_are_those_that_others_test_again(self):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"x": rng.normal(size=800), "y": 10 * rng.gamma(2, size=800)})
        tables = [prepare(frame, "y", seed=seed) for seed in range(30)]
        shares = [shares_tested(table) for table in tables]
        tested = np.array([table.part == "test" for table in tables])
        for code, name in enumerate(("all", *REGIONS[:3]), start=-1):
            again = []
            for table, own in zip(tables, tested, strict=True):
                here = own & ((code < 0) | (table.shots.codes(table.y) == code))
                again += [] if not here.any() else [((tested.sum(0) - own) / (len(tables) - 1))[here].mean()]
            assert np.mean([of[name] for of in shares if name in of]) == pytest.approx(np.mean(again), abs=0.03)
        assert tested.mean() < 0.13 < 0.16 < shares[0]["all"] < shares[0]["evenly"] < shares[0]["few"] <= 1 / 3

    def test_a_random_split_tests_the_same_share_of_all(self):
        frame = pd.DataFrame({"x": np.arange(400.0), "y": np.random.default_rng(0).gamma(2, size=400)})
        assert set(np.round(list(shares_tested(prepare(frame, "y", split="random")).values()), 9)) == {0.15}


class TestConclusions:
    def test_every_entry_has_one_sentence(self):
        found = compare_grid(made_up({"sqinv": -5.0, "inv": 5.0, "conr": 0.001, "fds": 0.001}), "mlp vanilla")
        better, worse, rest = conclusions(found)
        assert better.startswith("mlp sqinv is better as rows come (-")
        assert "where training rows are few (-" in better
        assert worse.startswith("mlp inv is worse as rows come (+")
        assert rest == "No difference from mlp vanilla in any region: mlp conr and mlp fds."

    def test_one_split_concludes_nothing_and_folds_of_one_seed_are_several(self):
        one = compare_grid(made_up({"sqinv": -5.0}, seeds=1), "mlp vanilla")
        assert conclusions(one) == ["One seed was run: nothing can be concluded. Use `seeds=5`."]
        folded = [(replace(c, seed=0, fold=c.seed, folds=5), r) for c, r in made_up({"sqinv": -5.0})]
        found = compare_grid(folded, "mlp vanilla")
        assert (found.seeds, found.splits) == (1, 5)
        assert conclusions(found)[0].startswith("mlp sqinv is better")

    def test_splits_that_repeat_each_other_are_inconclusive(self):
        found = compare_grid([(c, r) for c, r in made_up({"sqinv": 0.0}, seeds=3)], "mlp vanilla")
        assert conclusions(found) == ["No difference from mlp vanilla in any region: mlp sqinv."]
        results = made_up({"sqinv": -5.0}, seeds=1)
        copies = [(replace(c, seed=s), r) for s in range(3) for c, r in results]
        assert conclusions(compare_grid(copies, "mlp vanilla"))[0].startswith("Inconclusive against mlp vanilla")

    def test_several_tables_are_counted(self):
        tables = [f"t{i}" for i in range(8)]
        found = compare_grid(made_up({"sqinv": -5.0, "conr": 0.0}, tables=tables), "mlp vanilla")
        better, alike, *ranks = conclusions(found)
        assert better == (
            "mlp sqinv, of 8 tables: better as rows come on 8, where training rows are many on 8 and where "
            "training rows are few on 8."
        )
        assert alike == (
            "No difference from mlp vanilla on any table, as rows come, where training rows are many or where "
            "they are few: mlp conr."
        )
        assert ranks[1] == "Mean ranks where training rows are few differ: mlp sqinv is first (1.0)."
        other = {"sqinv": -5.0, "inv": 5.0}
        last = [conclusions(compare_grid(made_up(other, tables=tables[:n]), "mlp vanilla"))[-1] for n in (2, 3)]
        assert last[0] == "Mean ranks where training rows are few do not differ more than by chance."
        assert last[1].endswith("few differ: mlp sqinv is first (1.0), inconclusive against mlp vanilla.")
        copied = [
            (replace(c, seed=s), r) for s in range(3) for c, r in made_up({"fds": -5.0}, tables=("a", "b"), seeds=1)
        ]
        assert conclusions(compare_grid(copied, "mlp vanilla"))[0].startswith("Inconclusive against mlp vanilla")
        four = conclusions(compare_grid(made_up({"sqinv": -5.0, "conr": 0.0}, tables=tables[:4]), "mlp vanilla"))
        assert four[-1].endswith("few differ as a whole, but no two entries differ significantly.")


class TestCharts:
    def test_heat_has_the_numbers_and_the_verdicts(self):
        changes = {"mlp <a>": {"come": -30.0, "few": 0.3}, "b": {"come": 12.0, "many": -80.0}}
        svg = heat_chart(changes, {("mlp <a>", "come"): "better", ("b", "come"): "no difference"}, "base", list(WHERE))
        words = svg_words(svg)
        assert {"-30 %", "better", "0 %", "+12 %", "-80 %"} <= set(words)
        assert "no difference" not in words
        assert "mlp &lt;a&gt;" in words
        assert (
            'aria-label="Change against base in percent, below 0 is better: mlp &lt;a&gt; come -30 %, few 0 %;' in svg
        )

    def test_trade_off_has_the_sweep_as_its_backbone(self):
        powers = {f"p{power}": power for power in (0.5, 0.25, 1.0)}
        results = [
            (
                replace(
                    c,
                    entry=Experiment(
                        "reweight+lds", method_params={"reweight": {"power": powers[c.entry.method]}}, encoder="mlp"
                    ),
                )
                if c.entry.method in powers
                else c,
                r,
            )
            for c, r in made_up({"p0.5": -1.0, "p0.25": -0.5, "p1.0": 2.0, "conr": 1.0}, seeds=3)
        ]
        (table,) = compare_grid(results, "mlp vanilla").tables
        swept = [f"mlp reweight+lds (reweight.power={p})" for p in (0.25, 0.5, 1.0)]
        assert table.sweep == ("mlp vanilla", *swept)
        svg = trade_chart(table, "mlp vanilla")
        assert {"power of the weights, 0 to 1", "no other beats in both", "mlp conr"} <= set(svg_words(svg))
        assert compare_grid(made_up({"conr": 1.0}), "mlp vanilla").tables[0].sweep == ()

    @pytest.mark.parametrize("seed", range(3))
    def test_names_of_points_do_not_collide(self, seed):
        rng = np.random.default_rng(seed)
        points = {f"tabm-ple reweight+lds {i}": tuple(0.02 * rng.normal(size=2)) for i in range(12)}
        points |= {"far": (1.0, 0.0), "high": (0.0, 1.0)}

        def placed():
            with drawing("", 5.6, 4.2) as drawn:
                drawn.axes.scatter(*zip(*points.values(), strict=True))
                drawn.axes.margins(0.18)
                drawn.figure.draw_without_rendering()
                return place_labels(drawn.axes, points, ())

        boxes = placed()
        assert boxes == placed()
        for a, b in combinations(boxes.values(), 2):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]

    def test_critical_difference_in_words_and_pictures(self):
        tables = {f"t{i}": {"a": 1.0, "b": 2.0 + i % 2, "c": 2.0 + (i + 1) % 2, "d": 9.0} for i in range(20)}
        ranking = rank_methods(tables)
        assert ranking.groups == (("b", "c"),)
        said = critical_text(ranking)
        assert said == (
            "Mean ranks, 1 is best: a 1.00, b 2.50, c 2.50, d 4.00. No difference within: b, c. Critical difference 1."
        )
        svg = critical_chart(ranking)
        assert {"1", "4", "a (1.00)", "b (2.50)", "critical difference 1"} <= set(svg_words(svg))
        assert f'aria-label="{said}"' in svg
        assert svg.count("stroke-width: 4") == 1
        few = critical_chart(rank_methods({"t0": {"a": 1.0, "b": 2.0}, "t1": {"a": 1.0, "b": 2.0}}))
        assert any("longer than the line" in word for word in svg_words(few))


class TestProgress:
    CELLS = tuple(
        Cell("t", "t.csv", "y", Experiment(m, encoder="mlp"), seed) for seed in range(3) for m in ("vanilla", "inv")
    )

    def result(self, error, seconds=2.0):
        return {"metrics": {"all": {"as_rows_come": error, "bmae": error}}, "seconds": seconds}

    def test_means_failures_and_time_left(self):
        progress = GridProgress(self.CELLS, jobs=2)
        assert (show_progress.progress_line(progress), progress.seconds_left()) == ("0 of 6 trainings", None)
        progress.add(self.CELLS[0], self.result(1.0, 10.0))
        assert progress.seconds_left() == pytest.approx((2 * 10 + 3 * 10) / 2)
        progress.add(self.CELLS[1], {"error": "no"})
        progress.add(self.CELLS[2], self.result(3.0, 20.0))
        assert (progress.done, progress.failed, progress.total) == (3, 1, 6)
        assert show_progress.progress_line(progress) == "3 of 6 trainings, 1 failed, about 22 s left"
        console = Console(width=100, record=True, file=io.StringIO())
        console.print(show_progress.progress_table(progress))
        shown = console.export_text()
        assert re.search(r"mlp vanilla +2 +2 +- +- +- +2/3", shown)
        assert re.search(r"mlp inv +- +- +- +- +- +0/3 1 failed", shown)

    @pytest.mark.parametrize("terminal", [True, False])
    def test_a_terminal_has_a_table_and_others_lines(self, terminal, monkeypatch, tmp_path):
        path = tmp_path / "said"
        with path.open("w") as file:
            monkeypatch.setattr(show_progress, "err", Console(file=file, force_terminal=terminal, width=120))
            results = [self.result(1.0), {"error": "it broke [here]"}, self.result(3.0)]
            pairs = list(zip(self.CELLS[:3], results, strict=True))
            assert show_progress.follow(iter(pairs), self.CELLS, jobs=1, known=1) == pairs
        said = path.read_text()
        assert "1 of 6 trainings are there already" in said
        assert "failed: t, mlp inv, seed 0: it broke [here]" in said
        assert ("mean error so far" in said) == terminal
        assert (
            "t, mlp vanilla, seed 1: as rows come 3, evenly 3 (2.0 s); 3 of 6 trainings, 1 failed" in said
        ) != terminal
        assert "mlp vanilla, seed 0" not in said


class TestCompareGrid:
    def test_says_what_is_better_worse_and_the_same(self):
        found = compare_grid(made_up({"sqinv": -5.0, "inv": 5.0, "conr": 0.001}), "mlp vanilla")
        (table,) = found.tables
        verdicts = {one.method: one.verdict for one in table.compared if one.region == "few"}
        assert verdicts == {"mlp sqinv": "better", "mlp inv": "worse", "mlp conr": "no difference"}
        assert found.tallies()["few"]["mlp sqinv"].wins == 1
        assert table.on_front() == {"mlp vanilla": False, "mlp sqinv": True, "mlp inv": False, "mlp conr": False}
        assert table.seconds["mlp inv"] == pytest.approx(7.5)
        json.dumps(found.to_json())

    def test_what_could_not_be_decided_has_its_cost(self):
        found = compare_grid(made_up({"sqinv": -0.05}, seeds=3), "mlp vanilla")
        (question,) = open_questions(found.tables[0], "mlp vanilla")
        assert (question.method, question.verdict) == ("mlp sqinv", "better")
        assert question.seconds == pytest.approx((question.seeds - 3) * 3.0)
        page = page_of(found, "a page")
        section = page[page.index("<h2>What could not be decided") :]
        assert f"<code>--seeds {question.seeds}</code></td><td>{question.cost}</td>" in section
        assert any(f"`seeds={question.seeds}`" in line for line in conclusions(found))
        decided = page_of(compare_grid(made_up({"sqinv": -5.0}), "mlp vanilla"), "a page")
        assert "could not be decided" not in decided
        assert re.search(r'<span class="better">-\d+ % better</span>', decided)

    def test_a_region_without_rows_is_absent(self):
        found = compare_grid(made_up({"sqinv": -5.0}, tables=("rare",)), "mlp vanilla")
        assert found.tables[0].mean("mlp sqinv", "few") is None
        assert found.tables[0].on_front() == {}
        assert "few" not in [one.region for one in found.tables[0].compared if one.paired.percent is not None]
        assert "nan" not in page_of(found, "a page").lower()

    def test_an_entry_that_failed_is_left_out_with_the_reason(self):
        results = made_up({"sqinv": -5.0})
        results = [(c, {"error": "it broke"} if c.entry.method == "sqinv" else r) for c, r in results]
        (table,) = compare_grid(results, "mlp vanilla").tables
        assert list(table.scores) == ["mlp vanilla"]
        assert table.failed == {"mlp sqinv": "it broke"}
        assert table.n_failed == {"mlp sqinv": 5}
        with pytest.raises(InputError, match="'mlp sqinv' has no result on 't': it broke"):
            compare_grid(results, "mlp sqinv")

    def test_results_of_an_earlier_version_are_refused(self):
        old = [(c, {k: v for k, v in r.items() if k != "tested"}) for c, r in made_up({"sqinv": -5.0})]
        with pytest.raises(InputError, match="earlier version"):
            compare_grid(old, "mlp vanilla")

    def test_a_table_without_the_reference_is_left_out_with_the_reason(self):
        results = made_up({"sqinv": -5.0}, tables=("a", "b", "c"))
        failed = [
            (c, {"cell": {}, "error": "it diverged"} if (c.table, c.entry.method) == ("b", "vanilla") else r)
            for c, r in results
        ]
        found = compare_grid(failed, "mlp vanilla")
        assert [table.table for table in found.tables] == ["a", "c"]
        assert found.left_out == {"b": "the reference 'mlp vanilla' has no result on 'b': it diverged"}
        assert found.to_json()["left_out"] == found.left_out
        page = page_of(found, "t")
        assert "<strong>b</strong> is left out: the reference" in page
        assert "<h2>b: y</h2>" not in page

    def test_ranks_over_tables(self):
        results = made_up({"sqinv": -5.0, "inv": 5.0}, tables=[f"t{i}" for i in range(8)])
        found = compare_grid(results, "mlp vanilla")
        assert list(found.ranking["few"].mean_ranks) == ["mlp sqinv", "mlp vanilla", "mlp inv"]
        assert found.tallies()["come"]["mlp inv"].losses == 8
        assert found.changes()["mlp sqinv"]["few"] == pytest.approx(-50, abs=5)
        json.dumps(found.to_json())

    @pytest.mark.slow
    def test_a_table_without_an_entry_is_left_out_of_the_ranks(self):
        results = made_up({"sqinv": -5.0, "inv": 5.0}, tables=["a", "b", "c"], seeds=3)
        results = [(c, {"error": "x"} if (c.entry.method, c.table) == ("inv", "b") else r) for c, r in results]
        found = compare_grid(results, "mlp vanilla")
        assert (found.ranking["come"].tables, found.ranking["come"].left_out) == (("a", "c"), ("b",))
        page = page_of(found, "a page")
        assert "Over 3 tables" in page
        assert "Without b, where an entry has no result" in page
        assert "mlp inv, 3 trainings, left out: x" in page
        assert page.count("<svg") == 1 + 1 + 5 + 2 * 3
        assert page.index("Common against rare values") < page.index("Verdicts against") < page.index("<h2>")
        nowhere = [(c, {"error": "x"} if c.entry.method == "inv" else r) for c, r in results]
        assert list(compare_grid(nowhere, "mlp vanilla").ranking["come"].mean_ranks) == ["mlp sqinv", "mlp vanilla"]

    def test_one_seed_concludes_nothing(self):
        found = compare_grid(made_up({"sqinv": -5.0}, seeds=1), "mlp vanilla")
        assert {one.verdict for one in found.tables[0].compared} == {"inconclusive (one seed)"}
        assert "nothing can be concluded" in page_of(found, "a page")

    def test_the_page_is_the_same_each_time(self):
        found = compare_grid(made_up({"sqinv": -5.0, "inv": 5.0}), "mlp vanilla")
        page = page_of(found, "<title>")
        assert page == page_of(found, "<title>")
        assert "&lt;title&gt;" in page
        for line in conclusions(found, undecided=False):
            assert line in page
        assert "Total cost: 22 seconds of computing" in page
        for score in SCORES:
            assert HEADINGS[score] in page
        links = set(re.findall(r"https?://[a-z0-9.]+", page))
        assert links <= {"http://www.w3.org", "http://purl.org", "http://creativecommons.org"}  # names, not places


class TestEntries:
    def test_every_method_is_on_every_model(self):
        settings = {"lds": {"sigma": 1}, "text": {"frozen": True}}
        entries = entries_of(["vanilla", "sqinv+lds"], ["mlp", "linear"], settings=settings, recipe={"epochs": 3})
        assert [entry.name for entry in entries] == [
            "mlp vanilla", "mlp sqinv+lds (lds.sigma=1)", "linear vanilla", "linear sqinv+lds (lds.sigma=1)",
        ]  # fmt: skip
        assert [entry.recipe for entry in entries] == [Recipe(epochs=3)] * 2 + [Recipe()] * 2
        assert [dict(entry.params) for entry in entries[1:3]] == [{"text": {"frozen": True}}, {}]

    def test_a_sweep_has_each_entry_once(self):
        entries = entries_of(["vanilla"], ["tabm", "mlp"], sweep=True)
        assert [entry.name for entry in entries[2:]] == [
            "tabm reweight+lds (reweight.power=0.25)",
            "tabm sqinv+lds",
            "tabm reweight+lds (reweight.power=0.75)",
            "tabm inv+lds",
        ]
        twice = entries_of(["vanilla", "sqinv+lds"], ["tabm"], sweep=True)
        assert len({entry.name for entry in twice}) == len(twice) == 5
        assert sweep_of(entries) == ("tabm vanilla", *(entry.name for entry in entries[2:]))

    def test_mistakes_name_parameters(self):
        for methods, models, settings, said in (
            (["vanilla"], ["mlp"], {}, "give more with `method` or `model`"),
            (["vanilla", "inv"], ["mlpp"], {}, "`model` must be one of"),
            (["vanilla", "inv"], ["mlp"], {"conr": {"coef": 1}}, "`settings` names 'conr'"),
        ):
            with pytest.raises(InputError, match=said):
                entries_of(methods, models, settings=settings)


class TestPlan:
    def test_cells_of_a_split_come_together(self, toy_csv):
        entries = entries_of(["vanilla", "inv"], ["linear"])
        cells = plan_cells([(str(toy_csv), "price"), ("example:diabetes", "progression")], entries, seeds=2, rows=99)
        assert [(cell.seed, cell.table, cell.order) for cell in cells[:5]] == [
            (0, "toy", 0), (0, "toy", 1), (0, "diabetes", 0), (0, "diabetes", 1), (1, "toy", 0),
        ]  # fmt: skip
        assert {(cell.rows, len(cell.sha256)) for cell in cells} == {(99, 64)}
        folded = plan_cells([(str(toy_csv), "price")], entries, seeds=1, folds=3)
        assert [cell.fold for cell in folded] == [0, 0, 1, 1, 2, 2]

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"seeds": 0}, "`seeds` must be"),
            ({"folds": 1}, "`folds` must be"),
            ({"folds": 3, "choices": {"group": "city"}}, "`folds` and `group` cannot be used together"),
            ({"choices": {"bin_width": -1.0}}, "width must be"),
        ],
    )
    def test_mistakes_name_parameters(self, toy_csv, wrong, said):
        with pytest.raises(InputError, match=said):
            plan_cells([(str(toy_csv), "price")], entries_of(["vanilla", "inv"]), **wrong)

    def test_tables_of_one_name_are_refused(self, toy_csv):
        with pytest.raises(InputError, match="two tables are called 'toy'"):
            plan_cells([(str(toy_csv), "price"), ("elsewhere/toy.csv", "x")], entries_of(["vanilla", "inv"]))

    def test_trainings_that_cannot_run(self, tmp_path):
        with pytest.raises(InputError, match="`jobs` must be"):
            list(run_grid([], tmp_path, jobs=0))
        with pytest.raises(InputError, match="`backend` must be one of 'loky', 'dask', 'ray', got 'abacus'"):
            list(run_grid([], tmp_path, backend="abacus"))


class TestPython:
    @pytest.mark.slow
    def test_a_comparison_in_a_few_lines_is_that_of_the_command(self, toy_csv, tmp_path):
        words = ["compare", str(toy_csv), "-t", "price", "-m", "vanilla", "inv", "--model", "linear"]
        assert run([*words, "--seeds", "2", "-o", str(tmp_path / "command")]) == 0
        cells = plan_cells(
            [(str(toy_csv), "price")],
            entries_of(["vanilla", "inv"], ["linear"], lightgbm=True),
            seeds=2,
            rows=PRESETS["quick"].rows,
        )
        folder = open_comparison(tmp_path / "python")
        comparison = compare_grid(list(run_grid(cells, folder)), "linear vanilla", folder=folder)
        write_comparison(comparison, tmp_path / "python")
        assert comparison.title == "price of toy"
        saved = [json.loads((tmp_path / name / "comparison.json").read_text()) for name in ("command", "python")]
        for one in saved:
            del one["seconds"], one["tables"][0]["seconds"]
        assert saved[0] == saved[1]

    def test_the_title_names_the_target_that_all_tables_have(self):
        assert compare_grid(made_up({"inv": 1.0}, tables=("a", "b")), "mlp vanilla").title == "y of a, b"
        results = [(replace(c, target=f"y of {c.table}"), r) for c, r in made_up({"inv": 1.0}, tables=("a", "b"))]
        assert compare_grid(results, "mlp vanilla").title == "a, b"


class TestCommand:
    @pytest.mark.slow
    def test_compares_and_goes_on(self, toy_csv, tmp_path, capsys):
        out = tmp_path / "c"
        words = ["compare", str(toy_csv), "-t", "price", "-m", "vanilla", "sqinv+lds", "--model", "mlp", "linear"]
        assert run([*words, *FAST, "-o", str(out)]) == 0
        first = json.loads((out / "comparison.json").read_text())
        assert first["entries"][0] == first["reference"] == "mlp vanilla"
        assert first["entries"][-1] == "lightgbm vanilla"
        assert len(first["entries"]) == 5
        assert "mlp vanilla" in (out / "comparison.html").read_text()
        files = {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*.json")}
        assert len(files) == 10
        assert run([*words, *FAST, "--reference", "linear vanilla", "-o", str(out)]) == 0
        assert files == {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*.json")}
        second = json.loads((out / "comparison.json").read_text())
        assert second["reference"] == "linear vanilla"
        told = [one for one in second["tables"][0]["compared"] if one["n"]]
        assert [one["rows"]["value"] for one in told] == pytest.approx([one["difference"] for one in told])
        assert "10 of 10 trainings are there already" in capsys.readouterr().err

    @pytest.mark.slow
    def test_a_table_that_changed_is_trained_again(self, toy_csv, tmp_path):
        words = ["compare", str(toy_csv), "-t", "price", "-m", "vanilla", "inv", "--model", "linear", "--seeds", "1"]
        found = []
        for scale in (1, 10):
            frame = pd.read_csv(toy_csv)
            frame.assign(price=scale * frame["price"]).to_csv(toy_csv, index=False)
            assert run([*words, "-o", str(tmp_path / "c")]) == 0
            (table,) = json.loads((tmp_path / "c" / "comparison.json").read_text())["tables"]
            found.append(table["errors"]["linear vanilla"]["come"][0])
        assert found[1] == pytest.approx(10 * found[0], rel=1e-3)

    @pytest.mark.slow
    def test_folds_test_every_row_once(self, toy_csv, tmp_path):
        words = ["compare", str(toy_csv), "-t", "price", "-m", "vanilla", "inv", "--model", "linear"]
        assert run([*words, "--seeds", "1", "--folds", "4", "-o", str(tmp_path / "c")]) == 0
        cells = [json.loads(path.read_text()) for path in (tmp_path / "c" / "cells").rglob("*.json")]
        assert sum(c["rows"]["test"] for c in cells) == 3 * 400
        assert sorted(c["cell"]["fold"] for c in cells) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]

    def test_sweep_is_the_power_of_the_weights(self, toy_csv, tmp_path):
        words = [
            "compare",
            str(toy_csv),
            "-t",
            "price",
            "-m",
            "vanilla",
            "--model",
            "linear",
            "--sweep",
            "--seeds",
            "1",
        ]
        assert run([*words, "-o", str(tmp_path / "c")]) == 0
        entries = json.loads((tmp_path / "c" / "comparison.json").read_text())["entries"]
        assert entries[1:] == [
            "linear reweight+lds (reweight.power=0.25)",
            "linear sqinv+lds",
            "linear reweight+lds (reweight.power=0.75)",
            "linear inv+lds",
            "lightgbm vanilla",
        ]

    @pytest.mark.slow
    def test_a_part_that_does_not_fit_a_model_is_told_and_the_rest_goes_on(self, toy_csv, tmp_path, capsys):
        words = ["compare", str(toy_csv), "-t", "price", "-m", "vanilla", "conr", "--model", "linear", "mlp", *FAST[:4]]
        assert run([*words, "-o", str(tmp_path / "c")]) == 0
        said = " ".join(capsys.readouterr().err.split())
        assert "failed: toy, linear conr, seed 1: 'conr' acts in the training of a network" in said
        assert "note: 2 trainings of linear conr on toy failed and it is left out: 'conr' acts in" in said

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["-m", "vanilla", "--model", "lightgbm"], "nothing to be compared with"),
            (["-m", "vanilla", "sqinv+con"], "unknown method part 'con'"),
            (["--model", "mlpp"], "--model must be one of"),
            (["--preset", "fast"], "--preset must be one of"),
            (["--seeds", "0"], "--seeds must be"),
            (["--folds", "1"], "--folds must be"),
            (["--folds", "3", "--group", "city"], "--folds and --group"),
            (["--reference", "mlp sqinv"], "--reference must be one of"),
            (["--set", "conr.window=2"], "--set names 'conr', which is part of no method"),
            (["--jobs", "0"], "--jobs must be"),
            (["--backend", "lokky"], "--backend must be one of 'loky', 'dask', 'ray', got 'lokky'"),
            (["--backend", "multiprocessing"], "--backend must be one of"),
            (["--bin-width", "-1"], "width must be"),
            (["--drop", "no"], "--drop 'no' is not a column"),
            (["--drop", "no", "--folds", "3"], "--drop 'no' is not a column"),
        ],
    )
    def test_mistakes(self, options, said, toy_csv, tmp_path, capsys):
        assert run(["compare", str(toy_csv), "-t", "price", *options, "-o", str(tmp_path / "c")]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "c").exists()

    def test_mistakes_of_the_table(self, toy_csv, tmp_path, capsys):
        assert run(["compare", str(toy_csv), "-t", "pric", "--seeds", "1", "-o", str(tmp_path / "c")]) == 2
        assert "did you mean 'price'" in capsys.readouterr().err
        assert run(["compare", "no.csv", "-t", "price", "--seeds", "1", "-o", str(tmp_path / "d")]) == 2
        assert "no file 'no.csv'" in capsys.readouterr().err
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine.txt").write_text("mine")
        assert run(["compare", str(toy_csv), "-t", "price", "-o", str(tmp_path / "full")]) == 2
        assert "holds no comparison" in capsys.readouterr().err


def test_values_after_an_option_belong_to_it():
    assert repeat_options(["compare", "a.csv", "b.csv", "-t", "y", "--method", "x", "y", "z", "-o", "f"]) == [
        "compare", "a.csv", "b.csv", "-t", "y", "--method", "x", "--method", "y", "--method", "z", "-o", "f",
    ]  # fmt: skip


class TestTargetsOfTheirOwn:
    @pytest.mark.slow
    def test_each_table_has_its_own(self, toy_csv, tmp_path):
        other = tmp_path / "other.csv"
        pd.read_csv(toy_csv).rename(columns={"price": "cost"}).to_csv(other, index=False)
        where = ["--model", "linear", "lightgbm", "-m", "vanilla", "--out", str(tmp_path / "c")]
        assert run(["compare", f"{toy_csv}@price", f"{other}@cost", "--seeds", "2", *where]) == 0
        saved = json.loads((tmp_path / "c" / "comparison.json").read_text())
        assert [(table["table"], table["target"]) for table in saved["tables"]] == [("toy", "price"), ("other", "cost")]

    def test_a_table_without_any_is_refused(self, toy_csv, tmp_path, capsys):
        assert run(["compare", f"{toy_csv}@price", str(toy_csv), "--out", str(tmp_path / "c")]) == 2
        assert "has no target; give --target, or write" in capsys.readouterr().err
        assert not (tmp_path / "c").exists()
