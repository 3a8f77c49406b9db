"""Requests of any form to the pages of ``serve``: an answer without a fault, and nothing from outside the folder."""

import shutil
import socket
import threading
from contextlib import contextmanager
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import examples
from tailwise.cli.main import run
from tailwise.serve.server import RunServer

SECRET = b"top secret"
OWN = "OWN-HOST"  # replaced by the address of the server
PATHS = ("/", "/runs.csv", "/run", "/live", "/report", "/page", "/compare", "/chart", "/static/serve.css", "/nope")
NAMES = ("r", "deep/r", "going", "cut", "nope", "../secret", "..", ".", "/etc", "r/../../secret", "a.html", "r\0", "")
VALUES = {
    "run": NAMES,
    "page": ("a.html", "../secret.html", "r/report.html", "linked.html", "nope"),
    "kind": ("training", "regions", "scatter", "dial", "nope", ""),
    "format": ("svg", "csv", "nope", ""),
    "curve": ("mae", "bmae", "loss", "nope"),
    "region": ("all", "many", "few", "zero", "nope"),
    "sort": ("date", "all.mae", "seed", "nope"),
    "order": ("asc", "desc", "nope"),
    "q": ("r", "linear", "\ud800", "%", "a b"),
    "seen": ("x",),
}
TEXT = st.text(st.characters(codec="utf-8"), max_size=6)


@contextmanager
def serving(folder):
    """A server over a folder, in a thread."""
    with RunServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def answer_of(server, request, capsys):
    """The bytes that a server answers to the bytes of a request; it must not fail."""
    request = request.replace(OWN.encode(), b"127.0.0.1:%d" % server.server_port)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    printed = capsys.readouterr()
    assert not answer.startswith(b"HTTP/1.1 500"), (request, printed.err)
    assert printed.err == "", (request, printed.err)
    assert SECRET not in answer, request
    assert b"Traceback" not in answer, request
    return answer


@st.composite
def queries(draw):
    """A query of parameters that the pages know, and others."""
    pairs = []
    for _ in range(draw(st.integers(0, 5))):
        name = draw(st.sampled_from(list(VALUES)))
        value = draw(st.one_of(st.sampled_from(VALUES[name]), st.sampled_from(VALUES[name]), TEXT))
        escaped = value.encode("utf-8", "surrogatepass")
        pairs.append(f"{name if draw(st.integers(0, 9)) else draw(TEXT)}=" + quote(escaped, safe=draw(TEXT)))
    return draw(st.sampled_from(["&", "&", "&", ";", "&&"])).join(pairs)


@st.composite
def requests(draw):
    """The bytes of a request, mostly one that the server understands."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=60)) + draw(st.sampled_from([b"", b"\r\n\r\n"]))
    path = draw(st.one_of(st.sampled_from(PATHS), st.sampled_from(PATHS), TEXT.map(lambda text: "/" + text)))
    query = draw(queries())
    method = draw(st.sampled_from(["GET"] * 6 + ["HEAD", "POST", "get", ""]))
    version = draw(st.sampled_from(["HTTP/1.1"] * 5 + ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "", "x"]))
    headers = draw(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [
                        "Host: localhost",
                        "Host: evil.example",
                        "Connection: close",
                        "Content-Length: -1",
                        "Range: x",
                        ":",
                    ]
                ),
                st.tuples(TEXT, TEXT).map(": ".join),
            ),
            max_size=3,
        )
    )
    host = [f"Host: {OWN}"] if draw(st.integers(0, 9)) else []
    lines = [f"{method} {path}{'?' + query if query else ''} {version}", *host, *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Runs of several states, a page, links that lead out, and a secret beside the folder."""
    outside = tmp_path_factory.mktemp("outside")
    folder = outside / "runs"
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    pd.DataFrame({"x": x, "y": np.exp(x)}).to_csv(outside / "t.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tailwise.runs.artifact.run_page", lambda **_: "<title>r</title><footer>tailwise</footer>")
        assert run(["train", str(outside / "t.csv"), "-t", "y", "--model", "linear", "-o", str(folder / "r")]) == 0
    for name in ("deep/r", "going", "cut"):
        shutil.copytree(folder / "r", folder / name)
    (folder / "going" / "manifest.json").unlink()
    (folder / "cut" / "metrics.json").unlink()
    shutil.copy(folder / "r" / "report.html", folder / "a.html")
    secret = b"<title>top secret</title><footer>tailwise top secret</footer>"
    (outside / "secret").mkdir()
    for name in ("secret.html", "secret/report.html", "secret/config.json"):
        (outside / name).write_bytes(secret)
    (folder / "linked.html").symlink_to(outside / "secret.html")
    (folder / "linked").symlink_to(outside / "secret")
    with serving(folder) as server:
        yield server


def test_requests(served, capsys):
    @examples(40)
    @given(requests())
    def try_one(request):
        answer_of(served, request, capsys)

    try_one()
    assert answer_of(served, f"GET / HTTP/1.0\r\nHost: {OWN}\r\n\r\n".encode(), capsys).startswith(b"HTTP/1.1 200")
