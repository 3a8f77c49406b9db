"""``tailwise serve-model``: a REST server of one finished run."""

from typing import Annotated

import typer

from tailwise.cli import options

_MOST_PORT, _MEGABYTE = 65_535, 1_000_000


def serve_model(
    run: options.Run,
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Address to listen on; with any other than 127.0.0.1, other machines can ask the model."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", help="Port to listen on; 0 for a free one.")] = 8322,
    max_rows: Annotated[int, typer.Option("--max-rows", help="Most rows of a request.")] = 10_000,
    max_size: Annotated[float, typer.Option("--max-size", metavar="MB", help="Largest request, in megabytes.")] = 10.0,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Most seconds to receive a request and answer it.")
    ] = 30.0,
) -> None:
    """Serve the predictions of a run to other programs: POST /predict, GET /schema, GET /health.

    A request has rows in JSON, and may ask for quantiles, intervals, a balance or costs; the answer has an object for
    each row. There is no password: leave the address as it is, or put a server with one before it. Ctrl-C stops it.

    Example:  tailwise serve-model runs/demo
    curl localhost:8322/predict -d '{"rows": [{"size": 70, "city": "Oslo"}], "interval": 0.9}'
    """
    from tailwise._checks import InputError, positive, whole
    from tailwise.cli.show import notes
    from tailwise.deploy.answers import Answers
    from tailwise.deploy.server import Limits, ModelServer

    whole(port, "--port", least=0, most=_MOST_PORT)
    whole(max_rows, "--max-rows", least=1)
    limits = Limits(int(positive(max_size, "--max-size") * _MEGABYTE), positive(timeout, "--timeout"))
    if not host.strip():
        raise InputError("--host must name an address, such as 127.0.0.1, got nothing")
    answers = Answers.of_run(run, most_rows=max_rows)
    with ModelServer(answers, limits, host=host.strip(), port=port) as server:
        if not server.loopback:
            notes([f"anyone who reaches this machine on port {server.port} can ask this model"])
        typer.echo(f"{run} at {server.url} (Ctrl-C stops)")
        try:
            server.serve()
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
