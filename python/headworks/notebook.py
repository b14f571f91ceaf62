"""Notebook: values as small HTML tables, for whoever shows ``_repr_html_``.

Must never let through what a client or a file chose as anything but text.
"""

from collections.abc import Iterable
from html import escape

Cell = object
"""Anything that ``str`` can show; None is an empty cell."""


def table(title: str, head: Iterable[str], rows: Iterable[Iterable[Cell]]) -> str:
    """Return a table with a title and a line of headings, everything escaped."""
    headings = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{headings}</tr></thead><tbody>{lines}</tbody></table>"


def pairs(title: str, rows: Iterable[tuple[str, Cell]]) -> str:
    """Return a table of names and values; a value that is None is left out."""
    lines = "".join(f"<tr><th>{escape(name)}</th>{_cell(value)}</tr>" for name, value in rows if value is not None)
    return f"<table><caption>{escape(title)}</caption><tbody>{lines}</tbody></table>"


def _cell(value: Cell) -> str:
    return f"<td>{'' if value is None else escape(str(value))}</td>"
