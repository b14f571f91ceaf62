"""Entry: the first instructions of the ``headworks`` command.

A command that serves holds signals back before anything is imported that takes time: a HUP that comes right after the
start is obeyed once the proxy is ready, and does not end it. Must never import more than that at the top.
"""

import sys

from headworks.signals import hold

SERVING = frozenset({"run", "proxy", "sniproxy"})
"""Commands that serve. All others end by a signal as every program does."""


def main() -> None:
    """Run the command line."""
    if next((word for word in sys.argv[1:] if not word.startswith("-")), None) in SERVING:
        hold()
    from headworks.cli import main as run

    run()
