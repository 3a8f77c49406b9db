import json

import numpy as np
import pandas as pd
import pytest

from tailwise import InputError
from tailwise.bench.comparison import SCORES, compare_grid
from tailwise.bench.grid import Cell, Entry
from tailwise.cli.compare import spread
from tailwise.cli.main import run
from tailwise.report.compare_page import compare_page

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
                metrics = {r: {"mae": error, "bmae": error} for r in ("all", "many", "medium")}
                metrics["few"] = {"n": 0} if table == "rare" else {"mae": error}
                cell = Cell(table, f"{table}.csv", "y", Entry(method), seed, order=order)
                found = {"metrics": metrics, "rows": {"train": 800, "val": 100, "test": 100}, "seconds": 1.5}
                results.append((cell, found))
    return results


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

    def test_a_region_without_rows_is_absent(self):
        found = compare_grid(made_up({"sqinv": -5.0}, tables=("rare",)), "mlp vanilla")
        assert found.tables[0].mean("mlp sqinv", "few") is None
        assert found.tables[0].on_front() == {}
        assert "few" not in [one.region for one in found.tables[0].compared if one.paired.percent is not None]
        assert "nan" not in compare_page(found, "a page").lower()

    def test_an_entry_that_failed_is_left_out_with_the_reason(self):
        results = made_up({"sqinv": -5.0})
        results = [(c, {"error": "it broke"} if c.entry.method == "sqinv" else r) for c, r in results]
        (table,) = compare_grid(results, "mlp vanilla").tables
        assert list(table.scores) == ["mlp vanilla"]
        assert table.failed == {"mlp sqinv": "it broke"}
        with pytest.raises(InputError, match="'mlp sqinv' has no result on 't': it broke"):
            compare_grid(results, "mlp sqinv")

    def test_ranks_over_tables(self):
        results = made_up({"sqinv": -5.0, "inv": 5.0}, tables=[f"t{i}" for i in range(8)])
        found = compare_grid(results, "mlp vanilla")
        assert list(found.ranking["few"].mean_ranks) == ["mlp sqinv", "mlp vanilla", "mlp inv"]
        assert found.tallies()["all"]["mlp inv"].losses == 8
        page = compare_page(found, "a page")
        assert "Over 8 tables" in page

    def test_one_seed_concludes_nothing(self):
        found = compare_grid(made_up({"sqinv": -5.0}, seeds=1), "mlp vanilla")
        assert {one.verdict for one in found.tables[0].compared} == {"cannot tell (one seed)"}
        assert "nothing can be concluded" in compare_page(found, "a page")

    def test_the_page_is_the_same_each_time(self):
        found = compare_grid(made_up({"sqinv": -5.0, "inv": 5.0}), "mlp vanilla")
        page = compare_page(found, "<title>")
        assert page == compare_page(found, "<title>")
        assert "&lt;title&gt;" in page
        assert "mlp sqinv is better than mlp vanilla where training rows are few" in page
        for score in SCORES:
            assert score.capitalize() in page
        assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
            "http://creativecommons.org", ""
        )


class TestCommand:
    def test_compares_and_goes_on(self, toy_csv, tmp_path, capsys):
        out = tmp_path / "c"
        words = ["compare", str(toy_csv), "-t", "price", "-m", "vanilla", "sqinv+lds", "--model", "mlp", "linear"]
        assert run([*words, *FAST, "-o", str(out)]) == 0
        first = json.loads((out / "comparison.json").read_text())
        assert first["entries"][0] == first["reference"] == "mlp vanilla"
        assert len(first["entries"]) == 4
        assert "mlp vanilla" in (out / "comparison.html").read_text()
        files = {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*.json")}
        assert len(files) == 8
        assert run([*words, *FAST, "--reference", "linear vanilla", "-o", str(out)]) == 0
        assert files == {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*.json")}
        assert json.loads((out / "comparison.json").read_text())["reference"] == "linear vanilla"

    def test_a_table_that_changed_is_trained_again(self, toy_csv, tmp_path):
        words = ["compare", str(toy_csv), "-t", "price", "-m", "vanilla", "inv", "--model", "linear", "--seeds", "1"]
        found = []
        for scale in (1, 10):
            frame = pd.read_csv(toy_csv)
            frame.assign(price=scale * frame["price"]).to_csv(toy_csv, index=False)
            assert run([*words, "-o", str(tmp_path / "c")]) == 0
            (table,) = json.loads((tmp_path / "c" / "comparison.json").read_text())["tables"]
            found.append(table["errors"]["linear vanilla"]["all"][0])
        assert found[1] == pytest.approx(10 * found[0], rel=1e-3)

    def test_folds_test_every_row_once(self, toy_csv, tmp_path):
        words = ["compare", str(toy_csv), "-t", "price", "-m", "vanilla", "inv", "--model", "linear"]
        assert run([*words, "--seeds", "1", "--folds", "4", "-o", str(tmp_path / "c")]) == 0
        cells = [json.loads(path.read_text()) for path in (tmp_path / "c" / "cells").rglob("*.json")]
        assert sum(c["rows"]["test"] for c in cells) == 2 * 400
        assert sorted(c["cell"]["fold"] for c in cells) == [0, 0, 1, 1, 2, 2, 3, 3]

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
        assert entries[1:] == [f"linear reweight+lds (reweight.power={p})" for p in (0.25, 0.5, 0.75, 1.0)]

    def test_a_part_that_does_not_fit_a_model_is_told_and_the_rest_goes_on(self, toy_csv, tmp_path, capsys):
        words = ["compare", str(toy_csv), "-t", "price", "-m", "vanilla", "conr", "--model", "linear", "mlp", *FAST[:4]]
        assert run([*words, "-o", str(tmp_path / "c")]) == 0
        assert "left out: toy, linear conr: 'conr' acts in the training of a network" in " ".join(
            capsys.readouterr().err.split()
        )

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["-m", "vanilla"], "nothing to be compared with"),
            (["-m", "vanilla", "sqinv+con"], "unknown method part 'con'"),
            (["--model", "mlpp"], "--model must be one of"),
            (["--preset", "fast"], "--preset must be one of"),
            (["--seeds", "0"], "--seeds must be"),
            (["--folds", "1"], "--folds must be"),
            (["--folds", "3", "--group", "city"], "--folds and --group"),
            (["--reference", "mlp sqinv"], "--reference must be one of"),
            (["--set", "conr.window=2"], "--set names 'conr', which is part of no method"),
            (["--jobs", "0"], "--jobs must be"),
        ],
    )
    def test_mistakes(self, options, said, toy_csv, tmp_path, capsys):
        assert run(["compare", str(toy_csv), "-t", "price", *options, "-o", str(tmp_path / "c")]) == 2
        assert said in " ".join(capsys.readouterr().err.split())

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
    assert spread(["compare", "a.csv", "b.csv", "-t", "y", "--method", "x", "y", "z", "-o", "f"]) == [
        "compare", "a.csv", "b.csv", "-t", "y", "--method", "x", "--method", "y", "--method", "z", "-o", "f",
    ]  # fmt: skip
