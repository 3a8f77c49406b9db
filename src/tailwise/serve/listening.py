"""Listening on an address: sockets, who can reach them, and which ``Host`` headers name them."""

import errno
import ipaddress
import os
import socket

from tailwise._checks import InputError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Args:
        host: address or name.
        port: 0 for a free one.

    Raises:
        InputError: an address that cannot be listened on, or a port that is taken.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if os.name == "posix":  # on other systems two programs could share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise InputError(refusal(host, port, error)) from error
    return listening


def is_loopback(listening: socket.socket) -> bool:
    """Return whether only this machine can reach a socket."""
    return ipaddress.ip_address(str(listening.getsockname()[0])).is_loopback


def url(host: str, port: int) -> str:
    """Return the address of a server for a browser on this machine.

    >>> url("0.0.0.0", 8321), url("::1", 8321)
    ('http://127.0.0.1:8321/', 'http://[::1]:8321/')
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def accepted_hosts(host: str, port: int) -> frozenset[str]:
    """Return the ``Host`` headers, in lower case, that name a server on the loopback address.

    >>> sorted(accepted_hosts("127.0.0.1", 8321))
    ['127.0.0.1:8321', '[::1]:8321', 'localhost:8321']
    """
    names = {"localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host}
    ports = {f":{port}"} | ({""} if port == 80 else set())
    return frozenset(name.lower() + end for name in names for end in ports)


def refusal(host: str, port: int, error: OSError) -> str:
    """Return why an address cannot be listened on, and the way out."""
    if isinstance(error, socket.gaierror):
        return f"`host` {host!r} is not an address of this machine; use 127.0.0.1"
    if isinstance(error, PermissionError):
        return f"`port` {port} may not be opened by this user; take one above 1023, or 0 for a free one"
    if error.errno == errno.EADDRINUSE:
        return f"`port` {port} is taken; choose another, or 0 for a free one"
    return f"cannot listen on `host` {host!r} `port` {port}: {error.strerror or error}; use 127.0.0.1"
