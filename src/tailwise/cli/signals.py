"""Let a request to end, or a terminal that hangs up, end the command as Ctrl-C does: with its hints, and tidily."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_NAMES = ("SIGTERM", "SIGHUP")


class StoppedError(KeyboardInterrupt):
    """A signal that ends the command."""


@contextmanager
def as_interrupts() -> Iterator[list[int]]:
    """Raise :class:`StoppedError` in a block when a signal comes that ends the process; the second one ends it at once.

    A signal that is ignored, as under ``nohup``, stays ignored.

    Yields:
        The signals that came.
    """
    came: list[int] = []

    def stop(number: int, _: Any) -> NoReturn:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)
        raise StoppedError(number)

    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler == signal.SIG_DFL:
            signal.signal(number, stop)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
