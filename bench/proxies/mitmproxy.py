"""mitmproxy in reverse mode: one process of Python that every byte passes through, with an addon."""

from __future__ import annotations

from pathlib import Path

from proxies.base import Competitor, Task, wheel_file

ADDON = Path(__file__).resolve().parent / "programs" / "mitmproxy_addon.py"


class Mitmproxy(Competitor):
    """mitmproxy with an addon that looks at a field and the path; each client connection gets a server connection."""

    program = "mitmdump"
    version_option = "--version"
    speaks = frozenset(("http",))
    reloadable = False

    def in_wheels(self) -> Path | None:
        """The wheel `mitmproxy` installs the program."""
        return wheel_file("bin/mitmdump")

    def version(self, program: Path) -> str:
        """It says "Mitmproxy: NUMBER" and more."""
        return super().version(program).replace("Mitmproxy:", "mitmproxy").replace("  ", " ")

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Its configuration is options; what it makes for itself (its authority's key) goes into the run's directory."""
        return [
            str(program),
            "--quiet",  # no log, and nothing printed of a flow
            *("--set", f"confdir={task.directory}"),
            *("--set", "connection_strategy=lazy"),  # a server connection once there is a request for it
            *("--set", "keep_host_header=true"),  # the Host that the client sent, as all send it
            *("--mode", f"reverse:http://127.0.0.1:{task.origin}"),
            *("--listen-host", "127.0.0.1", "--listen-port", str(task.listen)),
            *("--scripts", str(ADDON)),
        ]
