"""Servers that everybody uses, run as programs of their own for the length of a test."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator

from rig.waiting import PATIENCE, until


@contextlib.contextmanager
def serving(*command: str, port: int) -> Iterator[str]:
    """Run a server until the block ends; gives its address once it answers connects."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:

        def answers() -> bool:
            assert process.poll() is None, process.stderr and process.stderr.read()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        until(answers, f"{command[0]} listens")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return int(finder.getsockname()[1])
