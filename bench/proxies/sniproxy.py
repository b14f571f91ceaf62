"""sniproxy: TLS by name. Its HTTP routes connections, not requests, and adds no header: it takes no part there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from proxies.base import Competitor, Task


class Sniproxy(Competitor):
    """sniproxy. Its table is tried in order, so it suits few names."""

    program = "sniproxy"
    version_option = "-V"
    speaks = frozenset(("tls",))

    def arguments(self, program: Path, task: Task) -> list[str]:
        """One process, as always with sniproxy; without access_log nothing is logged per connection."""
        entries = "".join(f"    {name} 127.0.0.1:{task.origin}\n" for name in task.names)
        text = f"""
pidfile {task.directory}/sniproxy.pid
listen 127.0.0.1:{task.listen} {{
    proto tls
    table names
}}
table names {{
{entries}}}
"""
        config = task.write("sniproxy.conf", text)
        # -f: foreground; -n: descriptors for all sessions.
        return [str(program), "-f", "-n", str(task.descriptors), "-c", str(config)]

    def reload(self, program: Path, task: Task, pid: int) -> None:
        """HUP reads the tables again."""
        self.arguments(program, task)
        os.kill(pid, signal.SIGHUP)
