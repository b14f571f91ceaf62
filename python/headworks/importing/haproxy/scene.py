"""Scene: what all parts of a translation share, and the values that several of them read."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from headworks.importing.draft import Draft, Path
from headworks.importing.flaws import Flaws
from headworks.importing.haproxy.conditions import ConditionError
from headworks.importing.haproxy.sections import File, Section, Statement
from headworks.importing.haproxy.values import SettingError, duration, milliseconds
from headworks.importing.ledger import Ledger
from headworks.importing.rulefile import RuleFile

HOUR = 3_600_000
_LARGEST_LIST = 4 << 20

NEEDLESS = {
    "option httplog": "records have a form of their own: see logs.access",
    "option httpslog": "records have a form of their own: see logs.access",
    "option tcplog": "records have a form of their own: see logs.access",
    "option logasap": "records are written at the end",
    "option dontlognull": "a connection without a byte is one line",
    "option dontlog-normal": "every connection has a record",
    "option log-separate-errors": "records have no levels",
    "option log-health-checks": "changes are logged always",
    "option redispatch": "another server is tried always",
    "option http-keep-alive": "connections are kept always",
    "option prefer-last-server": "connections are kept always",
    "option http-use-htx": "there is one way of reading requests",
    "option splice-auto": "large bodies are spliced always",
    "option splice-request": "large bodies are spliced always",
    "option splice-response": "large bodies are spliced always",
    "option tcp-smart-accept": "the kernel decides",
    "option tcp-smart-connect": "the kernel decides",
    "option clitcpka": "keep-alive probes are on",
    "option srvtcpka": "keep-alive probes are on",
    "option tcpka": "keep-alive probes are on",
    "option contstats": "counters are continuous",
    "option socket-stats": "counters are kept by listener",
    "option http-ignore-probes": "a connection without a byte is closed without a word",
    "option http-no-delay": "nothing is delayed",
    "option persist": "servers that are down are not asked",
    "option idle-close-on-response": "kept connections are told before they are closed",
    "option http-pretend-keepalive": "connections are kept always",
    "option h1-case-adjust-bogus-client": "fields are passed on as they are spelled",
    "option h1-case-adjust-bogus-server": "fields are passed on as they are spelled",
    "option disable-h2-upgrade": "there is no such upgrade",
    "http-reuse": "connections are shared always, where that is safe",
    "log": "the program's lines and access records go where [logs] says",
    "log-format": "records have a form of their own: see logs.format",
    "log-format-sd": "records have a form of their own: see logs.format",
    "error-log-format": "records have a form of their own: see logs.format",
    "log-tag": "records have a form of their own: see logs.format",
    "log-steps": "records are written at the end",
    "description": "it says something to people only",
    "id": "it numbers things for HAProxy only",
    "guid": "it names things for HAProxy only",
    "capture": "records have a form of their own: rules log fields by headworks.log",
    "hash-type": "hashing is consistent always",
    "hash-balance-factor": "it bounds a hash that we do not have",
    "load-server-state-from-file": "the state of servers is learned at each start",
    "grace": "it did nothing",
    "nbproc": "there is one process",
    "bind-process": "there is one process",
    "unique-id-format": "request ids have a form of their own",
    "max-keep-alive-queue": "the pool decides",
    "timeout tarpit": "nobody is kept waiting: see rate_limit",
    "tcp-check connect": "a connection is what is checked",
    "tcp-check comment": "it says something to people only",
    "http-check comment": "it says something to people only",
    "http-check connect": "a check is one request on a connection of its own",
    "tune.lua": "there is no Lua",
}
"""Statements that need nothing, and why."""


@dataclass(slots=True)
class Scene:
    """One translation."""

    file: File
    flaws: Flaws
    draft: Draft
    ledger: Ledger
    rules: RuleFile
    directory: FilePath
    """The folder that relative paths begin at."""
    certificates: str = ""
    """The folder that certificates without a path are in: ``crt-base``."""
    authorities: str = ""
    """The folder of authorities: ``ca-base``."""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Backends without servers, and what a request gets there."""
    forwarding: set[str] = field(default_factory=set)
    """Backends whose servers are told who the client is."""
    files: dict[str, list[str] | None] = field(default_factory=dict)
    """Lines of the files that were read."""

    @property
    def has_requests(self) -> bool:
        """Whether any listener reads requests."""
        return any(mode_of(one) == "http" for one in self.file.of("frontend", "listen"))

    def lines(self, name: str) -> Sequence[str] | None:
        """Return the lines of a file that the configuration names; None where it cannot be read."""
        if name not in self.files:
            self.files[name] = self._read(name)
        return self.files[name]

    def _read(self, name: str) -> list[str] | None:
        path = self.directory / name
        try:
            if not path.is_file() or path.stat().st_size > _LARGEST_LIST:
                return None
            return path.read_text(errors="replace").splitlines()
        except (OSError, ValueError):
            return None

    def tried(self, statement: Statement, section: Path, does: Callable[[], None]) -> None:
        """Do something for a statement; what has no equal is not supported."""
        try:
            does()
        except (ConditionError, SettingError) as error:
            reason = f"{error}; what it refuses is let through" if _refuses(statement) else str(error)
            self.ledger.unsupported(statement, reason, section)

    def time(
        self, statement: Statement | None, path: Path, most: int = HOUR, into: dict[str, Any] | None = None
    ) -> None:
        """Set a key to the time that a statement says."""
        if statement is None or not statement.arguments:
            return

        def put() -> None:
            length = milliseconds(statement.arguments[0])
            value = duration(length or most, most)
            if into is not None:
                into[path[-1]] = value
            else:
                self.draft.put(path, value, statement)
            self.ledger.converted(statement, path)

        self.tried(statement, path[:2], put)


def _refuses(statement: Statement) -> bool:
    """Whether it keeps somebody out."""
    is_action = statement.keyword in ("http-request", "tcp-request")
    return is_action and not {"deny", "reject", "tarpit", "silent-drop", "auth"}.isdisjoint(statement.arguments[:2])


def mode_of(section: Section) -> str:
    """Return ``tcp`` or ``http``; HAProxy takes tcp where nothing is said."""
    found = section.last("mode")
    return found.arguments[0] if found is not None and found.arguments else "tcp"


def located(base: str, name: str) -> str:
    """Return a path below a folder that paths without a slash at their beginning are in."""
    return os.path.join(base, name) if base else name  # noqa: PTH118  (text for a file, not a path here)
