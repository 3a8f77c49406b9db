"""What the fuzzers share: how many examples they try, and what may leave a call or a command.

In CI a few examples of each kind, the same ones each time; ``make fuzz`` tries as many as ``TAILWISE_FUZZ_EXAMPLES``
says, others each time.
"""

import os
import shutil
import warnings
from contextlib import chdir

from hypothesis import HealthCheck, settings

from tailwise import InputError
from tailwise._files import LOCK
from tailwise.cli.main import run

EXAMPLES = int(os.environ.get("TAILWISE_FUZZ_EXAMPLES", "0"))
LONGEST = 300


def examples(few):
    """Settings of a fuzzer: ``few`` examples, the same ones each time, or those of ``make fuzz``."""
    return settings(
        max_examples=EXAMPLES or few,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def one_line(call, *arguments, **options):
    """Result of a call, or ``None`` after an error of one short line."""
    message = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return call(*arguments, **options)
        except InputError as error:
            message = str(error)
    assert "\n" not in message, message
    assert len(message) <= LONGEST, message
    return None


def contents(folder):
    """Every file and folder below a folder, with the bytes of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != LOCK
    }


def tried_command(whole, words, capsys, folder):
    """Run a command in a copy of a folder: it succeeds, or fails with one line and writes nothing.

    Returns the exit status.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    before = contents(folder)
    capsys.readouterr()
    with warnings.catch_warnings(), chdir(folder):
        warnings.simplefilter("ignore", UserWarning)
        status = run(words)
    printed = capsys.readouterr().err
    assert status in (0, 2), (words, status, printed)
    assert "Traceback" not in printed, (words, printed)
    if status == 2:
        lines = [line for line in printed.splitlines() if line.startswith("tailwise: ")]
        assert len(lines) == 1, (words, printed)
        assert printed.rstrip("\n").endswith(lines[0]), (words, printed)
        assert len(lines[0]) <= LONGEST, (words, lines)
        after = contents(folder)
        assert after == before, (words, printed, sorted(set(after) ^ set(before)))
    return status
