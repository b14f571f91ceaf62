"""``headworks convert``: another proxy's configuration as one of ours."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headworks.cli.shared import Code, misused, show_problems, unreadable, wrong

if TYPE_CHECKING:
    from headworks.importing.convert import Converted

EXAMPLE = "Examples: headworks convert /etc/haproxy/haproxy.cfg -o headworks.toml; headworks convert nginx.conf"


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Configuration of another proxy.", show_default=False)],
    *,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write. Default: stdout.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FORMAT", help="nginx, haproxy or sniproxy. Default: what is in the file tells."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing and exit 1 where anything would be different.")
    ] = False,
) -> None:
    """Convert a configuration of nginx, HAProxy or sniproxy to one of ours, with its comments.

    What differs and what is not supported stands in comments at its place, and is listed on stderr. What a table cannot
    say becomes rules, in a Python file beside the output. Exit code 0: it is written; 1: it is not, by --strict; 2: the
    file is wrong.
    """
    from headworks.config import ConfigError
    from headworks.importing.convert import FORMATS
    from headworks.importing.convert import convert as read

    if form is not None and form not in FORMATS:
        misused(f"--from {form} is not known; known: {', '.join(FORMATS)}")
    if out is not None and out.exists() and file.exists() and out.samefile(file):
        misused(f"{out} is the file to be converted: name another one")
    try:
        converted = read(file.read_bytes(), str(file), form)
    except ConfigError as error:
        wrong(error)
    except OSError as error:
        unreadable(file, error)
    _report(converted)
    if strict and not converted.is_the_same:
        typer.echo("nothing is written, by --strict", err=True)
        raise typer.Exit(Code.FAILED)
    if out is None:
        typer.echo(converted.text, nl=False)
        if converted.rules is not None:
            lines = converted.rules.text().splitlines()
            file_name = f"{converted.rules.module}.py"
            typer.echo(f"# {file_name}, which has to stand beside it:")
            typer.echo("\n".join(f"# {one}".rstrip() for one in lines))
            typer.echo(f"headworks: rules belong into {file_name}: -o writes both files", err=True)
        return
    _written(out, converted.text)
    if converted.rules is not None:
        beside = out.parent / f"{converted.rules.module}.py"
        _written(beside, converted.rules.text())
        typer.echo(f"rules are in {beside}", err=True)


def _written(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        typer.echo(f"headworks: {file} cannot be written: {error.strerror}", err=True)
        raise typer.Exit(Code.FAILED) from None


def _report(converted: "Converted") -> None:
    import sys

    from rich.console import Console

    show_problems(list(converted.warnings), to_stderr=True)
    table = converted.table()
    if table.row_count:
        # Lines are cut for people at a terminal only.
        Console(stderr=True, width=None if sys.stderr.isatty() else 1000).print(table)
    typer.echo(converted.summary, err=True)
