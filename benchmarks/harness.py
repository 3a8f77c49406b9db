"""What tailwise costs: every entry beside its floor and its formula as loops, with time and peak memory.

    python benchmarks/harness.py                  measure everything, write results.json, the page and the pictures
    python benchmarks/harness.py --check          measure ratios again, fail if one has grown by more than 30 %
    python benchmarks/harness.py --only NAME      measure one entry, print JSON
    python benchmarks/harness.py --page           write the page and the pictures from results.json

Each entry runs in a process of its own, on one thread. Ours and the floor take turns in rounds; times are medians of
the rounds' medians and ratios come from the same run. Memory is the growth of the process's high-water mark over one
call.
"""

import argparse
import ctypes
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
AT_LEAST = ("loops_speedup", "million_per_s")
TOLERANCE = 1.3
ATTEMPTS = 3
ROUNDS = 9
FEWEST_ROUNDS = 3
MOST_REPEATS = 1000
WARM_UP = 0.1
SEVERAL = 1.0
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # glibc's, with its defaults in GIVE_BACK
KEEP = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1}
GIVE_BACK = {M_MMAP_MAX: 2**16, M_MMAP_THRESHOLD: 2**17, M_TRIM_THRESHOLD: 2**17}

Calls = dict[str, Callable[[], Any]]
Found = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One thing that is measured.

    Args:
        name: of the entry, as ``--only`` takes it.
        what: what it is, with its sizes.
        setup: makes callables from sizes: ``ours``, and where there are such ``floor``, ``loops`` and ``plain``.
        floor: the floor in words.
        sizes: at which it is measured.
        small: at which everything runs at once, for tests and to load what is loaded at first use.
        full: what ``--full`` changes of the sizes.
        targets: bounds by name of the measured number; an upper one, but for those in ``AT_LEAST``.
        beside: ``loops`` and ``plain`` where they are run, with what is changed of the sizes for them.
        measure: takes the place of all this: a function from sizes to measured numbers.
        group: table in which it stands.
        seconds: time for ours and its floor together.
        memory: whether peak memory is of interest.
        once: too slow to be repeated.
        check: whether ``--check`` measures its ratio again.
    """

    name: str
    what: str
    setup: Callable[..., Calls] | None = None
    floor: str = ""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    full: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    measure: Callable[..., Found] | None = None
    group: str = "targets"
    seconds: float = 3.0
    memory: bool = True
    once: bool = False
    check: bool = True


@dataclass(frozen=True)
class Curve:
    """Time and memory of a setup against one of its sizes."""

    name: str
    title: str
    axis: str
    setup: Callable[..., Calls]
    key: str
    values: tuple[int, ...]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.6


def elapsed(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def keep_freed_memory(keep: bool) -> None:
    """Whether the process keeps freed memory: for times, so that none waits for pages of the system by chance."""
    if sys.platform == "linux":
        for option, value in (KEEP if keep else GIVE_BACK).items():
            ctypes.CDLL(None).mallopt(option, value)


def alternate(calls: Iterable[Callable[[], Any]], seconds: float) -> list[float]:
    """Milliseconds of each call: they take turns in rounds, and the median of the rounds' medians counts."""
    keep_freed_memory(True)
    calls, once = list(calls), []
    for call in calls:
        until = time.perf_counter() + WARM_UP
        once.append(elapsed(call))
        while time.perf_counter() < until:
            once[-1] = elapsed(call)
    rounds = max(FEWEST_ROUNDS, min(ROUNDS, int(seconds / sum(once))))
    share = seconds / rounds / len(calls)
    repeats = [max(1, min(MOST_REPEATS, int(share / one))) for one in once]
    medians: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times, found in zip(calls, repeats, medians, strict=True):
            found.append(statistics.median(elapsed(call) for _ in range(times)))
    return [1000 * statistics.median(found) for found in medians]


class Memory:
    """Growth of the process's high-water mark within the block, in MB; ``None`` where the system does not tell."""

    mb: float | None = None

    def __enter__(self) -> "Memory":
        gc.collect()
        self._before = None
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
            with suppress(OSError):
                # The mark starts again at what is held now.
                Path("/proc/self/clear_refs").write_text("5")
                self._before = self._mark()
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            self.mb = (self._mark() - self._before) * 1024 / 1e6

    @staticmethod
    def _mark() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measured(entry: Entry, *, quick: bool = False, full: bool = False) -> Found:
    """Numbers of an entry; ``quick`` leaves out memory, loops and the plain form."""
    sizes = {**entry.sizes, **(entry.full if full else {})}
    if entry.measure is not None:
        return entry.measure(**sizes)
    assert entry.setup is not None
    for call in entry.setup(**entry.small).values():
        call()
    calls, found = entry.setup(**sizes), {}
    if entry.memory and not quick:
        with Memory() as memory:
            seconds = elapsed(calls["ours"])
        found["memory_mb"] = memory.mb
        if entry.once:
            return found | {"ours_ms": 1000 * seconds}
    names = [name for name in ("ours", "floor") if name in calls]
    times = alternate([calls[name] for name in names], entry.seconds)
    found |= {f"{name}_ms": ms for name, ms in zip(names, times, strict=True)}
    if "floor" in calls:
        found["ratio"] = found["ours_ms"] / found["floor_ms"]
    for name, changed in {} if quick else entry.beside.items():
        at = entry.setup(**{**sizes, **changed}) if changed else calls
        keep_freed_memory(False)
        with Memory() as memory:
            at[name]()
        keep_freed_memory(True)
        seconds = elapsed(at[name])
        if seconds < SEVERAL:
            seconds = statistics.median(elapsed(at[name]) for _ in range(3))
        ours = alternate([at["ours"]], SEVERAL)[0] if changed else found["ours_ms"]
        found |= {f"{name}_ms": 1000 * seconds, f"{name}_speedup": 1000 * seconds / ours}
        if entry.memory:
            found[f"{name}_memory_mb"] = memory.mb
        if changed:
            found[f"{name}_at"] = dict(changed)
    return found


def swept(curve: Curve) -> Found:
    """Time and memory along a curve."""
    for call in curve.setup(**curve.small).values():
        call()
    found: Found = {"x": list(curve.values), "ours_ms": [], "floor_ms": [], "memory_mb": []}
    for value in curve.values:
        calls = curve.setup(**curve.sizes, **{curve.key: value})
        keep_freed_memory(False)
        with Memory() as memory:
            calls["ours"]()
        ours, floor = alternate([calls["ours"], calls["floor"]], curve.seconds)
        for name, number in {"ours_ms": ours, "floor_ms": floor, "memory_mb": memory.mb}.items():
            found[name].append(number)
    return found


def in_process(name: str, *options: str) -> Found:
    """Numbers of an entry or a curve from a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--only", name, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def rounded(found: Any) -> Any:
    """Numbers to four significant digits."""
    if isinstance(found, dict):
        return {name: rounded(value) for name, value in found.items()}
    if isinstance(found, list):
        return [rounded(value) for value in found]
    return float(f"{found:.4g}") if isinstance(found, float) else found


def machine() -> dict[str, Any]:
    """Where the numbers come from."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "date": date.today().isoformat(),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy")},
        "threads": 1,
    }


def met(name: str, value: float, bound: float) -> bool:
    """Whether a measured number keeps its bound."""
    return value >= bound if name in AT_LEAST else value <= bound


def regressed(stored: float, found: float) -> bool:
    """Whether a ratio has grown by more than the tolerance."""
    return found > TOLERANCE * stored


def check(stored: Mapping[str, Found], names: Iterable[str], measure: Callable[[str], Found]) -> list[str]:
    """Measure ratios again, one that has grown up to twice more: shared machines are noisy. Gives the failures."""
    failures = []
    for name in names:
        before = stored.get(name, {}).get("ratio")
        if before is None:
            print(f"{name}: no stored ratio; `make bench` writes one", flush=True)
            continue
        for attempt in range(1, ATTEMPTS + 1):
            ratio = measure(name)["ratio"]
            print(f"{name}: stored {before:.3g}, measured {ratio:.3g}", flush=True)
            if not regressed(before, ratio):
                break
            if attempt == ATTEMPTS:
                failures.append(f"{name}: the ratio was {before:.3g} and is {ratio:.3g}, {ratio / before - 1:.0%} more")
    return failures


def bench(entries: Mapping[str, Entry], curves: Mapping[str, Curve], *, full: bool) -> tuple[Found, list[str]]:
    """Measure everything. Gives the results and what did not run."""
    results: Found = {"machine": machine(), "entries": {}, "curves": {}}
    failures = []
    for name in [*entries, *curves]:
        start = time.perf_counter()
        try:
            found = in_process(name, *(["--full"] if full else []))
        except RuntimeError as failure:
            failures.append(str(failure))
            continue
        if name in curves:
            results["curves"][name] = found
        elif found:
            results["curves"] |= found.pop("curves", {})
            results["entries"][name] = found
        print(f"{time.perf_counter() - start:5.1f} s  {name}: {json.dumps(found)}", file=sys.stderr, flush=True)
    return results, failures


def main(arguments: list[str] | None = None) -> int:
    """Measure, check or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAME", help="measure this entry or curve and print JSON")
    parser.add_argument("--quick", action="store_true", help="with --only: ours and the floor, nothing else")
    parser.add_argument("--full", action="store_true", help="a billion streamed labels")
    parser.add_argument("--check", action="store_true", help="measure ratios again and compare with results.json")
    parser.add_argument("--page", action="store_true", help="write page and pictures from results.json")
    given = parser.parse_args(arguments)
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}  # read when torch and NumPy are loaded
    from entries import CURVES, ENTRIES

    if given.only:
        import torch

        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        if given.only not in {**ENTRIES, **CURVES}:
            parser.error(f"there is no {given.only!r}, only {', '.join([*ENTRIES, *CURVES])}")
        curve = CURVES.get(given.only)
        found = swept(curve) if curve else measured(ENTRIES[given.only], quick=given.quick, full=given.full)
        print(json.dumps(rounded(found)))
        return 0
    if (given.check or given.page) and not RESULTS.exists():
        parser.error(f"there is no {RESULTS.name} yet; `make bench` writes it")
    failures = []
    if given.check:
        stored = json.loads(RESULTS.read_text())["entries"]
        names = [name for name, entry in ENTRIES.items() if entry.floor and entry.check]
        failures = check(stored, names, lambda name: in_process(name, "--quick"))
    elif not given.page:
        results, failures = bench(ENTRIES, CURVES, full=given.full)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if not given.check:
        import page

        page.write(json.loads(RESULTS.read_text()))
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    import harness  # by its own name: entries import it too

    sys.exit(harness.main())
