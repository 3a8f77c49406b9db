"""A REST server of one run: ``POST /predict``, ``GET /schema``, ``GET /health``, and ``GET /``, which lists them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tailwise._checks import InputError
from tailwise.deploy.answers import Answers
from tailwise.serve.listening import accepted_hosts, is_loopback, listen, url

try:
    import anyio
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise InputError("a server of a model needs starlette and uvicorn: pip install 'tailwise[serve-model]'") from error

_PATHS = {
    "POST /predict": "predictions of rows in JSON",
    "GET /schema": "columns of a row, and what may be asked",
    "GET /health": "whether the server answers",
}
_MOST_CONNECTIONS, _KEEP_ALIVE = 100, 5  # seconds


@dataclass(frozen=True)
class Limits:
    """Limits of a request.

    Args:
        size: most bytes of a body.
        seconds: most seconds to receive it and to answer, waiting for other requests included.
    """

    size: int = 10_000_000
    seconds: float = 30.0


def application(answers: Answers, limits: Limits, *, hosts: Collection[str] = ()) -> Starlette:
    """Return the ASGI application of a run.

    One request is predicted at a time; others wait. Errors are JSON, ``{"error": "one line"}``: 422 for rows that do
    not fit the model, 413 and 408 for those over a limit, 503 where the answer takes too long.

    Args:
        answers: of the run.
        limits: of a request.
        hosts: values of the ``Host`` header that are answered, all if not given; without them, a web page in a
            browser of this machine could ask the server by a name of its own (DNS rebinding).
    """
    one_at_a_time = anyio.CapacityLimiter(1)

    async def root(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse({"run": answers.name, "paths": _PATHS})

    async def health(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse({"status": "ok", "run": answers.name})

    async def schema(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse({**answers.describe(), "most_bytes": limits.size})

    async def predict(request: Request) -> Response:
        body = None
        try:
            with anyio.fail_after(limits.seconds):
                body = await _body(request, limits.size)
                answer = await anyio.to_thread.run_sync(answers.to, body, abandon_on_cancel=True, limiter=one_at_a_time)
        except TimeoutError:
            status = 408 if body is None else 503
            return _error(f"no {'request' if body is None else 'answer'} within {limits.seconds:g} seconds", status)
        except InputError as mistake:
            return _error(" ".join(str(mistake).split()), 422)
        return JSONResponse(answer)

    def checked(endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def answered(request: Request) -> Response:
            if hosts and request.headers.get("host", "").lower() not in hosts:
                return _error("the Host header does not name this server", 421)
            response: Response = await endpoint(request)
            return response

        return answered

    return Starlette(
        routes=[
            Route("/", checked(root), methods=["GET"]),
            Route("/predict", checked(predict), methods=["POST"]),
            Route("/health", checked(health), methods=["GET"]),
            Route("/schema", checked(schema), methods=["GET"]),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _own_error},
    )


async def _body(request: Request, most: int) -> bytes:
    """Return the body of a request, of which no more than ``most`` bytes are read."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise HTTPException(413, f"the request has more than {most:,} bytes; send fewer rows at once")
    except ClientDisconnect as error:
        raise HTTPException(400, "the request ended early") from error
    return bytes(body)


def _error(message: str, status: int) -> JSONResponse:
    return JSONResponse({"error": message}, status)


async def _http_error(request: Request, error: Any) -> Response:  # noqa: ARG001
    return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)


async def _own_error(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer an error of this program without its text, which goes to the log."""
    return _error("internal error; the server's log has the cause", 500)


class ModelServer:
    """Listens on one address and serves a run; a context manager.

    Args:
        answers: of the run.
        limits: of a request.
        host: address to listen on.
        port: port to listen on; 0 for a free one.

    Raises:
        InputError: an address that cannot be listened on, or a port that is taken.
    """

    def __init__(self, answers: Answers, limits: Limits, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = listen(host, port)
        self.port = int(self._socket.getsockname()[1])
        self.loopback, self.url = is_loopback(self._socket), url(host, self.port)
        hosts = accepted_hosts(host, self.port) if self.loopback else ()
        self.application = application(answers, limits, hosts=hosts)

    def __enter__(self) -> "ModelServer":
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def serve(self) -> None:
        """Serve until the process is interrupted."""
        config = uvicorn.Config(
            self.application,
            log_level="warning",
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE,
            server_header=False,
            access_log=False,
            lifespan="off",
        )
        uvicorn.Server(config).run(sockets=[self._socket])
