"""Signals: which ones mean something to a proxy that serves, and holding all of them back until they can be obeyed.

What other proxies give a meaning to is held back with the rest, since the system would end or stop the process by it.
Imported by the first instructions of the command: must never import more than the standard library's ``signal``.
"""

import signal

STOP = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
"""Signals that let connections finish; a second one closes them."""
RELOAD = signal.SIGHUP
REOPEN = signal.SIGUSR1
UPGRADE = signal.SIGUSR2
IGNORED = frozenset(
    {
        UPGRADE,
        signal.SIGALRM,
        signal.SIGVTALRM,
        signal.SIGPROF,
        signal.SIGWINCH,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGIO,
        signal.SIGPWR,
    }
)
"""Signals that change nothing. By themselves they would end the process, or stop it with every connection."""
HELD = STOP | IGNORED | {RELOAD, REOPEN}
"""Every signal that waits to be taken, one at a time."""


def hold() -> set[int]:
    """Let the signals of HELD wait in this thread, and in those that it starts. Returns the mask of before."""
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, HELD)}
