"""Run folders that processes left in the middle of something, or are writing now."""

import errno
import json
import os
import re
import socket
import subprocess
import sys
import textwrap

import pytest
from filelock import FileLock
from safetensors import SafetensorError

from tailwise._checks import InputError
from tailwise._files import LOCK, disk_error, replacing, write_json
from tailwise.cli.main import run
from tailwise.runs.folder import abandon_run, check_out, open_run, start_run
from tailwise.runs.lock import locked

LINEAR = ["--target", "price", "--model", "linear"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from conftest import toy_frame

    folder = tmp_path_factory.mktemp("trained")
    toy_frame().to_csv(folder / "toy.csv", index=False)
    assert run(["train", str(folder / "toy.csv"), *LINEAR, "-o", str(folder / "r")]) == 0
    return folder


@pytest.fixture
def finished(trained, tmp_path):
    """A copy of a finished run."""
    import shutil

    return shutil.copytree(trained / "r", tmp_path / "r")


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def moved(run_folder, *names):
    """Leave a run as a process does that ends after it moved some files."""
    (run_folder / "replaced").mkdir()
    for name in names:
        (run_folder / name).rename(run_folder / "replaced" / name)
    return run_folder


class TestHalfMoved:
    @pytest.mark.parametrize("names", [["config.json"], ["config.json", "model", "report.html"]])
    def test_is_put_back_by_whatever_reads_it(self, finished, names):
        before = files_in(finished)
        assert open_run(moved(finished, *names)) == finished
        assert files_in(finished) == before

    def test_may_be_overwritten(self, finished, trained, capsys):
        moved(finished, "config.json")
        assert run(["train", str(trained / "toy.csv"), *LINEAR, "-o", str(finished), "--overwrite"]) == 0
        assert not (finished / "replaced").exists()

    def test_is_a_finished_run_for_others(self, finished):
        moved(finished, "config.json")
        with pytest.raises(InputError, match="already holds a finished run"):
            check_out(finished, overwrite=False, resume=False)

    def test_is_left_alone_while_its_process_lives(self, finished):
        moved(finished, "config.json")
        with FileLock(finished / LOCK), pytest.raises(InputError, match="being written by another process"):
            open_run(finished)


class TestPutAside:
    def test_the_old_run_is_read_until_the_new_one_is_finished(self, finished, trained, tmp_path):
        start_run(finished, {"target": "price"})
        assert open_run(finished) == finished / "replaced"
        assert run(["predict", str(finished), str(trained / "toy.csv"), "-o", str(tmp_path / "p.csv")]) == 0

    def test_a_kill_before_the_new_run_has_settings(self, finished):
        start_run(finished, {"target": "price"})
        (finished / "config.json").rename(finished / "config.json.new")
        assert open_run(finished) == finished / "replaced"
        check_out(finished, overwrite=True, resume=False)
        with pytest.raises(InputError, match="a finished run"):
            check_out(finished, overwrite=False, resume=True)

    def test_comes_back_when_the_new_run_is_given_up(self, finished):
        before = files_in(finished)
        start_run(finished, {"target": "price"})
        (finished / "model").mkdir()
        abandon_run(finished)
        assert files_in(finished) == before

    def test_a_full_disk_at_the_first_file(self, finished, monkeypatch):
        before = files_in(finished)

        def full(path, _):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        monkeypatch.setattr("tailwise.runs.folder.write_json", full)
        with pytest.raises(InputError, match="No space left"):
            start_run(finished, {"target": "price"})
        assert files_in(finished) == before

    def test_a_full_disk_before_the_old_run_is_moved(self, finished, monkeypatch):
        before = files_in(finished)

        def full(path, *_, **__):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        monkeypatch.setattr("pathlib.Path.mkdir", full)
        with pytest.raises(InputError, match="No space left"):
            start_run(finished, {"target": "price"})
        assert files_in(finished) == before


def test_the_manifest_has_every_file(finished):
    names = set(json.loads((finished / "manifest.json").read_text())["sha256"])
    assert names == set(files_in(finished)) - {"manifest.json"}


def test_a_lone_unfinished_file_is_no_obstacle(tmp_path):
    (tmp_path / "config.json.new").write_text("{")
    check_out(tmp_path, overwrite=False, resume=False)


class TestLock:
    def test_a_second_writer_gets_one_line(self, trained, tmp_path, capsys):
        table = str(trained / "toy.csv")
        commands = (
            ["train", table, *LINEAR],
            ["compare", table, "-t", "price", "--model", "linear", "--seeds", "2"],
            ["tune", table, "-t", "price", "--model", "linear", "--trials", "1", "--minimise", "bmae"],
        )
        for command in commands:
            with locked_by_another(tmp_path / command[0]):
                assert run([*command, "-o", str(tmp_path / command[0])]) == 2
            assert "is being written by another process" in capsys.readouterr().err.splitlines()[-1]

    def test_the_lock_of_a_killed_process_vanishes(self, tmp_path):
        with locked_by_another(tmp_path) as process:
            process.kill()
            process.wait()
            with locked(tmp_path):
                pass
        assert not (tmp_path / LOCK).exists()

    def test_resuming_a_living_run(self, trained, tmp_path, capsys):
        out = tmp_path / "r"
        start_run(out, {"target": "price"})
        command = ["train", str(trained / "toy.csv"), *LINEAR, "-o", str(out), "--resume"]
        with locked_by_another(out):
            assert run(command) == 2
        assert "is being written by another process" in capsys.readouterr().err.splitlines()[-1]

    def test_a_benchmark(self, tmp_path, capsys):
        data, out = str(tmp_path / "data"), tmp_path / "out"
        with locked_by_another(out):
            assert run(["bench", "run", "agedb-dir", "--data", data, "--out", str(out)]) == 2
        assert "is being written by another process" in capsys.readouterr().err.splitlines()[-1]

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
    def test_a_file_system_without_flock(self, tmp_path, monkeypatch):
        def no_flock(*_):
            raise OSError(errno.ENOSYS, "not implemented")

        monkeypatch.setattr("fcntl.flock", no_flock)
        folder = tmp_path / "a"
        with locked(folder):  # without a warning: the suite makes them errors
            holder = (folder / LOCK).read_text()
            assert str(os.getpid()) in holder
        assert not folder.exists()
        folder.mkdir()
        (folder / LOCK).write_text(holder.replace(socket.gethostname(), "another-machine"))
        with pytest.raises(InputError, match=f"another process.*remove {re.escape(LOCK)}"), locked(folder):
            pass
        assert (folder / LOCK).exists()

    def test_inside_the_same_process(self, tmp_path):
        with locked(tmp_path / "a" / "b"), locked(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b" / LOCK).exists()
        assert not (tmp_path / "a").exists()


class locked_by_another:  # noqa: N801
    """A folder that another process has locked."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        code = f"""
            import sys
            from filelock import FileLock
            with FileLock({str(self.folder / LOCK)!r}):
                print("locked", flush=True)
                sys.stdin.read()
        """
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdin=pipe, stdout=pipe)
        assert self.process.stdout.readline() == b"locked\n"
        return self.process

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()


class TestFiles:
    def test_a_failed_write_leaves_the_old_file(self, tmp_path):
        file = tmp_path / "a.json"
        write_json(file, 1)

        def fail():
            with replacing(file) as fresh:
                fresh.write_text("2")
                raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

        with pytest.raises(OSError, match="No space left") as raised:
            fail()
        assert raised.value.filename == str(file)
        assert raised.value.errno == errno.ENOSPC
        assert files_in(tmp_path) == {"a.json": b"1"}

    def test_other_errors_are_not_those_of_a_disk(self, tmp_path):
        assert disk_error(RuntimeError("no"), tmp_path) is None
        assert disk_error(InputError("'a.png': [Errno 28] in a name"), tmp_path) is None
        assert disk_error(FileNotFoundError(2, "no", "b"), tmp_path).filename == "b"


class TestFullDisk:
    """A limit on the size of files stands for a full disk: every library runs into it."""

    def trained_under(self, limit, *words):
        code = f"""
            import resource, sys
            resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
            from tailwise.cli.main import run
            sys.exit(run({[str(word) for word in words]!r}))
        """
        ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
        return ended.returncode, ended.stderr

    @pytest.mark.slow
    @pytest.mark.parametrize("limit", [200, 3000, 40_000])
    def test_one_line_and_the_old_run(self, finished, trained, limit):
        before = files_in(finished)
        network = ["--target", "price", "--method", "vanilla", "--epochs", "2", "-o", finished, "--overwrite"]
        code, printed = self.trained_under(limit, "train", trained / "toy.csv", *network)
        assert code == 2, printed
        assert "File too large" in printed.splitlines()[-1]
        assert "Traceback" not in printed
        assert files_in(finished) == before

    @pytest.mark.slow
    @pytest.mark.parametrize(("model", "rounds"), [("lightgbm", "n_estimators"), ("catboost", "iterations")])
    def test_trees_that_a_library_writes(self, finished, trained, model, rounds):
        if model == "catboost":
            pytest.importorskip("catboost", reason="the extra `catboost` is not installed")
        before = files_in(finished)
        words = ["--target", "price", "--model", model, "--set", f"model.{rounds}=60", "-o", finished, "--overwrite"]
        code, printed = self.trained_under(30_000, "train", trained / "toy.csv", *words)
        assert code == 2, printed
        assert "Traceback" not in printed
        assert re.search(r"cannot write '.*model'?: File too large", printed.splitlines()[-1]), printed
        assert files_in(finished) == before


class TestOutput:
    """Printing comes last: what cannot be printed costs no run."""

    def run_with(self, trained, out, **streams):
        code = "import sys; from tailwise.cli.main import main; sys.argv[0] = 'tailwise'; main()"
        command = [sys.executable, "-c", code, "train", str(trained / "toy.csv"), *LINEAR, "-o", str(out)]
        return subprocess.run([*command, "--overwrite"], text=True, **streams)

    @pytest.mark.slow
    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
    @pytest.mark.parametrize("stream", ["stdout", "stderr"])
    def test_a_full_terminal(self, trained, finished, stream):
        manifest = (finished / "manifest.json").read_bytes()
        with open("/dev/full", "w") as full:
            other = "stderr" if stream == "stdout" else "stdout"
            ended = self.run_with(trained, finished, **{stream: full, other: subprocess.PIPE})
        assert open_run(finished) == finished
        assert (finished / "manifest.json").read_bytes() != manifest
        if stream == "stdout":
            assert ended.returncode == 1
            assert ended.stderr.splitlines()[-1].startswith("tailwise: cannot print the results: No space left")
            assert "Exception" not in ended.stderr
        else:
            assert ended.returncode == 0

    @pytest.mark.slow
    def test_a_reader_that_closes_the_pipe(self, trained, finished):
        reading, writing = os.pipe()
        os.close(reading)
        ended = self.run_with(trained, finished, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
        assert ended.returncode == 141
        assert "tailwise:" not in ended.stderr
        assert open_run(finished) == finished
