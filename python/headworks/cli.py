"""The ``headworks`` command: what people type, and the exit codes they get.

0 fine, 1 failed while running, 2 wrong configuration or usage. Owns words and options only; every command is a few
calls of the package, imported when it runs so that ``headworks check`` stays quick. Colours on a terminal only.
"""

import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from headworks.config import Config, ConfigError, Problem

DEFAULT_FILES = (Path("headworks.toml"), Path("/etc/headworks/headworks.toml"))


class Code(IntEnum):
    """Exit codes."""

    FINE = 0
    FAILED = 1
    WRONG = 2


app = typer.Typer(
    name="headworks",
    help="A proxy and load balancer: configured and programmed in Python, moving bytes at native speed.",
    epilog="Try: headworks demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="Configuration in TOML.", show_default=False)]


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer calls it with the option's value)
    if wanted:
        import headworks

        typer.echo(f"headworks {headworks.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Route connections by name: listeners, tables, backends."""


@app.command(epilog="Example: headworks run /etc/headworks/headworks.toml")
def run(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="Default: ./headworks.toml, then /etc/headworks/headworks.toml.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run in the foreground.

    TERM or INT: let connections finish, up to proxy.drain, then exit; again: at once. HUP: reload the file.
    """
    from headworks.config import ConfigError
    from headworks.errors import BindError
    from headworks.service import run as serve

    found = _find(file)
    try:
        serve(found)
    except ConfigError as error:
        _wrong(error)
    except BindError as error:
        _fail(*map(str, error.failures))
    except OSError as error:
        if error.filename == str(found):
            _unreadable(found, error)
        _fail(str(error))


@app.command(epilog="Example: headworks check headworks.toml")
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Configurations in TOML.", show_default=False)],
) -> None:
    """Check configurations: `FILE: ok`, or every problem as `FILE:LINE: key.path: reason`.

    What is doubtful only, such as a certificate that expires soon, is shown as a warning; exit 0.
    """
    from headworks.certificates import Store
    from headworks.config import ConfigError
    from headworks.config.check import examine
    from headworks.config.document import Document

    code = Code.FINE
    for file in files:
        try:
            _, warnings = examine(Document.read(file), Store())
        except ConfigError as error:
            _show_problems(error.problems, to_stderr=False)
            code = Code.WRONG
        except OSError as error:
            typer.echo(f"{file}: cannot be read: {error.strerror}", err=True)
            code = Code.WRONG
        else:
            _show_problems(warnings, to_stderr=False)
            typer.echo(f"{file}: {typer.style('ok', fg='green')}")
    raise typer.Exit(code)


@app.command(epilog="Example: headworks show headworks.toml")
def show(file: File) -> None:
    """Show the normalised configuration as TOML, defaults included."""
    text = _load(file).to_toml()
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.syntax import Syntax

        Console().print(Syntax(text, "toml", background_color="default"))
    else:
        typer.echo(text, nl=False)


@app.command(epilog="Examples: headworks certs headworks.toml; headworks certs /etc/letsencrypt/live/example.com/")
def certs(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Configuration in TOML; or a PEM file or a directory of them.", show_default=False
        ),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the certificates of every listener and backend: names, issuer, expiry, chain.

    Exit 1 when one has expired or its chain is incomplete or broken, 2 when the configuration is wrong.
    """
    from headworks import listing
    from headworks.config import ConfigError

    try:
        listed = listing.of_place(file) if listing.is_place(file) else listing.of_config(file)
    except ConfigError as error:
        _wrong(error)
    except OSError as error:
        _unreadable(file, error)
    for reason in (*listed.problems, *listed.warnings):
        typer.echo(reason, err=True)
    if as_json:
        import json

        typer.echo(json.dumps([row.facts() for row in listed.rows], indent=2))
    elif listed.rows:
        from rich.console import Console

        # Lines are cut for people at a terminal only.
        Console(width=None if sys.stdout.isatty() else 1000).print(listing.table(listed))
    else:
        typer.echo("no certificates")
    raise typer.Exit(Code.WRONG if listed.problems else Code.FAILED if listed.is_bad else Code.FINE)


@app.command(epilog="Example: headworks explain headworks.toml --listener web --host www.example.com --path /api/users")
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which entry, backend and server would be chosen, and why the others were not. Starts nothing."""
    config = _load(file)
    given = {"--host": host, "--path": path, "--method": method, "--header": header or None}
    _check_options(config, listener, sni=sni, http=[option for option, value in given.items() if value is not None])
    if path is not None and not path.startswith(("/", "*")):
        _misused(f'--path begins with /, not "{path}"')
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
        )
    except ValueError as error:
        _misused(str(error))
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(explanation), indent=2))
    else:
        typer.echo(str(explanation))


@app.command(epilog="Example: headworks demo --once")
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Stop after the tour; exit 0 if all went well.")] = False,
) -> None:
    """Show Headworks at work: origins, a proxy and clients, all on free loopback ports."""
    from importlib import import_module

    raise typer.Exit(import_module("headworks.demo").main(once=once) or 0)


def main() -> None:
    """Run the command line."""
    app()


def _find(file: Path | None) -> Path:
    if file is not None:
        return file
    existing = next((candidate for candidate in DEFAULT_FILES if candidate.exists()), None)
    if existing is None:
        _misused(f"no configuration: there is neither {' nor '.join(map(str, DEFAULT_FILES))}; name a FILE")
    return existing


def _load(file: Path) -> "Config":
    """Load, or say what is wrong and exit."""
    from headworks.config import Config, ConfigError

    try:
        return Config.load(file)
    except ConfigError as error:
        _wrong(error)
    except OSError as error:
        _unreadable(file, error)


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        _misused(f"--header is 'NAME: VALUE', not \"{text}\"")
    return name.strip(), value.strip()


def _check_options(config: "Config", listener: str, *, sni: str | None, http: list[str]) -> None:
    """Refuse options that mean nothing for the listener's protocol: they would be ignored in silence."""
    from headworks.config.problems import closest

    if listener not in config.listeners:
        near = closest(listener, list(config.listeners))
        known = ", ".join(config.listeners)
        _misused(f'there is no listener "{listener}"; known: {known}' + (f'; did you mean "{near}"?' if near else ""))
    protocol = config.listeners[listener].protocol
    ends_tls = config.listeners[listener].tls is not None
    if http and protocol not in ("http", "https"):
        instead = "; use --sni" if protocol == "tls" and http[0] == "--host" else ""
        _misused(f'{http[0]} is for http listeners, and "{listener}" speaks {protocol}{instead}')
    if sni is not None and protocol != "tls" and not ends_tls:
        why = ": its clients give no name" if protocol == "tcp" else "; use --host"
        _misused(f'--sni is for tls listeners, and "{listener}" speaks {protocol}{why}')


def _show_problems(problems: "list[Problem]", *, to_stderr: bool) -> None:
    stream = sys.stderr if to_stderr else sys.stdout
    for problem in problems:
        typer.echo(str(problem), err=to_stderr)
        if stream.isatty() and (excerpt := problem.excerpt()):
            typer.secho(excerpt, dim=True, err=to_stderr)


def _wrong(error: "ConfigError") -> NoReturn:
    _show_problems(error.problems, to_stderr=True)
    raise typer.Exit(Code.WRONG)


def _unreadable(file: Path, error: OSError) -> NoReturn:
    typer.echo(f"{file}: cannot be read: {error.strerror}", err=True)
    raise typer.Exit(Code.WRONG)


def _misused(reason: str) -> NoReturn:
    typer.echo(f"headworks: {reason}", err=True)
    raise typer.Exit(Code.WRONG)


def _fail(*reasons: str) -> NoReturn:
    for reason in reasons:
        typer.echo(f"headworks: {reason}", err=True)
    raise typer.Exit(Code.FAILED)


if __name__ == "__main__":
    main()
