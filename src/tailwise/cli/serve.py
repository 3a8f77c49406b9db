"""``tailwise serve``: a local page over a folder of runs."""

from pathlib import Path
from typing import Annotated

import typer

_MOST_PORT = 65_535


def serve(
    runs: Annotated[Path, typer.Argument(metavar="RUNS", help="Folder with runs, at any depth.")] = Path("runs"),
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Address to listen on; with any other than 127.0.0.1, other machines can read the runs."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", help="Port to listen on; 0 for a free one.")] = 8321,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Show a folder of runs in the browser: list, sort, compare, follow a training, save charts. Read-only.

    Ctrl-C stops the server.

    Example:  tailwise serve runs --open
    """
    from tailwise._checks import InputError, whole
    from tailwise.cli.show import notes
    from tailwise.serve.server import RunServer

    whole(port, "--port", least=0, most=_MOST_PORT)
    if not host.strip():
        raise InputError("--host must name an address, such as 127.0.0.1, got nothing")
    with RunServer(runs, host.strip(), port) as server:
        if not server.loopback:
            notes([f"anyone who reaches this machine on port {server.server_port} can read these runs"])
        typer.echo(f"{runs} at {server.url} (Ctrl-C stops)")
        if open_page:
            import webbrowser
            from threading import Thread

            # A text browser blocks the call until it is closed.
            Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
