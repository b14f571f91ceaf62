"""Asked: bodies and queries of operations, each checked as a whole before anything is done. Must never do anything."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Body(BaseModel):
    """A body: unknown members are mistakes, and nothing is taken for what it is not."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Nothing(_Body):
    """Nothing is said."""


class ServerChange(_Body):
    """Changes of a server. Keys that are left out stay as they are."""

    admin: Literal["ready", "drain", "maintenance"] = "ready"
    """``drain`` takes no new connections, ``maintenance`` is out of service, ``ready`` is as configured."""
    weight: Annotated[int, Field(ge=0, le=256)] | None = None
    """The weight; null is as configured."""

    @model_validator(mode="after")
    def _says_something(self) -> "ServerChange":
        if not self.model_fields_set:
            raise ValueError("give admin, weight or both")
        return self


class BackendChange(_Body):
    """Changes of every server of a backend."""

    admin: Literal["ready", "drain", "maintenance"]
    """See the same of a server."""


class NewServer(_Body):
    """A server to be added, or other settings for one that is there."""

    address: Annotated[str, Field(min_length=1, max_length=300)]
    """``IP:PORT`` or ``unix:PATH``."""
    weight: Annotated[int, Field(ge=0, le=256)] = 1
    """The weight."""
    backup: bool = False
    """Whether it is a backup."""
    max_connections: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Connections to it at most."""


class NewConfig(_Body):
    """A configuration."""

    toml: str
    """The text."""


class TriedConfig(_Body):
    """A configuration to be looked at."""

    toml: str | None = None
    """The text; null or left out: what is in the file now."""


class NewLevel(_Body):
    """A level of the log."""

    level: Literal["debug", "info", "warning", "error"]
    """Lines below it are left out."""


class Client(_Body):
    """A client, and what it asks for."""

    listener: str
    """The listener that it connects to."""
    sni: str | None = None
    """The name in its ClientHello."""
    host: str | None = None
    """The Host of its request."""
    path: Annotated[str, Field(pattern=r"^[/*]")] | None = None
    """The path of its request."""
    method: str | None = None
    """The method of its request."""
    headers: tuple[tuple[str, str], ...] = Field(default=(), strict=False)
    """Fields of its request: pairs of name and value."""
    client: str | None = None
    """The IP address that it has."""


class Secret(_Body):
    """A token, for a session of a browser."""

    token: Annotated[str, Field(min_length=1, max_length=1000)]
    """The secret."""


class _Query(BaseModel):
    """A query: texts are taken for what they stand for, unknown names are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class NoQuery(_Query):
    """Nothing may be said."""


class OfBackend(_Query):
    """Which servers."""

    backend: str | None = None
    """The backend whose servers alone are wanted."""


class OfTables(_Query):
    """Which entries of tables."""

    contains: str = ""
    """Text that is in the patterns wanted."""
    limit: Annotated[int, Field(ge=0, le=100_000)] = 100
    """At most so many of each table."""


class After(_Query):
    """Which notices."""

    after: Annotated[int, Field(ge=0, le=1 << 53)] = 0
    """The number above which notices are wanted."""


class Tried(_Query):
    """Whether it is only looked at."""

    dry_run: Literal["true", "1"] | None = None
    """Look at it and change nothing."""


class Chosen(_Query):
    """Which connections."""

    listener: str | None = None
    """The listener that they came by."""
    client: str | None = None
    """The client's address, or a network that it is in."""
    host: str | None = None
    """The name asked for; ``*.example.com`` is any name below it."""
    backend: str | None = None
    """The backend that they were sent to."""
    server: str | None = None
    """The server that they were sent to."""
    state: str | None = None
    """The state that they are in."""
    idle_over: Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)] | None = None
    """Seconds for which nothing has moved, at least."""
    age_over: Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)] | None = None
    """Seconds since they were accepted, at least."""


class OfConnections(Chosen):
    """Which connections, a page at a time."""

    limit: Annotated[int, Field(ge=1, le=10_000)] = 100
    """At most so many."""
    cursor: str | None = None
    """The cursor of the page before."""


class Counted(Chosen):
    """Which connections, and how many they are known to be."""

    count: Annotated[int, Field(ge=0, le=10_000)]
    """How many there were when somebody looked: if there are more by now, none is closed."""
