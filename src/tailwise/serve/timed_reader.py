"""Bytes of a connection with a limit on the total time of a request, so that a slow one does not hold a thread."""

import io
import socket
import time
from typing import Any


class TimedReader(io.RawIOBase):
    """Reads from a socket.

    Args:
        connection: the socket.
        idle: seconds to the first byte of a request.
        request: seconds from its first byte to its last.
    """

    def __init__(self, connection: socket.socket, *, idle: float, request: float) -> None:
        super().__init__()
        self._connection, self._idle, self._request = connection, idle, request
        self._until: float | None = None

    def restart(self) -> None:
        """Expect the next request."""
        self._until = None

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what has come.

        Raises:
            TimeoutError: nothing came, or the request took too long.
        """
        left = self._idle if self._until is None else self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer)
        if self._until is None:
            self._until = time.monotonic() + self._request
        return count
