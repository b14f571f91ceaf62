"""``headworks certs``: what is presented, or what is in a file or directory."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.shared import AsJson, Code, unreadable, wrong

EXAMPLE = "Examples: headworks certs headworks.toml; headworks certs /etc/letsencrypt/live/example.com/"


def certs(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Configuration in TOML; or a PEM file or a directory of them.", show_default=False
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """List the certificates of every listener and backend: names, issuer, expiry, chain.

    Exit 1 when one has expired or its chain is incomplete or broken, 2 when the configuration is wrong.
    """
    from headworks import listing
    from headworks.config import ConfigError

    try:
        listed = listing.of_place(file) if listing.is_place(file) else listing.of_config(file)
    except ConfigError as error:
        wrong(error)
    except OSError as error:
        unreadable(file, error)
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
