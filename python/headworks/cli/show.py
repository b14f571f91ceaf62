"""``headworks show``: a configuration as it is understood, defaults included."""

import sys

import typer

from headworks.cli.shared import File, load

EXAMPLE = "Example: headworks show headworks.toml"


def show(file: File) -> None:
    """Show the normalised configuration as TOML, defaults included."""
    text = load(file).to_toml()
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.syntax import Syntax

        Console().print(Syntax(text, "toml", background_color="default"))
    else:
        typer.echo(text, nl=False)
