"""``headworks events``: rare events of a running proxy, the last ones and those to come."""

import sys
from typing import Annotated, Any

import typer

from headworks.cli.asking import Socket, asking, print_json, shown
from headworks.cli.shared import AsJson

EXAMPLE = "Example: headworks events --follow"


def events(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with those to come.")] = False,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Print the last events: servers up and down, certificates, changes by operators.

    With --follow, JSON is a line each.
    """
    with asking(socket) as client:
        last = client.ask("GET", "/notices")
        if as_json and not follow:
            print_json(last)
            return
        number = 0
        for one in last:
            number = one["number"]
            _print(one, as_json=as_json)
        if not follow:
            return
        for kind, one in client.events():
            if kind == "notice" and one["number"] > number:
                _print(one, as_json=as_json)


def _print(one: dict[str, Any], *, as_json: bool) -> None:
    import json
    from datetime import UTC, datetime

    if as_json:
        typer.echo(json.dumps(one, ensure_ascii=False))
    else:
        at = datetime.fromtimestamp(one["at"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        facts = " ".join(f"{key}={_fact(value)}" for key, value in one["facts"].items())
        colour = {"error": typer.colors.RED, "warning": typer.colors.YELLOW}.get(one["level"])
        typer.echo(f"{at} {typer.style(one['level'], fg=colour)} {one['kind']} {facts}".rstrip())
    sys.stdout.flush()


def _fact(value: Any) -> str:
    import json

    text = value if isinstance(value, str) else json.dumps(value)
    return shown(text) if text and not set(text) & set(' "=\\') else json.dumps(text, ensure_ascii=True)
