import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from tailwise import Bins, InputError, Recipe, Shots, compose
from tailwise.cli.main import run
from tailwise.data.cell_paths import FileError
from tailwise.data.source import load_source
from tailwise.labels.streaming import LabelDensity
from tailwise.metrics.depth import DepthErrors
from tailwise.metrics.errors import balanced_mean_absolute_error, geometric_mean_error
from tailwise.modalities.depth_net import DenseHead, DepthNet
from tailwise.modalities.map_batches import MapBatches
from tailwise.modalities.map_evaluation import Example, evaluate_maps, evaluate_part
from tailwise.modalities.map_files import nearest, read_image, read_map
from tailwise.modalities.map_method import map_method
from tailwise.modalities.map_model import MapModel
from tailwise.modalities.map_network import MapNetwork
from tailwise.modalities.map_rows import open_maps
from tailwise.modalities.map_schema import MapSettings
from tailwise.modalities.map_store import MapFile
from tailwise.modalities.map_task import prepare_map_table, prepare_maps
from tailwise.modalities.map_training import start
from tailwise.modalities.scenes import FARTHEST, render_scene, write_scenes
from tailwise.report.dense_page import dense_page

COLUMNS = ["--image", "image", "--depth", "depth", "--set", "depth.scale=0.001"]
QUICK = ["--epochs", "2", "--device", "cpu", "--lr", "0.003"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Forty scenes, in three groups, every second with a mask of its left half."""
    index = write_scenes(tmp_path_factory.mktemp("data") / "scenes", 40)
    frame = pd.read_csv(index)
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    Image.fromarray(mask).save(index.parent / "left.png")
    frame["room"] = np.arange(40) % 5
    frame["left"] = np.where(np.arange(40) % 2 == 0, "left.png", None)
    frame.to_csv(index, index=False)
    return index


@pytest.fixture(scope="module")
def maps(scenes):
    return prepared(scenes)


def prepared(index, frame=None, **choices):
    settings = MapSettings(scale=0.001, mask=choices.pop("mask", None), size=choices.pop("size", None))
    given = pd.read_csv(index) if frame is None else frame
    return prepare_maps(given, index.parent, "image", "depth", settings=settings, **choices)


@pytest.fixture(scope="module")
def finished(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert run(["train", str(scenes), *COLUMNS, "-m", "vanilla", *QUICK, "-o", str(out)]) == 0
    return out


class TestNetwork:
    @pytest.mark.parametrize("size", [(64, 64), (65, 99)])
    @pytest.mark.slow
    def test_maps_have_half_the_size_of_images(self, size):
        model = DepthNet("small").eval()
        features = model.encode(torch.rand(2, 3, *size))
        half = tuple(-(-side // 2) for side in size)
        assert features.shape == (2, model.n_features, *half)
        assert model.head(features).shape == (2, *half)

    def test_bytes_are_shares_of_255(self):
        model = DepthNet("small").eval()
        image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
        torch.testing.assert_close(model(image), model(image / 255))

    def test_every_parameter_learns(self):
        model = DepthNet("small")
        model(torch.rand(2, 3, 64, 64)).square().sum().backward()
        assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []

    def test_the_published_size(self):
        with torch.device("meta"):
            model = DepthNet("resnet50")
        assert model.n_features == 128

    def test_output_speaks_the_units_of_pixels(self):
        head = DenseHead(4).match_scale([1.0, 3.0])
        nn.init.zeros_(head.convolution.weight)
        nn.init.ones_(head.convolution.bias)
        assert head(torch.rand(1, 4, 5, 5)).unique().tolist() == [3.0]
        for labels in ([2.0, 2.0], [[1.0, 2.0]], [1.0, np.nan]):
            with pytest.raises(InputError):
                head.match_scale(labels)

    def test_a_pretrained_encoder_keeps_its_weights(self, tmp_path):
        model = DepthNet("small")
        model.encoder.save_pretrained(tmp_path / "encoder")
        other = DepthNet(str(tmp_path / "encoder"))
        assert other.shape == model.shape
        for name, value in model.encoder.state_dict().items():
            assert torch.equal(value, other.encoder.state_dict()[name]), name

    @pytest.mark.parametrize("encoder", ["resnet5", "", {"model_type": "vit", "num_hidden_layers": 1}])
    def test_another_encoder_is_refused(self, encoder):
        with pytest.raises(InputError, match="encoder"):
            DepthNet(encoder)

    def test_small_images_are_refused(self):
        with pytest.raises(InputError, match="at least 64"):
            DepthNet("small")(torch.rand(1, 3, 32, 64))


class TestFiles:
    def test_maps_of_each_kind(self, tmp_path):
        metres = np.array([[0.0, 1.25], [2.5, 60.0]], np.float32)
        expected = np.where(metres > 0, metres, np.nan)
        Image.fromarray((metres * 1000).astype(np.uint16)).save(tmp_path / "16.png")
        np.save(tmp_path / "float.npy", expected.astype(np.float64))
        np.save(tmp_path / "whole.npy", (metres * 1000).astype(np.int32))
        for name, scale in (("16.png", 0.001), ("float.npy", 1.0), ("whole.npy", 0.001)):
            found = read_map(tmp_path / name, scale)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        Image.fromarray(np.array([[0, 200]], np.uint8)).save(tmp_path / "8.png")
        np.testing.assert_allclose(read_map(tmp_path / "8.png", 0.1), [[np.nan, 20.0]])

    def test_maps_that_cannot_be(self, tmp_path):
        np.save(tmp_path / "below.npy", np.array([[-1.0]]))
        np.save(tmp_path / "endless.npy", np.array([[np.inf]]))
        np.save(tmp_path / "three.npy", np.ones((2, 2, 3)))
        np.save(tmp_path / "words.npy", np.array([["a"]]))
        np.save(tmp_path / "objects.npy", np.array([[None]]), allow_pickle=True)
        with (tmp_path / "several.npy").open("wb") as file:
            np.savez(file, np.ones((2, 2)))
        (tmp_path / "text.png").write_text("no image")
        Image.new("RGB", (2, 2)).save(tmp_path / "rgb.png")
        for name, reason in (
            ("below.npy", "below 0"),
            ("endless.npy", "infinite"),
            ("three.npy", "one number a pixel"),
            ("words.npy", "not numbers"),
            ("objects.npy", "not a whole NPY"),
            ("several.npy", "not numbers"),
            ("text.png", "neither"),
            ("rgb.png", "one channel"),
        ):
            with pytest.raises(FileError, match=reason):
                read_map(tmp_path / name)

    def test_images_of_16_bits_are_refused(self, tmp_path):
        Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(tmp_path / "16.png")
        with pytest.raises(FileError, match="8 bits a channel, but this is I;16"):
            read_image(tmp_path / "16.png")  # Pillow would make all of it white

    def test_a_map_of_half_the_size_keeps_its_ends_and_its_unknown_pixels(self):
        ramp = np.tile(np.arange(9, dtype=np.float32), (5, 1))
        ramp[0, 0] = np.nan
        small = nearest(ramp, (3, 5))
        np.testing.assert_array_equal(small[1], [0, 2, 4, 6, 8])
        assert np.isnan(small).sum() == 1
        np.testing.assert_array_equal(nearest(ramp, (5, 9)), ramp)

    def test_missing_and_broken_files_are_counted_and_the_first_ten_named(self, scenes, tmp_path):
        folder = tmp_path / "scenes"
        shutil.copytree(scenes.parent, folder)
        for i in range(12):
            path = folder / "depths" / f"{i:05d}.png"
            path.unlink() if i < 2 else path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(InputError, match=r"12 of the 40 files that column 'depth' names") as error:
            prepared(folder / "index.csv")
        assert str(error.value).count("truncated") == 8
        assert str(error.value).count("no such file") == 2
        assert "and 2 more" in str(error.value)

    def test_a_map_of_another_size_than_its_image_is_named(self, scenes, tmp_path):
        np.save(tmp_path / "odd.npy", np.ones((64, 65), np.float32))
        frame = pd.read_csv(scenes)
        frame.loc[3, "depth"] = str(tmp_path / "odd.npy")
        with pytest.raises(InputError, match=r"1 of the 40 .* another size .*odd.npy: 64 x 65, its image 64 x 64"):
            prepared(scenes, frame)

    def test_images_of_several_sizes_need_one_to_be_stretched_to(self, scenes, tmp_path):
        Image.new("RGB", (80, 100)).save(tmp_path / "large.png")
        np.save(tmp_path / "large.npy", np.full((100, 80), 2.0, np.float32))
        frame = pd.read_csv(scenes)
        frame.loc[3, ["image", "depth"]] = str(tmp_path / "large.png"), str(tmp_path / "large.npy")
        with pytest.raises(InputError, match=r"2 sizes \(64 x 64, 100 x 80\).*depth.size"):
            prepared(scenes, frame)
        maps = prepared(scenes, frame, size=(64, 80))
        row = maps.rows.select([3])
        assert row.decoded().shape == (1, 3, 64, 80)
        assert row.targets().shape == (1, 32, 40)
        (pred,) = MapModel.of(maps, MapNetwork(DepthNet("small"))).predict(row)
        assert pred.shape == (100, 80)


class TestPreparation:
    def test_counts_are_those_of_all_known_training_pixels(self, maps):
        pixels = np.concatenate([truth.ravel() for truth in maps.rows_of("train")[1]])
        known = pixels[~np.isnan(pixels)]
        assert maps.counts.n == known.size
        np.testing.assert_array_equal(maps.counts.counts, maps.shots.bins.histogram(known))
        assert np.isin(maps.pixels, known).all()
        assert maps.shots.many == pytest.approx(known.size * 100 / 12208)

    def test_only_training_maps_choose_the_bins(self, scenes, tmp_path):
        np.save(tmp_path / "far.npy", np.full((64, 64), 500.0, np.float32))
        frame = pd.read_csv(scenes).assign(split=["train"] * 30 + ["val"] * 5 + ["test"] * 5)
        frame.loc[39, "depth"] = str(tmp_path / "far.npy")
        maps = prepared(scenes, frame)
        assert maps.split == "column"
        assert maps.shots.bins.edges[-1] < 25

    def test_a_group_is_never_split(self, scenes):
        maps = prepared(scenes, group="room")
        parts = pd.Series(maps.part).groupby(pd.read_csv(scenes)["room"].to_numpy()).nunique()
        assert (parts == 1).all()

    def test_masks_count_on_test_images_alone(self, scenes):
        maps = prepared(scenes, mask="left")
        masked = [i for i, mask in enumerate(maps.rows.masks) if mask is not None]
        assert masked == [i for i in np.flatnonzero(maps.part == "test") if i % 2 == 0]
        row = maps.rows.select(masked[:1])
        (truth,), (plain,) = row.truths(masked=True), row.truths()
        assert np.isnan(truth[:, 32:]).all()
        np.testing.assert_array_equal(truth[:, :32], plain[:, :32])

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"scal": 1}, "did you mean 'scale'"),
            ({"scale": 0}, "above 0"),
            ({"size": (64, 32)}, "from 64"),
            ({"size": 64}, r"takes \[height, width\]"),
            ({"augment": "yes"}, "true or false"),
        ],
    )
    def test_settings_that_do_not_work(self, settings, reason):
        with pytest.raises(InputError, match=reason):
            MapSettings.of(settings)

    def test_a_task_has_the_names_of_a_table_task(self, scenes):
        maps = prepared(scenes, mask="left")
        assert maps.schema.targets == ("depth",)
        assert maps.schema.target == "depth"
        assert maps.row.tolist() == list(range(40))
        assert maps.sizes() == {part: int((maps.part == part).sum()) for part in ("train", "val", "test")}
        test = np.flatnonzero(maps.part == "test")
        rows, truths = maps.rows_of("test")
        assert len(rows) == len(truths) == len(test)
        assert rows.names == tuple(pd.read_csv(scenes)["image"].iloc[test])
        assert [str(scenes.parent / name) for name in rows.names] == list(rows.images)
        for truth, expected in zip(truths, maps.rows.select(test).truths(masked=True), strict=True):
            np.testing.assert_array_equal(truth, expected)
        assert [len(piece) for piece in rows.pieces(4)] == [4, 2]
        with pytest.raises(InputError, match="lacks the column 'left' the model was trained on"):
            maps.schema.check(["image", "depth"])
        maps.schema.check(["image"], maps=False)

    @pytest.mark.parametrize(
        ("choices", "reason"),
        [
            ({"bin_width": 1.0, "n_bins": 3}, "give `bin_width` or `n_bins`, not both"),
            ({"split": "balanced"}, "`split='balanced'` is for one target a row"),
            ({"group": "rom"}, "`group` 'rom' is not a column of the table; did you mean 'room'"),
            ({"mask": "lef"}, "depth.mask 'lef' is not a column"),
        ],
    )
    def test_choices_that_do_not_work(self, scenes, choices, reason):
        with pytest.raises(InputError, match=reason):
            prepared(scenes, **choices)


class TestBatches:
    def test_image_and_map_are_mirrored_together(self, tmp_path):
        ramp = np.tile(np.arange(1, 65, dtype=np.uint8) * 3, (64, 1))
        Image.fromarray(np.stack([ramp] * 3, axis=-1)).save(tmp_path / "a.png")
        np.save(tmp_path / "a.npy", ramp.astype(np.float32))
        rows = open_maps(("image", "depth", None), [str(tmp_path / "a.png")] * 8, [str(tmp_path / "a.npy")] * 8)
        torch.manual_seed(0)
        batches = MapBatches(rows, batch_size=8)
        batches.jitter = nn.Identity()
        ((_, x, y),) = batches.pieces()
        rises = x[:, 0, 0, -1] > x[:, 0, 0, 0]
        assert 0 < rises.sum() < 8
        torch.testing.assert_close(rises, y[:, 0, -1] > y[:, 0, 0])
        torch.testing.assert_close(x[:, 0, ::2, ::2] * 255, y, atol=3.0, rtol=0)

    def test_colours_change_in_images_alone_and_one_seed_fixes_everything(self, maps):
        rows, _ = maps.rows_of("train")
        plain = MapBatches(rows, batch_size=5, augment=False)
        changed = MapBatches(rows, batch_size=5)
        drawn = []
        for batches in (plain, changed, changed):
            torch.manual_seed(3)
            drawn.append(list(batches))
        assert [len(y) for _, y in drawn[0]] == [5, 5, 5, 5, 5, 3]
        for (x0, y0), (x1, y1), (x2, y2) in zip(*drawn, strict=True):
            assert torch.equal(x1, x2)
            assert torch.equal(y1.nan_to_num(), y2.nan_to_num())
            assert not torch.equal(x0, x1)
            assert x1.min() >= 0
            assert x1.max() <= 1
            assert torch.equal(y0.nan_to_num().sort(-1).values, y1.nan_to_num().sort(-1).values)  # but for mirroring

    @pytest.mark.slow
    def test_worker_processes_decode_what_memory_holds(self, maps):
        rows, found = maps.rows_of("train")[0].select(range(6)), []
        for workers in (None, 0, 1):
            batches = MapBatches(rows, batch_size=4, workers=workers)
            for _ in range(2):
                torch.manual_seed(5)
                found.append(list(batches))
        for other in found[1:]:
            for (x, y), (x2, y2) in zip(found[0], other, strict=True):
                assert torch.equal(x, x2)
                assert torch.equal(y.nan_to_num(), y2.nan_to_num())


class TestMethodsOfPixels:
    """Parts are built from counts of all pixels, where only a part of these is at hand."""

    counts = LabelDensity(Bins.from_edges([0, 1, 2, 3])).partial_fit(np.repeat([0.5, 1.5, 2.5], [800, 190, 10]))
    sample = np.repeat([0.5, 1.5], [40, 10])  # without the rarest

    def build(self, name, **params):
        return compose(name, **params).build(DepthNet("small"), self.sample, self.counts)

    @pytest.mark.parametrize("name", ["inv", "sqinv", "sqinv+lds", "effective", "reweight"])
    @pytest.mark.filterwarnings("ignore:the weights are extreme")
    def test_weights(self, name):
        labels = np.repeat([0.5, 1.5, 2.5], self.counts.counts)
        of_all = compose(name).build(DepthNet("small"), labels, self.counts.bins).weights
        weights = self.build(name).weights
        np.testing.assert_allclose(weights.table, of_all.table)
        assert weights.table[2] > weights.table[1] > weights.table[0]

    def test_bins_of_balanced_mse(self):
        np.testing.assert_allclose(self.build("bni").loss.shares, [0.8, 0.19, 0.01], rtol=1e-6)

    def test_densities_without_bins_come_from_the_pixels_at_hand(self):
        points = {"points": [(0, 0), (3, 1)]}
        for name, params in (("sqinv+kde", {}), ("denseweight", {}), ("gai", {"components": 2}), ("sera", points)):
            given = {name: params} if params else {}
            terms = self.build(name, **given)(torch.rand(2, 3, 64, 64), torch.rand(2, 32, 32) * 3)
            assert torch.isfinite(terms["loss"])

    def test_fds_smooths_the_features_of_pixels(self):
        objective = self.build("fds")
        x, y = torch.rand(2, 3, 64, 64), torch.rand(2, 32, 32) * 3
        y[0, :16] = torch.nan
        for _ in range(2):
            objective(x, y)["loss"].backward()
            objective.end_epoch()
        features = objective.model.encode(x)
        smoothed = objective.smoother(features, y)
        assert smoothed.shape == features.shape
        assert torch.equal(smoothed[0, :, :16], features[0, :, :16])
        assert not torch.equal(smoothed[1], features[1])

    @pytest.mark.parametrize("name", ["ranksim", "uvote", "twoviews", "cmixup", "smogn", "isotonic", "vir"])
    def test_parts_of_rows_are_refused(self, name):
        with pytest.raises(InputError, match="is not for maps"):
            map_method(name, {})

    def test_the_clip_of_fds(self):
        assert map_method("fds+sqinv", {})[1] == {"fds": {"clip": (0.2, 5.0)}}
        assert map_method("fds", {"fds": {"clip": None}})[1] == {"fds": {"clip": None}}
        assert map_method("fds", {"fds": {"covariance": "full"}})[1] == {"fds": {"covariance": "full"}}
        assert map_method("vanilla", {})[1] == {}


class TestErrors:
    shots = Shots(Bins.from_edges([0, 1, 2, 3, 4]), np.array([900, 50, 3, 0]), many=100, few=20)

    def filled(self, n=9, seed=0):
        rng = np.random.default_rng(seed)
        truths = rng.uniform(0.1, 4.0, (n, 6, 7))
        truths[rng.random(truths.shape) < 0.2] = np.nan
        preds = np.abs(np.nan_to_num(truths) + rng.normal(size=truths.shape)) + 0.01
        errors = DepthErrors(self.shots)
        for truth, pred in zip(truths, preds, strict=True):
            errors.add(truth, pred)
        return errors, truths, preds

    def test_they_are_those_of_all_pixels_together(self):
        errors, truths, preds = self.filled()
        for name, region in errors.metrics(resamples=0).items():
            with np.errstate(invalid="ignore"):
                here = ~np.isnan(truths)
            if name != "all":
                here[here] = self.shots.names(truths[here]) == name
            y, p = truths[here], preds[here]
            values = {key: interval.value for key, interval in region.metrics.items()}
            assert region.n == y.size
            assert values == pytest.approx(
                {
                    "mae": np.abs(p - y).mean(),
                    "rmse": np.sqrt(np.square(p - y).mean()),
                    "mse": np.square(p - y).mean(),
                    "gm": geometric_mean_error(y, p),
                    "bmae": balanced_mean_absolute_error(y, p, self.shots.bins),
                    "bias": (p - y).mean(),
                    "abs_rel": (np.abs(p - y) / y).mean(),
                    "lg10": np.abs(np.log10(p) - np.log10(y)).mean(),
                    **{f"delta{k}": (np.maximum(p / y, y / p) <= 1.25**k).mean() for k in (1, 2, 3)},
                }
            )
        assert errors.validation()["few"] == errors.metrics(resamples=0)["few"].metrics["mae"].value

    def test_intervals_are_over_maps(self):
        errors, truths, preds = self.filled()
        mae = errors.metrics(resamples=400)["all"].metrics["mae"]
        again = errors.metrics(resamples=400)["all"].metrics["mae"]
        assert mae == again
        assert mae.low < mae.value < mae.high
        rng = np.random.default_rng(1)
        sums, counts = np.nansum(np.abs(preds - truths), axis=(1, 2)), (~np.isnan(truths)).sum(axis=(1, 2))
        drawn = [sums[i].sum() / counts[i].sum() for i in (rng.integers(0, 9, 9) for _ in range(4000))]
        np.testing.assert_allclose([mae.low, mae.high], np.quantile(drawn, [0.025, 0.975]), rtol=0.03)

    def test_a_region_of_a_single_map_has_no_interval(self):
        errors = DepthErrors(self.shots)
        errors.add([[0.5, 2.5]], [[1.0, 2.0]])
        errors.add([[0.5, np.nan]], [[1.0, 2.0]])
        regions = errors.metrics(resamples=50)
        assert regions["few"].metrics["mae"].low is None
        assert regions["many"].metrics["mae"].low is not None
        assert regions["zero"].n == 0

    def test_what_cannot_be_computed(self):
        errors = DepthErrors(self.shots)
        with pytest.raises(InputError, match="no pixel"):
            errors.metrics()
        errors.add([[np.nan]], [[1.0]])
        with pytest.raises(InputError, match="no pixel"):
            errors.metrics()
        errors.add([[0.5, 1.5]], [[-1.0, 1.5]])
        regions = errors.metrics(resamples=20)
        assert "lg10" not in regions["all"].metrics
        assert regions["all"].metrics["delta3"].value == 0.5
        assert regions["medium"].metrics["lg10"].value == 0.0
        with pytest.raises(InputError, match="not finite"):
            errors.add([[1.0]], [[np.nan]])
        with pytest.raises(InputError, match="shape"):
            errors.add([[1.0, 2.0]], [[1.0]])


class TestEvaluation:
    @pytest.fixture(scope="class")
    @classmethod
    def masked(cls, scenes):
        """A task with masks, and a model that is not trained."""
        torch.manual_seed(0)
        maps = prepared(scenes, mask="left")
        return maps, MapModel.of(maps, MapNetwork(DepthNet("small").match_scale(maps.pixels)))

    def test_errors_are_those_of_predictions_and_masked_maps(self, masked):
        maps, model = masked
        rows, truths = maps.rows_of("test")
        found = evaluate_part(model, maps, "test")
        assert found.examples == ()
        assert found.images["row"].tolist() == np.flatnonzero(maps.part == "test").tolist()
        assert (found.images["split"] == "test").all()
        assert found.images["image"].tolist() == list(rows.names)
        errors = DepthErrors(maps.shots)
        for line, truth, pred in zip(found.images.itertuples(), truths, model.predict(rows), strict=True):
            errors.add(truth, pred)
            known = ~np.isnan(truth)
            assert line.pixels == known.sum()
            assert line.mae == pytest.approx(np.abs(pred - truth)[known].mean())
            assert line.bias == pytest.approx((pred - truth)[known].mean(), abs=1e-6)
            assert line.rmse == pytest.approx(np.sqrt(np.square(pred - truth)[known].mean()))
        assert found.regions(seed=1) == errors.metrics(seed=1)
        assert evaluate_maps(model, rows).regions(resamples=0) == errors.metrics(resamples=0)

    def test_examples_are_the_best_the_median_and_the_worst_image(self, masked, tmp_path):
        maps, model = masked
        with MapFile(tmp_path / "maps.npz") as store:
            found = evaluate_part(model, maps, "test", store=store)
        ranked = found.images.sort_values("mae", kind="stable")
        assert [example.name for example in found.examples] == ranked["image"].iloc[[0, 3, 5]].tolist()
        with np.load(tmp_path / "maps.npz") as stored:
            assert stored.files == [f"row{row}" for row in found.images["row"]]
            for example, row, mae in zip(
                found.examples, ranked["row"].iloc[[0, 3, 5]], ranked["mae"].iloc[[0, 3, 5]], strict=True
            ):
                np.testing.assert_array_equal(stored[f"row{row}"], example.pred)
                assert np.nanmean(np.abs(example.pred - example.truth)) == pytest.approx(mae)
                assert example.image.shape == (3, 64, 64)

    def test_a_table_is_predicted_as_its_rows_are(self, masked, scenes, monkeypatch, tmp_path):
        maps, model = masked
        monkeypatch.chdir(scenes.parent)
        model.save(tmp_path)
        predictions = list(MapModel.load(tmp_path).predict(pd.read_csv(scenes).head(3)))
        for pred, expected in zip(predictions, model.predict(maps.rows.select(range(3))), strict=True):
            np.testing.assert_array_equal(pred, expected)


class TestScenes:
    def test_depths_are_those_of_what_is_drawn(self):
        rng = np.random.default_rng(0)
        seen = [render_scene(rng)[1] for _ in range(30)]
        depths = np.concatenate([depth[~np.isnan(depth)] for depth in seen])
        assert depths.min() > 0.5
        assert depths.max() <= FARTHEST
        far, near = (depths > 10).mean(), (depths < 5).mean()
        assert 0 < far < 0.2 < near
        # The lowest rays meet the floor 1.5 m below the eye, or something that stands before it.
        floor = 1.5 / (0.6 * (1 - 1 / 64) + 0.15)
        bottom = np.concatenate([depth[-1] for depth in seen])
        bottom = bottom[~np.isnan(bottom)]
        assert bottom.max() == pytest.approx(floor)

    def test_files_hold_what_was_drawn(self, tmp_path):
        index = write_scenes(tmp_path / "npy", 2, size=(64, 80), seed=4, depths="npy")
        frame = pd.read_csv(index)
        picture, depth = render_scene(np.random.default_rng(4), (64, 80))
        np.testing.assert_array_equal(read_image(index.parent / frame["image"][0]), picture.transpose(2, 0, 1))
        np.testing.assert_array_equal(read_map(index.parent / frame["depth"][0]), depth)
        with pytest.raises(InputError, match="exists already"):
            write_scenes(tmp_path / "npy", 2)


def page_of_maps():
    """A page with a map of which one pixel is known."""
    truth = np.full((4, 800), np.nan, np.float32)
    truth[1, 1] = 2.0
    shots = Shots.from_labels([1.5] * 9 + [2.5], Bins.from_edges([1, 2, 3]))
    errors = DepthErrors(shots)
    errors.add(truth, np.ones_like(truth))
    return dense_page(
        title="toy",
        target="depth",
        method="vanilla",
        data="toy",
        rows={"train": 1, "val": 1, "test": 1},
        split="random",
        shots=shots,
        regions=errors.metrics(),
        examples=[Example("one", np.zeros((3, 4, 800), np.uint8), truth, np.ones_like(truth))],
        history=[],
        notes=[],
    )


def test_a_page_shows_maps_whose_shown_pixels_are_all_unknown():
    assert "nan" not in page_of_maps().split("too low: red, to ")[1].split("<")[0]


@pytest.mark.slow
def test_a_network_learns_a_few_scenes(maps):
    # Without augmentation, and judged on what it was shown: the shape of things is learnt, not their mean.
    few = maps.rows_of("train")[0].select(range(4))
    pixels = np.concatenate([t[~np.isnan(t)] for t in few.truths()])
    torch.manual_seed(0)
    model = DepthNet("small").match_scale(pixels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    batches = MapBatches(few, batch_size=4, augment=False)
    losses = []
    for _ in range(25):
        for x, y in batches:
            known = ~torch.isnan(y)
            loss = (model(x)[known] - y[known]).square().mean() / pixels.var()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.15 * losses[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the weights are extreme")
@pytest.mark.parametrize("name", ["sqinv+lds", "sqinv+lds+fds", "bni"])
def test_a_run_from_the_command_line(name, scenes, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = [*COLUMNS, "-m", name, *QUICK, "-o", str(out), "--bin-width", "0.5"]
    assert run(["train", str(scenes), *arguments]) == 0
    history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert len(history) == 2
    assert history[-1]["terms"]["loss"] < history[0]["terms"]["loss"]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["all"]["n"] > 20_000
    for region in metrics.values():
        assert all(np.isfinite(values["value"]) for key, values in region.items() if key != "n")
    assert "test images" in capsys.readouterr().out


class TestRun:
    def test_the_folder(self, finished, scenes):
        config = json.loads((finished / "config.json").read_text())
        assert config["kind"] == "maps"
        assert config["depth"]["scale"] == 0.001
        table = pd.read_parquet(finished / "predictions.parquet")
        assert table["split"].value_counts().to_dict() == {"val": 6, "test": 6}
        page = (finished / "report.html").read_text()
        assert page.count("<img ") == 12
        assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
        with np.load(finished / "predictions.npz") as predicted:
            rows = table[table["split"] == "test"]
            assert sorted(predicted.files) == sorted(f"row{row}" for row in rows["row"])
            first = rows.iloc[0]
            truth = read_map(scenes.parent / pd.read_csv(scenes)["depth"][first["row"]], 0.001)
            assert np.nanmean(np.abs(predicted[f"row{first['row']}"] - truth)) == pytest.approx(first["mae"])

    @pytest.mark.slow
    def test_predictions_on_the_same_images_are_the_same(self, finished, scenes, tmp_path, capsys):
        out = tmp_path / "maps"
        assert run(["predict", str(finished), str(scenes), "-o", str(out)]) == 0
        table = pd.read_csv(out / "predictions.csv")
        with np.load(finished / "predictions.npz") as predicted:
            for name in predicted.files:
                again = np.load(out / table["prediction"][int(name.removeprefix("row"))])
                np.testing.assert_allclose(again, predicted[name], rtol=1e-4, atol=1e-4)
        assert run(["predict", str(finished), str(scenes), "-o", str(out)]) == 2
        assert "exists already" in capsys.readouterr().err
        (tmp_path / "other").mkdir()
        (out / "notes.txt").touch()
        for folder in (out, tmp_path / "other"):
            assert run(["predict", str(finished), str(scenes), "-o", str(folder), "--overwrite"]) == 2
            assert "something else than predicted maps" in capsys.readouterr().err
        (out / "notes.txt").unlink()
        assert run(["predict", str(finished), str(scenes), "-o", str(out), "--overwrite"]) == 0
        assert run(["predict", str(finished), str(scenes), "-o", str(out), "--overwrite", "--interval", "0.9"]) == 2
        assert "has no intervals" in capsys.readouterr().err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["maps", "other"]

    @pytest.mark.slow
    def test_notes_on_the_index_are_told_once(self, finished, scenes, tmp_path, capsys):
        header, *lines = scenes.read_text().splitlines()
        index, out = scenes.parent / "stray.csv", tmp_path / "run"
        index.write_text("\n".join([header, *(f"{line}," for line in lines)]))
        task = prepare_map_table(load_source(str(index)), "image", "depth", settings=MapSettings(scale=0.001))
        assert sum("stray" in note for note in task.notes) == 1
        for words in (
            ["evaluate", str(finished), str(index)],
            ["predict", str(finished), str(index), "-o", str(tmp_path / "maps")],
            ["train", str(index), *COLUMNS, "-m", "vanilla", *QUICK, "-o", str(out)],
        ):
            assert run(words) == 0
            assert capsys.readouterr().err.count("rows end in a stray") == 1, words
        assert (out / "report.html").read_text().count("rows end in a stray") == 1

    @pytest.mark.slow
    def test_a_folder_of_index_tables_is_one_table(self, finished, scenes, tmp_path):
        frame = pd.read_csv(scenes)
        near, apart = scenes.parent / "parts", scenes.parent / "parts" / "apart"
        apart.mkdir(parents=True)
        for rows, place, up in ((slice(0, 5), near, "../"), (slice(5, 8), apart, "../../")):
            part = frame[rows]
            part.assign(image=up + part["image"], depth=up + part["depth"]).to_csv(place / "part.csv", index=False)
        frame[:8].to_csv(scenes.parent / "eight.csv", index=False)
        # Files are in the order of their paths: that in "apart" comes first.
        order = [5, 6, 7, 0, 1, 2, 3, 4]
        found = []
        for data in (near, scenes.parent / "eight.csv"):
            metrics, out = tmp_path / f"{data.name}.json", tmp_path / f"{data.name}-maps"
            assert run(["evaluate", str(finished), str(data), "-o", str(metrics)]) == 0
            assert run(["predict", str(finished), str(data), "-o", str(out)]) == 0
            found.append((json.loads(metrics.read_text()), pd.read_csv(out / "predictions.csv"), out))
        (parts, maps, where), (whole, expected, there) = found
        assert parts["all"]["mae"]["value"] == pytest.approx(whole["all"]["mae"]["value"])
        assert maps["image"].map(lambda path: Path(path).name).tolist() == [
            Path(expected["image"][row]).name for row in order
        ]
        for name, row in zip(maps["prediction"], order, strict=True):
            again = np.load(there / expected["prediction"][row])
            np.testing.assert_allclose(np.load(where / name), again, rtol=1e-4, atol=1e-4)

    def test_evaluation_of_the_test_images_gives_the_metrics_of_the_run(self, finished, scenes, tmp_path):
        test = pd.read_parquet(finished / "predictions.parquet").query("split == 'test'")
        index = scenes.parent / "test.csv"
        pd.read_csv(scenes).iloc[test["row"]].to_csv(index, index=False)
        assert run(["evaluate", str(finished), str(index), "-o", str(tmp_path / "m.json")]) == 0
        again, before = (json.loads(path.read_text()) for path in (tmp_path / "m.json", finished / "metrics.json"))
        for region, values in before.items():
            assert again[region]["n"] == values["n"]
            if values["n"]:
                assert again[region]["mae"]["value"] == pytest.approx(values["mae"]["value"], rel=1e-4)

    @pytest.mark.slow
    def test_a_resumed_training_ends_as_an_uninterrupted_one(self, scenes):
        maps = prepared(scenes, pd.read_csv(scenes).head(12))

        def training():
            return start(maps, compose("fds"), Recipe(epochs=2, device="cpu", lr=3e-3))

        whole, first, second = training(), training(), training()
        epochs = list(whole.epochs())
        next(iter(first.epochs()))
        second.restore(*first.state())
        (last,) = second.epochs()
        assert last.terms == epochs[1].terms
        for name, value in whole.predictor.model.state_dict().items():
            assert torch.equal(value, second.predictor.model.state_dict()[name]), name

    def test_what_a_training_does_not_take(self, maps):
        with pytest.raises(InputError, match="takes no parameters"):
            start(maps, compose("vanilla"), Recipe(), params={"width": 4})
        with pytest.raises(InputError, match="`sample_weight` is for tables alone"):
            start(maps, compose("vanilla"), Recipe(), sample_weight=np.ones(3))

    def test_a_model_folder_of_another_kind_is_refused(self, finished, tmp_path):
        folder = tmp_path / "model"
        shutil.copytree(finished / "model", folder)
        saved = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**saved, "format": 2}))
        with pytest.raises(InputError, match="no model of maps"):
            MapModel.load(folder)
        (folder / "model.json").write_text(json.dumps({**saved, "encoder": {"model_type": "resnet"}}))
        with pytest.raises(InputError, match="not a complete model folder"):
            MapModel.load(folder)

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["--depth", "depth"], "needs one --image"),
            ([*COLUMNS, "--target", "room"], "--target and --depth do not go together"),
            ([*COLUMNS, "--model", "forest"], "--model and --depth do not go together"),
            ([*COLUMNS, "-m", "ranksim"], "'ranksim' is not for maps"),
            ([*COLUMNS, "--split", "balanced"], "--split balanced is for one target a row"),
            ([*COLUMNS, "--encoder", "resnet9"], "no encoder 'resnet9' of maps"),
            (["--image", "image", "--depth", "deep"], "--depth 'deep' is not a column"),
        ],
    )
    def test_mistakes_are_one_line_and_leave_nothing(self, arguments, reason, scenes, tmp_path, capsys):
        assert run(["train", str(scenes), *arguments, "-o", str(tmp_path / "run")]) == 2
        said = capsys.readouterr().err
        assert reason in said
        assert len(said.splitlines()) == 1
        assert list(tmp_path.iterdir()) == []
