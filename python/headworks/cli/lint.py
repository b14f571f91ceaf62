"""``headworks lint``: patterns that match more, or less, than they seem to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headworks.cli.shared import AsJson, Code, unreadable, wrong

if TYPE_CHECKING:
    from headworks.importing.lint import Finding

EXAMPLE = "Examples: headworks lint /etc/sniproxy.conf; headworks lint headworks.toml --json"


def lint(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Configuration in TOML, or a sniproxy.conf.", show_default=False)
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Look for patterns that are not anchored or escaped, for entries and fallbacks that nothing gets to, for repeats.

    Exit code 0: there is nothing; 1: something was found; 2: the file is wrong.
    """
    from headworks.config import ConfigError

    try:
        found = _look(file)
    except ConfigError as error:
        wrong(error)
    except OSError as error:
        unreadable(file, error)
    if as_json:
        import json

        typer.echo(json.dumps([one.facts() for one in found], indent=2))
    else:
        for one in found:
            where, _, rest = f"{file}:{one}".partition(": ")
            typer.echo(f"{where}: {rest}")
    raise typer.Exit(Code.FAILED if found else Code.FINE)


def _look(file: Path) -> "list[Finding]":
    """Return what is found. Raises ConfigError and OSError."""
    from headworks.config import ConfigError
    from headworks.config.document import Document
    from headworks.importing.lint import of_ours, of_sniproxy
    from headworks.importing.sniproxy.source import is_sniproxy

    source = file.read_bytes()
    document = Document.read(file)
    # A file that is TOML has no lines of another kind.
    if is_sniproxy(source):
        if broken := [note for note in document.notes if not note.is_warning and "not supported" not in note.reason]:
            raise ConfigError(broken)
        return of_sniproxy(source)
    return of_ours(document.value, document.positions)
