"""What a proxy of the comparison is: what it can do, where it is found, how it is configured and reloaded.

A competitor is found through the environment (`HAPROXY=/path`), on PATH, or in `.venv-bench` (`make bench-deps`). All
get one worker, no log, and timeouts that never bite; every other line of tuning says why it is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from proxies.certificates import Certificate

ROOT = Path(__file__).resolve().parent.parent.parent
WHEELS = Path(os.environ.get("BENCH_VENV", ROOT / ".venv-bench"))

Protocol = Literal["tcp", "tls", "http", "https"]
ANSWER = "".join(chr(ord("a") + index % 26) for index in range(200))
"""What the origin has for every path, and the generator expects."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a proxy has to do: listen on a port, route `names` (none: plain TCP, or HTTP) to the origin."""

    listen: int
    origin: int
    names: Sequence[str]
    bulk: bool
    descriptors: int
    directory: Path
    http: bool = False
    servers: int = 1
    """How many servers the origin seems to be: addresses of loopback, at its one port."""
    workers: int = 1
    certificate: Certificate | None = None
    """Of the TLS in front of HTTP; None: plain HTTP. All terminate TLS 1.3 alone, agree on keys by X25519, offer HTTP/1.1
    by ALPN and give tickets; the cipher suite is the one that the clients offer."""
    answers: bool = False
    """The proxy answers every request itself, with `ANSWER` and no server, after what people wrote has seen it."""
    reloads: bool = False
    """Whether it will be reloaded: some proxies must be started in another way for that."""

    @property
    def protocol(self) -> Protocol:
        """What clients speak: names make it TLS routed by SNI."""
        return "https" if self.certificate else "http" if self.http else "tls" if self.names else "tcp"

    @property
    def addresses(self) -> list[str]:
        """The servers as `HOST:PORT`. All of 127.0.0.0/8 is this machine."""
        if self.servers == 1:
            return [f"127.0.0.1:{self.origin}"]
        return [f"127.1.{number // 250}.{1 + number % 250}:{self.origin}" for number in range(self.servers)]

    @property
    def sessions(self) -> int:
        """How many sessions of two descriptors each fit, with some descriptors left for the rest."""
        return (self.descriptors - 500) // 2

    def write(self, name: str, text: str) -> Path:
        """Write a file of the configuration, at once: who watches it never sees a part."""
        path = self.directory / name
        fresh = self.directory / f"{name}.fresh"
        fresh.write_text(text)
        return fresh.rename(path)


class Competitor(ABC):
    """A proxy, or a variant of one."""

    program: ClassVar[str]
    version_option = "-v"
    speaks: frozenset[Protocol] = frozenset(("tcp", "tls", "http", "https"))
    reloadable = True

    def find(self) -> Path | None:
        """Return its program: the environment variable of its name first, then PATH, then `.venv-bench`."""
        if named := named_program(self.program.upper()):
            return named
        found = shutil.which(self.program) or shutil.which(self.program, path="/usr/sbin:/usr/local/sbin")
        return Path(found) if found else self.in_wheels()

    def in_wheels(self) -> Path | None:
        """Return the program as a wheel of `.venv-bench` has it."""
        return None

    def version(self, program: Path) -> str:
        """Return what it says of its version, in one line."""
        ran = subprocess.run([str(program), self.version_option], capture_output=True, text=True, check=False)
        said = (ran.stdout + ran.stderr).strip().splitlines()
        return said[0] if said else "unknown"

    def can(self, protocol: Protocol) -> bool:
        """Whether it can route by name (tls), pass plain TCP, speak HTTP, or do so behind its own TLS (https)."""
        return protocol in self.speaks

    @abstractmethod
    def arguments(self, program: Path, task: Task) -> list[str]:
        """Write the configuration for `task` and return the command line."""

    def environment(self, task: Task) -> Mapping[str, str]:  # noqa: ARG002  (what some need)
        """Return the environment variables it needs besides ours."""
        return {}

    def reload(self, program: Path, task: Task, pid: int) -> None:  # noqa: ARG002  (what some need)
        """Write the configuration for `task` anew and make the process `pid` take it, by the proxy's own way."""
        raise NotReloadableError(f"{self.program} cannot be reloaded")


class NotReloadableError(Exception):
    """Asked of a proxy with `reloadable = False`."""


def named_program(variable: str) -> Path | None:
    """Return the program that an environment variable names; one that is none ends everything: it was meant."""
    named = os.environ.get(variable)
    if named and shutil.which(named) is None:
        raise SystemExit(f"bench: {variable}={named}: no such program")
    return Path(named) if named else None


def wheel_file(pattern: str) -> Path | None:
    """Return a file of `.venv-bench`, by a pattern below its root."""
    return next(iter(sorted(WHEELS.glob(pattern))), None)
