"""Folders of Parquet files: the same as a table in memory, with little of it in memory."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from tailwise._checks import InputError
from tailwise.cli.main import run
from tailwise.data import rows as data_rows
from tailwise.data.preprocessing import fit_preprocessor, transform
from tailwise.data.rows import FrameRows, open_folder
from tailwise.data.source import load_source
from tailwise.experiment.prepare import prepare
from tailwise.training.streamed_batches import StreamedBatches, fit_streamed_preprocessor


def table(n=500):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": 1e3 * rng.normal(size=n), "kind": rng.choice(list("xyz"), n)})
    frame["y"] = (10 * np.exp(frame["a"] / 2) + rng.normal(size=n)).round(2)
    frame.loc[::7, "b"] = np.nan
    frame["split"] = rng.choice(["train", "train", "Valid", "test"], n)
    frame["house"] = rng.integers(0, 60, n)
    return frame


@pytest.fixture
def folder(tmp_path):
    frame = table()
    place = tmp_path / "parts"
    (place / "deeper").mkdir(parents=True)
    frame[:200].to_parquet(place / "a.parquet")
    frame[200:201].to_parquet(place / "b.parquet")
    frame[201:].to_parquet(place / "deeper" / "c.parquet")
    return place


def mapped(folder, tmp_path):
    return open_folder(folder, tmp_path / "cache")[0]


class TestRows:
    @pytest.mark.parametrize("in_memory", [True, False])
    def test_select_and_iterate(self, folder, tmp_path, in_memory):
        frame = table()
        rows = FrameRows(frame) if in_memory else mapped(folder, tmp_path)
        assert rows.in_memory == in_memory
        assert rows.columns == list(frame)
        assert len(rows) == 500
        index = np.random.default_rng(1).permutation(500)[:77]
        some = rows.select(index).select(np.arange(3, 60))
        expected = frame.iloc[index[3:60]].reset_index(drop=True)
        pd.testing.assert_frame_equal(some.frame(), expected, check_dtype=False)
        pieces = list(some.pieces(25))
        assert [len(piece) for piece in pieces] == [25, 25, 7]
        pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), expected, check_dtype=False)
        named = some.frame(["y", "kind"])
        assert named["y"].tolist() == expected["y"].tolist()
        assert named["kind"].tolist() == expected["kind"].tolist()
        assert len(rows.select(np.empty(0, np.int64)).frame()) == 0

    def test_the_digest_changes_with_the_data(self, folder, tmp_path):
        before = open_folder(folder, tmp_path / "c1")[1]
        assert open_folder(folder, tmp_path / "c2")[1] == before
        table()[:200].assign(a=0.0).to_parquet(folder / "a.parquet")
        assert open_folder(folder, tmp_path / "c3")[1] != before

    def test_what_cannot_be_read(self, folder, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="has no file whose name ends in"):
            open_folder(tmp_path / "empty", tmp_path / "c")
        pd.DataFrame({"other": ["a"]}).to_parquet(folder / "z.parquet")
        with pytest.raises(InputError, match="does not have the columns of"):
            open_folder(folder, tmp_path / "c")
        table()[:5].assign(b="text").to_parquet(folder / "z.parquet")
        with pytest.raises(InputError, match="cannot be read as one table: 'z"):
            open_folder(folder, tmp_path / "c")
        (folder / "z.parquet").write_bytes(b"no parquet")
        with pytest.raises(InputError, match="cannot be read as one table"):
            open_folder(folder, tmp_path / "c")


def test_files_without_rows_and_other_number_types_belong_to_the_table(folder, tmp_path):
    table()[:0].to_parquet(folder / "0.parquet")
    table()[:3].assign(a=[1, 2, 3], b=None).to_parquet(folder / "z.parquet")
    rows = mapped(folder, tmp_path)
    assert len(rows) == 503
    assert rows.frame()["a"][500:].tolist() == [1.0, 2.0, 3.0]
    table()[:0].to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(InputError, match="have no rows"):
        open_folder(tmp_path / "empty.parquet", tmp_path / "c2")


class TestPrepare:
    @pytest.mark.parametrize(
        "options", [{}, {"split": "balanced"}, {"split": "balanced", "group": "house"}, {"mask_target": [(12.0, 15.0)]}]
    )
    def test_is_that_of_the_table_in_memory(self, folder, tmp_path, options):
        whole, large = prepare(table(), "y", **options), prepare(mapped(folder, tmp_path), "y", **options)
        assert large.part.tolist() == whole.part.tolist()
        assert large.schema == whole.schema
        assert large.shots.to_json() == whole.shots.to_json()
        assert large.notes == whole.notes
        rows, y = large.rows_of("val")
        assert rows.frame()["y"].tolist() == y.tolist()

    def test_preprocessing_in_one_pass(self, folder, tmp_path):
        whole, large = prepare(table(), "y"), prepare(mapped(folder, tmp_path), "y")
        train = whole.rows_of("train")[0].frame()
        in_memory = fit_preprocessor(whole.schema.features(train))
        streamed = fit_streamed_preprocessor(large.schema, large.rows_of("train")[0], train)
        everything = table()
        np.testing.assert_allclose(
            transform(streamed, large.schema, everything), transform(in_memory, whole.schema, everything), atol=1e-5
        )

    def test_means_come_from_all_rows_of_which_the_sample_is_few(self, folder, tmp_path):
        large = prepare(mapped(folder, tmp_path), "y")
        train = large.rows_of("train")[0]
        streamed = fit_streamed_preprocessor(large.schema, train, train.frame()[:100])
        x = transform(streamed, large.schema, train.frame())
        np.testing.assert_allclose(x[:, :2].mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(x[:, :2].std(axis=0), 1, atol=1e-6)

    def test_a_cell_outside_the_sample_is_checked(self, tmp_path, monkeypatch):
        monkeypatch.setattr(data_rows, "SAMPLE", 50)
        frame = table().assign(text=[str(i % 9) for i in range(500)], split="train")
        frame.loc[:60, "split"], frame.loc[61:120, "split"] = "val", "test"
        seen = data_rows.sample_of(500, 0)
        frame.loc[next(i for i in range(499, 0, -1) if i not in seen), "text"] = "oops"
        (tmp_path / "f").mkdir()
        frame.to_parquet(tmp_path / "f" / "a.parquet")
        large = prepare(mapped(tmp_path / "f", tmp_path), "y")
        train = large.rows_of("train")[0]
        sample = train.frame()
        sample = sample[sample["text"] != "oops"]
        with pytest.raises(InputError, match="column 'text' is numeric, but 1 cell is not"):
            fit_streamed_preprocessor(large.schema, train, sample)


class TestBatches:
    @pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
    def test_every_row_comes_once_with_its_target(self, batch_size):
        frame = pd.DataFrame({"a": np.arange(321.0)})
        batches = StreamedBatches(
            FrameRows(frame), 2 * np.arange(321.0), lambda f: f.to_numpy(np.float32), batch_size=batch_size
        )
        sizes, seen = [], []
        for n, x, y in batches.pieces():
            assert len(x) == len(y) == n
            assert torch.equal(2 * x.squeeze(1), y)
            sizes.append(n)
            seen += x.squeeze(1).tolist()
        assert sorted(seen) == list(range(321))
        assert seen != sorted(seen) or batch_size == 1000
        assert len(sizes) == len(batches)
        assert set(sizes[:-1]) <= {batch_size}

    def test_the_order_follows_the_seed(self):
        frame = pd.DataFrame({"a": np.arange(200.0)})
        batches = StreamedBatches(FrameRows(frame), np.arange(200.0), lambda f: f.to_numpy(np.float32), batch_size=9)
        orders = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            orders.append(torch.cat([y for _, _, y in batches.pieces()]).tolist())
        assert orders[0] == orders[1] != orders[2]


class TestCommand:
    @pytest.mark.slow
    def test_train_on_a_folder(self, folder, tmp_path):
        out = tmp_path / "run"
        assert run(["train", str(folder), "-t", "y", "--epochs", "2", "-o", str(out)]) == 0
        config = json.loads((out / "config.json").read_text())
        assert config["data"]["name"] == str(folder)
        assert not list(out.glob("*cache*"))
        assert (
            run(["predict", str(out), str(folder / "a.parquet"), "-o", str(tmp_path / "p.csv"), "--ignore-extra"]) == 0
        )

    @pytest.mark.slow
    def test_targets_of_units_far_apart_in_a_folder(self, folder, tmp_path, capsys):
        for part in folder.rglob("*.parquet"):
            frame = pd.read_parquet(part)
            frame.assign(z=1000 * np.exp(frame["a"])).to_parquet(part)
        out = tmp_path / "run"
        words = ["train", str(folder), "-t", "y", "-t", "z", "--method", "vanilla", "--epochs", "8", "-o", str(out)]
        assert run([*words, "--encoder", "mlp", "--drop", "house"]) == 0
        assert "standard deviations of the 2 targets" in capsys.readouterr().out
        each = json.loads((out / "outputs.json").read_text())
        spreads = pd.concat(map(pd.read_parquet, folder.rglob("*.parquet")))[["y", "z"]].std()
        assert all(one["as_rows_come"] < 0.5 * spreads[one["name"]] for one in each)

    @pytest.mark.slow
    def test_a_mistake_leaves_nothing_that_is_in_the_way(self, folder, tmp_path, capsys):
        out = tmp_path / "run"
        assert run(["train", str(folder), "-t", "z", "-o", str(out)]) == 2
        assert "target 'z' is not a column" in capsys.readouterr().err
        assert not out.exists()
        (folder / "z.parquet").write_bytes(b"no parquet")
        assert run(["train", str(folder), "-t", "y", "-o", str(out)]) == 2
        assert not out.exists()
        (folder / "z.parquet").unlink()
        assert run(["train", str(folder), "-t", "y", "--epochs", "1", "-o", str(out)]) == 0

    def test_other_commands_say_that_they_take_files(self, folder):
        with pytest.raises(
            InputError,
            match="is a folder; `tailwise train, predict, evaluate, explain and diagnose` take folders",
        ):
            load_source(str(folder))


_MEMORY = """
import sys
import numpy as np
from pathlib import Path
from tailwise.data import rows as data_rows
from tailwise.data.source import load_source
from tailwise.experiment.prepare import prepare
from tailwise.training.streamed_batches import StreamedBatches, fit_streamed_preprocessor
from tailwise.data.preprocessing import transform

def private():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) / 1024

data_rows.SAMPLE = 2000
rows = load_source(sys.argv[1], Path(sys.argv[2])).rows
before = private()
table = prepare(rows, "y")
train, y = table.rows_of("train")
preprocessor = fit_streamed_preprocessor(table.schema, train, train.select(np.arange(2000)).frame())
peak = private()
for _, x, _ in StreamedBatches(train, y, lambda f: transform(preprocessor, table.schema, f), batch_size=256).pieces():
    peak = max(peak, private())
print(peak - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads private memory from /proc")
def test_memory_does_not_hold_the_table(tmp_path):
    (tmp_path / "big").mkdir()
    rng = np.random.default_rng(0)
    for part in range(4):
        frame = pd.DataFrame(rng.normal(size=(60_000, 60)), columns=[f"x{i}" for i in range(60)])
        frame.assign(y=frame["x0"].round(2)).to_parquet(tmp_path / "big" / f"{part}.parquet")
    made = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(tmp_path / "big"), str(tmp_path / "cache")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert float(made.stdout) < 60  # the table has 115 MB of numbers
