"""The runs that are served, and the rules of their server: all that the answer to a request depends on."""

from collections.abc import Callable
from dataclasses import dataclass

from tailwise.serve.library import Library


@dataclass(frozen=True)
class Site:
    """The runs that are served, and the rules of their server.

    Args:
        library: runs and pages of the served folder.
        folder: the served folder as the user wrote it.
        policy: content security policy of the server's own pages.
        accepts: whether a ``Host`` header, if there is one, names this server.
    """

    library: Library
    folder: str
    policy: str
    accepts: Callable[[str | None], bool]
