"""What a terminal sees: signals, narrow windows, long names."""

import io
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from rich.table import Table

from tailwise.cli.main import run
from tailwise.cli.show import Screen

CODE = "import sys; from tailwise.cli.main import main; sys.argv[0] = 'tailwise'; main()"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_gives_the_hint_of_ctrl_c(toy_csv, tmp_path, name):
    words = ["train", str(toy_csv), "-t", "price", "--method", "vanilla", "--epochs", "5000", "--patience", "5000"]
    default = partial(signal.signal, getattr(signal, name), signal.SIG_DFL)  # after nohup or & it stays ignored
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *words, "-o", str(tmp_path / "r")],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default,
    ) as process:
        try:
            while process.poll() is None and not (tmp_path / "r" / "checkpoints" / "last").exists():
                time.sleep(0.05)
            process.send_signal(getattr(signal, name))
            _, printed = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 128 + getattr(signal, name)
    assert "stopped; go on with the same command and --resume" in printed
    assert "Traceback" not in printed


def test_a_narrow_terminal_keeps_the_numbers(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdout", printed)
    table = Table("region", *(f"metric {i}" for i in range(8)))
    table.add_row("many", *(f"0.123{i}" for i in range(8)))
    Screen().print(table)
    assert all(f"0.123{i}" in printed.getvalue() for i in range(8))


def test_an_error_is_one_short_line(tmp_path, capsys):
    name = "a very long name of a column " * 40
    table = tmp_path / "t.csv"
    table.write_text(f"y,{name}\n" + "1,2\n" * 40)
    for word in (name, "=x"):
        assert run(["train", str(table), "-t", word, "-o", str(tmp_path / "r")]) == 2
        printed = capsys.readouterr().err
        assert printed.count("\n") == 1
        assert len(printed) <= 301
    assert not (tmp_path / "r").exists()


def test_a_page_that_fails_leaves_no_file(toy_csv, tmp_path, capsys, monkeypatch):
    page = tmp_path / "d.html"

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("tailwise._files.os.replace", full)
    assert run(["diagnose", str(toy_csv), "-t", "price", "--no-model", "--html", str(page)]) == 2
    assert f"cannot write '{page}': No space left on device" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy.csv"]
