"""The report on a terminal, by rich: ratios to Headworks stand out, absolute figures are small print.

Without rich, or when the output is no terminal, it is the markdown of `report.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import report
from results import Outcome
from stage import Options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

VERDICTS = {"ok": "green", "miss": "red"}


def show(outcomes: Sequence[Outcome], options: Options) -> None:
    """Print everything."""
    try:
        from rich.console import Console
    except ImportError:
        print(report.markdown(outcomes, options))
        return
    console = Console()
    if not console.is_terminal:
        print(report.markdown(outcomes, options))
        return
    console.print(report.heading(options), style="dim")
    for version in report.versions(outcomes):
        console.print(f"  {version}", style="dim", markup=False, highlight=False)
    for outcome in outcomes:
        _scenario(console, outcome)
    targets = report.target_rows(outcomes)
    if len(targets) > 1:
        console.print(_targets(targets))


def _scenario(console: Console, outcome: Outcome) -> None:
    from rich.markup import escape

    scenario = outcome.scenario
    console.print(f"\n[bold]{scenario.name}[/bold]  {escape(scenario.title)}")
    console.print(report.METHODS[scenario.method], style="dim")
    rows = report.result_rows(outcome)
    if len(rows) > 1:
        console.print(_results(rows))
    for remark in report.remarks(outcome):
        style = "red" if "**invalid**" in remark else "yellow" if ": skipped" in remark else "dim"
        console.print(f"  {remark.replace('**', '')}", style=style, markup=False, highlight=False)


def _results(rows: report.Rows) -> Table:
    table = _table(rows[0])
    for row in rows[1:]:
        style = "cyan" if row[0].startswith("headworks") else ""
        table.add_row(*row, style=style)
    return table


def _table(titles: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for column, title in enumerate(titles):
        style = "" if column == 0 else "bold" if column == 1 else "dim"
        table.add_column(title, justify="left" if column == 0 else "right", style=style)
    return table


def _targets(rows: report.Rows) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="targets: what Headworks may cost at most", title_justify="left")
    for title in rows[0]:
        table.add_column(title)
    for row in rows[1:]:
        table.add_row(*row, style=VERDICTS.get(row[-1].partition(" ")[0], "dim"))
    return table
