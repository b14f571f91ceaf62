"""Asking: what commands share that talk to a running proxy: its socket, refusals in words, tables. Knows no command."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headworks.cli.shared import Code, fail

if TYPE_CHECKING:
    from rich.table import Table

    from headworks.admin.client import Client

Socket = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        envvar="HEADWORKS_ADMIN",
        help="Where the proxy is asked: the path of its socket, or a URL. Default: the one that runs here.",
        show_default=False,
    ),
]

STYLES = {"up": "green", "down": "red", "ejected": "red", "drain": "yellow", "maintenance": "yellow"}
"""Colours of states."""


@contextmanager
def asking(place: str | None) -> "Iterator[Client]":
    """Give what asks the proxy; say why not, and exit, where that cannot be done."""
    from headworks.admin.client import Client, RefusedError, UnreachableError

    try:
        yield Client.find(place)
    except UnreachableError as error:
        fail(str(error.args[0]))
    except RefusedError as error:
        said = [f"{one.get('key')}: {one.get('reason')}" for one in error.problems] or [str(error)]
        for line in said:
            typer.echo(f"headworks: {line}", err=True)
        is_wrong = error.status in (400, 404, 422)
        raise typer.Exit(Code.WRONG if is_wrong else Code.FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(Code.FINE) from None


def print_json(value: Any) -> None:
    """Print JSON."""
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str) -> None:
    """Print a table, or that there is nothing: in colour and cut for a terminal only."""
    listed = list(rows)
    if not listed:
        typer.echo(nothing)
        return
    from rich.console import Console

    # Lines are cut for people at a terminal only.
    Console(width=None if sys.stdout.isatty() else 1000, highlight=False).print(table(head, listed))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> "Table":
    """Lay out a table: numbers to the right, states in colour, nothing that a terminal would act on."""
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    laid = Table(box=None, pad_edge=False, header_style="bold")
    for column, title in enumerate(head):
        is_number = bool(listed) and all(isinstance(row[column], int | float | None) for row in listed)
        laid.add_column(title, justify="right" if is_number else "left", overflow="fold")
    for row in listed:
        laid.add_row(*(Text(shown(one), style=STYLES.get(str(one), "")) for one in row))
    return laid


def shown(value: Any) -> str:
    """Show one value in a cell."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case _:
            text = str(value)
            return text if text.isprintable() else text.encode("unicode_escape").decode()


def length(seconds: float) -> str:
    """Show a length of time with its two largest units."""
    left = int(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
