"""The app: which commands there are, in the order of ``headworks --help``."""

from typing import Annotated

import typer

from headworks.cli import (
    certs,
    check,
    connections,
    convert,
    demo,
    events,
    explain,
    init,
    lint,
    metrics,
    process,
    proxy,
    record,
    run,
    schema,
    servers,
    show,
    sniproxy,
    status,
    top,
)

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
    (proxy.proxy, proxy.EXAMPLE),
    (init.init, init.EXAMPLE),
    (check.check, check.EXAMPLE),
    (show.show, show.EXAMPLE),
    (certs.certs, certs.EXAMPLE),
    (explain.explain, explain.EXAMPLE),
    (schema.schema, schema.EXAMPLE),
    (status.status, status.EXAMPLE),
    (top.top, top.EXAMPLE),
    (servers.servers, servers.EXAMPLE),
    (servers.server, servers.SERVER_EXAMPLE),
    (servers.add_server, servers.ADD_EXAMPLE),
    (servers.remove_server, servers.REMOVE_EXAMPLE),
    (connections.connections, connections.EXAMPLE),
    (events.events, events.EXAMPLE),
    (metrics.metrics, metrics.EXAMPLE),
    (process.reload, process.RELOAD_EXAMPLE),
    (process.log_level, process.LEVEL_EXAMPLE),
    (process.stop, process.STOP_EXAMPLE),
    (convert.convert, convert.EXAMPLE),
    (lint.lint, lint.EXAMPLE),
    (record.record, record.EXAMPLE),
    (record.replay, record.REPLAY_EXAMPLE),
    (sniproxy.sniproxy, sniproxy.EXAMPLE),
    (demo.demo, demo.EXAMPLE),
):
    app.command(epilog=_example)(_command)
