"""``headworks proxy``: a proxy without a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headworks.cli.shared import misused

if TYPE_CHECKING:
    from headworks.config import Problem

EXAMPLE = "Example: headworks proxy --listen :8080 --to 127.0.0.1:3000"

_OPTIONS = {"listeners.web.bind": "--listen", "backends.app.servers": "--to"}
"""Keys that options stand for."""


def proxy(
    *,
    to: Annotated[list[str], typer.Option(metavar="ADDRESS", help="Where requests go; several are taken in turn.")],
    listen: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="Where it listens; default: :8080.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Speak HTTPS, with a throwaway certificate.")] = False,
    tcp: Annotated[bool, typer.Option("--tcp", help="Pass connections on as they are, whatever they speak.")] = False,
) -> None:
    """Run a proxy without a file, until TERM or INT. `headworks init` writes a file to go on with."""
    if tls and tcp:
        misused("--tls and --tcp exclude each other")
    from headworks.cli.run import exit_with
    from headworks.config import Config, ConfigError
    from headworks.proxy import Proxy
    from headworks.service import run

    try:
        config = Config.parse(configured(listen or [":8080"], to, tls=tls, tcp=tcp))
    except ConfigError as error:
        misused("; ".join(map(_said, error.problems)))
    try:
        run(Path(), lambda _: Proxy(config))
    except (OSError, ValueError) as error:
        raise typer.Exit(exit_with(Path(), error)) from None


def configured(listen: list[str], to: list[str], *, tls: bool, tcp: bool) -> dict[str, Any]:
    """Return the configuration that the options stand for."""
    from headworks.config.protocols import HTTPS, those

    unread = those(lambda one: not one.names and not one.requests and one.tls != "must")
    plain = those(lambda one: one.requests and one.tls == "never")
    protocol = (unread if tcp else HTTPS if tls else plain)[0]
    listener: dict[str, Any] = {"bind": listen, "protocol": protocol, "backend": "app"}
    if tls:
        listener["tls"] = {"self_signed": ["localhost", "127.0.0.1"]}
    return {"listeners": {"web": listener}, "backends": {"app": {"servers": to}}}


def _said(problem: "Problem") -> str:
    key = next((option for key, option in _OPTIONS.items() if problem.key.startswith(key)), problem.key)
    return f"{key}: {problem.reason}" + (f"; {problem.suggestion}" if problem.suggestion else "")
