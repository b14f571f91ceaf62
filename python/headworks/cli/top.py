"""``headworks top``: a running proxy, as it is now, once a second."""

import sys
from typing import Annotated

import typer

from headworks.cli.asking import Socket, asking, length, print_json, print_table, table
from headworks.cli.shared import AsJson, misused

EXAMPLE = "Example: headworks top --sort requests"


def top(
    *,
    sort: Annotated[
        str, typer.Option(metavar="BY", help="name, active, connections, requests, failed or latency.")
    ] = "name",
    wanted: Annotated[str, typer.Option("--filter", metavar="TEXT", help="Servers with this in their names.")] = "",
    interval: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="Between looks.")] = 1.0,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Show servers with rates, once a second. q quits, s sorts, / filters. In a pipe it prints once."""
    import time

    from headworks.admin.screen import HEAD, SORTS, View, live

    if sort not in SORTS:
        misused(f'there is no order "{sort}"; known: {", ".join(SORTS)}')
    view = View(sort=sort, wanted=wanted)
    with asking(socket) as client:
        if sys.stdout.isatty() and sys.stdin.isatty() and not as_json:
            live(client, view, interval, lay=table, length=length)
            return
        # Rates need two looks.
        view.rows(client.ask("GET", "/servers"), time.monotonic())
        time.sleep(min(interval, 1.0))
        rows = view.rows(client.ask("GET", "/servers"), time.monotonic())
    if as_json:
        print_json([dict(zip(HEAD, row, strict=True)) for row in rows])
    else:
        print_table(HEAD, rows, "no servers")
