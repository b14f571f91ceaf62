"""``headworks metrics``: the same text as /metrics of a running proxy."""

from typing import Annotated

import typer

from headworks.cli.asking import Socket, asking

EXAMPLE = "Example: headworks metrics --scope server"


def metrics(
    *,
    scope: Annotated[
        list[str] | None, typer.Option(metavar="PART", help="process, listener, backend, server; may be repeated.")
    ] = None,
    socket: Socket = None,
) -> None:
    """Print every counter as text for scrapers."""
    with asking(socket) as client:
        typer.echo(client.text("/metrics", scope=",".join(scope) if scope else None), nl=False)
