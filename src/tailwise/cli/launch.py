"""The command on several processes: the first one prints; if one ends early, the others print how to resume."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from tailwise.training.recipe import Recipe

_FAILED = 1


def is_main() -> bool:
    """Return whether this is the process that prints; known before the processes are connected."""
    return os.environ.get("RANK", "0") == "0"


def leave(status: int) -> NoReturn:
    """End this process with an exit status."""
    if several():
        # Everything is written by now; threads of gloo sometimes abort an interpreter that shuts down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def several() -> bool:
    """Return whether a launcher has started several processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def start_processes(recipe: "Recipe") -> None:
    """Connect the processes if a launcher (``torchrun``, ``accelerate launch``) has started several."""
    if several():
        from tailwise.cli import show
        from tailwise.training.loop import accelerator_for

        accelerator_for(recipe)
        show.out.quiet = show.err.quiet = not is_main()


class _ProcessEndedError(Exception):
    """The launcher stops this process because another one ended."""


@contextmanager
def hint_at_resume(folder: Path) -> Iterator[None]:
    """Print how to resume a training that is interrupted, or loses a process, after its first checkpoint.

    Raises:
        typer.Exit: another process of this training has ended.
    """
    from torch import distributed as dist

    from tailwise.cli import show

    connected = dist.is_available() and dist.is_initialized()

    def stop(*_: Any) -> NoReturn:
        raise _ProcessEndedError

    previous = signal.signal(signal.SIGTERM, stop) if connected else None
    how = f"go on with the same command and --resume --out {folder}"
    try:
        yield
    except KeyboardInterrupt:
        show.err.print(f"stopped; {how}", markup=False, soft_wrap=True)
        raise
    except (_ProcessEndedError, RuntimeError) as error:
        if not connected or not (
            isinstance(error, _ProcessEndedError | dist.DistError) or "gloo" in str(error).lower()
        ):
            raise
        me = f"process {dist.get_rank()} of {dist.get_world_size()}"
        print(f"tailwise: {me}: another process of this training has ended, so it stops; {how}", file=sys.stderr)
        raise typer.Exit(_FAILED) from error
    finally:
        if connected:
            signal.signal(signal.SIGTERM, previous)
