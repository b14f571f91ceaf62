"""``headworks sniproxy``: in place of sniproxy, with its own options."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

EXAMPLE = "Examples: headworks sniproxy -f; headworks sniproxy -c /etc/sniproxy.conf -n 100000"
USAGE = "Usage: headworks sniproxy [-c <config>] [-f] [-n <max file descriptor limit>] [-V]"
_LONGEST_NUMBER = 9


def sniproxy(
    *,
    config: Annotated[Path, typer.Option("-c", metavar="FILE", help="A sniproxy.conf.")] = Path("/etc/sniproxy.conf"),
    foreground: Annotated[bool, typer.Option("-f", help="Stay in the foreground.")] = False,
    files: Annotated[str | None, typer.Option("-n", metavar="N", help="Descriptors that it may have.")] = None,
    version: Annotated[bool, typer.Option("-V", help="Show the version and exit.")] = False,
) -> None:
    """Serve a sniproxy.conf in place of sniproxy: in the background, unless told otherwise.

    HUP: reload and reopen logs. USR1: write the open connections to /tmp/sniproxy-connections-XXXXXX. INT, TERM: close
    everything and exit 0. Exit code 1: the options or the file are wrong, or it cannot serve.
    """
    words = ["-c", str(config), *(["-f"] if foreground else []), *(["-n", files] if files else [])]
    main([*(["-V"] if version else []), *words])


def main(words: list[str]) -> NoReturn:
    """Do what the words say, as getopt reads them, and exit."""
    import getopt

    try:
        options, _ = getopt.gnu_getopt(words, "fc:n:V")
    except getopt.GetoptError as error:
        misused(f"headworks sniproxy: {error.msg}")
    given = dict(options)
    if "-V" in given:
        import headworks

        typer.echo(f"sniproxy 0.7.0 (headworks {headworks.__version__})")
        sys.exit(0)
    sys.exit(_serve(given))


def misused(reason: str) -> NoReturn:
    """Say what is wrong, and how it is used."""
    typer.echo(reason, err=True)
    typer.echo(USAGE, err=True)
    sys.exit(1)


def _serve(given: dict[str, str]) -> int:
    from headworks.in_place import DEFAULT_FILE, LoadError, Options, reasons, serve

    number = given.get("-n")
    if number is not None and (not number.isascii() or not number.isdigit() or len(number) > _LONGEST_NUMBER):
        misused(f'headworks sniproxy: "{number}" is no number of descriptors')
    file = Path(given.get("-c", DEFAULT_FILE))
    options = Options(file=file, foreground="-f" in given, files=None if number is None else int(number))
    try:
        serve(options)
    except LoadError as error:
        typer.echo(str(error), err=True)
        misused(f"Unable to load {file}")
    except (OSError, ValueError) as error:
        for reason in reasons(error):
            typer.echo(f"headworks: {reason}", err=True)
        return 1
    return 0
