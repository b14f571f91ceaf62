"""``headworks demo``: Headworks at work."""

from typing import Annotated

import typer

EXAMPLE = "Example: headworks demo --once"


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Stop after the tour; exit 0 if all went well.")] = False,
) -> None:
    """Show Headworks at work: origins, a proxy and clients, all on free loopback ports."""
    from importlib import import_module

    raise typer.Exit(import_module("headworks.demo").main(once=once) or 0)
