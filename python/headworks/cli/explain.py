"""``headworks explain``: a decision without making it."""

from typing import TYPE_CHECKING, Annotated

import typer

from headworks.cli.shared import AsJson, File, load, misused

if TYPE_CHECKING:
    from headworks.config import Config

EXAMPLE = "Example: headworks explain headworks.toml --listener web --host www.example.com --path /api/users"


def explain(  # noqa: PLR0913  (one parameter an option)
    file: File,
    *,
    listener: Annotated[str, typer.Option(metavar="NAME", help="The listener that a client connects to.")],
    sni: Annotated[str | None, typer.Option(metavar="NAME", help="Name in the ClientHello (tls, https).")] = None,
    host: Annotated[str | None, typer.Option(metavar="NAME", help="Host of the request (http, https).")] = None,
    path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Path of the request (http, https); default: /.")
    ] = None,
    method: Annotated[str | None, typer.Option(metavar="NAME", help="Method of the request (http, https).")] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: VALUE'", help="Field of the request (http, https); may be repeated."),
    ] = None,
    client: Annotated[str | None, typer.Option(metavar="IP", help="The client's address.")] = None,
    resolve: Annotated[
        bool, typer.Option("--resolve", help="Ask nameservers where the servers' names lead now.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which entry, backend and server would be chosen, and why the others were not. Starts nothing."""
    config = load(file)
    given = {"--host": host, "--path": path, "--method": method, "--header": header or None}
    _check_options(config, listener, sni=sni, http=[option for option, value in given.items() if value is not None])
    if path is not None and not path.startswith(("/", "*")):
        misused(f'--path begins with /, not "{path}"')
    from headworks.explanation import explain as decide

    try:
        explanation = decide(
            config,
            listener=listener,
            sni=sni,
            host=host,
            path=path,
            method=method,
            headers=[_field(text) for text in header or ()],
            client=client,
            resolve=resolve,
        )
    except ValueError as error:
        misused(str(error))
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(explanation), indent=2))
    else:
        typer.echo(str(explanation))


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        misused(f"--header is 'NAME: VALUE', not \"{text}\"")
    return name.strip(), value.strip()


def _check_options(config: "Config", listener: str, *, sni: str | None, http: list[str]) -> None:
    """Refuse options that mean nothing for the listener's protocol: they would be ignored in silence."""
    from headworks.config.problems import closest
    from headworks.config.protocols import PROTOCOLS

    if listener not in config.listeners:
        near = closest(listener, list(config.listeners))
        known = ", ".join(config.listeners)
        misused(f'there is no listener "{listener}"; known: {known}' + (f'; did you mean "{near}"?' if near else ""))
    protocol = PROTOCOLS[config.listeners[listener].protocol]
    sees_hello = protocol.passes_tls or config.listeners[listener].tls is not None
    if http and not protocol.requests:
        instead = "; use --sni" if protocol.passes_tls and http[0] == "--host" else ""
        misused(f'{http[0]} is for http listeners, and "{listener}" speaks {protocol.name}{instead}')
    if sni is not None and not sees_hello:
        why = "; use --host" if protocol.requests else ": its clients give no name"
        misused(f'--sni is for tls listeners, and "{listener}" speaks {protocol.name}{why}')
