"""Record the results of a matrix of small runs, and compare them bit for bit with those of other code.

    python benchmarks/same_numbers.py record FOLDER
    python benchmarks/same_numbers.py compare FOLDER

For a refactoring that changes no number: record with the old code, compare with the new code. Both use the ``tailwise``
that is importable (``PYTHONPATH=OLD/src``). A run consists of commands of ``tailwise``, or of a function in
``same_estimators.py``, which uses public names alone. Each command has its own process, forked from a server that has
imported the libraries but not ``tailwise``.

Predictions, metrics, intervals, histories, configurations, tensors, LightGBM's trees, and the number of notes of a run
are compared; times, versions, paths, sentences, preprocessors and ``model.json`` are not. What is only in the new
results, and titles of a report that were reworded, are listed as ``new:`` and are no difference. ``record`` continues
after an interruption; a run that failed is tried again. Equal results need the same versions of the libraries and the
same kind of processor; ``compare`` prints a note where these differ.
"""

import argparse
import fnmatch
import json
import multiprocessing
import os
import platform
import runpy
import shlex
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from same_estimators import ESTIMATES
from same_inputs import write_inputs
from same_results import compare_runs

TOY, OTHER = "../inputs/toy.csv", "../inputs/other.csv"
TABLE, MAPS = f"{TOY} -t price", "../inputs/scenes/index.csv --image image --depth depth --set depth.scale=0.001"
MEDIA = "../inputs/media"
IMAGE, TEXT, PAIR = "--image pic --set image.width=4", "--text a", "--text-pair a b"
SIGNAL = "--signal sig --set signal.width=4 --set signal.blocks=1"
WORDS = "--set text.units=4 --set text.width=8"


def train(options: str, data: str = TABLE, *, epochs: int = 3) -> str:
    """Train a network for a few epochs, by ``sqinv+lds`` where the options name no method."""
    method = "" if "-m" in options.split() else "-m sqinv+lds "
    return f"train {data} {method}{options} --epochs {epochs} -o run"


def used(data: str) -> tuple[str, ...]:
    """Predict and evaluate other rows with the trained model."""
    return f"predict run {data} -o predicted.csv --interval 0.9", f"evaluate run {data} -o evaluated.json"


METHODS = (
    *("vanilla", "sqinv+lds", "sqinv+lds+fds+conr", "rrt+lds", "bmc+rrt", "rnc_pretrain", "isotonic", "quantile"),
    *("debias", "smogn", "smoter+conr", "ro", "uvote", "vir", "bsam", "cmixup", "twoviews+conr"),
)
ENCODERS = ("mlp", "mlp-ple", "mlp-plr", "tabm", "tabm-ple")
BACKENDS = ("lightgbm", "hist-boosting", "forest", "linear")
SLOW = "--encoder tabm-ple --batch-size 8"
TWO = "-m vanilla sqinv+lds"

# By name the commands of a run, which start in a folder beside `inputs`.
RUNS: dict[str, tuple[str, ...]] = {
    **{f"method-{name}": (train(f"-m {name}"), *used(OTHER)) for name in METHODS},
    **{f"encoder-{name}": (train(f"--encoder {name} -m sqinv+lds+ranksim"),) for name in ENCODERS},
    **{f"model-{name}": (f"train {TABLE} --model {name} -m vanilla -o run", *used(OTHER)) for name in BACKENDS},
    **{f"model-{name}-lds": (f"train {TABLE} --model {name} -m sqinv+lds -o run",) for name in BACKENDS},
    "lightgbm-smogn-isotonic": (f"train {TABLE} --model lightgbm -m smogn+l1+isotonic -o run",),
    "lightgbm-sera": (f"train {TABLE} --model lightgbm -m sera --set model.num_leaves=7 -o run",),
    "masked": (train("--mask-target 40,60 --mask-target 100,120"), *used(OTHER)),
    "two-targets": (
        train("-t cost -m sqinv+lds+fds+conr"),
        "predict run ../inputs/other.csv -o predicted.csv",
        used(OTHER)[1],
    ),
    "groups": (train("--group house", "../inputs/parted.csv -t price --drop part --drop-missing-target"),),
    "split-random": (train("--split random"),),
    "split-column": (train("--split-column part", "../inputs/parted.csv -t price --drop-missing-target"),),
    "columns": (train("--drop x2 --nominal house --date built --bins 12", "../inputs/whole.csv -t price"),),
    "regions": (train("--bin-width 5 --shots 40,8 --criterion mae"),),
    "recipe": (train("--criterion rmse --batch-size 50 --lr 0.01 --patience 1 --seed 3 --set encoder.dropout=0"),),
    "parameters": (train("-m reweight+kde+conr --set conr.window=5.0 --set reweight.power=0.3"),),
    "bf16": (train("--precision bf16"),),
    "against": (
        train("-m vanilla").replace("-o run", "-o other"),
        train("--against other"),
    ),
    "auto": (train("-m auto --set auto.folds=2 --set auto.epochs=2"),),
    "auto-lightgbm": (f"train {TABLE} --model lightgbm -m auto --set auto.folds=2 -o run",),
    "folder": (train("-m sqinv+lds+fds", "../inputs/parts -t price"), *used(OTHER)),
    "folder-groups": (train("--group house --mask-target 40,60", "../inputs/grouped -t price"),),
    "image": (train(f"{IMAGE} -m sqinv+lds+conr", f"{MEDIA}/images.csv -t y"), *used(f"{MEDIA}/images.csv")),
    "image-twoviews": (train(f"{IMAGE} -m twoviews+conr --set image.flip=true", f"{MEDIA}/images.csv -t y"),),
    "text": (train(f"{TEXT} {WORDS}", f"{MEDIA}/texts.csv -t y"), *used(f"{MEDIA}/texts.csv")),
    "text-pair": (train(f"{PAIR} {WORDS} --set text.pair=symmetric", f"{MEDIA}/pairs.csv -t y"),),
    "text-frozen": (train(f"{TEXT} --set text.encoder=../inputs/bert", f"{MEDIA}/texts.csv -t y"),),
    "text-tuned": (
        train(f"{TEXT} --set text.encoder=../inputs/bert --set text.frozen=false", f"{MEDIA}/texts.csv -t y"),
    ),
    "signal": (train(f"{SIGNAL} --set signal.noise=0.1", f"{MEDIA}/signals.csv -t y"), *used(f"{MEDIA}/signals.csv")),
    "all-media": (train(f"{IMAGE} {SIGNAL} {PAIR} {WORDS} -m sqinv+lds+fds", f"{MEDIA}/all.csv -t y"),),
    "maps": (
        train("-m sqinv+lds+fds", MAPS, epochs=2),
        "predict run ../inputs/scenes/index.csv -o predicted",
        "evaluate run ../inputs/scenes/index.csv -o evaluated.json",
    ),
    "maps-groups": (train("-m bmc --group room --set depth.mask=left", MAPS, epochs=2),),
    "killed": (f"killed {train(SLOW, epochs=4)}", f"{train(SLOW, epochs=4)} --resume"),
    "killed-stages": (
        f"killed {train(f'{SLOW} -m sqinv+lds+fds+conr+rrt', epochs=4)}",
        f"{train(f'{SLOW} -m sqinv+lds+fds+conr+rrt', epochs=4)} --resume",
    ),
    "killed-not": (train(SLOW, epochs=4),),
    "killed-stages-not": (train(f"{SLOW} -m sqinv+lds+fds+conr+rrt", epochs=4),),
    "compare": (f"compare {TOY} {OTHER} -t price {TWO} --model mlp lightgbm --seeds 2 --epochs 2 -o run",),
    "compare-folds": (f"compare {TABLE} {TWO} --model lightgbm --folds 3 --seeds 1 -o run",),
    "compare-sweep": (f"compare {TABLE} -m vanilla --model lightgbm linear --sweep --seeds 2 -o run",),
    "tune": (
        f"tune {TABLE} --minimise bmae -m sqinv+lds -m fds+conr --encoder mlp --trials 3 --epochs 2 --seeds 2 -o run",
    ),
    "tune-lightgbm": (f"tune {TABLE} --minimise many --within none --model lightgbm --trials 3 --seeds 1 -o run",),
    "diagnose": (f"diagnose {TABLE} -o diagnosis.json",),
    "diagnose-groups": ("diagnose ../inputs/whole.csv -t price --group house --bins 15 --no-model -o diagnosis.json",),
    **{
        f"bench-{name}": (
            f"bench toy {name} data",
            f"bench prepare {name} --data data --out prepared",
            f"bench run {name} --data prepared --out run {options}",
            "bench table run --json > table.json",
        )
        for name, options in {
            "uci-dir": f"{TWO} --seeds 2 --epochs 2 --set encoder.widths=[16]",
            "sts-b-dir": "-m vanilla inv+lds --seeds 1 --epochs 1 --set text.units=16 --set text.width=16",
            "mpiigaze-dir": "-m vanilla --seeds 1 --epochs 1 --set image.size=32 --set recipe.batch_size=32",
            "nyud2-dir": "-m vanilla inv+lds --seeds 1 --epochs 1 --set image.encoder=small --set depth.size=[64,84] "
            "--set recipe.batch_size=8",
        }.items()
    },
    **{f"estimator-{name}": (f"estimate {name}",) for name in ESTIMATES},
}
EQUAL = {"killed": "killed-not", "killed-stages": "killed-stages-not"}  # runs that must have the same results

ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "MPLBACKEND": "agg",
}
LIBRARIES = (
    *("torch._dynamo", "torch.optim", "scipy.signal", "scipy.stats", "pandas", "pyarrow.parquet", "sklearn.ensemble"),
    *("matplotlib.pyplot", "lightgbm", "accelerate", "skops.io", "typer", "rich.progress", "datasets", "transformers"),
    *("kornia", "optuna", "crepes", "tabm"),
)
TIME_LIMIT = 900.0  # seconds a command
LOCK = threading.Lock()


class RunError(Exception):
    """A command that failed, with the end of its messages."""


def in_process(words: list[str], folder: str, output: str, errors: str) -> None:
    """Run a command in this process; Python's compiled files go beside the results."""
    os.chdir(folder)
    for number, name in ((1, output), (2, errors)):
        with open(name, "wb") as file:
            os.dup2(file.fileno(), number)
    sys.path[0] = ""
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(Path(folder).parent / "bytecode")
    try:
        if words[0] == "estimate":
            np.savez("estimated.npz", **ESTIMATES[words[1]]())
        else:
            sys.argv = ["tailwise", *words]
            runpy.run_module("tailwise", run_name="__main__", alter_sys=True)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def run_command(command: str, folder: Path, name: str, servers: Any) -> None:
    """Run a command; ``killed`` in front kills it after its second epoch, ``> FILE`` behind keeps what it prints."""
    words = shlex.split(command)
    kill = words[0] == "killed"
    words, output = (words[:-2], words[-1]) if words[-2] == ">" else (words, f"{name}.out")
    arguments = (words[kill:], str(folder), output, f"{name}.err")
    process = servers.Process(target=in_process, args=arguments)
    with LOCK:
        process.start()
    history, deadline = folder / "run" / "history.jsonl", time.monotonic() + TIME_LIMIT
    while exit_status(process) is None and time.monotonic() < deadline:
        time.sleep(0.002 if kill else 0.05)
        if kill and history.exists() and history.read_bytes().count(b"\n") >= 2:
            break
    process.kill()
    while (status := exit_status(process)) is None:
        time.sleep(0.05)
    expected = -9 if kill else 0
    if status != expected:
        messages = (folder / f"{name}.err").read_text(encoding="utf-8").strip().splitlines() or [""]
        raise RunError(f"`{command}` ended with {status}: {messages[-1][-300:]}")


def exit_status(process: Any) -> int | None:
    """Exit status of a process, None while it runs. Starting a process polls the others: unlocked, a status is lost."""
    with LOCK:
        status: int | None = process.exitcode
    return status


def perform(name: str, work: Path, servers: Any) -> None:
    """Run the commands of a run, unless its results exist."""
    final, folder = work / name, work / f"{name}.part"
    if not final.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for i, command in enumerate(RUNS[name]):
            run_command(command, folder, f"command{i}", servers)
        for place in folder.rglob("checkpoints"):
            shutil.rmtree(place)
        folder.rename(final)


def performed(names: list[str], work: Path, jobs: int) -> Iterator[tuple[str, str | None]]:
    """Give the name of each run as it ends, and why it failed."""
    servers = multiprocessing.get_context("forkserver")
    servers.set_forkserver_preload(list(LIBRARIES))
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(perform, name, work, servers): name for name in names}
        for future in as_completed(futures):
            error = future.exception()
            if error is not None and not isinstance(error, RunError):
                raise error
            yield futures[future], None if error is None else str(error)


def surroundings() -> dict[str, str]:
    """Versions and processor, on which results depend beside the code."""
    from torch.backends.cpu import get_cpu_capability

    packages = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "lightgbm", "tabm", "transformers", "optuna")
    versions = {name: version(name) for name in packages}
    return {"python": platform.python_version(), "processor": get_cpu_capability(), **versions}


def record(folder: Path, names: list[str], jobs: int) -> bool:
    """Write the results of the runs that have none yet; return whether all succeeded."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "inputs").exists():
        shutil.rmtree(folder / "inputs.part", ignore_errors=True)
        write_inputs(folder / "inputs.part")
        (folder / "inputs.part").rename(folder / "inputs")
        (folder / "surroundings.json").write_text(json.dumps(surroundings(), indent=2), encoding="utf-8")
    failed = 0
    for name, error in performed(names, folder, jobs):
        print(f"recorded {name}" if error is None else f"fails    {name}: {error}", flush=True)
        failed += error is not None
    for name, twin in EQUAL.items():
        if name in names and (folder / name).exists() and (folder / twin).exists():
            failed += not compare_one(f"{name} and {twin}", folder / twin, folder / name, tell_new=False)
    return failed == 0


def compare(baseline: Path, work: Path, names: list[str], jobs: int) -> bool:
    """Run everything again and compare; return whether everything is the same."""
    then, now = json.loads((baseline / "surroundings.json").read_text(encoding="utf-8")), surroundings()
    for name in [key for key in then if then[key] != now.get(key)]:
        print(f"note: {name} was {then[name]} and is {now.get(name)}: numbers may differ for that reason")
    if not (work / "inputs").exists():
        shutil.copytree(baseline / "inputs", work / "inputs")
    same = 0
    for name, error in performed(names, work, jobs):
        if error is not None:
            print(f"fails    {name}: {error}", flush=True)
        elif not (baseline / name).exists():
            print(f"differs  {name}: it was not recorded", flush=True)
        else:
            same += compare_one(name, baseline / name, work / name)
    print(f"{same} of {len(names)} runs are the same")
    return same == len(names)


def compare_one(name: str, then: Path, now: Path, *, tell_new: bool = True) -> bool:
    """Print how two runs compare; return whether they are the same."""
    differ, new = compare_runs(then, now)
    print("\n".join([f"differs  {name}: {line}" for line in differ] or [f"same     {name}"]))
    for line in new if tell_new else ():
        print(f"new:     {name}: {line}")
    sys.stdout.flush()
    return not differ


def main() -> int:
    """Read the command line and record or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("record", "compare", "list"))
    parser.add_argument("folder", type=Path, nargs="?", help="of the recorded results")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="NAME", help="runs, also as patterns: 'model-*'")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--keep", type=Path, help="folder for the new results of compare; runs there are not repeated")
    given = parser.parse_args()
    names = [name for name in RUNS if any(fnmatch.fnmatchcase(name, pattern) for pattern in given.only)]
    if given.action == "list" or given.folder is None or not names:
        print("\n".join(name for name in RUNS))
        return 0 if given.action == "list" else 2
    os.environ.update(ENVIRONMENT)
    import tailwise

    print(f"code: {Path(tailwise.__file__).parent}", flush=True)
    folder = given.folder.resolve()
    if given.action == "record":
        return 0 if record(folder, names, given.jobs) else 1
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) if given.keep is None else given.keep.resolve()
        work.mkdir(parents=True, exist_ok=True)
        return 0 if compare(folder, work, names, given.jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
