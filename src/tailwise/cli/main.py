"""The ``tailwise`` command: its subcommands, and how errors of the user are reported."""

import gc
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from tailwise._checks import InputError
from tailwise._files import UNWRITABLE
from tailwise.cli.bench import bench
from tailwise.cli.compare import compare
from tailwise.cli.diagnose import diagnose
from tailwise.cli.dial import dial
from tailwise.cli.evaluate_run import evaluate
from tailwise.cli.explain_run import explain
from tailwise.cli.export import export
from tailwise.cli.flags import with_flags
from tailwise.cli.launch import is_main, leave
from tailwise.cli.lists import examples, methods
from tailwise.cli.number_words import in_words
from tailwise.cli.predict import predict
from tailwise.cli.serve import serve
from tailwise.cli.serve_model import serve_model
from tailwise.cli.settings import repeat_options
from tailwise.cli.signals import as_interrupts
from tailwise.cli.streams import OutputError, silence_output, watched_streams
from tailwise.cli.train import train
from tailwise.cli.tune import tune

NOT_PRINTED, USER_MISTAKE, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141
_LONGEST = 300  # characters of an error
_QUOTED = re.compile(r"""(?<!\w)(['"])(?:\\.|(?!\1).)*\1(?!\w)""")
_REPEATING = ("compare", "bench", "predict", "dial")  # commands whose options may take several values at once

# typer exports no name for the parent of its usage errors (unknown option, missing argument, bad value).
_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="tailwise",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First run:  tailwise train example:airports --target elevation",
)
app.command(rich_help_panel="Main job")(diagnose)
app.command(rich_help_panel="Main job")(train)
app.command(rich_help_panel="Main job")(predict)
app.command(rich_help_panel="Main job")(evaluate)
app.command(rich_help_panel="Main job")(explain)
app.command(rich_help_panel="Main job")(dial)
app.command(rich_help_panel="Main job")(compare)
app.command(rich_help_panel="Main job")(tune)
app.command(rich_help_panel="Main job")(serve)
app.command(rich_help_panel="Deploy")(export)
app.command(name="serve-model", rich_help_panel="Deploy")(serve_model)
app.add_typer(bench, rich_help_panel="Main job")
app.command(rich_help_panel="Lists")(methods)
app.command(rich_help_panel="Lists")(examples)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tailwise {version('tailwise')}")
        raise typer.Exit


@app.callback()
def _tailwise(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Imbalanced regression: train models that serve the rare values of a target."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status: 2, with one line on stderr, for an error of the user.

    Files are written before anything is printed, so what cannot be printed costs no result: the status is then 1, or
    that of a program whose reader (``| head``) has closed the pipe.
    """
    try:
        with watched_streams():
            return _run(arguments)
    except OutputError as error:
        silence_output()
        if error.closed:
            return PIPE_CLOSED
        return _print_error(f"cannot print the results: {error}; all files are written", NOT_PRINTED)


def _run(arguments: Sequence[str]) -> int:
    words = repeat_options(arguments) if arguments and arguments[0] in _REPEATING else list(arguments)
    try:
        code = app(args=words or ["--help"], standalone_mode=False)
    except InputError as mistake:
        return _print_error(str(mistake))
    except _UsageError as mistake:
        flags = getattr(getattr(mistake, "param", None), "opts", ())
        return _print_error(in_words(mistake.format_message(), flags, words))
    except OSError as error:
        return _print_error(_of_system(error))
    if code == INTERRUPTED:  # typer turns Ctrl-C into this status and an empty line
        print("tailwise: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _of_system(error: OSError) -> str:
    """Return an error of the operating system in words, with the file."""
    if error.filename is None:
        return str(error)
    if error.errno in UNWRITABLE:
        return f"cannot write {str(error.filename)!r}: {error.strerror}"
    return f"{error.strerror or error}: {error.filename!r}"


def _print_error(message: str, status: int = USER_MISTAKE) -> int:
    if is_main():  # of several processes all find the same mistake
        with suppress(OSError):
            print(_shortened("tailwise: " + " ".join(with_flags(message).split())), file=sys.stderr)
    return status


def main() -> None:
    """Entry point of the console script."""
    gc.set_threshold(50_000)  # imports make many objects and no garbage: a command starts 15 % faster
    with as_interrupts() as signals:
        status = run(sys.argv[1:])
    leave(128 + signals[0] if signals and status == INTERRUPTED else status)


def _shortened(message: str) -> str:
    """Return a message of at most 300 characters: first its long quoted words are shortened, then its middle."""
    for longest in (80, 40, 20):
        if len(message) > _LONGEST:
            message = _QUOTED.sub(partial(_cut_word, longest), message)
    return _cut(message, _LONGEST)


def _cut_word(longest: int, word: re.Match[str]) -> str:
    return _cut(word[0], longest)


def _cut(text: str, longest: int) -> str:
    """Return a text with its middle left out if it is too long; the end of a message is the way out.

    >>> _cut("abcdefghij", 8)
    'abcde…ij'
    """
    tail = longest // 3
    return text if len(text) <= longest else text[: longest - tail - 1] + "…" + text[len(text) - tail :]
