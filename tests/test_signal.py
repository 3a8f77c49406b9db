"""Signals: every kind of file, length and scale, the encoder."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import wavfile

from tailwise import Bins, InputError, compose
from tailwise.heads.point import Regressor
from tailwise.modalities.signal import ResNet1d
from tailwise.modalities.signal_files import SignalReader, check_signals, read_signal

RNG = np.random.default_rng(0)


def frame_of(*paths):
    return pd.DataFrame({"sig": [str(path) for path in paths]})


def reason(path):
    """Why a file is refused."""
    with pytest.raises(InputError, match="1 of the 1 files that column 'sig' names") as found:
        check_signals("sig", frame_of(path))
    return str(found.value)


class TestNPY:
    @pytest.mark.parametrize("values", [RNG.normal(size=50), RNG.normal(size=(50, 3)), np.arange(50), np.arange(9) > 4])
    def test_numbers_of_one_channel_or_several(self, tmp_path, values):
        np.save(tmp_path / "a.npy", values)
        found = read_signal(tmp_path / "a.npy")
        assert found.dtype == np.float64
        assert np.array_equal(found, values.reshape(len(values), -1))

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (np.array([1.0, "a", None], dtype=object), "Object arrays cannot be loaded"),
            (np.array([1.0, np.nan]), "NaN or infinite"),
            (np.array([1.0, np.inf]), "NaN or infinite"),
            (np.array([1.0, 1e200]), "values above 1e"),
            (np.empty(0), r"\(0,\)"),
            (np.empty((5, 0)), r"\(5, 0\)"),
            (np.zeros((2, 3, 4)), r"an array \(2, 3, 4\); a signal is \(L,\) or \(L, C\), time first"),
            (np.array(3.0), r"an array \(\)"),
            (np.array([1j]), "complex128, not real numbers"),
            (np.array(["1", "2"]), "not real numbers"),
            (np.array(["2020-01-01"], dtype="datetime64[D]"), "not real numbers"),
        ],
    )
    def test_arrays_that_are_no_signals(self, tmp_path, values, message):
        np.save(tmp_path / "a.npy", values)
        import re

        assert re.search(message, reason(tmp_path / "a.npy"))


class TestWAV:
    @pytest.mark.parametrize(
        ("dtype", "values", "expected"),
        [
            (np.uint8, [0, 128, 192], [-1, 0, 0.5]),
            (np.int16, [-(2**15), 0, 2**14], [-1, 0, 0.5]),
            (np.int32, [-(2**31), 0, 2**30], [-1, 0, 0.5]),
            (np.float32, [-1, 0, 0.5], [-1, 0, 0.5]),
        ],
    )
    def test_whole_numbers_are_shares_of_full_scale(self, tmp_path, dtype, values, expected):
        wavfile.write(tmp_path / "a.wav", 8000, np.array(values, dtype))
        assert read_signal(tmp_path / "a.wav")[:, 0].tolist() == expected

    def test_24_bits_and_two_channels(self, tmp_path):
        import wave

        samples = [(-(2**23), 0), (2**22, -(2**22))]
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(3)
            file.setframerate(8000)
            file.writeframes(b"".join(v.to_bytes(3, "little", signed=True) for pair in samples for v in pair))
        assert read_signal(tmp_path / "a.wav").tolist() == [[-1, 0], [0.5, -0.5]]


class TestCSV:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1,2\n3,4\n", [[1, 2], [3, 4]]),
            ("x,y\n1,2\n3,4\n", [[1, 2], [3, 4]]),
            ("1\n2.5\n", [[1], [2.5]]),
            ("time,1\n0,5\n1,6\n", [[0, 5], [1, 6]]),
        ],
    )
    def test_with_names_or_without(self, tmp_path, text, expected):
        (tmp_path / "a.csv").write_text(text)
        assert read_signal(tmp_path / "a.csv").tolist() == expected

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "cannot be read"),
            ("x,y\n", "an array (0, 2)"),
            ("1,2\na,4\n", "cannot be read"),
            ("1,2\n,4\n", "NaN"),
            (",2\n3,4\n", "NaN"),
            ("1;2\n3;4\n5;6\n", "cannot be read"),
        ],
    )
    def test_tables_that_are_no_signals(self, tmp_path, text, message):
        (tmp_path / "a.csv").write_text(text)
        assert message in reason(tmp_path / "a.csv")


class TestEDF:
    @pytest.fixture
    def edfio(self):
        return pytest.importorskip("edfio")

    def test_channels_side_by_side(self, edfio, tmp_path):
        waves = [np.sin(np.arange(200) / 9), np.cos(np.arange(200) / 9)]
        edfio.Edf([edfio.EdfSignal(wave, sampling_frequency=100) for wave in waves]).write(tmp_path / "a.edf")
        found = read_signal(tmp_path / "a.edf")
        assert found.shape == (200, 2)
        np.testing.assert_allclose(found, np.stack(waves, 1), atol=1e-4)

    def test_different_rates_are_refused(self, edfio, tmp_path):
        waves = [(np.arange(200.0), 100), (np.arange(100.0), 50)]
        edfio.Edf([edfio.EdfSignal(v, sampling_frequency=rate) for v, rate in waves]).write(tmp_path / "a.edf")
        assert "different sampling rates" in reason(tmp_path / "a.edf")

    def test_without_the_package_the_message_names_the_extra(self, monkeypatch, tmp_path):
        (tmp_path / "a.edf").write_bytes(b"0")
        monkeypatch.setitem(sys.modules, "edfio", None)
        with pytest.raises(InputError, match=r"EDF files need edfio: pip install 'tailwise\[signal\]'"):
            check_signals("sig", frame_of(tmp_path / "a.edf"))


class TestFiles:
    @pytest.mark.parametrize("name", ["a.npy", "a.wav", "a.csv", "a.edf"])
    def test_broken_bytes(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"\x93NUMPY\x00\xff junk RIFF" * 3)
        assert "cannot be read" in reason(tmp_path / name)

    def test_other_kinds_folders_and_nothing(self, tmp_path):
        (tmp_path / "a.txt").write_text("1")
        (tmp_path / "b.npy").mkdir()
        assert "must end in one of .npy, .wav, .csv, .edf" in reason(tmp_path / "a.txt")
        assert "Is a directory" in reason(tmp_path / "b.npy")
        assert "no such file" in reason(tmp_path / "c.npy")

    def test_different_numbers_of_channels(self, tmp_path):
        np.save(tmp_path / "a.npy", np.zeros(9))
        np.save(tmp_path / "b.npy", np.zeros((9, 3)))
        with pytest.raises(InputError, match="column 'sig' have 1 to 3 channels; all must have as many"):
            check_signals("sig", frame_of(tmp_path / "a.npy", tmp_path / "b.npy"))
        reader = SignalReader.fit("sig", frame_of(tmp_path / "a.npy"))
        with pytest.raises(InputError, match=r"b.npy: 3 channels, where the training signals have 1"):
            reader.read(frame_of(tmp_path / "b.npy"))


class TestReader:
    def test_mean_0_and_deviation_1_over_the_training_signals(self, tmp_path):
        signals = [RNG.normal(1e4, [2.0, 30.0], size=(n, 2)) for n in (40, 50, 60)]
        paths = [tmp_path / f"{i}.npy" for i in range(3)]
        for path, signal in zip(paths, signals, strict=True):
            np.save(path, signal)
        reader = SignalReader.fit("sig", frame_of(*paths))
        together = np.concatenate(signals)
        np.testing.assert_allclose(reader.mean, together.mean(0))
        np.testing.assert_allclose(reader.std, together.std(0))
        x = reader.read(frame_of(*paths))
        assert x.shape == (3, 2, 60)
        assert x.dtype == np.float32
        assert (x[0, :, 40:] == 0).all()
        np.testing.assert_allclose(x[2], ((signals[2] - together.mean(0)) / together.std(0)).T, rtol=1e-4, atol=1e-5)
        cut = SignalReader.fit("sig", frame_of(*paths), length=10).read(frame_of(paths[2]))
        assert np.array_equal(cut, x[2:, :, 25:35])
        assert reader.read(frame_of()).shape == (0, 2, 60)

    def test_a_constant_channel_stays_small(self, tmp_path):
        np.save(tmp_path / "a.npy", np.full(31, 0.1))
        reader = SignalReader.fit("sig", frame_of(tmp_path / "a.npy"))
        assert reader.std == (1.0,)
        assert np.abs(reader.read(frame_of(tmp_path / "a.npy"))).max() < 1e-6

    def test_at_most_4096_samples(self, tmp_path):
        np.save(tmp_path / "a.npy", np.arange(5_000.0))
        assert SignalReader.fit("sig", frame_of(tmp_path / "a.npy")).length == 4_096
        assert SignalReader.fit("sig", frame_of(tmp_path / "a.npy"), length=5_000).length == 5_000

    @pytest.mark.parametrize("length", [7, "long", 2.5, -1])
    def test_lengths_that_do_not_work(self, tmp_path, length):
        np.save(tmp_path / "a.npy", np.arange(50.0))
        with pytest.raises(InputError, match=r"signal.length must be a whole number of at least 8"):
            SignalReader.fit("sig", frame_of(tmp_path / "a.npy"), length=length)


class TestResNet1d:
    @pytest.mark.parametrize("length", [1, 5, 33])
    def test_any_length_and_every_weight_learns(self, length):
        network = ResNet1d(2, width=4, blocks=2, kernel=3)
        features = network(torch.randn(3, 2, length))
        assert features.shape == (3, 32)
        features.square().sum().backward()
        assert all(p.grad is not None for p in network.parameters())

    @pytest.mark.parametrize(
        ("choice", "message"),
        [({"kernel": 4}, "signal.kernel must be odd, got 4"), ({"width": 0}, "width"), ({"blocks": "a"}, "blocks")],
    )
    def test_choices_that_do_not_work(self, choice, message):
        with pytest.raises(InputError, match=message):
            ResNet1d(1, **choice)

    def test_in_a_loop_of_ones_own(self):
        torch.manual_seed(0)
        y = torch.rand(32) * 9
        x = torch.sin(torch.linspace(0, 6, 50) * (1 + y[:, None]))[:, None]
        network = ResNet1d(1, width=4)
        objective = compose("sqinv+lds+conr").build(Regressor(network, 32), y.numpy(), Bins.count(y.numpy(), 5))
        optimizer = torch.optim.AdamW(objective.trained_parameters(), lr=3e-3)
        losses = []
        for _ in range(25):
            optimizer.zero_grad()
            terms = objective(x, y)
            sum(terms.values()).backward()
            optimizer.step()
            losses.append(float(terms["loss"].detach()))
        assert losses[-1] < losses[0] / 2


@pytest.mark.slow
def test_compiled_it_gives_the_same():
    network = ResNet1d(1, width=2, blocks=1).eval()
    torch._dynamo.reset()
    x = torch.randn(2, 1, 40)
    torch.testing.assert_close(torch.compile(network, backend="aot_eager")(x), network(x))


def test_noise_makes_two_views_of_a_signal_differ_in_training_alone():
    network = ResNet1d(1, width=2, blocks=1, noise=0.5)
    x = torch.randn(4, 1, 40)
    assert not torch.equal(network(x), network(x))
    network.eval()
    torch.testing.assert_close(network(x), network(x), rtol=0, atol=0)
