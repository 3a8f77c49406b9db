"""A first session: names of run folders, mistyped columns, completion of columns and parameters."""

from pathlib import Path

import pandas as pd
import pytest

from tailwise import InputError
from tailwise.cli.main import app, run
from tailwise.data.header import header
from tailwise.runs.numbered import claimed, last_folder, next_folder, run_name

LINEAR = ["--target", "price", "--method", "vanilla", "--model", "linear"]


class TestNamesOfRuns:
    @pytest.mark.parametrize(
        ("targets", "name"),
        [
            (["price"], "price"),
            (["Preis in €/m²"], "Preis-in-m²"),
            (["../../etc"], "etc"),
            (["größe"], "größe"),
            (["%"], "run"),
            (["pitch", "yaw"], "pitch-yaw"),
            (["a", "b", "c"], "a-b-and-1-more"),
            (["x" * 300], "x" * 60),
        ],
    )
    def test_of_targets(self, targets, name):
        assert run_name(targets) == name

    def test_the_next_comes_after_the_last(self, tmp_path):
        root = tmp_path / "runs"
        assert (next_folder(root, "price"), last_folder(root, "price")) == (root / "price", root / "price")
        for name in ("price", "price-3", "prices-9", "price-b", "price-07"):
            (root / name).mkdir(parents=True)
        assert (next_folder(root, "price"), last_folder(root, "price")) == (root / "price-4", root / "price-3")
        assert next_folder(root, "prices") == root / "prices-10"

    def test_two_processes_at_once_get_two_folders(self, tmp_path, monkeypatch):
        import tailwise.runs.numbered as numbered

        real, taken = numbered.locked_run, []

        def raced(folder, **options):
            if not taken:  # another process was faster
                taken.append(folder)
                folder.mkdir(parents=True)
                raise InputError("is being written by another process")
            return real(folder, **options)

        monkeypatch.setattr(numbered, "locked_run", raced)
        with claimed(tmp_path, "price") as folder:
            assert (taken, folder) == ([tmp_path / "price"], tmp_path / "price-2")

    def test_a_folder_that_cannot_be_written_is_an_error(self, tmp_path):
        (tmp_path / "runs").write_text("")
        with pytest.raises(InputError), claimed(tmp_path / "runs", "price"):
            pass

    def test_train_counts_and_overwrites_the_last(self, toy_csv, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        for _ in range(2):
            assert run(["train", str(toy_csv), *LINEAR]) == 0
        assert sorted(path.name for path in Path("runs").iterdir()) == ["price", "price-2"]
        assert f"report: {Path('runs/price-2/report.html')}" in capsys.readouterr().out
        before = {name: Path("runs", name, "manifest.json").stat().st_mtime_ns for name in ("price", "price-2")}
        assert run(["train", str(toy_csv), *LINEAR, "--seed", "1", "--overwrite"]) == 0
        after = {name: Path("runs", name, "manifest.json").stat().st_mtime_ns for name in ("price", "price-2")}
        assert (before["price"] == after["price"], before["price-2"] < after["price-2"]) == (True, True)
        assert run(["train", str(toy_csv), *LINEAR, "--resume"]) == 2
        assert "price-2" in capsys.readouterr().err

    def test_a_training_that_is_refused_takes_no_number(self, toy_csv, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert run(["train", str(toy_csv), *LINEAR, "--group", "nothing"]) == 2
        assert not Path("runs").exists()


class TestMistypedTargets:
    def test_come_before_a_finished_run_in_the_folder(self, toy_csv, tmp_path, capsys):
        out = tmp_path / "run"
        assert run(["train", str(toy_csv), *LINEAR, "--out", str(out)]) == 0
        capsys.readouterr()
        assert run(["train", str(toy_csv), "--target", "prise", "--out", str(out)]) == 2
        error = capsys.readouterr().err
        assert "'prise' is not a column of the table; did you mean 'price'?" in error
        assert "finished" not in error


class TestHeader:
    FRAME = pd.DataFrame({"a b": [1, 2], "price": [3.0, 4.0]})

    @pytest.mark.parametrize(
        ("name", "write"),
        [
            ("t.csv", lambda frame, path: frame.to_csv(path, index=False)),
            ("t.csv.gz", lambda frame, path: frame.to_csv(path, index=False)),
            ("semicolons.csv", lambda frame, path: frame.to_csv(path, index=False, sep=";")),
            ("t.tsv", lambda frame, path: frame.to_csv(path, index=False, sep="\t")),
            ("t.jsonl", lambda frame, path: frame.to_json(path, orient="records", lines=True)),
            ("t.parquet", lambda frame, path: frame.to_parquet(path)),
            ("t.feather", lambda frame, path: frame.to_feather(path)),
            ("t.xlsx", lambda frame, path: frame.to_excel(path, index=False)),
        ],
    )
    def test_of_each_kind_of_file(self, tmp_path, name, write):
        write(self.FRAME, tmp_path / name)
        assert header(str(tmp_path / name)) == ["a b", "price"]

    def test_of_an_index_a_folder_and_an_example(self, tmp_path):
        self.FRAME.set_index("a b").to_parquet(tmp_path / "t.parquet")
        assert header(str(tmp_path / "t.parquet")) == header(str(tmp_path)) == ["a b", "price"]
        assert "progression" in header("example:diabetes")

    def test_json_lines_may_each_have_names(self, tmp_path):
        path = tmp_path / "t.jsonl"
        path.write_text('{"a": 1}\n\n{"b": 2}\n')
        assert (header(str(path)), header(str(path), lines=1)) == (["a", "b"], ["a"])

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("t.csv", b"", "it is empty"),
            ("t.csv", b"a,a\n1,2\n", "several columns named 'a'"),
            ("t.csv", b"\xff\xfe,b\n", "not UTF-8"),
            ("t.parquet", b"no", "cannot be read as a table"),
            ("t.jsonl", b"no\n", "cannot be read as a table"),
            ("t.txt", b"", "is not a table"),
        ],
    )
    def test_mistakes(self, tmp_path, name, content, said):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=said):
            header(str(tmp_path / name))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("completed") / "houses.csv"
    path.write_text("area,age,town,price\n1,2,a,3\n")
    return path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("train houses.csv --target p", ["price"]),
        ("train houses.csv --target price --drop ", ["area", "age", "town"]),
        ("train houses.csv --drop area --drop a", ["age"]),
        ("train houses.csv --epochs 3 --weight a", ["area", "age"]),
        ("train houses.csv --missing t", ["town="]),
        ("train houses.csv --image t", ["town"]),
        ("predict runs/price houses.csv --keep t", ["town"]),
        ("compare houses.csv@p", ["houses.csv@price"]),
        ("compare houses.csv@price --group t", ["town"]),
        ("train absent.csv --target p", []),
        ("train houses.csv --method sqinv+conr --set c", ["conr."]),
        ("train houses.csv --set conr.w", ["conr.window="]),
        ("train houses.csv --set encoder.wid", ["encoder.widths=", "encoder.width="]),
        ("train houses.csv --model lightgbm --set model.num", ["model.num_leaves="]),
        ("train houses.csv --set nothing.", []),
    ],
)
def test_completion(table, words, offered, monkeypatch, capsys):
    words = f"tailwise {words}"
    monkeypatch.chdir(table.parent)
    monkeypatch.setenv("_TAILWISE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit):
        app(prog_name="tailwise")
    assert capsys.readouterr().out.split() == offered
