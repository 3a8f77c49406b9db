"""Runs whose files were edited by hand, with a manifest that fits: one line that names the file and the field."""

import copy
import io
import json
import shutil
from zipfile import ZipFile

import pandas as pd
import pytest

from tailwise._checks import InputError
from tailwise._stored import Each, check_stored, read_stored, read_stored_lines
from tailwise.cli.main import run
from tailwise.experiment.model import FittedModel
from tailwise.runs.folder import finish_run

COMMANDS = {
    "linear": ["--model", "linear"],
    "network": ["--method", "mixture", "--epochs", "1"],
}
WRONG = ("x", None, [], {}, -1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from conftest import toy_frame

    folder = tmp_path_factory.mktemp("trained")
    toy_frame(150).to_csv(folder / "toy.csv", index=False)
    for name, words in COMMANDS.items():
        assert run(["train", str(folder / "toy.csv"), "-t", "price", *words, "-o", str(folder / name)]) == 0
    return folder


def fields(value, path=()):
    """Paths of all values inside a JSON value; of long lists the first two."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, one in inner:
        yield from fields(one, (*path, key))


def with_field(value, path, new):
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_field_of_a_model(trained, tmp_path, name):
    """An edited model is refused by name, or still predicts; nothing else is raised."""
    folder = shutil.copytree(trained / name / "model", tmp_path / "model")
    whole = json.loads((folder / "model.json").read_text())
    frame = pd.read_csv(trained / "toy.csv").head(3)
    refused = []
    for path in list(fields(whole))[1:]:
        for wrong in WRONG:
            (folder / "model.json").write_text(json.dumps(with_field(whole, path, wrong)))
            try:
                model = FittedModel.load(folder)
                model.predict(frame)
                model.predict(frame, balance=0.5)
                model.shots.names(model.predict(frame))
            except InputError as error:
                refused.append(str(error))
            except Exception as error:
                pytest.fail(f"{path} = {wrong!r}: {type(error).__name__}: {error}")
    assert len(refused) > 100
    assert not any("\n" in line for line in refused)


class TestCommands:
    @pytest.fixture
    def edited(self, trained, tmp_path):
        """A function that edits a file of a run, with its manifest."""

        def edit(file, content):
            folder = shutil.copytree(trained / "linear", tmp_path / "edited")
            (folder / file).write_bytes(content)
            finish_run(folder)
            return folder

        return edit

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"{", "it is not JSON"),
            (b"\xff\xfe", "it is not UTF-8"),
            (b"[" * 100_000, "nested too deeply"),
            (b"[1]", "must be an object"),
            (b'{"format": 2}', "model must be an object, got nothing"),
        ],
    )
    def test_predict(self, edited, trained, tmp_path, capsys, content, reason):
        folder = edited("model/model.json", content)
        assert run(["predict", str(folder), str(trained / "toy.csv"), "-o", str(tmp_path / "p.csv")]) == 2
        line = capsys.readouterr().err
        assert reason in line
        assert "model.json'" in line

    def test_arrays_without_their_content(self, edited, trained, tmp_path, capsys):
        content = io.BytesIO()
        with ZipFile(trained / "linear" / "model/preprocess.skops") as whole, ZipFile(content, "w") as cut:
            arrays = [name for name in whole.namelist() if name.endswith(".npy")]
            for name in whole.namelist():
                cut.writestr(name, b"" if name in arrays else whole.read(name))
        assert arrays
        folder = edited("model/preprocess.skops", content.getvalue())
        assert run(["predict", str(folder), str(trained / "toy.csv"), "-o", str(tmp_path / "p.csv")]) == 2
        assert "is not a complete model folder: No data left in file" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("file", "content", "reason"),
        [
            ("config.json", b"[]", "must be an object"),
            ("config.json", b"\xff", "it is not UTF-8"),
            ("config.json", b'{"format": "tailwise-run-1", "data": 3}', "data must be an object, got 3"),
            ("predictions.parquet", b"PAR1", "cannot be read"),
        ],
    )
    def test_against(self, edited, trained, tmp_path, capsys, file, content, reason):
        folder = edited(file, content)
        words = ["-t", "price", "--model", "linear", "-o", str(tmp_path / "new"), "--against", str(folder)]
        assert run(["train", str(trained / "toy.csv"), *words]) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert reason in line
        assert file in line


class TestShapes:
    @pytest.mark.parametrize(
        ("value", "shape", "reason"),
        [
            ({"a": 1}, {"a": str}, "a must be text, got 1"),
            ({}, {"a": int}, "a must be a whole number, got nothing"),
            ({"a": {"b": True}}, {"a": Each(float)}, "a.b must be a finite number, got True"),
            ({"a": [1, "x"]}, {"a": [float]}, r"a\[1\] must be a finite number, got 'x'"),
            ({"a": float("nan")}, {"a": float}, "a must be a finite number, got nan"),
            ({"a": {"b": 1}}, {"a": (None, {"b": str})}, "a.b must be text, got 1"),
            ({"a": 3}, {"a": (None, {"b": str})}, "a must be null or an object, got 3"),
            ([], dict, "the file must be an object"),
        ],
    )
    def test_misfits(self, tmp_path, value, shape, reason):
        with pytest.raises(InputError, match=reason):
            check_stored(value, shape, tmp_path)

    def test_fits(self, tmp_path):
        check_stored(
            {"a": None, "b": 2, "c": [{"d": 1.5}]},
            {"a": (None, int), "b": float, "c": [{"d": float}], "e?": int},
            tmp_path,
        )

    def test_files(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read: No such file"):
            read_stored(tmp_path / "a.json")
        (tmp_path / "h.jsonl").write_text('{"a": 1}\n{"a": "x"}\n')
        with pytest.raises(InputError, match=r"line 2\.a must be a whole number"):
            read_stored_lines(tmp_path / "h.jsonl", {"a": int})
