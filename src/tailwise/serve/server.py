"""The server: listens on one address, serves one folder of runs."""

import base64
import hashlib
import os
import re
import socket
import socketserver
import sys
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise.serve.handler import Handler
from tailwise.serve.library import Library
from tailwise.serve.listening import accepted_hosts, is_loopback, refusal, url
from tailwise.serve.site import Site
from tailwise.serve.templating import base_page

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class RunServer(ThreadingHTTPServer):
    """Serves the runs of a folder.

    Args:
        root: the folder.
        host: address or name to listen on.
        port: port to listen on; 0 for a free one.

    Raises:
        InputError: no such folder, an address that cannot be listened on, or a port that is taken.
    """

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # on other systems two programs could share a port

    def __init__(self, root: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        site = Site(Library(root), str(root), _policy(), self.accepts)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), partial(Handler, site))
        except OSError as error:
            raise InputError(refusal(host, port, error)) from error

    def server_bind(self) -> None:
        """Listen, without a lookup of this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, int(self.server_address[1])

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.socket)

    @property
    def url(self) -> str:
        """Address of the server for a browser on this machine."""
        return url(self.host, self.server_port)

    def accepts(self, host: str | None) -> bool:
        """Return whether a ``Host`` header names this server.

        Without this check, any web page in the user's browser could read a server on the loopback address by a name
        of its own that resolves to it (DNS rebinding).
        """
        if not self.loopback:
            return True
        return host is not None and host.lower() in accepted_hosts(self.host, self.server_port)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Print an error of a connection in one line, unless the browser closed it."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"tailwise: {type(error).__name__}: {error}", file=sys.stderr)


def _policy() -> str:
    """Return the content security policy of the server's pages: of inline scripts, only the template's run."""
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in _INLINE.findall(base_page())
    ]
    scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in digests)])
    return (
        f"default-src 'none'; style-src 'self' 'unsafe-inline'; script-src {scripts}; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
