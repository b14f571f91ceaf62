"""Tree: what a sniproxy.conf says, typed, each part with the statement that says it.

Must never know how it is read, or what becomes of it.
"""

from dataclasses import dataclass, field
from enum import Enum

from headworks.importing.sniproxy.statements import Statement


class Form(Enum):
    """Forms of addresses."""

    IP = "ip"
    UNIX = "unix"
    NAME = "name"
    ASKED = "*"
    """The name that the client asks for."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address; port 0 where none is written."""

    form: Form
    host: str
    port: int = 0

    def with_port(self, port: int) -> "Address":
        """Return the same with a port, where it has none."""
        return self if self.port or self.form is Form.UNIX else Address(self.form, self.host, port)

    def __str__(self) -> str:
        """Return the address as our configurations have it."""
        if self.form is Form.UNIX:
            return f"unix:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


@dataclass(frozen=True, slots=True)
class Setting:
    """One word that a statement sets."""

    value: str
    statement: Statement


@dataclass(frozen=True, slots=True)
class Log:
    """``error_log`` or ``access_log``."""

    statement: Statement
    filename: str | None
    facility: str | None
    """Of syslog, instead of a file."""
    priority: str


@dataclass(frozen=True, slots=True)
class Resolver:
    """``resolver``."""

    statement: Statement
    nameservers: tuple[Setting, ...]
    search: tuple[Setting, ...]
    mode: Setting | None


@dataclass(frozen=True, slots=True)
class Route:
    """The way that connections go."""

    address: Address
    proxy: bool
    """Whether servers get a PROXY header."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a table."""

    statement: Statement
    pattern: str
    route: Route | None
    """None: no address is given."""


@dataclass(frozen=True, slots=True)
class Table:
    """``table``."""

    statement: Statement
    name: str | None
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class Listener:
    """``listener``. What it does not say is None."""

    statement: Statement
    address: Address
    protocol: Setting | None = None
    table: Setting | None = None
    fallback: Route | None = None
    fallback_statement: Statement | None = None
    source: Address | None = None
    source_statement: Statement | None = None
    is_transparent: bool = False
    """Whether servers are to see the client's own address: ``source client``."""
    reuseport: Setting | None = None
    ipv6_only: Setting | None = None
    bad_requests: Setting | None = None
    access_log: Log | None = None

    @property
    def is_http(self) -> bool:
        """Whether it looks for requests; anything but a beginning of ``http`` means TLS."""
        return self.protocol is not None and "http".startswith(self.protocol.value.lower())


@dataclass(slots=True)
class File:
    """A whole sniproxy.conf."""

    user: Setting | None = None
    group: Setting | None = None
    pidfile: Setting | None = None
    resolver: Resolver | None = None
    error_log: Log | None = None
    access_log: Log | None = None
    listeners: list[Listener] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    order: list[Listener | Table] = field(default_factory=list)
    """Listeners and tables as they come in the file."""
    idle: list[Statement] = field(default_factory=list)
    """Statements that sniproxy never comes to, forgets, or does nothing with."""
    after: list[str] = field(default_factory=list)
    """Comments at the end."""
