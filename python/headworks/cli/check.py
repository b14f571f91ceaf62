"""``headworks check``: every problem of configurations, and nothing started."""

from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.shared import Code, show_problems

EXAMPLE = "Example: headworks check headworks.toml"


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Configurations in TOML.", show_default=False)],
) -> None:
    """Check configurations: `FILE: ok`, or every problem as `FILE:LINE: key.path: reason`.

    What is doubtful only, such as a certificate that expires soon, is shown as a warning; exit 0.
    """
    from headworks.certificates import Store
    from headworks.config import ConfigError
    from headworks.config.check import examine
    from headworks.config.document import Document

    code = Code.FINE
    for file in files:
        try:
            warnings = examine(Document.read(file), Store()).warnings
        except ConfigError as error:
            show_problems(error.problems, to_stderr=False)
            code = Code.WRONG
        except OSError as error:
            typer.echo(f"{file}: cannot be read: {error.strerror}", err=True)
            code = Code.WRONG
        else:
            show_problems(list(warnings), to_stderr=False)
            typer.echo(f"{file}: {typer.style('ok', fg='green')}")
    raise typer.Exit(code)
