"""``headworks reload``, ``stop``, ``log-level``: what signals do, with an answer."""

from typing import Annotated, Any, Literal

import typer

from headworks.cli.asking import Socket, asking, print_json, shown
from headworks.cli.shared import AsJson, Code

RELOAD_EXAMPLE = "Example: headworks reload --dry-run"
STOP_EXAMPLE = "Example: headworks stop --wait"
LEVEL_EXAMPLE = "Example: headworks log-level debug"

_GLANCE = 0.1


def reload(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and what is wrong; change nothing.")
    ] = False,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Have a running proxy read its file again, and say whether that went well. Exit 2 when the file is wrong."""
    with asking(socket) as client:
        if dry_run:
            _show_trial(client.ask("POST", "/config", {}, dry_run="true"), as_json=as_json)
            return
        told = client.ask("POST", "/reload")
    if as_json:
        print_json(told)
        return
    typer.echo("reloaded")
    for key in told["needs_restart"]:
        typer.echo(f"needs a restart to change: {key}")


def stop(
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended.")] = False,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Have a running proxy let connections finish, up to proxy.drain, and end."""
    import time

    from headworks.admin.client import UnreachableError

    with asking(socket) as client:
        told = client.ask("POST", "/stop")
        if wait:
            try:
                while True:
                    client.ask("GET", "/status")
                    time.sleep(_GLANCE)
            except UnreachableError:
                told = {"done": "stopped"}
    if as_json:
        print_json(told)
    else:
        typer.echo(told["done"])


def log_level(
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Argument(metavar="LEVEL", help="debug, info, warning or error.", show_default=False),
    ],
    *,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Set the level of a running proxy's log, until its next reload."""
    with asking(socket) as client:
        told = client.ask("POST", "/log_level", {"level": level})
    if as_json:
        print_json(told)
    else:
        typer.echo(f"log level: {told['level']}")


def _show_trial(trial: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(trial)
    else:
        for problem in trial["problems"]:
            typer.echo(_problem(problem), err=True)
        for warning in trial["warnings"]:
            typer.echo(f"warning: {_problem(warning)}", err=True)
        for sign, colour, names in (("+", "green", trial["added"]), ("-", "red", trial["removed"])):
            for name in names:
                typer.secho(f"{sign} {name}", fg=colour)
        for change in trial["changed"]:
            typer.echo(f"~ {change['key']}: {_value(change['before'])} -> {_value(change['after'])}")
        for key in trial["needs_restart"]:
            typer.echo(f"needs a restart to change: {key}")
        if trial["is_good"] and not any(trial[name] for name in ("added", "removed", "changed")):
            typer.echo("nothing would change")
    raise typer.Exit(Code.FINE if trial["is_good"] else Code.WRONG)


def _problem(one: dict[str, Any]) -> str:
    where = f"line {one['line']}: " if one["line"] else ""
    key = f"{one['key']}: " if one["key"] else ""
    remedy = f"; {one['suggestion']}" if one["suggestion"] else ""
    return f"{where}{key}{one['reason']}{remedy}"


def _value(value: Any) -> str:
    import json

    return "not set" if value is None else shown(json.dumps(value, ensure_ascii=False))
