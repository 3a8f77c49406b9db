"""The handler of requests: one method for each address."""

import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from io import BufferedReader
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tailwise._checks import InputError, one_of
from tailwise.runs.folder import REPORT
from tailwise.serve import pages
from tailwise.serve.beside import MOST_RUNS, put_beside
from tailwise.serve.chart_series import KINDS
from tailwise.serve.files import read_bytes
from tailwise.serve.listing import Listing
from tailwise.serve.run_charts import training_plot
from tailwise.serve.runs import Run
from tailwise.serve.site import Site
from tailwise.serve.timed_reader import TimedReader

HTML, CSV = "text/html; charset=utf-8", "text/csv; charset=utf-8"
FORMATS = {"svg": "image/svg+xml", "png": "image/png", "csv": CSV}

_STATIC = {
    "/static/serve.css": ("serve.css", "text/css; charset=utf-8"),
    "/static/serve.js": ("serve.js", "text/javascript; charset=utf-8"),
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
}
_NONE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Scripts in pages of other commands run, but cannot connect to anything, this server included.
_OTHER_PAGE = (
    f"{_NONE}; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; "
    "sandbox allow-scripts allow-downloads"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_MOST_QUERY = 16_384
_MOST_SECONDS = 10.0  # from the first byte of a request to its last


class NotThereError(InputError):
    """An address without a page."""


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection.

    Args:
        site: what is served.
        connection: request, address of the client, and server, as :mod:`socketserver` gives them.
    """

    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds to the first byte of the next request, and of sending an answer

    def __init__(self, site: Site, *connection: Any) -> None:
        self.site = site
        super().__init__(*connection)  # answers at once

    def setup(self) -> None:
        """Read requests within a total time, however slowly their bytes come."""
        super().setup()
        self.rfile.close()
        self._reading = TimedReader(self.connection, idle=float(self.timeout), request=_MOST_SECONDS)
        self.rfile = BufferedReader(self._reading)

    def handle_one_request(self) -> None:
        """Answer one request of the connection."""
        self._reading.restart()
        super().handle_one_request()

    def version_string(self) -> str:
        """Return the name of the server for its headers."""
        return "tailwise"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing to the terminal."""

    def parse_request(self) -> bool:
        """Read the request; refuse methods other than GET and HEAD, and requests to other hosts."""
        is_request = super().parse_request()
        self.connection.settimeout(self.timeout)
        if not is_request:
            return False
        if self.command not in ("GET", "HEAD"):
            self.close_connection = True
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "This server only reads.", {"Allow": "GET, HEAD"})
            return False
        hosts = self.headers.get_all("Host", [])
        if len(hosts) > 1 or not self.site.accepts(hosts[0] if hosts else None):
            self.close_connection = True
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "The Host header does not name this server.")
            return False
        return True

    def do_GET(self) -> None:
        """Answer a request."""
        try:
            self._answer()
        except NotThereError as mistake:
            self._refuse(HTTPStatus.NOT_FOUND, str(mistake))
        except InputError as mistake:
            self._refuse(HTTPStatus.BAD_REQUEST, str(mistake))
        except ConnectionError:
            self.close_connection = True
        except Exception as error:
            print(f"tailwise: {urlsplit(self.path).path}: {type(error).__name__}: {error}", file=sys.stderr)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__} while making this page.")

    def do_HEAD(self) -> None:
        """Answer a request with the headers only."""
        self.do_GET()

    def _answer(self) -> None:
        address = urlsplit(self.path)
        routes: dict[str, Callable[[dict[str, list[str]]], None]] = {
            "/": self._list,
            "/runs.csv": self._list_csv,
            "/run": self._run,
            "/live": self._live,
            "/report": self._report,
            "/page": self._page,
            "/compare": self._compare,
            "/chart": self._chart,
        }
        if address.path in _STATIC:
            name, kind = _STATIC[address.path]
            self._send((files("tailwise.serve") / "static" / name).read_bytes(), kind)
            return
        if address.path not in routes or len(address.query) > _MOST_QUERY:
            raise NotThereError("There is no page at this address.")
        try:
            query = parse_qs(address.query, errors="surrogateescape", max_num_fields=100)
        except ValueError as error:
            raise InputError("too many parameters in the address") from error
        routes[address.path](query)

    def _list(self, query: dict[str, list[str]]) -> None:
        runs, others = self.site.library.look()
        listing = Listing(runs, query)
        self._html(pages.list_page(listing, len(runs), others, self.site.folder))

    def _list_csv(self, query: dict[str, list[str]]) -> None:
        listing = Listing(self.site.library.look()[0], query)
        self._send(listing.csv().encode("utf-8", "replace"), CSV, {"Content-Disposition": _attached("runs.csv")})

    def _run(self, query: dict[str, list[str]]) -> None:
        self._html(pages.run_page(self._one(query)))

    def _live(self, query: dict[str, list[str]]) -> None:
        run = self._one(query)
        if query.get("seen") == [run.token]:  # drawing takes time from the training
            self._send(b"", HTML, status=HTTPStatus.NO_CONTENT)
        else:
            self._html(pages.live_part(run))

    def _report(self, query: dict[str, list[str]]) -> None:
        run = self._one(query)
        self._send(
            read_bytes(self.site.library.root, run.folder / REPORT), HTML, {"Content-Security-Policy": _OTHER_PAGE}
        )

    def _page(self, query: dict[str, list[str]]) -> None:
        try:
            page = self.site.library.page(query.get("page", [""])[-1])
        except InputError as mistake:
            raise NotThereError(str(mistake)) from mistake
        self._send(read_bytes(self.site.library.root, page.file), HTML, {"Content-Security-Policy": _OTHER_PAGE})

    def _compare(self, query: dict[str, list[str]]) -> None:
        columns = put_beside(self.site.library.root, self._several(query))
        self._html(pages.compare_page(columns, pages.curve_of(query)))

    def _chart(self, query: dict[str, list[str]]) -> None:
        kind = one_of(query.get("kind", [""])[-1], "kind", KINDS)
        form = one_of(query.get("format", [""])[-1], "format", FORMATS)
        runs, curve = self._several(query), pages.curve_of(query)
        if len(runs) == 1 and kind == "training":
            plot = training_plot({runs[0].label: runs[0]}, curve)
        else:
            plot = pages.compared_plot(kind, put_beside(self.site.library.root, runs), curve)
        if plot is None:
            raise NotThereError("There is nothing to draw yet.")
        content = (
            plot.png()
            if form == "png"
            else (plot.picture() if form == "svg" else plot.csv()).encode("utf-8", "replace")
        )
        self._send(content, FORMATS[form], {"Content-Disposition": _attached(f"{kind}.{form}")})

    def _one(self, query: dict[str, list[str]]) -> Run:
        try:
            return self.site.library.run(query.get("run", [""])[-1])
        except InputError as mistake:
            raise NotThereError(str(mistake)) from mistake

    def _several(self, query: dict[str, list[str]]) -> list[Run]:
        names = list(dict.fromkeys(query.get("run", [])))[: MOST_RUNS + 1]
        return [self._one({"run": [name]}) for name in names]

    def _html(self, page: str) -> None:
        self._send(page.encode("utf-8", "replace"), HTML)

    def _refuse(self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> None:
        page = pages.message_page(status.phrase, message)
        self._send(page.encode("utf-8", "replace"), HTML, headers, status)

    def _send(
        self, content: bytes, kind: str, headers: dict[str, str] | None = None, status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        policy = self.site.policy if kind == HTML else f"{_NONE}; style-src 'unsafe-inline'; sandbox"
        every = {**_HEADERS, "Content-Security-Policy": policy, **(headers or {})}
        self.send_response(status)
        for name, value in every.items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _attached(name: str) -> str:
    return f'attachment; filename="{name}"'
