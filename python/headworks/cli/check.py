"""``headworks check``: every problem of configurations, and nothing started."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headworks.cli.shared import Code, say_unreadable, show_problems

if TYPE_CHECKING:
    from headworks.config import Problem

EXAMPLE = "Example: headworks check headworks.toml"
STDIN = Path("-")


def check(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Configurations in TOML; - is stdin.", show_default=False),
    ],
) -> None:
    """Check configurations: `FILE: ok`, or every problem as `FILE:LINE: key.path: reason`.

    Each key of a certificate signs something. Users, groups and folders are looked for on this machine. What is
    doubtful only, such as a certificate that expires soon, is shown as a warning; exit 0.
    """
    from headworks.config import ConfigError

    code = Code.FINE
    for file in files:
        try:
            warnings = _examine(file)
        except ConfigError as error:
            show_problems(error.problems, to_stderr=False)
            code = Code.WRONG
        except OSError as error:
            say_unreadable(file, error)
            code = Code.WRONG
        else:
            show_problems(warnings, to_stderr=False)
            typer.echo(f"{_name(file)}: {typer.style('ok', fg='green')}")
    raise typer.Exit(code)


def _examine(file: Path) -> "list[Problem]":
    """Return what is doubtful. Raises ConfigError with every problem, OSError when the file cannot be read."""
    import sys

    from headworks.certificates import Store
    from headworks.config import ConfigError
    from headworks.config.check import examine
    from headworks.config.document import Document
    from headworks.machine import of_this_machine

    document = Document.parse(sys.stdin.read(), _name(file)) if file == STDIN else Document.read(file)
    store = Store()
    examined = examine(document, store)
    found = of_this_machine(examined.config, store)
    placed = [document.place(problem) for problem in found]
    if wrong := [problem for problem in placed if not problem.is_warning]:
        raise ConfigError(wrong)
    return sorted((*examined.warnings, *placed), key=lambda problem: problem.line or 0)


def _name(file: Path) -> str:
    return "<stdin>" if file == STDIN else str(file)
