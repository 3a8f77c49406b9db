"""Images: every kind of file, sizes, augmentation, encoders."""

import io
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from media_tables import save_bert, save_resnet, save_vit
from tailwise import Bins, InputError, compose, prepare
from tailwise.distributions.decisions import Decision
from tailwise.experiment.fit import fit
from tailwise.experiment.spec import Experiment
from tailwise.heads.point import Regressor
from tailwise.modalities.encoders import MediaEncoder
from tailwise.modalities.image import CONFIGURATIONS, ImageEncoder, SmallCNN, image_encoder, image_encoder_from
from tailwise.modalities.image_files import ImageReader, check_images
from tailwise.runs.labelled_rows import labelled_rows
from tailwise.runs.predicted_table import Asked, PredictedPieces
from tailwise.training.recipe import Recipe

RNG = np.random.default_rng(0)


def pixels(height=16, width=16, channels=3):
    return RNG.integers(0, 256, (height, width, channels)).astype(np.uint8)


def read(path, size=(16, 16), mode="RGB"):
    return ImageReader("path", size, mode).decode([str(path)])[0]


class TestFiles:
    def test_pixels_are_those_of_the_file(self, tmp_path):
        image = pixels()
        Image.fromarray(image).save(tmp_path / "a.png")
        assert np.array_equal(read(tmp_path / "a.png"), image.transpose(2, 0, 1))

    def test_many_files_keep_their_order(self, tmp_path):
        for i in range(40):
            Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / f"{i}.png")
        reader = ImageReader("path", (8, 8), "L")
        found = reader.read(pd.DataFrame({"path": [str(tmp_path / f"{i}.png") for i in range(40)]}))
        assert found.shape == (40, 1, 8, 8)
        assert found[:, 0, 0, 0].tolist() == list(range(40))
        assert reader.decode([]).shape == (0, 1, 8, 8)

    @pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
    def test_every_mode_becomes_three_channels_or_one(self, tmp_path, mode):
        image = Image.fromarray(pixels()).convert(mode)
        name = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
        image.save(name)
        assert read(name).shape == (3, 16, 16)
        assert read(name, mode="L").shape == (1, 16, 16)
        if mode in ("L", "RGBA"):
            assert np.array_equal(read(name), np.asarray(image.convert("RGB")).transpose(2, 0, 1))

    def test_a_palette_with_transparency_says_nothing(self, tmp_path):
        image = Image.fromarray(pixels()).convert("P")
        image.save(tmp_path / "a.png", transparency=bytes(range(256)))
        assert np.array_equal(read(tmp_path / "a.png"), np.asarray(image.convert("RGB")).transpose(2, 0, 1))

    @pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
    def test_sixteen_bits_are_not_clipped(self, tmp_path, suffix):
        deep = np.array([[0, 256, 30_000, 65_535]] * 8, np.uint16).repeat(2, 1)
        Image.fromarray(deep).save(tmp_path / f"a.{suffix}")
        assert read(tmp_path / f"a.{suffix}", (8, 8), "L")[0, 0, ::2].tolist() == [0, 1, 117, 255]

    def test_floats_are_refused(self, tmp_path):
        Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "a.tiff")
        with pytest.raises(InputError, match="not of 8 or 16 bits a channel"):
            read(tmp_path / "a.tiff")

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_images_are_turned_upright(self, tmp_path, orientation):
        gradient = np.linspace(0, 255, 16 * 24).reshape(24, 16).astype(np.uint8)
        undo = {
            1: gradient,
            2: gradient[:, ::-1],
            3: gradient[::-1, ::-1],
            4: gradient[::-1],
            5: gradient.T,
            6: np.rot90(gradient, 1),
            7: gradient[::-1, ::-1].T,
            8: np.rot90(gradient, -1),
        }[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(undo)).save(tmp_path / "a.png", exif=exif)
        assert np.array_equal(read(tmp_path / "a.png", (24, 16), "L")[0], gradient)
        frame = pd.DataFrame({"path": [str(tmp_path / "a.png")]})
        assert ImageReader.fit("path", frame).size == (24, 16)

    def test_another_shape_is_scaled_and_cut_in_the_middle(self, tmp_path):
        wide = np.zeros((20, 60, 3), np.uint8)
        wide[:, 20:40] = 200
        Image.fromarray(wide).save(tmp_path / "a.png")
        assert (read(tmp_path / "a.png", (10, 10))[:, :, 1:-1] == 200).all()

    def test_one_pixel(self, tmp_path):
        Image.fromarray(np.full((1, 1, 3), 7, np.uint8)).save(tmp_path / "a.png")
        assert (read(tmp_path / "a.png", (8, 8)) == 7).all()
        frame = pd.DataFrame({"path": [str(tmp_path / "a.png")]})
        assert ImageReader.fit("path", frame).size == (8, 8)


def bomb(path):
    """A PNG of a few bytes that says it is of 60,000 x 60,000 pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def cut(path, kind):
    buffer = io.BytesIO()
    Image.fromarray(pixels(64, 64)).save(buffer, kind)
    path.write_bytes(buffer.getvalue()[: buffer.tell() // 2])


BROKEN = {
    "missing.png": (lambda path: None, "there is no such file"),
    "text.png": (lambda path: path.write_text("no image"), "not an image that can be read"),
    "empty.png": (lambda path: path.write_bytes(b""), "not an image that can be read"),
    "folder.png": (lambda path: path.mkdir(), "Is a directory"),
    "cut.png": (lambda path: cut(path, "png"), "broken image"),
    "cut.jpg": (lambda path: cut(path, "jpeg"), "broken image"),
    "bomb.png": (bomb, "too large"),
}


class TestBrokenFiles:
    @pytest.mark.parametrize("name", list(BROKEN))
    def test_the_reason_is_told(self, tmp_path, name):
        make, message = BROKEN[name]
        make(tmp_path / name)
        frame = pd.DataFrame({"path": [str(tmp_path / name)]})
        for use in (lambda: check_images("path", frame), lambda: read(tmp_path / name)):
            with pytest.raises(InputError, match=f"1 of the 1 files that column 'path' names(.|\n)*{name}: {message}"):
                use()

    def test_ten_are_shown_and_all_are_counted(self, tmp_path):
        Image.fromarray(pixels()).save(tmp_path / "a.png")
        paths = [str(tmp_path / "a.png")] + [str(tmp_path / f"none{i}.png") for i in range(23)]
        with pytest.raises(InputError, match="23 of the 24 files") as found:
            check_images("path", pd.DataFrame({"path": paths}))
        assert str(found.value).count("no such file") == 10
        assert "and 13 more" in str(found.value)


class TestSize:
    @pytest.fixture
    def frame(self, tmp_path):
        for name, shape in (("a", (20, 30)), ("b", (20, 30)), ("c", (200, 30))):
            Image.fromarray(pixels(*shape)).save(tmp_path / f"{name}.png")
        return pd.DataFrame({"path": [str(tmp_path / f"{name}.png") for name in "abc"]})

    def test_that_of_small_images_else_224(self, frame):
        assert ImageReader.fit("path", frame[:2]).size == (20, 30)
        assert ImageReader.fit("path", frame).size == (224, 224)
        assert ImageReader.fit("path", frame[2:]).size == (224, 224)
        assert ImageReader.fit("path", frame, size=32).size == (32, 32)
        assert ImageReader.fit("path", frame, size=(32, 48), mode="L").shape == (1, 32, 48)

    @pytest.mark.parametrize("size", ["abc", -1, 7, 5_000, 2.5, (1, 2, 3), True, (16, "b"), None.__class__])
    def test_sizes_that_do_not_work(self, frame, size):
        with pytest.raises(InputError, match=r"image.size"):
            ImageReader.fit("path", frame, size=size)

    def test_modes_that_do_not_work(self, frame):
        with pytest.raises(InputError, match=r"image.mode must be one of 'RGB', 'L', got 'CMYK'"):
            ImageReader.fit("path", frame, size=16, mode="CMYK")


def encoded(encoder, x, seed=0):
    torch.manual_seed(seed)
    return encoder(x)


class TestEncoder:
    def test_what_it_does_to_bytes(self):
        seen = []

        class Looks(nn.Module):
            n_features = 3

            def forward(self, x):
                seen.append(x)
                return x.mean((2, 3))

        encoder = ImageEncoder(Looks(), (3, 8, 8), mean=[0.1, 0.2, 0.3], std=[0.5, 0.25, 1.0])
        x = torch.from_numpy(pixels(8, 8).transpose(2, 0, 1)[None].copy())
        before = x.clone()
        encoder(x)
        expected = (x.double() / 255 - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor(
            [0.5, 0.25, 1.0]
        ).view(3, 1, 1)
        torch.testing.assert_close(seen[0].double(), expected, atol=1e-6, rtol=1e-5)
        assert torch.equal(x, before)
        encoder(x.float())
        assert torch.equal(x, before)
        assert seen[0].is_contiguous(memory_format=torch.channels_last)

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("choice", [{"crop": 4}, {"flip": True}, {"colour": 0.4}, {"erase": 1.0}])
    def test_augmentation_is_for_training_alone_and_differs_by_image(self, choice, channels):
        torch.manual_seed(0)
        encoder = ImageEncoder(SmallCNN(channels, width=4), (channels, 16, 16), **choice)
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.0
        x = torch.from_numpy(pixels(16, 16, channels).transpose(2, 0, 1)[None].copy()).expand(8, -1, -1, -1)
        drawn = encoder.train()(x)
        assert len(torch.unique(drawn[:, 0].detach())) > 1
        assert torch.isfinite(drawn).all()
        assert torch.equal(encoded(encoder, x, 1), encoded(encoder, x, 1))
        encoder.eval()
        assert torch.allclose(encoder(x)[0], encoder(x)[5], atol=1e-6)

    def test_its_state_is_that_of_the_network(self):
        encoder = ImageEncoder(SmallCNN(3, width=4), (3, 16, 16), crop=2, flip=True, colour=0.2, erase=0.1)
        assert {name.partition(".")[0] for name in encoder.state_dict()} == {"network"}

    @pytest.mark.parametrize(
        ("choice", "message"),
        [
            ({"crop": -1}, "image.crop must be a whole number from 0 to 16, got -1"),
            ({"crop": 17}, "image.crop must be a whole number from 0 to 16"),
            ({"flip": 3}, "image.flip must be true or false, got 3"),
            ({"flip": "no"}, "image.flip must be true or false"),
            ({"colour": 2}, "image.colour must be at most 1"),
            ({"colour": "much"}, "image.colour"),
            ({"erase": 1.5}, "image.erase"),
            ({"width": 0}, "image.width"),
            ({"lr_factor": -1}, "image.lr_factor"),
        ],
    )
    def test_choices_that_do_not_work(self, choice, message):
        with pytest.raises(InputError, match=message):
            image_encoder("cnn", (3, 16, 16), **choice)

    def test_without_kornia_the_message_names_the_extra(self, monkeypatch):
        for name in [name for name in sys.modules if name.partition(".")[0] == "kornia"] + ["kornia.augmentation"]:
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(InputError, match=r"kornia: pip install 'tailwise\[image\]', or `image.crop=0`"):
            image_encoder("cnn", (3, 16, 16), crop=2)
        image_encoder("cnn", (3, 16, 16))

    def test_without_pillow_the_message_names_the_extra(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(InputError, match=r"images need Pillow: pip install 'tailwise\[image\]'"):
            read(tmp_path / "a.png")

    def test_without_transformers_the_message_names_the_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(InputError, match=r"'resnet' needs transformers: pip install 'tailwise\[image\]'"):
            image_encoder("resnet18", (3, 16, 16))


def same_predictions(encoder, description, x):
    again = image_encoder_from(json.loads(json.dumps(description)))
    again.load_state_dict(encoder.state_dict())
    assert again.augment is None
    assert again.n_features == encoder.n_features
    assert torch.equal(encoder.eval()(x), again.eval()(x))


class TestNetworks:
    @pytest.mark.parametrize("name", ["cnn", *CONFIGURATIONS])
    def test_from_a_name_and_back_from_its_description(self, name, monkeypatch):
        # Each configuration as it is, but with fewer and narrower layers; with 4 channels oneDNN's gradients of a
        # ResNet corrupt the heap on processors without AVX-512.
        small = {
            "resnet": {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 32], "depths": [1, 1, 1, 1]},
            "convnext": {"hidden_sizes": [4, 4, 8, 8], "depths": [1, 1, 1, 1]},
            "vit": {"hidden_size": 12, "num_hidden_layers": 1, "intermediate_size": 8},
        }
        for key, config in CONFIGURATIONS.items():
            monkeypatch.setitem(CONFIGURATIONS, key, config | small[config["model_type"]])
        choices = {"width": 4} if name == "cnn" else {}
        encoder, description = image_encoder(name, (3, 32, 32), crop=2, **choices)
        x = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
        features = encoder.train()(x)
        assert features.shape == (4, encoder.n_features)
        features.sum().backward()
        assert all(p.grad is not None for p in encoder.parameters() if p.requires_grad)
        assert encoder.lr_factor == 1.0
        same_predictions(encoder, description, x)

    def test_sizes_of_the_published_networks(self):
        n = {"resnet18": 11_176_512, "resnet50": 23_508_032}  # without the classifier, as torchvision counts them
        for name, parameters in n.items():
            encoder, _ = image_encoder(name, (3, 64, 64))
            assert sum(p.numel() for p in encoder.parameters()) == parameters
            assert encoder.n_features == {"resnet18": 512, "resnet50": 2048}[name]

    @pytest.mark.parametrize("save", [save_vit, save_resnet])
    def test_pretrained_from_a_folder(self, save, tmp_path):
        from transformers import AutoModel

        encoder, description = image_encoder(str(save(tmp_path / "net")), (3, 16, 16))
        saved = AutoModel.from_pretrained(tmp_path / "net").state_dict()
        state = encoder.network.backbone.state_dict()
        assert all(torch.equal(state[key], saved[key]) for key in saved)
        assert encoder.lr_factor == 0.05
        if save is save_vit:
            assert encoder.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
            unused = [name for name, p in encoder.named_parameters() if not p.requires_grad]
            assert unused
            assert all("pooler" in name for name in unused)
        assert str(tmp_path) not in json.dumps({**description, "name": ""})
        same_predictions(encoder, description, torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8))

    def test_its_learning_rate_can_be_chosen(self, tmp_path):
        encoder, _ = image_encoder(str(save_resnet(tmp_path / "net")), (3, 16, 16), lr_factor=0.5)
        assert encoder.lr_factor == 0.5

    @pytest.mark.parametrize("shape", [(3, 32, 32), (1, 16, 16)])
    def test_images_it_does_not_take(self, shape, tmp_path):
        with pytest.raises(InputError, match=r"does not take images of \(.*image.mode, image.size"):
            image_encoder(str(save_vit(tmp_path / "net")), shape)

    def test_a_text_encoder_is_no_image_encoder(self, tmp_path):
        with pytest.raises(InputError, match="does not take images"):
            image_encoder(str(save_bert(tmp_path / "net")), (3, 16, 16))

    @pytest.mark.parametrize("name", ["no/such/folder", "nobody/none-such", "a b", "./nothing"])
    def test_neither_folder_nor_hub(self, name, monkeypatch):
        with pytest.raises(InputError, match="cannot be loaded by that name: no folder is there") as found:
            image_encoder(name, (3, 16, 16))
        assert "\n" not in str(found.value)

    def test_folders_that_do_not_work(self, tmp_path):
        from safetensors.torch import load_file, save_file

        folder = save_resnet(tmp_path / "net")
        weights = load_file(folder / "model.safetensors")
        less = {k: v for k, v in weights.items() if "embedder" not in k}
        save_file(less, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(InputError, match=r"lacks .* weights of its network"):
            image_encoder(str(folder), (3, 16, 16))
        (folder / "model.safetensors").write_bytes(b"junk" * 20)
        with pytest.raises(InputError, match="cannot be loaded by that folder"):
            image_encoder(str(folder), (3, 16, 16))
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")  # a pickle: never read
        with pytest.raises(InputError, match="cannot be loaded by that folder"):
            image_encoder(str(folder), (3, 16, 16))
        (folder / "config.json").write_text("{broken")
        with pytest.raises(InputError, match="cannot be loaded by that folder"):
            image_encoder(str(folder), (3, 16, 16))

    @pytest.mark.parametrize("kind", ["resnet", "mine"])
    def test_code_beside_the_weights_is_not_run(self, kind, tmp_path):
        folder = save_resnet(tmp_path / "net")
        (folder / "evil.py").write_text("raise SystemExit('ran')")
        config = json.loads((folder / "config.json").read_text())
        config |= {"auto_map": {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}, "model_type": kind}
        config["attn_implementation"] = "someone/kernels"
        (folder / "config.json").write_text(json.dumps(config))
        if kind == "mine":
            with pytest.raises(InputError, match="contains custom code"):
                image_encoder(str(folder), (3, 16, 16))
        else:
            _, description = image_encoder(str(folder), (3, 16, 16))
            assert "evil" not in json.dumps(description)
            assert "someone" not in json.dumps(description)


def test_in_a_loop_of_ones_own():
    torch.manual_seed(0)
    x = torch.randint(0, 256, (24, 1, 16, 16), dtype=torch.uint8)
    y = x.float().mean((1, 2, 3))
    encoder = MediaEncoder({"image": ImageEncoder(SmallCNN(1, width=4), (1, 16, 16), crop=2)})
    model = Regressor(encoder, encoder.n_features)
    objective = compose("sqinv+lds+fds+conr+twoviews").build(model, y.numpy(), Bins.count(y.numpy(), 5))
    optimizer = torch.optim.AdamW(objective.trained_parameters(), lr=1e-3)
    before = {name: value.clone() for name, value in model.named_parameters()}
    for _ in range(2):
        for rows in torch.randperm(24).split(12):
            optimizer.zero_grad()
            sum(objective({"image": x[rows]}, y[rows]).values()).backward()
            optimizer.step()
        objective.end_epoch()
    assert all(not torch.equal(value, before[name]) for name, value in model.named_parameters())
    assert torch.isfinite(model.eval()({"image": x})).all()


@pytest.mark.slow
def test_compiled_encoders_give_the_same():
    torch.manual_seed(0)
    encoder = ImageEncoder(SmallCNN(3, width=4), (3, 16, 16), crop=2)
    x = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    for mode in (True, False):
        torch._dynamo.reset()
        encoder.train(mode)
        compiled = torch.compile(encoder, backend="aot_eager")
        torch.testing.assert_close(encoded(compiled, x), encoded(encoder, x))


def test_importing_the_command_does_not_load_them():
    code = "import sys, tailwise.cli.main; print([m for m in ('PIL', 'kornia', 'transformers') if m in sys.modules])"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"


def test_images_of_12_bits_keep_their_grey_levels(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4096, (4, 16, 16)).astype(np.uint16)
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for path, grey in zip(paths, pixels, strict=True):
        Image.fromarray(grey).save(path)
    frame = pd.DataFrame({"path": paths})
    reader = ImageReader.fit("path", frame, mode="L")
    assert reader.bits == 12
    assert np.array_equal(reader.read(frame)[:, 0], pixels >> 4)
    again = ImageReader.load(tmp_path, reader.save(tmp_path))
    assert np.array_equal(again.read(frame), reader.read(frame))
    assert np.array_equal(ImageReader.fit("path", frame, mode="L", bits=16).read(frame)[:, 0], pixels >> 8)
    Image.fromarray(np.full((16, 16), 60_000, np.uint16)).save(paths[0])
    assert reader.read(frame)[0].min() == 255


def test_images_brighter_than_those_looked_at_are_told_once(tmp_path, monkeypatch):
    """One training image decides on the bits, and three other images use more."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr("tailwise.modalities.image_files._LOOKED_AT", 1)
    labels, lines = rng.exponential(3, 60), ["path,y"]
    for i, y in enumerate(labels):
        grey = rng.integers(1024, 4096, (8, 8))
        grey[0, 0] = 9_000 if i in (20, 40, 59) else 4_095
        Image.fromarray(grey.astype(np.uint16)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{y}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    (tmp_path / "dark.csv").write_text("\n".join(lines[:20]))
    task = prepare(tmp_path / "t.csv", "y", image=["path"])
    experiment = Experiment("vanilla", params={"image": {"width": 2}}, recipe=Recipe(epochs=1, device="cpu"))
    model = fit(task, experiment)
    (note,) = [note for note in task.notes if "brighter" in note]
    assert note.startswith("images of column 'path': 3 of 60 images brighter than 12 bits and clipped there, e.g. ")
    assert note.endswith("train with `image.bits=14`")
    fit(task, experiment)
    assert sum("brighter" in note for note in task.notes) == 1
    rows = labelled_rows(model, str(tmp_path / "t.csv"), drop=False)
    assert sum("3 of 60 images" in note for note in rows.notes) == 1
    assert not any("brighter" in note for note in labelled_rows(model, str(tmp_path / "dark.csv"), drop=False).notes)
    pieces = PredictedPieces(model, Asked(Decision()))
    for start in (0, 30):
        pieces.of(rows.frame[start : start + 30])
    assert sum("3 of 60 images" in note for note in pieces.notes) == 1
    whole = prepare(tmp_path / "t.csv", "y", image=["path"])
    fit(whole, Experiment("vanilla", params={"image": {"width": 2, "bits": 14}}, recipe=Recipe(epochs=1, device="cpu")))
    assert not any("brighter" in note for note in whole.notes)
