"""After the tour: commands to copy, and the same proxy to try them on, until a signal.

The written configuration is watched: what is saved there is swapped in. Live counters on a terminal only; elsewhere
only what answers to something that a person did is printed.
"""

import shlex
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from headworks.config import ConfigError
from headworks.demo.report import milliseconds
from headworks.demo.stage import Stage
from headworks.demo.steps.counters import listeners, servers
from headworks.errors import BindError

_TURN = 0.5
"""Seconds between looks at the file, and between refreshes of the counters."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A shell command that works while the demo stays up."""

    says: str
    line: str


def stay(stage: Stage, console: Console) -> None:
    """Print commands and serve until KeyboardInterrupt."""
    console.print("\n[bold]Now you.[/] The proxy stays up; in another terminal:\n")
    for command in commands(stage):
        console.print(Text(f"# {command.says}", style="dim"))
        console.print(f"{command.line}\n", markup=False, soft_wrap=True)
    watch = _Watch(stage, lambda line: console.print(line, markup=False, soft_wrap=True))
    console.print(Text(f"# edit this file: what you save is swapped in\n{stage.file}\n"), soft_wrap=True)
    console.print("Press Ctrl-C to end.", style="bold")
    pause = threading.Event()
    if not console.is_terminal:
        while not pause.wait(_TURN):
            watch.look()
    with Live(_counters(stage), console=console, auto_refresh=False, transient=True) as live:
        while not pause.wait(_TURN):
            watch.look()
            live.update(_counters(stage), refresh=True)


def commands(stage: Stage) -> list[Command]:
    """Return commands with the real ports and paths."""
    host, secure = stage.proxy.address("secure")
    _, echo = stage.proxy.address("echo")
    _, web = stage.proxy.address("web")
    _, limited = stage.proxy.address("limited")
    _, site = stage.proxy.address("site")
    _, plain = stage.proxy.address("plain")
    throwaway = shlex.quote(str(stage.throwaway_file))
    authority, file = shlex.quote(str(stage.authority_file)), shlex.quote(str(stage.file))
    curl = f"curl -sS --cacert {authority}"
    headworks = "headworks" if shutil.which("headworks") else f"{shlex.quote(sys.executable)} -m headworks"
    return [
        Command(
            says="a site through the proxy: its own certificate, and the client that it saw",
            line=f"{curl} --connect-to ::{host}:{secure} https://shop.example/",
        ),
        Command(
            says="two servers in turn, by weight",
            line=f"{curl} --resolve blog.example:{secure}:{host} 'https://blog.example:{secure}/?[1-6]'",
        ),
        Command(
            says="a name in no table: the alert unrecognized_name",
            line=f"{curl} --connect-to ::{host}:{secure} https://nobody.example/",
        ),
        Command(
            says="the handshake, with the server and nobody else",
            line=f"openssl s_client -connect {host}:{secure} -servername cats.apps.example -CAfile {authority} "
            "-verify_return_error -brief </dev/null",
        ),
        Command(
            says="plain TCP: the echo",
            line=f'{shlex.quote(sys.executable)} -c \'import socket; c = socket.create_connection(("{host}", {echo})); '
            'c.sendall(b"hello"); print(c.recv(99))\'',
        ),
        Command(
            says="requests by host and path: web-1 and web-2 in turn, then users-1, which sees /users",
            line=f"curl -sS --resolve www.example:{web}:{host} 'http://www.example:{web}/?[1-2]' "
            f"http://www.example:{web}/api/users",
        ),
        Command(
            says="a redirect, as it comes",
            line=f"curl -sSi --resolve old.example:{web}:{host} http://old.example:{web}/page",
        ),
        Command(
            says="five requests in 10 seconds for each client, then 429",
            line=f"curl -sS -o /dev/null -w '%{{http_code}}\\n' 'http://{host}:{limited}/?[1-7]'",
        ),
        Command(
            says="the same over https, trusting the throwaway authority",
            line=f"curl -sS --cacert {throwaway} --resolve www.example:{site}:{host} "
            f"'https://www.example:{site}/?[1-2]' https://www.example:{site}/api/users",
        ),
        Command(
            says="from http to https, as browsers go",
            line=f"curl -sSL --cacert {throwaway} --connect-to www.example:80:{host}:{plain} "
            f"--connect-to www.example:443:{host}:{site} http://www.example/about",
        ),
        Command(
            says="a name that is passed through on the same port: the server's own certificate",
            line=f"{curl} --connect-to ::{host}:{site} 'https://shop.example/?passed'",
        ),
        Command(
            says="what TLS agreed on",
            line=f"openssl s_client -connect {host}:{site} -servername www.example -CAfile {throwaway} "
            "-verify_return_error -brief </dev/null",
        ),
        Command(says="every certificate that is presented", line=f"{headworks} certs {file}"),
        Command(
            says="why blog.example goes where it goes",
            line=f"{headworks} explain {file} --listener secure --sni blog.example --client 127.0.0.1",
        ),
        Command(
            says="why /api/users of www.example goes where it goes",
            line=f"{headworks} explain {file} --listener web --host www.example --path /api/users",
        ),
        Command(
            says="every connection and every exchange, as it ends", line=f"tail -f {shlex.quote(str(stage.access_log))}"
        ),
    ]


class _Watch:
    """Swaps in what is saved to the configuration's file."""

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._say = say
        stage.write_file()
        self._seen = _stamp(stage.file)

    def look(self) -> None:
        """Reload if the file has changed since the last look."""
        stamp = _stamp(self._stage.file)
        if stamp in (self._seen, None):
            return
        self._seen = stamp
        try:
            seconds = self._stage.reload_file()
        except ConfigError as error:
            self._say("\n".join(["not swapped in:", *map(str, error.problems)]))
        except BindError as error:
            self._say("\n".join(["not swapped in:", *map(str, error.failures)]))
        except OSError as error:
            self._say(f"not swapped in: {error}")
        else:
            self._say(f"swapped in ({milliseconds(seconds)})")


def _stamp(file: Path) -> tuple[int, int] | None:
    """Return what changes when a file is saved; None while an editor has it replaced."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _counters(stage: Stage) -> Group:
    stats = stage.proxy.stats()
    return Group("", listeners(stats), "", servers(stats, stage.names()))
