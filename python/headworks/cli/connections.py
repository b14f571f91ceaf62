"""``headworks connections``: who is connected, and to what."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headworks.cli.asking import Socket, asking, print_json, print_table
from headworks.cli.shared import AsJson

if TYPE_CHECKING:
    from headworks.admin.client import Client

EXAMPLE = "Example: headworks connections --backend app"

HEAD = ("listener", "client", "name", "request", "backend", "server", "state", "in", "out", "age s", "idle s")
_MOST = 10_000


def connections(  # noqa: PLR0913  (one parameter an option)
    *,
    listener: Annotated[str | None, typer.Option(metavar="NAME", help="Of this listener.")] = None,
    client: Annotated[str | None, typer.Option(metavar="IP", help="Of this client, or of a network.")] = None,
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="That asked for this name; *.example.com: any below.")
    ] = None,
    backend: Annotated[str | None, typer.Option(metavar="NAME", help="To this backend.")] = None,
    server: Annotated[str | None, typer.Option(metavar="ADDRESS", help="To this server.")] = None,
    idle_over: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="That have moved nothing for so long.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=_MOST, help="At most so many.")] = 100,
    kill: Annotated[bool, typer.Option("--kill", help="Close those that are listed, at once.")] = False,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """List live connections, those that have moved nothing for longest last."""
    wanted = {
        "listener": listener,
        "client": client,
        "host": host,
        "backend": backend,
        "server": server,
        "idle_over": idle_over,
    }
    with asking(socket) as asked:
        found = asked.ask("GET", "/connections", limit=limit, **wanted)["connections"]
        for one in found if kill else ():
            _close(asked, one)
    found = sorted(found, key=lambda one: int(one["idle_ms"]))
    if as_json:
        print_json(found)
    else:
        print_table(HEAD, map(_row, found), "no connections")


def _close(asked: "Client", one: dict[str, Any]) -> None:
    """Close a connection, unless it has ended by itself."""
    from headworks.admin.client import RefusedError

    try:
        asked.ask("DELETE", f"/connections/{one.get('id')}")
    except RefusedError as error:
        if error.problem.get("code") != "no_such_connection":
            raise


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    request = f"{one['method']} {one['path']}" if one["method"] else None
    return (
        one["listener"],
        one["client"],
        one["host"] or one["sni"],
        request,
        one["backend"],
        one["server"],
        one["state"],
        one["bytes_in"],
        one["bytes_out"],
        one["age_ms"] // 1000,
        one["idle_ms"] // 1000,
    )
