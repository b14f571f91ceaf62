"""The tour: every step in turn, what it shows, and whether it went as it should.

A step that fails does not end the tour; it is named at the end.
"""

import time

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from headworks.config.write import sketch
from headworks.demo.report import Result, Step
from headworks.demo.stage import Stage
from headworks.demo.steps import STEPS

_WELCOME = """\
[bold]Headworks[/] looks at the first bytes of a connection or request, finds the name in them and passes it to the
right server. Here are a proxy, {servers} small servers and their clients, all in this process, with this configuration:
"""


def tour(stage: Stage, console: Console) -> list[str]:
    """Run every step; returns the names of those that failed."""
    began = time.perf_counter()
    console.print(_WELCOME.format(servers=len(stage.origins)))
    _show_configuration(stage, console)
    failed = [step.name for number, step in enumerate(STEPS, 1) if not _show(step, number, stage, console)]
    seconds = f"{time.perf_counter() - began:.1f} s"
    if failed:
        console.print(f"\n[bold red]failed:[/] {', '.join(failed)} ({seconds})")
    else:
        console.print(f"\n[bold green]All {len(STEPS)} steps went as they should[/] ({seconds}).")
    return failed


def _show_configuration(stage: Stage, console: Console) -> None:
    text = sketch({name: section for name, section in stage.settings.items() if name != "logs"})
    if console.is_terminal:
        console.print(Syntax(text, "toml", background_color="default"))
    else:
        console.print(text, markup=False, soft_wrap=True)


def _show(step: Step, number: int, stage: Stage, console: Console) -> bool:
    """Run one step and print what it found; whether all was good."""
    console.print(f"\n[bold cyan]{number}. {step.name}[/]")
    console.print(Text(step.says, style="dim"))
    began = time.perf_counter()
    with console.status("") as status:
        stage.progress = lambda doing: status.update(Text(f"{doing} ..."))
        result = _run(step, stage)
        stage.progress = lambda _: None
    for one in result.shown:
        console.print(Text(one) if isinstance(one, str) else one)
    seconds = f"({time.perf_counter() - began:.2f} s)"
    for problem in result.problems:
        console.print(Text(f"failed: {problem}", style="red"))
    console.print(
        f"[green]ok[/] {step.name} {seconds}" if result.good else f"[bold red]FAILED[/] {step.name} {seconds}"
    )
    return result.good


def _run(step: Step, stage: Stage) -> Result:
    try:
        return step.run(stage)
    except Exception as error:  # noqa: BLE001  (whatever a step meets is this step's result, and the tour goes on)
        return Result(problems=(f"{type(error).__name__}: {error}",))
