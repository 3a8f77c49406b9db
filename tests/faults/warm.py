"""Run commands in forks of one process that has imported everything, and end or starve them at a chosen operation.

Every opening of a file for writing, rename, removal, new folder and fsync under the watched folder is numbered. It
reads one JSON request a line on standard input and answers with one JSON line.
"""

import errno
import gc
import importlib.util
import io
import json
import os
import signal
import sys
import tempfile
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

KILLED = 97
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Operations:
    """Counts operations under a folder, and lets a fault happen at one of them.

    Args:
        folder: the watched folder.
        fault: ``"kill"`` ends the process before the operation; ``"torn"`` too, with half of the file written last;
            ``"full"`` fails this operation and all later ones that need room; ``"none"`` only counts.
        at: number of the operation, from 0.
    """

    def __init__(self, folder: str, fault: str, at: int) -> None:
        self.folder, self.fault, self.at, self.count = folder, fault, at, 0
        self.last: tuple[str, int] | None = None
        self.log: list[str] = []
        self.active = True

    def hook(self, event: str, arguments: tuple) -> None:
        """Take an audit event."""
        if not self.active:
            return
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and bool(flags & _WRITES)
            if writes and isinstance(path, str | bytes | os.PathLike) and self.inside(os.fsdecode(path)):
                self.happen("open", os.path.abspath(os.fsdecode(path)), needs_room=True)
        elif event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir"):
            relative = any(isinstance(one, int) and one not in (-1, 0o777) for one in arguments[1:])
            if relative or self.inside(os.fsdecode(arguments[0])):
                self.happen(event, os.fsdecode(arguments[0]), needs_room=event == "os.mkdir")

    def inside(self, path: str) -> bool:
        """Whether a path is under the watched folder."""
        return os.path.abspath(path).startswith(self.folder + os.sep)

    def happen(self, what: str, path: str, *, needs_room: bool) -> None:
        """Number an operation, and let the fault happen."""
        number, self.count = self.count, self.count + 1
        self.log.append(f"{what} {os.path.relpath(path, self.folder)}")
        if self.fault in ("kill", "torn") and number == self.at:
            self.active = False
            if self.fault == "torn" and self.last is not None and os.path.isfile(self.last[0]):
                path, before = self.last
                size = os.path.getsize(path)
                os.truncate(path, before + (size - before) // 2 if size > before else size // 2)
            os._exit(KILLED)
        if self.fault == "full" and number >= self.at and needs_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if what in ("open", "library"):
            self.last = (path, os.path.getsize(path) if os.path.isfile(path) and what == "open" else 0)

    def patch(self) -> None:
        """Number what has no audit event: fsync, and files that libraries in Rust and C++ write."""
        import pyarrow.parquet
        import safetensors.numpy
        import safetensors.torch
        from safetensors import SafetensorError

        fsync = os.fsync

        def counted_fsync(descriptor: int) -> None:
            self.happen("fsync", os.path.realpath(f"/proc/self/fd/{descriptor}"), needs_room=False)
            fsync(descriptor)

        os.fsync = counted_fsync
        for module in (safetensors.torch, safetensors.numpy):
            module.serialize_file = self.counted(module.serialize_file, 1, SafetensorError)
        pyarrow.parquet.write_table = self.counted(pyarrow.parquet.write_table, 1, OSError)
        writer = pyarrow.parquet.ParquetWriter
        writer.__init__ = self.counted(writer.__init__, 1, OSError)
        writer.write_table = self.counted(writer.write_table, None, OSError)
        if importlib.util.find_spec("catboost"):
            import catboost

            model = catboost.CatBoost
            model.save_model = self.counted(model.save_model, 1, catboost.CatBoostError, "(Error 28: {})")

    def counted(self, write, place, raised, line="Error while serializing: I/O error: {} (os error 28)"):
        """Return a function that numbers the calls of another, which writes the file in one of its arguments."""

        def call(*arguments, **named):
            given = arguments[place] if place is not None else None
            if isinstance(given, str | os.PathLike):
                path = os.path.abspath(given)
            else:  # a file that was opened before, by pandas for Arrow
                path = self.last[0] if self.last is not None else self.folder
            try:
                self.happen("library", path, needs_room=True)
            except OSError as error:
                if raised is OSError:
                    raise
                raise raised(line.format("No space left on device")) from error
            return write(*arguments, **named)

        return call


def stub_pages() -> None:
    """Replace the pages, whose charts take most of the time, by a line."""
    from tailwise.report import compare_page
    from tailwise.runs import artifact

    artifact.run_page = lambda **_: "<html></html>"
    compare_page.compare_page = lambda *_, **__: "<html></html>"


def answer(request: dict) -> dict:
    """Run one command in a fork."""
    log = Path(request["log"])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 98
        try:
            signal.alarm(120)  # a lock that nobody frees
            os.chdir(request["folder"])
            printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(printed, 1)
            os.dup2(printed, 2)
            operations = Operations(request["folder"], request["fault"], request["at"])
            operations.patch()
            sys.addaudithook(operations.hook)
            from tailwise.cli.main import run

            status = run(request["command"])
            operations.active = False
            os.write(writing, json.dumps(operations.log).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    _, ended = os.waitpid(child, 0)
    return {
        "status": os.waitstatus_to_exitcode(ended),
        "operations": json.loads(content) if content else None,
        "printed": log.read_text(errors="replace"),
    }


def train_once() -> None:
    """Train a small network, so that what a command imports late is there before the first fork."""
    from tailwise.cli.main import run

    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(printed), redirect_stderr(printed):
        table = Path(folder) / "t.csv"
        table.write_text("x,y\n" + "".join(f"{number % 7},{number}\n" for number in range(60)))
        assert run(["train", str(table), "-t", "y", "-m", "vanilla", "--epochs", "1", "-o", f"{folder}/r"]) == 0


def main() -> None:
    """Import everything, then answer requests."""
    import lightgbm  # noqa: F401
    import optuna  # noqa: F401
    import torch
    import torch._dynamo  # the first step of an optimiser imports it

    import tailwise.backends.lightgbm
    import tailwise.backends.linear
    import tailwise.backends.network
    import tailwise.backends.stack.backend
    import tailwise.cli.main
    import tailwise.report.compare_page
    import tailwise.runs.training
    import tailwise.search.study_folder  # noqa: F401

    torch.set_num_threads(1)
    stub_pages()
    train_once()
    gc.collect()
    gc.freeze()  # collecting in a fork would copy every page of what was imported
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
