"""No proxy: a bare loop that passes bytes on unseen. What it costs is the kernel's work, which all pay."""

from __future__ import annotations

from pathlib import Path

from proxies.base import Competitor, Task


class Floor(Competitor):
    """`load relay`. With HTTP it passes bytes on as well: no head is read, every client has its own server connection."""

    program = "load"
    reloadable = False

    def find(self) -> Path | None:
        """Take the load generator, which has it built in."""
        from generator import build

        return build()

    def version(self, program: Path) -> str:  # noqa: ARG002  (the same question to all)
        """Say what it is."""
        return "a bare epoll loop, no proxy"

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Pass everything to the origin, whatever the names."""
        return [str(program), "relay", "--listen", f"127.0.0.1:{task.listen}", "--target", f"127.0.0.1:{task.origin}"]
