"""Answers: the shapes of what can be asked, beside those of ``headworks.stats``. Plain frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headworks.overrides import Override
from headworks.reloads import Reloads
from headworks.stats import AnalyzerStats, BackendStats, Connection, ListenerStats, ServerStats

State = Literal["up", "down", "ejected", "drain", "maintenance"]


@dataclass(frozen=True, kw_only=True)
class Status:
    """The proxy at a glance."""

    version: str
    """Version of Headworks."""
    pid: int
    """Number of its process."""
    started: float
    """The start, seconds since 1970."""
    uptime: float
    """Seconds since then."""
    file: str | None
    """The configuration's file; None when it was not made from one."""
    is_draining: bool
    """Whether it accepts no more."""
    workers: int
    """Worker threads."""
    connections: int
    """Connections open now."""
    accepted: int
    """Connections accepted since the start."""
    requests: int
    """Requests since the start."""
    failed: int
    """Connections or requests that ended by a fault, since the start."""
    records_dropped: int
    """Access records that could not be written."""
    listeners: Mapping[str, tuple[str, ...]]
    """Bound addresses by listener."""
    backends: int
    """How many backends there are."""
    servers: Mapping[State, int]
    """How many servers are in which state."""
    overrides: int
    """Servers that people changed something about."""
    certificate_expires: float | None
    """The end of the first certificate to end, seconds since 1970."""
    reloads: Reloads
    """How reloads went."""
    warnings: tuple[str, ...]
    """Doubts about the configuration."""
    log_level: str | None
    """Lines below this level are left out; None where nobody writes any."""


@dataclass(frozen=True, kw_only=True)
class Configured:
    """A server as the configuration has it."""

    weight: int
    """The weight."""
    backup: bool
    """Whether it is a backup."""
    max_connections: int | None
    """The limit; None without one."""


@dataclass(frozen=True, kw_only=True)
class ServerRow:
    """One server: what is configured, what people made of it, and what is observed."""

    backend: str
    """Name of its backend."""
    server: str
    """The address."""
    state: State
    """Why it gets no connections, or ``up``."""
    configured: Configured | None
    """None when it is not configured by this address: it was added, or found by a name."""
    override: Override | None
    """None when nobody changed anything."""
    observed: ServerStats
    """The counters."""


@dataclass(frozen=True, kw_only=True)
class BackendRow:
    """One backend."""

    name: str
    """The name."""
    balance: str
    """How a server is chosen."""
    health: str | None
    """Kind of its active checks; None without any."""
    stats: BackendStats
    """The counters."""
    servers: tuple[ServerRow, ...]
    """The servers."""


@dataclass(frozen=True, kw_only=True)
class ListenerRow:
    """One listener."""

    name: str
    """The name."""
    protocol: str
    """The protocol that it speaks."""
    table: str | None
    """Name of its table."""
    backend: str | None
    """Name of its backend, where it has no table."""
    fallback: str | None
    """Name of the backend for what nothing matches."""
    max_connections: int | None
    """The limit; None without one."""
    stats: ListenerStats
    """The counters."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a table."""

    pattern: str
    """The pattern that names must match."""
    target: Any
    """The backend's name, or the answer as it is configured."""


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One table."""

    name: str
    """The name."""
    size: int
    """How many entries it has."""
    entries: tuple[Entry, ...]
    """Of these, those that were asked for."""


@dataclass(frozen=True, kw_only=True)
class CertificateRow:
    """One certificate that is presented."""

    user: str | None
    """The table that presents it: ``listeners.secure``."""
    file: str
    """The file that it was read from."""
    names: tuple[str, ...]
    """Names that it is for."""
    issuer: str
    """The one that signed it."""
    key: str
    """Kind of its key."""
    not_before: str | None
    """The beginning (RFC 3339)."""
    not_after: str | None
    """The end (RFC 3339)."""
    days_left: int
    """Whole days until then; negative when it has ended."""
    chain: str
    """Whether its chain is complete."""
    chain_length: int
    """Certificates in the chain."""
    ocsp_until: str | None
    """How long its OCSP response holds (RFC 3339)."""


@dataclass(frozen=True, kw_only=True)
class AnalyzerRow:
    """One analyzer."""

    name: str
    """The name."""
    python: str
    """The object that is consulted."""
    on_failure: str
    """The fate of connections when it has no answer."""
    stats: AnalyzerStats | None
    """The counters; None where nothing has asked it."""


@dataclass(frozen=True, kw_only=True)
class RuleRow:
    """The rules of one listener or backend."""

    user: str
    """The table that has them: ``listeners.web``."""
    rules: tuple[str, ...]
    """In the order in which they are asked."""


@dataclass(frozen=True, kw_only=True)
class NoticeRow:
    """A rare event that was remembered."""

    number: int
    """The number, from 1."""
    at: float
    """Time of it, seconds since 1970."""
    kind: str
    """The event, a word such as ``server_down``."""
    level: str
    """The level of the log line that it deserves."""
    facts: Mapping[str, Any]
    """Facts of the event."""


@dataclass(frozen=True, kw_only=True)
class LimitRow:
    """One limit and how much of it is used."""

    key: str
    """The key that sets it, or the name that the system has for it."""
    limit: int
    """The most there may be."""
    used: int | None
    """How many there are now; None where nobody counts."""


@dataclass(frozen=True, kw_only=True)
class ConfigText:
    """The configuration that runs."""

    file: str | None
    """The file; None when it was not made from one."""
    text: str | None
    """Text of the file now, whether or not it was loaded."""
    running: str
    """The configuration that runs, as TOML with every default."""
    digest: str
    """Changes with text and running: the ETag."""


@dataclass(frozen=True, kw_only=True)
class ConfigProblem:
    """One thing that is wrong with, or doubtful about, a configuration."""

    key: str
    """The key, as it is written."""
    reason: str
    """The mistake itself."""
    suggestion: str | None
    """A remedy."""
    line: int | None
    """The line, from 1."""
    column: int | None
    """The column, from 1."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One key with another value."""

    key: str
    """The key."""
    before: Any
    """The value until now; None when there was none."""
    after: Any
    """The value then; None when there is none."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The fate of a configuration that is loaded."""

    is_good: bool
    """Whether it can be used."""
    problems: tuple[ConfigProblem, ...]
    """Everything that is wrong."""
    warnings: tuple[ConfigProblem, ...]
    """Everything that is doubtful."""
    added: tuple[str, ...]
    """Listeners, tables, backends and analyzers that are new."""
    removed: tuple[str, ...]
    """Listeners, tables, backends and analyzers that are gone."""
    changed: tuple[Change, ...]
    """Keys of those that stay."""
    needs_restart: tuple[str, ...]
    """Keys that only a start reads."""


@dataclass(frozen=True, kw_only=True)
class ConnectionPage:
    """Live connections."""

    connections: tuple[Connection, ...]
    """Some of them, in no order."""
    cursor: str | None
    """The beginning of the next page; None after the last."""


@dataclass(frozen=True, kw_only=True)
class Closed:
    """Connections that were closed."""

    closed: int
    """How many they were."""


@dataclass(frozen=True, kw_only=True)
class Reloaded:
    """A reload that took effect."""

    needs_restart: tuple[str, ...]
    """Keys that changed and that only a start reads."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """Something that was done."""

    done: str
    """The thing done."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """The level of the log."""

    level: Literal["debug", "info", "warning", "error"]
    """Lines below it are left out."""


@dataclass(frozen=True, kw_only=True)
class Me:
    """The one that asks."""

    name: str
    """The user, or the name of the token."""
    role: Literal["read", "operate"]
    """Everything that it may do."""
