"""The app: which commands there are, in the order of ``headworks --help``."""

from typing import Annotated

import typer

from headworks.cli import certs, check, convert, demo, explain, lint, record, run, show, sniproxy

app = typer.Typer(
    name="headworks",
    help="A proxy and load balancer: configured and programmed in Python, moving bytes at native speed.",
    epilog="Try: headworks demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer calls it with the option's value)
    if wanted:
        import headworks

        typer.echo(f"headworks {headworks.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Route connections by name: listeners, tables, backends."""


for _command, _example in (
    (run.run, run.EXAMPLE),
    (check.check, check.EXAMPLE),
    (show.show, show.EXAMPLE),
    (certs.certs, certs.EXAMPLE),
    (explain.explain, explain.EXAMPLE),
    (convert.convert, convert.EXAMPLE),
    (lint.lint, lint.EXAMPLE),
    (record.record, record.EXAMPLE),
    (record.replay, record.REPLAY_EXAMPLE),
    (sniproxy.sniproxy, sniproxy.EXAMPLE),
    (demo.demo, demo.EXAMPLE),
):
    app.command(epilog=_example)(_command)
