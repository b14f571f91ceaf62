"""``headworks run``: serve in the foreground until a signal says stop."""

from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.shared import fail, find, unreadable, wrong

EXAMPLE = "Example: headworks run /etc/headworks/headworks.toml"


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

    TERM, INT or QUIT: let connections finish, up to proxy.drain, then exit; again: at once. HUP: reload the file.
    USR1: reopen the access log.
    """
    from headworks.service import run as serve

    found = find(file)
    try:
        serve(found)
    except (OSError, ValueError) as error:
        raise typer.Exit(exit_with(found, error)) from None


def exit_with(file: Path, error: Exception) -> int:
    """Say why it does not run, and return the exit code. Raises what is no error of ours."""
    from headworks.config import ConfigError
    from headworks.errors import BindError

    try:
        match error:
            case ConfigError():
                wrong(error)
            case BindError():
                fail(*map(str, error.failures))
            case OSError() if error.filename == str(file):
                unreadable(file, error)
            case OSError():
                fail(str(error))
            case _:
                raise error
    except typer.Exit as ended:
        return ended.exit_code
