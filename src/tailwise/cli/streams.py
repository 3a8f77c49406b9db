"""Standard output whose failures are told apart from those of files, and standard error that never fails."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class OutputError(Exception):
    """Standard output cannot be written.

    Args:
        reason: the error of the operating system.
    """

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason.strerror or str(reason))
        self.closed = reason.errno == errno.EPIPE  # by the reader, such as head


class _Stream:
    """A text stream with another answer to failures of writing.

    Args:
        stream: the stream.
        quiet: whether failures are ignored; otherwise they raise :class:`OutputError`.
    """

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream, self._quiet = stream, quiet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        with self._answered():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand everything on to the operating system."""
        with self._answered():
            self._stream.flush()

    @contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._quiet:
                raise OutputError(error) from error


@contextmanager
def watched_streams() -> Iterator[None]:
    """Watch the standard streams inside a block.

    A terminal that is gone must not end a training: progress and notes on standard error are lost, and the results on
    standard output are printed when all files are written.

    Raises:
        OutputError: standard output that cannot be written.
    """
    before: Any = (sys.stdout, sys.stderr)
    replaced: Any = tuple(_Stream(stream, quiet=stream is before[1]) for stream in before)
    sys.stdout, sys.stderr = replaced
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout, sys.stderr = before


def silence_output() -> None:
    """Send the rest of standard output nowhere, where the interpreter would fail once more when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
