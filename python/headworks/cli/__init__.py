"""The ``headworks`` command: what people type, and the exit codes they get.

| file | owns |
|---|---|
| commands.py | the app: which commands there are |
| quick.py | `run` without what only help and options need |
| run.py, check.py, show.py, certs.py, explain.py, demo.py | one command each: its words and options |
| convert.py, lint.py | the same, of files of other proxies |
| sniproxy.py | `sniproxy`, with options of its own kind |
| proxy.py, init.py, schema.py | a proxy without a file, a first file, what editors need |
| asking.py | what is shared by those that talk to a running proxy |
| status.py, top.py, servers.py, connections.py, events.py, process.py | these |
| files.py, shared.py | exit codes, how files are found and loaded, how it is said what is wrong |

0 fine, 1 failed while running, 2 wrong configuration or usage. A command is a few calls of the package, imported when
it runs so that ``headworks check`` stays quick. Colours on a terminal only.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

    app: typer.Typer

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line."""
    from headworks.cli import quick

    if sys.argv[1:2] == ["sniproxy"] and "--help" not in sys.argv:
        # Its options are read as sniproxy reads them.
        from headworks.cli.sniproxy import main as in_place

        in_place(sys.argv[2:])
    if (file := quick.plain(sys.argv[1:])) is not None:
        quick.run(file)
    else:
        from headworks.cli.commands import app

        app()


def __getattr__(name: str) -> object:
    """Import the app when it is asked for (PEP 562)."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from headworks.cli.commands import app

    return app
