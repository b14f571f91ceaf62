"""``headworks status``: a running proxy on one screen."""

from typing import Any

import typer

from headworks.cli.asking import Socket, asking, length, print_json, print_table
from headworks.cli.shared import AsJson

EXAMPLE = "Example: headworks status"


def status(*, socket: Socket = None, as_json: AsJson = False) -> None:
    """Show a running proxy on one screen."""
    with asking(socket) as client:
        told = client.ask("GET", "/status")
        if as_json:
            print_json(told)
            return
        listeners, backends = client.ask("GET", "/listeners"), client.ask("GET", "/backends")
    _show(told)
    head = ("listener", "protocol", "address", "active", "connections", "requests", "failed")
    rows = [
        (one["name"], one["protocol"], " ".join(one["stats"]["addresses"]), *_counted(one["stats"]))
        for one in listeners
    ]
    print_table(head, rows, "no listener")
    typer.echo()
    head = ("backend", "servers", "active", "connections", "requests", "failed", "p99 ms")
    rows = [
        (one["name"], _states(one["servers"]), *_counted(one["stats"]), one["stats"]["latency_p99_ms"])
        for one in backends
    ]
    print_table(head, rows, "no backend")
    for warning in told["warnings"]:
        typer.echo(f"doubtful: {warning}")


def _show(told: dict[str, Any]) -> None:
    parts = [f"headworks {told['version']}", f"pid {told['pid']}", f"up {length(told['uptime'])}"]
    parts += [told["file"]] if told["file"] else []
    parts += ["draining"] if told["is_draining"] else []
    typer.echo(", ".join(parts))
    parts = [f"{told['connections']:,} connections", f"{told['workers']} workers", f"{told['overrides']} overrides"]
    parts += [f"{told['reloads']['good']} reloads"]
    parts += [f"{told['records_dropped']:,} records dropped"] if told["records_dropped"] else []
    typer.echo(", ".join(parts))
    if told["reloads"]["reason"]:
        typer.echo(f"the last reload failed: {told['reloads']['reason']}")
    if told["certificate_expires"] is not None:
        import time

        typer.echo(f"the first certificate ends in {length(max(0.0, told['certificate_expires'] - time.time()))}")
    typer.echo()


def _counted(stats: dict[str, Any]) -> tuple[int, ...]:
    return tuple(stats[name] for name in ("active", "connections", "requests", "failed"))


def _states(servers: list[dict[str, Any]]) -> str:
    states = [one["state"] for one in servers]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "none"
