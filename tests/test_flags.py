"""Errors speak the reader's language: Python parameters in the library, options in the terminal."""

import ast
import re
from pathlib import Path

import pytest
import typer

import tailwise
from tailwise import ImbalancedRegressor
from tailwise._checks import InputError
from tailwise.cli.flags import FLAGS, with_flags
from tailwise.cli.main import app, run
from tailwise.methods.catalog import PARTS

SOURCE = Path(tailwise.__file__).parent
LIBRARY = sorted(file for file in SOURCE.rglob("*.py") if SOURCE / "cli" not in file.parents)
ROOMS = sorted({file.relative_to(SOURCE).parts[0] for file in LIBRARY})
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")

# Parameters that only Python has; a user of the command meets them, if at all, as quoted words.
PYTHON_ONLY = {
    "weight_decay": "of Recipe; the command has no option for it",
    "clip_norm": "of Recipe; the command has no option for it",
    "drop_missing": "of target_batches, which no command calls",
    "hurdle": "of estimators; the command has --set model.hurdle",
    "sample_weight": "of backends and estimators; the command has no option for it",
}
# Modules that put whole commands together, word by word, for the user to copy.
COMMANDS = {
    "diagnose/imbalance_advice.py",
    "diagnose/table_advice.py",
    "diagnose/value_advice.py",
    "experiment/commands.py",
    "search/train_command.py",
}
# Modules with help of the command's options.
HELP = {"modalities/image_modality.py", "modalities/signal_modality.py", "modalities/text_modality.py"}
OTHER_PROGRAMS = {"--shm-size", "broadcast_buffers"}


def texts(room):
    """Strings of a room with the file of each, commands to copy left out."""
    for file in LIBRARY:
        if file.relative_to(SOURCE).parts[0] == room:
            for text in strings(file):
                yield file.relative_to(SOURCE).as_posix(), re.sub(r"`tailwise [^`]*`", "", text)


def strings(file):
    """Every string of a module but its docstrings, with {} for the values of an f-string."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(piece.value) if isinstance(piece, ast.Constant) else "{}" for piece in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docstrings | inside):
            yield node.value


def options():
    """Every option of every command."""

    def of(command):
        for parameter in command.params:
            yield from (*parameter.opts, *parameter.secondary_opts)
        for child in getattr(command, "commands", {}).values():
            yield from of(child)

    return set(of(typer.main.get_command(app)))


class TestMapping:
    @pytest.mark.parametrize("parameter", FLAGS)
    def test_every_flag_is_an_option(self, parameter):
        assert FLAGS[parameter] in options()

    @pytest.mark.parametrize(
        ("message", "told"),
        [
            ("use a smaller `lr`", "use a smaller --lr"),
            ("give `bin_width` or `n_bins`, not both", "give --bin-width or --bins, not both"),
            ("pass `overwrite=True`", "pass --overwrite"),
            ("use `device='auto'`", "use --device auto"),
            ("use `seeds=5`.", "use --seeds 5."),
            ("`model.num_leaves=63` is unknown", "--set model.num_leaves=63 is unknown"),
            ("see `Bins.auto`", "see 'Bins.auto'"),
            ("run `tailwise bench list`", "run 'tailwise bench list'"),
            ("column 'a `lr`' and \"b's `lr`\" differ", "column 'a `lr`' and \"b's `lr`\" differ"),
            ("the labels' `lr` isn't a number", "the labels' --lr isn't a number"),
        ],
    )
    def test_what_the_terminal_says(self, message, told):
        assert with_flags(message) == told


class TestLibrary:
    @pytest.mark.parametrize("room", ROOMS)
    def test_names_no_flag(self, room):
        for file, text in texts(room):
            flags = set(FLAG.findall(text)) - OTHER_PROGRAMS
            assert not flags or file in HELP or (file in COMMANDS and text in flags), (file, text)

    @pytest.mark.parametrize("room", ROOMS)
    def test_parameters_in_backticks_are_known(self, room):
        of_parts = {name for part in PARTS.values() for name in part.parameters()}
        known = {*FLAGS, *PYTHON_ONLY, *of_parts, *OTHER_PROGRAMS}
        for file, text in texts(room):
            names = set(re.findall(r"(?<!`)`([A-Za-z_]\w*)(?:=[^`]*)?`(?!`)", text))
            assert names <= known, (file, text)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"bin_width": 1.0, "n_bins": 5},
            {"lr": -1.0},
            {"lr": 1e12},
            {"device": "abacus"},
            {"precision": "fp16", "device": "cpu"},
            {"encoder": "mlpp"},
            {"epochs": 0},
            {"nominal": ["nowhere"]},
            {"method": "bsam", "method_params": {"bsam": {"rho": -1}}},
        ],
        ids=str,
    )
    def test_a_user_of_estimators_reads_no_flag(self, toy, wrong):
        model = ImbalancedRegressor(**{"method": "sqinv+lds", "epochs": 1, "device": "cpu", **wrong})
        with pytest.raises(InputError) as error:
            model.fit(toy.drop(columns="price"), toy["price"])
        assert "--" not in str(error.value)


class TestTerminal:
    @pytest.mark.parametrize(
        ("arguments", "flags"),
        [
            (["train", "TOY", "-t", "price", "--bin-width", "1", "--bins", "5"], ["--bin-width", "--bins"]),
            (["train", "TOY", "-t", "price", "--lr", "-1"], ["--lr"]),
            (["train", "TOY", "-t", "price", "-m", "sqinv+lds", "--lr", "1e12", "--epochs", "2", "-o", "r"], ["--lr"]),
            (["train", "TOY", "-t", "price", "--split", "halves"], ["--split"]),
            (["train", "TOY", "-t", "price", "--split", "random", "--split-column", "new"], ["--split random"]),
            (["train", "TOY", "-t", "price", "--resume", "--overwrite"], ["--resume", "--overwrite"]),
            (["train", "TOY", "-t", "price", "--mask-target", "1e6,2e6"], ["--mask-target"]),
            (["train", "TOY", "-t", "price", "--image", "x1"], ["--image"]),
            (["diagnose", "TOY", "-t", "price", "--bin-width", "1", "--bins", "5"], ["--bin-width", "--bins"]),
            (["diagnose", "TOY", "-t", "price", "--drop", "nowhere"], ["--drop"]),
            (["compare", "TOY", "-t", "price", "--backend", "abacus"], ["--backend"]),
            (["tune", "TOY", "-t", "price", "--minimise", "rare"], ["--minimise"]),
            (["bench", "run", "agedb-dir", "--data", ".", "-o", "r"], []),
            (["predict", ".", "TOY", "-o", "p.csv"], []),
            (["serve", "--port", "1", "."], []),
        ],
        ids=str,
    )
    def test_flags_and_no_backticks(self, toy_csv, tmp_path, monkeypatch, capsys, arguments, flags):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("tailwise.serve.server.RunServer.server_bind", refuse)
        assert run([str(toy_csv) if word == "TOY" else word for word in arguments]) == 2
        line = capsys.readouterr().err
        assert "`" not in line
        assert all(flag in line for flag in flags)

    @pytest.mark.slow
    def test_notes_have_flags_too(self, toy, tmp_path, capsys):
        crowded = toy.assign(price=toy["price"].where(toy["price"] > 100, toy["price"] / 1000))
        crowded.to_csv(tmp_path / "toy.csv", index=False)
        words = ["-t", "price", "-m", "sqinv+lds", "--bins", "3", "--epochs", "1", "-o", str(tmp_path / "r")]
        assert run(["train", str(tmp_path / "toy.csv"), *words]) == 0
        errors = capsys.readouterr().err
        assert re.search(r"--bin-width [\d.e-]+ would tell", errors)
        assert "`" not in errors
        assert "--bin-width" in (tmp_path / "r" / "report.html").read_text()


def refuse(server):
    raise PermissionError
