"""Training on tables of images, texts and signals: every method, on disk and in memory, saved and loaded, refused."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from media_tables import media_frame, prepared, save_bert, save_resnet, save_vit, trained
from tailwise import InputError, TableModel, compose
from tailwise.cli.main import run
from tailwise.distributed import own_draws
from tailwise.training.loop import Training
from tailwise.training.media_batches import MediaBatches, OnDisk, decoded_in_order
from tailwise.training.recipe import Recipe
from trainings import start_training

SET = ["--set", "image.width=4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with ``index.csv``, its images and its signals."""
    made = tmp_path_factory.mktemp("media")
    media_frame(made)
    return made


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert") / "bert")


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    """A finished run on images and a number."""
    out = tmp_path_factory.mktemp("run") / "run"
    assert run([*TRAIN(folder), "--drop", "sig", "--drop", "a", "--drop", "b", "-o", str(out)]) == 0
    return out


def TRAIN(folder):
    command = ["train", str(folder / "index.csv"), "--target", "y", "--image", "path", "--epochs", "2"]
    return [*command, "--device", "cpu", "--batch-size", "16", *SET]


def refused(capsys, *arguments):
    """The one line on stderr of a command that is refused."""
    capsys.readouterr()
    assert run([str(a) for a in arguments]) == 2
    said = capsys.readouterr().err.splitlines()
    lines = [line for line in said if line.strip() and not line.startswith(("epoch ", "note: "))]
    assert len(lines) == 1, lines
    return lines[0]


def weights(model):
    return {name: value.clone() for name, value in model.model.model.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def assert_alike(a, b):
    """Equal but for rounding: frozen texts are embedded in other batches."""
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


class TestBatches:
    def test_no_batch_is_left_with_one_row(self):
        x, y = torch.arange(33).view(33, 1), torch.arange(33.0)
        batches = MediaBatches({"x": x}, y, batch_size=16)
        torch.manual_seed(0)
        pieces = list(batches.pieces())
        assert [n for n, _, _ in pieces] == [11, 11, 11]
        assert len(batches) == 3
        assert sorted(torch.cat([y for _, _, y in pieces]).tolist()) == list(range(33))
        assert all(torch.equal(x["x"][:, 0].float(), y) for _, x, y in pieces)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_files_come_in_order_and_draw_nothing(self, workers):
        class Names:
            def __call__(self, paths):
                return np.array([[int(path)] for path in paths])

        files = {"a": OnDisk([str(i) for i in range(20)], Names())}
        pieces = list(torch.randperm(20).split(3))
        torch.manual_seed(3)
        found = list(decoded_in_order(files, pieces, workers=workers))
        after = torch.rand(1)
        torch.manual_seed(3)
        assert torch.equal(after, torch.rand(1))
        assert [one["a"][:, 0].tolist() for one in found] == [piece.tolist() for piece in pieces]

    def test_own_draws_leave_the_generator_alike_however_much_is_drawn(self):
        after = []
        for n in (1, 1, 100):
            torch.manual_seed(0)
            with own_draws(torch.device("cpu")):
                drawn = torch.rand(n)
            after.append((float(drawn[0]), float(torch.rand(1))))
        assert after[0] == after[1] == after[2]
        assert after[0][0] != after[0][1]

    def test_inputs_that_do_not_fit(self):
        with pytest.raises(InputError, match="the same number of rows"):
            MediaBatches({"x": torch.zeros(3, 1)}, torch.zeros(4), batch_size=2)
        with pytest.raises(InputError, match="batch_size must be at least 1"):
            MediaBatches({"x": torch.zeros(3, 1)}, torch.zeros(3), batch_size=0)


class TestInputs:
    @pytest.mark.slow
    def test_everything_at_once_learns(self, folder):
        table = prepared(
            folder,
            image=["path"],
            text=["a"],
            text_pair=["a2", "b"],
            signal=["sig"],
            frame=pd.read_csv(folder / "index.csv").assign(a2=lambda f: f["a"]),
        )
        assert [medium.kind for medium in table.schema.media] == ["image", "text", "signal", "text"]
        epochs, model = trained(table, "sqinv+lds+fds+conr+twoviews", epochs=6, lr=1e-2)
        assert epochs[-1].validation["mae"] < 0.6 * epochs[0].validation["mae"]
        encoder = model.model.model.encoder
        # cnn of width 4, one text, one signal, a pair of texts, and the number
        assert encoder.n_features == 8 * 4 + 2 * 4 + 8 * 4 + 4 * 2 * 4 + 256
        assert list(encoder.encoders) == ["image0", "text1", "signal2", "text3", "table"]

    def test_two_columns_of_images(self, folder):
        frame = pd.read_csv(folder / "index.csv")
        frame["other"] = frame["path"].iloc[::-1].to_numpy()
        table = prepared(folder, frame, image=["path", "other"])
        _, model = trained(table)
        assert list(model.model.model.encoder.encoders) == ["image0", "image1", "table"]
        pred = model.predict(table.rows)
        swapped = frame.assign(path=frame["other"], other=frame["path"])
        rows = prepared(folder, swapped, image=["path", "other"]).rows
        assert not np.allclose(model.predict(rows), pred)

    def test_texts_are_text_whatever_the_column_holds(self, folder):
        frame = pd.read_csv(folder / "index.csv").drop(columns="a")
        words = {}
        for name, cells in (
            ("whole", frame["y"] + 10),
            ("float", (frame["y"] + 10).astype(float)),
            ("text", (frame["y"] + 10).astype(str)),
        ):
            table = prepared(folder, frame.assign(a=cells), text=["a"], also=["x"])
            words[name] = table.rows.frame()["a"].tolist()
        assert words["whole"] == words["float"] == words["text"] == (frame["y"] + 10).astype(str).tolist()
        gaps = frame.assign(a=(frame["y"] + 10.0).where(frame.index > 2))
        assert prepared(folder, gaps, text=["a"], also=["x"]).rows.frame()["a"].tolist()[:4] == [
            "",
            "",
            "",
            words["text"][3],
        ]

    def test_rows_without_a_target_need_no_files(self, folder):
        frame = pd.read_csv(folder / "index.csv").astype({"y": float})
        frame.loc[:2, "y"], frame.loc[:2, "path"] = np.nan, None
        table = prepared(folder, frame, image=["path"], drop_missing_target=True)
        assert len(table.y) == 69

    def test_groups_regions_and_masks_are_those_of_the_table(self, folder):
        frame = pd.read_csv(folder / "index.csv").assign(who=np.arange(72) // 6)
        both = [
            prepared(folder, frame, also=["who"], group="who", mask_target=[(3, 4)], n_bins=5, **choices)
            for choices in ({}, {"image": ["path"], "signal": ["sig"]})
        ]
        assert np.array_equal(both[0].part, both[1].part)
        assert both[0].shots.to_json() == both[1].shots.to_json()
        assert (both[1].part == "masked").any()
        assert (
            pd.DataFrame({"who": frame["who"], "part": both[1].part})
            .query("part != 'masked'")
            .groupby("who")["part"]
            .nunique()
            .max()
            == 1
        )
        epochs, _ = trained(both[1], params={"image": {"width": 4}, "signal": {"width": 2, "blocks": 1}})
        assert np.isfinite(epochs[0].validation["mae"])


METHODS = [
    "sqinv+lds+fds+conr+twoviews",
    "rnc_pretrain+twoviews",
    "rrt+lds",
    "bmc",
    "cmixup",
    "uvote",
    "vir",
    "bsam",
    "ranksim+denseweight",
    "isotonic",
]


class TestMethods:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.slow
    def test_every_kind_of_part_trains_on_them(self, method, folder):
        table = prepared(folder, image=["path"], text=["a"])
        settings = {"cmixup": {"mix": "features"}} if method == "cmixup" else {}
        settings |= {name: {"epochs": 1} for name in ("rrt", "rnc_pretrain") if name in method}
        epochs, model = trained(table, method, settings=settings)
        assert all(np.isfinite(value) for epoch in epochs for value in epoch.terms.values())
        rows, _ = table.rows_of("test")
        pred = model.predict(rows)
        assert np.isfinite(pred).all()
        std = model.predict_std(rows)
        assert (std is not None) == (method in ("uvote", "vir"))
        assert std is None or (std > 0).all()

    def test_inputs_of_several_kinds_cannot_be_mixed(self, folder):
        table = prepared(folder, image=["path"])
        with pytest.raises(InputError, match="mix"):
            trained(table, "cmixup", settings={"cmixup": {"mix": "inputs"}})

    @pytest.mark.parametrize("method", ["smogn", "ro"])
    def test_resampling_is_for_tables(self, method, folder):
        with pytest.raises(InputError, match="resampling is for tables alone"):
            trained(prepared(folder, image=["path"]), method)

    def test_two_views_of_an_image_differ_by_its_augmentation(self, folder):
        table = prepared(folder, image=["path"])
        setup = start_training(
            table, compose("conr+twoviews"), Recipe(batch_size=8, device="cpu"), params={"image": {"width": 4}}
        )
        objective = setup.training.objective.train()
        x, y = next(iter(setup.training.batches))
        views, labels = objective.augment.inputs(x, y)
        assert torch.equal(views["image0"][::2], views["image0"][1::2])
        assert torch.equal(labels[::2], labels[1::2])
        encoder = setup.training.model.encoder.encoders["image0"].train()
        assert not torch.allclose(encoder(views["image0"])[0], encoder(views["image0"])[1])


class TestTextEncoders:
    def test_fine_tuned_at_a_share_of_the_learning_rate(self, folder, bert):
        table = prepared(folder, text_pair=["a", "b"])
        params = {"text": {"encoder": str(bert), "frozen": False, "lr_factor": 0.25}}
        recipe = Recipe(batch_size=16, device="cpu", lr=1e-3, epochs=1)
        setup = start_training(table, compose("vanilla"), recipe, params=params)
        before = {name: value.clone() for name, value in setup.training.model.named_parameters()}
        list(setup.epochs())
        groups = {group.get("factor"): group for group in setup.training.optimizer.param_groups}
        assert groups[1.0]["lr"] == pytest.approx(1e-3)
        assert groups[0.25]["lr"] == pytest.approx(0.25e-3)
        after = dict(setup.training.model.named_parameters())
        slow = {id(p) for p in groups[0.25]["params"]}
        moved = {name for name in after if not torch.equal(after[name], before[name])}
        assert {name for name in after if id(after[name]) in slow} == {n for n in after if "text0" in n}
        assert moved == {name for name in after if "pooler" not in name}

    def test_frozen_it_stays_as_it_is(self, folder, bert, tmp_path):
        from safetensors.torch import load_file

        table = prepared(folder, text_pair=["a", "b"])
        _, model = trained(table, params={"text": {"encoder": str(bert), "cache": str(tmp_path / "cache")}})
        (tmp_path / "model").mkdir()
        model.save(tmp_path / "model")
        saved = load_file(tmp_path / "model" / "text0" / "text.safetensors")
        original = load_file(bert / "model.safetensors")
        assert all(torch.equal(saved[name], original[name]) for name in original)
        assert not any("backbone" in name for name in weights(model))
        assert len(list((tmp_path / "cache").iterdir())) == 1


def on_disk(params, **image):
    return params | {"image": {**params.get("image", {}), "in_memory": False, **image}}


class TestOnDisk:
    @pytest.mark.parametrize("crop", [0, 2])
    @pytest.mark.slow
    def test_bit_for_bit_as_in_memory(self, folder, crop):
        table = prepared(folder, image=["path"])
        params = {"image": {"width": 4, "crop": crop}}
        epochs, model = trained(table, "sqinv+lds+conr", params=params, epochs=2)
        disk_epochs, disk_model = trained(table, "sqinv+lds+conr", params=on_disk(params), epochs=2)
        assert [epoch.terms for epoch in epochs] == [epoch.terms for epoch in disk_epochs]
        assert [epoch.validation for epoch in epochs] == [epoch.validation for epoch in disk_epochs]
        assert_same(weights(model), weights(disk_model))

    @pytest.mark.slow
    def test_beside_frozen_texts_which_are_read_once(self, folder, bert, monkeypatch):
        from tailwise.modalities.text_vectors import VectorReader

        calls = []
        real = VectorReader.read
        monkeypatch.setattr(VectorReader, "read", lambda self, frame: calls.append(len(frame)) or real(self, frame))
        table = prepared(folder, image=["path"], text=["a"])
        params = on_disk({"image": {"width": 4}, "text": {"encoder": str(bert)}})
        trained(table, params=params, epochs=3)
        n = {part: int((table.part == part).sum()) for part in ("train", "val")}
        assert calls == [n["train"], n["val"]]

    @pytest.mark.slow
    def test_a_file_that_breaks_in_between_is_told(self, folder, tmp_path, capsys, monkeypatch):
        shutil.copytree(folder, tmp_path / "data")
        real = Training._one_epoch

        def breaks(training):
            if training.epoch == 1:
                (tmp_path / "data" / "pic" / "7.png").write_bytes(b"")
            return real(training)

        monkeypatch.setattr(Training, "_one_epoch", breaks)
        line = refused(capsys, *TRAIN(tmp_path / "data"), "--set", "image.in_memory=false", "-o", tmp_path / "r")
        assert "7.png: not an image that can be read" in line
        assert not (tmp_path / "r").exists()


class TestResume:
    @pytest.mark.slow
    @pytest.mark.parametrize("settings", [[], ["--set", "image.in_memory=false"]])
    def test_bit_for_bit_as_without_the_interruption(self, folder, tmp_path, monkeypatch, settings):
        command = [
            *TRAIN(folder),
            "-m",
            "sqinv+lds+fds+conr+twoviews",
            "--text",
            "a",
            "--set",
            "text.units=4",
            *settings,
        ]
        command[command.index("--epochs") + 1] = "3"
        real = Training._one_epoch

        def stop(training):
            if training.epoch == 2:
                raise KeyboardInterrupt
            return real(training)

        assert run([*command, "-o", str(tmp_path / "whole")]) == 0
        monkeypatch.setattr(Training, "_one_epoch", stop)
        assert run([*command, "-o", str(tmp_path / "cut")]) == 130
        monkeypatch.setattr(Training, "_one_epoch", real)
        assert run([*command, "-o", str(tmp_path / "cut"), "--resume"]) == 0
        files = [tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut")]
        assert files[0].read_bytes() == files[1].read_bytes()


class TestSaved:
    @pytest.fixture(scope="class")
    @classmethod
    def saved(cls, folder, tmp_path_factory):
        """A saved model of every kind of input, and what it predicted before."""
        place = tmp_path_factory.mktemp("saved")
        encoders = {"bert": save_bert(place / "bert"), "net": save_resnet(place / "net")}
        table = prepared(folder, image=["path"], text=["a"], signal=["sig"])
        params = {
            "image": {"encoder": str(encoders["net"]), "colour": 0.1},
            "text": {"encoder": str(encoders["bert"])},
            "signal": {"width": 4, "blocks": 1},
        }
        _, model = trained(table, params=params)
        (place / "model").mkdir()
        model.save(place / "model")
        pred = model.predict(table.rows)
        for encoder in encoders.values():
            shutil.rmtree(encoder)
        return place / "model", table, pred

    def test_it_predicts_the_same_without_the_encoders_folders(self, saved):
        place, table, pred = saved
        assert_alike(TableModel.load(place).predict(table.rows), pred)
        few = table.rows.select(np.arange(3))
        assert_alike(TableModel.load(place).predict(few), pred[:3])
        assert TableModel.load(place).predict(table.rows.select(np.arange(0))).shape == (0,)
        assert TableModel.load(place).features(table.rows).shape[0] == len(pred)

    def test_nothing_in_it_is_a_pickle_or_names_where_it_came_from(self, saved):
        place, _, _ = saved
        files = [path for path in place.rglob("*") if path.is_file()]
        assert {path.suffix for path in files} == {".json", ".safetensors", ".skops"}
        description = json.loads((place / "model.json").read_text())
        for encoder in description["model"]["encoder"]["inputs"].values():
            encoder.pop("name", None)
        assert str(place.parent) not in json.dumps(description)

    def test_it_needs_no_kornia(self, saved, monkeypatch):
        place, table, pred = saved
        for name in [name for name in sys.modules if name.partition(".")[0] == "kornia"] + ["kornia.augmentation"]:
            monkeypatch.setitem(sys.modules, name, None)
        assert_alike(TableModel.load(place).predict(table.rows), pred)

    @pytest.mark.parametrize(
        ("name", "breaks"),
        [
            ("model.json", lambda file: file.write_text(file.read_text()[:200])),
            ("model.json", lambda file: file.write_text(file.read_text().replace('"resnet"', '"nonsense"'))),
            ("model.json", lambda file: file.write_text(file.read_text().replace('"kind": "image"', '"kind": "x"'))),
            (
                "model.json",
                lambda file: file.write_text(file.read_text().replace('"hidden_size": 16', '"hidden_size": "a"')),
            ),
            ("model.json", lambda file: file.write_text(file.read_text().replace('"width": 4', '"width": 8'))),
            ("model.safetensors", lambda file: file.write_bytes(file.read_bytes()[:100])),
            ("preprocess.skops", lambda file: file.unlink()),
            ("text1/text.safetensors", lambda file: file.unlink()),
            ("text1/tokenizer/tokenizer.json", lambda file: file.unlink()),
            ("text1/tokenizer/tokenizer.json", lambda file: file.write_text("{")),
            ("text1/tokenizer", shutil.rmtree),
        ],
    )
    def test_a_broken_folder_is_told_in_one_line(self, saved, tmp_path, name, breaks):
        shutil.copytree(saved[0], tmp_path / "model")
        breaks(tmp_path / "model" / name)
        with pytest.raises(InputError) as found:
            TableModel.load(tmp_path / "model")
        assert "\n" not in str(found.value)

    def test_a_model_with_a_distribution_keeps_it(self, folder, tmp_path):
        table = prepared(folder, image=["path"])
        _, model = trained(table, "uvote")
        model.save(tmp_path)
        again = TableModel.load(tmp_path)
        assert np.array_equal(again.predict(table.rows), model.predict(table.rows))
        assert np.array_equal(again.predict_std(table.rows), model.predict_std(table.rows))


class TestPaths:
    def test_they_belong_to_the_table_wherever_one_is(self, finished, folder, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert run(["predict", str(finished), str(folder / "index.csv"), "-o", "here.csv"]) == 0
        saved = pd.read_parquet(finished / "predictions.parquet")
        found = pd.read_csv("here.csv")
        np.testing.assert_allclose(found["prediction"].to_numpy()[saved["row"]], saved["prediction"], rtol=1e-4)

    def test_absolute_ones_spaces_and_other_letters(self, finished, folder, tmp_path):
        frame = pd.read_csv(folder / "index.csv").drop(columns="y")[:3]
        (tmp_path / "Bilder von Ærø").mkdir()
        names = [str(folder / "pic" / "0.png"), "Bilder von Ærø/目 1.png", "./Bilder von Ærø/../zwei.png"]
        shutil.copy(folder / "pic" / "1.png", tmp_path / names[1])
        shutil.copy(folder / "pic" / "2.png", tmp_path / "zwei.png")
        expected = self.predicted(finished, folder, frame, tmp_path / "e.csv")
        assert self.predicted(finished, tmp_path, frame.assign(path=names), tmp_path / "p.csv") == expected

    def predicted(self, finished, folder, frame, out):
        frame.to_csv(folder / "new.csv", index=False)
        assert run(["predict", str(finished), str(folder / "new.csv"), "-o", str(out)]) == 0
        (folder / "new.csv").unlink()
        return pd.read_csv(out)["prediction"].round(4).tolist()

    def test_in_python_they_start_here(self, finished, folder, monkeypatch):
        model = TableModel.load(finished / "model")
        frame = pd.read_csv(folder / "index.csv")[:4]
        monkeypatch.chdir(folder)
        assert np.isfinite(model.predict(frame)).all()
        monkeypatch.chdir(folder / "pic")
        with pytest.raises(InputError, match="4 of the 4 files that column 'path' names"):
            model.predict(frame)

    def test_new_tables_with_files_that_cannot_be_used(self, finished, folder, tmp_path, capsys):
        frame = pd.read_csv(folder / "index.csv")[:4]
        for name, cell, message in (
            ("gone", "gone.png", "gone.png: there is no such file"),
            ("empty", None, "has 1 empty cell, the first in row 3"),
            ("blank", "  ", "has 1 empty cell, the first in row 3"),
        ):
            paths = [str(folder / path) for path in frame["path"]]
            paths[2] = cell
            frame.assign(path=paths).to_csv(tmp_path / f"{name}.csv", index=False)
            for command in (["predict", "-o", tmp_path / "p.csv"], ["evaluate"]):
                assert message in refused(capsys, command[0], finished, tmp_path / f"{name}.csv", *command[1:])
        assert not (tmp_path / "p.csv").exists()


class TestRuns:
    def test_predict_with_intervals_and_evaluate(self, finished, folder, tmp_path, capsys):
        out = tmp_path / "p.csv"
        with_intervals = ["predict", str(finished), str(folder / "index.csv"), "-o", str(out), "--interval", "0.5"]
        assert run(with_intervals) == 0
        frame = pd.read_csv(out)
        assert (frame["low"] <= frame["high"]).all()
        assert run(["evaluate", str(finished), str(folder / "index.csv"), "-o", str(tmp_path / "m.json")]) == 0
        assert json.loads((tmp_path / "m.json").read_text())["all"]["n"] == 72

    @pytest.mark.slow
    def test_beside_another_run(self, finished, folder, tmp_path, capsys):
        command = [*TRAIN(folder), "--drop", "sig", "--drop", "a", "--drop", "b", "-m", "vanilla"]
        assert run([*command, "-o", str(tmp_path / "r"), "--against", str(finished)]) == 0
        assert "vanilla beside sqinv+lds" in capsys.readouterr().out
        config = json.loads((tmp_path / "r" / "config.json").read_text())
        assert config["table"]["image"] == ["path"]
        assert config["model"]["parameters"]["image"] == {"width": 4}

    def test_no_rows(self, finished, folder, tmp_path):
        pd.read_csv(folder / "index.csv")[:0].to_csv(tmp_path / "none.csv", index=False)
        assert run(["predict", str(finished), str(tmp_path / "none.csv"), "-o", str(tmp_path / "p.csv")]) == 0
        assert len(pd.read_csv(tmp_path / "p.csv")) == 0


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--set", "image.sise=3"], "image has no parameter 'sise'; did you mean 'size'?"),
            (["--set", "image.size=abc"], "image.size takes one number or (height, width), got 'abc'"),
            (["--set", "image.crop=-1"], "image.crop must be a whole number"),
            (["--set", "image.flip=3"], "image.flip must be true or false, got 3"),
            (["--set", "image.mode=CMYK"], "image.mode must be one of"),
            (["--set", "image.in_memory=no"], "image.in_memory must be true or false, got 'no'"),
            (["--set", "text.pair=foo"], "parameters of text encoders are given, but no column is one of texts"),
            (["--text", "a", "--set", "text.pair=foo"], "text.pair must be one of"),
            (["--text", "a", "--set", "text.encoder=none/such", "--set", "text.frozen=no"], "text.frozen must be true"),
            (["--text", "a", "--set", "text.encoder=none/such"], "encoder 'none/such' cannot be loaded by that name"),
            (["--signal", "sig", "--set", "signal.kernel=4"], "signal.kernel must be odd"),
            (["--signal", "sig", "--set", "signal.windows=4"], "signal has no parameter 'windows'"),
            (["--signal", "sig", "--signal", "a"], "column 'a' names cannot be used"),
            (["--set", "encoder.dropot=1"], "encoder mlp has no parameter 'dropot'"),
            (["--encoder", "tabm"], "encoder tabm is for tables alone"),
            (["--batch-size", "1"], "batch norm needs two rows of each batch"),
            (["-m", "smogn"], "resampling is for tables alone"),
            (["--text-pair", "a", "nothing"], "--text 'nothing' is not a column"),
            (["--image", "path"], "--image names 'path', which is image already"),
            (["--image", "pth"], "--image 'pth' is not a column of the table; did you mean 'path'?"),
            (["--image", "y"], "--image names 'y', which is target already"),
            (["--image", "x"], "--image names 'x', which holds numbers such as"),
            (["--image", "a"], "72 of the 72 files that column 'a' names cannot be used"),
            (["--group", "path"], "--image names 'path', which is group already"),
            (["--nominal", "path"], "--image names 'path', which is nominal already"),
        ],
    )
    def test_one_line_and_nothing_written(self, folder, tmp_path, monkeypatch, capsys, arguments, message):
        monkeypatch.chdir(tmp_path)
        command = TRAIN(folder)
        assert message in refused(capsys, *command, *arguments)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("model", ["lightgbm", "linear"])
    def test_models_that_are_no_networks(self, folder, tmp_path, capsys, model):
        command = ["train", folder / "index.csv", "-t", "y", "--image", "path", "--model", model, "-o", tmp_path / "r"]
        assert "--model are for tables alone, not for images" in refused(capsys, *command)
        assert f"--model {model} has no encoder" in refused(capsys, *command, "--set", "image.size=8")

    def test_an_encoder_that_is_nowhere(self, folder, tmp_path, capsys):
        command = ["train", folder / "index.csv", "-t", "y", "--image", "path", "-o", tmp_path / "r"]
        line = refused(capsys, *command, "--set", "image.encoder=resnet81")
        assert "encoder 'resnet81' cannot be loaded by that name" in line

    def test_parameters_of_media_on_a_plain_table(self, folder, tmp_path, capsys):
        command = ["train", folder / "index.csv", "-t", "y", "-o", tmp_path / "r", "--set", "image.size=32"]
        assert "no column is one of images; use --image" in refused(capsys, *command)

    def test_a_folder_of_parquet_files(self, folder, tmp_path, capsys):
        (tmp_path / "parts").mkdir()
        pd.read_csv(folder / "index.csv").to_parquet(tmp_path / "parts" / "0.parquet")
        command = ["train", tmp_path / "parts", "-t", "y", "--image", "path", "-o", tmp_path / "r"]
        assert "need the table in one file, not in a folder" in refused(capsys, *command)
        assert not (tmp_path / "r").exists()

    @pytest.mark.parametrize("settings", [[], ["--set", "image.in_memory=false"]])
    def test_all_files_that_cannot_be_used_are_counted_before_training(
        self, folder, tmp_path, capsys, monkeypatch, settings
    ):
        monkeypatch.setattr("tailwise.cli.main._LONGEST", 10_000)
        shutil.copytree(folder, tmp_path / "data")
        for i in range(0, 24, 2):  # in training, validation and test alike
            (tmp_path / "data" / "pic" / f"{i}.png").unlink()
        half = (tmp_path / "data" / "pic" / "1.png").read_bytes()
        (tmp_path / "data" / "pic" / "1.png").write_bytes(half[: len(half) // 2])
        line = refused(capsys, *TRAIN(tmp_path / "data"), *settings, "-o", tmp_path / "r")
        assert "13 of the 72 files that column 'path' names cannot be used" in line
        assert line.count(".png") == 10
        assert "and 3 more" in line
        assert not (tmp_path / "r").exists()

    @pytest.mark.parametrize(
        ("name", "arguments", "message"),
        [
            ("PIL", [], "images need Pillow: pip install 'tailwise[image]'"),
            ("kornia", ["--set", "image.crop=1"], "pip install 'tailwise[image]', or --set image.crop=0"),
            ("transformers", ["--set", "image.encoder=vit"], "pip install 'tailwise[image]'"),
            ("transformers", ["--text", "a", "--set", "text.encoder=x"], "pip install 'tailwise[text]'"),
        ],
    )
    def test_packages_that_are_absent(self, folder, tmp_path, monkeypatch, capsys, name, arguments, message):
        for module in [module for module in sys.modules if module.partition(".")[0] == name] + [name]:
            monkeypatch.setitem(sys.modules, module, None)
        command = [a for a in TRAIN(folder) if a != "image.width=4" or name not in ("transformers",)]
        if name == "transformers":
            command.remove("--set")
        assert message in refused(capsys, *command, *arguments, "-o", tmp_path / "r")

    @pytest.mark.slow
    def test_a_table_needs_none_of_them(self, folder, tmp_path, monkeypatch):
        for name in ("PIL", "kornia", "transformers", "edfio"):
            for module in [module for module in sys.modules if module.partition(".")[0] == name] + [name]:
                if name != "PIL":  # matplotlib draws the report with it
                    monkeypatch.setitem(sys.modules, module, None)
        frame = pd.read_csv(folder / "index.csv")[["x", "y"]]
        frame.to_csv(tmp_path / "t.csv", index=False)
        command = ["train", str(tmp_path / "t.csv"), "-t", "y", "-m", "sqinv+lds", "--epochs", "1"]
        assert run([*command, "-o", str(tmp_path / "r")]) == 0


@pytest.mark.slow
def test_two_processes_give_what_one_gives(folder, tmp_path):
    """Of networks without batch norm, dropout and augmentation; with them each process draws for its own rows."""
    from test_processes import assert_same_run
    from test_processes import run as ran
    from test_processes import train as train_on

    vit = save_vit(tmp_path / "vit")
    bert = save_bert(tmp_path / "bert", dropout=0.0)
    media = ["--image", "path", "--text-pair", "a", "b", "--drop", "sig", "--set", f"image.encoder={vit}"]
    media += ["--set", "image.crop=0", "--set", f"text.encoder={bert}", "--set", "text.frozen=false"]
    options = ["--epochs", 2, "--batch-size", 15, *media]
    method = "sqinv+lds+fds+conr+twoviews"
    for of in (1, 2):
        train_on(of, tmp_path / str(of), *options, data=folder / "index.csv", method=method)
    assert_same_run(tmp_path / "1", tmp_path / "2", rtol=1e-4)
    # With batch norm and augmentation the saved model still is the one that made the predictions.
    out = tmp_path / "bn"
    options = ["--epochs", 2, "--batch-size", 15, "--image", "path", "--drop", "sig", "--drop", "a", "--drop", "b"]
    options += ["--set", "image.width=4", "--set", "image.in_memory=false"]
    train_on(2, out, *options, data=folder / "index.csv", method=method)
    ran(sys.executable, "-m", "tailwise", "predict", out, folder / "index.csv", "-o", tmp_path / "p.csv")
    saved = pd.read_parquet(out / "predictions.parquet")
    found = pd.read_csv(tmp_path / "p.csv")["prediction"].to_numpy()[saved["row"]]
    np.testing.assert_allclose(found, saved["prediction"], rtol=1e-4, atol=1e-4)


def test_grey_images_of_another_size(folder, tmp_path):
    frame = pd.read_csv(folder / "index.csv")
    for i, name in enumerate(frame["path"]):
        image = Image.open(folder / name).convert("L").resize((20 + i % 3, 20))
        (tmp_path / "pic").mkdir(exist_ok=True)
        image.save(tmp_path / name)
    frame.to_csv(tmp_path / "index.csv", index=False)
    table = prepared(tmp_path, image=["path"])
    _, model = trained(table, params={"image": {"width": 4, "mode": "L", "size": 12}})
    assert model.inputs.readers["image0"].shape == (1, 12, 12)
    assert np.isfinite(model.predict(table.rows)).all()
