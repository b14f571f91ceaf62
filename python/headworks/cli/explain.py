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
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="Host of the request (http, https, http_host).")
    ] = None,
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
    alpn: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Protocol that the ClientHello offers, such as h2 (tls); may be repeated."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Kind of the first bytes (first_bytes): tls, ssh, a prefix, silent."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which entry, backend and server would be chosen, and why the others were not. Starts nothing."""
    config = load(file)
    _check_options(
        config,
        listener,
        kinds=_given({"--kind": kind}),
        hosts=_given({"--host": host}),
        requests=_given({"--path": path, "--method": method, "--header": header or None}),
        hellos=_given({"--sni": sni, "--alpn": alpn or None}),
    )
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
            alpn=alpn or (),
            kind=kind,
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


def _given(options: dict[str, object]) -> list[str]:
    return [option for option, value in options.items() if value is not None]


def _check_options(config: "Config", listener: str, **options: list[str]) -> None:
    """Refuse options that mean nothing for the listener's protocol: they would be ignored in silence."""
    from headworks.config.problems import closest
    from headworks.config.protocols import PROTOCOLS

    if listener not in config.listeners:
        near = closest(listener, list(config.listeners))
        known = ", ".join(config.listeners)
        misused(f'there is no listener "{listener}"; known: {known}' + (f'; did you mean "{near}"?' if near else ""))
    protocol = PROTOCOLS[config.listeners[listener].protocol]
    speaks = f'and "{listener}" speaks {protocol.name}'
    if options["kinds"] and not protocol.kinds:
        misused(f"--kind is for listeners that tell kinds apart, {speaks}")
    if options["hosts"] and not protocol.sees_host:
        misused(f"--host is for http listeners, {speaks}" + ("; use --sni" if protocol.passes_tls else ""))
    for option in options["requests"] if not protocol.requests else ():
        misused(f"{option} is for http listeners, {speaks}")
    sees_hello = protocol.sees_hello or config.listeners[listener].tls is not None
    for option in options["hellos"] if not sees_hello else ():
        why = "; use --host" if protocol.sees_host else ": its clients give no name"
        misused(f"{option} is for tls listeners, {speaks}{why}")
