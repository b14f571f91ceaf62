"""``headworks servers``, ``server``, ``add-server``, ``remove-server``: which servers there are, and changing them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headworks.cli.asking import Socket, asking, print_json, print_table
from headworks.cli.shared import AsJson, fail, misused

if TYPE_CHECKING:
    from headworks.admin.client import Client

EXAMPLE = "Example: headworks servers app"
SERVER_EXAMPLE = "Example: headworks server app 127.0.0.1:8001 --drain --wait"
ADD_EXAMPLE = "Example: headworks add-server app 127.0.0.1:8003 --weight 2"
REMOVE_EXAMPLE = "Example: headworks remove-server app 127.0.0.1:8003"

HEAD = ("backend", "server", "state", "configured", "override", "weight", "active", "connections", "failed", "p99 ms")

Backend = Annotated[str, typer.Argument(metavar="BACKEND", help="Name of the backend.", show_default=False)]
Address = Annotated[str, typer.Argument(metavar="SERVER", help="Address of the server.", show_default=False)]
_GLANCE = 0.1
"""Seconds between looks whether what is waited for is there."""


def servers(
    backend: Annotated[
        str | None, typer.Argument(metavar="[BACKEND]", help="Those of one backend.", show_default=False)
    ] = None,
    *,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """List servers: what is configured, what somebody changed and when, and what is observed."""
    with asking(socket) as client:
        rows = client.ask("GET", "/servers", backend=backend)
    if as_json:
        print_json(rows)
    else:
        print_table(HEAD, map(row, rows), "no servers")


def server(  # noqa: PLR0913  (one parameter an option)
    backend: Backend,
    server: Address,
    *,
    ready: Annotated[bool, typer.Option("--ready", help="Back into service.")] = False,
    drain: Annotated[bool, typer.Option("--drain", help="No new connections.")] = False,
    maintenance: Annotated[bool, typer.Option("--maintenance", help="Out of service.")] = False,
    weight: Annotated[
        str | None, typer.Option(metavar="N", help='0 to 256, or "configured".', show_default=False)
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when it has no connection left; with --ready, when it is up.")
    ] = False,
    within: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Wait no longer: exit 1 then.", show_default=False)
    ] = None,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Show one server; take it out of service or back; set its weight."""
    wanted = [name for name, is_it in (("ready", ready), ("drain", drain), ("maintenance", maintenance)) if is_it]
    if len(wanted) > 1:
        misused(f"--{wanted[0]} and --{wanted[1]} exclude each other")
    if wait and not wanted:
        misused("--wait is for --ready, --drain and --maintenance")
    from headworks.admin.client import part

    change: dict[str, Any] = {"admin": wanted[0]} if wanted else {}
    if weight is not None:
        change["weight"] = _weight(weight)
    path = f"/backends/{part(backend)}/servers/{part(server)}"
    with asking(socket) as client:
        found = client.ask("PATCH", path, change) if change else client.ask("GET", path)
        if wait:
            found = _waited(client, path, found, within, is_ready=ready)
    if as_json:
        print_json(found)
    else:
        print_table(HEAD, [row(found)], "")


def add_server(  # noqa: PLR0913  (one parameter an option)
    backend: Backend,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="IP:PORT or unix:PATH.", show_default=False)],
    *,
    weight: Annotated[int, typer.Option(metavar="N", min=0, max=256, help="Its weight.")] = 1,
    backup: Annotated[bool, typer.Option("--backup", help="Used when no other is up.")] = False,
    max_connections: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Connections to it at most.", show_default=False)
    ] = None,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Add a server to a backend, until it is removed or the configuration has other servers there."""
    from headworks.admin.client import part

    body = {"address": address, "weight": weight, "backup": backup, "max_connections": max_connections}
    with asking(socket) as client:
        found = client.ask("POST", f"/backends/{part(backend)}/servers", body)
    if as_json:
        print_json(found)
    else:
        print_table(HEAD, [row(found)], "")


def remove_server(backend: Backend, server: Address, *, socket: Socket = None, as_json: AsJson = False) -> None:
    """Remove a server from a backend; its connections go on."""
    from headworks.admin.client import part

    with asking(socket) as client:
        client.ask("DELETE", f"/backends/{part(backend)}/servers/{part(server)}")
    if as_json:
        print_json({"removed": server})
    else:
        typer.echo(f"removed {server} from {backend}")


def row(one: dict[str, Any]) -> tuple[Any, ...]:
    """Lay out one server as HEAD has it."""
    configured, override, observed = one["configured"], one["override"], one["observed"]
    return (
        one["backend"],
        one["server"],
        one["state"],
        "-" if configured is None else f"weight {configured['weight']}" + (", backup" if configured["backup"] else ""),
        _override(override),
        observed["weight"],
        observed["active"],
        observed["connections"],
        observed["failed"],
        observed["latency_p99_ms"],
    )


def _override(one: dict[str, Any] | None) -> str:
    if one is None:
        return "-"
    from datetime import UTC, datetime

    parts = ["added"] if one["added"] is not None else []
    parts += [one["admin"]] if one["admin"] is not None else []
    parts += [f"weight {one['weight']}"] if one["weight"] is not None else []
    since = datetime.fromtimestamp(one["since"], UTC).strftime("%Y-%m-%d %H:%MZ")
    return f"{', '.join(parts)} ({one['by']}, {since})"


def _weight(text: str) -> int | None:
    if text == "configured":
        return None
    if not (text.isascii() and text.isdigit()):
        misused(f'--weight is a number from 0 to 256, or "configured", not "{text}"')
    return int(text)


def _waited(client: "Client", path: str, found: Any, within: float | None, *, is_ready: bool) -> Any:
    """Wait until a server has no connection left, or is up."""
    import time

    end = None if within is None else time.monotonic() + within
    while found["state"] != "up" if is_ready else found["observed"]["active"]:
        if end is not None and time.monotonic() >= end:
            left = found["state"] if is_ready else f"{found['observed']['active']} connections left"
            fail(f"{found['server']}: {left}")
        time.sleep(_GLANCE)
        found = client.ask("GET", path)
    return found
