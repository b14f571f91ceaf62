"""Screen: a running proxy as it is now, drawn again and again, and the keys that change what is drawn.

Owns the terminal while it is drawn, and leaves it as it was. Must never change the proxy.
"""

import os
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from headworks.admin.client import Client

Lay = Callable[[Sequence[str], Iterable[Sequence[Any]]], "Table"]
"""Lays out a table."""
Length = Callable[[float], str]
"""Shows a length of time."""

HEAD = ("backend", "server", "state", "weight", "active", "conn/s", "req/s", "in/s", "out/s", "failed", "p99 ms")
SORTS = {"name": None, "active": 4, "connections": 5, "requests": 6, "failed": 9, "latency": 10}
"""Orders, each with the column that it goes by; names come in the order of the configuration."""
KEYS = "q quits, s sorts, / filters"
_AROUND = 6
"""Lines of a screen that are no rows."""


@dataclass
class View:
    """The screen as it is: order, filter, and the snapshot before."""

    sort: str = "name"
    wanted: str = ""
    is_typing: bool = False
    before: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    at: float = 0.0

    def press(self, key: str) -> bool:
        """Act on a key; whether to go on."""
        if self.is_typing:
            match key:
                case "\r" | "\n" | "\x1b":
                    self.is_typing = False
                case "\x7f" | "\b":
                    self.wanted = self.wanted[:-1]
                case _ if key.isprintable():
                    self.wanted += key
            return True
        match key:
            case "q" | "Q" | "\x03" | "\x04" | "":
                return False
            case "s":
                names = list(SORTS)
                self.sort = names[(names.index(self.sort) + 1) % len(names)]
            case "/":
                self.is_typing, self.wanted = True, ""
        return True

    def rows(self, servers: list[dict[str, Any]], now: float) -> list[tuple[Any, ...]]:
        """Lay out the servers that are wanted, with rates since the snapshot before."""
        passed = max(now - self.at, 0.001) if self.before else 0.0
        laid = [self._row(one, passed) for one in servers if self.wanted in f"{one['backend']} {one['server']}"]
        self.before = {(one["backend"], one["server"]): one["observed"] for one in servers}
        self.at = now
        column = SORTS[self.sort]
        return laid if column is None else sorted(laid, key=lambda row: row[column] or 0, reverse=True)

    def _row(self, one: dict[str, Any], passed: float) -> tuple[Any, ...]:
        now = one["observed"]
        before = self.before.get((one["backend"], one["server"]), now)
        rates = [
            (now[name] - before[name]) / passed if passed else None
            for name in ("connections", "requests", "bytes_in", "bytes_out")
        ]
        fixed = (one["backend"], one["server"], one["state"], now["weight"], now["active"])
        return (*fixed, *rates, now["failed"], now["latency_p99_ms"])


def live(client: "Client", view: View, interval: float, *, lay: Lay, length: Length) -> None:
    """Draw until somebody says quit. Raises as the client does."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as drawn:
        while True:
            status, servers = client.ask("GET", "/status"), client.ask("GET", "/servers")
            rows = view.rows(servers, time.monotonic())
            end = time.monotonic() + interval
            while (left := end - time.monotonic()) > 0:
                drawn.update(_screen(view, _head(status, length), lay, rows, console.height), refresh=True)
                for key in pressed(left):
                    if not view.press(key):
                        return


def _head(status: dict[str, Any], length: Length) -> tuple[str, str]:
    draining = ", draining" if status["is_draining"] else ""
    first = f"headworks {status['version']}, pid {status['pid']}, up {length(status['uptime'])}{draining}"
    second = f"{status['connections']:,} connections, {status['requests']:,} requests, {status['failed']:,} failed"
    return first, second


def _screen(view: View, head: Sequence[str], lay: Lay, rows: list[tuple[Any, ...]], height: int) -> "Group":
    from rich.console import Group
    from rich.text import Text

    seen = rows[: max(1, height - _AROUND)]
    left_out = f"  ({len(rows) - len(seen)} more)" if len(seen) < len(rows) else ""
    said = f"filter: {view.wanted}_" if view.is_typing else f"sorted by {view.sort}; {KEYS}"
    said += f"; filter: {view.wanted}" if view.wanted and not view.is_typing else ""
    lines = [Text(one, no_wrap=True, overflow="ellipsis") for one in (*head, "")]
    return Group(*lines, lay(HEAD, seen), Text(said + left_out, style="dim", no_wrap=True, overflow="ellipsis"))


@contextmanager
def _keys() -> "Iterator[Callable[[float], str]]":
    """Give what waits for keys, so many seconds; the terminal is as before afterwards."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        if not ready:
            return ""
        # The end of the input is a key, too: nobody is there any more.
        return os.read(descriptor, 64).decode(errors="replace") or "\x04"

    try:
        tty.setcbreak(descriptor)
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
