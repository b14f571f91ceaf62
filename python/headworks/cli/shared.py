"""Shared: exit codes, options that several commands have, and how a configuration is found and loaded.

Owns the way to say what is wrong, too. Must never know a command.
"""

import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from headworks.cli.files import DEFAULT_FILES

if TYPE_CHECKING:
    from headworks.config import Config, ConfigError, Problem


class Code(IntEnum):
    """Exit codes."""

    FINE = 0
    FAILED = 1
    WRONG = 2


File = Annotated[Path, typer.Argument(metavar="FILE", help="Configuration in TOML.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def find(file: Path | None) -> Path:
    """Return the file that was named, or the first of DEFAULT_FILES that exists."""
    if file is not None:
        return file
    existing = next((candidate for candidate in DEFAULT_FILES if candidate.exists()), None)
    if existing is None:
        misused(f"no configuration: there is neither {' nor '.join(map(str, DEFAULT_FILES))}; name a FILE")
    return existing


def load(file: Path) -> "Config":
    """Load, or say what is wrong and exit."""
    from headworks.config import Config, ConfigError

    try:
        return Config.load(file)
    except ConfigError as error:
        wrong(error)
    except OSError as error:
        unreadable(file, error)


def show_problems(problems: "list[Problem]", *, to_stderr: bool) -> None:
    """Say every problem, on a terminal with the line it is about."""
    stream = sys.stderr if to_stderr else sys.stdout
    for problem in problems:
        typer.echo(str(problem), err=to_stderr)
        if stream.isatty() and (excerpt := problem.excerpt()):
            typer.secho(excerpt, dim=True, err=to_stderr)


def wrong(error: "ConfigError") -> NoReturn:
    """Say what is wrong with a configuration and exit."""
    show_problems(error.problems, to_stderr=True)
    raise typer.Exit(Code.WRONG)


def unreadable(file: Path, error: OSError) -> NoReturn:
    """Say that a file cannot be read and exit."""
    say_unreadable(file, error)
    raise typer.Exit(Code.WRONG)


def say_unreadable(file: Path, error: OSError) -> None:
    """Say why a file cannot be read, and what can be done."""
    from headworks.cli.unreadable import why

    typer.echo(f"{file}: cannot be read: {why(file, error)}", err=True)


def misused(reason: str) -> NoReturn:
    """Say what is wrong with how the command was typed and exit."""
    typer.echo(f"headworks: {reason}", err=True)
    raise typer.Exit(Code.WRONG)


def fail(*reasons: str) -> NoReturn:
    """Say why it failed and exit."""
    for reason in reasons:
        typer.echo(f"headworks: {reason}", err=True)
    raise typer.Exit(Code.FAILED)
