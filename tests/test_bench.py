import dataclasses
import json
import sys
import time
import xml.etree.ElementTree as ElementTree
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from tailwise import compose

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
harness, page, pieces, catalogue = (import_module(name) for name in ("harness", "page", "pieces", "entries"))
Curve, Entry, CURVES, ENTRIES = harness.Curve, harness.Entry, catalogue.CURVES, catalogue.ENTRIES
BY_SETUP = [name for name, entry in ENTRIES.items() if entry.setup is not None]
BY_MEASURE = [name for name, entry in ENTRIES.items() if entry.measure is not None and name != "two-processes"]
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("*.py"))
STORED = json.loads(harness.RESULTS.read_text()) if harness.RESULTS.exists() else None


def numbers(value):
    """All numbers of a value, of an array, of a tensor, or of a tuple of them."""
    parts = value if isinstance(value, tuple) else (value,)
    return np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in parts])


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_can_be_imported(name):
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        if package == "tailwise" or package in SCRIPTS:
            raise
        pytest.skip(f"{name}.py needs {package}, which is not installed")


def test_oversampling_by_bins_is_spelled_as_this_version_does():
    method, params = import_module("same_estimators").oversampling()
    assert compose(method, **params).resampler is not None


@pytest.mark.filterwarnings("ignore:.*weights are extreme")
@pytest.mark.parametrize("name", BY_SETUP)
def test_what_is_measured_runs_and_equals_the_formula(name):
    entry = ENTRIES[name]
    calls = entry.setup(**entry.small)
    found = {kind: call() for kind, call in calls.items()}
    assert "ours" in found
    assert ("floor" in found) or not entry.floor
    assert set(entry.beside) <= set(found)
    for kind in {"loops", "plain"} & set(found):
        assert numbers(found[kind]) == pytest.approx(numbers(found["ours"]), rel=1e-4, abs=1e-5), kind
        assert np.isfinite(numbers(found[kind])).all()
        assert np.ptp(numbers(found[kind])) > 0 or len(numbers(found[kind])) == 1


@pytest.mark.parametrize("name", BY_MEASURE)
@pytest.mark.slow
def test_what_measures_itself_measures(name):
    entry = ENTRIES[name]
    found = entry.measure(**entry.small)
    assert set(entry.targets) <= set(found)
    json.dumps(found)


def test_entries_hang_together():
    assert len(ENTRIES) == len({entry.what for entry in ENTRIES.values()} - {""})
    for entry in ENTRIES.values():
        assert set(entry.targets) <= set(page.BOUNDS)
        assert entry.group in page.GROUPS
        assert "ratio" not in entry.targets or entry.floor
        assert "loops_speedup" not in entry.targets or "loops" in entry.beside
    assert not set(ENTRIES) & set(CURVES)


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(harness, "WARM_UP", 0.001)
    monkeypatch.setattr(harness, "SEVERAL", 0.02)


def pausing(n, ours=1.0, room=0):
    """Calls that take so many times n milliseconds, ours so many bytes besides."""

    def pause():
        taken = np.ones(room, dtype=np.uint8)
        time.sleep(ours * n / 1000)
        return taken

    return {"ours": pause, "floor": lambda: time.sleep(n / 1000), "loops": lambda: time.sleep(20 * n / 1000)}


@pytest.mark.slow
def test_an_entry_is_measured(fast):
    entry = Entry("fake", "a fake", pausing, "a pause", {"n": 2, "ours": 3.0}, {"n": 0}, beside={"loops": {"n": 1}})
    entry = dataclasses.replace(entry, seconds=0.2)
    found = harness.measured(entry)
    assert found["ratio"] == pytest.approx(found["ours_ms"] / found["floor_ms"])
    assert 1.5 < found["ratio"] < 4.5
    assert found["ours_ms"] >= 6
    assert found["loops_ms"] >= 20
    assert found["loops_at"] == {"n": 1}
    assert 3 < found["loops_speedup"] < 8
    quick = harness.measured(entry, quick=True)
    assert set(quick) == {"ours_ms", "floor_ms", "ratio"}


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is read from /proc")
@pytest.mark.slow
def test_memory_is_the_growth_over_one_call(fast):
    entry = Entry("fake", "a fake", pausing, sizes={"n": 1, "room": 40_000_000}, small={"n": 0}, once=True)
    found = harness.measured(entry)
    assert set(found) == {"memory_mb", "ours_ms"}
    assert found["memory_mb"] == pytest.approx(40, abs=8)
    kept = np.ones(10_000_000)
    assert harness.measured(entry)["memory_mb"] == pytest.approx(40, abs=8)  # not what was held before
    assert len(kept)


def test_full_changes_sizes():
    entry = Entry("fake", "a fake", measure=lambda n: {"n": n}, sizes={"n": 1}, full={"n": 5})
    assert [harness.measured(entry, full=full)["n"] for full in (False, True)] == [1, 5]


@pytest.mark.slow
def test_a_curve_is_swept(fast):
    curve = Curve("fake", "a fake", "n", pausing, "n", (1, 4), {"ours": 2.0}, {"n": 0}, seconds=0.05)
    found = harness.swept(curve)
    assert found["x"] == [1, 4]
    assert found["ours_ms"][1] > 2 * found["ours_ms"][0] > 2
    assert len(found["floor_ms"]) == len(found["memory_mb"]) == 2


@pytest.mark.filterwarnings("ignore:.*weights are extreme")
@pytest.mark.parametrize("name", list(CURVES))
def test_curves_have_setups_that_run(name):
    curve = CURVES[name]
    assert curve.key in curve.small
    assert set(curve.sizes) | {curve.key} == set(curve.small)
    calls = curve.setup(**curve.small)
    calls["ours"]()
    calls["floor"]()


@pytest.mark.slow
def test_an_entry_is_measured_in_a_process_of_its_own():
    found = harness.in_process("part-l1", "--quick")
    assert found["ratio"] > 0
    with pytest.raises(RuntimeError, match="there is no 'nonsense'"):
        harness.in_process("nonsense")


def again(*ratios):
    """Measurements that give one ratio after the other, and the list of names they were asked for."""
    left, asked = list(ratios), []

    def measure(name):
        asked.append(name)
        return {"ratio": left.pop(0)}

    return measure, asked


@pytest.mark.parametrize(
    ("ratios", "times", "fails"),
    [
        ([2.0], 1, False),
        ([0.5], 1, False),
        ([2.6], 1, False),
        ([2.7, 2.6], 2, False),
        ([2.7, 9.0, 2.1], 3, False),
        ([2.7, 2.7, 2.7], 3, True),
    ],
)
def test_a_ratio_may_grow_by_30_percent(ratios, times, fails, capsys):
    measure, asked = again(*ratios)
    failures = harness.check({"a": {"ratio": 2.0}}, ["a"], measure)
    assert asked == ["a"] * times
    assert failures == (["a: the ratio was 2 and is 2.7, 35% more"] if fails else [])
    assert "stored 2, measured" in capsys.readouterr().out


def test_what_is_not_stored_is_said(capsys):
    measure, asked = again()
    assert harness.check({"a": {"ours_ms": 1.0}}, ["a", "b"], measure) == []
    assert asked == []
    assert capsys.readouterr().out.count("no stored ratio") == 2


def test_results_are_collected_and_failures_told(monkeypatch):
    def in_process(name, *options):
        if name == "bad":
            raise RuntimeError("bad: broke")
        return {"two": {"ratio": 1.0, "curves": {"processes": {"x": [1]}}}, "none": {}, "curve": {"x": [2]}}[name]

    monkeypatch.setattr(harness, "in_process", in_process)
    results, failures = harness.bench(dict.fromkeys(["two", "none", "bad"]), dict.fromkeys(["curve"]), full=False)
    assert results["entries"] == {"two": {"ratio": 1.0}}
    assert results["curves"] == {"processes": {"x": [1]}, "curve": {"x": [2]}}
    assert failures == ["bad: broke"]
    assert {"date", "cpu", "cores", "torch", "threads"} <= set(results["machine"])


def test_two_processes_are_a_script_that_may_be_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(pieces, "HERE", tmp_path)
    assert pieces.two_processes() == {}
    (tmp_path / "two_processes.py").write_text("print('words')\nprint('{\"exchange\": 0.05}')")
    assert pieces.two_processes() == {"exchange": 0.05}


def made_up():
    entries = {
        "conr-512": {
            "ours_ms": 30.0, "floor_ms": 20.0, "ratio": 1.5, "memory_mb": 19.0, "plain_ms": 60.0, "plain_speedup": 2.0,
            "plain_memory_mb": 29.0, "loops_ms": 80.0, "loops_speedup": 40.0, "loops_at": {"n": 128},
        },
        "conr-memory": {"ours_ms": 20_500.0, "memory_mb": 73.5},
        "labels-streamed": {"ours_ms": 650.0, "million_per_s": 303.6, "memory_mb": 4.9, "generator_ms": 600.0},
    }  # fmt: skip
    machine = dict.fromkeys(["date", "cpu", "cores", "memory_gb", "system", "python", "torch", "numpy", "threads"], "?")
    sweep = {"x": [256, 512], "ours_ms": [1.0, 4.0], "floor_ms": [1.0, 3.0], "memory_mb": [2.0, 4.0]}
    processes = {"x": [1, 2], "ours_ms": [1.0, 1.1]}
    return {"machine": machine, "entries": entries, "curves": {"conr_n": sweep, "processes": processes}}


def test_the_block_says_what_was_measured():
    text = page.block(made_up())
    assert (
        "| `conr-512` | ConR, N = 512, d = 2048 | 30 ms | 20 ms | 1.5 | 80 ms (n = 128: 40 x) | 60 ms (2 x) |" in text
    )
    assert "| 19 MB (plain 29 MB) | ratio ≤ 1.2 | **no** |" in text
    assert "| 20.5 s | - |" in text
    assert "≥ 50 million a second (304); ≤ 200 MB | yes; yes |" in text
    assert "\n- `conr-512`: two N x N x d products" in text
    assert "![ConR, d = 128](pictures/scaling_conr_n.svg)" in text
    assert "scaling_processes.svg" in text
    assert "fds" not in text


def test_page_and_pictures_are_written_the_same_again(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "performance.md").write_text(page.PAGE.read_text())
    written = []
    for _ in range(2):
        page.write(made_up(), tmp_path)
        written.append({path.name: path.read_bytes() for path in tmp_path.rglob("*.*")})
    assert written[0] == written[1]
    assert sorted(written[0]) == ["performance.md", "scaling_conr_n.svg", "scaling_processes.svg"]
    assert page.block(made_up()) in written[0]["performance.md"].decode()
    for name, picture in written[0].items():
        if name.endswith(".svg"):
            ElementTree.fromstring(picture)
            assert b"dc:date" not in picture


def test_the_page_is_that_of_the_stored_results():
    text = page.PAGE.read_text()
    assert page.replaced(text, page.block(STORED)) == text, "run `python benchmarks/harness.py --page`"
    if STORED is not None:
        assert set(STORED["entries"]) <= set(ENTRIES)
        drawn = {path.name for path in (page.DOCS / "pictures").glob("scaling_*.svg")}
        assert drawn == {f"scaling_{name}.svg" for name in STORED["curves"]}


def test_setups_draw_the_same_data_each_time():
    one, other = (pieces.conr(24, 5)["ours"]() for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
