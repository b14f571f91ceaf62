"""Step: what the proxy has counted, compared with what the clients have."""

from operator import itemgetter

from rich.table import Table

from headworks.demo.report import Result, Step, size, table, unless
from headworks.demo.stage import Stage, until
from headworks.stats import Stats

_REMARK = "A server that a reload takes out (here blog-1) goes on with its counters when it is put back."


def run(stage: Stage) -> Result:
    """Wait until the last connection has ended, then compare."""
    until("every connection has ended", lambda: not stage.proxy.stats().connections)
    stats = stage.proxy.stats()
    return Result(
        shown=(listeners(stats), "", servers(stats, stage.names()), _REMARK),
        problems=unless(
            *(
                (
                    stats.listeners[name].connections == opened,
                    f"clients opened {opened} connections to {name}, {stats.listeners[name].connections} are counted",
                )
                for name, opened in stage.clients.opened.items()
            ),
            (not stats.records_dropped, f"{stats.records_dropped} access records were dropped"),
        ),
    )


def listeners(stats: Stats) -> Table:
    """Return the counters of every listener."""
    shown = table(
        "listener", "address", ">connections", ">open", ">handshakes", ">from clients", ">to clients", ">failed"
    )
    for name, one in stats.listeners.items():
        shown.add_row(
            name,
            ", ".join(one.addresses),
            str(one.connections),
            str(one.active),
            str(one.handshakes or ""),
            size(one.bytes_in),
            size(one.bytes_out),
            str(one.failed),
        )
    return shown


def servers(stats: Stats, names: dict[str, str]) -> Table:
    """Return the counters of every server; ``names`` by address."""
    shown = table("backend", "server", "state", ">weight", ">connections", ">open", ">connects failed", ">retries")
    for backend, pool in stats.backends.items():
        named = sorted(((names.get(address, address), one) for address, one in pool.servers.items()), key=itemgetter(0))
        for number, (name, one) in enumerate(named):
            state = "ejected" if one.ejected else "up" if one.up else "down"
            shown.add_row(
                "" if number else backend,
                name,
                state,
                str(one.weight),
                str(one.connections),
                str(one.active),
                str(one.connect_failures),
                "" if number else str(pool.retries),
            )
    return shown


STEP = Step(
    name="counters",
    says=(
        "Everything is counted, by listener, backend and server. This is proxy.stats(), and it must agree with what "
        "the clients have counted."
    ),
    run=run,
)
