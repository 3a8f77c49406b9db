import json
import shutil

import pytest

from tailwise.bench.protocols import PROTOCOLS
from tailwise.cli.flags import with_flags
from tailwise.cli.main import run

TINY = ["--seeds", "2", "--epochs", "1", "--set", "encoder.widths=[8]"]


@pytest.fixture(scope="module")
def uci(tmp_path_factory):
    """A folder with toy data of uci-dir, prepared, and results of the plain network."""
    folder = tmp_path_factory.mktemp("uci")
    assert run(["bench", "toy", "uci-dir", str(folder / "data")]) == 0
    assert run(["bench", "prepare", "uci-dir", "--data", str(folder / "data"), "--out", str(folder / "prepared")]) == 0
    words = ["bench", "run", "uci-dir", "--data", str(folder / "prepared"), "--out", str(folder / "results")]
    assert run([*words, "-m", "vanilla", *TINY]) == 0
    return folder


def refused(capsys, *arguments):
    """Run, expect exit status 2 and one line on stderr, and return the line."""
    capsys.readouterr()
    assert run([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    return line


class TestList:
    def test_names_every_protocol(self, capsys):
        assert run(["bench", "list"]) == 0
        shown = capsys.readouterr().out
        assert all(name in shown for name in PROTOCOLS)

    @pytest.mark.parametrize("name", PROTOCOLS)
    def test_shows_everything_of_one(self, capsys, name):
        assert run(["bench", "list", name]) == 0
        shown = capsys.readouterr().out
        protocol = PROTOCOLS[name]
        assert with_flags(protocol.layout) in shown
        assert all(with_flags(line) in shown for line in protocol.deviations)

    def test_an_unknown_name_is_answered_with_the_nearest(self, capsys):
        assert "did you mean 'agedb-dir'" in refused(capsys, "bench", "list", "agedb")


class TestToy:
    def test_says_what_comes_next(self, capsys, tmp_path):
        assert run(["bench", "toy", "shhs-dir", str(tmp_path / "t")]) == 0
        shown = capsys.readouterr().out
        assert "tailwise bench prepare shhs-dir --data" in shown
        assert "--set recipe.batch_size=32" in shown

    def test_a_folder_with_something_in_it_is_left_alone(self, capsys, tmp_path):
        (tmp_path / "mine.txt").write_text("x")
        assert "is not empty" in refused(capsys, "bench", "toy", "uci-dir", tmp_path)


class TestRun:
    def test_preparing_says_once_how_a_table_was_read(self, capsys, uci, tmp_path):
        data = shutil.copytree(uci / "data", tmp_path / "data")
        header, *lines = (data / "abalone.csv").read_text().splitlines()
        (data / "abalone.csv").write_text("\n".join([header, *(f"{line}," for line in lines)]))
        assert run(["bench", "prepare", "uci-dir", "--data", str(data), "--out", str(tmp_path / "prepared")]) == 0
        (note,) = capsys.readouterr().err.splitlines()
        assert note.startswith("note: abalone.csv: rows end in a stray ','")

    @pytest.mark.slow
    def test_says_once_what_is_no_input(self, capsys, uci, tmp_path):
        data, prepared = shutil.copytree(uci / "data", tmp_path / "data"), str(tmp_path / "prepared")
        header, *lines = (data / "abalone.csv").read_text().splitlines()
        (data / "abalone.csv").write_text("\n".join([f"{header},same", *(f"{line},1" for line in lines)]))
        assert run(["bench", "prepare", "uci-dir", "--data", str(data), "--out", prepared]) == 0
        words = ["bench", "run", "uci-dir", "--data", prepared, "--out", str(tmp_path / "results"), "-m", "vanilla"]
        assert run([*words, *TINY]) == 0
        notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
        assert notes == ["note: uci-dir-abalone: column 'same' is not an input: '1' in every training row"]

    def test_results_stand_beside_the_published_numbers(self, uci, capsys):
        capsys.readouterr()
        assert run(["bench", "table", str(uci / "results")]) == 0
        shown = capsys.readouterr().out
        assert "uci-dir/concrete: MAE" in shown
        assert "vanilla, 2 seeds" in shown
        assert "Vanilla [1]" in shown
        assert "splits and regions not known" in shown
        assert "not as the protocol has it: recipe.epochs=1, widths=[8]" in shown
        assert "Ordinal Entropy" not in shown
        assert run(["bench", "table", str(uci / "results"), "--all"]) == 0
        assert "Ordinal Entropy" in capsys.readouterr().out

    def test_as_markdown_and_as_plain_values(self, uci, capsys):
        capsys.readouterr()
        assert run(["bench", "table", str(uci / "results"), "--markdown"]) == 0
        shown = capsys.readouterr().out
        assert shown.count("| MAE | All | Many | Medium | Few |") == 4
        assert "| **vanilla, 2 seeds** |" in shown
        assert run(["bench", "table", str(uci / "results"), "--json"]) == 0
        plain = json.loads(capsys.readouterr().out)
        assert plain["protocol"] == "uci-dir"
        assert [table["benchmark"] for table in plain["tables"]] == [
            f"uci-dir/{name}" for name in ("airfoil", "abalone", "real_estate", "concrete")
        ]
        vanilla = plain["tables"][0]["methods"][0]
        cells = [
            json.loads(path.read_text())
            for path in (uci / "results" / "cells" / "uci-dir-airfoil").glob("*vanilla*.json")
        ]
        errors = [cell["metrics"]["all"]["mae"] for cell in cells]
        assert vanilla["scores"][0]["mean"] == pytest.approx(sum(errors) / 2)
        assert {one["inside_noise"] for one in vanilla["published"]} == {None}  # splits differ

    def test_goes_on_where_it_was_and_tells_what_failed(self, uci, capsys):
        files = {path: path.stat().st_mtime_ns for path in (uci / "results" / "cells").rglob("*.json")}
        assert len(files) == 8
        words = ["bench", "run", "uci-dir", "--data", str(uci / "prepared"), "--out", str(uci / "results")]
        capsys.readouterr()
        assert run([*words, "-m", "vanilla", "bni", *TINY, "--set", "bni.sigma=1e-30"]) == 0
        captured = capsys.readouterr()
        assert "8 of 16 trainings are there already" in captured.err
        assert "note: uci-dir/airfoil, bni (bni.sigma=1e-30) failed: bni: sigma must be at least" in captured.err
        assert "vanilla, 2 seeds" in captured.out
        assert all(path.stat().st_mtime_ns == before for path, before in files.items())
        assert run([*words, "-m", "vanilla", "--seeds", "1", "--epochs", "1", "--set", "encoder.widths=[8]"]) == 0
        assert "with one seed nothing can be concluded" in capsys.readouterr().err

    def test_nothing_finished_is_told_with_the_reason(self, uci, capsys, tmp_path):
        words = ["bench", "run", "uci-dir", "--data", str(uci / "prepared"), "--out", str(tmp_path / "out")]
        capsys.readouterr()
        assert run([*words, "-m", "bni", "--seeds", "1", "--set", "bni.sigma=1e-30"]) == 2
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert "tailwise: there is no finished training of uci-dir" in last
        assert "sigma must be at least" in last

    @pytest.mark.slow
    def test_a_small_training_is_told_and_settings_win(self, tmp_path, capsys):
        toy, prepared, out = (str(tmp_path / name) for name in ("toy", "prepared", "out"))
        assert run(["bench", "toy", "agedb-dir", toy]) == 0
        assert run(["bench", "prepare", "agedb-dir", "--data", toy, "--out", prepared]) == 0
        words = ["bench", "run", "agedb-dir", "--data", prepared, "--out", out, "-m", "vanilla", "--seeds", "1"]
        assert run([*words, "--small", "--epochs", "1", "--set", "image.encoder=cnn"]) == 0
        told = "image.crop=4, image.encoder=cnn, image.size=64, recipe.batch_size=64, recipe.epochs=1"
        assert f"not as the protocol has it: {told}" in " ".join(capsys.readouterr().out.split())

    def test_mistakes_are_told_before_anything_is_trained(self, uci, capsys, tmp_path):
        words = ("bench", "run", "uci-dir", "--data", uci / "prepared", "--out", tmp_path / "new")
        for extra, rule in (
            (("-m", "conrr"), "unknown method part 'conrr'"),
            (("--set", "conr.window=2"), "--set names 'conr', which is part of no method that is run"),
            (("--set", "recipe.speed=2"), "--set recipe.speed is not a setting of training"),
            (("--set", "recipe.lr=-2"), "lr must be"),
            (("--set", "image.size=32"), "--set image.size: uci-dir has no images"),
            (("--select", "test"), "is published with validation rows"),
            (("--select", "train"), "--select"),
            (("--seeds", "0"), "--seeds"),
            (("--small",), "uci-dir has no --small training; the benchmarks that have one: 'agedb-dir', "),
        ):
            assert rule in refused(capsys, *words, *extra)
        assert not (tmp_path / "new").exists()
        assert "was not prepared" in refused(
            capsys, "bench", "run", "uci-dir", "--data", uci / "data", "--out", tmp_path / "new"
        )

    def test_folders_of_something_else_are_left_alone(self, uci, capsys, tmp_path):
        (tmp_path / "mine.txt").write_text("x")
        words = ("bench", "run", "uci-dir", "--data", uci / "prepared", "--out")
        assert "holds no results of a benchmark" in refused(capsys, *words, tmp_path)
        assert "is a file" in refused(capsys, *words, tmp_path / "mine.txt")
        assert "holds no results of a benchmark" in refused(capsys, "bench", "table", tmp_path)
        (tmp_path / "bench.json").write_text('{"protocol": "agedb-dir", "tables": {}}')
        assert "holds results of 'agedb-dir'" in refused(capsys, *words, tmp_path)
        (tmp_path / "bench.json").write_text("{")
        assert "holds no results of a benchmark" in refused(capsys, "bench", "table", tmp_path)
        assert "leave one out" in refused(capsys, "bench", "table", uci / "results", "--json", "--markdown")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("agedb-dir", "sqinv+lds"),
        ("imdb-wiki-curated", "fds"),
        ("sts-b-dir", "inv+lds"),
        ("shhs-dir", "inv"),
        ("mpiigaze-dir", "vanilla"),
        ("nyud2-dir", "inv+lds"),
    ],
)
def test_the_whole_way_on_a_toy_copy(name, method, tmp_path, capsys):
    """From made-up data to a table, with the settings that `bench toy` proposes."""
    protocol, data, prepared, out = PROTOCOLS[name], *(str(tmp_path / part) for part in ("data", "prepared", "out"))
    assert run(["bench", "toy", name, data]) == 0
    assert run(["bench", "prepare", name, "--data", data, "--out", prepared]) == 0
    quick = [word for setting in protocol.quick for word in ("--set", setting)]
    words = ["bench", "run", name, "--data", prepared, "--out", out, "-m", method, "--seeds", "1", "--epochs", "1"]
    assert run([*words, *quick]) == 0, capsys.readouterr().err
    captured = capsys.readouterr()
    assert "failed" not in captured.err
    (first, *_) = sorted((tmp_path / "out" / "cells").rglob("*.json"))
    metrics = json.loads(first.read_text())["metrics"]
    assert metrics["all"]["n"] > 0
    assert set(protocol.regions) <= set(metrics)
    assert f"{method}, 1 seed" in captured.out
