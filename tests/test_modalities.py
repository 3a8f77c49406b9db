"""The list of modalities: light to import, and all that a new kind of column needs."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from media_tables import prepared, trained
from tailwise import InputError, TableModel
from tailwise.cli.media_options import with_media_options
from tailwise.data.cell_paths import FileError, cells, read_files
from tailwise.data.columns import Schema
from tailwise.diagnose import diagnose
from tailwise.diagnose.media import media_hints
from tailwise.experiment.prepare import prepare
from tailwise.modalities import kinds as catalog
from tailwise.modalities.media_inputs import input_name, kind_of_input
from tailwise.modalities.media_rows import media_columns
from tailwise.modalities.medium import FittedMedium
from tailwise.modalities.modality import ColumnOption, Modality, ends_in


class PointReader:
    """Lists of points ``(n, 3)`` as ``(most, 3)``, zeros after them."""

    def __init__(self, column, most):
        self.column, self.most = column, most

    @property
    def bytes_each(self):
        return 12 * self.most

    def read(self, frame):
        return self.decode(cells(frame, self.column))

    def decode(self, paths):
        values = np.zeros((len(paths), self.most, 3), np.float32)
        for row, points in enumerate(read_files(self.column, paths, read_points)):
            values[row, : len(points)] = points[: self.most]
        return values

    def save(self, folder):
        np.save(folder / "most.npy", self.most)
        return {"column": self.column}

    @classmethod
    def load(cls, folder, saved):
        return cls(saved["column"], int(np.load(folder / "most.npy")))


class PointNet(nn.Module):
    """A perceptron for each point, then the largest value over points."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width))
        self.register_buffer("scale", torch.ones(()))
        self.n_features = width

    def match_inputs(self, x):
        self.scale.copy_(x.std())

    def forward(self, x):
        return self.layers(x / self.scale).amax(1)


def read_points(path):
    points = np.load(path)
    if points.ndim != 2 or points.shape[1] != 3:
        raise FileError(f"points are (n, 3), but this has the shape {points.shape}")
    return points


def fit_points(columns, frame, params, device):
    most = max(len(points) for points in read_files(columns[0], cells(frame, columns[0]), read_points))
    reader, encoder = PointReader(columns[0], most), PointNet(params.get("width", 8))
    in_memory, description = params.get("in_memory"), {"width": encoder.n_features}
    return FittedMedium(reader, encoder, description, reader, in_memory, encoder.match_inputs)


def point_encoder_from(description):
    return PointNet(description["width"])


def check_points(column, frame):
    read_files(column, cells(frame, column), read_points)


POINTS = Modality(
    name="points",
    plural="point clouds",
    options=(ColumnOption("points", "Column that names NPY files of points."),),
    parameters=("width", "in_memory"),
    fit=f"{__name__}:fit_points",
    reader=f"{__name__}:PointReader.load",
    encoder=f"{__name__}:point_encoder_from",
    check=f"{__name__}:check_points",
    looks_like=ends_in((".pts",)),
)


@pytest.fixture
def listed(monkeypatch):
    """The list of modalities with one more entry."""
    monkeypatch.setattr(catalog, "MODALITIES", (*catalog.MODALITIES, POINTS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with ``index.csv`` and its clouds, which spread as far as their target says."""
    made = tmp_path_factory.mktemp("points")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        y = min(int(rng.exponential(3)), 9)
        with (made / f"{i}.pts").open("wb") as file:
            np.save(file, rng.normal(scale=y + 1.0, size=(20 + i % 3, 3)))
        rows.append((f"{i}.pts", rng.normal(), y))
    pd.DataFrame(rows, columns=["cloud", "x", "y"]).to_csv(made / "index.csv", index=False)
    return made


def point_table(folder, **choices):
    return prepared(folder, also=["cloud"], points=["cloud"], **choices)


@pytest.mark.usefixtures("listed")
class TestOneEntry:
    def test_trains_saves_loads_and_predicts(self, folder, tmp_path):
        table = point_table(folder)
        assert [(medium.kind, medium.columns) for medium in table.schema.media] == [("points", ("cloud",))]
        epochs, model = trained(table, "sqinv+lds", params={"points": {"width": 16}}, epochs=20, lr=1e-2)
        assert epochs[-1].validation["mae"] < 0.7 * epochs[0].validation["mae"]
        model.save(tmp_path)
        assert (tmp_path / "points0" / "most.npy").is_file()
        again = TableModel.load(tmp_path)
        assert np.array_equal(again.predict(table.rows), model.predict(table.rows))
        assert list(again.model.model.encoder.encoders) == ["points0", "table"]
        assert again.model.model.encoder.encoders["points0"].scale > 1

    @pytest.mark.parametrize("in_memory", [None, True, False])
    def test_in_memory_and_on_disk(self, folder, in_memory):
        table = point_table(folder)
        epochs, model = trained(table, params={"points": {"in_memory": in_memory}})
        scale = model.model.model.encoder.encoders["points0"].scale
        assert np.isfinite(epochs[0].validation["mae"])
        assert (scale == 1) == (in_memory is False)  # inputs that stay on disk are not read before training

    def test_mistakes(self, folder, tmp_path):
        with pytest.raises(InputError, match="points has no parameter 'widt'; did you mean 'width'"):
            trained(point_table(folder), params={"points": {"widt": 3}})
        with pytest.raises(InputError, match="parameters of points encoders must be a mapping"):
            trained(point_table(folder), params={"points": 3})
        with pytest.raises(InputError, match="no column is one of point clouds; use `points`"):
            trained(prepared(folder), params={"points": {"width": 3}})
        with pytest.raises(InputError, match="resampling and `model` are for tables alone, not for point clouds"):
            point_table(folder).training_features()
        frame = pd.read_csv(folder / "index.csv")
        np.save(tmp_path / "flat.npy", np.ones(3))
        frame.loc[3, "cloud"] = str(tmp_path / "flat.npy")
        with pytest.raises(InputError, match=r"1 of the 60 files that column 'cloud' names.*\n.*points are \(n, 3\)"):
            trained(point_table(folder, frame=frame), params={})

    def test_diagnosis_names_its_option(self, folder):
        frame = pd.read_csv(folder / "index.csv")
        assert list(media_hints(frame, Schema.infer(frame, "y"))) == [
            "column 'cloud' names files: to train on them, pass `points` cloud"
        ]
        found = diagnose(frame, "y", points=["cloud"])
        assert "the quick model ignores point clouds and uses only the other columns" in found.notes

    def test_the_command_has_its_option(self):
        app = typer.Typer()

        @app.command()
        @with_media_options
        def show(word: str, media: dict | None = None, other: int = 3) -> None:
            typer.echo(json.dumps([word, media, other]))

        runner = CliRunner()
        given = ["w", "--points", "a", "--points", "b", "--text-pair", "c", "d", "--other", "4"]
        media = {"image": [], "text": [], "text_pair": ["c", "d"], "signal": [], "points": ["a", "b"]}
        assert json.loads(runner.invoke(app, given).output) == ["w", media, 4]
        assert json.loads(runner.invoke(app, ["w"]).output)[1]["text_pair"] is None
        assert "Column that names NPY files of points." in runner.invoke(app, ["--help"]).output

    def test_messages_name_it(self):
        assert catalog.plurals("and") == "images, texts, signals and point clouds"
        assert catalog.how_to_name().endswith("`image`, `text`, `signal` or `points`")


def test_a_model_of_a_modality_that_is_not_listed_is_refused(folder, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "MODALITIES", (*catalog.MODALITIES, POINTS))
        _, model = trained(point_table(folder), params={}, epochs=1)
        model.save(tmp_path)
    with pytest.raises(InputError, match="there are no columns of the kind 'points'"):
        TableModel.load(tmp_path)


class TestColumns:
    def test_single_columns_come_before_pairs(self):
        named = {"signal": ["s"], "text_pair": ("a", "b"), "text": ["t"], "image": ["i", "j"]}
        kinds = [(medium.kind, medium.columns) for medium in media_columns(named)]
        assert kinds == [
            ("image", ("i",)),
            ("image", ("j",)),
            ("text", ("t",)),
            ("signal", ("s",)),
            ("text", ("a", "b")),
        ]
        assert media_columns({"image": [], "text_pair": None}) == []

    def test_mistakes(self):
        with pytest.raises(InputError, match="no keyword 'imag'; did you mean 'image'"):
            media_columns({"imag": ["a"]})
        with pytest.raises(InputError, match="`text_pair` takes two columns, got 3"):
            media_columns({"text_pair": ["a", "b", "c"]})

    @pytest.mark.parametrize("function", [prepare, diagnose])
    def test_a_misspelled_parameter_is_named(self, function, toy):
        for wrong, right in (("bin_widht", "bin_width"), ("nominla", "nominal"), ("imag", "image")):
            with pytest.raises(InputError, match=f"no keyword '{wrong}'; did you mean '{right}'"):
                function(toy, "price", **{wrong: 1})

    @pytest.mark.parametrize("kind", catalog.kinds())
    def test_names_of_inputs(self, kind):
        assert kind_of_input(input_name(kind, 12)) == kind


def test_names_are_different_and_end_in_a_letter():
    names = [option.name for _, option in catalog.column_options()]
    assert len(set(names)) == len(names)
    assert all(name[-1].isalpha() for name in catalog.kinds())


def test_the_list_imports_nothing_heavy():
    heavy = {"torch", "pandas", "sklearn", "PIL", "transformers"}
    code = f"import sys, tailwise.modalities.kinds; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
