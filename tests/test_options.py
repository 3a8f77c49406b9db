import inspect
import json
from pathlib import Path

import pytest
import typer

import tailwise
from tailwise import InputError
from tailwise.cli import options
from tailwise.cli.completion import complete_choice, complete_data, complete_method, complete_part, complete_protocol
from tailwise.cli.main import app, run
from tailwise.cli.settings import parse_targets, parse_within
from tailwise.cli.table_choices import TableOptions, table_choices
from tailwise.data.splits import SPLITS
from tailwise.experiment.prepare import prepare

CLI = Path(tailwise.__file__).parent / "cli"
MAIN = ("train", "diagnose", "compare", "tune", "predict", "evaluate")
# Their help depends on the command.
DIFFERENT = {
    *("--out", "--set", "--method", "--model", "--encoder", "--epochs", "--seeds", "--target", "--data", "--within"),
}


def options_of(name):
    """Options of a command by flag."""
    command = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]
    return {flag: option for option in command.params for flag in option.opts if flag.startswith("--")}


class TestOptions:
    def test_an_option_is_the_same_in_every_command(self):
        seen = {}
        for name in (*MAIN, "bench run"):
            for flag, option in options_of(name).items():
                looks = (option.help, option.metavar, option.opts, option.multiple, option.rich_help_panel)
                assert flag in DIFFERENT or seen.setdefault(flag, looks) == looks, (name, flag)
        assert {"--bin-width", "--drop", "--seed", "--jobs"} <= set(seen)

    @pytest.mark.parametrize("name", MAIN)
    def test_every_option_is_in_a_panel(self, name):
        assert [flag for flag, option in options_of(name).items() if option.rich_help_panel is None] == []

    def test_no_option_is_declared_and_unused(self):
        source = "".join(file.read_text() for file in CLI.glob("*.py") if file.name != "options.py")
        declared = [name for name, value in vars(options).items() if getattr(value, "__metadata__", None)]
        assert "BinWidth" in declared
        assert [name for name in declared if f"options.{name}" not in source] == []

    def test_choices_of_the_split_are_those_of_the_library(self):
        assert options_of("train")["--split"].metavar == "|".join(SPLITS)

    def test_a_command_is_short(self):
        lengths = {file.name: len(file.read_text().splitlines()) for file in CLI.glob("*.py")}
        assert {name for name, length in lengths.items() if length >= 200} <= {"train.py", "options.py"}


class TestTableChoices:
    def test_are_keywords_of_prepare(self, toy):
        choices = table_choices(bin_width=None, bins=12, shots="40,5", split="random", drop=["x2"], nominal=None)
        assert choices == {
            "bin_width": None,
            "n_bins": 12,
            "shots": (40.0, 5.0),
            "split": "random",
            "drop": ["x2"],
            "nominal": [],
        }
        task = prepare(toy, "price", **choices)
        assert (task.shots.many, task.shots.few, task.split) == (40.0, 5.0, "random")
        assert table_choices(mask_target=["30,40"]) == {"mask_target": [(30.0, 40.0)]}

    def test_every_option_of_a_table_is_a_keyword(self):
        every = dict.fromkeys(inspect.get_annotations(TableOptions))
        assert len(every) == 25
        assert set(table_choices(**every)) <= set(inspect.signature(prepare).parameters)

    @pytest.mark.slow
    def test_of_a_run_are_in_its_settings(self, toy_csv, tmp_path):
        words = ["train", str(toy_csv), "-t", "price", "-m", "vanilla", "--model", "linear", "--drop", "x2"]
        assert run([*words, "--bins", "12", "-o", str(tmp_path / "r")]) == 0
        saved = json.loads((tmp_path / "r" / "config.json").read_text())["table"]
        every = table_choices(**dict.fromkeys(inspect.get_annotations(TableOptions)))
        assert saved == {
            **every,
            "n_bins": 12,
            "drop": ["x2"],
            "split": "auto",
            "drop_missing_target": False,
            "seed": 0,
            "image": [],
            "text": [],
            "text_pair": None,
            "signal": [],
        }

    def test_mistakes(self):
        with pytest.raises(InputError, match="--shots takes MANY,FEW"):
            table_choices(shots="100")
        with pytest.raises(InputError, match="--mask-target takes LOW,HIGH"):
            table_choices(mask_target=["a,b"])


class TestText:
    def test_targets(self, tmp_path):
        with_at = tmp_path / "mail@home.csv"
        with_at.write_text("a,b\n")
        assert parse_targets([str(with_at), "b.csv@y"], "x") == [(str(with_at), "x"), ("b.csv", "y")]
        with pytest.raises(InputError, match=r"'c.csv' has no target; give --target, or write c.csv@TARGET"):
            parse_targets(["c.csv"], None)

    @pytest.mark.parametrize("text", ["2 percent", "2%%", "", "%"])
    def test_no_fraction(self, text):
        with pytest.raises(InputError, match="--within takes a fraction"):
            parse_within(text)


def test_completion():
    assert complete_choice(["bmae", "mae"])("b") == ["bmae"]
    assert "example:airports" in complete_data("example:a")
    assert complete_part("rank") == ["ranksim"]
    assert complete_protocol("agedb") == ["agedb-dir"]
    assert "auto" in complete_method("au")
    assert complete_method("sqinv+au") == []
