"""``headworks init``: a first configuration, with words beside each line."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.shared import misused

EXAMPLE = "Example: headworks init --name example.com --to 127.0.0.1:3000"


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where it is written; - is stdout.")] = Path(
        "headworks.toml"
    ),
    *,
    name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name that clients ask for; may be repeated.")
    ] = None,
    to: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="A server that answers; may be repeated.")
    ] = None,
    tls: Annotated[bool | None, typer.Option("--tls/--no-tls", help="Speak HTTPS to clients.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented first configuration. At a terminal it asks for what no option says."""
    to_stdout = str(file) == "-"
    if file.exists() and not to_stdout and not force:
        misused(f"{file} is there already; --force writes over it")
    asks = sys.stdin.isatty() and sys.stderr.isatty()
    if name is None:
        name = (
            typer.prompt("Names that clients ask for", default="localhost", err=True).split() if asks else ["localhost"]
        )
    if to is None:
        question = "Addresses of the servers that answer"
        to = typer.prompt(question, default="127.0.0.1:3000", err=True).split() if asks else ["127.0.0.1:3000"]
    if tls is None:
        tls = typer.confirm("Speak HTTPS to clients?", default=False, err=True) if asks else False
    text = written(name, to, tls=tls)
    _check(text)
    if to_stdout:
        typer.echo(text, nl=False)
        return
    try:
        file.write_text(text)
    except OSError as error:
        misused(f"{file} cannot be written: {error.strerror}")
    typer.echo(f"{file}: written. Now: headworks check {file}; headworks run {file}")


def written(names: list[str], servers: list[str], *, tls: bool) -> str:
    """Return the text of the configuration."""
    listener = _TLS if tls else _PLAIN
    entries = "".join(f'{_quoted(name)} = "app"\n' for name in names)
    listed = ", ".join(map(_quoted, servers))
    port = 8443 if tls else 8080
    return _WHOLE.format(listener=listener.format(port=port), entries=entries, servers=listed)


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def _check(text: str) -> None:
    """Say what is wrong with what was given, instead of writing it."""
    from headworks.config import Config, ConfigError
    from headworks.config.document import Document

    try:
        Config.parse(Document.parse(text).value)
    except ConfigError as error:
        misused("; ".join(f"{one.key}: {one.reason}" for one in error.problems))


_PLAIN = """\
# Where clients come in.
[listeners.web]
bind = ":{port}"                  # every address; "127.0.0.1:{port}" is this machine alone
protocol = "http"               # "tcp" and "tls" pass connections on unread
table = "sites"
"""

_TLS = """\
# Where clients come in.
[listeners.web]
bind = ":{port}"                  # every address; "127.0.0.1:{port}" is this machine alone
protocol = "https"
table = "sites"
[listeners.web.tls]
self_signed = true              # to begin with; then: certificates = ["/etc/headworks/certificates/"]
"""

_WHOLE = """\
# Headworks: `headworks check` says what is wrong with this file, `headworks run` serves it, HUP reads it again.

{listener}
# What they ask for, and which backend gets it. Order does not matter: the most exact entry wins.
[tables.sites]
{entries}# "*.example.com" = "app"       # any name below it
# "example.com/api" = "api"     # a path, on whole segments
# "*" = "app"                   # anything else; without it: 421

# Who answers.
[backends.app]
servers = [{servers}]
# balance = "least_connections" # default: round_robin
# health = {{ kind = "http", path = "/health" }}

# Where operators come by: headworks status, top, server ... (pip install 'headworks[admin]').
# [admin]
"""
