"""``headworks demo``: a tour of a proxy at work, then a playground, all of it on free loopback ports.

Starts servers, a proxy and clients in this one process, shows what went where and checks that it went as it should.
Must never leave anything behind: no file, no thread, no port.
"""

import signal
import sys
from types import FrameType
from typing import Self

from rich.console import Console

_FINE, _FAILED = 0, 1
_WIDTH = 120
"""Columns when the output is no terminal."""


def main(*, once: bool) -> int:
    """Give the tour, then stay up until INT, TERM or HUP; ``once``: only the tour. Returns the exit code.

    0 if every step went as it should, else 1. A signal during the tour of ``once`` is 1 too: it was not finished.
    """
    from headworks.demo.stage import Stage
    from headworks.demo.stay import stay
    from headworks.demo.tour import tour

    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    failed: list[str] | None = None
    with _Signals() as signals, Stage() as stage:
        try:
            failed = tour(stage, console)
            if not once:
                stay(stage, console)
        except KeyboardInterrupt:
            console.print("\nEnding.")
        finally:
            signals.ignore()
    if failed is None:
        return _FAILED if once else _FINE
    return _FAILED if failed else _FINE


class _Signals:
    """INT, TERM and HUP raise KeyboardInterrupt, once: what follows is cleaning up, which nothing may interrupt."""

    def __init__(self) -> None:
        self._ignoring = False
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def __enter__(self) -> Self:
        for number in self._before:
            signal.signal(number, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def ignore(self) -> None:
        """Ignore them from now on."""
        self._ignoring = True

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        if not self._ignoring:
            self._ignoring = True
            raise KeyboardInterrupt
