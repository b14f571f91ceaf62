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
    from headworks.config import ConfigError
    from headworks.errors import BindError
    from headworks.service import run as serve

    found = find(file)
    try:
        serve(found)
    except ConfigError as error:
        wrong(error)
    except BindError as error:
        fail(*map(str, error.failures))
    except OSError as error:
        if error.filename == str(found):
            unreadable(found, error)
        fail(str(error))
