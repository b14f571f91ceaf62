"""``headworks record``: serve, and write down what is decided; ``headworks replay``: decide it once more."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headworks.cli.shared import AsJson, Code, find, misused, unreadable, wrong

if TYPE_CHECKING:
    from headworks.recording import Replayed

EXAMPLE = "Example: headworks record --listener web --for 60s --out day.hwrec"
REPLAY_EXAMPLE = "Example: headworks replay day.hwrec new.toml"


def record(  # noqa: PLR0913  (one parameter an option)
    *,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="The recording; must not be there yet. Ends in .gz: compressed."),
    ],
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Default: ./headworks.toml, then /etc/headworks/headworks.toml."),
    ] = None,
    listener: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Record this listener only; may be repeated.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Stop after this time, such as 60s or 10m.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Take down this field of requests, too; may be repeated."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Do not hash cookies and what authorizes.")] = False,
) -> None:
    """Run like `headworks run`, and record what is decided about every request: heads, never bodies.

    Of the fields of requests those are kept that the configuration looks at. There is no access log meanwhile.
    """
    from headworks.cli.run import exit_with
    from headworks.recording import Recording
    from headworks.service import run as serve

    found, seconds = find(config), _seconds(duration)

    def made(file: Path) -> Recording:
        return Recording(file, out, listeners=listener or (), fields=field or (), plain=plain)

    try:
        proxy = serve(found, made, seconds)
    except FileExistsError:
        misused(f"{out} is there already: name another file, or remove it")
    except ValueError as error:
        from headworks.config import ConfigError

        if not isinstance(error, ConfigError):
            misused(str(error))
        wrong(error)
    except OSError as error:
        raise typer.Exit(exit_with(found, error)) from None
    typer.echo(f"{out}: {proxy.written:,} requests" + (f", {proxy.dropped:,} lost" if proxy.dropped else ""), err=True)


def replay(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="What `headworks record` wrote.")],
    new: Annotated[Path, typer.Argument(metavar="FILE", help="The configuration to decide with.")],
    *,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with what this one decides, not with what was decided."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which recorded requests would be decided otherwise. Starts nothing.

    Exit code 0: none; 1: some; 2: a file is wrong.
    """
    from headworks.config import ConfigError
    from headworks.recording import RecordingError
    from headworks.recording import replay as decide

    try:
        found = decide(recording, new, against)
    except ConfigError as error:
        wrong(error)
    except RecordingError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(Code.WRONG) from None
    except OSError as error:
        unreadable(Path(error.filename or new), error)
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        _show(found)
    raise typer.Exit(Code.FAILED if found.changed else Code.FINE)


def _show(found: "Replayed") -> None:
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    if not found.changed:
        typer.echo(f"{found.requests:,} requests: all are decided as before")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("change", "before", "after", "requests", "for example")
    table.columns[3].justify = "right"
    for one in found.differences:
        cells = (one.kind, one.before or "-", one.after or "-", f"{one.count:,}", one.request())
        table.add_row(*(Text(_printable(cell)) for cell in cells))
    Console().print(table)
    typer.echo(f"{found.changed:,} of {found.requests:,} requests would be decided otherwise")


def _printable(text: str) -> str:
    """Return a text of the network without what terminals would act on."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _seconds(duration: str | None) -> float | None:
    if duration is None:
        return None
    from pydantic_core import PydanticCustomError

    from headworks.config.values import Duration

    try:
        return Duration(maximum="24h").read(duration).total_seconds()
    except PydanticCustomError as error:
        misused(f"--for: {error.message()}")
